"""Decide what a read must reach to count for a family, and show what the choice costs.

    python benchmarks/calibration/calibrate.py [--data DIR] [--reference DIR] [--work DIR]
                                               [--out DIR] [--threads N]

Compares, on reads of known origin (``harness.py``): the sensitivity of the search, one cut-off for
all, one per aligned residue, one per family, a lead over the best rival, and profile HMMs. What
has parameters is decided on one half of the sources and genera and reported on the other. Writes

``strategies.tsv``, ``strategies.png``   the comparison
``lead.tsv``                             what a lead over rivals costs each family
``profiles.tsv``                         profile HMMs against the search on the same reads
``families.tsv``, ``families.png``       per family: recall and false reads, proposed cut-offs
``confusion.tsv``                        where reads of a family go instead
``full_length.tsv``                      whole proteins: bits per residue of members and others
``full_length_defaults.tsv``             what one value for all families keeps
``suspects.tsv``                         proteins of the reference that attract foreign reads
``disagreements.tsv``                    genes whose RefSeq name says another family
``acceptance.yaml``                      the proposal, for ``write_acceptance.py``
``calibration.md``                       what follows
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import evaluation  # noqa: E402  (needs the path above)
import harness  # noqa: E402
import numpy as np  # noqa: E402
import profiles  # noqa: E402
import yaml  # noqa: E402
from evaluation import NONE, Genome, Rules, Truth  # noqa: E402
from harness import Bench, BenchmarkError, Floats, Ints, Reads, Scores  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402

from fermentome import figures  # noqa: E402
from fermentome.tables import write_table  # noqa: E402

SEARCHES: tuple[tuple[str, ...], ...] = ((), ("--sensitive",))
CUT_OFFS = tuple(range(26, 51))
PER_AA = (0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4)
MARGINS = (1.02, 1.05, 1.1)
PRESENT = {75: 35.0, 100: 35.0, 150: 40.0, 250: 45.0}
"""Cut-offs of catalogue 0.1.0."""
REMOVAL = 70

PROPOSED_SEARCH = ("--sensitive",)
DEFAULT_CUT_OFF = {75: 32, 100: 34, 150: 36, 250: 39}
"""Bits from which false reads of genes without any resemblance become rare; see strategies.tsv."""
HIGHEST_CUT_OFF = 50
MOST_FALSE_COPIES = 0.02
"""False copies per genome up to which a family needs no cut-off of its own: a fifth of what the
workflow calls detectable (scoring.detectable_copies)."""
FEWEST_LENGTHS = 2
"""Read lengths at which a higher cut-off must be worth it."""
MOST_RECALL_LOST = 0.05
FEWEST_FALSE_READS = 6
"""A cut-off is not raised for less."""
PROFILE_LENGTH = 100
SHARED_DOMAINS = ("hydA_FeFe", "kdd", "vorB")
"""Families left out of the comparison of strategies: a few of their proteins hold a domain of
other families (suspects.tsv) and give as many false reads as all other families together."""
MOST_SUSPECTS = 60
OWN_CUT_OFFS = "0.02"
"""The setting of the strategy that the proposal would use (`MOST_FALSE_COPIES`)."""
LEAST_GAIN = 0.01
"""Mean recall, at the same number of false reads, for which a rule more is worth having."""

FULL_QUERY_COVER, FULL_SUBJECT_COVER = 50.0, 70.0
"""Per cent; what genome mode asks of an alignment (families.yaml, defaults.full_length)."""
DEFAULT_BITS_PER_AA = 0.6
"""See full_length_defaults.tsv."""
LEAST_BITS_PER_AA = 0.45
"""No family goes lower: members so far from all others are few, and their labels doubtful."""
WORTH_AN_EXCEPTION = 0.05
FEWEST_OTHERS = 3
Whole = dict[tuple[str, int], tuple[Floats, Floats]]
"""Bits per residue of members and of others, by family and removal."""
FEWEST_SOURCES = 8


@dataclass(frozen=True)
class Setting:
    """Reads of one length with their truth; `wanted` are the reads of each family."""

    length: int
    reads: Reads
    truth: Truth
    genome: Genome
    half: Ints
    wanted: Mapping[int, Ints]


@dataclass(frozen=True)
class Outcome:
    """Recall and false reads of a strategy over the judged families."""

    recalls: Mapping[int, float]
    false_by_family: Mapping[int, float]
    true: float
    false: float
    megabases: float

    @property
    def median(self) -> float:
        """Median recall over families."""
        return float(np.median(list(self.recalls.values())))

    @property
    def mean(self) -> float:
        """Mean recall over families."""
        return float(np.mean(list(self.recalls.values())))


def halves(bench: Bench, reads: Reads) -> Ints:
    """Half (0 or 1) of each read: of its source's cluster, or of its genome's genus."""
    material = bench.material
    by_source = np.array([material.half.get(k, 0) for k in range(len(material.proteins.names))])
    genera = sorted(set(material.genomes.genus))
    by_genome = np.array([genera.index(genus) % 2 for genus in material.genomes.genus])
    return np.where(
        reads.genome < 0,
        by_source[np.where(reads.genome < 0, reads.gene, 0)],
        by_genome[np.maximum(reads.genome, 0)],
    )


def settle(bench: Bench, length: int) -> Setting:
    """Reads of one length, ready to be judged."""
    reads = bench.reads(length)
    truth = evaluation.truth_of(reads, bench.material)
    order = np.argsort(truth.wanted, kind="stable")
    edges = np.searchsorted(truth.wanted[order], np.arange(len(bench.proteins.families) + 1))
    wanted = {
        family: order[begin:end]
        for family, (begin, end) in enumerate(zip(edges[:-1], edges[1:], strict=True))
    }
    genome = Genome(bench, reads, truth)
    return Setting(length, reads, truth, genome, halves(bench, reads), wanted)


def outcome(
    setting: Setting, chosen: Ints, families: Sequence[int], half: int | None, bench: Bench
) -> Outcome:
    """Recall of sources and genes, and false reads of genomes, in one half or in both."""
    inside = np.ones(len(chosen), dtype=bool) if half is None else setting.half == half
    recalls = {}
    for family in families:
        rows = setting.wanted[family]
        rows = rows[inside[rows]]
        found = evaluation.recall_of(chosen[rows] == family, setting.truth.unit[rows])
        if found:
            recalls[family] = found.value
    judged = setting.genome.judge(np.where(inside, chosen, NONE), families)
    size = setting.genome.size
    genera = sorted(set(bench.material.genomes.genus))
    mine = [
        half is None or genera.index(genus) % 2 == half for genus in bench.material.genomes.genus
    ]
    return Outcome(
        recalls,
        {family: found.false for family, found in judged.items()},
        sum(found.true for found in judged.values()),
        sum(found.false for found in judged.values()),
        float(size[np.array(mine)].sum()),
    )


def pick(
    bench: Bench, setting: Setting, scores: Scores, rules: Rules, groups: Ints, removal: int
) -> Ints:
    """Family of every read under some rules."""
    chosen = evaluation.choose(scores, removal, rules, setting.genome.decoy, groups)
    return evaluation.spread(chosen, scores, len(setting.reads))


# --- one cut-off per family -----------------------------------------------------------------------


def own_cut_offs(
    bench: Bench,
    setting: Setting,
    scores: Scores,
    families: Sequence[int],
    base: float,
    most_false: float,
    half: int | None,
    groups: Ints,
    removal: int = REMOVAL,
) -> Floats:
    """Cut-off of each family; higher than `base` only where that is worth it.

    Worth it is the lowest cut-off at which the false copies per genome are at most half of what
    they are at `base`, if they were over `most_false` and no more than `MOST_RECALL_LOST` of the
    reads found is lost.

    False copies per genome: false reads at a coverage of 1, over the genomes, over the reads that
    one gene gives.
    """
    names = bench.proteins.families
    cut = np.full(len(names), float(base))
    rules = evaluation.fixed_rules(len(names), base)
    chosen = pick(bench, setting, scores, rules, groups, removal)
    score = np.zeros(len(chosen))
    rows = scores.rows
    kept = chosen[rows] >= 0
    score[rows[kept]] = scores.tenths[removal][np.flatnonzero(kept), chosen[rows][kept]] / 10
    inside = np.ones(len(chosen), dtype=bool) if half is None else setting.half == half
    genomes = len(setting.genome.size) / (1 if half is None else 2)
    truth, reads = setting.truth, setting.reads
    lengths = bench.proteins.lengths
    for family in families:
        mine = (chosen == family) & inside
        wrong = mine & ~truth.of_source & (truth.first != family) & (truth.second != family)
        one = evaluation.expected_true(
            float(np.median(lengths[bench.proteins.family == family])), setting.length, 1.0
        )
        found = score[(truth.wanted == family) & mine]
        at_base = reads.weight[wrong].sum()
        if at_base / genomes / one <= most_false or wrong.sum() < FEWEST_FALSE_READS:
            continue
        for value in range(int(base) + 1, HIGHEST_CUT_OFF + 1):
            if (found < value).sum() > MOST_RECALL_LOST * len(found):
                break
            if reads.weight[wrong & (score >= value)].sum() <= at_base / 2:
                cut[family] = value
                break
    return cut


# --- the comparison -------------------------------------------------------------------------------


def compare(bench: Bench, setting: Setting, judged: Sequence[int]) -> list[dict[str, Any]]:
    """Every strategy at one read length; parameters are decided on one half for the other."""
    groups = evaluation.merge_numbers(bench)
    total = len(bench.proteins.families)
    rows = []

    def report(name: str, value: str, search: str, parts: Iterable[Outcome], removal: int) -> None:
        both = list(parts)
        recalls = np.concatenate([list(part.recalls.values()) for part in both])
        true, false = sum(p.true for p in both), sum(p.false for p in both)
        rows.append(
            {
                "strategy": name,
                "value": value,
                "search": search,
                "read_length": setting.length,
                "removed_identity": removal,
                "recall_median": float(np.median(recalls)),
                "recall_mean": float(recalls.mean()),
                "under_0.85": float((recalls < 0.85).mean()),
                "false_per_mb": false / sum(p.megabases for p in both),
                "false_median_family": float(
                    np.median(sum(([*p.false_by_family.values()] for p in both), []))
                ),
                "precision_pooled": true / max(1e-9, true + false),
            }
        )

    for option in SEARCHES:
        search = option[0].strip("-") if option else "default"
        scores = bench.scores(setting.length, *option)
        for removal in (100, 70):

            def both(
                rules: Rules, scores: Scores = scores, removal: int = removal
            ) -> list[Outcome]:
                chosen = pick(bench, setting, scores, rules, groups, removal)
                return [outcome(setting, chosen, judged, half, bench) for half in (0, 1)]

            present = evaluation.fixed_rules(total, PRESENT[setting.length])
            report("catalogue 0.1.0", "35/40/45", search, both(present), removal)
            for cut in CUT_OFFS[::2]:
                report(
                    "one cut-off", str(cut), search,
                    both(evaluation.fixed_rules(total, cut)), removal,
                )  # fmt: skip
            base = DEFAULT_CUT_OFF[setting.length]
            for per_aa in PER_AA:
                rules = evaluation.fixed_rules(total, base - 2, per_aa=per_aa)
                report("bits per residue", f"{per_aa}", search, both(rules), removal)
            for margin in MARGINS:
                rules = evaluation.fixed_rules(total, base, margin=margin)
                report("lead over rivals", f"{margin}", search, both(rules), removal)
            for most in (0.005, 0.02, 0.05):
                parts = []
                for half in (0, 1):
                    cut = own_cut_offs(
                        bench, setting, scores, judged, base - 2, most, 1 - half, groups, removal
                    )
                    least = np.maximum(cut, base - 2)
                    least[setting.genome.decoy] = base - 2
                    parts.append(both(Rules(least, np.ones(total), np.zeros(total)))[half])
                report("one cut-off per family", f"{most}", search, parts, removal)
    return rows


def gains(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], float]:
    """Mean recall of each strategy above one cut-off at the same number of false reads.

    The mean over read lengths and removals; one cut-off with the sensitive search is the measure,
    its recall read off between the cut-offs on the logarithm of the false reads.
    """
    found: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        place = row["read_length"], row["removed_identity"]
        curve = sorted(
            (np.log(other["false_per_mb"]), other["recall_mean"])
            for other in rows
            if other["strategy"] == "one cut-off"
            and other["search"] == "sensitive"
            and (other["read_length"], other["removed_identity"]) == place
        )
        same = np.interp(
            np.log(row["false_per_mb"]), [point[0] for point in curve], [p[1] for p in curve]
        )
        key = row["strategy"], row["value"], row["search"]
        found.setdefault(key, []).append(row["recall_mean"] - float(same))
    return {key: float(np.mean(values)) for key, values in found.items()}


def own_cut_offs_win(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether cut-offs of their own beat one for all on the half that did not decide them."""
    gain = gains(rows)["one cut-off per family", OWN_CUT_OFFS, "sensitive"]
    return gain >= LEAST_GAIN


