"""How often a change of a person is called where there is none, and missed where there is one.

    python benchmarks/cohort/change_calls.py

Values are drawn, not measured: on a log2 scale, around each person's own mean. Every person has
an event at a known time. What is measured, for each source of noise and for noise that keeps to
the model and noise that breaks it:

- ``coverage``: share of later samples without a change within the band (to be 0.95);
- ``called``: share of them called a change; ``people_called``: share of people with any call
  among their samples and the measures of one kind (to be at most 0.05 where the model holds);
- ``power_2x``, ``power_4x``: share of samples called, in the right direction, after a true change
  in half of the measures; ``beyond_2x``, ``beyond_4x``: share beyond the band, called or not;
- ``phase_called``, ``phase_power_2x``, ``phase_power_4x``: the same for the means of the samples
  during and after the event;
- ``false_return``, ``interval_holds``, ``error_days``: after a true fall of 8x that ends at a known
  day, the share of episodes called back too early, the share whose two times enclose the truth, and
  the median of time given less true time. Samples are taken every 7 days, so that the time given
  is some 3.5 days late on average even without noise.

Writes ``results/change_calls.tsv`` beside this file.
"""

from __future__ import annotations

import math
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import stats

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from fermentome.cohort.data import Account, Column, Metadata  # noqa: E402
from fermentome.cohort.measures import Measure  # noqa: E402
from fermentome.cohort.people import DOWN, UP, People, changes_of_people  # noqa: E402
from fermentome.cohort.recovery import PROVISIONAL, YES, recovery_of_people  # noqa: E402
from fermentome.cohort.settings import Settings  # noqa: E402
from fermentome.cohort.timepoints import Timeline  # noqa: E402
from fermentome.tables import Cell, write_table  # noqa: E402

COLUMNS = (
    "noise_source", "scenario", "people", "baseline_samples", "within_sd", "metric", "value",
    "ci_low", "ci_high", "trials",
)  # fmt: skip
MEASURES = 10
COHORTS = 20
WEEK = 7.0
DURING, AFTER = 2, 6
RETURN_WEEK = 2.5
"""True end of a change, in weeks after the last sample of the event: between two samples."""


