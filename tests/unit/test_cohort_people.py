"""Noise within people, their baselines and phases, and what is called a change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scipy import stats

from fermentome.cohort.data import LEFT_OUT, Account, Column, Metadata
from fermentome.cohort.measures import Measure, Scale
from fermentome.cohort.multiple_testing import adjust
from fermentome.cohort.noise import fit_prior, moderated
from fermentome.cohort.people import (
    NOISE_COLUMNS,
    PERSON_COLUMNS,
    PHASE_COLUMNS,
    People,
    changes_of_people,
    write_people,
)
from fermentome.cohort.reading import load_cohort
from fermentome.cohort.settings import Settings
from fermentome.cohort.timepoints import timeline_of
from fermentome.cohort.visits import event_of
from fermentome.errors import CohortError
from fermentome.tables import Cell, read_table

ROOT = Path(__file__).resolve().parents[2]

Line = tuple[str | None, str | None, str | None, float]
"""Subject, timepoint, event and value of a sample."""


def cohort_of(
    lines: Sequence[Line],
    *,
    scale: Scale = "linear",
    errors: Sequence[float] | None = None,
    limit: float = math.nan,
    replicates: Sequence[str | None] | None = None,
    name: str = "product:butyrate",
) -> tuple[Measure, Metadata]:
    """One measure of samples named by their place."""
    samples = tuple(f"S{i:04d}" for i in range(len(lines)))
    columns: dict[str, Sequence[str | None]] = {
        "subject": [line[0] for line in lines],
        "timepoint": [line[1] for line in lines],
        "event": [line[2] for line in lines],
    }
    if replicates is not None:
        columns["replicate"] = replicates
    values = np.array([line[3] for line in lines], dtype=float)
    return (
        Measure(
            name, "copies per genome" if scale == "log2" else "nats", scale, samples, values,
            np.full(len(lines), np.nan) if errors is None else np.array(errors),
            np.full(len(lines), limit / 2), (values == 0) & (scale == "log2"),
        ),
        Metadata(samples, {key: Column(key, tuple(v), None) for key, v in columns.items()}),
    )  # fmt: skip


def followed(
    lines: Sequence[Line], settings: Settings | None = None, account: Account | None = None,
    **other: object,
) -> People:  # fmt: skip
    measure, metadata = cohort_of(lines, **other)  # type: ignore[arg-type]
    account = Account("people") if account is None else account
    timeline = timeline_of(metadata, Account("time"))
    return changes_of_people([measure], metadata, timeline, settings or Settings(), account)


def steady(people: int, deviation: float, middle: float = 0.0) -> list[Line]:
    """People without an event, each with two samples `deviation` either side of the middle."""
    return [
        (f"steady{i:03d}", f"day {day}", None, middle + side * deviation)
        for i in range(people)
        for day, side in ((0, -1), (7, 1))
    ]


def of(people: People, subject: str = "A") -> list[dict[str, Cell]]:
    return [row for row in people.rows if row["subject"] == subject]


def cells(rows: Sequence[Mapping[str, Cell]], column: str) -> list[Cell]:
    return [row[column] for row in rows]


def reasons(account: Account) -> str:
    return "\n".join(f"{e.item} | {e.status} | {e.reason}" for e in account.entries)


# Noise


def test_own_variance_is_moderated_by_degrees_of_freedom() -> None:
    prior = fit_prior(np.full(50, 0.25), np.full(50, 4.0))
    finite = type(prior)(0.25, 4.0, 200.0, 50)
    # (4 * 0.25 + 3 * 1) / 7 and 4 + 3; without own samples the prior itself.
    variance, df = moderated(np.array([1.0, np.nan]), np.array([3.0, 0.0]), finite)
    assert variance.tolist() == pytest.approx([4 / 7, 0.25])
    assert df.tolist() == [7.0, 4.0]


def test_no_estimate_rests_on_more_than_all_people_together() -> None:
    prior = fit_prior(np.full(5, 0.25), np.full(5, 2.0))
    assert math.isinf(prior.df)
    assert prior.variance == pytest.approx(0.25)
    assert moderated(np.array([9.0]), np.array([2.0]), prior)[1].tolist() == [10.0]


def test_two_people_make_no_noise_of_a_cohort() -> None:
    assert not fit_prior(np.array([1.0, 2.0]), np.array([5.0, 5.0])).known
    assert not fit_prior(np.zeros(9), np.ones(9)).known
    own, df = moderated(
        np.array([1.0, np.nan]), np.array([2.0, 0.0]), fit_prior(np.ones(1), np.ones(1))
    )
    assert own[0] == 1.0 and math.isnan(own[1]) and df.tolist() == [2.0, 0.0]


@pytest.mark.parametrize("prior_df", [3.0, 8.0])
def test_prior_is_found_again_and_agrees_with_the_moments_of_smyth(prior_df: float) -> None:
    rng = np.random.default_rng(5)
    size, d = 3000, 4
    variances = 0.3 * prior_df / rng.chisquare(prior_df, size) * rng.chisquare(d, size) / d
    prior = fit_prior(variances, np.full(size, float(d)))
    assert prior.variance == pytest.approx(0.3, rel=0.06)
    assert prior.df == pytest.approx(prior_df, rel=0.15)
    # Smyth 2004, section 6.2: var(log s^2) = trigamma(d/2) + trigamma(d0/2).
    from scipy.special import digamma, polygamma

    spread = np.log(variances).var(ddof=1) - polygamma(1, d / 2)
    assert polygamma(1, prior.df / 2) == pytest.approx(spread, rel=0.15)
    middle = np.log(variances).mean() - digamma(d / 2) + math.log(d / 2)
    located = math.exp(middle + digamma(prior.df / 2) - math.log(prior.df / 2))
    assert prior.variance == pytest.approx(located, rel=0.05)


@examples(max_examples=10, deadline=None)
@given(st.permutations(range(12)))
def test_order_of_people_does_not_change_the_prior(order: list[int]) -> None:
    variances = np.linspace(0.1, 3.0, 12)
    df = np.array([1.0, 2.0, 3.0] * 4)
    one, other = fit_prior(variances, df), fit_prior(variances[order], df[order])
    assert one.variance == pytest.approx(other.variance, rel=1e-4)
    assert one.df == pytest.approx(other.df, rel=1e-3)


# The band


def test_band_is_the_reference_change_value() -> None:
    # Harris and Yasaka 1983: two results differ by more than 1.96 sqrt(2) SD = 2.77 SD.
    people = followed([("A", "day 0", None, 5.0), ("A", "day 9", "diet", 5.5), *steady(400, 0.5)])
    row = of(people)[1]
    sd = math.sqrt(0.5)  # of two values 0.5 either side of their mean
    assert row["noise_sd"] == pytest.approx(sd)
    assert row["noise_source"] == "cohort"
    assert row["band_high"] == pytest.approx(5.0 + 2.77 * sd, abs=0.01)
    assert row["band_low"] == pytest.approx(5.0 - 2.77 * sd, abs=0.01)
    assert row["change"] == "no"


def test_band_on_a_log_scale_is_that_of_fokkema() -> None:
    # Fokkema et al. 2006: sigma = sqrt(ln(CV^2 + 1)), limits exp(+-1.96 sqrt(2) sigma) - 1:
    # at a CV of 20 % +73.1 % and -42.2 %.
    sigma = math.sqrt(math.log(0.2**2 + 1)) / math.log(2)
    ratio = sigma / math.sqrt(2)
    lines: list[Line] = [("A", "day 0", None, 0.3), ("A", "day 9", "diet", 0.4)]
    lines += [(s, t, e, 2.0**y) for s, t, e, y in steady(900, ratio)]
    row = of(followed(lines, scale="log2"))[1]
    assert row["band_high"] == pytest.approx(0.3 * 1.731, rel=3e-3)
    assert row["band_low"] == pytest.approx(0.3 * 0.578, rel=3e-3)
    assert row["difference"] == pytest.approx(math.log2(4 / 3))
    assert row["difference_unit"] == "log2 fold change"


def test_band_of_one_person_alone_is_a_prediction_interval() -> None:
    before = [("A", f"day {i}", None, float(i)) for i in (1, 2, 3)]
    people = followed([*before, ("A", "day 4", "diet", 7.0)])
    row = of(people)[3]
    # Mean 2, s = 1, 2 degrees of freedom: t(0.975) = 4.3027, times sqrt(1 + 1/3).
    assert row["band_high"] == pytest.approx(2 + 4.302653 * math.sqrt(4 / 3), rel=1e-6)
    assert row["noise_source"] == "own"
    assert row["noise_df"] == 2
    # With 2 degrees of freedom the two-sided p is 1 - t / sqrt(2 + t^2).
    t = 5 / math.sqrt(4 / 3)
    assert row["p"] == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert row["change"] == "up"


def test_band_is_never_narrower_than_the_interval_of_the_measurement() -> None:
    lines = [("A", "day 0", None, 5.0), ("A", "day 9", "diet", 6.0), *steady(200, 1e-3)]
    people = followed(lines, errors=[0.6, 0.8] + [np.nan] * 400)
    row = of(people)[1]
    # Errors of a difference add in squares: sqrt(0.36 + 0.64) = 1.
    assert row["band_high"] == pytest.approx(5 + 1.959964)
    assert row["p"] == pytest.approx(2 * stats.norm.sf(1.0))
    assert row["ci_high"] == pytest.approx(6 + 1.959964 * 0.8)


def test_sample_measured_worse_than_the_others_has_a_wider_band() -> None:
    lines = [("A", "day 0", None, 5.0), ("A", "day 7", "diet", 5.0), ("A", "day 9", "diet", 5.0),
             *steady(300, 0.5)]  # fmt: skip
    people = followed(lines, errors=[0.1, 0.1, 0.7] + [0.1] * 600)
    usual, worse = of(people)[1:]
    # Variance of the noise 0.5, of the worse measurement 0.49 - 0.01 more.
    half = (usual["band_high"] - 5.0, worse["band_high"] - 5.0)  # type: ignore[operator]
    assert half[1] / half[0] == pytest.approx(math.sqrt((2 * 0.5 + 0.48) / (2 * 0.5)))


def test_change_needs_the_rate_within_the_person_beside_the_band() -> None:
    values = [0.0, 1.0, 2.0, 3.0, 4.2]
    lines = [("A", f"day {i}", None, value) for i, value in enumerate(values)]
    rows = of(followed(lines + steady(400, 1.0, 0.0)))
    p = np.array(cells(rows[1:], "p"), dtype=float)
    assert cells(rows[1:], "q") == pytest.approx(adjust(p).tolist())
    # 2.77 sqrt(2) = 3.92 is exceeded by 4.2; p is 0.036, and 4 tests make it 0.14.
    assert rows[4]["value"] > rows[4]["band_high"]  # type: ignore[operator]
    assert cells(rows, "change") == ["not_called", "no", "no", "no", "no"]
    assert rows[4]["note"] == "beyond the band, but not after correction for the number of tests"


def test_kinds_of_measures_are_corrected_apart() -> None:
    lines = [("A", "day 0", None, 0.0), ("A", "day 1", None, 3.0), *steady(300, 0.7)]
    product, metadata = cohort_of(lines)
    carriers = [cohort_of(lines, name=f"carrier:butyrate|{i}")[0] for i in range(20)]
    timeline = timeline_of(metadata, Account("time"))
    people = changes_of_people(
        [product, *carriers], metadata, timeline, Settings(), Account("people")
    )
    row = next(r for r in of(people) if r["measure"] == product.name and r["p"] is not None)
    assert row["q"] == row["p"]


# Where the noise comes from


def test_technical_replicates_bound_the_measurement_only_and_that_is_said() -> None:
    lines: list[Line] = [("A", "day 0", None, 4.0), ("A", "day 0", None, 6.0),
                         ("A", "day 9", None, 9.0), ("A", "day 9", None, 11.0)]  # fmt: skip
    account = Account("people")
    people = followed(lines, account=account, replicates=["1", "2", "1", "2"])
    first, second = of(people)
    assert first["value"] == 5.0 and second["samples"] == 2
    # Two pairs 2 apart: pooled variance 2 on 2 degrees of freedom; means of two, and their
    # difference, have variances of 1 and 2.
    assert second["noise_source"] == "technical"
    assert second["noise_sd"] == pytest.approx(math.sqrt(2))
    assert second["band_high"] == pytest.approx(5 + 4.302653 * math.sqrt(2))
    assert "noise of the measurement only" in str(second["note"])
    assert "noise of the measurement only" in reasons(account)
    assert people.noise[0]["technical_df"] == 2


def test_without_repeats_nothing_is_called_and_it_is_said() -> None:
    account = Account("people")
    rows = of(followed([("A", "1", None, 4.0), ("A", "2", None, 400.0)], account=account))
    assert cells(rows, "change") == ["not_called", "not_called"]
    assert rows[1]["noise_source"] == "none" and rows[1]["band_low"] is None
    assert rows[1]["difference"] == 396.0
    assert "the noise is not known" in str(rows[1]["note"])
    assert "the noise is not known" in reasons(account)


def test_samples_during_and_after_an_event_are_no_noise() -> None:
    event = [
        (f"E{i}", f"day {d}", "diet" if d == 14 else None, y)
        for i in range(9)
        for d, y in ((0, 1.0), (7, 1.2), (14, 50.0), (21, 80.0))
    ]
    people = followed(event)
    assert people.noise[0]["within_sd"] == pytest.approx(math.sqrt(0.02))
    assert people.noise[0]["within_df"] == 9


def test_named_baseline_without_events_tells_the_noise_from_baselines_alone() -> None:
    lines: list[Line] = []
    for i in range(6):
        lines += [(f"P{i}", "baseline", None, 1.0), (f"P{i}", "after", None, 30.0)]
    account = Account("people")
    people = followed(lines, Settings(baseline="baseline"), account)
    # One baseline sample each: the rest must do, which is said.
    assert people.noise[0]["within_df"] == 6
    assert "missed rather than invented" in reasons(account)
    # One more timepoint that is the baseline gives repeats only if it is another visit.
    numbers = [(f"P{i}", str(t), None, float(t)) for i in range(6) for t in (0, 1)]
    followed(numbers, Settings(baseline="0.0"), account)


def test_constant_measure_is_reported_and_not_called() -> None:
    rows = of(
        followed(
            [
                ("A", "1", None, 3.0),
                ("A", "2", None, 3.0),
                *((f"B{i}", str(t), None, 3.0) for i in range(5) for t in (1, 2)),
            ]
        )
    )
    assert cells(rows, "value") == [3.0, 3.0]
    assert cells(rows, "change") == ["not_called", "not_called"]


# Below detection


def quiet_people(people: int = 60, middle: float = 0.5) -> list[Line]:
    return [(s, t, e, middle * 2.0**y) for s, t, e, y in steady(people, 0.2)]


def test_fall_below_a_low_limit_is_a_fall_of_at_least_that_much() -> None:
    lines = [("A", "day 1", None, 0.5), ("A", "day 2", None, 0.0), *quiet_people()]
    row = of(followed(lines, scale="log2", limit=0.01))[1]
    assert row["value"] == 0.0 and row["below_detection"] is True
    assert row["change"] == "down"
    assert row["difference"] == pytest.approx(math.log2(0.01 / 0.5))
    assert "at least" in str(row["note"])


def test_below_a_limit_within_the_band_says_nothing() -> None:
    lines = [("A", "day 1", None, 0.5), ("A", "day 2", None, 0.0), *quiet_people()]
    row = of(followed(lines, scale="log2", limit=0.45))[1]
    assert row["change"] == "below_detection"
    assert row["value"] == 0.0


def test_rise_from_below_detection_counts_from_the_limit() -> None:
    lines = [("A", "day 1", None, 0.0), ("A", "day 2", None, 0.8), ("A", "day 3", None, 0.0),
             ("A", "day 4", None, 0.011), *quiet_people()]  # fmt: skip
    first, seen, hidden, close = of(followed(lines, scale="log2", limit=0.01))
    assert first["baseline"] == 0.0
    assert seen["difference"] == pytest.approx(math.log2(80)) and seen["change"] == "up"
    assert seen["band_low"] == 0.0
    assert hidden["change"] == "below_detection" and hidden["p"] is None
    assert close["change"] == "no"


def test_zero_everywhere_stays_zero() -> None:
    lines = [(f"P{i}", str(t), None, 0.0) for i in range(4) for t in (1, 2)]
    people = followed(lines, scale="log2")
    assert set(cells(people.rows, "value")) == {0.0}
    assert set(cells(people.rows, "change")) == {"not_called", "below_detection"}
    assert people.noise[0]["within_sd"] is None


def test_value_that_is_not_known_is_neither_zero_nor_a_change() -> None:
    lines: list[Line] = [
        ("A", "day 1", None, 0.5), ("A", "day 2", None, math.nan),
        ("B", "day 1", None, math.nan), ("B", "day 2", None, 0.5), *quiet_people(),
    ]  # fmt: skip
    people = followed(lines, scale="log2", limit=0.01)
    lost = of(people)[1]
    assert lost["value"] is None and lost["change"] == "not_called"
    assert lost["note"] == "value not known"
    assert of(people, "B")[1]["change"] == "not_called"
    assert "no value is known at the baseline" in str(of(people, "B")[1]["note"])


# Baselines, phases and times


def test_samples_before_the_first_event_are_the_baseline() -> None:
    lines: list[Line] = [
        ("A", "day 0", None, 1.0), ("A", "day 7", None, 3.0), ("A", "day 14", "antibiotic", 9.0),
        ("A", "day 21", None, 5.0), ("A", "day 28", "diet", 5.0), ("A", "day 35", None, 5.0),
    ]  # fmt: skip
    rows = of(followed(lines))
    assert cells(rows, "phase") == ["baseline", "baseline", "during", "after", "during", "after"]
    assert cells(rows, "event") == [None, None, "antibiotic", "antibiotic", "diet", "diet"]
    assert cells(rows, "episode") == [None, None, 1, 1, 2, 2]
    assert cells(rows, "days_since_baseline") == [-7.0, 0.0, 7.0, 14.0, 21.0, 28.0]
    assert set(cells(rows, "baseline")) == {2.0}


def test_same_event_again_after_a_pause_is_another_episode() -> None:
    events = [None, "A", None, "a", "A", "B"]
    lines = [("A", str(i), event, 1.0) for i, event in enumerate(events)]
    assert cells(of(followed(lines)), "episode") == [None, 1, 1, 2, 2, 3]


def test_first_timepoint_is_the_baseline_without_an_event() -> None:
    rows = of(followed([("A", "visit 2", None, 1.0), ("A", "visit 1", None, 3.0)]))
    assert cells(rows, "timepoint") == ["visit 1", "visit 2"]
    assert cells(rows, "phase") == ["baseline", "unphased"]
    assert rows[0]["time_unit"] == "order"


def test_named_baseline_wins() -> None:
    lines = [("A", t, None, float(i)) for i, t in enumerate(("day 0", "Day 7", "day 14"))]
    rows = of(followed(lines, Settings(baseline="day 7")))
    assert cells(rows, "phase") == ["unphased", "baseline", "unphased"]
    assert cells(rows, "baseline") == [1.0, 1.0, 1.0]


def test_baseline_that_nobody_has_is_named_beside_those_that_are_there() -> None:
    account = Account("people")
    lines = [("A", "day 0", None, 1.0), ("A", "day 7", None, 2.0)]
    rows = of(followed(lines, Settings(baseline="week 9"), account))
    assert cells(rows, "value") == [1.0, 2.0]
    assert cells(rows, "change") == ["not_called", "not_called"]
    assert "no sample at the baseline timepoint week 9" in str(rows[1]["note"])
    assert "timepoints are day 0, day 7" in reasons(account)


def test_event_at_the_first_sample_leaves_no_baseline() -> None:
    account = Account("people")
    lines: list[Line] = [("A", "day 1", "diet", 1.0), ("A", "day 2", None, 9.0), *steady(20, 0.1)]
    rows = of(followed(lines, account=account))
    assert cells(rows, "phase") == ["during", "after"]
    assert cells(rows, "change") == ["not_called", "not_called"]
    assert cells(rows, "baseline_samples") == [0, 0]
    assert "the event is on at the first sample" in reasons(account)
    assert "the event is on at the first sample" in str(rows[1]["note"])


def test_dates_count_from_the_first_of_each_person() -> None:
    lines: list[Line] = [
        ("A", "2024-03-01", None, 1.0), ("A", "2024-03-15", None, 1.0),
        ("B", "2023-12-31", None, 1.0), ("B", "2024-01-01", None, 1.0),
    ]  # fmt: skip
    people = followed(lines)
    assert cells(of(people), "days") == [0.0, 14.0]
    assert cells(of(people, "B"), "days") == [0.0, 1.0]


def test_duplicated_timepoint_is_averaged_on_the_scale_and_said() -> None:
    account = Account("people")
    lines = [("A", "1", None, 1.0), ("A", "1", None, 4.0), ("A", "2", None, 2.0)]
    people = followed(lines, account=account, scale="log2", limit=0.01)
    rows = of(people)
    assert len(rows) == 2
    assert rows[0]["value"] == pytest.approx(2.0)  # geometric mean
    assert rows[0]["sample"] == "S0000; S0001"
    assert rows[0]["noise_source"] == "none"  # not taken as technical replicates
    assert "A at 1" in reasons(account)


def test_person_with_one_sample_has_a_row_without_a_call() -> None:
    account = Account("people")
    people = followed([("A", "day 1", None, 7.0), *steady(20, 0.1)], account=account)
    (row,) = of(people)
    assert row["value"] == 7.0 and row["change"] == "not_called"
    assert "people with one timepoint | partly | A:" in reasons(account)


def test_samples_without_a_subject_are_left_out_and_counted() -> None:
    account = Account("people")
    people = followed([("A", "1", None, 7.0), (None, "1", None, 3.0)], account=account)
    assert cells(people.rows, "sample") == ["S0000"]
    assert "1 samples have no subject" in reasons(account)


def test_without_subjects_nothing_is_made_and_it_is_said() -> None:
    account = Account("people")
    people = followed([(None, "1", None, 7.0)], account=account)
    assert people.rows == () and people.noise == ()
    assert [entry.status for entry in account.entries] == [LEFT_OUT]
    assert "column subject" in reasons(account)


def test_without_times_values_and_noise_are_still_given() -> None:
    account = Account("people")
    lines = [(s, None, None, v) for s, _, _, v in steady(8, 0.5)]
    people = followed(lines, account=account)
    assert len(people.rows) == 16
    assert set(cells(people.rows, "change")) == {"not_called"}
    assert people.noise[0]["within_sd"] == pytest.approx(math.sqrt(0.5))
    assert "no timepoint is known" in reasons(account)


def test_sample_without_a_time_is_compared_but_in_no_order() -> None:
    account = Account("people")
    lines = [("A", "day 1", None, 0.0), ("A", None, None, 9.0), *steady(60, 0.5)]
    lost = of(followed(lines, account=account))[1]
    assert lost["days"] is None and lost["phase"] == "unphased"
    assert lost["change"] == "up" and "time not known" in str(lost["note"])
    assert "S0001" in reasons(account)


def test_words_for_no_event_are_none() -> None:
    assert [event_of(x) for x in ("No", "false", "0", "after", " ", None)] == [None] * 6
    assert event_of("Yes") == "event"
    assert event_of("vancomycin <500 mg>") == "vancomycin <500 mg>"


# Phases, tables, invariants, calibration


def test_phase_compares_the_mean_of_its_samples() -> None:
    lines: list[Line] = [("A", "day 0", None, 0.0)]
    lines += [("A", f"day {d}", "diet", 2.0) for d in (7, 14, 21, 28)]
    people = followed(lines + steady(400, 1.0))
    (row,) = people.phases
    assert row["samples"] == 4 and row["difference"] == 2.0
    # Variance 2 of one sample: 2 (1/4 + 1) for a mean of four and a baseline of one.
    assert row["ci_high"] == pytest.approx(2 + 1.9659 * math.sqrt(2.5), rel=1e-3)


def test_tables_are_written_as_declared(tmp_path: Path) -> None:
    people = followed([("A", "1", "no", 1.0), ("A", "2", "x", 2.0), ("A", "3", None, 2.0)])
    paths = {name: tmp_path / f"{name}.tsv" for name in ("people", "phases", "noise")}
    write_people(people, paths)
    for name, columns in (
        ("people", PERSON_COLUMNS), ("phases", PHASE_COLUMNS), ("noise", NOISE_COLUMNS),
    ):  # fmt: skip
        assert tuple(read_table(paths[name])[0]) == columns
    assert len(read_table(paths["people"])) == 3
    assert len(read_table(paths["phases"])) == 2


@examples(max_examples=15, deadline=None)
@given(st.permutations(range(14)))
def test_order_of_samples_changes_nothing(order: list[int]) -> None:
    rng = np.random.default_rng(3)
    lines = [
        (f"P{i // 7}", f"day {i % 7}", "diet" if i % 7 in (3, 4) else None, rng.lognormal())
        for i in range(14)
    ]
    measure, metadata = cohort_of(lines, scale="log2", limit=0.01)
    shuffled = Measure(
        measure.name, measure.unit, measure.scale, tuple(measure.samples[i] for i in order),
        measure.values[order], measure.errors[order], measure.floors[order], measure.below[order],
    )  # fmt: skip
    times = timeline_of(metadata, Account("time"))
    expected = changes_of_people([measure], metadata, times, Settings(), Account("people"))
    other = metadata.select([metadata.samples[i] for i in order])
    moved = timeline_of(other, Account("time"))
    found = changes_of_people([shuffled], other, moved, Settings(), Account("people"))
    assert found.rows == expected.rows
    assert found.phases == expected.phases


@pytest.mark.parametrize(("baseline", "source"), [(1, "cohort"), (4, "own")])
def test_p_is_uniform_and_the_band_holds_at_no_change(baseline: int, source: str) -> None:
    rng = np.random.default_rng(11)
    lines: list[Line] = []
    for i in range(1500):
        # People differ in their mean, and in how much they vary (10 degrees of freedom).
        sd = 0.4 * math.sqrt(10 / rng.chisquare(10))
        values = rng.normal(rng.normal(0, 2), sd, baseline + 1)
        lines += [
            (f"P{i:04d}", str(t), "diet" if t == baseline else None, float(value))
            for t, value in enumerate(values)
        ]
        if baseline == 1:
            lines += [(f"Q{i:04d}", str(t), None, float(v)) for t, v in
                      enumerate(rng.normal(0, sd, 4))]  # fmt: skip
    rows = [row for row in followed(lines).rows if row["phase"] == "during"]
    assert {row["noise_source"] for row in rows} == {source}
    p = np.array(cells(rows, "p"), dtype=float)
    assert stats.kstest(p, "uniform").pvalue > 0.01
    inside = sum(r["band_low"] <= r["value"] <= r["band_high"] for r in rows)  # type: ignore[operator]
    assert stats.binomtest(inside, len(rows), 0.95).pvalue > 0.01


def test_times_of_other_samples_are_refused() -> None:
    measure, metadata = cohort_of([("A", "1", None, 1.0), ("A", "2", None, 2.0)])
    fewer = timeline_of(metadata.select(metadata.samples[:1]), Account("time"))
    with pytest.raises(CohortError, match="1 times, 2 expected"):
        changes_of_people([measure], metadata, fewer, Settings(), Account("people"))


def test_people_of_hmp2_vary_less_than_they_differ_and_nothing_is_called_without_times() -> None:
    folder = ROOT.parent / "shared/data/cohort/hmp2_longitudinal"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    cohort = load_cohort(
        {"taxa": folder / "metaphlan_taxonomic_profiles.tsv.gz"}, folder / "metadata.tsv.gz",
        Account("reading"),
    )  # fmt: skip
    table = cohort.tables["taxa"]
    shares = np.nan_to_num(table.values)
    shannon = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=1)
    nothing = np.full(shannon.size, np.nan)
    measure = Measure(
        "diversity:shannon", "nats", "linear", table.samples, shannon, nothing, nothing,
        np.zeros(shannon.size, dtype=bool),
    )  # fmt: skip
    people = changes_of_people(
        [measure], cohort.metadata, timeline_of(cohort.metadata, Account("time")), Settings(),
        Account("people"),
    )  # fmt: skip
    assert set(cells(people.rows, "change")) == {"not_called"}
    # Index of individuality below 0.6 (Harris 1974): measured 0.59.
    (noise,) = people.noise
    assert noise["people"] == 130
    assert 0.4 < float(str(noise["index_of_individuality"])) < 0.7
