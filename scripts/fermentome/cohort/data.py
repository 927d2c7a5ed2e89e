"""What every analysis of a cohort works on: feature tables, metadata, and an account of them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from fermentome.errors import CohortError
from fermentome.tables import Cell

Numbers = npt.NDArray[np.float64]

TAXA, FAMILIES, PATHWAYS, PRODUCTS = "taxa", "families", "pathways", "products"
CARRIERS = "carriers"
"""Copies of the routes to a product by genus: features are ``butyrate|Faecalibacterium``."""
ORGANISMS = "organisms"
"""Potential of a product by organism evidence alone: shares of cells times phenotypes."""
TABLES = (TAXA, FAMILIES, PATHWAYS, PRODUCTS, CARRIERS, ORGANISMS)

SUBJECT, DEPTH_COLUMN = "subject", "clean_reads"
"""Columns of the metadata: the person, and the depth as in ``results/tables/reads.tsv``."""

MISSING = frozenset(
    {"", "na", "n/a", "nan", "null", "none", "missing", "not collected", "not applicable",
     "not provided", "restricted access"}
)  # fmt: skip
"""Cells that say that a value is missing, in lower case: usual spellings, and the terms of INSDC
(https://www.insdc.org/technical-specifications/missing-value-reporting/)."""


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Generator of its own for each thing that is drawn, the same in each run.

    Parameters
    ----------
    seed
        Of the settings.
    names
        What is drawn; another name gives other numbers.

    Examples
    --------
    >>> generator(1, "folds", 2).random() == generator(1, "folds", 2).random()
    True
    """
    words = [name if isinstance(name, int) else zlib.crc32(name.encode()) for name in names]
    return np.random.default_rng([seed, *words])


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """One kind of feature in all samples.

    Attributes
    ----------
    name
        One of `TABLES`.
    samples, features
        Names; samples sorted by name (code point), features too.
    values
        Of shape (samples, features). 0 is zero; NaN is not known (failed, or not estimable).
    unit
        As ``relative abundance`` or ``copies per genome``.
    compositional
        Whether a row is shares of a whole, so that one rises when another falls.
    lineages
        Lineage of a feature, as ``d__Bacteria;...;s__Name``, where there is one.
    low, high
        95 % interval of `values`, same shape; NaN where not known.
    limits
        Detection limit in the unit of `values`, same shape; NaN where not known.
    counts
        Reads of each feature, same shape, for standardisation to equal depth.
    """

    name: str
    samples: tuple[str, ...]
    features: tuple[str, ...]
    values: Numbers
    unit: str
    compositional: bool
    lineages: Mapping[str, str] = field(default_factory=dict)
    low: Numbers | None = None
    high: Numbers | None = None
    limits: Numbers | None = None
    counts: Numbers | None = None

    def __post_init__(self) -> None:
        shape = (len(self.samples), len(self.features))
        for part in (self.values, self.low, self.high, self.limits, self.counts):
            if part is not None and part.shape != shape:
                raise CohortError(
                    f"table {self.name}: {part.shape} values, {shape} expected: one row per"
                    " sample and one column per feature"
                )

    def select(
        self, samples: Sequence[str] | None = None, features: Sequence[str] | None = None
    ) -> FeatureTable:
        """The table of some samples and features, in the order given."""
        samples = self.samples if samples is None else tuple(samples)
        features = self.features if features is None else tuple(features)
        row = {name: i for i, name in enumerate(self.samples)}
        column = {name: i for i, name in enumerate(self.features)}
        grid = np.ix_([row[s] for s in samples], [column[f] for f in features])

        def part(values: Numbers | None) -> Numbers | None:
            return None if values is None else values[grid]

        return replace(
            self, samples=samples, features=features, values=self.values[grid],
            low=part(self.low), high=part(self.high), limits=part(self.limits),
            counts=part(self.counts),
        )  # fmt: skip

    def known_samples(self) -> tuple[str, ...]:
        """Samples with at least one value that is known."""
        unknown = np.isnan(self.values)
        return tuple(s for s, row in zip(self.samples, unknown, strict=True) if not row.all())


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the metadata.

    Attributes
    ----------
    name
        As in the header.
    values
        Text by sample; `None` is missing.
    numbers
        The same as numbers if every known cell is one, else `None`. NaN is missing.
    """

    name: str
    values: tuple[str | None, ...]
    numbers: Numbers | None

    @property
    def levels(self) -> tuple[str, ...]:
        """Distinct known values, sorted."""
        return tuple(sorted({value for value in self.values if value is not None}))

    @property
    def missing(self) -> int:
        """Number of samples without a value."""
        return sum(value is None for value in self.values)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known of the samples beside their features.

    Attributes
    ----------
    samples
        Sorted by name.
    columns
        By name, in the order of the header; ``subject``, ``timepoint``, ``event``,
        ``replicate`` and ``group`` among them where the header has them.
    source
        File that it came from, for messages.
    """

    samples: tuple[str, ...]
    columns: Mapping[str, Column]
    source: str = "metadata"

    def column(self, name: str) -> Column:
        """A column; one in which every sample is missing if there is none of that name."""
        if name in self.columns:
            return self.columns[name]
        return Column(name, (None,) * len(self.samples), None)

    @property
    def people(self) -> tuple[str, ...]:
        """Who gave each sample; a sample without a subject is a person of its own."""
        # The words keep a sample's name apart from a subject of the same name.
        return tuple(
            f"sample {sample}" if subject is None else f"subject {subject}"
            for sample, subject in zip(self.samples, self.column(SUBJECT).values, strict=True)
        )

    def of(self, name: str, sample: str) -> str | None:
        """Cell of a sample."""
        return self.column(name).values[self.samples.index(sample)]

    def select(self, samples: Sequence[str]) -> Metadata:
        """The metadata of some samples, in the order given."""
        row = {name: i for i, name in enumerate(self.samples)}
        kept = [row[s] for s in samples]
        columns = {
            name: Column(
                name,
                tuple(column.values[i] for i in kept),
                None if column.numbers is None else column.numbers[kept],
            )
            for name, column in self.columns.items()
        }
        return Metadata(tuple(samples), columns, self.source)


@dataclass(frozen=True, slots=True)
class Cohort:
    """All tables and the metadata, for the same samples in the same order."""

    metadata: Metadata
    tables: Mapping[str, FeatureTable]

    @property
    def samples(self) -> tuple[str, ...]:
        """Names, sorted."""
        return self.metadata.samples


DONE, PARTLY, LEFT_OUT = "done", "partly", "left_out"
ACCOUNT_COLUMNS = ("analysis", "item", "status", "samples", "subjects", "reason")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an account."""

    analysis: str
    item: str
    status: str
    samples: int | None
    subjects: int | None
    reason: str

    def row(self) -> dict[str, Cell]:
        """Cells by column."""
        return {column: getattr(self, column) for column in ACCOUNT_COLUMNS}


@dataclass(slots=True)
class Account:
    """What an analysis made and what it left out, in the order in which it was said.

    Attributes
    ----------
    analysis
        As ``diversity``.
    """

    analysis: str
    entries: list[Entry] = field(default_factory=list)

    def done(self, item: str, samples: int | None, subjects: int | None = None) -> None:
        """Say that something was made of all that was there."""
        self.entries.append(Entry(self.analysis, item, DONE, samples, subjects, ""))

    def partly(
        self, item: str, reason: str, samples: int | None, subjects: int | None = None
    ) -> None:
        """Say that something was made of a part, or with a weakness that readers must know."""
        self.entries.append(Entry(self.analysis, item, PARTLY, samples, subjects, reason))

    def left_out(
        self, item: str, reason: str, samples: int | None = None, subjects: int | None = None
    ) -> None:
        """Say that something was not made, why, and what would have to be there."""
        self.entries.append(Entry(self.analysis, item, LEFT_OUT, samples, subjects, reason))

    def rows(self) -> Iterable[dict[str, Cell]]:
        """Rows of `ACCOUNT_COLUMNS`."""
        return (entry.row() for entry in self.entries)
