"""Tables of the predictive model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import sklearn

from fermentome.cohort.data import Account, Numbers, generator
from fermentome.cohort.model_evaluation import Measured
from fermentome.cohort.model_importance import (
    IMPORTANCE_COLUMNS,
    TOP,
    FoldImportance,
    fold_importance,
    importance_rows,
    stability,
)
from fermentome.cohort.model_inputs import FEATURES, GOOD_SUBJECTS, INPUTS, Problem
from fermentome.cohort.model_learner import CLASSES
from fermentome.cohort.model_scores import (
    AUC,
    CONCORDANCE,
    DRAWS,
    calibrated_errors,
    interval,
    ranking_interval,
    reject_curve,
    reliability,
    score_names,
    trained_reject,
)
from fermentome.cohort.settings import ModelSettings, Settings
from fermentome.tables import Cell

SUBJECT, BATCHES = "subject", "batch"
"""Schemes: what is left out."""

LEFT_OUT_AS = {SUBJECT: "subjects", BATCHES: "batches"}

ABOUT_COLUMNS = ("key", "value")
SCORE_COLUMNS = (
    "scheme",
    "inputs",
    "score",
    "value",
    "ci_low",
    "ci_high",
    "null_mean",
    "null_low",
    "null_high",
    "p",
    "permutations",
    "null",
    "folds",
    "samples",
    "subjects",
)
NULL_COLUMNS = ("scheme", "inputs", "permutation", "score", "value")
PREDICTION_COLUMNS = (
    "scheme",
    "repeat",
    "fold",
    "sample",
    "subject",
    "observed",
    "level",
    "predicted",
    "decision",
)
CALIBRATION_COLUMNS = (
    "scheme",
    "level",
    "bin",
    "predicted",
    "observed",
    "ci_low",
    "ci_high",
    "samples",
    "subjects",
)
REJECT_COLUMNS = (
    "scheme",
    "rule",
    "coverage",
    "certainty",
    "accuracy",
    "ci_low",
    "ci_high",
    "null_mean",
    "null_low",
    "null_high",
)
MODEL_OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "about": ABOUT_COLUMNS,
    "scores": SCORE_COLUMNS,
    "null": NULL_COLUMNS,
    "predictions": PREDICTION_COLUMNS,
    "calibration": CALIBRATION_COLUMNS,
    "reject": REJECT_COLUMNS,
    "importance": IMPORTANCE_COLUMNS,
}
"""Tables that `write_model` writes, beside the ``card``."""

UNDECIDED = "undecided"
RANKED, TRAINED = "ranked", "trained"
MADE, REFUSED = "made", "refused"


@dataclass(slots=True)
class ModelResult:
    """Rows of each of `MODEL_OUTPUTS`."""

    tables: dict[str, list[dict[str, Cell]]] = field(
        default_factory=lambda: {name: [] for name in MODEL_OUTPUTS}
    )

    def tell(self, key: str, value: Cell) -> None:
        """Add a fact about the model."""
        text = " ".join(str(value).split())
        self.tables["about"].append({"key": key, "value": text})


def report(
    problem: Problem,
    scheme: str,
    measured: Mapping[str, Measured],
    settings: Settings,
    draws: Numbers,
    account: Account,
    result: ModelResult,
) -> None:
    """Add the rows of one scheme to the tables, and say in the account what was made."""
    main = measured[FEATURES]
    for inputs, one in measured.items():
        result.tables["scores"].extend(_score_rows(problem, scheme, inputs, one))
        result.tables["null"].extend(
            {
                "scheme": scheme,
                "inputs": inputs,
                "permutation": number,
                "score": name,
                "value": float(value),
            }
            for name, values in one.null.items()
            for number, value in enumerate(values, start=1)
        )
        rows = int((one.outcomes[0].fold >= 0).sum())
        people = int(np.unique(problem.subject[one.outcomes[0].fold >= 0]).size)
        item = f"{inputs}, {LEFT_OUT_AS[scheme]} left out"
        if sum(outcome.unconverged for outcome in one.outcomes):
            account.partly(item, "some fits did not reach the solver's tolerance", rows, people)
        elif rows < problem.y.size:
            account.partly(
                item,
                f"{problem.y.size - rows} samples have no prediction: without their fold a level"
                " is missing",
                rows,
                people,
            )
        else:
            account.done(item, rows, people)
    result.tables["scores"].extend(_gain_rows(problem, scheme, measured))
    result.tables["predictions"].extend(_prediction_rows(problem, scheme, main))
    if problem.task == CLASSES:
        _report_classes(problem, scheme, main, settings, draws, result)
    elif scheme == SUBJECT:
        account.left_out(
            "reject option", "ridge regression gives no certainty; it is made for classes only"
        )
        account.left_out("calibration", "probabilities are predicted for classes only")
    if scheme == SUBJECT:
        _report_importance(problem, main, settings, account, result)


def _score_rows(problem: Problem, scheme: str, inputs: str, one: Measured) -> list[dict[str, Cell]]:
    names = score_names(problem.task)
    rows = []
    for name in names:
        values, null = one.scores[name], one.null[name]
        low, high = _interval(name, values)
        null_low, null_high = interval(null)
        rows.append(
            _score_row(
                problem,
                scheme,
                inputs,
                one,
                name,
                float(values[0]),
                low,
                high,
                null_mean=_known_mean(null),
                null_low=null_low,
                null_high=null_high,
                p=one.p(name) if name == names[0] else None,
                permutations=one.shufflings,
                null=one.shuffling,
            )
        )
    return rows


def _interval(name: str, values: Numbers) -> tuple[float | None, float | None]:
    """Interval of a score, from the score itself and its resamplings."""
    if name == "calibration_error":
        # Its bins are not remade in each resampling.
        return None, None
    if name in {AUC, CONCORDANCE}:
        return ranking_interval(float(values[0]), values[1:])
    return interval(values[1:])


def _known_mean(values: Numbers) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _score_row(
    problem: Problem,
    scheme: str,
    inputs: str,
    one: Measured,
    name: str,
    value: float,
    low: float | None,
    high: float | None,
    **null: Cell,
) -> dict[str, Cell]:
    scored = one.outcomes[0].fold >= 0
    row: dict[str, Cell] = dict.fromkeys(SCORE_COLUMNS)
    return {
        **row,
        "scheme": scheme,
        "inputs": inputs,
        "score": name,
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "folds": len(one.outcomes[0].strengths),
        "samples": int(scored.sum()),
        "subjects": int(np.unique(problem.subject[scored]).size),
        **null,
    }


def _gain_rows(
    problem: Problem, scheme: str, measured: Mapping[str, Measured]
) -> list[dict[str, Cell]]:
    """What the model scores more than each baseline, over the same resampled subjects."""
    name = score_names(problem.task)[0]
    main = measured[FEATURES]
    rows = []
    for inputs, one in measured.items():
        if inputs != FEATURES:
            gain = main.scores[name] - one.scores[name]
            low, high = interval(gain[1:])
            rows.append(
                _score_row(
                    problem,
                    scheme,
                    FEATURES,
                    main,
                    f"{name}_gain_over_{inputs}",
                    float(gain[0]),
                    low,
                    high,
                )
            )
    return rows


def _prediction_rows(problem: Problem, scheme: str, main: Measured) -> list[dict[str, Cell]]:
    rows: list[dict[str, Cell]] = []
    for repeat, outcome in enumerate(main.outcomes, start=1):
        for i in np.flatnonzero(outcome.fold >= 0):
            shared: dict[str, Cell] = {
                "scheme": scheme,
                "repeat": repeat,
                "fold": int(outcome.fold[i]) + 1,
                "sample": problem.samples[i],
                "subject": problem.subjects[problem.subject[i]],
            }
            given = outcome.predicted[i]
            if problem.task != CLASSES:
                rows.append(
                    {
                        **shared,
                        "observed": float(outcome.y[i]),
                        "level": None,
                        "predicted": float(given[0]),
                        "decision": None,
                    }
                )
                continue
            certain = given.max() >= outcome.threshold[i]
            decision = problem.levels[int(given.argmax())] if certain else UNDECIDED
            rows.extend(
                {
                    **shared,
                    "observed": problem.levels[int(outcome.y[i])],
                    "level": level,
                    "predicted": float(given[k]),
                    "decision": decision,
                }
                for k, level in enumerate(problem.levels)
            )
    return rows


def _report_classes(
    problem: Problem,
    scheme: str,
    main: Measured,
    settings: Settings,
    draws: Numbers,
    result: ModelResult,
) -> None:
    subject, weights = problem.subject, problem.weights
    result.tables["calibration"].extend(
        {
            "scheme": scheme,
            "level": problem.levels[one.level],
            "bin": one.number + 1,
            "predicted": one.predicted,
            "observed": one.observed,
            "ci_low": one.low,
            "ci_high": one.high,
            "samples": one.samples,
            "subjects": one.subjects,
        }
        for one in reliability(main.outcomes, subject, weights, draws[1:])
    )
    rng = generator(settings.seed, f"calibrated {scheme}")
    errors = calibrated_errors(main.outcomes[0], subject, weights, rng)
    low, high = interval(errors)
    result.tables["scores"].append(
        _score_row(
            problem,
            scheme,
            FEATURES,
            main,
            "calibration_error_if_calibrated",
            float(errors.mean()),
            low,
            high,
        )
    )
    for coverage, (certainty, values) in reject_curve(
        main.outcomes, subject, weights, draws
    ).items():
        null = main.null_accuracy[coverage]
        null_low, null_high = interval(null)
        low, high = interval(values[1:])
        result.tables["reject"].append(
            {
                "scheme": scheme,
                "rule": RANKED,
                "coverage": coverage,
                "certainty": certainty,
                "accuracy": float(values[0]),
                "ci_low": low,
                "ci_high": high,
                "null_mean": _known_mean(null),
                "null_low": null_low,
                "null_high": null_high,
            }
        )
    reached, values = trained_reject(main.outcomes, subject, weights, draws)
    low, high = interval(values[1:])
    result.tables["reject"].append(
        {
            "scheme": scheme,
            "rule": TRAINED,
            "coverage": float(reached[0]),
            "certainty": None,
            "accuracy": float(values[0]),
            "ci_low": low,
            "ci_high": high,
            "null_mean": None,
            "null_low": None,
            "null_high": None,
        }
    )


def _report_importance(
    problem: Problem, main: Measured, settings: Settings, account: Account, result: ModelResult
) -> None:
    p = main.p(score_names(problem.task)[0])
    if p > settings.fdr:
        account.left_out(
            "importance",
            f"the model is not better than its null (p = {p:.3g}, limit {settings.fdr:g}): what"
            " it leaned on says nothing",
        )
        return
    blocks = problem.inputs[FEATURES]
    folds: list[FoldImportance] = []
    for number, one in enumerate(main.fitted):
        if not one.preparation.names:
            continue
        rng = generator(settings.seed, "importance", number)
        folds.append(
            fold_importance(
                problem.task,
                one.model,
                one.preparation,
                one.preparation.apply(blocks, one.test),
                problem.y[one.test],
                problem.weights[one.test],
                int(rng.integers(2**31)),
            )
        )
    rows = importance_rows(problem.task, problem.levels, folds)
    result.tables["importance"].extend(rows)
    result.tell("importance_folds", len(folds))
    result.tell("importance_top", TOP)
    same = stability(folds)
    result.tell("importance_stability", "NA" if np.isnan(same) else f"{same:.3g}")
    account.done("importance", int(problem.y.size), len(problem.subjects))


def tell_about(
    problem: Problem, settings: Settings, model: ModelSettings, result: ModelResult
) -> None:
    """Add what was asked, of whom, and how it was measured."""
    tell = result.tell
    tell("status", MADE)
    tell("target", model.target)
    tell("task", problem.task)
    tell("samples", problem.y.size)
    tell("subjects", len(problem.subjects))
    for number, level in enumerate(problem.levels):
        own = problem.subject[problem.y == number]
        tell(f"level {level}", f"{own.size} samples of {np.unique(own).size} subjects")
    if not problem.levels:
        low, middle, high = np.quantile(problem.y, [0, 0.5, 1])
        tell("range", f"{low:.6g} to {high:.6g}, median {middle:.6g}")
    for block in problem.inputs[FEATURES]:
        tell(f"table {block.name}", f"{len(block.features)} features")
    for inputs in INPUTS[1:]:
        if inputs in problem.inputs:
            names = [n for block in problem.inputs[inputs] for n in block.features]
            tell(f"baseline {inputs}", ", ".join(names[:20]) + (", …" if len(names) > 20 else ""))
    tell("batches", problem.batches if problem.batches > 1 else "none declared")
    tell("batch columns", ", ".join(settings.batch) or "none")
    tell("prevalence", f"{settings.prevalence:g}")
    tell("folds", model.folds)
    tell("inner_folds", model.inner_folds)
    tell("repeats", max(model.repeats, 1))
    tell("permutations", model.permutations)
    tell("resamplings", DRAWS)
    tell("reject", f"{model.reject:g}")
    tell("fdr", f"{settings.fdr:g}")
    tell("good_subjects", GOOD_SUBJECTS)
    tell("seed", settings.seed)
    tell("scikit-learn", sklearn.__version__)
