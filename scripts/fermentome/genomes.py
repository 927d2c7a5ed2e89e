"""Genome mode: which routes a genome, MAG or proteome carries.

Whole proteins are compared with the protein reference (DIAMOND blastp, every hit from
`MIN_BITS` bits), and each counts for the family that it resembles most:

- hits of targets and single-copy families that cover too little of the reference protein are left
  out; hits of decoys are not. A gene that the edge of a contig cuts need not cover what lies
  beyond the edge;
- along the protein, the hit with the highest bit score takes its region, a decoy before others
  where scores tie, and what overlaps it by half or more is out. A region that ties between targets
  of different merge groups counts for none;
- a region counts if it scores enough per aligned residue (`Catalogue.full_length`; for single-copy
  families at least `SINGLE_COPY_BITS_PER_AA`) and if the counting regions, each of another family,
  cover enough of the protein: one for most proteins, two for a fusion;
- copies of a family = whole genes + the larger of the numbers of genes without start and without
  end, because two ends at two edges may be one gene.

Routes are called as in a sample (`fermentome.scoring`), with copies per genome that are counts:
present with a set of markers, every diagnostic step, completeness reached, at least one whole copy
(`pathway_value`) and no veto of the lineage; indeterminate with markers only, or where markers are
missing because a protein scores another family higher by less than `CLOSE`; without markers
absent, or below_detection where fewer than `NEAR_COMPLETE` of the single-copy families were found:
the markers may be in the part that is missing. The single-copy families are those of which the
reference holds a member of the genome's domain, which is that of most of its single-copy proteins'
best hits: a reference of bacteria does not make every archaeon incomplete.
"""

import gzip
import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from fermentome.catalogue import (
    Catalogue,
    CatalogueFiles,
    FullLength,
    Pathway,
    Role,
    load_catalogue,
)
from fermentome.errors import EvidenceError
from fermentome.evidence import COMMUNITY
from fermentome.genes import (
    FAILED,
    NUCLEOTIDES,
    CalledGenome,
    GenomeFile,
    Protein,
    call_genomes,
    genome_name,
    read_proteins,
    shared_names,
)
from fermentome.lineage import find_lineage, format_lineage, parse_lineage, read_lineages
from fermentome.reference import Reference
from fermentome.scoring import (
    ABSENT,
    BELOW,
    INDETERMINATE,
    PRESENT,
    RouteSearch,
    pathway_tier,
    pathway_value,
)
from fermentome.tables import Cell, iterate_table, read_table, write_table

#: Hits below are not asked of DIAMOND: less than the shortest piece that can count scores (60
#: residues at 0.7 bits: 42; the shortest single-copy proteins, 88 residues at 0.5 bits: 44).
MIN_BITS = 40
#: What DIAMOND is asked for, in this order.
HIT_COLUMNS = ("qseqid", "sseqid", "pident", "qlen", "slen", "qstart", "qend", "sstart", "send",
               "bitscore")  # fmt: skip
#: Where the catalogue has no default; benchmarks/calibration/full_length_defaults.tsv.
DEFAULT_FULL_LENGTH = FullLength(0.7, 0.5, 0.7)
#: Single-copy families say how much of a genome is there, whatever its kinship (chosen).
SINGLE_COPY_BITS_PER_AA = 0.5
#: Overlap, of the shorter of two regions, from which they are the same.
SAME_REGION = 0.5
#: A protein whose next family reaches this share of the best family's score could be of either.
#: Akkermansia's MmdA, with all members of its phylum left out of the reference, is at 0.99 of the
#: score with the transcarboxylase; PduC at 0.93 to 0.99 of that with glycerol dehydratase.
CLOSE = 0.95
#: Of a gene that a contig's edge cuts at least so many residues, and this share of the reference
#: protein, must be there; unaligned residues towards the edge are at most `EDGE_SLACK`.
MIN_CUT_RESIDUES = 60
MIN_CUT_COVER = 1 / 3
EDGE_SLACK = 10
#: Above this share of single-copy families a missing marker is absent: the border of high-quality
#: drafts in MIMAG (doi:10.1038/nbt.3893).
NEAR_COMPLETE = 0.9
#: Genes of one cluster stand within so many genes of each other.
CLUSTER_GENES = 20

