"""What the figures have in common: looks, panels put in place by inches, names of samples.

Colours are those of Okabe & Ito (2008, https://jfly.uni-koeln.de/color/), which people with
colour vision deficiency can tell apart; hatching and marker shapes say the same in black and
white. The same tables give the same bytes.
"""

import os
import re
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fermentome.flow import DATABASES, EMPTY, FAILED, LOW_DEPTH, UNDERSERVED

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, LIGHT_GREY = "#999999", "#DDDDDD"
SHARE_COLOUR = "#BBBBBB"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW)
HATCHES = ("", "///", "...", "\\\\\\", "xx", "--", "++", "oo", "||", "**")
MOST_HEIGHT = 20.0
"""Inches; a picture must fit into memory whatever the number of samples."""
MOST_NAME = 28
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "savefig.dpi": 200,
    "svg.hashsalt": "fermentome",
    "svg.fonttype": "none",
    "text.parse_math": False,
}
"""``text.parse_math`` is off because a name with two dollar signs is a name, not a formula."""
Row = Mapping[str, str]
AnyPath = str | os.PathLike[str]
SIDE_WIDTH, SIDE_GAP = 0.62, 0.2
"""Inches."""


def shorten(name: str, width: int = MOST_NAME) -> str:
    """Name of at most `width` characters, cut in the middle: names often differ at their ends.

    >>> shorten("sample_of_a_long_project_L001", 16)
    'sampl…oject_L001'
    """
    if len(name) <= width:
        return name
    tail = (2 * width) // 3
    return name[: width - 1 - tail] + "…" + name[-tail:]


@lru_cache(maxsize=1)
def glyphs() -> frozenset[int]:
    """Characters that the font of the figures has."""
    family = STYLE["font.family"]
    return frozenset(font_manager.get_font(font_manager.findfont(family)).get_charmap())


def shown_name(text: str, width: int = MOST_NAME) -> str:
    """Text of at most `width` characters that the font can show.

    Names of people, events and features are free text. Marks of direction and the like are
    dropped, since they would turn what stands beside them; what has no glyph becomes a question
    mark in a lozenge.

    >>> shown_name("a\u202eb\U0001f9d1", 10)
    'ab\ufffd'
    """
    plain = "".join(c for c in text if unicodedata.category(c) not in {"Cc", "Cf"})
    return shorten("".join(c if ord(c) in glyphs() else "\ufffd" for c in plain), width)


def thousands(text: str) -> str:
    """Text whose long numbers are grouped.

    >>> thousands("taxa in 1000000 reads")
    'taxa in 1,000,000 reads'
    """
    return re.sub(r"(?<![\d.])\d{5,}(?![\d.])", lambda found: f"{int(found[0]):,}", text)


