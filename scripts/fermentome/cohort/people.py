"""How each person has changed since their own baseline, and whether that is more than noise.

A new value is compared with the mean of the person's baseline samples, on the scale of the
measure. The band around the baseline is the reference change value of laboratory medicine (Harris
and Yasaka 1983, doi:10.1093/clinchem/29.1.25; Fraser and Harris 1989,
doi:10.3109/10408368909106595), which for n baseline samples and one new one is
``t s sqrt(1 + 1/n)``, with ``s`` the noise within a person. Copies and shares are on a logarithmic
scale, so that the band is as wide upwards as downwards in fold changes (Fokkema et al. 2006,
doi:10.1373/clinchem.2006.069369). Where the noise comes from is said in every row:

``own``
    The person's own repeated baseline samples, moderated towards the cohort's
    (`fermentome.cohort.noise`).
``cohort``
    What people of the cohort vary while nothing is marked to happen.
``technical``
    Technical replicates alone. They bound the noise of the measurement: a change beyond that band
    is more than measurement error, and may still be what this person varies from week to week.
``none``
    Nothing tells. No change is called.

The band is never narrower than the interval of the measurement itself, and a sample that was
measured less precisely than those that the noise comes from has a wider one. It assumes that
samples vary independently: where those close in time are alike, and the baseline is short beside
the time of follow-up, it is too narrow (measured in ``benchmarks/cohort/change_calls.py``).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from fermentome.cohort.contrasts import (
    Baselines,
    Contrast,
    Flags,
    Groups,
    Places,
    Technical,
    Values,
    baselines_of,
    contrast_of,
    measured,
    summed,
    variances_of,
)
from fermentome.cohort.data import Account, Metadata, Numbers
from fermentome.cohort.measures import LOG2, Measure
from fermentome.cohort.multiple_testing import adjust
from fermentome.cohort.noise import NONE, SOURCES, TECHNICAL, Prior, fit_prior
from fermentome.cohort.settings import Settings
from fermentome.cohort.timepoints import Timeline
from fermentome.cohort.visits import AFTER, BASELINE, DURING, Visit, Visits, visits_of
from fermentome.tables import Cell, write_table

PERSON_COLUMNS = (
    "subject", "sample", "samples", "timepoint", "days", "days_since_baseline", "time_unit",
    "event", "episode", "phase", "measure", "unit", "scale", "value", "ci_low", "ci_high",
    "below_detection", "baseline", "baseline_samples", "band_low", "band_high", "noise_sd",
    "noise_source", "noise_df", "difference", "difference_unit", "p", "q", "change", "note",
)  # fmt: skip
PHASE_COLUMNS = (
    "subject", "episode", "event", "phase", "measure", "unit", "samples", "value", "baseline",
    "baseline_samples", "difference", "difference_unit", "ci_low", "ci_high", "noise_source",
    "p", "q", "change", "note",
)  # fmt: skip
NOISE_COLUMNS = (
    "measure", "scale", "within_sd", "within_people", "within_df", "prior_df", "technical_sd",
    "technical_df", "between_sd", "people", "index_of_individuality",
)  # fmt: skip

UP, DOWN, NO, NOT_CALLED, BELOW = "up", "down", "no", "not_called", "below_detection"
CHANGES = (UP, DOWN, NO, NOT_CALLED, BELOW)

HALF, UNSEEN = "half", "unseen"
_CARRIED = (HALF, UNSEEN)
"""Half the width of the band on the scale, and whether detection limits leave no answer: carried
with a row until its change is called."""
INTERVAL = 0.95
"""Coverage of the interval of a value, as in the feature tables."""


@dataclass(frozen=True, slots=True)
class People:
    """What `changes_of_people` made.

    Attributes
    ----------
    visits
        Samples in the order of time.
    rows
        Of `PERSON_COLUMNS`: one per visit and measure.
    phases
        Of `PHASE_COLUMNS`: one per person, episode, phase and measure.
    noise
        Of `NOISE_COLUMNS`: one per measure.
    middle
        By row, the difference with what is below detection at half its limit
        (`fermentome.cohort.contrasts.Contrast.middle`); NaN where not known.
    """

    visits: Visits
    rows: tuple[dict[str, Cell], ...]
    phases: tuple[dict[str, Cell], ...]
    noise: tuple[dict[str, Cell], ...]
    middle: tuple[float, ...] = ()


def difference_unit(measure: Measure) -> str:
    """Unit of a difference on the scale of a measure."""
    return "log2 fold change" if measure.scale == LOG2 else measure.unit


def kind_of(measure: str) -> str:
    """Kind of a measure: what stands before the colon.

    >>> kind_of("product:butyrate")
    'product'
    """
    return measure.partition(":")[0]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _float(cell: Cell) -> float:
    return math.nan if cell is None else float(cell)


def _whole(value: float) -> int | None:
    return None if math.isnan(value) else int(value)


def _bounds(measure: Measure, middle: Numbers, half: Numbers) -> tuple[Numbers, Numbers]:
    return measure.back_to_unit(middle - half), measure.back_to_unit(middle + half)


def _change(difference: float, half: float, significant: bool, below: bool, unseen: bool) -> str:
    if unseen:
        return BELOW
    if math.isnan(half):
        return NOT_CALLED
    if significant and abs(difference) > half:
        return UP if difference > 0 else DOWN
    return BELOW if below else NO


_NOT_ENOUGH = "beyond the band, but not after correction for the number of tests"
_NO_VALUE = "no value is known at the baseline"
_SOURCE_NOTES = {
    TECHNICAL: "the band holds the noise of the measurement only",
    NONE: "the noise is not known: it takes repeated samples that differ, of the own baseline or of"
    " other people",
}


def _note(
    contrast: Contrast, place: int, baselines: Baselines, person: int, why: str
) -> tuple[str, ...]:
    """Why a change is not called, or what weakens it."""
    if math.isnan(contrast.y[place]):
        return ("value not known",)
    if why:
        return (why,)
    if not baselines.count[person]:
        return (_NO_VALUE,)
    notes = []
    if baselines.below[person]:
        part = "" if baselines.below[person] == baselines.count[person] else " in part"
        notes.append(f"baseline below detection{part}")
    if contrast.below[place]:
        notes.append("below detection")
    if contrast.bound[place]:
        notes.append("the difference is at least this")
    note = _SOURCE_NOTES.get(baselines.source[person])
    if note:
        notes.append(note)
    return tuple(notes)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is the same for all measures."""

    visits: tuple[Visit, ...]
    subjects: tuple[str, ...]
    person: Places
    in_baseline: Flags
    quiet: Flags
    single: Groups
    phase: Groups
    phase_visits: tuple[Visit, ...]
    why: tuple[str, ...]