MATCH_COLUMNS = ("genome", "family", "role", "protein", "contig", "start", "end", "bits",
                 "bits_per_aa", "identity", "query_cover", "subject_cover", "next_family",
                 "next_bits", "cut")  # fmt: skip
GENOME_COLUMNS = ("genome", "kind", "contigs", "bases", "proteins", "single_copy_families",
                  "genome_completeness", "status", "reason")  # fmt: skip
CALL_COLUMNS = ("genome", "pathway", "product", "direction", "call", "completeness", "copies",
                "tier", "missing_steps", "colocated", "reason")  # fmt: skip
PHENOTYPE_COLUMNS = ("genome", "lineage", "pathway", "product", "call", "copies", "completeness",
                     "genome_completeness")  # fmt: skip
CALLED_COLUMNS = ("genome", "kind", "contigs", "bases", "proteins", "status", "reason")
#: Tables of genome mode; each is one file of this name.
TABLES = ("genomes", "families", "pathways", "products", "phenotypes")


# --- proteins to families -------------------------------------------------------------------------


class Member(NamedTuple):
    """What a reference says of a protein: its family, and its domain where that is known."""

    family: str
    domain: str = ""


class Hit(NamedTuple):
    """A protein beside a member of the reference; positions in residues from 1, both included."""

    family: str
    identity: float
    bits: float
    query_start: int
    query_end: int
    subject_start: int
    subject_end: int
    subject_length: int
    domain: str = ""

    @property
    def residues(self) -> int:
        """Aligned residues of the protein."""
        return self.query_end - self.query_start + 1

    @property
    def bits_per_aa(self) -> float:
        """Bit score per aligned residue of the protein."""
        return self.bits / self.residues

    @property
    def subject_cover(self) -> float:
        """Aligned share of the reference protein."""
        return (self.subject_end - self.subject_start + 1) / self.subject_length

    def overlaps(self, other: "Hit") -> bool:
        """Whether two hits take the same region of the protein."""
        shared = min(self.query_end, other.query_end) - max(self.query_start, other.query_start) + 1
        return shared >= SAME_REGION * min(self.residues, other.residues)


@dataclass(frozen=True, slots=True)
class Match:
    """A region of a protein that counts for a family.

    Attributes
    ----------
    hit
        The best one of the family.
    next_family, next_bits
        The best other family in the same region; empty and NaN where there is none.
    lost_start, lost_end
        Whether the edge of a contig keeps this end of the family's protein from being seen.
    """

    protein: Protein
    hit: Hit
    role: Role
    next_family: str = ""
    next_bits: float = math.nan
    lost_start: bool = False
    lost_end: bool = False

    @property
    def family(self) -> str:
        """Family that the region counts for."""
        return self.hit.family


