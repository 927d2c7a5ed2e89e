"""Figures of a run: what became of the reads, species, pathways, carriers.

Colours are those of Okabe & Ito (2008, https://jfly.uni-koeln.de/color/), which people with
colour vision deficiency can tell apart; hatching and marker shapes say the same in black and
white. The same tables give the same bytes.
"""

import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fermentome.assign import UNASSIGNED
from fermentome.evidence import COMMUNITY
from fermentome.flow import EMPTY, FAILED, LOW_DEPTH, STATUS_COLUMNS
from fermentome.tables import parse_number, read_table
from fermentome.taxonomy import UNCLASSIFIED

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, LIGHT_GREY = "#999999", "#DDDDDD"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW)
HATCHES = ("", "///", "...", "\\\\\\", "xx", "--", "++", "oo", "||", "**")
CALL_MARKERS = {"present": "o", "indeterminate": "D", "absent": "x", "below_detection": "v"}
CALL_COLOURS = {
    "present": BLUE,
    "indeterminate": ORANGE,
    "absent": BLACK,
    "below_detection": GREY,
}

MOST_SAMPLES_APART = 12
"""Up to this many samples have a panel of their own; more are drawn as a distribution."""
MOST_HEIGHT = 20.0
"""Inches; a picture must fit into memory whatever the number of samples."""
MOST_TAXA = 12
MOST_GENERA = 6
MOST_NAME = 28
MAIN_PRODUCTS = ("acetate", "butyrate", "propionate")
"""Drawn in the figure of carriers even where no route to them is present."""

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


def shorten(name: str, width: int = MOST_NAME) -> str:
    """Name of at most `width` characters, cut in the middle: names often differ at their ends.

    >>> shorten("sample_of_a_long_project_L001", 16)
    'sampl…oject_L001'
    """
    if len(name) <= width:
        return name
    tail = (2 * width) // 3
    return name[: width - 1 - tail] + "…" + name[-tail:]


def save(figure: Figure, outputs: Sequence[str | os.PathLike[str]]) -> None:
    """Write a figure to PNG and SVG, free of dates."""
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
    """Mark of each sample that is not plainly ok at a stage, to stand behind its name."""
    words = {EMPTY: "empty", FAILED: "failed", LOW_DEPTH: "low depth"}
    return {
        row["sample"]: words[row["status"]]
        for row in status
        if row["stage"] == stage and row["status"] in words
    }


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


def plot_reads(
    table_path: str | os.PathLike[str],
    has_host: bool,
    outputs: Sequence[str | os.PathLike[str]],
) -> None:
    """Draw the reads of each sample: trimmed away, of the host, clean.

    Parameters
    ----------
    table_path
        Joined table of reads.
    has_host
        Whether host reads were looked for.
    outputs
        PNG and SVG.
    """
    rows = read_table(table_path)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, bar_height(len(rows))))
        axes = figure.subplots()
        raw = np.array([parse_number(row["raw_reads"]) for row in rows])
        parts = {
            "clean": np.array([parse_number(row["clean_reads"]) for row in rows]),
            "host, removed": np.array([parse_number(row["host_reads"]) for row in rows]),
        }
        parts["trimmed away"] = raw - parts["clean"] - parts["host, removed"]
        if not has_host:
            del parts["host, removed"]
        looks = {
            "clean": (BLUE, ""),
            "host, removed": (ORANGE, "///"),
            "trimmed away": (LIGHT_GREY, "..."),
        }
        left = np.zeros(len(rows))
        for name, values in parts.items():
            counts = np.nan_to_num(values)
            colour, hatch = looks[name]
            axes.barh(
                range(len(rows)), counts, left=left, color=colour, hatch=hatch,
                edgecolor=BLACK, linewidth=0.4, label=name,
            )  # fmt: skip
            left += counts
        for position, row in enumerate(rows):
            if row["status"] == FAILED:
                axes.text(0, position, " failed: see status.tsv", va="center")
        label_samples(
            axes,
            [row["sample"] for row in rows],
            {r["sample"]: r["status"] for r in rows if r["status"] != "ok"},
        )
        axes.set_xlim(left=0)
        axes.set_xlabel("reads (mates counted singly)")
        axes.xaxis.set_major_formatter(mpl.ticker.EngFormatter())
        note = "" if has_host else "; host reads were not looked for"
        axes.set_title(f"Reads through the stages{note}", loc="left")
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
        save(figure, outputs)


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