@dataclass(frozen=True)
class Scenario:
    """One way in which a cohort may be.

    Attributes
    ----------
    source
        Where the noise must come from.
    name
        What is special.
    people, baseline
        Number of people with an event, and of their samples before it.
    steady
        People without an event, each with eight samples.
    sd
        Within a person, log2.
    unlike
        Degrees of freedom of the spread of variances between people; infinite: all alike.
    tails
        Degrees of freedom of the noise itself; infinite: normal.
    memory
        Correlation of samples one week apart (first-order autoregression).
    replicates, technical_sd
        Of each sample.
    """

    source: str
    name: str
    people: int = 30
    baseline: int = 4
    steady: int = 0
    sd: float = 0.5
    unlike: float = math.inf
    tails: float = math.inf
    memory: float = 0.0
    replicates: int = 1
    technical_sd: float = 0.0

    @property
    def cohorts(self) -> int:
        """Cohorts drawn: more if they are small."""
        return max(COHORTS, min(400, COHORTS * 30 // (self.people + self.steady)))


OWN = Scenario("own", "model holds")
COHORT = Scenario("cohort", "model holds", baseline=1, steady=30)
SCENARIOS = (
    OWN,
    replace(OWN, name="model holds", sd=0.25),
    replace(OWN, name="model holds", sd=1.0),
    replace(OWN, name="people unlike (4 df)", unlike=4.0),
    replace(OWN, name="heavy tails (t, 4 df)", tails=4.0),
    replace(OWN, name="samples alike in time (0.5 per week)", memory=0.5),
    replace(OWN, name="five people", people=5),
    replace(OWN, name="one person alone", people=1),
    replace(OWN, name="one person alone", people=1, baseline=8),
    COHORT,
    replace(COHORT, name="model holds", sd=0.25),
    replace(COHORT, name="model holds", sd=1.0),
    replace(COHORT, name="people unlike (4 df)", unlike=4.0),
    replace(COHORT, name="heavy tails (t, 4 df)", tails=4.0),
    replace(COHORT, name="samples alike in time (0.5 per week)", memory=0.5),
    replace(COHORT, name="three steady people", people=5, steady=3),
    replace(COHORT, name="two baseline samples", baseline=2, steady=0),
    Scenario("technical", "noise of the measurement only", people=2, baseline=1, sd=0.0,
             replicates=3, technical_sd=0.2),
    Scenario("technical", "people vary as well", people=2, baseline=1, sd=0.5, replicates=3,
             technical_sd=0.2),
    Scenario("none", "nothing repeated", people=2, baseline=1),
)  # fmt: skip


def noise(scenario: Scenario, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Deviations of one person from their own mean, one per week."""
    sd = scenario.sd
    if math.isfinite(scenario.unlike):
        # Scaled inverse chi-squared: the model of fermentome.cohort.noise.
        sd *= math.sqrt(scenario.unlike / rng.chisquare(scenario.unlike))
    if math.isfinite(scenario.tails):
        # Student's t has a variance of df / (df - 2).
        scale = math.sqrt((scenario.tails - 2) / scenario.tails)
        steps = rng.standard_t(scenario.tails, samples) * scale
    else:
        steps = rng.normal(size=samples)
    values = np.empty(samples)
    state = rng.normal()
    for i, step in enumerate(steps):
        state = scenario.memory * state + math.sqrt(1 - scenario.memory**2) * step
        values[i] = state
    return sd * values


def truth(scenario: Scenario, shape: str, measure: int) -> np.ndarray:
    """True deviation of a person with the event at each of their samples, log2."""
    samples = scenario.baseline + DURING + AFTER
    change = np.zeros(samples)
    if shape == "return":
        back = scenario.baseline + DURING + math.ceil(RETURN_WEEK) - 1
        change[scenario.baseline : back] = -3.0
    elif shape != "none" and measure % 2:
        change[scenario.baseline :] = {"2x": -1.0, "4x": -2.0}[shape]
    return change


def simulated(
    scenario: Scenario, shape: str, rng: np.random.Generator
) -> tuple[list[Measure], Metadata, Timeline]:
    """One cohort."""
    names: list[str] = []
    cells: dict[str, list[str | None]] = {
        key: [] for key in ("subject", "timepoint", "event", "replicate")
    }
    days: list[float] = []
    values: list[list[float]] = [[] for _ in range(MEASURES)]
    for person in range(scenario.people + scenario.steady):
        steady = person >= scenario.people
        count = 8 if steady else scenario.baseline + DURING + AFTER
        deviations = [noise(scenario, count, rng) + rng.normal() for _ in values]
        if not steady:
            deviations = [d + truth(scenario, shape, i) for i, d in enumerate(deviations)]
        for week in range(count):
            on = not steady and scenario.baseline <= week < scenario.baseline + DURING
            for replicate in range(scenario.replicates):
                names.append(f"P{person:03d}_{week:02d}_{replicate}")
                cells["subject"].append(f"P{person:03d}")
                cells["timepoint"].append(f"day {week * WEEK:g}")
                cells["event"].append("antibiotic" if on else None)
                cells["replicate"].append(str(replicate) if scenario.replicates > 1 else None)
                days.append(week * WEEK)
                for own, deviation in zip(values, deviations, strict=True):
                    own.append(deviation[week] + scenario.technical_sd * rng.normal())
    metadata = Metadata(
        tuple(names), {key: Column(key, tuple(column), None) for key, column in cells.items()}
    )
    unknown = np.full(len(names), np.nan)
    measures = [
        Measure(
            name=f"product:m{i}", unit="copies per genome", scale="log2", samples=tuple(names),
            values=np.exp2(np.array(own)), errors=unknown, floors=np.full(len(names), 1e-6),
            below=np.zeros(len(names), dtype=bool),
        )
        for i, own in enumerate(values)
    ]  # fmt: skip
    return measures, metadata, Timeline(np.array(days), "days", "day", ())


def drawn(scenario: Scenario, shape: str) -> Iterator[People]:
    """Changes in all cohorts of a scenario."""
    for cohort in range(scenario.cohorts):
        key = zlib.crc32(f"{scenario} {shape}".encode())
        rng = np.random.default_rng([1, key, cohort])
        yield changes_of_people(*simulated(scenario, shape, rng), Settings(), Account("people"))


def later(people: People) -> Iterator[dict[str, Cell]]:
    """Rows of people with the event, from its start."""
    return (row for row in people.rows if row["phase"] in ("during", "after"))


def no_change(scenario: Scenario) -> dict[str, tuple[int, int]]:
    """Successes and trials of each figure at no change."""
    counts = {name: [0, 0] for name in ("coverage", "called", "people_called", "phase_called")}
    for people in drawn(scenario, "none"):
        anyone: dict[Cell, bool] = {}
        for row in later(people):
            if row["noise_source"] != scenario.source:
                raise SystemExit(f"{scenario}: noise comes from {row['noise_source']}")
            if row["band_low"] is not None:
                inside = row["band_low"] <= row["value"] <= row["band_high"]
                counts["coverage"][0] += inside
                counts["coverage"][1] += 1
            called = row["change"] in (UP, DOWN)
            counts["called"][0] += called
            counts["called"][1] += 1
            anyone[row["subject"]] = anyone.get(row["subject"], False) or called
        counts["phase_called"][0] += sum(row["change"] in (UP, DOWN) for row in people.phases)
        counts["phase_called"][1] += len(people.phases)
        counts["people_called"][0] += sum(anyone.values())
        counts["people_called"][1] += len(anyone)
    return {name: (hits, trials) for name, (hits, trials) in counts.items()}


def is_changed(row: dict[str, Cell]) -> bool:
    """Whether the measure of a row is one of those that change."""
    return bool(int(str(row["measure"]).removeprefix("product:m")) % 2)


def power(scenario: Scenario, shape: str) -> dict[str, tuple[int, int]]:
    """Samples, and phases, called down or beyond the band, of those that truly are down."""
    called = beyond = samples = phase_called = phases = 0
    for people in drawn(scenario, shape):
        for row in later(people):
            if is_changed(row):
                samples += 1
                called += row["change"] == DOWN
                beyond += row["band_low"] is not None and row["value"] < row["band_low"]
        for row in people.phases:
            if is_changed(row):
                phases += 1
                phase_called += row["change"] == DOWN
    return {
        f"power_{shape}": (called, samples),
        f"beyond_{shape}": (beyond, samples),
        f"phase_power_{shape}": (phase_called, phases),
    }


def returns(scenario: Scenario) -> tuple[dict[str, tuple[int, int]], list[float]]:
    """False and enclosed returns, and errors in days of those called."""
    true = RETURN_WEEK * WEEK
    early = enclosed = called = known = 0
    errors = []
    for people in drawn(scenario, "return"):
        for row in recovery_of_people(people, Account("recovery")).rows:
            known += row["returned"] not in ("not_known", "not_left")
            if row["returned"] not in (YES, PROVISIONAL):
                continue
            called += 1
            early += row["days_to_return"] < true
            enclosed += row["days_to_return_low"] <= true <= row["days_to_return"]
            errors.append(float(row["days_to_return"]) - true)
    return {
        "false_return": (early, known),
        "interval_holds": (enclosed, called),
        "return_called": (called, known),
    }, errors


def rows_of(scenario: Scenario) -> Iterator[dict[str, Cell]]:
    """All figures of a scenario."""

    def row(metric: str, value: float, low: float, high: float, trials: int) -> dict[str, Cell]:
        return {
            "noise_source": scenario.source, "scenario": scenario.name,
            "people": scenario.people, "baseline_samples": scenario.baseline,
            "within_sd": scenario.sd, "metric": metric, "value": value, "ci_low": low,
            "ci_high": high, "trials": trials,
        }  # fmt: skip

    def share(metric: str, hits: int, trials: int) -> dict[str, Cell]:
        if not trials:
            return row(metric, math.nan, math.nan, math.nan, 0)
        interval = stats.binomtest(hits, trials).proportion_ci(method="wilson")
        return row(metric, hits / trials, float(interval.low), float(interval.high), trials)

    for metric, (hits, trials) in no_change(scenario).items():
        yield share(metric, hits, trials)
    for shape in ("2x", "4x"):
        for metric, (hits, trials) in power(scenario, shape).items():
            yield share(metric, hits, trials)
    shares, errors = returns(scenario)
    for metric, (hits, trials) in shares.items():
        yield share(metric, hits, trials)
    if errors:
        low, middle, high = np.percentile(errors, [25, 50, 75])
        yield row("error_days", float(middle), float(low), float(high), len(errors))


def main() -> None:
    """Measure all scenarios and write the table."""
    rows = [row for scenario in SCENARIOS for row in rows_of(scenario)]
    write_table(Path(__file__).parent / "results" / "change_calls.tsv", COLUMNS, rows)


if __name__ == "__main__":
    main()
