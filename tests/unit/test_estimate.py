import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermentome.estimate import (
    Estimate,
    capped,
    harmonic_mean,
    most_abundant,
    scarcest,
    widened,
)


def counted(count, weight=1.0):
    """An estimate with two standard errors of a count on either side."""
    width = math.exp(2 / math.sqrt(count))
    return Estimate(count / weight, count / weight / width, count / weight * width, weight)


def test_parts_that_noise_does_not_tell_apart_are_taken_together():
    # 97 + 103 fragments over twice the length; 97 alone would be the minimum of noise.
    assert scarcest([counted(97), counted(103)]).value == pytest.approx(100)


def test_longer_part_weighs_more():
    # 100 fragments on 1 and 312 on 3 units: 412 / 4.
    assert scarcest([counted(100), counted(312, 3)]).value == pytest.approx(103)


def test_a_part_that_is_plainly_scarcer_limits_the_whole():
    few = counted(10)
    assert scarcest([few, counted(1000)]).value == pytest.approx(math.sqrt(10 * few.high))


def test_a_part_that_was_not_seen_leaves_nothing():
    assert scarcest([Estimate(0, 0, 3.7), counted(100)]).value == 0


def test_exact_parts_give_their_minimum():
    assert scarcest([Estimate.exact(1), Estimate.exact(3)]) == Estimate.exact(1)


def test_alternatives_are_not_added_up():
    assert most_abundant([Estimate.exact(2), Estimate.exact(3)]).value == 3


def test_half_widths_of_a_mean_shrink_with_the_root_of_its_parts():
    # Four equal half-widths w on the logarithm, a quarter each: w / 2.
    part = Estimate(1.0, math.exp(-0.4), math.exp(0.4))
    mean = harmonic_mean([part] * 4)
    assert (mean.value, mean.low) == (1.0, pytest.approx(math.exp(-0.2)))
    assert mean.high == pytest.approx(math.exp(0.2))


def test_scarce_parts_rule_the_width_of_a_harmonic_mean():
    # Weights 1/1 and 1/9 over 10/9: 0.9 and 0.1.
    mean = harmonic_mean([Estimate(1.0, 0.5, 2.0), Estimate.exact(9.0)])
    assert mean.value == pytest.approx(1.8)
    assert mean.high == pytest.approx(1.8 * 2**0.9)


def test_a_cap_counts_only_beyond_its_noise():
    quantity = Estimate(10.0, 9.0, 11.0)
    assert capped(quantity, Estimate(9.9, 9.0, 10.9)).value == 10.0
    assert capped(quantity, Estimate(4.0, 3.0, 6.25)).value == 5.0  # the root of 4 * 6.25
    assert capped(quantity, Estimate.exact(4.0)).value == 4.0


def test_error_of_the_depth_adds_in_quadrature():
    wide = widened(Estimate(1.0, math.exp(-0.3), math.exp(0.3)), math.exp(-0.4), math.exp(0.4))
    assert wide.low == pytest.approx(math.exp(-0.5))
    assert wide.high == pytest.approx(math.exp(0.5))


def test_what_was_not_seen_keeps_an_upper_bound():
    assert widened(Estimate(0.0, 0.0, 2.0), 0.5, 2.0) == Estimate(0.0, 0.0, 4.0)


def test_interval_of_a_mean_of_counts_holds_the_truth_in_95_of_100_cases():
    from fermentome.normalise import counting_bounds

    generator = np.random.default_rng(7)
    truth = np.array([12.0, 30.0, 60.0])
    weights = truth / 10  # one copy each: 10 fragments per unit of length
    held = 0
    for counts in generator.poisson(truth, (1500, 3)):
        parts = [
            Estimate(n, *counting_bounds(n, 0.0), w).scaled(1 / w)
            for n, w in zip(counts, weights, strict=True)
        ]
        mean = harmonic_mean(parts)
        held += mean.low <= 10.0 <= mean.high
    assert 0.94 <= held / 1500 <= 0.985


# Below one fragment the bound of `counted` falls when the count grows.
amounts = st.floats(1.0, 1e4)


@given(st.lists(amounts, min_size=1, max_size=4), st.integers(0, 3), st.floats(1.0, 100.0))
def test_no_combination_falls_when_a_part_grows(counts, index, factor):
    index %= len(counts)
    parts = [counted(n) for n in counts]
    more = list(parts)
    more[index] = counted(counts[index] * factor)
    for combine in (scarcest, most_abundant, harmonic_mean):
        assert combine(more).value >= combine(parts).value * (1 - 1e-9)
    assert capped(more[index], parts[0]).value >= capped(parts[index], parts[0]).value * (1 - 1e-9)
    assert capped(parts[0], more[index]).value >= capped(parts[0], parts[index]).value * (1 - 1e-9)


@given(st.lists(amounts, min_size=1, max_size=4))
def test_every_interval_holds_its_value(counts):
    parts = [counted(n) for n in counts]
    for combine in (scarcest, most_abundant, harmonic_mean):
        found = combine(parts)
        assert found.low <= found.value * (1 + 1e-9)
        assert found.value <= found.high * (1 + 1e-9)