class Assigner:
    """The rule that gives a protein to a family.

    Parameters
    ----------
    catalogue
        Roles, merge groups and thresholds.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._limits: dict[str, FullLength] = {}

    def limits(self, family: str) -> FullLength:
        """What a whole protein must reach to count for a family."""
        if family not in self._limits:
            limits = self.catalogue.full_length(family) or DEFAULT_FULL_LENGTH
            bits = limits.bits_per_aa
            if self.catalogue.role(family) == "single_copy":
                bits = min(bits, SINGLE_COPY_BITS_PER_AA)
            else:
                bits = self.catalogue.families[family].full_length_bits_per_aa or bits
            self._limits[family] = replace(limits, bits_per_aa=bits)
        return self._limits[family]

    def assign(self, protein: Protein, hits: Iterable[Hit]) -> list[Match]:
        """Regions of a protein that count, in the order of their bit scores.

        Parameters
        ----------
        hits
            All hits of the protein, in any order.
        """
        ranked = sorted((hit for hit in hits if self._is_rival(hit, protein)), key=self._rank)
        regions: list[list[Hit]] = []
        for hit in ranked:
            for region in regions:
                if hit.overlaps(region[0]):
                    region.append(hit)
                    break
            else:
                regions.append([hit])
        matches: dict[str, Match] = {}
        for region in regions:
            match = self._match(protein, region)
            if match:  # two regions of one family are a repeat, not two families
                matches.setdefault(match.family, match)
        covered = _union(match.hit for match in matches.values()) / protein.length
        return [m for m in matches.values() if covered >= self.limits(m.family).min_query_cover]

    def _rank(self, hit: Hit) -> tuple[Any, ...]:
        # Everything after the role only makes the choice among equals the same in every run.
        return (-hit.bits, self.catalogue.role(hit.family) != "decoy", *hit)

    def _is_rival(self, hit: Hit, protein: Protein) -> bool:
        if self.catalogue.role(hit.family) == "decoy":
            return True
        lost = _lost_ends(hit, protein)
        share = self.limits(hit.family).min_subject_cover
        if any(lost):
            head = 0 if lost[0] else hit.subject_start - 1
            tail = 0 if lost[1] else hit.subject_length - hit.subject_end
            return (
                head + tail <= (1 - share) * hit.subject_length
                and hit.residues >= MIN_CUT_RESIDUES
                and hit.subject_cover >= MIN_CUT_COVER
            )
        return hit.subject_cover >= share

    def _match(self, protein: Protein, region: Sequence[Hit]) -> Match | None:
        best = region[0]
        role = self.catalogue.role(best.family)
        other = next((hit for hit in region if hit.family != best.family), None)
        if best.bits_per_aa < self.limits(best.family).bits_per_aa:
            return None
        if role != "decoy":
            tied = {hit.family for hit in region if hit.bits == best.bits}
            if not self.catalogue.same_merge_group(*tied):
                return None
        seen = best.subject_cover >= self.limits(best.family).min_subject_cover
        lost_start, lost_end = (False, False) if seen else _lost_ends(best, protein)
        if other is None:
            return Match(protein, best, role, lost_start=lost_start, lost_end=lost_end)
        return Match(protein, best, role, other.family, other.bits, lost_start, lost_end)


def _lost_ends(hit: Hit, protein: Protein) -> tuple[bool, bool]:
    """Whether the hit runs to the cut start, and to the cut end, of its protein."""
    return (
        protein.cut_start and hit.query_start - 1 <= EDGE_SLACK,
        protein.cut_end and protein.length - hit.query_end <= EDGE_SLACK,
    )


def _union(hits: Iterable[Hit]) -> int:
    """Residues of a protein that at least one hit covers."""
    covered = reached = 0
    for start, end in sorted((hit.query_start, hit.query_end) for hit in hits):
        covered += max(end - max(start - 1, reached), 0)
        reached = max(reached, end)
    return covered


@dataclass(frozen=True, slots=True)
class GenomeAnnotation:
    """The proteins of a genome that count for families.

    Attributes
    ----------
    matches
        Sorted by role, family, and place in the genome.
    """

    matches: tuple[Match, ...]

    def copies(self) -> dict[str, int]:
        """Copies of each family that was found; ends of genes that may be one count once."""
        whole: Counter[str] = Counter()
        starts: Counter[str] = Counter()
        ends: Counter[str] = Counter()
        for match in self.matches:
            whole[match.family] += not (match.lost_start or match.lost_end)
            starts[match.family] += match.lost_start
            ends[match.family] += match.lost_end
        return {family: whole[family] + max(starts[family], ends[family]) for family in whole}

    def close(self) -> dict[str, str]:
        """Families that nearly had a protein, each with the family that has it."""
        return {
            match.next_family: match.family
            for match in self.matches
            if match.next_family and match.next_bits >= CLOSE * match.hit.bits
        }

    def places(self) -> dict[str, list[tuple[str, int]]]:
        """Contig and number of the gene of each protein, by family; nothing for proteomes."""
        places: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for match in self.matches:
            if match.protein.contig:
                places[match.family].append((match.protein.contig, match.protein.index))
        return dict(places)


def annotate(
    proteins: Iterable[tuple[Protein, Iterable[Hit]]], catalogue: Catalogue
) -> GenomeAnnotation:
    """Give the proteins of one genome to families.

    Parameters
    ----------
    proteins
        Each with all its hits; proteins without hits can be left out.
    catalogue
        Roles and thresholds of the families.
    """
    assigner = Assigner(catalogue)
    return _annotate(proteins, assigner)


def _annotate(
    proteins: Iterable[tuple[Protein, Iterable[Hit]]], assigner: Assigner
) -> GenomeAnnotation:
    roles = ("target", "decoy", "single_copy")
    matches = [m for protein, hits in proteins for m in assigner.assign(protein, hits)]
    matches.sort(key=lambda m: (roles.index(m.role), m.family, *_place(m.protein)))
    return GenomeAnnotation(tuple(matches))


def _place(protein: Protein) -> tuple[str, int, str]:
    return protein.contig, protein.index, protein.name


# --- families to routes ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GenomeEvidence:
    """What is known of a genome when its routes are called.

    Attributes
    ----------
    copies
        Of each family that was found.
    known
        Families of the reference.
    completeness
        Found share of the single-copy families; NaN where the reference holds none.
    places
        Contig and gene number of the proteins by family; empty for a proteome.
    lineage
        Names of all its ranks; None where it is not known.
    close
        Families that nearly had a protein, each with the family that has it.
    """

    copies: Mapping[str, int]
    known: frozenset[str]
    completeness: float
    places: Mapping[str, Sequence[tuple[str, int]]]
    lineage: frozenset[str] | None = None
    close: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GenomeCall:
    """One route in one genome.

    Attributes
    ----------
    completeness
        Share of the required steps that are there.
    copies
        `pathway_value` of the counts; 0 where the call is absent, NaN for below_detection.
    colocated
        Whether the families of a set of markers that was found stand within `CLUSTER_GENES` genes
        of one contig. None for a set of one, for proteomes, and without markers. It tells of
        operons and changes no call.
    reason
        Why the call is not plainly ``present``; empty otherwise.
    """

    pathway: str
    product: str
    direction: str
    call: str
    completeness: float
    copies: float
    tier: str
    missing_steps: tuple[str, ...]
    colocated: bool | None
    reason: str


class GenomeSearch(RouteSearch):
    """One pathway looked for in one genome: a family is there or not."""

    def __init__(self, pathway: Pathway, genome: GenomeEvidence) -> None:
        super().__init__(pathway, genome.known)
        self.genome = genome

    def detects(self, families: Sequence[str], taxon: str = COMMUNITY) -> bool:
        """Whether all families are there."""
        return all(self.genome.copies.get(family, 0) > 0 for family in families)

    def doubtful_markers(self) -> list[str]:
        """Markers that are missing only because a protein is a little closer to another family."""
        close = self.genome.close
        sets = [
            [family for family in group if not self.detects([family])] for group in self.marker_sets
        ]
        doubtful = next((lost for lost in sets if lost and close.keys() >= set(lost)), [])
        return [f"{family} ({close[family]})" for family in doubtful]


def score_genome(pathway: Pathway, genome: GenomeEvidence, catalogue: Catalogue) -> GenomeCall:
    """Call a pathway in a genome; see the module for the rules."""
    found = GenomeSearch(pathway, genome)
    call, reason = _decide(found)
    missing = found.missing_steps(COMMUNITY)
    copies = 0.0
    if call in {PRESENT, INDETERMINATE}:
        copies = pathway_value(found.served_steps(), dict(genome.copies))
    if call == BELOW:
        copies = math.nan
    if call == PRESENT and copies == 0:
        call, reason = INDETERMINATE, f"steps not detected: {', '.join(missing)}"
    if call != PRESENT and missing and genome.completeness < NEAR_COMPLETE:
        reason += f"; {genome.completeness:.0%} of the genome seen"
    if call == PRESENT and pathway.taxon_veto and genome.lineage is None:
        reason = "lineage not given: the veto of some lineages was not applied"
    return GenomeCall(
        pathway=pathway.id,
        product=pathway.product,
        direction=pathway.direction,
        call=call,
        completeness=found.completeness(COMMUNITY),
        copies=copies,
        tier=pathway_tier(pathway, catalogue),
        missing_steps=missing,
        colocated=_colocated(found),
        reason=reason,
    )


def _decide(found: GenomeSearch) -> tuple[str, str]:
    """Call of a pathway, and why it is not plainly present."""
    pathway, genome = found.pathway, found.genome
    unserved = found.unserved_families()
    lacking = f"the reference holds no {', '.join(unserved)}" if unserved else ""
    if not found.marker_sets:
        return INDETERMINATE, lacking
    if not found.markers(COMMUNITY):
        doubtful = found.doubtful_markers()
        if doubtful:
            return INDETERMINATE, f"markers not told apart from others: {', '.join(doubtful)}"
        whole = genome.completeness >= NEAR_COMPLETE
        part = "completeness of the genome not known" if math.isnan(genome.completeness) else ""
        reason = "; ".join(filter(None, [found.missing_markers(), lacking, part]))
        return (ABSENT if whole else BELOW), reason
    if genome.lineage is not None and pathway.is_vetoed(genome.lineage):
        return INDETERMINATE, "markers in a lineage for which the route is never called"
    lost = found.lacks_diagnostic(COMMUNITY)
    if lost:
        return INDETERMINATE, f"diagnostic steps not detected: {', '.join(lost)}"
    if found.completeness(COMMUNITY) < pathway.min_completeness:
        missing = found.missing_steps(COMMUNITY)
        reason = f"steps not detected: {', '.join(missing)}"
        return INDETERMINATE, "; ".join(filter(None, [reason, lacking]))
    return PRESENT, ""


def _colocated(found: GenomeSearch) -> bool | None:
    sets = [g for g in found.marker_sets if len(g) > 1 and found.detects(g)]
    places = found.genome.places
    if not sets or not places:
        return None
    return any(_within_window([places[family] for family in group]) for group in sets)


def _within_window(places: Sequence[Sequence[tuple[str, int]]]) -> bool:
    """Whether one gene of each family stands within a window of genes of one contig."""
    starts = {place for family in places for place in family}
    return any(
        all(
            any(c == contig and first <= i < first + CLUSTER_GENES for c, i in family)
            for family in places
        )
        for contig, first in starts
    )


def score_routes(genome: GenomeEvidence, catalogue: Catalogue) -> list[GenomeCall]:
    """Call of every reported pathway, sorted by pathway."""
    return [
        score_genome(catalogue.pathways[name], genome, catalogue)
        for name in sorted(catalogue.pathways)
        if catalogue.pathways[name].reported
    ]


def product_columns(catalogue: Catalogue) -> dict[str, tuple[str, ...]]:
    """Reported routes by column of the table of products; use of a product has its own column."""
    columns: dict[str, list[str]] = defaultdict(list)
    for name in sorted(catalogue.pathways):
        pathway = catalogue.pathways[name]
        if pathway.reported:
            use = "" if pathway.direction == "formation" else f"_{pathway.direction}"
            columns[pathway.product + use].append(name)
    return {column: tuple(columns[column]) for column in sorted(columns)}


def product_cell(calls: Sequence[GenomeCall]) -> str | None:
    """Cell of the table of products.

    The present routes; else ``indeterminate`` if one is, ``below_detection`` if one is, and
    ``absent`` if all are. None (NA) without calls.
    """
    present = [call.pathway for call in calls if call.call == PRESENT]
    if present:
        return ",".join(present)
    seen = {call.call for call in calls}
    return next((word for word in (INDETERMINATE, BELOW, ABSENT) if word in seen), None)


# --- batches of genomes ---------------------------------------------------------------------------


def write_called(path: str | os.PathLike[str], genomes: Iterable[CalledGenome]) -> None:
    """Write what became of the genomes of a batch before the search."""
    write_table(
        path,
        CALLED_COLUMNS,
        (
            {
                "genome": g.name, "kind": g.kind, "contigs": g.contigs, "bases": g.bases,
                "proteins": g.proteins, "status": g.status, "reason": g.reason,
            }
            for g in genomes
        ),
    )  # fmt: skip


def read_called(path: str | os.PathLike[str]) -> list[CalledGenome]:
    """Read what `write_called` wrote."""
    return [
        CalledGenome(
            name=row["genome"],
            kind=row["kind"],
            contigs=int(row["contigs"]),
            bases=int(row["bases"]),
            proteins=int(row["proteins"]),
            status=row["status"],
            reason=row["reason"],
        )
        for row in read_table(path, CALLED_COLUMNS)
    ]


def read_hits(
    path: str | os.PathLike[str], members: Mapping[str, Member]
) -> Iterator[tuple[str, list[Hit]]]:
    """Hits of a search by protein, one protein after the other.

    Parameters
    ----------
    path
        Headerless table, plain or gzip, with `HIT_COLUMNS`.
    members
        Proteins of the reference.

    Raises
    ------
    EvidenceError
        If a line is not of that form or names a protein that the reference lacks.
    """
    opener = gzip.open if str(path).endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as lines:
        rows = (_parse_hit(line, number, path, members) for number, line in enumerate(lines, 1))
        for query, group in groupby(rows, key=lambda row: row[0]):
            yield query, [hit for _, hit in group]


def _parse_hit(
    line: str, number: int, path: str | os.PathLike[str], members: Mapping[str, Member]
) -> tuple[str, Hit]:
    cells = line.rstrip("\n").split("\t")
    try:
        query, subject, identity, _, length, *positions, bits = cells
        start, end, subject_start, subject_end = map(int, positions)
        family, domain = members[subject]
        hit = Hit(
            family, float(identity), float(bits), start, end, subject_start, subject_end,
            int(length), domain,
        )  # fmt: skip
        return query, hit
    except KeyError:
        raise EvidenceError(
            f"{path}, line {number}: protein {cells[1]!r} is not in the reference; search the"
            " reference that is given"
        ) from None
    except (TypeError, ValueError):
        raise EvidenceError(
            f"{path}, line {number}: {line.strip()[:80]!r}; expected {' '.join(HIT_COLUMNS)}"
        ) from None


def hits_by_genome(
    proteins: Iterable[Protein], hits: Iterable[tuple[str, list[Hit]]]
) -> Iterator[tuple[int, list[tuple[Protein, list[Hit]]]]]:
    """Position in the batch of each genome with hits, and its proteins that have some.

    Parameters
    ----------
    proteins, hits
        In the same order; only proteins of `proteins` have hits.

    Raises
    ------
    EvidenceError
        If the hits are in another order.
    """
    waiting = iter(proteins)

    def joined() -> Iterator[tuple[Protein, list[Hit]]]:
        for query, of_protein in hits:
            protein = next((p for p in waiting if p.identifier == query), None)
            if protein is None:
                raise EvidenceError(
                    f"hits of protein {query!r} are out of order or of another search; keep"
                    " DIAMOND's order and search the proteins that are given"
                )
            yield protein, of_protein

    for position, group in groupby(joined(), key=lambda row: row[0].identifier.split("_")[0]):
        yield int(position), list(group)


@dataclass(frozen=True, slots=True)
class ScoredGenome:
    """All that is known of a genome at the end; without calls if it failed."""

    called: CalledGenome
    lineage: tuple[str, ...] | None
    annotation: GenomeAnnotation
    single_copy_families: int
    completeness: float
    calls: tuple[GenomeCall, ...]


class Scorer:
    """Scores genome after genome with one reference and catalogue.

    Parameters
    ----------
    members
        Proteins of the reference.
    lineages
        Names of the seven ranks by genome.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        members: Iterable[Member],
        lineages: Mapping[str, tuple[str, ...]],
    ) -> None:
        self.catalogue = catalogue
        self.members = frozenset(members)
        self.known = frozenset(family for family, _ in self.members)
        self.lineages = lineages
        self.assigner = Assigner(catalogue)

    def expected(self, annotation: GenomeAnnotation) -> frozenset[str]:
        """Single-copy families that a genome of this domain can show."""
        domains = Counter(
            match.hit.domain
            for match in annotation.matches
            if match.role == "single_copy" and match.hit.domain
        )
        domain = min(domains, key=lambda name: (-domains[name], name), default="")
        of_domain = {family for family, own in self.members if own == domain}
        known = of_domain if domain else self.known
        return frozenset(known & self.catalogue.single_copy.keys())

    def score(
        self, called: CalledGenome, proteins: Iterable[tuple[Protein, Iterable[Hit]]]
    ) -> ScoredGenome:
        """Families and calls of one genome."""
        lineage = find_lineage(called.name, self.lineages)
        if called.status == FAILED:
            return ScoredGenome(called, lineage, GenomeAnnotation(()), 0, math.nan, ())
        annotation = _annotate(proteins, self.assigner)
        copies = annotation.copies()
        expected = self.expected(annotation)
        found = sum(family in copies for family in expected)
        completeness = found / len(expected) if expected else math.nan
        evidence = GenomeEvidence(
            copies=copies,
            known=self.known,
            completeness=completeness,
            places=annotation.places() if called.kind == NUCLEOTIDES else {},
            lineage=None if lineage is None else frozenset(lineage),
            close=annotation.close(),
        )
        calls = tuple(score_routes(evidence, self.catalogue))
        return ScoredGenome(called, lineage, annotation, found, completeness, calls)


