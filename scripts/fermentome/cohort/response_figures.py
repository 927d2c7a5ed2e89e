"""Figure of the mean responses of people to an event."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fermentome.cohort.responses import RESPONSE_COLUMNS
from fermentome.drawing import (
    BLACK,
    BLUE,
    GREY,
    MOST_HEIGHT,
    ORANGE,
    STYLE,
    message_figure,
    save,
    shown_name,
)
from fermentome.tables import parse_number, read_table

AnyPath = str | os.PathLike[str]
Row = Mapping[str, str]
LOG2 = "log2 fold change"
SHOWN_DIVERSITY = "diversity:shannon"
FIRST = ("butyrate", "propionate", "acetate")
MOST_CARRIERS = 6
"""Carriers of butyrate that are drawn, those of most people first."""
LINE, GAP, WIDTH = 0.24, 0.85, 3.2
"""Inches: a measure, what lies between two events, and the panel of fold changes."""
BESIDE, SLIM = 0.35, 1.45
"""Inches: what lies between the panels, and the panel of diversity. With the names of the measures
left of them they are as wide as a page."""
WHOLE = WIDTH + BESIDE + SLIM
LOOKS = {"during": (BLUE, "o", -0.16), "after": (ORANGE, "D", 0.16)}


def plot_responses(responses: AnyPath, outputs: Sequence[AnyPath]) -> None:
    """Draw the mean responses to each event, during and after it.

    Parameters
    ----------
    responses
        Table of `fermentome.cohort.responses.write_responses`.
    outputs
        PNG and SVG.
    """
    rows = read_table(responses, RESPONSE_COLUMNS)
    with mpl.rc_context(STYLE):
        save(_figure(rows), outputs)


def _figure(rows: Sequence[Row]) -> Figure:
    drawn = [row for row in rows if not math.isnan(_estimate(row)[0])]
    events = list(dict.fromkeys(row["event"] for row in drawn))
    if not events:
        reason = "nobody has an event with a baseline" if not rows else "too few people"
        return message_figure(f"No mean response to an event: {reason}.")
    chosen = {event: _chosen([r for r in drawn if r["event"] == event]) for event in events}
    heights = [max(3, len(measures)) * LINE for measures in chosen.values()]
    # A picture must fit into memory; what has no room is said.
    while len(heights) > 1 and sum(heights) + GAP * len(heights) > MOST_HEIGHT:
        heights.pop()
    whole = sum(heights) + GAP * (len(heights) - 1)
    figure = Figure(figsize=(WHOLE, whole))
    top = whole
    for event, height in zip(events, heights, strict=False):
        own = [row for row in drawn if row["event"] == event]
        place = (top - height) / whole, height / whole
        folds = figure.add_axes((0, place[0], WIDTH / WHOLE, place[1]))
        _draw(folds, own, [m for m in chosen[event] if m != SHOWN_DIVERSITY])
        folds.set_xlabel("log2 fold change from the own baseline")
        people = max(int(row["people"]) for row in own)
        others = max(int(row["other_people"]) for row in own)
        beside = f", beside {others} without an event" if others else ""
        folds.set_title(f"{shown_name(event, 40)}: {people} people{beside}", loc="left")
        other = figure.add_axes(((WIDTH + BESIDE) / WHOLE, place[0], SLIM / WHOLE, place[1]))
        _draw(other, own, [m for m in chosen[event] if m == SHOWN_DIVERSITY], names=False)
        other.set_xlabel("difference, nats")
        other.xaxis.set_major_locator(MaxNLocator(3))
        other.set_title("Shannon diversity", loc="left")
        top -= height + GAP
    left_out = len(events) - len(heights)
    _explain(figure, whole, left_out, all(_estimate(row)[3] for row in drawn))
    return figure


def _estimate(row: Row) -> tuple[float, float, float, bool]:
    """What is drawn: the net difference where it is known, else the people's own."""
    net = parse_number(row["net_difference"])
    if not math.isnan(net):
        return net, parse_number(row["net_low"]), parse_number(row["net_high"]), True
    low, high = parse_number(row["ci_low"]), parse_number(row["ci_high"])
    own = parse_number(row["difference"]) if not math.isnan(low) else math.nan
    return own, low, high, False


