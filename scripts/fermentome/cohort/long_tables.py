"""The project's long tables: one row per sample and feature, turned into arrays."""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fermentome.cohort.data import FAMILIES, PATHWAYS, PRODUCTS, TAXA, Numbers
from fermentome.cohort.text_tables import AnyPath, amount, fail, open_table, shown

Codes = npt.NDArray[np.int64]
Wanted = npt.NDArray[np.bool_]

COPIES, TABLE_VALUE, SHARE = "copies_per_genome", "table_value", "relative_abundance"


@dataclass(frozen=True, slots=True)
class Kind:
    """How a long table of ours names its feature and its value."""

    identifier: str
    value: str


KINDS: Mapping[str, Kind] = {
    TAXA: Kind("taxon", SHARE),
    FAMILIES: Kind("family", COPIES),
    PATHWAYS: Kind("pathway", COPIES),
    PRODUCTS: Kind("product", COPIES),
}


def kind_of(header: Collection[str]) -> str | None:
    """Which of our long tables a header is of; ``None`` if of none.

    >>> kind_of(("sample", "pathway", "taxon", "product", "copies_per_genome"))
    'pathways'
    """
    if "sample" not in header:
        return None
    if "taxon" in header and SHARE in header:
        return TAXA
    if COPIES in header or TABLE_VALUE in header:
        for name in (FAMILIES, PATHWAYS, PRODUCTS):
            if KINDS[name].identifier in header:
                return name
    return None


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of text: for each row the place of its name."""

    names: tuple[str, ...]
    codes: Codes

    def rows_of(self, name: str) -> Wanted:
        """Which rows hold a name."""
        place = self.names.index(name) if name in self.names else -1
        return np.asarray(self.codes == place)


@dataclass(frozen=True, slots=True)
class LongTable:
    """Columns of a long table.

    Attributes
    ----------
    lines
        Line number of each row, for messages.
    text, numbers
        By column; only columns that were asked for and are there.
    """

    source: str
    lines: Codes
    text: Mapping[str, Coded]
    numbers: Mapping[str, Numbers]

    @property
    def samples(self) -> tuple[str, ...]:
        """Sorted."""
        return tuple(sorted(self.text["sample"].names))


def read_long(path: AnyPath, text: Sequence[str], numbers: Sequence[str]) -> LongTable:
    """Columns of a long table, those that it has; ``sample`` must be among them.

    Raises
    ------
    CohortError
        If the file is no table, a row names no sample, or a number is negative, infinite or text.
    """
    table = open_table(path)
    if "sample" not in table.header:
        raise fail(
            table.source, "header",
            f"column 'sample' is missing; found {', '.join(table.header)[:200]}; expected a long"
            " table with one row per sample and feature; give one",
        )  # fmt: skip
    for name in (*text, *numbers):
        if table.header.count(name) > 1:
            raise fail(
                table.source, "header",
                f"column {shown(name)} stands twice; expected each name once; take out one",
            )  # fmt: skip
    places = {name: table.header.index(name) for name in text if name in table.header}
    numeric = {name: table.header.index(name) for name in numbers if name in table.header}
    known: dict[str, dict[str, int]] = {name: {} for name in places}
    codes = {name: array("l") for name in places}
    values = {name: array("d") for name in numeric}
    lines = array("l")
    for number, cells in table.rows:
        lines.append(number)
        for name, place in places.items():
            seen = known[name]
            codes[name].append(seen.setdefault(cells[place].strip(), len(seen)))
        for name, place in numeric.items():
            cell = cells[place]
            values[name].append(
                math.nan if cell == "NA" else amount(table.source, number, cell, name)
            )
    if "" in known["sample"]:
        row = codes["sample"].index(known["sample"][""])
        raise fail(table.source, lines[row], "no sample in the row; expected its name; give it")
    return LongTable(
        table.source,
        np.array(lines, np.int64),
        {name: Coded(tuple(known[name]), np.array(codes[name], np.int64)) for name in places},
        {name: np.array(values[name], float) for name in numeric},
    )


@dataclass(frozen=True, slots=True)
class Grid:
    """Places of the rows of a long table in a table of samples by features.

    Attributes
    ----------
    rows
        Which rows of the long table are placed.
    at
        Indices of sample and feature of each of them.
    fill
        Of each sample what a feature without a row is: 0 where some value is known, NaN where
        the sample failed.
    """

    samples: tuple[str, ...]
    features: tuple[str, ...]
    rows: Wanted
    at: tuple[Codes, Codes]
    fill: Numbers

    def spread(self, values: Numbers, *, filled: bool) -> Numbers:
        """Values of the long table as samples by features; without a row `fill`, else NaN."""
        shape = (len(self.samples), len(self.features))
        result = (
            np.repeat(self.fill[:, None], shape[1], axis=1) if filled else np.full(shape, np.nan)
        )
        result[self.at] = values[self.rows]
        return result


def place(table: LongTable, identifier: str, value: str, rows: Wanted) -> Grid:
    """Places of some rows of a long table.

    Raises
    ------
    CohortError
        If a sample holds a feature twice.
    """
    sample, feature = table.text["sample"], table.text[identifier]
    names = table.samples
    features = tuple(sorted(feature.names[i] for i in np.unique(feature.codes[rows])))
    at_sample, at_feature = _order(sample.names, names), _order(feature.names, features)
    first, second = at_sample[sample.codes[rows]], at_feature[feature.codes[rows]]
    keys = first * max(1, len(features)) + second
    _, where, counts = np.unique(keys, return_index=True, return_counts=True)
    if (counts > 1).any():
        twice = int(where[np.argmax(counts > 1)])
        at = np.flatnonzero(rows)
        again = int(table.lines[at[np.flatnonzero(keys == keys[twice])[1]]])
        raise fail(
            table.source, again,
            f"{identifier} {shown(features[second[twice]])} of sample"
            f" {shown(names[first[twice]])} stands twice (first in line"
            f" {int(table.lines[at[twice]])}); expected one row; take one of them out",
        )  # fmt: skip
    known = ~np.isnan(table.numbers[value])
    looked_at = np.zeros(len(names), bool)
    looked_at[at_sample[sample.codes[known & rows]]] = True
    return Grid(names, features, rows, (first, second), np.where(looked_at, 0.0, np.nan))


def _order(names: Sequence[str], wanted: Sequence[str]) -> Codes:
    """For each name its place among the wanted ones, -1 where it is not wanted."""
    place_of = {name: i for i, name in enumerate(wanted)}
    return np.array([place_of.get(name, -1) for name in names], np.int64)