def genome_row(genome: ScoredGenome) -> dict[str, Cell]:
    """Row of the table of genomes."""
    called = genome.called
    failed = called.status == FAILED
    reason = called.reason
    if not reason and genome.single_copy_families == 0:
        reason = "no single-copy family found: not a bacterium or archaeon, or a small part of one"
    elif not reason and genome.completeness < NEAR_COMPLETE:
        reason = f"{genome.completeness:.0%} of the genome seen: nothing is called absent"
    return {
        "genome": called.name,
        "kind": called.kind or None,
        "contigs": called.contigs if called.kind == NUCLEOTIDES else None,
        "bases": called.bases if called.kind == NUCLEOTIDES else None,
        "proteins": None if failed else called.proteins,
        "single_copy_families": None if failed else genome.single_copy_families,
        "genome_completeness": genome.completeness,
        "status": called.status,
        "reason": reason,
    }


def match_rows(genome: ScoredGenome) -> Iterator[dict[str, Cell]]:
    """Rows of the table of families: the proteins that count."""
    for match in genome.annotation.matches:
        hit, protein = match.hit, match.protein
        lost = [word for word, is_lost in (("start", match.lost_start), ("end", match.lost_end))
                if is_lost]  # fmt: skip
        yield {
            "genome": genome.called.name,
            "family": match.family,
            "role": match.role,
            "protein": protein.name,
            "contig": protein.contig or None,
            "start": protein.start or None,
            "end": protein.end or None,
            "bits": hit.bits,
            "bits_per_aa": hit.bits_per_aa,
            "identity": hit.identity,
            "query_cover": hit.residues / protein.length,
            "subject_cover": hit.subject_cover,
            "next_family": match.next_family or None,
            "next_bits": match.next_bits,
            "cut": ",".join(lost) or "no",
        }


