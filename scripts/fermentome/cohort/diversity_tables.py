"""All of diversity for a cohort: within samples, distances, ordination, tests; and its tables."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fermentome.cohort.closeness import LEAST_PEOPLE, Closeness, closeness
from fermentome.cohort.data import (
    SUBJECT,
    Account,
    Cohort,
    Column,
    FeatureTable,
    Metadata,
    Numbers,
    generator,
)
from fermentome.cohort.design import BATCH, COVARIATE, GROUP
from fermentome.cohort.diversity import ALPHA_COLUMNS, alpha_of
from fermentome.cohort.multiple_testing import adjust
from fermentome.cohort.ordination import (
    AXES_COLUMNS,
    METRICS,
    ORDINATION_COLUMNS,
    TREE_METRICS,
    axis_rows,
    comparable,
    coordinate_rows,
    distances,
    principal_coordinates,
)
from fermentome.cohort.permanova import WITHIN, Found, levels_test, numbers_test
from fermentome.cohort.settings import Settings
from fermentome.tables import Cell, format_cell, write_table

LEAST_OF_LEVEL = 2
"""Samples of a level: one alone has no spread that a difference could be held against."""
LEAST_NUMBERS = 3
SPREAD_DIFFERS = "spread differs"
"""How the note of a test begins to say that its p may be of spread and not of place."""
TERMS_COLUMNS = ("sample", "subject", "term", "kind", "value")
PERMANOVA_COLUMNS = (
    "table", "metric", "term", "kind", "levels", "samples", "subjects", "pseudo_f", "r2",
    "r2_by_chance", "p", "q", "permuted", "permutations", "least_p", "dispersion_f",
    "dispersion_p", "dispersion_q", "note",
)  # fmt: skip
DISPERSION_COLUMNS = (
    "table", "metric", "term", "level", "samples", "subjects", "mean_distance_to_centroid",
)  # fmt: skip
CLOSENESS_COLUMNS = (
    "table", "metric", "subjects", "samples", "median_within", "median_between", "probability",
    "ci_low", "ci_high", "p", "q", "permuted", "permutations", "note",
)  # fmt: skip
Rows = list[dict[str, Cell]]


@dataclass(frozen=True, slots=True)
class Term:
    """A column of the design."""

    name: str
    kind: str
    column: Column

    @property
    def numeric(self) -> bool:
        """Whether it is a number; groups and batches are levels even where they look like one."""
        return self.kind == COVARIATE and self.column.numbers is not None


@dataclass(slots=True)
class Diversity:
    """Rows of the tables, by column constants of the same name, and distances."""

    alpha: Rows = field(default_factory=list)
    terms: Rows = field(default_factory=list)
    ordination: Rows = field(default_factory=list)
    axes: Rows = field(default_factory=list)
    permanova: Rows = field(default_factory=list)
    dispersion: Rows = field(default_factory=list)
    closeness: Rows = field(default_factory=list)
    distances: dict[tuple[str, str], Numbers] = field(default_factory=dict)


def terms_of(metadata: Metadata, settings: Settings, account: Account) -> list[Term]:
    """Columns of the design that are there, each once, groups first."""
    declared = (
        [(name, GROUP) for name in settings.groups]
        + [(name, COVARIATE) for name in settings.covariates]
        + [(name, BATCH) for name in settings.batch]
    )
    kinds: dict[str, str] = {}
    for name, kind in declared:
        kinds.setdefault(name, kind)
    terms = []
    for name, kind in kinds.items():
        if name in metadata.columns:
            terms.append(Term(name, kind, metadata.columns[name]))
        else:
            found = ", ".join(metadata.columns) or "none"
            account.left_out(
                f"communities by {name}",
                f"{metadata.source} has no column {name!r}; its columns: {found}",
            )
    return terms


def subjects_of(metadata: Metadata) -> tuple[str, ...] | None:
    """Subject of each sample; `None` where there are none at all.

    Among samples with subjects one without is a person of its own, as in the other analyses.
    """
    return metadata.people if metadata.column(SUBJECT).levels else None


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Samples that a column is tested on, and what was left out."""

    rows: tuple[int, ...]
    notes: tuple[str, ...]
    reason: str = ""