def cost_of_lead(bench: Bench, setting: Setting, families: Sequence[int]) -> list[dict[str, Any]]:
    """What a lead over rivals takes from each family, and of its false reads."""
    groups = evaluation.merge_numbers(bench)
    scores = bench.scores(setting.length, *PROPOSED_SEARCH)
    total, base = len(bench.proteins.families), DEFAULT_CUT_OFF[setting.length]
    table = []
    for removal in (100, 70):
        found = {}
        for margin in (1.0, *MARGINS):
            rules = evaluation.fixed_rules(total, base, margin=margin)
            chosen = pick(bench, setting, scores, rules, groups, removal)
            found[margin] = outcome(setting, chosen, families, None, bench)
        for family in families:
            for margin in MARGINS:
                before, after = found[1.0], found[margin]
                if family in before.recalls:
                    table.append(
                        {
                            "family": bench.proteins.families[family],
                            "read_length": setting.length,
                            "removed_identity": removal,
                            "lead": margin,
                            "recall_lost": before.recalls[family] - after.recalls[family],
                            "false_reads_before": before.false_by_family[family],
                            "false_reads_after": after.false_by_family[family],
                        }
                    )
    return sorted(
        table,
        key=lambda row: (row["removed_identity"], row["lead"], -row["recall_lost"], row["family"]),
    )


