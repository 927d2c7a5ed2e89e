import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermentome.cohort.data import Account, Column, Metadata
from fermentome.cohort.timepoints import parse_timepoints, timeline_of
from fermentome.errors import CohortError

MARCH_1 = datetime.date(2024, 3, 1).toordinal()


def parse(*values, name="timepoint"):
    return parse_timepoints(values, "sheet.tsv", name)


@pytest.mark.parametrize(
    "cell",
    [
        "2024-03-01", "2024/03/01", "2024.3.1", "01.03.2024", "1.3.2024", "1 Mar 2024",
        "1-Mar-2024", "01 March 2024", "1st March 2024", "March 1 2024", "March 1, 2024",
        "Mar. 1st, 2024", "20240301", "2024-03-01T00:00", "2024-03-01 00:00:00",
        "2024-03-01T00:00:00.000Z", "2024-03-01T01:00+01:00", "2024-02-29T23:00:00-0100",
        " 2024-03-01 ", "1 mar 2024 12:00 AM",
    ],
)  # fmt: skip
def test_a_date_is_read_however_it_is_written(cell):
    timeline = parse(cell)
    assert timeline.days.tolist() == [MARCH_1]
    assert (timeline.unit, timeline.kind) == ("days", "date")


def test_forms_of_dates_may_be_mixed():
    timeline = parse("2024-03-01", "02.03.2024", "March 3, 2024", "20240304", "2024-03-05T12:00")
    assert (timeline.days - MARCH_1).tolist() == [0, 1, 2, 3, 4.5]


def test_afternoons_come_after_mornings():
    timeline = parse("13/03/2024 2:30 PM", "13/03/2024 12:00 am", "13/03/2024 12:00 pm")
    assert (timeline.days - timeline.days[1]).tolist() == pytest.approx([14.5 / 24, 0, 0.5])


def test_a_cell_that_settles_the_order_of_day_and_month_settles_it_for_all():
    assert (parse("03/01/2024", "13/01/2024").days - MARCH_1).tolist() == [-58, -48]
    assert (parse("03/01/2024", "03/13/2024").days - MARCH_1).tolist() == [0, 12]
    assert (parse("03-02-2024", "03-13-2024").days - MARCH_1).tolist() == [1, 12]


def test_an_order_of_day_and_month_that_nothing_settles_is_refused():
    with pytest.raises(CohortError, match=r"sheet\.tsv, column 'timepoint': '03/01/2024' can be"):
        parse("03/01/2024", "04/01/2024", "2024-05-01")


def test_two_orders_of_day_and_month_are_refused():
    with pytest.raises(CohortError, match=r"day comes first in '13/01/2024'.*in '01/13/2024'"):
        parse("13/01/2024", "01/13/2024")


@pytest.mark.parametrize("cell", ["2024-02-30", "31.04.2024", "Feb 29 2023", "2024-03-01T25:00",
                                  "2024-03-01 13:00 pm"])  # fmt: skip
def test_a_date_that_is_in_no_calendar_is_refused(cell):
    with pytest.raises(CohortError, match="is no date"):
        parse(cell)


def test_a_year_of_two_digits_is_refused():
    with pytest.raises(CohortError, match="year of two digits"):
        parse("01/03/24")


@pytest.mark.parametrize(
    ("cells", "days", "kind"),
    [
        (("day 14", "Day 0", "D-7", "d+7", "14 days", "study day 3", "day_2"),
         [14, 0, -7, 7, 14, 3, 2], "day"),
        (("week 2", "wk2", "W4", "4 weeks", "week-1"), [14, 14, 28, 28, -7], "week"),
        (("baseline", "week 1"), [0, 7], "week"),
        (("day 0", "week 2", "day 21"), [0, 14, 21], "day"),
    ],
)  # fmt: skip
def test_spans_become_days(cells, days, kind):
    timeline = parse(*cells)
    assert timeline.days.tolist() == days
    assert (timeline.unit, timeline.kind) == ("days", kind)


def test_months_have_their_mean_length_and_it_is_said():
    timeline = parse("month 3", "M12", "1 year")
    # a Gregorian year has 365.2425 days
    assert timeline.days == pytest.approx([91.310625, 365.2425, 365.2425])
    assert timeline.kind == "month"
    assert any("30.44" in note for note in timeline.notes)


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (("V1", "visit 2", "Visit3"), [1, 2, 3]),
        (("T0", "T1", "T-2", "visit_3"), [0, 1, -2, 3]),
        (("baseline", "V1"), [0, 1]),
    ],
)
def test_visits_are_an_order(cells, numbers):
    timeline = parse(*cells)
    assert timeline.days.tolist() == numbers
    assert (timeline.unit, timeline.kind) == ("order", "visit")


