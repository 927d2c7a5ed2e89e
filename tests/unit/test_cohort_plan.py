"""What is said of the comparison before anything runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from fermentome.cohort.plan import foresee

SCRIPTS = Path(__file__).parents[2] / "scripts"
COHORT = {
    "groups": ["group"], "covariates": [], "batch": [], "reference_levels": [],
    "reference_group": None, "baseline": None,
}  # fmt: skip
MODEL = {"target": None, "metadata": []}


def sheet(**columns):
    samples = max(len(cells) for cells in columns.values())
    standard = dict.fromkeys(("subject", "timepoint", "group"), [""] * samples)
    cells = standard | columns
    return {f"s{i}": {name: values[i] for name, values in cells.items()} for i in range(samples)}


def test_nothing_is_said_of_a_sheet_that_serves():
    assert foresee(COHORT, MODEL, sheet(group=["a", "b"])) == []


def test_an_empty_group_column_is_the_template_and_not_a_mistake():
    assert foresee(COHORT, MODEL, sheet(subject=["P1", "P2"])) == []


@pytest.mark.parametrize(
    ("change", "columns", "line"),
    [
        (
            {"covariates": ["aeg"]}, {"age": ["1", "2"], "group": ["a", "b"]},
            "cohort.covariates, aeg: is not a column of the sheet that is carried through. Hint:"
            " did you mean age?",
        ),
        (
            {"batch": ["kit"]}, {"group": ["a", "b"]},
            "cohort.batch, kit: is not a column of the sheet that is carried through. Hint: declare"
            " it under `metadata`.",
        ),
        (
            {"covariates": ["age"]}, {"age": ["", ""], "group": ["a", "b"]},
            "cohort.covariates, age: no sample has a value. Hint: fill the column or leave it out.",
        ),
        (
            {}, {"group": ["a", "a", ""]},
            "cohort.groups, group: every sample is 'a'; two levels are needed to compare.",
        ),
        (
            {"reference_levels": ["group=contrl"]}, {"group": ["control", "diet"]},
            "cohort.reference_levels, group=contrl: no sample of group is 'contrl'. Hint: there are"
            " control, diet.",
        ),
        (
            {"reference_group": "arm=x"}, {"group": ["control", "diet"]},
            "cohort.reference_group, arm=x: is not a column of the sheet that is carried through."
            " Hint: declare it under `metadata`.",
        ),
        (
            {"baseline": "day 0"}, {"timepoint": ["day 1", "day 2"], "group": ["a", "b"]},
            "cohort.baseline, day 0: no sample has this timepoint, so nobody has a baseline.",
        ),
    ],
)  # fmt: skip
def test_a_column_that_cannot_serve_is_named_with_what_to_do(change, columns, line):
    assert foresee(COHORT | change, MODEL, sheet(**columns)) == [line]


@pytest.mark.parametrize("written", ["Day 0", " day 0"])
def test_a_baseline_is_found_as_the_analysis_finds_it(written):
    columns = sheet(timepoint=[written, "day 7"], group=["a", "b"])
    assert foresee(COHORT | {"baseline": "day 0"}, MODEL, columns) == []


def test_the_target_of_a_model_is_looked_at_too():
    (line,) = foresee(COHORT, MODEL | {"target": "outcome"}, sheet(group=["a", "b"]))
    assert line.startswith("model.target, outcome: is not a column")


def test_parsing_a_workflow_needs_the_standard_library_only():
    program = (
        "import sys; import fermentome.cohort.plan;"
        " print(sorted({'numpy', 'pandas', 'yaml'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=SCRIPTS, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
