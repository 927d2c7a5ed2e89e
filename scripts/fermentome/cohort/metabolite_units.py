"""Which samples or people are compared, given what, and which may change places under the null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fermentome.cohort.data import DEPTH_COLUMN, Account, Cohort, Column, Numbers
from fermentome.cohort.rank_association import Frame, Labels, column_ranks
from fermentome.cohort.settings import Settings

SAMPLES, BETWEEN, WITHIN = "samples", "between_people", "within_people"

LEAST_UNITS = 10
"""Samples or people. With fewer the 95 % interval of no correlation is wider than -0.63 to 0.63
(tanh of 1.96 / sqrt(10 - 3))."""
LEAST_PEOPLE_WITHIN = 5
"""People with several samples. With fewer there are at most 35 different draws of people for the
interval (combinations with repetition of 4 out of 4)."""


@dataclass(frozen=True, slots=True)
class Given:
    """Columns that correlations are given, and the blocks within which shuffling stays.

    Attributes
    ----------
    columns
        By name as it is told: ``depth``, ``batch run``, ``age``.
    indicators
        Names of those whose values are levels, not amounts.
    batches
        Batch of each sample of the cohort; ``None`` where it is not known.
    """

    columns: Mapping[str, Column] = field(default_factory=dict)
    indicators: frozenset[str] = frozenset()
    batches: Sequence[tuple[str, ...] | None] = ()

    @property
    def text(self) -> str:
        """Names, for the table."""
        return ", ".join(self.columns)

    def known(self) -> npt.NDArray[np.bool_]:
        """Samples in which every column is known."""
        known = np.array([batch is not None for batch in self.batches], dtype=np.bool_)
        for column in self.columns.values():
            known &= np.array([value is not None for value in column.values], dtype=np.bool_)
        return known

    def matrix(self, rows: Labels) -> Numbers:
        """Ranks of amounts and indicators of levels, of some samples."""
        parts = [np.zeros((len(rows), 0))]
        for name, column in self.columns.items():
            if name in self.indicators or column.numbers is None:
                values = np.array([str(column.values[i]) for i in rows])
                levels = np.unique(values)[1:]
                parts.append((values[:, None] == levels[None, :]).astype(np.float64))
            else:
                parts.append(column_ranks(column.numbers[rows][:, None]))
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True, slots=True)
class Units:
    """What is compared at one level.

    Attributes
    ----------
    rows
        Samples of the cohort that take part.
    x, y
        Ranks: of the features, of shape (units, features), and of the metabolite.
    alone, given
        Frames without and with the given columns.
    people
        Label by unit, for folds.
    subjects
        Number of people.
    shuffled
        What the null exchanges, in words.
    """

    rows: Labels
    x: Numbers
    y: Numbers
    alone: Frame
    given: Frame
    people: Labels
    subjects: int
    shuffled: str


# --- what correlations are given ------------------------------------------------------------------


def given_of(cohort: Cohort, settings: Settings, account: Account) -> Given:
    """Depth, batch and covariates, as far as the metadata know them; the rest is said."""
    metadata = cohort.metadata
    columns: dict[str, Column] = {}
    levels: set[str] = set()
    if settings.adjust_depth:
        depth = metadata.column(DEPTH_COLUMN)
        if _usable("depth", DEPTH_COLUMN, depth, account) and depth.numbers is not None:
            columns["depth"] = depth
    batches: list[Column] = []
    for name in settings.batch:
        column = metadata.column(name)
        if _usable(f"batch {name}", name, column, account):
            columns[f"batch {name}"] = column
            levels.add(f"batch {name}")
            batches.append(column)
    for name in settings.covariates:
        column = metadata.column(name)
        if _usable(f"covariate {name}", name, column, account):
            columns[name] = column
    return Given(columns, frozenset(levels), _batches(len(cohort.samples), batches))


def _batches(samples: int, columns: Sequence[Column]) -> list[tuple[str, ...] | None]:
    """Batch of each sample over all columns of batches; None where one is not known."""
    result: list[tuple[str, ...] | None] = []
    for place in range(samples):
        cells = [column.values[place] for column in columns]
        known = tuple(cell for cell in cells if cell is not None)
        result.append(known if len(known) == len(cells) else None)
    return result


def _usable(item: str, name: str, column: Column, account: Account) -> bool:
    """Whether a column tells samples apart; else it is said that it is not given."""
    if not column.levels:
        account.left_out(
            item, f"correlations are not given it: no sample has a value in column {name!r}"
        )
        return False
    if len(column.levels) == 1:
        account.left_out(
            item,
            f"correlations are not given it: column {name!r} is {column.levels[0]!r} everywhere",
        )
        return False
    return True


# --- what is compared -----------------------------------------------------------------------------


def labels_of(names: Sequence[object]) -> Labels:
    """Number of each name, equal for equal names, in the order of their text."""
    order = {name: i for i, name in enumerate(sorted({repr(name) for name in names}))}
    return np.array([order[repr(name)] for name in names], dtype=np.intp)


def people_of(cohort: Cohort) -> Labels:
    """Label of the person of each sample; a sample without `subject` is a person of its own."""
    return labels_of(cohort.metadata.people)


def levels_of(people: Labels) -> tuple[str, ...]:
    """Levels at which samples of these people are compared."""
    return (BETWEEN, WITHIN) if np.unique(people).size < people.size else (SAMPLES,)


def units_of(
    level: str, rows: Labels, features: Numbers, keys: Numbers, people: Labels, given: Given
) -> Units:
    """Ranks and frames of one level.

    Parameters
    ----------
    rows
        Samples that have all values.
    features, keys
        Of these samples: values of the features, of shape (samples, features), and keys of the
        metabolite.
    people
        Of these samples.
    """
    if level == WITHIN:
        often = np.bincount(people)[people] > 1
        rows, features, keys, people = rows[often], features[often], keys[often], people[often]
    batch = labels_of([given.batches[i] for i in rows])
    several = np.unique(batch).size > 1
    matrix = given.matrix(rows)
    x, y = column_ranks(features), column_ranks(keys[:, None])[:, 0]
    nothing = np.zeros((len(rows), 0))
    if level == SAMPLES:
        alone, full = Frame(nothing, None, batch), Frame(matrix, None, batch)
        words = "samples within batch" if several else "samples"
        return Units(rows, x, y, alone, full, people, np.unique(people).size, words)
    if level == WITHIN:
        # Not within batch too: of a person few samples share a batch, and a null in which next
        # to nothing changes places sits on the data. Batch is among the given columns instead.
        alone, full = Frame(nothing, people, people), Frame(matrix, people, people)
        words = "samples within person"
        return Units(rows, x, y, alone, full, people, np.unique(people).size, words)
    names = np.unique(people)
    blocks = labels_of([sorted(set(batch[people == name].tolist())) for name in names])
    alone = Frame(nothing[: names.size], None, blocks)
    full = Frame(_means(matrix, people), None, blocks)
    return Units(
        rows, column_ranks(_means(x, people)), column_ranks(_means(y[:, None], people))[:, 0],
        alone, full, np.arange(names.size), int(names.size),
        "people within batch" if np.unique(blocks).size > 1 else "people",
    )  # fmt: skip


def _means(values: Numbers, people: Labels) -> Numbers:
    """Mean of each person, in the order of their labels."""
    names, place = np.unique(people, return_inverse=True)
    sums = np.zeros((names.size, values.shape[1]))
    np.add.at(sums, place, values)
    # Rounded: means of the same ranks, added in another order, are a tie.
    return np.asarray(np.round(sums / np.bincount(place)[:, None], 9))


def why_not(units: Units, level: str) -> str:
    """Why a level cannot be compared, or nothing."""
    if level == WITHIN:
        free = len(units.y) - units.subjects
        if units.subjects < LEAST_PEOPLE_WITHIN or free < LEAST_UNITS:
            return (
                f"{units.subjects} people have several samples, {len(units.y)} in all; at least"
                f" {LEAST_PEOPLE_WITHIN} people and {LEAST_UNITS} samples more than people needed"
            )
        return ""
    if len(units.y) < LEAST_UNITS:
        what = "people" if level == BETWEEN else "samples"
        return f"{len(units.y)} {what} have all values; at least {LEAST_UNITS} needed"
    return ""
