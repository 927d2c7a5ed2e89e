"""Mean responses of people to events, and what people without one did at the same times."""

import math

import numpy as np
import pytest
from scipy import stats

from fermentome.cohort.data import Account, Column, Metadata
from fermentome.cohort.measures import Measure
from fermentome.cohort.people import PERSON_COLUMNS, PHASE_COLUMNS, People, changes_of_people
from fermentome.cohort.response_figures import plot_responses
from fermentome.cohort.responses import (
    RESPONSE_COLUMNS,
    mean_of,
    net_of,
    responses_of,
    write_responses,
)
from fermentome.cohort.settings import Settings
from fermentome.cohort.timepoints import Timeline
from fermentome.cohort.visits import Visits
from fermentome.tables import read_table

# Student (1908), additional hours of sleep by two soporifics, as R's data set `sleep`; R's
# documentation of t.test gives t = -1.8608, df = 17.776, p = 0.07939 and the interval -3.3655 to
# 0.2055 for group 1 less group 2.
SLEEP_1 = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
SLEEP_2 = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])


def visit(subject, day, difference, phase, event=None, measure="product:butyrate", episode=None):
    row = dict.fromkeys(PERSON_COLUMNS)
    return row | {
        "subject": subject, "days": float(day), "difference": difference, "phase": phase,
        "event": event, "episode": 1 if event and episode is None else episode,
        "measure": measure, "difference_unit": "log2 fold change",
    }  # fmt: skip


def phase_row(subject, phase, event, change, measure="product:butyrate"):
    row = dict.fromkeys(PHASE_COLUMNS)
    return row | {
        "subject": subject, "phase": phase, "event": event, "change": change, "measure": measure,
        "episode": 1,
    }  # fmt: skip


def people_of(rows, phases=()):
    middle = tuple(math.nan if row["difference"] is None else row["difference"] for row in rows)
    return People(Visits.__new__(Visits), tuple(rows), tuple(phases), (), middle)


def only(rows):
    (row,) = rows
    return row


def test_net_difference_is_welchs_as_r_documents_it():
    found = net_of(SLEEP_1, SLEEP_2)
    assert found.p == pytest.approx(0.07939, abs=5e-6)
    assert (found.low, found.high) == pytest.approx((-3.3654832, 0.2054832), abs=5e-7)


def test_mean_of_people_is_students():
    # R's documentation of `sleep`: paired t = -4.0621, df = 9, p = 0.002833, -2.4598 to -0.7001.
    found = mean_of(SLEEP_1 - SLEEP_2)
    assert found.p == pytest.approx(0.002833, abs=5e-7)
    assert (found.low, found.high) == pytest.approx((-2.4598858, -0.7001142), abs=5e-7)


def test_a_person_counts_once_however_many_samples_there_are():
    rows = [visit("A", day, -1.0, "during", "drug") for day in range(10)]
    rows += [visit("B", 3, -2.0, "during", "drug"), visit("C", 3, -3.0, "during", "drug")]
    row = only(responses_of(people_of(rows), Account("people")))
    assert row["difference"] == -2.0
    assert (row["people"], row["people_known"]) == (3, 3)


def test_people_without_an_event_are_compared_at_the_same_times_only():
    rows = [visit(name, 10, -2.0 + i / 10, "during", "drug") for i, name in enumerate("ABC")]
    for i, name in enumerate("XYZ"):
        rows += [visit(name, 10, -0.5 + i / 10, "unphased"), visit(name, 90, 9.0, "unphased")]
        rows.append(visit(name, 10, None, "baseline"))
    row = only(responses_of(people_of(rows), Account("people")))
    assert row["other_people"] == 3
    assert row["other_difference"] == pytest.approx(-0.4)
    assert row["net_difference"] == pytest.approx(-1.5)


def test_a_visit_half_a_usual_gap_away_is_at_the_same_time():
    rows = [visit(name, 10, -2.0 + i / 10, "during", "drug") for i, name in enumerate("ABC")]
    rows += [visit(name, 0, None, "baseline") for name in "ABCXYZ"]
    rows += [visit(name, 14, -0.5 + i / 10, "unphased") for i, name in enumerate("XYZ")]
    # Gaps are 10, 10, 10, 14, 14, 14: half of their median, 12, is 6.
    assert only(responses_of(people_of(rows), Account("people")))["other_people"] == 3
    far = [row | {"days": 17.0} if row["days"] == 14.0 else row for row in rows]
    # Now half of 13.5.
    assert only(responses_of(people_of(far), Account("people")))["other_people"] == 0


def test_people_of_another_event_are_nobodys_comparison():
    rows = [visit(name, 10, -2.0 + i / 10, "during", "drug") for i, name in enumerate("ABC")]
    rows += [visit(name, 10, 5.0 + i, "during", "diet") for i, name in enumerate("XYZ")]
    found = {row["event"]: row for row in responses_of(people_of(rows), Account("people"))}
    assert found["drug"]["other_people"] == 0
    assert math.isnan(found["drug"]["net_difference"])
    assert "0 people without an event" in found["drug"]["reason"]