def _frame(found: Visits) -> _Frame:
    visits = found.visits
    subjects = tuple(sorted({visit.subject for visit in visits}))
    place = {subject: i for i, subject in enumerate(subjects)}
    person = np.array([place[visit.subject] for visit in visits], dtype=np.intp)
    everyone = np.arange(len(visits), dtype=np.intp)
    keys: dict[tuple[str, int, str], list[int]] = {}
    for i, visit in enumerate(visits):
        if visit.phase in (DURING, AFTER) and visit.episode is not None:
            keys.setdefault((visit.subject, visit.episode, visit.phase), []).append(i)
    members = [(i, group) for group, own in enumerate(keys.values()) for i in own]
    firsts = [own[0] for own in keys.values()]
    phase = Groups(
        np.array([i for i, _ in members], dtype=np.intp),
        np.array([group for _, group in members], dtype=np.intp),
        person[np.array(firsts, dtype=np.intp)],
    )
    return _Frame(
        visits, subjects, person,
        np.array([visit.phase == BASELINE for visit in visits], dtype=bool),
        np.array([visit.quiet for visit in visits], dtype=bool),
        Groups(everyone, everyone, person), phase, tuple(visits[i] for i in firsts),
        tuple(found.without_baseline.get(subject, "") for subject in subjects),
    )  # fmt: skip


