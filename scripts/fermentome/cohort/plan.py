"""What the comparison of samples will have to leave out, said before anything runs.

The standard library only: it runs while Snakemake parses the workflow. Nothing here stops a run,
since tables are made in any case; `fermentome.cohort.design` looks at the same again, with the
samples that have results.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from typing import Any

__all__ = ["foresee", "is_baseline"]

Attributes = Mapping[str, Mapping[str, str]]


def foresee(
    cohort: Mapping[str, Any], model: Mapping[str, Any], attributes: Attributes
) -> list[str]:
    """Lines on columns that the comparison asks for and cannot use.

    Parameters
    ----------
    cohort, model
        These sections of the configuration, defaults filled in.
    attributes
        Cells of the sample sheet by sample and column; an empty cell is "".

    Returns
    -------
    list of str
        Key, column, what was seen, what to do. Empty if all that was asked for can be tried.
    """
    lines: list[str] = []
    columns = list(next(iter(attributes.values()), {}))
    asked = [
        *(
            (f"cohort.{key}", name)
            for key in ("groups", "covariates", "batch")
            for name in cohort[key]
        ),
        *(("model.target", name) for name in [model["target"]] if name),
        *(("model.metadata", name) for name in model["metadata"]),
    ]
    for key, name in asked:
        if name not in columns:
            lines.append(f"{key}, {name}: {_unknown(name, columns)}")
            continue
        counts = Counter(row[name] for row in attributes.values() if row[name])
        # The default asks for a column that a sheet need not fill.
        if not counts and (key, name) != ("cohort.groups", "group"):
            lines.append(
                f"{key}, {name}: no sample has a value. Hint: fill the column or leave it out."
            )
        elif len(counts) == 1:
            level = next(iter(counts))
            lines.append(
                f"{key}, {name}: every sample is {level!r}; two levels are needed to compare."
            )
    for key, text in _levels(cohort):
        name, _, level = text.partition("=")
        levels = {row.get(name, "") for row in attributes.values()} - {""}
        if name not in columns:
            lines.append(f"{key}, {text}: {_unknown(name, columns)}")
        elif level not in levels:
            known = ", ".join(sorted(levels)[:8]) or "none"
            lines.append(
                f"{key}, {text}: no sample of {name} is {level!r}. Hint: there are {known}."
            )
    baseline = cohort["baseline"]
    if baseline and not any(is_baseline(row["timepoint"], baseline) for row in attributes.values()):
        lines.append(
            f"cohort.baseline, {baseline}: no sample has this timepoint, so nobody has a baseline."
        )
    return lines


def is_baseline(timepoint: str | None, baseline: str) -> bool:
    """Whether a timepoint is the one that is named as the baseline.

    Case, blanks around it and the way in which a number is written do not count.

    >>> is_baseline("Baseline ", "baseline"), is_baseline("0.0", "0"), is_baseline("V1", "1")
    (True, True, False)
    """
    if timepoint is None:
        return False
    if timepoint.strip().lower() == baseline.strip().lower():
        return True
    try:
        return float(timepoint) == float(baseline)
    except ValueError:
        return False


def _levels(cohort: Mapping[str, Any]) -> list[tuple[str, str]]:
    own = cohort["reference_group"]
    return [
        *(("cohort.reference_levels", text) for text in cohort["reference_levels"]),
        *(("cohort.reference_group", text) for text in [own] if text),
    ]


def _unknown(name: str, columns: list[str]) -> str:
    close = difflib.get_close_matches(name, columns, n=1)
    hint = f"did you mean {close[0]}?" if close else "declare it under `metadata`."
    return f"is not a column of the sheet that is carried through. Hint: {hint}"