def save(figure: Figure, outputs: Sequence[AnyPath]) -> None:
    """Write a figure to PNG and SVG, free of dates.

    A sign that the font lacks, as an emoji in a name, is drawn as a box.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing from font", category=UserWarning
        )
        for path in outputs:
            dated = {"Date": None} if os.fspath(path).endswith(".svg") else {"Software": None}
            figure.savefig(path, metadata=dated, bbox_inches="tight", pad_inches=0.08)


def panel_grid(
    lines: int, columns: int, width: float, heights: Sequence[float], between: float
) -> tuple[Figure, Any]:
    """Figure of panels of given sizes, inches, whose labels lie around it.

    Matplotlib's own layout solvers differ in the last digits from run to run, so the panels
    are put in place here, and what lies around them is kept when the figure is saved.

    Parameters
    ----------
    between
        Height left between two lines of panels, for titles and axes.

    Returns
    -------
    figure, panels
        The panels as an array of shape (lines, columns); lines share axes where there are
        several columns.
    """
    total = sum(heights) + between * (lines - 1)
    figure = Figure(figsize=(columns * width + 0.12 * (columns - 1), total))
    panels = figure.subplots(
        lines, columns, sharex=columns > 1 or lines == 1, sharey=columns > 1, squeeze=False,
        gridspec_kw={
            "left": 0, "right": 1, "bottom": 0, "top": 1,
            "wspace": 0.12 / width, "hspace": between / (sum(heights) / lines),
            "height_ratios": list(heights),
        },
    )  # fmt: skip
    return figure, panels


def below(figure: Figure, distance: float, text: str) -> None:
    """Write a line of text `distance` inches below the panels of a figure."""
    figure.text(0.5, -distance / figure.get_figheight(), text, ha="center", va="center")


def message_figure(text: str) -> Figure:
    """Figure that says why there is nothing to draw."""
    figure = Figure(figsize=(5, 1.2))
    figure.text(0.5, 0.5, text, ha="center", va="center")
    return figure


def sample_marks(status: Sequence[Row], stage: str) -> dict[str, str]:
    """Marks of each sample that is not plainly ok at a stage, to stand behind its name.

    A sample of which the databases know too little is marked at every stage, also where the
    configuration lets the run fail for it: its results are there.
    """
    words = {EMPTY: "empty", FAILED: "failed", LOW_DEPTH: "low depth", UNDERSERVED: "underserved"}
    failed = {
        row["sample"] for row in status if row["status"] == FAILED and row["stage"] != DATABASES
    }
    marks: dict[str, list[str]] = defaultdict(list)
    for row in status:
        sample, word = row["sample"], words.get(row["status"], "")
        if row["stage"] == DATABASES and word == words[FAILED] and sample not in failed:
            word = words[UNDERSERVED]
        if row["stage"] in {stage, DATABASES} and word and word not in marks[sample]:
            marks[sample].append(word)
    return {sample: ", ".join(own) for sample, own in marks.items() if own}


def bar_height(samples: int) -> float:
    """Height, inches, of a figure with one horizontal bar per sample, at most `MOST_HEIGHT`."""
    return 1.1 + min(0.26 * max(samples, 2), MOST_HEIGHT)


def label_samples(axes: Axes, samples: Sequence[str], marks: Mapping[str, str]) -> None:
    """Put the names of samples, with their marks, on the vertical axis, first on top."""
    names = [
        shorten(sample) + (f" ({marks[sample]})" if sample in marks else "") for sample in samples
    ]
    # Bars that are too thin for their names keep their order, which is that of the tables.
    size = min(8.0, 72 * MOST_HEIGHT / max(len(samples), 1))
    axes.set_yticks(range(len(samples)), names if size >= 3 else [""] * len(samples))
    axes.set_ylim(len(samples) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelsize=size)


def grid_with_sides(
    width: float, heights: Sequence[float], between: float, sides: int
) -> tuple[Figure, Any]:
    """Figure of wide panels, one below the other, each with slim ones to its right.

    Parameters
    ----------
    width, heights
        Of the wide panels, inches.
    between
        Height left between two lines.
    sides
        Number of slim panels.

    Returns
    -------
    figure, panels
        The panels as an array of shape (lines, 1 + sides); a line shares its vertical axis.
    """
    columns = 1 + sides
    whole = width + sides * (SIDE_WIDTH + SIDE_GAP)
    mean_width = (width + sides * SIDE_WIDTH) / columns
    figure = Figure(figsize=(whole, sum(heights) + between * (len(heights) - 1)))
    panels = figure.subplots(
        len(heights), columns, sharey="row", squeeze=False,
        gridspec_kw={
            "left": 0, "right": 1, "bottom": 0, "top": 1,
            "wspace": SIDE_GAP / mean_width,
            "hspace": between / (sum(heights) / len(heights)),
            "height_ratios": list(heights),
            "width_ratios": [width] + [SIDE_WIDTH] * sides,
        },
    )  # fmt: skip
    return figure, panels


def stacked_bars(
    axes: Axes,
    samples: Sequence[str],
    shares: Mapping[str, Mapping[str, float]],
    looks: Mapping[str, tuple[str, str]],
) -> None:
    """Horizontal stacked bars.

    Parameters
    ----------
    shares
        By part, then by sample.
    looks
        Colour and hatch of each part, in the order of drawing.
    """
    left = np.zeros(len(samples))
    for part, (colour, hatch) in looks.items():
        values = np.array([shares[part].get(sample, 0.0) for sample in samples])
        axes.barh(
            range(len(samples)), values, left=left, color=colour, hatch=hatch,
            edgecolor=BLACK, linewidth=0.4, label=shorten(part, 40),
        )  # fmt: skip
        left += values


def looks_of(parts: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A colour and a hatch for each part; no two parts share both."""
    return {
        part: (PALETTE[i % len(PALETTE)], HATCHES[(i + i // len(PALETTE)) % len(HATCHES)])
        for i, part in enumerate(parts)
    }


def part_legend(
    axes: Axes,
    looks: Mapping[str, tuple[str, str]],
    names: Collection[str],
    more: Sequence[Any],
) -> None:
    """Legend of stacked parts, right of a panel; names of organisms in italics."""
    handles = [
        Patch(
            facecolor=colour, hatch=hatch, edgecolor=BLACK, linewidth=0.4, label=shorten(part, 40)
        )
        for part, (colour, hatch) in looks.items()
    ]
    legend = axes.legend(
        handles=[*handles, *more], loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False
    )
    for text, part in zip(legend.get_texts(), looks, strict=False):
        text.set_fontstyle("italic" if part in names else "normal")


STRIP_LINE, STRIP_GAP = 0.16, 0.09
"""Inches: a line of a strip of shares, and what lies between strip and panel."""


def strips_and_panels(
    lines: int, columns: int, width: float, strip: float, height: float, between: float
) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Figure of panels that share their axes, each below a strip; both put in place by inches.

    Parameters
    ----------
    strip, height
        Of a strip and of a panel.
    between
        Height left between two lines, for titles.

    Returns
    -------
    figure, pairs
        Strip and panel, line by line.
    """
    one = strip + STRIP_GAP + height
    whole_width = columns * width + SIDE_GAP * (columns - 1)
    whole_height = lines * one + between * (lines - 1)
    figure = Figure(figsize=(whole_width, whole_height))
    pairs: list[tuple[Axes, Axes]] = []
    for number in range(lines * columns):
        line, column = divmod(number, columns)
        left = column * (width + SIDE_GAP) / whole_width
        bottom = (lines - 1 - line) * (one + between) / whole_height
        size = width / whole_width, height / whole_height
        first = pairs[0][1] if pairs else None
        panel = figure.add_axes((left, bottom, *size), sharex=first, sharey=first)
        lower = bottom + (height + STRIP_GAP) / whole_height
        pairs.append((figure.add_axes((left, lower, size[0], strip / whole_height)), panel))
    return figure, pairs


def spread(number: int) -> float:
    """Place of a point across its line, -0.25 to 0.25."""
    return ((number * 0.618) % 1 - 0.5) * 0.5


def tick(axes: Axes, value: float, position: float, **look: Any) -> None:
    """Draw a short vertical line at a value, across its line of a panel."""
    axes.plot([value] * 2, [position - 0.35, position + 0.35], **look)
