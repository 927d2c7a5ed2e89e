"""Values of a measure at the visits of people, their baselines, and what differs from them.

The arithmetic behind `fermentome.cohort.people`, for one measure and all people at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from fermentome.cohort.data import Numbers
from fermentome.cohort.measures import LOG2, Measure
from fermentome.cohort.noise import (
    COHORT,
    LEAST_OWN,
    NONE,
    OWN,
    TECHNICAL,
    Prior,
    moderated,
)
from fermentome.cohort.visits import Visit

Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
Places = np.ndarray[tuple[int, ...], np.dtype[np.intp]]


@dataclass(frozen=True, slots=True)
class Groups:
    """Visits that are compared with a baseline as one: single ones, or those of a phase.

    Attributes
    ----------
    visit, group
        Numbers of visits, and the group that each is in.
    person
        Whose, by group.
    """

    visit: Places
    group: Places
    person: Places

    @property
    def count(self) -> int:
        """Number of groups."""
        return int(self.person.size)


@dataclass(frozen=True, slots=True)
class Values:
    """One measure at every visit, on its scale.

    Attributes
    ----------
    y, top
        The value, and the most that it can be: above it for one below detection.
    natural
        In the unit of the measure.
    below
        Whether it is below detection.
    error
        Squared standard error of the measurement; NaN if not known.
    """

    y: Numbers
    top: Numbers
    natural: Numbers
    below: Flags
    error: Numbers

    @property
    def known(self) -> Flags:
        """Whether the measure is known at a visit."""
        known: Flags = ~np.isnan(self.y)
        return known


@dataclass(frozen=True, slots=True)
class Technical:
    """Variance of one technical replicate about the others, and its degrees of freedom.

    It is pooled over all sets of replicates of the cohort: an instrument is one for all.
    """

    variance: float
    df: float


@dataclass(frozen=True, slots=True)
class Baselines:
    """Baseline and noise of each person, for one measure.

    Attributes
    ----------
    y, top, natural
        Means over the baseline's visits, as in `Values`.
    count, below
        Its visits with a known value, and those of them below detection.
    error
        Squared standard error of the measurement of the mean.
    variance, df
        Noise of one visit, and its degrees of freedom; NaN without.
    source
        Where it comes from: one of `noise.SOURCES`.
    typical_error
        Mean squared standard error of the measurements that the noise is told from, and so holds.
    """

    y: Numbers
    top: Numbers
    natural: Numbers
    count: Numbers
    below: Numbers
    error: Numbers
    variance: Numbers
    df: Numbers
    source: list[str]
    typical_error: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """Groups of visits against the baselines of their people, for one measure.

    Attributes
    ----------
    y, natural, below, count
        Mean, whether all is below detection, and visits with a known value.
    difference
        On the scale; the least that it can be where something is below detection, and NaN where
        that leaves no answer.
    middle
        On the scale, what is below detection at half its limit: for means over people, of which
        the least that a difference can be would be one-sided. Between two values of which only
        limits differ it is 0.
    half
        Half the width of the band.
    p
        Of no difference, two-sided.
    bound
        Whether `difference` is less than the values themselves differ by.
    unseen
        Whether detection limits leave no answer.
    """

    y: Numbers
    natural: Numbers
    below: Flags
    count: Numbers
    difference: Numbers
    middle: Numbers
    half: Numbers
    p: Numbers
    bound: Flags
    unseen: Flags


def measured(measure: Measure, visits: Sequence[Visit]) -> tuple[Values, Technical]:
    """A measure at every visit, and what its technical replicates vary.

    Samples of one visit are averaged on the scale; those that are not known do not count.
    """
    row = {sample: i for i, sample in enumerate(measure.samples)}
    visit = np.array(
        [i for i, v in enumerate(visits) for s in v.samples if s in row], dtype=np.intp
    )
    place = np.array([row[s] for v in visits for s in v.samples if s in row], dtype=np.intp)
    below = measure.below[place] if measure.scale == LOG2 else np.zeros(place.size, dtype=bool)
    # Where no sample of the cohort is above zero there is no floor, and any will do.
    floors = np.where(np.isnan(measure.floors), 1.0, measure.floors)[place]
    scaled = np.where(below, np.log2(floors), measure.on_scale()[place])
    kept = ~np.isnan(scaled)
    visit, place, scaled = visit[kept], place[kept], scaled[kept]
    below, floors = below[kept], floors[kept]
    size = len(visits)

    def mean(values: Numbers) -> Numbers:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.bincount(visit, values, size) / counts

    counts = np.bincount(visit, minlength=size).astype(np.float64)
    # A value below detection stands at half the limit, and can be as much as the limit.
    top = np.where(below, np.log2(2 * floors), scaled)
    y = mean(scaled)
    together = np.bincount(visit, (~below).astype(np.float64), size) == 0
    all_below = together & (counts > 0)
    deviation = scaled - y[visit]
    squares = np.bincount(visit, deviation**2, size)
    replicated = np.array([v.replicates for v in visits], dtype=bool) & (counts > 1) & ~all_below
    df = float((counts[replicated] - 1).sum())
    technical = Technical(float(squares[replicated].sum()) / df if df else math.nan, df)
    error = mean(measure.errors[place] ** 2) / np.where(counts > 0, counts, np.nan)
    if technical.df and technical.variance > 0:
        error = np.fmax(error, technical.variance / np.where(counts > 0, counts, np.nan))
    # One sample keeps its own value, 0 among them; a mean is one on the scale.
    natural = np.where(
        (counts == 1) | all_below, mean(measure.values[place]), measure.back_to_unit(y)
    )
    return Values(y, mean(top), natural, all_below, error), technical


def variances_of(values: Values, chosen: Flags, person: Places, people: int) -> tuple[
    Numbers, Numbers
]:  # fmt: skip
    """Variance of each person over some visits, and its degrees of freedom.

    Nothing is known of the noise of somebody who is always below detection: 0 of freedom.
    """
    kept = chosen & values.known
    owner, y = person[kept], values.y[kept]
    count = np.bincount(owner, minlength=people).astype(np.float64)
    seen = np.bincount(owner, (~values.below[kept]).astype(np.float64), people)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(owner, y, people) / count
        df = np.where(seen > 0, np.fmax(count - 1, 0), 0.0)
        variance = np.bincount(owner, (y - mean[owner]) ** 2, people) / df
    return np.where(df > 0, variance, np.nan), df


def summed(values: Numbers, owner: Places, size: int) -> Numbers:
    """Sum of the values of each owner."""
    return np.bincount(owner, values, size).astype(np.float64)


def baselines_of(
    values: Values, technical: Technical, prior: Prior, person: Places, people: int,
    in_baseline: Flags, quiet: Flags,
) -> Baselines:  # fmt: skip
    """Baseline of each person, and the best noise that there is for it.

    Parameters
    ----------
    values, technical
        Of one measure.
    prior
        Noise within the people of the cohort.
    person, in_baseline, quiet
        Of each visit: whose, whether in the baseline, whether noise is told from it.
    people
        Number of people.
    """
    kept = in_baseline & values.known
    owner = person[kept]
    count = np.bincount(owner, minlength=people).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        y = summed(values.y[kept], owner, people) / count
        top = summed(values.top[kept], owner, people) / count
        natural = summed(values.natural[kept], owner, people) / count
        error = summed(values.error[kept], owner, people) / count**2
    below = summed(values.below[kept].astype(np.float64), owner, people)
    own, df = variances_of(values, in_baseline, person, people)
    variance, total = moderated(own, df, prior)
    source = [
        OWN if degrees >= LEAST_OWN - 1 and not math.isnan(found)
        else COHORT if prior.known
        else TECHNICAL if technical.df and technical.variance > 0
        else NONE
        for degrees, found in zip(df, variance, strict=True)
    ]  # fmt: skip
    named = np.array(source)
    variance = np.where(named == TECHNICAL, technical.variance, variance)
    variance = np.where((named == NONE) | (variance <= 0), np.nan, variance)
    total = np.where(named == TECHNICAL, technical.df, total)
    source = [NONE if math.isnan(v) else s for v, s in zip(variance, source, strict=True)]
    told_from = values.error[quiet & values.known]
    told_from = told_from[~np.isnan(told_from)]
    typical = float(told_from.mean()) if told_from.size else math.nan
    return Baselines(y, top, natural, count, below, error, variance, total, source, typical)


def contrast_of(
    values: Values, groups: Groups, baselines: Baselines, band: float
) -> Contrast:  # fmt: skip
    """Differences of groups of visits from the baselines of their people.

    A value below detection is somewhere between 0 and its limit: the difference that is reported
    and tested is then the least that it can be, and nothing where it can be none.
    """
    kept = values.known[groups.visit]
    visit, group = groups.visit[kept], groups.group[kept]
    size, person = groups.count, groups.person
    count = np.bincount(group, minlength=size).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        y = summed(values.y[visit], group, size) / count
        top = summed(values.top[visit], group, size) / count
        natural = summed(values.natural[visit], group, size) / count
        error = summed(values.error[visit], group, size) / count**2
        seen = summed((~values.below[visit]).astype(np.float64), group, size)
        below = (seen == 0) & (count > 0)
        n = baselines.count[person]
        typical = baselines.typical_error
        # What is measured worse than usual varies more than usual by just that.
        excess = np.fmax(error - typical / count, 0)
        excess += np.fmax(baselines.error - typical / baselines.count, 0)[person]
        noise = np.sqrt(baselines.variance[person] * (1 / count + 1 / n) + excess)
        measurement = np.sqrt(error + baselines.error[person])
        # Of technical replicates the mean is known better than one, as `error` holds.
        technical = np.array([source == TECHNICAL for source in baselines.source], dtype=bool)
        noise = np.where(technical[person], measurement, noise)
    up = y - baselines.top[person]
    down = top - baselines.y[person]
    # More than half of the baseline below detection: how much was there to lose is not known.
    nothing_to_lose = (2 * baselines.below > baselines.count)[person]
    raw = y - baselines.y[person]
    difference = np.where(raw > 0, np.maximum(up, 0), np.minimum(down, 0))
    bound = (raw > 0) & (up < raw) | (raw < 0) & (down > raw)
    # A comparison with NaN is false: what is not known is not below anything.
    untestable = (below & (difference >= 0)) | (nothing_to_lose & (raw <= 0))
    difference = np.where(untestable, np.nan, difference)
    all_below = ((baselines.below == baselines.count) & (baselines.count > 0))[person]
    middle = np.where((below & (raw > 0)) | (all_below & (raw < 0)), 0.0, raw)
    with np.errstate(invalid="ignore", divide="ignore"):
        df = baselines.df[person]
        quantile = 0.5 + band / 2
        half = np.fmax(stats.t.ppf(quantile, df) * noise, stats.norm.ppf(quantile) * measurement)
        nothing = np.isnan(noise) | np.isnan(raw)
        half = np.where(nothing, np.nan, half)
        size_of = np.abs(difference)
        p = np.fmax(2 * stats.t.sf(size_of / noise, df), 2 * stats.norm.sf(size_of / measurement))
        p = np.where(nothing, np.nan, p)
    return Contrast(y, natural, below, count, difference, middle, half, p, bound, untestable)
