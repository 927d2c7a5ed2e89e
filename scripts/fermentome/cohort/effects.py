"""Differences of features between groups and along covariates, with intervals.

The method, feature by feature and for all columns of the design at once:

- Shares of a whole are put on the centred log2-ratio scale, and the effects of a column are
  corrected for the bias that the centring and the rise of other features make, as in LinDA (Zhou
  et al. 2022, doi:10.1186/s13059-022-02655-5). What is subtracted is the median of the effects of
  all features, as in MaAsLin 3 (Nickols et al. 2024, doi:10.1101/2024.12.13.628459), not LinDA's
  mode: with labels shuffled between the people of HMP2 (81 species) and of Yachida et al. (161),
  the mode varied twice as much as the median (standard deviations 0.20 and 0.11, 0.08 and 0.04),
  and where species were multiplied by 4 in half of the people both left about the same bias. An
  effect is thus a fold change against the feature in the middle. Shares cannot say more: where 30 %
  of the species were multiplied by 4, all upwards, the unchanged ones came out 0.23 lower, and of
  what was called in Yachida 34 % was unchanged; with changes up and down it was 5 %
  (``benchmarks/cohort/effects_calibration.py``).
- Copies per genome are ratios to single-copy genes already: log2, no centring.
- Zeros stand for half the detection limit of the sample where the table has one, otherwise for
  half the least value of the feature that is not zero (as LinDA does for proportions). Where half
  the limit lies above the median of the values seen, the zero says nothing and is not known.
- Repeated samples of a person: a random intercept per subject; see `fermentome.cohort.mixed`.
- Beside each effect on abundance stands the difference in detection: the same design on whether
  the feature is seen (a linear model of 0 and 1, so that the effect is a difference in shares).
  It shows how much of a fold change is made of zeros.
- Diversity within samples is compared in its own units, without logs and without detection.
- Numbers: the effect of one standard deviation, which is in the column ``sd``.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from fermentome.cohort.data import TABLES, Account, Cohort, FeatureTable, Numbers
from fermentome.cohort.design import LEAST_FREEDOM, Contrast, Design, build_design
from fermentome.cohort.diversity import ALPHA_METRICS, ALPHA_UNITS, COVERAGE
from fermentome.cohort.measures import floors_of, log2_with_floors
from fermentome.cohort.mixed import Codes, Fit, constant_within, fit_models, p_values
from fermentome.cohort.multiple_testing import adjust
from fermentome.cohort.settings import Settings
from fermentome.tables import Cell, parse_number, write_table

ABUNDANCE, DETECTION = "abundance", "detection"
DIVERSITY = "diversity"
"""Name of the table of diversity within samples; its features are metrics."""
COMPARED = (*TABLES, DIVERSITY)
EFFECT_COLUMNS = (
    "table", "feature", "term", "level", "reference", "kind", "effect", "unit", "ci_low",
    "ci_high", "p", "q", "method", "samples", "subjects", "prevalence", "mean_reference",
    "mean_level", "sd", "reason",
)  # fmt: skip
LEAST_FEATURES = 10
"""Features of which a median is taken as that of the unchanged ones. Of fewer, one of which
changes, the median is as likely to be moved as not; ours."""
ALIKE = "the same in all samples: no variation to test against"
DESCRIBED = "the columns of the design describe it fully: no variation is left to test against"
STEADY = "the same in all samples of every person: nothing varies with this column"
MIXED, PLAIN = "mixed model", "linear model"
CENTRED, UNCENTRED, LOGS, AS_IT_IS = "clr, median-corrected", "clr", "log2", "own unit"
Row = dict[str, Cell]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Effects:
    """What was estimated.

    Attributes
    ----------
    rows
        Of `EFFECT_COLUMNS`, sorted by table, term, level, feature and kind.
    designs
        By table.
    """

    rows: list[Row]
    designs: Mapping[str, Design]


def with_diversity(cohort: Cohort, alpha: Iterable[Mapping[str, str]]) -> Cohort:
    """The cohort with diversity within samples as one more table, to be compared like the others.

    Parameters
    ----------
    alpha
        Rows of `fermentome.cohort.diversity.ALPHA_COLUMNS` as text. Coverage is left out: it says
        how well a sample was seen, not how diverse it is.
    """
    found: dict[str, dict[str, float]] = {metric: {} for metric in ALPHA_METRICS}
    for row in alpha:
        found[row["metric"]][row["sample"]] = parse_number(row["value"])
    metrics = tuple(
        metric
        for metric in sorted(found)
        if metric != COVERAGE and not all(map(math.isnan, found[metric].values()))
    )
    if not metrics:
        return cohort
    values = np.array(
        [[found[metric].get(sample, math.nan) for metric in metrics] for sample in cohort.samples]
    )
    table = FeatureTable(DIVERSITY, cohort.samples, metrics, values, "own", compositional=False)
    return Cohort(cohort.metadata, {**cohort.tables, DIVERSITY: table})


def on_log_scale(table: FeatureTable) -> Numbers:
    """Log2 of the values, zeros replaced, centred per sample if the table is compositional.

    NaN stays NaN. A value between zero and what stands for zero is kept as it is. A feature that
    is never seen and has no limit is not known; it is not tested either. Nor is a zero known of a
    sample so shallow that half its limit lies above the median of the values seen: in its place
    would stand one of the highest values.
    """
    floors = floors_of(table.values, table.limits)
    typical = np.array([np.median(v[v > 0]) if (v > 0).any() else np.inf for v in table.values.T])
    blind = (table.values == 0) & (floors > typical)
    logs = log2_with_floors(np.where(blind, np.nan, table.values), floors)
    if not table.compositional or not logs.size:
        return logs
    with warnings.catch_warnings():
        # A sample of which nothing is known stays unknown.
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(logs - np.nanmean(logs, axis=1, keepdims=True))


def _patterns(unknown: Flags) -> list[tuple[Flags, Codes]]:
    """Features by the samples that they are known of, in a fixed order."""
    kinds, own = np.unique(unknown.T, axis=0, return_inverse=True)
    return [
        (~kind, np.flatnonzero(own.ravel() == number).astype(np.intp))
        for number, kind in enumerate(kinds)
    ]


def _codes(subjects: Codes) -> Codes:
    return np.unique(subjects, return_inverse=True)[1].astype(np.intp)


def _fit(values: Numbers, design: Design) -> tuple[Fit, dict[int, str]]:
    """Fit all features; those that cannot be, with the reason."""
    shape = (design.matrix.shape[1], values.shape[1])
    fit = Fit(
        np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan),
        np.full(shape[1], np.nan), np.full(shape[1], np.nan),
    )  # fmt: skip
    reasons: dict[int, str] = {}
    for rows, features in _patterns(np.isnan(values)):
        x = design.matrix[rows]
        if len(x) < x.shape[1] + LEAST_FREEDOM or np.linalg.matrix_rank(x) < x.shape[1]:
            text = f"known in {len(x)} samples only: too few to tell the columns apart"
            reasons.update((int(feature), text) for feature in features)
            continue
        own = fit_models(values[np.ix_(rows, features)], x, _codes(design.subjects[rows]))
        fit.coefficients[:, features] = own.coefficients
        fit.errors[:, features] = own.errors
        fit.freedom[:, features] = own.freedom
        fit.intraclass[features] = own.intraclass
        fit.residual[features] = own.residual
    for feature in np.flatnonzero(np.isnan(fit.errors[0])):
        known = values[~np.isnan(values[:, feature]), feature]
        same = known.size == 0 or np.ptp(known) == 0
        reasons.setdefault(int(feature), ALIKE if same else DESCRIBED)
    return fit, reasons


def _least_p(design: Design, contrast: Contrast) -> float:
    """The least p that people who exchange two levels can give; 0 where that is no limit.

    Of all ways to share out the people, one (two where the levels are of one size) is as extreme
    as people all of whom have what nobody of the other level has.
    """
    if contrast.level is None:
        return 0.0
    levels = np.array(design.levels[contrast.term])
    codes = np.unique(levels, return_inverse=True)[1].astype(np.float64)
    if not constant_within(codes[:, None], design.subjects)[0]:
        return 0.0
    here, there = (
        np.unique(design.subjects[levels == level]).size
        for level in (contrast.level, contrast.reference)
    )
    return (2 if here == there else 1) / math.comb(here + there, here)


def _column_of(
    table: FeatureTable, design: Design, contrast: Contrast, kind: _Kind
) -> tuple[Numbers, Numbers, Numbers]:
    """Effects, standard errors and degrees of freedom of one contrast.

    A few people who all have what nobody of the other level has leave no spread between people,
    and a model takes that for certainty: with 3 people in each of two groups, five samples of
    each, and features that 40 % of the people have, p was <= 0.001 in 2 to 3 of 100 features
    where there was nothing. Which people have a feature says no more than their number allows,
    so p is at least `_least_p`, by a wider error: for detection, and for the abundance of what
    at most half of the samples of one of the levels have.
    """
    effect, error = kind.fit.coefficients[contrast.column], kind.fit.errors[contrast.column]
    freedom = kind.fit.freedom[contrast.column]
    least = _least_p(design, contrast)
    if least == 0 or table.name == DIVERSITY:
        return effect, error, freedom
    levels = np.array(design.levels[contrast.term])
    seen = np.where(np.isnan(table.values), np.nan, table.values > 0)
    with warnings.catch_warnings():
        # A level of which nothing is known has no mean; its features are not tested either.
        warnings.simplefilter("ignore", RuntimeWarning)
        here, there = (
            np.nanmean(seen[levels == level], axis=0)
            for level in (contrast.level, contrast.reference)
        )
    if kind.name == DETECTION:
        # Seen in all of one level and none of the other: the model has nothing left to err by.
        apart = np.isnan(error) & (np.abs(here - there) == 1)
        between = int(constant_within(design.matrix, design.subjects).sum())
        effect = np.where(apart, here - there, effect)
        error = np.where(apart, 0.0, error)
        freedom = np.where(apart, design.subject_count - between, freedom)
        few = np.ones(effect.size, dtype=bool)
    else:
        few = np.fmin(here, there) <= 0.5
    widest = np.abs(effect) / student.isf(least / 2, freedom)
    return effect, np.where(few, np.fmax(error, widest), error), freedom


def _centre(fit: Fit) -> Fit:
    """Effects against that of the feature in the middle; see the docstring of the module."""
    middle = [
        np.median(known) if (known := row[~np.isnan(row)]).size else 0.0 for row in fit.coefficients
    ]
    return replace(fit, coefficients=fit.coefficients - np.array(middle)[:, None])


def _mean(values: Numbers) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def _unit(contrast: Contrast, kind: str, table: str, feature: str) -> str:
    what = "log2 fold change" if kind == ABUNDANCE else "difference in share of samples"
    if table == DIVERSITY:
        what = f"difference, {ALPHA_UNITS[feature]}"
    return what if contrast.level is not None else f"{what} per SD"


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of effect of one table: its fit, and the values that its means are of."""

    name: str
    fit: Fit
    reasons: Mapping[int, str]
    natural: Numbers
    method: str


