import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fermentome.normalise import (
    Library,
    copies_per_genome,
    detection_limit,
    estimate_mate_offset,
    fragment_effective_length,
    genome_equivalents,
    read_effective_length,
)

EVEN = genome_equivalents([100.0] * 40, [1000.0] * 40)


def test_effective_length_counts_the_start_positions_of_accepted_alignments():
    # A gene of 300 nt, reads of 100 nt, alignments of at least 60 nt: the read may start
    # 40 nt before the gene and at the latest 60 nt before its end: 40 + 300 - 60 + 1 = 281.
    assert read_effective_length(100, 100, 0.6) == 281


def test_effective_length_equals_a_brute_force_count():
    gene, read, shortest = 90, 50, 30
    starts = [s for s in range(-read, gene) if min(s + read, gene) - max(s, 0) >= shortest]
    assert read_effective_length(gene / 3, read, shortest / read) == len(starts)


def test_a_pair_covers_the_positions_of_both_mates_once():
    library = Library(paired_fragments=10, single_fragments=0, read_length=100, mate_offset=200)
    assert fragment_effective_length(1000, library) == 1200
    # A gene shorter than the offset cannot be hit by both mates.
    assert fragment_effective_length(150, library) == 300


def test_single_reads_have_the_effective_length_of_one_read():
    library = Library(0, 10, 100, 200)
    assert fragment_effective_length(1000, library) == 1000


def test_mixed_layouts_weigh_by_fragments():
    library = Library(30, 10, 100, 200)
    assert fragment_effective_length(1000, library) == pytest.approx(0.75 * 1200 + 0.25 * 1000)


def test_mate_offset_is_recovered_without_an_insert_size():
    widths = np.array([400.0, 900.0, 2000.0])
    density = np.array([0.5, 2.0, 1.0])
    mates = 2 * density * widths
    fragments = density * (widths + np.minimum(150.0, widths))
    assert estimate_mate_offset(fragments, mates, widths) == pytest.approx(150, abs=1e-3)


def test_mate_offset_without_pairs_is_zero():
    assert estimate_mate_offset([0.0], [0.0], [500.0]) == 0


def test_even_single_copy_families_give_their_density():
    assert EVEN.density == pytest.approx(0.1)
    assert EVEN.families_used == 40
    assert EVEN.variation == 0


def test_a_family_far_off_is_set_aside():
    counts = [100.0] * 39 + [1000.0]
    result = genome_equivalents(counts, [1000.0] * 40)
    assert result.families_used == 39
    assert result.density == pytest.approx(0.1)


def test_at_low_depth_no_family_is_set_aside():
    counts = [0.0] * 20 + [1.0] * 20
    result = genome_equivalents(counts, [1000.0] * 40)
    assert result.families_used == 40
    assert result.density == pytest.approx(20 / 40_000)


def test_too_few_single_copy_fragments_give_no_density():
    assert math.isnan(genome_equivalents([1.0] * 9, [1000.0] * 9).density)
    assert not math.isnan(genome_equivalents([1.0] * 10, [1000.0] * 10).density)


def test_no_single_copy_family_gives_no_density():
    assert math.isnan(genome_equivalents([], []).density)


def test_copies_are_the_ratio_of_densities():
    copies, low, high = copies_per_genome(50, 500, EVEN)
    assert copies == pytest.approx(1.0)  # 50 / 500 nt over 0.1 per nt
    assert low < copies < high


def test_interval_agrees_with_a_published_poisson_interval():
    # With a reference without noise the interval is the exact Poisson one; for 10 counts it
    # is 4.795 to 18.39 (Garwood 1936, table of 95 % limits).
    sure = genome_equivalents([1e7], [1e7])
    _, low, high = copies_per_genome(10, 10, sure)
    assert low == pytest.approx(0.4795, abs=2e-4)
    assert high == pytest.approx(1.839, abs=1e-3)


def test_no_fragment_gives_zero_copies_with_an_upper_bound():
    copies, low, high = copies_per_genome(0, 500, EVEN)
    assert (copies, low) == (0, 0)
    # 3.69 counts is the upper 97.5 % limit of zero.
    assert high == pytest.approx(3.689 / 500 / 0.1, rel=2e-3)


def test_unknown_depth_gives_no_copies():
    unknown = genome_equivalents([0.0] * 40, [1000.0] * 40)
    assert all(math.isnan(value) for value in copies_per_genome(5, 500, unknown))


def test_detection_limit_is_where_two_fragments_come_19_times_in_20():
    # P(Poisson(4.744) >= 2) = 0.95.
    limit = detection_limit([1000.0], EVEN, 2)
    assert limit == pytest.approx(4.744 / (0.1 * 1000), rel=1e-3)


def test_detection_limit_of_two_markers_agrees_with_a_simulation():
    limit = detection_limit([], EVEN, 2, pooled=[1000.0, 400.0])
    generator = np.random.default_rng(1)
    counts = generator.poisson(limit * 0.1 * np.array([1000.0, 400.0]), (200_000, 2))
    found = ((counts >= 1).all(axis=1) & (counts.sum(axis=1) >= 4)).mean()
    assert found == pytest.approx(0.95, abs=0.003)


def test_detection_limit_of_families_that_stand_alone_agrees_with_a_simulation():
    limit = detection_limit([1000.0, 400.0], EVEN, 2)
    generator = np.random.default_rng(1)
    counts = generator.poisson(limit * 0.1 * np.array([1000.0, 400.0]), (200_000, 2))
    assert (counts >= 2).all(axis=1).mean() == pytest.approx(0.95, abs=0.003)


def test_detection_limit_halves_when_depth_doubles():
    deeper = genome_equivalents([200.0] * 40, [1000.0] * 40)
    ratio = detection_limit([700.0], EVEN, 2) / detection_limit([700.0], deeper, 2)
    assert ratio == pytest.approx(2, rel=1e-6)


@given(
    st.integers(0, 10_000),
    st.floats(100, 5000),
    st.lists(st.integers(1, 500), min_size=10, max_size=40),
)
def test_interval_always_holds_the_estimate(fragments, length, single_copy):
    equivalents = genome_equivalents([float(n) for n in single_copy], [800.0] * len(single_copy))
    assume(not math.isnan(equivalents.density))
    copies, low, high = copies_per_genome(fragments, length, equivalents)
    assert 0 <= low <= copies * (1 + 1e-9)
    assert copies <= high * (1 + 1e-9)


def test_what_comes_from_elsewhere_does_not_limit():
    # Two families; of the shorter 50 fragments come from other organisms. The longer alone counts.
    limit = detection_limit([1000.0, 100.0], EVEN, 2, single_others=[0.0, 50.0])
    assert limit == pytest.approx(detection_limit([1000.0], EVEN, 2), rel=1e-6)


def test_nothing_limits_where_all_comes_from_elsewhere():
    assert detection_limit([1000.0], EVEN, 2, single_others=[50.0]) < 1e-4
