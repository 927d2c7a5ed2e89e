"""What the numbers of enzymes stand for: which exist, and of what type of enzyme they are.

The table of known identifiers is no copy of KEGG or of the enzyme list: of each identifier it
holds the number, the EC numbers and the words that name a type of enzyme. That is enough to notice
that a number stands for another enzyme than the one meant.
"""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from fermentome.errors import CatalogueError
from fermentome.tables import iterate_table

COLUMNS = ("kind", "id", "ec", "types", "source")
UNVERIFIED = "unverified"

FORMS = {
    "ko": re.compile(r"K\d{5}"),
    "ec": re.compile(r"[1-7]\.\d+\.(-\.-|\d+\.(-|\d+))"),
    "rhea": re.compile(r"RHEA:\d{5}"),
    "pfam": re.compile(r"PF\d{5}"),
    "metacyc": re.compile(r"\S+"),
}

ENZYME_TYPES: Mapping[str, tuple[str, ...]] = {
    "aldolase": ("2", "4.1"),
    "amidase": ("3.5",),
    "aminomutase": ("5.4.3",),
    "aminotransferase": ("2.6.1",),
    "amylase": ("3.2.1",),
    "atpase": ("3.6", "7"),
    "carboxykinase": ("4.1.1",),
    "carboxylase": ("2.1.3", "4.1.1", "6.3.4", "6.4.1"),
    "carboxyltransferase": ("2.1.3", "6.4.1"),
    "coa-transferase": ("2.8.3",),
    "cyclase": (),
    "deaminase": ("3.5", "4.3"),
    "decarboxylase": ("1.1.1", "1.2", "4.1.1", "7.2.4"),
    "dehalogenase": ("1", "3.8"),
    "dehydratase": ("4.2", "4.3", "4.99"),
    "dehydrogenase": ("1", "7.1", "7.2"),
    "dismutase": ("1", "2.7.1"),
    "epimerase": ("5",),
    "esterase": ("3.1",),
    "flavoprotein": ("1",),
    "glycosidase": ("3.2",),
    "hydratase": ("4.2",),
    "hydrogenase": ("1",),
    "hydrolase": ("3",),
    "isomerase": ("5",),
    "kinase": ("2.7",),
    "ligase": ("6",),
    "lyase": ("1", "2.3.1", "4"),
    "methyltransferase": ("2.1", "7.2"),
    "mutase": ("5.4",),
    "nuclease": ("3.1", "4.6"),
    "oxidase": ("1", "7.1"),
    "oxidoreductase": ("1", "7.1", "7.2"),
    "oxygenase": ("1",),
    "peptidase": ("3.4",),
    "phosphatase": ("3.1", "3.6", "3.9"),
    "phosphoketolase": ("4.1.2",),
    "phosphorylase": ("2",),
    "racemase": ("5",),
    "reductase": ("1", "2.8.4", "7.1", "7.2"),
    "synthase": (),
    "synthetase": ("2.7.6", "6"),
    "thioesterase": ("3.1.2",),
    "thiolase": ("2.3.1",),
    "transacylase": ("2.3.1", "2.3.3"),
    "transferase": ("2", "6.3.4"),
    "transketolase": ("2.2.1",),
    "translocase": ("7",),
    "transporter": ("7",),
}
"""Types of proteins, nearly all enzymes, and where the EC numbers of such proteins begin.

Classes and subclasses are those of the IUBMB (https://iubmb.qmul.ac.uk/enzyme/), which name what
each class does; types that cross them (a pyruvate formate-lyase is a transferase) list them
all. A synthase and a cyclase may stand anywhere.
"""

_SPELLINGS = {
    r"\w*(?:osid|osaminid|muramid)ase": "glycosidase",
    r"\w*reductoisomerase": "reductase",
    r"(?:\w+-)?coa[- ]+(?:\w+[- ]+)?transferase": "coa-transferase",
    r"\w*trans(?:acet|but|prop|ac)\w*ylase|\w*(?:butyr|propion|ac|acet)yltransferase": (
        "transacylase"
    ),
    r"transcarboxylase": "carboxyltransferase",
    r"transaminase": "aminotransferase",
    r"proteinase|protease": "peptidase",
    r"hydrogen-?lyase": "dehydrogenase",
    r"permease|symporter|antiporter|uniporter": "transporter",
}
_ACTIVATOR = re.compile(r"activat|activase")
_WORDS = [
    *((re.compile(rf"(?<![a-z]){pattern}(?![a-z])"), word) for pattern, word in _SPELLINGS.items()),
    # Longest first, and each match is taken away: a dehydrogenase is no hydrogenase.
    *(
        (re.compile(rf"[a-z]*{word}s?(?![a-z])"), word)
        for word in sorted(ENZYME_TYPES, key=lambda word: (-len(word), word))
    ),
]


