"""What is known of samples: tables with samples as rows or as columns, as people write them."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fermentome.cohort.data import DONE, Account, Column, Entry, Metadata
from fermentome.cohort.text_tables import (
    AnyPath,
    fail,
    is_missing,
    plain_number,
    read_cells,
    shown,
)
from fermentome.errors import CohortError

ROLES = ("subject", "timepoint", "event", "replicate", "group")
"""Columns that the analyses know by name; found whatever their case."""

SAMPLE_HEADS = frozenset(
    {"sample", "samples", "sampleid", "sample_id", "sample id", "sample-id", "sample_name",
     "samplename", "sample name"}
)  # fmt: skip
"""Names of a column of samples, in lower case."""

SPREADSHEET_ERRORS = frozenset(
    {"#n/a", "#ref!", "#value!", "#div/0!", "#name?", "#num!", "#null!", "#spill!", "#calc!"}
)
"""What spreadsheets write where a formula has no result, in lower case."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Cells of a metadata file, its orientation not yet known."""

    source: str
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    formulas: tuple[str, ...] = ()

    def possible_samples(self) -> frozenset[str]:
        """Names that may be of samples: the header, the first and the so-called columns."""
        places = {0, *(i for i, name in enumerate(self.header) if name.lower() in SAMPLE_HEADS)}
        names = {cells[place] for _, cells in self.rows for place in places}
        return frozenset(names | set(self.header[1:])) - {""}


def read_sheet(path: AnyPath) -> Sheet:
    """Cells of a metadata file.

    Raises
    ------
    CohortError
        If it is no table.

    Notes
    -----
    A formula, as `=B1*2`, is no value: its cell is missing, and `read_metadata` says so.
    """
    header, rows = read_cells(path)
    source = str(path)
    kept = []
    formulas: list[str] = []
    for number, cells in rows:
        stripped = tuple(" ".join(cell.split("\t")).strip() for cell in cells)
        formulas += [
            f"line {number}, column {shown(name)}"
            for name, cell in zip(header, stripped, strict=True)
            if cell.startswith("=")
        ]
        values = tuple("" if cell.startswith("=") else cell for cell in stripped)
        if any(values):
            kept.append((number, values))
    if not kept:
        raise CohortError(f"{source}: a header without rows; expected one row per sample")
    return Sheet(source, tuple(header), tuple(kept), tuple(formulas))


def read_metadata(sheet: Sheet, samples: Sequence[str], account: Account) -> Metadata:
    """Metadata of the samples of the tables.

    Samples stand in rows or in columns, wherever more of the tables' names are found. Samples of
    the tables without metadata have every cell missing; those of the metadata alone are left out.

    Parameters
    ----------
    samples
        Of the tables, sorted.

    Raises
    ------
    CohortError
        If no sample is found, or one or a column stands twice and the two differ.
    """
    if sheet.formulas:
        account.partly(
            "metadata",
            f"{Path(sheet.source).name}: {len(sheet.formulas)} cells hold a formula and count as"
            f" missing, the first at {sheet.formulas[0]}; copy the sheet and paste it as values"
            " before it is saved as text",
            len(samples),
        )
    wanted = set(samples)
    place, found = _sample_column(sheet, wanted)
    across = sum(name in wanted for name in set(sheet.header))
    if not found and not across:
        known = [cells[place] for _, cells in sheet.rows]
        raise CohortError(
            f"{sheet.source}: none of the {len(samples)} samples of the tables"
            f" ({_some(samples)}) is in the metadata; column {shown(sheet.header[place])} holds"
            f" {_some(known)}; name the samples alike in both, in a column 'sample'"
        )
    if across > found:
        account.entries.append(
            Entry(account.analysis, "metadata", DONE, across, None, "samples are columns: turned")
        )
        names, columns = _turned(sheet, account)
    else:
        names, columns = _upright(sheet, place, account)
    rows = _rows_by_sample(sheet.source, names, columns, wanted, account)
    return _complete(sheet.source, samples, set(names), rows, account)


def _some(names: Collection[str]) -> str:
    distinct = list(dict.fromkeys(names))
    return ", ".join(shown(name, 30) for name in distinct[:3]) + (", ..." if distinct[3:] else "")


def _sample_column(sheet: Sheet, wanted: Collection[str]) -> tuple[int, int]:
    """Place of the column of samples, and how many samples of the tables it holds."""
    best = (0, -1, False)
    for place, name in enumerate(sheet.header):
        found = len({cells[place] for _, cells in sheet.rows} & set(wanted))
        named = name.lower() in SAMPLE_HEADS
        # One sample per person: subject and sample may hold the same names.
        if (found, named) > (best[1], best[2]):
            best = (place, found, named)
    return best[0], best[1]


Columns = list[tuple[str, list[str]]]


