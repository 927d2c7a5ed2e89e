"""Figures of the predictive model: performance beside its null, and what it leaned on.

Both are drawn from the tables on disk.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fermentome.cohort.model_card import INPUT_WORDS, SCHEMES
from fermentome.drawing import (
    BLACK,
    BLUE,
    GREY,
    LIGHT_GREY,
    ORANGE,
    PALETTE,
    STYLE,
    AnyPath,
    Row,
    message_figure,
    save,
    shown_name,
)
from fermentome.tables import parse_number, read_table

MOST_SHOWN = 20
"""Features in the figure of importance."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
AXIS_WORDS = {
    "auc": "Area under the ROC curve, within folds",
    "explained_share": "Explained share of the variance, out of fold",
}
NAME_WIDTH = 44


def _number(row: Row, column: str) -> float:
    return parse_number(row[column])


def _facts(tables: Mapping[str, str | os.PathLike[str]]) -> dict[str, str]:
    return {row["key"]: row["value"] for row in read_table(tables["about"])}


def _refusal(facts: Mapping[str, str]) -> Figure:
    words = f"No predictive model: {facts.get('reason', 'not asked for')}".split()
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > 70:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return message_figure("\n".join(shown_name(line, 80) for line in lines[:8]))


def plot_model(tables: Mapping[str, str | os.PathLike[str]], outputs: Sequence[AnyPath]) -> None:
    """Draw scores beside null and baselines, calibration, and the reject option.

    Parameters
    ----------
    tables
        Paths of ``about``, ``scores``, ``null``, ``calibration`` and ``reject``.
    outputs
        PNG and SVG.
    """
    facts = _facts(tables)
    with mpl.rc_context(STYLE):
        if facts.get("status") != "made":
            save(_refusal(facts), outputs)
            return
        scores = read_table(tables["scores"])
        classes = facts["task"] == "classes"
        lines = sum(row["score"] == scores[0]["score"] for row in scores)
        # Inches: the scores, and below them the two panels of probabilities.
        wide, high, below = 7.0, 0.45 * max(lines, 2), 2.75 if classes else 0.0
        whole = high + below + 0.4
        figure = Figure(figsize=(wide, whole))
        _draw_scores(
            figure.add_axes((0.2, (below + 0.4) / whole, 0.78, high / whole)),
            facts, scores, read_table(tables["null"]),
        )  # fmt: skip
        if classes:
            height = 1.75 / whole
            _draw_calibration(
                figure.add_axes((0.08, 0.45 / whole, 0.34, height)),
                read_table(tables["calibration"]),
            )
            _draw_reject(
                figure.add_axes((0.56, 0.45 / whole, 0.42, height)), read_table(tables["reject"])
            )
        save(figure, outputs)


