"""Lineages: which organism a genome or a protein comes from.

A lineage is written as in GTDB, ``d__Bacteria;p__...;s__Escherichia coli``. A rank without
a name is written with an empty name (``g__``).

`read_lineages` reads tables of genomes in the forms in which they are published. Which form a
table has is told by its first line, and no row may have another:

- our own: the column ``genome``, and ``lineage``, the seven ranks, or ``taxid``;
- MGnify (``genomes-all_metadata.tsv``): the columns ``Genome`` and ``Lineage``;
- GTDB metadata: ``accession`` and ``gtdb_taxonomy``;
- GTDB-Tk (https://ecogenomics.github.io/GTDBTk/files/summary.tsv.html): ``user_genome`` and
  ``classification``;
- no header: genome and lineage, as in GTDB's ``bac120_taxonomy.tsv`` and in the files of sylph-tax
  (https://sylph-docs.github.io/sylph-tax-custom-taxonomies; a third column, the host of a virus,
  is passed over), or genome and NCBI taxid.

A lineage is written with GTDB's prefixes, or as seven names separated by semicolons.
"""

import gzip
import os
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from fermentome.errors import LineageError, TableError

Lineage: TypeAlias = tuple[str, ...]
"""Names of the seven ranks, domain first; empty where there is none."""
Taxids: TypeAlias = Callable[[Collection[str]], Mapping[str, Lineage]]
"""Gives the lineages of NCBI taxids, and leaves out those that it does not know."""

RANKS = ("domain", "phylum", "class", "order", "family", "genus", "species")
PREFIXES = tuple(f"{rank[0]}__" for rank in RANKS)
FASTA_SUFFIXES = (".fna", ".ffn", ".fasta", ".fa")
SEQUENCE_SUFFIXES = (".gz", *FASTA_SUFFIXES, "_genomic")
#: Seven names without prefixes must begin with one of these, or they are something else.
DOMAINS = frozenset({"Bacteria", "Archaea", "Eukaryota", "Eukarya", "Viruses"})
GZIP = b"\x1f\x8b"
_TITLE = re.compile(
    rf"(?i)((?:{'|'.join(map(re.escape, FASTA_SUFFIXES))})(?:\.gz)?)\s.*", re.DOTALL
)
#: NCBI names the files of an assembly by accession and assembly name.
_ASSEMBLY = re.compile(r"(GC[AF]_\d{9}\.\d+)_", re.ASCII)
#: GTDB tells RefSeq's assemblies from GenBank's by a prefix.
_GTDB = re.compile(r"(?:RS|GB)_(?=GC[AF]_\d)")


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


def assembly_accession(genome: str) -> str:
    """Accession of an NCBI assembly without its name, or the genome's name as it is.

    >>> assembly_accession("GCF_000005845.2_ASM584v2"), assembly_accession("my_MAG")
    ('GCF_000005845.2', 'my_MAG')
    """
    match = _ASSEMBLY.match(genome)
    return match[1] if match else genome


def find_lineage(genome: str, lineages: Mapping[str, Lineage]) -> Lineage | None:
    """Lineage of a genome by its name, else by its assembly accession; None if it has no row.

    Tables name NCBI's ``GCF_000005845.2_ASM584v2_genomic.fna`` by its accession alone.
    """
    found = lineages.get(genome)
    return lineages.get(assembly_accession(genome)) if found is None else found


# --- tables of genomes ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Form:
    """Form of a table of genomes.

    Attributes
    ----------
    header
        Names of the columns; empty without a header.
    genome
        Position of the genome's column.
    values
        Position of the lineage or the taxid, or of the seven ranks.
    taxid
        Whether the value is an NCBI taxid.
    """

    header: tuple[str, ...]
    genome: int
    values: tuple[int, ...]
    taxid: bool = False


#: Columns of the genome and of the lineage in published tables.
_PUBLISHED = (
    ("Genome", "Lineage"),
    ("accession", "gtdb_taxonomy"),
    ("user_genome", "classification"),
)
_KNOWN = (
    "expected a header with genome and lineage, genome and the seven ranks, genome and taxid,"
    " Genome and Lineage (MGnify), accession and gtdb_taxonomy (GTDB metadata), or user_genome and"
    " classification (GTDB-Tk); or no header, and genome and lineage or taxid in two columns"
)


