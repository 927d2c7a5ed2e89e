"""Rows and cells of the text tables that people and tools bring, whatever they were saved with."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import math
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fermentome.cohort.data import MISSING, Numbers
from fermentome.errors import CohortError

AnyPath = str | os.PathLike[str]

_GZIP = b"\x1f\x8b"
_NOT_TEXT = (
    (b"PK\x03\x04", "an Excel workbook (.xlsx) or another zipped file"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls)"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"\x89HDF", "an HDF5 file, as BIOM 2.1 is"),
    (b"PAR1", "a Parquet file"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard"),
)
_SAVE = "save it as tab-separated text in UTF-8, plain or gzip-compressed"
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class TextTable:
    """A header and the rows below it, as text.

    Attributes
    ----------
    source
        File, for messages.
    header
        Names of the columns.
    rows
        Line number and cells; each row has as many cells as the header.
    """

    source: str
    header: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]


def fail(source: str, where: int | str, problem: str) -> CohortError:
    """Error that names a file and a place in it."""
    place = f"line {where}" if isinstance(where, int) else where
    return CohortError(f"{source}, {place}: {problem}")


def shown(text: str, most: int = 60) -> str:
    """Value in a message: quoted, cut where it is long.

    >>> shown("a" * 80, 5)
    "'aaaaa...'"
    """
    return repr(text if len(text) <= most else f"{text[:most]}...")


def is_missing(cell: str) -> bool:
    """Whether a cell says that a value is missing.

    >>> is_missing(" n/a "), is_missing("0")
    (True, False)
    """
    return cell.strip().lower() in MISSING


def plain_number(cell: str) -> float | None:
    """Number of a cell in plain decimal or exponent notation; ``None`` if it is none.

    >>> plain_number(" 1.5e-3 "), plain_number("1_000"), plain_number("inf"), plain_number("1e999")
    (0.0015, None, None, None)
    """
    text = cell.strip()
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def read_lines(path: AnyPath) -> Iterator[tuple[int, str]]:
    """Lines of a text file with their numbers, without line ends; empty ones left out.

    Plain or gzip-compressed UTF-8, with or without a byte order mark; lines end as on any system.

    Raises
    ------
    CohortError
        If the file cannot be read, is cut off, or is no text.
    """
    path = Path(path)
    try:
        with path.open("rb") as raw:
            magic = raw.read(8)
        for start, kind in _NOT_TEXT:
            if magic.startswith(start):
                raise CohortError(f"{path}: is {kind}; {_SAVE}")
        opener = gzip.open if magic.startswith(_GZIP) else open
        with opener(path, "rt", encoding="utf-8-sig") as handle:
            for number, line in enumerate(handle, start=1):
                if "\0" in line:
                    raise CohortError(f"{path}, line {number}: holds a NUL byte; {_SAVE}")
                line = line.rstrip("\n")
                if line.strip():
                    yield number, line
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CohortError(
            f"{path}: the gzip data is cut off or damaged ({error}); copy the file anew"
        ) from error
    except UnicodeDecodeError as error:
        raise CohortError(
            f"{path}: is not UTF-8 text ({error.reason}, byte {error.start}); {_SAVE}"
        ) from error
    except OSError as error:
        raise CohortError(
            f"{path}: cannot be read ({error.strerror or error}); see that the file is there and"
            " that you may read it"
        ) from error


def split_cells(line: str) -> list[str]:
    """Cells of a line; quotation marks around a whole cell are not part of it."""
    cells = line.split("\t")
    if '"' in line:
        cells = [_unquoted(cell) for cell in cells]
    return cells


def _unquoted(cell: str) -> str:
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        return cell[1:-1].replace('""', '"')
    return cell


def open_table(path: AnyPath) -> TextTable:
    """Header and rows of a feature table, read as they are asked for.

    Lines before the header that begin with ``#`` and hold no tab are comments, as in the tables
    of MetaPhlAn and BIOM; the ``#`` of a header is not part of its first name.

    Raises
    ------
    CohortError
        If there is no header, it is not separated by tabs, or a row has another number of cells.
    """
    source = str(path)
    lines = read_lines(path)
    number, line = next((found for found in lines if not _is_comment(found[1])), (0, ""))
    if not number:
        raise CohortError(
            f"{source}: the file is empty; a header line and rows below it, separated by tabs, were"
            " expected"
        )
    header = split_cells(line)
    refuse_other_separators(source, number, line, header)
    rows = ((at, split_cells(text)) for at, text in lines)
    first = next(rows, None)
    if first is not None:
        header = _with_row_names(header, first[1])
    header = [name.strip() for name in header]
    header[0] = header[0].lstrip("#").strip()
    again = itertools.chain([] if first is None else [first], rows)
    return TextTable(source, tuple(header), _checked_rows(source, len(header), again))


def _is_comment(line: str) -> bool:
    return line.startswith("#") and "\t" not in line


def _with_row_names(header: list[str], cells: Sequence[str]) -> list[str]:
    """Header with a name for the first column, which ``write.table`` of R leaves out."""
    return ["", *header] if len(cells) == len(header) + 1 and header[0] else header


def _checked_rows(
    source: str, width: int, rows: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    for number, cells in rows:
        if len(cells) != width:
            raise fail(
                source,
                number,
                f"{len(cells)} cells, {width} expected as in the header; first cell"
                f" {shown(cells[0])}; see that every row has all cells, separated by single tabs",
            )
        yield number, cells


def refuse_other_separators(source: str, number: int, line: str, header: Sequence[str]) -> None:
    """Say so if a header is not separated by tabs.

    Raises
    ------
    CohortError
        Naming the separator that it seems to have.
    """
    if len(header) > 1:
        return
    for separator, name in ((",", "commas"), (";", "semicolons"), (" ", "blanks")):
        if separator in line:
            raise fail(
                source, number,
                f"{shown(line)} is separated by {name}; tabs were expected: {_SAVE}",
            )  # fmt: skip
    raise fail(
        source, number,
        f"only the column {shown(line)}; expected one of names and at least one of values",
    )  # fmt: skip


def duplicate(names: Sequence[str]) -> str | None:
    """First name that stands twice, if one does."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def amounts(source: str, number: int, cells: Sequence[str], columns: Sequence[str]) -> Numbers:
    """Cells of a row as amounts; a missing one is NaN.

    Parameters
    ----------
    columns
        Names of the cells, for messages.

    Raises
    ------
    CohortError
        If a cell is text, negative or infinite.
    """
    try:
        values = np.array(list(map(float, cells)), float)
    except ValueError:
        values = np.array(
            [
                amount(source, number, cell, column)
                for cell, column in zip(cells, columns, strict=True)
            ],
            float,
        )
    # float() takes more than tables should hold: 1_000, infinity, digits of other scripts.
    text = "".join(cells)
    if "_" in text or not text.isascii() or (values < 0).any() or np.isinf(values).any():
        for cell, column in zip(cells, columns, strict=True):
            amount(source, number, cell, column)
    return values


