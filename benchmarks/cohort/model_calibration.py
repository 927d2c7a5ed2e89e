"""Whether the predictive model is at chance where there is nothing, and its intervals hold.

    python benchmarks/cohort/model_calibration.py [--cohorts 60]

Cohorts are drawn, not measured. Each subject has a signature of 12 log-normal features that its
samples share (spread between subjects 1, within 0.3, in log2). What is measured:

- ``p <= x``: share of cohorts without any effect whose p-value is x or less; to be x. Targets: one
  label per subject; one label per subject that hangs on the batch, as the features do; one that
  comes and goes in spells within subjects; numbers.
- ``area``: mean area under the ROC curve where a label per subject says nothing, with folds by
  subject and with folds that part the samples of a subject, which is the leak.
- ``coverage``: share of 95 % intervals that hold the area of the fitted models, measured on 2,000
  new subjects each, where the label does move two features (`area_true` is its mean).

Ranges are 95 % Clopper-Pearson intervals of shares, or twice the standard error of means. Writes
results/model_calibration.tsv and .png beside this file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import sklearn
from matplotlib.figure import Figure
from scipy.stats import binomtest
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts")]

from fermentome.cohort.data import (  # noqa: E402
    TAXA,
    Account,
    Cohort,
    Column,
    FeatureTable,
    Metadata,
    Numbers,
)
from fermentome.cohort.model_evaluation import cross_validate, measure  # noqa: E402
from fermentome.cohort.model_folds import by_subject  # noqa: E402
from fermentome.cohort.model_inputs import FEATURES, pose  # noqa: E402
from fermentome.cohort.model_learner import CLASSES, Block, predict  # noqa: E402
from fermentome.cohort.model_report import SUBJECT  # noqa: E402
from fermentome.cohort.model_scores import (  # noqa: E402
    draws_of,
    ranking_interval,
    score_names,
    scores_of,
)
from fermentome.cohort.settings import ModelSettings, Settings  # noqa: E402
from fermentome.drawing import (  # noqa: E402
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    STYLE,
    save,
)
from fermentome.tables import Cell, write_table  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "results"
COLUMNS = ("target", "measure", "value", "low", "high", "cohorts")
SUBJECTS, SAMPLES, COLUMNS_OF_INPUT, WITHIN, BATCHES = 40, 3, 12, 0.3, 4
MODEL = ModelSettings(
    target="target", tables=(TAXA,), folds=3, inner_folds=2, permutations=19
)  # fmt: skip
LIMITS = (0.05, 0.1, 0.25, 0.5)
NEW_SUBJECTS = 2000


def cohort_of(logs: Numbers, cells: list[str], batch: list[str] | None = None) -> Cohort:
    """Cohort of samples in order, `SAMPLES` per subject."""
    samples = tuple(f"s{i:04d}" for i in range(len(logs)))
    features = tuple(f"f{i:02d}" for i in range(logs.shape[1]))
    try:
        numbers = np.array([float(cell) for cell in cells])
    except ValueError:
        numbers = None
    columns = {
        "subject": Column("subject", tuple(f"p{i // SAMPLES}" for i in range(len(logs))), None),
        "target": Column("target", tuple(cells), numbers),
    }
    if batch is not None:
        columns["batch"] = Column("batch", tuple(batch), None)
    table = FeatureTable(TAXA, samples, features, 2.0**logs, "copies", False)
    return Cohort(Metadata(samples, columns), {TAXA: table})


def signatures(rng: np.random.Generator, subjects: int = SUBJECTS) -> Numbers:
    """Log2 of the features of all samples."""
    own = np.repeat(rng.normal(size=(subjects, COLUMNS_OF_INPUT)), SAMPLES, axis=0)
    return own + WITHIN * rng.normal(size=own.shape)


def per_subject(rng: np.random.Generator) -> Cohort:
    labels = rng.permutation(np.arange(SUBJECTS) % 2)
    return cohort_of(signatures(rng), [f"l{label}" for label in np.repeat(labels, SAMPLES)])


def with_batch(rng: np.random.Generator) -> Cohort:
    batch = np.arange(SUBJECTS) * BATCHES // SUBJECTS
    labels = rng.random(SUBJECTS) < np.where(batch < BATCHES // 2, 0.3, 0.7)
    logs = signatures(rng) + 2.0 * (
        np.repeat(batch, SAMPLES)[:, None] == np.arange(COLUMNS_OF_INPUT)
    )
    return cohort_of(
        logs,
        [f"l{label:d}" for label in np.repeat(labels, SAMPLES)],
        [f"b{i}" for i in np.repeat(batch, SAMPLES)],
    )


def in_spells(rng: np.random.Generator) -> Cohort:
    labels = np.empty((SUBJECTS, SAMPLES), dtype=int)
    labels[:, 0] = rng.random(SUBJECTS) < 0.5
    for i in range(1, SAMPLES):
        labels[:, i] = np.where(rng.random(SUBJECTS) < 0.7, labels[:, i - 1], 1 - labels[:, i - 1])
    return cohort_of(signatures(rng), [f"l{label}" for label in labels.ravel()])


def as_numbers(rng: np.random.Generator) -> Cohort:
    return cohort_of(
        signatures(rng), [f"{v:.6f}" for v in np.repeat(rng.normal(size=SUBJECTS), SAMPLES)]
    )


TARGETS: dict[str, Callable[[np.random.Generator], Cohort]] = {
    "label per subject": per_subject,
    "label per subject, with batch": with_batch,
    "label in spells": in_spells,
    "number per subject": as_numbers,
}


def share_row(target: str, measure: str, hits: int, cohorts: int) -> dict[str, Cell]:
    found = binomtest(hits, cohorts).proportion_ci()
    return {
        "target": target, "measure": measure, "value": hits / cohorts, "low": float(found.low),
        "high": float(found.high), "cohorts": cohorts,
    }  # fmt: skip


def mean_row(target: str, measure: str, values: list[float]) -> dict[str, Cell]:
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))
    return {
        "target": target, "measure": measure, "value": mean, "low": mean - 2 * error,
        "high": mean + 2 * error, "cohorts": len(values),
    }  # fmt: skip


def null_p(target: str, cohorts: int) -> list[float]:
    found = []
    for number in range(cohorts):
        rng = np.random.default_rng([1, number])
        settings = Settings(groups=(), batch=("batch",) if "batch" in target else (), seed=number)
        problem = pose(TARGETS[target](rng), settings, MODEL, Account("model"))
        once = np.ones((1, len(problem.subjects)))
        split = by_subject(problem.task, problem.subject)
        one = measure(problem, SUBJECT, FEATURES, split, settings, MODEL, once)
        found.append(one.p(score_names(problem.task)[0]))
    return found


def leaks(cohorts: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"area, folds by subject": [], "area, folds by sample": []}
    for number in range(cohorts):
        rng = np.random.default_rng([2, number])
        problem = pose(per_subject(rng), Settings(groups=()), MODEL, Account("model"))
        groups = (problem.subject, np.arange(problem.y.size))
        for name, group in zip(found, groups, strict=True):
            outcome, _ = cross_validate(
                problem, problem.inputs[FEATURES], problem.y, by_subject(CLASSES, group),
                Settings(groups=()), MODEL, rng,
            )  # fmt: skip
            ones = np.ones((1, len(problem.subjects)))
            scores = scores_of(outcome, problem.subject, problem.weights, ones)
            found[name].append(float(scores["auc"][0]))
    return found


def moved(rng: np.random.Generator, subjects: int) -> tuple[Numbers, Numbers]:
    labels = np.repeat(rng.permutation(np.arange(subjects) % 2), SAMPLES)
    logs = signatures(rng, subjects)
    logs[:, :2] += 0.8 * labels[:, None]
    return logs, labels.astype(float)


def coverage(cohorts: int) -> tuple[int, list[float], list[float]]:
    """Intervals that hold the area of the fitted models, those areas, and the measured ones."""
    hits, truths, measured = 0, [], []
    for number in range(cohorts):
        rng = np.random.default_rng([3, number])
        logs, labels = moved(rng, SUBJECTS)
        cohort = cohort_of(logs, [f"l{int(label)}" for label in labels])
        problem = pose(cohort, Settings(groups=()), MODEL, Account("model"))
        outcome, fitted = cross_validate(
            problem, problem.inputs[FEATURES], problem.y,
            by_subject(CLASSES, problem.subject), Settings(groups=()), MODEL, rng,
        )  # fmt: skip
        draws = np.vstack([np.ones((1, SUBJECTS)), draws_of(SUBJECTS, rng)])
        scores = scores_of(outcome, problem.subject, problem.weights, draws)["auc"]
        new, truth = moved(rng, NEW_SUBJECTS)
        block = Block(TAXA, problem.inputs[FEATURES][0].features, "amounts", new)
        rows = np.arange(truth.size)
        areas = []
        for one in fitted:
            given = predict(CLASSES, one.model, one.preparation.apply([block], rows))[:, 1]
            order = given[truth == 1][:, None] > given[truth == 0][None, ::7]
            areas.append(float(order.mean()))
        truths.append(float(np.mean(areas)))
        measured.append(float(scores[0]))
        low, high = ranking_interval(float(scores[0]), scores[1:])
        hits += low <= truths[-1] <= high
    return hits, truths, measured


def draw(found: dict[str, list[float]]) -> None:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6, 3.2))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
        looks = zip((BLUE, ORANGE, GREEN, PURPLE), ("-", "--", ":", "-."), strict=True)
        for (name, values), (colour, line) in zip(found.items(), looks, strict=True):
            x = np.sort(values)
            axes.step(
                [0, *x, 1], [0, *np.arange(1, x.size + 1) / x.size, 1], where="post",
                color=colour, linestyle=line, label=name,
            )  # fmt: skip
        axes.set_xlabel(f"p of the model, {MODEL.permutations} shufflings")
        axes.set_ylabel("Share of cohorts without an effect")
        axes.legend(frameon=False, fontsize=7, loc="upper left")
        axes.tick_params(colors=BLACK)
        save(figure, [RESULTS / "model_calibration.png"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cohorts", type=int, default=60)
    cohorts = parser.parse_args().cohorts
    RESULTS.mkdir(exist_ok=True)
    rows: list[dict[str, Cell]] = []
    found: dict[str, list[float]] = {}
    with threadpool_limits(limits=1), sklearn.config_context(assume_finite=True):
        for name, areas in leaks(2 * cohorts).items():
            rows.append(mean_row("label per subject", name, areas))
        hits, truths, measured = coverage(5 * cohorts)
        moves = "label that moves two features"
        rows.append(share_row(moves, "coverage", hits, len(truths)))
        rows.append(mean_row(moves, "area_true", truths))
        rows.append(mean_row(moves, "area_measured", measured))
        for target in TARGETS:
            found[target] = null_p(target, cohorts)
            for limit in LIMITS:
                below = int((np.array(found[target]) <= limit + 1e-9).sum())
                rows.append(share_row(target, f"p <= {limit}", below, cohorts))
            # After each target, so that a run that is stopped leaves what it has.
            write_table(RESULTS / "model_calibration.tsv", COLUMNS, rows)
    draw(found)


if __name__ == "__main__":
    main()
