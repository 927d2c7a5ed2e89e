"""Where the samples of a run stand within a reference cohort that was processed alike.

A percentile is the share of the people of the reference with a lower value, those with the same
value counted half. Three things make it uncertain, and each has its own columns:

- Ties, and values below detection: such a value is only known to lie between zero and a limit, so
  the percentile is known as a range, of which `percentile` is the middle.
- The people of the reference are a sample of all people: the exact interval of Clopper and Pearson
  (1934, doi:10.1093/biomet/26.4.404) for the share below, from the lower end of the range to the
  upper one. No form of the distribution is assumed.
- The value itself was measured: the percentiles of the ends of its own 95 % interval.

A sample is placed among samples, one of each person of the reference, and a person with several
samples once more, by their median, among the medians of people. The median of few samples varies
more than that of many: `note` says how many there are on either side.

Nothing is compared that was not made alike: see `fermentome.cohort.processing`. A difference
rules out the measures that it concerns, and all differences are named.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import binomtest, norm

from fermentome.cohort.data import Account, Metadata
from fermentome.cohort.measures import KINDS, LOG2, Measure
from fermentome.cohort.processing import (
    READ_LENGTH_TOLERANCE,
    AnyPath,
    Difference,
    Processing,
    concerned_by,
    differences_between,
    fits_read_length,
    made_like,
    unit_of,
)
from fermentome.cohort.reference_cohort import (
    LEAST_PEOPLE,
    PERSON,
    SAMPLE,
    PersonValue,
    ReferenceCohort,
    ReferenceMeasure,
    interval_of,
    median_of,
    read_lengths,
    stratum_of,
)
from fermentome.tables import Cell, write_table

__all__ = [
    "CHECK_COLUMNS",
    "PERCENTILE_COLUMNS",
    "Place",
    "place_within",
    "percentiles_of",
    "write_percentiles",
]

PERCENTILE_COLUMNS = (
    "reference", "measure", "of", "stratum", "subject", "sample", "timepoint", "value", "unit",
    "below_detection", "people", "percentile", "percentile_low", "percentile_high", "ci_low",
    "ci_high", "own_low", "own_high", "position", "note",
)  # fmt: skip
CHECK_COLUMNS = ("key", "reference", "here", "same", "concerns")

ALL = "all"
BELOW, WITHIN, ABOVE = "below_all", "within", "above_all"
CONFIDENCE = 0.95
_DEVIATE = float(norm.ppf(0.5 + CONFIDENCE / 2))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands among people.

    Attributes
    ----------
    low, high
        Percent of the people that are surely below, and that may be.
    ci_low, ci_high
        95 % interval of these for all people like those of the reference.
    position
        Whether the value is below all people, above all, or between two of them.
    people
        Number of people.
    """

    low: float
    high: float
    ci_low: float
    ci_high: float
    position: str
    people: int

    @property
    def percentile(self) -> float:
        """Middle of the range: for ties, the percentile rank."""
        return (self.low + self.high) / 2


class People:
    """Values of a reference, sorted so that many values can be placed among them."""

    def __init__(self, values: Iterable[PersonValue]) -> None:
        pairs = [(value.low, value.high) for value in values]
        self.lows = sorted(low for low, _ in pairs)
        self.highs = sorted(high for _, high in pairs)

    def place(self, low: float, high: float) -> Place:
        """Place a value that lies between `low` and `high`."""
        return _place(bisect_left(self.highs, low), bisect_right(self.lows, high), len(self.lows))


def place_within(value: tuple[float, float], values: Iterable[PersonValue]) -> Place:
    """Place a value, given as the interval in which it lies, among people.

    >>> people = [PersonValue(float(n), float(n)) for n in range(1, 21)]
    >>> place = place_within((10.5, 10.5), people)
    >>> place.percentile, round(place.ci_low, 2), round(place.ci_high, 2)
    (50.0, 27.2, 72.8)
    """
    return People(values).place(*value)