def _chosen(rows: Sequence[Row]) -> list[str]:
    """Measures that are drawn: products, then the main carriers of butyrate, and Shannon."""
    measures = list(dict.fromkeys(row["measure"] for row in rows))
    known = {row["measure"]: int(row["people_known"]) for row in rows}
    carriers = sorted(
        (m for m in measures if m.startswith("carrier:butyrate|")), key=lambda m: (-known[m], m)
    )
    return [
        *sorted((m for m in measures if m.startswith(("product:", "organisms:"))), key=_rank),
        *carriers[:MOST_CARRIERS],
        *(m for m in measures if m == SHOWN_DIVERSITY),
    ]


def _rank(measure: str) -> tuple[int, str]:
    """Butyrate, propionate and acetate come before other products."""
    name = measure.partition(":")[2]
    return (FIRST.index(name) if name in FIRST else len(FIRST)), measure


def _words(measure: str) -> tuple[str, bool]:
    """Name of a measure, and whether it is one of an organism."""
    kind, _, name = measure.partition(":")
    if kind == "carrier":
        product, _, genus = name.partition("|")
        return f"{shown_name(genus, 24)}: {product}", True
    return f"{shown_name(name, 24)}, by {'genes' if kind == 'product' else 'organisms'}", False


def _draw(axes: Axes, rows: Sequence[Row], measures: Sequence[str], names: bool = True) -> None:
    axes.axvline(0, color=GREY, linewidth=0.8)
    for place, measure in enumerate(measures):
        for row in rows:
            if row["measure"] != measure:
                continue
            value, low, high, net = _estimate(row)
            colour, shape, aside = LOOKS[row["phase"]]
            axes.plot([low, high], [place + aside] * 2, color=BLACK, linewidth=1.1, zorder=2)
            axes.plot(
                value, place + aside, marker=shape, markersize=5.5, markeredgecolor=BLACK,
                markeredgewidth=0.7, color=colour if net else "white", linestyle="", zorder=3,
            )  # fmt: skip
    words = [(text + _known(rows, m), italic) for m in measures for text, italic in [_words(m)]]
    axes.set_yticks(range(len(measures)), [text for text, _ in words] if names else [])
    for text, (_, is_organism) in zip(axes.get_yticklabels(), words, strict=False):
        text.set_fontstyle("italic" if is_organism else "normal")
    axes.set_ylim(max(len(measures), 1) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def _known(rows: Sequence[Row], measure: str) -> str:
    """Number of people behind the means of a measure, where it is not everybody."""
    own = [row for row in rows if row["measure"] == measure]
    known = sorted({int(row["people_known"]) for row in own})
    if known == [max(int(row["people"]) for row in rows)]:
        return ""
    return f" (n = {'–'.join(map(str, (known[0], known[-1])[: len(known)]))})"


def _explain(figure: Figure, whole: float, left_out: int, compared: bool) -> None:
    """What the signs mean; hollow ones only where not all are compared with others."""

    def sign(phase: str, filled: bool, text: str) -> Line2D:
        colour, shape, _ = LOOKS[phase]
        return Line2D(
            [], [], marker=shape, markersize=5.5, markeredgecolor=BLACK, markeredgewidth=0.7,
            color=colour if filled else "white", linestyle="", label=text,
        )  # fmt: skip

    hollow = [] if compared else [sign("during", False, "hollow: nobody to compare with")]
    figure.legend(
        handles=[
            sign("during", True, "during"),
            sign("after", True, "after"),
            *hollow,
            Line2D([], [], color=BLACK, linewidth=1.1, label="95 % interval over people"),
        ],
        loc="upper left", bbox_to_anchor=(-0.28, -0.52 / whole), ncols=4, frameon=False,
        columnspacing=1.2, handletextpad=0.4, borderaxespad=0,
    )  # fmt: skip
    text = (
        "Mean of people’s differences from their own baselines, less that of people without an"
        " event at the same times.\nGenetic potential, not what was made."
    )
    if left_out:
        text += f" {left_out} more events are in the table only."
    figure.text(-0.28, -0.86 / whole, text, ha="left", va="top", fontsize=6.5)
