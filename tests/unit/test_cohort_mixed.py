import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fermentome.cohort.mixed import constant_within, fit_models

# Davies and Goldsmith 1972, section 6.4: yields of 6 batches; lme4's data set Dyestuff.
DYESTUFF = [
    1545, 1440, 1440, 1520, 1580, 1540, 1555, 1490, 1560, 1495, 1595, 1550, 1605, 1510, 1560,
    1445, 1440, 1595, 1465, 1545, 1595, 1630, 1515, 1635, 1625, 1520, 1455, 1450, 1480, 1445,
]  # fmt: skip
# Box and Tiao 1973, section 5.1.2, made so that batches vary less than chance; Dyestuff2.
DYESTUFF2 = [
    7.298, 3.846, 2.434, 9.566, 7.990, 5.220, 6.556, 0.608, 11.788, -0.892, 0.110, 10.386,
    13.434, 5.510, 8.166, 2.212, 4.852, 7.092, 9.288, 4.980, 0.282, 9.014, 4.458, 9.446, 7.198,
    1.722, 4.782, 8.106, 0.758, 3.758,
]  # fmt: skip
# Belenky et al. 2003, doi:10.1046/j.1365-2869.2003.00337.x: reaction times, ms, of 18 people on
# days 0 to 9; lme4's data set sleepstudy.
SLEEP = """
249.56 258.7047 250.8006 321.4398 356.8519 414.6901 382.2038 290.1486 430.5853 466.3535
222.7339 205.2658 202.9778 204.707 207.7161 215.9618 213.6303 217.7272 224.2957 237.3142
199.0539 194.3322 234.32 232.8416 229.3074 220.4579 235.4208 255.7511 261.0125 247.5153
321.5426 300.4002 283.8565 285.133 285.7973 297.5855 280.2396 318.2613 305.3495 354.0487
287.6079 285 301.8206 320.1153 316.2773 293.3187 290.075 334.8177 293.7469 371.5811
234.8606 242.8118 272.9613 309.7688 317.4629 309.9976 454.1619 346.8311 330.3003 253.8644
283.8424 289.555 276.7693 299.8097 297.171 338.1665 332.0265 348.8399 333.36 362.0428
265.4731 276.2012 243.3647 254.6723 279.0244 284.1912 305.5248 331.5229 335.7469 377.299
241.6083 273.9472 254.4907 270.8021 251.4519 254.6362 245.4523 235.311 235.7541 237.2466
312.3666 313.8058 291.6112 346.1222 365.7324 391.8385 404.2601 416.6923 455.8643 458.9167
236.1032 230.3167 238.9256 254.922 250.7103 269.7744 281.5648 308.102 336.2806 351.6451
256.2968 243.4543 256.2046 255.5271 268.9165 329.7247 379.4445 362.9184 394.4872 389.0527
250.5265 300.0576 269.8939 280.5891 271.8274 304.6336 287.7466 266.5955 321.5418 347.5655
221.6771 298.1939 326.8785 346.8555 348.7402 352.8287 354.4266 360.4326 375.6406 388.5417
271.9235 268.4369 257.2424 277.6566 314.8222 317.2135 298.1353 348.1229 340.28 366.5131
225.264 234.5235 238.9008 240.473 267.5373 344.1937 281.1481 347.5855 365.163 372.2288
269.8804 272.4428 277.8989 281.7895 279.1705 284.512 259.2658 304.6306 350.7807 369.4692
269.4117 273.474 297.5968 310.6316 287.1726 329.6076 334.4818 343.2199 369.1417 364.1236
"""


def column(values: object) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)[:, None]


def test_dyestuff_gives_the_published_variances_of_lme4() -> None:
    fit = fit_models(column(DYESTUFF), np.ones((30, 1)), np.repeat(np.arange(6), 5))
    between = fit.residual * fit.intraclass / (1 - fit.intraclass)
    # lme4's help page of Dyestuff, and by hand from the mean squares of the analysis of variance:
    # 2451.25 within, (11271.5 - 2451.25) / 5 = 1764.05 between, error sqrt(11271.5 / 30).
    assert fit.coefficients[0, 0] == pytest.approx(1527.5)
    assert fit.residual[0] == pytest.approx(2451.25, rel=1e-6)
    assert between[0] == pytest.approx(1764.05, rel=1e-5)
    assert fit.errors[0, 0] == pytest.approx(np.sqrt(11271.5 / 30), rel=1e-6)
    assert fit.freedom[0, 0] == pytest.approx(5, abs=1e-6)


