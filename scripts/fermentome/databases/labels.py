"""Which family a source means: rule tables, and what the catalogue itself says of names.

Every source names its enzymes in its own way. A table of labels maps those names to families of
the catalogue, a table of sites says which residues tell two families apart, a table of organisms
maps names to lineages. Where there is no table, gene symbols, EC numbers and the words of the
catalogue decide, or nothing does. Nothing here decides whether a label is right: that is the
cleaning's part.

A family ``other:<name>`` in a table of labels stands for relatives that the catalogue has no decoy
for. They take part in the cleaning and compete for proteins, and are written as background.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fermentome.databases.families import Families
from fermentome.errors import DatabaseError
from fermentome.reference import LabelledProtein

__all__ = [
    "NOT_USED",
    "OTHER",
    "LabelRule",
    "Labels",
    "Lengths",
    "Names",
    "Organisms",
    "SiteRule",
    "by_sites",
    "read_labels",
    "read_organisms",
    "read_sites",
    "read_tsv",
]

#: Marks a label that is known and not to be used.
NOT_USED = "-"
#: Begins the name of a family that the catalogue does not have.
OTHER = "other:"
#: What a label can be worth: curated always, reviewed where the record itself is.
TRUSTS = ("curated", "reviewed", "screened")

LABEL_COLUMNS = ("source", "key", "pattern", "taxon", "length_aa", "family", "trust")
SITE_COLUMNS = ("labelled", "template", "residues", "length_aa", "family")
ORGANISM_COLUMNS = ("organism", "lineage")


@dataclass(frozen=True)
class Lengths:
    """A range of protein lengths, both ends included."""

    least: int = 0
    most: int = 1_000_000

    @classmethod
    def parse(cls, text: str) -> Lengths:
        """Read ``300-340``, ``300-``, ``-340`` or nothing.

        >>> Lengths.parse("300-")
        Lengths(least=300, most=1000000)
        """
        least, _, most = text.partition("-")
        return cls(int(least or cls.least), int(most or cls.most))

    def __contains__(self, length: object) -> bool:
        return isinstance(length, int) and self.least <= length <= self.most


@dataclass(frozen=True)
class LabelRule:
    """One row of a table of labels: a source's way of naming a family."""

    source: str
    key: str
    pattern: re.Pattern[str]
    taxon: re.Pattern[str]
    lengths: Lengths
    family: str
    trust: str

    def fits(self, key: str, name: str, taxon: str, length: int) -> bool:
        """Whether the rule says what a protein is."""
        return (
            self.key in (key, "*")
            and length in self.lengths
            and bool(self.pattern.match(name))
            and bool(self.taxon.search(taxon))
        )

    def trusted(self, reviewed: bool) -> bool:
        """Whether the label of a record that is reviewed, or is not, can be trusted."""
        return self.trust == "curated" or (self.trust == "reviewed" and reviewed)


@dataclass(frozen=True)
class SiteRule:
    """One row of a table of sites: what residues at places of a template say of a protein.

    `residues` are (place in the template, residue) pairs; without any, the length alone decides.
    """

    labelled: frozenset[str]
    template: str
    residues: tuple[tuple[int, str], ...]
    lengths: Lengths
    family: str


@dataclass(frozen=True)
class Labels:
    """Rules by source, in their order; the first that matches decides."""

    rules: Mapping[str, tuple[LabelRule, ...]]

    def find(
        self, source: str, key: str, name: str = "", taxon: str = "", length: int = 0
    ) -> LabelRule | None:
        """The first rule of `source` and `key` (or ``*``) that fits, or None."""
        for rule in self.rules.get(source, ()):
            if rule.fits(key, name, taxon, length):
                return None if rule.family == NOT_USED else rule
        return None

    def pairs(self, source: str) -> dict[str, str]:
        """Key to family of the rules of a source that uses no patterns."""
        return {rule.key: rule.family for rule in self.rules.get(source, ())}


