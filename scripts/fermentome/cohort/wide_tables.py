"""Wide tables: numbers with samples as columns or as rows, of any tool."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fermentome.cohort.data import Numbers
from fermentome.cohort.long_tables import KINDS
from fermentome.cohort.ranks import is_lineage
from fermentome.cohort.sample_metadata import SAMPLE_HEADS
from fermentome.cohort.text_tables import AnyPath, amounts, duplicate, fail, open_table, shown
from fermentome.errors import CohortError

_FEATURE_HEADS = frozenset(
    {"taxon", "taxa", "species", "genus", "family", "families", "pathway", "pathways", "product",
     "clade_name", "clade", "lineage", "taxonomy", "gene family", "function", "otu id", "otu_id",
     "otu", "asv", "feature", "feature_id", "feature id", "featureid", "ko", "ec", "gene"}
)  # fmt: skip
_BESIDE = frozenset(
    {"ncbi_tax_id", "clade_taxid", "taxid", "tax_id", "additional_species", "description",
     "taxonomy", "lineage", "rank", "confidence"}
)  # fmt: skip
"""Columns that stand beside the samples in tables of features by samples, in lower case."""
_SAMPLE_SUFFIXES = (
    "_Abundance-RPKs", "_Abundance-RPK", "_Abundance-CPM", "_Abundance-RELAB", "_Abundance",
    "_metaphlan_bugs_list", "_taxonomic_profile", "_metaphlan",
)  # fmt: skip
"""What HUMAnN and MetaPhlAn add to the names of samples."""


@dataclass(frozen=True, slots=True)
class WideTable:
    """A table of numbers with names of rows and columns.

    Attributes
    ----------
    head
        First cell of the header.
    lineages
        Of the rows, from a column beside the numbers; empty without one.
    """

    source: str
    head: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: Numbers
    lineages: tuple[str, ...] = ()


def read_wide(path: AnyPath, name: str) -> WideTable:
    """Names and numbers of a wide table.

    Parameters
    ----------
    name
        One of `fermentome.cohort.data.TABLES`: what it is given as.

    Raises
    ------
    CohortError
        If a name is missing or stands twice, or a cell is no amount.
    """
    table = open_table(path)
    source, header = table.source, table.header
    head = header[0].lower()
    others = {kind.identifier for key, kind in KINDS.items() if key != name}
    if head in others and head != "family":
        raise fail(
            source, "header",
            f"the first column is {shown(header[0])}, but the table is given as {name}; expected"
            f" {KINDS[name].identifier!r}; give it as what it is",
        )  # fmt: skip
    beside = [i for i, text in enumerate(header) if i and text.lower() in _BESIDE]
    taxonomy = next((i for i in beside if header[i].lower() in {"taxonomy", "lineage"}), None)
    kept = [i for i in range(1, len(header)) if i not in beside]
    columns = tuple(header[i] for i in kept)
    if not columns:
        raise fail(source, "header", "no column of values; expected at least one")
    if "" in columns:
        raise fail(
            source, "header",
            f"column {kept[columns.index('')] + 1} has no name; expected one; name it or take it"
            " out",
        )  # fmt: skip
    if (twice := duplicate(columns)) is not None:
        raise fail(
            source, "header",
            f"column {shown(twice)} stands twice; expected each name once; rename or take out one"
            " of them",
        )  # fmt: skip
    names, lineages, values = [], [], []
    lines: dict[str, int] = {}
    for number, cells in table.rows:
        label = cells[0].strip()
        if not label:
            raise fail(source, number, "the first cell is empty; expected a name; give it one")
        if label in lines:
            raise fail(
                source, number,
                f"{shown(label)} stands twice (first in line {lines[label]}); expected each name"
                " once; take out or rename one of them",
            )  # fmt: skip
        lines[label] = number
        names.append(label)
        if taxonomy is not None:
            lineages.append(cells[taxonomy].strip())
        numeric = [cells[i] for i in kept] if beside else cells[1:]
        values.append(amounts(source, number, numeric, columns))
    if not names:
        raise CohortError(f"{source}: a header without rows; expected samples and features")
    return WideTable(source, head, tuple(names), columns, np.array(values), tuple(lineages))


def with_samples_in_columns(table: WideTable, samples: Collection[str]) -> WideTable:
    """The table with features as rows, sorted, turned if it has them as columns.

    Raises
    ------
    CohortError
        If nothing says which way round it is.
    """
    turned = table if _has_features_in_rows(table, samples) else _turned(table)
    order = sorted(range(len(turned.rows)), key=lambda i: turned.rows[i])
    return replace(
        turned, rows=tuple(turned.rows[i] for i in order), values=turned.values[order],
        lineages=tuple(turned.lineages[i] for i in order if turned.lineages),
    )  # fmt: skip


def _has_features_in_rows(table: WideTable, samples: Collection[str]) -> bool:
    if table.lineages:
        return True
    across = sum(name in samples for name in table.columns)
    down = sum(name in samples for name in table.rows)
    if across != down:
        return across > down
    if table.head in _FEATURE_HEADS:
        return True
    in_rows = sum(map(is_lineage, table.rows)) / len(table.rows)
    in_columns = sum(map(is_lineage, table.columns)) / len(table.columns)
    if in_rows != in_columns:
        return in_rows > in_columns
    if table.head in SAMPLE_HEADS:
        return False
    raise fail(
        table.source, "header",
        f"cannot tell whether samples are rows ({first_names(table.rows)}) or columns"
        f" ({first_names(table.columns)}); none of them is in the metadata; call the first column"
        " 'sample' if rows are samples, 'feature' if rows are features",
    )  # fmt: skip


def first_names(names: Sequence[str]) -> str:
    """First two names, for messages."""
    return ", ".join(shown(name, 30) for name in names[:2])


def _turned(table: WideTable) -> WideTable:
    values = np.ascontiguousarray(table.values.T)
    return WideTable(table.source, table.head, table.columns, table.rows, values)


def sample_names(table: WideTable) -> tuple[str, ...]:
    """Samples without what HUMAnN and MetaPhlAn add to their names.

    Names stay as they are unless all of them end alike and are still different without the end.
    """
    for suffix in _SAMPLE_SUFFIXES:
        if all(name.endswith(suffix) and name != suffix for name in table.columns):
            names = tuple(name.removesuffix(suffix) for name in table.columns)
            break
    else:
        return table.columns
    return names if duplicate(names) is None else table.columns
