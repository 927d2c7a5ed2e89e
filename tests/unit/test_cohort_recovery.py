"""Whether and when people return to their baseline after an event."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fermentome.cohort.data import LEFT_OUT, PARTLY, Account, Column, Metadata
from fermentome.cohort.measures import Measure
from fermentome.cohort.people import changes_of_people
from fermentome.cohort.recovery import (
    RECOVERY_COLUMNS,
    RECOVERY_SUMMARY_COLUMNS,
    Recovery,
    median_time,
    recovery_of_people,
    write_recovery,
)
from fermentome.cohort.settings import Settings
from fermentome.cohort.timepoints import timeline_of
from fermentome.tables import Cell, read_table

Course = Sequence[tuple[float, str | None]]
"""Value and event of a person's weekly samples."""

QUIET: Course = [(0.0, None), (0.2, None), (-0.2, None), (0.0, None)]
"""A baseline of mean 0; with the steady people of `recovered` the noise has an SD near 0.2."""


def recovered(
    courses: dict[str, Course], *, account: Account | None = None, times: str = "day {}",
    step: int = 7, baseline: str | None = None, steady: int = 30,
) -> Recovery:  # fmt: skip
    """Recovery in people of whom a log2 value is followed, among steady people."""
    rng = np.random.default_rng(2)
    people = dict(courses)
    for i in range(steady):
        people[f"steady{i:02d}"] = [(float(y), None) for y in rng.normal(0, 0.2, 4)]
    lines = [
        (subject, times.format(week * step), event, value)
        for subject, course in people.items()
        for week, (value, event) in enumerate(course)
    ]
    samples = tuple(f"S{i:04d}" for i in range(len(lines)))
    texts: dict[str, list[str | None]] = {
        "subject": [line[0] for line in lines],
        "timepoint": [line[1] for line in lines],
        "event": [line[2] for line in lines],
    }
    columns = {name: Column(name, tuple(cells), None) for name, cells in texts.items()}
    metadata = Metadata(samples, columns)
    scaled = np.array([line[3] for line in lines])
    values = np.where(scaled == -math.inf, 0.0, np.exp2(scaled))
    measure = Measure(
        "product:butyrate", "copies per genome", "log2", samples, values,
        np.full(len(lines), np.nan), np.full(len(lines), 2.0**-11), values == 0,
    )  # fmt: skip
    found = changes_of_people(
        [measure], metadata, timeline_of(metadata, Account("time")), Settings(baseline=baseline),
        Account("people"),
    )  # fmt: skip
    return recovery_of_people(found, account or Account("recovery"))


def one(course: Course, **other: object) -> dict[str, Cell]:
    (row,) = recovered({"A": [*QUIET, *course]}, **other).rows  # type: ignore[arg-type]
    return row


def test_return_is_the_first_of_two_samples_within_the_band() -> None:
    row = one([(-3.0, "drug"), (-3.0, "drug"), (-2.0, None), (0.1, None), (0.0, None)])
    assert row["returned"] == "yes"
    # The event is last on at day 35; away at 42, back at 49.
    assert (row["event_start"], row["event_end"]) == (28.0, 35.0)
    assert (row["days_to_return_low"], row["days_to_return"]) == (7.0, 14.0)
    assert (row["samples_during"], row["samples_after"]) == (2, 3)
    assert row["largest"] == pytest.approx(-3.0) and row["largest_at"] == 28.0
    assert row["highest"] == pytest.approx(0.1)
    assert row["time_unit"] == "days"


def test_single_sample_within_the_band_between_others_is_no_return() -> None:
    row = one([(-3.0, "drug"), (0.0, None), (-3.0, None), (0.0, None), (0.0, None)])
    assert (row["days_to_return_low"], row["days_to_return"]) == (14.0, 21.0)


def test_last_sample_alone_is_a_provisional_return() -> None:
    row = one([(-3.0, "drug"), (-3.0, None), (0.0, None)])
    assert row["returned"] == "provisional"
    assert row["days_to_return"] == 14.0
    assert "nothing later confirms" in str(row["reason"])


def test_who_is_still_away_has_a_lower_bound_only() -> None:
    row = one([(-3.0, "drug"), (-3.0, None), (-3.0, None)])
    assert row["returned"] == "no"
    assert row["days_to_return"] is None
    assert (row["days_to_return_low"], row["last_day"]) == (14.0, 14.0)


def test_who_never_left_has_no_time() -> None:
    row = one([(0.1, "drug"), (-0.1, None), (0.1, None)])
    assert row["returned"] == "not_left"
    assert row["days_to_return"] is None and row["days_to_return_low"] is None


def test_departure_after_the_event_counts() -> None:
    row = one([(0.0, "drug"), (0.1, None), (3.0, None), (0.0, None), (0.0, None)])
    assert row["returned"] == "yes"
    assert (row["days_to_return_low"], row["days_to_return"]) == (14.0, 21.0)


def test_relapse_after_a_return_is_told() -> None:
    row = one([(-3.0, "drug"), (0.0, None), (0.0, None), (-3.0, None)])
    assert row["days_to_return"] == 7.0
    assert row["reason"] == "beyond the band again at 21"


