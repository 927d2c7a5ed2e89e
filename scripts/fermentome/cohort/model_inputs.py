"""What the predictive model works on: target, people, batches and inputs, and why it must not run.

Refusals are `ModelRefusedError` with the reason as text; they become a line of the account.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fermentome.cohort.data import (
    DEPTH_COLUMN,
    SUBJECT,
    Account,
    Cohort,
    Column,
    FeatureTable,
    Numbers,
)
from fermentome.cohort.model_folds import log_arrangements
from fermentome.cohort.model_learner import AMOUNTS, CLASSES, NUMBERS, PLAIN, SHARES, Block, Rows
from fermentome.cohort.settings import ModelSettings, Settings
from fermentome.cohort.timepoints import parse_timepoints
from fermentome.errors import CohortError

FEATURES, METADATA, BATCH, DEPTH = "features", "metadata", "batch", "depth"
INPUTS = (FEATURES, METADATA, BATCH, DEPTH)
"""The model and its baselines."""

LEAST_SUBJECTS = 10
"""Per class; twice as many for numbers. Our choice: two per test fold of five. Between 5 and 25
independent samples per class a model can be trained while its measured performance is mostly
chance (Beleites et al. 2013, doi:10.1016/j.aca.2012.11.007)."""

GOOD_SUBJECTS = 75
"""Per class: from here performance is measured with useful precision (the same; 75 to 100)."""

MOST_LOST = 0.2
"""Share of samples that a table may cost which not all samples have. Our choice."""

LEAST_PERMUTATIONS = 19
"""With fewer no p-value reaches 0.05: the least is 1 / (permutations + 1)."""


class ModelRefusedError(CohortError):
    """There is a reason not to make a model."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A target and all that may predict it, for samples that have both.

    Attributes
    ----------
    samples
        Names, sorted.
    task, levels
        ``classes`` with their names, or ``numbers`` without.
    y
        Class numbers, or numbers.
    subject, subjects
        Number of the subject of each sample, and the names.
    weights
        One over the number of samples of the subject.
    batch
        Number of the batch of each sample; all 0 without batches.
    stratum
        Batch of each subject: that of most of its samples.
    order
        Rows by subject, then time.
    inputs
        Blocks of the model and of each baseline that can be made.
    tables
        Feature tables of the model.
    """

    samples: tuple[str, ...]
    task: str
    levels: tuple[str, ...]
    y: npt.NDArray[Any]
    subject: Rows
    subjects: tuple[str, ...]
    weights: Numbers
    batch: Rows
    stratum: Rows
    order: Rows
    inputs: dict[str, tuple[Block, ...]]
    tables: tuple[str, ...]

    @property
    def batches(self) -> int:
        """Number of batches; 1 where none is declared."""
        return int(self.batch.max()) + 1


def pose(cohort: Cohort, settings: Settings, model: ModelSettings, account: Account) -> Problem:
    """Read the target and the inputs, and refuse what cannot be answered.

    Raises
    ------
    ModelRefusedError
        If there is no target, too little of it, or one that cannot be told from the batch.
    """
    target = _target_column(cohort, model)
    if model.permutations < LEAST_PERMUTATIONS:
        raise ModelRefusedError(
            f"{model.permutations} permutations are set; without a null nothing is shown, and"
            f" with fewer than {LEAST_PERMUTATIONS} no p-value can reach 0.05: set"
            f" model: permutations to {LEAST_PERMUTATIONS} or more"
        )
    position = {sample: i for i, sample in enumerate(cohort.samples)}
    known = sorted(s for s, v in zip(cohort.samples, target.values, strict=True) if v is not None)
    tables, samples = _tables(cohort, model, known, account)
    people = _people(cohort, samples, position, account)
    task, levels, samples = _task(target, samples, position, people, account)
    rows = [position[sample] for sample in samples]
    subjects = sorted({people[sample] for sample in samples})
    number = {person: i for i, person in enumerate(subjects)}
    subject = np.array([number[people[sample]] for sample in samples], dtype=np.intp)
    cells = [target.values[i] or "" for i in rows]
    y: npt.NDArray[Any] = (
        np.array([levels.index(cell) for cell in cells], dtype=np.intp)
        if task == CLASSES
        else np.array([float(cell) for cell in cells])
    )
    batch = _batch(cohort, settings, model, rows, account)
    stratum = np.array(
        [np.bincount(batch[subject == person]).argmax() for person in range(len(subjects))],
        dtype=np.intp,
    )
    order = _order(cohort, samples, position, subject)
    _check_batches(y, subject, stratum, order, settings, account)
    problem = Problem(
        samples=tuple(samples), task=task, levels=levels, y=y, subject=subject,
        subjects=tuple(name for _, name in subjects),
        weights=1 / np.bincount(subject)[subject], batch=batch, stratum=stratum,
        order=order,
        inputs={}, tables=tuple(table.name for table in tables),
    )  # fmt: skip
    problem.inputs[FEATURES] = tuple(_table_block(table.select(samples)) for table in tables)
    _baselines(cohort, settings, model, problem, rows, account)
    return problem


def _target_column(cohort: Cohort, model: ModelSettings) -> Column:
    if model.target is None:
        raise ModelRefusedError("no model was asked for: model: target is not set")
    if model.target not in cohort.metadata.columns:
        found = ", ".join(cohort.metadata.columns) or "no columns"
        raise ModelRefusedError(
            f"{cohort.metadata.source} has no column {model.target!r}, the target of the model;"
            f" it has {found}"
        )
    column = cohort.metadata.columns[model.target]
    if len(column.levels) < 2:
        raise ModelRefusedError(
            f"{cohort.metadata.source}, column {model.target!r}: {len(column.levels)} different"
            " values; a model needs two or more"
        )
    return column


def _tables(
    cohort: Cohort, model: ModelSettings, known: Sequence[str], account: Account
) -> tuple[list[FeatureTable], list[str]]:
    """Tables that most of the samples have, and the samples that have all of these."""
    have: dict[str, set[str]] = {}
    for name in sorted(set(model.tables)):
        if name not in cohort.tables:
            account.left_out(f"table {name}", "the cohort has no such table; the model goes on")
            continue
        have[name] = _usable_samples(cohort.tables[name]) & set(known)
    most = max((len(samples) for samples in have.values()), default=0)
    if not most:
        raise ModelRefusedError(
            f"no sample with a known {model.target!r} has one of the tables"
            f" {', '.join(model.tables)}"
        )
    kept = sorted(name for name in have if len(have[name]) >= (1 - MOST_LOST) * most)
    for name in sorted(set(have) - set(kept)):
        account.left_out(
            f"table {name}",
            f"only {len(have[name])} of {most} samples have it, and a model uses samples that"
            f" have all of its tables; name it alone in model: tables to use it",
            len(have[name]),
        )
    samples = sorted(set.intersection(*(have[name] for name in kept)))
    if len(samples) < len(cohort.samples):
        account.partly(
            "samples",
            f"{len(cohort.samples) - len(samples)} samples have no {model.target!r} or not all"
            " of the tables",
            len(samples),
        )
    return [cohort.tables[name] for name in kept], samples


def _usable_samples(table: FeatureTable) -> set[str]:
    if not table.features:
        return set()
    known = ~np.isnan(table.values)
    # Shares of nothing say nothing; no copies of any pathway are a result.
    least = 0.0 if table.compositional else -1.0
    usable = known.any(axis=1) & (np.where(known, table.values, 0.0).sum(axis=1) > least)
    return {table.samples[i] for i in np.flatnonzero(usable)}


def _people(
    cohort: Cohort, samples: Sequence[str], position: dict[str, int], account: Account
) -> dict[str, tuple[str, str]]:
    """Subject of each sample; a sample without one is its own."""
    values = cohort.metadata.column(SUBJECT).values
    alone = [sample for sample in samples if values[position[sample]] is None]
    if alone:
        account.partly(
            "subject",
            f"{len(alone)} of {len(samples)} samples name no subject and count as people of"
            " their own; if some are of one person, scores are too good",
            len(samples),
        )
    # The mark keeps a sample from becoming the subject of the same name.
    return {
        sample: ("sample", sample) if name is None else ("subject", name)
        for sample in samples
        for name in [values[position[sample]]]
    }


def _task(
    target: Column,
    samples: list[str],
    position: dict[str, int],
    people: dict[str, tuple[str, str]],
    account: Account,
) -> tuple[str, tuple[str, ...], list[str]]:
    of: dict[str, set[tuple[str, str]]] = {}
    for sample in samples:
        of.setdefault(str(target.values[position[sample]]), set()).add(people[sample])
    if target.numbers is not None and len(of) > 2:
        number = len({people[sample] for sample in samples})
        if number < 2 * LEAST_SUBJECTS:
            raise ModelRefusedError(
                f"{number} subjects have a {target.name!r}; {2 * LEAST_SUBJECTS} are needed"
            )
        return NUMBERS, (), samples
    small = sorted(level for level, owners in of.items() if len(owners) < LEAST_SUBJECTS)
    levels = tuple(sorted(set(of) - set(small)))
    counts = ", ".join(f"{level}: {len(of[level])}" for level in sorted(of))
    if len(levels) < 2:
        raise ModelRefusedError(
            f"too few subjects per level of {target.name!r} ({counts}); two levels with"
            f" {LEAST_SUBJECTS} subjects each are needed"
        )
    for level in small:
        account.left_out(
            f"level {level}",
            f"{len(of[level])} subjects, {LEAST_SUBJECTS} are needed to be predicted",
            subjects=len(of[level]),
        )
    thin = [f"{level}: {len(of[level])}" for level in levels if len(of[level]) < GOOD_SUBJECTS]
    if thin:
        account.partly(
            "precision",
            f"few subjects ({', '.join(thin)}); with fewer than {GOOD_SUBJECTS} per level scores"
            " are imprecise, see their intervals",
            None,
            min(len(of[level]) for level in levels),
        )
    kept = [s for s in samples if str(target.values[position[s]]) in levels]
    return CLASSES, levels, kept


def _order(cohort: Cohort, samples: Sequence[str], position: dict[str, int], subject: Rows) -> Rows:
    """Rows by subject, then time where it can be read, then name."""
    column = cohort.metadata.column("timepoint")
    try:
        days = parse_timepoints(column.values, cohort.metadata.source).days
    except CohortError:
        # Whoever needs the times says why they cannot be read; here only their order counts.
        days = np.full(len(column.values), np.nan)
    time = np.nan_to_num(days[[position[sample] for sample in samples]], nan=np.inf)
    return np.lexsort((np.arange(len(samples)), time, subject)).astype(np.intp)


def _batch(
    cohort: Cohort,
    settings: Settings,
    model: ModelSettings,
    rows: Sequence[int],
    account: Account,
) -> Rows:
    """Number of the combination of batch columns of each sample."""
    columns = []
    for name in settings.batch:
        if name == model.target:
            account.left_out(f"batch {name}", "it is the target")
        elif name not in cohort.metadata.columns:
            account.left_out(f"batch {name}", f"{cohort.metadata.source} has no such column")
        else:
            values = cohort.metadata.columns[name].values
            columns.append([("", "") if values[i] is None else ("x", values[i]) for i in rows])
    if not columns:
        return np.zeros(len(rows), dtype=np.intp)
    combined = list(zip(*columns, strict=True))
    number = {cell: i for i, cell in enumerate(sorted(set(combined)))}
    return np.array([number[cell] for cell in combined], dtype=np.intp)


def _check_batches(
    y: npt.NDArray[Any],
    subject: Rows,
    stratum: Rows,
    order: Rows,
    settings: Settings,
    account: Account,
) -> None:
    names = " and ".join(settings.batch)
    constant = [
        np.unique(y[np.isin(subject, np.flatnonzero(stratum == level))]).size == 1
        for level in np.unique(stratum)
    ]
    if len(constant) > 1 and all(constant):
        raise ModelRefusedError(
            f"the target is constant within every batch ({names}): a model that told batches"
            " apart could not be told from one that knows the target; batches that hold several"
            " levels are needed"
        )
    if len(constant) > 1 and any(constant):
        account.partly(
            "batches",
            f"the target is constant within {sum(constant)} of {len(constant)} batches ({names});"
            " these say nothing about the target beside the batch",
            None,
        )
    least = np.log(LEAST_PERMUTATIONS + 1)
    if log_arrangements(y, subject, stratum, order) < least - 1e-9:
        raise ModelRefusedError(
            f"fewer than {LEAST_PERMUTATIONS + 1} different ways to shuffle the target between"
            " subjects" + (f" of a batch ({names})" if len(constant) > 1 else "") + ": no null"
            " can be made"
        )


def _table_block(table: FeatureTable) -> Block:
    with np.errstate(divide="ignore"):
        logs = np.log2(table.values)
    names = sorted(range(len(table.features)), key=lambda i: table.features[i])
    return Block(
        table.name, tuple(table.features[i] for i in names),
        SHARES if table.compositional else AMOUNTS, np.ascontiguousarray(logs[:, names]),
    )  # fmt: skip


def _baselines(
    cohort: Cohort,
    settings: Settings,
    model: ModelSettings,
    problem: Problem,
    rows: Sequence[int],
    account: Account,
) -> None:
    """Put the baselines that can be made among the inputs."""
    wanted = tuple(dict.fromkeys(model.metadata or settings.covariates))
    blocks = [
        block
        for name in wanted
        for block in [_metadata_block(cohort, name, model, problem, rows, account)]
        if block is not None
    ]
    if blocks:
        problem.inputs[METADATA] = tuple(blocks)
    else:
        account.left_out(
            "baseline metadata",
            "no usable column is named; name them in model: metadata or cohort: covariates",
        )
    if problem.batches > 1:
        values = np.eye(problem.batches)[problem.batch]
        names = tuple(f"batch {i + 1}" for i in range(problem.batches))
        problem.inputs[BATCH] = (Block(BATCH, names, PLAIN, values),)
    else:
        account.left_out(
            "baseline batch", "no batch column with two or more values is named in cohort: batch"
        )
    reads = _reads(cohort, problem, rows)
    if reads is None:
        account.left_out(
            "baseline depth",
            f"the depth of sequencing is not known: neither a column {DEPTH_COLUMN!r} nor counts",
        )
    else:
        problem.inputs[DEPTH] = (Block(DEPTH, ("log10 reads",), PLAIN, reads[:, None]),)


def _reads(cohort: Cohort, problem: Problem, rows: Sequence[int]) -> Numbers | None:
    numbers = cohort.metadata.column(DEPTH_COLUMN).numbers
    reads = None if numbers is None else numbers[list(rows)]
    if reads is None or np.isnan(reads).all():
        for name in problem.tables:
            counts = cohort.tables[name].select(problem.samples).counts
            if counts is not None:
                reads = np.nansum(counts, axis=1)
                break
        else:
            return None
    return np.asarray(np.log10(1 + np.maximum(reads, 0)), dtype=np.float64)


def _metadata_block(
    cohort: Cohort,
    name: str,
    model: ModelSettings,
    problem: Problem,
    rows: Sequence[int],
    account: Account,
) -> Block | None:
    item = f"metadata {name}"
    if name in {model.target, SUBJECT}:
        account.left_out(item, "it is the target or the subject, not a predictor")
        return None
    if name not in cohort.metadata.columns:
        account.left_out(item, f"{cohort.metadata.source} has no such column")
        return None
    column = cohort.metadata.columns[name]
    cells = [column.values[i] for i in rows]
    if len(set(cells)) < 2:
        account.left_out(item, "it is constant or empty in the samples of the model")
        return None
    missing = np.array([[float(cell is None)] for cell in cells])
    if column.numbers is not None and len(set(cells) - {None}) > 2:
        values = np.hstack([column.numbers[list(rows)][:, None], missing])
        return Block(METADATA, (name, f"{name} is missing"), PLAIN, values)
    levels = sorted({cell for cell in cells if cell is not None})
    if len(levels) > len(problem.subjects) / 2:
        account.left_out(
            item, f"{len(levels)} levels for {len(problem.subjects)} subjects: it names people"
        )
        return None
    if problem.task == CLASSES and _determines(cells, problem.y):
        account.left_out(
            item,
            "each of its values goes with one level of the target: it is the target in other"
            " words, not a baseline",
        )
        return None
    values = np.array([[float(cell == level) for level in levels] for cell in cells])
    names = tuple(f"{name}: {level}" for level in levels)
    return Block(METADATA, (*names, f"{name} is missing"), PLAIN, np.hstack([values, missing]))


def _determines(cells: Sequence[str | None], y: npt.NDArray[Any]) -> bool:
    pairs = set(zip(cells, y.tolist(), strict=True))
    return max(Counter(cell for cell, _ in pairs).values()) == 1
