"""What the builder of an SCFA reference needs to know of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fermentome.catalogue import Catalogue

__all__ = ["BACKGROUND", "Families"]

#: Decoy for what shares a part with a target: a read of that part scores like one of the target.
BACKGROUND = "decoy_background"


@dataclass(frozen=True)
class Families:
    """Families of the catalogue: ids, which are decoys, which merge, how sources call them.

    Attributes
    ----------
    ids
        Targets and decoys, without the single-copy families.
    single_copy
        Id and pattern of product names of the single-copy families.
    ec
        Families by EC number.
    genes, names
        Gene symbols and full name of each family.
    near_miss
        The one decoy that the catalogue sets against a target; without those that have several.
    lengths
        Known lengths, in amino acids.
    """

    ids: frozenset[str]
    decoys: frozenset[str]
    merge_groups: Mapping[str, str]
    single_copy: Mapping[str, str]
    ec: Mapping[str, tuple[str, ...]]
    genes: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str]
    near_miss: Mapping[str, str]
    lengths: Mapping[str, float]

    @classmethod
    def of(cls, catalogue: Catalogue) -> Families:
        """Families of a catalogue."""
        families = catalogue.families.values()
        decoys = frozenset(family.id for family in families if family.role == "decoy")
        ec: dict[str, list[str]] = {}
        near_miss = {}
        for family in families:
            for number in family.ec:
                ec.setdefault(number, []).append(family.id)
            rivals = [name for name in family.decoys if name in decoys and name != BACKGROUND]
            if len(rivals) == 1:
                near_miss[family.id] = rivals[0]
        return cls(
            ids=frozenset(catalogue.families),
            decoys=decoys,
            merge_groups={f.id: f.merge_group for f in families if f.merge_group},
            single_copy={f.id: f.product_pattern for f in catalogue.single_copy.values()},
            ec={number: tuple(sorted(found)) for number, found in ec.items()},
            genes={f.id: _symbols(f.id, f.genes) for f in families},
            names={f.id: f.name for f in families},
            near_miss=near_miss,
            lengths={f.id: float(f.length_aa) for f in families if f.length_aa},
        )

    @property
    def all_ids(self) -> frozenset[str]:
        """Targets, decoys and single-copy families."""
        return self.ids | frozenset(self.single_copy)

    def role(self, family: str) -> str:
        """``target``, ``decoy`` or ``single_copy``."""
        if family in self.single_copy:
            return "single_copy"
        return "decoy" if family in self.decoys else "target"

    def rivals(self, one: str, other: str) -> bool:
        """Whether a clear margin is wanted between two families.

        Not between two decoys, for either is right, nor within a merge group, whose members
        are reported as one.
        """
        if one in self.decoys and other in self.decoys:
            return False
        group = self.merge_groups.get(one)
        return group is None or group != self.merge_groups.get(other)


def _symbols(family: str, genes: tuple[str, ...]) -> tuple[str, ...]:
    """Gene symbols of a family; those of a decoy stand in its id.

    >>> _symbols("decoy_fadB_paaH", ())
    ('fadB', 'paaH')
    """
    if genes:
        return genes
    parts = family.removeprefix("decoy_").split("_")
    return tuple(part for part in parts if re.fullmatch(r"[a-z]{3}[A-Z]\d?", part))
