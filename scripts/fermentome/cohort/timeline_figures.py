"""Figures of people over time: one for each person, and all of them at a glance.

They are drawn from the tables as written. Names of people are anything, so they are never names
of files: figures are numbered, and a table says whose each one is.

Signs are the same in every panel and need no colour: a triangle that points up or down is a value
called beyond the band, a disc one within it, an empty disc one that could not be called, a square
the baseline. Values that were not detected stand on the floor of their panel, crossed out.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.textpath import TextToPath
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from fermentome.cohort.diversity_figures import NAMES
from fermentome.cohort.measures import LOG2
from fermentome.cohort.people import BELOW, DOWN, NOT_CALLED, UP
from fermentome.cohort.swaps import ELSEWHERE, PAIR
from fermentome.cohort.visits import AFTER, BASELINE, DURING
from fermentome.drawing import (
    BLACK,
    BLUE,
    GREY,
    LIGHT_GREY,
    ORANGE,
    STYLE,
    YELLOW,
    looks_of,
    message_figure,
    save,
    shown_name,
)
from fermentome.tables import Cell, parse_number, read_table, write_table

AnyPath = str | os.PathLike[str]
Row = Mapping[str, str]

TIMELINE_COLUMNS = ("file", "subject", "samples", "timepoints", "events", "called")
FILE = "person_{:03d}"
LEFT, WIDE, GAP, RIGHT = 1.42, 3.7, 0.12, 1.92
"""Inches: names of the measures, panels, and what is read from them. 7.16 in all."""
PANEL, STACK, DISTANCE, STRIP, BETWEEN = 0.74, 1.05, 0.92, 0.19, 0.13
"""Inches: heights of panels, and what lies between them."""
SMALL, PLAIN, LARGE = 6.5, 7.5, 10.5
"""Points."""
MOST_MEASURES = 6
MOST_CARRIERS = 6
LOG_RATIO = 30.0
"""Highest over lowest value from which a panel has a logarithmic axis: below, bars from zero show
a loss as what it is; above, small values could not be told from zero."""
FIRST = ("diversity:shannon", "product:butyrate", "product:propionate", "product:acetate")
EVENT_COLOUR = "#F7E7C1"
EVENT_HATCHES = ("", "///", "...", "xx", "\\\\\\")
MARK = 5.5
MOST_PEOPLE_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one measure of a person.

    Attributes
    ----------
    x
        Time since the last baseline sample, or since the first if there is none; NaN if not known.
    value, low, high, baseline, band_low, band_high
        In the unit of the measure.
    """

    row: Row
    x: float
    value: float
    low: float
    high: float
    baseline: float
    band_low: float
    band_high: float

    @property
    def hidden(self) -> bool:
        """Whether the value is below detection."""
        return self.row["below_detection"] == "yes"

    @property
    def outside(self) -> bool:
        """Whether it lies beyond the band, which alone makes no call."""
        return not self.band_low <= self.value <= self.band_high


@dataclass(frozen=True, slots=True)
class Span:
    """An event of a person."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Person:
    """What is drawn of one person.

    Attributes
    ----------
    words
        Timepoint in the words of the metadata, by time.
    points
        By measure, in the order of time; those without a time are left out.
    spans
        Events, in the order of time.
    distances, recovery
        Rows of the tables of distances and of recovery.
    suspect
        Samples that look swapped, and with whose.
    untimed
        Number of visits without a time.
    """

    name: str
    unit: str
    words: Mapping[float, str]
    points: Mapping[str, Sequence[Point]]
    spans: Sequence[Span]
    distances: Sequence[Row]
    recovery: Sequence[Row]
    suspect: Mapping[str, str]
    untimed: int
    from_baseline: bool


# --- reading -------------------------------------------------------------------------------------


def rows_of(tables: Mapping[str, AnyPath], name: str) -> list[dict[str, str]]:
    """Rows of a table; none if it was not made."""
    return read_table(tables[name]) if name in tables and Path(tables[name]).exists() else []


def by_subject(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of each named person."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["subject"] != "NA":
            found[row["subject"]].append(row)
    return found


def time_column(rows: Sequence[Row]) -> str:
    """Column of the times that a person is drawn by: since baseline where there is a baseline."""
    since = any(row["days_since_baseline"] != "NA" for row in rows)
    return "days_since_baseline" if since else "days"


def point_of(row: Row, column: str) -> Point:
    """Numbers of a row of the table of people."""
    numbers = (
        parse_number(row[name])
        for name in (column, "value", "ci_low", "ci_high", "baseline", "band_low", "band_high")
    )
    return Point(row, *numbers)


def spans_of(rows: Sequence[Row], column: str) -> list[Span]:
    """Events: from the first to the last sample at which one is on."""
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        time = parse_number(row[column])
        if row["phase"] == DURING and not math.isnan(time):
            times[row["episode"], row["event"]].append(time)
    found = [Span(name, min(own), max(own)) for (_, name), own in times.items()]
    return sorted(found, key=lambda span: (span.start, span.end, span.name))


def people_of(tables: Mapping[str, AnyPath]) -> list[Person]:
    """All people in the tables, sorted by name."""
    rows = by_subject(rows_of(tables, "people"))
    far = by_subject(rows_of(tables, "trajectories"))
    back = by_subject(rows_of(tables, "recovery"))
    swapped = by_subject(rows_of(tables, "swaps"))
    return [
        person_of(name, rows[name], far.get(name, []), back.get(name, []), swapped.get(name, []))
        for name in sorted(rows)
    ]


def person_of(
    name: str,
    rows: Sequence[Row],
    far: Sequence[Row],
    back: Sequence[Row],
    swapped: Sequence[Row],
) -> Person:
    """One person of the tables' rows of their own."""
    column = time_column(rows)
    points: dict[str, list[Point]] = defaultdict(list)
    for row in rows:
        points[row["measure"]].append(point_of(row, column))
    visits = {row["sample"]: row for row in rows}
    untimed = sum(row[column] == "NA" for row in visits.values())
    timed = {
        measure: sorted((p for p in own if not math.isnan(p.x)), key=lambda p: p.x)
        for measure, own in points.items()
    }
    suspect = {
        row["sample"]: row["fits_best"] for row in swapped if row["verdict"] in {PAIR, ELSEWHERE}
    }
    return Person(
        name, rows[0]["time_unit"],
        {p.x: p.row["timepoint"] for own in timed.values() for p in own}, timed,
        spans_of(list(visits.values()), column), far, back,
        suspect, untimed, column == "days_since_baseline",
    )  # fmt: skip


