"""Join the tables of all samples into one per feature, in the formats that others read.

Every feature table exists as a long TSV (one row per sample and feature, all columns), a wide
TSV (features by samples, one value), Parquet (the long table, typed) and BIOM 2.1 (the wide
table). In wide tables 0 is zero, an empty cell is an empty sample (it has no row in the long
table), and NA is a sample that failed or a value that could not be estimated. BIOM has no word
for either, see `write_biom`.
"""

import datetime
import json
import math
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import biom
import h5py
import numpy as np
import pyarrow
import pyarrow.parquet

from fermentome.errors import RunFailedError, TableError
from fermentome.evidence import COMMUNITY
from fermentome.flow import (
    FAILED,
    STAGES,
    STATUS_COLUMNS,
    flow_row,
    read_flow,
    read_status_rows,
)
from fermentome.tables import Cell, format_cell, parse_number, read_table, write_table

NUMBER_COLUMNS = frozenset(
    {
        "relative_abundance",
        "sequence_abundance",
        "reads",
        "coverage",
        "ani",
        "fragments",
        "positions",
        "effective_length",
        "copies_per_genome",
        "ci_low",
        "ci_high",
        "completeness",
        "detection_limit",
        "marker_fragments",
        "marker_positions",
        "ambiguous_share",
        "no_lineage_share",
        "no_phenotype_share",
        "unclassified_share",
        "classified_share",
        "unclassified_cell_share",
        "species_total",
        "species_missing_phenotype",
        "missing_phenotype_cell_share",
        "missing_phenotype_read_share",
        "species_open_phenotype",
        "open_phenotype_cell_share",
        "open_phenotype_read_share",
        "hit_share",
        "target_fragments",
        "no_lineage_fragments",
        "ambiguous_fragments",
        "empty_targets",
        "empty_decoys",
        "organism_copies",
        "organism_open",
        "raw_reads",
        "trimmed_reads",
        "host_reads",
        "clean_reads",
        "clean_pairs",
        "clean_single_reads",
        "clean_bases",
        "mean_clean_read_length",
    }
)
"""Columns that hold numbers; all others are text."""

# A fixed date: the same results give the same bytes.
BIOM_DATE = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Feature:
    """How a long table becomes a wide one.

    Attributes
    ----------
    name
        Of the files.
    identifier
        Column that names the feature.
    value
        Column of the wide table.
    community_only
        Whether only rows of the whole community go into the wide table.
    """

    name: str
    identifier: str
    value: str
    community_only: bool


TAXA = Feature("taxa", "taxon", "relative_abundance", community_only=False)
FAMILIES = Feature("families", "family", "copies_per_genome", community_only=True)
PATHWAYS = Feature("pathways", "pathway", "copies_per_genome", community_only=True)
PRODUCTS = Feature("products", "product", "copies_per_genome", community_only=False)
FEATURES = {feature.name: feature for feature in (TAXA, FAMILIES, PATHWAYS, PRODUCTS)}


def widen(
    rows: Iterable[Mapping[str, str]], feature: Feature, samples: Sequence[str]
) -> list[dict[str, str]]:
    """One row per feature, one column per sample.

    Parameters
    ----------
    rows
        Long table as text.
    samples
        All samples of the run; those without a row get empty cells.

    Returns
    -------
    list of dict
        Sorted by feature. A feature that a sample with rows lacks is 0 there: a species that
        was not found, as opposed to a sample that was not looked at.
    """
    values: dict[str, dict[str, str]] = {}
    present: dict[str, bool] = {}
    for row in rows:
        if feature.community_only and row["taxon"] != COMMUNITY:
            continue
        sample, value = row["sample"], row[feature.value]
        present[sample] = present.get(sample, False) or value != "NA"
        own = values.setdefault(row[feature.identifier], {})
        if sample in own:  # one name in two lineages
            value = format_cell(parse_number(own[sample]) + parse_number(value))
        own[sample] = value

    def fill(sample: str) -> str:
        return "" if sample not in present else "0" if present[sample] else "NA"

    return [
        {feature.identifier: name}
        | {sample: values[name].get(sample, fill(sample)) for sample in samples}
        for name in sorted(values)
    ]


def write_parquet(
    path: str | os.PathLike[str],
    columns: Sequence[str],
    rows: Sequence[Mapping[str, str]],
    text: Collection[str] = (),
) -> None:
    """Write a long table as Parquet; NA is null in columns of numbers.

    Parameters
    ----------
    text
        Columns that are text whatever their name.
    """
    arrays = {}
    for column in columns:
        cells = [row[column] for row in rows]
        if column in NUMBER_COLUMNS and column not in text:
            numbers = [None if math.isnan(n := parse_number(cell)) else n for cell in cells]
            arrays[column] = pyarrow.array(numbers, pyarrow.float64())
        else:
            arrays[column] = pyarrow.array(cells, pyarrow.string())
    pyarrow.parquet.write_table(pyarrow.table(arrays), path)


def write_biom(
    path: str | os.PathLike[str], wide: Sequence[Mapping[str, str]], feature: Feature
) -> None:
    """Write a wide table as BIOM 2.1 (HDF5).

    BIOM has no word for what is not known: features without a number in any sample are left out,
    then samples that still lack one.
    """
    samples = [name for name in (wide[0] if wide else {}) if name != feature.identifier]
    matrix = np.array([[parse_number(row[s]) for s in samples] for row in wide], float)
    matrix = matrix.reshape(len(wide), len(samples))
    served = ~np.isnan(matrix).all(axis=1)
    matrix = matrix[served]
    known = ~np.isnan(matrix).any(axis=0) & bool(served.any())
    names = [row[feature.identifier] for row in wide]
    table = biom.Table(
        matrix[:, known],
        [name for name, keep in zip(names, served, strict=True) if keep],
        [sample for sample, keep in zip(samples, known, strict=True) if keep],
        type="Table",
    )
    with h5py.File(path, "w") as handle:
        table.to_hdf5(handle, "fermentome", creation_date=BIOM_DATE)


