"""A reference cohort: what a measure is like in people who were chosen for a reason.

It is a folder of two files. ``reference_cohort.yaml`` says who the people are, where the data came
from, how the reads were processed, and holds an id, the SHA-256 over all of it and the values.
``values.tsv`` holds one row per measure and person: the value, as an interval where it was below
detection, and strata such as sex or a band of age. Of people with several samples it holds two
values: one sample, drawn with a fixed seed, and the median of all. A sample is to be compared with
samples and a person with people: in HMP2 (27 people without inflammatory bowel disease, 14 samples
each in the median), 32 % of these very samples lay outside the middle 90 % of the medians in
Shannon diversity. Either way nobody counts twice.

What it must not hold is people. No sample and no person is named, no text holds a date, and the
rows of a measure are sorted by value within a stratum, so that the rows of different measures
cannot be put together to the profile of a person: profiles of gut communities single out most
people (Franzosa et al. 2015, doi:10.1073/pnas.1423854112). A stratum of fewer than `FLOOR` people
is not named. Who already has a person's own values can still look for them; a cohort that must
not be found in cannot be given away in this form.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import zlib
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml

from fermentome.cohort.data import Account, Metadata
from fermentome.cohort.measures import KINDS, Measure
from fermentome.cohort.processing import (
    READ_LENGTH_TOLERANCE,
    AnyPath,
    Processing,
    check_schema,
    differences_between,
    fits_read_length,
    made_like,
    parse_processing,
    unit_of,
)
from fermentome.databases.manifest import sha256_of
from fermentome.errors import CohortError, TableError
from fermentome.tables import format_cell, read_table, write_table

__all__ = [
    "FLOOR",
    "LEAST_PEOPLE",
    "Contribution",
    "Description",
    "ReferenceCohort",
    "ReferenceMeasure",
    "coarsen",
    "make_reference",
    "read_lengths",
    "read_reference",
    "stratum_of",
    "write_reference",
]

DEFINITION, VALUES = "reference_cohort.yaml", "values.tsv"
FORMAT = 1

LEAST_PEOPLE = 20
"""Fewest people of a reference.

Of 20 the exact interval of a percentile is 46 points wide in the middle (27 to 73 at 10 of 20),
and a value above all of them is known to lie above 83 % of people only (0.025^(1/20)): fewer say
little more than high or low. 20 is also the least that laboratory medicine takes to check limits
of reference (CLSI EP28-A3c), and below which guidelines advise to give no limits at all
(Friedrichs et al. 2012, doi:10.1111/vcp.12006). It asks for 120 to estimate the outer 2.5 %, so
the interval stands beside every percentile.
"""

FLOOR = 11
"""Fewest people of a stratum that is named.