def _choose(term: Term, known: Sequence[bool]) -> _Chosen:
    """Samples with a distance and a value."""
    values = term.column.values
    usable = [i for i, is_known in enumerate(known) if is_known and values[i] is not None]
    notes = []
    missing = sum(known) - len(usable)
    if missing:
        notes.append(f"{_some(missing, 'sample')} without a value left out")
    if term.numeric:
        distinct = {values[i] for i in usable}
        if len(usable) < LEAST_NUMBERS or len(distinct) < 2:
            return _Chosen((), (), f"{len(distinct)} different values in {len(usable)} samples")
        return _Chosen(tuple(usable), tuple(notes))
    counts: dict[str | None, int] = {}
    for i in usable:
        counts[values[i]] = counts.get(values[i], 0) + 1
    rare = sum(count < LEAST_OF_LEVEL for count in counts.values())
    if rare:
        notes.append(f"{_some(rare, 'level')} of one sample left out")
    usable = [i for i in usable if counts[values[i]] >= LEAST_OF_LEVEL]
    levels = len(counts) - rare
    if levels < 2:
        return _Chosen(
            (), (), f"{levels} levels of at least {LEAST_OF_LEVEL} samples; 2 are needed"
        )
    if len(usable) <= levels + 1:
        return _Chosen((), (), f"{len(usable)} samples for {levels} levels are too few")
    return _Chosen(tuple(usable), tuple(notes))


def _notes(found: Found, term: Term, levels: Sequence[str], settings: Settings) -> list[str]:
    """What a reader of a test must know."""
    notes = []
    if found.scheme.name == WITHIN:
        notes.append(
            f"tests change within the {found.scheme.informative} subjects in whom"
            f" {term.name} varies, not differences between people"
        )
    if 1 / found.scheme.distinct > settings.fdr:
        notes.append("too few samples or subjects for a p-value below the rate asked for")
    elif found.scheme.least_p(settings.permutations) > settings.fdr:
        notes.append("too few permutations for a p-value below the rate asked for")
    if found.dispersion_p <= settings.fdr and levels:
        order = np.argsort(found.spreads)
        narrow, wide = int(order[0]), int(order[-1])
        notes.append(
            f"{SPREAD_DIFFERS} ({levels[wide]} {found.spreads[wide]:.3g}, {levels[narrow]}"
            f" {found.spreads[narrow]:.3g}): p may be of spread, not of place"
        )
    return notes


def _some(number: int, what: str) -> str:
    """Number and noun, as ``1 sample`` and ``2 samples``."""
    return f"{number} {what}" + ("s" if number != 1 else "")


def _count(subjects: Sequence[str] | None, rows: Sequence[int]) -> int | None:
    return None if subjects is None else len({subjects[i] for i in rows})


def _test(
    table: str, metric: str, term: Term, matrix: Numbers, metadata: Metadata, settings: Settings
) -> tuple[Rows, Rows, str]:
    """Row of PERMANOVA, rows of dispersion, and why there are none."""
    subjects = subjects_of(metadata)
    known = [bool(cell) for cell in ~np.isnan(np.diag(matrix))]
    chosen = _choose(term, known)
    if chosen.reason:
        return [], [], chosen.reason
    rows = list(chosen.rows)
    square = matrix[np.ix_(rows, rows)]
    own = None if subjects is None else [subjects[i] for i in rows]
    values = [term.column.values[i] or "" for i in rows]
    own_generator = generator(settings.seed, "permanova", table, metric, term.name)
    if term.numeric and term.column.numbers is not None:
        found = numbers_test(
            square, term.column.numbers[rows], own, settings.permutations, own_generator
        )
        levels: list[str] = []
    else:
        found = levels_test(square, values, own, settings.permutations, own_generator)
        levels = sorted(set(values))
    notes = [*chosen.notes, *_notes(found, term, levels, settings)]
    test: dict[str, Cell] = {
        "table": table, "metric": metric, "term": term.name, "kind": term.kind,
        "levels": len(levels) or None, "samples": len(rows), "subjects": _count(subjects, rows),
        "pseudo_f": found.pseudo_f, "r2": found.r2, "r2_by_chance": found.null_r2, "p": found.p,
        "q": None, "permuted": found.scheme.name, "permutations": settings.permutations,
        "least_p": found.scheme.least_p(settings.permutations),
        "dispersion_f": found.dispersion_f, "dispersion_p": found.dispersion_p,
        "dispersion_q": None, "note": "; ".join(notes),
    }  # fmt: skip
    spreads: Rows = []
    for level, spread in zip(levels, found.spreads, strict=True):
        mine = [i for i in rows if term.column.values[i] == level]
        spreads.append(
            {
                "table": table, "metric": metric, "term": term.name, "level": level,
                "samples": len(mine), "subjects": _count(subjects, mine),
                "mean_distance_to_centroid": spread,
            }
        )  # fmt: skip
    return [test], spreads, ""


