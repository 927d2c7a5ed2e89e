"""Read and write the project's tables: UTF-8 TSV, one float format, sorted rows."""

import csv
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from fermentome.errors import TableError

Cell: TypeAlias = str | int | float | bool | None


def format_cell(value: Cell) -> str:
    """Text of one table cell.

    Floats have six significant digits, ``None`` and NaN are ``NA`` (failed or not
    estimable, never zero), booleans are ``yes`` and ``no``.

    >>> format_cell(0.12345678), format_cell(2.0), format_cell(None), format_cell(float("nan"))
    ('0.123457', '2', 'NA', 'NA')
    """
    if value is None:
        return "NA"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if math.isnan(value):
            return "NA"
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        return f"{value:.6g}" if value else "0"
    return str(value)


def write_table(
    path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]
) -> None:
    """Write `rows` to `path` as TSV with exactly `columns`, in the order given.

    Raises
    ------
    TableError
        If a row lacks one of the columns, has another one, or holds a tab or a line break.
    """
    with Path(path).open("w", encoding="utf-8", newline="") as handle:
        handle.write("\t".join(columns) + "\n")
        for number, row in enumerate(rows, start=1):
            if row.keys() != set(columns):
                raise TableError(
                    f"{Path(path).name}, row {number}: columns {sorted(row)} were given,"
                    f" {sorted(columns)} expected"
                )
            cells = [format_cell(row[column]) for column in columns]
            if any(character in cell for cell in cells for character in "\t\n\r"):
                raise TableError(
                    f"{Path(path).name}, row {number}: a cell holds a tab or line break"
                )
            handle.write("\t".join(cells) + "\n")


def iterate_table(
    path: str | os.PathLike[str], columns: Sequence[str] | None = None
) -> Iterator[dict[str, str]]:
    """Rows of a TSV as text, one after the other.

    Parameters
    ----------
    path
        The table.
    columns
        Columns that must be there; further ones are kept.

    Raises
    ------
    TableError
        If a column is missing or a row has another number of cells than the header.
    """
    path = Path(path)
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
        try:
            header = next(reader)
        except StopIteration:
            raise TableError(f"{path}: the file is empty, a header line was expected") from None
        missing = [column for column in columns or () if column not in header]
        if missing:
            raise TableError(
                f"{path}, header: column {missing[0]!r} is missing; found {', '.join(header)}"
            )
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise TableError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells, {len(header)} expected"
                )
            yield dict(zip(header, cells, strict=True))


def read_table(
    path: str | os.PathLike[str], columns: Sequence[str] | None = None
) -> list[dict[str, str]]:
    """All rows that `iterate_table` gives."""
    return list(iterate_table(path, columns))


def parse_number(text: str) -> float:
    """Number of a cell, NaN for ``NA`` and for an empty cell.

    >>> parse_number("0.5"), parse_number("NA")
    (0.5, nan)
    """
    return math.nan if text in {"", "NA"} else float(text)