def plot_taxa(
    table_path: str | os.PathLike[str],
    status_path: str | os.PathLike[str],
    outputs: Sequence[str | os.PathLike[str]],
) -> None:
    """Draw the most abundant species of each sample and the unclassified share.

    Parameters
    ----------
    table_path
        Joined table of taxa.
    status_path
        Ledger.
    outputs
        PNG and SVG.
    """
    rows = read_table(table_path)
    status = read_table(status_path, STATUS_COLUMNS)
    samples = list(dict.fromkeys(row["sample"] for row in status))
    shares: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        value = parse_number(row["relative_abundance"])
        if not math.isnan(value):
            shares[row["taxon"]][row["sample"]] = value
    species = sorted(
        shares.keys() - {UNCLASSIFIED}, key=lambda name: (-sum(shares[name].values()), name)
    )
    shown, rest = species[:MOST_TAXA], species[MOST_TAXA:]
    for name in rest:
        for sample, value in shares[name].items():
            shares["other species"][sample] = shares["other species"].get(sample, 0.0) + value
    looks = looks_of(shown)
    if rest:
        looks["other species"] = (GREY, "")
    looks[UNCLASSIFIED] = ("#FFFFFF", "")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, max(bar_height(len(samples)), 0.6 + 0.17 * len(looks))))
        axes = figure.subplots()
        stacked_bars(axes, samples, shares, looks)
        label_samples(axes, samples, sample_marks(status, "taxonomy"))
        axes.set_xlim(0, 1)
        axes.set_xlabel("relative abundance (share of cells; unclassified = not in the database)")
        axes.set_title("Species", loc="left")
        legend = axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
        for text, part in zip(legend.get_texts(), looks, strict=True):
            text.set_fontstyle("italic" if part in shown else "normal")
        save(figure, outputs)


def plot_pathways(
    table_path: str | os.PathLike[str],
    status_path: str | os.PathLike[str],
    outputs: Sequence[str | os.PathLike[str]],
) -> None:
    """Draw the copies per genome of each pathway.

    Few samples have a panel each, with 95 % intervals and detection limits. Many samples are
    drawn as one point each per pathway, with their median. Pathways that the reference cannot
    show are left out.

    Parameters
    ----------
    table_path
        Joined table of pathways.
    status_path
        Ledger.
    outputs
        PNG and SVG.
    """
    status = read_table(status_path, STATUS_COLUMNS)
    rows = [row for row in read_table(table_path) if row["taxon"] == COMMUNITY]
    samples = list(dict.fromkeys(row["sample"] for row in status))
    # A route whose markers the reference lacks has no number in any sample.
    served = {row["pathway"] for row in rows if row["detection_limit"] != "NA"}
    pathways = sorted(
        {
            (product_label(row), row["pathway"])
            for row in rows
            if row["pathway"] in served or not served
        }
    )
    rows = [row for row in rows if row["pathway"] in {pathway for _, pathway in pathways}]
    with mpl.rc_context(STYLE):
        if not pathways:
            figure = message_figure("No sample had reads to search: no pathway to draw.")
        elif len(samples) <= MOST_SAMPLES_APART:
            figure = pathway_panels(rows, samples, pathways, sample_marks(status, "pathways"))
        else:
            figure = pathway_distribution(rows, pathways)
        save(figure, outputs)


def product_label(row: Row) -> str:
    """Product of a pathway, marked where the pathway uses it up or runs both ways."""
    marks = {"consumption": " used", "both": " to and fro"}
    return row["product"] + marks.get(row["direction"], "")


def copies_axis(axes: Axes, highest: float) -> None:
    """Scale the horizontal axis for copies per genome: linear up to 0.1, then logarithmic."""
    right = max(highest * 1.15, 1.0)
    axes.set_xscale("symlog", linthresh=0.1, linscale=0.6)
    axes.set_xlim(-0.01, right)
    ticks = [tick for tick in (0, 0.1, 1, 10, 100) if tick <= right]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])


def _label_pathways(axes: Axes, pathways: Sequence[tuple[str, str]]) -> None:
    names = [f"{pathway}  ({product})" for product, pathway in pathways]
    axes.set_yticks(range(len(pathways)), names)
    axes.set_ylim(len(pathways) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    products = [product for product, _ in pathways]
    for position in range(1, len(products)):
        if products[position] != products[position - 1]:
            axes.axhline(position - 0.5, color=GREY, linewidth=0.6)


def _call_legend(figure: Figure, calls: Sequence[str], limits: bool) -> None:
    handles = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker=CALL_MARKERS[call],
            color=CALL_COLOURS[call],
            label=call.replace("_", " "),
        )  # fmt: skip
        for call in CALL_MARKERS
        if call in calls
    ]
    if limits:
        handles.append(Line2D([], [], color=BLACK, linewidth=1, label="95 % interval"))
        handles.append(
            Line2D([], [], linestyle="none", marker="|", color=VERMILION, label="detection limit")
        )
    figure.legend(
        handles=handles, loc="upper center", ncols=len(handles), frameon=False,
        bbox_to_anchor=(0.5, -0.45 / figure.get_figheight()),
    )  # fmt: skip


