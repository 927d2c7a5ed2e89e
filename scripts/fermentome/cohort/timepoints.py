"""When a sample was taken: dates, days, weeks, months, visits, numbers and words, as people write.

All cells of a column are read as one kind. Spans (days, weeks, months, years) are one kind among
themselves, since each states its unit and counts from the same start. What could mean two things
is refused with the reason, not guessed.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fermentome.cohort.data import Account, Column, Metadata, Numbers
from fermentome.cohort.text_tables import is_missing, plain_number, shown
from fermentome.errors import CohortError

Unit = Literal["days", "order"]
Kind = Literal["date", "day", "week", "month", "year", "visit", "number", "word", "none"]

DAYS_PER_YEAR = 365.2425
"""Mean length of a year of the Gregorian calendar (400 years have 146,097 days)."""
DAYS: dict[Kind, float] = {
    "day": 1.0, "week": 7.0, "month": DAYS_PER_YEAR / 12, "year": DAYS_PER_YEAR,
}  # fmt: skip
"""Days of the units of spans; months and years have their mean length."""

BASELINE = frozenset({"baseline", "base line", "bl", "base", "start", "enrolment", "enrollment"})
"""Words for the start, which also go with spans and visits: they are 0 there."""

WORDS: dict[str, float] = {
    "screening": -1, "run in": -1,
    **dict.fromkeys(sorted(BASELINE), 0),
    "pre": 0, "before": 0, "pre treatment": 0, "pretreatment": 0,
    "during": 1, "on treatment": 1, "treatment": 1, "intervention": 1, "mid": 1,
    "post": 2, "after": 2, "end": 2, "post treatment": 2, "posttreatment": 2,
    "follow up": 3, "followup": 3, "washout": 3, "wash out": 3, "recovery": 3,
}  # fmt: skip
"""Words for phases of a study, and their order."""

SERIALS = (20_000.0, 80_000.0)
"""Range in which a column of whole numbers is taken for the day numbers of spreadsheets: 1954 to
2119, counted from 1899-12-30 (ECMA-376 part 1, 18.17.4.1)."""

_MONTHS = {
    name: number
    for number, names in enumerate(
        (("jan", "january"), ("feb", "february"), ("mar", "march"), ("apr", "april"), ("may",),
         ("jun", "june"), ("jul", "july"), ("aug", "august"), ("sep", "sept", "september"),
         ("oct", "october"), ("nov", "november"), ("dec", "december")), start=1,
    )
    for name in names
}  # fmt: skip
_NUMBER = r"(?P<number>[+-]?\d+(?:\.\d+)?)"
_SPAN_WORDS: dict[Kind, str] = {
    "day": r"days?|d", "week": r"weeks?|wks?|w", "month": r"months?|mon|mos?|m",
    "year": r"years?|yrs?|y",
}  # fmt: skip
_SPANS = {
    unit: (
        re.compile(rf"(?:study\s*)?(?:{words})\s*{_NUMBER}"),
        re.compile(rf"{_NUMBER}\s*(?:{words})"),
    )
    for unit, words in _SPAN_WORDS.items()
}
_VISIT = re.compile(rf"(?:visits?|v|timepoints?|time|tp|t|samples?|s)\s*{_NUMBER}")
_TIME = (
    r"(?:[t\s](?P<h>\d{1,2}):(?P<min>\d{2})(?::(?P<s>\d{2})(?:\.\d+)?)?"
    r"\s*(?P<half>am|pm)?\s*(?P<zone>z|[+-]\d{2}:?\d{2})?)?"
)
_YEAR_FIRST = re.compile(
    rf"(?P<y>\d{{4}})(?P<sep>[-/.])(?P<m>\d{{1,2}})(?P=sep)(?P<d>\d{{1,2}}){_TIME}"
)
_COMPACT = re.compile(rf"(?P<y>(?:19|20|21)\d{{2}})(?P<m>\d{{2}})(?P<d>\d{{2}}){_TIME}")
_NUMERIC = re.compile(
    rf"(?P<one>\d{{1,2}})(?P<sep>[-/.])(?P<two>\d{{1,2}})(?P=sep)(?P<y>\d{{4}}){_TIME}"
)
_SHORT_YEAR = re.compile(r"\d{1,2}([-/.])\d{1,2}\1\d{2}")
_DAY_WORD = re.compile(
    rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[\s.-]+(?P<month>[a-z]+)\.?,?[\s-]+(?P<y>\d{{4}}){_TIME}"
)
_WORD_DAY = re.compile(
    rf"(?P<month>[a-z]+)\.?[\s-]+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?[\s-]+(?P<y>\d{{4}}){_TIME}"
)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Times of samples as numbers.

    Attributes
    ----------
    days
        Of each sample: days from an arbitrary or stated start, or numbers of which only the order
        counts. NaN is not known.
    unit
        ``days`` if differences are days, ``order`` if only the order counts.
    kind
        What was written: the finest one among spans; ``none`` without any time.
    notes
        What readers must know, as a month's length.
    """

    days: Numbers
    unit: Unit
    kind: Kind
    notes: tuple[str, ...] = ()


