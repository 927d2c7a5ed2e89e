"""Distances to the own baseline and to a reference group: hand-made distances, calibration."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fermentome.cohort.data import TAXA, Account, Cohort, Column, FeatureTable, Metadata
from fermentome.cohort.reading import load_cohort
from fermentome.cohort.settings import Settings
from fermentome.cohort.timepoints import timeline_of
from fermentome.cohort.trajectories import (
    COHORT,
    NONE,
    OWN,
    TRAJECTORY_COLUMNS,
    Usual,
    band_of,
    between_visits,
    median_to,
    to_reference,
    trajectories,
    usual_distances,
    usual_of,
    write_trajectories,
)
from fermentome.cohort.visits import visits_of
from fermentome.tables import format_cell, read_table

ROOT = Path(__file__).parents[2]
HMP2 = ROOT.parent / "shared/data/cohort/hmp2_longitudinal"

# Means of the logs 1, 2 and 4; within 4/3 on 3 degrees of freedom; variance of the means 7/3, of
# which 4/3 * 1/2 comes from within.
THREE = [np.exp([0.0, 2.0]), np.exp([1.0, 3.0]), np.exp([4.0, 4.0])]


def cohort_of(samples, values, **columns):
    """Cohort of a table of taxa; `samples` in any order."""
    order = np.argsort(np.array(samples, dtype=object))
    names = tuple(samples[i] for i in order)
    table = FeatureTable(
        TAXA, names, tuple(f"t{j}" for j in range(values.shape[1])), values[order],
        "relative abundance", True,
    )  # fmt: skip
    cells = {
        name: Column(name, tuple(cell[i] for i in order), None) for name, cell in columns.items()
    }
    return Cohort(Metadata(names, cells), {TAXA: table})


def run(cohort, **keys):
    chosen = Settings(**keys)
    account = Account("trajectories")
    visits = visits_of(
        cohort.metadata, timeline_of(cohort.metadata, Account("time")), chosen, Account("people")
    )
    return trajectories(cohort, visits, chosen, account), account


def simulated(people, samples, generator, scatter=0.3, features=30):
    names, rows, subjects, times = [], [], [], []
    for person in range(people):
        level = generator.normal(0, 1, features)
        for time in range(samples):
            values = np.exp(level + generator.normal(0, scatter, features))
            rows.append(values / values.sum())
            names.append(f"s{person:02d}_{time}")
            subjects.append(f"p{person:02d}")
            times.append(f"day {time}")
    return names, np.array(rows), subjects, times


def test_visits_with_several_samples_lie_at_the_mean_of_their_distances():
    square = np.array([[0, 2, 4], [2, 0, 6], [4, 6, 0]], dtype=float)
    found = between_visits(square, [[0, 1], [2]])
    assert found[0, 1] == 5
    assert found[1, 1] == 0


def test_a_sample_without_distances_leaves_its_visit_to_the_others():
    square = np.array([[np.nan] * 3, [np.nan, 0, 6], [np.nan, 6, 0]])
    found = between_visits(square, [[0, 1], [2], [0]])
    assert found[0, 1] == 6
    assert np.isnan(found[2]).all()


def test_median_leaves_out_what_is_not_known():
    square = np.array([[0, 1, np.nan, 5.0]])
    assert median_to(square, 0, [1, 2, 3]) == 3
    assert math.isnan(median_to(square, 0, [2]))


def test_first_quiet_visits_stand_for_the_baseline():
    square = np.abs(np.subtract.outer(np.array([0, 1, 5, 9.0]), np.array([0, 1, 5, 9.0])))
    assert usual_distances(square, [0, 1, 2, 3], 1) == [1, 5, 9]
    assert usual_distances(square, [0, 1, 2, 3], 2) == [4.5, 8.5]
    assert usual_distances(square, [0, 1, 2, 3], 9) == [4.5, 8.5]
    assert usual_distances(square, [0], 1) == []


def test_usual_distances_follow_the_analysis_of_variance():
    usual = usual_of(THREE)
    assert usual.level == pytest.approx(7 / 3)
    assert usual.within == pytest.approx(4 / 3)
    assert usual.between == pytest.approx(5 / 3)
    assert usual.people == 3


def test_two_people_do_not_tell_what_is_usual():
    assert usual_of(THREE[:2]) is None
    assert usual_of([[1.0], [2.0], [3.0]]) is None


def test_band_of_a_person_without_own_level_holds_the_spread_of_levels():
    band = band_of(usual_of(THREE), [])
    # 4/3 within, 5/3 * 4/3 between, 4/3 / 3 for the mean: 4.
    assert band.spread == pytest.approx(2)
    assert band.source == COHORT
    # t(0.95; 2) = 2.920 (any table).
    assert math.log(band.limit(0.95)) == pytest.approx(7 / 3 + 2 * 2.920, abs=1e-3)
    assert band.p(band.limit(0.95)) == pytest.approx(0.05)


def test_own_baseline_moves_the_centre_by_its_weight():
    band = band_of(Usual(7 / 3, 5 / 3, 4 / 3, 3), np.exp([2.0, 3.0, 4.0]))
    # Weight (5/3) / (5/3 + (4/3) / 1.5) = 15/23 of the distance from 7/3 to 3.
    assert band.centre == pytest.approx(7 / 3 + 15 / 23 * 2 / 3)
    assert band.source == OWN


def test_without_others_only_an_own_baseline_of_three_makes_a_band():
    assert band_of(None, [0.2, 0.3]).source == NONE
    assert math.isnan(band_of(None, [0.2, 0.3]).limit(0.95))
    alone = band_of(None, np.exp([-1.0, 0.0, 1.0]))
    assert alone.source == OWN
    assert alone.spread == pytest.approx(math.sqrt(1 + 1 / 1.5))


def test_quiet_people_have_uniform_p():
    generator = np.random.default_rng(3)
    p = []
    for _ in range(300):
        levels = generator.normal(0, 0.4, 13)
        distances = [np.exp(level + generator.normal(0, 0.3, 6)) for level in levels]
        band = band_of(usual_of(distances[1:]), [])
        p.append(band.p(float(distances[0][0])))
    assert stats.kstest(p, "uniform").pvalue > 0.01
    beyond = sum(value < 0.05 for value in p)
    assert stats.binomtest(beyond, 300, 0.05).pvalue > 0.01


def test_own_samples_are_no_part_of_the_reference():
    square = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))
    distance, number = to_reference(square, [0, 0, 1, 2, 3], [0, 1, 2, 3])
    assert distance.tolist() == [2.5, 1.5, 1, 2, 2.5]
    assert number.tolist() == [2, 2, 3, 3, 4]


def test_a_disturbed_sample_is_called_and_quiet_ones_are_not():
    generator = np.random.default_rng(1)
    names, values, subjects, times = simulated(12, 6, generator)
    values[4] = values[4, ::-1]
    events = [None] * len(names)
    events[4] = "antibiotic"
    rows, _ = run(cohort_of(names, values, subject=subjects, timepoint=times, event=events))
    first = [r for r in rows if r["subject"] == "p00" and r["metric"] == "braycurtis"]
    assert [r["beyond_band"] for r in first] == ["not_called"] * 4 + ["yes", "no"]
    assert first[4]["band_source"] == OWN
    assert first[4]["to_baseline"] > 2 * first[5]["to_baseline"]


@settings(max_examples=5, deadline=None)
@given(st.permutations(range(18)))
def test_other_names_of_samples_and_so_another_order_change_no_distance(order):
    generator = np.random.default_rng(2)
    names, values, subjects, times = simulated(6, 3, generator)

    def found(samples):
        cohort = cohort_of(samples, values, subject=subjects, timepoint=times, group=["a"] * 18)
        rows, _ = run(cohort, reference_group="a")
        place = {name: i for i, name in enumerate(samples)}
        columns = ("to_baseline", "band_high", "p", "q", "beyond_band", "to_reference")
        return {
            (place[row["sample"]], row["metric"]): [format_cell(row[name]) for name in columns]
            for row in rows
        }

    assert found([f"x{place:02d}" for place in order]) == found(names)


def test_reference_leaves_out_samples_during_and_after_events():
    generator = np.random.default_rng(4)
    names, values, subjects, times = simulated(6, 3, generator)
    events = ["antibiotic" if name == "s00_1" else None for name in names]
    rows, _ = run(
        cohort_of(names, values, subject=subjects, timepoint=times, event=events,
                  group=["well"] * 18),
        reference_group="well",
    )  # fmt: skip
    of = {(r["sample"], r["metric"]): r for r in rows}
    # 18 samples, 2 of them during and after; of those 16, 1 is of p00 and 3 are of p01.
    assert of["s00_0", "braycurtis"]["reference_samples"] == 15
    assert of["s01_0", "braycurtis"]["reference_samples"] == 13
    assert of["s01_0", "braycurtis"]["reference_people"] == 5
    assert of["s01_0", "aitchison"]["reference"] == "group=well"


@pytest.mark.parametrize(
    ("group", "reason"),
    [
        (None, "reference_group is not set"),
        ("well", "no column 'group'"),
        ("diet=vegan", "1 people with diet 'vegan'"),
    ],
)
def test_a_reference_that_cannot_be_had_is_said(group, reason):
    generator = np.random.default_rng(5)
    names, values, subjects, times = simulated(4, 2, generator)
    diet = ["vegan"] * 2 + ["other"] * 6
    rows, account = run(
        cohort_of(names, values, subject=subjects, timepoint=times, diet=diet),
        reference_group=group,
    )
    assert {row["to_reference"] for row in rows} == {None}
    assert any(reason in entry.reason for entry in account.entries)
    assert not any(math.isnan(row["to_baseline"]) for row in rows if row["phase"] != "baseline")


def test_samples_without_a_person_still_have_a_reference():
    generator = np.random.default_rng(6)
    names, values, _, _ = simulated(8, 1, generator)
    rows, account = run(cohort_of(names, values, group=["a"] * 8), reference_group="a")
    assert len(rows) == 16
    assert {row["subject"] for row in rows} == {None}
    assert all(row["to_reference"] > 0 and row["reference_samples"] == 7 for row in rows)
    assert any(entry.status == "left_out" for entry in account.entries)


def test_one_sample_makes_a_row_and_no_call():
    cohort = cohort_of(["a"], np.array([[0.5, 0.5]]), subject=["p"], timepoint=["day 1"])
    rows, account = run(cohort)
    assert [row["beyond_band"] for row in rows] == ["not_called"] * 2
    assert [math.isnan(row["to_baseline"]) for row in rows] == [True, True]
    assert "another one" in account.entries[-1].reason


def test_without_taxa_nothing_is_made_and_that_is_said(tmp_path):
    cohort = Cohort(Metadata(("a",), {}), {})
    account = Account("trajectories")
    visits = visits_of(cohort.metadata, timeline_of(cohort.metadata, Account("t")), Settings(),
                       Account("p"))  # fmt: skip
    path = tmp_path / "trajectories.tsv"
    write_trajectories(cohort, visits, Settings(), account, {"trajectories": path})
    assert read_table(path, TRAJECTORY_COLUMNS) == []
    assert "no table of taxa" in account.entries[0].reason


def test_an_empty_sample_has_no_distance():
    generator = np.random.default_rng(7)
    names, values, subjects, times = simulated(5, 3, generator)
    values[1] = 0
    rows, _ = run(cohort_of(names, values, subject=subjects, timepoint=times))
    empty = [row for row in rows if row["sample"] == names[1]]
    assert all(math.isnan(row["to_baseline"]) for row in empty)
    assert {row["beyond_band"] for row in empty} == {"not_called"}


def test_dysbiotic_samples_of_hmp2_are_far_from_the_non_ibd_reference():
    """The column is the study's own score of the same kind (doi:10.1038/s41586-019-1237-9)."""
    if not HMP2.is_dir():
        pytest.skip(f"{HMP2} is not there")
    cohort = load_cohort(
        {TAXA: HMP2 / "metaphlan_taxonomic_profiles.tsv.gz"}, HMP2 / "metadata.tsv.gz",
        Account("reading"),
    )  # fmt: skip
    rows, _ = run(cohort, groups=("diagnosis",), reference_group="nonIBD")
    score = dict(zip(cohort.samples, cohort.metadata.column("dysbiosis").numbers, strict=True))
    pairs = [
        (score[row["sample"]], row["to_reference"], row["beyond_reference"] == "yes")
        for row in rows
        if row["metric"] == "braycurtis" and row["sample"] in score
        and isinstance(row["to_reference"], float) and not math.isnan(score[row["sample"]])
    ]  # fmt: skip
    theirs, ours, far = (np.array(part) for part in zip(*pairs, strict=True))
    assert len(pairs) > 1500
    assert stats.spearmanr(theirs, ours).statistic > 0.7
    high = theirs >= np.quantile(theirs, 0.9)
    assert far[high].mean() > 10 * far[~high].mean()