def _form_of(cells: Sequence[str], path: Path) -> _Form:
    """Form of a table by the cells of its first line.

    Raises
    ------
    LineageError, TableError
        If it is none of the known ones.
    """
    header = tuple(cells)
    if "genome" in header:
        return _own_form(header, path)
    for genome, lineage in _PUBLISHED:
        if genome in header and lineage in header:
            return _Form(header, header.index(genome), (header.index(lineage),))
    if len(cells) in (2, 3) and (cells[1].startswith(PREFIXES) or cells[1].count(";") >= 2):
        return _Form((), 0, (1,))
    if len(cells) == 2 and cells[1].strip().isdecimal():
        return _Form((), 0, (1,), taxid=True)
    if len(cells) == 1:
        _refuse_other_separators(cells[0], path)
    raise TableError(
        f"{path}, header: column 'genome' is missing; found {', '.join(header)[:200]}; {_KNOWN}"
    )


def _own_form(header: tuple[str, ...], path: Path) -> _Form:
    genome = header.index("genome")
    if "lineage" in header:
        return _Form(header, genome, (header.index("lineage"),))
    missing = [rank for rank in RANKS if rank not in header]
    if not missing:
        return _Form(header, genome, tuple(map(header.index, RANKS)))
    if "taxid" in header:
        return _Form(header, genome, (header.index("taxid"),), taxid=True)
    raise LineageError(
        f"{path}, header: neither the column 'lineage' nor {missing[0]!r} is there;"
        " give one lineage column, the seven ranks domain to species, or taxid"
    )


