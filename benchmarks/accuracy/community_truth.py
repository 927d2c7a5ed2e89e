"""What a community holds: families of whole genes by genome, routes by the published formula.

The formula and the rules of scope and veto are written here a second time, after `docs/methods.md`
and not with the code that is judged, so that a mistake in that code does not hide itself.
"""

from __future__ import annotations

import math
import subprocess
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyrodigal
from fast_reads import stretches

from fermentome.catalogue import Catalogue, Pathway, Step

GENE_COLUMNS = ("qseqid", "sseqid", "pident", "length", "qlen", "slen", "bitscore")
MEMBER_IDENTITY, MEMBER_COVER = 40.0, 70.0
"""Per cent, as benchmarks/real/build_reference.py asks of the genome proteins it takes in."""
RIVAL_MARGIN = 1.1
"""A family that scores within this factor of the best one makes the label doubtful."""
DOUBTFUL_IDENTITY = 30.0
SAME_PROTEIN_IDENTITY, SAME_PROTEIN_COVER = 95.0, 80.0
"""Per cent; a reference protein this close to a gene of a withheld genome is withheld too."""


@dataclass(frozen=True)
class GeneHits:
    """Hits of one gene: best bits, identity and cover by family; near-identical proteins."""

    gene: str
    best: Mapping[str, tuple[float, float, float]]
    same: frozenset[str]


@dataclass(frozen=True)
class Annotation:
    """Families of the genomes.

    Attributes
    ----------
    copies
        By genome and family.
    same
        By genome: reference proteins nearly identical to one of its own.
    doubts
        Where a plain best hit counts other copies: genome, family, copies, best_hits, reason.
    """

    copies: Mapping[str, Mapping[str, int]]
    same: Mapping[str, frozenset[str]]
    doubts: Sequence[Mapping[str, str | int]]


def call_genes(path: Path, output: Path) -> None:
    """Write the proteins of a genome as Pyrodigal sees them; whole genes and those cut short."""
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    sequences = [letters[stretch].tobytes() for stretch in stretches(path)]
    finder = pyrodigal.GeneFinder()
    finder.train(*sequences)
    with output.open("w") as handle:
        for contig, sequence in enumerate(sequences):
            for number, gene in enumerate(finder.find_genes(sequence)):
                protein = gene.translate().rstrip("*")
                handle.write(f">{contig}_{number}\n{protein}\n")


def gene_hits(
    genomes: Mapping[str, Path],
    index: Path,
    family_of: Mapping[str, str],
    folder: Path,
    threads: int,
) -> dict[str, list[GeneHits]]:
    """Search the genes of every genome in the reference; what was made before is read again."""
    folder.mkdir(parents=True, exist_ok=True)
    genes = {name: folder / f"{name}.faa" for name in genomes}
    missing = [name for name in genomes if not genes[name].is_file()]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda name: call_genes(genomes[name], genes[name]), missing))
    query, table = folder / "genes.faa", folder / "genes.tsv"
    with query.open("w") as handle:
        for name in sorted(genes):
            handle.write(genes[name].read_text().replace(">", f">{name}|"))
    subprocess.run(
        ["diamond", "blastp", "--query", str(query), "--db", str(index), "--out", str(table),
         "--threads", str(threads), "--quiet", "--very-sensitive", "--masking", "0",
         "--evalue", "1e-5", "--max-target-seqs", "300", "--outfmt", "6", *GENE_COLUMNS],
        check=True,
    )  # fmt: skip
    best: dict[str, dict[str, tuple[float, float, float]]] = defaultdict(dict)
    same: dict[str, set[str]] = defaultdict(set)
    with table.open() as lines:
        for line in lines:
            gene, protein, identity, length, qlen, slen, bits = line.rstrip("\n").split("\t")
            family = family_of[protein]
            cover = 100 * int(length) / max(int(qlen), int(slen))
            if float(bits) > best[gene].get(family, (0.0,))[0]:
                best[gene][family] = (float(bits), float(identity), cover)
            whole = 100 * int(length) / int(slen) >= SAME_PROTEIN_COVER
            if whole and float(identity) >= SAME_PROTEIN_IDENTITY:
                same[gene].add(protein)
    found: dict[str, list[GeneHits]] = {name: [] for name in genomes}
    for gene in sorted(best):
        name = gene.partition("|")[0]
        found[name].append(GeneHits(gene, best[gene], frozenset(same[gene])))
    return found


