"""The catalogue: protein families, the routes that they make up, and the single-copy families.

The three YAML files are data that a biochemist edits. Reading them checks each against its JSON
Schema, then all of them against each other, and names every problem at once. Runs of steps that
routes share are written once, as modules, and put in place here: a `Pathway` knows only steps.
"""

import difflib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import jsonschema
import yaml

from fermentome.errors import CatalogueError

Role = Literal["target", "decoy", "single_copy"]
Kind = Literal["production", "intermediate", "crossfeeding", "sink", "interconversion"]
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
class FullLength:
    """What an alignment of a whole protein must reach to count for a family.

    Attributes
    ----------
    bits_per_aa
        Lowest bit score per residue of the protein.
    min_query_cover, min_subject_cover
        Lowest aligned share of the protein, and of the family's member, 0 to 1.
    """

    bits_per_aa: float
    min_query_cover: float
    min_subject_cover: float


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
    genes
        Gene symbols; empty where none is usual.
    uniprot_query
        Proposed query for members in UniProtKB, not executed; None where there is none.
    no_query_because
        Why UniProtKB cannot be asked for the members; empty for most.
    ec_because
        Why its EC numbers are not those of its orthologues or not of the type in its name; names
        the identifiers concerned. Empty for most.
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
    genes: tuple[str, ...] = ()
    uniprot_query: str | None = None
    no_query_because: str = ""
    ec_because: str = ""