@cache
def _place(surely: int, perhaps: int, people: int) -> Place:
    """Place of a value above `surely` people and, at most, above `perhaps` of them."""
    low = binomtest(surely, people).proportion_ci(CONFIDENCE, method="exact").low
    high = binomtest(perhaps, people).proportion_ci(CONFIDENCE, method="exact").high
    position = ABOVE if surely == people else BELOW if perhaps == 0 else WITHIN
    return Place(
        100 * surely / people, 100 * perhaps / people, 100 * float(low), 100 * float(high),
        position, people,
    )  # fmt: skip


# --- percentiles of a run -------------------------------------------------------------------------


def percentiles_of(
    measures: Sequence[Measure],
    metadata: Metadata,
    reference: ReferenceCohort,
    processing: Processing,
    account: Account,
) -> list[dict[str, Cell]]:
    """Percentiles of all samples within a reference cohort.

    Parameters
    ----------
    processing
        Of the run.
    account
        Is told what was refused, with every difference, and which samples and measures are not
        in the table.

    Returns
    -------
    list of dict
        Rows of `PERCENTILE_COLUMNS`, by measure, stratum, subject and sample; a value that is not
        known has a row without percentile. Beside all people of the reference a sample is placed
        in its own stratum where that has `LEAST_PEOPLE`.
    """
    kinds = {made_like(measure) for measure in measures} & set(KINDS)
    differences = differences_between(reference.processing, processing, kinds)
    refused = {kind for difference in differences for kind in difference.concerns}
    for kind in sorted(refused):
        why = "; ".join(str(one) for one in differences if kind in one.concerns)
        account.left_out(
            kind,
            f"{reference.label} was processed differently: {why}. Process the samples like the"
            " reference, or take one that was processed like them",
        )
    fitting = _samples_of_fitting_length(metadata, reference, processing, account)
    samples = {name: _sample(metadata, name, reference) for name in sorted(fitting)}
    rows: list[dict[str, Cell]] = []
    for measure in sorted(measures, key=lambda measure: measure.name):
        known = _reference_measure(measure, reference, processing, refused, account)
        if known is not None and samples:
            rows += _rows_of(measure, known, samples, reference)
            account.done(measure.name, len(samples.keys() & set(measure.samples)))
    return sorted(rows, key=_row_order)


def _samples_of_fitting_length(
    metadata: Metadata, reference: ReferenceCohort, processing: Processing, account: Account
) -> set[str]:
    """Samples whose reads are as long as those of the reference; of the others it is said."""
    middle = reference.read_length[0]
    fitting, others, unknown = set(), [], []
    for sample, length in read_lengths(metadata, processing).items():
        if length is None:
            unknown.append(sample)
        elif all(fits_read_length(end, middle) for end in length):
            fitting.add(sample)
        else:
            others.append((sample, length))
    if others:
        shortest = min(length[0] for _, length in others)
        longest = max(length[1] for _, length in others)
        account.left_out(
            "read_length",
            f"mean read lengths of {shortest:g} to {longest:g} nt, {middle:g} nt in"
            f" {reference.label}; expected a difference of up to {READ_LENGTH_TOLERANCE:.0%}."
            f" Samples: {_some([sample for sample, _ in others])}",
            len(others),
        )
    if unknown:
        account.left_out(
            "read_length",
            "not known, so nobody can say whether it is that of the reference; expected a column"
            " mean_clean_read_length of the metadata, or read_length in the processing. Samples:"
            f" {_some(unknown)}",
            len(unknown),
        )
    return fitting


@dataclass(frozen=True, slots=True)
class _Sample:
    """What the metadata say of a sample."""

    subject: str | None
    timepoint: str | None
    stratum: tuple[str, ...]