# --- words ---------------------------------------------------------------------------------------


def title_of(measure: str) -> tuple[str, str]:
    """Name of a measure for readers, in two lines.

    >>> title_of("product:butyrate"), title_of("diversity:shannon")
    (('Butyrate', 'genetic potential'), ('Diversity', 'Shannon'))
    """
    kind, _, name = measure.partition(":")
    if kind == "product":
        return capital(name), "genetic potential"
    if kind == "organisms":
        return capital(name), "potential by organisms"
    if kind == "diversity":
        return "Diversity", capital(NAMES.get(name, name))
    return capital(name), kind


@lru_cache(maxsize=4096)
def inches(text: str, size: float, weight: str = "normal") -> float:
    """Width of a line of text."""
    font = font_manager.FontProperties(family=STYLE["font.family"], size=size, weight=weight)
    width, _, _ = TextToPath().get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72


def fitted(text: str, room: float, size: float, weight: str = "normal") -> str:
    """Text shortened to `room` inches: some letters are four times as wide as others."""
    most = min(len(text), 120)
    while most > 1 and inches(shown_name(text, most), size, weight) > room:
        most -= 1
    return shown_name(text, most)


def capital(text: str) -> str:
    """Text with its first letter as a capital."""
    return text[:1].upper() + text[1:]


def figure_text(value: float) -> str:
    """Number for readers, three digits.

    >>> figure_text(0.12345), figure_text(1234.5), figure_text(0.0)
    ('0.123', '1230', '0')
    """
    text = f"{value:.3g}"
    return f"{float(text):.0f}" if "e" in text and abs(value) >= 1 else text


def change_text(point: Point) -> str:
    """How far a value is from the baseline.

    >>> row = {"difference": "-2", "scale": "log2"}
    >>> change_text(Point(row, 0, 1, 1, 1, 4, 2, 8))
    '÷4'
    """
    difference = parse_number(point.row["difference"])
    if math.isnan(difference):
        return ""
    if point.row["scale"] == LOG2:
        return fold_text(difference)
    return f"{difference:+.2g}".replace("-", "−")


def fold_text(difference: float) -> str:
    """How many times more or less a difference in log2 is.

    >>> fold_text(1.0), fold_text(-2.0)
    ('×2', '÷4')
    """
    fold = 2 ** abs(difference)
    return ("÷" if difference < 0 else "×") + (f"{fold:.2g}" if fold < 100 else f"{fold:.0f}")


def time_text(value: float, person: Person) -> str:
    """A moment in words: the day, or the timepoint's own name where days are not known."""
    if person.unit == "days":
        return f"day {value:g}".replace("-", "−")
    return shown_name(person.words.get(value, "NA"), 14)


def readout(measure: str, points: Sequence[Point], person: Person) -> list[tuple[str, bool]]:
    """What a panel says, in up to four short lines; `True` for those that matter most."""
    later = [p for p in points if p.row["phase"] != BASELINE and not math.isnan(p.value)]
    if not later:
        return [("no later sample", False)]
    called = [p for p in later if p.row["change"] in {UP, DOWN}]
    callable_ = [p for p in later if p.row["change"] != NOT_CALLED]
    lines: list[tuple[str, bool]] = []
    if called:
        most = max(called, key=lambda p: abs(parse_number(p.row["difference"])))
        where = time_text(most.x, person)
        # How many times less nothing is, the detection limit decides and not the person.
        size = "not detected" if most.hidden else change_text(most)
        lines.append((f"{arrow(most)} {size} at {where}", True))
        lines.append((f"beyond noise in {len(called)} of {len(later)} samples", False))
    elif callable_:
        lines.append((f"no change called (n = {len(later)})", False))
        outside = sum(p.outside and not p.hidden for p in callable_)
        if outside:
            lines.append((f"{outside} outside the band, may be chance", False))
        unseen = sum(p.hidden for p in later)
        if unseen:
            lines.append((f"not detected in {unseen}", False))
    else:
        note = next((p.row["note"] for p in later if p.row["note"]), "")
        lines.append(("changes cannot be called", False))
        if note:
            lines.append((shown_name(note, 38), False))
    return lines + recovery_lines(measure, person)


def arrow(point: Point) -> str:
    """Sign of a called change."""
    return "▼" if point.row["change"] == DOWN else "▲"


def recovery_lines(measure: str, person: Person) -> list[tuple[str, bool]]:
    """Whether the person came back after the last event."""
    own = [row for row in person.recovery if row["measure"] == measure]
    if not own:
        return []
    row = own[-1]
    days, low = parse_number(row["days_to_return"]), parse_number(row["days_to_return_low"])
    unit = "days" if person.unit == "days" else "steps"
    several = len(person.spans) > 1
    since = (
        f"since the end of {shown_name(row['event'], 14)}" if several else "since the event's end"
    )
    if row["returned"] == "yes":
        return [(f"back after {span_text(low, days)} {unit}", True), (since, False)]
    if row["returned"] == "provisional":
        return [
            (f"back after {span_text(low, days)} {unit}", False),
            (f"{since}, not confirmed", False),
        ]
    if row["returned"] == "no":
        return [(f"not back {figure_text(low)} {unit}", True), (since, False)]
    return []


def span_text(low: float, high: float) -> str:
    """A time known to lie between two.

    >>> span_text(7, 21), span_text(float("nan"), 21), span_text(21, 21)
    ('7–21', '21', '21')
    """
    if math.isnan(low) or low >= high:
        return figure_text(high)
    return f"{figure_text(low)}–{figure_text(high)}"


# --- panels --------------------------------------------------------------------------------------


def chosen_measures(person: Person) -> list[str]:
    """Measures that get a panel: diversity, then products; by organisms if there is no product."""
    known = [
        measure for measure, points in person.points.items()
        if any(not math.isnan(point.value) for point in points)
    ]  # fmt: skip
    products = [m for m in known if m.startswith("product:")]
    kinds = ("product:",) if products else ("organisms:",)
    diversity = [m for m in known if m.startswith("diversity:")]
    main = [m for m in diversity if m == FIRST[0]] or sorted(diversity)[:1]
    rest = sorted(
        (m for m in known if m.startswith(kinds)),
        key=lambda m: (
            FIRST.index("product:" + m.partition(":")[2])
            if "product:" + m.partition(":")[2] in FIRST
            else len(FIRST),
            m,
        ),
    )
    chosen = [*main, *rest]
    return (chosen or sorted(m for m in known if not m.startswith("carrier:")))[:MOST_MEASURES]


