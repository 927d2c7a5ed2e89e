"""Whether and when a person returns to their own baseline after a marked event.

A person has left their baseline if a change is called during or after the event. They have
returned at the first sample after the event from which on two samples in a row lie within the
noise band: a single one may do so by chance, and is called provisional if it is the last. Time
runs from the last sample at which the event was on to the first at which the person is back. The
true time lies between the last sample beyond the band and that one, and both are given.
"""

from __future__ import annotations

import math
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from statsmodels.duration.survfunc import SurvfuncRight

from fermentome.cohort.data import Account
from fermentome.cohort.people import BELOW, DOWN, NOT_CALLED, UP, People
from fermentome.cohort.visits import AFTER, DURING
from fermentome.tables import Cell, write_table

RECOVERY_COLUMNS = (
    "subject", "episode", "event", "measure", "unit", "event_start", "event_end", "time_unit",
    "baseline", "samples_during", "samples_after", "lowest", "highest", "largest", "largest_at",
    "difference_unit", "returned", "days_to_return", "days_to_return_low", "last_day",
    "noise_source", "reason",
)  # fmt: skip
RECOVERY_SUMMARY_COLUMNS = (
    "event", "measure", "time_unit", "people", "left", "returned", "provisional", "away",
    "not_left", "not_known", "median_time", "ci_low", "ci_high", "reason",
)  # fmt: skip

YES, AWAY, NOT_LEFT, PROVISIONAL, NOT_KNOWN = "yes", "no", "not_left", "provisional", "not_known"
RETURNS = (YES, AWAY, NOT_LEFT, PROVISIONAL, NOT_KNOWN)

CONFIRMED_BY = 2
"""Samples in a row within the band that make a return. At no difference one lies beyond a 95 %
band by chance in 1 of 20, and one that is still away lies within it the more often the smaller the
deviation; what two cost in time and save in false returns is measured in
``benchmarks/cohort/change_calls.py``."""

Row = Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Recovery:
    """What `recovery_of_people` made.

    Attributes
    ----------
    rows
        Of `RECOVERY_COLUMNS`: one per person, episode and measure.
    summary
        Of `RECOVERY_SUMMARY_COLUMNS`: one per event and measure.
    """

    rows: tuple[dict[str, Cell], ...]
    summary: tuple[dict[str, Cell], ...]


@dataclass(frozen=True, slots=True)
class Return:
    """Answer of `time_to_return`: one of `RETURNS`, the time, the time still away, and why."""

    returned: str
    time: float = math.nan
    low: float = math.nan
    reason: str = ""


def _float(cell: Cell) -> float:
    return math.nan if cell is None else float(cell)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def is_away(row: Row) -> bool | None:
    """Whether a sample lies beyond the band; `None` if that cannot be said."""
    if row["change"] in (UP, DOWN):
        return True
    if row["change"] in (NOT_CALLED, BELOW):
        return None
    low, high, value = (_float(row[column]) for column in ("band_low", "band_high", "value"))
    return not low <= value <= high


def time_to_return(during: Sequence[Row], after: Sequence[Row]) -> Return:
    """Whether and when a person is back after one episode, for one measure.

    Parameters
    ----------
    during, after
        Rows of `PERSON_COLUMNS` of the episode, in the order of time.

    Returns
    -------
    Return
        Times from the last sample of `during`.
    """
    judged = [row for row in (*during, *after) if is_away(row) is not None]
    if not judged:
        notes = Counter(str(row["note"]) for row in (*during, *after) if row["note"])
        why = notes.most_common(1)[0][0] if notes else "no change can be called"
        return Return(NOT_KNOWN, reason=why)
    end = _float(during[-1]["days"])
    departures = [row for row in judged if row["change"] in (UP, DOWN)]
    if not departures:
        unseen = "" if after else "no sample after the event"
        return Return(NOT_LEFT, reason=unseen)
    first = _float(departures[0]["days"])
    later = [row for row in after if is_away(row) is not None and _float(row["days"]) > first]
    if not later:
        low = max(_float(departures[-1]["days"]) - end, 0.0)
        return Return(NOT_KNOWN, low=low, reason="no sample after the event and the departure")
    low = max(_float(departures[0]["days"]) - end, 0.0)
    for place, row in enumerate(later):
        time = _float(row["days"]) - end
        if is_away(row):
            low = time
            continue
        follow = later[place : place + CONFIRMED_BY]
        if any(is_away(other) for other in follow):
            continue
        if len(follow) < CONFIRMED_BY:
            return Return(
                PROVISIONAL, time, low, "back at the last sample only, nothing later confirms it"
            )
        again = [
            _float(other["days"]) - end for other in later[place:] if other["change"] in (UP, DOWN)
        ]
        reason = f"beyond the band again at {again[0]:g}" if again else ""
        return Return(YES, time, low, reason)
    return Return(AWAY, low=low)


