import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermentome.cohort.multiple_testing import adjust
from fermentome.errors import CohortError

# Benjamini and Hochberg 1995, section 3.1: 15 comparisons of a study of thrombolysis.
PUBLISHED = np.array(
    [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
     0.5719, 0.6528, 0.7590, 1.0000]
)  # fmt: skip


def test_the_four_published_rejections_of_benjamini_and_hochberg_come_out() -> None:
    assert (adjust(PUBLISHED) <= 0.05).tolist() == [True] * 4 + [False] * 11


def test_q_is_the_p_times_tests_over_rank() -> None:
    q = adjust(PUBLISHED)
    # By hand: 0.0001 * 15 / 1, 0.0004 * 15 / 2, 0.0019 * 15 / 3, 0.0095 * 15 / 4.
    assert q[:4] == pytest.approx([0.0015, 0.003, 0.0095, 0.035625])
    # 0.0298 * 15 / 7 is lower than 0.0278 * 15 / 6, so that both have it.
    assert q[5] == q[6] == pytest.approx(0.0298 * 15 / 7)


def test_what_was_not_tested_stays_so_and_does_not_count() -> None:
    q = adjust(np.array([0.01, np.nan, 0.02]))
    assert q[[0, 2]] == pytest.approx([0.02, 0.02])
    assert np.isnan(q[1])


def test_families_are_corrected_apart() -> None:
    q = adjust(np.array([0.01, 0.02, 0.03]), ["a", "b", "a"])
    assert q == pytest.approx([0.02, 0.02, 0.03])


def test_nothing_gives_nothing() -> None:
    assert adjust(np.array([])).size == 0
    assert np.isnan(adjust(np.array([np.nan]))).all()


@pytest.mark.parametrize("wrong", [-0.1, 1.5, np.inf])
def test_a_p_that_is_none_is_named(wrong: float) -> None:
    with pytest.raises(CohortError, match="test 2: p = "):
        adjust(np.array([0.5, wrong]))


def test_a_family_per_test_is_asked_for() -> None:
    with pytest.raises(CohortError, match="1 families, 2 expected"):
        adjust(np.array([0.5, 0.1]), ["a"])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.randoms())
def test_order_changes_nothing_and_q_is_no_less_than_p(p: list[float], random: object) -> None:
    values = np.array(p)
    order = np.array(sorted(range(values.size), key=lambda _: random.random()))  # type: ignore[attr-defined]
    q = adjust(values)
    assert np.allclose(adjust(values[order]), q[order])
    assert (q >= values - 1e-12).all() and (q <= 1).all()