def chosen_carriers(person: Person) -> tuple[str, list[str]]:
    """Product whose carriers are stacked, and their measures, the largest first."""
    shares: dict[str, dict[str, float]] = defaultdict(dict)
    for measure, points in person.points.items():
        kind, _, name = measure.partition(":")
        if kind == "carrier":
            product = name.partition("|")[0]
            values = [0.0 if p.hidden else p.value for p in points if not math.isnan(p.value)]
            if values and max(values) > 0:
                shares[product][measure] = max(values)
    if not shares:
        return "", []
    product = "butyrate" if "butyrate" in shares else min(shares)
    own = shares[product]
    return product, sorted(own, key=lambda measure: (-own[measure], measure))


def shade(axes: Axes, person: Person) -> None:
    """Shade the time of the events across a panel."""
    for number, span in enumerate(person.spans):
        pad = pad_of(axes)
        start, end = span.start - pad, span.end + pad
        axes.axvspan(start, end, facecolor=EVENT_COLOUR, edgecolor="none", zorder=0,
                     gid=f"event-{number}")  # fmt: skip
        # Lines, since the shade of the noise band lies over this one.
        for edge in (start, end):
            axes.axvline(edge, color=BLACK, linewidth=0.5, linestyle=(0, (1, 2)), zorder=1.5)


def pad_of(axes: Axes) -> float:
    """What an event reaches beyond its samples, so that one at a single sample is seen."""
    low, high = axes.get_xlim()
    return 0.012 * (high - low)


def limits_of(person: Person) -> tuple[float, float]:
    """Range of time, with room at both ends."""
    times = [p.x for points in person.points.values() for p in points]
    low, high = (min(times), max(times)) if times else (0.0, 1.0)
    room = 0.05 * (high - low) or 1.0
    return low - room, high + room


def marker_of(point: Point) -> tuple[str, str, str]:
    """Shape, fill and edge of a value."""
    if point.row["phase"] == BASELINE:
        return "s", LIGHT_GREY, BLACK
    change = point.row["change"]
    if change == UP:
        return "^", ORANGE, BLACK
    if change == DOWN:
        return "v", BLUE, BLACK
    if change in {NOT_CALLED, BELOW}:
        return "o", "white", BLACK
    if point.outside:
        return "o", GREY, BLACK
    return "o", BLACK, BLACK


def is_logarithmic(points: Sequence[Point]) -> bool:
    """Whether a panel needs a logarithmic axis."""
    if not points or points[0].row["scale"] != LOG2:
        return False
    seen = [p.value for p in points if p.value > 0 and not p.hidden]
    return len(seen) > 1 and max(seen) > LOG_RATIO * min(seen)


def floor_of(points: Sequence[Point], logarithmic: bool) -> float:
    """Where values that were not detected stand."""
    if not logarithmic:
        return 0.0
    seen = [p.value for p in points if p.value > 0]
    bands = [p.band_low for p in points if p.band_low > 0]
    return 0.5 * min([*seen, *bands])


def draw_measure(axes: Axes, points: Sequence[Point], person: Person) -> None:
    """Values of a measure with their intervals, the baseline and its noise band."""
    points = [p for p in points if not math.isnan(p.value)]
    logarithmic = is_logarithmic(points)
    floor = floor_of(points, logarithmic)
    draw_band(axes, points, floor)
    heights = [floor if p.hidden else p.value for p in points]
    axes.plot([p.x for p in points], heights, color=BLACK, linewidth=0.7, zorder=3)
    for point, height in zip(points, heights, strict=True):
        if not math.isnan(point.low) and not math.isnan(point.high):
            axes.plot(
                [point.x] * 2, [max(point.low, floor), max(point.high, floor)], color=BLACK,
                linewidth=0.9, zorder=3.5,
            )  # fmt: skip
        shape, fill, edge = marker_of(point)
        axes.plot(
            point.x, height, marker=shape, markersize=MARK, markerfacecolor=fill,
            markeredgecolor=edge, markeredgewidth=0.8, linestyle="none", zorder=4, clip_on=False,
        )  # fmt: skip
        if point.hidden:
            axes.plot(
                point.x, height, marker="x", markersize=MARK + 2.5, color=BLACK,
                markeredgewidth=0.8, zorder=5, clip_on=False,
            )  # fmt: skip
        if suspects(point.row["sample"], person):
            axes.plot(
                point.x, height, marker="o", markersize=MARK + 5, markerfacecolor="none",
                markeredgecolor=BLACK, markeredgewidth=0.8, linestyle=":", zorder=5,
                clip_on=False,
            )  # fmt: skip
    if logarithmic:
        axes.set_yscale("log")
        axes.set_ylim(bottom=floor * 0.8)
        axes.yaxis.set_major_locator(LogLocator(numticks=4))
        axes.yaxis.set_minor_locator(NullLocator())
        # The formatter of logarithmic axes writes formulas, which the style leaves as text.
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        top = max([p.high for p in points if not math.isnan(p.high)] + heights
                  + [p.band_high for p in points if not math.isnan(p.band_high)])  # fmt: skip
        # Copies are looked at from zero, since a loss is one of all; an index has no such zero.
        bottom = 0.0
        if points[0].row["scale"] != LOG2:
            bottom = min([p.low for p in points if not math.isnan(p.low)] + heights
                         + [p.band_low for p in points if not math.isnan(p.band_low)])  # fmt: skip
        room = top - bottom or abs(top) or 1.0
        axes.set_ylim(bottom - 0.06 * room, top + 0.1 * room)
        axes.yaxis.set_major_locator(MaxNLocator(3, min_n_ticks=2))


def suspects(samples: str, person: Person) -> list[str]:
    """Samples of a visit that look swapped."""
    return [sample for sample in samples.split("; ") if sample in person.suspect]


def draw_band(axes: Axes, points: Sequence[Point], floor: float) -> None:
    """The baseline, and the band in which differences from it are noise."""
    known = [p for p in points if not math.isnan(p.band_low) and not math.isnan(p.band_high)]
    left, right = axes.get_xlim()
    if known:
        times = [left, *(p.x for p in known), right]
        low = [known[0].band_low, *(p.band_low for p in known), known[-1].band_low]
        high = [known[0].band_high, *(p.band_high for p in known), known[-1].band_high]
        axes.fill_between(
            times, np.maximum(low, floor), high, facecolor=LIGHT_GREY, edgecolor=GREY,
            linewidth=0.5, alpha=0.85, zorder=1,
        )  # fmt: skip
    baseline = next((p.baseline for p in points if not math.isnan(p.baseline)), math.nan)
    if not math.isnan(baseline):
        axes.plot([left, right], [max(baseline, floor)] * 2, color=BLACK, linewidth=0.7,
                  linestyle=(0, (5, 3)), zorder=2)  # fmt: skip


