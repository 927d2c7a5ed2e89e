"""Effects on shuffled and on planted data: are p-values right, and is what is there found.

On the species of HMP2 (1,595 samples of 130 people) and of Yachida et al. 2019 (347 people):

- null ``labels``: groups shuffled between people, all samples of a person together;
- null ``donated``: the antibiotics and dysbiosis values of a person given to another one;
- null ``rotated``: the same values less their mean in the person, rotated within the person;
- ``planted``: a share of the species multiplied, or divided, by 4 in half of the people.

``centre`` rows say what LinDA's mode would do in place of the median. Writes
``results/effects_calibration.tsv`` and ``.png`` beside this file.

Usage: ``.venv/bin/python benchmarks/cohort/effects_calibration.py [--data FOLDER] [--rounds 40]``
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import gaussian_kde

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "scripts")]

from fermentome.cohort.data import TAXA, Account, Cohort, Column, Numbers  # noqa: E402
from fermentome.cohort.effects import (  # noqa: E402
    ABUNDANCE,
    DETECTION,
    Row,
    analyse_effects,
    on_log_scale,
)
from fermentome.cohort.mixed import Codes, fit_models, p_values  # noqa: E402
from fermentome.cohort.reading import load_cohort  # noqa: E402
from fermentome.cohort.settings import Settings  # noqa: E402
from fermentome.drawing import BLUE, GREY, ORANGE, STYLE, save  # noqa: E402
from fermentome.tables import write_table  # noqa: E402

COLUMNS = ("cohort", "case", "what", "rounds", "value", "error")
"""``error`` is the standard error over rounds."""
LEVEL, FACTOR = 0.05, 4.0
TABLES = {
    "hmp2": "hmp2_longitudinal/metaphlan_taxonomic_profiles.tsv.gz",
    "yachida": "yachida_crc_2019/species.tsv.gz",
}
SHEETS = {
    "hmp2": "hmp2_longitudinal/metadata.tsv.gz", "yachida": "yachida_crc_2019/metadata.tsv",
}  # fmt: skip
GROUPS = {"hmp2": ("diagnosis", "nonIBD"), "yachida": ("Study.Group", "Healthy")}


def loaded(data: Path, name: str) -> Cohort:
    cohort = load_cohort({TAXA: data / TABLES[name]}, data / SHEETS[name], Account("reading"))
    known = cohort.tables[TAXA].known_samples()
    return Cohort(cohort.metadata.select(known), {TAXA: cohort.tables[TAXA].select(known)})


def persons(cohort: Cohort) -> Codes:
    names = [str(value) for value in cohort.metadata.column("subject").values]
    return np.unique(names, return_inverse=True)[1].astype(np.intp)


def with_column(cohort: Cohort, values: Numbers) -> Cohort:
    column = Column("x", tuple(repr(float(value)) for value in values), values)
    metadata = replace(cohort.metadata, columns={**cohort.metadata.columns, "x": column})
    return Cohort(metadata, cohort.tables)


def tested(cohort: Cohort) -> dict[str, dict[str, Numbers]]:
    """Effect, interval, p and q of the features along the column x, per its unit, by kind."""
    settings = Settings(groups=(), covariates=("x",))
    found = analyse_effects(cohort, settings, Account("effects"), (TAXA,)).rows
    return {kind: numbers_of(cohort, found, kind) for kind in (ABUNDANCE, DETECTION)}


def numbers_of(cohort: Cohort, found: Sequence[Row], kind: str) -> dict[str, Numbers]:
    rows = [row for row in found if row["kind"] == kind and row["p"] == row["p"]]
    numbers = {
        key: np.array([float(row[key]) for row in rows])  # type: ignore[arg-type]
        for key in ("effect", "ci_low", "ci_high", "p", "q", "sd")
    }
    for key in ("effect", "ci_low", "ci_high"):
        numbers[key] = numbers[key] / numbers["sd"]
    names = list(cohort.tables[TAXA].features)
    numbers["place"] = np.array([names.index(str(row["feature"])) for row in rows])
    return numbers


def labels(cohort: Cohort, name: str, draw: np.random.Generator) -> Numbers:
    column, level = GROUPS[name]
    subject = persons(cohort)
    first = np.unique(subject, return_index=True)[1]
    own = np.array([cohort.metadata.column(column).values[i] == level for i in first])
    return draw.permutation(own)[subject].astype(float)


def series(cohort: Cohort, column: str) -> Numbers:
    found = cohort.metadata.column(column)
    if found.numbers is not None:
        return found.numbers
    return np.array([float(value == "Yes") for value in found.values])


def moved(cohort: Cohort, column: str, rotated: bool, draw: np.random.Generator) -> Numbers:
    subject, values = persons(cohort), series(cohort, column)
    rows = [np.flatnonzero(subject == number) for number in range(subject.max() + 1)]
    donors = draw.permutation(len(rows))
    result = np.empty(len(values))
    for own, donor in zip(rows, donors, strict=True):
        if rotated:
            result[own] = np.roll(values[own] - values[own].mean(), draw.integers(own.size))
        else:
            result[own] = np.resize(values[rows[donor]], own.size)
    return result


def planted(
    cohort: Cohort, share: float, both_ways: bool, draw: np.random.Generator
) -> tuple[Cohort, Numbers]:
    """A cohort in which some species are changed in half of the people, and the true effects.

    What is not seen cannot be multiplied: the true effect of a species is that of `FACTOR` times
    the share of the samples in which it is seen.
    """
    subject = persons(cohort)
    own = draw.permutation(subject.max() + 1) % 2
    x = own[subject].astype(float)
    table = cohort.tables[TAXA]
    size = len(table.features)
    changed = draw.random(size) < share
    direction = np.where(draw.random(size) < 0.5, -1.0, 1.0) if both_ways else np.ones(size)
    steps = np.where(changed, direction, 0.0) * np.log2(FACTOR)
    values = table.values * 2.0 ** (steps * x[:, None])
    values = values / values.sum(axis=1, keepdims=True)
    truth = steps * (table.values[x > 0] > 0).mean(axis=0)
    return with_column(Cohort(cohort.metadata, {TAXA: replace(table, values=values)}), x), truth


def row(cohort: str, case: str, what: str, values: list[float]) -> dict[str, object]:
    """Mean over rounds; a round without such a species or call counts for nothing."""
    found = [value for value in values if not np.isnan(value)]
    error = float(np.std(found, ddof=1) / np.sqrt(len(found))) if len(found) > 1 else np.nan
    return {
        "cohort": cohort, "case": case, "what": what, "rounds": len(found),
        "value": float(np.mean(found)) if found else np.nan, "error": error,
    }  # fmt: skip


def mean(values: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    return float(values.mean()) if values.size else np.nan


def nulls(
    name: str, cohort: Cohort, rounds: int, drawn: dict[str, Numbers]
) -> Iterator[dict[str, object]]:
    cases: dict[str, Callable[[np.random.Generator], Numbers]] = {
        "labels": lambda draw: labels(cohort, name, draw)
    }
    if name == "hmp2":
        for column in ("antibiotics", "dysbiosis"):
            for rotated, word in ((False, "donated"), (True, "rotated")):
                cases[f"{column} {word}"] = lambda draw, c=column, r=rotated: moved(  # type: ignore[misc]
                    cohort, c, r, draw
                )
    for number, (case, values) in enumerate(cases.items()):
        draw = np.random.default_rng([1, number])
        found: dict[str, list[Numbers]] = {ABUNDANCE: [], DETECTION: []}
        for _ in range(rounds):
            for kind, numbers in tested(with_column(cohort, values(draw))).items():
                found[kind].append(numbers["p"])
        for kind, kept in found.items():
            drawn[f"{name}, {case}, {kind}"] = np.concatenate(kept)
            for level in (LEVEL, 0.001):
                yield row(
                    name, f"null {case}", f"{kind}: share of p <= {level:g}",
                    [float((p <= level).mean()) for p in kept],
                )  # fmt: skip


def plants(name: str, cohort: Cohort, rounds: int) -> Iterator[dict[str, object]]:
    for number, (share, both_ways) in enumerate(((0.1, False), (0.3, False), (0.3, True))):
        draw = np.random.default_rng([2, number])
        figures: dict[str, list[float]] = {}
        for _ in range(rounds):
            new, truth = planted(cohort, share, both_ways, draw)
            found = tested(new)[ABUNDANCE]
            real = truth[found["place"].astype(int)]
            own = real != 0
            inside = (found["ci_low"] <= real) & (real <= found["ci_high"])
            called = found["q"] <= LEVEL
            slope = (found["effect"][own] * real[own]).sum() / (real[own] ** 2).sum()
            for what, value in (
                ("slope of estimated on true effects of changed", slope),
                ("mean effect of unchanged, log2", found["effect"][~own].mean()),
                ("share of intervals that hold the truth, changed", inside[own].mean()),
                ("share of intervals that hold the truth, unchanged", inside[~own].mean()),
                ("share of changed with q <= 0.05", called[own].mean()),
                (
                    "share of changed by 1 log2 and more with q <= 0.05",
                    mean(called[np.abs(real) >= 1]),
                ),
                ("false share among q <= 0.05", (called & ~own).sum() / max(called.sum(), 1)),
            ):
                figures.setdefault(what, []).append(float(value))
        ways = "up and down" if both_ways else "up"
        for what, values in figures.items():
            yield row(name, f"planted {ways} in {share:.0%} of the species", what, values)


def mode(values: Numbers) -> float:
    grid = np.linspace(values.min(), values.max(), 4001)
    return float(grid[np.argmax(gaussian_kde(values)(grid))])


def centres(name: str, cohort: Cohort, rounds: int) -> Iterator[dict[str, object]]:
    table = cohort.tables[TAXA]
    seen = (table.values > 0).mean(axis=0) >= Settings().prevalence
    common = table.select(features=[f for f, s in zip(table.features, seen, strict=True) if s])
    logs, subject = on_log_scale(common), persons(cohort)
    draw = np.random.default_rng(3)
    middle: dict[str, list[float]] = {"median": [], "mode": []}
    share: dict[str, list[float]] = {"median": [], "mode": []}
    for _ in range(rounds):
        x = np.column_stack([np.ones(len(logs)), labels(cohort, name, draw)])
        fit = fit_models(logs, x, subject)
        for word, value in (
            ("median", float(np.median(fit.coefficients[1]))), ("mode", mode(fit.coefficients[1])),
        ):  # fmt: skip
            p = p_values(fit.coefficients[1] - value, fit.errors[1], fit.freedom[1])
            middle[word].append(value)
            share[word].append(float((p <= LEVEL).mean()))
    for word, values in middle.items():
        deviation = float(np.std(values, ddof=1))
        yield {
            **row(name, "centre", f"{word}: standard deviation over null rounds, log2", values),
            "value": deviation, "error": deviation / np.sqrt(2 * (rounds - 1)),
        }  # fmt: skip
        yield row(name, "centre", f"{word}: share of p <= 0.05 in null rounds", share[word])


def picture(drawn: dict[str, Numbers], outputs: list[Path]) -> None:
    cases = sorted({name.rsplit(", ", 1)[0] for name in drawn})
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.6))
        figure.subplots_adjust(left=0.08, right=0.99, bottom=0.1, top=0.95, hspace=0.2, wspace=0.08)
        panels = figure.subplots(2, -(-len(cases) // 2), sharex=True, sharey=True, squeeze=False)
        for axes, case in zip(panels.flat, cases, strict=False):
            axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
            for kind, colour, line in (("abundance", BLUE, "-"), ("detection", ORANGE, "--")):
                p = np.sort(drawn[f"{case}, {kind}"])
                at = np.linspace(0, 1, 201)
                axes.plot(
                    at, np.searchsorted(p, at, side="right") / p.size, color=colour,
                    linestyle=line, label=kind,
                )  # fmt: skip
            axes.set_title(case, fontsize=7.5)
        for axes in panels.flat[len(cases) :]:
            axes.set_visible(False)
        panels[0][0].legend(frameon=False, fontsize=7)
        figure.supxlabel("p", fontsize=8)
        figure.supylabel("share of null tests with a lower p", fontsize=8)
        save(figure, outputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "cohort")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--output", type=Path, default=HERE / "results")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    drawn: dict[str, Numbers] = {}
    for name in TABLES:
        cohort = loaded(options.data, name)
        rows += nulls(name, cohort, options.rounds, drawn)
        rows += plants(name, cohort, options.rounds)
        rows += centres(name, cohort, options.rounds)
    options.output.mkdir(exist_ok=True)
    write_table(options.output / "effects_calibration.tsv", COLUMNS, rows)  # type: ignore[arg-type]
    picture(drawn, [options.output / "effects_calibration.png"])


if __name__ == "__main__":
    main()
