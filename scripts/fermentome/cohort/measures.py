"""The single numbers of a sample by which people are followed and compared.

Each `Measure` has a scale on which differences mean the same everywhere: log2 for amounts, which
spread in proportion to themselves, and the plain value for indices of diversity. Values stay in
their natural unit; `Measure.on_scale` and `Measure.back_to_unit` turn them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from fermentome.assign import UNASSIGNED
from fermentome.cohort.data import (
    CARRIERS,
    ORGANISMS,
    PATHWAYS,
    PRODUCTS,
    Cohort,
    FeatureTable,
    Numbers,
)
from fermentome.cohort.diversity import (
    ALPHA_UNITS,
    COVERAGE,
    FAITH,
    FAITH_AT_DEPTH,
    RICHNESS,
    RICHNESS_AT_DEPTH,
)
from fermentome.errors import CohortError
from fermentome.tables import Cell

Scale = Literal["log2", "linear"]
LOG2: Scale = "log2"
LINEAR: Scale = "linear"

DIVERSITY, PRODUCT, PATHWAY, CARRIER, ORGANISM = (
    "diversity", "product", "pathway", "carrier", "organisms",
)  # fmt: skip
"""Kinds of measures: the part of the name before the colon."""
KINDS = (DIVERSITY, PRODUCT, PATHWAY, CARRIER, ORGANISM)
_TABLES = {PRODUCT: PRODUCTS, PATHWAY: PATHWAYS, CARRIER: CARRIERS, ORGANISM: ORGANISMS}

MOST_CARRIERS = 10
"""Carriers of a product that are measures of their own: those with the highest mean."""

WIDTH = 2 * 1.959963984540054
"""Width of a 95 % interval in standard errors (quantile 0.975 of the normal distribution)."""

_RATIOS = frozenset({RICHNESS, FAITH, RICHNESS_AT_DEPTH, FAITH_AT_DEPTH})
"""Metrics that count: compared as ratios."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of every sample.

    Attributes
    ----------
    name
        Kind and feature: ``diversity:shannon``, ``product:butyrate``, ``pathway:BUT_ACOA_BUT``,
        ``carrier:butyrate|Faecalibacterium``, ``organisms:butyrate``.
    unit
        Of `values`.
    scale
        ``log2`` or ``linear``.
    samples
        Names, as in the cohort.
    values
        In `unit`; NaN where not known.
    errors
        Standard error on the scale, from the 95 % interval; NaN where there is none, as for
        every value below detection.
    floors
        What stands for zero on the log scale, in `unit`: half the detection limit of the sample
        where it is known (half the limit biases means and spreads little as long as few values
        are below it: Hornung and Reed 1990, doi:10.1080/1047322X.1990.10389587); else half the
        least value above zero in the cohort (as MaAsLin 2, doi:10.1371/journal.pcbi.1009442).
        NaN on a linear scale, and where no sample has a value above zero.
    below
        Whether the sample was looked at and nothing was seen: the value is 0, and all that is
        known is that it lies under the detection limit. A change between two samples of which
        one is below detection is one of limits as much as of people.
    """

    name: str
    unit: str
    scale: Scale
    samples: tuple[str, ...]
    values: Numbers
    errors: Numbers
    floors: Numbers
    below: npt.NDArray[np.bool_]

    @property
    def kind(self) -> str:
        """Part of the name before the colon.

        Returns
        -------
        str
            One of `KINDS`.
        """
        return self.name.partition(":")[0]

    @property
    def feature(self) -> str:
        """Part of the name after the colon."""
        return self.name.partition(":")[2]

    def on_scale(self) -> Numbers:
        """Values on the scale; zeros at their floor, NaN where not known."""
        if self.scale == LINEAR:
            return self.values.copy()
        return log2_with_floors(self.values, self.floors)

    def back_to_unit(self, numbers: npt.ArrayLike) -> Numbers:
        """Numbers of the scale in the unit of the measure."""
        values = np.asarray(numbers, float)
        if self.scale == LINEAR:
            return values.copy()
        # An end of an interval may be beyond what a number holds: it is infinite then.
        with np.errstate(over="ignore"):
            return np.asarray(np.exp2(values))


def log2_with_floors(values: Numbers, floors: Numbers) -> Numbers:
    """Logarithms to base 2; zeros at their floors.

    >>> log2_with_floors(np.array([0.0, 4.0, np.nan]), np.array([0.5, 0.5, 0.5])).tolist()
    [-1.0, 2.0, nan]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log2(np.where(values == 0, floors, values)))


def floors_of(values: Numbers, limits: Numbers | None) -> Numbers:
    """What stands for zero in each sample; see `Measure`.

    Parameters
    ----------
    values, limits
        Of shape (samples,) or (samples, features); each feature has a least value of its own.

    Examples
    --------
    >>> floors_of(np.array([0.0, 3.0, 1.0]), np.array([0.2, np.nan, np.nan])).tolist()
    [0.1, 0.5, 0.5]
    """
    least = np.where(values > 0, values, np.inf).min(axis=0, initial=np.inf)
    floors = np.broadcast_to(np.where(np.isinf(least), np.nan, least / 2), values.shape)
    if limits is None:
        return floors
    known = limits > 0  # false for NaN
    return np.where(known, limits / 2, floors)


