"""Folds of the nested cross-validation, and the shuffling of the target for its null.

All samples of a subject are in one fold, outer and inner. Samples of one person are much closer
to each other than to those of others; a model that has seen the person recognises the person, and
what it then scores is memory.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import gammaln
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut, StratifiedKFold

from fermentome.cohort.data import Numbers
from fermentome.cohort.model_learner import CLASSES, Rows, Split

MOST_SINGLE_BATCHES = 10
"""Up to so many batches each is left out alone; more are left out in groups, for time."""


def subject_strata(task: str, y: npt.NDArray[Any], subject: Rows) -> Rows:
    """Stratum of each subject, so that folds resemble each other.

    It is the most frequent class of the subject (the first of equals), or the fifth into which
    the mean of its numbers falls.
    """
    subjects = int(subject.max()) + 1
    if task == CLASSES:
        table = np.zeros((subjects, int(y.max()) + 1))
        np.add.at(table, (subject, y.astype(np.intp)), 1)
        return np.asarray(table.argmax(axis=1), dtype=np.intp)
    mean = np.bincount(subject, weights=y) / np.bincount(subject)
    rank = np.argsort(np.argsort(mean, kind="stable"), kind="stable")
    return np.asarray(rank * 5 // subjects, dtype=np.intp)


def subject_folds(
    strata: Rows, subject: Rows, rows: Rows, folds: int, rng: np.random.Generator
) -> list[Split]:
    """Folds of some rows, grouped by subject and stratified.

    Scikit-learn's ``StratifiedKFold`` on one row per subject: the same as its
    ``StratifiedGroupKFold`` where a subject has one class, and a hundred times faster, which the
    null needs.
    """
    people = np.unique(subject[rows])
    folds = min(max(folds, 2), people.size)
    if folds < 2:
        return []
    splitter = StratifiedKFold(folds, shuffle=True, random_state=int(rng.integers(2**31)))
    with warnings.catch_warnings():
        # A class with fewer subjects than folds is missing in some of the test folds. Which
        # classes are large enough is decided where the target is read.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        try:
            parts = list(splitter.split(people, strata[people]))
        except ValueError:
            # Every class is smaller than the number of folds: no strata.
            parts = list(splitter.split(people, np.zeros(people.size)))
    return [_rows_of(people[test], subject, rows) for _, test in parts]


def _rows_of(people: Rows, group: Rows, rows: Rows) -> Split:
    inside = np.isin(group[rows], people)
    return rows[~inside], rows[inside]


def batch_groups(subject: Rows, batch: Rows) -> Rows:
    """Group of each sample such that neither a batch nor a subject is in two groups."""
    subjects, batches = int(subject.max()) + 1, int(batch.max()) + 1
    size = subjects + batches
    links = coo_array((np.ones(subject.size), (subject, subjects + batch)), shape=(size, size))
    _, label = connected_components(links, directed=False)
    return np.unique(label[subject], return_inverse=True)[1].astype(np.intp)


def batch_folds(group: Rows, rows: Rows, folds: int, rng: np.random.Generator) -> list[Split]:
    """Folds of some rows, each of whole batches."""
    own = group[rows]
    if np.unique(own).size <= MOST_SINGLE_BATCHES:
        splitter: Any = LeaveOneGroupOut()
    else:
        folds = min(max(folds, 2), np.unique(own).size)
        splitter = GroupKFold(folds, shuffle=True, random_state=int(rng.integers(2**31)))
    return [(rows[train], rows[test]) for train, test in splitter.split(rows, groups=own)]


def usable(task: str, y: npt.NDArray[Any], splits: list[Split], levels: int) -> list[Split]:
    """Folds whose training rows hold every class, and whose test rows are not none."""
    return [
        (train, test)
        for train, test in splits
        if test.size and train.size and (task != CLASSES or np.unique(y[train]).size == levels)
    ]


Splitter = Callable[[npt.NDArray[Any], Rows, int, np.random.Generator], list[Split]]
"""Folds of rows, given the target (which the null shuffles), their number and a generator."""


def by_subject(task: str, subject: Rows) -> Splitter:
    """Splitter that leaves subjects out."""

    def split(y: npt.NDArray[Any], rows: Rows, folds: int, rng: np.random.Generator) -> list[Split]:
        return subject_folds(subject_strata(task, y, subject), subject, rows, folds, rng)

    return split


def by_batch(task: str, subject: Rows, group: Rows) -> Splitter:
    """Splitter that leaves whole batches out, or subjects where one batch is all there is."""
    alone = by_subject(task, subject)

    def split(y: npt.NDArray[Any], rows: Rows, folds: int, rng: np.random.Generator) -> list[Split]:
        if np.unique(group[rows]).size < 2:
            return alone(y, rows, folds, rng)
        return batch_folds(group, rows, folds, rng)

    return split


def shuffle_target(
    y: npt.NDArray[Any], subject: Rows, stratum: Rows, order: Rows, rng: np.random.Generator
) -> npt.NDArray[Any]:
    """Target in which each subject has that of another one.

    The samples stay with their subjects, so that what is alike within a person stays alike under
    the null. A target that is constant within subjects is thereby permuted between them. One
    that varies is taken over as a course in time, which starts at a random place and goes round
    (cyclic shifts, which keep what is alike from one time to the next: Besag and Clifford 1989,
    doi:10.1093/biomet/76.4.633), and is stretched or thinned to the number of samples that the
    subject has: runs of a value are kept, the frequencies of the values only about.

    Parameters
    ----------
    stratum
        Of each subject; exchanges are within it. The strata are batches, so that what a model
        can score by telling batches apart is in the null.
    order
        Rows sorted by subject, then time.
    """
    rows = np.split(order, np.cumsum(np.bincount(subject))[:-1])
    donors = np.arange(len(rows))
    for level in np.unique(stratum):
        own = np.flatnonzero(stratum == level)
        donors[own] = rng.permutation(own)
    shuffled = np.empty_like(y)
    for taker, giver in enumerate(donors):
        given, taken = rows[giver], rows[taker]
        given = np.roll(given, int(rng.integers(given.size)))
        shuffled[taken] = y[given[np.arange(taken.size) * given.size // taken.size]]
    return shuffled


def log_arrangements(y: npt.NDArray[Any], subject: Rows, stratum: Rows, order: Rows) -> float:
    """Natural log of the number of different targets that `shuffle_target` can give.

    The number is the product over strata of n! / prod(n_v!), with n_v subjects of course v, and
    over subjects of the number of different shifts of their course, which is 1 for a constant.
    It is a count for equal numbers of samples, and about one for others.
    """
    kinds: list[tuple[float, ...]] = []
    total = 0.0
    for rows in np.split(order, np.cumsum(np.bincount(subject))[:-1]):
        course = [float(value) for value in y[rows]]
        if len(set(course)) == 1:
            kinds.append((course[0],))
            continue
        shifts = {(*course[k:], *course[:k]) for k in range(len(course))}
        kinds.append(min(shifts))
        total += float(np.log(len(shifts)))
    for level in np.unique(stratum):
        own = [kinds[i] for i in np.flatnonzero(stratum == level)]
        sizes: Numbers = np.array(list(Counter(own).values()), dtype=np.float64)
        total += float(gammaln(len(own) + 1) - np.sort(gammaln(sizes + 1)).sum())
    return total