def _sample(metadata: Metadata, sample: str, reference: ReferenceCohort) -> _Sample:
    stratum: tuple[str, ...] = ()
    if reference.strata and all(column in metadata.columns for column in reference.strata):
        stratum = stratum_of(metadata, sample, reference.strata)
    return _Sample(metadata.of("subject", sample), metadata.of("timepoint", sample), stratum)


def _some(samples: Sequence[str]) -> str:
    more = f" and {len(samples) - 5} more" if len(samples) > 5 else ""
    return ", ".join(samples[:5]) + more


def _reference_measure(
    measure: Measure,
    reference: ReferenceCohort,
    processing: Processing,
    refused: set[str],
    account: Account,
) -> ReferenceMeasure | None:
    """The measure in the reference, if it may be compared."""
    kind, unit = made_like(measure), unit_of(measure, processing)
    if kind in refused:
        return None
    known = reference.measures.get(measure.name)
    if kind not in KINDS:
        account.left_out(
            measure.name, f"is none of {', '.join(KINDS)}: what it depends on is unknown"
        )
    elif known is None:
        account.left_out(measure.name, f"is not in {reference.label}")
    elif known.unit != unit:
        hint = " (cohort.rarefaction_depth sets the reads)" if unit != measure.unit else ""
        account.left_out(
            measure.name,
            f"unit: {known.unit} in {reference.label}, {unit or 'one that is not stated'} here;"
            f" expected the same{hint}",
        )
    elif len(known.samples) < LEAST_PEOPLE:
        account.left_out(
            measure.name,
            f"{len(known.samples)} people in {reference.label}, {LEAST_PEOPLE} expected",
        )
    else:
        return known
    return None


def _rows_of(
    measure: Measure,
    known: ReferenceMeasure,
    samples: Mapping[str, _Sample],
    reference: ReferenceCohort,
) -> Iterator[dict[str, Cell]]:
    """Rows of the samples, then those of the people who have several."""
    by_person: dict[str, list[tuple[float, float]]] = defaultdict(list)
    of_person: dict[str, _Sample] = {}
    everybody = _groups(known.samples)
    scale = measure.on_scale()
    for i, name in enumerate(measure.samples):
        if name not in samples:
            continue
        sample = samples[name]
        ends = interval_of(measure, i)
        own = None if measure.below[i] else _own_interval(measure, i, float(scale[i]))
        cells: dict[str, Cell] = {
            "of": SAMPLE, "subject": sample.subject, "sample": name,
            "timepoint": sample.timepoint, "value": float(measure.values[i]),
            "below_detection": bool(measure.below[i]),
        }  # fmt: skip
        yield from _placed(measure, reference, cells, ends, own, sample.stratum, everybody)
        if sample.subject is not None and not math.isnan(ends[0]):
            by_person[sample.subject].append(ends)
            of_person.setdefault(sample.subject, sample)
    people = _groups(known.medians) if known.medians else {}
    for subject, values in sorted(by_person.items()):
        if people and len(values) > 1:
            ends = median_of(values)
            usual = reference.samples_per_person[0]
            cells = {
                "of": PERSON, "subject": subject, "value": sum(ends) / 2,
                "below_detection": ends[0] == 0 and measure.scale == LOG2,
                "note": f"median of {len(values)} samples, among medians of {usual:g} samples per"
                " person",
            }  # fmt: skip
            stratum = of_person[subject].stratum
            yield from _placed(measure, reference, cells, ends, None, stratum, people)


def _groups(values: Sequence[PersonValue]) -> dict[tuple[str, ...], People]:
    """All people, by the empty stratum, and those of each stratum that has enough."""
    by_stratum: dict[tuple[str, ...], list[PersonValue]] = defaultdict(list)
    for value in values:
        if value.stratum:
            by_stratum[value.stratum].append(value)
    return {(): People(values)} | {
        stratum: People(own) for stratum, own in by_stratum.items() if len(own) >= LEAST_PEOPLE
    }


