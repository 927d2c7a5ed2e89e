"""A predictive model of a column of the metadata, and all that must stand beside it.

It is made only if ``model: target`` is set, and never shown without its null. The procedure is
nested cross-validation: outer folds measure, inner folds, which hold training samples only, choose
the strength of the penalty. All samples of a subject are in one fold. Preparation of the inputs is
learned inside each fold (`model_learner`). Where batches are declared a second scheme leaves whole
batches out.

The null shuffles the target between subjects, within batches, and repeats everything: the drawing
of folds (which are stratified by the shuffled target), the preparation, the tuning, the fits, all
repeats, and the scores (Ojala and Garriga 2010, JMLR 11:1833). Only the split into leave-out
batches is the same each time, as it does not hang on the target. Because the shuffling is within
batches, what can be scored by telling batches apart is part of the null. The batch-only baseline
alone is compared with free shuffling, as shuffling within batches leaves it as it is.

One p-value is the answer: that of the model with subjects left out. The other rows are checks of
it, and are not corrected for their number.

Threads of linear algebra are held at one, so that the same input gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import sklearn
from threadpoolctl import threadpool_limits

from fermentome.cohort.data import Account, Cohort, generator
from fermentome.cohort.model_card import write_model_card
from fermentome.cohort.model_evaluation import Measured, measure
from fermentome.cohort.model_folds import Splitter, batch_groups, by_batch, by_subject
from fermentome.cohort.model_inputs import (
    BATCH,
    FEATURES,
    INPUTS,
    LEAST_PERMUTATIONS,
    ModelRefusedError,
    Problem,
    pose,
)
from fermentome.cohort.model_report import (
    BATCHES,
    LEFT_OUT_AS,
    MODEL_OUTPUTS,
    REFUSED,
    SUBJECT,
    ModelResult,
    report,
    tell_about,
)
from fermentome.cohort.model_scores import draws_of, score_names
from fermentome.cohort.settings import ModelSettings, Settings
from fermentome.tables import Cell, write_table


def analyse_model(
    cohort: Cohort, settings: Settings, model: ModelSettings, account: Account
) -> ModelResult:
    """Measure how well the target is predicted, against its null and its baselines.

    If the target cannot be predicted for a reason that is known beforehand, or if the null
    cannot be computed, all tables but ``about`` are empty and the account says why.
    """
    try:
        # The checks of scikit-learn take longer than a small fit; all inputs are made here.
        with (
            threadpool_limits(limits=1),
            sklearn.config_context(assume_finite=True, skip_parameter_validation=True),
        ):
            return _analyse(cohort, settings, model, account)
    except ModelRefusedError as refused:
        account.left_out("model", str(refused))
        result = ModelResult()
        result.tell("status", REFUSED)
        result.tell("target", model.target or "")
        result.tell("reason", str(refused))
        return result


def write_model(
    cohort: Cohort,
    settings: Settings,
    model: ModelSettings,
    account: Account,
    outputs: Mapping[str, str | os.PathLike[str]],
) -> None:
    """Write the tables of `MODEL_OUTPUTS` and the ``card``."""
    result = analyse_model(cohort, settings, model, account)
    for name, columns in MODEL_OUTPUTS.items():
        rows = [{key: _plain(value) for key, value in row.items()} for row in result.tables[name]]
        write_table(outputs[name], columns, rows)
    write_model_card(outputs, outputs["card"])


def _plain(value: Cell) -> Cell:
    """Cell without tabs and line breaks, which names of foreign tables may hold."""
    return " ".join(value.split()) if isinstance(value, str) else value


def _analyse(
    cohort: Cohort, settings: Settings, model: ModelSettings, account: Account
) -> ModelResult:
    problem = pose(cohort, settings, model, account)
    first = score_names(problem.task)[0]
    draws = np.vstack(
        [
            np.ones((1, len(problem.subjects))),
            draws_of(len(problem.subjects), generator(settings.seed, "model resampling")),
        ]
    )
    result = ModelResult()
    for scheme, split in _schemes(problem, account).items():
        measured: dict[str, Measured] = {}
        for inputs in INPUTS:
            # With batches left out, the batch of a test sample is always new.
            if inputs not in problem.inputs or (scheme, inputs) == (BATCHES, BATCH):
                continue
            one = measure(problem, scheme, inputs, split, settings, model, draws)
            reason = _without_null(one, first)
            if reason and (scheme, inputs) == (SUBJECT, FEATURES):
                raise ModelRefusedError(reason)
            if reason:
                account.left_out(f"{inputs}, {LEFT_OUT_AS[scheme]} left out", reason)
                if inputs == FEATURES:
                    break
                continue
            measured[inputs] = one
        if measured:
            report(problem, scheme, measured, settings, draws, account, result)
    tell_about(problem, settings, model, result)
    return result


def _schemes(problem: Problem, account: Account) -> dict[str, Splitter]:
    schemes = {SUBJECT: by_subject(problem.task, problem.subject)}
    if problem.batches < 2:
        account.left_out(
            "batches left out", "no batch column with two or more values is named in cohort: batch"
        )
        return schemes
    groups = batch_groups(problem.subject, problem.batch)
    if groups.max() == 0:
        account.left_out(
            "batches left out",
            "subjects with samples in several batches tie all batches together; leaving one out"
            " would leave its subjects in",
        )
        return schemes
    schemes[BATCHES] = by_batch(problem.task, problem.subject, groups)
    return schemes


def _without_null(measured: Measured, score: str) -> str:
    """Why a score must not be shown; empty if it may."""
    if np.isnan(measured.scores[score][0]):
        return "no test fold can be scored: none holds two classes, or no training fold holds all"
    if (~np.isnan(measured.null[score])).sum() < LEAST_PERMUTATIONS:
        return (
            f"only {measured.shufflings} of {measured.null[score].size} shufflings of the target"
            " could be scored, so there is no null, and nothing is shown"
        )
    return ""