No cell of 1 to 10 people, and none that can be told from others, is the rule for publishing data
of Medicare (https://resdac.org/node/1506); a risk of 0.09, one of eleven, is that of the European
Medicines Agency for clinical reports (policy 0070).
"""

SAMPLE, PERSON = "sample", "person"
"""Of what a value is: one sample of a person, or the median of all."""
DRAW_SEED = 1
"""Of the sample that is drawn of each person; no setting, so that none can be shopped for."""
_OWN_COLUMNS = ("measure", "of", "low", "high")
READ_LENGTH_COLUMN = "mean_clean_read_length"
_DATE = re.compile(r"(?<!\d)(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3\d{4})(?!\d)")
_TEXTS = ("name", "version", "description", "source", "licence", "selection")
_LEAST_NAME = 3
"""Letters of a name that is looked for in texts; shorter ones, as S1, stand there by chance."""


@dataclass(frozen=True, slots=True)
class Description:
    """What the maker of a reference cohort says of it, all of it text.

    Attributes
    ----------
    name, version
        As ``hmp2-non-ibd`` and ``1``.
    source
        Where the data came from, as a DOI.
    selection
        How the people were chosen.
    """

    name: str
    version: str
    description: str
    source: str
    licence: str
    selection: str


@dataclass(frozen=True, slots=True)
class Contribution:
    """Samples of one run that a reference cohort is made from."""

    measures: Sequence[Measure]
    metadata: Metadata
    processing: Processing


@dataclass(frozen=True, slots=True)
class PersonValue:
    """Value of a person: between `low` and `high`, the same where it was detected."""

    low: float
    high: float
    stratum: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReferenceMeasure:
    """One measure in the people of a reference.

    Attributes
    ----------
    samples
        One sample of each person, sorted by stratum and value. An empty stratum is not named.
    medians
        The median of each person's samples; the same people. Empty if nobody has two samples.
    """

    unit: str
    scale: str
    samples: tuple[PersonValue, ...]
    medians: tuple[PersonValue, ...] = ()


@dataclass(frozen=True, slots=True)
class ReferenceCohort:
    """A reference cohort as it is on disk.

    Attributes
    ----------
    people
        Number of people; some may lack a measure.
    samples_per_person
        Median and most.
    read_length
        Median, least and most of the people's mean read lengths, nt.
    strata
        Columns of the strata, with edges of bands where there are any.
    id
        SHA-256 over all else; empty until it is written.
    """

    description: Description
    people: int
    samples_per_person: tuple[float, int]
    processing: Processing
    read_length: tuple[float, float, float]
    strata: Mapping[str, tuple[float, ...]]
    measures: Mapping[str, ReferenceMeasure]
    id: str = ""

    @property
    def label(self) -> str:
        """How it is called: ``name@version``."""
        return f"{self.description.name}@{self.description.version}"


# --- making ---------------------------------------------------------------------------------------


def make_reference(
    description: Description,
    contributions: Sequence[Contribution],
    account: Account,
    *,
    where: Mapping[str, str] | None = None,
    strata: Mapping[str, Sequence[float]] | None = None,
) -> ReferenceCohort:
    """Make a reference cohort from the measures of one or more runs.

    Parameters
    ----------
    account
        Is told which measures and strata are not in it.
    where
        Columns of the metadata with the value that a sample must have to count.
    strata
        Columns that divide the people; with edges, as ``(18, 40, 65)``, numbers become bands
        such as ``18-40`` (18 is in it, 40 is not), ``<18`` and ``>=65``. The stratum of a person
        is that of the first sample by name.

    Raises
    ------
    CohortError
        If the runs were not processed alike, read lengths are unknown or differ, there are fewer
        than `LEAST_PEOPLE` people, or a text names a sample, a person or a date.
    """
    source = description.name
    if not contributions:
        raise CohortError(f"{source}: no run was given; expected measures of one at least")
    edges = {
        column: _check_edges(column, bands) for column, bands in sorted((strata or {}).items())
    }
    chosen = [_choose(part.metadata, where or {}) for part in contributions]
    people = _people_of(contributions, chosen)
    if len(people) < LEAST_PEOPLE:
        raise CohortError(
            f"{source}: {len(people)} people, expected {LEAST_PEOPLE} at least: of fewer,"
            " percentiles say little more than high or low"
        )
    _check_processing(contributions)
    _check_texts(description, contributions)

    _say_people(account, contributions, people)
    lengths = _lengths_of_people(contributions, people)
    strata_of = {
        person: _stratum(contributions[part].metadata, samples[0], edges)
        for person, (part, samples) in people.items()
    }
    numbers = sorted(len(samples) for _, samples in people.values())
    repeated = numbers[-1] > 1
    measures: dict[str, ReferenceMeasure] = {}
    for name in _shared_measures(contributions, account):
        of_run = [_by_name(part)[name] for part in contributions]
        values = _values_of_people(of_run, people)
        if len(values) < LEAST_PEOPLE:
            account.left_out(
                name,
                f"known of {len(values)} people, a reference needs {LEAST_PEOPLE}",
                subjects=len(values),
            )
            continue
        cells = coarsen([strata_of[person] for person in values])
        drawn = [ends[0] for ends in values.values()]
        medians = [median_of(ends) for ends in values.values()] if repeated else []
        measures[name] = ReferenceMeasure(
            str(unit_of(of_run[0], contributions[0].processing)),
            of_run[0].scale,
            _sorted_values(drawn, cells),
            _sorted_values(medians, cells if repeated else []),
        )
        _say_measure(account, name, values, cells, bool(edges))
    if not measures:
        raise CohortError(
            f"{source}: no measure is known of {LEAST_PEOPLE} people; the account says of how many"
        )
    return ReferenceCohort(
        description, len(people), (float(median(numbers)), numbers[-1]),
        contributions[0].processing, lengths, edges, measures,
    )  # fmt: skip


def _say_measure(
    account: Account,
    name: str,
    values: Mapping[str, object],
    cells: Sequence[tuple[str, ...]],
    has_strata: bool,
) -> None:
    unnamed = sum(not cell for cell in cells)
    if has_strata and unnamed:
        account.partly(
            name,
            f"{unnamed} people stand without stratum: it is missing, or was named for fewer than"
            f" {FLOOR} people",
            None,
            len(values),
        )
    else:
        account.done(name, None, len(values))


def _choose(metadata: Metadata, where: Mapping[str, str]) -> list[str]:
    """Samples that have the values wanted, and a person."""
    for column, level in where.items():
        if column not in metadata.columns:
            raise CohortError(
                f"{metadata.source}: column {column!r} is missing, found"
                f" {', '.join(metadata.columns) or 'none'}; expected the column that chooses people"
            )
        if level not in metadata.columns[column].levels:
            raise CohortError(
                f"{metadata.source}, column {column}: no sample has {level!r}, found"
                f" {', '.join(metadata.columns[column].levels[:10])}"
            )
    columns = {column: metadata.columns[column].values for column in where}
    return [
        sample
        for i, sample in enumerate(metadata.samples)
        if all(columns[column][i] == level for column, level in where.items())
    ]


def _people_of(
    contributions: Sequence[Contribution], chosen: Sequence[Sequence[str]]
) -> dict[str, tuple[int, list[str]]]:
    """Number of the run and samples of each person; a sample without person is one of its own."""
    named = {level for part in contributions for level in part.metadata.column("subject").levels}
    people: dict[str, tuple[int, list[str]]] = {}
    for part, (contribution, samples) in enumerate(zip(contributions, chosen, strict=True)):
        metadata = contribution.metadata
        of_sample = dict(zip(metadata.samples, metadata.column("subject").values, strict=True))
        for sample in sorted(samples):
            # A sample must not become a sample of the person of the same name.
            alone = f"sample {sample}" if sample in named else sample
            person = of_sample[sample] or alone
            first, own = people.setdefault(person, (part, []))
            if first != part:
                raise CohortError(
                    f"{metadata.source}: subject {person!r} is also in"
                    f" {contributions[first].metadata.source}; give two people two names, and put"
                    " the samples of one person into one run"
                )
            own.append(sample)
    return dict(sorted(people.items()))


def _say_people(
    account: Account,
    contributions: Sequence[Contribution],
    people: Mapping[str, tuple[int, Sequence[str]]],
) -> None:
    samples = sum(len(own) for _, own in people.values())
    chosen = {(part, sample) for part, own in people.values() for sample in own}
    without = sum(
        value is None and (number, sample) in chosen
        for number, part in enumerate(contributions)
        for sample, value in zip(
            part.metadata.samples, part.metadata.column("subject").values, strict=True
        )
    )
    if without:
        reason = f"{without} samples have no subject and count as a person each"
        account.partly("people", reason, samples, len(people))
    else:
        account.done("people", samples, len(people))


def _check_processing(contributions: Sequence[Contribution]) -> None:
    """Refuse runs that were not processed alike."""
    first = contributions[0].processing
    kinds = {made_like(measure) for part in contributions for measure in part.measures}
    found = [
        f"{difference.key}: {difference.reference} in {first.source}, {difference.here} in"
        f" {part.processing.source}"
        for part in contributions
        for difference in differences_between(first, part.processing, kinds)
        if not difference.unstated
    ]
    if found:
        raise CohortError(
            "a reference cohort is of one processing; what differs:"
            f" {'; '.join(dict.fromkeys(found))}. Process all samples alike"
        )


def _check_texts(description: Description, contributions: Sequence[Contribution]) -> None:
    """Refuse dates, and names of samples or people, in what will be given away."""
    names = {
        name
        for part in contributions
        for name in (*part.metadata.samples, *part.metadata.column("subject").levels)
        if len(name) >= _LEAST_NAME
    }
    texts = {key: getattr(description, key) for key in _TEXTS} | contributions[0].processing.words
    for key, text in texts.items():
        dated = _DATE.search(text)
        if dated:
            raise CohortError(
                f"{description.name}, {key}: holds the date {dated[0]!r}; a reference cohort tells"
                " of no days, write the year"
            )
        for name in sorted(names):
            if name in text and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text):
                raise CohortError(
                    f"{description.name}, {key}: names {name!r}, which is a sample or a person; a"
                    " reference cohort names nobody"
                )


def read_lengths(
    metadata: Metadata, processing: Processing
) -> dict[str, tuple[float, float] | None]:
    """Shortest and longest mean read length, nt, that each sample may have.

    From the column ``mean_clean_read_length`` where the metadata have one, else as the processing
    states it; ``None`` where neither knows.
    """
    column = metadata.column(READ_LENGTH_COLUMN)
    known: dict[str, tuple[float, float] | None] = {}
    for i, sample in enumerate(metadata.samples):
        number = math.nan if column.numbers is None else float(column.numbers[i])
        known[sample] = processing.read_length if math.isnan(number) else (number, number)
        if number <= 0:
            known[sample] = None
    return known


def _lengths_of_people(
    contributions: Sequence[Contribution], people: Mapping[str, tuple[int, Sequence[str]]]
) -> tuple[float, float, float]:
    """Median, least and most of the people's mean read lengths."""
    of_part = [read_lengths(part.metadata, part.processing) for part in contributions]
    by_sample = {
        sample: of_part[part][sample] for part, samples in people.values() for sample in samples
    }
    unknown = sorted(sample for sample, length in by_sample.items() if length is None)
    if unknown:
        raise CohortError(
            f"read length: not known of {_some(unknown)}; expected a column {READ_LENGTH_COLUMN}"
            " of the metadata, or read_length in the processing"
        )
    lows = [length[0] for length in by_sample.values() if length]
    highs = [length[1] for length in by_sample.values() if length]
    middle = round(median(lows + highs), 1)
    apart = sorted(
        sample
        for sample, length in by_sample.items()
        if length and not all(fits_read_length(end, middle) for end in length)
    )
    if apart:
        raise CohortError(
            f"read length: {_some(apart)} of {len(by_sample)} differ by more than"
            f" {READ_LENGTH_TOLERANCE:.0%} from the median of {middle:g} nt (found {min(lows):g} to"
            f" {max(highs):g}); leave them out, or cut all reads to one length"
        )
    return middle, round(min(lows), 1), round(max(highs), 1)


def _some(samples: Sequence[str]) -> str:
    more = f" and {len(samples) - 3} more" if len(samples) > 3 else ""
    return ", ".join(samples[:3]) + more


def _by_name(part: Contribution) -> dict[str, Measure]:
    return {measure.name: measure for measure in part.measures}


def _shared_measures(contributions: Sequence[Contribution], account: Account) -> list[str]:
    """Measures that every run has, in one unit. One that a run lacks is not zero there."""
    everywhere = [_by_name(part) for part in contributions]
    processing = contributions[0].processing
    shared = []
    for name in sorted({name for measures in everywhere for name in measures}):
        own = [measures[name] for measures in everywhere if name in measures]
        units = {unit_of(measure, processing) for measure in own}
        having = sum(name in measures for measures in everywhere)
        unstated = [
            difference.key
            for difference in differences_between(processing, processing, [made_like(own[0])])
        ]
        if unstated:
            account.left_out(
                name,
                f"{', '.join(unstated)}: not stated by {processing.source}; nothing could be"
                " compared with it",
            )
        elif own[0].kind not in KINDS:
            account.left_out(name, f"is none of {', '.join(KINDS)}: what it depends on is unknown")
        elif having < len(everywhere):
            account.left_out(name, f"is in {having} of {len(everywhere)} runs; it must be in all")
        elif len(units) > 1:
            account.left_out(name, f"has different units: {', '.join(sorted(map(str, units)))}")
        elif None in units:
            account.left_out(
                name, "the depth, in reads, to which it was standardised is not stated"
            )
        else:
            shared.append(name)
    return shared


def interval_of(measure: Measure, i: int) -> tuple[float, float]:
    """Between which values sample `i` of a measure lies; the same twice where it was detected.

    Below detection it lies between zero and the limit, twice the value that stands for zero.
    Numbers are rounded as tables are, so that a value meets itself.
    """
    value = float(measure.values[i])
    if measure.below[i] and not math.isnan(value):
        limit = 2 * float(measure.floors[i])
        return 0.0, _rounded(value if math.isnan(limit) else max(limit, value))
    return _rounded(value), _rounded(value)


def _rounded(value: float) -> float:
    return value if math.isnan(value) else float(format_cell(value))


def _values_of_people(
    of_run: Sequence[Measure], people: Mapping[str, tuple[int, Sequence[str]]]
) -> dict[str, list[tuple[float, float]]]:
    """Values of each person's known samples, in an order that was drawn."""
    place = [{sample: i for i, sample in enumerate(measure.samples)} for measure in of_run]
    values = {}
    for person, (part, samples) in people.items():
        ends = [
            interval_of(of_run[part], place[part][sample])
            for sample in _shuffled(person, samples)
            if sample in place[part]
        ]
        ends = [pair for pair in ends if not math.isnan(pair[0])]
        if ends:
            values[person] = ends
    return values


def _shuffled(person: str, samples: Sequence[str]) -> list[str]:
    """Samples in a random order that depends on the name of the person alone."""
    random = np.random.default_rng([DRAW_SEED, zlib.crc32(person.encode())])
    return [sorted(samples)[i] for i in random.permutation(len(samples))]


def median_of(values: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Interval in which the median of values lies that are known as intervals.

    It is that of the medians of their ends, since a median grows with each of its values.

    >>> median_of([(0.0, 0.2), (0.5, 0.5), (0.0, 0.1), (0.7, 0.7)])
    (0.25, 0.35)
    """
    return (
        _rounded(median(low for low, _ in values)), _rounded(median(high for _, high in values))
    )  # fmt: skip


def _sorted_values(
    values: Sequence[tuple[float, float]], cells: Sequence[tuple[str, ...]]
) -> tuple[PersonValue, ...]:
    rows = [PersonValue(*ends, cell) for ends, cell in zip(values, cells, strict=True)]
    return tuple(sorted(rows, key=lambda row: (row.stratum, row.low, row.high)))


# --- strata ---------------------------------------------------------------------------------------


def _check_edges(column: str, edges: Sequence[float]) -> tuple[float, ...]:
    if column in _OWN_COLUMNS:
        raise CohortError(
            f"strata: {column!r} is a column of the values themselves; rename that of the metadata"
        )
    if any(left >= right for left, right in pairwise(edges)):
        raise CohortError(
            f"strata, {column}: edges are {', '.join(f'{edge:g}' for edge in edges)}; expected"
            " growing numbers"
        )
    return tuple(float(edge) for edge in edges)


def _stratum(
    metadata: Metadata, sample: str, strata: Mapping[str, tuple[float, ...]]
) -> tuple[str, ...]:
    for column in strata:
        if column not in metadata.columns:
            raise CohortError(
                f"{metadata.source}: column {column!r} is missing, found"
                f" {', '.join(metadata.columns)}; expected the column of a stratum"
            )
    return stratum_of(metadata, sample, strata)


def stratum_of(
    metadata: Metadata, sample: str, strata: Mapping[str, tuple[float, ...]]
) -> tuple[str, ...]:
    """Stratum of a sample, one level per column; empty if one of them is missing.

    Raises
    ------
    CohortError
        If a level is a date, or no number where bands are wanted.
    """
    levels = []
    row = metadata.samples.index(sample)
    for column, edges in strata.items():
        cell = metadata.column(column).values[row]
        if cell is None:
            return ()
        if _DATE.search(cell):
            raise CohortError(
                f"{metadata.source}, column {column}: {cell!r} is a date; a stratum of days would"
                " tell when people were sampled"
            )
        levels.append(_band(cell, edges, f"{metadata.source}, column {column}"))
    return tuple(levels)


def _band(cell: str, edges: Sequence[float], place: str) -> str:
    if not edges:
        return cell
    try:
        number = float(cell)
    except ValueError:
        raise CohortError(
            f"{place}: {cell!r} is no number; expected one, as bands are made of it"
        ) from None
    position = bisect_right(edges, number)
    if position == 0:
        return f"<{edges[0]:g}"
    if position == len(edges):
        return f">={edges[-1]:g}"
    return f"{edges[position - 1]:g}-{edges[position]:g}"


def coarsen(cells: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Take the name from every stratum of fewer than `FLOOR` people.

    If those without a name are fewer than that themselves, the smallest stratum joins them: else
    they could be told from the numbers of the others.

    Returns
    -------
    list of tuple
        In the order given; empty where there is no name.
    """
    named = Counter(cell for cell in cells if cell)
    hidden = {cell for cell, people in named.items() if people < FLOOR}
    while True:
        rest = sum(not cell or cell in hidden for cell in cells)
        left = sorted((people, cell) for cell, people in named.items() if cell not in hidden)
        if not left or rest == 0 or rest >= FLOOR:
            return [() if cell in hidden else cell for cell in cells]
        hidden.add(left[0][1])


# --- on disk --------------------------------------------------------------------------------------


def write_reference(reference: ReferenceCohort, folder: AnyPath) -> ReferenceCohort:
    """Write a reference cohort to a folder, which is made; the same people give the same bytes.

    Returns
    -------
    ReferenceCohort
        With its id.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    columns = (*_OWN_COLUMNS[:2], *reference.strata, *_OWN_COLUMNS[2:])
    write_table(
        folder / VALUES,
        columns,
        (
            dict.fromkeys(columns)
            | {"measure": name, "of": of, "low": row.low, "high": row.high}
            | dict(zip(reference.strata, row.stratum, strict=False))
            for name, measure in sorted(reference.measures.items())
            for of, rows in ((SAMPLE, measure.samples), (PERSON, measure.medians))
            for row in rows
        ),
    )
    content = _content(reference) | {"values_sha256": sha256_of(folder / VALUES)}
    content["id"] = _identity(content)
    check_schema(content, "", str(folder / DEFINITION))
    text = yaml.safe_dump(content, sort_keys=True, allow_unicode=True, width=96)
    (folder / DEFINITION).write_text(text, encoding="utf-8")
    return read_reference(folder)


def _content(reference: ReferenceCohort) -> dict[str, Any]:
    words = reference.description
    middle, low, high = reference.read_length
    usual, most = reference.samples_per_person
    return {key: getattr(words, key) for key in _TEXTS} | {
        "format": FORMAT,
        "people": reference.people,
        "samples_per_person": {"median": usual, "most": most},
        "processing": {section: dict(v) for section, v in reference.processing.content.items()},
        "read_length": {"median": middle, "low": low, "high": high},
        "strata": {column: list(edges) for column, edges in reference.strata.items()},
        "measures": {
            name: {"unit": one.unit, "scale": one.scale, "people": len(one.samples)}
            for name, one in sorted(reference.measures.items())
        },
    }


def _identity(content: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != "id"}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_reference(folder: AnyPath) -> ReferenceCohort:
    """Read a reference cohort and check that nobody edited it.

    Raises
    ------
    CohortError
        If a file is missing, breaks the schema, is not what the id says, or holds too few people.
    """
    folder = Path(folder)
    path = folder / DEFINITION
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CohortError(
            f"{path}: cannot be read ({error.strerror}); expected the folder of a reference cohort,"
            " which `fermentome cohort reference` makes"
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise CohortError(
            f"{path}: is not YAML ({' '.join(str(error).split()):.300}); expected the description"
            " of a reference cohort"
        ) from error
    check_schema(content, "", str(path))
    expected = _identity(content)
    if content["id"] != expected:
        raise CohortError(
            f"{path}: id is {content['id']}, that of its content is {expected}: it was edited or"
            " damaged after it was written. Take the original, or make it again"
        )
    measures = _read_values(folder / VALUES, content)
    length, numbers = content["read_length"], content["samples_per_person"]
    return ReferenceCohort(
        Description(**{key: content[key] for key in _TEXTS}),
        content["people"],
        (float(numbers["median"]), numbers["most"]),
        parse_processing(content["processing"], str(path)),
        (float(length["median"]), float(length["low"]), float(length["high"])),
        {column: tuple(map(float, edges)) for column, edges in content["strata"].items()},
        measures,
        content["id"],
    )


def _read_values(path: Path, content: Mapping[str, Any]) -> dict[str, ReferenceMeasure]:
    """Rows of the values by measure; they must be those that the description counts."""
    try:
        found = sha256_of(path)
        rows = read_table(path, ("measure", "of", *content["strata"], "low", "high"))
    except (OSError, TableError) as error:
        raise CohortError(
            f"{path}: {error}; expected the values of the reference cohort. Take the original"
        ) from error
    if found != content["values_sha256"]:
        raise CohortError(
            f"{path}: sha256 is {found}, {DEFINITION} says {content['values_sha256']}: it was"
            " edited or damaged after it was written. Take the original, or make it again"
        )
    found_rows: dict[tuple[str, str], list[PersonValue]] = defaultdict(list)
    for number, row in enumerate(rows, start=2):
        levels = tuple(row[column] for column in content["strata"])
        stratum = () if "NA" in levels else levels
        try:
            low, high = float(row["low"]), float(row["high"])
        except ValueError as error:
            raise CohortError(f"{path}, line {number}: {error}; expected two numbers") from error
        found_rows[row["measure"], row["of"]].append(PersonValue(low, high, stratum))
    repeated = content["samples_per_person"]["most"] > 1
    stated = {
        (name, of): entry["people"]
        for name, entry in content["measures"].items()
        for of in ((SAMPLE, PERSON) if repeated else (SAMPLE,))
    }
    counted = {key: len(values) for key, values in found_rows.items()}
    wrong = sorted(
        key for key in stated.keys() | counted.keys() if stated.get(key) != counted.get(key)
    )
    if wrong:
        name, of = wrong[0]
        raise CohortError(
            f"{path}: {name}, {of}: {counted.get(wrong[0], 0)} people, {DEFINITION} says"
            f" {stated.get(wrong[0], 0)}. Take the original, or make it again"
        )
    return {
        name: ReferenceMeasure(
            entry["unit"],
            entry["scale"],
            tuple(found_rows[name, SAMPLE]),
            tuple(found_rows[name, PERSON] if repeated else ()),
        )
        for name, entry in sorted(content["measures"].items())
    }