def _draw_scores(
    axes: Axes, facts: Mapping[str, str], scores: Sequence[Row], null: Sequence[Row]
) -> None:
    """One line per scheme and inputs: null as a cloud with its range, score with its interval."""
    first = scores[0]["score"]
    shown = [row for row in scores if row["score"] == first]
    cloud: dict[tuple[str, str], list[float]] = {}
    for row in null:
        if row["score"] == first:
            cloud.setdefault((row["scheme"], row["inputs"]), []).append(_number(row, "value"))
    for place, row in enumerate(shown):
        values = np.array(cloud.get((row["scheme"], row["inputs"]), []))
        across = ((np.arange(values.size) * 0.618) % 1 - 0.5) * 0.34 + place + 0.22
        axes.plot(values, across, ".", color=GREY, alpha=0.6, markersize=3, zorder=1)
        axes.plot(
            [_number(row, "null_low"), _number(row, "null_high")], [place + 0.22] * 2,
            color=GREY, linewidth=2.2, solid_capstyle="butt", zorder=2,
        )  # fmt: skip
        axes.plot(_number(row, "null_mean"), place + 0.22, "|", color=BLACK, markersize=8, zorder=3)
        main = row["inputs"] == "features"
        value, low, high = (_number(row, name) for name in ("value", "ci_low", "ci_high"))
        axes.errorbar(
            value, place - 0.16,
            xerr=np.array([[value - low], [high - value]]).clip(0),
            fmt="D" if main else "o", color=BLUE if main else BLACK,
            markerfacecolor=BLUE if main else "white", markersize=6 if main else 4.5,
            capsize=2, linewidth=1.2, zorder=4,
        )  # fmt: skip
        axes.annotate(
            f"p = {_number(row, 'p'):.2g}", (1, place), xycoords=("axes fraction", "data"),
            ha="right", va="center", fontsize=7,
        )  # fmt: skip
    axes.axvline(0.5 if first == "auc" else 0.0, color=BLACK, linewidth=0.6, linestyle=":")
    labels = [f"{INPUT_WORDS[row['inputs']]},\n{SCHEMES[row['scheme']]}" for row in shown]
    axes.set_yticks(range(len(shown)), labels, fontsize=6.5)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    low, high = axes.get_xlim()
    # Room for the p-values at the right.
    axes.set_xlim(low, high + 0.12 * (high - low))
    axes.set_xlabel(AXIS_WORDS[first])
    levels = [key.removeprefix("level ") for key in facts if key.startswith("level ")]
    among = f" ({' or '.join(shown_name(level, 18) for level in levels)})"
    axes.set_title(
        f"{shown_name(facts['target'], 30)}{among if 1 < len(levels) < 4 else ''}:"
        f" {facts['samples']} samples of {facts['subjects']} subjects",
        loc="left",
    )
    without = "no baseline is given"
    baselines = any(row["inputs"] != "features" for row in shown)
    handles = [
        Line2D([], [], color=BLUE, marker="D", markersize=5, label="model, 95 % interval"),
        Line2D([], [], color=BLACK, marker="o" if baselines else "", markerfacecolor="white",
               markersize=4.5, linestyle="-" if baselines else "",
               label="baseline, 95 % interval" if baselines else without),
        Line2D([], [], color=GREY, linewidth=2.2,
               label=f"null, {shown[0]['permutations']} shufflings, and 95 % of them"),
    ]  # fmt: skip
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.02, 1.0), borderaxespad=2.2,
        ncols=3, frameon=False, fontsize=7,
    )  # fmt: skip


def _draw_calibration(axes: Axes, rows: Sequence[Row]) -> None:
    """Observed share against probability, subjects left out."""
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    levels = sorted({row["level"] for row in rows})
    for number, level in enumerate(levels[: len(MARKERS)]):
        own = [row for row in rows if row["level"] == level and row["scheme"] == "subject"]
        x = np.array([_number(row, "predicted") for row in own])
        y = np.array([_number(row, "observed") for row in own])
        low = np.array([_number(row, "ci_low") for row in own])
        high = np.array([_number(row, "ci_high") for row in own])
        axes.errorbar(
            x, y, yerr=[np.maximum(y - low, 0), np.maximum(high - y, 0)], color=PALETTE[number],
            marker=MARKERS[number], markersize=4, linewidth=0.9, capsize=1.5,
            label=shown_name(level, 22),
        )  # fmt: skip
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("Probability given by the model")
    axes.set_ylabel("Share observed, 95 % interval")
    left = f" ({len(levels) - len(MARKERS)} levels not drawn)" if len(levels) > len(MARKERS) else ""
    axes.set_title(f"Calibration, subjects left out{left}", loc="left", fontsize=8)
    axes.legend(
        loc="upper left", bbox_to_anchor=(-0.02, -0.27), frameon=False, fontsize=6.5, ncols=3,
        columnspacing=1.0, handletextpad=0.4, borderaxespad=0,
    )  # fmt: skip


def _draw_reject(axes: Axes, rows: Sequence[Row]) -> None:
    """Accuracy among the decided samples against their share, with its null."""
    own = [row for row in rows if row["scheme"] == "subject" and row["rule"] == "ranked"]
    x = [100 * _number(row, "coverage") for row in own]

    def column(name: str) -> list[float]:
        return [100 * _number(row, name) for row in own]

    axes.fill_between(
        x, column("null_low"), column("null_high"), facecolor=LIGHT_GREY, hatch="...",
        edgecolor=GREY, linewidth=0.3,
    )  # fmt: skip
    axes.fill_between(x, column("ci_low"), column("ci_high"), color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(x, column("accuracy"), color=BLUE, marker="D", markersize=3)
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=BLUE, marker="D", markersize=3, label="most certain, 95 % interval"),
        Patch(facecolor=LIGHT_GREY, edgecolor=GREY, hatch="...", label="null, 95 %"),
    ]
    for row in rows:
        if row["scheme"] == "subject" and row["rule"] == "trained":
            axes.plot(
                100 * _number(row, "coverage"), 100 * _number(row, "accuracy"), "*",
                color=ORANGE, markeredgecolor=BLACK, markersize=10, zorder=4,
            )  # fmt: skip
            handles.append(
                Line2D([], [], color=ORANGE, marker="*", linestyle="", markeredgecolor=BLACK,
                       markersize=8, label="limit learned in training")
            )  # fmt: skip
    axes.set_xlabel("Samples decided, %")
    axes.set_ylabel("Accuracy among them, %")
    axes.set_title("Reject option, subjects left out", loc="left", fontsize=8)
    # Below the axis: bands and line may be anywhere in the panel.
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(-0.02, -0.27), frameon=False,
        fontsize=6.5, ncols=2, columnspacing=1.0, handletextpad=0.5, borderaxespad=0,
    )  # fmt: skip


