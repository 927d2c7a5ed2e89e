"""Judge a catalogue beyond its structure: do its identifiers exist, and mean what they should.

Structure is checked whenever a catalogue is loaded (`fermentome.catalogue`). Here stand the checks
that need knowledge from outside, or that a biochemist may overrule with a reason. Errors are
contradictions; warnings are what a reader should know. Other tools have called propionate from an
alpha-L-fucosidase, K01206 for K01026, for years: nothing had compared number and meaning.
"""

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import yaml

from fermentome.catalogue import (
    Catalogue,
    CatalogueFiles,
    Family,
    Pathway,
    Step,
    load_catalogue,
)
from fermentome.databases.uniprot_query import Term, parse_query
from fermentome.enzymes import (
    UNVERIFIED,
    Identifier,
    Identifiers,
    enzyme_types,
    is_of_type,
    related_types,
    same_ec,
)
from fermentome.errors import CatalogueError

LONGEST_ENTRY = 60
"""Lines of a pathway that still fit on a screen."""

_KO = re.compile(r"K\d{5}")
_SOURCE_KINDS = {"EC": "ec", "Pfam": "pfam", "MetaCyc": "metacyc", "KEGG": "ko"}
_LISTED_IN_PART = {"metacyc", "rhea"}
"""Kinds of which the tables hold few: a number that is not there is not therefore wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, or that a reader should know.

    Attributes
    ----------
    file, entry
        Where; empty where the text says so itself.
    text
        What, and what to do.
    """

    severity: Literal["error", "warning"]
    file: str
    entry: str
    text: str

    def line(self) -> str:
        """Return the finding as one line."""
        return ": ".join(filter(None, (self.severity, self.file, self.entry, self.text)))


@dataclass(frozen=True, slots=True)
class Remark:
    """What is said of an entry whose place the caller knows."""

    severity: Literal["error", "warning"]
    text: str


def lint(files: CatalogueFiles, identifiers: Identifiers) -> list[Finding]:
    """Check a catalogue.

    Parameters
    ----------
    files
        The catalogue.
    identifiers
        Identifiers that are known, see `fermentome.enzymes.read_identifiers`.

    Returns
    -------
    list of Finding
        Errors first, each in the order of the files. Where the structure is broken, that alone:
        the rest cannot be judged before it is mended.
    """
    try:
        catalogue = load_catalogue(files)
    except CatalogueError as error:
        return [Finding("error", "", "", line) for line in str(error).splitlines()]
    findings = [
        *_placed(files.families, _family_findings(catalogue, identifiers)),
        *_placed(files.pathways, _pathway_findings(catalogue, identifiers)),
        *_placed(files.pathways, _long_entries(files.pathways)),
        *_placed(files.single_copy, _single_copy_findings(catalogue, identifiers)),
    ]
    return sorted(dict.fromkeys(findings), key=lambda finding: finding.severity)


def _placed(
    file: str | os.PathLike[str], remarks: Iterable[tuple[str, Remark]]
) -> Iterator[Finding]:
    for entry, remark in remarks:
        yield Finding(remark.severity, os.fspath(file), entry, remark.text)


def _error(text: str) -> Remark:
    return Remark("error", text)


def _warning(text: str) -> Remark:
    return Remark("warning", text)


# -------------------------------------------------------------------------------- families


def _family_findings(
    catalogue: Catalogue, identifiers: Identifiers
) -> Iterator[tuple[str, Remark]]:
    for family in catalogue.families.values():
        for remark in family_remarks(family, identifiers):
            yield f"family {family.id!r}", remark
    yield from _shared_orthologues(catalogue)


def family_remarks(family: Family, identifiers: Identifiers) -> Iterator[Remark]:
    """Judge a family by itself: its identifiers, what they stand for, and its sources."""
    for number in orthologues(family):
        meant = None if ("ko", number) in identifiers else _meant(number, family, identifiers)
        hint = f"; did you mean {meant.id} ({meant.meaning()})?" if meant else ""
        yield from _existence("ko", number, identifiers, hint)
    for number in family.ec:
        yield from _existence("ec", number, identifiers)
    yield from _orthologue_remarks(family, identifiers)
    yield from _ec_type_remarks(family, identifiers)
    yield from _source_remarks(family.sources, family.checked, identifiers)
    reactions = [source for source in family.sources if source.startswith("RHEA:")]
    yield from _reaction_remarks(reactions, family.ec, family.ec_because, identifiers)
    yield from _query_remarks(family.uniprot_query, family.ec, identifiers)
    if family.uniprot_query and family.no_query_because:
        yield _error("has a uniprot_query and says in no_query_because that none can be; drop one")


