from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest
from threadpoolctl import threadpool_limits

from fermentome.cohort.data import (
    LEFT_OUT,
    PATHWAYS,
    TAXA,
    Account,
    Cohort,
    Column,
    FeatureTable,
    Metadata,
)
from fermentome.cohort.model import analyse_model, write_model
from fermentome.cohort.model_evaluation import cross_validate
from fermentome.cohort.model_figures import plot_model, plot_model_importance
from fermentome.cohort.model_folds import by_subject
from fermentome.cohort.model_inputs import FEATURES, ModelRefusedError, pose
from fermentome.cohort.model_report import BATCHES, MODEL_OUTPUTS, SUBJECT, UNDECIDED
from fermentome.cohort.model_scores import scores_of
from fermentome.cohort.settings import ModelSettings, Settings
from fermentome.tables import read_table

FEW = ModelSettings(target="status", tables=(TAXA,), folds=2, inner_folds=2, permutations=19)
SETTINGS = Settings(groups=(), seed=1)


def column(name, cells):
    cells = tuple(None if cell is None else str(cell) for cell in cells)
    try:
        numbers = np.array([np.nan if cell is None else float(cell) for cell in cells])
    except ValueError:
        numbers = None
    return Column(name, cells, numbers)


def cohort_of(values, columns, name=TAXA, compositional=False):
    samples = tuple(f"s{i:03d}" for i in range(len(values)))
    features = tuple(f"f{i:02d}" for i in range(values.shape[1]))
    table = FeatureTable(name, samples, features, values, "copies", compositional)
    metadata = Metadata(samples, {key: column(key, cells) for key, cells in columns.items()})
    return Cohort(metadata, {name: table})


def people(rng, subjects=30, samples=1, features=6, spread=0.0, signal=0.0):
    """Subjects with a signature of their own, of which ``status`` says nothing unless told."""
    subject = np.repeat(np.arange(subjects), samples)
    status = rng.permutation(np.arange(subjects) % 2)[subject]
    logs = rng.normal(size=(subjects, features))[subject]
    logs = logs + spread * rng.normal(size=logs.shape)
    logs[:, 0] += signal * status
    names = np.array(["well", "ill"])[status]
    return cohort_of(2.0**logs, {"subject": [f"p{i}" for i in subject], "status": names})


def first_score(result, scheme=SUBJECT, inputs=FEATURES):
    for row in result.tables["scores"]:
        if (row["scheme"], row["inputs"]) == (scheme, inputs):
            return row
    return None


def reasons(account, item):
    return [entry.reason for entry in account.entries if entry.item == item]


def run(cohort, settings=SETTINGS, model=FEW):
    account = Account("model")
    return analyse_model(cohort, settings, model, account), account


class TestLeakage:
    """Twelve samples per subject, alike as twins, and a status that is a coin per subject."""

    def cohort(self, seed):
        return people(
            np.random.default_rng([7, seed]), subjects=24, samples=12, features=12, spread=0.1
        )

    def area(self, cohort, split_by):
        problem = pose(cohort, SETTINGS, FEW, Account("model"))
        groups = problem.subject if split_by == "subject" else np.arange(problem.y.size)
        with threadpool_limits(limits=1):
            outcome, _ = cross_validate(
            problem, problem.inputs[FEATURES], problem.y, by_subject(problem.task, groups),
            SETTINGS, FEW, np.random.default_rng(1),
        )  # fmt: skip
        ones = np.ones((1, len(problem.subjects)))
        return scores_of(outcome, problem.subject, problem.weights, ones)["auc"][0]

    def test_the_cohort_holds_a_leak_that_ungrouped_folds_fall_for(self):
        assert self.area(self.cohort(0), "sample") > 0.95

    def test_folds_by_subject_stay_at_chance(self):
        areas = [self.area(self.cohort(seed), "subject") for seed in range(10)]
        # The standard error of one area of 12 against 12 people is 0.12 (Hanley and McNeil
        # 1982), of the mean of ten 0.04; folds of twelve lose a little below one half.
        assert 0.37 < np.mean(areas) < 0.6

    def test_the_whole_analysis_calls_nothing_and_shows_no_importance(self):
        result, account = run(self.cohort(1))
        assert first_score(result)["p"] > 0.05
        assert not result.tables["importance"]
        assert "not better than its null" in reasons(account, "importance")[0]

    def test_no_subject_is_in_two_folds_of_a_repeat(self):
        result, _ = run(self.cohort(2), model=replace(FEW, repeats=2))
        folds = {}
        for row in result.tables["predictions"]:
            folds.setdefault((row["repeat"], row["subject"]), set()).add(row["fold"])
        assert len(folds) == 48 and all(len(found) == 1 for found in folds.values())