def _rows_of(table: FeatureTable, design: Design, contrast: Contrast, kind: _Kind) -> list[Row]:
    effect, error, freedom = _column_of(table, design, contrast, kind)
    p = p_values(effect, error, freedom)
    q = adjust(p)
    half = np.asarray(student.ppf(0.975, freedom)) * error
    low, high = effect - half, effect + half
    if kind.name == DETECTION:
        # A difference between two shares of samples lies within -1 and 1.
        low, high = np.maximum(low, -1.0), np.minimum(high, 1.0)
    known = ~np.isnan(table.values)
    seen = np.where(known, table.values > 0, np.nan)
    levels = np.array(design.levels.get(contrast.term, ()))
    rows: list[Row] = []
    for place, feature in enumerate(table.features):
        own = known[:, place]
        means: tuple[float | None, float | None] = (None, None)
        if contrast.level is not None:
            natural = kind.natural[:, place]
            means = (
                _mean(natural[levels == contrast.reference]),
                _mean(natural[levels == contrast.level]),
            )
        tested = not np.isnan(p[place])
        rows.append({
            "table": table.name, "feature": feature, "term": contrast.term,
            "level": contrast.level, "reference": contrast.reference, "kind": kind.name,
            "effect": float(effect[place]), "unit": _unit(contrast, kind.name, table.name, feature),
            "ci_low": float(low[place]), "ci_high": float(high[place]),
            "p": float(p[place]), "q": float(q[place]),
            "method": kind.method if tested else None,
            "samples": int(own.sum()), "subjects": int(np.unique(design.subjects[own]).size),
            "prevalence": _mean(seen[:, place]),
            "mean_reference": means[0], "mean_level": means[1],
            "sd": contrast.sd, "reason": "" if tested else kind.reasons.get(place, STEADY),
        })  # fmt: skip
    return rows