def test_event_that_never_ends_leaves_the_return_unknown() -> None:
    account = Account("recovery")
    row = one([(-3.0, "drug"), (-3.0, "drug")], account=account)
    assert row["returned"] == "not_known"
    assert row["event_end"] is None and row["event_start"] == 28.0
    assert "the event is on at the last sample" in str(row["reason"])
    assert [entry.status for entry in account.entries] == [PARTLY]


def test_next_event_ends_what_can_be_known_of_the_first() -> None:
    course = [(-3.0, "drug"), (-3.0, None), (-3.0, "diet"), (0.0, None), (0.0, None)]
    first, second = recovered({"A": [*QUIET, *course]}).rows
    assert (first["event"], first["returned"]) == ("drug", "no")
    assert "another event follows" in str(first["reason"])
    assert (second["event"], second["returned"], second["days_to_return"]) == ("diet", "yes", 7.0)


def test_event_without_a_baseline_is_not_known_with_the_reason() -> None:
    (row,) = recovered({"A": [(-3.0, "drug"), (0.0, None), (0.0, None)]}).rows
    assert row["returned"] == "not_known"
    assert "the event is on at the first sample" in str(row["reason"])


def test_without_a_noise_nothing_is_known() -> None:
    (row,) = recovered({"A": [(0.0, None), (-3.0, "drug"), (0.0, None)]}, steady=0).rows
    assert row["returned"] == "not_known"
    assert "the noise is not known" in str(row["reason"])


def test_sample_below_detection_is_away_where_its_limit_is() -> None:
    row = one([(-math.inf, "drug"), (-math.inf, None), (0.0, None), (0.0, None)])
    assert (row["days_to_return_low"], row["days_to_return"]) == (7.0, 14.0)
    # The limit is 2^-10: the fall is at least that.
    assert row["lowest"] == pytest.approx(-10.0)


def test_visits_give_times_in_visits() -> None:
    row = one([(-3.0, "drug"), (0.0, None), (0.0, None)], times="visit {}", step=1)
    assert (row["time_unit"], row["days_to_return"]) == ("order", 1.0)


def test_dates_give_times_in_days() -> None:
    row = one([(-3.0, "drug"), (0.0, None), (0.0, None)], times="2024-03-1{}", step=1)
    assert row["time_unit"] == "days"
    assert (row["event_start"], row["days_to_return"]) == (4.0, 1.0)


def test_times_that_cannot_be_read_leave_no_recovery() -> None:
    account = Account("recovery")
    found = recovered({"A": [*QUIET, (-3.0, "drug"), (0.0, None)]}, account=account,
                      times="sometime {}")  # fmt: skip
    assert found.rows == () and found.summary == ()
    assert [entry.status for entry in account.entries] == [LEFT_OUT]


def test_without_events_recovery_is_left_out_with_the_reason() -> None:
    account = Account("recovery")
    assert recovered({}, account=account).rows == ()
    assert account.entries[0].status == LEFT_OUT
    assert "column event" in account.entries[0].reason


def test_median_is_that_of_the_remission_trial() -> None:
    # Freireich et al. 1963, weeks in remission: 6-MP 23 (13, not reached), placebo 8 (4, 11);
    # intervals as survfit(conf.type = "log-log") and Stata's stci give them.
    treated = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    median, low, high = median_time(treated, [True] * 9 + [False] * 12)
    assert (median, low) == (23.0, 13.0) and math.isnan(high)
    placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    assert median_time(placebo, [True] * 21) == (8.0, 4.0, 11.0)


def test_median_without_a_return_is_not_known() -> None:
    assert all(math.isnan(x) for x in median_time([5.0, 6.0], [False, False]))


def test_summary_counts_each_person_once_and_keeps_who_is_away() -> None:
    back = [*QUIET, (-3.0, "drug"), (0.0, None), (0.0, None)]
    courses: dict[str, Course] = {
        "A": [*back, (-3.0, "drug"), (-3.0, None)],  # a second episode does not count
        "B": [*QUIET, (-3.0, "Drug"), (-3.0, None), (0.0, None), (0.0, None)],
        "C": [*QUIET, (-3.0, "drug"), (-3.0, None), (-3.0, None)],
        "D": [*QUIET, (-3.0, "drug"), (-3.0, None), (0.0, None)],
        "E": [*QUIET, (0.0, "drug"), (0.0, None)],
        "F": [(-3.0, "drug"), (0.0, None)],
    }
    (row,) = recovered(courses).summary
    counts = ("people", "left", "returned", "provisional", "away", "not_left", "not_known")
    assert [row[name] for name in counts] == [6, 4, 2, 1, 1, 1, 1]
    # Back at 7 and 14; away until 7 (provisional) and 14. At 7 one of four returns: 3/4 remain.
    # At 14 one of the two that are left returns: 3/8. The median is 14.
    assert row["median_time"] == 14.0


def test_tables_are_written_as_declared(tmp_path: Path) -> None:
    found = recovered({"A": [*QUIET, (-3.0, "drug"), (0.0, None), (0.0, None)]})
    paths = {"recovery": tmp_path / "r.tsv", "summary": tmp_path / "s.tsv"}
    write_recovery(found, paths)
    assert tuple(read_table(paths["recovery"])[0]) == RECOVERY_COLUMNS
    assert tuple(read_table(paths["summary"])[0]) == RECOVERY_SUMMARY_COLUMNS
