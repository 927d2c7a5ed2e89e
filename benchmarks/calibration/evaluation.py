"""What became of reads of known origin: recall and precision of an assignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import harness
import numpy as np
import numpy.typing as npt
from harness import Bench, Floats, Ints, Material, Reads, Scores

NONE, AMBIGUOUS = -1, -2
RELATED = 40.0
"""Per cent; a member of the family that is left and this identical to the source is a relative."""
Z = 1.959964


@dataclass(frozen=True)
class Truth:
    """Origin of each read, families by number and -1 for none.

    Attributes
    ----------
    wanted
        Family that the read must be given to: `harness.MIN_IN_GENE` of it lies in a member.
    first, second
        Families of which the read holds `harness.TOUCHES_GENE` nucleotides or more.
    unit
        Source or gene, as one number; reads of one unit are not independent.
    of_source
        Whether the read comes from a drawn source, not from a genome.
    """

    wanted: Ints
    first: Ints
    second: Ints
    unit: Ints
    of_source: npt.NDArray[np.bool_]


def truth_of(reads: Reads, material: Material) -> Truth:
    """Origin of reads by what the full reference says of genes."""
    of_source = reads.genome < 0
    proteins, genes = material.proteins, material.labels.family
    in_gene = np.where(reads.gene >= 0, reads.gene, 0)
    own = np.where(
        of_source, proteins.family[np.where(of_source, in_gene, 0)],
        genes[np.where(of_source, 0, in_gene)],
    )  # fmt: skip
    own = np.where(reads.gene >= 0, own, NONE)
    next_to = np.where(
        ~of_source & (reads.second >= 0),
        genes[np.where(of_source | (reads.second < 0), 0, reads.second)],
        NONE,
    )
    length = reads.bases.shape[1]
    return Truth(
        wanted=np.where(reads.touches >= harness.MIN_IN_GENE * length, own, NONE),
        first=np.where(reads.touches >= harness.TOUCHES_GENE, own, NONE),
        second=np.where(reads.touches_second >= harness.TOUCHES_GENE, next_to, NONE),
        unit=np.where(of_source, reads.gene, reads.gene + len(proteins.names)),
        of_source=of_source,
    )


@dataclass(frozen=True)
class Rules:
    """How a read is given to a family.

    Attributes
    ----------
    min_bits
        By family.
    margin
        By family: how many times the best score of any rival it must reach. Rivals are all
        families outside the merge group.
    min_bits_per_aa
        Lowest score per aligned residue, by family.
    """

    min_bits: Floats
    margin: Floats
    min_bits_per_aa: Floats


def fixed_rules(families: int, bits: float, margin: float = 1.0, per_aa: float = 0.0) -> Rules:
    """The same rule for every family."""
    return Rules(np.full(families, bits), np.full(families, margin), np.full(families, per_aa))


def merge_numbers(bench: Bench) -> Ints:
    """Number of the merge group of each family; families without one have their own."""
    groups: dict[str, int] = {}
    return np.array(
        [
            groups.setdefault(_group_of(name, bench) or f" {name}", len(groups))
            for name in bench.proteins.families
        ]
    )


def _group_of(name: str, bench: Bench) -> str | None:
    family = bench.catalogue.families.get(name)
    return family.merge_group if family else None


def choose(
    scores: Scores,
    removal: int,
    rules: Rules,
    decoy: npt.NDArray[np.bool_],
    groups: Ints,
) -> Ints:
    """Family of each row of `scores`, `NONE` or `AMBIGUOUS`; the rules of fermentome.assign.

    A decoy that ties takes the read. Targets that tie within one merge group share it (the first
    is returned); others are ambiguous.
    """
    tenths = scores.tenths[removal]
    kept = tenths >= np.round(rules.min_bits * 10).astype(np.uint16)
    if rules.min_bits_per_aa.any():
        kept &= tenths >= 10 * rules.min_bits_per_aa.astype(np.float32) * scores.aligned[removal]
    tenths = np.where(kept, tenths, np.uint16(0))
    top = tenths.max(axis=1, initial=0)
    tie = (tenths == top[:, None]) & (top[:, None] > 0)
    by_decoy = tie & decoy
    best = np.where(by_decoy.any(axis=1), by_decoy.argmax(axis=1), tie.argmax(axis=1))
    group = groups[best]
    outside = tie & (groups[None, :] != group[:, None])
    tied = outside.any(axis=1) & ~by_decoy.any(axis=1)
    chosen = np.where(top == 0, NONE, np.where(tied, AMBIGUOUS, best))
    if (rules.margin > 1).any():
        rivals = np.where(groups[None, :] != group[:, None], tenths, np.uint16(0)).max(axis=1)
        close = (top < rules.margin[best] * rivals) & ~decoy[best]
        chosen = np.where((chosen >= 0) & close, AMBIGUOUS, chosen)
    return chosen


def spread(chosen: Ints, scores: Scores, reads: int) -> Ints:
    """Family of every read from those that have hits."""
    result = np.full(reads, NONE)
    result[scores.rows] = chosen
    return result


def related_sources(material: Material, removal: float) -> tuple[Ints, Ints]:
    """Sources, and genes, that keep a relative of their own family when others are left out."""
    found = []
    for pairs, family in (
        (material.source_pairs, material.proteins.family),
        (material.gene_pairs, material.labels.family),
    ):
        same = family[pairs["query"]] == material.proteins.family[pairs["subject"]]
        inside = (pairs["identity"] >= RELATED) & (pairs["identity"] < removal - 1e-3)
        found.append(np.unique(pairs["query"][same & inside]))
    return found[0], found[1]


def wilson(hits: float, total: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; `total` may be an effective number."""
    if total <= 0:
        return 0.0, 1.0
    share = hits / total
    middle = (share + Z**2 / (2 * total)) / (1 + Z**2 / total)
    half = Z / (1 + Z**2 / total) * np.sqrt(share * (1 - share) / total + Z**2 / (4 * total**2))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