def pathway_panels(
    rows: Sequence[Row],
    samples: Sequence[str],
    pathways: Sequence[tuple[str, str]],
    marks: Mapping[str, str],
) -> Figure:
    """One panel per sample: a point, an interval and a detection limit per pathway."""
    columns = min(len(samples), 4)
    lines = math.ceil(len(samples) / columns)
    height = 0.2 * len(pathways) + 0.1
    figure, grid = panel_grid(lines, columns, 1.8, [height] * lines, between=0.55)
    place = {pathway: number for number, (_, pathway) in enumerate(pathways)}
    highest = 0.0
    for panel, sample in zip(grid.flat, samples, strict=False):
        own = [row for row in rows if row["sample"] == sample]
        for row in own:
            position = place[row["pathway"]]
            value, low, high, limit = (
                parse_number(row[column])
                for column in ("copies_per_genome", "ci_low", "ci_high", "detection_limit")
            )
            if math.isnan(value):
                panel.text(0.02, position, "NA", va="center", color=GREY)
                continue
            call = row["call"]
            panel.plot([low, high], [position, position], color=BLACK, linewidth=1)
            panel.plot(
                value, position, linestyle="none", marker=CALL_MARKERS[call],
                color=CALL_COLOURS[call], markersize=4.5,
            )  # fmt: skip
            panel.plot(limit, position, linestyle="none", marker="|", color=VERMILION, markersize=8)
            highest = max(highest, high, 0.0 if math.isnan(limit) else limit)
        mark = f"\n({marks[sample]})" if sample in marks else ""
        panel.set_title(shorten(sample, 24) + mark, loc="left")
        _label_pathways(panel, pathways)
    for panel in grid.flat[len(samples) :]:
        panel.set_visible(False)
    copies_axis(grid.flat[0], highest)
    below(figure, 0.35, "copies per genome equivalent (linear up to 0.1, then logarithmic)")
    _call_legend(figure, [row["call"] for row in rows], limits=True)
    return figure


def pathway_distribution(rows: Sequence[Row], pathways: Sequence[tuple[str, str]]) -> Figure:
    """One line per pathway: every sample a point, and their median."""
    figure, grid = panel_grid(1, 1, 5, [0.3 * len(pathways)], between=0)
    axes = grid[0, 0]
    # Points are spread by a fixed pattern, so that the picture is the same each time.
    for position, (_, pathway) in enumerate(pathways):
        own = [row for row in rows if row["pathway"] == pathway]
        known = [row for row in own if row["copies_per_genome"] != "NA"]
        values = [parse_number(row["copies_per_genome"]) for row in known]
        for number, (row, value) in enumerate(zip(known, values, strict=True)):
            offset = ((number * 0.618) % 1 - 0.5) * 0.5
            axes.plot(
                value, position + offset, linestyle="none", marker=CALL_MARKERS[row["call"]],
                color=CALL_COLOURS[row["call"]], markersize=3, alpha=0.7,
            )  # fmt: skip
        limits = [parse_number(row["detection_limit"]) for row in known]
        if values and not all(map(math.isnan, limits)):
            typical = float(np.nanmedian(limits))
            axes.plot([typical] * 2, [position - 0.35, position + 0.35], color=VERMILION)
        if values:
            middle = float(np.median(values))
            axes.plot([middle] * 2, [position - 0.35, position + 0.35], color=BLACK, linewidth=1.6)
    _label_pathways(axes, pathways)
    copies_axis(axes, max((parse_number(r["copies_per_genome"]) for r in rows
                           if r["copies_per_genome"] != "NA"), default=0.0))  # fmt: skip
    below(
        figure,
        0.35,
        "copies per genome equivalent; black bar: median; orange bar: median detection limit",
    )
    _call_legend(figure, [row["call"] for row in rows], limits=False)
    return figure


