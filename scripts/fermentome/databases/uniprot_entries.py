"""Entries of UniProtKB: the tables in which they come and are kept, and their lineages.

Columns are those of https://www.uniprot.org/help/return_fields.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fermentome.errors import DownloadError, LineageError
from fermentome.lineage import RANKS, format_lineage

__all__ = [
    "FIELDS",
    "Entry",
    "lineage_of",
    "pack_entries",
    "parse_entries",
    "read_entries",
    "spread",
]

#: Columns to ask for.
FIELDS = (
    "accession",
    "reviewed",
    "protein_name",
    "organism_name",
    "organism_id",
    "lineage",
    "length",
    "fragment",
    "ec",
    "sequence",
)
#: ``Bacteria (domain), Bacillati (kingdom), ...``; up to 2024 the domain was a superkingdom.
_TAXON = re.compile(r"(?P<name>\S.*?) \((?P<rank>[a-z][a-z ]*)\)(?:, |$)")
_ACCESSION = re.compile(r"[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z]([0-9][A-Z][A-Z0-9]{2}){1,2}[0-9]")
_STRAIN = re.compile(r"\s*\(.*$")


class Entry(NamedTuple):
    """One entry of UniProtKB, with the columns of the files of this module."""

    accession: str
    reviewed: bool
    protein_name: str
    organism: str
    taxid: str
    lineage: str
    length: int
    fragment: bool
    ec: str
    sequence: str


def read_entries(path: Path) -> Iterator[Entry]:
    """Yield the entries of the file of a family.

    Raises
    ------
    DownloadError
        If the file is missing, damaged, or is none of `fetch_families`.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
            yield from parse_entries(lines, str(path))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DownloadError(f"{path}: cannot be read ({error}); fetch the family again") from error


def parse_entries(lines: Iterable[str], origin: str) -> Iterator[Entry]:
    """Yield the entries of a table.

    Parameters
    ----------
    lines
        Lines of the table, with the header.
    origin
        Where they come from, for messages.

    Raises
    ------
    DownloadError
        If it is no such table, or a row is no entry.
    """
    rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    header = next(rows, [])
    # Column labels are for people, and UniProt has reworded some: their number and ends suffice.
    if len(header) != len(FIELDS) or header[0] != "Entry" or header[-1] != "Sequence":
        raise DownloadError(
            f"{origin}: the first line is {' '.join(header)[:80]!r}, expected {len(FIELDS)}"
            " columns from 'Entry' to 'Sequence'; is this the UniProt REST API?"
        )
    for number, row in enumerate(rows, start=2):
        yield _entry(row, f"{origin}, line {number}")


def _entry(row: Sequence[str], place: str) -> Entry:
    if len(row) != len(FIELDS):
        raise DownloadError(
            f"{place}: {len(row)} columns, expected {len(FIELDS)}; the answer is damaged: try again"
        )
    accession, reviewed, name, organism, taxid, lineage, length, fragment, ec, sequence = row
    wrong = None
    if not _ACCESSION.fullmatch(accession):
        wrong = f"accession {accession!r}"
    elif reviewed not in ("reviewed", "unreviewed"):
        wrong = f"{accession}: reviewed is {reviewed!r}"
    elif not (sequence.isascii() and sequence.isalpha() and sequence.isupper()):
        wrong = f"{accession}: sequence {sequence[:20]!r}"
    elif length != str(len(sequence)):
        wrong = f"{accession}: length {length!r} of a sequence of {len(sequence)}"
    elif not taxid.isdecimal():
        wrong = f"{accession}: organism id {taxid!r}"
    if wrong:
        raise DownloadError(f"{place}: {wrong}; no entry of UniProtKB looks like this: try again")
    return Entry(
        *(accession, reviewed == "reviewed", name, organism, taxid, lineage, len(sequence)),
        *(bool(fragment), ec, sequence),
    )


def pack_entries(entries: Sequence[Entry]) -> bytes:
    """Table of entries, packed with gzip: its bytes depend on the entries alone."""
    text = io.StringIO()
    text.write("\t".join(("Entry", *FIELDS[1:-1], "Sequence")) + "\n")
    for entry in sorted(entries):
        words = {
            "reviewed": "reviewed" if entry.reviewed else "unreviewed",
            "fragment": "fragment" if entry.fragment else "",
        }
        values = (entry._asdict() | words).values()
        text.write("\t".join(map(str, values)) + "\n")
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as out:
        out.write(text.getvalue().encode())
    return packed.getvalue()


def spread(entries: Sequence[Entry], most: int) -> list[Entry]:
    """At most `most` entries: the first of each organism, then the second of each, and so on."""

    def draw(entry: Entry) -> bytes:
        return hashlib.sha256(entry.accession.encode()).digest()

    turns: Counter[str] = Counter()
    order = []
    for entry in sorted(entries, key=draw):
        order.append((turns[entry.taxid], draw(entry), entry))
        turns[entry.taxid] += 1
    return [entry for _, _, entry in sorted(order)[:most]]


def lineage_of(text: str, organism: str) -> str:
    """Lineage in our form from the lineage and the organism of an entry.

    The names are NCBI's. GTDB splits and renames taxa (``Clostridium_A``, ``Bacillota_A``), so a
    lineage from here and one of a GTDB database agree in most genera, not in all, and seldom in
    families and above. Ranks that NCBI does not give stay empty. Where an entry's organism is a
    species, UniProt's lineage ends with the genus, and the species is the organism's name.

    Parameters
    ----------
    text
        ``Bacteria (domain), Bacillati (kingdom), Bacillota (phylum), ..., Roseburia (genus)``.
    organism
        ``Roseburia hominis (strain DSM 16839)``.

    Raises
    ------
    LineageError
        If the text is not of this form, or names no domain.

    Examples
    --------
    >>> lineage_of("Archaea (domain), Methanobrevibacter (genus)", "Methanobrevibacter smithii")
    'd__Archaea;p__;c__;o__;f__;g__Methanobrevibacter;s__Methanobrevibacter smithii'
    """
    names = dict.fromkeys(RANKS, "")
    place = 0
    while place < len(text):
        taxon = _TAXON.match(text, place)
        if taxon is None:
            raise LineageError(
                f"lineage {text!r}: cannot be read from {text[place : place + 40]!r} on; expected"
                " 'Bacteria (domain), Bacillota (phylum), ...'"
            )
        rank = "domain" if taxon["rank"] == "superkingdom" else taxon["rank"]
        if rank in names:
            names[rank] = _plain(taxon["name"])
        place = taxon.end()
    if not names["domain"]:
        raise LineageError(f"lineage {text!r} of {organism!r} names no domain")
    species = _plain(_STRAIN.sub("", organism))
    if names["genus"] and not names["species"] and " " in species:
        names["species"] = species
    return format_lineage(tuple(names.values()))


def _plain(name: str) -> str:
    """Name without the signs of which a lineage is made, and without those of doubt (``[]``)."""
    return re.sub(r"[\[\]']", "", name).replace(";", ",").strip()
