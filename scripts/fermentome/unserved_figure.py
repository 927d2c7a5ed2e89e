"""The shares that the databases did not serve, beside the results of each sample and alone.

A bar above its limit differs in colour and hatching and has a ``!`` behind its number. A share
that is not known says NA and has no bar; a sample without reads has neither.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fermentome.drawing import (
    BLACK,
    GREY,
    MOST_HEIGHT,
    SHARE_COLOUR,
    SKY,
    STYLE,
    VERMILION,
    AnyPath,
    Row,
    bar_height,
    label_samples,
    message_figure,
    panel_grid,
    sample_marks,
    save,
    spread,
    tick,
)
from fermentome.flow import STATUS_COLUMNS
from fermentome.tables import parse_number, read_table
from fermentome.unserved import Limits, over_limits


@dataclass(frozen=True, slots=True)
class ShareColumn:
    """A share of the table of unserved shares, as it is drawn.

    Attributes
    ----------
    name
        Of its limit; its column is this name and ``_share``.
    title
        What it is called.
    unit
        What it is a share of.
    open_part
        Column of the part of it that is hatched with dots; empty for none.
    """

    name: str
    title: str
    unit: str
    open_part: str = ""

    @property
    def column(self) -> str:
        """Column of the table."""
        return f"{self.name}_share"


BESIDE = (
    ShareColumn("unclassified", "unclassified", "reads"),
    ShareColumn("no_phenotype", "no phenotype", "cells", "open_phenotype_cell_share"),
    ShareColumn("no_lineage", "no lineage", "fragments"),
)
"""Drawn beside the results of each sample."""
AMBIGUOUS = ShareColumn("ambiguous", "ambiguous", "fragments")
HIT = ShareColumn("hit", "any hit", "reads")
MOST_SAMPLES_IN_NUMBERS = 60
"""Bars of more samples are too thin for numbers."""


@dataclass(frozen=True, slots=True)
class Unserved:
    """Unserved shares of all samples, ready to be drawn.

    Attributes
    ----------
    rows
        Of the table, by sample; an empty sample has none.
    over
        Names of the limits that each sample exceeds.
    limits
        By name; None for none.
    """

    rows: Mapping[str, Row]
    over: Mapping[str, frozenset[str]]
    limits: Mapping[str, float | None]

    def known(self, columns: Sequence[ShareColumn]) -> list[ShareColumn]:
        """Columns that have a number in any sample: without a profile there is none to show."""
        return [c for c in columns if any(row[c.column] != "NA" for row in self.rows.values())]

    def value(self, sample: str, column: str) -> float:
        """A share of a sample; NaN where it is not known or the sample has no row."""
        return parse_number(self.rows[sample][column]) if sample in self.rows else math.nan


def read_unserved_shares(path: AnyPath, limits: Limits) -> Unserved:
    """Unserved shares of all samples with the limits that they exceed."""
    rows = {row["sample"]: row for row in read_table(path)}
    over = {sample: over_limits(row, limits) for sample, row in rows.items()}
    most = {column.name: asdict(limits).get(column.name) for column in (*BESIDE, AMBIGUOUS, HIT)}
    return Unserved(rows, over, most)


def draw_shares(
    axes: Axes, samples: Sequence[str], unserved: Unserved, column: ShareColumn
) -> None:
    """One horizontal bar from 0 to 1 per sample, and the limit as a dashed line."""
    size = min(6.5, 72 * MOST_HEIGHT / max(len(samples), 1))
    numbered = len(samples) <= MOST_SAMPLES_IN_NUMBERS
    for position, sample in enumerate(samples):
        draw_share(axes, position, sample, unserved, column, size, numbered)
    limit = unserved.limits[column.name]
    if limit is not None:
        axes.axvline(limit, color=BLACK, linestyle=(0, (3, 2)), linewidth=0.9, zorder=3)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "", "1"])
    axes.tick_params(axis="x", labelsize=6.5)


def draw_share(
    axes: Axes,
    position: float,
    sample: str,
    unserved: Unserved,
    column: ShareColumn,
    size: float,
    numbered: bool = True,
) -> None:
    """Draw one share: a bar, coloured and hatched above the limit.

    A share that is not known says NA and has no bar; a sample without reads has neither.
    """
    value = unserved.value(sample, column.column)
    if math.isnan(value):
        if sample in unserved.rows:
            axes.text(0.04, position, "NA", va="center", color=GREY, fontsize=size)
        return
    over = column.name in unserved.over[sample]
    part = unserved.value(sample, column.open_part) if column.open_part else 0.0
    part = part if part > 0 else 0.0
    colour, hatch = (VERMILION, "////") if over else (SKY if column == HIT else SHARE_COLOUR, "")
    look: Any = {"edgecolor": BLACK, "linewidth": 0.4, "height": 0.7}
    axes.barh(position, value - part, color=colour, hatch=hatch, **look)
    if part:
        axes.barh(position, part, left=value - part, color="#FFFFFF", hatch="....", **look)
    if numbered:
        _write_share(axes, position, value, over, size)


def _write_share(axes: Axes, position: float, value: float, over: bool, size: float) -> None:
    """Write a share in per cent behind its bar, or on it where no room is left."""
    text = f"{100 * value:.0f} %" if value >= 0.01 or not value else "<1 %"
    inside = value > 0.5
    axes.text(
        0.03 if inside else value + 0.04, position, text + (" !" if over else ""), va="center",
        fontsize=size, zorder=4, fontweight="bold" if over else "normal",
        bbox={"facecolor": "#FFFFFF", "edgecolor": "none", "pad": 0.6},
    )  # fmt: skip


def title_share(axes: Axes, column: ShareColumn) -> None:
    """Write above a slim panel what it shows, and of what it is a share."""
    axes.set_title(f"{column.title}\n({column.unit})", fontsize=6)


def draw_sides(
    panels: Sequence[Axes],
    samples: Sequence[str],
    unserved: Unserved,
    columns: Sequence[ShareColumn],
) -> None:
    """Draw the unserved shares of each sample into the slim panels beside its results."""
    for axes, column in zip(panels, columns, strict=True):
        draw_shares(axes, samples, unserved, column)
        title_share(axes, column)
        axes.tick_params(axis="y", length=0)


def side_handles(unserved: Unserved, columns: Sequence[ShareColumn]) -> list[Any]:
    """Legend of bars of shares: what their looks and the dashed line mean."""
    look: Any = {"edgecolor": BLACK, "linewidth": 0.4}
    names = {column.name for column in columns}
    handles: list[Any] = []
    if names:
        handles.append(Patch(facecolor=SHARE_COLOUR, label="share not served", **look))
    if any(names & over for over in unserved.over.values()):
        handles.append(
            Patch(facecolor=VERMILION, hatch="////", label="above the limit (!)", **look)
        )
    if any(
        unserved.value(sample, column.open_part) > 0
        for sample in unserved.rows
        for column in columns
        if column.open_part
    ):
        label = "no phenotype: left open by the genomes"
        handles.append(Patch(facecolor="#FFFFFF", hatch="....", label=label, **look))
    if any(unserved.limits[name] is not None for name in names):
        handles.append(
            Line2D([], [], color=BLACK, linestyle=(0, (3, 2)), linewidth=0.9, label="limit")
        )
    return handles


def _name_shares(strip: Axes, shares: Sequence[ShareColumn], labelled: bool) -> None:
    """Put the names of shares on the vertical axis of a strip, first on top."""
    names = [f"{column.title} ({column.unit})" for column in shares]
    strip.set_yticks(range(len(shares)), names if labelled else [""] * len(shares))
    strip.set_ylim(max(len(shares), 1) - 0.5, -0.5)
    strip.tick_params(axis="y", length=0, labelsize=7)
    strip.set_xlim(0, 1)


def draw_strip(
    strip: Axes,
    sample: str,
    unserved: Unserved,
    shares: Sequence[ShareColumn],
    labelled: bool,
) -> None:
    """Draw the unserved shares of one sample, one bar below the other."""
    for position, column in enumerate(shares):
        draw_share(strip, position, sample, unserved, column, size=6.5)
        limit = unserved.limits[column.name]
        if limit is not None:
            strip.plot(
                [limit, limit], [position - 0.5, position + 0.5], color=BLACK,
                linestyle=(0, (3, 2)), linewidth=0.9, zorder=3,
            )  # fmt: skip
    _name_shares(strip, shares, labelled)
    strip.set_xticks([])
    strip.spines["bottom"].set_visible(False)


def draw_distribution(
    strip: Axes, shares: Sequence[ShareColumn], unserved: Unserved, height: float, gap: float
) -> None:
    """Draw the unserved shares of many samples: each a point, and their median."""
    box = strip.get_position()
    share = height / (height + gap)
    strip.set_position((box.x0, box.y0 + box.height * (1 - share), box.width, box.height * share))
    for position, column in enumerate(shares):
        values = [
            (sample, value)
            for sample in unserved.rows
            if not math.isnan(value := unserved.value(sample, column.column))
        ]
        for number, (sample, value) in enumerate(values):
            over = column.name in unserved.over[sample]
            strip.plot(
                value, position + spread(number), linestyle="none", marker="o", markersize=3,
                color=VERMILION if over else BLACK,
                markerfacecolor="#FFFFFF" if over else SHARE_COLOUR,
                markeredgewidth=0.7, clip_on=False,
            )  # fmt: skip
        if values:
            tick(strip, float(np.median([v for _, v in values])), position, color=BLACK,
                  linewidth=1.6)  # fmt: skip
        limit = unserved.limits[column.name]
        if limit is not None:
            tick(strip, limit, position, color=BLACK, linestyle=(0, (3, 2)), linewidth=0.9)
    _name_shares(strip, shares, labelled=True)
    strip.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    strip.tick_params(axis="x", labelsize=7)
    strip.set_xlabel("share that the databases did not serve", fontsize=7, labelpad=1)


def plot_unserved(
    table_path: AnyPath, status_path: AnyPath, limits: Limits, outputs: Sequence[AnyPath]
) -> None:
    """Draw what the databases did not serve of each sample, share by share.

    Parameters
    ----------
    table_path
        Joined table of unserved shares.
    status_path
        Ledger.
    limits
        Limits, drawn as dashed lines.
    outputs
        PNG and SVG.
    """
    unserved = read_unserved_shares(table_path, limits)
    status = read_table(status_path, STATUS_COLUMNS)
    samples = list(dict.fromkeys(row["sample"] for row in status))
    columns = unserved.known((*BESIDE, AMBIGUOUS, HIT))
    with mpl.rc_context(STYLE):
        if not columns:
            save(message_figure("No sample had reads to search: no share to draw."), outputs)
            return
        figure, panels = panel_grid(1, len(columns), 1.15, [bar_height(len(samples)) - 0.5], 0)
        for axes, column in zip(panels[0], columns, strict=True):
            draw_shares(axes, samples, unserved, column)
            axes.set_title(f"{column.title}\n(share of {column.unit})", fontsize=7.5)
            # The panels stand close: 1 of one and 0 of the next would touch.
            first, *_, last = axes.get_xticklabels()
            first.set_ha("left")
            last.set_ha("right")
            axes.tick_params(axis="y", length=0)
        # Depth matters here: what is too rare to be seen counts as unclassified.
        label_samples(panels[0, 0], samples, sample_marks(status, "taxonomy"))
        known = [column for column in columns if column != HIT]
        handles = side_handles(unserved, known)
        if HIT in columns:
            label = "any hit: reads that the protein reference aligned, for comparison"
            handles.append(Patch(facecolor=SKY, edgecolor=BLACK, linewidth=0.4, label=label))
        figure.legend(
            handles=handles, loc="upper center", ncols=min(len(handles), 3), frameon=False,
            bbox_to_anchor=(0.5, -0.25 / figure.get_figheight()),
        )  # fmt: skip
        save(figure, outputs)
