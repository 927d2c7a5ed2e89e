"""Strips of percentiles: where samples stand within the people of a reference.

A strip goes from the lowest to the highest of the people. Few samples are drawn one by one, with
what is uncertain about each; of many, a strip shows how they spread over the percentiles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fermentome.cohort.diversity_figures import NAMES
from fermentome.cohort.measures import DIVERSITY, ORGANISM, PRODUCT
from fermentome.cohort.percentiles import ABOVE, ALL, BELOW, PERCENTILE_COLUMNS
from fermentome.cohort.processing import AnyPath
from fermentome.cohort.reference_cohort import PERSON, SAMPLE
from fermentome.drawing import (
    BLACK,
    BLUE,
    GREY,
    MOST_HEIGHT,
    PALETTE,
    STYLE,
    message_figure,
    save,
    shown_name,
    thousands,
)
from fermentome.tables import parse_number, read_table

__all__ = ["plot_percentiles"]

Row = Mapping[str, str]

SHOWN = (DIVERSITY, PRODUCT, ORGANISM)
"""Kinds that are drawn; pathways and carriers only where there are none of these."""
FIRST = ("butyrate", "propionate", "acetate")
"""Products that are drawn before the others: the short-chain fatty acids of the gut."""
MOST_SINGLE = 30
"""Samples that are drawn one by one; their texts have the height of a line."""
LINE, GAP, WIDTH = 0.115, 0.16, 2.7
"""Inches: a sample in a strip, between strips, and the length of a strip."""
BINS = 20
METRICS = {"shannon": "Shannon diversity", "simpson": "Simpson diversity"}
"""In words where the name of the metric alone says too little without its unit."""
MARKERS = ("o", "s", "D", "P", "X", "p", "h")


def plot_percentiles(
    table_path: AnyPath,
    outputs: Sequence[AnyPath],
    subject: str | None = None,
    days: Mapping[str, float] | None = None,
) -> None:
    """Draw the percentiles of a run, or of one person.

    Parameters
    ----------
    table_path
        Table of `fermentome.cohort.percentiles.write_percentiles`.
    subject
        Draw this person only.
    days
        Time of each sample, for their order; else that of their timepoints and names.
    """
    rows = [
        row
        for row in read_table(table_path, PERCENTILE_COLUMNS)
        if row["stratum"] == ALL
        and row["percentile"] != "NA"
        and (subject is None or row["subject"] == subject)
    ]
    with matplotlib.rc_context(STYLE):
        save(_figure(rows, days or {}, subject), outputs)


def _figure(rows: Sequence[Row], days: Mapping[str, float], subject: str | None) -> Figure:
    if not rows:
        who = f" of {shown_name(subject)}" if subject else ""
        return message_figure(f"No percentiles{who}: the account says why.")
    shown = [row for row in rows if _is_shown(row["measure"])] or list(rows)
    telling = {row["measure"] for row in shown if not _says_nothing(row)}
    silent = len({row["measure"] for row in shown}) - len(telling)
    if not telling:
        return message_figure("Nothing is detected, neither here nor in the reference.")
    shown = [row for row in shown if row["measure"] in telling]
    names = sorted(telling, key=_measure_order)
    samples = sorted({row["sample"] for row in shown if row["of"] == SAMPLE})
    many = len(samples) > MOST_SINGLE
    shown = [row for row in shown if row["of"] == SAMPLE or not many]
    lines = len({(row["of"], row["subject"], row["sample"]) for row in shown})
    height = 0.0 if many else lines * LINE + 0.06
    # A line of text beside a strip needs its height, however few samples are in it.
    height = max(height, (4 if many else 3) * LINE)
    room = int((MOST_HEIGHT - 1.5) / (height + GAP))
    left_out = len(names) - room
    names = names[:room]
    by_measure = {name: [row for row in shown if row["measure"] == name] for name in names}

    total = len(names) * (height + GAP)
    figure = Figure(figsize=(WIDTH, total))
    axes: list[Axes] = []
    for number in range(len(names)):
        bottom = 1 - ((number + 1) * (height + GAP) - GAP) / total
        axes.append(figure.add_axes((0.0, bottom, 1.0, height / total)))
    for one, (name, own) in zip(axes, by_measure.items(), strict=True):
        _label(one, name, own[0])
        if many:
            _draw_spread(one, own)
        else:
            _draw_samples(one, sorted(own, key=lambda row: _sample_order(row, days)))
        one.set_xlim(-2, 102)
        one.set_xticks([0, 25, 50, 75, 100], [])
        one.tick_params(axis="both", length=0)
        one.set_yticks([])
        for side in ("left", "bottom"):
            one.spines[side].set_visible(False)
    if not many:
        axes[0].text(
            1.02, 1, "sample: value; percentile (95 % interval)", ha="left", va="bottom",
            fontsize=6, color="#555555", transform=axes[0].transAxes,
        )  # fmt: skip
    axes[-1].set_xticks([5, 25, 50, 75, 95], ["5", "25", "50", "75", "95"])
    axes[-1].tick_params(axis="x", length=2, labelsize=7)
    axes[-1].set_xlabel(f"percentile within {shown_name(rows[0]['reference'], 40)}", fontsize=7)
    notes = _notes(shown, left_out, silent)
    handles = _spread_legend() if many else _sample_legend(shown)
    figure.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.32 / total), ncols=2,
        frameon=False, fontsize=6.5, title="\n".join(notes) or None, title_fontsize=6.5,
        handlelength=1.6, columnspacing=1.2,
    )  # fmt: skip
    return figure


def _says_nothing(row: Row) -> bool:
    """Whether a sample may stand anywhere, as where nobody's value is above detection."""
    return float(row["percentile_low"]) == 0 and float(row["percentile_high"]) == 100