def call_rows(genome: ScoredGenome) -> Iterator[dict[str, Cell]]:
    """Rows of the table of pathways."""
    for call in genome.calls:
        yield {
            "genome": genome.called.name,
            "pathway": call.pathway,
            "product": call.product,
            "direction": call.direction,
            "call": call.call,
            "completeness": call.completeness,
            "copies": call.copies,
            "tier": call.tier,
            "missing_steps": ",".join(call.missing_steps),
            "colocated": call.colocated,
            "reason": call.reason,
        }


def product_row(genome: ScoredGenome, columns: Mapping[str, tuple[str, ...]]) -> dict[str, Cell]:
    """Row of the table of genomes by products."""
    calls = {call.pathway: call for call in genome.calls}
    cells: dict[str, Cell] = {"genome": genome.called.name}
    for column, routes in columns.items():
        cells[column] = product_cell([calls[route] for route in routes if route in calls])
    return cells


def phenotype_rows(genome: ScoredGenome) -> Iterator[dict[str, Cell]]:
    """Rows of the table that the organism evidence of samples is made of."""
    for call in genome.calls:
        yield {
            "genome": genome.called.name,
            "lineage": "" if genome.lineage is None else format_lineage(genome.lineage),
            "pathway": call.pathway,
            "product": call.product,
            "call": call.call,
            "copies": call.copies,
            "completeness": call.completeness,
            "genome_completeness": genome.completeness,
        }