def _baseline_values(measure: Measure, baselines: Baselines) -> Numbers:
    """Baselines in the unit of the measure: a single sample's 0 stays 0."""
    whole = (baselines.count == 1) | (baselines.below == baselines.count)
    return np.where(whole, baselines.natural, measure.back_to_unit(baselines.y))


def _person_rows(
    measure: Measure, frame: _Frame, values: Values, baselines: Baselines,
    contrast: Contrast, unit: str,
) -> list[dict[str, Cell]]:  # fmt: skip
    z = stats.norm.ppf(0.5 + INTERVAL / 2)
    error = np.sqrt(values.error)
    low, high = _bounds(measure, values.y, z * error)
    # A value below detection has no interval here: its limit may be a convention.
    low, high = (np.where(values.below, np.nan, bound) for bound in (low, high))
    band_low = measure.back_to_unit(baselines.y[frame.person] - contrast.half)
    # The bound of a baseline below detection is its limit, and nothing lies below it.
    band_high = measure.back_to_unit(baselines.top[frame.person] + contrast.half)
    hidden = 2 * baselines.below > baselines.count
    band_low = np.where(hidden[frame.person] & ~np.isnan(band_low), 0.0, band_low)
    baseline = _baseline_values(measure, baselines)
    rows: list[dict[str, Cell]] = []
    for i, visit in enumerate(frame.visits):
        person = int(frame.person[i])
        source = baselines.source[person] if baselines.count[person] else NONE
        is_baseline = visit.phase == BASELINE
        notes = (*visit.notes, *(("part of the baseline",) if is_baseline else ()))
        if not is_baseline or not values.known[i]:
            notes += _note(contrast, i, baselines, person, frame.why[person])
        rows.append(
            {
                "subject": visit.subject,
                "sample": "; ".join(visit.samples),
                "samples": len(visit.samples),
                "timepoint": visit.timepoint,
                "days": _number(visit.days),
                "days_since_baseline": _number(visit.since_baseline),
                "time_unit": unit,
                "event": visit.event,
                "episode": visit.episode,
                "phase": visit.phase,
                "measure": measure.name,
                "unit": measure.unit,
                "scale": measure.scale,
                "value": _number(values.natural[i]),
                "ci_low": _number(low[i]),
                "ci_high": _number(high[i]),
                "below_detection": bool(values.below[i]) if values.known[i] else None,
                "baseline": _number(baseline[person]),
                "baseline_samples": int(baselines.count[person]),
                "band_low": _number(band_low[i]),
                "band_high": _number(band_high[i]),
                "noise_sd": (
                    _number(math.sqrt(baselines.variance[person])) if source != NONE else None
                ),
                "noise_source": source,
                "noise_df": _number(baselines.df[person]) if source != NONE else None,
                "difference": None if is_baseline else _number(contrast.difference[i]),
                "difference_unit": difference_unit(measure),
                "p": None if is_baseline else _number(contrast.p[i]),
                "q": None,
                "change": NOT_CALLED if is_baseline or math.isnan(contrast.y[i]) else None,
                "note": "; ".join(notes),
                HALF: _number(contrast.half[i]),
                UNSEEN: bool(contrast.unseen[i]),
            }
        )
    return rows


def _phase_rows(
    measure: Measure, frame: _Frame, baselines: Baselines, contrast: Contrast
) -> list[dict[str, Cell]]:
    baseline = _baseline_values(measure, baselines)
    whole = (contrast.count == 1) | contrast.below
    value = np.where(whole, contrast.natural, measure.back_to_unit(contrast.y))
    rows: list[dict[str, Cell]] = []
    for group, visit in enumerate(frame.phase_visits):
        person = int(frame.phase.person[group])
        source = baselines.source[person] if baselines.count[person] else NONE
        difference, half = contrast.difference[group], contrast.half[group]
        rows.append(
            {
                "subject": visit.subject,
                "episode": visit.episode,
                "event": visit.event,
                "phase": visit.phase,
                "measure": measure.name,
                "unit": measure.unit,
                "samples": int(contrast.count[group]),
                "value": _number(value[group]),
                "baseline": _number(baseline[person]),
                "baseline_samples": int(baselines.count[person]),
                "difference": _number(difference),
                "difference_unit": difference_unit(measure),
                "ci_low": _number(difference - half),
                "ci_high": _number(difference + half),
                "noise_source": source,
                "p": _number(contrast.p[group]),
                "q": None,
                "change": NOT_CALLED if math.isnan(contrast.y[group]) else None,
                "note": "; ".join(_note(contrast, group, baselines, person, frame.why[person])),
                HALF: _number(half),
                UNSEEN: bool(contrast.unseen[group]),
            }
        )
    return rows


