"""Near-identical members of families: which add nothing, and which to keep of too many.

A protein adds nothing where another member of its family is nearly identical over its length and
says at least as much of where it comes from. Proteins of other genera or species stay, however
similar: a read that fits both is placed above them, one that fits the only one left would be
given to it.

DIAMOND's own clustering is not used. It does not know of families and lineages, and its cut-offs
are not always met (https://github.com/bbuchfink/diamond/wiki/Clustering). Of 13,918 members of the
benchmarks' reference, ``diamond linclust`` 2.1.3 at 95 % drops 1,143: 27 are less similar than that
to the one that stays, 28 are of another family, and with 455 a taxon goes that the other does not
name. Every drop here rests on an alignment.

At 95 % nothing is lost to short reads: of pieces of 25 residues of what falls, all still reach
their family's cut-off in what stays; at 90 % 99.9 %, at 80 % 99.0 % (six families).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from fermentome.databases.searches import Searcher
from fermentome.reference import LabelledProtein, SearchHit

__all__ = ["adds_nothing", "choose_spread", "near_duplicates", "preference", "similar_pairs",
           "spread"]  # fmt: skip

#: Part of a protein, per cent, that another must cover to stand for it.
COVER = 90.0
#: Neighbours that one search shows of each protein; what a search takes grows with them.
NEIGHBOURS = 25
#: Identities, per cent, of the nested clusters over which a cap is spread.
LEVELS = (50.0, 70.0, 90.0)
LEVEL_COVER = 70.0


def preference(protein: LabelledProtein) -> tuple[object, ...]:
    """Sorts proteins by their worth as representatives, best first.

    Deeper lineage first, for that is what a copy without it cannot give; then trusted before
    screened, longer before shorter, then by name.
    """
    return (
        -_depth(protein.lineage),
        not protein.trusted,
        -len(protein.sequence),
        protein.accession,
        protein.source,
        protein.sequence,
    )


def _depth(lineage: str) -> int:
    return sum(not rank.endswith("__") for rank in lineage.split(";")) if lineage else 0


def adds_nothing(lineage: str, other: str) -> bool:
    """Whether a lineage names no taxon that another does not name.

    >>> adds_nothing("d__Bacteria;p__Bacillota", "d__Bacteria;p__Bacillota;c__Clostridia")
    True
    >>> adds_nothing("d__Bacteria;p__Bacillota", "d__Bacteria")
    False
    """
    named = {rank for rank in lineage.split(";") if rank and not rank.endswith("__")}
    return named <= set(other.split(";"))


def near_duplicates(
    proteins: Sequence[LabelledProtein], identity: float, searcher: Searcher
) -> dict[int, int]:
    """Positions of the proteins that add nothing, each with that of the one that stands for it.

    Parameters
    ----------
    proteins
        Of any families; only those of one family are compared.
    identity
        Per cent, over `COVER` of the protein that falls. At 100 only exact copies and parts.
    """
    order = sorted(range(len(proteins)), key=lambda position: preference(proteins[position]))
    dropped: dict[int, int] = {}
    # A search shows the nearest few of each. Of those with more the next round shows others.
    asked = order
    while asked:
        left = [position for position in order if position not in dropped]
        near, full = _near(proteins, asked, left, identity, searcher)
        dropped |= (found := _stand_ins(left, near, set(dropped.values())))
        asked = [position for position in full if position not in dropped] if found else []
    return dropped


def _near(
    proteins: Sequence[LabelledProtein], asked: Sequence[int], left: Sequence[int],
    identity: float, searcher: Searcher,
) -> tuple[dict[int, set[int]], list[int]]:  # fmt: skip
    """Which stand near the proteins asked for, and which of these may have more of them.

    Near is who is of the same family, nearly identical, and names all taxa of the other.
    """
    hits = searcher.search(
        [(str(position), proteins[position].sequence) for position in asked],
        [(str(position), proteins[position].sequence) for position in left],
        "--id", str(identity), "--query-cover", str(COVER),
        "--max-target-seqs", str(NEIGHBOURS),
        # DIAMOND's mode for alignments above 90 %.
        *(("--fast",) if identity >= 90 else ()),
    )  # fmt: skip
    near: dict[int, set[int]] = defaultdict(set)
    shown: Counter[int] = Counter()
    for hit in hits:
        one, other = int(hit.query), int(hit.subject)
        shown[one] += 1
        if (
            one != other
            and proteins[one].family == proteins[other].family
            and hit.identity >= identity
            and hit.query_cover >= COVER
            and adds_nothing(proteins[one].lineage, proteins[other].lineage)
        ):
            near[one].add(other)
    return near, [position for position in asked if shown[position] >= NEIGHBOURS]


def _stand_ins(
    order: Sequence[int], near: Mapping[int, set[int]], pinned: set[int]
) -> dict[int, int]:
    """Which fall, each with the first in order that stands for it.

    Whatever stands for another stays, also in later rounds (`pinned`): no chain leads away from
    what it began with.
    """
    place = {position: number for number, position in enumerate(order)}
    dropped: dict[int, int] = {}
    for position in order:
        standing = [
            other for other in near.get(position, ())
            if other not in dropped and place[other] < place[position]
        ]  # fmt: skip
        if standing and position not in pinned:
            dropped[position] = min(standing, key=place.__getitem__)
    return dropped


# --- caps -----------------------------------------------------------------------------------------


def similar_pairs(
    proteins: Sequence[LabelledProtein], searcher: Searcher
) -> dict[int, dict[int, float]]:
    """Identity of each protein with its neighbours, from the lowest of `LEVELS`, by position."""
    keyed = [(str(position), protein.sequence) for position, protein in enumerate(proteins)]
    hits = searcher.search(
        keyed, keyed, "--id", str(LEVELS[0]), "--query-cover", str(LEVEL_COVER),
        "--subject-cover", str(LEVEL_COVER), "--max-target-seqs", "100",
    )  # fmt: skip
    return _by_pair(hits)


def _by_pair(hits: Iterable[SearchHit]) -> dict[int, dict[int, float]]:
    pairs: dict[int, dict[int, float]] = defaultdict(dict)
    for hit in hits:
        one, other = int(hit.query), int(hit.subject)
        if one != other:
            # Both ways, for a list of neighbours may end before it reaches the other.
            for first, second in ((one, other), (other, one)):
                pairs[first][second] = max(hit.identity, pairs[first].get(second, 0.0))
    return pairs


def choose_spread(
    proteins: Sequence[LabelledProtein],
    most: int,
    pairs: Mapping[int, Mapping[int, float]],
) -> list[int]:
    """Positions of at most `most` proteins that keep the diversity of all, trusted ones first.

    Parameters
    ----------
    pairs
        As `similar_pairs` makes them.
    """
    order = sorted(range(len(proteins)), key=lambda position: preference(proteins[position]))
    paths: dict[int, tuple[int, ...]] = {position: () for position in order}
    for level in LEVELS:
        centre = _greedy(order, level, pairs)
        paths = {position: (*path, centre[position]) for position, path in paths.items()}
    trusted = [position for position in order if proteins[position].trusted]
    chosen = spread(trusted, most, paths)
    rest = [position for position in order if not proteins[position].trusted]
    return sorted(chosen + spread(rest, most - len(chosen), paths))


def _greedy(
    order: Sequence[int], level: float, pairs: Mapping[int, Mapping[int, float]]
) -> dict[int, int]:
    """Centre of each protein's cluster: the first in order that it is similar enough to."""
    centre: dict[int, int] = {}
    place = {position: number for number, position in enumerate(order)}
    centres: set[int] = set()
    for position in order:
        found = [
            other
            for other, identity in pairs.get(position, {}).items()
            if identity >= level and other in centres
        ]
        centre[position] = min(found, key=place.__getitem__) if found else position
        if not found:
            centres.add(position)
    return centre


