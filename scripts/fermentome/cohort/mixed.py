"""Linear mixed models with one random intercept, for thousands of features at once.

Own code, because statsmodels fits one feature after the other: ``MixedLM`` needs 0.1 s for 2,000
samples of 200 subjects and 6 columns, which is 17 minutes for the abundance and the detection of
5,000 features; this module needs seconds. The tests compare it with ``MixedLM`` and with published
results of lme4 and lmerTest.

All features share the design, so what depends on the design alone is computed once. With one
random intercept the covariance of a subject's samples has two eigenvalues only, one for the mean
of the subject and one for what deviates from it (Pinheiro and Bates 2000,
doi:10.1007/b98882, section 2.2). The sums of squares and products are therefore split into those
within subjects and those between subjects of the same number of samples, and the likelihood of
any intraclass correlation needs these sums only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from fermentome.cohort.data import Numbers

Codes = npt.NDArray[np.intp]

_GRID = np.concatenate([[0.0], np.linspace(0.02, 0.98, 49), [0.99, 0.995, 0.999, 0.9999]])
"""Intraclass correlations at which the likelihood is computed first; the last one is the most
that is looked for."""
_MOST_CORRELATION = 0.9998
"""From here on a feature counts as the same within subjects, see `_steady`."""
_STEPS = 45
"""Golden-section steps: the bracket of two grid cells shrinks to 2e-11."""
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
_CHUNK = 512
"""Features refined at once: bounds the memory to a few MB per column of the design."""
_MOST_CELLS = 4_000_000
"""Numbers in one array of `_jackknife`: 32 MB."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Estimates of all coefficients, shape (columns of the design, features).

    Attributes
    ----------
    coefficients, errors
        Estimates and their standard errors. NaN where a feature does not vary, and for columns
        that vary within subjects where a feature does not.
    freedom
        Degrees of freedom of the t distribution.
    intraclass
        Share of the variance, beside the design, that lies between subjects; one per feature.
    residual
        Variance within subjects, one per feature.
    """

    coefficients: Numbers
    errors: Numbers
    freedom: Numbers
    intraclass: Numbers
    residual: Numbers

    def p_values(self) -> Numbers:
        """Two-sided p of every coefficient being zero."""
        return p_values(self.coefficients, self.errors, self.freedom)

    def interval(self, coverage: float = 0.95) -> tuple[Numbers, Numbers]:
        """Lower and upper confidence limits."""
        width = np.asarray(student.ppf(0.5 + coverage / 2, self.freedom)) * self.errors
        return self.coefficients - width, self.coefficients + width


def p_values(estimates: Numbers, errors: Numbers, freedom: Numbers) -> Numbers:
    """Two-sided p of t tests; NaN where there is no estimate."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(2 * student.sf(np.abs(estimates / errors), freedom), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums of squares and products, within subjects and between those of one size.

    Attributes
    ----------
    sizes, subjects
        Distinct numbers of samples per subject, and how many subjects have each.
    xx_within, xx_between
        Shapes (p, p) and (sizes, p, p).
    xy_within, xy_between
        Shapes (p, features) and (sizes, p, features).
    yy_within, yy_between
        Shapes (features,) and (sizes, features).
    """

    samples: int
    sizes: Numbers
    subjects: Numbers
    xx_within: Numbers
    xx_between: Numbers
    xy_within: Numbers
    xy_between: Numbers
    yy_within: Numbers
    yy_between: Numbers

    @property
    def columns(self) -> int:
        return int(self.xx_within.shape[0])


def _sums(y: Numbers, x: Numbers, subjects: Codes) -> _Sums:
    number = np.bincount(subjects)
    order = np.argsort(subjects, kind="stable")
    starts = np.concatenate([[0], np.cumsum(number)[:-1]])
    x_sum = np.add.reduceat(x[order], starts, axis=0)
    y_sum = np.add.reduceat(y[order], starts, axis=0)
    x_mean, y_mean = x_sum / number[:, None], y_sum / number[:, None]
    x_within, y_within = x - x_mean[subjects], y - y_mean[subjects]
    sizes, own = np.unique(number, return_inverse=True)
    p, features = x.shape[1], y.shape[1]
    xx = np.empty((sizes.size, p, p))
    xy = np.empty((sizes.size, p, features))
    yy = np.empty((sizes.size, features))
    for place, size in enumerate(sizes):
        rows = own == place
        xx[place] = size * x_mean[rows].T @ x_mean[rows]
        xy[place] = size * x_mean[rows].T @ y_mean[rows]
        yy[place] = size * (y_mean[rows] ** 2).sum(axis=0)
    return _Sums(
        samples=len(y), sizes=sizes.astype(np.float64),
        subjects=np.bincount(own).astype(np.float64),
        xx_within=x_within.T @ x_within, xx_between=xx,
        xy_within=x_within.T @ y_within, xy_between=xy,
        yy_within=(y_within**2).sum(axis=0), yy_between=yy,
    )  # fmt: skip


def _at(sums: _Sums, intraclass: Numbers, features: Codes) -> tuple[Numbers, Numbers, Numbers]:
    """Coefficients, residual sum of squares and log-likelihood at one correlation per feature.

    The likelihood is the restricted one, without its constants, with the residual variance
    profiled out.
    """
    ratio = intraclass / (1 - intraclass)
    spread = 1 + ratio[:, None] * sums.sizes
    weight = 1 / spread
    p = sums.columns
    a = sums.xx_within + (weight @ sums.xx_between.reshape(-1, p * p)).reshape(-1, p, p)
    b = sums.xy_within[:, features].T + np.einsum(
        "fk,kpf->fp", weight, sums.xy_between[:, :, features]
    )
    c = sums.yy_within[features] + np.einsum("fk,kf->f", weight, sums.yy_between[:, features])
    beta = np.linalg.solve(a, b[:, :, None])[:, :, 0]
    left = np.maximum(c - np.einsum("fp,fp->f", b, beta), 0)
    determinant = np.linalg.slogdet(a)[1]
    with np.errstate(divide="ignore"):
        likelihood = -0.5 * (
            (sums.samples - p) * np.log(left) + np.log(spread) @ sums.subjects + determinant
        )
    return beta, left, likelihood


def _best_correlation(sums: _Sums, features: Codes) -> Numbers:
    """Intraclass correlation of the largest restricted likelihood, from 0 on."""
    on_grid = np.stack([_at(sums, np.full(features.size, value), features)[2] for value in _GRID])
    best = np.argmax(on_grid, axis=0)
    low = _GRID[np.maximum(best - 1, 0)]
    high = _GRID[np.minimum(best + 1, _GRID.size - 1)]
    left = high - _GOLDEN * (high - low)
    right = low + _GOLDEN * (high - low)
    at_left = _at(sums, left, features)[2]
    at_right = _at(sums, right, features)[2]
    for _ in range(_STEPS):
        lower = at_left > at_right
        high, low = np.where(lower, right, high), np.where(lower, low, left)
        new = np.where(lower, high - _GOLDEN * (high - low), low + _GOLDEN * (high - low))
        at_new = _at(sums, new, features)[2]
        left, right = np.where(lower, new, right), np.where(lower, left, new)
        at_left, at_right = np.where(lower, at_new, at_right), np.where(lower, at_left, at_new)
    middle: Numbers = (low + high) / 2
    # The maximum often lies at the edge, where there is no variance between subjects.
    lower = on_grid[0] >= _at(sums, middle, features)[2]
    return np.asarray(np.where(lower, 0.0, middle), dtype=np.float64)


def _satterthwaite(
    sums: _Sums, residual: Numbers, between: Numbers, covariance: Numbers
) -> Numbers:
    """Degrees of freedom of the coefficients, shape (features, p).

    Satterthwaite's method as in Kuznetsova et al. (2017, doi:10.18637/jss.v082.i13), with the
    expected information of the two variances in place of the observed one.
    """
    s, k = residual[:, None], sums.sizes
    eigen = s + between[:, None] * k
    p = sums.columns

    def summed(weights: Numbers) -> Numbers:
        whole: Numbers = weights @ sums.xx_between.reshape(-1, p * p)
        return whole.reshape(-1, p, p)

    def trace(left: Numbers, right: Numbers) -> Numbers:
        return np.asarray(np.einsum("fij,fji->f", left, right))

    whole = s[:, :, None]
    second = sums.xx_within / whole**2 + summed(1 / eigen**2)
    third = sums.xx_within / whole**3 + summed(1 / eigen**3)
    by_size = summed(k / eigen**2)
    c_second, c_size = covariance @ second, covariance @ by_size
    within = sums.samples - sums.subjects.sum()
    i_ss = within / residual**2 + (1 / eigen**2) @ sums.subjects
    i_ss = i_ss - 2 * trace(covariance, third) + trace(c_second, c_second)
    i_st = (k / eigen**2) @ sums.subjects - 2 * trace(covariance, summed(k / eigen**3))
    i_st = i_st + trace(c_size, c_second)
    i_tt = (k**2 / eigen**2) @ sums.subjects - 2 * trace(covariance, summed(k**2 / eigen**3))
    i_tt = i_tt + trace(c_size, c_size)
    g_s = np.einsum("fij,fjk,fki->fi", covariance, second, covariance, optimize=True)
    g_t = np.einsum("fij,fjk,fki->fi", covariance, by_size, covariance, optimize=True)
    determinant = (i_ss * i_tt - i_st**2)[:, None]
    # The information is half of these sums, so its inverse is twice theirs.
    variance = (
        2
        * (i_tt[:, None] * g_s**2 - 2 * i_st[:, None] * g_s * g_t + i_ss[:, None] * g_t**2)
        / determinant
    )
    diagonal: Numbers = np.einsum("fii->fi", covariance)
    return np.asarray(2 * diagonal**2 / variance)


def constant_within(x: Numbers, subjects: Codes) -> npt.NDArray[np.bool_]:
    """Which columns have one value per subject."""
    first = np.unique(subjects, return_index=True)[1]
    return np.asarray((x == x[first][subjects]).all(axis=0))


def _chunks(features: Codes, size: int) -> Iterator[Codes]:
    for start in range(0, features.size, size):
        yield features[start : start + size]


def _jackknife(
    y: Numbers, x: Numbers, subjects: Codes, ratio: Numbers, a: Numbers, beta: Numbers
) -> Numbers:
    """Standard errors, shape (features, p), from leaving out one subject after the other.

    The change of the coefficients without a subject follows from its own part of the sums;
    variances are held.

    Parameters
    ----------
    ratio
        Variance between to that within subjects, one per feature.
    a, beta
        Weighted squares of the design, shape (features, p, p), and coefficients (features, p).
    """
    number = np.bincount(subjects)
    count, p = number.size, x.shape[1]
    order = np.argsort(subjects, kind="stable")
    starts = np.concatenate([[0], np.cumsum(number)[:-1]])

    def total(values: Numbers) -> Numbers:
        return np.asarray(np.add.reduceat(values[order], starts, axis=0), dtype=np.float64)

    x_sum, y_sum = total(x), total(y)
    squares = total((x[:, :, None] * x[:, None, :]).reshape(len(x), -1)).reshape(count, p, p)
    means = x_sum[:, :, None] * x_sum[:, None, :]
    # V^-1 = I - ratio / (1 + ratio n) 11' within a subject, in units of the residual variance.
    minus = ratio[:, None] / (1 + ratio[:, None] * number)
    ridge = 1e-9 * np.einsum("fii->fi", a)[:, :, None] * np.eye(p)
    xy = np.stack([total(x[:, [j]] * y) for j in range(p)])
    changed = np.zeros_like(beta)
    size = max(1, _MOST_CELLS // (len(ratio) * p * p))
    for start in range(0, count, size):
        own = slice(start, start + size)
        m = squares[own] - minus[:, own, None, None] * means[own]
        u = xy[:, own].transpose(2, 1, 0) - (
            minus[:, own, None] * x_sum[own] * y_sum[own].T[:, :, None]
        )
        u = u - np.einsum("fspq,fq->fsp", m, beta)
        # A column that a subject alone has is lost with it; its part of u is zero, and the
        # ridge keeps it so.
        left = (a + ridge)[:, None] - m
        changed += (np.linalg.solve(left, u[..., None])[..., 0] ** 2).sum(axis=1)
    return np.asarray(np.sqrt((count - 1) / count * changed))


def _repeated(y: Numbers, x: Numbers, subjects: Codes, fit: Fit, varying: Codes) -> None:
    sums = _sums(y, x, subjects)
    constant = constant_within(x, subjects)
    most = np.where(
        constant, sums.subjects.sum() - constant.sum(), float(sums.samples - sums.columns)
    )
    p = sums.columns
    for features in _chunks(varying, _CHUNK):
        intraclass = _best_correlation(sums, features)
        beta, left, _ = _at(sums, intraclass, features)
        residual = left / (sums.samples - p)
        between = residual * intraclass / (1 - intraclass)
        weight = 1 / (1 + (intraclass / (1 - intraclass))[:, None] * sums.sizes)
        a = sums.xx_within + (weight @ sums.xx_between.reshape(-1, p * p)).reshape(-1, p, p)
        covariance = residual[:, None, None] * np.linalg.inv(a)
        fit.coefficients[:, features] = beta.T
        errors = np.sqrt(np.einsum("fii->fi", covariance))
        freedom = np.clip(_satterthwaite(sums, residual, between, covariance), 1.0, most)
        if not constant.all():
            ratio = intraclass / (1 - intraclass)
            other = _jackknife(y[:, features], x, subjects, ratio, a, beta)
            larger = ~constant & (other > errors)
            errors = np.where(larger, other, errors)
            persons = sums.subjects.sum()
            freedom = np.where(larger, np.minimum(freedom, persons - 1), freedom)
        fit.errors[:, features] = errors.T
        fit.freedom[:, features] = freedom.T
        fit.intraclass[features] = intraclass
        fit.residual[features] = residual
    _steady(y, x, subjects, fit, varying[fit.intraclass[varying] >= _MOST_CORRELATION], constant)


def _steady(
    y: Numbers,
    x: Numbers,
    subjects: Codes,
    fit: Fit,
    features: Codes,
    constant: npt.NDArray[np.bool_],
) -> None:
    """Test features that are the same within every subject by the means of subjects.

    Their likelihood rises up to a correlation of one. Wherever the search stops, all samples count
    as degrees of freedom of a variance that subjects alone have, and errors come out too small by
    the root of the number of samples per subject. Columns that vary within subjects are not
    tested: nothing varies with them.
    """
    columns = np.flatnonzero(constant)
    first = np.unique(subjects, return_index=True)[1]
    fit.coefficients[:, features] = np.nan
    fit.errors[:, features] = np.nan
    fit.freedom[:, features] = np.nan
    if len(first) <= len(columns) or not features.size:
        return
    number = np.bincount(subjects)
    means = np.stack([np.bincount(subjects, y[:, f]) / number for f in features], axis=1)
    shape = (columns.size, features.size)
    own = Fit(
        np.empty(shape), np.empty(shape), np.empty(shape), np.empty(shape[1]), np.empty(shape[1])
    )
    _single(means, x[np.ix_(first, columns)], own, np.arange(features.size, dtype=np.intp))
    place = np.ix_(columns, features)
    fit.coefficients[place] = own.coefficients
    fit.errors[place] = own.errors
    fit.freedom[place] = own.freedom
    fit.intraclass[features] = 1.0
    fit.residual[features] = 0.0


def _single(y: Numbers, x: Numbers, fit: Fit, varying: Codes) -> None:
    freedom = len(y) - x.shape[1]
    inverse = np.linalg.inv(x.T @ x)
    beta = np.linalg.solve(x.T @ x, x.T @ y[:, varying])
    residual = ((y[:, varying] - x @ beta) ** 2).sum(axis=0) / freedom
    fit.coefficients[:, varying] = beta
    fit.errors[:, varying] = np.sqrt(np.diag(inverse)[:, None] * residual)
    fit.freedom[:, varying] = freedom
    fit.intraclass[varying] = 0.0
    fit.residual[varying] = residual


def fit_models(y: Numbers, x: Numbers, subjects: Codes | None = None) -> Fit:
    """Fit one linear model per feature.

    Parameters
    ----------
    y
        Responses, shape (samples, features), without NaN.
    x
        Design, shape (samples, columns), of full rank and with fewer columns than samples.
    subjects
        Number of the subject of each sample, 0, 1, ... without gaps. Where no subject has two
        samples, or without it, the models have no random intercept: ordinary least squares.

    Returns
    -------
    Fit
        By restricted maximum likelihood. The degrees of freedom are Satterthwaite's. For a
        column that is constant within subjects they are at most the number of subjects less
        that of such columns (Schluchter and Elashoff 1990, J. Stat. Comput. Simul. 37:69):
        where the estimated variance between subjects is zero Satterthwaite's method would
        count samples, and a subject seen twenty times is one.

    Notes
    -----
    For a column that varies within subjects the error is the larger of that of the model and
    that of the jackknife over subjects (CR3; MacKinnon, Nielsen and Webb 2023,
    doi:10.1002/jae.2969), then with at most the number of subjects less one degree of freedom.
    The model takes every subject for equally variable and equally responsive, but the people
    whose drugs or disease change are those whose communities vary most: with the antibiotics of
    HMP2 rotated within each person the model alone gave p <= 0.05 in 12 % of the species (40
    rounds), the larger error in 4.8 % (``benchmarks/cohort/effects_calibration.py``).
    """
    y, x = np.asarray(y, dtype=np.float64), np.asarray(x, dtype=np.float64)
    shape = (x.shape[1], y.shape[1])
    fit = Fit(
        np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan),
        np.full(y.shape[1], np.nan), np.full(y.shape[1], np.nan),
    )  # fmt: skip
    if not y.shape[1]:
        return fit
    # Centred and scaled, so that large offsets cost no digits and a tolerance has a meaning.
    offset, scale = y.mean(axis=0), y.std(axis=0)
    varying = np.flatnonzero(scale > 1e-12 * np.maximum(np.abs(offset), 1e-300))
    if not varying.size:
        return fit
    ones = np.linalg.lstsq(x, np.ones(len(x)), rcond=None)[0]
    scaled = np.zeros_like(y)
    scaled[:, varying] = (y[:, varying] - offset[varying]) / scale[varying]
    left = scaled[:, varying] - x @ np.linalg.lstsq(x, scaled[:, varying], rcond=None)[0]
    # A feature that the design describes to the last digit has no error to test against.
    varying = varying[(left**2).sum(axis=0) > 1e-16 * len(y)]
    if not varying.size:
        return fit
    if subjects is None or np.bincount(subjects).max() < 2:
        _single(scaled, x, fit, varying)
    else:
        _repeated(scaled, x, subjects, fit, varying)
    fit.coefficients[:] = fit.coefficients * scale + np.outer(ones, offset)
    fit.errors[:] = fit.errors * scale
    fit.residual[:] = fit.residual * scale**2
    return fit