def draw_carriers(axes: Axes, measures: Sequence[str], person: Person) -> list[Patch]:
    """Stacked carriers of a product, and the handles of their legend."""
    shown, rest = measures[:MOST_CARRIERS], measures[MOST_CARRIERS:]
    times = sorted({p.x for m in measures for p in person.points[m] if not math.isnan(p.value)})
    values = {
        m: {p.x: 0.0 if p.hidden else p.value for p in person.points[m]
            if not math.isnan(p.value)}
        for m in measures
    }  # fmt: skip
    low, high = axes.get_xlim()
    gaps = np.diff(times)
    narrow = float(gaps.min()) if gaps.size else high - low
    width = max(min(0.8 * narrow, 0.05 * (high - low)), 0.006 * (high - low))
    names = [m.partition("|")[2] or m for m in shown]
    looks = looks_of(names)
    bottom = np.zeros(len(times))
    handles = []
    for measure, name in zip(shown, names, strict=True):
        part = np.array([values[measure].get(time, 0.0) for time in times])
        colour, hatch = looks[name]
        axes.bar(times, part, width, bottom, color=colour, hatch=hatch, edgecolor=BLACK,
                 linewidth=0.4, zorder=3)  # fmt: skip
        handles.append(Patch(facecolor=colour, hatch=hatch, edgecolor=BLACK, linewidth=0.4,
                             label=fitted(name, RIGHT - 0.35, SMALL)))  # fmt: skip
        bottom += part
    if rest:
        part = sum_of(rest, values, times)
        axes.bar(times, part, width, bottom, color=GREY, edgecolor=BLACK, linewidth=0.4, zorder=3)
        handles.append(Patch(facecolor=GREY, edgecolor=BLACK, linewidth=0.4,
                             label=f"{len(rest)} more"))  # fmt: skip
    for time, height in zip(times, bottom + sum_of(rest, values, times), strict=True):
        if height == 0:
            axes.plot(time, 0, marker="x", markersize=MARK + 1, color=BLACK, markeredgewidth=0.8,
                      zorder=5, clip_on=False)  # fmt: skip
    axes.yaxis.set_major_locator(MaxNLocator(3, min_n_ticks=2))
    axes.set_ylim(bottom=0)
    return handles