def plot_carriers(
    table_path: str | os.PathLike[str],
    products_path: str | os.PathLike[str],
    status_path: str | os.PathLike[str],
    outputs: Sequence[str | os.PathLike[str]],
) -> None:
    """Draw which genera carry the routes to each product.

    One panel per product; a bar is the sum over the routes that form it and are called present.
    Of products other than the short-chain fatty acids those without such a route have no panel.

    Parameters
    ----------
    table_path
        Joined table of pathways.
    products_path
        Joined table of products.
    status_path
        Ledger.
    outputs
        PNG and SVG.
    """
    rows = [row for row in read_table(table_path) if row["direction"] == "formation"]
    status = read_table(status_path, STATUS_COLUMNS)
    samples = list(dict.fromkeys(row["sample"] for row in status))
    present = {
        (row["sample"], row["pathway"])
        for row in rows
        if row["taxon"] == COMMUNITY and row["call"] == "present"
    }
    totals = {(row["sample"], row["product"]): row for row in read_table(products_path)}
    copies: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        panel = copies.setdefault(row["product"], defaultdict(dict))
        value = parse_number(row["copies_per_genome"])
        if row["taxon"] == COMMUNITY or (row["sample"], row["pathway"]) not in present:
            continue
        if not math.isnan(value):
            sums = panel[row["taxon"]]
            sums[row["sample"]] = sums.get(row["sample"], 0.0) + value
    copies = {
        product: genera
        for product, genera in copies.items()
        if product in MAIN_PRODUCTS or any(map(bool, genera.values()))
    }
    with mpl.rc_context(STYLE):
        if not copies:
            save(message_figure("No sample had reads to search: no carrier to draw."), outputs)
            return
        products = sorted(copies)
        bars = bar_height(len(samples))
        heights = [max(bars - 0.8, 0.17 * min(9, len(copies[name]))) for name in products]
        _, panels = panel_grid(len(copies), 1, 5, heights, between=0.75)
        figure = panels[0, 0].figure
        marks = sample_marks(status, "pathways")
        looks = looks_of(leading_genera(copies))
        for axes, product in zip(panels.flat, products, strict=True):
            _carrier_panel(axes, product, samples, copies[product], marks, looks)
            for position, sample in enumerate(samples):
                if (sample, product) in totals:
                    _draw_total(axes, position, totals[sample, product])
            if axes.dataLim.x1 > 0:
                axes.set_xlim(left=0, right=1.04 * axes.dataLim.x1)
        save(figure, outputs)


def leading_genera(copies: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """Genera that are named in the figure of carriers, the most abundant first.

    Parameters
    ----------
    copies
        By product, genus and sample.
    """
    leading: dict[str, float] = {}
    for shares in copies.values():
        totals = {genus: sum(values.values()) for genus, values in shares.items()}
        totals.pop(UNASSIGNED, None)
        ranked = sorted((name for name in totals if totals[name]), key=lambda n: (-totals[n], n))
        for genus in ranked[:MOST_GENERA]:
            leading[genus] = leading.get(genus, 0.0) + totals[genus]
    return sorted(leading, key=lambda name: (-leading[name], name))


def _draw_total(axes: Axes, position: int, total: Row) -> None:
    """Draw the interval of a bar's total, or NA where it could not be estimated."""
    value, low, high = (
        parse_number(total[column]) for column in ("copies_per_genome", "ci_low", "ci_high")
    )
    if math.isnan(value):
        axes.text(0, position, " NA", va="center", color=GREY)
    elif value:
        axes.plot([low, high], [position, position], color=BLACK, linewidth=1.2)
        axes.plot(
            [low, high], [position, position], color=BLACK, linestyle="none", marker="|",
            markersize=5,
        )  # fmt: skip


def _carrier_panel(
    axes: Axes,
    product: str,
    samples: Sequence[str],
    copies: Mapping[str, Mapping[str, float]],
    marks: Mapping[str, str],
    genus_looks: Mapping[str, tuple[str, str]],
) -> None:
    shares: dict[str, dict[str, float]] = defaultdict(dict)
    for genus, values in copies.items():
        part = genus if genus in genus_looks or genus == UNASSIGNED else "other genera"
        for sample, value in values.items():
            if value:
                shares[part][sample] = shares[part].get(sample, 0.0) + value
    looks = {genus: look for genus, look in genus_looks.items() if genus in shares}
    shown = set(looks)
    if "other genera" in shares:
        looks["other genera"] = (GREY, "")
    if UNASSIGNED in shares:
        looks[UNASSIGNED] = ("#FFFFFF", "")
    stacked_bars(axes, samples, shares, looks)
    label_samples(axes, samples, marks)
    axes.set_title(f"{product}: carriers of the routes that are present", loc="left")
    axes.set_xlabel(
        "copies per genome equivalent, summed over routes; line: 95 % interval of the sum"
    )
    if looks:
        handles = [
            Patch(facecolor=colour, hatch=hatch, edgecolor=BLACK, linewidth=0.4, label=name)
            for name, (colour, hatch) in looks.items()
        ]
        legend = axes.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False
        )
        for text, name in zip(legend.get_texts(), looks, strict=True):
            text.set_fontstyle("italic" if name in shown else "normal")
    else:
        axes.set_xlim(0, 1)
        axes.text(0.02, 0.5, "no route is called present", transform=axes.transAxes, color=GREY)