def test_p_is_uniform_when_the_target_is_noise():
    rng = np.random.default_rng(11)
    found = []
    for seed in range(20):
        cohort = cohort_of(2.0 ** rng.normal(size=(24, 2)), {"status": rng.normal(size=24)})
        result, _ = run(cohort, Settings(groups=(), seed=seed))
        found.append(first_score(result)["p"])
    # p is one of 1/20 ... 20/20; shifted by half a step it is uniform on 0 to 1.
    assert kstest(np.array(found) - 1 / 40, "uniform").pvalue > 0.01


@pytest.fixture(scope="module")
def made():
    return run(people(np.random.default_rng(3), subjects=60, signal=4.0))


class TestSignal:
    def test_a_planted_feature_is_found_against_null(self, made):
        row = first_score(made[0])
        assert row["score"] == "auc" and row["value"] > 0.95
        assert row["p"] == 1 / 20 and row["permutations"] == 19
        assert row["ci_low"] < row["value"] <= row["ci_high"] <= 1
        assert row["null_high"] < 0.8

    def test_it_is_the_most_important_in_all_folds_and_points_to_its_class(self, made):
        first, second = made[0].tables["importance"][:2]
        assert (first["feature"], first["folds_positive"], first["folds_top"]) == ("f00", 2, 2)
        # More of the feature is status 1, which is called ill.
        assert (first["direction"], first["direction_share"]) == ("ill", 1.0)
        assert first["importance"] > 5 * abs(second["importance"])

    def test_rejecting_the_least_certain_raises_accuracy(self, made):
        ranked = [row for row in made[0].tables["reject"] if row["rule"] == "ranked"]
        assert ranked[0]["coverage"] == 1.0 and ranked[-1]["coverage"] == 0.5
        assert ranked[-1]["accuracy"] >= ranked[0]["accuracy"]
        (trained,) = [row for row in made[0].tables["reject"] if row["rule"] == "trained"]
        assert 0.5 < trained["coverage"] < 1
        decided = [row["decision"] for row in made[0].tables["predictions"]]
        share = 1 - decided.count(UNDECIDED) / len(decided)
        assert trained["coverage"] == pytest.approx(share)

    def test_probabilities_of_a_sample_sum_to_one(self, made):
        total = {}
        for row in made[0].tables["predictions"]:
            total[row["sample"]] = total.get(row["sample"], 0) + row["predicted"]
        assert len(total) == 60 and np.allclose(list(total.values()), 1)


def test_numbers_are_predicted_without_calibration_and_reject_option():
    rng = np.random.default_rng(5)
    logs = rng.normal(size=(50, 5))
    # Tiny numbers: nothing may hang on the scale of the target.
    cohort = cohort_of(2.0**logs, {"status": 1e-12 * (logs[:, 1] + 0.3 * rng.normal(size=50))})
    result, account = run(cohort)
    row = first_score(result)
    assert row["score"] == "explained_share" and row["value"] > 0.6 and row["p"] == 1 / 20
    top = result.tables["importance"][0]
    assert (top["feature"], top["direction"]) == ("f01", "higher")
    assert not result.tables["reject"] and not result.tables["calibration"]
    assert reasons(account, "reject option") and reasons(account, "calibration")


def batch_cohort():
    """Features and status both hang on the batch, and on nothing else."""
    rng = np.random.default_rng(13)
    batch = np.repeat(np.arange(4), 20)
    ill = rng.random(80) < np.where(batch < 2, 0.2, 0.8)
    logs = rng.normal(size=(80, 6)) + 3.0 * (batch[:, None] == np.arange(6))
    return cohort_of(
        2.0**logs, {"status": np.where(ill, "ill", "well"), "site": [f"b{i}" for i in batch]}
    )


@pytest.fixture(scope="module")
def batched():
    return run(batch_cohort(), replace(SETTINGS, batch=("site",)))[0]


