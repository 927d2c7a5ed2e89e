"""Assign fragments to protein families by the best hit of their mates.

A fragment is a read pair, or a read of a single-end run. It counts once for each family it
supports: its two mates may lie in two neighbouring genes, and then it is evidence of both.

The rules, in the order in which they are applied to a fragment:

1. A hit counts if its bit score reaches the family's minimum for the length of the read and
   the alignment covers the family's minimum share of the read.
2. Where both mates have hits, the families' best scores are added over the mates, and a mate
   takes the family with the highest sum if that family is among its own hits. A paralogue
   that wins by chance on one mate is thus overruled by the other mate.
3. A decoy family that scores as high as the best target family takes the fragment.
4. Two target families that score the same are ambiguous: the fragment is counted under both
   names together and given to neither, unless both stand in one merge group, where it is
   shared equally.
"""

import gzip
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TextIO

from fermentome.catalogue import Catalogue
from fermentome.errors import EvidenceError

UNASSIGNED = "unassigned"

HIT_COLUMNS = ("qseqid", "sseqid", "pident", "length", "qlen", "sstart", "send", "bitscore")
"""Fields of DIAMOND's tabular output (``--outfmt 6``) that are asked for."""

NEAR_BEST = 0.95
"""Share of the best bit score down to which hits of a family have a say about the taxon."""

MINIMUM_GENUS_ALIGNMENT = 30
"""Amino acids. With 95 % identity, 4-6 % of fragments whose genus the reference lacks are given
to another genus from 30 amino acids on, and 8 % at 20 (benchmarks/genus)."""


