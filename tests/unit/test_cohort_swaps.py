"""Samples swapped between people: planted ones are found, others are left alone."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fermentome.cohort.data import TAXA, Account, Cohort, Column, FeatureTable, Metadata
from fermentome.cohort.ordination import distances
from fermentome.cohort.reading import load_cohort
from fermentome.cohort.settings import Settings
from fermentome.cohort.swaps import (
    ELSEWHERE,
    NOT_CHECKED,
    NOT_FLAGGED,
    PAIR,
    SWAP_COLUMNS,
    censored_exponential_mean,
    distances_to_people,
    find_swaps,
    fit_people,
    flag,
    plant,
    tail_threshold,
    write_swaps,
)
from fermentome.tables import read_table

ROOT = Path(__file__).parents[2]
HMP2 = ROOT.parent / "shared/data/cohort/hmp2_longitudinal"


def simulated(people, samples, seed=1, scatter=0.5):
    """Table of people who differ more from each other than from themselves, and their names."""
    generator = np.random.default_rng(seed)
    rows, subjects = [], []
    for person in range(people):
        level = generator.normal(0, 1.5, 40)
        for _ in range(samples):
            values = np.exp(level + generator.normal(0, scatter, 40))
            rows.append(values / values.sum())
            subjects.append(f"person {person:02d}")
    return np.array(rows), subjects


def cohort_of(values, subjects, **columns):
    names = tuple(f"s{i:03d}" for i in range(len(subjects)))
    features = tuple(f"t{j:02d}" for j in range(values.shape[1]))
    table = FeatureTable(TAXA, names, features, values, "relative abundance", True)
    cells = {"subject": subjects, **columns}
    return Cohort(
        Metadata(names, {name: Column(name, tuple(cell), None) for name, cell in cells.items()}),
        {TAXA: table},
    )


def run(cohort):
    account = Account("swaps")
    return find_swaps(cohort, Settings(), account), account


def exchanged(subjects, *pairs):
    names = list(subjects)
    for first, second in pairs:
        names[first], names[second] = names[second], names[first]
    return names


def flagged(rows):
    return {row["sample"]: row for row in rows if row["verdict"] in {PAIR, ELSEWHERE}}


def test_mean_of_censored_times_is_the_published_one():
    """Meeker and Escobar 1998, p. 166: 6 failures, 4 still running at 200; 1191 / 6."""
    times = np.array([16, 34, 53, 75, 93, 120, 200, 200, 200, 200.0])
    assert censored_exponential_mean(times, 200) == 198.5


def test_tail_is_that_of_an_exponential_distribution_and_few_swaps_move_it_little():
    evidence = np.random.default_rng(1).exponential(1, 4000)
    # A share of 0.01 lies above -ln(0.01) = 4.605.
    assert tail_threshold(evidence) == pytest.approx(4.605, rel=0.06)
    evidence[:60] = 1e6
    assert tail_threshold(evidence) == pytest.approx(4.605, rel=0.25)  # a plain quantile: 1e6


def test_tail_of_few_samples_is_not_told():
    assert tail_threshold(np.arange(79.0)) is None
    assert tail_threshold(np.append(np.arange(79.0), np.nan)) is None


def test_distance_to_a_person_is_that_to_the_three_nearest_samples():
    square = np.abs(np.subtract.outer(np.array([0, 1, 2, 4, 9.0]), np.array([0, 1, 2, 4, 9.0])))
    found = distances_to_people(square, np.array([0, 1, 1, 1, 1]), 2)
    assert np.isnan(found[0, 0])
    assert found[0, 1] == pytest.approx((1 + 2 + 4) / 3)
    assert found[1, 1] == pytest.approx((1 + 3 + 8) / 3)


def test_technical_replicates_are_not_compared():
    square = np.abs(np.subtract.outer(np.array([0, 1, 9.0]), np.array([0, 1, 9.0])))
    apart = np.zeros((3, 3), dtype=bool)
    apart[0, 1] = apart[1, 0] = True
    found = distances_to_people(square, np.zeros(3, dtype=int), 1, apart)
    assert found[:, 0].tolist() == [9, 8, 8.5]


def test_a_swapped_pair_is_found_and_explains_itself():
    values, subjects = simulated(8, 5)
    rows, account = run(cohort_of(values, exchanged(subjects, (3, 22))))
    found = flagged(rows)
    assert set(found) == {"s003", "s022"}
    assert found["s003"]["partner"] == "s022"
    assert found["s003"]["fits_best"] == "person 00"
    assert found["s022"]["fits_best"] == "person 04"
    assert {row["verdict"] for row in found.values()} == {PAIR}
    assert found["s003"]["own_distance"] > found["s003"]["best_distance"]
    assert "1 pairs" in account.entries[0].reason


def test_a_sample_under_another_name_is_found_without_a_partner():
    values, subjects = simulated(20, 6)
    subjects[7] = "person 15"
    rows, account = run(cohort_of(values, subjects))
    found = flagged(rows)
    assert set(found) == {"s007"}
    assert (found["s007"]["verdict"], found["s007"]["fits_best"]) == (ELSEWHERE, "person 01")
    assert "not calibrated" not in account.entries[0].reason


def test_nobody_is_flagged_where_nothing_is_swapped():
    for seed in range(3):
        values, subjects = simulated(20, 6, seed)
        assert not flagged(run(cohort_of(values, subjects))[0])


def test_names_that_mean_nothing_flag_few():
    """Samples with names drawn at random: no person is alike, so there is nothing to tell."""
    share = []
    for seed in range(10):
        values, subjects = simulated(10, 10, seed, scatter=0.0)
        values = np.random.default_rng(seed).permutation(values)
        noise = np.random.default_rng(seed + 100).lognormal(0, 1.0, values.shape)
        rows, _ = run(cohort_of(noise / noise.sum(axis=1, keepdims=True), subjects))
        share.append(len(flagged(rows)) / len(subjects))
    assert np.mean(share) <= 0.02


def test_people_who_are_not_alike_are_said_to_be_so():
    # Person a at both ends, b between: everybody is nearer to the other.
    points = np.array([0.0, 10, 5, 5.5])
    square = np.abs(np.subtract.outer(points, points))
    assert fit_people(square, ["a", "a", "b", "c"]) is None


def test_the_only_sample_of_a_person_is_not_checked():
    values, subjects = simulated(5, 4)
    rows, account = run(cohort_of(values, [*subjects[:-1], "alone"]))
    assert rows[-1]["verdict"] == NOT_CHECKED
    assert rows[-1]["fits_best"] is None
    assert np.isnan(rows[-1]["log10_odds"])
    assert "1 samples of people with one sample not checked" in account.entries[0].reason


def test_a_cell_that_says_that_no_event_is_on_is_no_event():
    values, subjects = simulated(8, 5)
    rows, _ = run(cohort_of(values, exchanged(subjects, (3, 22)), event=["no"] * 40))
    found = flagged(rows)["s003"]
    assert (found["event"], found["note"]) == (None, "")


def test_an_event_is_said_beside_a_flag():
    values, subjects = simulated(8, 5)
    events = [None] * 40
    events[3] = "antibiotic"
    rows, _ = run(cohort_of(values, exchanged(subjects, (3, 22)), event=events))
    found = flagged(rows)
    assert "event" in found["s003"]["note"]
    assert found["s022"]["note"] == ""


def test_replicates_of_one_timepoint_do_not_hide_a_swapped_timepoint():
    values, subjects = simulated(8, 6)
    values[1] = values[0]
    values[31] = values[30]
    labels = exchanged(subjects, (0, 30), (1, 31))
    times = [f"day {i % 6 // 2}" for i in range(48)]
    replicate = [str(i % 2) for i in range(48)]
    plain = cohort_of(values, labels, timepoint=times)
    marked = cohort_of(values, labels, timepoint=times, replicate=replicate)
    assert {"s000", "s001", "s030", "s031"} <= set(flagged(run(marked)[0]))
    assert run(plain)[0][0]["own_distance"] < run(marked)[0][0]["own_distance"]


@pytest.mark.parametrize(
    ("subjects", "reason"),
    [
        (["a", "a", "b", "c"], "1 people with two samples or more"),
        ([None] * 4, "0 people with two samples or more"),
    ],
)
def test_too_few_people_with_repeated_samples_are_said(subjects, reason, tmp_path):
    values, _ = simulated(4, 1)
    account = Account("swaps")
    path = tmp_path / "swaps.tsv"
    write_swaps(cohort_of(values, subjects), Settings(), account, {"swaps": path})
    assert read_table(path, SWAP_COLUMNS) == []
    assert reason in account.entries[0].reason


def test_without_taxa_nobody_is_compared():
    account = Account("swaps")
    assert find_swaps(Cohort(Metadata(("a",), {}), {}), Settings(), account) == []
    assert "no table of taxa" in account.entries[0].reason


def test_samples_without_taxa_are_left_out():
    values, subjects = simulated(4, 4)
    values[5] = 0
    rows, _ = run(cohort_of(values, subjects))
    assert "s005" not in {row["sample"] for row in rows}
    assert len(rows) == 15


def test_planting_keeps_the_number_of_samples_of_each_person():
    subjects = ["a"] * 3 + ["b"] * 4 + ["c"] * 2
    names, planted = plant(subjects, 2, np.random.default_rng(1))
    assert Counter(names) == Counter(subjects)
    assert len(planted) == 4
    assert all(names[i] == subjects[j] != subjects[i] for i, j in planted.items())
    assert not {7, 8} & set(planted)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(40)))
def test_the_order_of_samples_changes_no_verdict(order):
    values, subjects = simulated(8, 5)
    labels = exchanged(subjects, (3, 22))
    square = np.sqrt(((np.log(values)[:, None] - np.log(values)[None]) ** 2).sum(axis=2))
    straight = flag(fit_people(square, labels)).verdict
    turned = flag(fit_people(square[np.ix_(order, order)], [labels[i] for i in order])).verdict
    assert [straight[i] for i in order] == list(turned)


def test_swaps_planted_in_hmp2_are_found():
    if not HMP2.is_dir():
        pytest.skip(f"{HMP2} is not there")
    cohort = load_cohort(
        {TAXA: HMP2 / "metaphlan_taxonomic_profiles.tsv.gz"}, HMP2 / "metadata.tsv.gz",
        Account("reading"),
    )  # fmt: skip
    subject = dict(zip(cohort.samples, cohort.metadata.column("subject").values, strict=True))
    table = cohort.tables[TAXA]
    once = sorted({name.removesuffix("_P"): name for name in table.samples}.values())
    square = distances(table.select(once), "aitchison")
    known = np.flatnonzero(~np.isnan(np.diagonal(square)))
    names = [subject[once[i]] for i in known]
    labels, planted = plant(names, 10, np.random.default_rng(1))
    flags = flag(fit_people(square[np.ix_(known, known)], labels))
    found = [flags.partner[i] == j for i, j in planted.items()]
    others = [v for i, v in enumerate(flags.verdict) if i not in planted]
    assert np.mean(found) >= 0.7
    assert sum(v in {PAIR, ELSEWHERE} for v in others) <= 0.02 * len(others)
    assert flags.verdict.count(NOT_FLAGGED) > 1000


def test_many_samples_under_other_names_do_not_hide_each_other():
    values, subjects = simulated(40, 8)
    labels = list(subjects)
    for person in range(0, 40, 3):
        labels[8 * person] = subjects[(8 * person + 100) % 320]
    rows, account = run(cohort_of(values, labels))
    assert len(flagged(rows)) == 14
    assert "14 further samples" in account.entries[0].reason
