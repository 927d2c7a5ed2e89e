"""Potential against measurement, with what shuffled measurements reach, from the written tables."""

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
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from fermentome.assign import UNASSIGNED
from fermentome.cohort.data import (
    CARRIERS,
    FAMILIES,
    ORGANISMS,
    PATHWAYS,
    PRODUCTS,
    TAXA,
    Numbers,
)
from fermentome.cohort.metabolite_sheet import Flags
from fermentome.cohort.metabolite_units import BETWEEN, SAMPLES, WITHIN
from fermentome.cohort.metabolites import (
    ASSOCIATION_COLUMNS,
    BEYOND_NULL,
    EXPLORATORY,
    NAMED,
    NOT_TESTED,
    POINT_COLUMNS,
)
from fermentome.drawing import (
    BLACK,
    BLUE,
    GREY,
    LIGHT_GREY,
    MOST_HEIGHT,
    ORANGE,
    STYLE,
    AnyPath,
    Row,
    message_figure,
    save,
    shown_name,
)
from fermentome.tables import parse_number, read_table

Pair = tuple[str, str, str]
"""Metabolite, table, feature."""

WIDTH, HEIGHT, LINE = 1.95, 1.6, 0.17
"""Inches: a panel of points, and one line of the panel of correlations below it."""
BETWEEN_COLUMNS, TO_STRIP, BETWEEN_ROWS = 1.62, 0.58, 0.95
"""Between columns stand the p of one pair and the names of the next pair's lines."""
NAMES = 0.4
"""Inches by which the lines of correlations begin further right, for their names."""
LEVEL_WORDS = {SAMPLES: "samples", BETWEEN: "between people", WITHIN: "within people"}
KINDS = {
    FAMILIES: "family ", PATHWAYS: "pathway ", PRODUCTS: "potential of ",
    ORGANISMS: "potential by organisms of ",
}  # fmt: skip
SPAN = 20.0
"""Ratio of the 95th to the 5th percentile of positive values from which an axis is logarithmic."""
MOST_FEATURES = 30
CENSORED = {
    "below_limit": ("v", "below a limit, drawn at half of it"),
    "above_limit": ("^", "above a limit, drawn at it"),
}
# Looks that panels and key share.
RING: Any = {"ls": "none", "mfc": "none", "mew": 0.6}
DOT: Any = {"ls": "none", "ms": 4, "mec": BLACK, "mew": 0.5}
NULL: Any = {"facecolor": LIGHT_GREY, "hatch": "////", "edgecolor": GREY, "linewidth": 0}
DEALT: Any = {"fill": False, "edgecolor": BLACK, "linewidth": 0.6, "linestyle": ":"}
NULL_KEY = Patch(label="95 % of shuffled measurements", **NULL)


def plot_metabolites(associations: AnyPath, points: AnyPath, outputs: Sequence[AnyPath]) -> None:
    """Draw the named pairs: each sample's potential and measurement, and below the correlations.

    Parameters
    ----------
    associations, points
        As `fermentome.cohort.metabolites.write_metabolites` writes them.
    outputs
        PNG and SVG.
    """
    by_pair: dict[Pair, list[Row]] = defaultdict(list)
    for row in read_table(associations, ASSOCIATION_COLUMNS):
        if row["kind"] == NAMED:
            by_pair[_pair(row)].append(row)
    dots: dict[Pair, list[Row]] = defaultdict(list)
    for row in read_table(points, POINT_COLUMNS):
        dots[_pair(row)].append(row)
    with mpl.rc_context(STYLE):
        if any(dots[pair] for pair in by_pair):
            figure = _pairs_figure({p: rows for p, rows in by_pair.items() if dots[p]}, dots)
        else:
            figure = message_figure(
                "No product of the tables has a measured metabolite of its name.\n"
                "account.tsv says what would have to be there."
            )
        save(figure, outputs)


def plot_exploratory(associations: AnyPath, outputs: Sequence[AnyPath]) -> None:
    """Draw the exploratory pairs that lie furthest from what shuffled measurements reach."""
    rows = [
        row
        for row in read_table(associations, ASSOCIATION_COLUMNS)
        if row["kind"] == EXPLORATORY and row["finding"] != NOT_TESTED
    ]
    with mpl.rc_context(STYLE):
        if rows:
            figure = _exploratory_figure(rows)
        else:
            figure = message_figure("No exploratory pair was tested; account.tsv says why.")
        save(figure, outputs)


