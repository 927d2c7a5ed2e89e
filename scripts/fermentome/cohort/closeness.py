"""Are samples of one person closer to each other than to those of others, and by how much.

The effect is the probability that another sample of the same person is nearer to a sample than one
of another person is (the common language effect size, McGraw and Wong 1992,
doi:10.1037/0033-2909.111.2.361; ties count half): 0.5 says that people are no different, 1 that
each is known by the sample. It is averaged over the samples of a person, then over people, so that
nobody counts more for giving more samples. Its interval leaves out one person after the other, as
one with samples of their own and as one of the others (jackknife, Efron and Stein 1981,
doi:10.1214/aos/1176345462), on the logit scale, with Student's t. Drawn people show why: with 10,
20 and 50 of them 95 % intervals held the truth in 98, 96 and 95 % of 200 draws; those of a
percentile bootstrap over people, which keeps the others as they are, in 81, 87 and 92 %.
The null deals samples out to people anew, within a batch where one is declared: people of one site
or run may be alike for that reason alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import expit, logit
from scipy.stats import rankdata

from fermentome.cohort.data import Numbers

LEAST_PEOPLE = 5
"""With repeated samples, for an interval: fewer do not tell how people differ. Ours."""
PAIRS_AT_ONCE = 2000
"""A matter of memory, not of results."""


@dataclass(frozen=True, slots=True)
class Closeness:
    """How close samples of one person are.

    Attributes
    ----------
    people, samples
        With at least two samples, and their samples.
    within, between
        Median distance to other samples of the person, and to those of others: median of a
        person, then over people.
    probability, low, high
        Effect and its 95 % interval.
    p
        Of as large an effect, samples dealt out anew.
    """

    people: int
    samples: int
    within: float
    between: float
    probability: float
    low: float
    high: float
    p: float


def _pairs(codes: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Ordered pairs of different samples of one person."""
    order = np.argsort(codes, kind="stable")
    firsts, seconds = [], []
    for own in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        if len(own) > 1:
            left, right = np.meshgrid(own, own, indexing="ij")
            apart = left != right
            firsts.append(left[apart])
            seconds.append(right[apart])
    nothing = np.zeros(0, dtype=np.intp)
    return (
        np.concatenate(firsts) if firsts else nothing,
        np.concatenate(seconds) if seconds else nothing,
    )


def closeness(
    matrix: Numbers,
    subjects: Sequence[str],
    batches: Sequence[str] | None,
    permutations: int,
    generator: np.random.Generator,
) -> Closeness | None:
    """Closeness of the samples of each person; `None` if it cannot be asked.

    Parameters
    ----------
    matrix
        Distances between samples, all known.
    subjects, batches
        By sample.

    Returns
    -------
    Closeness or None
        `None` without two people, one of them with two samples.
    """
    codes = np.unique(np.asarray(subjects), return_inverse=True)[1].astype(np.intp)
    first, second = _pairs(codes)
    if not len(first) or codes.max() == 0:
        return None
    samples = len(codes)
    sizes = np.bincount(codes)
    own = (sizes[codes] - 1).astype(np.float64)
    others = (samples - sizes[codes]).astype(np.float64)
    apart = matrix.copy()
    np.fill_diagonal(apart, np.inf)
    ranks = rankdata(apart, axis=1)
    people = np.flatnonzero(sizes > 1)
    repeated = sizes[codes] > 1
    # U of Mann and Whitney from the ranks of a sample's own; a linear function of their sum.
    sums = np.bincount(first, ranks[first, second], minlength=samples)
    nearer = np.zeros(samples)
    nearer[repeated] = 1 - (sums - own * (own + 1) / 2)[repeated] / (own * others)[repeated]
    by_person = (np.bincount(codes, nearer) / sizes)[people]
    effect = float(by_person.mean())
    weights = 1 / (len(people) * sizes[codes[first]] * own[first] * others[first])
    shift = effect + float(weights @ ranks[first, second])
    null = np.array(
        [
            shift - float(weights @ ranks[rows[first], rows[second]])
            for rows in _dealt(samples, batches, permutations, generator)
        ]
    )
    low, high = _interval(matrix, codes, (first, second), effect)
    within, between = _medians(matrix, codes, people)
    return Closeness(
        len(people), int(repeated.sum()), within, between, effect, low, high,
        float((1 + (null >= effect - 1e-9).sum()) / (1 + len(null))) if len(null) else math.nan,
    )  # fmt: skip