def orthologues(family: Family) -> list[str]:
    """KEGG orthologues of a family, in the order written."""
    return _KO.findall(family.ko_logic or "")


def _existence(
    kind: str, number: str, identifiers: Identifiers, hint: str = ""
) -> Iterator[Remark]:
    if kind == "ec" and number.endswith("-"):
        return
    known = identifiers.get((kind, number))
    if known is None:
        yield Remark(
            "warning" if kind in _LISTED_IN_PART else "error",
            f"{number} is not among the known identifiers of kind {kind}{hint or ';'} look it up,"
            " then correct it, or add it with its source to a table of identifiers"
            " (docs/catalogue.md)",
        )
        return
    if known.source == UNVERIFIED:
        yield _warning(
            f"{number} is new and nobody has seen it in a public source; look it up and give its"
            " row in the table of identifiers a source"
        )
    if kind == "ec" and known.ec:
        yield _warning(
            f"{number} was withdrawn and replaced by {' and '.join(known.ec)}; write the new number"
        )


def _is_slip(one: str, other: str) -> bool:
    """Whether one character is wrong, or two neighbours are swapped.

    >>> _is_slip("K01206", "K01026"), _is_slip("K01206", "K01207"), _is_slip("K01206", "K02107")
    (True, True, False)
    """
    if len(one) != len(other):
        return False
    apart = [place for place in range(len(one)) if one[place] != other[place]]
    if len(apart) == 1:
        return True
    if len(apart) != 2 or apart[1] != apart[0] + 1:
        return False
    left, right = apart
    return one[left] == other[right] and one[right] == other[left]


def _is_named(name: str, reason: str) -> bool:
    """Whether a reason speaks of an identifier.

    >>> _is_named("2.8.3.1", "KEGG has 2.8.3.1."), _is_named("2.8.3.1", "KEGG has 2.8.3.18")
    (True, False)
    """
    return re.search(rf"(?<![\w.]){re.escape(name)}(?!\w|\.\d)", reason) is not None


def _current(numbers: Collection[str], identifiers: Identifiers) -> frozenset[str]:
    """EC numbers together with those that replaced them."""
    found = set(numbers)
    for number in numbers:
        known = identifiers.get(("ec", number))
        found |= set(known.ec) if known else set()
    return frozenset(found)


def _share_ec(one: Collection[str], other: Collection[str], identifiers: Identifiers) -> bool:
    left, right = _current(one, identifiers), _current(other, identifiers)
    return any(same_ec(a, b) for a in left for b in right)


def _orthologue_remarks(family: Family, identifiers: Identifiers) -> Iterator[Remark]:
    """Each orthologue must be of the family's EC number, or of its type where one has none."""
    types = enzyme_types(family.name)
    for number in orthologues(family):
        known = identifiers.get(("ko", number))
        if known is None or _is_named(number, family.ec_because):
            continue
        if not _fits(known, family, types, identifiers):
            meant = _meant(number, family, identifiers)
            hint = f"; did you mean {meant.id} ({meant.meaning()})?" if meant else ";"
            yield _error(
                f"{number} stands for {known.meaning()}, and the family for"
                f" {_meaning(family, types)}{hint} correct one of them, or say in ec_because why"
                " they differ"
            )


def _fits(
    known: Identifier, family: Family, types: Sequence[str], identifiers: Identifiers
) -> bool:
    """Whether an orthologue can be the family, by EC number, else by type.

    Where one side has no number, its name must hold a type of the other. Two sides without number
    and type, such as the chains of a complex, cannot be compared and pass.
    """
    if _share_ec(known.ec, family.ec, identifiers):
        return True
    # A number that ends in dashes is that of an unfinished class, and parts nothing.
    whole = [ec for ec in known.ec if not ec.endswith("-")]
    if whole and family.ec:
        return False
    if whole:
        return bool(types) and any(is_of_type(ec, types) for ec in whole)
    numbers = [number for ec in family.ec if (number := identifiers.get(("ec", ec)))]
    wanted = {*types, *(word for number in numbers for word in number.types)}
    if known.types or wanted:
        return bool(wanted & set(known.types))
    return True


def _meaning(family: Family, types: Sequence[str]) -> str:
    return ", ".join([*(f"EC {number}" for number in family.ec), *types]) or repr(family.name)


def _meant(number: str, family: Family, identifiers: Identifiers) -> Identifier | None:
    """Orthologue of the family's EC number that differs by a slip of the finger."""
    return next(
        (
            known
            for (kind, other), known in sorted(identifiers.items())
            if kind == "ko"
            and _is_slip(number, other)
            and known.ec
            and _share_ec(known.ec, family.ec, identifiers)
        ),
        None,
    )