def read_tsv(path: Path, columns: Iterable[str] = ()) -> list[dict[str, str]]:
    """Rows of a TSV file, plain or gzip, by the names of its header.

    Raises
    ------
    DatabaseError
        If the file cannot be read, lacks a column, or a row has fewer cells than the header.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="") as handle:
            reader = csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
            rows = list(reader)
            missing = sorted(set(columns) - set(reader.fieldnames or ()))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DatabaseError(f"{path}: cannot be read ({error}); expected a TSV file") from error
    if missing:
        raise DatabaseError(
            f"{path}, header: no column {', '.join(missing)}; expected a tab-separated table with"
            f" {', '.join(columns)}"
        )
    for number, row in enumerate(rows, start=2):
        if None in row.values() or None in row:
            raise DatabaseError(
                f"{path}, line {number}: expected {len(reader.fieldnames or ())} cells"
                f" between tabs, found {sum(value is not None for value in row.values())}"
            )
    return rows


def read_labels(path: Path, wanted: frozenset[str]) -> Labels:
    """The label rules, those of families outside `wanted` marked as not to be used.

    They are kept, so that a later and wider rule does not catch what they describe.
    """
    rules: dict[str, list[LabelRule]] = {}
    for number, row in enumerate(read_tsv(path, LABEL_COLUMNS), start=2):
        place = f"{path}, line {number}"
        known = row["family"] in wanted or row["family"].startswith(OTHER)
        if known and row["trust"] not in TRUSTS and row["source"] != "near_miss":
            raise DatabaseError(f"{place}: trust is {row['trust']!r}, expected {', '.join(TRUSTS)}")
        # A product name is matched whole, the name of a cluster from its start.
        pattern = f"(?:{row['pattern']})$" if row["source"] == "refseq" else row["pattern"]
        rule = LabelRule(
            row["source"],
            row["key"],
            _compiled(pattern, place),
            _compiled(row["taxon"], place),
            _lengths(row["length_aa"], place),
            row["family"] if known else NOT_USED,
            row["trust"],
        )
        rules.setdefault(row["source"], []).append(rule)
    return Labels({source: tuple(found) for source, found in rules.items()})


def read_sites(path: Path, wanted: frozenset[str]) -> list[SiteRule]:
    """The rules of a table of sites, those for families outside `wanted` leading to none."""
    return [
        SiteRule(
            frozenset(row["labelled"].split()),
            row["template"],
            tuple(_site(site, f"{path}, line {number}") for site in row["residues"].split()),
            _lengths(row["length_aa"], f"{path}, line {number}"),
            row["family"] if row["family"] in wanted else NOT_USED,
        )
        for number, row in enumerate(read_tsv(path, SITE_COLUMNS), start=2)
    ]


def _compiled(pattern: str, place: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise DatabaseError(
            f"{place}: {pattern!r} is no regular expression of Python ({error})"
        ) from error


def _lengths(text: str, place: str) -> Lengths:
    try:
        return Lengths.parse(text)
    except ValueError as error:
        raise DatabaseError(
            f"{place}: length_aa is {text!r}, expected as 300-340, 300-, -340 or nothing"
        ) from error


def _site(text: str, place: str) -> tuple[int, str]:
    if not re.fullmatch(r"[A-Z]\d+", text):
        raise DatabaseError(f"{place}: residue is {text!r}, expected a letter and a place, as Y89")
    return int(text[1:]), text[0]


def by_sites(
    protein: LabelledProtein, residues: Mapping[int, str], rules: Sequence[SiteRule]
) -> str:
    """Family of the first rule that fits a protein, its own where none does."""
    for rule in rules:
        if (
            protein.family in rule.labelled
            and len(protein.sequence) in rule.lengths
            and all(residues.get(place) == residue for place, residue in rule.residues)
        ):
            return rule.family
    return protein.family


# --- organisms ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Organisms:
    """Name patterns and lineages; an empty lineage says that the name does not settle it."""

    patterns: tuple[tuple[re.Pattern[str], str], ...] = ()

    def lineage(self, organism: str) -> str:
        """Lineage of an organism name, empty where the table has none."""
        for pattern, lineage in self.patterns:
            if pattern.match(organism):
                return lineage
        return ""


def read_organisms(path: Path) -> Organisms:
    """A table of organism name patterns and lineages; the first that matches decides."""
    return Organisms(
        tuple(
            (_compiled(rf"{row['organism']}(?!\w)", f"{path}, line {number}"), row["lineage"])
            for number, row in enumerate(read_tsv(path, ORGANISM_COLUMNS), start=2)
        )
    )


# --- what the catalogue says ----------------------------------------------------------------------

#: Words of names that do not tell families of one reaction apart.
_PLAIN_WORDS = frozenset(
    ["and", "chain", "component", "form", "in", "of", "one", "or", "other", "protein",
     "subunit", "the"]
)  # fmt: skip
_BRACKETS = re.compile(r"\s*\([^()]*\)")
_WORD = re.compile(r"[A-Za-z0-9.]+")


class Names:
    """Families by the names that the catalogue gives them."""

    def __init__(self, families: Families) -> None:
        self._ids = families.all_ids
        symbols = [(gene, f) for f in sorted(self._ids) for gene in families.genes.get(f, ())]
        names = [
            (form, family) for family in sorted(families.ids)
            for form in sorted(_short_forms(families.names[family]))
        ]  # fmt: skip
        self._by_gene = _unique(symbols)
        self._by_name = _unique((_plain(name), family) for name, family in names)
        self._words = {
            family: _words(_BRACKETS.sub("", families.names[family])) for family in families.ids
        }
        self._genes = {family: frozenset(families.genes[family]) for family in families.ids}

    def family(self, label: str) -> str:
        """Family that a label names: its id, a gene symbol that is its alone, or its name."""
        if label in self._ids:
            return label
        return self._by_gene.get(label, "") or self._by_name.get(_plain(label), "")

    def choose(self, families: Iterable[str], name: str) -> str:
        """The one of some families that the name of a protein means, or nothing.

        A gene symbol in the name decides; else all the words that one of the families has and the
        others have not. One such word of several is not enough: acetaldehyde is oxidised by more
        enzymes than the one that also reduces it to alcohol.
        """
        wanted = sorted(families)
        if len(wanted) < 2:
            return wanted[0] if wanted else ""
        tokens = set(_WORD.findall(name))
        tokens |= {token[:1].lower() + token[1:] for token in tokens}
        named = [family for family in wanted if self._genes[family] & tokens]
        if named:
            return named[0] if len(named) == 1 else ""
        spread = Counter(word for family in wanted for word in self._words[family])
        words = _words(name)
        own = {f: {word for word in self._words[f] if spread[word] == 1} for f in wanted}
        fitting = [family for family in wanted if own[family] and own[family] <= words]
        return fitting[0] if len(fitting) == 1 else ""


def _plain(text: str) -> str:
    """A name without blanks, hyphens and letter case.

    >>> _plain("methylmalonyl-CoA epimerase")
    'methylmalonylcoaepimerase'
    """
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _short_forms(name: str) -> set[str]:
    """A name, also without what stands in brackets or after a comma."""
    bare = _BRACKETS.sub("", name)
    return {name, bare, bare.partition(",")[0]}


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)} - _PLAIN_WORDS


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names that belong to one family alone."""
    found: dict[str, set[str]] = {}
    for name, family in pairs:
        found.setdefault(name, set()).add(family)
    return {name: next(iter(families)) for name, families in found.items() if len(families) == 1}