def test_batches_that_vary_less_than_chance_have_no_variance() -> None:
    fit = fit_models(column(DYESTUFF2), np.ones((30, 1)), np.repeat(np.arange(6), 5))
    # lme4's help page: batch 0, residual 13.81, intercept 5.6656 with error 0.6784.
    assert fit.intraclass[0] == 0
    assert fit.residual[0] == pytest.approx(13.81, abs=0.005)
    assert fit.coefficients[0, 0] == pytest.approx(5.6656, abs=5e-5)
    assert fit.errors[0, 0] == pytest.approx(0.6784, abs=5e-5)
    # Satterthwaite alone would say 29, one less than the samples.
    assert fit.freedom[0, 0] == 5


def sleep() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    times = np.array(SLEEP.split(), dtype=np.float64)
    design = np.column_stack([np.ones(180), np.tile(np.arange(10.0), 18)])
    return column(times), design, np.repeat(np.arange(18), 10)


def test_sleepstudy_gives_the_published_fit_of_lme4() -> None:
    fit = fit_models(*sleep())
    # lmer(Reaction ~ Days + (1 | Subject), sleepstudy): 251.4051 and 10.4673; variances 1378.18
    # and 960.46; error of the intercept 9.7467 with 22.81 degrees of freedom (lmerTest).
    assert fit.coefficients[:, 0] == pytest.approx([251.4051, 10.4673], abs=1e-4)
    assert fit.residual[0] == pytest.approx(960.46, abs=0.01)
    between = fit.residual[0] * fit.intraclass[0] / (1 - fit.intraclass[0])
    assert between == pytest.approx(1378.18, abs=0.05)
    assert fit.errors[0, 0] == pytest.approx(9.7467, abs=1e-4)


def test_people_who_respond_differently_widen_the_error_of_what_varies_within_them() -> None:
    fit = fit_models(*sleep())
    # The random-intercept model says 0.8042; with a random slope lme4 says 1.546. The jackknife
    # of a balanced design is the standard error of the 18 slopes: that of the random slope.
    slopes = [np.polyfit(np.arange(10), row, 1)[0] for row in sleep()[0].reshape(18, 10)]
    assert fit.errors[1, 0] == pytest.approx(np.std(slopes, ddof=1) / np.sqrt(18), rel=1e-6)
    assert fit.errors[1, 0] == pytest.approx(1.546, abs=1e-3)
    assert fit.freedom[1, 0] == 17


