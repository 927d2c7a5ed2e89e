"""Distances between samples, the tree of lineages, principal coordinates."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skbio import TreeNode
from skbio.diversity import beta_diversity

from fermentome.cohort.data import PATHWAYS, TAXA, FeatureTable
from fermentome.cohort.ordination import (
    METRICS,
    axis_rows,
    comparable,
    coordinate_rows,
    distances,
    principal_coordinates,
    replaced_zeros,
)
from fermentome.cohort.tree import lineage_tree, path_of
from fermentome.errors import CohortError

EVERY_METRIC = sorted({metric for metrics in METRICS.values() for metric in metrics})
# Two phyla, three classes: t0 and t1 share a genus, t2 their phylum, t3 only the domain.
LINEAGES = (
    "d__B;p__P;c__C;o__O;f__F;g__G;s__t0",
    "d__B;p__P;c__C;o__O;f__F;g__G;s__t1",
    "d__B;p__P;c__D;o__O;f__F;g__H;s__t2",
    "d__B;p__Q;c__E;o__O;f__F;g__I;s__t3",
)


def table_of(values, lineages=LINEAGES, name=TAXA):
    values = np.array(values, dtype=float)
    features = tuple(f"t{i}" for i in range(values.shape[1]))
    samples = tuple(f"s{i}" for i in range(len(values)))
    of = dict(zip(features, lineages, strict=False))
    return FeatureTable(name, samples, features, values, "share", name == TAXA, of)


def test_bray_curtis_is_that_of_the_documented_example():
    # https://scikit.bio/docs/latest/diversity.html, the table of six samples.
    data = [
        [23, 64, 14, 0, 0, 3, 1], [0, 3, 35, 42, 0, 12, 1], [0, 5, 5, 0, 40, 40, 0],
        [44, 35, 9, 0, 1, 0, 0], [0, 2, 8, 0, 35, 45, 1], [0, 0, 25, 35, 0, 19, 0],
    ]  # fmt: skip
    found = distances(table_of(data), "braycurtis")
    expected = [0.0, 0.78787879, 0.86666667, 0.30927835, 0.85714286, 0.81521739]
    assert found[0] == pytest.approx(expected, abs=5e-9)
    assert found[4, 2] == pytest.approx(0.09392265, abs=5e-9)


def test_aitchison_without_zeros_is_that_of_log_ratios():
    # clr (0.8, 0.2) = (ln 2, -ln 2), clr (0.5, 0.5) = 0: the distance is sqrt(2) ln 2.
    found = distances(table_of([[0.5, 0.5], [0.8, 0.2]]), "aitchison")
    assert found[0, 1] == pytest.approx(math.sqrt(2) * math.log(2))


def test_a_zero_is_065_of_the_least_share_and_the_rest_shrinks_in_proportion():
    found = replaced_zeros(np.array([[0.5, 0.45, 0.05], [0.6, 0.4, 0.0]]))
    assert found[0] == pytest.approx([0.5, 0.45, 0.05])
    delta = 0.65 * 0.05
    assert found[1] == pytest.approx([0.6 * (1 - delta), 0.4 * (1 - delta), delta])


def test_zeros_never_take_more_than_a_tenth_of_a_sample():
    shares = np.eye(30) * 0.7 + 0.3 * np.roll(np.eye(30), 1, axis=1)
    found = replaced_zeros(shares)
    assert (found > 0).all()
    assert np.where(shares == 0, found, 0).sum(axis=1) == pytest.approx(np.full(30, 0.1))


def test_log_distance_counts_doublings_and_sets_zero_at_half_the_least():
    # 4 to 1 copies: two doublings. Zero stands for half of 1, three doublings below 4.
    found = distances(table_of([[4.0], [1.0], [0.0], [2.0]], name=PATHWAYS), "log_euclidean")
    # A sample without any feature has no distance.
    assert np.isnan(found[2]).all()
    assert found[0, 1] == pytest.approx(2.0)
    two = distances(table_of([[4, 1], [1, 1], [0, 1.0]], name=PATHWAYS), "log_euclidean")
    assert two[0, 2] == pytest.approx(3.0)


def test_unweighted_unifrac_is_the_part_of_branches_that_one_sample_has():
    found = distances(table_of([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.0]]), "unweighted_unifrac")
    # 7 branches to each tip. t0, t1: 6 shared of 8 in all. t0, t2: 2 shared of 12.
    assert found[0, 1] == pytest.approx(2 / 8)
    assert found[0, 2] == pytest.approx(10 / 12)


def test_weighted_unifrac_of_shares_is_normalised_by_the_depth_of_the_tree():
    values = [[0.5, 0.5, 0, 0], [0.5, 0, 0, 0.5]]
    found = distances(table_of(values), "weighted_unifrac")
    # Half moves from t1 to t3: 1 branch up and 5 (to genus..phylum) more that t0 shares, so
    # t1's own branch 0.5, the five from genus to phylum 0.5 each, and t3's six 0.5 each.
    assert found[0, 1] == pytest.approx((0.5 + 5 * 0.5 + 6 * 0.5) / (7 + 7))


def test_shares_give_the_unifrac_of_the_same_counts():
    # skbio sums branches in whole numbers; shares must not become zero.
    generator = np.random.default_rng(5)
    counts = generator.integers(0, 50, (6, 4)) + 1
    tree = lineage_tree(LINEAGES)
    expected = beta_diversity(
        "weighted_unifrac", counts, validate=False, taxa=tree.tips, tree=tree.root,
        normalized=True,
    )  # fmt: skip
    found = distances(table_of(counts / counts.sum(axis=1, keepdims=True)), "weighted_unifrac")
    assert found == pytest.approx(expected.data, abs=1e-9)
    assert found[0, 1] > 0


def test_all_tips_are_equally_far_from_the_root_though_ranks_have_no_name():
    tree = lineage_tree(
        ["d__B;p__P;c__;o__;f__;g__G;s__a", "d__B;p__P;c__C;o__O;f__F;g__;s__b",
         "d__B;p__;c__;o__;f__F;g__;s__", None],
    )  # fmt: skip
    assert isinstance(tree.root, TreeNode)
    assert tree.placed.tolist() == [0, 1, 2]
    assert [tip.distance(tree.root) for tip in tree.root.tips()] == [7.0, 7.0, 7.0]


def test_ranks_without_a_name_join_nothing():
    tree = lineage_tree(["d__B;p__P;g__;s__a", "d__B;p__P;g__;s__b"])
    left, right = tree.root.tips()
    assert left.parent is right.parent
    assert left.length == 5.0


def test_two_features_of_one_lineage_are_two_tips():
    tree = lineage_tree(["d__B;s__x", "d__B;s__x"])
    assert sorted(tip.name for tip in tree.root.tips()) == ["0", "1"]


def test_lineages_with_bars_or_without_prefixes_are_read():
    assert path_of("k__B|p__P") == ((1, "k__B"), (2, "p__P"))
    assert path_of("Bacteria;;Clostridia") == ((1, "Bacteria"), (3, "Clostridia"))


def test_samples_that_are_not_known_or_empty_have_no_distance():
    table = table_of([[0.5, 0.5, 0, 0], [np.nan] * 4, [0] * 4, [0, 0.5, 0.5, 0]])
    kept = comparable(table)
    assert kept.unknown_samples == ("s1",)
    assert kept.empty_samples == ("s2",)
    for metric in METRICS[TAXA]:
        found = distances(table, metric)
        assert np.isnan(found[1]).all() and np.isnan(found[:, 2]).all()
        assert found[0, 3] > 0 and found[0, 0] == 0


def test_a_feature_that_is_not_known_everywhere_is_left_out_and_named():
    table = table_of([[1, 2, np.nan], [2, 1, 5], [1, 1, 1.0]], name=PATHWAYS)
    assert comparable(table).unknown_features == ("t2",)
    assert distances(table, "braycurtis")[0, 1] == pytest.approx(2 / 6)


def test_without_lineages_there_is_no_unifrac():
    table = table_of([[0.5, 0.5], [0.1, 0.9]], lineages=())
    assert np.isnan(distances(table, "unweighted_unifrac")).all()


def test_an_unknown_metric_names_those_that_are_there():
    with pytest.raises(CohortError, match="'cosine': one of aitchison, braycurtis"):
        distances(table_of([[1, 1]]), "cosine")


@pytest.mark.parametrize("metric", EVERY_METRIC)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_order_of_samples_and_features_and_absent_features_change_nothing(metric, seed):
    generator = np.random.default_rng(seed)
    values = generator.dirichlet(np.full(4, 0.5), 7) * (generator.random((7, 4)) < 0.7)
    values[:, 0] += 0.01
    table = table_of(values / values.sum(axis=1, keepdims=True))
    expected = distances(table, metric)
    rows, columns = generator.permutation(7), generator.permutation(4)
    turned = table.select([table.samples[i] for i in rows], [table.features[i] for i in columns])
    assert distances(turned, metric) == pytest.approx(expected[np.ix_(rows, rows)], abs=1e-9)
    wider = FeatureTable(
        TAXA, table.samples, (*table.features, "absent"),
        np.column_stack([table.values, np.zeros(7)]), "share", True,
        {**table.lineages, "absent": "d__B;p__Z;c__Z;o__Z;f__Z;g__Z;s__z"},
    )  # fmt: skip
    assert distances(wider, metric) == pytest.approx(expected, abs=1e-9)
    assert expected == pytest.approx(expected.T)
    assert (np.diag(expected) == 0).all()


def test_coordinates_give_back_distances_that_fit_into_space():
    points = np.array([[0.0, 0], [3, 0], [0, 4]])
    matrix = np.linalg.norm(points[:, None] - points[None], axis=2)
    found = principal_coordinates(matrix, "abc")
    back = np.linalg.norm(found.points[:, None] - found.points[None], axis=2)
    assert back == pytest.approx(matrix)
    assert found.negative == 0.0
    assert found.explained.sum() == pytest.approx(1.0)
    assert len(found.explained) == 2
    assert (found.points[np.abs(found.points).argmax(axis=0), [0, 1]] > 0).all()


def test_negative_eigenvalues_are_said():
    # A point halfway between two that are 2 apart, but 0.5 from each: no space has it.
    # -D^2/2 centred has trace (4 + 0.25 + 0.25) / 3 = 1.5. Along the line of the two: 2.
    matrix = np.array([[0, 2, 0.5], [2, 0, 0.5], [0.5, 0.5, 0]])
    found = principal_coordinates(matrix, "abc")
    assert found.eigenvalues == pytest.approx([2.0])
    assert found.negative == pytest.approx(0.5 / 2)
    assert found.explained == pytest.approx([1.0])


def test_samples_without_distances_have_no_coordinates_and_axes_that_are_not_there_no_value():
    matrix = np.array([[0, np.nan, 1], [np.nan] * 3, [1, np.nan, 0]])
    found = principal_coordinates(matrix, "abc")
    rows = coordinate_rows(TAXA, "braycurtis", found)
    assert [row["sample"] for row in rows] == ["a", "c"]
    assert rows[0]["axis_1"] == pytest.approx(0.5)
    assert rows[0]["axis_2"] is None
    assert [row["axis"] for row in axis_rows(TAXA, "braycurtis", found)] == ["axis_1"]


@pytest.mark.parametrize("matrix", [np.zeros((0, 0)), np.zeros((1, 1)), np.zeros((3, 3))])
def test_nothing_to_spread_gives_no_axes(matrix):
    found = principal_coordinates(matrix, [str(i) for i in range(len(matrix))])
    assert found.points.shape == (len(matrix), 0)
    assert found.negative == 0.0


def test_features_that_are_known_of_no_sample_do_not_count_against_the_samples():
    nothing = np.nan
    table = table_of(
        [[1, 2, nothing, nothing, nothing], [2, 1, nothing, nothing, nothing]], name=PATHWAYS
    )
    assert distances(table, "braycurtis")[0, 1] == pytest.approx(2 / 6)
    assert comparable(table).unknown_features == ("t2", "t3", "t4")