def test_plain_numbers_are_an_order_unless_the_column_says_what_they_are():
    timeline = parse("1", "2.5", "10")
    assert timeline.days.tolist() == [1, 2.5, 10]
    assert (timeline.unit, timeline.kind) == ("order", "number")
    assert "name the column day, week or month" in timeline.notes[0]
    weeks = parse("0", "2", name="week_num")
    assert (weeks.days.tolist(), weeks.unit, weeks.kind) == ([0, 14], "days", "week")
    assert parse("1", "-3", name="Days").days.tolist() == [1, -3]
    # "monday" is no name of a unit
    assert parse("1", "2", name="monday").unit == "order"


def test_numbers_and_baseline_go_together():
    assert parse("baseline", "4", "8").days.tolist() == [0, 4, 8]


def test_day_numbers_of_a_spreadsheet_are_days():
    # 45352 is 2024-03-01 in spreadsheets that count from 1899-12-30
    timeline = parse("45352", "45366")
    assert timeline.days[1] - timeline.days[0] == 14
    assert timeline.unit == "days"


def test_words_have_the_order_of_a_study():
    timeline = parse("Follow-up", "before", "during", "after", "screening")
    assert np.argsort(timeline.days).tolist() == [4, 1, 2, 3, 0]
    assert (timeline.unit, timeline.kind) == ("order", "word")


@pytest.mark.parametrize(
    "cells",
    [
        ("2024-03-01", "day 3"),
        ("V1", "week 2"),
        ("1", "V2"),
        ("after", "2024-03-01"),
        ("3", "wk 1"),
    ],
)
def test_several_kinds_are_refused_with_an_example_of_each(cells):
    with pytest.raises(CohortError) as caught:
        parse(*cells)
    for part in (*map(repr, cells), "several kinds", "expected one kind"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "cells", [("week-1", "week-2"), ("baseline", "visit-1", "visit-2"), ("D-7", "D-3")]
)
def test_a_dash_that_may_be_a_minus_is_refused(cells):
    with pytest.raises(CohortError, match="can be before or after the start"):
        parse(*cells)


def test_baseline_among_dates_is_refused():
    with pytest.raises(CohortError, match="write the date of it"):
        parse("2024-03-01", "Baseline")


def test_a_cell_that_is_no_time_is_named():
    with pytest.raises(CohortError, match="'soon' is no time that is known"):
        parse("day 1", "soon")


def test_missing_cells_are_not_known():
    timeline = parse("day 1", None, "NA", "not collected")
    assert timeline.days[0] == 1
    assert np.isnan(timeline.days[1:]).all()
    assert parse(None, None).kind == "none"


@given(st.lists(st.dates(datetime.date(1900, 1, 1), datetime.date(2199, 12, 31)), min_size=1))
def test_any_date_is_read_as_itself(dates):
    cells = [date.isoformat() for date in dates]
    assert parse(*cells).days.tolist() == [date.toordinal() for date in dates]


@given(st.lists(st.text(max_size=12), max_size=4))
def test_any_text_is_read_or_refused(cells):
    try:
        timeline = parse_timepoints(cells, "s")
    except CohortError:
        return
    assert len(timeline.days) == len(cells)


def metadata(*values):
    return Metadata(
        tuple(f"s{i}" for i in range(len(values))), {"timepoint": Column("timepoint", values, None)}
    )


def test_times_that_cannot_be_read_are_left_out_and_said():
    account = Account("people")
    timeline = timeline_of(metadata("day 1", "2024-03-01"), account)
    assert np.isnan(timeline.days).all()
    assert timeline.kind == "none"
    assert account.entries[0].status == "left_out"
    assert "several kinds" in account.entries[0].reason


def test_missing_times_are_counted():
    account = Account("people")
    timeline_of(metadata("day 1", None, "day 2"), account)
    assert (account.entries[0].status, account.entries[0].samples) == ("partly", 2)
    assert account.entries[0].reason == "1 samples have no time"
    account = Account("people")
    timeline_of(Metadata(("a",), {}), account)
    assert "no sample has a value in column 'timepoint'" in account.entries[0].reason