def annotate(
    hits: Mapping[str, Sequence[GeneHits]],
    called: Mapping[str, Mapping[str, int]],
    catalogue: Catalogue,
) -> Annotation:
    """Copies as genome mode counts them, and where a plain best hit would count otherwise.

    Parameters
    ----------
    hits
        Genes that resemble the reference, by genome.
    called
        Copies by genome and family, see `called_copies`.
    """
    copies: dict[str, dict[str, int]] = {}
    same: dict[str, frozenset[str]] = {}
    doubts: list[dict[str, str | int]] = []
    for genome, genes in hits.items():
        plain: dict[str, int] = defaultdict(int)
        reasons: dict[str, list[str]] = defaultdict(list)
        for gene in genes:
            family, about, reason = label(gene, catalogue)
            plain[family] += 1
            if reason:
                reasons[about].append(reason)
        copies[genome] = dict(sorted(called.get(genome, {}).items()))
        same[genome] = frozenset().union(*(gene.same for gene in genes))
        for family in sorted({*copies[genome], *plain} - {""}):
            counted = copies[genome].get(family, 0)
            if counted != plain[family] and catalogue.role(family) != "decoy":
                doubts.append(
                    {
                        "genome": genome,
                        "family": family,
                        "copies": counted,
                        "best_hits": plain[family],
                        "reason": "; ".join(reasons[family]),
                    }
                )
    return Annotation(copies, same, doubts)


def called_copies(rows: Iterable[Mapping[str, str]]) -> dict[str, dict[str, int]]:
    """Copies by genome and family from the table of families that genome mode writes.

    Two ends of a gene on the edges of contigs count once.
    """
    parts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        parts[row["genome"], row["family"]].append(row["cut"])
    copies: dict[str, dict[str, int]] = defaultdict(dict)
    for (genome, family), cuts in parts.items():
        starts = sum("start" in cut for cut in cuts)
        ends = sum("end" in cut for cut in cuts)
        copies[genome][family] = cuts.count("no") + max(starts, ends)
    return dict(copies)


def label(gene: GeneHits, catalogue: Catalogue) -> tuple[str, str, str]:
    """Family of a gene, empty if none; the family looked at; what is doubtful, empty if nothing.

    The best score decides, and a tie goes to the decoy.
    """
    ranked = sorted(
        gene.best.items(),
        key=lambda item: (-item[1][0], catalogue.role(item[0]) != "decoy", item[0]),
    )
    family, (bits, identity, cover) = ranked[0]
    target = catalogue.role(family) != "decoy"
    if cover < MEMBER_COVER:
        part = identity >= MEMBER_IDENTITY and cover >= MEMBER_COVER / 2 and target
        reason = f"{identity:.0f} % identical over {cover:.0f} %"
        return "", family, reason if part else ""
    if identity < MEMBER_IDENTITY:
        near = identity >= DOUBTFUL_IDENTITY and target
        return "", family, f"only {identity:.0f} % identical" if near else ""
    for rival, (other, _, _) in ranked[1:]:
        both_decoys = not target and catalogue.role(rival) == "decoy"
        if other * RIVAL_MARGIN > bits and not both_decoys:
            if catalogue.same_merge_group(family, rival):
                continue
            return family, family, f"{rival} scores {other / bits:.2f} of it"
    return family, family, ""


