import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fermentome.cohort.model_folds import (
    batch_folds,
    batch_groups,
    by_batch,
    by_subject,
    log_arrangements,
    shuffle_target,
    subject_folds,
    subject_strata,
    usable,
)
from fermentome.cohort.model_learner import (
    AMOUNTS,
    CLASSES,
    NUMBERS,
    PLAIN,
    SHARES,
    Block,
    Preparation,
    fit,
    fit_path,
    predict,
    tune,
)


def numbered(values):
    return np.unique(values, return_inverse=True)[1]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=6, max_size=60), st.integers(2, 6), st.integers(0, 99))
def test_folds_never_share_a_subject_and_cover_all_rows(people, folds, seed):
    subject = numbered(people)
    if subject.max() < 1:
        return
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, subject.size)
    rows = np.arange(subject.size)
    splits = subject_folds(subject_strata(CLASSES, y, subject), subject, rows, folds, rng)
    for train, test in splits:
        assert not set(subject[train]) & set(subject[test])
        assert sorted([*train, *test]) == rows.tolist()
    assert sorted(np.concatenate([test for _, test in splits])) == rows.tolist()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 15)), min_size=6, max_size=60),
    st.integers(0, 99),
)
def test_batch_folds_share_neither_batch_nor_subject(pairs, seed):
    subject, batch = numbered([a for a, _ in pairs]), numbered([b for _, b in pairs])
    group = batch_groups(subject, batch)
    if group.max() < 1:
        return
    rows = np.arange(subject.size)
    for train, test in batch_folds(group, rows, 2, np.random.default_rng(seed)):
        assert not set(subject[train]) & set(subject[test])
        assert not set(batch[train]) & set(batch[test])


def test_folds_hold_classes_alike():
    subject = np.arange(30)
    y = np.repeat([0, 1], [20, 10])
    split = by_subject(CLASSES, subject)
    for _, test in split(y, subject, 5, np.random.default_rng(1)):
        assert np.bincount(y[test]).tolist() == [4, 2]


def test_strata_are_the_most_frequent_class_or_the_fifth_of_the_mean():
    subject = np.array([0, 0, 0, 1, 1, 2])
    assert subject_strata(CLASSES, np.array([1, 1, 0, 0, 1, 1]), subject).tolist() == [1, 0, 1]
    assert subject_strata(NUMBERS, np.arange(10.0), np.arange(10)).tolist() == [
        0, 0, 1, 1, 2, 2, 3, 3, 4, 4,
    ]  # fmt: skip


def test_more_than_ten_batches_are_left_out_in_groups():
    group = np.repeat(np.arange(20), 2)
    rows = np.arange(40)
    assert len(batch_folds(group, rows, 4, np.random.default_rng(1))) == 4
    assert len(batch_folds(group, rows[:20], 4, np.random.default_rng(1))) == 10


def test_where_one_batch_is_left_subjects_are_left_out():
    split = by_batch(CLASSES, np.arange(8), np.zeros(8, dtype=int))
    assert len(split(np.tile([0, 1], 4), np.arange(8), 3, np.random.default_rng(1))) == 3


def test_folds_that_lack_a_class_in_training_are_not_used():
    y = np.array([0, 0, 1])
    good, bad = (np.array([0, 2]), np.array([1])), (np.array([0, 1]), np.array([2]))
    assert usable(CLASSES, y, [good, bad], 2) == [good]


class TestShuffle:
    def test_labels_of_subjects_stay_whole_and_within_their_batch(self):
        subject = np.repeat(np.arange(8), [1, 2, 3, 1, 2, 3, 2, 2])
        y = np.array([0, 1, 0, 1, 1, 1, 0, 1])[subject]
        stratum = np.repeat([0, 1], 4)
        order = np.arange(subject.size)
        seen = set()
        for seed in range(200):
            rng = np.random.default_rng(seed)
            given_ = shuffle_target(y, subject, stratum, order, rng)
            labels = [set(given_[subject == person].tolist()) for person in range(8)]
            assert all(len(one) == 1 for one in labels)
            first = [next(iter(one)) for one in labels]
            assert sum(first[:4]) == 2 and sum(first[4:]) == 3
            seen.add(tuple(first))
        # 4!/(2! 2!) times 4!/(3! 1!) arrangements.
        assert len(seen) == 24
        assert np.exp(log_arrangements(y, subject, stratum, order)) == pytest.approx(24)

    def test_a_course_in_time_is_stretched_to_the_samples_of_another(self):
        subject = np.array([0, 0, 1, 1, 1, 1])
        y = np.array([0, 1, 5, 6, 7, 8])
        # Time runs backwards in the second subject.
        order = np.array([0, 1, 5, 4, 3, 2])
        alone = np.zeros(2, dtype=int)
        found = [
            shuffle_target(y, subject, alone, order, np.random.default_rng(seed)).tolist()
            for seed in range(200)
        ]
        own, others = {(0, 1), (1, 0)}, {(8, 6), (7, 5), (6, 8), (5, 7)}
        assert {tuple(one[:2]) for one in found} == own | others
        # Back in time the course of the first is 0 0 1 1, begun at either end.
        taken = {tuple(one[2:]) for one in found if tuple(one[:2]) in others}
        assert taken == {(1, 1, 0, 0), (0, 0, 1, 1)}

    def test_shifts_of_courses_count_as_arrangements(self):
        y, subject = np.array([0, 1, 1, 0, 2, 2]), np.repeat(np.arange(3), 2)
        # 0 1 and 1 0 are one course with two shifts each, 2 2 is constant: 3!/2! x 2 x 2.
        count = np.exp(log_arrangements(y, subject, np.zeros(3, dtype=int), np.arange(6)))
        assert count == pytest.approx(12)


