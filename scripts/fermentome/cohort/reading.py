"""Read feature tables and metadata, our own and those of other tools, into one `Cohort`.

Feature tables are

- the long tables of ``results/tables`` (``taxa.tsv``, ``families.tsv``, ``pathways.tsv``,
  ``products.tsv``) and those of ``fermentome table``, and their ``.wide.tsv``;
- tables of samples by features, or features by samples, as TSV, plain or gzip-compressed: merged
  profiles of MetaPhlAn, tables of HUMAnN, PICRUSt2 and QIIME, or anyone's own. Which way round is
  told by the names of the metadata, then by lineages, then by the first header cell.

Taxa are brought to one rank and closed to 1 over what is known; see `fermentome.cohort.ranks`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fermentome.cohort.carriers import carriers_of, organism_potential, read_organisms, route_limits
from fermentome.cohort.data import (
    CARRIERS,
    FAMILIES,
    ORGANISMS,
    PATHWAYS,
    PRODUCTS,
    TAXA,
    Account,
    Cohort,
    Column,
    FeatureTable,
    Metadata,
    Numbers,
)
from fermentome.cohort.long_tables import (
    COPIES,
    KINDS,
    SHARE,
    TABLE_VALUE,
    Coded,
    LongTable,
    kind_of,
    place,
    read_long,
)
from fermentome.cohort.ranks import RankedTable, at_rank
from fermentome.cohort.sample_metadata import Sheet, read_metadata, read_sheet
from fermentome.cohort.text_tables import AnyPath, open_table
from fermentome.cohort.wide_tables import (
    WideTable,
    first_names,
    read_wide,
    sample_names,
    with_samples_in_columns,
)
from fermentome.errors import CohortError
from fermentome.evidence import COMMUNITY
from fermentome.lineage import RANKS

UNCLASSIFIED_SHARE = "unclassified_share"
"""Column of the metadata: share of a sample that has no name at the rank of the taxa."""

SHARES, COPIES_UNIT, SOURCE_UNIT = "relative abundance", "copies per genome", "units of the source"
"""Units of tables."""
NO_SHARES = frozenset({COPIES_UNIT, SOURCE_UNIT})

_NO_FEATURES = frozenset({"UNMAPPED", "UNINTEGRATED", "UNGROUPED", "READS_UNMAPPED"})
"""Rows of HUMAnN that are no feature."""


def load_cohort(
    tables: Mapping[str, AnyPath],
    metadata: AnyPath | None,
    account: Account,
    *,
    phenotypes: AnyPath | None = None,
    rank: str = "species",
    reads: AnyPath | None = None,
    units: Mapping[str, str] | None = None,
) -> Cohort:
    """Read the tables of a cohort.

    The samples are those of the tables. A table without a sample holds NaN for it.

    Parameters
    ----------
    tables
        Path by table: ``taxa``, ``families``, ``pathways``, ``products``.
    metadata
        TSV with samples as rows or columns, as ``results/tables/reads.tsv``; ``None``: nothing is
        known of the samples.
    account
        Told what was read, dropped and missed.
    phenotypes
        ``results/databases/phenotypes.tsv``: routes of genomes, for the potential by organisms.
    rank
        Rank of the taxa.
    reads
        Counts of reads beside metadata that lack them, as ``results/tables/reads.tsv``; columns
        that the metadata have stand.
    units
        Unit of other tools' tables of functions by table: ``copies per genome`` for tables that
        are no shares of a whole and stay as they are. Others are closed to 1.

    Raises
    ------
    CohortError
        If a file is not what it should be; see the message.
    """
    _check_arguments(tables, rank)
    sheet = None if metadata is None else read_sheet(metadata)
    counts = None if reads is None else read_sheet(reads)
    hints = frozenset().union(*(s.possible_samples() for s in (sheet, counts) if s is not None))
    found: dict[str, FeatureTable] = {}
    shares: Mapping[str, float] = {}
    wide: dict[str, WideTable] = {}
    for name in _order(tables):
        header = open_table(tables[name]).header
        kind = kind_of(header)
        if kind is None:
            wide[name] = read_wide(tables[name], name)
        elif kind != name:
            raise CohortError(
                f"{tables[name]}, header: is a table of {kind}, given as {name}; expected the"
                f" column {KINDS[name].identifier!r}; give it as {kind}"
            )
        elif name == TAXA:
            found[name], shares = _long_taxa(tables[name], rank, account)
        else:
            found[name] = _long_functions(tables[name], name, account)
    hints |= {sample for table in found.values() for sample in table.samples}
    for name, raw in wide.items():
        turned = with_samples_in_columns(raw, hints)
        if name == TAXA:
            found[name], shares = _wide_taxa(turned, rank, account)
        else:
            found[name] = _wide_functions(turned, name, (units or {}).get(name), account)
    if PATHWAYS in found and PATHWAYS not in wide:
        carriers = carriers_of(tables[PATHWAYS])
        if carriers is None:
            account.left_out(
                CARRIERS, "the table of pathways names no taxa; those of the workflow do"
            )
        else:
            found[CARRIERS] = carriers
    if PRODUCTS in found and PATHWAYS in found and PATHWAYS not in wide:
        found[PRODUCTS] = _with_limits(found[PRODUCTS], tables[PATHWAYS])
    samples = tuple(sorted({s for table in found.values() for s in table.samples}))
    if not samples:
        raise CohortError(
            f"{', '.join(str(tables[name]) for name in _order(tables))}: no sample in any table;"
            " expected rows of at least one sample"
        )
    complete = {name: _extended(found[name], samples) for name in _order(found)}
    known = _metadata(sheet, counts, samples, account)
    if TAXA in complete:
        known = _with_column(
            known, UNCLASSIFIED_SHARE, [shares.get(sample, np.nan) for sample in samples]
        )
    cohort = Cohort(known, complete)
    if phenotypes is not None:
        cohort = _with_organisms(cohort, phenotypes, account)
    _say_what_there_is(cohort, account)
    return cohort


def _order(names: Collection[str]) -> list[str]:
    """Names of tables, always in the same order."""
    known = (TAXA, FAMILIES, PATHWAYS, PRODUCTS, CARRIERS, ORGANISMS)
    return [name for name in known if name in names]


def _check_arguments(tables: Mapping[str, AnyPath], rank: str) -> None:
    for name in tables:
        if name not in KINDS:
            raise CohortError(
                f"tables: {name!r} is no feature table; expected one of {', '.join(KINDS)}"
            )
    if not tables:
        raise CohortError(f"tables: none is given; give at least one of {', '.join(KINDS)}")
    if rank not in RANKS:
        raise CohortError(f"rank: {rank!r} is no rank; expected one of {', '.join(RANKS)}")


# --- long tables ----------------------------------------------------------------------------------


def _long_taxa(
    path: AnyPath, rank: str, account: Account
) -> tuple[FeatureTable, Mapping[str, float]]:
    table = read_long(path, ("sample", "taxon", "lineage"), (SHARE, "reads"))
    names = _taxon_keys(table)
    table = replace(table, text={**table.text, "key": names})
    grid = place(table, "key", SHARE, np.ones(len(table.lines), bool))
    values = at_rank(grid.features, grid.spread(table.numbers[SHARE], filled=True).T, rank)
    counts = None
    if "reads" in table.numbers:
        spread = grid.spread(table.numbers["reads"], filled=True)
        counts = at_rank(grid.features, spread.T, rank).values.T
    return _taxa(table.source, grid.samples, values, counts, account)


def _taxon_keys(table: LongTable) -> Coded:
    """Lineage of each row, the taxon where it has none."""
    taxon = table.text["taxon"]
    lineage = table.text.get("lineage")
    if lineage is None:
        return taxon
    known: dict[str, int] = {}
    pairs: dict[tuple[int, int], int] = {}
    codes = np.empty(len(taxon.codes), np.int64)
    for row, pair in enumerate(zip(taxon.codes.tolist(), lineage.codes.tolist(), strict=True)):
        if pair not in pairs:
            text = lineage.names[pair[1]]
            text = taxon.names[pair[0]] if text in {"", "NA"} else text
            pairs[pair] = known.setdefault(text, len(known))
        codes[row] = pairs[pair]
    return Coded(tuple(known), codes)


def _long_functions(path: AnyPath, name: str, account: Account) -> FeatureTable:
    identifier = KINDS[name].identifier
    table = read_long(
        path, ("sample", identifier, "taxon", "direction", "table_unit"),
        (COPIES, TABLE_VALUE, "ci_low", "ci_high", "detection_limit", "fragments"),
    )  # fmt: skip
    rows = np.ones(len(table.lines), bool)
    if "taxon" in table.text:
        rows &= table.text["taxon"].rows_of(COMMUNITY)
    if name == PRODUCTS and "direction" in table.text:
        rows &= table.text["direction"].rows_of("formation")
    value, unit = COPIES, COPIES_UNIT
    copies = table.numbers.get(COPIES)
    if TABLE_VALUE in table.numbers and (copies is None or np.isnan(copies[rows]).all()):
        value, unit = (
            TABLE_VALUE,
            ", ".join(sorted(table.text["table_unit"].names) or [SOURCE_UNIT]),
        )
        account.partly(
            name,
            f"{Path(table.source).name} holds no copies per genome; its values in {unit} are taken"
            " instead",
            None,
        )
    grid = place(table, identifier, value, rows)

    def part(column: str, *, filled: bool = False) -> Numbers | None:
        if column not in table.numbers or value != COPIES:
            return None
        return grid.spread(table.numbers[column], filled=filled)

    return FeatureTable(
        name, grid.samples, grid.features, grid.spread(table.numbers[value], filled=True), unit,
        compositional=unit not in NO_SHARES, low=part("ci_low"), high=part("ci_high"),
        limits=part("detection_limit"), counts=part("fragments", filled=True),
    )  # fmt: skip


def _with_limits(products: FeatureTable, pathways: AnyPath) -> FeatureTable:
    """Products with the detection limits of their routes."""
    table = read_long(
        pathways, ("sample", "pathway", "taxon", "product", "direction"), ("detection_limit",)
    )
    known = route_limits(table)
    if not known:
        return products
    limits = [
        [known.get((sample, product), np.nan) for product in products.features]
        for sample in products.samples
    ]
    return replace(products, limits=np.array(limits))


# --- wide tables ----------------------------------------------------------------------------------


def _wide_taxa(
    table: WideTable, rank: str, account: Account
) -> tuple[FeatureTable, Mapping[str, float]]:
    texts = table.lineages or table.rows
    ranked = at_rank(texts, table.values, rank, parts=bool(table.lineages))
    samples = sample_names(table)
    order = np.argsort(np.array(samples, object))
    ranked = replace(
        ranked, values=ranked.values[:, order], total=ranked.total[order], rest=ranked.rest[order]
    )
    kind = _scale(ranked)
    names = tuple(samples[i] for i in order)
    counts = ranked.values.T.copy() if kind == "counts" else None
    # Where the columns are percent or shares, what no row names is part of the whole.
    whole = {"percent": 100.0, "shares": 1.0}.get(kind)
    if whole is not None:
        looked_at = ~np.isnan(table.values[:, order]).all(axis=0)
        short = np.maximum(whole - ranked.total - np.nan_to_num(ranked.rest), 0.0)
        rest = np.where(looked_at, np.nan_to_num(ranked.rest) + short, np.nan)
        ranked = replace(ranked, rest=rest)
    if kind == "other":
        account.partly(
            TAXA,
            f"{Path(table.source).name}: columns add up to neither 1, 100 nor whole numbers;"
            " closed to 1",
            len(names),
        )
    return _taxa(table.source, names, ranked, counts, account)


def _scale(table: RankedTable) -> str:
    """What the numbers of a profile are: ``shares``, ``percent``, ``counts`` or ``other``.

    Shares add up to 1 at most and percentages to 100, with 1 % for rounding. A profile in percent
    of which no sample reaches 20 % is not told from other units.
    """
    totals = table.total + np.nan_to_num(table.rest)
    most = float(totals.max()) if totals.size else 0.0
    if most <= 1.01:
        return "shares"
    known = table.values[~np.isnan(table.values)]
    whole = bool((known == np.floor(known)).all())
    if whole and not (np.abs(totals[totals > 0] - 100) <= 1).all():
        return "counts"
    return "percent" if 20 <= most <= 101 else "other"


def _taxa(
    source: str, samples: tuple[str, ...], ranked: RankedTable, counts: Numbers | None,
    account: Account,
) -> tuple[FeatureTable, Mapping[str, float]]:  # fmt: skip
    """Taxa closed to 1 over what is known, and the unclassified share of each sample."""
    amounts = ranked.values.T
    known = np.nansum(amounts, axis=1)
    whole = np.maximum(ranked.total + np.nan_to_num(ranked.rest), known)
    unknown = np.isnan(amounts).all(axis=1) if amounts.shape[1] else np.ones(len(samples), bool)
    nothing = (known <= 0) & ~unknown
    with np.errstate(invalid="ignore", divide="ignore"):
        closed = np.where(known[:, None] > 0, amounts / known[:, None], np.nan)
        rest = np.where(whole > 0, 1 - known / whole, np.nan)
    # Without a taxon at the rank the whole sample is unclassified, if it holds anything.
    rest = np.where(unknown & (whole <= 0), np.nan, np.maximum(rest, 0.0))
    rest[rest < 1e-9] = 0.0
    table = FeatureTable(
        TAXA, samples, ranked.names, closed, SHARES, compositional=True,
        lineages=ranked.lineages, counts=counts,
    )  # fmt: skip
    _say_ranks(source, ranked, account)
    if nothing.any():
        empty = [sample for sample, none in zip(samples, nothing, strict=True) if none]
        account.left_out(
            "taxa: samples of which nothing is classified",
            f"{first_names(empty)}: no {ranked.rank} is known, so the make-up is not known",
            len(empty),
        )
    return table, dict(zip(samples, rest.tolist(), strict=True))


def _say_ranks(source: str, ranked: RankedTable, account: Account) -> None:
    if ranked.dropped:
        rows = ", ".join(f"{count} of {name}" for name, count in sorted(ranked.dropped.items()))
        account.partly(
            "taxa: ranks",
            f"{source}: one rank is kept, {ranked.rank}; rows of other ranks are not features of"
            f" their own: {rows}",
            None,
        )
    if ranked.without:
        account.partly(
            "taxa: ranks",
            f"{source}: {len(ranked.without)} taxa above {ranked.rank} have no {ranked.rank} and"
            f" count as unclassified: {first_names(ranked.without)}",
            None,
        )
    if ranked.merged:
        account.partly(
            "taxa: names",
            f"{source}: {len(ranked.merged)} names stand in several lineages and are added up:"
            f" {first_names(ranked.merged)}",
            None,
        )


def _wide_functions(
    table: WideTable, name: str, unit: str | None, account: Account
) -> FeatureTable:
    own = unit is None and _is_own(table, name)
    names, values = _of_community(table, account)
    samples = sample_names(table)
    rows, columns = np.argsort(np.array(names, object)), np.argsort(np.array(samples, object))
    values = values[np.ix_(rows, columns)].T
    if own:
        unit = COPIES_UNIT
    elif unit is None:
        unit = SHARES
        totals = np.nansum(values, axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.where(totals > 0, values / totals, np.nan)
        account.partly(
            name,
            f"{Path(table.source).name}: each sample is closed to 1 over the features of the table",
            len(samples),
        )  # fmt: skip
    return FeatureTable(
        name, tuple(samples[i] for i in columns), tuple(names[i] for i in rows), values, unit,
        compositional=unit not in NO_SHARES,
    )  # fmt: skip


def _is_own(table: WideTable, name: str) -> bool:
    """Whether a wide table is of our own workflow, in copies per genome.

    PICRUSt2 calls its first column ``pathway`` too, but names MetaCyc's pathways, with dashes.
    """
    if table.head != KINDS[name].identifier:
        return False
    return name != PATHWAYS or all(
        text.replace("_", "").isalnum() and text.isupper() and not text[:1].isdigit()
        for text in table.rows
    )


def _of_community(table: WideTable, account: Account) -> tuple[list[str], Numbers]:
    """Features of the whole community; strata of taxa are left out, or added up without it."""
    whole: dict[str, Numbers] = {}
    strata: dict[str, Numbers] = {}
    count = 0
    for text, values in zip(table.rows, table.values, strict=True):
        feature, bar, _ = text.partition("|")
        if feature.partition(":")[0].strip() in _NO_FEATURES:
            continue
        if bar:
            count += 1
            strata[feature] = strata[feature] + values if feature in strata else values
        else:
            whole[feature] = values
    added = sorted(set(strata) - set(whole))
    if count:
        account.partly(
            "functions by taxon",
            f"{Path(table.source).name}: {count} rows of single taxa are not features of their own;"
            f" {len(added)} features stood only by taxon and are added up",
            None,
        )
    for feature in added:
        whole[feature] = strata[feature]
    if not whole:
        raise CohortError(f"{table.source}: no row of a feature; expected families or pathways")
    return list(whole), np.array(list(whole.values()))


# --- the cohort -----------------------------------------------------------------------------------


def _extended(table: FeatureTable, samples: Sequence[str]) -> FeatureTable:
    """The table for all samples; NaN where it has none of them."""
    if table.samples == tuple(samples):
        return table
    row = {name: i for i, name in enumerate(table.samples)}
    at = np.array([row.get(name, -1) for name in samples], np.int64)

    there = at >= 0

    def spread(values: Numbers) -> Numbers:
        result = np.full((len(samples), len(table.features)), np.nan)
        result[there] = values[at[there]]
        return result

    def part(values: Numbers | None) -> Numbers | None:
        return None if values is None else spread(values)

    return replace(
        table, samples=tuple(samples), values=spread(table.values), low=part(table.low),
        high=part(table.high), limits=part(table.limits), counts=part(table.counts),
    )  # fmt: skip


def _metadata(
    sheet: Sheet | None, counts: Sheet | None, samples: tuple[str, ...], account: Account
) -> Metadata:
    if sheet is None and counts is None:
        account.left_out("metadata", "none is given; groups, people and times need a table")
        return Metadata(samples, {})
    parts = [read_metadata(s, samples, account) for s in (sheet, counts) if s is not None]
    columns = {name: column for part in reversed(parts) for name, column in part.columns.items()}
    order = [name for part in parts for name in part.columns]
    return Metadata(samples, {name: columns[name] for name in order}, parts[0].source)


def _with_column(metadata: Metadata, name: str, values: Sequence[float]) -> Metadata:
    numbers = np.array(values, float)
    text = tuple(None if np.isnan(value) else f"{value:.6g}" for value in numbers)
    column = Column(name, text, None if np.isnan(numbers).all() else numbers)
    return replace(metadata, columns={**metadata.columns, name: column})


def _with_organisms(cohort: Cohort, phenotypes: AnyPath, account: Account) -> Cohort:
    if TAXA not in cohort.tables:
        account.left_out(ORGANISMS, "there is no table of taxa; give one beside the phenotypes")
        return cohort
    potential = organism_potential(cohort.tables[TAXA], read_organisms(phenotypes), account)
    tables = {**cohort.tables, ORGANISMS: potential.products}
    tables.setdefault(CARRIERS, potential.carriers)
    metadata = cohort.metadata
    for name, values in potential.served.items():
        metadata = _with_column(metadata, name, values.tolist())
    return Cohort(metadata, {name: tables[name] for name in _order(tables)})


def _say_what_there_is(cohort: Cohort, account: Account) -> None:
    for name, table in cohort.tables.items():
        known = len(table.known_samples())
        if known == len(table.samples):
            account.done(name, known)
        else:
            account.partly(
                name, f"{len(table.samples) - known} samples have no known value in it", known
            )