class TestBatches:
    def test_telling_batches_apart_is_not_taken_for_knowing_the_target(self, batched):
        free, _ = run(batch_cohort())
        assert first_score(free)["p"] == 1 / 20
        row = first_score(batched)
        assert row["value"] > 0.65 and row["p"] > 0.05
        assert row["null"] == "between subjects within batch" and row["null_mean"] > 0.6

    def test_the_batch_only_baseline_shows_it_and_the_gain_holds_nothing(self, batched):
        batch = first_score(batched, inputs="batch")
        assert batch["p"] == 1 / 20 and batch["null"] == "between subjects"
        (gain,) = [r for r in batched.tables["scores"] if r["score"] == "auc_gain_over_batch"]
        assert gain["ci_low"] < 0 < gain["ci_high"] or gain["value"] < 0

    def test_whole_batches_are_left_out(self, batched):
        cohort = batch_cohort()
        sites = dict(zip(cohort.samples, cohort.metadata.column("site").values, strict=True))
        found = {}
        for row in batched.tables["predictions"]:
            if row["scheme"] == BATCHES:
                found.setdefault(row["fold"], set()).add(sites[row["sample"]])
        assert sorted(map(sorted, found.values())) == [["b0"], ["b1"], ["b2"], ["b3"]]
        assert first_score(batched, BATCHES, "batch") is None

    def test_a_target_that_is_constant_within_batches_is_refused(self):
        status = np.repeat(["ill", "well"], 20)
        cohort = cohort_of(
            np.random.default_rng(1).random((40, 3)), {"status": status, "site": status}
        )
        result, account = run(cohort, replace(SETTINGS, batch=("site",)))
        assert not result.tables["scores"]
        assert "constant within every batch (site)" in reasons(account, "model")[0]

    def test_subjects_that_tie_all_batches_together_leave_the_second_scheme_out(self):
        rng = np.random.default_rng(2)
        cohort = people(rng, subjects=24, samples=2)
        site = column("site", ["a", "b"] * 24)
        metadata = replace(cohort.metadata, columns={**cohort.metadata.columns, "site": site})
        result, account = run(
            replace(cohort, metadata=metadata), replace(SETTINGS, batch=("site",))
        )
        assert first_score(result) and first_score(result, BATCHES) is None
        assert "tie all batches together" in reasons(account, "batches left out")[0]

    def test_leaving_batches_out_needs_every_level_elsewhere(self):
        rng = np.random.default_rng(6)
        cohort = cohort_of(
            rng.random((40, 3)),
            {"status": ["ill", "well"] * 10 + ["ill"] * 20, "site": ["a"] * 20 + ["b"] * 20},
        )
        result, account = run(cohort, replace(SETTINGS, batch=("site",)))
        assert first_score(result) and first_score(result, BATCHES) is None
        assert "no test fold can be scored" in reasons(account, "features, batches left out")[0]
        assert "within 1 of 2 batches (site)" in reasons(account, "batches")[0]


class TestRefusals:
    def refused(self, cohort, model=FEW, settings=SETTINGS):
        result, account = run(cohort, settings, model)
        assert all(not rows for name, rows in result.tables.items() if name != "about")
        assert account.entries[-1].status == LEFT_OUT
        return account.entries[-1].reason

    def test_no_target_is_set(self):
        reason = self.refused(people(np.random.default_rng(1)), replace(FEW, target=None))
        assert "not set" in reason

    def test_the_column_is_unknown(self):
        reason = self.refused(people(np.random.default_rng(1)), replace(FEW, target="mood"))
        assert "no column 'mood'" in reason and "subject, status" in reason

    @pytest.mark.parametrize("cells", [["ill"] * 30, [None] * 30])
    def test_the_target_is_constant_or_empty(self, cells):
        assert "two or more" in self.refused(cohort_of(np.ones((30, 2)), {"status": cells}))

    def test_too_few_subjects_per_level_however_many_samples(self):
        cohort = people(np.random.default_rng(1), subjects=18, samples=10)
        assert "too few subjects per level of 'status' (ill: 9, well: 9)" in self.refused(cohort)

    def test_too_few_subjects_with_numbers(self):
        cohort = cohort_of(np.ones((19, 2)), {"status": np.arange(19.0)})
        assert "19 subjects have a 'status'; 20 are needed" in self.refused(cohort)

    def test_too_few_permutations_for_a_null(self):
        reason = self.refused(people(np.random.default_rng(1)), replace(FEW, permutations=18))
        assert "without a null nothing is shown" in reason

    def test_none_of_the_tables_is_there(self):
        reason = self.refused(people(np.random.default_rng(1)), replace(FEW, tables=(PATHWAYS,)))
        assert "no sample with a known 'status' has one of the tables pathways" in reason

    def test_one_sample(self):
        assert self.refused(cohort_of(np.ones((1, 2)), {"status": ["ill"]}))

    def test_no_sample(self):
        assert self.refused(cohort_of(np.ones((0, 2)), {"status": []}))

    def test_pose_says_so_as_an_exception(self):
        with pytest.raises(ModelRefusedError, match="19 or more"):
            pose(
                people(np.random.default_rng(1)), SETTINGS, replace(FEW, permutations=0),
                Account("model"),
            )  # fmt: skip


