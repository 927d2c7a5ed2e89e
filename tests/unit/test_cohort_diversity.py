"""Diversity within samples, the tables of diversity and its figures."""

import gzip
import itertools
import math

import numpy as np
import pytest

from fermentome.cohort.data import TAXA, Account, Cohort, Column, FeatureTable, Metadata
from fermentome.cohort.diversity import ALPHA_METRICS, alpha_of, common_depth, expected_seen
from fermentome.cohort.diversity_figures import (
    confidence_ellipse,
    groups_of,
    levels_shown,
    plot_alpha,
    plot_ordination,
)
from fermentome.cohort.diversity_tables import TABLES, analyse, terms_of, write_diversity
from fermentome.cohort.settings import Settings
from fermentome.tables import read_table

LINEAGES = {
    "t0": "d__B;p__P;c__C;o__O;f__F;g__G;s__t0",
    "t1": "d__B;p__P;c__C;o__O;f__F;g__G;s__t1",
    "t2": "d__B;p__Q;c__D;o__O;f__F;g__H;s__t2",
}


def cohort_of(values, columns=None, counts=None, lineages=LINEAGES):
    values = np.array(values, dtype=float).reshape(len(values), -1 if len(values) else 3)
    samples = tuple(f"s{i:02d}" for i in range(len(values)))
    features = tuple(f"t{i}" for i in range(values.shape[1]))
    table = FeatureTable(
        TAXA, samples, features, values, "relative abundance", True, lineages,
        counts=None if counts is None else np.array(counts, dtype=float),
    )  # fmt: skip
    made = {}
    for name, cells in (columns or {}).items():
        numbers = None
        if all(isinstance(cell, (int, float)) for cell in cells):
            numbers = np.array(cells, dtype=float)
            cells = [str(cell) for cell in cells]
        made[name] = Column(name, tuple(cells), numbers)
    return Cohort(Metadata(samples, made), {TAXA: table})


def alpha_cells(cohort, settings=None):
    account = Account("diversity")
    rows = alpha_of(cohort, settings or Settings(), account)
    return {(row["sample"], row["metric"]): row for row in rows}, account


def drawn_cohort(samples=24, features=12, seed=3, **columns):
    values = np.random.default_rng(seed).dirichlet(np.full(features, 0.4), samples)
    values[values < 0.02] = 0
    lineages = {f"t{i}": f"d__B;p__P{i % 3};g__G{i % 6};s__t{i}" for i in range(features)}
    return cohort_of(values, columns, lineages=lineages)


def test_indices_of_a_sample_are_those_by_hand():
    # Shares 1/2, 1/4, 1/4: entropy 1/2 ln 2 + 2 * 1/4 ln 4; 1 - (1/4 + 2/16).
    cells, _ = alpha_cells(cohort_of([[0.5, 0.25, 0.25]]))
    assert cells["s00", "richness"]["value"] == 3
    assert cells["s00", "shannon"]["value"] == pytest.approx(1.5 * math.log(2))
    assert cells["s00", "simpson"]["value"] == pytest.approx(0.625)


def test_faith_counts_the_taxa_of_every_rank():
    cells, _ = alpha_cells(cohort_of([[0.5, 0.5, 0], [0.5, 0, 0.5]]))
    # Domain to genus are shared by t0 and t1: 6 + 2. t0 and t2 share the domain: 1 + 6 + 6.
    assert cells["s00", "faith_pd"]["value"] == 8
    assert cells["s01", "faith_pd"]["value"] == 13


def test_zero_taxa_is_a_richness_of_zero_and_an_entropy_that_is_not_known():
    cells, _ = alpha_cells(cohort_of([[0.0, 0.0, 0.0]]))
    assert cells["s00", "richness"]["value"] == 0
    assert math.isnan(cells["s00", "shannon"]["value"])


def test_a_sample_that_is_not_known_has_no_index_and_is_said():
    cells, account = alpha_cells(cohort_of([[0.5, 0.5, 0], [np.nan] * 3]))
    assert math.isnan(cells["s01", "richness"]["value"])
    assert "not known in 1 of 2 samples" in account.entries[0].reason


