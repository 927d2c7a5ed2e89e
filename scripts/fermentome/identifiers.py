"""What a KO, EC or UniRef identifier says about the families of the catalogue.

An identifier is a name that another tool gave to a gene. Several families can bear one name (EC
2.8.3.8 is But, AtoDA and YdiF), and some have none (there is no KO for But). Here each
identifier is looked up in the catalogue, and told apart from those that name a look-alike.

Definitions, for one kind of identifier:

- the identifiers of a family are those of the catalogue (``ko_logic`` split at ``|``, full EC
  numbers), or the proteins of a reference whose names are UniRef clusters;
- an identifier is a family's *own* if no other family bears it, or only families that belong to
  the same enzyme wherever the family stands: targets of no further route, which share its step
  or stand in a step that is not diagnostic. So EC 2.8.3.12 is own to both chains of glutaconate
  CoA-transferase;
- any other identifier is *shared*: its genes may be a family's, and never count for it.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fermentome.catalogue import Catalogue
from fermentome.errors import CatalogueError, ReferenceFolderError, TableError
from fermentome.lineage import RANKS, parse_lineage
from fermentome.tables import iterate_table, read_table

Kind = Literal["KO", "EC", "UniRef"]

_KO = re.compile(r"(?:ko:|KO:)?(K\d{5})")
_EC = re.compile(r"(?:EC[:.])?(\d+\.\d+\.\d+\.(?:n?\d+|-))")
_UNIREF = re.compile(r"(UniRef(?:50|90|100)_\S+)")
_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("UniRef", _UNIREF), ("KO", _KO), ("EC", _EC),
)  # fmt: skip


def parse_identifier(text: str) -> tuple[Kind, str] | None:
    """Kind and plain form of an identifier; None for anything else.

    >>> parse_identifier("ko:K00001"), parse_identifier("EC:1.1.1.1"), parse_identifier("M00001")
    (('KO', 'K00001'), ('EC', '1.1.1.1'), None)
    """
    for kind, pattern in _PATTERNS:
        if match := pattern.fullmatch(text):
            return kind, match[1]
    return None


class Vocabulary:
    """Which identifiers the tool behind a table can know, as far as the table shows.

    Numbers are given in order, by KEGG over all KOs and by the enzyme commission within a
    sub-subclass. A tool whose database is older than a number never reports it: the tables of
    HUMAnN 3 end at K20784 and have no EC of class 7, and PICRUSt2 2.6 gives older EC numbers
    (https://github.com/picrust/picrust2/issues/413). So an identifier that is newer than all
    that the table holds is not known to be missing.
    """

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}

    def add(self, identifier: str) -> None:
        """Note an identifier of the table, of any family or none."""
        group, number = _serial(identifier)
        if number > self._newest.get(group, -1):
            self._newest[group] = number

    def reaches(self, identifier: str) -> bool:
        """Whether the table holds an identifier at least as new."""
        group, number = _serial(identifier)
        return number <= self._newest.get(group, -1)


def _serial(identifier: str) -> tuple[str, int]:
    """Group within which numbers are given in order, and the number; -1 if it has none.

    >>> _serial("K00929"), _serial("2.7.2.7"), _serial("2.8.3.-")
    (('K', 929), ('2.7.2', 7), ('2.8.3', -1))
    """
    if identifier.startswith("K"):
        return "K", int(identifier[1:])
    group, _, number = identifier.rpartition(".")
    return group, int(number) if number.isdigit() else -1


@dataclass(frozen=True, slots=True)
class IdentifierIndex:
    """Identifiers of one kind, and the families that bear them.

    Attributes
    ----------
    bearers
        Families by identifier, sorted; targets, decoys and single-copy families.
    identifiers
        Identifiers by family, sorted. A family that is not there has none.
    own
        Identifiers by family that count for it; see the module.
    chains
        By identifier: how many chains of one enzyme bear it. A value is divided by it, because
        tables add up the genes of all chains.
    """

    kind: Kind
    bearers: Mapping[str, tuple[str, ...]]
    identifiers: Mapping[str, tuple[str, ...]]
    own: Mapping[str, frozenset[str]]
    chains: Mapping[str, int]

    def shared(self, family: str) -> tuple[str, ...]:
        """Identifiers of a family that are not its own."""
        own = self.own.get(family, frozenset())
        return tuple(i for i in self.identifiers.get(family, ()) if i not in own)

    def others(self, family: str, identifier: str) -> tuple[str, ...]:
        """Families that bear an identifier besides this one."""
        return tuple(name for name in self.bearers[identifier] if name != family)


def index_identifiers(
    kind: Kind, identifiers: Mapping[str, Iterable[str]], catalogue: Catalogue
) -> IdentifierIndex:
    """Index of the identifiers of families.

    Parameters
    ----------
    identifiers
        By family.

    Raises
    ------
    CatalogueError
        If the catalogue does not know a family.
    """
    by_family = {
        family: tuple(sorted(set(names))) for family, names in sorted(identifiers.items()) if names
    }
    bearers: dict[str, list[str]] = defaultdict(list)
    for family, names in by_family.items():
        catalogue.role(family)
        for name in names:
            bearers[name].append(family)
    own = {
        family: frozenset(
            name
            for name in names
            if all(_is_companion(family, o, catalogue) for o in bearers[name] if o != family)
        )
        for family, names in by_family.items()
    }
    groups = [
        group
        for pathway in catalogue.pathways.values()
        for step in pathway.steps
        for group in step.alternatives
    ]
    chains = {
        name: max([1, *(len(set(group).intersection(families)) for group in groups)])
        for name, families in bearers.items()
    }
    return IdentifierIndex(
        kind, {name: tuple(sorted(f)) for name, f in bearers.items()}, by_family, own, chains
    )


def _is_companion(family: str, other: str, catalogue: Catalogue) -> bool:
    """Whether a family that bears the same identifier belongs to the same enzyme."""
    if any(catalogue.role(name) != "target" for name in (family, other)):
        return False
    for pathway in catalogue.pathways.values():
        if other not in pathway.families():
            continue
        if family not in pathway.families():
            return False
        for step in pathway.steps:
            members = {name for group in step.alternatives for name in group}
            if other in members and family not in members and step.diagnostic:
                return False
    return True


def catalogue_identifiers(
    catalogue: Catalogue, single_copy: Mapping[str, Mapping[Kind, tuple[str, ...]]]
) -> dict[Kind, IdentifierIndex]:
    """Indices of the KOs and of the full EC numbers of a catalogue."""
    kos: dict[str, Iterable[str]] = {
        family.id: family.ko_logic.split("|") if family.ko_logic else ()
        for family in catalogue.families.values()
    }
    ecs: dict[str, Iterable[str]] = {
        family.id: [number for number in family.ec if "-" not in number]
        for family in catalogue.families.values()
    }
    for family, names in single_copy.items():
        if family in catalogue.single_copy:
            kos[family], ecs[family] = names["KO"], names["EC"]
    return {
        "KO": index_identifiers("KO", kos, catalogue),
        "EC": index_identifiers("EC", ecs, catalogue),
    }


def read_single_copy_identifiers(
    path: str | os.PathLike[str],
) -> dict[str, dict[Kind, tuple[str, ...]]]:
    """KOs and EC numbers of single-copy families.

    Parameters
    ----------
    path
        TSV with the columns family, ko and ec; several of one family are joined by ``|``.

    Raises
    ------
    CatalogueError
        If a family stands twice, or an identifier is not one.
    """
    result: dict[str, dict[Kind, tuple[str, ...]]] = {}
    for number, row in enumerate(read_table(path, ["family", "ko", "ec"]), start=2):
        at = f"{path}, line {number}: "
        if row["family"] in result:
            raise CatalogueError(f"{at}family {row['family']!r} stands twice; join its rows")
        kos, ecs = (tuple(filter(None, row[column].split("|"))) for column in ("ko", "ec"))
        expected: tuple[tuple[Kind, tuple[str, ...]], ...] = (("KO", kos), ("EC", ecs))
        for kind, names in expected:
            for name in names:
                if parse_identifier(name) != (kind, name) or "-" in name:
                    raise CatalogueError(f"{at}{name!r} is not a full {kind}")
        result[row["family"]] = {"KO": kos, "EC": ecs}
    return result


@dataclass(frozen=True, slots=True)
class ReferenceNames:
    """What a protein reference says without its sequences.

    Attributes
    ----------
    uniref
        UniRef clusters by family; empty where proteins have other names.
    ranks
        Names of all ranks above and of each genus, by genus.
    """

    uniref: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ranks: Mapping[str, frozenset[str]] = field(default_factory=dict)


def read_reference_names(folder: str | os.PathLike[str]) -> ReferenceNames:
    """Read the families and lineages of a protein reference.

    Raises
    ------
    ReferenceFolderError
        If the folder has no readable proteins.tsv.
    """
    path = Path(folder) / "proteins.tsv"
    uniref: dict[str, list[str]] = defaultdict(list)
    ranks: dict[str, set[str]] = defaultdict(set)
    lineages: dict[str, tuple[str, ...]] = {}
    try:
        for row in iterate_table(path, ["protein", "family", "lineage"]):
            if _UNIREF.fullmatch(row["protein"]):
                uniref[row["family"]].append(row["protein"])
            if row["lineage"] not in lineages:
                lineages[row["lineage"]] = parse_lineage(row["lineage"])
            names = lineages[row["lineage"]]
            if genus := names[RANKS.index("genus")]:
                ranks[genus].update(name for name in names if name)
    except (OSError, TableError) as error:
        raise ReferenceFolderError(
            f"{path}: cannot be read ({error}); give the folder of a protein reference, which"
            " holds proteins.tsv"
        ) from error
    return ReferenceNames(
        {family: tuple(names) for family, names in uniref.items()},
        {genus: frozenset(names) for genus, names in ranks.items()},
    )