def errors_of(values: Numbers, low: Numbers | None, high: Numbers | None, scale: Scale) -> Numbers:
    """Standard errors on the scale from 95 % intervals.

    The interval is taken as that of a normal distribution on the scale. Where its lower end is 0,
    the upper half alone says how wide it is on the log scale.

    >>> errors_of(np.array([2.0]), np.array([1.0]), np.array([4.0]), "log2").round(4).tolist()
    [0.5102]
    """
    if low is None or high is None:
        return np.full(values.shape, np.nan)
    if scale == LINEAR:
        return np.asarray((high - low) / WIDTH)
    with np.errstate(divide="ignore", invalid="ignore"):
        both = (np.log2(high) - np.log2(low)) / WIDTH
        upper = (np.log2(high) - np.log2(values)) / (WIDTH / 2)
        errors = np.where(low > 0, both, upper)
    return np.where((values > 0) & np.isfinite(errors) & (errors >= 0), errors, np.nan)


def measures_of(
    cohort: Cohort,
    alpha: Sequence[Mapping[str, Cell]] | None = None,
    which: Collection[str] = KINDS,
) -> list[Measure]:
    """Measures of a cohort, by kind and then by name.

    Products and organisms always; pathways that are seen in a sample; of the carriers of a product
    the `MOST_CARRIERS` with the highest mean, without those that no genus was found for.

    Parameters
    ----------
    alpha
        Rows with ``sample``, ``metric`` and ``value``.
    which
        Kinds to make.

    Raises
    ------
    CohortError
        If a kind is not known.
    """
    for kind in which:
        if kind not in KINDS:
            raise CohortError(f"measures: {kind!r} is none; expected some of {', '.join(KINDS)}")
    measures: list[Measure] = []
    if DIVERSITY in which and alpha is not None:
        measures += diversity_measures(cohort.samples, alpha)
    for kind in KINDS[1:]:
        table = cohort.tables.get(_TABLES[kind])
        if kind in which and table is not None:
            measures += [measure_of(kind, table, place) for place in _wanted(kind, table)]
    return measures


def measure_of(kind: str, table: FeatureTable, place: int) -> Measure:
    """Measure of one feature of a table of amounts."""

    def column(values: Numbers | None) -> Numbers | None:
        return None if values is None else values[:, place]

    values = table.values[:, place].copy()
    return Measure(
        f"{kind}:{table.features[place]}", table.unit, LOG2, table.samples, values,
        errors_of(values, column(table.low), column(table.high), LOG2),
        floors_of(values, column(table.limits)), np.asarray(values == 0),
    )  # fmt: skip


def _wanted(kind: str, table: FeatureTable) -> list[int]:
    """Places of the features that become measures, sorted by name."""
    order = sorted(range(len(table.features)), key=lambda i: table.features[i])
    seen: npt.NDArray[np.bool_] = np.any(table.values > 0, axis=0)
    if kind == PATHWAY:
        return [i for i in order if seen[i]]
    if kind != CARRIER:
        return order
    known = ~np.isnan(table.values)
    means = np.where(known, table.values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    chosen: list[int] = []
    by_product: dict[str, list[int]] = {}
    for i in order:
        product, _, genus = table.features[i].partition("|")
        if seen[i] and genus != UNASSIGNED:
            by_product.setdefault(product, []).append(i)
    for places in by_product.values():
        # Means that agree to six digits are equal: they may differ by the order of a sum.
        ranked = sorted(places, key=lambda i: (-float(f"{means[i]:.6g}"), table.features[i]))
        chosen += ranked[:MOST_CARRIERS]
    return [i for i in order if i in set(chosen)]


def diversity_measures(
    samples: Sequence[str], alpha: Sequence[Mapping[str, Cell]]
) -> list[Measure]:
    """Measures of the indices of diversity, one per metric, sorted by name.

    Their unit is that of `fermentome.cohort.diversity`, and ``index`` for others.
    """
    place = {name: i for i, name in enumerate(samples)}
    metrics: dict[str, Numbers] = {}
    for row in alpha:
        at = place.get(str(row["sample"]))
        # Coverage is of the sequencing and not of the community.
        if at is None or row["metric"] == COVERAGE:
            continue
        values = metrics.setdefault(str(row["metric"]), np.full(len(samples), np.nan))
        cell = row["value"]
        values[at] = np.nan if cell is None or cell in {"", "NA"} else float(cell)
    measures = []
    for metric, values in sorted(metrics.items()):
        scale = LOG2 if metric in _RATIOS else LINEAR
        nothing = np.full(len(samples), np.nan)
        measures.append(
            Measure(
                f"{DIVERSITY}:{metric}", ALPHA_UNITS.get(metric, "index"), scale, tuple(samples),
                values,
                nothing, floors_of(values, None) if scale == LOG2 else nothing,
                np.asarray(values == 0) & (scale == LOG2),
            )
        )  # fmt: skip
    return measures