def drawn(seed: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    subjects = np.concatenate([np.arange(20), draw.integers(0, 20, 60)])
    between = draw.standard_normal(20)[subjects]
    x = np.column_stack([np.ones(80), between, draw.standard_normal(80)])
    y = spread * draw.standard_normal((20, 6))[subjects] + draw.standard_normal((80, 6)) + 5
    return y, x, subjects


def test_estimates_are_those_of_statsmodels() -> None:
    y, x, subjects = drawn(1)
    fit = fit_models(y, x, subjects)
    for feature in range(y.shape[1]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other = sm.MixedLM(y[:, feature], x, subjects).fit(reml=True)
        assert fit.coefficients[:, feature] == pytest.approx(other.fe_params, abs=1e-4)
        assert fit.residual[feature] == pytest.approx(other.scale, rel=1e-3)
        between = fit.residual[feature] * fit.intraclass[feature] / (1 - fit.intraclass[feature])
        assert between == pytest.approx(other.cov_re[0, 0], rel=1e-3)


def test_errors_are_those_of_generalised_least_squares() -> None:
    y, x, subjects = drawn(2)
    fit = fit_models(y, x, subjects)
    same = (subjects[:, None] == subjects).astype(float)
    for feature in range(y.shape[1]):
        ratio = fit.intraclass[feature] / (1 - fit.intraclass[feature])
        v = fit.residual[feature] * (np.eye(80) + ratio * same)
        covariance = np.linalg.inv(x.T @ np.linalg.solve(v, x))
        model = np.sqrt(np.diag(covariance))
        assert fit.errors[:2, feature] == pytest.approx(model[:2], rel=1e-6)
        # The column within subjects has the larger of this and of the jackknife, written out.
        inverse = np.linalg.inv(v)
        without = []
        for subject in range(20):
            keep = subjects != subject
            part = inverse[np.ix_(keep, keep)]
            own = x[keep]
            without.append(np.linalg.solve(own.T @ part @ own, own.T @ part @ y[keep, feature]))
        changes = np.array(without) - fit.coefficients[:, feature]
        jackknife = np.sqrt(19 / 20 * (changes**2).sum(axis=0))
        assert fit.errors[2, feature] == pytest.approx(max(model[2], jackknife[2]), rel=1e-5)


def test_columns_constant_within_subjects_are_tested_against_subjects() -> None:
    y, x, subjects = drawn(3, spread=0.0)
    freedom = fit_models(y, x, subjects).freedom
    assert (freedom[:2] <= 20 - 2).all()
    assert constant_within(x, subjects).tolist() == [True, True, False]


def test_what_never_changes_within_a_person_is_tested_between_persons() -> None:
    # A species that people have or lack for good: nine samples of a person say what one says.
    has = np.array([1, 0, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0], dtype=float)
    group = (np.arange(16) < 8).astype(float)
    subjects = np.repeat(np.arange(16), 9)
    run = np.tile(np.arange(9) % 2, 16).astype(float)
    x = np.column_stack([np.ones(144), group[subjects], run])
    fit = fit_models(has[subjects][:, None], x, subjects)
    expected = stats.ttest_ind(has[:8], has[8:])
    assert fit.p_values()[1, 0] == pytest.approx(expected.pvalue)
    assert fit.freedom[1, 0] == 14
    assert np.isnan(fit.errors[2, 0])


def test_p_is_not_too_small_where_people_have_a_species_or_lack_it() -> None:
    draw = np.random.default_rng(8)
    subjects = np.repeat(np.arange(30), 6)
    x = np.column_stack([np.ones(180), (np.arange(30) < 15)[subjects]])
    y = (draw.random((30, 2000)) < 0.5).astype(float)[subjects]
    p = fit_models(y, x, subjects).p_values()[1]
    # Differences of two shares of 15 come in steps; the upper bound is that of 3.3 errors.
    assert (p <= 0.05).mean() < 0.05 + 0.016
    assert (p <= 0.05).mean() > 0.02


def test_one_sample_per_subject_is_ordinary_least_squares() -> None:
    y, x, _ = drawn(4)
    fit = fit_models(y, x, np.arange(80))
    other = sm.OLS(y[:, 0], x).fit()
    assert fit.coefficients[:, 0] == pytest.approx(other.params)
    assert fit.errors[:, 0] == pytest.approx(other.bse)
    assert fit.p_values()[:, 0] == pytest.approx(other.pvalues)
    assert np.column_stack([b[:, 0] for b in fit.interval()]) == pytest.approx(other.conf_int())
    assert np.array_equal(fit_models(y, x).errors, fit.errors)


def test_what_does_not_vary_is_not_tested() -> None:
    y, x, subjects = drawn(5)
    y[:, 1] = 3.0
    y[:, 2] = x @ [1.0, 2.0, 3.0]
    for own in (subjects, np.arange(80)):
        fit = fit_models(y, x, own)
        assert np.isnan(fit.errors[:, 1:3]).all()
        assert np.isfinite(fit.errors[:, [0, 3]]).all()
    assert fit_models(y[:, [1]], x).coefficients.shape == (3, 1)
    assert fit_models(y[:, :0], x).coefficients.shape == (3, 0)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-1000, 1000))
def test_units_order_and_names_of_subjects_change_nothing(
    seed: int, scale: float, offset: float
) -> None:
    y, x, subjects = drawn(seed)
    fit = fit_models(y, x, subjects)
    draw = np.random.default_rng(seed)
    order, names = draw.permutation(80), draw.permutation(20)
    other = fit_models((scale * y + offset)[order], x[order], names[subjects[order]])
    assert np.allclose(other.coefficients[1:], scale * fit.coefficients[1:], atol=1e-5 * scale)
    assert np.allclose(other.errors, scale * fit.errors, rtol=1e-4)
    assert np.allclose(other.intraclass, fit.intraclass, atol=1e-4)


def test_p_is_uniform_where_groups_of_people_differ_in_nothing() -> None:
    draw = np.random.default_rng(6)
    subjects = np.concatenate([np.arange(30), draw.integers(0, 30, 60)])
    x = np.column_stack([np.ones(90), (np.arange(30) < 12)[subjects], draw.standard_normal(90)])
    y = draw.standard_normal((30, 4000))[subjects] + draw.standard_normal((90, 4000))
    p = fit_models(y, x, subjects).p_values()
    # 99.9 % of such shares lie within 0.05 -+ 3.3 sqrt(0.05 0.95 / 4000) = 0.0114.
    assert abs((p[1] <= 0.05).mean() - 0.05) < 0.0114
    # The larger of two errors is on the safe side for what varies within people.
    assert 0.02 < (p[2] <= 0.05).mean() < 0.0614
    # Samples taken for people would find a third of these groups different.
    assert (fit_models(y, x).p_values()[1] <= 0.05).mean() > 0.15