def _row(during: Sequence[Row], after: Sequence[Row], ended: str) -> dict[str, Cell]:
    start, end = during[0], during[-1]
    found = time_to_return(during, after)
    window = [row for row in (*during, *after) if row["difference"] is not None]
    differences = [_float(row["difference"]) for row in window]
    largest = max(window, key=lambda row: abs(_float(row["difference"])), default=None)
    reasons = [found.reason]
    if ended and found.returned != YES and ended not in reasons:
        reasons.append(ended)
    known_end = bool(after) or ended != _NEVER_ENDS
    last = (*during, *after)[-1]
    return {
        "subject": start["subject"],
        "episode": start["episode"],
        "event": start["event"],
        "measure": start["measure"],
        "unit": start["unit"],
        "event_start": start["days"],
        "event_end": end["days"] if known_end else None,
        "time_unit": start["time_unit"],
        "baseline": start["baseline"],
        "samples_during": len(during),
        "samples_after": len(after),
        "lowest": min(differences, default=None),
        "highest": max(differences, default=None),
        "largest": None if largest is None else largest["difference"],
        "largest_at": None if largest is None else largest["days"],
        "difference_unit": start["difference_unit"],
        "returned": found.returned,
        "days_to_return": _number(found.time),
        "days_to_return_low": _number(found.low),
        "last_day": _float(last["days"]) - _float(end["days"]),
        "noise_source": start["noise_source"],
        "reason": "; ".join(reason for reason in reasons if reason),
    }


_NEVER_ENDS = "the event is on at the last sample"
_NEXT_EVENT = "another event follows"


def _ends(people: People) -> dict[tuple[str, int], str]:
    """Why nothing is known of what follows an episode, by person and number."""
    numbers: dict[str, list[int]] = defaultdict(list)
    afters = set()
    for visit in people.visits.visits:
        if visit.episode is not None:
            numbers[visit.subject].append(visit.episode)
            if not visit.on:
                afters.add((visit.subject, visit.episode))
    return {
        (subject, episode): (
            _NEXT_EVENT if episode < max(own)
            else "" if (subject, episode) in afters
            else _NEVER_ENDS
        )
        for subject, own in numbers.items()
        for episode in own
    }  # fmt: skip


def median_time(times: Sequence[float], returned: Sequence[bool]) -> tuple[float, float, float]:
    """Median time to return by Kaplan and Meier, with its 95 % interval.

    Parameters
    ----------
    times
        Time at which a person is seen to be back, or up to which they are known to be away.
    returned
        Which of the two.

    Returns
    -------
    tuple of float
        Median and bounds, NaN where fewer than half are seen to return. The interval is that of
        Brookmeyer and Crowley (1982, doi:10.2307/2530286) on the scale of statsmodels' default
        (complementary log-log).
    """
    if not any(returned):
        return math.nan, math.nan, math.nan
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # Where nobody is left the transformed survival is infinite, which the interval allows for.
        warnings.simplefilter("ignore", RuntimeWarning)
        curve = SurvfuncRight(np.asarray(times, float), np.asarray(returned, int))
        low, high = curve.quantile_ci(0.5)
        median = curve.quantile(0.5)
    finite = [float(x) if math.isfinite(x) else math.nan for x in (median, low, high)]
    return finite[0], finite[1], finite[2]