class TestParts:
    def test_a_small_level_is_left_out_and_the_rest_made(self):
        cohort = people(np.random.default_rng(1), subjects=30)
        cells = list(cohort.metadata.column("status").values)
        cells[:3] = ["odd", "odd", "odd"]
        cohort = cohort_of(cohort.tables[TAXA].values, {"status": cells})
        result, account = run(cohort)
        assert first_score(result)["samples"] == 27
        assert "3 subjects, 10 are needed" in reasons(account, "level odd")[0]

    def test_samples_without_subject_count_alone_and_it_is_said(self):
        cohort = cohort_of(
            np.random.default_rng(1).random((30, 3)),
            {"status": ["a", "b"] * 15, "subject": [None] * 30},
        )
        result, account = run(cohort)
        assert first_score(result)["subjects"] == 30
        assert "30 of 30 samples name no subject" in reasons(account, "subject")[0]

    def test_a_table_that_few_samples_have_is_left_out(self):
        cohort = people(np.random.default_rng(1))
        table = cohort.tables[TAXA]
        values = table.values.copy()
        values[5:] = np.nan
        tables = {TAXA: table, PATHWAYS: replace(table, name=PATHWAYS, values=values)}
        result, account = run(
            replace(cohort, tables=tables), model=replace(FEW, tables=(TAXA, PATHWAYS))
        )
        assert first_score(result)["samples"] == 30
        assert "only 5 of 30 samples have it" in reasons(account, "table pathways")[0]

    def test_unknown_constant_and_empty_columns_change_nothing_of_the_rest(self):
        cohort = people(np.random.default_rng(3), subjects=40, signal=3.0)
        values = np.hstack([cohort.tables[TAXA].values, np.ones((40, 2))])
        values[:, 6], values[:, 7] = 0.0, 5.0
        values[3, 1] = np.nan
        cells = cohort.metadata.column("status").values
        result, _ = run(cohort_of(values, {"status": cells}))
        used = {row["feature"] for row in result.tables["importance"]}
        assert used == {f"f0{i}" for i in range(6)}

    def test_metadata_that_is_the_target_in_other_words_is_no_baseline(self):
        cohort = people(np.random.default_rng(3), subjects=40)
        status = cohort.metadata.column("status").values
        stage = [None if cell == "well" else f"stage {i % 2}" for i, cell in enumerate(status)]
        age = np.random.default_rng(1).normal(50, 9, 40)
        cohort = cohort_of(
            cohort.tables[TAXA].values,
            {"status": status, "stage": stage, "age": age, "sex": ["f", None, "m", "f"] * 10},
        )
        model = replace(FEW, metadata=("stage", "age", "sex", "absent", "status"))
        result, account = run(cohort, model=model)
        assert "in other words" in reasons(account, "metadata stage")[0]
        assert reasons(account, "metadata absent") and reasons(account, "metadata status")
        (told,) = [r["value"] for r in result.tables["about"] if r["key"] == "baseline metadata"]
        assert told == "age, age is missing, sex: f, sex: m, sex is missing"
        assert first_score(result, inputs="metadata")["p"] > 0

    def test_depth_is_a_baseline_where_it_is_known(self):
        cohort = people(np.random.default_rng(3), subjects=40)
        status = cohort.metadata.column("status").values
        reads = [10**6 if cell == "ill" else 10**5 for cell in status]
        result, account = run(
            cohort_of(cohort.tables[TAXA].values, {"status": status, "clean_reads": reads})
        )
        assert first_score(result, inputs="depth")["value"] == 1.0
        (gain,) = [r for r in result.tables["scores"] if r["score"] == "auc_gain_over_depth"]
        assert gain["ci_high"] < 0

    def test_a_target_that_varies_within_subjects_is_predicted(self):
        rng = np.random.default_rng(4)
        subject = np.repeat(np.arange(20), 4)
        drug = np.tile([0, 1, 1, 0], 20)
        logs = rng.normal(size=(20, 4))[subject] + 0.3 * rng.normal(size=(80, 4))
        logs[:, 2] -= 4.0 * drug
        cells = np.array(["No", "Yes"])[drug]
        result, _ = run(cohort_of(2.0**logs, {"subject": subject, "status": cells}))
        assert first_score(result)["value"] > 0.9
        assert result.tables["importance"][0]["direction"] == "No"

    def test_three_levels_are_predicted(self):
        rng = np.random.default_rng(8)
        level = np.repeat([0, 1, 2], 16)
        logs = rng.normal(size=(48, 4)) + 3.0 * (level[:, None] == np.arange(4))
        cohort = cohort_of(2.0**logs, {"status": np.array(["x", "y", "z"])[level]})
        result, _ = run(cohort)
        assert first_score(result)["value"] > 0.9
        assert {row["level"] for row in result.tables["calibration"]} == {"x", "y", "z"}


