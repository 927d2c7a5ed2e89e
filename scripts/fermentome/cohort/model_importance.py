"""What the model leaned on: permutation importance on held-out folds, and its stability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.inspection import permutation_importance

from fermentome.cohort.data import Numbers
from fermentome.cohort.model_learner import CLASSES, Preparation, losses, predict, steady
from fermentome.tables import Cell

TOP = 20
"""Number of features whose sameness between folds is measured."""

SHUFFLES = 5
"""Of each feature and fold; scikit-learn's default."""

IMPORTANCE_COLUMNS = (
    "rank", "table", "feature", "importance", "sd", "lowest", "highest", "folds", "folds_positive",
    "folds_top", "direction", "direction_share",
)  # fmt: skip

HIGHER, LOWER = "higher", "lower"


@dataclass(frozen=True, slots=True)
class FoldImportance:
    """Importance of the features in one test fold.

    Attributes
    ----------
    names
        Table and feature.
    rises
        Rise of the held-out loss when the feature is shuffled; mean over shufflings.
    coefficients
        Of shape (1 or classes, features), of standardised features.
    """

    names: tuple[tuple[str, str], ...]
    rises: Numbers
    coefficients: Numbers


def fold_importance(
    task: str,
    model: Any,
    preparation: Preparation,
    x: Numbers,
    y: Any,
    weights: Numbers,
    seed: int,
) -> FoldImportance:
    """Importance in one test fold, in units of the loss that the model is tuned for.

    A prepared column is shuffled among the test samples. The area under the curve is too coarse
    for it: in a fold of a few dozen people one feature of hundreds rarely changes an order.
    """

    def score(fitted: Any, given: Numbers, truth: Any, sample_weight: Numbers) -> float:
        loss = losses(task, predict(task, fitted, given), truth)
        return -float(sample_weight @ loss / sample_weight.sum())

    found = permutation_importance(
        model, x, y, scoring=score, n_repeats=SHUFFLES, random_state=seed, sample_weight=weights
    )
    return FoldImportance(
        preparation.names,
        np.asarray(found.importances_mean, dtype=np.float64)[: len(preparation.names)],
        np.atleast_2d(np.asarray(model.coef_, dtype=np.float64)),
    )


def importance_rows(
    task: str, levels: Sequence[str], folds: Sequence[FoldImportance]
) -> list[dict[str, Cell]]:
    """Rows of `IMPORTANCE_COLUMNS`, the most important first.

    Mean, standard deviation and range are over the folds; a fold in which a feature was too rare
    to be used counts as 0. ``direction`` is the class towards which more of the feature points in
    most folds (``higher`` or ``lower`` for numbers), ``direction_share`` the share of the folds
    that used it which agree.
    """
    rises: dict[tuple[str, str], list[float]] = {}
    points: dict[tuple[str, str], list[str]] = {}
    tops: dict[tuple[str, str], int] = {}
    for fold in folds:
        top = set(_top(fold))
        for i, name in enumerate(fold.names):
            rises.setdefault(name, []).append(float(fold.rises[i]))
            points.setdefault(name, []).append(_direction(task, levels, fold.coefficients[:, i]))
            tops[name] = tops.get(name, 0) + (name in top)
    rows: list[dict[str, Cell]] = []
    for name, found in rises.items():
        values = np.array(found + [0.0] * (len(folds) - len(found)))
        directions = sorted(set(points[name]))
        main = max(directions, key=points[name].count)
        rows.append(
            {
                "rank": 0,
                "table": name[0],
                "feature": name[1],
                "importance": float(values.mean()),
                "sd": float(values.std(ddof=1)) if len(folds) > 1 else None,
                "lowest": float(values.min()),
                "highest": float(values.max()),
                "folds": len(found),
                "folds_positive": int((values > 0).sum()),
                "folds_top": tops[name],
                "direction": main,
                "direction_share": points[name].count(main) / len(found),
            }
        )
    means = steady(np.array([row["importance"] for row in rows], dtype=np.float64))
    names = list(rises)
    order = sorted(range(len(rows)), key=lambda i: (-means[i], names[i]))
    return [{**rows[i], "rank": rank} for rank, i in enumerate(order, start=1)]


def _direction(task: str, levels: Sequence[str], coefficients: Numbers) -> str:
    if task != CLASSES:
        return HIGHER if coefficients[0] > 0 else LOWER
    if len(levels) == 2:
        return levels[int(coefficients[0] > 0)]
    return levels[int(coefficients.argmax())]


def _top(fold: FoldImportance) -> list[tuple[str, str]]:
    rises = steady(fold.rises).tolist()
    order = sorted(range(len(fold.names)), key=lambda i: (-rises[i], fold.names[i]))
    return [fold.names[i] for i in order[:TOP]]


def stability(folds: Sequence[FoldImportance]) -> float:
    """Sameness of the `TOP` features between folds: 1 if all are the same, 0 as by chance.

    The measure of Nogueira, Sechidis and Brown (2018, JMLR 18(174), equation 4),
    1 - mean_f(M / (M - 1) p_f (1 - p_f)) / ((k / d) (1 - k / d)), with M folds, d features, p_f
    the share of folds that have feature f among their top, and k their mean number. Own code: no
    library at hand has it. The training samples of two of five folds are three quarters the
    same, so that it is not the stability over studies, which is lower.
    """
    names = sorted({name for fold in folds for name in fold.names})
    if len(folds) < 2 or not names:
        return float("nan")
    chosen: Mapping[tuple[str, str], int] = {name: i for i, name in enumerate(names)}
    picks = np.zeros((len(folds), len(names)))
    for m, fold in enumerate(folds):
        picks[m, [chosen[name] for name in _top(fold)]] = 1
    return selection_stability(picks)


def selection_stability(picks: Numbers) -> float:
    """The measure of `stability` for a matrix of 0 and 1, of shape (selections, features)."""
    selections = picks.shape[0]
    frequency = picks.mean(axis=0)
    share = float(picks.sum(axis=1).mean() / picks.shape[1])
    if share in (0.0, 1.0):
        return float("nan")
    variance = selections / (selections - 1) * frequency * (1 - frequency)
    return float(1 - variance.mean() / (share * (1 - share)))