def _ec_type_remarks(family: Family, identifiers: Identifiers) -> Iterator[Remark]:
    """Each EC number must be one of the orthologues', or of a type that the name holds."""
    types = enzyme_types(family.name)
    of_orthologues = [
        ec
        for number in orthologues(family)
        if (known := identifiers.get(("ko", number)))
        for ec in known.ec
    ]
    for number in family.ec:
        known = identifiers.get(("ec", number))
        other = known.types if known else ()
        if _is_named(number, family.ec_because) or _share_ec([number], of_orthologues, identifiers):
            continue
        if not is_of_type(number, types) or not related_types(other, types):
            yield _error(
                f"EC {number} ({' or '.join(other) or 'type unknown'}) is not of the type in the"
                f" name, {' or '.join(types)}, nor of an orthologue; correct it, or say in"
                " ec_because why"
            )


def _source_remarks(
    sources: Sequence[str], checked: bool, identifiers: Identifiers
) -> Iterator[Remark]:
    for source in sources:
        prefix, _, number = source.partition(":")
        kind = _SOURCE_KINDS.get(prefix)
        # KEGG modules (M00000) are not in the tables.
        if kind and not (kind == "ko" and number.startswith("M")):
            yield from _existence(kind, number, identifiers)
        if prefix == "doi" and number[-1] in ".,;:)]":
            yield _error(f"the source {source!r} ends in {number[-1]!r}; take it off")
    if checked and all(source.startswith("ref:") for source in sources):
        yield _error(
            "is checked, but no source of it is public; add a doi, PMID or database id, or write"
            " checked: false"
        )


def _reaction_remarks(
    reactions: Sequence[str], numbers: Sequence[str], reason: str, identifiers: Identifiers
) -> Iterator[Remark]:
    """Each reaction must be known, and of one of the EC numbers beside it."""
    for reaction in reactions:
        yield from _existence("rhea", reaction, identifiers)
        known = identifiers.get(("rhea", reaction))
        if not known or not known.ec or not numbers or _is_named(reaction, reason):
            continue
        if not _share_ec(known.ec, numbers, identifiers):
            yield _error(
                f"{reaction} is the reaction of {known.meaning()}, which is not among"
                f" {', '.join(numbers)}; correct one of them, or say in ec_because why they differ"
            )


def _single_copy_findings(
    catalogue: Catalogue, identifiers: Identifiers
) -> Iterator[tuple[str, Remark]]:
    for family in catalogue.single_copy.values():
        for remark in _query_remarks(family.uniprot_query, (), identifiers):
            yield f"family {family.id!r}", remark


def _query_remarks(
    query: str | None, numbers: Collection[str], identifiers: Identifiers
) -> Iterator[Remark]:
    """A query must be readable, and ask for what the family is."""
    if not query:
        return
    try:
        terms = parse_query(query)
    except CatalogueError as error:
        yield _error(f"uniprot_query {error}")
        return
    for term in dict.fromkeys(terms):
        if term.field == "ec":
            yield from _query_ec_remarks(term, numbers, identifiers)
        elif term.field == "xref" and term.value.startswith("pfam-"):
            yield from _existence("pfam", term.value.removeprefix("pfam-"), identifiers)


def _query_ec_remarks(
    term: Term, numbers: Collection[str], identifiers: Identifiers
) -> Iterator[Remark]:
    if not term.negated and term.value not in numbers:
        yield _error(
            f"uniprot_query asks for EC {term.value}, which is not among the family's"
            f" ({', '.join(numbers) or 'it has none'}); correct one of them"
        )
    elif term.negated and term.value in numbers:
        yield _error(
            f"uniprot_query leaves out EC {term.value}, which is the family's; correct one of them"
        )
    elif term.negated:
        yield from _existence("ec", term.value, identifiers)


def _shared_orthologues(catalogue: Catalogue) -> Iterator[tuple[str, Remark]]:
    """Orthologues that stand for several families, which a table of KOs cannot tell apart."""
    users = defaultdict(list)
    for family in catalogue.families.values():
        for number in orthologues(family):
            users[number].append(family.id)
    for number, names in users.items():
        targets = [name for name in names if catalogue.families[name].role == "target"]
        if len(names) == 1 or not targets:
            continue
        if len(names) == len(targets) and catalogue.same_merge_group(*targets):
            continue
        yield (
            f"family {targets[0]!r}",
            _warning(
                f"{number} also stands for {', '.join(n for n in names if n != targets[0])}; tables"
                " of KEGG orthologues cannot tell them apart"
            ),
        )


