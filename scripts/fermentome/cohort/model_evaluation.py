"""Nested cross-validation of the predictive model, and its null."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fermentome.cohort.data import Numbers, generator
from fermentome.cohort.model_folds import Splitter, shuffle_target, usable
from fermentome.cohort.model_inputs import BATCH, FEATURES, Problem
from fermentome.cohort.model_learner import (
    CLASSES,
    Block,
    Preparation,
    Rows,
    arrived,
    fit,
    predict,
    tune,
)
from fermentome.cohort.model_scores import (
    COVERAGES,
    Outcome,
    reject_curve,
    score_names,
    scores_of,
    tail,
)
from fermentome.cohort.settings import ModelSettings, Settings


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model of an outer fold with its test rows, for its importance."""

    model: Any
    preparation: Preparation
    test: Rows


def cross_validate(
    problem: Problem,
    blocks: Sequence[Block],
    y: npt.NDArray[Any],
    split: Splitter,
    settings: Settings,
    model: ModelSettings,
    rng: np.random.Generator,
) -> tuple[Outcome, list[Fitted]]:
    """Out-of-fold predictions of one run of the nested cross-validation.

    A fold whose training samples lack a class is left out: its samples get no prediction.
    """
    task, levels, weights = problem.task, problem.levels, problem.weights
    rows = np.arange(y.size)
    width = max(len(levels), 1)
    predicted = np.full((y.size, width), np.nan)
    prior = np.full((y.size, width), np.nan)
    threshold = np.zeros(y.size)
    fold = np.full(y.size, -1, dtype=np.intp)
    strengths: list[float] = []
    fitted: list[Fitted] = []
    late = 0
    outer = usable(task, y, split(y, rows, model.folds, rng), len(levels))
    for number, (train, test) in enumerate(outer):
        inner = usable(task, y, split(y, train, model.inner_folds, rng), len(levels))
        strength = 1.0
        if inner:
            tuned = tune(task, blocks, y, weights, inner, settings.prevalence)
            strength = tuned.strength
            if task == CLASSES:
                threshold[test] = np.quantile(
                    tuned.predicted.max(axis=1),
                    model.reject,
                    weights=weights[tuned.rows],
                    method="inverted_cdf",
                )
        preparation, prepared = Preparation.fit(blocks, train, weights, settings.prevalence)
        final = fit(task, prepared, y[train], weights[train], strength)
        predicted[test] = predict(task, final, preparation.apply(blocks, test))
        prior[test] = _prior(task, y[train], weights[train], width)
        fold[test] = number
        strengths.append(strength)
        late += not arrived(task, final)
        fitted.append(Fitted(final, preparation, test))
    outcome = Outcome(task, levels, y, predicted, prior, fold, threshold, tuple(strengths), late)
    return outcome, fitted


def _prior(task: str, y: npt.NDArray[Any], weights: Numbers, width: int) -> Numbers:
    if task == CLASSES:
        counts = np.bincount(y.astype(np.intp), weights=weights, minlength=width)
        return np.asarray(counts / weights.sum(), dtype=np.float64)
    return np.array([float(weights @ y) / float(weights.sum())])


@dataclass(frozen=True, slots=True)
class Measured:
    """One kind of inputs under one scheme.

    Attributes
    ----------
    outcomes
        One per repeat.
    scores
        By name: the score, then its resamplings.
    null
        By name: the score under each shuffling.
    null_accuracy
        By coverage: accuracy under each shuffling.
    shuffling
        What the null does.
    fitted
        Of the first repeat.
    """

    outcomes: tuple[Outcome, ...]
    scores: dict[str, Numbers]
    null: dict[str, Numbers]
    null_accuracy: dict[float, Numbers]
    shuffling: str
    fitted: tuple[Fitted, ...]

    def p(self, score: str) -> float:
        """One-sided p-value of a score of which more is better."""
        return tail(float(self.scores[score][0]), self.null[score])

    @property
    def shufflings(self) -> int:
        """Number of shufflings that gave a score."""
        first = next(iter(self.null.values()))
        return int((~np.isnan(first)).sum())


def measure(
    problem: Problem,
    scheme: str,
    inputs: str,
    split: Splitter,
    settings: Settings,
    model: ModelSettings,
    draws: Numbers,
) -> Measured:
    """Scores of one kind of inputs, with their resamplings and their null.

    Parameters
    ----------
    split
        How folds are drawn.
    draws
        How often each subject counts: a row of ones first, then resamplings.
    """
    blocks = problem.inputs[inputs]
    free = inputs == BATCH or problem.batches == 1
    stratum = np.zeros_like(problem.stratum) if free else problem.stratum
    once = draws[:1]

    def run(y: npt.NDArray[Any], number: int) -> list[tuple[Outcome, list[Fitted]]]:
        # The same folds for all inputs, so that they are compared on the same samples.
        return [
            cross_validate(
                problem, blocks, y, split, settings, model,
                generator(settings.seed, f"model {scheme}", number, repeat),
            )
            for repeat in range(max(model.repeats, 1))
        ]  # fmt: skip

    runs = run(problem.y, 0)
    outcomes = tuple(outcome for outcome, _ in runs)
    scores = _mean_scores(outcomes, problem, draws)
    null: dict[str, list[float]] = {name: [] for name in scores}
    accuracy: dict[float, list[float]] = {coverage: [] for coverage in COVERAGES}
    for number in range(1, model.permutations + 1):
        rng = generator(settings.seed, f"shuffle {'free' if free else 'within batch'}", number)
        y = shuffle_target(problem.y, problem.subject, stratum, problem.order, rng)
        shuffled = [outcome for outcome, _ in run(y, number)]
        for name, values in _mean_scores(shuffled, problem, once).items():
            null[name].append(float(values[0]))
        if problem.task == CLASSES and inputs == FEATURES and _predicted(shuffled):
            curve = reject_curve(shuffled, problem.subject, problem.weights, once)
            for coverage, (_, values) in curve.items():
                accuracy[coverage].append(float(values[0]))
    return Measured(
        outcomes,
        scores,
        {name: np.array(values) for name, values in null.items()},
        {coverage: np.array(values) for coverage, values in accuracy.items()},
        "between subjects" if free else "between subjects within batch",
        tuple(runs[0][1]),
    )


def _predicted(outcomes: Sequence[Outcome]) -> bool:
    return all((outcome.fold >= 0).any() for outcome in outcomes)


def _mean_scores(
    outcomes: Sequence[Outcome], problem: Problem, draws: Numbers
) -> dict[str, Numbers]:
    if not _predicted(outcomes):
        return {name: np.full(draws.shape[0], np.nan) for name in score_names(problem.task)}
    each = [scores_of(outcome, problem.subject, problem.weights, draws) for outcome in outcomes]
    return {name: np.mean([scores[name] for scores in each], axis=0) for name in each[0]}
