"""Members of families by comparison: residues, genome proteins, universal families, background."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fermentome.databases.families import BACKGROUND, Families
from fermentome.databases.labels import NOT_USED, SiteRule, by_sites
from fermentome.databases.proteomes import GenomeProtein
from fermentome.databases.searches import Searcher
from fermentome.databases.sources import Candidate
from fermentome.reference import LabelledProtein, SearchHit

__all__ = [
    "Closeness",
    "background",
    "best_by_family",
    "decide_candidates",
    "family_for",
    "id_and_sequence",
    "label_by_sites",
    "label_genome_proteins",
    "single_copy_members",
]


@dataclass(frozen=True)
class Closeness:
    """How close a protein must be to a member to be one.

    Attributes
    ----------
    identity, cover
        Per cent, over both proteins. 40 % is enough to carry over the first three digits of an EC
        number (doi:10.1016/j.jmb.2003.08.057); the fourth is what the decoys and `margin` are for.
    margin
        Its score over that with any family it could be confused with.
    near_miss_identity, near_miss_bits
        Below this identity, and from this score, a full-length relative of a target is something
        else.
    near_bits, near_density
        What shares a part with a target: score, and bits per aligned residue.
    member_density
        A whole relative with this density may be a member that the margin kept out.
    single_copy_identity, single_copy_cover
        Of universal families, that are old and stay in their genomes.
    """

    identity: float = 40.0
    cover: float = 70.0
    margin: float = 1.1
    near_miss_identity: float = 35.0
    near_miss_bits: float = 60.0
    near_bits: float = 45.0
    near_density: float = 0.45
    member_density: float = 0.6
    single_copy_identity: float = 25.0
    single_copy_cover: float = 60.0


def id_and_sequence(proteins: Iterable[LabelledProtein]) -> list[tuple[str, str]]:
    """Pairs as the search wants them."""
    return [(protein.accession, protein.sequence) for protein in proteins]


# --- labels by residues ---------------------------------------------------------------------------


def label_by_sites(
    proteins: Sequence[LabelledProtein], rules: Sequence[SiteRule], searcher: Searcher
) -> list[LabelledProtein]:
    """The proteins, those under a site rule with the family that their residues give them.

    Proteins that the template does not resemble keep their label.
    """
    by_accession = {protein.accession: protein for protein in proteins}
    family: dict[str, str] = {}
    for template in sorted({rule.template for rule in rules} & set(by_accession)):
        own = [rule for rule in rules if rule.template == template]
        labelled = frozenset().union(*(rule.labelled for rule in own))
        queries = [protein for protein in proteins if protein.family in labelled]
        places = searcher.align(
            id_and_sequence(queries), (template, by_accession[template].sequence)
        )
        for name, residues in places.items():
            family[name] = by_sites(by_accession[name], residues, own)
    return [
        replace(protein, family=family.get(protein.accession, protein.family))
        for protein in proteins
        if family.get(protein.accession) != NOT_USED
    ]


# --- members by closeness -------------------------------------------------------------------------


def best_by_family(
    hits: Iterable[SearchHit], family_of: Mapping[str, str]
) -> dict[str, dict[str, SearchHit]]:
    """The best hit of each query with each family."""
    best: dict[str, dict[str, SearchHit]] = defaultdict(dict)
    for hit in hits:
        family = family_of[hit.subject]
        known = best[hit.query].get(family)
        if known is None or hit.bits > known.bits:
            best[hit.query][family] = hit
    return best


def full_length(hit: SearchHit, cover: float) -> bool:
    """Whether the alignment covers both proteins."""
    return hit.query_cover >= cover and hit.subject_cover >= cover


def family_for(
    by_family: Mapping[str, SearchHit],
    families: Families,
    near_miss: Mapping[str, str],
    closeness: Closeness = Closeness(),
) -> str | None:
    """Family of a protein from its best hit with each family, or None."""
    ranked = sorted(by_family.items(), key=lambda item: (-item[1].bits, item[0]))
    family, hit = ranked[0]
    if not full_length(hit, closeness.cover):
        return None
    if hit.identity < closeness.near_miss_identity and hit.bits >= closeness.near_miss_bits:
        return near_miss.get(family)
    if hit.identity < closeness.identity:
        return None
    for other, rival in ranked[1:]:
        if families.rivals(family, other) and hit.bits < closeness.margin * rival.bits:
            # Between a target and its decoy the decoy has the benefit of the doubt.
            return next((name for name in (family, other) if name in families.decoys), None)
    return family


#: Of genomes and candidates against members.
CLOSE = ("--max-target-seqs", "200", "--query-cover", "50", "--sensitive")


def label_genome_proteins(
    proteins: Sequence[GenomeProtein],
    members: Sequence[LabelledProtein],
    families: Families,
    near_miss: Mapping[str, str],
    lineages: Mapping[str, str],
    searcher: Searcher,
) -> list[LabelledProtein]:
    """Genome proteins that belong to a family, or to the decoy of one that they resemble.

    A protein that is a member by its own label keeps that family.
    """
    own_label = {(member.accession, member.sequence): member.family for member in members}
    family_of = {member.accession: member.family for member in members}
    hits = searcher.search(
        [(protein.key, protein.sequence) for protein in proteins], id_and_sequence(members), *CLOSE
    )
    best = best_by_family(hits, family_of)
    labelled = []
    for protein in proteins:
        # By name and sequence: genomes of different makers may use one name for two proteins.
        own = own_label.get((protein.accession, protein.sequence))
        family = own
        if family is None and protein.key in best:
            family = family_for(best[protein.key], families, near_miss)
        if family is not None and family in families.ids:
            labelled.append(
                LabelledProtein(
                    protein.accession,
                    family,
                    protein.sequence,
                    f"genome:{protein.genome}",
                    lineages[protein.genome],
                    own is not None,
                )  # fmt: skip
            )
    return labelled


def decide_candidates(
    candidates: Sequence[Candidate],
    members: Sequence[LabelledProtein],
    families: Families,
    near_miss: Mapping[str, str],
    searcher: Searcher,
) -> tuple[list[LabelledProtein], list[Candidate]]:
    """Candidates that the search gives a family, as members, and those that it does not.

    Where a source says which families are possible, the search may choose one of them or a
    decoy; for it to choose another target is a contradiction, and the candidate stays undecided.
    """
    family_of = {member.accession: member.family for member in members}
    hits = searcher.search(
        [(candidate.accession, candidate.sequence) for candidate in candidates],
        id_and_sequence(members), *CLOSE,
    )  # fmt: skip
    best = best_by_family(hits, family_of)
    decided, undecided = [], []
    for candidate in candidates:
        found = best.get(candidate.accession)
        family = family_for(found, families, near_miss) if found else None
        possible = not candidate.families or family in candidate.families | families.decoys
        if family in families.ids and possible:
            decided.append(
                LabelledProtein(
                    candidate.accession,
                    family,
                    candidate.sequence,
                    candidate.source,
                    candidate.lineage,
                )  # fmt: skip
            )
        else:
            undecided.append(candidate)
    return decided, undecided


# --- universal single-copy families ---------------------------------------------------------------


def single_copy_members(
    proteins: Sequence[GenomeProtein],
    labelled: Sequence[LabelledProtein],
    patterns: Mapping[str, str],
    lineages: Mapping[str, str],
    searcher: Searcher,
    closeness: Closeness = Closeness(),
) -> list[LabelledProtein]:
    """At most one member of each single-copy family from each genome.

    Proteins with the family's product name, and members that were labelled elsewhere, are the
    seeds. In each genome the protein that scores highest with a family's seeds of other genomes is
    taken, if it scores higher with no other family.
    """
    matchers = {name: re.compile(text, re.IGNORECASE) for name, text in patterns.items()}
    seeds = {f"|{member.accession}": member.family for member in labelled}
    sequences = {f"|{member.accession}": member.sequence for member in labelled}
    for protein in proteins:
        for family, pattern in matchers.items():
            if protein.product and pattern.search(protein.product):
                seeds[protein.key] = family
                sequences[protein.key] = protein.sequence
    hits = searcher.search(
        [(protein.key, protein.sequence) for protein in proteins],
        list(sequences.items()),
        "--max-target-seqs", "500", "--sensitive",
    )  # fmt: skip
    elsewhere = (h for h in hits if h.query.partition("|")[0] != h.subject.partition("|")[0])
    best = best_by_family(elsewhere, seeds)
    by_key = {protein.key: protein for protein in proteins}
    winners: dict[tuple[str, str], tuple[float, str]] = {}
    for key, by_family in best.items():
        family, hit = min(by_family.items(), key=lambda item: (-item[1].bits, item[0]))
        whole = full_length(hit, closeness.single_copy_cover)
        if whole and hit.identity >= closeness.single_copy_identity:
            place = (family, by_key[key].genome)
            winners[place] = min(winners.get(place, (0.0, "")), (-hit.bits, key))
    return [
        LabelledProtein(
            by_key[key].accession,
            family,
            by_key[key].sequence,
            f"genome:{genome}",
            lineages[genome],
            True,
        )  # fmt: skip
        for (family, genome), (_, key) in sorted(winners.items())
    ]


# --- background -----------------------------------------------------------------------------------


def background(
    pool: Mapping[str, LabelledProtein],
    members: Sequence[LabelledProtein],
    families: Families,
    searcher: Searcher,
    closeness: Closeness = Closeness(),
) -> list[LabelledProtein]:
    """Proteins of a pool that share a part with a target and are no member of a family.

    A read from such a part has no better place to go than the target. Proteins that could be
    members, whole relatives of a target with a member's score, are left out: they would take
    reads of true members.
    """
    taken = {member.sequence for member in members}
    queries = {key: protein for key, protein in pool.items() if protein.sequence not in taken}
    keyed = {f"{number}": member for number, member in enumerate(members)}
    hits = searcher.search(
        ((key, protein.sequence) for key, protein in queries.items()),
        ((key, member.sequence) for key, member in keyed.items()),
        "--max-target-seqs",
        "25",
    )
    near: set[str] = set()
    doubtful: set[str] = set()
    for hit in hits:
        if keyed[hit.subject].family in families.decoys:
            continue
        aligned = hit.query_cover / 100 * len(queries[hit.query].sequence)
        density = hit.bits / aligned
        if hit.bits >= closeness.near_bits and density >= closeness.near_density:
            near.add(hit.query)
            # A piece of a member, as of a gene that a contig cuts, is no other protein.
            piece = hit.query_cover >= closeness.cover and hit.identity >= closeness.identity
            whole = density >= closeness.member_density and full_length(hit, closeness.cover)
            if piece or whole:
                doubtful.add(hit.query)
    return [
        replace(queries[key], accession=key, family=BACKGROUND, trusted=False)
        for key in sorted(near - doubtful)
    ]