def _notes(rows: Sequence[Row], left_out: int, silent: int) -> list[str]:
    notes = sorted({row["note"] for row in rows if row["note"]})[:2]
    if left_out > 0:
        notes.append(f"{left_out} further measures are in the table")
    if silent:
        notes.append(f"not drawn: {silent} measures, detected neither here nor in the reference")
    return notes


def _is_shown(name: str) -> bool:
    # Coverage says how deep a sample was sequenced, not what lives in it.
    return name.partition(":")[0] in SHOWN and name != f"{DIVERSITY}:coverage"


def _measure_order(name: str) -> tuple[int, int, str]:
    kind, _, feature = name.partition(":")
    first = FIRST.index(feature) if feature in FIRST else len(FIRST)
    return (SHOWN.index(kind) if kind in SHOWN else len(SHOWN)), first, name


def _sample_order(
    row: Row, days: Mapping[str, float]
) -> tuple[str, bool, float, list[object], str]:
    """People by name, samples of a person by time; `visit 10` comes after `visit 9`."""
    parts = re.split(r"(\d+)", row["timepoint"])
    natural: list[object] = [int(part) if part.isdecimal() else part for part in parts]
    day = days.get(row["sample"], np.inf)
    return row["subject"], row["of"] == PERSON, day, natural, row["sample"]


def _label(axes: Axes, name: str, row: Row) -> None:
    kind, _, rest = name.partition(":")
    words = {PRODUCT: "gene potential", ORGANISM: "organism potential"}
    name = f"{shown_name(rest, 34)}, {words.get(kind, kind)}"
    if kind == DIVERSITY:
        name = METRICS.get(rest, NAMES.get(rest, rest))
    axes.text(
        -0.03, 0.5,
        f"{name}\n{shown_name(thousands(row['unit']).replace(' - ', ' − '), 46)}\n"
        f"n = {row['people']} people",
        ha="right", va="center", fontsize=6.5, transform=axes.transAxes,
        linespacing=1.15,
    )  # fmt: skip


def _bands(axes: Axes) -> None:
    for low, high, colour in ((0, 100, "#F4F4F4"), (5, 95, "#E6E6E6"), (25, 75, "#D0D0D0")):
        axes.axvspan(low, high, color=colour, linewidth=0, zorder=0)
    axes.axvline(50, color="white", linewidth=1, zorder=1)


def _draw_samples(axes: Axes, rows: Sequence[Row]) -> None:
    """Samples from top to bottom, each with its intervals and its value."""
    _bands(axes)
    people = sorted({row["subject"] for row in rows})
    for line, row in enumerate(rows):
        who = people.index(row["subject"])
        colour = PALETTE[who % len(PALETTE)]
        number = {
            key: parse_number(row[key]) for key in row if key.startswith(("ci", "own", "per"))
        }
        axes.plot(
            [number["ci_low"], number["ci_high"]], [line] * 2, color=colour, linewidth=0.7, zorder=2
        )
        if not np.isnan(number["own_low"]):
            axes.plot(
                [number["own_low"], number["own_high"]], [line + 0.3] * 2, color=BLACK,
                linewidth=0.7, linestyle=(0, (1.5, 1)), zorder=2,
            )  # fmt: skip
        if number["percentile_high"] > number["percentile_low"]:
            axes.plot(
                [number["percentile_low"], number["percentile_high"]], [line] * 2, color=colour,
                linewidth=2.4, solid_capstyle="butt", zorder=3,
            )  # fmt: skip
        marker = {ABOVE: ">", BELOW: "<"}.get(row["position"], MARKERS[who % len(MARKERS)])
        if row["of"] == PERSON:
            marker = "*"
        face = "white" if row["below_detection"] == "yes" else colour
        axes.plot(
            number["percentile"], line, marker, color=colour, markerfacecolor=face,
            markersize=5 if marker == "*" else 3.6, markeredgewidth=0.7, clip_on=False, zorder=4,
        )  # fmt: skip
        axes.text(
            1.02, line, _words(row, len(people) > 1), ha="left", va="center", fontsize=6,
            transform=axes.get_yaxis_transform(),
        )  # fmt: skip
    axes.set_ylim(len(rows) - 0.35, -0.65)


