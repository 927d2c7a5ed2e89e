"""Figures of a run: what became of the reads, species, pathways, carriers.

Beside each sample stands what the databases did not serve of it, see
`fermentome.unserved_figure`.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from fermentome.assign import UNASSIGNED
from fermentome.drawing import (
    BLACK,
    BLUE,
    GREY,
    LIGHT_GREY,
    ORANGE,
    STRIP_LINE,
    STYLE,
    VERMILION,
    AnyPath,
    Row,
    bar_height,
    below,
    grid_with_sides,
    label_samples,
    looks_of,
    message_figure,
    part_legend,
    sample_marks,
    save,
    shorten,
    spread,
    stacked_bars,
    strips_and_panels,
    tick,
)
from fermentome.evidence import COMMUNITY
from fermentome.flow import FAILED, STATUS_COLUMNS
from fermentome.tables import parse_number, read_table
from fermentome.taxonomy import UNCLASSIFIED
from fermentome.unserved import Limits
from fermentome.unserved_figure import (
    BESIDE,
    Unserved,
    draw_distribution,
    draw_sides,
    draw_strip,
    read_unserved_shares,
    side_handles,
)

CALL_MARKERS = {"present": "o", "indeterminate": "D", "absent": "x", "below_detection": "v"}
CALL_COLOURS = {
    "present": BLUE,
    "indeterminate": ORANGE,
    "absent": BLACK,
    "below_detection": GREY,
}
MOST_SAMPLES_APART = 12
"""Up to this many samples have a panel of their own; more are drawn as a distribution."""
MOST_TAXA = 12
MOST_GENERA = 6
MAIN_PRODUCTS = ("acetate", "butyrate", "propionate")
"""Drawn in the figure of carriers even where no route to them is present."""


def plot_reads(
    table_path: AnyPath,
    has_host: bool,
    outputs: Sequence[AnyPath],
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


def plot_taxa(
    table_path: AnyPath,
    status_path: AnyPath,
    unserved_path: AnyPath,
    limits: Limits,
    outputs: Sequence[AnyPath],
) -> None:
    """Draw the most abundant species of each sample, and what the databases did not serve.

    Parameters
    ----------
    table_path
        Joined table of taxa.
    status_path
        Ledger.
    unserved_path
        Joined table of unserved shares.
    limits
        Limits of these.
    outputs
        PNG and SVG.
    """
    unserved = read_unserved_shares(unserved_path, limits)
    columns = unserved.known(BESIDE)
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
        height = max(bar_height(len(samples)), 0.6 + 0.17 * (len(looks) + 4)) - 0.5
        figure, panels = grid_with_sides(5.4, [height], 0, len(columns))
        axes, *sides = panels[0]
        stacked_bars(axes, samples, shares, looks)
        draw_sides(sides, samples, unserved, columns)
        label_samples(axes, samples, sample_marks(status, "taxonomy"))
        axes.set_xlim(0, 1)
        axes.set_xlabel("relative abundance (share of cells; unclassified = not in the database)")
        axes.set_title("Species", loc="left")
        part_legend(panels[0][-1], looks, shown, side_handles(unserved, columns))
        save(figure, outputs)


def plot_pathways(
    table_path: AnyPath,
    status_path: AnyPath,
    unserved_path: AnyPath,
    limits: Limits,
    outputs: Sequence[AnyPath],
) -> None:
    """Draw the copies per genome of each pathway.

    Few samples have a panel each, with 95 % intervals and detection limits. Many samples are
    drawn as one point each per pathway, with their median. Pathways that the reference cannot
    show are left out. What the databases did not serve stands above.

    Parameters
    ----------
    table_path
        Joined table of pathways.
    status_path
        Ledger.
    unserved_path
        Joined table of unserved shares.
    limits
        Limits of these.
    outputs
        PNG and SVG.
    """
    unserved = read_unserved_shares(unserved_path, limits)
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
            marks = sample_marks(status, "pathways")
            figure = pathway_panels(rows, samples, pathways, marks, unserved)
        else:
            figure = pathway_distribution(rows, pathways, unserved)
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


def _call_legend(figure: Figure, calls: Sequence[str], limits: bool, more: Sequence[Any]) -> None:
    """Legend below the figure: the calls, and what stands in the strips."""
    handles: list[Any] = [
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
    for lines, group in enumerate(filter(None, (handles, more))):
        figure.add_artist(
            Legend(
                figure, group, [handle.get_label() for handle in group], loc="upper center",
                ncols=len(group), frameon=False,
                bbox_to_anchor=(0.5, -(0.45 + 0.2 * lines) / figure.get_figheight()),
                bbox_transform=figure.transFigure,
            )
        )  # fmt: skip


def pathway_panels(
    rows: Sequence[Row],
    samples: Sequence[str],
    pathways: Sequence[tuple[str, str]],
    marks: Mapping[str, str],
    unserved: Unserved,
) -> Figure:
    """One panel per sample: a point, an interval and a detection limit per pathway.

    Above it, a bar for each unserved share of the sample.
    """
    columns = min(len(samples), 4)
    lines = math.ceil(len(samples) / columns)
    shares = unserved.known(BESIDE)
    figure, pairs = strips_and_panels(
        lines, columns, 1.8, STRIP_LINE * len(shares), 0.2 * len(pathways) + 0.1, 0.55
    )
    place = {pathway: number for number, (_, pathway) in enumerate(pathways)}
    highest = 0.0
    for number, (strip, panel) in enumerate(pairs):
        if number >= len(samples):
            strip.set_visible(False)
            panel.set_visible(False)
            continue
        sample = samples[number]
        own = [row for row in rows if row["sample"] == sample]
        highest = max(highest, _draw_pathways(panel, own, place))
        mark = f"\n({marks[sample]})" if sample in marks else ""
        strip.set_title(shorten(sample, 24) + mark, loc="left")
        draw_strip(strip, sample, unserved, shares, labelled=number % columns == 0)
        _label_pathways(panel, pathways)
        panel.tick_params(labelleft=number % columns == 0)
        panel.tick_params(axis="x", labelbottom=number + columns >= len(samples))
    copies_axis(pairs[0][1], highest)
    below(figure, 0.35, "copies per genome equivalent (linear up to 0.1, then logarithmic)")
    _call_legend(figure, [row["call"] for row in rows], True, side_handles(unserved, shares))
    return figure


def _draw_pathways(panel: Axes, rows: Sequence[Row], place: Mapping[str, int]) -> float:
    """Draw the pathways of one sample; returns the highest number drawn."""
    highest = 0.0
    for row in rows:
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
    return highest


def pathway_distribution(
    rows: Sequence[Row], pathways: Sequence[tuple[str, str]], unserved: Unserved
) -> Figure:
    """One line per pathway: every sample a point, and their median.

    Above it, a line for each unserved share. Points of samples above a limit are hollow.
    """
    shares = unserved.known(BESIDE)
    strip_height = 0.3 * len(shares)
    gap = 0.45 if shares else 0.0
    figure, pairs = strips_and_panels(1, 1, 5, strip_height + gap, 0.3 * len(pathways), 0)
    strip, axes = pairs[0]
    if shares:
        draw_distribution(strip, shares, unserved, strip_height, gap)
    else:
        strip.set_visible(False)
    # Points are spread by a fixed pattern, so that the picture is the same each time.
    for position, (_, pathway) in enumerate(pathways):
        own = [row for row in rows if row["pathway"] == pathway]
        known = [row for row in own if row["copies_per_genome"] != "NA"]
        values = [parse_number(row["copies_per_genome"]) for row in known]
        for number, (row, value) in enumerate(zip(known, values, strict=True)):
            hollow = bool(unserved.over.get(row["sample"]))
            axes.plot(
                value, position + spread(number), linestyle="none",
                marker=CALL_MARKERS[row["call"]], color=CALL_COLOURS[row["call"]],
                markerfacecolor="#FFFFFF" if hollow else CALL_COLOURS[row["call"]],
                markersize=3, markeredgewidth=0.7, alpha=0.7,
            )  # fmt: skip
        limits = [parse_number(row["detection_limit"]) for row in known]
        if values and not all(map(math.isnan, limits)):
            tick(axes, float(np.nanmedian(limits)), position, color=VERMILION)
        if values:
            tick(axes, float(np.median(values)), position, color=BLACK, linewidth=1.6)
    _label_pathways(axes, pathways)
    copies_axis(axes, max((parse_number(r["copies_per_genome"]) for r in rows
                           if r["copies_per_genome"] != "NA"), default=0.0))  # fmt: skip
    below(
        figure,
        0.35,
        "copies per genome equivalent; black bar: median; orange bar: median detection limit",
    )
    handles = side_handles(unserved, shares)[1:] if shares else []
    if any(unserved.over.values()):
        hollow_look: Any = {"marker": "o", "color": BLACK, "markerfacecolor": "#FFFFFF"}
        handles = [h for h in handles if isinstance(h, Line2D)] + [
            Line2D([], [], linestyle="none", label="hollow: underserved sample", **hollow_look)
        ]
    _call_legend(figure, [row["call"] for row in rows], False, handles)
    return figure


def plot_carriers(
    table_path: AnyPath,
    products_path: AnyPath,
    status_path: AnyPath,
    unserved_path: AnyPath,
    limits: Limits,
    outputs: Sequence[AnyPath],
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
    unserved_path
        Joined table of unserved shares, drawn beside each sample.
    limits
        Limits of these.
    outputs
        PNG and SVG.
    """
    unserved = read_unserved_shares(unserved_path, limits)
    columns = unserved.known(BESIDE)
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
        more = side_handles(unserved, columns)
        heights[0] = max(heights[0], 0.17 * (min(9, len(copies[products[0]])) + len(more)))
        figure, panels = grid_with_sides(5, heights, 0.85, len(columns))
        marks = sample_marks(status, "pathways")
        looks = looks_of(leading_genera(copies))
        for number, product in enumerate(products):
            axes, *sides = panels[number]
            parts = _carrier_panel(axes, product, samples, copies[product], marks, looks)
            draw_sides(sides, samples, unserved, columns)
            part_legend(panels[number, -1], parts, looks, [] if number else more)
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
) -> dict[str, tuple[str, str]]:
    """Draw the carriers of one product; returns the looks of the parts that it has."""
    shares: dict[str, dict[str, float]] = defaultdict(dict)
    for genus, values in copies.items():
        part = genus if genus in genus_looks or genus == UNASSIGNED else "other genera"
        for sample, value in values.items():
            if value:
                shares[part][sample] = shares[part].get(sample, 0.0) + value
    looks = {genus: look for genus, look in genus_looks.items() if genus in shares}
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
    if not looks:
        axes.set_xlim(0, 1)
        axes.text(0.02, 0.5, "no route is called present", transform=axes.transAxes, color=GREY)
    return looks
