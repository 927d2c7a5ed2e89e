"""Card of the predictive model: what was asked, how it was measured, and what it is not for.

The headings follow Mitchell et al. (2019, doi:10.1145/3287560.3287596). It is written from the
tables of the model as they stand on disk, and says nothing that is not in them.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from fermentome.tables import parse_number, read_table

AnyPath = str | os.PathLike[str]
Rows = Sequence[Mapping[str, str]]

SCHEMES = {"subject": "subjects left out", "batch": "whole batches left out"}
INPUT_WORDS = {
    "features": "the model", "metadata": "metadata only", "batch": "batch only",
    "depth": "sequencing depth only",
}  # fmt: skip
SCORE_WORDS = {
    "auc": "area under the ROC curve (0.5 is chance)",
    "accuracy": "accuracy, most probable level",
    "balanced_accuracy": "balanced accuracy, most probable level",
    "brier": "Brier score (less is better)",
    "brier_skill": "Brier skill (0 is the frequencies alone)",
    "log_loss": "log loss (less is better)",
    "calibration_error": "calibration error (less is better)",
    "explained_share": "explained share (0 is the mean alone)",
    "concordance": "concordance (0.5 is chance)",
    "mean_absolute_error": "mean absolute error (less is better)",
}
MOST_FEATURES = 15


def write_model_card(tables: Mapping[str, AnyPath], output: AnyPath) -> None:
    """Write the card, Markdown, from the tables ``about``, ``scores``, ``reject``, ``importance``.

    Parameters
    ----------
    tables
        Path of each table, as `fermentome.cohort.model.write_model` writes them.
    """
    read = {name: read_table(tables[name]) for name in ("about", "scores", "reject", "importance")}
    text = model_card(read["about"], read["scores"], read["reject"], read["importance"])
    Path(output).write_text(text, encoding="utf-8")


def model_card(about: Rows, scores: Rows, reject: Rows, importance: Rows) -> str:
    """Text of the card."""
    facts = {row["key"]: row["value"] for row in about}
    if facts.get("status") != "made":
        return (
            "# No predictive model\n\n"
            f"Target: {escape(facts.get('target', '') or 'none')}.\n\n"
            f"Reason: {escape(facts.get('reason', 'not known'))}.\n"
        )
    classes = facts["task"] == "classes"
    parts = [
        f"# Card of the model of {escape(facts['target'])}",
        _answer(facts, scores),
        _question(facts, classes),
        _procedure(facts, classes, scores),
        _performance(scores),
        _certainty(facts, scores, reject) if classes else "",
        _importance(facts, importance, classes),
        _limits(facts),
        _made_with(facts),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    r"""Text that Markdown shows as it is.

    >>> print(escape("a|b <i>*c*"))
    a\|b \<i\>\*c\*
    """
    return re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", " ".join(text.split()))


def _number(text: str, digits: int = 3) -> str:
    value = parse_number(text)
    return "not known" if math.isnan(value) else f"{value:.{digits}g}"


def _range(row: Mapping[str, str], low: str, high: str) -> str:
    if "NA" in {row[low], row[high]}:
        return "none"
    return f"{_number(row[low])} to {_number(row[high])}"


def _row(scores: Rows, scheme: str, inputs: str, score: str) -> Mapping[str, str] | None:
    for row in scores:
        if (row["scheme"], row["inputs"], row["score"]) == (scheme, inputs, score):
            return row
    return None


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _answer(facts: Mapping[str, str], scores: Rows) -> str:
    """The first score against its null and its baselines, in one paragraph per scheme."""
    first = scores[0]["score"]
    limit = float(facts["fdr"])
    said = []
    for scheme, words in SCHEMES.items():
        row = _row(scores, scheme, "features", first)
        if row is None:
            continue
        p = parse_number(row["p"])
        verdict = "better than its null" if p <= limit else "not better than its null"
        text = (
            f"With {words} the model is {verdict}: {SCORE_WORDS[first]} {_number(row['value'])}"
            f" (95 % interval: {_range(row, 'ci_low', 'ci_high')}), null"
            f" {_number(row['null_mean'])} ({_range(row, 'null_low', 'null_high')}),"
            f" p = {_number(row['p'])} by {row['permutations']} shufflings {row['null']}."
        )
        for inputs, name in INPUT_WORDS.items():
            gain = _row(scores, scheme, "features", f"{first}_gain_over_{inputs}")
            if gain is not None:
                text += f" {_gain_sentence(gain, name)}"
        said.append(text)
    return "\n\n".join(said)


def _gain_sentence(gain: Mapping[str, str], name: str) -> str:
    low, high = parse_number(gain["ci_low"]), parse_number(gain["ci_high"])
    words = "more than" if low > 0 else "less than" if high < 0 else "not clearly other than"
    return (
        f"It scores {words} {name} (difference {_number(gain['value'])},"
        f" {_range(gain, 'ci_low', 'ci_high')})."
    )


def _question(facts: Mapping[str, str], classes: bool) -> str:
    def listed(prefix: str) -> str:
        found = [
            f"- {escape(key.removeprefix(prefix))}: {escape(value)}"
            for key, value in facts.items()
            if key.startswith(prefix)
        ]
        return "\n".join(found) or "- none"

    target = listed("level ") if classes else f"- numbers, {escape(facts['range'])}"
    return (
        "## Data\n\n"
        f"{facts['samples']} samples of {facts['subjects']} subjects. Target"
        f" {escape(facts['target'])}:\n\n{target}\n\nInputs of the model:\n\n{listed('table ')}"
        f"\n\nInputs of the baselines:\n\n{listed('baseline ')}\n\n"
        f"Batches: {escape(facts['batches'])} (columns: {escape(facts['batch columns'])})."
    )


def _procedure(facts: Mapping[str, str], classes: bool, scores: Rows) -> str:
    learner = "logistic regression" if classes else "regression"
    loss = "log loss" if classes else "squared error"
    batches = any(row["scheme"] == "batch" for row in scores)
    lines = [
        f"- Learner: ridge-penalised {learner}; the strength of the penalty is chosen among five"
        f" by the {loss} of {facts['inner_folds']} inner folds of the training samples.",
        "- Inputs: log2; zeros are half the least value of the feature in the training samples;"
        " shares are centred log-ratios; features seen in fewer than"
        f" {100 * float(facts['prevalence']):g} % of the training subjects are left out; all"
        " columns are standardised. All of it is learned inside each training fold.",
        f"- Measured with {facts['folds']} outer folds (repeats: {facts['repeats']}). All samples"
        " of a subject are in one fold, and share a weight of one in training and in scores.",
        f"- Null: the target is shuffled between subjects {facts['permutations']} times and the"
        " whole procedure is repeated, with new folds, preparation, tuning and fits.",
        "- Ranks are compared within test folds, never between them."
        f" Intervals: {facts['resamplings']} resamplings of subjects with the predictions kept;"
        " they do not hold what other training samples would change.",
    ]
    if batches:
        lines.append(
            "- A second scheme leaves whole batches out, in the inner folds too where the"
            " training samples are of two batches or more."
        )
    return "## Procedure\n\n" + "\n".join(lines)


def _performance(scores: Rows) -> str:
    rows = []
    for row in scores:
        if row["score"] not in SCORE_WORDS:
            continue
        rows.append(
            [
                SCHEMES[row["scheme"]],
                INPUT_WORDS[row["inputs"]],
                SCORE_WORDS[row["score"]],
                _number(row["value"]),
                _range(row, "ci_low", "ci_high"),
                _number(row["null_mean"]),
                _range(row, "null_low", "null_high"),
                "" if row["p"] == "NA" else _number(row["p"]),
            ]  # fmt: skip
        )
    header = ["scheme", "inputs", "score", "value", "95 %", "null", "null, 95 %", "p"]
    return "## Performance beside null and baselines\n\n" + _table(header, rows)


def _certainty(facts: Mapping[str, str], scores: Rows, reject: Rows) -> str:
    lines = []
    for scheme, words in SCHEMES.items():
        error = _row(scores, scheme, "features", "calibration_error")
        chance = _row(scores, scheme, "features", "calibration_error_if_calibrated")
        if error is None or chance is None:
            continue
        above = parse_number(error["value"]) > parse_number(chance["ci_high"])
        lines.append(
            f"- Calibration, {words}: error {_number(error['value'])}; a perfectly calibrated"
            f" model of the same probabilities has {_range(chance, 'ci_low', 'ci_high')} by chance."
            + (" The probabilities are not to be taken at their word." if above else "")
        )
        for row in reject:
            if row["scheme"] == scheme and row["rule"] == "trained":
                lines.append(
                    f"- Reject option, {words}: with a limit of certainty learned in the training"
                    f" folds to leave {100 * float(facts['reject']):g} % undecided,"
                    f" {100 * parse_number(row['coverage']):.0f} % were decided, with an accuracy"
                    f" of {_number(row['accuracy'])} ({_range(row, 'ci_low', 'ci_high')})."
                )
    return "## Calibration and reject option\n\n" + "\n".join(lines)


def _importance(facts: Mapping[str, str], importance: Rows, classes: bool) -> str:
    title = "## What it leaned on\n\n"
    if not importance:
        return title + (
            "Not shown: the model with subjects left out is not better than its null, so that"
            " what it leaned on says nothing."
        )
    loss = "log loss" if classes else "squared error"
    rows = [
        [
            row["rank"], escape(row["table"]), escape(row["feature"]), _number(row["importance"]),
            "" if row["sd"] == "NA" else _number(row["sd"]),
            f"{row['folds_positive']} of {facts['importance_folds']}",
            f"{escape(row['direction'])} ({100 * parse_number(row['direction_share']):.0f} %)",
        ]
        for row in importance[:MOST_FEATURES]
    ]  # fmt: skip
    header = ["rank", "table", "feature", f"rise of {loss}", "SD over folds", "folds above 0",
              "more points to (folds that agree)"]  # fmt: skip
    return (
        title + f"Rise of the held-out {loss} when the feature is shuffled, subjects left out."
        f" Sameness of the top {facts['importance_top']} between folds (1: all the same, 0: by"
        f" chance): {_number(facts['importance_stability'])}. Related features share their"
        " importance, and importance is not a test of a feature.\n\n" + _table(header, rows)
    )


def _limits(facts: Mapping[str, str]) -> str:
    return (
        "## What it is not\n\n"
        "- Not a diagnosis, and not for decisions about people. It measures whether the tables"
        " hold information about the target in this cohort; no fitted model is handed out.\n"
        "- Not a cause. Diet, drugs, age and transit time can stand behind an association.\n"
        "- Not shown to hold elsewhere. Leaving batches out is the nearest thing to another study"
        " that one cohort has; other studies, kits and databases need their own measurement.\n"
        "- Inputs are relative abundances and genetic potential, not activity.\n"
        "- If the target was itself computed from the same tables, the scores say nothing.\n"
        f"- Below {facts['good_subjects']} subjects per level scores are imprecise"
        " (doi:10.1016/j.aca.2012.11.007)."
    )


def _made_with(facts: Mapping[str, str]) -> str:
    return f"## Made with\n\nscikit-learn {facts['scikit-learn']}, seed {facts['seed']}."
