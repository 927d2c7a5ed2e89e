"""Figures of diversity, drawn from its tables: ordination with groups, alpha by group."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator
from scipy import stats

from fermentome.cohort.data import Numbers
from fermentome.cohort.design import BATCH, COVARIATE, GROUP
from fermentome.cohort.diversity import ALPHA_METRICS, ALPHA_UNITS
from fermentome.cohort.diversity_tables import SPREAD_DIFFERS
from fermentome.drawing import (
    BLACK,
    GREY,
    LIGHT_GREY,
    PALETTE,
    STYLE,
    AnyPath,
    Row,
    message_figure,
    save,
    shown_name,
    spread,
    thousands,
)
from fermentome.tables import parse_number

NAMES = {
    "braycurtis": "Bray–Curtis", "aitchison": "Aitchison", "unweighted_unifrac":
    "unweighted UniFrac", "weighted_unifrac": "weighted UniFrac",
    "log_euclidean": "Euclidean of log2", "richness": "richness as seen", "shannon": "Shannon",
    "simpson": "Simpson, 1 − D", "faith_pd": "Faith’s diversity as seen", "richness_at_depth":
    "richness at equal depth", "faith_pd_at_depth": "Faith’s diversity at equal depth",
    "coverage": "Good’s coverage",
}  # fmt: skip
SHAPES = ("o", "s", "^", "D", "v", "P", "X")
MOST_LEVELS = len(SHAPES)
OTHER = "other levels"
NO_VALUE = "no value"
FEW_PEOPLE = 12
"""People up to whom lines join the samples of one; more make a tangle."""
FEW_SAMPLES = 10
"""Samples up to which points bear their names; more would cover each other."""
LEAST_FOR_ELLIPSE = 5
"""People: with 4 the 95 % region of a mean in two dimensions has F(2, 2) = 19 in it, and covers
the figure."""
PANEL = 2.2
BETWEEN = 0.62
UNDER = 1.05
"""Inches: a panel, and what lies beside and below it."""
COLUMNS = 2
Groups = dict[str, str]


def levels_shown(levels: Groups) -> list[str]:
    """Levels that have a look of their own, the most frequent ones, sorted by name."""
    counts: dict[str, int] = defaultdict(int)
    for level in levels.values():
        counts[level] += 1
    named = [level for level in counts if level != NO_VALUE]
    order = sorted(named, key=lambda level: (-counts[level], level))
    kept = order if len(order) <= MOST_LEVELS else order[: MOST_LEVELS - 1]
    return sorted(kept)


def groups_of(terms: Sequence[Row], term: str | None) -> tuple[str | None, Groups, Groups]:
    """A column to colour by, the level of each sample and its subject.

    Without a column asked for it is the first group, else the first batch.
    """
    subjects = {row["sample"]: row["subject"] for row in terms if row["subject"] != "NA"}
    names = {row["term"]: row["kind"] for row in terms if row["term"] != "NA"}
    if term is None:
        ordered = sorted(names, key=lambda name: (GROUP, BATCH, COVARIATE).index(names[name]))
        usable = [name for name in ordered if names[name] != COVARIATE]
        term = usable[0] if usable else None
    levels = {
        row["sample"]: NO_VALUE if row["value"] == "NA" else row["value"]
        for row in terms
        if term is None or row["term"] == term
    }
    if term is None:
        levels = dict.fromkeys(levels, "all samples")
    return term, levels, subjects


def _looks(levels: Sequence[str]) -> dict[str, tuple[str, str]]:
    looks = {level: (PALETTE[i], SHAPES[i]) for i, level in enumerate(levels)}
    return looks | {OTHER: (GREY, "."), NO_VALUE: (LIGHT_GREY, ".")}


def _means_of_people(points: Numbers, people: Sequence[str]) -> Numbers:
    """Mean of the points of each person."""
    names = sorted(set(people))
    return np.array(
        [points[[person == name for person in people]].mean(axis=0) for name in names]
    ).reshape(len(names), points.shape[1])


def confidence_ellipse(means: Numbers) -> tuple[float, float, float] | None:
    """Width, height and angle of the 95 % confidence region of a mean in two dimensions.

    That of Hotelling (1931, doi:10.1214/aoms/1177732979), over people; `None` for fewer than
    `LEAST_FOR_ELLIPSE`.
    """
    count = len(means)
    if count < LEAST_FOR_ELLIPSE:
        return None
    scale = 2 * (count - 1) / (count - 2) * stats.f.ppf(0.95, 2, count - 2) / count
    values, vectors = np.linalg.eigh(np.cov(means.T))
    half = np.sqrt(np.maximum(values, 0.0) * scale)
    angle = math.degrees(math.atan2(vectors[1, 1], vectors[0, 1]))
    return 2 * float(half[1]), 2 * float(half[0]), angle


def _draw_points(
    axes: Axes, points: Mapping[str, Numbers], levels: Groups, people: Groups, shown: Sequence[str]
) -> None:
    """Points of one distance by level, centroids with their regions, lines of people."""
    looks = _looks(shown)
    size = 14.0 if len(points) <= 150 else 14.0 * max(0.25, 150 / len(points))
    _draw_people(axes, points, people)
    for level, (colour, shape) in looks.items():
        own = [s for s in points if _shown_as(levels.get(s, NO_VALUE), shown) == level]
        if not own:
            continue
        place = np.array([points[s] for s in own])
        axes.scatter(
            place[:, 0], place[:, 1], s=size, c=colour, marker=shape, linewidths=0.2,
            edgecolors=BLACK if len(points) <= 150 else "none",
            alpha=0.8 if len(points) <= 300 else 0.45, zorder=2, rasterized=len(points) > 1000,
        )  # fmt: skip
    _name_points(axes, points)
    # The centroid of all samples is the origin, and says nothing.
    for level in shown if len(set(levels.values())) > 1 else ():
        own = [s for s in points if levels.get(s) == level]
        if len(own) > 1:
            place = np.array([points[s] for s in own])
            _draw_centroid(axes, _means_of_people(place, [people.get(s, s) for s in own]),
                           *looks[level])  # fmt: skip


def _name_points(axes: Axes, points: Mapping[str, Numbers]) -> None:
    """Names of few samples, towards the middle of the panel so that none leaves it."""
    across = np.array([place[0] for place in points.values()])
    if len(points) > FEW_SAMPLES or np.ptp(across) == 0:
        return
    middle = (across.min() + across.max()) / 2
    for sample, place in points.items():
        right = place[0] > middle
        axes.annotate(
            shown_name(sample, 14), (place[0], place[1]), (-3 if right else 3, 3),
            textcoords="offset points", fontsize=6, ha="right" if right else "left", zorder=5,
        )  # fmt: skip


def _shown_as(level: str, shown: Sequence[str]) -> str:
    return level if level in shown or level == NO_VALUE else OTHER


def _draw_centroid(axes: Axes, means: Numbers, colour: str, shape: str) -> None:
    centre = means.mean(axis=0)
    region = confidence_ellipse(means)
    if region is not None:
        width, height, angle = region
        for line, look in ((2.4, "white"), (1.2, colour)):
            axes.add_patch(
                Ellipse((centre[0], centre[1]), width, height, angle=angle, fill=False,
                        edgecolor=look, linewidth=line, zorder=3)
            )  # fmt: skip
    axes.scatter(
        centre[0], centre[1], s=45, c=colour, marker=shape, edgecolors=BLACK, linewidths=1.0,
        zorder=4,
    )  # fmt: skip


def _joined(points: Mapping[str, Numbers], people: Groups) -> dict[str, list[str]]:
    """Samples of people who have several, if they are few enough to be joined by lines."""
    own: dict[str, list[str]] = defaultdict(list)
    for sample in points:
        if sample in people:
            own[people[sample]].append(sample)
    several = {person: samples for person, samples in own.items() if len(samples) > 1}
    return several if len(several) <= FEW_PEOPLE else {}


def _draw_people(axes: Axes, points: Mapping[str, Numbers], people: Groups) -> None:
    for samples in _joined(points, people).values():
        place = np.array([points[s] for s in samples])
        centre = place.mean(axis=0)
        for point in place:
            axes.plot(*zip(centre, point, strict=True), color=GREY, linewidth=0.5, zorder=1)


def _label(row: Row | None, axis: int) -> str:
    if row is None:
        return f"axis {axis} (nothing left to explain)"
    return f"axis {axis} ({100 * parse_number(row['explained']):.3g} %)"


def _title(table: str, metric: str, test: Row | None, negative: float) -> str:
    """Distance, what PERMANOVA found, and what the reader must know of either."""
    text = f"{table}, {NAMES.get(metric, metric)}"
    remarks = [f"negative eigenvalues {100 * negative:.2g} %"] if negative > 0 else []
    if test is not None and SPREAD_DIFFERS in test["note"]:
        remarks.append(SPREAD_DIFFERS)
    if test is not None:
        text += "\n" + _result(test)
    return text + ("\n" + "; ".join(remarks) if remarks else "")


def _result(test: Row) -> str:
    values = {name: parse_number(test[name]) for name in ("r2", "r2_by_chance", "p", "q")}
    if math.isnan(values["r2"]):
        return "all samples are alike"
    if math.isnan(values["p"]):
        return f"R² {values['r2']:.2g}, not tested"
    return (
        f"R² {values['r2']:.2g} (by chance {values['r2_by_chance']:.2g}),"
        f" p {values['p']:.2g}, q {values['q']:.2g}"
    )


def plot_ordination(
    ordination: Sequence[Row],
    axes: Sequence[Row],
    permanova: Sequence[Row],
    terms: Sequence[Row],
    outputs: Sequence[AnyPath],
    term: str | None = None,
) -> None:
    """Draw the first two principal coordinates of every distance, by the levels of a column.

    Parameters
    ----------
    ordination, axes, permanova, terms
        Tables as read.
    outputs
        PNG and SVG.
    term
        Column to colour by; the first group, else the first batch, if not given.
    """
    with mpl.rc_context(STYLE):
        save(_ordination_figure(ordination, axes, permanova, terms, term), outputs)


def _ordination_figure(
    ordination: Sequence[Row], axes: Sequence[Row], permanova: Sequence[Row],
    terms: Sequence[Row], term: str | None,
) -> Figure:  # fmt: skip
    points: dict[tuple[str, str], dict[str, Numbers]] = defaultdict(dict)
    for row in ordination:
        place = np.array([parse_number(row["axis_1"]), parse_number(row["axis_2"])])
        points[row["table"], row["metric"]][row["sample"]] = np.nan_to_num(place)
    if not points:
        return message_figure("No ordination: no two samples can be compared.")
    term, levels, people = groups_of(terms, term)
    shown = levels_shown(levels)
    columns = min(COLUMNS, len(points))
    lines = math.ceil(len(points) / columns)
    figure, panels = _grid(lines, columns)
    for panel, (key, own) in zip(panels.flat, points.items(), strict=False):
        tests = [r for r in permanova if (r["table"], r["metric"], r["term"]) == (*key, term)]
        rows = {r["axis"]: r for r in axes if (r["table"], r["metric"]) == key}
        negative = max((parse_number(r["negative"]) for r in rows.values()), default=0.0)
        _draw_points(panel, own, levels, people, shown)
        panel.set_title(_title(*key, tests[0] if tests else None, negative), fontsize=7,
                        loc="left")  # fmt: skip
        panel.set_xlabel(_label(rows.get("axis_1"), 1), fontsize=7)
        panel.set_ylabel(_label(rows.get("axis_2"), 2), fontsize=7)
        panel.tick_params(labelsize=6)
        panel.set_aspect("equal", adjustable="datalim")
    for panel in list(panels.flat)[len(points) :]:
        panel.remove()
    _legend(figure, term, levels, people, shown, columns)
    _explain(figure, max(points.values(), key=len), people, lines)
    return figure


def _grid(lines: int, columns: int) -> tuple[Figure, Any]:
    """Square panels put in place by inches, with room for titles of three lines."""
    width = columns * PANEL + (columns - 1) * BETWEEN
    height = lines * PANEL + (lines - 1) * UNDER
    figure = Figure(figsize=(width, height))
    panels = figure.subplots(
        lines, columns, squeeze=False,
        gridspec_kw={
            "left": 0, "right": 1, "bottom": 0, "top": 1, "wspace": BETWEEN / PANEL,
            "hspace": UNDER / PANEL,
        },
    )  # fmt: skip
    return figure, panels


def _legend(
    figure: Figure, term: str | None, levels: Groups, people: Groups, shown: Sequence[str],
    columns: int,
) -> None:  # fmt: skip
    """What the points are, right of the panels, with numbers of samples and people."""
    handles = []
    for level, (colour, shape) in _looks(shown).items():
        own = [s for s, name in levels.items() if _shown_as(name, shown) == level]
        if not own:
            continue
        text = shown_name(level, 24)
        if level == OTHER:
            text = f"{len(set(levels.values()) - set(shown) - {NO_VALUE})} other levels"
        handles.append(
            Line2D([], [], color=colour, marker=shape, linestyle="", markersize=5,
                   markeredgecolor=BLACK, markeredgewidth=0.3,
                   label=f"{text}\n{_numbers(own, people)}")
        )  # fmt: skip
    figure.legend(
        handles=handles, title=shown_name(term, 24) if term else None, loc="upper left",
        bbox_to_anchor=(1.02 if columns > 1 else 1.04, 1.0), frameon=False, fontsize=6.5,
        title_fontsize=7, borderaxespad=0,
    )  # fmt: skip


def _numbers(samples: Sequence[str], people: Groups) -> str:
    text = f"{len(samples)} sample" + ("s" if len(samples) != 1 else "")
    known = {people[s] for s in samples if s in people}
    if known:
        text += f", {len(known)} " + ("people" if len(known) != 1 else "person")
    return text


def _explain(figure: Figure, points: Mapping[str, Numbers], people: Groups, lines: int) -> None:
    text = (
        "Large: centroid, the mean of people’s means (of samples, without subjects)."
        " Ellipse: 95 % confidence region of it over people,\n"
        f"from {LEAST_FOR_ELLIPSE} people on; it is not where samples lie. R², p, q: PERMANOVA;"
        " permanova.tsv says what was permuted.\n"
        "Negative eigenvalues: their sum, in % of that of the positive ones."
    )
    if _joined(points, people):
        text += "\nGrey lines: from a person’s samples to their mean."
    height = lines * PANEL + (lines - 1) * UNDER
    figure.text(0, -0.52 / height, text, ha="left", va="top", fontsize=6)


def plot_alpha(
    alpha: Sequence[Row],
    terms: Sequence[Row],
    outputs: Sequence[AnyPath],
    term: str | None = None,
) -> None:
    """Draw diversity within samples by the levels of a column, with means and intervals."""
    with mpl.rc_context(STYLE):
        save(_alpha_figure(alpha, terms, term), outputs)


def _alpha_figure(alpha: Sequence[Row], terms: Sequence[Row], term: str | None) -> Figure:
    values: dict[str, dict[str, float]] = defaultdict(dict)
    depths: dict[str, str] = {}
    for row in alpha:
        number = parse_number(row["value"])
        if not math.isnan(number):
            values[row["metric"]][row["sample"]] = number
            depths[row["metric"]] = row["depth_reads"]
    metrics = [metric for metric in ALPHA_METRICS if metric in values]
    if not metrics:
        return message_figure("No alpha diversity: no sample has taxa that are known.")
    term, levels, people = groups_of(terms, term)
    if not levels:
        levels = {row["sample"]: "all samples" for row in alpha}
    shown = levels_shown(levels)
    listed = [*shown]
    if any(_shown_as(level, shown) == OTHER for level in levels.values()):
        listed.append(OTHER)
    if NO_VALUE in levels.values():
        listed.append(NO_VALUE)
    columns = min(COLUMNS, len(metrics))
    lines = math.ceil(len(metrics) / columns)
    height = max(0.9, 0.36 * len(listed))
    figure, panels = _alpha_grid(lines, columns, height)
    for i, panel in enumerate(panels.flat):
        if i >= len(metrics):
            panel.remove()
            continue
        metric = metrics[i]
        _draw_alpha(panel, values[metric], levels, people, shown, listed)
        at = f" in {thousands(depths[metric])} reads" if metric.endswith("_at_depth") else ""
        panel.set_title(NAMES[metric], fontsize=8, loc="left")
        panel.set_xlabel(ALPHA_UNITS[metric] + at, fontsize=7)
        panel.tick_params(labelsize=6.5)
        panel.xaxis.set_major_locator(MaxNLocator(5))
    for line in range(lines):
        names = [_level_name(level, levels, people, shown) for level in listed]
        panels[line][0].set_yticks(range(len(listed)), names, fontsize=6.5)
        panels[line][0].set_ylim(len(listed) - 0.45, -0.55)
    whole = lines * height + (lines - 1) * 0.75
    text = (
        "Points: samples. Black: mean of people’s means (of samples, without subjects)"
        " with its 95 % interval (t)."
    )
    if term:
        text = f"By {shown_name(term, 40)}.\n" + text
    figure.text(0, -0.5 / whole, text, ha="left", va="top", fontsize=6)
    return figure


def _alpha_grid(lines: int, columns: int, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(columns * 2.5 + 0.25 * (columns - 1), lines * height
                             + (lines - 1) * 0.75))  # fmt: skip
    panels = figure.subplots(
        lines, columns, squeeze=False, sharey=True,
        gridspec_kw={"left": 0, "right": 1, "bottom": 0, "top": 1, "wspace": 0.1,
                     "hspace": 0.75 / height},
    )  # fmt: skip
    return figure, panels


def _level_name(level: str, levels: Groups, people: Groups, shown: Sequence[str]) -> str:
    own = [s for s, name in levels.items() if _shown_as(name, shown) == level]
    return f"{shown_name(level, 24)}\n{_numbers(own, people)}"


def _draw_alpha(
    axes: Axes, values: Mapping[str, float], levels: Groups, people: Groups,
    shown: Sequence[str], listed: Sequence[str],
) -> None:  # fmt: skip
    """Points of the samples of each level, and their mean."""
    looks = _looks(shown)
    for line, level in enumerate(listed):
        own = [s for s in values if _shown_as(levels.get(s, NO_VALUE), shown) == level]
        if not own:
            continue
        colour, shape = looks[level]
        numbers = np.array([values[s] for s in own])
        axes.scatter(
            numbers, [line + spread(i) for i in range(len(own))], s=9 if len(own) < 100 else 4,
            c=colour, marker=shape, linewidths=0, alpha=0.8 if len(own) < 100 else 0.4, zorder=2,
            rasterized=len(values) > 1000,
        )  # fmt: skip
        means = _means_of_people(numbers[:, None], [people.get(s, s) for s in own])[:, 0]
        axes.plot(means.mean(), line, marker="|", color=BLACK, markersize=11,
                  markeredgewidth=1.6, zorder=4)  # fmt: skip
        if len(means) > 1:
            half = stats.t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / math.sqrt(len(means))
            axes.plot(
                [means.mean() - half, means.mean() + half], [line, line], color=BLACK,
                linewidth=1.4, zorder=3,
            )  # fmt: skip
