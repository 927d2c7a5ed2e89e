"""The catalogue: protein families, the routes that they make up, and the single-copy families.

The three YAML files are data that a biochemist edits. Reading them checks each against its JSON
Schema, then all of them against each other, and names every problem at once.
"""

import difflib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import jsonschema
import yaml

from fermentome.errors import CatalogueError

Role = Literal["target", "decoy", "single_copy"]
Alternatives = tuple[tuple[str, ...], ...]
"""Families as OR of ANDs: ``(("but",), ("ptb", "buk"))`` is but, or ptb together with buk."""

_GTDB_SPLIT = re.compile(r"[ _][A-Z]{1,2}$")


@dataclass(frozen=True, slots=True)
class CatalogueFiles:
    """Paths of the catalogue and of its schemas."""

    families: str | os.PathLike[str]
    pathways: str | os.PathLike[str]
    single_copy: str | os.PathLike[str]
    families_schema: str | os.PathLike[str]
    pathways_schema: str | os.PathLike[str]
    single_copy_schema: str | os.PathLike[str]

    @classmethod
    def in_folders(
        cls, resources: str | os.PathLike[str], schemas: str | os.PathLike[str]
    ) -> "CatalogueFiles":
        """Files under their usual names in a folder of resources and a folder of schemas."""
        names = ("families", "pathways", "single_copy")
        return cls(
            *(Path(resources) / f"{name}.yaml" for name in names),
            *(Path(schemas) / f"{name}.schema.yaml" for name in names),
        )


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What an alignment of a read must reach to count for a family.

    Attributes
    ----------
    min_bits
        Points (read length in nt, lowest bit score), by growing read length.
    min_query_cover
        Lowest aligned share of the read, 0 to 1.
    """

    min_bits: tuple[tuple[float, float], ...]
    min_query_cover: float

    def min_bits_at(self, read_length: float) -> float:
        """Lowest bit score for a read, linear between the points and flat outside them.

        Parameters
        ----------
        read_length
            Length of the read in nt.

        >>> Acceptance(((100, 35), (150, 40)), 0.6).min_bits_at(125)
        37.5
        """
        if read_length <= self.min_bits[0][0]:
            return float(self.min_bits[0][1])
        for (left, low), (right, high) in pairwise(self.min_bits):
            if read_length <= right:
                return low + (high - low) * (read_length - left) / (right - left)
        return float(self.min_bits[-1][1])


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of protein chain, counted (target) or only searched (decoy).

    Attributes
    ----------
    tier
        A diagnostic alone, B diagnostic with other steps or with its decoys, C shared, D decoy.
    ko_logic
        KEGG orthologues joined by ``|``; None where none exists.
    length_aa
        Median length of known members; None where not known.
    decoys
        Families that must be in the reference for a call of this one to mean something.
    merge_group
        Name shared by families that scores do not part; None for most.
    full_length_bits_per_aa
        Lowest bit score per residue of a whole protein; None where not measured.
    acceptance
        Of reads; the catalogue's default unless the family has its own.
    checked
        Whether its function was seen in a public source.
    """

    id: str
    name: str
    role: Literal["target", "decoy"]
    tier: Literal["A", "B", "C", "D"]
    ec: tuple[str, ...]
    ko_logic: str | None
    length_aa: int | None
    decoys: tuple[str, ...]
    merge_group: str | None
    full_length_bits_per_aa: float | None
    acceptance: Acceptance
    confidence: Literal["high", "medium", "low"]
    sources: tuple[str, ...]
    checked: bool
    note: str