def sum_of(
    measures: Sequence[str], values: Mapping[str, Mapping[float, float]], times: Sequence[float]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Sum of some measures at each time."""
    return np.array([sum(values[m].get(time, 0.0) for m in measures) for time in times])


SERIES: tuple[tuple[str, str, str, str, Any, str, str], ...] = (
    ("to_baseline", "band_high", "beyond_band", BLUE, "-", "o", "own baseline"),
    ("to_reference", "reference_limit", "beyond_reference", ORANGE, (0, (4, 1.5)), "D",
     "reference"),
)  # fmt: skip
"""Columns of a distance, its limit and its call; looks; name."""


def draw_distances(axes: Axes, person: Person, metric: str) -> list[Line2D]:
    """Distances to the own baseline and to the reference group; handles of their legend."""
    column = "days_since_baseline" if person.from_baseline else "days"
    rows = [
        row for row in person.distances
        if row["metric"] == metric and not math.isnan(parse_number(row[column]))
    ]  # fmt: skip
    rows.sort(key=lambda row: parse_number(row[column]))
    left, right = axes.get_xlim()
    handles: list[Line2D] = []
    top = 0.0
    for value, limit, beyond, colour, style, shape, name in SERIES:
        seen = [row for row in rows if row[value] != "NA"]
        if not seen:
            handles.append(Line2D([], [], linestyle="none", label=f"no distance to {name}"))
            continue
        times = [parse_number(row[column]) for row in seen]
        heights = [parse_number(row[value]) for row in seen]
        axes.plot(times, heights, color=colour, linestyle=style, linewidth=1.0, zorder=3)
        for time, height, row in zip(times, heights, seen, strict=True):
            axes.plot(
                time, height, marker=shape, markersize=MARK - 1,
                markerfacecolor=colour if row[beyond] == "yes" else "white",
                markeredgecolor=BLACK, markeredgewidth=0.7, zorder=4,
            )  # fmt: skip
        edge = next((parse_number(r[limit]) for r in seen if r[limit] != "NA"), math.nan)
        if not math.isnan(edge):
            axes.plot([left, right], [edge] * 2, color=colour, linewidth=0.9, linestyle=":",
                      zorder=2)  # fmt: skip
            top = max(top, edge)
        top = max(top, *heights)
        handles.append(
            Line2D([], [], color=colour, linestyle=style, linewidth=1.0, marker=shape,
                   markersize=MARK - 1, markerfacecolor=colour, markeredgecolor=BLACK,
                   markeredgewidth=0.7, label=distance_text(seen, beyond, name))
        )  # fmt: skip
    handles.append(
        Line2D(
            [], [], color=BLACK, linestyle=":", linewidth=0.9, label="limit of each; filled: far"
        )
    )
    axes.set_ylim(0, 1.12 * top or 1)
    axes.yaxis.set_major_locator(MaxNLocator(3, min_n_ticks=2))
    return handles


def distance_text(rows: Sequence[Row], beyond: str, name: str) -> str:
    """In how many samples a person was far off."""
    called = [row for row in rows if row[beyond] in {"yes", "no"}]
    if name == "reference" and rows[0]["reference"] != "NA":
        name = fitted(rows[0]["reference"].partition("=")[2], 0.7, SMALL)
    far = sum(row[beyond] == "yes" for row in called)
    return f"{name}: far in {far} of {len(called)}" if called else f"{name}: not called"


# --- one person ----------------------------------------------------------------------------------


def person_figure(person: Person, metric: str = "braycurtis") -> Figure:
    """Timeline of one person."""
    measures = chosen_measures(person)
    product, carriers = chosen_carriers(person)
    if not has_values(person):
        return message_figure(
            f"{shown_name(person.name, 40)}: no value with a known time; nothing to draw"
        )
    has_distance = any(row["metric"] == metric for row in person.distances)
    heights = [PANEL] * len(measures) + [STACK] * bool(carriers) + [DISTANCE] * has_distance
    figure, panels, strip = frame(heights, bool(person.spans))
    limits = limits_of(person)
    for axes in panels:
        axes.set_xlim(*limits)
        axes.set_autoscalex_on(False)
        shade(axes, person)
    for axes, measure in zip(panels, measures, strict=False):
        points = person.points[measure]
        draw_measure(axes, points, person)
        label(axes, title_of(measure), points[0].row["unit"])
        beside(axes, readout(measure, points, person))
    place = len(measures)
    if carriers:
        handles = draw_carriers(panels[place], carriers, person)
        unit = person.points[carriers[0]][0].row["unit"]
        label(panels[place], (f"{capital(product)} carriers", "by genus"), unit)
        legend = beside_legend(panels[place], handles)
        for text in legend.get_texts():
            text.set_fontstyle("normal" if text.get_text().endswith(" more") else "italic")
        place += 1
    if has_distance:
        lines = draw_distances(panels[place], person, metric)
        beside_legend(panels[place], lines)
        metric_name = "Bray–Curtis" if metric == "braycurtis" else capital(metric)
        label(panels[place], ("Community", "distance"), metric_name)
    finish_time(panels[-1], person)
    if strip is not None:
        draw_strip(strip, person, limits)
    heading(figure, person)
    footing(figure, person, measures, carriers)
    return figure


def has_values(person: Person) -> bool:
    """Whether a value of a person can be put on an axis of time."""
    return bool(chosen_measures(person) or chosen_carriers(person)[1])


def frame(heights: Sequence[float], with_strip: bool) -> tuple[Figure, list[Axes], Axes | None]:
    """Figure with one wide panel below the other, put in place by inches."""
    above = STRIP + 0.05 if with_strip else 0.0
    total = above + sum(heights) + BETWEEN * (len(heights) - 1)
    width = LEFT + WIDE + GAP + RIGHT
    figure = Figure(figsize=(width, total))
    strip = None
    if with_strip:
        strip = figure.add_axes((LEFT / width, 1 - STRIP / total, WIDE / width, STRIP / total))
    top = total - above
    panels: list[Axes] = []
    for height in heights:
        box = (LEFT / width, (top - height) / total, WIDE / width, height / total)
        panels.append(figure.add_axes(box, sharex=panels[0] if panels else None))
        panels[-1].tick_params(axis="x", labelbottom=False, length=2)
        panels[-1].tick_params(axis="y", labelsize=SMALL, length=2)
        top -= height + BETWEEN
    return figure, panels, strip


def label(axes: Axes, title: tuple[str, str], unit: str) -> None:
    """Name of a panel, left of it, level so that it can be read."""
    x = -0.38 / WIDE
    name = fitted(title[0], LEFT - 0.4, PLAIN, "bold")
    axes.text(x, 0.98, name, transform=axes.transAxes, ha="right", va="top", fontsize=PLAIN,
              fontweight="bold")  # fmt: skip
    step = 0.125 / (axes.get_position().height * axes.figure.get_figheight())  # type: ignore[union-attr]
    for number, text in enumerate((title[1], unit), start=1):
        line = fitted(text, LEFT - 0.4, SMALL)
        axes.text(x, 0.98 - number * step, line, transform=axes.transAxes, ha="right", va="top",
                  fontsize=SMALL)  # fmt: skip


def beside(axes: Axes, lines: Sequence[tuple[str, bool]]) -> None:
    """What is read from a panel, right of it."""
    step = 0.135 / (axes.get_position().height * axes.figure.get_figheight())  # type: ignore[union-attr]
    for number, (text, strong) in enumerate(lines):
        size, weight = (PLAIN, "bold") if strong else (SMALL, "normal")
        axes.text(
            1 + GAP / WIDE, 0.98 - number * step, fitted(text, RIGHT, size, weight),
            transform=axes.transAxes, ha="left", va="top", fontsize=size, fontweight=weight,
        )  # fmt: skip


def beside_legend(axes: Axes, handles: Sequence[Patch | Line2D]) -> Legend:
    """Legend of a panel, right of it."""
    return axes.legend(
        handles=list(handles), loc="upper left", bbox_to_anchor=(1 + GAP / WIDE, 1.06),
        frameon=False, fontsize=SMALL, borderaxespad=0, borderpad=0, labelspacing=0.25,
        handlelength=1.8, handleheight=0.9,
    )  # fmt: skip


def finish_time(axes: Axes, person: Person) -> None:
    """Axis of time, below the last panel."""
    axes.tick_params(axis="x", labelbottom=True, labelsize=SMALL)
    if person.unit == "days":
        # Without a baseline, time is as the study counts it, or from the person's first date.
        words = "Days since the last baseline sample" if person.from_baseline else "Days"
        axes.set_xlabel(words, fontsize=PLAIN)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        return
    places = sorted(person.words)
    every = max(1, math.ceil(len(places) / 10))
    shown = places[::every]
    axes.set_xticks(shown, [shown_name(person.words[x], 12) for x in shown], fontsize=SMALL)
    axes.set_xlabel("Timepoints in their order; distances in time are not known", fontsize=PLAIN)


def draw_strip(axes: Axes, person: Person, limits: tuple[float, float]) -> None:
    """Names of the events above their shading."""
    axes.set_xlim(*limits)
    axes.set_ylim(0, 1)
    axes.axis("off")
    pad = 0.012 * (limits[1] - limits[0])
    names = sorted({span.name for span in person.spans})
    room = limits[1] - limits[0]
    ends: list[float] = []
    for span in person.spans:
        hatch = EVENT_HATCHES[names.index(span.name) % len(EVENT_HATCHES)]
        axes.add_patch(
            mpl.patches.Rectangle(
                (span.start - pad, 0.0), span.end - span.start + 2 * pad, 0.28,
                facecolor=YELLOW, edgecolor=BLACK, linewidth=0.6, hatch=hatch, zorder=3,
            )
        )  # fmt: skip
        text = fitted(span.name, 0.9 * WIDE, SMALL + 0.5, "bold")
        half = 0.5 * inches(text, SMALL + 0.5, "bold") / WIDE * room
        middle = min(max((span.start + span.end) / 2, limits[0] + half), limits[1] - half)
        if ends and middle - half < ends[-1]:
            continue
        axes.text(middle, 0.4, text, ha="center", va="bottom", fontsize=SMALL + 0.5,
                  fontweight="bold")  # fmt: skip
        ends.append(middle + half)


def heading(figure: Figure, person: Person) -> None:
    """Who, how many samples, which baseline."""
    total = figure.get_figheight()
    points = max(person.points.values(), key=len)
    first, last = time_text(points[0].x, person), time_text(points[-1].x, person)
    number = max((p.row["baseline_samples"] for p in points), key=int)
    parts = [f"{len(points)} timepoints, {first} to {last}"]
    if len(points) == 1:
        parts = [f"1 timepoint, {first}"]
    parts.append(
        f"baseline: {number} sample{'' if number == '1' else 's'}" if number != "0"
        else "no baseline"
    )  # fmt: skip
    source = points[-1].row["noise_source"]
    words = {
        "own": "noise: this person's baseline samples",
        "cohort": "noise: other people of the cohort",
        "technical": "noise: technical replicates only",
    }
    parts.append(words.get(source, "noise not known"))
    width = figure.get_figwidth()
    left = 0.06 / width
    lines = (
        (0.46, fitted(person.name, width - 0.2, LARGE, "bold"), LARGE, "bold"),
        (0.28, fitted("  ·  ".join(parts), width - 0.2, PLAIN), PLAIN, "normal"),
        (0.11, fitted(last_sample(person), width - 0.2, PLAIN), PLAIN, "normal"),
    )
    for height, text, size, weight in lines:
        figure.text(left, 1 + height / total, text, fontsize=size, fontweight=weight, va="bottom")


def last_sample(person: Person) -> str:
    """Where the person stands now."""
    measures = chosen_measures(person)
    last = max((p.x for m in measures for p in person.points[m]), default=math.nan)
    points = {m: p for m in measures for p in person.points[m] if p.x == last}
    points = {m: p for m, p in points.items() if p.row["change"] in {UP, DOWN, "no"}}
    when = f"Last sample, {time_text(last, person)}:"
    if not points:
        return f"{when} no change can be called"
    away = [
        f"{arrow(p)} {title_of(m)[0].lower()}" for m, p in points.items() if p.row["change"] != "no"
    ]
    if not away:
        return f"{when} no change beyond noise in the {len(points)} measures shown"
    return f"{when} beyond noise in {', '.join(away)} ({len(away)} of {len(points)} measures)"


def footing(
    figure: Figure, person: Person, measures: Sequence[str], carriers: Sequence[str]
) -> None:
    """Signs, and what is not drawn."""
    total = figure.get_figheight()
    handles = [
        sign("s", LIGHT_GREY, "baseline"),
        sign("o", BLACK, "within noise"),
        sign("^", ORANGE, "above the band"),
        sign("v", BLUE, "below the band"),
        sign("o", GREY, "outside, may be chance"),
        sign("o", "white", "not called"),
        Line2D([], [], color=BLACK, marker="x", linestyle="none", markersize=MARK + 1,
               label="not detected"),
        Patch(facecolor=LIGHT_GREY, edgecolor=GREY, linewidth=0.5, label="noise band"),
        Line2D([], [], color=BLACK, linewidth=0.9, label="95 % interval"),
    ]  # fmt: skip
    if person.suspect:
        handles.append(
            Line2D([], [], marker="o", markersize=MARK + 4, markerfacecolor="none",
                   markeredgecolor=BLACK, linestyle="none", label="may be swapped")
        )  # fmt: skip
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.0, -0.36 / total), ncols=5,
        frameon=False, fontsize=SMALL, columnspacing=1.4, handletextpad=0.5, borderaxespad=0,
    )  # fmt: skip
    notes = []
    shown = {*measures, *carriers}
    rest = {measure: points for measure, points in person.points.items() if measure not in shown}
    moved = sum(any(p.row["change"] in {UP, DOWN} for p in points) for points in rest.values())
    if rest:
        noun = "measure" if len(rest) == 1 else "measures"
        notes.append(f"In the table: {len(rest)} further {noun}, changed: {moved}.")
    if person.untimed:
        notes.append(f"{person.untimed} timepoints without a known time are not drawn.")
    for sample, other in sorted(person.suspect.items())[:3]:
        notes.append(f"{shown_name(sample, 24)} looks like a sample of {shown_name(other, 24)}.")
    notes.append("Potential is what genes allow; it is no measured concentration.")
    figure.text(
        0.06 / figure.get_figwidth(), -0.74 / total, "\n".join(wrapped(notes)), fontsize=SMALL,
        va="top", linespacing=1.3,
    )  # fmt: skip


def wrapped(notes: Sequence[str], width: int = 110) -> list[str]:
    """Sentences in lines of a given length, none broken."""
    lines: list[str] = []
    for note in notes:
        if lines and len(lines[-1]) + len(note) < width:
            lines[-1] += " " + note
        else:
            lines.append(note)
    return lines


def sign(shape: str, fill: str, text: str) -> Line2D:
    """Entry of the legend."""
    return Line2D([], [], marker=shape, markersize=MARK, markerfacecolor=fill,
                  markeredgecolor=BLACK, markeredgewidth=0.8, linestyle="none",
                  label=text)  # fmt: skip


def plot_timelines(
    tables: Mapping[str, AnyPath], folder: AnyPath, index: AnyPath
) -> list[dict[str, Cell]]:
    """Draw the timeline of each person.

    Parameters
    ----------
    tables
        ``people``, and where they were made ``trajectories``, ``recovery`` and ``swaps``.
    folder
        For ``person_001.png`` and ``.svg``, numbered in the order of the names.
    index
        Table of `TIMELINE_COLUMNS`: which figure is whose. Who has no value with a known time has
        no figure, and no name of one.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Cell]] = []
    number = 0
    for person in people_of(tables):
        stem = None
        if has_values(person):
            number += 1
            stem = FILE.format(number)
            with mpl.rc_context(STYLE):
                save(person_figure(person), [folder / f"{stem}.png", folder / f"{stem}.svg"])
        points = max(person.points.values(), key=len, default=())
        rows.append({
            "file": None if stem is None else f"{stem}.png",
            "subject": person.name,
            "samples": sum(int(point.row["samples"]) for point in points),
            "timepoints": len(points),
            "events": "; ".join(dict.fromkeys(span.name for span in person.spans)),
            "called": sum(
                point.row["change"] in {UP, DOWN}
                for own in person.points.values() for point in own
            ),
        })  # fmt: skip
    write_table(index, TIMELINE_COLUMNS, rows)
    return rows


