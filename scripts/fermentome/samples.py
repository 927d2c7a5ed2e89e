"""The sample sheet: one row per sequencing run, read into typed values.

Snakemake imports this module while it parses the workflow, in every job, so it uses the standard
library only. Cells stay text: a sample called `001` or `NA` keeps its name. The table is plain
tab-separated text: quotation marks have no meaning and are part of the value.

`workflow/schemas/samples.schema.yaml` publishes the same rules; a test holds the two equal.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fermentome.errors import SampleSheetError

__all__ = [
    "COLUMNS",
    "NAME_PATTERN",
    "READ_FILE_PATTERN",
    "REQUIRED_COLUMNS",
    "Run",
    "Sample",
    "SampleSheet",
    "read_sample_sheet",
]

#: What a sample or run may be called. Unanchored, for Snakemake's `wildcard_constraints`; `..` is
#: refused apart.
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
# First columns of the wide tables, which have a column per sample.
RESERVED_NAMES = frozenset({"taxon", "family", "pathway", "product"})
#: How the name of a read file ends. Lower case only: fastp decides by the `.gz` whether to unpack.
READ_FILE_PATTERN = r"\.(?:fastq|fq)(?:\.gz)?$"
#: Columns that need no declaration, in the order of the template.
COLUMNS = (
    "sample", "run", "reads1", "reads2", "subject", "timepoint", "event", "replicate", "group",
)  # fmt: skip
REQUIRED_COLUMNS = ("sample", "reads1")
#: Columns that belong to the sample, so that all of its rows must agree.
SAMPLE_COLUMNS = ("subject", "timepoint", "event", "replicate", "group")
DEFAULT_RUN = "1"

MANUAL = "config/README.md"

_NAME = re.compile(NAME_PATTERN)
_REPETITIVE = re.compile(r"(.+)\1{19,}$")
_READ_FILE = re.compile(READ_FILE_PATTERN)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# A tab separates cells and a line feed rows; all other control and line-breaking characters.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")

_BINARY_FORMATS = (
    (b"PK\x03\x04", "an Excel workbook (.xlsx) or another zipped file"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls)"),
    (b"\xff\xfe", "UTF-16 text, Excel's 'Unicode text'"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"\x1f\x8b", "compressed with gzip"),
)

_SYNONYMS = {
    "sample": {"id", "name", "sample_id", "sampleid", "sample_name", "samplename"},
    "run": {"lane", "library", "run_id", "unit"},
    "reads1": {"fastq", "fastq1", "fastq_1", "fq", "fq1", "forward", "r1", "read", "reads", "file"},
    "reads2": {"fastq2", "fastq_2", "fq2", "reverse", "r2"},
    "subject": {"donor", "host", "individual", "participant", "patient", "person", "subject_id"},
    "timepoint": {"time", "time_point", "visit"},
    "event": {"intervention", "exposure", "phase"},
    "group": {"arm", "cohort", "condition", "treatment"},
}

_WRONG_FILES = {
    (".bz2", ".xz", ".zst", ".zip", ".tar", ".tgz", ".tar.gz", ".7z"): (
        "is packed in a way that is not read here",
        "unpack it, or pack it again with gzip",
    ),
    (".fasta", ".fa", ".fna", ".fasta.gz", ".fa.gz", ".fna.gz"): (
        "is FASTA by its name",
        "give the FASTQ files: qualities are needed for trimming",
    ),
    (".bam", ".cram", ".sam", ".ubam"): (
        "holds alignments by its name",
        "turn it into FASTQ with `samtools fastq`",
    ),
    (".sra",): ("is an SRA archive by its name", "unpack it with `fasterq-dump --split-files`"),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the sheet: the reads of one sample from one lane or library.

    `reads2` is `None` for single-end reads. Paths are as Snakemake wants them: as written, relative
    to the working directory, without `./` and doubled slashes.
    """

    sample: str
    run: str
    reads1: str
    reads2: str | None = None

    @property
    def layout(self) -> str:
        """`paired` or `single`."""
        return "single" if self.reads2 is None else "paired"

    @property
    def reads(self) -> tuple[str, ...]:
        """The one or two read files."""
        return (self.reads1,) if self.reads2 is None else (self.reads1, self.reads2)


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample with its runs, sorted by name. An empty cell is the empty string."""

    name: str
    runs: tuple[Run, ...]
    subject: str = ""
    timepoint: str = ""
    event: str = ""
    replicate: str = ""
    group: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def attributes(self) -> dict[str, str]:
        """What the sheet says of the sample itself, and the declared metadata, by column."""
        standard = {column: getattr(self, column) for column in SAMPLE_COLUMNS}
        return {**standard, **self.metadata}


@dataclass(frozen=True, slots=True)
class SampleSheet:
    """The whole sheet, in an order that does not depend on the order of its rows.

    `samples` is sorted by name (by code point); `runs` has the keys (sample, run), sorted too.
    """

    samples: Mapping[str, Sample]
    runs: Mapping[tuple[str, str], Run]
    metadata_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Mistake:
    row: int
    column: str
    value: str
    problem: str
    hint: str

    def text(self, sheet: str) -> str:
        place = f"{sheet}, row {self.row}"
        if self.column:
            place += f", column {self.column}"
        value = self.value if len(self.value) <= 120 else self.value[:117] + "..."
        return f"{place}: {value!r} {self.problem}. Hint: {self.hint}."


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    cells: Mapping[str, str]

    def mistake(self, column: str, problem: str, hint: str) -> _Mistake:
        return _Mistake(self.number, column, self.cells.get(column, ""), problem, hint)


def read_sample_sheet(
    path: str | os.PathLike[str],
    base_directory: str | os.PathLike[str] = ".",
    metadata_columns: Sequence[str] = (),
    *,
    check_files: bool = True,
) -> SampleSheet:
    """Read the sample sheet and check every cell and every read file that it names.

    Parameters
    ----------
    path
        The sheet; relative paths start at `base_directory`.
    base_directory
        Where relative paths start, the sheet's own and those in it: the working directory.
    metadata_columns
        Further columns that the configuration declares; all of them must be in the header.
    check_files
        Whether to look at the read files on disk. Without it the same file is recognised by its
        written path only; for jobs that parse the workflow again after it was checked.

    Raises
    ------
    SampleSheetError
        With one line per mistake, all mistakes of the sheet at once.

    Notes
    -----
    A byte order mark and CRLF line ends are accepted. Blank rows are skipped and still counted:
    row numbers are those that an editor or a spreadsheet shows, the header being row 1.
    """
    name = os.fspath(path)
    rows = _split_rows(_decode(_read_bytes(os.path.join(base_directory, name), name), name))
    if not rows:
        raise SampleSheetError(_empty(name, "is empty"))
    (header_number, header), *body = rows
    _refuse_other_separators(header, name)
    _refuse_missing_header(header_number, header, name)

    mistakes = _header_mistakes(header_number, header, metadata_columns)
    if not body and not mistakes:
        raise SampleSheetError(_empty(name, "has a header and no samples"))
    table = _tabulate(header, body, mistakes)
    for row in table:
        mistakes.extend(_cell_mistakes(row))
    mistakes.extend(_run_mistakes(table))
    mistakes.extend(_disagreements(table, (*SAMPLE_COLUMNS, *metadata_columns)))
    mistakes.extend(_file_mistakes(table, base_directory, check_files))
    if mistakes:
        raise SampleSheetError(_report(name, mistakes))
    return _build(table, tuple(metadata_columns))


def _empty(name: str, problem: str) -> str:
    return (
        f"{name} {problem}; expected one row per sequencing run below the header. Hint: write the"
        f" name of each sample under `sample` and its read files under `reads1` and `reads2`;"
        f" {MANUAL} shows how, and `make demo` runs an example without a sheet of your own."
    )


def _report(name: str, mistakes: Sequence[_Mistake]) -> str:
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    ordered = sorted(mistakes, key=lambda mistake: mistake.row)
    return "\n".join([f"{name}: {count}", *(mistake.text(name) for mistake in ordered)])


def _read_bytes(path: str, name: str) -> bytes:
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except OSError as error:
        raise SampleSheetError(
            f"{name} cannot be read ({error.strerror}); expected the sample sheet. Hint: the key"
            f" `samples` of the configuration names it, relative to the directory where snakemake"
            f" runs."
        ) from error


def _decode(data: bytes, name: str) -> str:
    for magic, kind in _BINARY_FORMATS:
        if data.startswith(magic):
            raise SampleSheetError(
                f"{name} is {kind}; expected tab-separated UTF-8 text. Hint: in the spreadsheet,"
                f" save as 'Text (Tab delimited)' or TSV in UTF-8."
            )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise SampleSheetError(
            f"{name}, row {row}: byte {data[error.start]:#04x} is not UTF-8; expected tab-separated"
            f" UTF-8 text. Hint: save the sheet again with the encoding UTF-8."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _split_rows(text: str) -> list[tuple[int, list[str]]]:
    return [
        (number, line.split("\t"))
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]


def _refuse_other_separators(header: Sequence[str], name: str) -> None:
    if len(header) > 1:
        return
    for separator, kind in ((",", "commas"), (";", "semicolons"), ("|", "bars"), (" ", "blanks")):
        if separator in header[0].strip():
            raise SampleSheetError(
                f"{name}, row 1: {header[0][:60]!r} is separated by {kind}; expected tabs. Hint:"
                f" save the sheet as TSV (tab-delimited text)."
            )


def _refuse_missing_header(number: int, header: Sequence[str], name: str) -> None:
    """Tell a first row that is already a run: it names a file of reads."""
    known = {cell.strip().lower() for cell in header} & {*COLUMNS}
    for cell in header:
        if _READ_FILE.search(cell.strip("\"' ").lower()) or ("/" in cell and not known):
            raise SampleSheetError(
                f"{name}, row {number}: {cell[:120]!r} looks like a file; expected the header."
                " Hint: the header is missing: put a first row with the names of the columns,"
                f" separated by tabs: {' '.join(COLUMNS)}."
            )


def _header_mistakes(
    number: int, header: Sequence[str], metadata_columns: Sequence[str]
) -> list[_Mistake]:
    known = (*COLUMNS, *metadata_columns)
    free = [column for column in known if column not in header]
    mistakes = []
    seen: set[str] = set()
    for position, column in enumerate(header, start=1):
        if not column.strip():
            problem, hint = f"is the name of column {position}", "name the column or delete it"
            mistakes.append(_Mistake(number, "", column, problem, hint))
        elif column in seen:
            mistakes.append(_Mistake(number, "", column, "is there twice", "delete one of them"))
        elif column not in known:
            meant = _meant_column(column, free)
            if meant:
                free.remove(meant)
                hint = f"perhaps {meant!r} was meant"
                mistakes.append(_Mistake(number, "", column, "is not a column of the sheet", hint))
            else:
                mistakes.append(_undeclared(number, column))
        seen.add(column)
    mistakes.extend(
        _Mistake(number, "", column, "is missing from the header", _missing_hint(column))
        for column in free
        if column in REQUIRED_COLUMNS or column in metadata_columns
    )
    return mistakes


def _undeclared(number: int, column: str) -> _Mistake:
    hint = (
        "to carry it through to the tables, declare it in the configuration under `metadata`;"
        f" columns that need no declaration: {', '.join(COLUMNS)}"
    )
    return _Mistake(number, "", column, "is not a column of the sheet", hint)


def _missing_hint(column: str) -> str:
    if column in REQUIRED_COLUMNS:
        return f"{' and '.join(REQUIRED_COLUMNS)} are required; see {MANUAL}"
    return "the configuration declares it under `metadata`: add the column or delete the entry"


def _meant_column(column: str, candidates: Sequence[str]) -> str | None:
    """Find the free column that an unknown header cell was probably meant to be."""
    plain = re.sub(r"[\s.-]+", "_", column.strip().strip("#\"'").strip().lower())
    for candidate in candidates:
        if plain == candidate or plain in _SYNONYMS.get(candidate, ()):
            return candidate
    close = difflib.get_close_matches(plain, candidates, n=1, cutoff=0.75)
    return close[0] if close else None


def _tabulate(
    header: Sequence[str], body: Iterable[tuple[int, list[str]]], mistakes: list[_Mistake]
) -> list[_Row]:
    """Keep the rows with as many cells as the header; the others are mistakes."""
    table = []
    for number, cells in body:
        if len(cells) == len(header):
            table.append(_Row(number, dict(zip(header, cells, strict=True))))
            continue
        problem = f"starts a row of {len(cells)} cells; the header has {len(header)}"
        hint = "an empty cell needs its tab too; a value cannot hold a tab"
        if cells[0].startswith("#"):
            hint = "the sheet knows no comments, delete the row"
        mistakes.append(_Mistake(number, "", cells[0], problem, hint))
    return table


def _cell_mistakes(row: _Row) -> list[_Mistake]:
    """Check the cells of a row one by one."""
    mistakes = []
    for column, value in row.cells.items():
        if _CONTROL.search(value):
            hint = "delete the character that cannot be seen"
            mistakes.append(row.mistake(column, "holds a control character", hint))
        elif value != value.strip():
            hint = "delete the blanks"
            mistakes.append(row.mistake(column, "starts or ends with a blank", hint))
        elif column in ("sample", "run"):
            mistakes.extend(_name_mistakes(row, column, value))
        elif column in ("reads1", "reads2"):
            mistakes.extend(_read_path_mistakes(row, column, value))
    return mistakes


def _name_mistakes(row: _Row, column: str, value: str) -> list[_Mistake]:
    if not value:
        if column == "run":
            return []
        return [row.mistake(column, "is no sample name", "every row names its sample")]
    if value in RESERVED_NAMES and column == "sample":
        hint = f"it is the header of a column of the tables; for example '{value}_1'"
        return [row.mistake(column, "cannot be the name of a sample", hint)]
    if _REPETITIVE.search(value):
        hint = "Snakemake takes a name that ends in 20 repeats for an endless loop; shorten it"
        return [row.mistake(column, f"cannot be the name of a {column}", hint)]
    if _NAME.fullmatch(value) and ".." not in value:
        return []
    if value.startswith("#"):
        hint = "the sheet knows no comments, delete the row"
    else:
        hint = (
            "up to 64 of the letters A-Z a-z, digits, `_`, `-` and `.`, a letter or digit first,"
            " no two dots in a row"
        )
        proposal = re.sub(r"\.\.+", ".", re.sub(r"[^A-Za-z0-9_.-]+", "_", value)).strip("_.-")[:64]
        if _NAME.fullmatch(proposal):
            hint += f"; for example {proposal!r}"
    return [row.mistake(column, f"cannot be the name of a {column}", hint)]


def _read_path_mistakes(row: _Row, column: str, value: str) -> list[_Mistake]:
    if not value:
        if column == "reads2":
            return []
        hint = "single-end reads go under `reads1` too; delete the row if there are none"
        return [row.mistake(column, "is no file name", hint)]
    if _URL.match(value):
        return [row.mistake(column, "is a web address", "download the file first")]
    if value.startswith("~"):
        return [row.mistake(column, "starts with `~`", "write the folder in full")]
    if value[0] in "\"'" and value[0] == value[-1]:
        return [row.mistake(column, "stands in quotation marks", "delete them")]
    if _READ_FILE.search(value):
        return []
    problem, hint = "does not end like a FASTQ file", "expected .fastq.gz, .fq.gz, .fastq or .fq"
    if _READ_FILE.search(value.lower()):
        hint += ", in lower case: rename the file"
    for endings, wrong in _WRONG_FILES.items():
        if value.lower().endswith(endings):
            problem, hint = wrong
    return [row.mistake(column, problem, hint)]


def _run_mistakes(table: Iterable[_Row]) -> list[_Mistake]:
    """Find samples and runs that are there twice, or differ only by upper and lower case."""
    mistakes = []
    first_row: dict[tuple[str, str], int] = {}
    spelling: dict[tuple[str, ...], tuple[str, int]] = {}
    for row in table:
        sample, run = _key(row)
        if not sample:
            continue
        if (sample, run) in first_row:
            problem = f"has the run {run!r} already in row {first_row[sample, run]}"
            hint = "give each lane of a sample its own name under `run`, or delete the row"
            mistakes.append(row.mistake("sample", problem, hint))
            continue
        first_row[sample, run] = row.number
        for column, name, key in (
            ("sample", sample, (sample.lower(),)),
            ("run", run, (sample, run.lower())),
        ):
            other, number = spelling.setdefault(key, (name, row.number))
            if other != name:
                problem = f"differs from {other!r} in row {number} only by upper and lower case"
                hint = "many file systems cannot tell them apart: rename one"
                mistakes.append(row.mistake(column, problem, hint))
    return mistakes


def _key(row: _Row) -> tuple[str, str]:
    return row.cells.get("sample", ""), row.cells.get("run", "") or DEFAULT_RUN


def _disagreements(table: Iterable[_Row], columns: Sequence[str]) -> list[_Mistake]:
    """Find rows whose metadata are not those of the sample's first row."""
    mistakes = []
    first: dict[str, _Row] = {}
    for row in table:
        sample = row.cells.get("sample", "")
        reference = first.setdefault(sample, row)
        if not sample or reference is row:
            continue
        for column in columns:
            expected = reference.cells.get(column, "")
            if row.cells.get(column, "") != expected:
                problem = f"contradicts {expected!r} in row {reference.number} of sample {sample!r}"
                hint = "all rows of a sample say the same; rows that differ are other samples"
                mistakes.append(row.mistake(column, problem, hint))
    return mistakes


