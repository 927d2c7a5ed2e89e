"""One rank out of taxa of several ranks: profiles hold totals, rests and parts side by side.

A profile may hold a genus beside its species. The row of the genus is then either their total
(MetaPhlAn, Kraken reports), and counting both would count twice; or what could be told no further
than the genus (amplicon variants), and dropping it would lose it. Which of the two it is, the
numbers say, for the whole table: a total is nowhere less than the sum of its parts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fermentome.cohort.data import Numbers
from fermentome.lineage import RANKS, format_lineage

UNNAMED = frozenset(
    {"unclassified", "unassigned", "unknown", "unmapped", "no hit", "unidentified", "uncultured"}
)
"""Names of the rest that is no taxon, in lower case."""

TOTAL = 0.99
"""Share of the sum of its parts that a row must reach in every sample to be their total: tables
are rounded, at worst to two digits of a percentage."""

MOST = 0.9
"""Share of the rows above others that must be totals for all of them to be taken as such: a
table holds either totals or rests, and a rest seldom outweighs the named parts in every sample."""

# MetaPhlAn, GTDB, QIIME and SILVA (``D_5__``) write ranks in one letter or number and "__".
_FIELD = re.compile(r"(?:(?P<letter>[dkpcofgst])|D_(?P<level>\d+))?__(?P<name>.*)", re.DOTALL)
_LETTERS = "dpcofgst"
_LEVELS = (*RANKS, "strain")

Names = tuple[str, ...]
"""Names of the ranks from the domain down to the deepest named one; or the name alone."""


@dataclass(frozen=True, slots=True)
class RankedTable:
    """Amounts of the taxa of one rank.

    Attributes
    ----------
    rank
        Of the taxa.
    names
        Sorted.
    values
        Of shape (taxa, samples).
    lineages
        By name, down to the rank.
    total
        Amount of each sample, whatever the rank; the rest that is no taxon is not part of it.
    rest
        Amount of the rows that are no taxon; NaN without such a row.
    dropped
        Number of rows by rank that are not in `names` on their own.
    without
        Names of rows above the rank below which no row of the rank stands.
    merged
        Names that stood in several lineages.
    """

    rank: str
    names: tuple[str, ...]
    values: Numbers
    lineages: Mapping[str, str]
    total: Numbers
    rest: Numbers
    dropped: Mapping[str, int]
    without: tuple[str, ...]
    merged: tuple[str, ...]


def is_lineage(text: str) -> bool:
    """Whether a name is a lineage, or a part of one with its rank.

    >>> is_lineage("k__Bacteria|p__Firmicutes"), is_lineage("s__Dorea_formicigenerans")
    (True, True)
    >>> is_lineage("PWY-2942: L-lysine biosynthesis III|g__Dorea.s__Dorea_longicatena")
    False
    """
    return _FIELD.match(re.split(r"[|;]", text, maxsplit=1)[0].strip()) is not None


def parse_taxon(text: str) -> Names:
    """Names of a taxon from the domain down; empty if it is no taxon.

    A name without ranks is one of the rank that is asked for, and stands alone in the tuple.
    Ranks between that have no name are empty. Strains (``t__``) are an eighth rank.

    >>> parse_taxon("k__Bacteria|p__Bacteroidetes|c__Bacteroidia")
    ('Bacteria', 'Bacteroidetes', 'Bacteroidia')
    >>> parse_taxon("Dorea_formicigenerans"), parse_taxon("UNKNOWN")
    (('Dorea formicigenerans',), ())
    >>> parse_taxon("g__Dorea;s__Dorea_longicatena")[-2:]
    ('Dorea', 'Dorea longicatena')
    """
    if not is_lineage(text):
        name = _clean(text)
        return () if name.lower() in UNNAMED or not name else (name,)
    names = [""] * len(_LEVELS)
    position = -1
    for part in re.split(r"[|;]", text):
        found = _FIELD.match(part.strip())
        if found is None:
            position += 1
        elif found["level"]:
            position = int(found["level"])
        elif found["letter"]:
            position = _LETTERS.index(found["letter"].replace("k", "d"))
        else:  # "__": the rank has neither letter nor name
            position += 1
        if 0 <= position < len(names):
            names[position] = _clean(found["name"] if found else part)
    while names and (not names[-1] or names[-1].lower() in UNNAMED):
        names.pop()
    return tuple(names)


def _clean(name: str) -> str:
    return name.replace("_", " ").strip()


@dataclass(slots=True)
class _Node:
    """A taxon: its own rows added up, and the taxa below it."""

    own: Numbers | None = None
    rows: int = 0
    children: dict[str, _Node] = field(default_factory=dict)

    def add(self, values: Numbers) -> None:
        self.own = values if self.own is None else _add(self.own, values)
        self.rows += 1


def _add(one: Numbers, other: Numbers) -> Numbers:
    """Sum in which a value that is not known counts nothing, unless both are not known."""
    unknown = np.isnan(one) & np.isnan(other)
    return np.where(unknown, np.nan, np.nan_to_num(one) + np.nan_to_num(other))


def at_rank(
    texts: Sequence[str], values: Numbers, rank: str, *, parts: bool = False
) -> RankedTable:
    """Amounts of the taxa of a rank.

    Below the rank everything is added up into it. Above it rows that are the totals of others are
    dropped; where they are not, they are rests without a name at the rank: part of `total` only.
    Where the table holds nothing at the rank, the deepest rank above it that it does hold is
    taken.

    Parameters
    ----------
    texts
        Names or lineages of the rows, any case and separator of `parse_taxon`.
    values
        Of shape (rows, samples), zero or more; NaN is not known.
    rank
        One of `fermentome.lineage.RANKS`.
    parts
        Whether no row can be the total of others, as in tables of sequence variants.
    """
    samples = values.shape[1]
    taxa = [parse_taxon(text) for text in texts]
    plain = [
        len(names) == 1 and not is_lineage(text) for names, text in zip(taxa, texts, strict=True)
    ]
    depths = [
        RANKS.index(rank) + 1 if alone else len(names)
        for names, alone in zip(taxa, plain, strict=True)
    ]
    asked = RANKS.index(rank) + 1
    depth = asked
    if depths and max(depths) < asked:
        depth = max(max(depths), 1)
    root = _Node()
    rest = np.full(samples, np.nan)
    for row, (names, alone) in enumerate(zip(taxa, plain, strict=True)):
        if not names:
            rest = _add(rest, values[row])
            continue
        # A name alone has no ranks above it: it gets a place that no lineage has.
        path = ("",) * (asked - 1) + names if alone else names
        node = root
        for name in path:
            node = node.children.setdefault(name, _Node())
        node.add(values[row])
    sums, total = _gather(root, depth, samples, parts=parts)
    collected = sums.collected
    names = tuple(sorted(collected))
    kept = np.zeros((len(names), samples))
    lineages: dict[str, str] = {}
    for place, name in enumerate(names):
        for lineage, amounts in collected[name]:
            kept[place] = (
                amounts if lineage is collected[name][0][0] else _add(kept[place], amounts)
            )
        # Of several lineages the most abundant one is named; the first by name among equals.
        best = min(collected[name], key=lambda item: (-float(np.nansum(item[1])), item[0]))[0]
        if any(best[:-1]):
            lineages[name] = format_lineage(best + ("",) * (len(RANKS) - len(best)))
    dropped: dict[str, int] = {}
    for at, names_of in zip(depths, taxa, strict=True):
        if names_of and at != depth:
            label = _LEVELS[at - 1]
            dropped[label] = dropped.get(label, 0) + 1
    return RankedTable(
        RANKS[depth - 1], names, kept, lineages, np.nan_to_num(total), rest, dropped,
        tuple(sums.without), tuple(name for name in names if len(collected[name]) > 1),
    )  # fmt: skip


@dataclass(slots=True)
class _Sums:
    """Sums of the taxa below each taxon, gathered at one depth.

    Attributes
    ----------
    totals
        Whether rows above others are the totals of these; else they are amounts beside them.
    """

    depth: int
    samples: int
    totals: bool
    collected: dict[str, list[tuple[Names, Numbers]]] = field(default_factory=dict)
    without: list[str] = field(default_factory=list)
    above: int = 0
    complete: int = 0

    def of(self, node: _Node, path: Names = ()) -> tuple[Numbers, bool]:
        """Amount of a taxon with all below it, and whether a taxon of the rank is in it."""
        below: Numbers | None = None
        reaches = len(path) >= self.depth and bool(path[self.depth - 1])
        for name in sorted(node.children):
            amount, deep = self.of(node.children[name], (*path, name))
            below = amount if below is None else _add(below, amount)
            reaches = reaches or deep
        value = self.value(node, below)
        if len(path) == self.depth and path[-1]:
            self.collected.setdefault(_label(path), []).append((path, value))
        elif node.own is not None and not reaches:
            self.without.append(path[-1])
        return value, reaches

    def value(self, node: _Node, below: Numbers | None) -> Numbers:
        """Amount of a taxon from its own rows and the sum of those below."""
        if below is None:
            return np.zeros(self.samples) if node.own is None else node.own
        if node.own is None:
            return below
        self.above += 1
        self.complete += bool(
            (np.nan_to_num(node.own) >= TOTAL * np.nan_to_num(below) - self.slack(below)).all()
        )
        return np.fmax(node.own, below) if self.totals else _add(node.own, below)

    @staticmethod
    def slack(below: Numbers) -> float:
        """Room for rounding where amounts are small: a thousandth of the largest."""
        return 1e-3 * float(np.nan_to_num(below).max(initial=0.0))


def _gather(root: _Node, depth: int, samples: int, *, parts: bool) -> tuple[_Sums, Numbers]:
    """Sums at a depth, rows above others taken for what nearly all of them are."""
    sums = _Sums(depth, samples, totals=not parts)
    total, _ = sums.of(root)
    if not parts and sums.complete < MOST * sums.above:
        sums = _Sums(depth, samples, totals=False)
        total, _ = sums.of(root)
    return sums, total


def _label(path: Names) -> str:
    """Name of a taxon; Greengenes writes species without their genus (``s__copri``).

    >>> _label(("", "", "", "", "", "Prevotella", "copri"))
    'Prevotella copri'
    """
    name = path[-1]
    if len(path) == len(RANKS) and path[-2] and " " not in name and name[:1].islower():
        return f"{path[-2]} {name}"
    return name