def _dealt(
    samples: int, batches: Sequence[str] | None, permutations: int, generator: np.random.Generator
) -> list[npt.NDArray[np.intp]]:
    """Permutations of samples, within batches."""
    groups = [np.arange(samples)]
    if batches is not None:
        codes = np.unique(np.asarray(batches), return_inverse=True)[1]
        groups = [np.flatnonzero(codes == code) for code in range(int(codes.max()) + 1)]
    result = []
    for _ in range(permutations):
        rows = np.arange(samples)
        for members in groups:
            rows[members] = generator.permutation(members)
        result.append(rows)
    return result


def _nearer_others(
    matrix: Numbers,
    codes: npt.NDArray[np.intp],
    pairs: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
) -> Numbers:
    """For each sample and person, the pairs of an own sample and one of that person, less near.

    An own sample is farther than one of the person; ties count half.
    """
    samples, people = len(codes), int(codes.max()) + 1
    membership = np.zeros((samples, people))
    membership[np.arange(samples), codes] = 1.0
    result = np.zeros((samples, people))
    for start in range(0, len(pairs[0]), PAIRS_AT_ONCE):
        first, second = (part[start : start + PAIRS_AT_ONCE] for part in pairs)
        own = matrix[first, second][:, None]
        others = matrix[first]
        farther = (others < own) + 0.5 * (others == own)
        np.add.at(result, first, farther @ membership)
    result[np.arange(samples), codes] = 0.0
    return result


def _interval(
    matrix: Numbers,
    codes: npt.NDArray[np.intp],
    pairs: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
    effect: float,
) -> tuple[float, float]:
    """95 % interval of the effect; not known for few people, or people who never overlap."""
    sizes = np.bincount(codes)
    repeated = np.flatnonzero(sizes > 1)
    if len(repeated) < LEAST_PEOPLE or not 0 < effect < 1:
        return math.nan, math.nan
    farther = _nearer_others(matrix, codes, pairs)
    own = (sizes[codes] - 1).astype(np.float64)
    left = (len(codes) - sizes[codes])[:, None] - sizes[None, :]
    rest = farther.sum(axis=1, keepdims=True) - farther
    with_own = own > 0
    nearer = np.zeros_like(farther)
    nearer[with_own] = 1 - rest[with_own] / (own[:, None] * left)[with_own]
    by_person = np.zeros((len(sizes), len(sizes)))
    np.add.at(by_person, codes, nearer)
    by_person = by_person[repeated] / sizes[repeated][:, None]
    by_person[np.arange(len(repeated)), repeated] = np.nan
    without = np.clip(np.nanmean(by_person, axis=0), 1e-9, 1 - 1e-9)
    values = logit(without)
    people = len(values)
    error = math.sqrt((people - 1) / people * float(((values - values.mean()) ** 2).sum()))
    half = float(stats.t.ppf(0.975, len(repeated) - 1)) * error
    centre = float(logit(effect))
    return float(expit(centre - half)), float(expit(centre + half))


def _medians(
    matrix: Numbers, codes: npt.NDArray[np.intp], people: npt.NDArray[np.intp]
) -> tuple[float, float]:
    """Median distance within a person and to others, each the median over people."""
    within, between = [], []
    for person in people:
        mine = codes == person
        part = matrix[np.ix_(mine, mine)]
        within.append(np.median(part[np.triu_indices(len(part), 1)]))
        between.append(np.median(matrix[np.ix_(mine, ~mine)]))
    return float(np.median(within)), float(np.median(between))