def spread(
    order: Sequence[int], most: int, paths: Mapping[int, tuple[int, ...]], depth: int = 0
) -> list[int]:
    """At most `most` of some items, shared out evenly over nested groups.

    Parameters
    ----------
    order
        Items, best first.
    paths
        Group of each item at each depth.

    >>> spread([1, 2, 3, 4], 2, {1: (0,), 2: (0,), 3: (0,), 4: (9,)})
    [1, 4]
    """
    if len(order) <= most:
        return list(order)
    if most <= 0:
        return []
    groups: dict[int, list[int]] = defaultdict(list)
    if depth < len(paths[order[0]]):
        for item in order:
            groups[paths[item][depth]].append(item)
    if not groups:
        return list(order[:most])
    # Where there are more groups than places, the large ones have them.
    by_size = sorted(groups.values(), key=len, reverse=True)
    shares = _even_shares([len(group) for group in by_size], most)
    return [
        item
        for group, share in zip(by_size, shares, strict=True)
        for item in spread(group, share, paths, depth + 1)
    ]


def _even_shares(sizes: Sequence[int], total: int) -> list[int]:
    """Places for groups of these sizes: as even as the sizes allow, the first ones favoured.

    >>> _even_shares([5, 1, 1], 4)
    [2, 1, 1]
    """
    shares = [0] * len(sizes)
    while total > 0:
        open_groups = [n for n, size in enumerate(sizes) if shares[n] < size]
        if not open_groups:
            break
        if total < len(open_groups):
            for n in open_groups[:total]:
                shares[n] += 1
            break
        step = min(total // len(open_groups), min(sizes[n] - shares[n] for n in open_groups))
        for n in open_groups:
            shares[n] += step
        total -= step * len(open_groups)
    return shares