def _file_mistakes(
    table: Iterable[_Row], base_directory: str | os.PathLike[str], check_files: bool
) -> list[_Mistake]:
    """Find files that are not there, cannot be read, or are used more than once."""
    mistakes = []
    used: dict[object, tuple[_Row, str]] = {}
    for row in table:
        for column in ("reads1", "reads2"):
            value = row.cells.get(column, "")
            if not value or _CONTROL.search(value) or _read_path_mistakes(row, column, value):
                continue
            identity: object = os.path.abspath(os.path.join(base_directory, value))
            if check_files:
                try:
                    identity = _identify(base_directory, value)
                except _FileProblemError as problem:
                    mistakes.append(row.mistake(column, problem.problem, problem.hint))
            other, other_column = used.setdefault(identity, (row, column))
            if (other, other_column) != (row, column):
                mistakes.append(_used_twice(row, column, other, other_column))
    return mistakes


def _used_twice(row: _Row, column: str, other: _Row, other_column: str) -> _Mistake:
    if other is row:
        hint = "reads2 holds the second mates; leave it empty for single-end reads"
        return row.mistake(column, "is the same file as reads1", hint)
    problem = f"is the same file as {other_column} in row {other.number}"
    spelled = other.cells[other_column]
    if spelled != row.cells[column]:
        problem += f", {spelled!r}"
    return row.mistake(column, problem, "each file belongs to one row: its reads count once")