def _lead_text(costs: Sequence[Mapping[str, Any]]) -> str:
    mine = [r for r in costs if (r["removed_identity"], r["lead"]) == (100, 1.05)]
    return (
        "A lead of 1.05 is paid by few families (itself left out, points of recall lost): "
        + ", ".join(f"{r['family']} {100 * r['recall_lost']:.1f}" for r in mine[:6])
        + ". Their copies would be too low against the single-copy families, which have no rivals:"
        " no lead is asked for. See lead.tsv."
    )


# --- profiles -------------------------------------------------------------------------------------


def compare_profiles(
    bench: Bench, setting: Setting, scores: Scores, most: int = 3000
) -> list[dict[str, Any]]:
    """Profile HMMs and the search on the same candidate reads, group by group."""
    rows: list[dict[str, Any]] = []
    if not profiles.available():
        return rows
    names = bench.proteins.families
    groups = evaluation.merge_numbers(bench)
    tenths = scores.tenths[REMOVAL]
    base = DEFAULT_CUT_OFF[setting.length]
    chosen = pick(bench, setting, scores, evaluation.fixed_rules(len(names), base), groups, REMOVAL)
    for group in profiles.GROUPS:
        numbers = [names.index(name) for name in group if name in names]
        hit = np.zeros(len(chosen), dtype=bool)
        hit[scores.rows] = (tenths[:, numbers] > 0).any(axis=1)
        own = np.isin(setting.truth.wanted, numbers)
        candidates = np.flatnonzero(hit & (own | ~setting.truth.of_source))
        rng = np.random.default_rng(1)
        if len(candidates) > most:
            candidates = np.sort(rng.choice(candidates, most, replace=False))
        found = profiles.score_group(group, candidates, setting.reads, bench.material, REMOVAL, rng)
        if found is None:
            continue
        top = found.bits.max(axis=1)
        best = np.array(found.families)[found.bits.argmax(axis=1)]
        for family in numbers:
            if setting.genome.decoy[family]:
                continue
            for name, value, given in (
                ("search", base, chosen[candidates] == family),
                *(("profile", cut, (best == family) & (top >= cut)) for cut in (6, 8, 10, 12, 15)),
            ):
                rows.append(
                    _profile_row(setting, candidates, family, names[family], name, value, given)
                    | {
                        "build_seconds": found.build_seconds,
                        "search_seconds": found.search_seconds,
                        "candidates": len(candidates),
                    }
                )
    return rows