# --- all people ----------------------------------------------------------------------------------

CELL, ROW, COUNT = 0.3, 0.17, 0.13
"""Inches: width and height of a sign, height of a line of numbers."""
MOST_EVENTS_COUNTED = 5
"""Events whose people are counted by themselves."""
LATEST = "latest"
PHASE_WORDS = {DURING: "during", AFTER: "after", LATEST: "latest"}
"""Means of the samples during and after an event, and the latest sample, which people without an
event have too."""


@dataclass(frozen=True, slots=True)
class Cells:
    """What is drawn of all people.

    Attributes
    ----------
    people
        Those of one event below each other, each sorted by name.
    events
        Of each person, all in one text; empty without an event.
    columns
        Measure and phase.
    rows
        By person and column: the episode that moved most.
    left_out
        Number of people for whom there is no room.
    alone
        Number of people without a sample beside their baseline, or without a baseline.
    """

    people: Sequence[str]
    events: Mapping[str, str]
    columns: Sequence[tuple[str, str]]
    rows: Mapping[tuple[str, str, str], Row]
    left_out: int
    alone: int


def latest_of(people: Sequence[Row]) -> list[Row]:
    """Latest row of each person and measure with a value, as one of the table of phases."""
    found: dict[tuple[str, str], Row] = {}
    for row in people:
        if row["days"] == "NA" or row["value"] == "NA" or row["phase"] == BASELINE:
            continue
        key = row["subject"], row["measure"]
        if key not in found or parse_number(row["days"]) > parse_number(found[key]["days"]):
            found[key] = row
    return [{**row, "phase": LATEST} for row in found.values()]