def parse_timepoints(
    values: Sequence[str | None], source: str, name: str = "timepoint"
) -> Timeline:
    """Times of samples from the cells of one column.

    Read are dates (``2024-03-01``, ``2024/03/01``, ``01.03.2024``, ``1 Mar 2024``,
    ``March 1, 2024``, ``20240301``, ISO with a time, and ``13/03/2024`` where some cell settles
    whether the day or the month comes first), spans (``day 14``, ``D-7``, ``week 2``, ``wk2``,
    ``3 months``), visits (``V1``, ``visit 2``, ``T0``), plain numbers and words (``baseline``,
    ``before``, ``during``, ``after``). Plain numbers are an order, unless the name of the column
    says a unit (``week_num``) or they are day numbers of a spreadsheet.

    Parameters
    ----------
    values
        Cells; ``None`` is missing.
    source
        File or table, for messages.
    name
        Of the column.

    Raises
    ------
    CohortError
        If a cell is none of these, means two things, or the cells are of several kinds.
    """
    cells = [None if v is None or is_missing(v) else " ".join(v.lower().split()) for v in values]
    known = sorted({cell for cell in cells if cell is not None})
    if not known:
        return Timeline(np.full(len(cells), np.nan), "order", "none", ("no time is given",))
    reader = _Reader(source, name, {c: v for c, v in zip(cells, values, strict=True) if c and v})
    numbers, unit, kind, notes = reader.read(known)
    days = [math.nan if cell is None else numbers[cell] for cell in cells]
    return Timeline(np.array(days, float), unit, kind, tuple(notes))


def timeline_of(metadata: Metadata, account: Account, name: str = "timepoint") -> Timeline:
    """Times of the samples of a cohort; nothing known, and said, where they cannot be read."""
    column: Column = metadata.column(name)
    try:
        timeline = parse_timepoints(column.values, metadata.source, name)
    except CohortError as error:
        account.left_out("time", str(error))
        return Timeline(np.full(len(column.values), np.nan), "order", "none", (str(error),))
    known = int((~np.isnan(timeline.days)).sum())
    if timeline.kind == "none":
        account.left_out("time", f"no sample has a value in column {name!r}; give one", 0)
    elif known < len(column.values) or timeline.notes:
        missing = len(column.values) - known
        said = [f"{missing} samples have no time"] if missing else []
        account.partly("time", "; ".join([*said, *timeline.notes]), known)
    else:
        account.done("time", known)
    return timeline