# -------------------------------------------------------------------------------- pathways


def _pathway_findings(
    catalogue: Catalogue, identifiers: Identifiers
) -> Iterator[tuple[str, Remark]]:
    for pathway in catalogue.pathways.values():
        for remark in (
            *_source_remarks(pathway.sources, pathway.checked, identifiers),
            *_route_remarks(pathway),
        ):
            yield f"pathway {pathway.id!r}", remark
    for step, names in _distinct_steps(catalogue).items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        entry = f"pathway {names[0]!r}{more}: step {step.id!r}"
        for remark in _step_remarks(step, catalogue, identifiers):
            yield entry, remark
    yield from _shared_reactions(catalogue)


def _distinct_steps(catalogue: Catalogue) -> dict[Step, list[str]]:
    """Steps with the routes that hold them: one step of a module is judged once."""
    routes = defaultdict(list)
    for pathway in catalogue.pathways.values():
        for step in pathway.steps:
            routes[step].append(pathway.id)
    return dict(routes)


def _route_remarks(pathway: Pathway) -> Iterator[Remark]:
    if pathway.kind == "production" and pathway.direction == "consumption":
        yield _error(
            "is of kind production and direction consumption; write crossfeeding,"
            " interconversion or sink, or the direction formation"
        )
    diagnostic = {
        family
        for step in pathway.steps
        if step.diagnostic
        for group in step.alternatives
        for family in group
    }
    for group in pathway.required_markers if pathway.reported else ():
        if pathway.direction != "both" and not diagnostic & set(group):
            yield _error(
                f"the set of markers {', '.join(group)} holds no family of a diagnostic step; add"
                " one, or remove the set"
            )


def _step_remarks(step: Step, catalogue: Catalogue, identifiers: Identifiers) -> Iterator[Remark]:
    families = [catalogue.families[name] for group in step.alternatives for name in group]
    of_families = [number for family in families for number in family.ec]
    for number in step.ec:
        yield from _existence("ec", number, identifiers)
        if _is_named(number, step.ec_because) or _share_ec([number], of_families, identifiers):
            continue
        yield _error(
            f"EC {number} is of none of its families ({', '.join(sorted({*of_families}))} are);"
            " correct the step or the family, or say in ec_because why"
        )
    yield from _reaction_remarks(step.rhea, step.ec, step.ec_because, identifiers)
    for family in dict.fromkeys(families):
        if not step.ec or not family.ec or _is_named(family.id, step.ec_because):
            continue
        if not _share_ec(family.ec, step.ec, identifiers):
            yield _warning(
                f"its family {family.id!r} has other EC numbers ({', '.join(family.ec)}) than the"
                f" step ({', '.join(step.ec)}); is it the enzyme of this reaction? If so, name it"
                " in ec_because"
            )


def _shared_reactions(catalogue: Catalogue) -> Iterator[tuple[str, Remark]]:
    """Rhea reactions that stand in steps without a common family: one of them was miscopied."""
    users: defaultdict[str, dict[frozenset[str], str]] = defaultdict(dict)
    for pathway in catalogue.pathways.values():
        for step in pathway.steps:
            names = frozenset(name for group in step.alternatives for name in group)
            for number in step.rhea:
                users[number].setdefault(names, f"pathway {pathway.id!r}: step {step.id!r}")
    for number, places in users.items():
        (first, place), *others = places.items()
        for names, other in others:
            if not names & first:
                yield (
                    other,
                    _warning(f"{number} is also the reaction of {place}, by other families"),
                )


def _long_entries(path: str | os.PathLike[str]) -> Iterator[tuple[str, Remark]]:
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    for entry, lines in _entry_lengths(text).items():
        if lines > LONGEST_ENTRY:
            yield (
                entry,
                _warning(
                    f"is {lines} lines long; more than {LONGEST_ENTRY} do not fit on a screen, make"
                    " a module of shared steps or shorten the caveat"
                ),
            )


def _entry_lengths(text: str) -> Mapping[str, int]:
    """Lines of each pathway and module, without comments and blank lines after it."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert root is not None, "the file was loaded before"
    lines = text.splitlines()
    found = {}
    for key, entries in root.value:
        if key.value not in ("pathways", "modules"):
            continue
        for entry in entries.value:
            name = next(value.value for field, value in entry.value if field.value == "id")
            body = lines[entry.start_mark.line : entry.end_mark.line]
            while body and (not body[-1].strip() or body[-1].lstrip().startswith("#")):
                body.pop()
            found[f"{key.value.removesuffix('s')} {name!r}"] = len(body)
    return found