def score_batch(
    called_path: str | os.PathLike[str],
    proteins_path: str | os.PathLike[str],
    hits_path: str | os.PathLike[str],
    reference: Mapping[str, Member],
    lineages: Mapping[str, tuple[str, ...]],
    catalogue: Catalogue,
    tables: Mapping[str, str | os.PathLike[str]],
) -> list[ScoredGenome]:
    """Annotate and score a batch of genomes, and write its tables.

    Parameters
    ----------
    called_path, proteins_path
        What `write_called` and `call_genomes` wrote.
    hits_path
        Hits of the proteins.
    reference
        Proteins of the reference.
    lineages
        Names of the seven ranks by genome.
    tables
        Path of each of `TABLES`.

    Returns
    -------
    list of ScoredGenome
        In the order of the batch.
    """
    scorer = Scorer(catalogue, reference.values(), lineages)
    called = read_called(called_path)
    genomes: list[ScoredGenome] = []
    for position, proteins in hits_by_genome(
        read_proteins(proteins_path), read_hits(hits_path, reference)
    ):
        genomes += [scorer.score(genome, ()) for genome in called[len(genomes) : position]]
        genomes.append(scorer.score(called[position], proteins))
    genomes += [scorer.score(genome, ()) for genome in called[len(genomes) :]]
    columns = product_columns(catalogue)
    write_table(tables["genomes"], GENOME_COLUMNS, map(genome_row, genomes))
    write_table(tables["families"], MATCH_COLUMNS, (r for g in genomes for r in match_rows(g)))
    write_table(tables["pathways"], CALL_COLUMNS, (r for g in genomes for r in call_rows(g)))
    write_table(
        tables["products"],
        ("genome", *columns),
        (product_row(genome, columns) for genome in genomes),
    )
    write_table(
        tables["phenotypes"], PHENOTYPE_COLUMNS, (r for g in genomes for r in phenotype_rows(g))
    )
    return genomes


