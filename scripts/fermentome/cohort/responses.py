"""What an event did to the people who went through it, on the average.

`fermentome.cohort.people` says who changed. Here people are the units: each gives one difference
from the own baseline per event and phase (the mean over samples, then over episodes), and the mean
over people has the interval of Student's t. Beside it stands the net difference: what people
without any event did at the same times since their first sample is subtracted (a difference in
differences; Welch's t, doi:10.1093/biomet/34.1-2.28). The same times are those from the first to
the last sample of the phase, and half a usual gap between visits to either side. Without people
to compare with, a change during an event may be one that everybody went through: season, storage,
sequencing.

Differences are those on the scale of the measure: log2 fold changes of copies, plain differences
of indices of diversity. A value below detection stands at half its limit here, in the baseline as
later: changes to and from it are drawn towards zero alike. The bounds that changes of single
people are called by would not do: from a baseline below detection only rises have one, so that
their mean is above zero where nothing happens. With 12 people, four baseline samples and half of
the values below detection, p was <= 0.05 in 12 to 19 of 100 such means, with half the limit in 5.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from fermentome.cohort.data import Account, Numbers
from fermentome.cohort.multiple_testing import adjust
from fermentome.cohort.people import People, kind_of
from fermentome.cohort.visits import AFTER, BASELINE, DURING
from fermentome.tables import Cell, write_table

RESPONSE_COLUMNS = (
    "event", "phase", "measure", "difference_unit", "people", "people_known", "difference",
    "ci_low", "ci_high", "p", "q", "called_up", "called_down", "other_people", "other_difference",
    "net_difference", "net_low", "net_high", "net_p", "net_q", "reason",
)  # fmt: skip
FEWEST_PEOPLE = 3
"""With two there is a mean and hardly an interval: its t has one degree of freedom, 12.7."""
COVERAGE = 0.95
Row = Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Window:
    """When people were in a phase: from `start` to `end` since their first sample."""

    start: float
    end: float

    def holds(self, time: float) -> bool:
        """Whether a time lies in it."""
        return self.start <= time <= self.end


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its 95 % interval and the p-value of no difference; NaN where not known."""

    value: float
    low: float
    high: float
    p: float


NOTHING = Mean(math.nan, math.nan, math.nan, math.nan)


def mean_of(differences: Numbers) -> Mean:
    """Mean of differences with the interval and p-value of Student's t.

    Examples
    --------
    >>> one = mean_of(np.array([1.0, 2.0, 3.0]))
    >>> round(one.value, 3), round(one.low, 3), round(one.high, 3), round(one.p, 4)
    (2.0, -0.484, 4.484, 0.0742)
    """
    number = differences.size
    if number < FEWEST_PEOPLE:
        return NOTHING
    value, error = float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(number)
    return _with_error(value, error, number - 1)


def net_of(own: Numbers, others: Numbers) -> Mean:
    """Difference of two means with Welch's interval and p-value."""
    if min(own.size, others.size) < FEWEST_PEOPLE:
        return NOTHING
    parts = np.array([own.var(ddof=1) / own.size, others.var(ddof=1) / others.size])
    value, variance = float(own.mean() - others.mean()), float(parts.sum())
    if variance == 0:
        return Mean(value, math.nan, math.nan, math.nan)
    freedom = variance**2 / float((parts**2 / np.array([own.size - 1, others.size - 1])).sum())
    return _with_error(value, math.sqrt(variance), freedom)


def _with_error(value: float, error: float, freedom: float) -> Mean:
    if error == 0:
        return Mean(value, math.nan, math.nan, math.nan)
    half = float(stats.t.ppf(0.5 + COVERAGE / 2, freedom)) * error
    p = 2 * float(stats.t.sf(abs(value) / error, freedom))
    return Mean(value, value - half, value + half, p)


def responses_of(people: People, account: Account) -> list[dict[str, Cell]]:
    """Mean response to each event in each phase, by measure.

    Parameters
    ----------
    people
        Changes of people since their baseline.
    account
        Told for which events there are too few people, or nobody to compare with.

    Returns
    -------
    list of dict
        Rows of `RESPONSE_COLUMNS`, sorted by event, phase (during, after) and measure. Tested
        together (q) are the measures of one kind in one phase of one event.
    """
    every = [
        row | {"difference": middle} for row, middle in zip(people.rows, people.middle, strict=True)
    ]
    visits = [row for row in every if row["phase"] in (DURING, AFTER)]
    if not visits:
        account.left_out(
            "mean responses", "nobody has an event with a baseline before it: column event"
        )
        return []
    with_event = {str(row["subject"]) for row in people.rows if row["event"] is not None}
    with_event |= {str(row["subject"]) for row in visits}
    others: dict[str, list[Row]] = {}
    for row in every:
        if str(row["subject"]) not in with_event and row["phase"] != BASELINE:
            others.setdefault(str(row["measure"]), []).append(row)
    events = {(str(row["subject"]), row["episode"]): str(row["event"]) for row in people.phases}
    groups: dict[tuple[str, int, str], list[Row]] = {}
    for row in visits:
        event = events.get((str(row["subject"]), row["episode"]), str(row["event"]))
        key = event, (DURING, AFTER).index(str(row["phase"])), str(row["measure"])
        groups.setdefault(key, []).append(row)
    called = _called(people.phases)
    margin = _usual_gap(people.rows) / 2
    rows = [
        _row(key, own, others.get(key[2], []), called, margin)
        for key, own in sorted(groups.items())
    ]
    family = [f"{row['event']}|{row['phase']}|{kind_of(str(row['measure']))}" for row in rows]
    for p, q in (("p", "q"), ("net_p", "net_q")):
        values = adjust(np.array([_number(row[p]) for row in rows]), family)
        for row, value in zip(rows, values, strict=True):
            row[q] = float(value)
    _say(rows, bool(others), account)
    return rows