def _words(row: Row, with_subject: bool) -> str:
    who = [row["subject"]] if with_subject and row["subject"] != "NA" else []
    when = [row["timepoint"]] if row["timepoint"] != "NA" else [row["sample"]]
    if row["of"] == PERSON:
        when = ["median"]
    name = shown_name(" ".join(who + when), 26)
    value = "below detection" if row["below_detection"] == "yes" else f"{float(row['value']):.3g}"
    low, high = float(row["ci_low"]), float(row["ci_high"])
    outside = {ABOVE: ", above all", BELOW: ", below all"}.get(row["position"], "")
    return f"{name}: {value}; {float(row['percentile']):.0f} ({low:.0f}–{high:.0f}){outside}"


def _draw_spread(axes: Axes, rows: Sequence[Row]) -> None:
    """Share of the samples in each twentieth of the reference."""
    edges = np.linspace(0, 100, BINS + 1)
    shares = np.diff([share_below(rows, edge) for edge in edges])
    axes.plot([0, 100], [1 / BINS] * 2, color=BLACK, linewidth=0.6, linestyle=(0, (3, 2)), zorder=3)
    axes.bar(
        edges[:-1], shares, width=100 / BINS, align="edge", color=BLUE, edgecolor="white",
        linewidth=0.4, zorder=2,
    )  # fmt: skip
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.set_ylim(0, max(float(shares.max()), 2 / BINS) * 1.05)
    people = {row["subject"] for row in rows if row["subject"] != "NA"}
    who = f" of {len(people)} people" if people else ""
    below = sum(row["position"] == BELOW for row in rows)
    above = sum(row["position"] == ABOVE for row in rows)
    axes.text(
        1.02, 0.5,
        f"{len(rows)} samples{who}\n"
        f"in the lowest 5 %: {100 * shares[0]:.0f} %\n"
        f"in the highest 5 %: {100 * shares[-1]:.0f} %\n"
        f"{below} below all, {above} above all",
        ha="left", va="center", fontsize=6, transform=axes.transAxes, linespacing=1.15,
    )  # fmt: skip


def share_below(rows: Sequence[Row], percent: float) -> float:
    """Share of samples in the lowest part of a reference.

    Of n people there are n + 1 gaps into which a further one falls with the same chance, so a
    sample is spread evenly over its gap, or over all gaps of its range. People like those of the
    reference then make a flat line, however few the reference has.

    >>> row = {"people": "3", "percentile_low": "0", "percentile_high": "0"}
    >>> share_below([row], 25.0), share_below([row], 12.5)
    (1.0, 0.5)
    """
    people = np.array([float(row["people"]) for row in rows])
    low = np.round(np.array([float(row["percentile_low"]) for row in rows]) * people / 100)
    high = np.round(np.array([float(row["percentile_high"]) for row in rows]) * people / 100) + 1
    place = percent / 100 * (people + 1)
    return float(np.mean(np.clip((place - low) / (high - low), 0, 1)))


def _sample_legend(rows: Sequence[Row]) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Patch(color="#D0D0D0", label="middle half of the people"),
        Patch(color="#E6E6E6", label="middle 90 %"),
        Line2D([], [], color=BLUE, marker="o", markersize=3.6, linewidth=0.7,
               label="percentile, 95 % interval by number of people"),
    ]  # fmt: skip
    if any(row["own_low"] != "NA" for row in rows):
        handles.append(
            Line2D([], [], color=BLACK, linewidth=0.7, linestyle=(0, (1.5, 1)),
                   label="95 % interval by the measurement")
        )  # fmt: skip
    if any(row["percentile_low"] != row["percentile_high"] for row in rows):
        handles.append(
            Line2D([], [], color=BLUE, linewidth=2.4, label="range: ties and below detection")
        )
    if any(row["of"] == PERSON for row in rows):
        handles.append(
            Line2D([], [], color=BLUE, marker="*", markersize=5, linewidth=0.7,
                   label="median of a person, among medians of people")
        )  # fmt: skip
    if any(row["position"] in {ABOVE, BELOW} for row in rows):
        handles.append(
            Line2D([], [], color=BLUE, marker=">", markersize=3.6, linewidth=0,
                   label="outside the values of the reference")
        )  # fmt: skip
    return handles


def _spread_legend() -> list[Line2D | Patch]:
    return [
        Patch(color=BLUE, label="share of the samples in each 5 percentiles"),
        Line2D([], [], color=BLACK, linewidth=0.6, linestyle=(0, (3, 2)),
               label="as many as of the reference’s people (5 %)"),
    ]  # fmt: skip