def block(values, kind=AMOUNTS):
    with np.errstate(divide="ignore"):
        logs = np.asarray(values, dtype=float) if kind == PLAIN else np.log2(values)
    return Block("taxa", tuple(f"f{i}" for i in range(logs.shape[1])), kind, logs)


class TestPreparation:
    rows = np.arange(4)
    weights = np.ones(6)

    def test_test_samples_teach_nothing(self):
        rng = np.random.default_rng(1)
        values = rng.random((6, 3)) * (rng.random((6, 3)) < 0.8)
        values[0] = 0.5
        other = values.copy()
        other[4:] = 1e6
        for kind in (AMOUNTS, SHARES, PLAIN):
            (one, a), (two, b) = (
                Preparation.fit([block(v, kind)], self.rows, self.weights, 0.1)
                for v in (values, other)
            )
            assert one.names == two.names
            assert np.array_equal(a, b)
            assert np.array_equal(a, two.apply([block(other, kind)], self.rows))

    def test_zero_is_half_the_least_value_of_the_training_samples(self):
        values = np.array([[0.0], [2.0], [4.0], [8.0], [1e-9]])
        found, _ = Preparation.fit([block(values)], self.rows, self.weights[:5], 0.1)
        # log2: 0 (of 1, half of 2), 1, 2, 3: mean 1.5, variance 1.25.
        expected = (np.array([0, 1, 2, 3]) - 1.5) / np.sqrt(1.25)
        assert found.apply([block(values)], self.rows)[:, 0] == pytest.approx(expected)

    def test_shares_are_centred_within_the_sample(self):
        values = np.array([[0.5, 0.125], [0.25, 0.25], [0.125, 0.5], [0.5, 0.5]])
        found, _ = Preparation.fit([block(values, SHARES)], self.rows, self.weights, 0.1)
        # Centred logs of the first feature: 1, 0, -1, 0; the second is its mirror.
        made = found.apply([block(values, SHARES)], self.rows)
        assert made[:, 0] == pytest.approx(np.array([1, 0, -1, 0]) / np.sqrt(0.5))
        assert made[:, 1] == pytest.approx(-made[:, 0])
        scaled = found.apply([block(8 * values, SHARES)], self.rows)
        assert scaled == pytest.approx(made)

    def test_prevalence_is_that_of_people(self):
        # The feature is seen in all ten samples of one person, and in none of the others.
        values = np.r_[2.0 * np.ones(10), 3.0, np.zeros(3)][:, None]
        weights = np.r_[np.full(10, 0.1), np.ones(4)]
        rows = np.arange(14)
        assert Preparation.fit([block(values)], rows, weights, 0.5)[0].names == ()
        assert Preparation.fit([block(values)], rows, weights, 0.4)[0].names == (("taxa", "f0"),)

    def test_the_unknown_becomes_the_median_of_training(self):
        values = np.array([[1.0], [2.0], [6.0], [2.0], [np.nan]])
        found, _ = Preparation.fit([block(values, PLAIN)], self.rows, self.weights, 0.1)
        made = found.apply([block(values, PLAIN)], np.array([1, 4]))
        assert made[0, 0] == made[1, 0]

    def test_without_any_column_there_is_one_of_zeros(self):
        found, _ = Preparation.fit([block(np.zeros((6, 2)))], self.rows, self.weights, 0.1)
        assert found.apply([block(np.zeros((6, 2)))], self.rows).tolist() == [[0.0]] * 4

    def test_a_column_seen_only_in_test_samples_is_dropped(self):
        values = np.c_[[1.0, 2, 3, 4, 5, 6], [0.0, 0, 0, 0, 9, 9]]
        found, _ = Preparation.fit([block(values)], self.rows, self.weights, 0.0)
        assert found.names == (("taxa", "f0"),)


class TestLearner:
    def test_nothing_known_predicts_the_frequencies_by_person(self):
        y, weights = np.array([0, 0, 0, 1]), np.array([1 / 3, 1 / 3, 1 / 3, 1])
        model = fit(CLASSES, np.zeros((4, 1)), y, weights, 1.0)
        assert predict(CLASSES, model, np.zeros((1, 1)))[0] == pytest.approx([0.5, 0.5], abs=1e-4)

    def test_ridge_by_hand(self):
        # One column, -1 and 1, y 0 and 2, penalty 1 / strength = 2: slope 2 / (2 + 2).
        model = fit(NUMBERS, np.array([[-1.0], [1]]), np.array([0.0, 2]), np.ones(2), 0.5)
        assert predict(NUMBERS, model, np.array([[1.0]]))[0, 0] == pytest.approx(1.5)

    def test_a_stronger_penalty_gives_smaller_coefficients(self):
        rng = np.random.default_rng(1)
        x, y = rng.normal(size=(40, 5)), np.tile([0, 1], 20)
        small, large = fit_path(CLASSES, x, y, np.ones(40), (0.01, 10.0))
        assert np.abs(small.coef_).max() < np.abs(large.coef_).max()

    def test_tuning_shrinks_noise_and_trusts_signal(self):
        rng = np.random.default_rng(2)
        y, weights, rows = np.tile([0, 1], 40), np.ones(80), np.arange(80)
        noise = block(rng.normal(size=(80, 20)), PLAIN)
        signal = block(rng.normal(size=(80, 20)) + 2.0 * y[:, None], PLAIN)
        splits = by_subject(CLASSES, rows)(y, rows, 4, rng)
        weak = tune(CLASSES, [noise], y, weights, splits, 0.1)
        strong = tune(CLASSES, [signal], y, weights, splits, 0.1)
        assert weak.strength < 10 <= strong.strength
        assert sorted(strong.rows) == rows.tolist()