def _refuse_other_separators(header: str, path: Path) -> None:
    """Say so if the cells of a table's first line are not separated by tabs."""
    for separator, kind in ((",", "commas"), (";", "semicolons"), (" ", "blanks")):
        if separator in header:
            raise LineageError(
                f"{path}, header: {header[:60]!r} is separated by {kind}; expected tabs. Hint: save"
                " the table as TSV (tab-delimited text)."
            )


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a plain or gzip-compressed text file that are not empty, numbered from 1."""
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP
    opener = gzip.open if packed else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as lines:
            for number, line in enumerate(lines, start=1):
                line = line.rstrip("\r\n")
                if line:
                    yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise LineageError(
            f"{path}: damaged gzip file ({error}); fetch it again from its source"
        ) from error
    except UnicodeDecodeError as error:
        raise LineageError(f"{path}: not text in UTF-8; expected a table of genomes") from error


def _rows(path: Path) -> tuple[_Form, Iterator[tuple[int, list[str]]]]:
    """Form of a table of genomes, and the numbers and cells of its rows."""
    lines = _read_lines(path)
    first = next(lines, None)
    if first is None:
        raise TableError(f"{path}: the file is empty, a header line was expected")
    cells = first[1].split("\t")
    form = _form_of(cells, path)

    def rows() -> Iterator[tuple[int, list[str]]]:
        if not form.header:
            yield first[0], cells
        for number, line in lines:
            row = line.split("\t")
            if len(row) != len(cells):
                raise TableError(f"{path}, line {number}: {len(row)} cells, {len(cells)} expected")
            yield number, row

    return form, rows()


class _LineageTexts:
    """Lineages of the cells of one column, which all have the form of the first.

    The same lineages stand in many rows: each is read once, and kept once.
    """

    def __init__(self) -> None:
        self._known: dict[str, Lineage] = {}
        self._prefixed: bool | None = None

    def parse(self, text: str) -> Lineage:
        """Lineage of a cell.

        Raises
        ------
        LineageError
            If it cannot be read, or has another form than the cells before.
        """
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = self._parse(text)
        return found

    def _parse(self, text: str) -> Lineage:
        if self._prefixed is None and text:
            self._prefixed = ";" not in text or text.lstrip().startswith(PREFIXES)
        return parse_lineage(text) if self._prefixed or not text else parse_names(text)


def parse_names(text: str) -> Lineage:
    """Lineage of seven names without prefixes, as ``taxonkit reformat`` and NCBI's tools give.

    Raises
    ------
    LineageError
        If there are not seven, or the first is no domain.

    >>> parse_names("Bacteria;Bacillota;Clostridia;;;Roseburia;")[5]
    'Roseburia'
    """
    fields = [name.strip() for name in text.split(";")]
    names = tuple(map(clean_name, fields))
    prefixed = any(field.startswith(PREFIXES) for field in fields)
    if len(names) != len(RANKS) or names[0] not in DOMAINS or prefixed:
        raise LineageError(
            f"lineage {text!r} has {len(names)} names, the first is {fields[0]!r}; without prefixes"
            f" exactly the {len(RANKS)} ranks {', '.join(RANKS)} are expected, empty where there is"
            " no name, and the first is Bacteria, Archaea, Eukaryota or Viruses; or give taxids"
        )
    return names


def read_lineages(path: str | os.PathLike[str], taxids: Taxids | None = None) -> dict[str, Lineage]:
    """Lineage of each genome of a table.

    Parameters
    ----------
    path
        TSV, plain or gzip, in one of the forms that this module names. ``RS_`` and ``GB_`` before
        an assembly's accession are GTDB's and are left out.
    taxids
        Gives the lineages of the taxids of a table that has these.

    Raises
    ------
    LineageError
        If the form is not known, a genome stands twice, or a lineage cannot be read.
    TableError
        If the table is empty, or a row has another number of cells than the first.
    """
    path = Path(path)
    form, rows = _rows(path)
    if form.taxid:
        return _lineages_of_taxids(path, form, rows, taxids)
    texts = _LineageTexts()
    lineages: dict[str, Lineage] = {}
    for number, cells in rows:
        key = _new_genome(path, number, cells[form.genome], lineages)
        try:
            if len(form.values) == 1:
                lineage = texts.parse(cells[form.values[0]])
            else:
                lineage = tuple(clean_name(cells[position]) for position in form.values)
        except LineageError as error:
            raise LineageError(f"{path}, line {number}: {error}") from None
        if not any(lineage):
            raise LineageError(
                f"{path}, line {number}: genome {key!r} has no name at any rank; give at least"
                " its domain"
            )
        lineages[key] = lineage
    if not lineages:
        raise LineageError(f"{path}: no genome in the table")
    return lineages


def _new_genome(path: Path, number: int, name: str, seen: Collection[str]) -> str:
    key = genome_key(_GTDB.sub("", name.strip(), count=1))
    if not key:
        raise LineageError(f"{path}, line {number}: the genome has no name")
    if key in seen:
        raise LineageError(f"{path}, line {number}: genome {key!r} stands twice")
    return key


def _lineages_of_taxids(
    path: Path, form: _Form, rows: Iterator[tuple[int, list[str]]], taxids: Taxids | None
) -> dict[str, Lineage]:
    if taxids is None:
        raise LineageError(
            f"{path}: gives NCBI taxids, whose lineages are not known here; build the database"
            " with `fermentome db build taxonomy --taxdump DIR`, or give lineages"
        )
    given: dict[str, tuple[int, str]] = {}
    for number, cells in rows:
        taxid = cells[form.values[0]].strip()
        if not taxid.isdecimal():
            raise LineageError(f"{path}, line {number}: taxid {taxid!r} is not a whole number")
        given[_new_genome(path, number, cells[form.genome], given)] = number, taxid
    known = taxids({taxid for _, taxid in given.values()})
    for genome, (number, taxid) in given.items():
        if not any(known.get(taxid, ())):
            raise LineageError(
                f"{path}, line {number}: taxid {taxid} of genome {genome!r} is not in the taxdump"
                " or has no name at any of the seven ranks; take a taxdump as new as the table"
            )
    if not given:
        raise LineageError(f"{path}: no genome in the table")
    return {genome: known[taxid] for genome, (_, taxid) in given.items()}