@dataclass(frozen=True)
class Recall:
    """Share of reads found, the mean over units, with a 95 % interval."""

    value: float
    low: float
    high: float
    units: int
    reads: int


def recall_of(found: npt.NDArray[np.bool_], unit: Ints) -> Recall | None:
    """Recall of reads of one family.

    Every unit weighs the same. The interval is Wilson's, with the number of reads divided by the
    design effect: the variance between units over what independent reads would have.
    """
    if not len(found):
        return None
    _, place = np.unique(unit, return_inverse=True)
    reads = np.bincount(place)
    shares = np.bincount(place, weights=found) / reads
    mean = float(shares.mean())
    effective = float(len(found))
    if len(shares) > 1 and 0 < mean < 1:
        error = float(shares.var(ddof=1)) / len(shares)
        if error > 0:
            effective = min(effective, mean * (1 - mean) / error)
    low, high = wilson(mean * effective, effective)
    return Recall(mean, low, high, len(shares), len(found))


@dataclass(frozen=True)
class Genomic:
    """What the reads of all genomes at the same depth give to one family.

    All numbers are of reads at a coverage of 1 over all genomes.

    Attributes
    ----------
    true, false
        Reads that hold, and do not hold, a part of a member.
    doubtful
        Reads of genes that may be members, in neither of the two.
    false_elsewhere
        Of the false those in genomes without a member and without a gene in doubt.
    megabases_elsewhere
        Size of those genomes.
    carriers
        Genomes with a member.
    from_decoys, from_targets, from_nothing
        The false ones by what the gene is.
    reads_false
        Number of reads behind `false`, not weighted.
    """

    true: float
    false: float
    doubtful: float
    false_elsewhere: float
    megabases_elsewhere: float
    carriers: int
    from_decoys: float
    from_targets: float
    from_nothing: float
    reads_false: int
    reads_false_elsewhere: int


class Genome:
    """Reads of genomes, ready to be judged again and again."""

    def __init__(self, bench: Bench, reads: Reads, truth: Truth) -> None:
        material = bench.material
        names = material.proteins.families
        self.reads, self.truth = reads, truth
        self.decoy = np.array([bench.catalogue.role(name) == "decoy" for name in names])
        genome_of = np.array([gene.genome for gene in material.genomes.genes])
        self.has = np.zeros((len(material.genomes.names), len(names)), dtype=bool)
        labelled = material.labels.family >= 0
        self.has[genome_of[labelled], material.labels.family[labelled]] = True
        self.may_have = self.has.copy()
        for gene, family in material.labels.doubts:
            self.may_have[genome_of[gene], family] = True
        self.doubts = np.array(
            sorted(gene * len(names) + family for gene, family in material.labels.doubts),
            dtype=np.int64,
        )
        self.size = np.array(
            [material.genomes.bases(number) / 1e6 for number in range(len(self.has))]
        )
        self.of_genome = np.flatnonzero(~truth.of_source)

    def judge(self, chosen: Ints, families: Sequence[int]) -> dict[int, Genomic]:
        """Count the reads given to each family."""
        rows = self.of_genome[np.isin(chosen[self.of_genome], families)]
        family = chosen[rows]
        truth, reads = self.truth, self.reads
        weight, genome = reads.weight[rows], reads.genome[rows]
        true = (truth.first[rows] == family) | (truth.second[rows] == family)
        total = self.has.shape[1]
        doubt = ~true & (
            harness.contains(self.doubts, reads.gene[rows], family, total)
            | harness.contains(self.doubts, reads.second[rows], family, total)
        )
        false = ~true & ~doubt
        origin = np.where(truth.first[rows] >= 0, truth.first[rows], truth.second[rows])
        elsewhere = ~self.may_have[genome, family]
        result = {}
        for number in families:
            mine = family == number
            wrong = mine & false
            result[number] = Genomic(
                true=float(weight[mine & true].sum()),
                false=float(weight[wrong].sum()),
                doubtful=float(weight[mine & doubt].sum()),
                false_elsewhere=float(weight[wrong & elsewhere].sum()),
                megabases_elsewhere=float(self.size[~self.may_have[:, number]].sum()),
                carriers=int(self.has[:, number].sum()),
                from_decoys=float(weight[wrong & (origin >= 0) & self.decoy[origin]].sum()),
                from_targets=float(weight[wrong & (origin >= 0) & ~self.decoy[origin]].sum()),
                from_nothing=float(weight[wrong & (origin < 0)].sum()),
                reads_false=int(wrong.sum()),
                reads_false_elsewhere=int((wrong & elsewhere).sum()),
            )
        return result


def expected_true(length_aa: float, read_length: int, recall: float) -> float:
    """Reads of one gene at a coverage of 1 that are found.

    Starts of reads that lie in the gene with the share that must be aligned, times the recall,
    over the read length.
    """
    places = 3 * length_aa + read_length - 2 * harness.MIN_IN_GENE * read_length + 1
    return recall * places / read_length