def _kinds(table: FeatureTable, design: Design, account: Account) -> list[_Kind]:
    model = MIXED if design.repeated else PLAIN
    if table.name == DIVERSITY:
        fit, reasons = _fit(table.values, design)
        return [_Kind(ABUNDANCE, fit, reasons, table.values, f"{AS_IT_IS}, {model}")]
    fit, reasons = _fit(on_log_scale(table), design)
    scale = CENTRED if table.compositional else LOGS
    tested = int((~np.isnan(fit.coefficients[0])).sum())
    if table.compositional and tested < LEAST_FEATURES:
        scale = UNCENTRED
        account.partly(
            table.name,
            f"{tested} features, fewer than {LEAST_FEATURES}: effects are fold changes against"
            " the geometric mean of these features, without correction for its own change",
            len(design.samples), design.subject_count,
        )  # fmt: skip
    elif table.compositional:
        fit = _centre(fit)
    seen = np.where(np.isnan(table.values), np.nan, (table.values > 0).astype(np.float64))
    detection, why = _fit(seen, design)
    why = {
        place: "seen in all samples: no difference in detection"
        if _mean(seen[:, place]) == 1 else reason
        for place, reason in why.items()
    }  # fmt: skip
    return [
        _Kind(ABUNDANCE, fit, reasons, table.values, f"{scale}, {model}"),
        _Kind(DETECTION, detection, why, seen, f"share, {model}"),
    ]