def _profile_row(
    setting: Setting,
    candidates: Ints,
    family: int,
    label: str,
    name: str,
    value: float,
    given: np.ndarray[Any, Any],
) -> dict[str, Any]:
    truth = setting.truth
    wanted = truth.wanted[candidates] == family
    from_genome = ~truth.of_source[candidates]
    true = (truth.first[candidates] == family) | (truth.second[candidates] == family)
    weight = setting.reads.weight[candidates]
    return {
        "family": label,
        "read_length": setting.length,
        "method": name,
        "cut_off": float(value),
        "recall_of_candidates": float(given[wanted].mean()) if wanted.any() else None,
        "true_reads": float(weight[given & from_genome & true].sum()),
        "false_reads": float(weight[given & from_genome & ~true].sum()),
    }


# --- confusion ------------------------------------------------------------------------------------


def confusion(bench: Bench, setting: Setting, chosen: Ints, removal: int) -> list[dict[str, Any]]:
    """Families to which a share of the reads of another goes."""
    names, roles = bench.proteins.families, bench.catalogue.role
    rows = []
    for family, name in enumerate(names):
        wanted = np.flatnonzero(setting.truth.wanted == family)
        if len(wanted) < 30:
            continue
        counts = Counter(chosen[wanted].tolist())
        for other, count in counts.most_common():
            share = count / len(wanted)
            if other in (family, NONE) or share < 0.01:
                continue
            given = "ambiguous" if other == evaluation.AMBIGUOUS else names[other]
            entry = bench.catalogue.families.get(name)
            rows.append(
                {
                    "family": name,
                    "role": roles(name),
                    "given_to": given,
                    "given_role": "-" if given == "ambiguous" else roles(given),
                    "read_length": setting.length,
                    "removed_identity": removal,
                    "reads": len(wanted),
                    "share": share,
                    "same_merge_group": given != "ambiguous"
                    and bench.catalogue.same_merge_group(name, given),
                    "listed_as_decoy": bool(entry and given in entry.decoys),
                }
            )
    return sorted(rows, key=lambda row: (-row["share"], row["family"], row["given_to"]))


# --- whole proteins -------------------------------------------------------------------------------


def full_length(bench: Bench) -> tuple[list[dict[str, Any]], dict[str, float], Whole]:
    """Bits per residue of members and of others with their best family, relatives left out."""
    material, names = bench.material, bench.proteins.families
    lengths = bench.proteins.lengths
    gene_lengths = np.array([len(gene.protein) for gene in material.genomes.genes])
    genes = material.labels.family
    rows = []
    proposed: dict[str, float] = {}
    values: Whole = {}
    tables = {}
    for removal in (70, 50):
        for kind, pairs, size in (
            ("source", material.source_pairs, lengths),
            ("gene", material.gene_pairs, gene_lengths),
        ):
            keep = (
                (pairs["identity"] < removal - 1e-3)
                & (pairs["query_cover"] >= FULL_QUERY_COVER)
                & (pairs["subject_cover"] >= FULL_SUBJECT_COVER)
            )
            best = harness.best_by_query_and_family(
                {name: column[keep] for name, column in pairs.items()}, bench.proteins
            )
            first = np.ones(len(best["query"]), dtype=bool)
            first[1:] = best["query"][1:] != best["query"][:-1]
            tables[removal, kind] = (
                best["query"][first],
                best["family"][first],
                best["bits"][first] / size[best["query"][first]],
            )
    doubts = {(gene, family) for gene, family in material.labels.doubts}
    for family, name in enumerate(names):
        if bench.catalogue.role(name) == "decoy":
            continue
        row: dict[str, Any] = {"family": name}
        others: Floats = np.zeros(0)
        members: Floats = np.zeros(0)
        for removal in (70, 50):
            query, best_family, value = tables[removal, "source"]
            mine = (bench.proteins.family[query] == family) & (best_family == family)
            total = int((bench.proteins.family[material.drawn] == family).sum())
            gene, gene_family, gene_value = tables[removal, "gene"]
            near = gene_family == family
            is_member = genes[gene] == family
            doubt = np.array([(int(one), family) in doubts for one in gene[near]], dtype=bool)
            members = np.concatenate((value[mine], gene_value[near & is_member]))
            others = gene_value[near][~is_member[near] & ~doubt]
            values[name, removal] = (members, others)
            row |= {
                f"sources_{removal}": total + int((genes == family).sum()),
                f"best_is_own_{removal}": len(members),
                f"members_p01_{removal}": _quantile(members, 0.01),
                f"members_p05_{removal}": _quantile(members, 0.05),
                f"members_median_{removal}": _quantile(members, 0.5),
                f"others_{removal}": len(others),
                f"others_p95_{removal}": _quantile(others, 0.95),
                f"others_max_{removal}": float(others.max()) if len(others) else None,
            }
        row["bits_per_aa"] = None
        members, others = values[name, REMOVAL]
        if len(members) >= FEWEST_SOURCES and name in bench.catalogue.families:
            row["bits_per_aa"] = proposed[name] = separating(members, others)
        rows.append(row)
    return rows, proposed, values


def _quantile(values: Floats, at: float) -> float | None:
    return float(np.quantile(values, at)) if len(values) else None


def separating(members: Floats, others: Floats) -> float:
    """Bits per residue that part members from others; the default unless another is clearly better.

    The shares of members lost and of others kept are added up. Of cuts with the lowest sum the
    one nearest to the default is taken, and that only if it saves `WORTH_AN_EXCEPTION`.
    """
    cuts = np.round(np.arange(LEAST_BITS_PER_AA, 1.21, 0.05), 2)

    def errors(cut: float) -> float:
        kept = float((others >= cut).mean()) if len(others) >= FEWEST_OTHERS else 0.0
        return float((members < cut).mean()) + kept

    best = min(cuts, key=lambda cut: (round(errors(cut), 6), abs(cut - DEFAULT_BITS_PER_AA)))
    worth = errors(DEFAULT_BITS_PER_AA) - errors(best) >= WORTH_AN_EXCEPTION
    return float(best) if worth else DEFAULT_BITS_PER_AA