def plot_model_importance(
    tables: Mapping[str, str | os.PathLike[str]], outputs: Sequence[AnyPath]
) -> None:
    """Draw the most important features with their spread over folds.

    Parameters
    ----------
    tables
        Paths of ``about`` and ``importance``.
    outputs
        PNG and SVG.
    """
    facts = _facts(tables)
    rows = read_table(tables["importance"])
    with mpl.rc_context(STYLE):
        if facts.get("status") != "made":
            save(_refusal(facts), outputs)
        elif not rows:
            save(
                message_figure("Importance is not shown: the model is not better than its null."),
                outputs,
            )
        else:
            save(_importance_figure(facts, rows), outputs)


def _importance_figure(facts: Mapping[str, str], rows: Sequence[Row]) -> Figure:
    shown = rows[:MOST_SHOWN]
    directions = sorted({row["direction"] for row in rows})
    looks = {
        name: (PALETTE[i % len(PALETTE)], MARKERS[i % len(MARKERS)])
        for i, name in enumerate(directions)
    }
    figure = Figure(figsize=(7.0, 1.2 + 0.2 * len(shown)))
    height = figure.get_figheight()
    axes = figure.add_axes((0.42, 0.55 / height, 0.56, (height - 1.05) / height))
    for place, row in enumerate(shown):
        colour, marker = looks[row["direction"]]
        axes.plot(
            [_number(row, "lowest"), _number(row, "highest")], [place] * 2, color=GREY,
            linewidth=1.6, zorder=1,
        )  # fmt: skip
        axes.plot(
            _number(row, "importance"), place, marker, color=colour, markeredgecolor=BLACK,
            markeredgewidth=0.5, markersize=6, zorder=2,
        )  # fmt: skip
        axes.annotate(
            f"{row['folds_positive']}/{facts['importance_folds']}",
            (1, place), xycoords=("axes fraction", "data"), ha="right", va="center", fontsize=6.5,
        )  # fmt: skip
    axes.axvline(0, color=BLACK, linewidth=0.6, linestyle=":")
    axes.set_yticks(range(len(shown)), [_label(row, rows) for row in shown], fontsize=7)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high + 0.1 * (high - low))
    loss = "log loss (nats)" if facts["task"] == "classes" else "squared error"
    axes.set_xlabel(f"Rise of the held-out {loss} when shuffled\nmean and range over folds")
    same = facts["importance_stability"]
    title = f"{len(shown)} of {len(rows)} features; right: folds in which it helped."
    if same != "NA":
        title += (
            f" Sameness of the top {facts['importance_top']} between folds"
            f" (1 all, 0 chance): {same}"
        )
    axes.set_title(title, loc="left", fontsize=8, x=-0.7)
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", markeredgecolor=BLACK,
               markeredgewidth=0.5, label=f"more: {shown_name(name, 24)}")
        for name, (colour, marker) in list(looks.items())[:8]
    ]  # fmt: skip
    axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(0.92, 0.02), fontsize=7,
                frameon=True, edgecolor=LIGHT_GREY)  # fmt: skip
    return figure


def _label(row: Row, rows: Sequence[Row]) -> str:
    """Last part of a lineage that says something, with its table where there are several."""
    parts = [part for part in row["feature"].replace("|", ";").split(";") if part.strip(" _")]
    name = parts[-1].strip() if parts and "__" in row["feature"] else row["feature"]
    if len({other["table"] for other in rows}) > 1:
        name = f"{name} [{row['table']}]"
    return shown_name(name, NAME_WIDTH)