@dataclass(frozen=True, slots=True)
class Identifier:
    """One public identifier.

    Attributes
    ----------
    kind
        ``ko``, ``ec``, ``rhea``, ``pfam`` or ``metacyc``.
    ec
        Of a KEGG orthologue or a reaction its EC numbers; of a withdrawn EC number those that
        replaced it.
    types
        Types of enzyme that its name holds, see `enzyme_types`.
    source
        Where it was seen; ``unverified`` where nobody has looked.
    """

    kind: str
    id: str
    ec: tuple[str, ...]
    types: tuple[str, ...]
    source: str

    def meaning(self) -> str:
        """Few words on what it stands for.

        >>> Identifier("ko", "K01206", ("3.2.1.51",), ("glycosidase",), "x").meaning()
        'EC 3.2.1.51, glycosidase'
        """
        numbers = ", ".join(f"EC {number}" for number in self.ec if self.kind != "ec")
        words = " or ".join(self.types)
        return ", ".join(part for part in (numbers, words) if part) or "no enzyme type known"


Identifiers = Mapping[tuple[str, str], Identifier]
"""Identifiers by kind and id."""


def enzyme_types(name: str) -> tuple[str, ...]:
    """Types of enzyme that a name holds, in alphabetical order.

    What activates an enzyme bears its name and is of another type: such names hold none.

    >>> enzyme_types("alpha-L-fucosidase"), enzyme_types("propionate CoA-transferase")
    (('glycosidase',), ('coa-transferase',))
    >>> enzyme_types("ferredoxin")
    ()
    """
    left = name.lower()
    if _ACTIVATOR.search(left):
        return ()
    found = set()
    for pattern, word in _WORDS:
        left, count = pattern.subn(" ", left)
        if count:
            found.add(word)
    return tuple(sorted(found))


def same_ec(one: str, other: str) -> bool:
    """Whether two EC numbers can be one, a dash standing for any last number.

    >>> same_ec("2.8.3.8", "2.8.3.-"), same_ec("2.8.3.8", "2.8.3.1")
    (True, False)
    """
    pairs = zip(one.split("."), other.split("."), strict=True)
    return all(left == right or "-" in (left, right) for left, right in pairs)


def is_of_type(ec: str, types: Iterable[str]) -> bool:
    """Whether an EC number can be that of one of the types; true if no type says anything.

    >>> is_of_type("3.2.1.51", ["coa-transferase"]), is_of_type("3.2.1.51", [])
    (False, True)
    """
    starts = [ENZYME_TYPES[word] for word in types]
    if not starts or () in starts:
        return True
    return any(f"{ec}.".startswith(f"{start}.") for group in starts for start in group)


def related_types(one: Collection[str], other: Collection[str]) -> bool:
    """Whether two names can mean one enzyme, as far as their types say.

    >>> related_types(["coa-transferase"], ["transferase"]), related_types(["kinase"], ["lyase"])
    (True, False)
    """
    if not one or not other:
        return True
    return any(_can_be_one(left, right) for left in one for right in other)


def _can_be_one(one: str, other: str) -> bool:
    left, right = ENZYME_TYPES[one], ENZYME_TYPES[other]
    if not left or not right:
        return True
    return any(
        f"{a}.".startswith(f"{b}.") or f"{b}.".startswith(f"{a}.") for a in left for b in right
    )


def read_identifiers(paths: Iterable[str | os.PathLike[str]]) -> dict[tuple[str, str], Identifier]:
    """Read tables of identifiers; a later one may say anew what an earlier one says.

    Parameters
    ----------
    paths
        TSV files with the columns kind, id, ec, types and source. Lists are joined by ``|``.

    Raises
    ------
    CatalogueError
        If a file cannot be read, or a row is of an unknown kind, is malformed, lacks a source, or
        stands twice in a file.
    TableError
        If a file is not such a table.
    """
    found: dict[tuple[str, str], Identifier] = {}
    for path in paths:
        own: dict[tuple[str, str], Identifier] = {}
        for identifier in _read(path):
            problem = _problem(identifier)
            if (identifier.kind, identifier.id) in own:
                problem = "stands twice; remove one of the rows"
            if problem:
                raise CatalogueError(f"{path}: {identifier.kind} {identifier.id!r}: {problem}")
            own[identifier.kind, identifier.id] = identifier
        found |= own
    return found


def _read(path: str | os.PathLike[str]) -> list[Identifier]:
    try:
        return [
            Identifier(
                row["kind"], row["id"], _listed(row["ec"]), _listed(row["types"]), row["source"]
            )
            for row in iterate_table(path, COLUMNS)
        ]
    except OSError as error:
        raise CatalogueError(f"{path}: cannot be read ({error.strerror})") from error


def _listed(cell: str) -> tuple[str, ...]:
    return tuple(part for part in cell.split("|") if part)


def _problem(identifier: Identifier) -> str:
    if identifier.kind not in FORMS:
        return f"its kind is none of {', '.join(FORMS)}"
    if not FORMS[identifier.kind].fullmatch(identifier.id):
        return f"is no identifier of kind {identifier.kind}"
    if wrong := [number for number in identifier.ec if not FORMS["ec"].fullmatch(number)]:
        return f"{wrong[0]!r} is no EC number of four levels"
    if wrong := [word for word in identifier.types if word not in ENZYME_TYPES]:
        return f"{wrong[0]!r} is none of the types {', '.join(ENZYME_TYPES)}"
    if not identifier.source:
        return f"has no source; say where it was seen, or write {UNVERIFIED}"
    return ""