def paths(folder):
    folder.mkdir(exist_ok=True)
    return {name: folder / f"{name}.tsv" for name in MODEL_OUTPUTS} | {"card": folder / "card.md"}


def written(folder, cohort, settings=SETTINGS, model=FEW):
    outputs = paths(folder)
    write_model(cohort, settings, model, Account("model"), outputs)
    return {name: path.read_bytes() for name, path in outputs.items()}


class TestFiles:
    def test_the_same_cohort_in_another_order_gives_the_same_bytes(self, tmp_path):
        cohort = people(np.random.default_rng(3), subjects=30, samples=2, signal=2.0)
        rng = np.random.default_rng(9)
        samples = rng.permutation(cohort.samples)
        features = rng.permutation(cohort.tables[TAXA].features)
        other = Cohort(
            cohort.metadata.select(samples), {TAXA: cohort.tables[TAXA].select(samples, features)}
        )
        assert written(tmp_path / "a", cohort) == written(tmp_path / "b", other)

    def test_card_and_figures_of_a_model(self, tmp_path):
        cohort = people(np.random.default_rng(3), subjects=40, signal=3.0)
        written(tmp_path, cohort)
        card = (tmp_path / "card.md").read_text()
        assert "the model is better than its null" in card and "p = 0.05" in card
        assert "Not a diagnosis" in card and "| 1 | taxa | f00 |" in card
        for number, plot in enumerate((plot_model, plot_model_importance)):
            pictures = [tmp_path / f"{number}.png", tmp_path / f"{number}.svg"]
            plot(paths(tmp_path), pictures)
            assert all(picture.stat().st_size > 4000 for picture in pictures)

    def test_a_refusal_writes_every_file_with_its_reason(self, tmp_path):
        written(tmp_path, people(np.random.default_rng(3), subjects=6))
        for name, columns in MODEL_OUTPUTS.items():
            assert name == "about" or read_table(tmp_path / f"{name}.tsv", columns) == []
        assert "too few subjects per level" in (tmp_path / "card.md").read_text()
        plot_model(paths(tmp_path), [tmp_path / "a.svg"])
        assert "too few subjects" in (tmp_path / "a.svg").read_text()
        plot_model_importance(paths(tmp_path), [tmp_path / "b.svg"])

    def test_hostile_names_pass_through(self, tmp_path):
        rng = np.random.default_rng(3)
        names = ["$x_1$ <b>|😀\u202e`", "a\tb" * 60]
        status = np.repeat(names, 20)
        cohort = cohort_of(
            2.0 ** (rng.normal(size=(40, 3)) + 3 * np.repeat([[0], [1]], 20, axis=0)),
            {"status": status},
        )
        written(tmp_path, cohort)
        assert "<b>" not in (tmp_path / "card.md").read_text()
        plot_model(paths(tmp_path), [tmp_path / "a.svg"])
        plot_model_importance(paths(tmp_path), [tmp_path / "b.svg"])