def _usual_gap(rows: Sequence[Row]) -> float:
    """Median time between consecutive visits of a person; 0 where nobody has two."""
    times: dict[str, set[float]] = {}
    for row in rows:
        if not math.isnan(_number(row["days"])):
            times.setdefault(str(row["subject"]), set()).add(_number(row["days"]))
    gaps = [gap for own in times.values() for gap in np.diff(sorted(own)).tolist()]
    return float(np.median(gaps)) if gaps else 0.0


def _called(phases: Sequence[Row]) -> dict[tuple[str, str, str], dict[str, int]]:
    """People whose change was called, by event, phase and measure, then direction."""
    seen: dict[tuple[str, str, str], dict[str, set[str]]] = {}
    for row in phases:
        key = str(row["event"]), str(row["phase"]), str(row["measure"])
        seen.setdefault(key, {}).setdefault(str(row["change"]), set()).add(str(row["subject"]))
    return {
        key: {change: len(names) for change, names in found.items()} for key, found in seen.items()
    }


def _by_person(rows: Sequence[Row]) -> dict[str, float]:
    """Mean difference of each person of whom one is known: over samples, then over episodes."""
    episodes: dict[tuple[str, Cell], list[float]] = {}
    for row in rows:
        value = _number(row["difference"])
        if not math.isnan(value):
            episodes.setdefault((str(row["subject"]), row["episode"]), []).append(value)
    means: dict[str, list[float]] = {}
    for (subject, _), values in episodes.items():
        means.setdefault(subject, []).append(math.fsum(values) / len(values))
    return {name: math.fsum(own) / len(own) for name, own in sorted(means.items())}


def _row(
    key: tuple[str, int, str],
    own: Sequence[Row],
    others: Sequence[Row],
    called: Mapping[tuple[str, str, str], Mapping[str, int]],
    margin: float,
) -> dict[str, Cell]:
    event, place, measure = key
    phase = (DURING, AFTER)[place]
    times = np.array([_number(row["days"]) for row in own])
    known = times[~np.isnan(times)]
    # Without a known time of a visit nobody else's visit is at the same time.
    window = (
        Window(float(known.min()) - margin, float(known.max()) + margin)
        if known.size
        else Window(math.nan, math.nan)
    )
    changes = np.array(list(_by_person(own).values()))
    beside = np.array(
        list(_by_person([r for r in others if window.holds(_number(r["days"]))]).values())
    )
    mean, net = mean_of(changes), net_of(changes, beside)
    counts = called.get((event, phase, measure), {})
    return {
        "event": event, "phase": phase, "measure": measure,
        "difference_unit": own[0]["difference_unit"],
        "people": len({str(row["subject"]) for row in own}), "people_known": changes.size,
        "difference": float(changes.mean()) if changes.size else None,
        "ci_low": mean.low, "ci_high": mean.high, "p": mean.p, "q": None,
        "called_up": counts.get("up", 0), "called_down": counts.get("down", 0),
        "other_people": beside.size,
        "other_difference": float(beside.mean()) if beside.size else None,
        "net_difference": net.value, "net_low": net.low, "net_high": net.high, "net_p": net.p,
        "net_q": None, "reason": _reason(changes, beside),
    }  # fmt: skip


def _reason(changes: Numbers, beside: Numbers) -> str:
    if changes.size < FEWEST_PEOPLE:
        return f"the difference is known in {changes.size} people, {FEWEST_PEOPLE} are needed"
    if np.ptp(changes) == 0:
        return "all people differ by the same: there is no spread to test against"
    if beside.size < FEWEST_PEOPLE:
        return (
            f"{beside.size} people without an event have samples at these times,"
            f" {FEWEST_PEOPLE} are needed for a net difference"
        )
    return ""


def _say(rows: Sequence[Row], compared: bool, account: Account) -> None:
    for event in sorted({str(row["event"]) for row in rows}):
        own = [row for row in rows if row["event"] == event]
        number = max(int(str(row["people"])) for row in own)
        item = f"mean response to {event}"
        if number < FEWEST_PEOPLE:
            account.left_out(item, f"{number} people, {FEWEST_PEOPLE} are needed", None, number)
        elif not compared:
            reason = "nobody without an event to compare with: changes that all people share count"
            account.partly(item, reason, None, number)
        else:
            account.done(item, None, number)


def _number(cell: Cell) -> float:
    return math.nan if cell is None else float(cell)


def write_responses(
    people: People, account: Account, outputs: Mapping[str, str | os.PathLike[str]]
) -> list[dict[str, Cell]]:
    """Write the mean responses to ``outputs["responses"]``."""
    rows = responses_of(people, account)
    write_table(outputs["responses"], RESPONSE_COLUMNS, rows)
    return rows