def cells_of(phases: Sequence[Row], people: Sequence[Row]) -> Cells:
    """Arrange the changes. With too many people, those with most of them are shown."""
    rows = [*phases, *latest_of(people)]
    everything = [*phases, *people]
    measures = [m for m in FIRST if any(row["measure"] == m for row in rows)]
    kind = (
        "product:" if any(row["measure"].startswith("product:") for row in rows) else "organisms:"
    )
    more = {row["measure"] for row in rows if row["measure"].startswith(kind)} - set(measures)
    measures = [*measures, *sorted(more)][:MOST_MEASURES]
    chosen: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        key = row["subject"], row["measure"], row["phase"]
        if row["measure"] in measures and row["phase"] in PHASE_WORDS:
            held = chosen.get(key)
            if held is None or importance(row) > importance(held):
                chosen[key] = row
    columns = [
        (measure, phase) for measure in measures for phase in PHASE_WORDS
        if any(key[1:] == (measure, phase) for key in chosen)
    ]  # fmt: skip
    called: dict[str, int] = defaultdict(int)
    for (person, _, _), row in chosen.items():
        called[person] += row["change"] in {UP, DOWN}
    order = sorted(called, key=lambda person: (-called[person], person))
    names: dict[str, set[str]] = defaultdict(set)
    for row in phases:
        names[row["subject"]].add(row["event"])
    events = {person: ", ".join(sorted(names[person])) for person in called}
    kept = sorted(
        order[:MOST_PEOPLE_SHOWN], key=lambda person: (not events[person], events[person], person)
    )
    everybody = {row["subject"] for row in everything if row["subject"] != "NA"}
    return Cells(
        kept, events, columns, chosen, len(order) - len(kept), len(everybody - set(called))
    )


def importance(row: Row) -> tuple[bool, float]:
    """Order among the episodes of a person: called ones first, then the larger."""
    difference = parse_number(row["difference"])
    return row["change"] in {UP, DOWN}, 0.0 if math.isnan(difference) else abs(difference)


def overview_figure(phases: Sequence[Row], people: Sequence[Row]) -> Figure:
    """All people: which measures moved beyond noise, during and after, and at last."""
    cells = cells_of(phases, people)
    if not cells.people or not cells.columns:
        return message_figure(
            "No change to show: nobody has a baseline and a later sample at known times"
        )
    width, height = CELL * len(cells.columns), ROW * len(cells.people)
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-0.5, len(cells.columns) - 0.5)
    axes.set_ylim(len(cells.people) - 0.5, -0.5)
    for place in range(0, len(cells.people), 2):
        axes.axhspan(place - 0.5, place + 0.5, color="#F4F4F4", zorder=0)
    largest = largest_differences(cells)
    for y, person in enumerate(cells.people):
        for x, (measure, phase) in enumerate(cells.columns):
            row = cells.rows.get((person, measure, phase))
            if row is not None:
                draw_cell(axes, x, y, row, largest[measure])
    axes.set_yticks(
        range(len(cells.people)), [fitted(p, 1.4, SMALL) for p in cells.people], fontsize=SMALL
    )
    axes.tick_params(axis="both", length=0)
    axes.set_xticks(
        range(len(cells.columns)), [PHASE_WORDS[phase] for _, phase in cells.columns],
        fontsize=SMALL, rotation=90,
    )  # fmt: skip
    axes.xaxis.tick_top()
    for spine in axes.spines.values():
        spine.set_visible(False)
    head_columns(axes, cells)
    name_events(axes, cells)
    lines = count_columns(axes, cells)
    overview_legend(figure, cells, lines * COUNT)
    return figure


def largest_differences(cells: Cells) -> dict[str, float]:
    """Largest called difference of each measure, which has the largest sign."""
    largest: dict[str, float] = defaultdict(float)
    for (_, measure, _), row in cells.rows.items():
        if row["change"] in {UP, DOWN}:
            largest[measure] = max(largest[measure], abs(parse_number(row["difference"])))
    return largest


def draw_cell(axes: Axes, x: int, y: int, row: Row, largest: float) -> None:
    """Sign of one phase of one person."""
    change = row["change"]
    if change in {UP, DOWN}:
        share = abs(parse_number(row["difference"])) / largest if largest else 1.0
        axes.plot(
            x, y, marker="^" if change == UP else "v", markersize=4 + 5 * share,
            markerfacecolor=ORANGE if change == UP else BLUE, markeredgecolor=BLACK,
            markeredgewidth=0.6, zorder=3,
        )  # fmt: skip
    elif change == NOT_CALLED:
        axes.plot(x, y, marker="_", markersize=4, color=GREY, zorder=3)
    elif change == BELOW:
        axes.plot(x, y, marker="x", markersize=4, color=BLACK, markeredgewidth=0.7, zorder=3)
    else:
        axes.plot(x, y, marker="o", markersize=2.2, color=BLACK, zorder=3)


