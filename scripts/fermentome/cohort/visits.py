"""Samples of people in the order of time: baseline, during and after events."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fermentome.cohort.data import Account, Metadata
from fermentome.cohort.plan import is_baseline
from fermentome.cohort.settings import Settings
from fermentome.cohort.timepoints import Timeline
from fermentome.errors import CohortError

BASELINE, DURING, AFTER, UNPHASED = "baseline", "during", "after", "unphased"
PHASES = (BASELINE, DURING, AFTER, UNPHASED)

NO_EVENT = frozenset(
    {"no", "false", "0", "off", "-", "n", "no event", "baseline", "before", "pre", "after", "post"}
)
"""Cells of `event` that say that nothing is on, in lower case. ``before`` and ``after`` are among
them since the phases are told from the cells that do name an event. An empty cell says the same:
sheets mark the samples of an event and leave the others blank."""
PLAIN_EVENT = frozenset({"yes", "true", "1", "on", "y", "during"})
"""Cells of `event` that say that an event is on without naming it: it is then named ``event``."""
NAMED = 5
"""People or cells named in a message; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Visit:
    """All samples of one person at one timepoint.

    Attributes
    ----------
    subject, samples
        Whose, and which; several samples if the timepoint has several.
    timepoint
        As in the metadata; `None` if missing.
    days
        In the unit of the timeline, from the person's first date if timepoints are dates; NaN if
        not known.
    since_baseline
        From the last baseline sample; NaN if not known.
    event
        Name of the event that is on; else of the one that `phase` ``after`` follows.
    phase
        One of `PHASES`.
    episode
        Number of the event within the person, from 1; `None` before and without one.
    on
        Whether the event is on.
    replicates
        Whether the samples are technical replicates by the column ``replicate``.
    quiet
        Whether what differs from the person's other quiet visits can be taken as noise.
    notes
        What to know of it.
    """

    subject: str
    samples: tuple[str, ...]
    timepoint: str | None
    days: float
    since_baseline: float = math.nan
    event: str | None = None
    phase: str = UNPHASED
    episode: int | None = None
    on: bool = False
    replicates: bool = False
    quiet: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Visits:
    """Visits of all people, sorted by person, time and name.

    Attributes
    ----------
    visits
        All of them.
    unit
        ``days`` or ``order``: of `Visit.days`.
    without_baseline
        Why a person has none, by person.
    loose_noise
        Whether quiet visits include those that a named baseline leaves out.
    """

    visits: tuple[Visit, ...]
    unit: str
    without_baseline: dict[str, str] = field(default_factory=dict)
    loose_noise: bool = False


def event_of(cell: str | None) -> str | None:
    """Event that a cell says is on.

    >>> event_of("Antibiotic"), event_of("no"), event_of("yes"), event_of(None)
    ('Antibiotic', None, 'event', None)
    """
    text = (cell or "").strip()
    if not text or text.lower() in NO_EVENT:
        return None
    return "event" if text.lower() in PLAIN_EVENT else text