class _FileProblemError(Exception):
    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def _identify(base_directory: str | os.PathLike[str], value: str) -> object:
    """Say what stays the same of a readable file under all of its names, links included."""
    path = os.path.join(base_directory, value)
    try:
        status = os.stat(path)
    except OSError as error:
        raise _stat_problem(path, value, error) from error
    except ValueError as error:  # a name that the locale's encoding cannot express
        raise _FileProblemError(f"cannot be looked up ({error})", "set a UTF-8 locale") from error
    if stat.S_ISDIR(status.st_mode):
        raise _FileProblemError("is a folder", "give one file")
    if not stat.S_ISREG(status.st_mode):
        raise _FileProblemError(
            "is not a regular file", "give a file on disk: it is read several times"
        )
    if not os.access(path, os.R_OK):
        raise _FileProblemError("cannot be read", "you lack the permission: see `ls -l`")
    # Some network file systems number no inodes.
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)


def _stat_problem(path: str, value: str, error: OSError) -> _FileProblemError:
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        return _FileProblemError(
            f"cannot be read ({error.strerror})", "check its folder and its rights"
        )
    if os.path.islink(path):
        return _FileProblemError(
            "is a link to a file that does not exist", "mend or replace the link"
        )
    if re.search(r"[,;*]", os.path.basename(value)) or _names_files(value) > 1:
        hint = "one file per cell: give each lane a row of its own, with its own `run`"
    elif os.path.isabs(value):
        hint = "check the spelling"
    else:
        hint = "relative paths start in the directory where snakemake runs"
    return _FileProblemError("does not exist", hint)