def full_length_defaults(values: Whole) -> list[dict[str, Any]]:
    """Members kept and others kept by one value for all families."""
    table = []
    for removal in (70, 50):
        for cut in np.round(np.arange(0.3, 1.01, 0.1), 2):
            mine = [pair for (_, limit), pair in values.items() if limit == removal]
            kept = [float((members >= cut).mean()) for members, _ in mine if len(members) >= 3]
            table.append(
                {
                    "removed_identity": removal,
                    "bits_per_aa": float(cut),
                    "members_kept_mean": float(np.mean(kept)),
                    "members_kept_lowest_tenth": float(np.quantile(kept, 0.1)),
                    "others_kept": int(sum((others >= cut).sum() for _, others in mine)),
                    "others": int(sum(len(others) for _, others in mine)),
                }
            )
    return table


# --- names ----------------------------------------------------------------------------------------


def disagreements(bench: Bench) -> list[dict[str, Any]]:
    """Genes with a RefSeq name that the label table reads as another family than the search."""
    labels = harness.sources.read_labels(
        ROOT / "benchmarks" / "real" / "labels.tsv", frozenset(bench.catalogue.families)
    )
    material = bench.material
    by_sequence = {
        (gene.genome, gene.protein[-60:]): number
        for number, gene in enumerate(material.genomes.genes)
    }
    lineages = {
        row["genome"]: ";".join(row.values())
        for row in harness.sources.read_tsv(bench.data / "truth" / "lineages.tsv")
    }
    proteomes = harness.sources.find_proteomes(bench.data)
    names = bench.proteins.families
    rows = []
    for number, genome in enumerate(material.genomes.names):
        if genome not in proteomes:
            continue
        for protein in harness.sources.genome_proteins(
            {genome: proteomes[genome]}, {genome: proteomes[genome]}
        ):
            gene = by_sequence.get((number, protein.sequence[-60:]))
            rule = labels.find("refseq", genome, protein.product, lineages.get(genome, ""))
            if gene is None or rule is None:
                continue
            found = material.labels.family[gene]
            given = names[found] if found >= 0 else "-"
            if given != rule.family and rule.family in names:
                doubt = sorted(
                    names[family] for one, family in material.labels.doubts if one == gene
                )
                rows.append(
                    {
                        "genome": genome,
                        "accession": protein.accession,
                        "product": protein.product,
                        "family_by_name": rule.family,
                        "family_by_search": given,
                        "in_doubt": " ".join(doubt) or "-",
                    }
                )
    return sorted(rows, key=lambda row: (row["family_by_name"], row["genome"], row["accession"]))


# --- proteins that attract reads of others --------------------------------------------------------


def suspects(bench: Bench, setting: Setting, chosen: Ints) -> list[dict[str, Any]]:
    """Proteins of the reference to which most false reads of genomes go, the worst first."""
    truth, proteins = setting.truth, bench.proteins
    targets = np.array([bench.catalogue.role(name) == "target" for name in proteins.families])
    given = np.maximum(chosen, 0)
    false = ~truth.of_source & (chosen >= 0) & targets[given]
    rows = np.flatnonzero(false & (truth.first != chosen) & (truth.second != chosen))
    best = bench.best_proteins(setting.reads, rows, chosen[rows], PROPOSED_SEARCH)
    counted: dict[int, list[int]] = {}
    for row, protein in best.items():
        counted.setdefault(protein, []).append(row)
    table = []
    for protein, reads in counted.items():
        origin = np.where(truth.first[reads] >= 0, truth.first[reads], truth.second[reads])
        names = Counter(proteins.families[k] if k >= 0 else "no family" for k in origin)
        family = proteins.family[protein]
        table.append(
            {
                "family": proteins.families[family],
                "accession": proteins.accession[protein],
                "length_aa": len(proteins.sequences[protein]),
                "median_length_of_family": float(
                    np.median(proteins.lengths[proteins.family == family])
                ),
                "false_reads": float(setting.reads.weight[reads].sum()),
                "genomes": len(set(setting.reads.genome[reads].tolist())),
                "genes": " ".join(f"{name}:{count}" for name, count in names.most_common(3)),
            }
        )
    table.sort(key=lambda row: (-row["false_reads"], row["accession"]))
    return table[:MOST_SUSPECTS]


# --- the proposal ---------------------------------------------------------------------------------


def propose(
    bench: Bench, settings: Sequence[Setting], families: Sequence[int]
) -> tuple[dict[str, list[list[int]]], dict[str, Any]]:
    """Cut-offs by read length of the families that need their own, and the default."""
    groups = evaluation.merge_numbers(bench)
    names = bench.proteins.families
    curves: dict[str, list[list[int]]] = {name: [] for name in names}
    for setting in settings:
        scores = bench.scores(setting.length, *PROPOSED_SEARCH)
        base = DEFAULT_CUT_OFF[setting.length]
        cut = own_cut_offs(bench, setting, scores, families, base, MOST_FALSE_COPIES, None, groups)
        for family in families:
            curves[names[family]].append([setting.length, int(cut[family])])
    default = [[length, DEFAULT_CUT_OFF[length]] for length in sorted(DEFAULT_CUT_OFF)]
    own = {}
    for family in families:
        points = sorted(curves[names[family]])
        higher = sum(value > DEFAULT_CUT_OFF[length] for length, value in points)
        if higher < min(FEWEST_LENGTHS, len(points)):
            continue
        for place in range(1, len(points)):
            # A longer read never needs less.
            points[place][1] = max(points[place][1], points[place - 1][1])
        own[names[family]] = points
    return own, {"min_bits": default, "min_query_cover": harness.MIN_COVER}


