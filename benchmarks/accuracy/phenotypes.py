"""Say which organism makes which product, and compare calls with it.

The truth is ``truth/genomes.tsv`` of the data folder: genomes, organisms and the fermentation
products that were measured. `literature.tsv` adds, and overrules it for, single products of
organisms that the table leaves open; each row has its source and says how that was seen.

A list of measured products is read as complete for `COMPLETE` products: who lists acids lists
butyric and propionic acid where they occur, and methane is never overlooked. Other products may be
missing from a list because nobody measured them: a call of such a product is counted as
``not_listed``, neither right nor wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fermentome.errors import FermentomeError
from fermentome.tables import read_table

HERE = Path(__file__).resolve().parent
LITERATURE = HERE / "literature.tsv"

#: Products whose absence from a list of measured products means that none was found.
COMPLETE = ("butyrate", "propionate", "methane")
#: Order of columns and rows; products beyond these follow by name.
ORDER = (
    "butyrate",
    "propionate",
    "acetate",
    "lactate",
    "formate",
    "succinate",
    "ethanol",
    "H2",
    "methane",
)

Made = Literal["yes", "no", "debated", "not_listed"]
Verdict = Literal[
    "true_positive",
    "false_negative",
    "false_positive",
    "true_negative",
    "debated",
    "not_listed",
]


class TruthError(FermentomeError):
    """The truth cannot be read, or contradicts itself."""


@dataclass(frozen=True)
class Organism:
    """One genome of the truth table.

    Parameters
    ----------
    genome
        Accession; the stem of its files.
    organism
        Name as the table writes it.
    measured
        Measured products, None where the table has none.
    reference
        Where they were measured.
    """

    genome: str
    organism: str
    measured: frozenset[str] | None
    reference: str


@dataclass(frozen=True)
class Fact:
    """Whether an organism makes a product, and where that stands."""

    made: Made
    source: str


def product_slug(name: str) -> str:
    """Name of a product as the catalogue writes it.

    Acids become their anions (``acetic acid`` is ``acetate``), and the prefixes of isomers that the
    catalogue does not part are dropped: ``DL-lactic acid`` is ``lactate`` and ``n-butanol`` is
    ``butanol``. Other names stay as they are.

    Examples
    --------
    >>> product_slug("DL-lactic acid"), product_slug("n-butanol"), product_slug("H2")
    ('lactate', 'butanol', 'H2')
    """
    bare = re.sub(r"^(?:DL|D|L|n)-", "", name.strip())
    return re.sub(r"ic acid$", "ate", bare)


def read_organisms(path: Path) -> list[Organism]:
    """Genomes of a truth table, in its order.

    Raises
    ------
    TableError
        If a column is missing.
    """
    rows = read_table(path, ["genome", "organism", "measured_products", "reference"])
    return [
        Organism(row["genome"], row["organism"], _measured(row["measured_products"]),
                 "" if row["reference"] == "NA" else row["reference"])
        for row in rows
    ]  # fmt: skip


def _measured(cell: str) -> frozenset[str] | None:
    if cell in ("", "NA"):
        return None
    return frozenset(product_slug(name) for name in cell.split(","))


def read_literature(path: Path = LITERATURE) -> list[dict[str, str]]:
    """Rows of the table of single facts.

    Raises
    ------
    TruthError
        If `made` is none of yes, no, debated.
    """
    rows = read_table(path, ["organism", "product", "made", "source", "how_seen", "note"])
    for row in rows:
        if row["made"] not in ("yes", "no", "debated"):
            raise TruthError(
                f"{path}: {row['organism']}, {row['product']}: made is {row['made']!r}; "
                "expected yes, no or debated"
            )
    return rows


def same_species(names: str, organism: str) -> bool:
    """Whether an organism bears one of the names of a literature row, joined by ``|``.

    Brackets around a genus in doubt are ignored, and anything after the name (strain, serovar).
    """
    plain = organism.replace("[", "").replace("]", "")
    return any(re.match(rf"{re.escape(name)}(?!\w)", plain) for name in names.split("|"))


def read_truth(
    organisms: Iterable[Organism],
    products: Sequence[str],
    literature: Iterable[Mapping[str, str]],
) -> dict[tuple[str, str], Fact]:
    """What is known of each genome and product.

    An organism that neither the table nor the literature describes is ``not_listed`` throughout.
    """
    facts = list(literature)
    truth: dict[tuple[str, str], Fact] = {}
    for organism in organisms:
        own = {
            row["product"]: row for row in facts if same_species(row["organism"], organism.organism)
        }
        described = organism.measured is not None or bool(own)
        for product in products:
            if product in own:
                row = own[product]
                made: Made = row["made"]  # type: ignore[assignment]
                fact = Fact(made, row["source"])
            elif organism.measured and product in organism.measured:
                fact = Fact("yes", organism.reference)
            elif described and product in COMPLETE:
                fact = Fact("no", organism.reference or "not among the products described")
            else:
                fact = Fact("not_listed", "")
            truth[organism.genome, product] = fact
    return truth


def products_of(
    organisms: Iterable[Organism],
    reported: Iterable[str],
    literature: Iterable[Mapping[str, str]],
) -> list[str]:
    """Products to compare, in the order of `ORDER`, others by name.

    Those with a reported route of which anything is known: measured in, or described of, at least
    one of the organisms, or of `COMPLETE`.
    """
    known = set(COMPLETE)
    facts = list(literature)
    for organism in organisms:
        known |= organism.measured or set()
        known |= {f["product"] for f in facts if same_species(f["organism"], organism.organism)}
    known &= set(reported)
    return [p for p in ORDER if p in known] + sorted(known - set(ORDER))


def not_covered(organisms: Iterable[Organism], products: Iterable[str]) -> list[str]:
    """Measured products for which there is no column."""
    measured = {p for organism in organisms for p in organism.measured or ()}
    return sorted(measured - set(products))


def verdict(made: Made, called: bool) -> Verdict:
    """How a call compares with the truth."""
    if made == "yes":
        return "true_positive" if called else "false_negative"
    if made == "no":
        return "false_positive" if called else "true_negative"
    return "debated" if made == "debated" else "not_listed"


def short_name(organism: str) -> str:
    """Genus and species, the genus as one letter: ``E. coli``."""
    words = organism.replace("[", "").replace("]", "").split()
    return f"{words[0][0]}. {words[1]}" if len(words) > 1 else organism
