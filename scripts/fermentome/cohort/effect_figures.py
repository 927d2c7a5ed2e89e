"""Figure of effects with their intervals: fold changes, and differences in detection beside."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fermentome.assign import UNASSIGNED
from fermentome.cohort.data import CARRIERS, FAMILIES, ORGANISMS, PRODUCTS, TAXA
from fermentome.cohort.diversity_figures import NAMES
from fermentome.cohort.effects import ABUNDANCE, DETECTION, DIVERSITY, EFFECT_COLUMNS
from fermentome.drawing import (
    BLUE,
    GREY,
    LIGHT_GREY,
    MOST_HEIGHT,
    STYLE,
    VERMILION,
    AnyPath,
    message_figure,
    save,
    shown_name,
)
from fermentome.tables import iterate_table, parse_number

MOST_LINES, MOST_IN_ALL = 20, 48
"""Features that are drawn of one comparison, and of all: a figure that fits on a page."""
MOST_BLOCKS = 12
"""Comparisons that are drawn: those of the least p."""
_LINE, _ABOVE, _BELOW = 0.165, 0.34, 0.1
"""Inches: a feature, the title of a comparison, and the space below it."""
_AXIS = 0.42
"""Inches: an axis with its label."""
_NAMES, _WIDE, _SLIM, _GAP = 1.75, 3.1, 1.75, 0.2
"""Inches: names of features, panel of fold changes, panel of detection, and between them."""
_FEW_LETTERS, _MANY_LETTERS = 32, 50
"""Letters of a name that have room."""
TABLE_WORDS = {
    FAMILIES: "gene families", PRODUCTS: "genetic potential", CARRIERS: "carriers of potential",
    ORGANISMS: "potential by organisms",
}  # fmt: skip
Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Block:
    """One comparison: what is drawn of it, and of how many."""

    title: str
    shown: list[Row]
    detection: Mapping[str, Row]
    tested: int
    called: int


def _comparison(row: Row) -> str:
    if row["level"] != "NA":
        return f"{shown_name(row['level'], 34)} against {shown_name(row['reference'], 34)}"
    return f"per standard deviation ({parse_number(row['sd']):.3g})"


def _blocks(rows: Sequence[Row], fdr: float, most: int) -> list[_Block]:
    levels = list(dict.fromkeys(row["level"] for row in rows))
    blocks = []
    for level in levels:
        own = [row for row in rows if row["level"] == level]
        tested = [row for row in own if row["kind"] == ABUNDANCE and row["p"] != "NA"]
        called = [row for row in tested if parse_number(row["q"]) <= fdr]
        # The largest first among those that are more than noise, then the least p.
        called.sort(key=lambda row: (-abs(parse_number(row["effect"])), row["feature"]))
        rest = [row for row in tested if parse_number(row["q"]) > fdr]
        rest.sort(key=lambda row: (parse_number(row["p"]), row["feature"]))
        detection = {row["feature"]: row for row in own if row["kind"] == DETECTION}
        blocks.append(
            _Block(_comparison(own[0]), (called + rest)[:most], detection, len(tested), len(called))
        )
    return blocks


def _levels_drawn(rows: Sequence[Row]) -> tuple[list[Row], int]:
    """Rows of the levels that are drawn, and how many levels are not."""
    least: dict[str, float] = {}
    for row in rows:
        if row["kind"] == ABUNDANCE and row["p"] != "NA":
            p = parse_number(row["p"])
            least[row["level"]] = min(p, least.get(row["level"], p))
    chosen = set(sorted(least, key=lambda level: (least[level], level))[:MOST_BLOCKS])
    return [row for row in rows if row["level"] in chosen], len(least) - len(chosen)


def _interval(axes: Axes, row: Row, position: float, fdr: float) -> None:
    effect = parse_number(row["effect"])
    colour = BLUE if effect > 0 else VERMILION
    called = parse_number(row["q"]) <= fdr
    axes.plot(
        [parse_number(row["ci_low"]), parse_number(row["ci_high"])], [position] * 2,
        color=colour if called else GREY, linewidth=1.1, solid_capstyle="butt",
    )  # fmt: skip
    axes.plot(
        effect, position, marker="^" if effect > 0 else "v", markersize=4.2,
        color=colour if called else GREY, markerfacecolor=colour if called else "white",
        linestyle="",
    )  # fmt: skip


def _feature(row: Row, most: int) -> str:
    """Name of a feature: of a carrier the genus first, as in the other figures."""
    name = row["feature"]
    if row["table"] == CARRIERS:
        product, _, genus = name.partition("|")
        genus = "genus not known" if genus == UNASSIGNED else shown_name(genus, 22)
        return f"{genus}: {shown_name(product, 16)}"
    # Other programs write species with underscores; codes of families and routes keep theirs.
    return shown_name(name.replace("_", " ") if row["table"] == TAXA else name, most)


def _draw(block: _Block, wide: Axes, slim: Axes, italic: bool, most: int, fdr: float) -> None:
    for position, row in enumerate(block.shown):
        _interval(wide, row, position, fdr)
        other = block.detection.get(row["feature"])
        if other is not None and other["p"] != "NA":
            _interval(slim, other, position, fdr)
        elif other is not None:
            everywhere = other["reason"].startswith("seen in all")
            slim.text(
                0.02, position, "seen in all" if everywhere else "not tested", fontsize=6,
                color=GREY, va="center", transform=slim.get_yaxis_transform(),
            )  # fmt: skip
    for axes in (wide, slim):
        axes.axvline(0, color="black", linewidth=0.6, zorder=0)
        axes.set_ylim(len(block.shown) - 0.5, -0.5)
        axes.tick_params(labelsize=7)
        axes.grid(axis="x", color=LIGHT_GREY, linewidth=0.4)
        axes.set_axisbelow(True)
    names = [_feature(row, most) for row in block.shown]
    wide.set_yticks(range(len(names)), names)
    slim.xaxis.set_major_locator(MaxNLocator(4))
    slim.set_yticks([])
    wide.tick_params(axis="y", length=0, labelsize=6.5)
    for label in wide.get_yticklabels():
        label.set_fontstyle("italic" if italic else "normal")
    wide.set_title(block.title, loc="left", fontsize=8, fontweight="bold", pad=3)
    note = f"q ≤ {fdr:g}: {block.called} of {block.tested} fold changes"
    slim.set_title(note, loc="right", fontsize=6.5, color="#444444", pad=3)


def _forest(
    rows: Sequence[Row], table: str, term: str, others: Sequence[str], fdr: float
) -> Figure | None:
    rows, left_out = _levels_drawn(rows)
    if not rows:
        return None
    levels = len({row["level"] for row in rows})
    most = min(MOST_LINES, MOST_IN_ALL // levels)
    blocks = _blocks(rows, fdr, most)
    heights = [max(len(block.shown), 2) * _LINE for block in blocks]
    total = sum(heights) + len(blocks) * (_ABOVE + _BELOW)
    letters, left_of, wide_width, slim_width = _FEW_LETTERS, _NAMES, _WIDE, _SLIM
    if any(len(row["feature"]) > _FEW_LETTERS for block in blocks for row in block.shown):
        # Pathways of other programs have sentences for names; the panels make room for them.
        letters, more_room = _MANY_LETTERS, 0.95
        left_of, wide_width, slim_width = _NAMES + more_room, _WIDE - 0.65, _SLIM - 0.3
    width = left_of + wide_width + _GAP + slim_width
    figure = Figure(figsize=(width, total))
    top = total
    first: tuple[Axes, Axes] | None = None
    for block, height in zip(blocks, heights, strict=True):
        bottom = (top - _ABOVE - height) / total
        places = ((left_of, wide_width), (left_of + wide_width + _GAP, slim_width))
        wide, slim = (
            figure.add_axes(
                (left / width, bottom, size / width, height / total),
                sharex=None if first is None else first[number],
            )
            for number, (left, size) in enumerate(places)
        )
        first = first or (wide, slim)
        _draw(block, wide, slim, table in (TAXA, CARRIERS), letters, fdr)
        if block is not blocks[-1]:
            wide.tick_params(labelbottom=False)
            slim.tick_params(labelbottom=False)
        top -= _ABOVE + height + _BELOW
    if not any(row["kind"] == DETECTION and row["p"] != "NA" for row in rows):
        slim.set_xticks([])
    per = "" if rows[0]["level"] != "NA" else " per SD"
    wide.set_xlabel(f"log2 fold change{per}", fontsize=7.5)
    slim.set_xlabel(f"difference in detection{per}\n(share of samples)", fontsize=7.5)
    title = f"{shown_name(term, 40)}: differences in {TABLE_WORDS.get(table, table)}"
    title += f" ({left_out} further levels not drawn)" if left_out else ""
    left_out = any(block.tested > len(block.shown) for block in blocks)
    more = f"The first {most} of each comparison are drawn." if left_out else ""
    _surround(figure, rows, title, others, fdr, 0.36, more)
    return figure


def _surround(
    figure: Figure, rows: Sequence[Row], title: str, others: Sequence[str], fdr: float,
    below: float, more: str = "",
) -> None:  # fmt: skip
    """Title above, and below the axes what the marks mean and how many samples there are."""
    total = figure.get_figheight()
    samples = max(int(row["samples"]) for row in rows)
    subjects = max(int(row["subjects"]) for row in rows)
    figure.text(0, 1 - 0.02 / total, title, fontsize=9, ha="left")
    looks = (
        (BLUE, "^", BLUE, f"higher, q ≤ {fdr:g}"),
        (VERMILION, "v", VERMILION, f"lower, q ≤ {fdr:g}"),
        (GREY, "^", "white", f"q > {fdr:g}"),
    )
    handles = [
        Line2D(
            [], [], color=colour, marker=marker, markerfacecolor=face, markersize=4.2,
            linewidth=1.1, label=label,
        )
        for colour, marker, face, label in looks
    ]  # fmt: skip
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0, -below / total), ncols=3,
        frameon=False, fontsize=6.5, columnspacing=1.2, borderaxespad=0, borderpad=0,
    )  # fmt: skip
    text = f"Lines: 95 % intervals. n = {samples} samples of {subjects} people."
    text += " Associations, not causes."
    if more:
        text += f"\n{more} Those with q ≤ {fdr:g} come first, then those of least p."
    if others:
        names = shown_name(", ".join(others), 60)
        text += f"\nIn one model with {names}, and with batch and depth where they are given."
    if samples > subjects:
        text += "\nAll samples of a person count, at whatever time: this is not how people changed."
    figure.text(
        0, -(below + 0.23) / total, "\n".join(_within(text, figure.get_figwidth())),
        fontsize=6.5, ha="left", va="top",
    )  # fmt: skip


def _within(text: str, width: float) -> list[str]:
    """Lines of a text in small print that a figure of `width` inches holds."""
    return [part for line in text.split("\n") for part in textwrap.wrap(line, int(width * 19))]


def _plain(name: str, width: int) -> str:
    """A name on one line, for an axis."""
    return shown_name(" ".join(name.split()), width)


def _diversity(rows: Sequence[Row], term: str, others: Sequence[str], fdr: float) -> Figure | None:
    """One panel per metric, since each has its own unit; the levels are its lines."""
    tested = [row for row in rows if row["p"] != "NA"]
    metrics = list(dict.fromkeys(row["feature"] for row in tested))
    if not metrics:
        return None
    lines = max(sum(row["feature"] == metric for row in tested) for metric in metrics)
    room = (MOST_HEIGHT - 1.5) / len(metrics) - _ABOVE - _AXIS
    most = max(1, math.floor(room / _LINE))
    height = max(min(lines, most), 2) * _LINE
    total = len(metrics) * (_ABOVE + height + _AXIS)
    width = _NAMES + _WIDE
    figure = Figure(figsize=(width, total))
    for number, metric in enumerate(metrics):
        own = sorted(
            (row for row in tested if row["feature"] == metric),
            key=lambda row: parse_number(row["p"]),
        )
        shown = own[:most]
        bottom = total - (number + 1) * (_ABOVE + height + _AXIS) + _AXIS
        axes = figure.add_axes((_NAMES / width, bottom / total, _WIDE / width, height / total))
        for position, row in enumerate(shown):
            _interval(axes, row, position, fdr)
        axes.axvline(0, color="black", linewidth=0.6, zorder=0)
        axes.set_ylim(max(len(shown), 2) - 0.5, -0.5)
        axes.grid(axis="x", color=LIGHT_GREY, linewidth=0.4)
        axes.set_axisbelow(True)
        labels = [
            _plain(f"{row['level']} − {row['reference']}", 34)
            if row["level"] != "NA"
            else f"per SD ({parse_number(row['sd']):.3g})"
            for row in shown
        ]
        axes.set_yticks(range(len(shown)), labels)
        axes.tick_params(labelsize=7)
        axes.tick_params(axis="y", length=0, labelsize=6.5)
        left = len(own) - len(shown)
        note = f"; {left} levels not shown" if left else ""
        axes.set_title(
            NAMES.get(metric, metric) + note, loc="left", fontsize=8, fontweight="bold", pad=3
        )
        axes.set_xlabel(shown[0]["unit"], fontsize=7, labelpad=1)
    _surround(figure, tested, f"{shown_name(term, 40)}: differences in diversity", others, fdr, 0.0)
    return figure


def plot_effects(
    effects: AnyPath,
    outputs: Sequence[AnyPath],
    *,
    table: str,
    term: str,
    fdr: float = 0.05,
) -> None:
    """Draw the effects of one column of the metadata on one table.

    Parameters
    ----------
    effects
        What `fermentome.cohort.effects.write_effects` wrote.
    outputs
        PNG and SVG.
    table, term
        Which rows to draw. Each level has a block: first features with q up to `fdr`, the
        largest effect first, then the others by p.
    """
    rows = []
    others: dict[str, None] = {}
    for row in iterate_table(effects, EFFECT_COLUMNS):
        if row["table"] == table and row["term"] == term:
            rows.append(row)
        elif row["table"] == table:
            others[row["term"]] = None
    with matplotlib.rc_context(STYLE):
        figure = None
        if rows and table == DIVERSITY:
            figure = _diversity(rows, term, list(others), fdr)
        elif rows:
            figure = _forest(rows, table, term, list(others), fdr)
        if figure is None:
            why = "no feature could be tested" if rows else "nothing was tested"
            figure = message_figure(
                f"No effects of {shown_name(term, 40)} on {table}: {why}.\n"
                "The account of the cohort has the reason."
            )
        save(figure, outputs)