def own_rules(bench: Bench, proposal: Mapping[str, Sequence[Sequence[int]]], length: int) -> Rules:
    """The proposal as rules."""
    names = bench.proteins.families
    cut = np.full(len(names), float(DEFAULT_CUT_OFF[length]))
    for name, points in proposal.items():
        cut[names.index(name)] = dict(map(tuple, points))[length]  # type: ignore[call-overload]
    for number, name in enumerate(names):
        if bench.catalogue.role(name) == "decoy":
            cut[number] = min(cut[number], DEFAULT_CUT_OFF[length])
    return Rules(cut, np.ones(len(names)), np.zeros(len(names)))


def family_rows(
    bench: Bench,
    setting: Setting,
    proposal: Mapping[str, Sequence[Sequence[int]]],
    judged: Sequence[int],
) -> list[dict[str, Any]]:
    """Recall and false copies of each family with one cut-off and with the proposal."""
    groups = evaluation.merge_numbers(bench)
    scores = bench.scores(setting.length, *PROPOSED_SEARCH)
    total = len(bench.proteins.families)
    rules = own_rules(bench, proposal, setting.length)
    results = {}
    for name, rule in (
        ("default", evaluation.fixed_rules(total, DEFAULT_CUT_OFF[setting.length])),
        ("proposed", rules),
    ):
        chosen = pick(bench, setting, scores, rule, groups, REMOVAL)
        results[name] = outcome(setting, chosen, judged, None, bench)
    genomes = len(setting.genome.size)
    lengths = bench.proteins.lengths
    rows = []
    for family in judged:
        own = bench.proteins.family == family
        one = evaluation.expected_true(float(np.median(lengths[own])), setting.length, 1.0)
        rows.append(
            {
                "family": bench.proteins.families[family],
                "read_length": setting.length,
                "members": int(own.sum()),
                "cut_off": float(rules.min_bits[family]),
                **{f"recall_{name}": found.recalls.get(family) for name, found in results.items()},
                **{
                    f"false_copies_{name}": found.false_by_family[family] / genomes / one
                    for name, found in results.items()
                },
            }
        )
    return rows


# --- figures --------------------------------------------------------------------------------------

LOOKS = {
    ("one cut-off", "default"): ("-", figures.GREY, "."),
    ("one cut-off", "sensitive"): ("-", figures.BLUE, "."),
    ("bits per residue", "sensitive"): (":", figures.ORANGE, "v"),
    ("lead over rivals", "sensitive"): ("--", figures.GREEN, "s"),
    ("one cut-off per family", "sensitive"): ("-.", figures.VERMILION, "D"),
    ("catalogue 0.1.0", "default"): ("", figures.BLACK, "*"),
}


def draw_strategies(rows: Sequence[Mapping[str, Any]], lengths: Sequence[int]) -> Figure:
    """Recall against false reads of every strategy, one panel per read length."""
    figure = Figure(figsize=(7.2, 4.8))
    panels = figure.subplots(2, len(lengths), sharey="row", sharex=True, squeeze=False)
    for line, removal in enumerate((100, 70)):
        for panel, length in zip(panels[line], lengths, strict=True):
            for (strategy, search), (style, colour, marker) in LOOKS.items():
                mine = [
                    row for row in rows
                    if (row["strategy"], row["search"]) == (strategy, search)
                    and row["read_length"] == length and row["removed_identity"] == removal
                ]  # fmt: skip
                panel.plot(
                    [row["false_per_mb"] for row in mine], [row["recall_mean"] for row in mine],
                    ls=style, color=colour, marker=marker, ms=4 if marker != "*" else 8, lw=0.9,
                )  # fmt: skip
            panel.set_xscale("log")
            panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            panel.grid(lw=0.3, color=figures.LIGHT_GREY)
            if line == 0:
                panel.set_title(f"{length} bp")
        what = "the protein itself" if removal == 100 else f"relatives >= {removal} %"
        panels[line][0].set_ylabel(f"mean recall,\n{what} left out")
    figure.text(0.5, 0.0, "false reads per Mb at 1x, sum of the families of tiers A and B",
                ha="center")  # fmt: skip
    figure.legend(
        handles=[
            Line2D([], [], ls=style, color=colour, marker=marker, ms=4,
                   label=f"{strategy}, {search}")
            for (strategy, search), (style, colour, marker) in LOOKS.items()
        ],
        loc="lower center", bbox_to_anchor=(0.5, 0.95), ncols=3, frameon=False, fontsize=7,
    )  # fmt: skip
    return figure