def members_of(reference: Reference) -> dict[str, Member]:
    """Family and domain of each protein of a reference."""
    return {
        name: Member(row.family, parse_lineage(row.lineage)[0])
        for name, row in reference.proteins.items()
    }


def join_batches(parts: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str]) -> None:
    """Join tables of batches into one, in the order given, line by line.

    Raises
    ------
    EvidenceError
        If there is none, or the headers differ.
    """
    if not parts:
        raise EvidenceError(f"{Path(path).name}: no table of a batch to join")
    header = ""
    with Path(path).open("w", encoding="utf-8", newline="") as out:
        for part in parts:
            with Path(part).open(encoding="utf-8", newline="") as lines:
                first = next(lines, "")
                if header and first != header:
                    raise EvidenceError(
                        f"{part}: another header than the first batch; make all batches anew"
                    )
                if not header:
                    out.write(first)
                    header = first
                out.writelines(lines)


# --- rules ----------------------------------------------------------------------------------------


def call_batch(
    genome_paths: Sequence[str],
    proteins_path: str | os.PathLike[str],
    called_path: str | os.PathLike[str],
    threads: int,
) -> None:
    """Find the proteins of the genomes of a batch; see `call_genomes` and `write_called`."""
    genomes = [GenomeFile(genome_name(Path(path)), Path(path)) for path in genome_paths]
    refused = {name: same_name(files) for name, files in shared_names(genomes).items()}
    write_called(called_path, call_genomes(genomes, proteins_path, threads, refused))


