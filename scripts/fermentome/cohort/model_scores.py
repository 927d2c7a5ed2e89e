"""Scores of out-of-fold predictions, with intervals by resampling of subjects.

Ranks are compared within a test fold only. Two samples of different folds were ranked by different
models, and pooling them biases the area under the ROC curve, mostly downwards (Forman and Scholz
2010, doi:10.1145/1882471.1882479; Airola et al. 2011, doi:10.1016/j.csda.2010.11.018). The area
given here is the share of pairs within folds that are ranked rightly: the mean of the areas of the
folds, weighed by their pairs, so that a fold with few subjects counts little and one with a single
class not at all. Losses, accuracy and calibration are sums over samples, which pooling does not
bias.

Each subject counts once: its samples share a weight of one.

The intervals resample subjects and keep the predictions (percentiles; for areas see
`ranking_interval`). They are about the models that were
fitted here, and do not hold what another choice of training samples would change (compare LeDell et
al. 2015, doi:10.1214/15-EJS1035).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from fermentome.cohort.data import Numbers
from fermentome.cohort.model_learner import CLASSES, Rows, losses

DRAWS = 1000
"""Resamplings of subjects. The 2.5 % points of a percentile interval rest on 25 of them, the least
that Efron and Tibshirani (1993, An Introduction to the Bootstrap, chapter 13) call enough."""

AUC, EXPLAINED, CONCORDANCE = "auc", "explained_share", "concordance"
CLASS_SCORES = (
    AUC, "accuracy", "balanced_accuracy", "brier", "brier_skill", "log_loss", "calibration_error",
)  # fmt: skip
NUMBER_SCORES = (EXPLAINED, CONCORDANCE, "mean_absolute_error")
MOST_BINS, LEAST_IN_BIN = 10, 20
"""Of the reliability curve: ten bins are usual (Guo et al. 2017, arXiv:1706.04599); with 20
subjects the standard error of a share in a bin is at most 0.11."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Out-of-fold predictions of one run of the nested cross-validation.

    Attributes
    ----------
    task, levels
        What was predicted.
    y
        Truth: class numbers or numbers.
    predicted
        Of shape (samples, classes) or (samples, 1); NaN where a sample was in no usable fold.
    prior
        What is predicted without inputs, by the training subjects of the fold; same shape.
    fold
        Test fold of each sample, -1 for none.
    threshold
        Confidence, learned in the training folds, below which a sample is left undecided.
    strengths
        Chosen in each fold.
    unconverged
        Number of final fits that did not reach the solver's tolerance.
    """

    task: str
    levels: tuple[str, ...]
    y: npt.NDArray[Any]
    predicted: Numbers
    prior: Numbers
    fold: Rows
    threshold: Numbers
    strengths: tuple[float, ...]
    unconverged: int


def score_names(task: str) -> tuple[str, ...]:
    """Names of the scores of a task, the one that is tested first."""
    return CLASS_SCORES if task == CLASSES else NUMBER_SCORES


def draws_of(subjects: int, rng: np.random.Generator, draws: int = DRAWS) -> Numbers:
    """How often each subject is in each resampling, of shape (draws, subjects)."""
    even = np.full(subjects, 1 / subjects)
    return rng.multinomial(subjects, even, size=draws).astype(np.float64)


def scores_of(
    outcome: Outcome, subject: Rows, weights: Numbers, draws: Numbers
) -> dict[str, Numbers]:
    """Every score under each resampling; a row of ones is the score itself.

    Classes: ``auc`` is the mean over pairs of classes (Hand and Till 2001,
    doi:10.1023/A:1010920819831); ``brier`` is (p - y)^2 for two classes and the sum over classes
    for more (Brier 1950); ``brier_skill`` is 1 - brier / brier of the training frequencies.

    Numbers: ``explained_share`` is 1 - squared error / squared error of the training mean, as the
    out-of-sample R2 of Campbell and Thompson (2008, doi:10.1093/rfs/hhm055); below zero the mean
    is the better prediction. ``concordance`` is the share of pairs in the right order.
    """
    rows = np.flatnonzero(outcome.fold >= 0)
    y, given = outcome.y[rows], outcome.predicted[rows]
    own, prior = weights[rows], outcome.prior[rows]

    def total(values: Numbers) -> Numbers:
        per_subject = np.bincount(
            subject[rows], weights=own * values, minlength=draws.shape[1]
        ).astype(np.float64)
        return np.asarray(draws @ per_subject, dtype=np.float64)

    def mean(values: Numbers) -> Numbers:
        return _ratio(total(values), total(np.ones(rows.size)))

    if outcome.task != CLASSES:
        squared, base = (given[:, 0] - y) ** 2, (prior[:, 0] - y) ** 2
        return {
            EXPLAINED: 1 - _ratio(total(squared), total(base)),
            CONCORDANCE: _concordance(outcome, rows, subject, weights, draws),
            "mean_absolute_error": mean(np.abs(given[:, 0] - y)),
        }
    truth = np.eye(len(outcome.levels))[y.astype(np.intp)]
    halved = 2 if len(outcome.levels) == 2 else 1
    squared = ((given - truth) ** 2).sum(axis=1) / halved
    base = ((prior - truth) ** 2).sum(axis=1) / halved
    right = (given.argmax(axis=1) == y).astype(np.float64)
    recalls = [
        _ratio(total(right * truth[:, k]), total(truth[:, k])) for k in range(truth.shape[1])
    ]
    return {
        AUC: _hand_till(outcome, rows, subject, weights, draws),
        "accuracy": mean(right),
        "balanced_accuracy": np.mean(recalls, axis=0),
        "brier": mean(squared),
        "brier_skill": 1 - _ratio(total(squared), total(base)),
        "log_loss": mean(losses(CLASSES, given, y)),
        "calibration_error": np.full(
            draws.shape[0], calibration_error([outcome], subject, weights)
        ),
    }


def _ratio(above: Numbers, below: Numbers) -> Numbers:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _pairs(
    value: Numbers, first: Numbers, subject: Rows, weights: Numbers, draws: Numbers
) -> tuple[Numbers, Numbers]:
    """Weight of pairs in which the first is the larger, and of all pairs, under each resampling.

    Own code, because scikit-learn's area knows neither folds nor resamplings: a pair of subjects
    that are drawn m and n times counts m n times, so that one matrix serves all resamplings.

    Parameters
    ----------
    value
        Of each sample, by which they are ranked.
    first
        Of shape (samples, samples): 1 where the sample of the row should be the larger.
    """
    people, place = np.unique(subject, return_inverse=True)
    spread = np.zeros((subject.size, people.size))
    spread[np.arange(subject.size), place] = weights
    larger = np.greater.outer(value, value) + 0.5 * np.equal.outer(value, value)
    drawn = draws[:, people]
    right = spread.T @ (first * larger) @ spread
    every = spread.T @ first @ spread
    return (drawn @ right * drawn).sum(axis=1), (drawn @ every * drawn).sum(axis=1)


def _over_folds(outcome: Outcome, rows: Rows, draws: Numbers, pairs_in: Any) -> Numbers:
    above, below = np.zeros(draws.shape[0]), np.zeros(draws.shape[0])
    for fold in np.unique(outcome.fold[rows]):
        right, every = pairs_in(rows[outcome.fold[rows] == fold])
        above, below = above + right, below + every
    return _ratio(above, below)


def _hand_till(
    outcome: Outcome, rows: Rows, subject: Rows, weights: Numbers, draws: Numbers
) -> Numbers:
    classes = len(outcome.levels)
    # With two classes both orders say the same; the second probability serves.
    ordered = (
        [(1, 0)]
        if classes == 2
        else [(a, b) for a in range(classes) for b in range(classes) if a != b]
    )

    def area(a: int, b: int) -> Numbers:
        def pairs_in(own: Rows) -> tuple[Numbers, Numbers]:
            own = own[np.isin(outcome.y[own], (a, b))]
            first = np.logical_and.outer(outcome.y[own] == a, outcome.y[own] == b)
            return _pairs(
                outcome.predicted[own, a], first.astype(np.float64), subject[own], weights[own],
                draws,
            )  # fmt: skip

        return _over_folds(outcome, rows, draws, pairs_in)

    return np.asarray(np.mean([area(a, b) for a, b in ordered], axis=0), dtype=np.float64)


def _concordance(
    outcome: Outcome, rows: Rows, subject: Rows, weights: Numbers, draws: Numbers
) -> Numbers:
    def pairs_in(own: Rows) -> tuple[Numbers, Numbers]:
        first = np.greater.outer(outcome.y[own], outcome.y[own]).astype(np.float64)
        return _pairs(outcome.predicted[own, 0], first, subject[own], weights[own], draws)

    return _over_folds(outcome, rows, draws, pairs_in)


@dataclass(frozen=True, slots=True)
class Bin:
    """One point of a reliability curve: samples of about the same probability."""

    level: int
    number: int
    samples: int
    subjects: int
    weight: float
    predicted: float
    observed: float
    low: float
    high: float


def shown_levels(levels: Sequence[str]) -> tuple[int, ...]:
    """Classes that have a reliability curve: of two the second, whose mirror is the first."""
    return (1,) if len(levels) == 2 else tuple(range(len(levels)))


def reliability(
    outcomes: Sequence[Outcome], subject: Rows, weights: Numbers, draws: Numbers | None = None
) -> list[Bin]:
    """Share of a class among samples that were given about the same probability for it.

    Bins hold equal numbers of samples. Runs with other folds are pooled.
    """
    first = outcomes[0]
    rows = [np.flatnonzero(outcome.fold >= 0) for outcome in outcomes]
    of = np.concatenate([subject[own] for own in rows])
    weight = np.concatenate([weights[own] for own in rows]) / len(outcomes)
    people = np.unique(of).size
    bins = int(np.clip(people // LEAST_IN_BIN, 2, MOST_BINS))
    found = []
    for level in shown_levels(first.levels):
        given = np.concatenate(
            [o.predicted[own, level] for o, own in zip(outcomes, rows, strict=True)]
        )
        truth = np.concatenate([(o.y[own] == level) for o, own in zip(outcomes, rows, strict=True)])
        order = np.argsort(given, kind="stable")
        for number, own in enumerate(np.array_split(order, bins)):
            if not own.size:
                continue
            low = high = float("nan")
            if draws is not None:
                size = draws.shape[1]
                above = np.bincount(of[own], weights=weight[own] * truth[own], minlength=size)
                below = np.bincount(of[own], weights=weight[own], minlength=size)
                low, high = interval(_ratio(draws @ above, draws @ below))
            whole = float(weight[own].sum())
            found.append(
                Bin(
                    level,
                    number,
                    own.size,
                    int(np.unique(of[own]).size),
                    whole,
                    float(weight[own] @ given[own]) / whole,
                    float(weight[own] @ truth[own]) / whole,
                    low,
                    high,
                )  # fmt: skip
            )
    return found


def calibration_error(outcomes: Sequence[Outcome], subject: Rows, weights: Numbers) -> float:
    """Expected calibration error: mean distance of the reliability curve from the diagonal.

    Sum over bins of weight times |observed - predicted| (Naeini et al. 2015,
    doi:10.1609/aaai.v29i1.9602), in bins of equal size; with more than two classes the mean over
    classes.
    """
    bins = reliability(outcomes, subject, weights)
    weight = sum(one.weight for one in bins)
    apart = sum(one.weight * abs(one.observed - one.predicted) for one in bins)
    return apart / weight if weight else float("nan")


def calibrated_errors(
    outcome: Outcome, subject: Rows, weights: Numbers, rng: np.random.Generator, draws: int = 200
) -> Numbers:
    """Calibration errors of perfectly calibrated predictions of the same probabilities.

    The error is above zero by chance alone, the more so the fewer the subjects; this says by how
    much (the idea of Bröcker and Smith 2007, doi:10.1175/WAF993.1). Truths are drawn from the
    predictions, one for a subject where its truth is constant.
    """
    rows = np.flatnonzero(outcome.fold >= 0)
    people = np.unique(subject[rows])
    constant = all(np.unique(outcome.y[rows][subject[rows] == s]).size == 1 for s in people)
    cumulated = np.cumsum(outcome.predicted, axis=1)
    if constant:
        size = int(subject.max()) + 1
        count = np.maximum(np.bincount(subject[rows], minlength=size), 1)
        for k in range(cumulated.shape[1]):
            sums = np.bincount(subject[rows], weights=cumulated[rows, k], minlength=size)
            cumulated[:, k] = (sums / count)[subject]
    found = []
    for _ in range(draws):
        uniform = (
            rng.random(int(subject.max()) + 1)[subject] if constant else rng.random(subject.size)
        )
        y = (uniform[:, None] > cumulated[:, :-1]).sum(axis=1)
        drawn = Outcome(
            outcome.task, outcome.levels, y, outcome.predicted, outcome.prior, outcome.fold,
            outcome.threshold, (), 0,
        )  # fmt: skip
        found.append(calibration_error([drawn], subject, weights))
    return np.array(found)


COVERAGES = tuple(round(1 - 0.05 * step, 2) for step in range(11))
"""Shares of samples that are decided, from all to half."""


def reject_curve(
    outcomes: Sequence[Outcome], subject: Rows, weights: Numbers, draws: Numbers
) -> dict[float, tuple[float, Numbers]]:
    """Accuracy among the most certain samples, by the share of samples that is decided.

    A sample is as certain as its largest probability (Chow 1970, doi:10.1109/TIT.1970.1054406).

    Returns
    -------
    dict
        By coverage: the least certainty that was decided, and the accuracy under each resampling.
    """
    rows, certain, right, of, weight = _decisions(outcomes, subject, weights)
    order = np.argsort(-certain, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    curve = {}
    for coverage in COVERAGES:
        kept = order[: int(np.searchsorted(reached, coverage - 1e-9)) + 1]
        curve[coverage] = (float(certain[kept[-1]]), _accuracy(kept, right, of, weight, draws))
    return curve


def trained_reject(
    outcomes: Sequence[Outcome], subject: Rows, weights: Numbers, draws: Numbers
) -> tuple[Numbers, Numbers]:
    """Coverage and accuracy with the thresholds of the training folds, which never saw the test."""
    rows, certain, right, of, weight = _decisions(outcomes, subject, weights)
    threshold = np.concatenate([o.threshold[o.fold >= 0] for o in outcomes])
    kept = np.flatnonzero(certain >= threshold)
    size = draws.shape[1]
    inside = np.bincount(of[kept], weights=weight[kept], minlength=size)
    whole = np.bincount(of, weights=weight, minlength=size)
    return _ratio(draws @ inside, draws @ whole), _accuracy(kept, right, of, weight, draws)


def _decisions(
    outcomes: Sequence[Outcome], subject: Rows, weights: Numbers
) -> tuple[Rows, Numbers, Numbers, Rows, Numbers]:
    rows = [np.flatnonzero(outcome.fold >= 0) for outcome in outcomes]
    pairs = list(zip(outcomes, rows, strict=True))
    certain = np.concatenate([o.predicted[own].max(axis=1) for o, own in pairs])
    right = np.concatenate([o.predicted[own].argmax(axis=1) == o.y[own] for o, own in pairs])
    of = np.concatenate([subject[own] for own in rows])
    weight = np.concatenate([weights[own] for own in rows]) / len(outcomes)
    return np.concatenate(rows), certain, right.astype(np.float64), of, weight


def _accuracy(kept: Rows, right: Numbers, of: Rows, weight: Numbers, draws: Numbers) -> Numbers:
    size = draws.shape[1]
    above = np.bincount(of[kept], weights=weight[kept] * right[kept], minlength=size)
    below = np.bincount(of[kept], weights=weight[kept], minlength=size)
    return _ratio(draws @ above, draws @ below)


def interval(values: Numbers, coverage: float = 0.95) -> tuple[float, float]:
    """Percentile interval of what is known of the values; NaN if nothing is."""
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - coverage) / 2, (1 + coverage) / 2])
    return float(low), float(high)


def ranking_interval(value: float, values: Numbers) -> tuple[float, float]:
    """95 % interval of an area or concordance: 1.96 standard errors on the logit scale.

    The standard error is that of the resamplings. With 40 subjects in three folds it holds the
    area of the fitted models in 93 % of 300 drawn cohorts, a percentile interval in 90 %, one
    that is symmetric around the area in 88 %. Resamplings are kept 0.005 from 0 and 1, which have
    no logit. A perfect ranking has no interval: no resampling of it is another one.

    >>> low, high = ranking_interval(0.5, np.array([0.5, 0.6, 0.4]))
    >>> round(low, 3), round(high, 3)
    (0.343, 0.657)
    >>> ranking_interval(1.0, np.array([1.0, 1.0]))
    (nan, nan)
    """
    known = values[~np.isnan(values)]
    if not 0 < value < 1 or not known.size:
        return float("nan"), float("nan")
    error = float(logit(np.clip(known, 0.005, 0.995)).std())
    low, high = expit(logit(value) + np.array([-1.96, 1.96]) * error)
    return float(low), float(high)


def tail(observed: float, null: Numbers) -> float:
    """Probability under the null of a score as high or higher: (1 + count) / (1 + number).

    The observed arrangement is one of those that the null can give (Phipson and Smyth 2010,
    doi:10.2202/1544-6115.1585). Scores are compared at ten decimals.
    """
    known = null[~np.isnan(null)]
    return float((1 + (known >= observed - 1e-10).sum()) / (1 + known.size))