def named(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _samples_by_person(metadata: Metadata, account: Account) -> dict[str, list[int]]:
    people: dict[str, list[int]] = defaultdict(list)
    homeless = []
    for row, subject in enumerate(metadata.column("subject").values):
        if subject is None:
            homeless.append(metadata.samples[row])
        else:
            people[subject].append(row)
    if homeless and people:
        account.partly(
            "subjects",
            f"{len(homeless)} samples have no subject and are left out ({named(homeless)}):"
            f" fill in column subject of {metadata.source}",
            len(metadata.samples) - len(homeless), len(people),
        )  # fmt: skip
    return people


def _key(row: int, days: float, text: str | None) -> tuple[str, str]:
    """What the samples of one timepoint of one person share."""
    if not math.isnan(days):
        return ("days", repr(days))
    # Without a time, the word for it still tells replicates; without a word nothing does.
    return ("word", text.strip().lower()) if text is not None else ("row", str(row))


def _merged(subject: str, rows: Sequence[int], days: float, metadata: Metadata) -> Visit:
    rows = sorted(rows, key=lambda row: metadata.samples[row])
    samples = tuple(metadata.samples[row] for row in rows)
    labels = [metadata.column("replicate").values[row] for row in rows]
    events = [event_of(metadata.column("event").values[row]) for row in rows]
    on = sorted({event for event in events if event is not None})
    notes = []
    replicates = len(rows) > 1 and None not in labels and len(set(labels)) == len(labels)
    if len(rows) > 1:
        kind = "technical replicates" if replicates else "samples of one timepoint"
        notes.append(f"mean of {len(rows)} {kind}")
        if on and (len(on) > 1 or None in events):
            notes.append("its samples name different events")
    return Visit(
        subject, samples, metadata.column("timepoint").values[rows[0]], days,
        event="; ".join(on) or None, on=bool(on), replicates=replicates, notes=tuple(notes),
    )  # fmt: skip


def _visits_of_person(
    subject: str, rows: Sequence[int], metadata: Metadata, timeline: Timeline
) -> list[Visit]:
    days = {row: float(timeline.days[row]) for row in rows}
    known = [value for value in days.values() if not math.isnan(value)]
    # Dates count from an arbitrary day; days, weeks and visits from one that the study chose.
    start = min(known) if known and timeline.kind == "date" else 0.0
    together: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        text = metadata.column("timepoint").values[row]
        together[_key(row, days[row], text)].append(row)
    visits = [
        _merged(subject, members, days[members[0]] - start, metadata)
        for members in together.values()
    ]
    return sorted(visits, key=lambda v: (math.isnan(v.days), v.days if v.days == v.days else 0.0,
                                         v.samples))  # fmt: skip


def with_episodes(visits: Sequence[Visit]) -> list[Visit]:
    """Visits of one person with the number of the event that is on or was the last to end.

    An episode is a run of visits with the same event; another event, or a visit without it,
    ends it. Visits without a time are in no episode.
    """
    done = []
    number, running, last = 0, None, None
    for visit in visits:
        if math.isnan(visit.days):
            done.append(visit)
        elif visit.on:
            name = (visit.event or "").lower()
            if name != running:
                number, running, last = number + 1, name, visit.event
            done.append(replace(visit, phase=DURING, event=last, episode=number))
        else:
            running = None
            done.append(
                replace(visit, phase=AFTER, event=last, episode=number) if number else visit
            )
    return done


def _baseline_places(visits: Sequence[Visit], baseline: str | None) -> tuple[list[int], str]:
    """Which visits are the baseline of a person, and why there is none."""
    if baseline is not None:
        places = [i for i, visit in enumerate(visits) if is_baseline(visit.timepoint, baseline)]
        return places, "" if places else f"no sample at the baseline timepoint {baseline}"
    timed = [i for i, visit in enumerate(visits) if not math.isnan(visit.days)]
    if not timed:
        return [], "no timepoint is known"
    if any(visit.on for visit in visits):
        if not any(visits[i].on for i in timed):
            return [], "the time of the event is not known"
        places = [i for i in timed if visits[i].episode is None]
        return places, "" if places else "the event is on at the first sample"
    return timed[:1], ""


def _phased(visits: Sequence[Visit], baseline: str | None) -> tuple[list[Visit], str]:
    visits = with_episodes(visits)
    places, why = _baseline_places(visits, baseline)
    ends = [visits[i].days for i in places if not math.isnan(visits[i].days)]
    end = max(ends) if ends else math.nan
    done = []
    for i, visit in enumerate(visits):
        notes = visit.notes
        if math.isnan(visit.days):
            notes = (*notes, "time not known")
        phase = visit.phase
        if visit.on and math.isnan(visit.days):
            phase = DURING
        if i in places:
            phase = BASELINE
            if visit.episode is not None or visit.on:
                notes = (*notes, "the named baseline lies in or after an event")
        done.append(replace(visit, phase=phase, notes=notes, since_baseline=visit.days - end))
    return done, why


def _with_quiet(
    people: dict[str, list[Visit]], baseline: str | None
) -> tuple[dict[str, list[Visit]], bool]:
    """Mark the visits that noise is told from.

    These are the baselines of all, and every sample of people without an event. If a baseline is
    named and no event is marked anywhere, the other samples may follow an intervention: they
    count only if the baselines alone hold too few repeats, which is said.
    """
    events = any(visit.on for visits in people.values() for visit in visits)
    strict = baseline is not None and not events

    def marked(loose: bool) -> dict[str, list[Visit]]:
        return {
            subject: [
                replace(
                    visit,
                    quiet=visit.phase == BASELINE
                    or (loose and not any(other.on for other in visits)),
                )
                for visit in visits
            ]
            for subject, visits in people.items()
        }

    if not strict:
        return marked(True), False
    kept = marked(False)
    repeated = sum(sum(visit.quiet for visit in visits) > 1 for visits in kept.values())
    # The number from which noise.fit_prior can work.
    return (kept, False) if repeated >= 3 else (marked(True), True)


def visits_of(
    metadata: Metadata, timeline: Timeline, settings: Settings, account: Account
) -> Visits:
    """Visits of all people, each in its phase.

    The baseline of a person is the timepoint that the settings name; else all samples before
    their first event; else, without an event, their first timepoint. Samples of one timepoint
    are one visit. A cell of ``event`` says that the event is on at that sample; samples without
    it that come later are after it.

    Parameters
    ----------
    metadata
        With columns ``subject``, ``timepoint`` and, optionally, ``event`` and ``replicate``.
    timeline
        Times of `metadata.samples`, in that order.
    settings
        `baseline` is used.
    account
        Takes what is left out.

    Returns
    -------
    Visits
        None without subjects.

    Raises
    ------
    CohortError
        If there are not as many times as samples.
    """
    if len(timeline.days) != len(metadata.samples):
        raise CohortError(
            f"{metadata.source}: {len(timeline.days)} times, {len(metadata.samples)} expected: one"
            " per sample; make the timeline from the same metadata"
        )
    people = _samples_by_person(metadata, account)
    if not people:
        account.left_out(
            "changes of people",
            f"no sample of {metadata.source} has a subject: a column subject would have to say"
            " which samples are of one person",
            len(metadata.samples),
        )
        return Visits((), timeline.unit)
    phased: dict[str, list[Visit]] = {}
    without: dict[str, str] = {}
    for subject in sorted(people):
        visits = _visits_of_person(subject, people[subject], metadata, timeline)
        phased[subject], why = _phased(visits, settings.baseline)
        if why:
            without[subject] = why
    marked, loose = _with_quiet(phased, settings.baseline)
    _say(marked, without, loose, timeline, settings, account)
    return Visits(
        tuple(visit for visits in marked.values() for visit in visits),
        timeline.unit, without, loose,
    )  # fmt: skip


def _say(
    people: dict[str, list[Visit]], without: dict[str, str], loose: bool, timeline: Timeline,
    settings: Settings, account: Account,
) -> None:  # fmt: skip
    """Tell the account what is odd about times, baselines and repeats."""
    visits = [visit for own in people.values() for visit in own]
    samples = sum(len(visit.samples) for visit in visits)
    timed = sum(not math.isnan(visit.days) for visit in visits)
    if not timed:
        account.partly(
            "timepoints",
            "no timepoint is known" + "".join(f": {note}" for note in timeline.notes),
            samples, len(people),
        )  # fmt: skip
    elif timed < len(visits):
        lost = [visit.samples[0] for visit in visits if math.isnan(visit.days)]
        account.partly(
            "timepoints",
            f"{len(lost)} samples have no time that can be read ({named(lost)}): they are compared"
            " with the baseline, but are in no order",
            samples, len(people),
        )  # fmt: skip
    double = [v for v in visits if len(v.samples) > 1 and not v.replicates]
    if double:
        places = [f"{v.subject} at {v.timepoint}" for v in double]
        account.partly(
            "duplicated timepoints",
            f"{len(double)} timepoints have several samples without a column replicate that tells"
            f" them apart ({named(places)}): their mean is used, and they are not taken as"
            " technical replicates",
            sum(len(v.samples) for v in double), len({v.subject for v in double}),
        )  # fmt: skip
    single = [subject for subject, own in people.items() if len(own) == 1]
    if single:
        account.partly(
            "people with one timepoint",
            f"{named(single)}: their values are given, a change cannot be called", len(single),
            len(single),
        )  # fmt: skip
    if without:
        reasons: dict[str, list[str]] = defaultdict(list)
        for subject, why in without.items():
            reasons[why].append(subject)
        for why, subjects in sorted(reasons.items()):
            seen = ""
            if settings.baseline is not None and len(subjects) == len(people):
                words = sorted({v.timepoint for v in visits if v.timepoint is not None})
                seen = f"; timepoints are {named(words)}" if words else "; none is given"
            whose = named(subjects) if len(subjects) < len(people) else "anybody"
            account.partly(
                "baselines",
                f"{why}{seen}: no baseline for {whose}, so no change is called",
                sum(len(v.samples) for s in subjects for v in people[s]), len(subjects),
            )  # fmt: skip
    if loose:
        account.partly(
            "noise",
            "the baselines hold too few repeated samples, and no event is marked: the noise is"
            " told from all samples, which may hold the very changes that are looked for, so that"
            " changes are missed rather than invented; mark events, or give repeated baseline"
            " samples",
            samples, len(people),
        )  # fmt: skip