def test_without_reads_values_are_said_not_to_be_standardised():
    cells, account = alpha_cells(cohort_of([[0.5, 0.5, 0]]))
    assert cells["s00", "richness"]["standardisation"] == "not standardised"
    assert ("s00", "richness_at_depth") not in cells
    assert "no reads by taxon" in account.entries[-1].reason


def test_expected_richness_is_the_mean_over_all_draws():
    reads = [3, 1, 2]
    pool = [i for i, count in enumerate(reads) for _ in range(count)]
    draws = [len(set(draw)) for draw in itertools.combinations(pool, 3)]
    found = expected_seen(np.array(reads, dtype=float), 6, 3).sum()
    assert found == pytest.approx(np.mean(draws))


def test_richness_and_faith_at_equal_depth_are_those_by_hand():
    # Depth 2 of reads 3, 1, 0: t0 always, t1 in half of the draws. Faith: the six branches
    # above both always, t0's own always, t1's own in half.
    cells, _ = alpha_cells(
        cohort_of([[0.75, 0.25, 0], [0.5, 0, 0.5]], counts=[[3, 1, 0], [1, 0, 1]])
    )
    assert cells["s00", "richness_at_depth"]["value"] == pytest.approx(1.5)
    assert cells["s00", "faith_pd_at_depth"]["value"] == pytest.approx(7.5)
    assert cells["s00", "richness_at_depth"]["depth_reads"] == 2
    # Good: 1 - singletons / reads.
    assert cells["s00", "coverage"]["value"] == pytest.approx(0.75)
    assert cells["s01", "coverage"]["value"] == 0


def test_samples_below_the_depth_asked_for_have_no_standardised_value():
    cells, account = alpha_cells(
        cohort_of([[1, 0, 0], [1, 0, 0]], counts=[[50, 0, 0], [5, 0, 0]]),
        Settings(rarefaction_depth=20),
    )
    assert cells["s00", "richness_at_depth"]["value"] == pytest.approx(1)
    row = cells["s01", "richness_at_depth"]
    assert math.isnan(row["value"]) and row["standardisation"] == "fewer reads than this"
    assert "1 of 2 samples have fewer reads" in account.entries[-1].reason


def test_a_depth_that_no_sample_reaches_is_told_as_left_out():
    _, account = alpha_cells(
        cohort_of([[1, 0, 0], [1, 0, 0]], counts=[[9, 0, 0], [5, 0, 0]]),
        Settings(rarefaction_depth=20),
    )
    assert account.entries[-1].status == "left_out"
    assert "2 of 2 samples have fewer reads" in account.entries[-1].reason


def test_the_depth_keeps_nine_of_ten_samples():
    totals = np.array([100.0, 1, 80, 90, 85, 95, 99, 70, 60, 65, 0])
    assert common_depth(totals, None) == 60
    assert common_depth(np.zeros(3), None) is None


def test_a_deeper_sample_of_the_same_community_is_as_rich_at_equal_depth():
    counts = np.array([[400, 40, 4], [4000, 400, 40]], dtype=float)
    cells, _ = alpha_cells(cohort_of(counts / counts.sum(axis=1, keepdims=True), counts=counts))
    values = [cells[s, "richness_at_depth"]["value"] for s in ("s00", "s01")]
    assert values[0] == pytest.approx(3) and values[1] == pytest.approx(values[0], abs=0.02)


def test_every_metric_of_every_sample_has_a_row():
    cells, _ = alpha_cells(cohort_of([[0.5, 0.5, 0]], counts=[[1, 1, 0]]))
    assert [metric for _, metric in cells] == list(ALPHA_METRICS)


def test_a_column_that_is_not_there_is_said_with_those_that_are():
    cohort = cohort_of([[1.0, 0, 0]], {"site": ["a"]})
    account = Account("diversity")
    found = terms_of(cohort.metadata, Settings(groups=("site", "arm"), batch=("site",)), account)
    assert [(term.name, term.kind) for term in found] == [("site", "group")]
    assert "no column 'arm'; its columns: site" in account.entries[0].reason