@dataclass(frozen=True, slots=True)
class SingleCopyFamily:
    """A family that nearly every genome carries once.

    Attributes
    ----------
    product_pattern
        Regular expression for product names of annotated proteins; see `names`.
    """

    id: str
    gene: str
    name: str
    product_pattern: str

    def names(self, product: str) -> bool:
        """Whether a product name, without accession and organism, is one of this family's."""
        return re.search(self.product_pattern, product, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class Step:
    """One reaction of a route.

    Attributes
    ----------
    required
        Counts towards completeness.
    diagnostic
        Evidence of this very route; never filled in when missing.
    """

    id: str
    reaction: str
    ec: tuple[str, ...]
    rhea: tuple[str, ...]
    required: bool
    diagnostic: bool
    alternatives: Alternatives


@dataclass(frozen=True, slots=True)
class Pathway:
    """One route to a product, as genetic potential.

    Attributes
    ----------
    evidence_scope
        Where the evidence must lie: pooled over the community; preferably, or necessarily, in one
        genus.
    min_completeness
        Share of the required steps that must be detected.
    taxon_veto
        Lineages that never make the route present; see `is_vetoed`.
    not_reported_because
        Why the route is kept out of the results; empty for reported routes.
    required_markers
        At least one whole set must be detected.
    """

    id: str
    name: str
    product: str
    direction: Literal["formation", "consumption"]
    evidence_scope: Literal["community", "taxon_preferred", "taxon"]
    min_completeness: float
    taxon_veto: tuple[str, ...]
    reported: bool
    not_reported_because: str
    confidence: Literal["high", "medium", "low"]
    checked: bool
    steps: tuple[Step, ...]
    required_markers: Alternatives
    caveat: str
    sources: tuple[str, ...]

    def families(self) -> frozenset[str]:
        """All families that stand in a step."""
        return frozenset(f for step in self.steps for group in step.alternatives for f in group)

    def is_vetoed(self, names: Iterable[str]) -> bool:
        """Whether a lineage is one of those that never make the route present.

        Parameters
        ----------
        names
            Names of all ranks of the lineage, without rank prefix. A veto without the letters
            that GTDB gives to the parts of a split taxon hits all parts: ``Bacillales`` hits
            ``Bacillales_A``, and ``Bacillales A`` where underscores were read as spaces. A veto
            with letters hits that part only. An unknown lineage is not vetoed.
        """
        known = {name.replace("_", " ") for name in names if name}
        known |= {_GTDB_SPLIT.sub("", name) for name in known}
        return any(veto.replace("_", " ") in known for veto in self.taxon_veto)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Families, routes and single-copy families, each by id, in the order of the files."""

    version: str
    families: Mapping[str, Family]
    pathways: Mapping[str, Pathway]
    single_copy: Mapping[str, SingleCopyFamily]
    default_acceptance: Acceptance

    def role(self, family_id: str) -> Role:
        """Whether a family is a target, a decoy or a single-copy family.

        Raises
        ------
        CatalogueError
            If the catalogue does not know the family.
        """
        if family_id in self.single_copy:
            return "single_copy"
        return self._family(family_id).role

    def acceptance(self, family_id: str) -> Acceptance:
        """Return the acceptance of reads for a family, the default for single-copy families.

        Raises
        ------
        CatalogueError
            If the catalogue does not know the family.
        """
        if family_id in self.single_copy:
            return self.default_acceptance
        return self._family(family_id).acceptance

    def same_merge_group(self, *family_ids: str) -> bool:
        """Whether all families stand in one group that scores do not part.

        A family is in one group with itself; single-copy families are in no group.
        """
        if len(set(family_ids)) == 1:
            return True
        groups = {
            None if family_id in self.single_copy else self._family(family_id).merge_group
            for family_id in family_ids
        }
        return len(groups) == 1 and None not in groups

    def _family(self, family_id: str) -> Family:
        try:
            return self.families[family_id]
        except KeyError:
            known = [*self.families, *self.single_copy]
            raise CatalogueError(
                f"family {family_id!r} is not in the catalogue{_nearest(family_id, known)}; if a"
                " reference names it, the reference was built for another version of the catalogue"
            ) from None


def load_catalogue(files: CatalogueFiles) -> Catalogue:
    """Read and check the catalogue.

    Raises
    ------
    CatalogueError
        If a file is missing, is not YAML, breaks its schema, or the files contradict each other.
        The message holds one line per problem: file, entry, what is wrong, what to do.
    """
    families = _read_checked(files.families, files.families_schema)
    pathways = _read_checked(files.pathways, files.pathways_schema)
    single_copy = _read_checked(files.single_copy, files.single_copy_schema)
    problems = [
        *(f"{files.families}: {line}" for line in _family_problems(families, pathways)),
        *(f"{files.pathways}: {line}" for line in _pathway_problems(families, pathways)),
        *(f"{files.single_copy}: {line}" for line in _single_copy_problems(families, single_copy)),
    ]
    if problems:
        raise CatalogueError("\n".join(problems))
    default = families["defaults"]["acceptance"]
    return Catalogue(
        version=families["version"],
        families={entry["id"]: _family(entry, default) for entry in families["families"]},
        pathways={entry["id"]: _pathway(entry) for entry in pathways["pathways"]},
        single_copy={entry["id"]: SingleCopyFamily(**entry) for entry in single_copy["families"]},
        default_acceptance=_acceptance(default),
    )


class _StrictLoader(yaml.SafeLoader):
    """YAML loader that refuses a key given twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build the mapping of a node whose keys are all different."""
        keys = Counter(key.value for key, _ in node.value)
        for key, count in keys.items():
            if count > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands {count} times", node.start_mark
                )
        return super().construct_mapping(node, deep)


def _read_yaml(path: str | os.PathLike[str]) -> Any:
    try:
        with open(path, encoding="utf-8") as stream:
            return yaml.load(stream, Loader=_StrictLoader)
    except OSError as error:
        raise CatalogueError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path}: is not valid YAML: {error}") from error


def _read_checked(
    path: str | os.PathLike[str], schema_path: str | os.PathLike[str]
) -> dict[str, Any]:
    content = _read_yaml(path)
    schema = _read_yaml(schema_path)
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise CatalogueError(f"{schema_path}: is not a JSON Schema: {error.message}") from error
    errors = sorted(
        jsonschema.Draft202012Validator(schema).iter_errors(content),
        key=lambda error: [str(part) for part in error.absolute_path],
    )
    if errors:
        raise CatalogueError(
            "\n".join(
                f"{path}: {_where(content, error.absolute_path)}{error.message}"
                f" (expected: {_expected(error)})"
                for error in errors
            )
        )
    checked: dict[str, Any] = content
    return checked


def _where(content: Any, path: Sequence[str | int]) -> str:
    """Place of a schema error in words, with ids instead of positions where there are any."""
    words = []
    for part in path:
        content = content[part]
        if isinstance(part, int):
            name = content.get("id") if isinstance(content, dict) else None
            words.append(repr(name) if name else f"item {part + 1}")
        else:
            words.append(part)
    return " ".join(words) + ": " if words else ""


def _expected(error: jsonschema.ValidationError) -> str:
    if error.validator == "additionalProperties" and isinstance(error.schema, Mapping):
        return "only " + ", ".join(error.schema["properties"])
    return f"{error.validator} {error.validator_value}"


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _doubles(entries: Iterable[Mapping[str, Any]], key: str = "id") -> Iterator[str]:
    for value, count in Counter(entry[key] for entry in entries).items():
        if count > 1:
            yield f"{key} {value!r} stands {count} times; every {key} must be unique"


def _groups(pathway: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], list[str]]]:
    for step in pathway["steps"]:
        for group in step["alternatives"]:
            yield step, group


def _family_problems(families: Mapping[str, Any], pathways: Mapping[str, Any]) -> Iterator[str]:
    entries = families["families"]
    known = {entry["id"]: entry for entry in entries}
    in_steps = {
        family
        for pathway in pathways["pathways"]
        for _, group in _groups(pathway)
        for family in group
    }
    diagnostic = {
        family
        for pathway in pathways["pathways"]
        for step, group in _groups(pathway)
        if step["diagnostic"]
        for family in group
    }
    as_decoy = {decoy for entry in entries for decoy in entry["decoys"]}
    yield from _doubles(entries)
    yield from _curve_problems("defaults", families["defaults"]["acceptance"])
    for group, count in Counter(entry["merge_group"] for entry in entries).items():
        if group is not None and count == 1:
            yield f"merge_group {group!r} has one member; name a second family, or write null"
    for entry in entries:
        at = f"family {entry['id']!r}: "
        for decoy in entry["decoys"]:
            if decoy == entry["id"]:
                yield at + "is named as its own decoy; remove it from decoys"
            elif decoy not in known:
                yield at + f"the decoy {decoy!r} is not a family" + _nearest(decoy, known)
        if (entry["role"] == "decoy") != (entry["tier"] == "D"):
            yield (
                f"{at}role {entry['role']} and tier {entry['tier']} contradict each other;"
                " decoys, and only decoys, are tier D"
            )
        if entry["ko_logic"] and "&" in entry["ko_logic"]:
            yield (
                f"{at}ko_logic {entry['ko_logic']!r} joins subunits with &; make one family of"
                " each subunit and join them in the pathway's alternatives"
            )
        if entry["id"] in diagnostic and not entry["decoys"]:
            yield at + "stands in a diagnostic step but names no decoys; name its look-alikes"
        if entry["role"] == "target" and entry["id"] not in in_steps:
            yield at + "is a target that no pathway uses; add it to a step, or make it a decoy"
        if entry["role"] == "decoy" and entry["id"] not in as_decoy:
            yield at + "is a decoy that no family names; add it to the decoys of one, or remove it"
        if "acceptance" in entry:
            yield from _curve_problems(f"family {entry['id']!r}", entry["acceptance"])


def _curve_problems(owner: str, acceptance: Mapping[str, Any]) -> Iterator[str]:
    for (left, low), (right, high) in pairwise(acceptance.get("min_bits", [])):
        if right <= left or high < low:
            yield (
                f"{owner}: acceptance min_bits goes from {[left, low]} to {[right, high]}; read"
                " lengths must grow, and bit scores must not fall"
            )


def _pathway_problems(families: Mapping[str, Any], pathways: Mapping[str, Any]) -> Iterator[str]:
    known = {entry["id"]: entry for entry in families["families"]}
    if pathways["version"] != families["version"]:
        yield (
            f"version {pathways['version']} is not that of the families, {families['version']};"
            " the two files are released together"
        )
    yield from _doubles(pathways["pathways"])
    for pathway in pathways["pathways"]:
        at = f"pathway {pathway['id']!r}: "
        for line in _doubles(pathway["steps"]):
            yield at + "step " + line
        for step, group in _groups(pathway):
            for family in group:
                place = f"{at}step {step['id']!r}: family {family!r} "
                if family not in known:
                    yield place + "is not in the families" + _nearest(family, known)
                elif known[family]["role"] == "decoy":
                    yield place + "is a decoy and is never counted; make it a target first"
                elif step["diagnostic"] and known[family]["tier"] == "C":
                    yield place + "is tier C and cannot be diagnostic; change its tier or the step"
        for step in pathway["steps"]:
            if step["diagnostic"] and not step["required"]:
                yield f"{at}step {step['id']!r} is diagnostic but not required; require it"
        yield from (at + line for line in _marker_problems(pathway, known))
        if not any(step["required"] for step in pathway["steps"]):
            yield at + "no step is required, so completeness has no meaning; require at least one"
        if pathway["reported"] == ("not_reported_because" in pathway):
            yield at + "not_reported_because goes with reported: false, and only with it"


def _marker_problems(pathway: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    in_steps = {family for _, group in _groups(pathway) for family in group}
    if pathway["reported"] and not pathway["required_markers"]:
        yield "is reported without required_markers; name a set, or do not report the route"
    for group in pathway["required_markers"]:
        for family in group:
            if family not in known:
                yield f"marker {family!r} is not in the families" + _nearest(family, known)
            elif family not in in_steps:
                yield f"marker {family!r} stands in no step of the route; add it to a step"


def _single_copy_problems(
    families: Mapping[str, Any], single_copy: Mapping[str, Any]
) -> Iterator[str]:
    known = {entry["id"] for entry in families["families"]}
    entries = single_copy["families"]
    yield from _doubles(entries)
    yield from _doubles(entries, "gene")
    for entry in entries:
        if entry["id"] in known:
            yield f"{entry['id']!r} is also the id of a family; choose another id"
        try:
            re.compile(entry["product_pattern"])
        except re.error as error:
            yield f"{entry['id']!r}: product_pattern is not a regular expression: {error}"


def _acceptance(entry: Mapping[str, Any]) -> Acceptance:
    return Acceptance(
        tuple((float(length), float(bits)) for length, bits in entry["min_bits"]),
        float(entry["min_query_cover"]),
    )


def _family(entry: Mapping[str, Any], default: Mapping[str, Any]) -> Family:
    return Family(
        id=entry["id"],
        name=entry["name"],
        role=entry["role"],
        tier=entry["tier"],
        ec=tuple(entry["ec"]),
        ko_logic=entry["ko_logic"],
        length_aa=entry["length_aa"],
        decoys=tuple(entry["decoys"]),
        merge_group=entry["merge_group"],
        full_length_bits_per_aa=entry.get("full_length_bits_per_aa"),
        # What a family's own acceptance leaves out is taken from the default.
        acceptance=_acceptance({**default, **entry.get("acceptance", {})}),
        confidence=entry["confidence"],
        sources=tuple(entry["sources"]),
        checked=entry["checked"],
        note=entry.get("note", ""),
    )


def _alternatives(groups: Iterable[Iterable[str]]) -> Alternatives:
    return tuple(tuple(group) for group in groups)


def _step(entry: Mapping[str, Any]) -> Step:
    return Step(
        id=entry["id"],
        reaction=entry["reaction"],
        ec=tuple(entry["ec"]),
        rhea=tuple(entry.get("rhea", ())),
        required=entry["required"],
        diagnostic=entry["diagnostic"],
        alternatives=_alternatives(entry["alternatives"]),
    )


def _pathway(entry: Mapping[str, Any]) -> Pathway:
    return Pathway(
        id=entry["id"],
        name=entry["name"],
        product=entry["product"],
        direction=entry["direction"],
        evidence_scope=entry["evidence_scope"],
        min_completeness=float(entry["min_completeness"]),
        taxon_veto=tuple(entry["taxon_veto"]),
        reported=entry["reported"],
        not_reported_because=entry.get("not_reported_because", ""),
        confidence=entry["confidence"],
        checked=entry["checked"],
        steps=tuple(_step(step) for step in entry["steps"]),
        required_markers=_alternatives(entry["required_markers"]),
        caveat=entry["caveat"],
        sources=tuple(entry["sources"]),
    )