def _summary(rows: Sequence[Row]) -> dict[str, Cell]:
    """Of the rows of one event and measure, one per person."""
    counts = Counter(str(row["returned"]) for row in rows)
    left = [row for row in rows if row["returned"] in (YES, AWAY, PROVISIONAL)]
    back = [row["returned"] == YES for row in left]
    # A provisional return is not known to be one: the person counts as away until the last
    # sample beyond the band, and as unknown from then on.
    times = [
        _float(row["days_to_return" if row["returned"] == YES else "days_to_return_low"])
        for row in left
    ]
    median, low, high = median_time(times, back)
    reason = ""
    if not left:
        reason = "nobody is seen to leave the baseline and to be sampled after the event"
    elif math.isnan(median):
        reason = "fewer than half are seen to return: no median"
    return {
        "event": rows[0]["event"],
        "measure": rows[0]["measure"],
        "time_unit": rows[0]["time_unit"],
        "people": len(rows),
        "left": len(left),
        "returned": counts[YES],
        "provisional": counts[PROVISIONAL],
        "away": counts[AWAY],
        "not_left": counts[NOT_LEFT],
        "not_known": counts[NOT_KNOWN],
        "median_time": _number(median),
        "ci_low": _number(low),
        "ci_high": _number(high),
        "reason": reason,
    }


def summaries(rows: Sequence[Row]) -> tuple[dict[str, Cell], ...]:
    """One row per event and measure; of each person the first episode of that event counts."""
    groups: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for row in rows:
        key = (str(row["event"]).lower(), str(row["measure"]))
        groups[key].setdefault(str(row["subject"]), row)
    return tuple(_summary(list(groups[key].values())) for key in sorted(groups))


def recovery_of_people(people: People, account: Account) -> Recovery:
    """Return to the baseline after each episode of each person.

    Parameters
    ----------
    people
        Changes since the baseline.
    account
        Takes what was made and left out.

    Returns
    -------
    Recovery
        Sorted by person, episode and measure.
    """
    episodes: dict[tuple[str, int, str], tuple[list[Row], list[Row]]] = defaultdict(
        lambda: ([], [])
    )
    for row in people.rows:
        episode = row["episode"]
        # A named baseline may lie in an event: it is then not a part of the answer to it.
        if isinstance(episode, int) and row["phase"] in (DURING, AFTER):
            place = 0 if row["phase"] == DURING else 1
            episodes[str(row["subject"]), episode, str(row["measure"])][place].append(row)
    ends = _ends(people)
    rows = tuple(
        _row(*episodes[key], ends[key[0], key[1]]) for key in sorted(episodes) if episodes[key][0]
    )
    if not rows:
        if people.rows:
            account.left_out(
                "recovery",
                "no sample has an event at a known time: a column event would have to name it at"
                " the samples at which it is on",
            )
        return Recovery((), ())
    _say(rows, account)
    return Recovery(rows, summaries(rows))


def _say(rows: Sequence[Row], account: Account) -> None:
    by_event: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_event[str(row["event"])].append(row)
    for event, own in sorted(by_event.items()):
        episodes = {(row["subject"], row["episode"]) for row in own}
        subjects = {subject for subject, _ in episodes}
        lost = Counter(
            str(row["reason"]).replace("; ", ", ") for row in own if row["returned"] == NOT_KNOWN
        )
        samples = sum(
            int(_float(first["samples_during"]) + _float(first["samples_after"]))
            for first in {(row["subject"], row["episode"]): row for row in own}.values()
        )
        if lost:
            reasons = sorted(lost.items(), key=lambda one: (-one[1], one[0]))
            why = "; ".join(f"{number} times {reason}" for reason, number in reasons[:3])
            account.partly(
                f"recovery after {event}",
                f"of {len(own)} returns ({len(episodes)} episodes of"
                f" {len({row['measure'] for row in own})} measures) {lost.total()} are not known:"
                f" {why}",
                samples, len(subjects),
            )  # fmt: skip
        else:
            account.done(f"recovery after {event}", samples, len(subjects))


def write_recovery(recovery: Recovery, outputs: Mapping[str, str | os.PathLike[str]]) -> None:
    """Write the tables of `recovery` to the paths under ``recovery`` and ``summary``."""
    write_table(outputs["recovery"], RECOVERY_COLUMNS, recovery.rows)
    write_table(outputs["summary"], RECOVERY_SUMMARY_COLUMNS, recovery.summary)