def _pair(row: Row) -> Pair:
    return row["metabolite"], row["table"], row["feature"]


# --- named pairs ----------------------------------------------------------------------------------


def _pairs_figure(by_pair: Mapping[Pair, Sequence[Row]], dots: Mapping[Pair, list[Row]]) -> Figure:
    most = max(len(rows) for rows in by_pair.values())
    strip = LINE * (most + 0.6)
    one = HEIGHT + TO_STRIP + strip + BETWEEN_ROWS
    room = max(1, int(MOST_HEIGHT / one)) * 2
    pairs = sorted(by_pair)
    shown, hidden = pairs[:room], pairs[room:]
    columns = min(2, len(shown))
    lines = math.ceil(len(shown) / columns)
    width = columns * WIDTH + (columns - 1) * BETWEEN_COLUMNS
    height = lines * one - BETWEEN_ROWS
    figure = Figure(figsize=(width, height))
    zeros = False
    for number, pair in enumerate(shown):
        line, column = divmod(number, columns)
        left = column * (WIDTH + BETWEEN_COLUMNS) / width
        top = height - line * one
        panel = figure.add_axes((left, (top - HEIGHT) / height, WIDTH / width, HEIGHT / height))
        zeros |= _draw_points(panel, dots[pair])
        bottom = (top - HEIGHT - TO_STRIP - strip) / height
        lower = figure.add_axes(
            (left + NAMES / width, bottom, (WIDTH - NAMES) / width, strip / height)
        )
        _draw_correlations(lower, by_pair[pair], most)
    _key(
        figure, height, [row for pair in shown for row in by_pair[pair]],
        [row for pair in shown for row in dots[pair]], zeros, len(hidden),
    )  # fmt: skip
    return figure


def _draw_points(axes: Axes, rows: Sequence[Row]) -> bool:
    """Draw the samples of a pair; returns whether zeros stand at the edge of an axis."""
    x = np.array([parse_number(row["potential"]) for row in rows])
    y = np.array([parse_number(row["measured"]) for row in rows])
    censored = np.array([row["below_limit"] == "yes" for row in rows])
    above = np.array([row["above_limit"] == "yes" for row in rows])
    x, x_zero = _on_axis(axes, "x", x)
    y, y_zero = _on_axis(axes, "y", y)
    at_edge = x_zero | y_zero
    for chosen, marker, colour in (
        (~censored & ~above & ~at_edge, "o", BLUE),
        (~censored & ~above & at_edge, "s", BLUE),
        (censored, CENSORED["below_limit"][0], ORANGE),
        (above, CENSORED["above_limit"][0], ORANGE),
    ):
        if (chosen & ~np.isnan(y)).any():
            axes.plot(
                x[chosen], y[chosen], marker=marker, mec=colour, ms=2.6, clip_on=False, **RING
            )
    for axis, scale, limits, set_limits in (
        (x, axes.get_xscale(), axes.get_xlim(), axes.set_xlim),
        (y, axes.get_yscale(), axes.get_ylim(), axes.set_ylim),
    ):
        # From 0 on where the values come near it, so that twice as far is twice as much.
        if scale == "linear" and np.nanmin(axis) < limits[1] / 3:
            set_limits(0, limits[1])
    first = rows[0]
    axes.set_xlabel(
        f"potential of {shown_name(first['feature'], 24)}{_evidence(first)}\n"
        f"({shown_name(first['feature_unit'], 46)})",
        fontsize=7,
    )
    axes.set_ylabel(
        f"measured {shown_name(first['metabolite'], 24)}\n({shown_name(first['unit'], 30)})",
        fontsize=7,
    )
    axes.tick_params(labelsize=6.5)
    people = {row["subject"] for row in rows if row["subject"] != "NA"}
    text = f"{len(rows)} samples"
    if people and len(people) < len(rows):
        text += f" of {len(people)} people"
    axes.set_title(f"{shown_name(first['metabolite'], 26)}: {text}", loc="left", fontsize=8)
    return bool(at_edge.any())


def _evidence(row: Row) -> str:
    return ", by organisms" if row["table"] == ORGANISMS else ", by genes"