@dataclass(frozen=True, slots=True)
class SingleCopyFamily:
    """A family that nearly every genome carries once.

    Attributes
    ----------
    product_pattern
        Regular expression for product names of annotated proteins; see `names`.
    uniprot_query
        Proposed query for members in UniProtKB, not executed; None where there is none.
    """

    id: str
    gene: str
    name: str
    product_pattern: str
    uniprot_query: str | None = None

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
    ec_because
        Why an EC number of the step is none of its families'; names it. Empty for most.
    """

    id: str
    reaction: str
    ec: tuple[str, ...]
    rhea: tuple[str, ...]
    required: bool
    diagnostic: bool
    alternatives: Alternatives
    ec_because: str = ""


@dataclass(frozen=True, slots=True)
class Pathway:
    """One route to a product, as genetic potential.

    Attributes
    ----------
    kind
        Place of the product in the gut: end product, intermediate, food of others, sink of
        hydrogen, or one product made of another.
    direction
        Whether the route makes the product or uses it.
    steps
        In order, modules put in place.
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
    kind: Kind
    product: str
    direction: Literal["formation", "consumption", "both"]
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
    default_full_length: FullLength | None = None

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

    def full_length(self, family_id: str) -> FullLength | None:
        """Return the acceptance of whole proteins for a family.

        A family's own bits per residue replace those of the default; single-copy families take
        the default. None if the catalogue has no default.

        Raises
        ------
        CatalogueError
            If the catalogue does not know the family.
        """
        if family_id in self.single_copy:
            return self.default_full_length
        own = self._family(family_id).full_length_bits_per_aa
        if own is None or self.default_full_length is None:
            return self.default_full_length
        return replace(self.default_full_length, bits_per_aa=own)

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
    checked = [
        _read_checked(files.families, files.families_schema),
        _read_checked(files.pathways, files.pathways_schema),
        _read_checked(files.single_copy, files.single_copy_schema),
    ]
    if problems := [problem for _, found in checked for problem in found]:
        raise CatalogueError("\n".join(problems))
    families, pathways, single_copy = (content for content, _ in checked)
    routes = [_expand(pathway, _modules(pathways)) for pathway in pathways["pathways"]]
    problems = [
        *(f"{files.families}: {line}" for line in _family_problems(families, routes)),
        *(f"{files.pathways}: {line}" for line in _module_problems(pathways)),
        *(f"{files.pathways}: {line}" for line in _pathway_problems(families, pathways, routes)),
        *(f"{files.single_copy}: {line}" for line in _single_copy_problems(families, single_copy)),
    ]
    if problems:
        raise CatalogueError("\n".join(problems))
    defaults = families["defaults"]
    return Catalogue(
        version=families["version"],
        families={
            entry["id"]: _family(entry, defaults["acceptance"]) for entry in families["families"]
        },
        pathways={route.entry["id"]: _pathway(route) for route in routes},
        single_copy={entry["id"]: SingleCopyFamily(**entry) for entry in single_copy["families"]},
        default_acceptance=_acceptance(defaults["acceptance"]),
        default_full_length=_full_length(defaults.get("full_length")),
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
        # YAML explains itself over several lines; a problem of the catalogue is one line.
        words = " ".join(str(error).split())
        raise CatalogueError(f"{path}: is not valid YAML: {words}") from error


def _read_checked(
    path: str | os.PathLike[str], schema_path: str | os.PathLike[str]
) -> tuple[dict[str, Any], list[str]]:
    """Content of a file, and what is wrong with it by itself."""
    schema = _read_yaml(schema_path)
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise CatalogueError(f"{schema_path}: is not a JSON Schema: {error.message}") from error
    try:
        content = _read_yaml(path)
    except CatalogueError as error:
        return {}, [str(error)]
    errors = sorted(
        jsonschema.Draft202012Validator(schema).iter_errors(content),
        key=lambda error: [str(part) for part in error.absolute_path],
    )
    return content, [
        f"{path}: {_where(content, error.absolute_path)}{error.message} ({_expected(error)})"
        for error in errors
    ]


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
    rules = error.schema if isinstance(error.schema, Mapping) else {}
    if error.validator == "additionalProperties":
        return "expected: only " + ", ".join(rules["properties"])
    if error.validator == "minItems":
        wanted = rules.get("description", "a list")
        return f"expected: {wanted}; fill the list, or remove the entry that holds it"
    if error.validator == "pattern" and "description" in rules:
        return f"expected: {rules['description']}"
    return f"expected: {error.validator} {error.validator_value}"


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _doubles(
    entries: Iterable[Mapping[str, Any]], key: str = "id", what: str = ""
) -> Iterator[str]:
    for value, count in Counter(entry[key] for entry in entries).items():
        if count > 1:
            yield f"{what}{key} {value!r} stands {count} times; every {key} must be unique"


@dataclass(frozen=True, slots=True)
class _Route:
    """An entry of the pathways with its modules in place.

    `origins` names for each step the module that it came from, `""` for the entry's own.
    `broken` holds the modules that could not be put in place: unknown ones, and closed chains.
    """

    entry: Mapping[str, Any]
    steps: tuple[Mapping[str, Any], ...] = ()
    origins: tuple[str, ...] = ()
    broken: tuple[tuple[str, ...], ...] = field(default=())

    def groups(self) -> Iterator[tuple[Mapping[str, Any], list[str]]]:
        return _groups(self.steps)

    def families(self) -> set[str]:
        return {family for _, group in self.groups() for family in group}


def _modules(pathways: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {module["id"]: module for module in pathways.get("modules", [])}


def _expand(
    entry: Mapping[str, Any],
    modules: Mapping[str, Mapping[str, Any]],
    chain: tuple[str, ...] = (),
) -> _Route:
    """Put modules in the place of their names, depth first.

    Parameters
    ----------
    chain
        Modules that are being put in place; meeting one of them again is a cycle.
    """
    steps: list[Mapping[str, Any]] = []
    origins: list[str] = []
    broken: list[tuple[str, ...]] = []
    for step in entry["steps"]:
        if "module" not in step:
            steps.append(step)
            origins.append(chain[-1] if chain else "")
            continue
        longer = (*chain, step["module"])
        if step["module"] in chain or step["module"] not in modules:
            broken.append(longer)
            continue
        inner = _expand(modules[step["module"]], modules, longer)
        steps.extend(inner.steps)
        origins.extend(inner.origins)
        broken.extend(inner.broken)
    return _Route(entry, tuple(steps), tuple(origins), tuple(broken))


def _own_steps(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [step for step in entry["steps"] if "module" not in step]


def _groups(steps: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], list[str]]]:
    for step in steps:
        for group in step["alternatives"]:
            yield step, group


def _family_problems(families: Mapping[str, Any], routes: Sequence[_Route]) -> Iterator[str]:
    entries = families["families"]
    known = {entry["id"]: entry for entry in entries}
    in_steps = {family for route in routes for family in route.families()}
    # A route that lacks a module lacks families too; that it does is said at the route.
    all_in_place = not any(route.broken for route in routes)
    diagnostic = {
        family
        for route in routes
        for step, group in route.groups()
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
                yield f"{at}the decoy {decoy!r} is not a family" + _remedy(decoy, known, "decoys")
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
        if entry["role"] == "target" and entry["id"] not in in_steps and all_in_place:
            yield at + "is a target that no pathway uses; add it to a step, or make it a decoy"
        if entry["role"] == "decoy" and entry["id"] not in as_decoy:
            yield at + "is a decoy that no family names; add it to the decoys of one, or remove it"
        if "acceptance" in entry:
            yield from _curve_problems(f"family {entry['id']!r}", entry["acceptance"])


def _remedy(name: str, known: Iterable[str], place: str) -> str:
    nearest = _nearest(name, known)
    return nearest or f"; add a family of that id, or remove it from the {place}"


def _curve_problems(owner: str, acceptance: Mapping[str, Any]) -> Iterator[str]:
    for (left, low), (right, high) in pairwise(acceptance.get("min_bits", [])):
        if right <= left or high < low:
            yield (
                f"{owner}: acceptance min_bits goes from {[left, low]} to {[right, high]}; read"
                " lengths must grow, and bit scores must not fall"
            )


def _module_problems(pathways: Mapping[str, Any]) -> Iterator[str]:
    modules = _modules(pathways)
    entries = [*pathways.get("modules", []), *pathways["pathways"]]
    named = {step["module"] for entry in entries for step in entry["steps"] if "module" in step}
    yield from _doubles(pathways.get("modules", []), "id", "module ")
    for entry in pathways["pathways"]:
        if entry["id"] in modules:
            yield f"{entry['id']!r} is the id of a pathway and of a module; rename one of them"
    for entry in entries:
        at = f"{'module' if entry['id'] in modules else 'pathway'} {entry['id']!r}: "
        for step in entry["steps"]:
            if "module" in step and step["module"] not in modules:
                name = step["module"]
                remedy = _nearest(name, modules) or "; add it to the modules, or remove the step"
                yield f"{at}the module {name!r} is not among the modules{remedy}"
    for cycle in _cycles(modules):
        yield (
            f"module {cycle[0]!r}: the modules go in a circle, {' -> '.join(cycle)}; take one of"
            " these names out of the steps of the module before it"
        )
    for name in modules:
        if name not in named:
            yield f"module {name!r}: no pathway uses it; name it in a route, or remove it"


def _cycles(modules: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Closed chains of modules, each once, from its first name in the order of the alphabet."""
    found = set()
    for name in modules:
        for chain in _expand(modules[name], modules, (name,)).broken:
            if chain[-1] in modules:
                ring = chain[chain.index(chain[-1]) : -1]
                first = ring.index(min(ring))
                found.add((*ring[first:], *ring[:first], ring[first]))
    return sorted(found)


def _pathway_problems(
    families: Mapping[str, Any], pathways: Mapping[str, Any], routes: Sequence[_Route]
) -> Iterator[str]:
    known = {entry["id"]: entry for entry in families["families"]}
    if pathways["version"] != families["version"]:
        yield (
            f"version {pathways['version']} is not that of the families, {families['version']};"
            " the two files are released together"
        )
    yield from _doubles(pathways["pathways"])
    # Steps are judged where they are written, so that a module's mistakes are said once.
    for module in pathways.get("modules", []):
        at = f"module {module['id']!r}: "
        yield from (at + line for line in _step_problems(_own_steps(module), known))
    for route in routes:
        at = f"pathway {route.entry['id']!r}: "
        yield from (at + line for line in _step_problems(_own_steps(route.entry), known))
        yield from (at + line for line in _route_problems(route, known))


def _step_problems(
    steps: Sequence[Mapping[str, Any]], known: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    for step, group in _groups(steps):
        for family in group:
            place = f"step {step['id']!r}: family {family!r} "
            if family not in known:
                yield place + "is not in the families" + _remedy(family, known, "step")
            elif known[family]["role"] == "decoy":
                yield place + "is a decoy and is never counted; make it a target first"
            elif step["diagnostic"] and known[family]["tier"] == "C":
                yield place + "is tier C and cannot be diagnostic; change its tier or the step"
    for step in steps:
        if step["diagnostic"] and not step["required"]:
            yield f"step {step['id']!r} is diagnostic but not required; require it"


def _route_problems(route: _Route, known: Mapping[str, Any]) -> Iterator[str]:
    entry = route.entry
    origins: dict[str, list[str]] = {}
    for step, origin in zip(route.steps, route.origins, strict=True):
        origins.setdefault(step["id"], []).append(f"of module {origin!r}" if origin else "its own")
    for name, places in origins.items():
        if len(places) > 1:
            yield (
                f"step id {name!r} stands {len(places)} times ({', '.join(places)}); every step of"
                " a route, modules included, needs an id of its own"
            )
    if not route.broken:
        yield from _marker_problems(route, known)
        if not any(step["required"] for step in route.steps):
            yield "no step is required, so completeness has no meaning; require at least one"
        both_ways = entry["direction"] == "both"
        own = any(step["diagnostic"] for step in route.steps)
        if entry["reported"] and not own and not both_ways:
            yield (
                "is reported without a diagnostic step; mark the step that is evidence of this"
                " very route, or do not report it"
            )
    if (entry["kind"] == "interconversion") != (entry["direction"] == "both"):
        yield "kind interconversion goes with direction: both, and only with it"
    if entry["reported"] == ("not_reported_because" in entry):
        yield "not_reported_because goes with reported: false, and only with it"


def _marker_problems(route: _Route, known: Mapping[str, Any]) -> Iterator[str]:
    in_steps = route.families()
    if route.entry["reported"] and not route.entry["required_markers"]:
        yield "is reported without required_markers; name a set, or do not report the route"
    for group in route.entry["required_markers"]:
        for family in group:
            if family not in known:
                remedy = _remedy(family, known, "required_markers")
                yield f"marker {family!r} is not in the families" + remedy
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


def _full_length(entry: Mapping[str, float] | None) -> FullLength | None:
    if entry is None:
        return None
    return FullLength(**{name: float(value) for name, value in entry.items()})


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
        genes=tuple(entry.get("genes", ())),
        uniprot_query=entry.get("uniprot_query"),
        no_query_because=entry.get("no_query_because", ""),
        ec_because=entry.get("ec_because", ""),
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
        ec_because=entry.get("ec_because", ""),
    )


def _pathway(route: _Route) -> Pathway:
    entry = route.entry
    return Pathway(
        id=entry["id"],
        name=entry["name"],
        kind=entry["kind"],
        product=entry["product"],
        direction=entry["direction"],
        evidence_scope=entry["evidence_scope"],
        min_completeness=float(entry["min_completeness"]),
        taxon_veto=tuple(entry["taxon_veto"]),
        reported=entry["reported"],
        not_reported_because=entry.get("not_reported_because", ""),
        confidence=entry["confidence"],
        checked=entry["checked"],
        steps=tuple(_step(step) for step in route.steps),
        required_markers=_alternatives(entry["required_markers"]),
        caveat=entry["caveat"],
        sources=tuple(entry["sources"]),
    )