# --- routes ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RouteTruth:
    """One route in one community.

    Attributes
    ----------
    copies
        What the estimator claims to estimate: the published formula on true family copies.
    present
        Whether the published rules call the route present on true family copies.
    cells
        Share of the cells whose genome carries the whole route by itself.
    carriers
        Genomes that do; where none does, genomes that hold a family of a marker set.
    """

    copies: float
    present: bool
    cells: float
    carriers: tuple[str, ...]


def step_copies(step: Step, copies: Mapping[str, float]) -> float:
    """Most abundant alternative, each as scarce as its scarcest subunit."""
    return max(min(copies.get(f, 0.0) for f in group) for group in step.alternatives)


def formula(steps: Sequence[Step], copies: Mapping[str, float]) -> float:
    """Lower of the harmonic mean over required and the geometric mean over diagnostic steps."""
    required = [step_copies(step, copies) for step in steps if step.required]
    diagnostic = [step_copies(step, copies) for step in steps if step.diagnostic]
    if any(value == 0 for value in diagnostic) or required.count(0.0) > 1:
        return 0.0
    positive = [value for value in required if value > 0]
    if not positive:
        return 0.0
    filled = [value or min(positive) for value in required]
    harmonic = len(filled) / math.fsum(1 / value for value in filled)
    if not diagnostic:
        return harmonic
    geometric = math.exp(math.fsum(map(math.log, diagnostic)) / len(diagnostic))
    return min(harmonic, geometric)


def holds(pathway: Pathway, copies: Mapping[str, float], served: Collection[str]) -> bool:
    """Whether the rules call a route present where these families are."""
    have = {family for family, value in copies.items() if value > 0}
    if not any(have.issuperset(group) for group in pathway.required_markers):
        return False
    required = [step for step in pathway.steps if step.required]
    seen = [s for s in required if any(have.issuperset(group) for group in s.alternatives)]
    for step in required:
        can = any(set(served).issuperset(group) for group in step.alternatives)
        if step.diagnostic and can and step not in seen:
            return False
    return len(seen) / len(required) >= pathway.min_completeness


def total(copies: Iterable[tuple[float, Mapping[str, int]]]) -> dict[str, float]:
    """Copies by family per cell of the community, from (share of cells, copies) of genomes."""
    sums: dict[str, float] = defaultdict(float)
    for share, families in copies:
        for family, number in families.items():
            sums[family] += share * number
    return dict(sums)


def route_truth(
    pathway: Pathway,
    shares: Mapping[str, float],
    copies: Mapping[str, Mapping[str, int]],
    lineages: Mapping[str, tuple[str, ...]],
    served: Collection[str],
) -> RouteTruth:
    """Copies and presence of a route in a community.

    Parameters
    ----------
    shares
        Share of the cells by genome.
    copies
        By genome and family.
    lineages
        Names of the seven ranks by genome.
    served
        Families of which the reference holds a protein.
    """
    allowed = [name for name in shares if not pathway.is_vetoed(lineages[name])]
    steps = [
        step
        for step in pathway.steps
        if any(set(served).issuperset(group) for group in step.alternatives)
    ]
    whole = [name for name in allowed if holds(pathway, copies[name], served)]
    markers = {family for group in pathway.required_markers for family in group}
    carriers = whole or [name for name in allowed if markers & copies[name].keys()]
    pool = total((shares[name], copies[name]) for name in allowed)
    present = holds(pathway, pool, served)
    value = formula(steps, pool)
    if not any(pool.keys() >= set(group) for group in pathway.required_markers):
        value = 0.0
    if pathway.evidence_scope == "taxon":
        genera: dict[str, list[str]] = defaultdict(list)
        for name in allowed:
            genera[lineages[name][5]].append(name)
        carrying = [
            name
            for names in genera.values()
            if holds(pathway, total((shares[n], copies[n]) for n in names), served)
            for name in names
        ]
        present = bool(carrying)
        value = formula(steps, total((shares[name], copies[name]) for name in carrying))
    cells = math.fsum(shares[name] for name in whole)
    return RouteTruth(value, present and value > 0, cells, tuple(sorted(carriers)))
