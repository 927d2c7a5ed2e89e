"""Batches that one more name leaves as they were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermentome.batches import stable_batches

NAMES = st.lists(st.text("abcdef0123", min_size=1, max_size=6), unique=True, max_size=200).map(
    sorted
)


@given(NAMES, st.integers(1, 30))
def test_every_name_is_in_one_batch_and_in_order(names, size):
    batches = stable_batches(names, size)
    assert [name for batch in batches.values() for name in batch] == names
    assert all(batches.values())


@given(NAMES, st.integers(1, 30))
def test_only_the_first_batch_can_be_small(names, size):
    sizes = [len(batch) for batch in stable_batches(names, size).values()]
    least = (size - 1) // 2
    assert all(length > least for length in sizes[1:])


def test_batches_have_the_size_asked_for_on_the_average():
    sizes = [len(b) for b in stable_batches([f"g{n:05d}" for n in range(20_000)], 25).values()]
    assert 24 < sum(sizes) / len(sizes) < 26
    assert max(sizes) < 4 * 25


@given(st.text("0123456789", min_size=5, max_size=5))
def test_one_more_name_changes_at_most_three_batches(name):
    names = [f"{n:05d}" for n in range(0, 50_000, 97)]
    before = stable_batches(names, 25)
    after = stable_batches(sorted({*names, name}), 25)
    assert sum(before.get(batch) != members for batch, members in after.items()) <= 3


def test_no_names_have_no_batch():
    assert stable_batches([], 25) == {}


def test_size_below_one_is_refused():
    with pytest.raises(ValueError, match="batches of 0 names"):
        stable_batches(["a"], 0)
