"""How far each sample is from its person's own baseline, and from a reference group.

Distance to the baseline
    Median of the distances to the person's baseline samples (for a baseline sample, to the
    others). Any two samples of a person differ, so the distance is set beside what is usual: the
    same distance in the other people of the cohort while nothing happened, their first quiet
    samples standing for a baseline of the same size (`usual_distances`). Logarithms of these
    distances are taken as normal, with a level of each person (`Usual`); a person with
    `LEAST_OWN` baseline samples or more brings an own level, moderated towards the cohort's.
    A distance is called beyond the band if it is above the one-sided limit of
    ``settings.band`` and its q within the person is at most ``settings.fdr``. Near is never a
    change, so there is no lower limit.

Distance to the reference
    Median of the distances to the samples of the reference group, the person's own left out, and
    samples during and after events too. That is the dysbiosis score of HMP2 (Lloyd-Price 2019,
    doi:10.1038/s41586-019-1237-9), by Bray-Curtis as there, and by Aitchison distance. As there,
    far is what exceeds the 90th percentile of the reference samples' own distances to each other's
    people. It is a position, not a diagnosis.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from fermentome.cohort.data import TAXA, Account, Cohort, Metadata, Numbers
from fermentome.cohort.multiple_testing import adjust
from fermentome.cohort.ordination import AITCHISON, BRAYCURTIS, distances
from fermentome.cohort.settings import Settings
from fermentome.cohort.text_tables import AnyPath
from fermentome.cohort.visits import BASELINE, UNPHASED, Visit, Visits
from fermentome.tables import Cell, write_table

METRICS = (BRAYCURTIS, AITCHISON)
OWN, COHORT, NONE = "own", "cohort", "none"
LEAST_OWN = 3
"""Baseline samples with which a person has a level of their own. Two have one distance between
them, which says nothing of its spread."""
LEAST_PEOPLE = 3
"""Other people with repeated quiet samples that make a band: the fewest between whom a spread of
levels can be told."""
LEAST_REFERENCE = 5
"""People in a reference group: with fewer, the median distance is that to one or two people, and
the 90th percentile lies beyond all of them."""
REFERENCE_LIMIT = 0.9
"""Quantile of the reference samples' own distances (Lloyd-Price 2019)."""
TRAJECTORY_COLUMNS = (
    "subject", "sample", "samples", "timepoint", "days", "days_since_baseline", "time_unit",
    "event", "phase", "metric", "to_baseline", "baseline_samples", "usual", "band_high",
    "band_source", "band_people", "p", "q", "beyond_band", "reference", "to_reference",
    "reference_samples", "reference_people", "reference_limit", "reference_nearer",
    "beyond_reference", "note",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Usual:
    """Distances to a baseline while nothing happens: log distance = level of a person + rest.

    Attributes
    ----------
    level, between, within
        Mean of the people's levels, their variance, and the variance within a person; of natural
        logarithms.
    people
        Number of people it is told from.
    """

    level: float
    between: float
    within: float
    people: int


@dataclass(frozen=True, slots=True)
class Band:
    """What is usual for one person.

    Attributes
    ----------
    centre, spread, df
        Of the log distance of a new sample: Student's t.
    source
        `OWN`, `COHORT` or `NONE`.
    people
        Others that it rests on.
    """

    centre: float
    spread: float
    df: float
    source: str
    people: int

    def limit(self, coverage: float) -> float:
        """Distance that a share `coverage` of quiet samples stays below; NaN without a band."""
        if self.source == NONE:
            return math.nan
        return math.exp(self.centre + float(stats.t.ppf(coverage, self.df)) * self.spread)

    def p(self, distance: float) -> float:
        """Probability of a quiet sample at this distance or further off."""
        if self.source == NONE or math.isnan(distance):
            return math.nan
        if distance <= 0:
            return 1.0
        return float(stats.t.sf((math.log(distance) - self.centre) / self.spread, self.df))


NO_BAND = Band(math.nan, math.nan, math.nan, NONE, 0)


def between_visits(square: Numbers, groups: Sequence[Sequence[int]]) -> Numbers:
    """Mean distance between the samples of each two visits.

    Samples without distances (NaN on the diagonal) do not count; NaN for a visit of such only.
    """
    known = ~np.isnan(np.diagonal(square))
    share = np.zeros((len(groups), square.shape[0]))
    for row, group in enumerate(groups):
        own = [i for i in group if known[i]]
        if own:
            share[row, own] = 1 / len(own)
    result: Numbers = share @ np.nan_to_num(square) @ share.T
    empty = share.sum(axis=1) == 0
    result[empty, :] = np.nan
    result[:, empty] = np.nan
    return result


def median_to(square: Numbers, row: int, others: Sequence[int]) -> float:
    """Median distance of one visit to others; NaN if there is none that is known."""
    values = square[row, list(others)]
    values = values[~np.isnan(values)]
    return float(np.median(values)) if values.size else math.nan


def usual_distances(square: Numbers, quiet: Sequence[int], baseline: int) -> list[float]:
    """Distances of a person's later quiet visits to their first ones, as of a baseline.

    Parameters
    ----------
    quiet
        Visits in the order of time.
    baseline
        Number of visits that stand for a baseline; at most half of them.
    """
    first = min(baseline, len(quiet) // 2)
    if first < 1:
        return []
    found = [median_to(square, row, quiet[:first]) for row in quiet[first:]]
    return [value for value in found if value > 0]


def usual_of(people: Sequence[Sequence[float]]) -> Usual | None:
    """What is usual among people, by analysis of variance of log distances.

    The variance within is pooled over people with two distances or more; the one between is the
    variance of the people's means, less what the spread within adds to it (the moments of a
    one-way random model, Searle, Casella and McCulloch 1992, Variance Components, section 3.6).

    Parameters
    ----------
    people
        Distances of each person.

    Returns
    -------
    Usual or None
        `None` with fewer than `LEAST_PEOPLE` people, or if none has two distances.
    """
    logs = [np.log(values) for values in people if len(values)]
    df = sum(len(own) - 1 for own in logs)
    if len(logs) < LEAST_PEOPLE or df < 1:
        return None
    within = sum(float(((own - own.mean()) ** 2).sum()) for own in logs) / df
    means = np.array([own.mean() for own in logs])
    added = within * float(np.mean([1 / len(own) for own in logs]))
    between = max(0.0, float(means.var(ddof=1)) - added)
    return Usual(float(means.mean()), between, within, len(logs))


def band_of(usual: Usual | None, own: Sequence[float]) -> Band:
    """Band of a person.

    Parameters
    ----------
    usual
        Of the other people.
    own
        Distance of each of the person's baseline samples to the others; none below `LEAST_OWN`.
        Each distance between two samples is in two of them, so they count half.
    """
    logs = np.log([value for value in own if value > 0])
    enough = logs.size >= LEAST_OWN
    if usual is None:
        spread = float(logs.std(ddof=1)) if enough else 0.0
        if not spread:
            return NO_BAND
        number = logs.size / 2
        return Band(float(logs.mean()), spread * math.sqrt(1 + 1 / number), logs.size - 1, OWN, 0)
    kept = 0.0
    if enough and usual.between > 0:
        kept = usual.between / (usual.between + usual.within / (logs.size / 2))
    centre = usual.level + (kept * (float(logs.mean()) - usual.level) if enough else 0.0)
    # The level of the person, what is left of its uncertainty, and that of the cohort's mean.
    variance = usual.within + (1 - kept) * usual.between * (1 + 1 / usual.people)
    variance += usual.within / usual.people
    if variance <= 0:
        return NO_BAND
    return Band(
        centre, math.sqrt(variance), usual.people - 1, OWN if enough else COHORT, usual.people
    )


@dataclass(frozen=True, slots=True)
class Reference:
    """Samples that people are compared with.

    Attributes
    ----------
    name
        As ``diagnosis=nonIBD``.
    visits
        Their places among the visits.
    people
        Number of people.
    """

    name: str
    visits: tuple[int, ...]
    people: int


def reference_column(metadata: Metadata, settings: Settings) -> tuple[str, str] | None:
    """Column and level of the reference group, `None` if the settings name none."""
    if settings.reference_group is None:
        return None
    name = settings.reference_group
    column, mark, level = name.partition("=")
    if mark and column in metadata.columns:
        return column, level
    return (settings.groups[0] if settings.groups else "group"), name


def find_reference(
    metadata: Metadata, visits: Sequence[Visit], settings: Settings, account: Account
) -> Reference | None:
    """Visits of the reference group that no event touches."""
    item = "distance to the reference group"
    wanted = reference_column(metadata, settings)
    if wanted is None:
        account.left_out(
            item, "cohort: reference_group is not set; name a level of the first column of groups"
        )
        return None
    column, level = wanted
    if column not in metadata.columns:
        account.left_out(item, f"{metadata.source} has no column {column!r}")
        return None
    of = dict(zip(metadata.samples, metadata.column(column).values, strict=True))
    chosen = tuple(
        i for i, visit in enumerate(visits)
        if visit.phase in {BASELINE, UNPHASED} and all(of[s] == level for s in visit.samples)
    )  # fmt: skip
    people = len({_person(visits[i]) for i in chosen})
    if people < LEAST_REFERENCE:
        levels = ", ".join(metadata.column(column).levels[:10])
        account.left_out(
            item,
            f"{people} people with {column} {level!r} outside of events, at least"
            f" {LEAST_REFERENCE} are needed; levels seen: {levels or 'none'}",
            len(chosen), people,
        )  # fmt: skip
        return None
    return Reference(f"{column}={level}", chosen, people)


def _person(visit: Visit) -> tuple[str, str]:
    """A sample without a subject is a person of its own."""
    return ("subject", visit.subject) if visit.subject else ("sample", visit.samples[0])


def to_reference(
    square: Numbers, people: Sequence[int], reference: Sequence[int]
) -> tuple[Numbers, Numbers]:
    """Median distance of each visit to the reference visits of other people.

    Parameters
    ----------
    square
        Distances between visits.
    people
        Number of the person of each visit.
    reference
        Places of the reference visits.

    Returns
    -------
    distance, number
        NaN and 0 where there is nothing to compare with.
    """
    who = np.asarray(people)
    values = square[:, list(reference)].copy()
    values[who[:, None] == who[list(reference)][None, :]] = np.nan
    number = (~np.isnan(values)).sum(axis=1).astype(np.float64)
    result = np.full(len(who), np.nan)
    some = number > 0
    result[some] = np.nanmedian(values[some], axis=1)
    return result, number


def _with_loose_samples(metadata: Metadata, visits: Visits) -> list[Visit]:
    """Visits, and a visit for each sample without a subject: it still has a reference."""
    used = {sample for visit in visits.visits for sample in visit.samples}
    loose = [
        Visit("", (sample,), metadata.of("timepoint", sample), math.nan,
              notes=("no subject is known",))
        for sample in metadata.samples if sample not in used
    ]  # fmt: skip
    return [*visits.visits, *loose]


def _bands(square: Numbers, visits: Sequence[Visit]) -> dict[str, tuple[Band, list[int]]]:
    """Band and places of the baseline visits of each person."""
    baseline: dict[str, list[int]] = defaultdict(list)
    quiet: dict[str, list[int]] = defaultdict(list)
    for i, visit in enumerate(visits):
        if not visit.subject or math.isnan(square[i, i]):
            continue
        if visit.phase == BASELINE:
            baseline[visit.subject].append(i)
        if visit.quiet and not math.isnan(visit.days):
            quiet[visit.subject].append(i)
    of_size: dict[int, dict[str, list[float]]] = {}
    bands = {}
    for subject, own in baseline.items():
        size = len(own)
        if size not in of_size:
            of_size[size] = {s: usual_distances(square, q, size) for s, q in quiet.items()}
        others = [values for s, values in of_size[size].items() if s != subject]
        each = [median_to(square, i, [j for j in own if j != i]) for i in own]
        bands[subject] = band_of(usual_of(others), each if size >= LEAST_OWN else []), own
    return bands


def _row(visit: Visit, unit: str, metric: str) -> dict[str, Cell]:
    row: dict[str, Cell] = dict.fromkeys(TRAJECTORY_COLUMNS)
    row.update(
        subject=visit.subject or None, sample="; ".join(visit.samples),
        samples=len(visit.samples), timepoint=visit.timepoint, days=visit.days,
        days_since_baseline=visit.since_baseline, time_unit=unit, event=visit.event,
        phase=visit.phase, metric=metric, note="; ".join(visit.notes),
    )  # fmt: skip
    return row


def trajectories(
    cohort: Cohort, visits: Visits, settings: Settings, account: Account
) -> list[dict[str, Cell]]:
    """Rows of `TRAJECTORY_COLUMNS`, by person, time and metric; none without a table of taxa."""
    table = cohort.tables.get(TAXA)
    if table is None:
        account.left_out(
            "distance to baseline and reference", "there is no table of taxa to tell distances from"
        )
        return []
    metadata = cohort.metadata
    every = _with_loose_samples(metadata, visits)
    place = {sample: i for i, sample in enumerate(table.samples)}
    every = [
        replace(visit, samples=tuple(s for s in visit.samples if s in place))
        for visit in every
        if any(s in place for s in visit.samples)
    ]
    reference = find_reference(metadata, every, settings, account)
    rows: list[dict[str, Cell]] = []
    for metric in METRICS:
        square = between_visits(
            distances(table, metric), [[place[s] for s in visit.samples] for visit in every]
        )
        own = [_row(visit, visits.unit, metric) for visit in every]
        _add_baseline(own, square, every, settings)
        if reference is not None:
            _add_reference(own, square, every, reference)
        _say(account, metric, own, reference)
        rows += own
    order = {id(row): i % len(every) for i, row in enumerate(rows)}
    rows.sort(key=lambda row: (order[id(row)], METRICS.index(str(row["metric"]))))
    return rows


def _add_baseline(
    rows: Sequence[dict[str, Cell]], square: Numbers, visits: Sequence[Visit], settings: Settings
) -> None:
    bands = _bands(square, visits)
    p = np.full(len(rows), np.nan)
    for i, (row, visit) in enumerate(zip(rows, visits, strict=True)):
        row["band_source"], row["band_people"], row["beyond_band"] = NONE, 0, "not_called"
        row["baseline_samples"] = 0
        if visit.subject not in bands:
            continue
        band, baseline = bands[visit.subject]
        others = [j for j in baseline if j != i]
        distance = median_to(square, i, others)
        row.update(
            to_baseline=distance, baseline_samples=len(others), band_source=band.source,
            band_people=band.people, band_high=band.limit(settings.band),
            usual=math.nan if band.source == NONE else math.exp(band.centre),
        )  # fmt: skip
        if visit.phase != BASELINE:
            p[i] = band.p(distance)
    q = adjust(p, [visit.subject for visit in visits])
    for i, row in enumerate(rows):
        row["p"], row["q"] = float(p[i]), float(q[i])
        if not math.isnan(p[i]):
            beyond = p[i] < 1 - settings.band and q[i] <= settings.fdr
            row["beyond_band"] = "yes" if beyond else "no"


def _add_reference(
    rows: Sequence[dict[str, Cell]], square: Numbers, visits: Sequence[Visit], reference: Reference
) -> None:
    number = {key: i for i, key in enumerate(sorted({_person(visit) for visit in visits}))}
    people = [number[_person(visit)] for visit in visits]
    distance, samples = to_reference(square, people, reference.visits)
    own = distance[list(reference.visits)]
    own = own[~np.isnan(own)]
    limit = float(np.quantile(own, REFERENCE_LIMIT)) if own.size else math.nan
    chosen = set(reference.visits)
    for i, row in enumerate(rows):
        row["reference"] = reference.name
        row["reference_samples"] = int(samples[i])
        row["reference_people"] = reference.people - (any(people[j] == people[i] for j in chosen))
        if math.isnan(distance[i]):
            row["beyond_reference"] = "not_called"
            continue
        row["to_reference"], row["reference_limit"] = float(distance[i]), limit
        row["reference_nearer"] = float(np.mean(own < distance[i]))
        row["beyond_reference"] = "yes" if distance[i] > limit else "no"


def _say(
    account: Account, metric: str, rows: Sequence[dict[str, Cell]], reference: Reference | None
) -> None:
    people = {row["subject"] for row in rows if row["subject"] is not None}
    made = [row for row in rows if isinstance(row["to_baseline"], float)
            and not math.isnan(row["to_baseline"])]  # fmt: skip
    item = f"distance to own baseline, {metric}"
    tested = {row["subject"] for row in made if row["beyond_band"] != "not_called"}
    if not made:
        account.left_out(
            item, "no person has a baseline sample and another one: subjects and timepoints are"
            " needed", len(rows), len(people),
        )  # fmt: skip
    elif not tested:
        account.partly(
            item,
            f"no band: fewer than {LEAST_PEOPLE} other people with repeated samples outside of"
            f" events, and nobody with {LEAST_OWN} baseline samples and a later one; distances are"
            " given, none is called",
            len(made), len({row["subject"] for row in made}),
        )  # fmt: skip
    else:
        left = len(people) - len(tested)
        done = len({row["subject"] for row in made})
        if left:
            account.partly(item, f"{left} people without a sample that could be called",
                           len(made), done)  # fmt: skip
        else:
            account.done(item, len(made), done)
    if reference is not None:
        account.done(
            f"distance to the reference group {reference.name}, {metric}",
            sum(isinstance(row["to_reference"], float) for row in rows), reference.people,
        )  # fmt: skip


def write_trajectories(
    cohort: Cohort, visits: Visits, settings: Settings, account: Account,
    outputs: Mapping[str, AnyPath],
) -> list[dict[str, Cell]]:  # fmt: skip
    """Compute the distances and write them to ``outputs["trajectories"]``."""
    rows = trajectories(cohort, visits, settings, account)
    write_table(outputs["trajectories"], TRAJECTORY_COLUMNS, rows)
    return rows