def _on_axis(axes: Axes, axis: str, values: Numbers) -> tuple[Numbers, Flags]:
    """Values as they are drawn, and which are zeros that a logarithmic axis puts at its edge."""
    known = values[~np.isnan(values)]
    positive = known[known > 0]
    nowhere = np.zeros(len(values), dtype=np.bool_)
    if positive.size < 3:
        return values, nowhere
    low, high = np.quantile(positive, [0.05, 0.95])
    if high / low < SPAN:
        return values, nowhere
    (axes.set_xscale if axis == "x" else axes.set_yscale)("log")
    line = axes.xaxis if axis == "x" else axes.yaxis
    # Matplotlib's own labels of powers are formulas, which are off.
    line.set_major_locator(LogLocator(numticks=5))
    line.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    line.set_minor_formatter(NullFormatter())
    zero = values == 0
    return np.where(zero, positive.min() / 2, values), zero


def _draw_correlations(axes: Axes, rows: Sequence[Row], most: int) -> None:
    """Each correlation with its interval over the middle 95 % of its null, one line each."""
    ordered = sorted(rows, key=lambda row: (row["level"], row["given"] != "", row["given"]))
    for place, row in enumerate(ordered):
        low, high = parse_number(row["null_low"]), parse_number(row["null_high"])
        if not math.isnan(low):
            axes.barh(place, high - low, left=low, height=0.7, **NULL)
        low, high = (
            parse_number(row["phenotypes_null_low"]), parse_number(row["phenotypes_null_high"])
        )  # fmt: skip
        if not math.isnan(low):
            axes.barh(place, high - low, left=low, height=0.7, **DEALT)
        value = parse_number(row["spearman"])
        ends = parse_number(row["ci_low"]), parse_number(row["ci_high"])
        if not math.isnan(value):
            if not math.isnan(ends[0]):
                axes.plot(ends, [place, place], color=BLACK, lw=0.9)
            marker, colour = ("D", ORANGE) if row["given"] else ("o", BLUE)
            axes.plot(value, place, marker=marker, color=colour, **DOT)
        axes.text(1.02, place, _verdict(row), transform=axes.get_yaxis_transform(), va="center",
                  fontsize=6)  # fmt: skip
    names = [LEVEL_WORDS[row["level"]] + (", given" if row["given"] else "") for row in ordered]
    axes.axvline(0, color=BLACK, lw=0.6)
    axes.set_xlim(-1, 1)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    axes.set_ylim(most - 0.4, -0.6)
    axes.set_yticks(range(len(ordered)), names, fontsize=6)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=6.5)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("Spearman correlation with 95 % interval" + _explained(ordered), fontsize=6.5)


def _verdict(row: Row) -> str:
    p = parse_number(row["p"])
    return "not tested" if math.isnan(p) else f"p = {p:.2g}, q = {parse_number(row['q']):.2g}"


def _share(value: float) -> str:
    """Explained share; below 0 the mean of the others predicts better.

    >>> _share(0.2101), _share(-0.13)
    ('21 %', 'none')
    """
    return f"{round(100 * value)} %" if value >= 0.005 else "none"


def _explained(rows: Sequence[Row]) -> str:
    """What the given columns explain of people left out, alone and with the potential."""
    for row in rows:
        both = parse_number(row["q2_given_and_potential"])
        alone = parse_number(row["q2_given"])
        if not math.isnan(both):
            text = f"by the potential {_share(both)}"
            if not math.isnan(alone):
                text = f"given columns alone {_share(alone)}, with the potential {_share(both)}"
            return f"\nshare explained in people left out:\n{text}"
    return ""