def _upright(sheet: Sheet, place: int, account: Account) -> tuple[list[str], Columns]:
    names = [cells[place] for _, cells in sheet.rows]
    for number, cells in sheet.rows:
        if not cells[place]:
            raise fail(
                sheet.source, number,
                f"no sample in column {shown(sheet.header[place])}; expected its name; give one or"
                " take the row out",
            )  # fmt: skip
    columns = [
        (name, [cells[i] for _, cells in sheet.rows])
        for i, name in enumerate(sheet.header)
        if i != place
    ]
    return names, _named(sheet.source, columns, account)


def _turned(sheet: Sheet, account: Account) -> tuple[list[str], Columns]:
    names = list(sheet.header[1:])
    columns = [(cells[0], list(cells[1:])) for _, cells in sheet.rows]
    return names, _named(sheet.source, columns, account)


def _named(source: str, columns: Columns, account: Account) -> Columns:
    """Columns with their final names; empty and repeated ones left out and said."""
    result: dict[str, list[str]] = {}
    lower = [name.lower() for name, _ in columns]
    for number, (name, cells) in enumerate(columns, start=1):
        if not name:
            if any(cells):
                account.left_out(
                    f"metadata column {number}", "it has no name; give it one in the header"
                )
            continue
        if name.lower() in ROLES and lower.count(name.lower()) == 1 and name not in ROLES:
            taken = f"taken as {name.lower()!r}"
            item = f"metadata column {name}"
            account.entries.append(Entry(account.analysis, item, DONE, len(cells), None, taken))
            name = name.lower()
        if name in result:
            if result[name] != cells:
                raise CohortError(
                    f"{source}, header: column {shown(name)} stands twice with different values;"
                    " expected each name once; rename or take out one of them"
                )
            account.partly(f"metadata column {name}", "stands twice alike; kept once", len(cells))
        result[name] = cells
    return list(result.items())


def _rows_by_sample(
    source: str, names: Sequence[str], columns: Columns, wanted: Collection[str], account: Account
) -> dict[str, dict[str, str]]:
    rows: dict[str, dict[str, str]] = {}
    repeated = 0
    for place, sample in enumerate(names):
        if sample not in wanted:
            continue
        row = {name: cells[place] for name, cells in columns}
        if sample in rows and rows[sample] != row:
            column = next(name for name in row if rows[sample][name] != row[name])
            raise CohortError(
                f"{source}, sample {shown(sample)}: stands twice, with {column}"
                f" {shown(rows[sample][column])} and {shown(row[column])}; expected one row per"
                " sample; take out or rename one of them"
            )
        repeated += sample in rows
        rows[sample] = row
    if repeated:
        account.partly("metadata", f"{repeated} rows stand twice alike; kept once", len(rows))
    order = [name for name, _ in columns]
    return {sample: {name: row[name] for name in order} for sample, row in rows.items()}


def _complete(
    source: str, samples: Sequence[str], named: Collection[str], rows: dict[str, dict[str, str]],
    account: Account,
) -> Metadata:  # fmt: skip
    order = list(next(iter(rows.values()))) if rows else []
    columns = {
        name: column_of(name, [rows[s][name] if s in rows else "" for s in samples], account)
        for name in order
    }
    extra = sorted(set(named) - set(samples) - {""})
    if extra:
        account.left_out(
            "samples without features",
            f"{len(extra)} samples of the metadata are in no table: {_some(extra)}", len(extra),
        )  # fmt: skip
    bare = [sample for sample in samples if sample not in rows]
    if bare:
        account.partly(
            "samples without metadata",
            f"{len(bare)} samples of the tables are not in the metadata: {_some(bare)}; every"
            " column is missing for them",
            len(bare),
        )
    account.done("metadata", len(rows), _subjects(columns))
    # Its name alone: accounts say it, and they name no folder of anybody.
    return Metadata(tuple(samples), columns, Path(source).name)


def _subjects(columns: dict[str, Column]) -> int | None:
    return len(columns["subject"].levels) if "subject" in columns else None


def column_of(name: str, cells: Sequence[str], account: Account | None = None) -> Column:
    """A column from its cells; numbers where every known cell is one."""
    wrong = sum(cell.strip().lower() in SPREADSHEET_ERRORS for cell in cells)
    if wrong and account is not None:
        account.partly(
            f"metadata column {name}",
            f"{wrong} cells hold an error of a spreadsheet (as #N/A); taken as missing",
            len(cells) - wrong,
        )
    values = tuple(
        None if is_missing(cell) or cell.strip().lower() in SPREADSHEET_ERRORS else cell.strip()
        for cell in cells
    )
    numbers = [math.nan if value is None else plain_number(value) for value in values]
    if all(value is None for value in values) or any(number is None for number in numbers):
        return Column(name, values, None)
    return Column(name, values, np.array(numbers, float))