def draw_families(rows: Sequence[Mapping[str, Any]], length: int) -> Figure:
    """Per family: recall and false copies with one cut-off and with the proposal."""
    mine = [r for r in rows if r["read_length"] == length and r["recall_default"] is not None]
    mine.sort(key=lambda row: row["recall_default"])
    figure = Figure(figsize=(7.2, 0.15 * len(mine) + 1.4))
    left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"wspace": 0.06})
    for place, row in enumerate(mine):
        for name, marker, colour, fill in (
            ("default", "o", figures.GREY, "white"), ("proposed", "D", figures.BLUE, figures.BLUE),
        ):  # fmt: skip
            left.plot(row[f"recall_{name}"], place, marker, ms=3.6, mec=colour, mfc=fill)
            right.plot(
                max(1e-4, row[f"false_copies_{name}"]), place, marker, ms=3.6, mec=colour, mfc=fill
            )
    left.set(
        yticks=range(len(mine)),
        ylim=(-0.7, len(mine) - 0.3),
        xlabel=f"recall, {length} bp, >= {REMOVAL} % left out",
    )
    left.set_yticklabels([f"{r['family']} ({r['cut_off']:.0f})" for r in mine], fontsize=6)
    right.set(xscale="log", xlabel="false copies per genome (left edge: none)")
    right.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    right.axvline(MOST_FALSE_COPIES, color=figures.GREY, lw=0.8, ls="--")
    for panel in (left, right):
        panel.grid(axis="y", lw=0.3, color=figures.LIGHT_GREY)
        panel.set_axisbelow(True)
    figure.legend(
        handles=[
            Line2D([], [], marker="o", ls="", mec=figures.GREY, mfc="white", ms=4,
                   label=f"one cut-off ({DEFAULT_CUT_OFF[length]} bits)"),
            Line2D([], [], marker="D", ls="", color=figures.BLUE, ms=4,
                   label="proposed (in brackets)"),
        ],
        loc="lower center", bbox_to_anchor=(0.5, 0.885), ncols=2, frameon=False, fontsize=7,
    )  # fmt: skip
    return figure