def _noise_row(
    measure: Measure, frame: _Frame, values: Values, technical: Technical, prior: Prior
) -> dict[str, Cell]:
    """Noise of one measure, beside how much people differ.

    The index of individuality is the within-person SD over the between-person one (Harris 1974,
    doi:10.1093/clinchem/20.12.1535): below 0.6, a person's own baseline tells more than the range
    of others.
    """
    kept = values.known & frame.quiet & ~values.below
    owner = frame.person[kept]
    count = np.bincount(owner, minlength=len(frame.subjects)).astype(np.float64)
    own = count > 0
    between = math.nan
    if own.sum() > 1:
        means = summed(values.y[kept], owner, len(frame.subjects))[own] / count[own]
        # The variance of means holds within-person noise over the number of samples.
        noise = (
            0.0 if math.isnan(prior.variance) else prior.variance * float((1 / count[own]).mean())
        )
        between = math.sqrt(max(float(means.var(ddof=1)) - noise, 0.0))
    within = math.sqrt(prior.variance)
    return {
        "measure": measure.name,
        "scale": measure.scale,
        "within_sd": _number(within),
        "within_people": prior.people,
        "within_df": _whole(prior.pooled_df),
        "prior_df": _number(prior.df),
        "technical_sd": _number(math.sqrt(technical.variance)),
        "technical_df": _whole(technical.df),
        "between_sd": _number(between),
        "people": int(own.sum()),
        "index_of_individuality": _number(within / between) if between > 0 else None,
    }


def _with_calls(
    rows: Sequence[dict[str, Cell]], settings: Settings, family: Sequence[str]
) -> tuple[dict[str, Cell], ...]:
    """Rows with q and the call; what is beyond the band but not within the rate is no change."""
    p = np.array([_float(row["p"]) for row in rows], dtype=np.float64)
    q = adjust(p, family)
    done = []
    for row, value in zip(rows, q, strict=True):
        cells = {column: cell for column, cell in row.items() if column not in _CARRIED}
        cells["q"] = _number(value)
        if row["change"] is None:
            difference, half = _float(row["difference"]), _float(row[HALF])
            cells["change"] = _change(
                difference, half, bool(value <= settings.fdr),
                row.get("below_detection") is True, row[UNSEEN] is True,
            )  # fmt: skip
            if cells["change"] == NO and abs(difference) > half:
                cells["note"] = "; ".join(note for note in (str(row["note"]), _NOT_ENOUGH) if note)
        done.append(cells)
    return tuple(done)


def _by_visit(rows: Sequence[dict[str, Cell]], visits: int) -> tuple[dict[str, Cell], ...]:
    """Rows that came measure by measure, in the order of visits."""
    return tuple(row for visit in range(visits) for row in rows[visit::visits])