def _names_files(value: str) -> int:
    """Count the file names in a cell, were they separated by commas, semicolons or blanks."""
    return sum(bool(_READ_FILE.search(part)) for part in re.split(r"[,;\s]+", value))


def _build(table: Iterable[_Row], metadata_columns: tuple[str, ...]) -> SampleSheet:
    runs: dict[tuple[str, str], Run] = {}
    rows_of: dict[str, _Row] = {}
    for row in sorted(table, key=_key):
        sample, run = _key(row)
        reads2 = row.cells.get("reads2", "")
        runs[sample, run] = Run(
            sample=sample,
            run=run,
            reads1=_plain_path(row.cells["reads1"]),
            reads2=_plain_path(reads2) if reads2 else None,
        )
        rows_of.setdefault(sample, row)
    grouped: dict[str, list[Run]] = {sample: [] for sample in rows_of}
    for entry in runs.values():
        grouped[entry.sample].append(entry)
    samples = {
        sample: Sample(
            name=sample,
            runs=tuple(grouped[sample]),
            metadata={column: row.cells[column] for column in metadata_columns},
            **{column: row.cells.get(column, "") for column in SAMPLE_COLUMNS},
        )
        for sample, row in rows_of.items()
    }
    return SampleSheet(samples=samples, runs=runs, metadata_columns=metadata_columns)


def _plain_path(path: str) -> str:
    """Take out `.` parts and doubled slashes, about which Snakemake would warn.

    `..` stays: taking it out would lead elsewhere where the part before it is a link.
    """
    root = "/" if path.startswith("/") else ""
    return root + "/".join(part for part in path.split("/") if part not in ("", "."))