def head_columns(axes: Axes, cells: Cells) -> None:
    """Names of the measures above their phases, and lines between them."""
    top = -0.5 - 0.44 / ROW
    start = 0
    for x in range(1, len(cells.columns) + 1):
        if x < len(cells.columns) and cells.columns[x][0] == cells.columns[start][0]:
            continue
        first, second = title_of(cells.columns[start][0])
        middle = (start + x - 1) / 2
        axes.text(middle, top, f"{shown_name(first, 12)}\n{shown_name(second, 24)}", ha="left",
                  va="bottom", fontsize=SMALL, rotation=35, rotation_mode="anchor",
                  linespacing=1.1)  # fmt: skip
        if x < len(cells.columns):
            axes.axvline(x - 0.5, color=GREY, linewidth=0.6, zorder=1)
        start = x


def name_events(axes: Axes, cells: Cells) -> None:
    """Events of the people, right of them, and lines between people of different ones."""
    edge = len(cells.columns) - 0.5
    start = 0
    for y in range(1, len(cells.people) + 1):
        event = cells.events[cells.people[start]]
        if y < len(cells.people) and cells.events[cells.people[y]] == event:
            continue
        if any(cells.events.values()):
            text = fitted(event, 1.5, SMALL) if event else "no event"
            axes.text(edge + 0.3, (start + y - 1) / 2, text, ha="left", va="center",
                      fontsize=SMALL)  # fmt: skip
            axes.plot([edge + 0.15] * 2, [start - 0.35, y - 0.65], color=BLACK, linewidth=0.8,
                      clip_on=False)  # fmt: skip
        if y < len(cells.people):
            axes.axhline(y - 0.5, color=GREY, linewidth=0.6, zorder=1)
        start = y


def count_columns(axes: Axes, cells: Cells) -> int:
    """Number of people who fell and rose, below each column, of all that could be called.

    People of each event by themselves, since events may move them to different sides.

    Returns
    -------
    int
        Number of lines written.
    """
    bottom = len(cells.people) - 0.5
    events = sorted(set(cells.events.values()), key=lambda event: (not event, event))
    apart = 1 < len(events) <= MOST_EVENTS_COUNTED
    line = 0
    for event in events if apart else [""]:
        people = {
            person for person, _, _ in cells.rows if not apart or cells.events[person] == event
        }
        words = ["▼ fell", "▲ rose", "could be called"]
        if apart:
            words[0] = f"{fitted(event, 1.2, SMALL) if event else 'no event'}: ▼ fell"
        for text, counts in zip(words, counts_of(people, cells), strict=True):
            y = bottom + (0.5 + line) * COUNT / ROW + 0.02 / ROW
            axes.text(-0.6, y, text, ha="right", va="center", fontsize=SMALL)
            for x, count in enumerate(counts):
                axes.text(x, y, count, ha="center", va="center", fontsize=SMALL,
                          fontweight="normal" if text == words[-1] else "bold")  # fmt: skip
            line += 1
        if apart:
            axes.plot([-0.5, len(cells.columns) - 0.5], [y + 0.55 * COUNT / ROW] * 2,
                      color=LIGHT_GREY, linewidth=0.6, clip_on=False)  # fmt: skip
    return line


def counts_of(people: Collection[str], cells: Cells) -> list[list[str]]:
    """Numbers of people who fell, rose, and could be called, by column; empty where is nobody."""
    counts: list[list[str]] = [[], [], []]
    for measure, phase in cells.columns:
        own = [cells.rows[p, measure, phase] for p in people if (p, measure, phase) in cells.rows]
        down = sum(row["change"] == DOWN for row in own)
        up = sum(row["change"] == UP for row in own)
        # Of what was detected neither before nor then, no difference is known.
        able = sum(row["change"] != NOT_CALLED and row["difference"] != "NA" for row in own)
        for column, number in zip(counts, (down, up, able), strict=True):
            column.append(str(number) if own else "")
    return counts


def overview_legend(figure: Figure, cells: Cells, below: float) -> None:
    """Signs, and who is not shown, `below` inches under the panel."""
    handles = [
        sign("v", BLUE, "fell beyond noise"),
        sign("^", ORANGE, "rose beyond noise"),
        Line2D([], [], marker="o", markersize=2.2, color=BLACK, linestyle="none",
               label="within noise"),
        Line2D([], [], marker="_", markersize=4, color=GREY, linestyle="none",
               label="not called"),
        Line2D([], [], marker="x", markersize=4, color=BLACK, linestyle="none",
               label="not detected"),
    ]  # fmt: skip
    total, width = figure.get_figheight(), figure.get_figwidth()
    figure.legend(
        handles=handles, loc="upper left", ncols=3,
        bbox_to_anchor=(-1.2 / width, -(below + 0.12) / total), frameon=False, fontsize=SMALL,
        columnspacing=1.2, handletextpad=0.4, borderaxespad=0,
    )  # fmt: skip
    notes = [
        "Means of the phases, and the latest sample, against the own baseline.",
        "Larger signs: larger changes of that measure" + largest_text(cells) + ".",
    ]
    if {phase for _, phase in cells.columns} > {LATEST} and not all(cells.events.values()):
        notes.append("People without an event have a latest sample only.")
    if cells.left_out:
        notes.append(f"Not shown: {cells.left_out} people with fewer changes; they are counted.")
    if cells.alone:
        noun = "person" if cells.alone == 1 else "people"
        notes.append(
            f"Neither shown nor counted: {cells.alone} {noun} without a later sample of known time."
        )
    figure.text(
        -1.2 / width, -(below + 0.48) / total, "\n".join(wrapped(notes, 84)), fontsize=SMALL,
        va="top", linespacing=1.3,
    )  # fmt: skip


def largest_text(cells: Cells) -> str:
    """The largest called change of each measure, in words."""
    parts = []
    for measure, largest in sorted(largest_differences(cells).items()):
        row = next(
            row for (_, name, _), row in sorted(cells.rows.items())
            if name == measure and row["change"] in {UP, DOWN}
            and abs(parse_number(row["difference"])) == largest
        )  # fmt: skip
        fold = row["difference_unit"] == "log2 fold change"
        difference = parse_number(row["difference"])
        size = fold_text(difference) if fold else f"{difference:+.2g}".replace("-", "−")
        kind, name = title_of(measure)
        unit = "" if fold else f" {row['difference_unit']}"
        parts.append(f"{name if kind == 'Diversity' else kind.lower()} {size}{unit}")
    return f", up to {', '.join(parts)}" if parts else ""


def plot_people(tables: Mapping[str, AnyPath], outputs: Sequence[AnyPath]) -> None:
    """Draw all people at a glance, from the tables ``phases`` and ``people``."""
    with mpl.rc_context(STYLE):
        save(overview_figure(rows_of(tables, "phases"), rows_of(tables, "people")), outputs)