def _batches(metadata: Metadata, settings: Settings, rows: Sequence[int]) -> list[str] | None:
    """Batch of each sample over all batch columns; `None` where none is there."""
    names = [name for name in settings.batch if name in metadata.columns]
    if not names:
        return None
    columns = [metadata.columns[name].values for name in names]
    return [repr([column[i] for column in columns]) for i in rows]


def _closeness_row(
    table: str, metric: str, matrix: Numbers, metadata: Metadata, settings: Settings
) -> tuple[Rows, str]:
    """Row of `CLOSENESS_COLUMNS`, or why there is none."""
    subjects = subjects_of(metadata)
    if subjects is None:
        return [], f"{metadata.source} has no column {SUBJECT!r} with values"
    known = ~np.isnan(np.diag(matrix))
    rows = [i for i, is_known in enumerate(known) if is_known]
    batches = _batches(metadata, settings, rows)
    found: Closeness | None = None
    if rows:
        found = closeness(
            matrix[np.ix_(rows, rows)], [subjects[i] for i in rows], batches,
            settings.permutations, generator(settings.seed, "closeness", table, metric),
        )  # fmt: skip
    if found is None:
        return [], "two people are needed, at least one of them with two samples"
    few = ""
    if np.isnan(found.low):
        few = f"no interval: it takes {LEAST_PEOPLE} people with two samples, not all apart"
    return [
        {
            "table": table, "metric": metric, "subjects": found.people, "samples": found.samples,
            "median_within": found.within, "median_between": found.between,
            "probability": found.probability, "ci_low": found.low, "ci_high": found.high,
            "p": found.p, "q": None,
            "permuted": "samples freely" if batches is None else "samples within batch",
            "permutations": settings.permutations, "note": few,
        }
    ], ""  # fmt: skip


def _with_q(rows: Rows, p: str, q: str) -> Rows:
    """The rows with q of all of them together."""
    values = np.array([_number(row[p]) for row in rows], dtype=np.float64)
    found = adjust(values) if len(rows) else values
    return [row | {q: float(value)} for row, value in zip(rows, found, strict=True)]


def _number(cell: Cell) -> float:
    return float(cell) if isinstance(cell, (int, float)) else float("nan")


def _say_once(account: Account, item: str, reason: str) -> None:
    if not any(entry.item == item and entry.reason == reason for entry in account.entries):
        account.left_out(item, reason)


def _say_distances(account: Account, table: FeatureTable, metric: str, matrix: Numbers) -> bool:
    """Say what a distance was computed on; whether there are two samples to compare."""
    kept = comparable(table)
    made = int((~np.isnan(np.diag(matrix))).sum())
    item = f"{table.name} {metric}"
    reasons = []
    if kept.unknown_samples:
        reasons.append(f"not known: {_some(len(kept.unknown_samples), 'sample')}")
    if kept.empty_samples:
        reasons.append(f"without any feature: {_some(len(kept.empty_samples), 'sample')}")
    if kept.unknown_features:
        reasons.append(f"not known in every sample: {_some(len(kept.unknown_features), 'feature')}")
    if metric in TREE_METRICS:
        bare = sum(not table.lineages.get(name) for name in table.features)
        if bare:
            reasons.append(f"without a lineage: {bare} of {len(table.features)} features")
    reason = "; ".join(reasons)
    if made < 2:
        account.left_out(
            item,
            f"{_some(made, 'sample')} can be compared, 2 are needed"
            + (f"; {reason}" if reason else ""),
        )
        return False
    if reason:
        account.partly(item, f"left out: {reason}", made)
    else:
        account.done(item, made)
    return True