def _key(
    figure: Figure,
    height: float,
    associations: Sequence[Row],
    points: Sequence[Row],
    zeros: bool,
    hidden: int,
) -> None:
    """What the marks mean, as far as they occur, below the panels."""
    handles: list[Any] = [NULL_KEY]
    if any(row["phenotypes_p"] != "NA" for row in associations):
        handles.append(Patch(label="95 % of copies dealt at random to taxa", **DEALT))
    handles.append(Line2D([], [], color=BLUE, label="alone", marker="o", **DOT))
    given = sorted({row["given"] for row in associations} - {""})
    if given:
        text = f"given {shown_name(', '.join(given), 44)}"
        handles.append(Line2D([], [], color=ORANGE, label=text, marker="D", **DOT))
    for column, (marker, text) in CENSORED.items():
        if any(row[column] == "yes" for row in points):
            handles.append(Line2D([], [], marker=marker, mec=ORANGE, ms=4, label=text, **RING))
    if zeros:
        text = "0, at the edge of a logarithmic axis"
        handles.append(Line2D([], [], marker="s", mec=BLUE, ms=4, label=text, **RING))
    lines = math.ceil(len(handles) / 2)
    figure.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.68 / height), ncols=2,
        frameon=False, fontsize=6.5,
    )  # fmt: skip
    text = "Associations in this cohort. Potential is what genes would allow, not what was made."
    if hidden:
        text += f"\n{hidden} further pairs are in the table and not drawn."
    bottom = -(0.8 + 0.16 * lines) / height
    figure.text(0.5, bottom, text, ha="center", va="top", fontsize=6.5)


# --- exploratory pairs ----------------------------------------------------------------------------


def _exploratory_figure(rows: Sequence[Row]) -> Figure:
    ordered = sorted(
        rows,
        key=lambda row: (
            parse_number(row["p"]), -abs(parse_number(row["spearman"])), row["metabolite"],
            row["table"], row["feature"], row["level"],
        ),
    )  # fmt: skip
    shown = ordered[:MOST_FEATURES]
    height = 0.2 * (len(shown) + 1)
    figure = Figure(figsize=(2.8, height))
    axes = figure.add_axes((0, 0, 1, 1))
    for place, row in enumerate(shown):
        low, high = parse_number(row["null_low"]), parse_number(row["null_high"])
        axes.barh(place, high - low, left=low, height=0.7, **NULL)
        ends = parse_number(row["ci_low"]), parse_number(row["ci_high"])
        axes.plot(ends, [place, place], color=BLACK, lw=0.9)
        axes.plot(
            parse_number(row["spearman"]), place, marker="o",
            **{**DOT, "color": BLUE if row["finding"] == BEYOND_NULL else "white"},
        )  # fmt: skip
        axes.text(1.02, place, f"q = {parse_number(row['q']):.2g}", fontsize=6,
                  transform=axes.get_yaxis_transform(), va="center")  # fmt: skip
    names = [
        f"{_feature(row)} – {shown_name(row['metabolite'], 18)}"
        + ("" if row["level"] == SAMPLES else f" ({LEVEL_WORDS[row['level']]})")
        for row in shown
    ]
    axes.axvline(0, color=BLACK, lw=0.6)
    axes.set_yticks(range(len(shown)), names, fontsize=6.5)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(-1, 1)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=6.5)
    beyond = sum(row["finding"] == BEYOND_NULL for row in rows)
    axes.set_xlabel(
        f"Spearman correlation with 95 % interval; hatched: 95 % of shuffled measurements\n"
        f"{len(rows)} pairs tested; {beyond} beyond the null once corrected for their number"
        f" (filled)\n{_shown_of(shown, rows)}{_people_of(rows)}",
        fontsize=6.5,
    )
    return figure


def _shown_of(shown: Sequence[Row], rows: Sequence[Row]) -> str:
    return f"the {len(shown)} of least p are drawn; " if len(shown) < len(rows) else ""


def _people_of(rows: Sequence[Row]) -> str:
    samples = max(int(row["samples"]) for row in rows)
    people = max((int(row["subjects"]) for row in rows if row["subjects"] != "NA"), default=0)
    return f"n = {samples} samples" + (f" of {people} people" if people else "")


def _feature(row: Row) -> str:
    """Name of a feature with what it is, unless it is a taxon."""
    name = row["feature"]
    if row["table"] == CARRIERS:
        product, _, genus = name.partition("|")
        if genus == UNASSIGNED:
            return f"{shown_name(product, 14)} carriers of no known genus"
        return f"{shown_name(genus, 24)}, {shown_name(product, 14)} carrier"
    word = KINDS.get(row["table"], "")
    # Other programs write species with underscores; codes of routes keep theirs.
    if row["table"] == TAXA:
        name = name.replace("_", " ")
    return f"{word}{shown_name(name, 36)}"