_Result = tuple[dict[str, float], Unit, Kind, list[str]]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the distinct cells of one column.

    Attributes
    ----------
    written
        Cell as it was written, by its form in lower case.
    """

    source: str
    name: str
    written: dict[str, str]

    def fail(self, problem: str) -> CohortError:
        return CohortError(f"{self.source}, column {shown(self.name)}: {problem}")

    def show(self, cell: str) -> str:
        return shown(self.written[cell], 40)

    def read(self, cells: Sequence[str]) -> _Result:
        if all(plain_number(cell) is not None for cell in cells):
            return self.numbers(cells)
        kinds = {cell: self.kind(cell) for cell in cells}
        present = sorted(set(kinds.values()) - {"baseline"})
        if len(present) > 1:
            examples = ", ".join(
                f"{self.show(next(c for c in cells if kinds[c] == kind))} ({kind})"
                for kind in present
            )
            raise self.fail(
                f"holds times of several kinds: {examples}; expected one kind; write all as dates,"
                " or all as days"
            )
        kind = present[0] if present else "word"
        if kind == "date" and "baseline" in kinds.values():
            start = next(c for c in cells if kinds[c] == "baseline")
            raise self.fail(
                f"holds dates and {self.show(start)}; expected one kind; write the date of it"
            )
        readers: dict[str, Callable[[Sequence[str]], _Result]] = {
            "date": self.dates, "span": self.spans, "visit": self.visits, "word": self.words,
            "number": self.numbers,
        }  # fmt: skip
        return readers[kind](cells)

    def kind(self, cell: str) -> str:
        """Kind of a cell that is no plain number, or of one among cells that are none."""
        if _plain_words(cell) in BASELINE:
            return "baseline"
        if _plain_words(cell) in WORDS:
            return "word"
        if any(p.fullmatch(cell) for p in (_YEAR_FIRST, _COMPACT, _NUMERIC)):
            return "date"
        for pattern in (_DAY_WORD, _WORD_DAY):
            if (found := pattern.fullmatch(cell)) and found["month"] in _MONTHS:
                return "date"
        if _SHORT_YEAR.fullmatch(cell):
            raise self.fail(
                f"{self.show(cell)} has a year of two digits; expected four, as 2024-03-01; write"
                " it so"
            )
        if _span(cell) is not None:
            return "span"
        if _visit(cell) is not None:
            return "visit"
        if plain_number(cell) is not None:
            return "number"
        raise self.fail(
            f"{self.show(cell)} is no time that is known; expected a date as 2024-03-01, 'day 14',"
            " 'week 2', 'month 3', 'visit 2', a number, or a word as 'baseline', 'during',"
            " 'after'; write all cells as one of these"
        )

    def numbers(self, cells: Sequence[str]) -> _Result:
        notes = self.baseline_note(cells, "0")
        numbers = {cell: float(cell) if plain_number(cell) is not None else 0.0 for cell in cells}
        if all(_COMPACT.fullmatch(cell) for cell in cells):
            return self.dates(cells)
        words = re.findall(r"[a-z]+", self.name.lower())
        for unit in DAYS:
            if any(re.fullmatch(f"{unit}s?", word) for word in words):
                days = {cell: number * DAYS[unit] for cell, number in numbers.items()}
                return days, "days", unit, [f"numbers are {unit}s by the column's name", *notes]
        whole = all(number == int(number) for number in numbers.values())
        if whole and all(SERIALS[0] <= number <= SERIALS[1] for number in numbers.values()):
            return numbers, "days", "number", ["taken as day numbers of a spreadsheet"]
        advice = "name the column day, week or month if they are these"
        notes.insert(0, f"plain numbers: only their order counts; {advice}")
        return numbers, "order", "number", notes

    def check_dashes(self, cells: Sequence[str]) -> None:
        """Refuse ``week-1`` where no other cell tells a dash from a minus."""
        numbered = [cell for cell in cells if _plain_words(cell) not in BASELINE]
        if len(numbered) > 1 and all("-" in cell for cell in numbered):
            raise self.fail(
                f"{self.show(numbered[0])} can be before or after the start, and no cell without a"
                " dash tells which; expected 'week 1' or 'week -1' beside 'week 0'; write them so"
            )

    def spans(self, cells: Sequence[str]) -> _Result:
        self.check_dashes(cells)
        days: dict[str, float] = {}
        units: set[Kind] = set()
        for cell in cells:
            found = _span(cell)
            if found is None:
                days[cell] = 0.0
                continue
            unit, number = found
            units.add(unit)
            days[cell] = number * DAYS[unit]
        found_units = [unit for unit in DAYS if unit in units]
        kind = found_units[0]
        notes = self.baseline_note(cells, "day 0")
        if len(units) > 1:
            notes.append(f"{' and '.join(f'{u}s' for u in found_units)} count from one start")
        if units & {"month", "year"}:
            notes.append(f"a month has {DAYS['month']:.2f} days, the mean of the calendar")
        return days, "days", kind, notes

    def visits(self, cells: Sequence[str]) -> _Result:
        self.check_dashes(cells)
        numbers: dict[str, float] = {}
        for cell in cells:
            found = _visit(cell)
            numbers[cell] = 0.0 if found is None else found
        notes = self.baseline_note(cells, "visit 0")
        return numbers, "order", "visit", ["visits: only their order counts", *notes]

    def words(self, cells: Sequence[str]) -> _Result:
        numbers = {cell: WORDS[_plain_words(cell)] for cell in cells}
        return numbers, "order", "word", ["words: only their order counts"]

    def baseline_note(self, cells: Sequence[str], zero: str) -> list[str]:
        start = [cell for cell in cells if _plain_words(cell) in BASELINE]
        return [f"{self.show(start[0])} is {zero}"] if start else []

    def dates(self, cells: Sequence[str]) -> _Result:
        day_first = self.day_first(cells)
        days = {cell: self.date(cell, day_first) for cell in cells}
        return days, "days", "date", []

    def day_first(self, cells: Sequence[str]) -> bool | None:
        """Whether the day comes first in dates of numbers; None without such dates.

        With dots it does (DIN 5008 and most of Europe); with slashes and dashes a cell must say.
        """
        found = [m for cell in cells if (m := _NUMERIC.fullmatch(cell)) and m["sep"] != "."]
        if not found:
            return None
        day = [m.string for m in found if int(m["one"]) > 12]
        month = [m.string for m in found if int(m["two"]) > 12]
        if day and month:
            raise self.fail(
                f"the day comes first in {self.show(day[0])}, the month in {self.show(month[0])};"
                " expected one order; write dates as 2024-03-01"
            )
        if not day and not month:
            raise self.fail(
                f"{self.show(found[0].string)} can be a day of two months, and no other cell tells"
                " whether the day or the month comes first; expected dates as 2024-03-01; write"
                " them so"
            )
        return bool(day)

    def date(self, cell: str, day_first: bool | None) -> float:
        """Days since 0001-01-01."""
        if found := _NUMERIC.fullmatch(cell):
            swapped = found["sep"] != "." and day_first is False
            month, day = (found["one"], found["two"]) if swapped else (found["two"], found["one"])
        elif found := _YEAR_FIRST.fullmatch(cell) or _COMPACT.fullmatch(cell):
            month, day = found["m"], found["d"]
        else:
            found = _DAY_WORD.fullmatch(cell) or _WORD_DAY.fullmatch(cell)
            assert found is not None
            month, day = str(_MONTHS[found["month"]]), found["d"]
        try:
            date = datetime.date(int(found["y"]), int(month), int(day))
            return date.toordinal() + _part_of_day(found)
        except ValueError as error:
            raise self.fail(
                f"{self.show(cell)} is no date ({error}); expected one of the calendar, as"
                " 2024-03-01; correct it"
            ) from None


def _plain_words(cell: str) -> str:
    """Words of a cell with single blanks between them.

    >>> _plain_words("follow-up"), _plain_words("pre_treatment")
    ('follow up', 'pre treatment')
    """
    return " ".join(re.split(r"[\s_-]+", cell)).strip()


def _visit(cell: str) -> float | None:
    """Number of a visit; ``None`` if the cell is none.

    >>> _visit("visit_2"), _visit("t0"), _visit("later")
    (2.0, 0.0, None)
    """
    found = _VISIT.fullmatch(cell.replace("_", " "))
    return float(found["number"]) if found else None


def _span(cell: str) -> tuple[Kind, float] | None:
    """Unit and number of a span; ``None`` if the cell is none.

    >>> _span("wk2"), _span("d-7"), _span("3 months"), _span("v1")
    (('week', 2.0), ('day', -7.0), ('month', 3.0), None)
    """
    text = cell.replace("_", " ")
    for unit, patterns in _SPANS.items():
        for pattern in patterns:
            if found := pattern.fullmatch(text):
                return unit, float(found["number"])
    return None


def _part_of_day(found: re.Match[str]) -> float:
    """Share of a day of the time of a date, in UTC where it says its offset."""
    if found["h"] is None:
        return 0.0
    hour = int(found["h"])
    if found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(f"hour {hour} does not go with {found['half']}")
        hour = hour % 12 + (12 if found["half"] == "pm" else 0)
    time = datetime.time(hour, int(found["min"]), int(found["s"] or 0))
    minutes = time.hour * 60 + time.minute + time.second / 60
    zone = found["zone"]
    if zone and zone != "z":
        sign = 1 if zone[0] == "+" else -1
        minutes -= sign * (int(zone[1:3]) * 60 + int(zone[-2:]))
    return minutes / 1440