def table_effects(
    table: FeatureTable, design: Design, settings: Settings, account: Account
) -> list[Row]:
    """Effects of all contrasts of a design on the features of one table.

    Features seen in a smaller share of the design's samples than the settings ask for are not
    tested and have no row: the account says how many they are.
    """
    own = table.select(design.samples)
    known = ~np.isnan(own.values)
    share = np.where(own.values > 0, 1.0, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    kept = [
        feature
        for feature, seen in zip(own.features, share, strict=True)
        if (seen >= settings.prevalence and seen > 0) or table.name == DIVERSITY
    ]
    persons = design.subject_count
    if not kept:
        account.left_out(
            table.name,
            f"none of {len(own.features)} features is seen in {settings.prevalence:.0%} of the"
            " samples",
            len(design.samples), persons,
        )  # fmt: skip
        return []
    rare = len(own.features) - len(kept)
    own = own.select(features=kept)
    kinds = _kinds(own, design, account)
    rows = [
        row
        for contrast in design.contrasts
        for kind in kinds
        for row in _rows_of(own, design, contrast, kind)
    ]
    if rare:
        account.partly(
            table.name,
            f"{len(kept)} features tested; {rare} seen in fewer than {settings.prevalence:.0%} of"
            " the samples are not",
            len(design.samples), persons,
        )  # fmt: skip
    else:
        account.done(table.name, len(design.samples), persons)
    return rows


def analyse_effects(
    cohort: Cohort, settings: Settings, account: Account, tables: Sequence[str] = COMPARED
) -> Effects:
    """Effects of groups and covariates on all tables.

    Parameters
    ----------
    tables
        Names of the tables to test.

    Notes
    -----
    The design is checked for the samples of each table; what is said of it is said once where it
    is the same for several tables.
    """
    rows: list[Row] = []
    designs: dict[str, Design] = {}
    said: set[tuple[str, str, str, int | None]] = set()
    for name in tables:
        if name not in cohort.tables:
            continue
        table = cohort.tables[name]
        own = Account(account.analysis)
        design = build_design(cohort.metadata, settings, own, table.known_samples())
        for entry in own.entries:
            key = (entry.item, entry.status, entry.reason, entry.samples)
            if key not in said:
                said.add(key)
                account.entries.append(entry)
        if design is None:
            account.left_out(name, "there is no design: see the lines on its columns")
            continue
        designs[name] = design
        rows += table_effects(table, design, settings, account)
    rows.sort(key=_order(settings))
    return Effects(rows, designs)


def _order(settings: Settings) -> Callable[[Row], tuple[int, int, str, str, str]]:
    terms = {name: i for i, name in reversed([*enumerate(settings.groups + settings.covariates)])}

    def key(row: Row) -> tuple[int, int, str, str, str]:
        return (
            COMPARED.index(str(row["table"])), terms[str(row["term"])], str(row["level"]),
            str(row["feature"]), str(row["kind"]),
        )  # fmt: skip

    return key


def write_effects(
    cohort: Cohort,
    settings: Settings,
    account: Account,
    outputs: Mapping[str, str | os.PathLike[str]],
) -> Effects:
    """Estimate the effects and write them to ``outputs["effects"]``."""
    effects = analyse_effects(cohort, settings, account)
    write_rows(outputs["effects"], effects.rows)
    return effects


def write_rows(path: str | os.PathLike[str], rows: Iterable[Row]) -> None:
    """Write rows of `EFFECT_COLUMNS`."""
    write_table(path, EFFECT_COLUMNS, rows)