# --- program --------------------------------------------------------------------------------------


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of the same columns; no rows, no file."""
    if rows:
        write_table(path, list(rows[0]), rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare, propose, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--reference", type=Path, help="protein reference folder")
    parser.add_argument("--work", type=Path, default=ROOT / "real" / "accuracy" / "reads")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--lengths", type=int, nargs="+", default=list(harness.LENGTHS))
    arguments = parser.parse_args(argv)
    started = time.perf_counter()
    reference = arguments.reference or harness.built_reference(arguments.data, arguments.work)
    bench = Bench(arguments.data, reference, arguments.work, arguments.threads, harness.Settings())
    names = bench.proteins.families
    tiers = {name: family.tier for name, family in bench.catalogue.families.items()}
    judged = [k for k, name in enumerate(names) if tiers.get(name) in ("A", "B")]
    compared = [k for k in judged if names[k] not in SHARED_DOMAINS]
    counted = [k for k, name in enumerate(names) if bench.catalogue.role(name) == "target"]
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    settings, rows, confused, tested, costs = [], [], [], [], []
    groups = evaluation.merge_numbers(bench)
    for length in arguments.lengths:
        setting = settle(bench, length)
        settings.append(setting)
        rows += compare(bench, setting, compared)
        scores = bench.scores(length, *PROPOSED_SEARCH)
        fixed = evaluation.fixed_rules(len(names), DEFAULT_CUT_OFF[length])
        chosen = pick(bench, setting, scores, fixed, groups, REMOVAL)
        confused += confusion(bench, setting, chosen, REMOVAL)
        if length == PROFILE_LENGTH:
            own = pick(bench, setting, scores, fixed, groups, 100)
            costs = cost_of_lead(bench, setting, judged)
            write_rows(out / "suspects.tsv", suspects(bench, setting, own))
            tested += compare_profiles(bench, setting, scores)
    lengths = sorted(arguments.lengths)
    rows.sort(key=lambda row: row["read_length"])
    confused.sort(key=lambda row: row["read_length"])
    settings.sort(key=lambda setting: setting.length)
    write_rows(out / "strategies.tsv", rows)
    write_rows(out / "lead.tsv", costs)
    write_rows(out / "profiles.tsv", tested)
    write_rows(out / "confusion.tsv", confused)
    proposal, default = propose(bench, settings, counted)
    if not own_cut_offs_win(rows):
        proposal = {}
    of_families = [
        row for setting in settings for row in family_rows(bench, setting, proposal, counted)
    ]
    write_rows(out / "families.tsv", of_families)
    whole, bits_per_aa, values = full_length(bench)
    write_rows(out / "full_length.tsv", whole)
    write_rows(out / "full_length_defaults.tsv", full_length_defaults(values))
    write_rows(out / "disagreements.tsv", disagreements(bench))
    write_proposal(out / "acceptance.yaml", proposal, default, bits_per_aa)
    text = summary(bench, rows, tested, costs, confused, proposal, time.perf_counter() - started)
    (out / "calibration.md").write_text(text, encoding="utf-8")
    with figures.mpl.rc_context(figures.STYLE):
        figures.save(draw_strategies(rows, lengths), [out / "strategies.png"])
        shown = 100 if 100 in lengths else lengths[0]
        judged_names = {names[k] for k in judged}
        figures.save(
            draw_families([r for r in of_families if r["family"] in judged_names], shown),
            [out / "families.png"],
        )
    print(
        f"{datetime.date.today()}: catalogue {bench.catalogue.version}, {len(names)} families, "
        f"{time.perf_counter() - started:.0f} s; {len(proposal)} families with their own cut-off"
    )
    return 0


def summary(
    bench: Bench,
    rows: Sequence[Mapping[str, Any]],
    tested: Sequence[Mapping[str, Any]],
    costs: Sequence[Mapping[str, Any]],
    confused: Sequence[Mapping[str, Any]],
    proposal: Mapping[str, Sequence[Sequence[int]]],
    seconds: float,
) -> str:
    """Text of ``calibration.md``."""
    genomes = bench.material.genomes
    lines = [
        "# Calibration of the assignment of reads",
        "",
        f"Measured {datetime.date.today()}: catalogue {bench.catalogue.version}, "
        f"{len(bench.proteins.names)} proteins of {len(bench.proteins.families)} families, "
        f"{len(genomes.names)} genomes, {seconds:.0f} s. Families of tiers A and B but "
        f"{', '.join(SHARED_DOMAINS)} (suspects.tsv). False reads: "
        "of genes of other families or of none, at a coverage of 1. Decoys are left out as other "
        "proteins are. What has parameters was decided on the other half of clusters and genera.",
        "",
        "| strategy | search | bp | itself left out: recall, false/Mb | 70 %: recall, false/Mb |",
        "|---|---|---|---|---|",
    ]
    by = {
        (r["strategy"], r["value"], r["search"], r["read_length"], r["removed_identity"]): r
        for r in rows
    }
    shown = [
        ("catalogue 0.1.0", "35/40/45", "default"),
        *(("one cut-off", str(cut), search) for search, cut in (
            ("default", 32), ("default", 34), ("sensitive", 32), ("sensitive", 34),
            ("sensitive", 36), ("sensitive", 38),
        )),
        ("bits per residue", "1.1", "sensitive"),
        ("lead over rivals", "1.05", "sensitive"),
        ("one cut-off per family", "0.02", "sensitive"),
    ]  # fmt: skip
    for length in (100, 150):
        for strategy, value, search in shown:
            found = [by.get((strategy, value, search, length, removal)) for removal in (100, 70)]
            if all(found):
                cells = " | ".join(
                    f"{r['recall_mean']:.3f}, {r['false_per_mb']:.2f}" for r in found if r
                )
                lines.append(f"| {strategy} {value} | {search} | {length} | {cells} |")
    lines += ["", _gain_text(rows), "", _lead_text(costs), "", _profile_text(tested), ""]
    lines += ["Reads of targets that go elsewhere most (100 bp, "
              "70 % left out): " + "; ".join(
                  f"{r['family']} to {r['given_to']} {100 * r['share']:.0f} %"
                  for r in confused
                  if r["role"] == "target" and r["read_length"] == 100 and r["reads"] >= 100
                  and not r["same_merge_group"]
              )[:900] + ".", "",
              f"Decision: --sensitive, {_curve(sorted(DEFAULT_CUT_OFF.items()))} bits for all "
              "families. Own cut-offs, where one halves the false copies for at most "
              f"{100 * MOST_RECALL_LOST:.0f} % of the reads: "
              + ("; ".join(f"{n} {_curve(p)}" for n, p in proposal.items()) or "none")
              + "."]  # fmt: skip
    return "\n".join(lines) + "\n"


def _gain_text(rows: Sequence[Mapping[str, Any]]) -> str:
    best: dict[tuple[str, str], tuple[float, str]] = {}
    for (strategy, value, search), gain in gains(rows).items():
        if (strategy, search) != ("one cut-off", "sensitive"):
            key = strategy, search
            best[key] = max(best.get(key, (-1.0, "")), (gain, value))
    return (
        "Mean recall above one cut-off (sensitive) at the same number of false reads, over all "
        "lengths and both removals, best setting: "
        + "; ".join(
            f"{strategy} ({value}, {search}) {gain:+.3f}"
            for (strategy, search), (gain, value) in sorted(best.items())
        )
        + f". A rule more is taken from {LEAST_GAIN:+.2f} on."
    )


def _curve(points: Iterable[Sequence[int]]) -> str:
    return ", ".join(f"{value} at {length}" for length, value in points)


def _profile_text(tested: Sequence[Mapping[str, Any]]) -> str:
    if not tested:
        return "Profile HMMs: not run, pyhmmer is not installed."
    parts = []
    mine = [r for r in tested if r["read_length"] == tested[0]["read_length"]]
    for family in dict.fromkeys(r["family"] for r in mine):
        own = {(r["method"], r["cut_off"]): r for r in mine if r["family"] == family}
        search = next(r for (method, _), r in own.items() if method == "search")
        profile = own["profile", 10.0]
        if search["recall_of_candidates"] is None:
            continue
        parts.append(
            f"{family} {search['recall_of_candidates']:.2f}/{search['false_reads']:.0f} by the "
            f"search, {profile['recall_of_candidates']:.2f}/{profile['false_reads']:.0f} by profile"
        )
    return (
        f"Profile HMMs on candidates, {mine[0]['read_length']} bp, 70 % left out, at 10 bits "
        "(recall of candidates / false reads): " + "; ".join(parts) + ". See profiles.tsv."
    )


def write_proposal(
    path: Path,
    proposal: Mapping[str, Sequence[Sequence[int]]],
    default: Mapping[str, Any],
    bits_per_aa: Mapping[str, float],
) -> None:
    """Write the proposal as YAML, in the form of families.yaml."""
    families = {}
    for name in sorted(set(proposal) | set(bits_per_aa)):
        entry: dict[str, Any] = {}
        if name in proposal:
            entry["acceptance"] = {
                "min_bits": [list(point) for point in proposal[name]],
                "min_query_cover": harness.MIN_COVER,
            }
        if bits_per_aa.get(name, DEFAULT_BITS_PER_AA) != DEFAULT_BITS_PER_AA:
            entry["full_length_bits_per_aa"] = bits_per_aa[name]
        if entry:
            families[name] = entry
    content = {
        "defaults": {
            "acceptance": dict(default),
            "full_length": {
                "bits_per_aa": DEFAULT_BITS_PER_AA,
                "min_query_cover": FULL_QUERY_COVER / 100,
                "min_subject_cover": FULL_SUBJECT_COVER / 100,
            },
        },
        "families": families,
    }
    path.write_text(
        "# Proposed by calibrate.py; write_acceptance.py carries it into families.yaml.\n"
        + yaml.safe_dump(content, sort_keys=False, default_flow_style=None),
        encoding="utf-8",
    )


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except BenchmarkError as error:
        raise SystemExit(f"calibrate.py: {error}") from error