def test_what_is_not_known_is_left_out_and_counted():
    rows = [visit(name, 10, -1.0 - i, "during", "drug") for i, name in enumerate("ABC")]
    rows.append(visit("D", 10, None, "during", "drug"))
    row = only(responses_of(people_of(rows), Account("people")))
    assert (row["people"], row["people_known"], row["difference"]) == (4, 3, -2.0)


def test_two_people_are_too_few_for_an_interval_and_the_account_says_so():
    rows = [visit(name, 10, -1.0, "during", "drug") for name in "AB"]
    account = Account("people")
    row = only(responses_of(people_of(rows), account))
    assert row["difference"] == -1.0
    assert math.isnan(row["p"])
    assert only(account.entries).status == "left_out"


def test_without_events_there_is_no_response_and_the_account_says_so():
    account = Account("people")
    assert responses_of(people_of([visit("A", 1, 0.0, "unphased")]), account) == []
    assert "nobody has an event" in only(account.entries).reason


def test_calls_are_counted_by_person():
    rows = [visit(name, 10, -1.0 - i, "during", "drug") for i, name in enumerate("ABC")]
    phases = [
        phase_row("A", "during", "drug", "down"),
        phase_row("B", "during", "drug", "down"),
        phase_row("C", "during", "drug", "no"),
        phase_row("A", "after", "drug", "up"),
    ]
    row = only(responses_of(people_of(rows, phases), Account("people")))
    assert (row["called_down"], row["called_up"]) == (2, 0)


def test_p_is_uniform_where_nothing_happens():
    generator = np.random.default_rng(5)
    found = []
    for number in range(300):
        measure = f"product:p{number}"
        rows = [
            visit(f"T{i}", 10, float(generator.normal(0.5)), "during", "drug", measure)
            for i in range(8)
        ]
        rows += [
            visit(f"C{i}", 10, float(generator.normal(0.5)), "unphased", None, measure)
            for i in range(10)
        ]
        found += [row["net_p"] for row in responses_of(people_of(rows), Account("people"))]
    assert stats.kstest(found, "uniform").pvalue > 0.01


def below_detection_at_random(rng, measures=40, people=12, visits=9):
    """Changes of people of whom half of the values are below detection, and nothing happens."""
    subjects = [f"P{i:02d}" for i in range(people) for _ in range(visits)]
    days = np.tile(np.arange(visits) * 7.0, people)
    events = ["drug" if day in (28, 35) else None for day in days]
    samples = tuple(f"S{i:03d}" for i in range(people * visits))
    columns = {
        "subject": Column("subject", tuple(subjects), None),
        "timepoint": Column("timepoint", tuple(f"day {day:g}" for day in days), None),
        "event": Column("event", tuple(events), None),
    }
    found = []
    for number in range(measures):
        logs = np.repeat(rng.normal(size=people), visits) + 1.5 * rng.normal(size=len(samples))
        below = logs < 0.5
        values = np.where(below, 0.0, 2.0**logs)
        unknown, floors = np.full(len(samples), np.nan), np.full(len(samples), 2.0**0.5 / 2)
        name = f"product:{number:02d}"
        found.append(Measure(name, "copies", "log2", samples, values, unknown, floors, below))
    timeline = Timeline(days, "days", "day", ())
    return changes_of_people(
        found, Metadata(samples, columns), timeline, Settings(), Account("people")
    )


def test_values_below_detection_make_no_response_where_nothing_happens():
    rows = responses_of(below_detection_at_random(np.random.default_rng(5)), Account("people"))
    p = np.array([row["p"] for row in rows])
    # 80 means; of 80 draws at 0.05 nine or more come out in 2 of 100.
    assert (p <= 0.05).sum() <= 8
    assert abs(np.mean([row["difference"] for row in rows])) < 0.15


def test_order_of_rows_changes_nothing():
    rows = [visit(name, 10, -1.0 - i / 3, "during", "drug") for i, name in enumerate("ABCD")]
    rows += [visit(name, 10, 0.1 + i / 7, "unphased") for i, name in enumerate("WXYZ")]
    there = responses_of(people_of(rows), Account("people"))
    back = responses_of(people_of(rows[::-1]), Account("people"))
    assert there == back


@pytest.mark.parametrize("number", [0, 2, 6])
def test_table_and_figure_are_made_of_any_number_of_people(tmp_path, number):
    rows = [
        visit(f"<P{i}> $x$", 10, -1.0 - i / 3, phase, "drug <b>$", measure)
        for i in range(number)
        for phase in ("during", "after")
        for measure in ("product:butyrate", "carrier:butyrate|Roseburia", "diversity:shannon")
    ]
    table = tmp_path / "responses.tsv"
    write_responses(people_of(rows), Account("people"), {"responses": table})
    assert len(read_table(table, RESPONSE_COLUMNS)) == (6 if number else 0)
    outputs = [tmp_path / "responses.png", tmp_path / "responses.svg"]
    plot_responses(table, outputs)
    assert all(path.stat().st_size for path in outputs)
    again = [tmp_path / "again.png", tmp_path / "again.svg"]
    plot_responses(table, again)
    assert [p.read_bytes() for p in outputs] == [p.read_bytes() for p in again]