def changes_of_people(
    measures: Sequence[Measure],
    metadata: Metadata,
    timeline: Timeline,
    settings: Settings,
    account: Account,
) -> People:
    """Changes of each person since their own baseline.

    A change is called if a value lies beyond the band of `settings.band` around the baseline and
    its q is at most `settings.fdr`. Tested together are all timepoints of one person and all
    measures of one kind (diversity, product, carrier, ...): a person with a few products and
    many carriers is not charged for the carriers when the products are read.

    Parameters
    ----------
    measures
        What is followed.
    metadata
        With columns ``subject``, ``timepoint`` and, optionally, ``event`` and ``replicate``.
    timeline
        Times of `metadata.samples`, in that order.
    settings
        `baseline`, `band` and `fdr` are used.
    account
        Takes what was made and left out.

    Returns
    -------
    People
        Sorted by person, time and measure.
    """
    found = visits_of(metadata, timeline, settings, account)
    if not found.visits:
        return People(found, (), (), ())
    if not measures:
        account.left_out("changes of people", "no measure is known for any sample")
        return People(found, (), (), ())
    frame = _frame(found)
    people = len(frame.subjects)
    rows: list[dict[str, Cell]] = []
    phases: list[dict[str, Cell]] = []
    noise: list[dict[str, Cell]] = []
    middle: list[Numbers] = []
    for measure in sorted(measures, key=lambda m: m.name):
        values, technical = measured(measure, frame.visits)
        variances, df = variances_of(values, frame.quiet, frame.person, people)
        prior = fit_prior(variances[df > 0], df[df > 0])
        baselines = baselines_of(
            values, technical, prior, frame.person, people, frame.in_baseline, frame.quiet
        )
        single = contrast_of(values, frame.single, baselines, settings.band)
        rows += _person_rows(measure, frame, values, baselines, single, found.unit)
        middle.append(single.middle)
        grouped = contrast_of(values, frame.phase, baselines, settings.band)
        phases += _phase_rows(measure, frame, baselines, grouped)
        noise.append(_noise_row(measure, frame, values, technical, prior))
    families = [f"{row['subject']}\t{kind_of(str(row['measure']))}" for row in rows]
    phase_families = [f"{row['subject']}\t{kind_of(str(row['measure']))}" for row in phases]
    done = People(
        found,
        _by_visit(_with_calls(rows, settings, families), len(frame.visits)),
        _by_visit(_with_calls(phases, settings, phase_families), frame.phase.count),
        tuple(noise),
        tuple(np.stack(middle, axis=1).ravel().tolist()),
    )
    _say(done, account)
    return done


def _say(people: People, account: Account) -> None:
    """Tell the account how many changes could be called, by the source of their noise."""
    later = [row for row in people.rows if row["phase"] != BASELINE]
    subjects = {row["subject"] for row in people.rows}
    if not later:
        account.left_out(
            "changes of people",
            "nobody has a sample beside the baseline: a second timepoint would have to be there",
            len({row["sample"] for row in people.rows}), len(subjects),
        )  # fmt: skip
        return
    for source in SOURCES:
        of_source = [row for row in later if row["noise_source"] == source]
        if not of_source:
            continue
        samples = len({row["sample"] for row in of_source})
        number = len({row["subject"] for row in of_source})
        item = f"changes of people, noise: {source}"
        if source == NONE:
            names = sorted({str(row["measure"]) for row in of_source})
            every = len({row["measure"] for row in later})
            why = _why_none(of_source)
            if len(names) < every:
                why = f"for {len(names)} of {every} measures, as {names[0]}, {why}"
            account.left_out(item, why, samples, number)
        elif source == TECHNICAL:
            account.partly(item, _SOURCE_NOTES[TECHNICAL], samples, number)
        else:
            account.done(item, samples, number)


def _why_none(rows: Sequence[Mapping[str, Cell]]) -> str:
    """Why rows have no noise to be held against, each reason once."""
    reasons = set()
    for row in rows:
        if row["baseline_samples"]:
            reasons.add(_SOURCE_NOTES[NONE])
        elif _NO_VALUE in str(row["note"]):
            reasons.add(_NO_VALUE)
        else:
            reasons.add("no baseline")
    return "; ".join(sorted(reasons))


def write_people(people: People, outputs: Mapping[str, str | os.PathLike[str]]) -> None:
    """Write the tables of `people`.

    Parameters
    ----------
    people
        What `changes_of_people` made.
    outputs
        Paths under ``people``, ``phases`` and ``noise``.
    """
    tables: tuple[tuple[str, Sequence[str], Iterable[Mapping[str, Cell]]], ...] = (
        ("people", PERSON_COLUMNS, people.rows),
        ("phases", PHASE_COLUMNS, people.phases),
        ("noise", NOISE_COLUMNS, people.noise),
    )
    for name, columns, rows in tables:
        write_table(outputs[name], columns, rows)