def test_all_tests_are_made_and_corrected_together():
    cohort = drawn_cohort(
        subject=[f"p{i // 2}" for i in range(24)], group=["a", "a", "b", "b"] * 6,
        age=[20 + i // 2 for i in range(24)], drug=["yes", "no"] * 12,
    )  # fmt: skip
    account = Account("diversity")
    settings = Settings(groups=("group", "drug"), covariates=("age",), permutations=99)
    found = analyse(cohort, settings, account)
    assert len(found.permanova) == 3 * 4
    kinds = {(row["term"], row["permuted"]) for row in found.permanova}
    assert kinds == {
        ("group", "whole subjects"), ("drug", "samples within subject"), ("age", "whole subjects"),
    }  # fmt: skip
    assert all(row["q"] >= row["p"] - 1e-12 for row in found.permanova)
    assert all(math.isnan(row["dispersion_q"]) for row in found.permanova if row["term"] == "age")
    assert {row["level"] for row in found.dispersion} == {"a", "b", "yes", "no"}
    assert all(row["subjects"] == 12 for row in found.closeness)
    assert all(entry.status != "left_out" or "reads" in entry.reason for entry in account.entries)


def test_missing_values_and_rare_levels_are_left_out_and_counted():
    cohort = drawn_cohort(12, group=["a"] * 5 + ["b"] * 5 + ["c", None])
    (first, *_) = analyse(cohort, Settings(permutations=19), Account("diversity")).permanova
    assert first["samples"] == 10 and first["levels"] == 2
    assert first["note"] == "1 sample without a value left out; 1 level of one sample left out"


def test_a_p_value_that_cannot_be_small_is_said_and_why():
    columns = {"subject": [f"p{i // 3}" for i in range(12)], "group": ["a"] * 6 + ["b"] * 6}
    (few, *_) = analyse(
        drawn_cohort(12, **columns), Settings(permutations=199), Account("diversity")
    ).permanova
    # Four people, two and two: three partitions.
    assert few["least_p"] == pytest.approx(1 / 3)
    assert "too few samples or subjects" in few["note"]
    (rough, *_) = analyse(
        drawn_cohort(12, group=columns["group"]), Settings(permutations=9), Account("diversity")
    ).permanova
    assert rough["least_p"] == pytest.approx(0.1)
    assert "too few permutations" in rough["note"]


def test_a_difference_in_spread_alone_is_said_beside_the_test_of_place():
    generator = np.random.default_rng(2)
    tight = generator.dirichlet(np.full(12, 200.0), 30)
    loose = generator.dirichlet(np.full(12, 2.0), 30)
    lineages = {f"t{i}": f"d__B;p__P{i};s__t{i}" for i in range(12)}
    cohort = cohort_of(
        np.vstack([tight, loose]), {"group": ["tight"] * 30 + ["loose"] * 30}, lineages=lineages
    )
    (first, *_) = analyse(cohort, Settings(permutations=199), Account("diversity")).permanova
    assert first["dispersion_p"] == pytest.approx(1 / 200)
    assert "spread differs (loose" in first["note"]


@pytest.mark.parametrize("samples", [0, 1, 2])
def test_few_samples_leave_what_can_be_made(samples, tmp_path):
    cohort = cohort_of([[0.5, 0.5, 0]] * samples, {"group": ["a", "b"][:samples]})
    account = Account("diversity")
    paths = {name: tmp_path / f"{name}.tsv" for name in TABLES}
    write_diversity(cohort, Settings(), account, paths)
    alpha = read_table(paths["alpha"])
    assert len({row["sample"] for row in alpha}) == samples
    assert read_table(paths["permanova"]) == []
    assert any(entry.status == "left_out" for entry in account.entries)
    for plot in (
        lambda out: plot_alpha(alpha, read_table(paths["terms"]), out),
        lambda out: plot_ordination(
            *(read_table(paths[n]) for n in ("ordination", "axes", "permanova", "terms")), out
        ),
    ):
        plot([tmp_path / "a.png", tmp_path / "a.svg"])
        assert (tmp_path / "a.png").stat().st_size > 1000


def test_no_taxa_is_said():
    account = Account("diversity")
    cohort = Cohort(Metadata(("a",), {}), {})
    assert analyse(cohort, Settings(), account).alpha == []
    assert account.entries[0].reason == "there is no table of taxa"


def test_two_runs_give_the_same_bytes(tmp_path):
    cohort = drawn_cohort(subject=[f"p{i // 2}" for i in range(24)], group=["a", "b"] * 12)
    written = []
    for run in ("one", "two"):
        folder = tmp_path / run
        folder.mkdir()
        paths = {name: folder / f"{name}.tsv" for name in TABLES}
        settings = Settings(permutations=49)
        write_diversity(cohort, settings, Account("diversity"), paths | {"distances": folder / "d"})
        plot_ordination(
            *(read_table(paths[name]) for name in ("ordination", "axes", "permanova", "terms")),
            [folder / "o.svg"],
        )
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        written.append({path.relative_to(folder): path.read_bytes() for path in files})
    assert written[0] == written[1]
    assert len(written[0]) == len(TABLES) + 4 + 1


def test_distances_are_written_as_a_square_with_names(tmp_path):
    cohort = cohort_of([[1, 0, 0], [0.5, 0.5, 0], [0, 0, 0]])
    write_diversity(cohort, Settings(), Account("diversity"), {"distances": tmp_path / "d"})
    with gzip.open(tmp_path / "d/taxa_braycurtis.tsv.gz", "rt") as handle:
        lines = handle.read().splitlines()
    assert lines == [
        "sample\ts00\ts01\ts02", "s00\t0\t0.5\tNA", "s01\t0.5\t0\tNA", "s02\tNA\tNA\tNA",
    ]  # fmt: skip


def test_figures_hold_hostile_names_and_many_levels(tmp_path):
    names = ["$x_1$ <b>&", "\U0001f9a0", "עברית" * 40, *(f"level {i}" for i in range(9))]
    cohort = drawn_cohort(36, group=[*(names * 3)][:35] + [None])
    paths = {name: tmp_path / f"{name}.tsv" for name in TABLES}
    write_diversity(cohort, Settings(permutations=9), Account("diversity"), paths)
    terms = read_table(paths["terms"])
    plot_alpha(read_table(paths["alpha"]), terms, [tmp_path / "a.svg"])
    plot_ordination(
        *(read_table(paths[name]) for name in ("ordination", "axes", "permanova", "terms")),
        [tmp_path / "o.svg"],
    )
    for name in ("a.svg", "o.svg"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "$x_1$ &lt;b&gt;&amp;" in text
        assert "no value" in text and "other levels" in text


def test_at_most_seven_looks_and_the_most_frequent_levels_have_them():
    levels = {f"s{i}": f"level {min(i, 9)}" for i in range(20)}
    shown = levels_shown(levels)
    assert len(shown) == 6 and "level 9" in shown


def test_without_a_group_the_figure_takes_the_batch_and_never_a_number():
    rows = [
        {"sample": "s", "subject": "NA", "term": "age", "kind": "covariate", "value": "3"},
        {"sample": "s", "subject": "NA", "term": "run", "kind": "batch", "value": "1"},
    ]
    assert groups_of(rows, None)[0] == "run"
    assert groups_of(rows[:1], None)[:2] == (None, {"s": "all samples"})


def test_the_region_of_a_centroid_covers_it_in_95_of_100_draws():
    generator = np.random.default_rng(11)
    inside = 0
    for _ in range(600):
        means = generator.multivariate_normal([1, -2], [[3, 1], [1, 0.5]], 8)
        width, height, angle = confidence_ellipse(means)
        turn = math.radians(angle)
        away = np.array([1, -2]) - means.mean(axis=0)
        along = away @ [math.cos(turn), math.sin(turn)]
        across = away @ [-math.sin(turn), math.cos(turn)]
        inside += (2 * along / width) ** 2 + (2 * across / height) ** 2 <= 1
    # Binomial, 600 draws at 0.95: 99.9 % within 0.921 and 0.979.
    assert 0.921 < inside / 600 < 0.979


def test_too_few_people_have_no_region():
    assert confidence_ellipse(np.zeros((4, 2))) is None


def test_a_sample_without_a_subject_is_a_person_of_its_own_where_others_have_one():
    subjects = [f"P{i // 2}" for i in range(12)] + [None] * 12
    groups = ["a", "a", "b", "b"] * 3 + ["a", "b"] * 6
    cohort = drawn_cohort(subject=subjects, group=groups)
    (first, *_) = analyse(cohort, Settings(permutations=19), Account("diversity")).permanova
    assert (first["samples"], first["subjects"]) == (24, 6 + 12)