def analyse(cohort: Cohort, settings: Settings, account: Account) -> Diversity:
    """Everything about diversity that the cohort allows; what it does not is in the account.

    False discovery rates: all tests of place (columns and distances) are one family, tests of
    dispersion another, closeness of samples of a person a third.
    """
    result = Diversity(alpha=alpha_of(cohort, settings, account))
    terms = terms_of(cohort.metadata, settings, account)
    result.terms = list(_term_rows(cohort.metadata, terms))
    for name, metrics in METRICS.items():
        if name not in cohort.tables:
            continue
        table = cohort.tables[name]
        for metric in metrics:
            matrix = distances(table, metric)
            result.distances[name, metric] = matrix
            if _say_distances(account, table, metric, matrix):
                _analyse_distances(result, name, metric, terms, cohort, settings, account)
    result.permanova = _with_q(_with_q(result.permanova, "p", "q"), "dispersion_p", "dispersion_q")
    result.closeness = _with_q(result.closeness, "p", "q")
    return result


def _analyse_distances(
    result: Diversity, name: str, metric: str, terms: Sequence[Term], cohort: Cohort,
    settings: Settings, account: Account,
) -> None:  # fmt: skip
    """Ordination and tests of one distance."""
    matrix = result.distances[name, metric]
    found = principal_coordinates(matrix, cohort.tables[name].samples)
    result.ordination += coordinate_rows(name, metric, found)
    result.axes += axis_rows(name, metric, found)
    for term in terms:
        tests, spreads, reason = _test(name, metric, term, matrix, cohort.metadata, settings)
        result.permanova += tests
        result.dispersion += spreads
        if reason:
            _say_once(account, f"{name} by {term.name}", reason)
    rows, reason = _closeness_row(name, metric, matrix, cohort.metadata, settings)
    result.closeness += rows
    if reason:
        _say_once(account, f"{name}: samples of one person", reason)


def _term_rows(metadata: Metadata, terms: Sequence[Term]) -> Iterator[dict[str, Cell]]:
    """Rows of `TERMS_COLUMNS`; a sample of a cohort without terms still has one."""
    subjects = metadata.column(SUBJECT).values
    for i, sample in enumerate(metadata.samples):
        own: dict[str, Cell] = {"sample": sample, "subject": subjects[i]}
        if not terms:
            yield own | {"term": None, "kind": None, "value": None}
        for term in terms:
            yield own | {"term": term.name, "kind": term.kind, "value": term.column.values[i]}


def write_distances(path: str | os.PathLike[str], samples: Sequence[str], matrix: Numbers) -> None:
    """Write a square of distances as TSV in gzip, free of dates, the same bytes each time."""
    with Path(path).open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        packed.write(("\t".join(("sample", *samples)) + "\n").encode())
        for sample, row in zip(samples, matrix, strict=True):
            cells = [format_cell(float(value)) for value in row]
            packed.write(("\t".join((sample, *cells)) + "\n").encode())


TABLES = {
    "alpha": ALPHA_COLUMNS, "terms": TERMS_COLUMNS, "ordination": ORDINATION_COLUMNS,
    "axes": AXES_COLUMNS, "permanova": PERMANOVA_COLUMNS, "dispersion": DISPERSION_COLUMNS,
    "closeness": CLOSENESS_COLUMNS,
}  # fmt: skip
DISTANCES = "distances"


def write_diversity(
    cohort: Cohort,
    settings: Settings,
    account: Account,
    outputs: Mapping[str, str | os.PathLike[str]],
) -> Diversity:
    """Analyse a cohort and write its tables.

    Parameters
    ----------
    outputs
        Paths by name of `TABLES`, each optional; ``distances`` is a folder for
        ``<table>_<metric>.tsv.gz``, one for each of the distances that were computed.
    """
    result = analyse(cohort, settings, account)
    for name, columns in TABLES.items():
        if name in outputs:
            write_table(outputs[name], columns, getattr(result, name))
    if DISTANCES in outputs:
        folder = Path(outputs[DISTANCES])
        folder.mkdir(parents=True, exist_ok=True)
        for (table, metric), matrix in result.distances.items():
            write_distances(folder / f"{table}_{metric}.tsv.gz", cohort.samples, matrix)
    return result