def same_name(files: str) -> str:
    """Reason why genomes of one name are not made."""
    return f"several files have this name: {files}; rename them"


def score_genomes(
    called_path: str | os.PathLike[str],
    genes_path: str | os.PathLike[str],
    hits_path: str | os.PathLike[str],
    proteins_path: str | os.PathLike[str],
    lineages_path: str | os.PathLike[str] | None,
    catalogue_files: CatalogueFiles,
    tables: Any,
) -> None:
    """Score a batch of genomes; see `score_batch`.

    Parameters
    ----------
    proteins_path
        Table of the proteins of the reference.
    tables
        Path of each of `TABLES`.
    """
    rows = iterate_table(proteins_path, ("protein", "family", "lineage"))
    members = {r["protein"]: Member(r["family"], parse_lineage(r["lineage"])[0]) for r in rows}
    score_batch(
        called_path,
        genes_path,
        hits_path,
        members,
        read_lineages(lineages_path) if lineages_path else {},
        load_catalogue(catalogue_files),
        {table: tables[table] for table in TABLES},
    )


def join_genomes(parts: Any, tables: Any) -> None:
    """Join each of `TABLES` over the batches.

    Parameters
    ----------
    parts
        Paths of the batches' tables, in their order, by table.
    tables
        Path of each joined table.
    """
    for table in TABLES:
        join_batches(parts[table], tables[table])