def join_feature(
    name: str,
    samples: Sequence[str],
    tables: Sequence[str | os.PathLike[str]],
    outputs: Mapping[str, str | os.PathLike[str]],
) -> None:
    """Join the tables of one feature, from files to files.

    Parameters
    ----------
    name
        ``taxa``, ``families``, ``pathways`` or ``products``.
    samples
        All samples of the run, in the order of the columns.
    tables
        Long table of each sample.
    outputs
        Files to write: ``long``, ``wide``, ``parquet`` and ``biom``.
    """
    feature = FEATURES[name]
    columns = header_of(tables[0])
    rows = [row for table in tables for row in read_table(table, columns)]
    write_table(outputs["long"], columns, rows)
    wide = widen(rows, feature, samples)
    write_table(outputs["wide"], [feature.identifier, *samples], wide)
    write_parquet(outputs["parquet"], columns, rows)
    write_biom(outputs["biom"], wide, feature)


def header_of(path: str | os.PathLike[str]) -> list[str]:
    """Columns of a table.

    Raises
    ------
    TableError
        If the file is empty.
    """
    with Path(path).open(encoding="utf-8") as handle:
        header = handle.readline().rstrip("\n")
    if not header:
        raise TableError(f"{path}: the file is empty, a header line was expected")
    return header.split("\t")


def join_reads(
    flows: Iterable[str | os.PathLike[str]],
    attributes: Mapping[str, Mapping[str, str]],
    table_path: str | os.PathLike[str],
    parquet_path: str | os.PathLike[str],
) -> None:
    """Join the read counts of all samples with the metadata of the sample sheet.

    Parameters
    ----------
    flows
        Counts of each sample, see `fermentome.flow`.
    attributes
        Subject, timepoint, group and declared metadata by sample.
    """
    rows: list[dict[str, Cell]] = []
    for path in flows:
        row = flow_row(read_flow(path))
        rows.append(row | dict(attributes[str(row["sample"])]))
    rows.sort(key=lambda row: str(row["sample"]))
    columns = list(rows[0])
    write_table(table_path, columns, rows)
    write_parquet(
        parquet_path, columns, read_table(table_path), text=next(iter(attributes.values()))
    )


def join_unserved(
    tables: Sequence[str | os.PathLike[str]],
    table_path: str | os.PathLike[str],
    parquet_path: str | os.PathLike[str],
) -> None:
    """Join what the databases did not serve of all samples, from files to files.

    Parameters
    ----------
    tables
        Table of each sample, see `fermentome.unserved`.
    """
    columns = header_of(tables[0])
    rows = [row for table in tables for row in read_table(table, columns)]
    rows.sort(key=lambda row: row["sample"])
    write_table(table_path, columns, rows)
    write_parquet(parquet_path, columns, rows)


def samples_of_same_content(reports: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Other samples that hold a file with the content of one of a sample's files.

    Parameters
    ----------
    reports
        Ingest reports of all runs.

    Returns
    -------
    dict
        Sorted names by sample, for samples that share something.
    """
    holders: dict[str, set[str]] = {}
    for report in reports:
        for file in report["files"] if report["reads"] else ():
            holders.setdefault(file["sha256"], set()).add(report["sample"])
    shared: dict[str, set[str]] = {}
    for samples in holders.values():
        for sample in samples:
            shared.setdefault(sample, set()).update(samples - {sample})
    return {sample: sorted(others) for sample, others in shared.items() if others}


def collect_status(
    paths: Iterable[str | os.PathLike[str]],
    reports: Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
) -> None:
    """Write the ledger: one row per sample and stage.

    Parameters
    ----------
    paths
        Statuses of every sample and stage.
    reports
        Ingest reports of all runs; samples that share a file are told so in their first row.
    """
    rows = read_status_rows(paths)
    same = samples_of_same_content(json.loads(Path(r).read_text("utf-8")) for r in reports)
    for row in rows:
        if row["stage"] == STAGES[0] and row["sample"] in same:
            note = f"same reads as sample {', '.join(same[row['sample']])}"
            row["reason"] = "; ".join(filter(None, [row["reason"], note]))
    write_table(output, STATUS_COLUMNS, rows)


def check_outcome(status_path: str | os.PathLike[str], output: str | os.PathLike[str]) -> None:
    """Write a summary of the ledger; an error if a sample failed.

    Raises
    ------
    RunFailedError
        Naming each failed sample with its first cause. Everything else was made.
    """
    rows = read_table(status_path, STATUS_COLUMNS)
    causes: dict[str, str] = {}
    for row in rows:
        if row["status"] == FAILED:
            causes.setdefault(row["sample"], f"{row['stage']}: {row['reason']}")
    samples = len({row["sample"] for row in rows})
    if causes:
        lines = "\n".join(f"  {sample}: {cause}" for sample, cause in sorted(causes.items()))
        raise RunFailedError(
            f"{len(causes)} of {samples} samples failed; tables and figures of the others are"
            f" made, and {status_path} has every stage:\n{lines}"
        )
    marked: dict[str, int] = {}
    for row in rows:
        marked[row["status"]] = marked.get(row["status"], 0) + 1
    summary = ", ".join(f"{count} {status}" for status, count in sorted(marked.items()))
    Path(output).write_text(f"{samples} samples; stages: {summary}\n", encoding="utf-8")