def _own_interval(measure: Measure, i: int, on_scale: float) -> tuple[float, float] | None:
    """95 % interval of the value itself; `None` where its error is not known."""
    error = float(measure.errors[i])
    if math.isnan(error) or math.isnan(on_scale):
        return None
    low, high = measure.back_to_unit(
        np.array([on_scale - _DEVIATE * error, on_scale + _DEVIATE * error])
    )
    return float(low), float(high)


def _placed(
    measure: Measure,
    reference: ReferenceCohort,
    cells: Mapping[str, Cell],
    ends: tuple[float, float],
    own: tuple[float, float] | None,
    stratum: tuple[str, ...],
    groups: Mapping[tuple[str, ...], People],
) -> Iterator[dict[str, Cell]]:
    """Rows of one value: among all people, and among those of its stratum."""
    for group in dict.fromkeys(((), stratum)):
        if group not in groups:
            continue
        people = groups[group]
        words = zip(reference.strata, group, strict=False)
        row: dict[str, Cell] = dict.fromkeys(PERCENTILE_COLUMNS)
        row |= {
            "reference": reference.label,
            "measure": measure.name,
            "stratum": "; ".join(f"{column}={level}" for column, level in words) or ALL,
            "unit": reference.measures[measure.name].unit,
            "people": len(people.lows),
            "note": "",
        }
        row |= cells
        if math.isnan(ends[0]):
            yield row | {"below_detection": None, "note": "not known"}
            continue
        place = people.place(*ends)
        row |= {
            "percentile": place.percentile,
            "percentile_low": place.low,
            "percentile_high": place.high,
            "ci_low": place.ci_low,
            "ci_high": place.ci_high,
            "position": place.position,
        }
        if own is not None:
            row |= {
                "own_low": people.place(own[0], own[0]).percentile,
                "own_high": people.place(own[1], own[1]).percentile,
            }
        yield row


def _row_order(row: Mapping[str, Cell]) -> tuple[str, str, bool, str, str, str]:
    stratum = str(row["stratum"])
    return (
        str(row["measure"]), "" if row["of"] == SAMPLE else PERSON, stratum != ALL, stratum,
        str(row["subject"] or ""), str(row["sample"] or ""),
    )  # fmt: skip


# --- files ----------------------------------------------------------------------------------------


def check_rows(
    reference: ReferenceCohort, processing: Processing, kinds: Iterable[str]
) -> list[dict[str, Cell]]:
    """Rows of `CHECK_COLUMNS`: every fact of the processing on both sides, and whether they agree.

    Parameters
    ----------
    kinds
        Kinds of measures that were to be compared.
    """
    wanted = set(kinds)
    differences: dict[str, Difference] = {
        difference.key: difference
        for difference in differences_between(reference.processing, processing, wanted)
    }
    left, right = reference.processing.words, processing.words
    return [
        {
            "key": key,
            "reference": left.get(key),
            "here": right.get(key),
            "same": key not in differences,
            "concerns": ", ".join(kind for kind in concerned_by(key) if kind in wanted),
        }
        for key in sorted(left.keys() | right.keys() | differences.keys())
    ]


def write_percentiles(
    measures: Sequence[Measure],
    metadata: Metadata,
    reference: ReferenceCohort,
    processing: Processing,
    account: Account,
    outputs: Mapping[str, AnyPath],
) -> None:
    """Write the percentiles of a run and how its processing compares.

    Parameters
    ----------
    outputs
        Paths of ``percentiles`` (`PERCENTILE_COLUMNS`) and ``check`` (`CHECK_COLUMNS`).
    """
    rows = percentiles_of(measures, metadata, reference, processing, account)
    write_table(outputs["percentiles"], PERCENTILE_COLUMNS, rows)
    kinds = {made_like(measure) for measure in measures} & set(KINDS)
    write_table(outputs["check"], CHECK_COLUMNS, check_rows(reference, processing, kinds))