def amount(source: str, number: int, cell: str, column: str) -> float:
    """Number of a cell: zero or more, NaN where it is missing.

    Raises
    ------
    CohortError
        If it is text, negative or infinite.
    """
    value = plain_number(cell)
    if value is not None and value >= 0:
        return value
    if is_missing(cell):
        return math.nan
    raise fail(
        source, number,
        f"column {shown(column)} holds {shown(cell)}; expected a number of zero or more, or NA;"
        f" {_advice(cell, value)}",
    )  # fmt: skip


def _advice(cell: str, value: float | None) -> str:
    if cell.lstrip().startswith("="):
        return "save the values of the spreadsheet in place of its formulas"
    if re.fullmatch(r"\s*\d+,\d+\s*", cell):
        return "write decimals with a point"
    if value is not None and value < 0:
        return "give shares, percentages, counts or copies, not logarithms or scores"
    return "correct the cell, or leave the column or row out if it holds no amounts"


def read_cells(path: AnyPath) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header and rows of a small table that may have been quoted by a spreadsheet or R.

    Where the rows fit the header as they stand, quotation marks only wrap whole cells. Where they
    do not, cells may hold tabs and line breaks within quotation marks (RFC 4180).

    Raises
    ------
    CohortError
        If rows do not fit the header either way.
    """
    source = str(path)
    numbered = list(read_lines(path))
    while numbered and _is_comment(numbered[0][1]):
        numbered.pop(0)
    if not numbered:
        raise CohortError(
            f"{source}: the file is empty; a header line and one row per sample, separated by tabs,"
            " were expected"
        )
    first, line = numbered[0]
    header = [name.strip() for name in split_cells(line)]
    rows = [(number, split_cells(text)) for number, text in numbered[1:]]
    if rows:
        header = _with_row_names(header, rows[0][1])
    wrong = next((row for row in rows if len(row[1]) != len(header)), None)
    if wrong is not None and any('"' in text for _, text in numbered):
        again = _quoted_rows(numbered)
        if again is not None:
            header, rows = again
            wrong = None
    if wrong is not None:
        number, cells = wrong
        raise fail(
            source, number,
            f"{len(cells)} cells, {len(header)} expected as in the header; first cell"
            f" {shown(cells[0])}; see that every row has all cells, separated by single tabs",
        )  # fmt: skip
    header[0] = header[0].lstrip("#").strip()
    refuse_other_separators(source, first, line, header)
    return header, rows


def _quoted_rows(
    numbered: Sequence[tuple[int, str]],
) -> tuple[list[str], list[tuple[int, list[str]]]] | None:
    """Header and rows by RFC 4180; ``None`` if they do not fit each other."""
    text = "\n".join(line for _, line in numbered)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True)
    rows: list[tuple[int, list[str]]] = []
    begin = 0
    try:
        for cells in reader:
            # A line break within a cell would break the tables that are written later.
            rows.append((numbered[begin][0], [" ".join(cell.split("\n")) for cell in cells]))
            begin = min(reader.line_num, len(numbered) - 1)
    except csv.Error:
        return None
    header = [name.strip() for name in rows[0][1]]
    if any(len(cells) != len(header) for _, cells in rows):
        return None
    return header, rows[1:]
