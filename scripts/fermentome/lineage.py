"""Lineages: which organism a genome or a protein comes from.

A lineage is written as in GTDB, ``d__Bacteria;p__...;s__Escherichia coli``. A rank without
a name is written with an empty name (``g__``).
"""

import os
import re
from pathlib import Path

from fermentome.errors import LineageError, TableError
from fermentome.tables import read_table

RANKS = ("domain", "phylum", "class", "order", "family", "genus", "species")
PREFIXES = tuple(f"{rank[0]}__" for rank in RANKS)
FASTA_SUFFIXES = (".fna", ".ffn", ".fasta", ".fa")
SEQUENCE_SUFFIXES = (".gz", *FASTA_SUFFIXES, "_genomic")
_TITLE = re.compile(
    rf"(?i)((?:{'|'.join(map(re.escape, FASTA_SUFFIXES))})(?:\.gz)?)\s.*", re.DOTALL
)


def parse_lineage(text: str) -> tuple[str, ...]:
    """Names of the seven ranks, domain first; empty where the lineage has none.

    Raises
    ------
    LineageError
        If a field has no rank prefix, or the ranks are out of order.

    >>> parse_lineage("d__Bacteria;p__Bacillota")[:3]
    ('Bacteria', 'Bacillota', '')
    """
    names = [""] * len(RANKS)
    if not text:
        return tuple(names)
    position = -1
    for field in text.split(";"):
        field = field.strip()
        prefix = field[:3]
        if prefix == "t__":  # sylph-tax and MetaPhlAn end with the strain
            continue
        if prefix not in PREFIXES or PREFIXES.index(prefix) <= position:
            raise LineageError(
                f"lineage {text!r}: field {field!r} is not the next of {', '.join(PREFIXES)}"
            )
        position = PREFIXES.index(prefix)
        names[position] = clean_name(field)
    return tuple(names)


def format_lineage(names: tuple[str, ...]) -> str:
    """Lineage as text from the names of the seven ranks."""
    return ";".join(prefix + name for prefix, name in zip(PREFIXES, names, strict=True))


def deepest_rank(names: tuple[str, ...]) -> int:
    """Position in `RANKS` of the lowest rank that has a name.

    >>> RANKS[deepest_rank(parse_lineage("d__Bacteria;p__Bacillota"))]
    'phylum'
    """
    return max(position for position, name in enumerate(names) if name)


def clean_name(name: str) -> str:
    """Name of a taxon without rank prefix, with blanks for underscores.

    >>> clean_name("g__Clostridium_A")
    'Clostridium A'
    """
    name = name.strip()
    return (name[3:] if name.startswith(PREFIXES) else name).replace("_", " ").strip()


def is_genome_file(name: str) -> bool:
    """Whether a file is a genome by its name.

    >>> is_genome_file("GCF_1.2.FNA.gz"), is_genome_file("README.txt")
    (True, False)
    """
    return name.lower().removesuffix(".gz").endswith(FASTA_SUFFIXES)


def genome_key(name: str) -> str:
    """Name of a genome without folder and file name extensions, in whichever case these are.

    Blanks belong to the name: `my E.fna` and `my S.fna` are two genomes.

    >>> genome_key("db/GCF_000005845.2_genomic.fna.gz")
    'GCF_000005845.2'
    >>> genome_key("my E.FNA")
    'my E'
    """
    key = name.strip().rsplit("/", 1)[-1]
    for suffix in SEQUENCE_SUFFIXES:
        if key.lower().endswith(suffix):
            key = key[: -len(suffix)]
    return key


def sketch_key(name: str) -> str:
    """Name of a genome from its name in a sylph database: a path, or a path and a title.

    >>> sketch_key("gtdb/GCF_000005845.2_genomic.fna.gz NC_000913.3 Escherichia coli")
    'GCF_000005845.2'
    """
    return genome_key(_TITLE.sub(r"\1", name))


def _refuse_other_separators(path: str | os.PathLike[str]) -> None:
    """Say so if the cells of a table's header are not separated by tabs."""
    with Path(path).open(encoding="utf-8-sig") as handle:
        header = handle.readline().strip()
    if "\t" in header:
        return
    for separator, kind in ((",", "commas"), (";", "semicolons"), (" ", "blanks")):
        if separator in header:
            raise LineageError(
                f"{path}, header: {header[:60]!r} is separated by {kind}; expected tabs. Hint: save"
                " the table as TSV (tab-delimited text)."
            )


def read_lineages(path: str | os.PathLike[str]) -> dict[str, tuple[str, ...]]:
    """Lineage of each genome of a table.

    Parameters
    ----------
    path
        TSV with the column ``genome`` and either ``lineage`` or the seven ranks ``domain``
        to ``species``.

    Raises
    ------
    LineageError
        If a genome stands twice or a lineage cannot be read.
    """
    try:
        rows = read_table(path, ["genome"])
    except TableError as error:
        _refuse_other_separators(path)
        raise error
    lineages: dict[str, tuple[str, ...]] = {}
    for number, row in enumerate(rows, start=2):
        key = genome_key(row["genome"])
        if key in lineages:
            raise LineageError(f"{path}, line {number}: genome {key!r} stands twice")
        if "lineage" in row:
            try:
                lineages[key] = parse_lineage(row["lineage"])
            except LineageError as error:
                raise LineageError(f"{path}, line {number}: {error}") from None
        else:
            missing = [rank for rank in RANKS if rank not in row]
            if missing:
                raise LineageError(
                    f"{path}, header: neither the column 'lineage' nor {missing[0]!r} is there;"
                    " give one lineage column, or the seven ranks domain to species"
                )
            lineages[key] = tuple(clean_name(row[rank]) for rank in RANKS)
        if not any(lineages[key]):
            raise LineageError(
                f"{path}, line {number}: genome {key!r} has no name at any rank; give at least"
                " its domain"
            )
    if not lineages:
        raise LineageError(f"{Path(path)}: no genome in the table")
    return lineages