@dataclass(frozen=True, slots=True)
class Protein:
    """One sequence of the protein reference.

    Attributes
    ----------
    family
        Catalogue id.
    length
        Amino acids.
    genus
        Genus of the source organism, empty where not known.
    """

    family: str
    length: int
    genus: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One alignment of one mate to one protein."""

    protein: str
    family: str
    identity: float
    length: int
    start: int
    bits: float


@dataclass(slots=True)
class FamilyTally:
    """What one family received in one taxon.

    Attributes
    ----------
    fragments
        Fragments, pairs counted once; fractional only within merge groups.
    paired_fragments, paired_mates
        Of the fragments those from pairs, and how many of their mates hit.
    length_sum
        Sum over fragments of the length of the best-hit protein, amino acids.
    positions
        Distinct (protein, start of the alignment) among the fragments.
    """

    fragments: float = 0.0
    paired_fragments: float = 0.0
    paired_mates: float = 0.0
    length_sum: float = 0.0
    positions: set[tuple[str, int]] = field(default_factory=set)


@dataclass(slots=True)
class Assignment:
    """All fragments of a sample by family and genus.

    Attributes
    ----------
    tallies
        By (family, genus); the genus is ``unassigned`` where the hits do not agree on one.
    ambiguous
        Number of fragments by the families that tie.
    reads_with_hits
        Reads, mates counted singly, with at least one accepted hit.
    """

    tallies: dict[tuple[str, str], FamilyTally] = field(
        default_factory=lambda: defaultdict(FamilyTally)
    )
    ambiguous: Counter[tuple[str, ...]] = field(default_factory=Counter)
    reads_with_hits: int = 0


def split_mate(name: str) -> tuple[str, int]:
    """Fragment and mate (0 for a single read) of a read name as the cleaning step writes it.

    >>> split_mate("L1:7/2"), split_mate("L1:7")
    (('L1:7', 2), ('L1:7', 0))
    """
    if name.endswith("/1"):
        return name[:-2], 1
    if name.endswith("/2"):
        return name[:-2], 2
    return name, 0


def read_hits(
    lines: Iterable[str], proteins: Mapping[str, Protein], catalogue: Catalogue
) -> Iterator[tuple[str, int, list[Hit]]]:
    """Accepted hits of one mate after the other.

    Parameters
    ----------
    lines
        DIAMOND output with the fields of `HIT_COLUMNS`, hits of one query in a row.

    Yields
    ------
    fragment, mate, hits

    Raises
    ------
    EvidenceError
        If a line has other fields or names a protein that the reference does not hold.
    """
    acceptance = {
        name: catalogue.acceptance(name) for name in {p.family for p in proteins.values()}
    }
    rows = (line.rstrip("\n").split("\t") for line in lines)
    for number, (query, group) in enumerate(groupby(rows, key=lambda row: row[0]), start=1):
        hits = []
        for row in group:
            if len(row) != len(HIT_COLUMNS):
                raise EvidenceError(
                    f"search result, query {number}: {len(row)} fields, {len(HIT_COLUMNS)}"
                    f" expected ({' '.join(HIT_COLUMNS)})"
                )
            protein = proteins.get(row[1])
            if protein is None:
                raise EvidenceError(
                    f"search result, query {number}: protein {row[1]!r} is not in the reference;"
                    " the index was built from another one: delete it and run again"
                )
            length, query_length, bits = int(row[3]), int(row[4]), float(row[7])
            rule = acceptance[protein.family]
            if 3 * length < rule.min_query_cover * query_length:
                continue
            if bits < rule.min_bits_at(query_length):
                continue
            start = min(int(row[5]), int(row[6]))
            hits.append(Hit(row[1], protein.family, float(row[2]), length, start, bits))
        if hits:
            fragment, mate = split_mate(query)
            yield fragment, mate, hits


def best_by_family(hits: Iterable[Hit]) -> dict[str, float]:
    """Best bit score of each family among `hits`."""
    best: dict[str, float] = {}
    for hit in hits:
        if hit.bits > best.get(hit.family, 0.0):
            best[hit.family] = hit.bits
    return best


def choose_families(scores: Mapping[str, float], catalogue: Catalogue) -> tuple[str, ...]:
    """Families with the highest score, after a tie with a decoy was given to the decoy.

    Returns
    -------
    tuple of str
        One family, or all that tie, in alphabetical order.
    """
    top = max(scores.values())
    tied = sorted(name for name, score in scores.items() if score == top)
    decoys = [name for name in tied if catalogue.role(name) == "decoy"]
    return (decoys[0],) if decoys else tuple(tied)


def families_of_fragment(
    mates: Mapping[int, list[Hit]], catalogue: Catalogue
) -> dict[int, tuple[str, ...]]:
    """Family, or tying families, of each mate of a fragment; rules 2 to 4 of the module."""
    scores = {mate: best_by_family(hits) for mate, hits in mates.items()}
    total: dict[str, float] = defaultdict(float)
    for score in scores.values():
        for family, bits in score.items():
            total[family] += bits
    # DIAMOND writes one decimal; sums of floats would part what ties.
    return {
        mate: choose_families({family: round(total[family], 1) for family in score}, catalogue)
        for mate, score in scores.items()
    }


def genus_of(hits: Iterable[Hit], proteins: Mapping[str, Protein], min_identity: float) -> str:
    """Genus on which the near-best hits agree, else ``unassigned``.

    Parameters
    ----------
    hits
        Hits of one family.
    min_identity
        Lowest amino-acid identity, per cent, of a hit that may name a genus.
    """
    hits = list(hits)
    if not hits:
        return UNASSIGNED
    best = max(hit.bits for hit in hits)
    if all(hit.bits < best for hit in hits if proteins[hit.protein].genus):
        return UNASSIGNED  # the closest relative is of an unknown genus
    floor = NEAR_BEST * best
    genera = {
        proteins[hit.protein].genus
        for hit in hits
        if hit.bits >= floor
        and hit.identity >= min_identity
        and hit.length >= MINIMUM_GENUS_ALIGNMENT
        and proteins[hit.protein].genus
    }
    return genera.pop() if len(genera) == 1 else UNASSIGNED


def assign_fragments(
    lines: Iterable[str],
    proteins: Mapping[str, Protein],
    catalogue: Catalogue,
    min_genus_identity: float,
) -> Assignment:
    """Count the fragments of a sample by family and genus.

    The order of the fragments does not matter; the mates of a fragment must be neighbours.
    Memory grows with the reference, not with the reads.
    """
    result = Assignment()
    for _, group in groupby(read_hits(lines, proteins, catalogue), key=lambda item: item[0]):
        mates = {mate: hits for _, mate, hits in group}
        result.reads_with_hits += len(mates)
        support: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for mate, families in families_of_fragment(mates, catalogue).items():
            support[families].append(mate)
        for families, members in support.items():
            if len(families) > 1 and not catalogue.same_merge_group(*families):
                result.ambiguous[families] += 1
                continue
            for family in families:
                _count(
                    result, family, 1 / len(families), mates, members, proteins, min_genus_identity
                )
    return result


def _count(
    result: Assignment,
    family: str,
    share: float,
    mates: Mapping[int, list[Hit]],
    members: list[int],
    proteins: Mapping[str, Protein],
    min_genus_identity: float,
) -> None:
    hits = [hit for mate in members for hit in mates[mate] if hit.family == family]
    best = max(hits, key=lambda hit: (hit.bits, hit.protein))
    genera = {
        genus_of((h for h in mates[mate] if h.family == family), proteins, min_genus_identity)
        for mate in members
    } - {UNASSIGNED}
    genus = genera.pop() if len(genera) == 1 else UNASSIGNED
    tally = result.tallies[family, genus]
    tally.fragments += share
    tally.length_sum += share * proteins[best.protein].length
    tally.positions.add((best.protein, best.start))
    if 0 not in members:
        tally.paired_fragments += share
        tally.paired_mates += share * len(members)


def open_text(path: str | os.PathLike[str]) -> TextIO:
    """Open a plain or gzip-compressed text file for reading."""
    path = Path(path)
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")
