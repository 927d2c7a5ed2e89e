"""Judge the assignment of single reads to families: recall and precision by read length.

    python benchmarks/accuracy/reads.py [--data DIR] [--reference DIR] [--work DIR] [--out DIR]
                                        [--threads N] [--quick]

Reads of known origin (``../calibration/harness.py``) are searched as the workflow searches them,
hits to relatives of their gene are dropped, and what is left is given to families by
``fermentome.assign`` with the thresholds of the catalogue. Writes ``reads.tsv``, ``reads.png``
and ``reads.md``.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "benchmarks" / "calibration"))

import evaluation  # noqa: E402  (needs the paths above)
import harness  # noqa: E402
import numpy as np  # noqa: E402
import yaml  # noqa: E402
from evaluation import AMBIGUOUS, NONE, Genome, Genomic, Recall, Truth  # noqa: E402
from harness import Bench, BenchmarkError, Ints, Scores  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402

from fermentome import figures  # noqa: E402
from fermentome.assign import choose_families  # noqa: E402
from fermentome.tables import write_table  # noqa: E402

COLUMNS = [
    "family", "tier", "read_length", "removed_identity", "members", "sources",
    "sources_with_relatives", "reads", "recall", "recall_low", "recall_high",
    "recall_with_relatives", "carriers", "precision", "precision_low", "precision_all_genomes",
    "fp_per_mb", "doubtful_per_mb", "false_from_decoys", "false_from_targets",
    "false_from_other_genes", "reason",
]  # fmt: skip

JUDGED_TIERS = ("A", "B")
LEAST_RECALL, MEDIAN_RECALL, LEAST_PRECISION = 0.85, 0.95, 0.99
JUDGED_LENGTH, JUDGED_REMOVAL = 100, 70
FEW_MEMBERS = 10
FEWEST_READS_OF_UNIT = 3
SHARE_WORTH_NAMING = 0.05
LEFT_EDGE = 2e-3
"""Reads per Mb at which a family without false reads is drawn."""


@dataclass(frozen=True)
class Loss:
    """Why reads of one family were not given to it, as shares of its reads."""

    no_hit: float
    below: float
    taken: Mapping[str, float]


@dataclass(frozen=True)
class Result:
    """One family at one read length with one removal."""

    family: str
    tier: str
    length: int
    removal: int
    members: int
    recall: Recall | None
    related: int
    recall_related: float | None
    genomic: Genomic
    precision: float | None
    precision_low: float | None
    precision_all: float | None
    reason: str


def assign(bench: Bench, scores: Scores, removal: int, length: int) -> Ints:
    """Family of each read with hits, by the code and the thresholds of the workflow."""
    names = bench.proteins.families
    rules = [bench.catalogue.acceptance(name) for name in names]
    covers = {rule.min_query_cover for rule in rules}
    if covers != {harness.MIN_COVER}:
        raise BenchmarkError(
            f"min_query_cover in families.yaml: {sorted(covers)}; this benchmark keeps one best"
            f" score per family at {harness.MIN_COVER} and must be extended for another"
        )
    least = np.array([np.ceil(10 * rule.min_bits_at(length) - 1e-6) for rule in rules])
    tenths = scores.tenths[removal]
    kept = np.where(tenths >= least, tenths, 0)
    number = {name: place for place, name in enumerate(names)}
    chosen = np.full(len(kept), NONE)
    for row in np.flatnonzero(kept.any(axis=1)):
        found = np.flatnonzero(kept[row])
        if len(found) == 1:
            chosen[row] = found[0]
            continue
        best = choose_families({names[k]: kept[row, k] / 10 for k in found}, bench.catalogue)
        one_group = len(best) == 1 or bench.catalogue.same_merge_group(*best)
        chosen[row] = number[best[0]] if one_group else AMBIGUOUS
    return chosen


def losses(
    chosen: Ints, rows: Ints, family: int, removal: int, scores: Scores, names: Sequence[str]
) -> Loss:
    """Where the reads `rows` of a family went."""
    has_hit = np.zeros(len(chosen), dtype=bool)
    has_hit[scores.rows] = scores.tenths[removal][:, family] > 0
    lost = rows[chosen[rows] != family]
    total = max(1, len(rows))
    unassigned = lost[chosen[lost] == NONE]
    taken = Counter(
        "ambiguous" if chosen[row] == AMBIGUOUS else names[chosen[row]]
        for row in lost
        if chosen[row] != NONE
    )
    return Loss(
        float((~has_hit[unassigned]).sum()) / total,
        float(has_hit[unassigned].sum()) / total,
        {name: count / total for name, count in taken.most_common(3)},
    )


def reason_for(
    recall: Recall | None,
    related: int,
    members: int,
    loss: Loss | None,
    precision: float | None,
    genomic: Genomic,
) -> str:
    """What explains a recall or a precision that misses its target; empty where both are met."""
    parts = []
    if members == 0:
        return "not in the reference"
    if recall is None or loss is None:
        parts.append("no source: recall not measured")
    elif recall.value < LEAST_RECALL:
        if related < recall.units:
            parts.append(f"{related} of {recall.units} sources keep a relative of 40 % identity")
        if members < FEW_MEMBERS:
            parts.append(f"members in the reference: {members}")
        parts += [
            f"{100 * share:.0f} % given to {name}"
            for name, share in loss.taken.items()
            if share >= SHARE_WORTH_NAMING
        ]
        for share, what in ((loss.no_hit, "without a hit"), (loss.below, "below the cut-off")):
            if share >= SHARE_WORTH_NAMING:
                parts.append(f"{100 * share:.0f} % {what}")
    if precision is not None and precision < LEAST_PRECISION:
        worst = max(
            (genomic.from_decoys, "genes of decoys"),
            (genomic.from_targets, "genes of other targets"),
            (genomic.from_nothing, "genes of no family"),
        )
        parts.append(f"false reads: {genomic.reads_false}, mostly from {worst[1]}")
    return "; ".join(parts)


def precision_of(genomic: Genomic, false: float, true_of_one: float | None) -> float | None:
    """Share of true among the reads given to a family, all genomes being equally frequent.

    Where no genome carries the family, one further genome with one gene is added.
    """
    true = genomic.true if genomic.carriers else true_of_one
    if not true:
        return None
    return true / (true + false)


def judge(bench: Bench, length: int, option: Sequence[str]) -> list[Result]:
    """All families at one read length."""
    reads, scores = bench.reads(length), bench.scores(length, *option)
    truth = evaluation.truth_of(reads, bench.material)
    genome = Genome(bench, reads, truth)
    names = bench.proteins.families
    counted = [k for k, name in enumerate(names) if bench.catalogue.role(name) != "decoy"]
    members = np.bincount(bench.proteins.family, minlength=len(names))
    lengths = bench.proteins.lengths
    results = []
    for removal in harness.REMOVALS:
        chosen = evaluation.spread(assign(bench, scores, removal, length), scores, len(reads))
        related = related_units(bench, removal)
        genomic = genome.judge(chosen, counted)
        for family in counted:
            rows, units = wanted_reads(truth, family)
            recall = evaluation.recall_of(chosen[rows] == family, units)
            with_relative = np.isin(units, related)
            near = evaluation.recall_of(chosen[rows][with_relative] == family, units[with_relative])
            one = evaluation.expected_true(
                float(np.median(lengths[bench.proteins.family == family])), length,
                recall.value if recall else 0.0,
            )  # fmt: skip
            mine = genomic[family]
            precision = precision_of(mine, mine.false_elsewhere, one)
            results.append(
                Result(
                    names[family], tier_of(bench, names[family]), length, removal,
                    int(members[family]), recall, near.units if near else 0,
                    near.value if near else None, mine, precision,
                    lowest_precision(mine, one), precision_of(mine, mine.false, one),
                    reason_for(
                        recall, near.units if near else 0, int(members[family]),
                        losses(chosen, rows, family, removal, scores, names), precision, mine,
                    ),
                )
            )  # fmt: skip
    return results


def lowest_precision(genomic: Genomic, true_of_one: float | None) -> float | None:
    """Precision with the upper 95 % bound of the false reads (Poisson, by their number)."""
    from scipy.stats import chi2

    count = genomic.reads_false_elsewhere
    high = float(chi2.ppf(0.975, 2 * (count + 1))) / 2
    per_read = genomic.false_elsewhere / count if count else 1 / harness.DEPTH_NEAR
    return precision_of(genomic, high * per_read, true_of_one)


def tier_of(bench: Bench, name: str) -> str:
    family = bench.catalogue.families.get(name)
    return family.tier if family else "single_copy"


def related_units(bench: Bench, removal: int) -> Ints:
    of_sources, of_genes = evaluation.related_sources(bench.material, removal)
    return np.concatenate((of_sources, of_genes + len(bench.proteins.names)))


def wanted_reads(truth: Truth, family: int) -> tuple[Ints, Ints]:
    """Reads that must be given to a family, and their units; units of very few reads fall."""
    rows = np.flatnonzero(truth.wanted == family)
    _, place, count = np.unique(truth.unit[rows], return_inverse=True, return_counts=True)
    rows = rows[count[place] >= FEWEST_READS_OF_UNIT]
    return rows, truth.unit[rows]


# --- output ---------------------------------------------------------------------------------------


def row_of(result: Result) -> dict[str, Any]:
    """A row of ``reads.tsv``."""
    recall, genomic = result.recall, result.genomic
    size = genomic.megabases_elsewhere
    return {
        "family": result.family,
        "tier": result.tier,
        "read_length": result.length,
        "removed_identity": result.removal,
        "members": result.members,
        "sources": recall.units if recall else 0,
        "sources_with_relatives": result.related,
        "reads": recall.reads if recall else 0,
        "recall": recall.value if recall else None,
        "recall_low": recall.low if recall else None,
        "recall_high": recall.high if recall else None,
        "recall_with_relatives": result.recall_related,
        "carriers": genomic.carriers,
        "precision": result.precision,
        "precision_low": result.precision_low,
        "precision_all_genomes": result.precision_all,
        "fp_per_mb": genomic.false_elsewhere / size if size else None,
        "doubtful_per_mb": genomic.doubtful / size if size else None,
        "false_from_decoys": genomic.from_decoys,
        "false_from_targets": genomic.from_targets,
        "false_from_other_genes": genomic.from_nothing,
        "reason": result.reason,
    }


def recalls(results: Sequence[Result], related_only: bool = False) -> list[float]:
    """Recall of every family where it was measured."""
    if related_only:
        return [r.recall_related for r in results if r.recall_related is not None]
    return [r.recall.value for r in results if r.recall]


def quarters(values: Sequence[float]) -> str:
    """Median and quartiles as text."""
    if not values:
        return "-"
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.3f} ({low:.3f}-{high:.3f})"


def pooled(results: Sequence[Result]) -> tuple[float, float]:
    """Precision of all families together: without and with errors inside carriers."""
    true = sum(r.genomic.true for r in results if r.genomic.carriers)
    elsewhere = sum(r.genomic.false_elsewhere for r in results)
    everywhere = sum(r.genomic.false for r in results)
    return true / max(1e-9, true + elsewhere), true / max(1e-9, true + everywhere)


def summary(results: Sequence[Result], bench: Bench, option: Sequence[str], seconds: float) -> str:
    """Text of ``reads.md``."""
    judged = [r for r in results if r.tier in JUDGED_TIERS]
    at = {
        (length, removal): [r for r in judged if r.length == length and r.removal == removal]
        for length in bench.settings.lengths
        for removal in harness.REMOVALS
    }
    main = at[JUDGED_LENGTH, JUDGED_REMOVAL]
    median = statistics.median(recalls(main))
    near = statistics.median(recalls(main, related_only=True))
    low = [r for r in main if r.recall and r.recall.value < LEAST_RECALL]
    many = [r for r in main if r.members >= FEW_MEMBERS]
    absent = [
        name
        for name, family in bench.catalogue.families.items()
        if family.tier in JUDGED_TIERS and name not in bench.proteins.families
    ]
    silent = [r.family for r in low if not r.reason]
    below = [r for r in main if r.precision is not None and r.precision < LEAST_PRECISION]
    elsewhere, everywhere = pooled(main)
    genomes = bench.material.genomes
    size = sum(genomes.bases(k) for k in range(len(genomes.names))) / 1e6
    lines = [
        "# Reads to families: recall and precision",
        "",
        f"Measured {datetime.date.today()}: catalogue {bench.catalogue.version}, "
        f"{len(bench.proteins.names)} proteins of {len(bench.proteins.families)} families "
        f"(sha256 {bench.proteins.digest[:12]}), {diamond_version()}, blastx "
        f"{' '.join(option) or 'default sensitivity'}, {seconds:.0f} s.",
        "",
        f"Reads with {100 * (harness.ERROR_FIRST + harness.ERROR_LAST) / 2:.1f} % substitutions, "
        "judged one by one (a pair has two chances). Sources: one protein of each cluster at 70 % "
        f"identity, at most {harness.MOST_SOURCES} per family, back-translated, and the genes of "
        f"{len(genomes.names)} genomes ({size:.0f} Mb), which also give the false reads. "
        "Proteins as identical to the gene of a read as the column says are left out, decoys too.",
        "",
        "| target (100 bp, 70 % left out, tiers A and B) | value | |",
        "|---|---|---|",
        f"| median recall >= {MEDIAN_RECALL} | {median:.3f} over {len(recalls(main))} families "
        f"(sources with a relative left: {near:.3f}; the {len(many)} families with {FEW_MEMBERS} "
        f"or more members: {statistics.median(recalls(many)):.3f}) | "
        f"{met(median >= MEDIAN_RECALL)} |",
        f"| no family under {LEAST_RECALL} without a reason | {len(low)} under, "
        f"{len(silent)} without a reason | {met(not silent)} |",
        f"| precision >= {LEAST_PRECISION} against non-carriers | pooled {elsewhere:.4f}; "
        f"{len(below)} of {sum(r.precision is not None for r in main)} families below | "
        f"{met(not below)} |",
        "",
        "Recall, median (quartiles) over families; precision pooled, non-carriers / all genomes:",
        "",
        "| bp | left out | recall | recall, relative left | < 0.85 | precision |",
        "|---|---|---|---|---|---|",
    ]
    for (length, removal), some in at.items():
        pair = pooled(some)
        lines.append(
            f"| {length} | {'itself' if removal == 100 else f'>= {removal} %'} | "
            f"{quarters(recalls(some))} | {quarters(recalls(some, related_only=True))} | "
            f"{sum(v < LEAST_RECALL for v in recalls(some))} | {pair[0]:.4f} / {pair[1]:.4f} |"
        )
    lines += [
        "",
        "Not measured (no source or not in the reference): "
        + (", ".join(sorted([r.family for r in main if not r.recall] + absent)) or "none") + ".",
        "Lowest precision: "
        + "; ".join(
            f"{r.family} {r.precision:.2f}" for r in sorted(below, key=lambda r: r.precision)[:12]
        )
        + ".",
        "Reasons stand in `reads.tsv`. Genes that may be members are in no number of precision;"
        " `doubtful_per_mb` counts their reads.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def met(value: bool) -> str:
    return "met" if value else "missed"


def diamond_version() -> str:
    answer = subprocess.run(["diamond", "version"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "diamond"


def draw(results: Sequence[Result], length: int) -> Figure:
    """Recall and false reads of each family of the judged tiers at one read length."""
    judged = [r for r in results if r.tier in JUDGED_TIERS and r.length == length]
    by_family: dict[str, dict[int, Result]] = defaultdict(dict)
    for result in judged:
        by_family[result.family][result.removal] = result
    shown = {name: found for name, found in by_family.items() if found[70].recall}
    order = sorted(shown, key=lambda name: shown[name][70].recall.value)  # type: ignore[union-attr]
    looks = {
        50: ("s", 5.2, figures.VERMILION, "white"),
        70: ("o", 3.4, figures.BLUE, figures.BLUE),
    }
    figure = Figure(figsize=(7.2, 0.15 * len(order) + 1.4))
    left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"wspace": 0.06})
    for place, name in enumerate(order):
        for removal, (marker, size, edge, fill) in looks.items():
            result = shown[name][removal]
            look = {"ms": size, "mec": edge, "mfc": fill}
            if result.recall:
                span = [result.recall.low, result.recall.high]
                left.plot(span, [place, place], color=edge, lw=0.8, alpha=0.6, zorder=1)
                left.plot(result.recall.value, place, marker, **look)
            if result.genomic.megabases_elsewhere:
                rate = result.genomic.false_elsewhere / result.genomic.megabases_elsewhere
                right.plot(max(rate, LEFT_EDGE), place, marker, **look)
    for value, style in ((LEAST_RECALL, "--"), (MEDIAN_RECALL, ":")):
        left.axvline(value, color=figures.GREY, lw=0.8, ls=style)
    left.set(
        xlim=(-0.02, 1.02),
        xlabel=f"recall of {length} bp reads\n(bars: 95 % interval)",
        yticks=range(len(order)),
        ylim=(-0.7, len(order) - 0.3),
    )
    left.set_yticklabels([f"{name} ({shown[name][70].tier})" for name in order], fontsize=6)
    right.set(
        xscale="log",
        xlabel="false reads per Mb of non-carrier\ngenome at 1x (left edge: none)",
    )
    right.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    right.tick_params(axis="y", length=0)
    for panel in (left, right):
        panel.grid(axis="y", lw=0.3, color=figures.LIGHT_GREY)
        panel.set_axisbelow(True)
    figure.legend(
        handles=[
            Line2D([], [], marker=marker, ls="", ms=size, mec=edge, mfc=fill,
                   label=f"proteins >= {removal} % identical left out")
            for removal, (marker, size, edge, fill) in looks.items()
        ],
        loc="lower center", bbox_to_anchor=(0.5, 0.885), ncols=2, frameon=False, fontsize=7,
    )  # fmt: skip
    return figure


def sensitivity() -> tuple[str, ...]:
    """Option of the search that the default configuration asks for."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    value = config["function"]["sensitivity"]
    return () if value == "default" else (f"--{value}",)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--reference", type=Path, help="protein reference folder")
    parser.add_argument("--work", type=Path, default=ROOT / "real" / "accuracy")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "results")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="100 bp only, few reads")
    arguments = parser.parse_args(argv)
    started = time.perf_counter()
    reference = arguments.reference or harness.built_reference(arguments.data, arguments.work)
    settings = harness.QUICK if arguments.quick else harness.Settings()
    bench = Bench(arguments.data, reference, arguments.work, arguments.threads, settings)
    option = sensitivity()
    results = [r for length in settings.lengths for r in judge(bench, length, option)]
    order = {family: place for place, family in enumerate(bench.catalogue.families)}
    results.sort(key=lambda r: (order.get(r.family, len(order)), r.family, r.length, -r.removal))
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_table(arguments.out / "reads.tsv", COLUMNS, [row_of(result) for result in results])
    with figures.mpl.rc_context(figures.STYLE):
        figures.save(draw(results, JUDGED_LENGTH), [arguments.out / "reads.png"])
    text = summary(results, bench, option, time.perf_counter() - started)
    (arguments.out / "reads.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except BenchmarkError as error:
        raise SystemExit(f"reads.py: {error}") from error
