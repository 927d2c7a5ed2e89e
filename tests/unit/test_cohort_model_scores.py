import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from fermentome.cohort.model_importance import selection_stability
from fermentome.cohort.model_learner import CLASSES, NUMBERS
from fermentome.cohort.model_scores import (
    Outcome,
    calibrated_errors,
    calibration_error,
    draws_of,
    interval,
    reject_curve,
    reliability,
    scores_of,
    tail,
    trained_reject,
)


def outcome(y, predicted, fold=None, levels=("no", "yes"), prior=0.5, threshold=None):
    y, predicted = np.asarray(y), np.asarray(predicted, dtype=float)
    if predicted.ndim == 1:
        predicted = np.column_stack([1 - predicted, predicted])
    fold = np.zeros(y.size, dtype=int) if fold is None else np.asarray(fold)
    threshold = np.zeros(y.size) if threshold is None else np.full(y.size, threshold)
    base = np.column_stack([np.full(y.size, 1 - prior), np.full(y.size, prior)])
    if len(levels) > 2:
        base = np.full(predicted.shape, 1 / len(levels))
    return Outcome(CLASSES, levels, y, predicted, base, fold, threshold, (), 0)


def numbers(y, predicted, prior, fold=None):
    y, size = np.asarray(y, dtype=float), len(y)
    fold = np.zeros(size, dtype=int) if fold is None else np.asarray(fold)
    return Outcome(
        NUMBERS, (), y, np.array(predicted, dtype=float)[:, None], np.full((size, 1), prior),
        fold, np.zeros(size), (), 0,
    )  # fmt: skip


def scores(made, subject=None):
    subject = np.arange(made.y.size) if subject is None else np.asarray(subject)
    weights = 1 / np.bincount(subject)[subject]
    ones = np.ones((1, subject.max() + 1))
    return {name: values[0] for name, values in scores_of(made, subject, weights, ones).items()}


class TestArea:
    def test_example_of_scikit_learn(self):
        # https://scikit-learn.org/stable/modules/generated/sklearn.metrics.roc_auc_score.html
        # and of roc_curve: 0.75.
        assert scores(outcome([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]))["auc"] == 0.75

    def test_pairs_of_different_folds_do_not_count(self):
        # Both folds rank perfectly, the second on another scale: pooled the area would be 0.75.
        made = outcome([0, 1, 0, 1], [0.1, 0.2, 0.5, 0.6], fold=[0, 0, 1, 1])
        assert scores(made)["auc"] == 1
        assert roc_auc_score(made.y, made.predicted[:, 1]) == 0.75

    def test_folds_count_by_their_pairs(self):
        # Fold 0 has one pair, wrong; fold 1 has 1 x 3 pairs, all right: 3 of 4.
        made = outcome([1, 0, 1, 0, 0, 0], [0.2, 0.3, 0.9, 0.1, 0.1, 0.2], fold=[0, 0, 1, 1, 1, 1])
        assert scores(made)["auc"] == 0.75

    def test_a_fold_with_one_class_counts_for_nothing(self):
        made = outcome([0, 1, 1], [0.4, 0.6, 0.1], fold=[0, 0, 1])
        assert scores(made)["auc"] == 1

    def test_a_tie_is_half_right(self):
        assert scores(outcome([0, 1], [0.5, 0.5]))["auc"] == 0.5

    def test_a_subject_counts_once_however_many_samples(self):
        # Subject 0 (no) has three samples above the yes, subject 1 (no) one below: one half.
        made = outcome([0, 0, 0, 0, 1], [0.9, 0.9, 0.9, 0.1, 0.5])
        assert scores(made, [0, 0, 0, 1, 2])["auc"] == pytest.approx(0.5)
        assert scores(made)["auc"] == 0.25

    def test_more_classes_are_the_mean_of_pairs(self):
        # A(a|b) = 1 and A(b|a) = 0.5 for the first pair, all others 1, so 5.5 / 6.
        given_ = [[0.6, 0.2, 0.2], [0.4, 0.4, 0.2], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7]]
        given_[2] = [0.3, 0.4, 0.3]
        made = outcome([0, 0, 1, 2], given_, levels=("a", "b", "c"))
        # b against a by p_b: 0.4 over 0.2 right, 0.4 and 0.4 tie: 0.75. a by p_a: 0.6 and 0.4
        # over 0.3: 1. a, c by p_a: 1, by p_c: 1. b, c by p_b: 0.4 over 0.2: 1, by p_c: 1.
        assert scores(made)["auc"] == pytest.approx(5.75 / 6)

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 10**6))
    def test_one_fold_is_the_weighted_area_of_scikit_learn(self, seed):
        rng = np.random.default_rng(seed)
        subject = np.sort(rng.integers(0, 6, 20))
        subject = np.unique(subject, return_inverse=True)[1]
        y = np.r_[0, 1, rng.integers(0, 2, 18)]
        value = np.round(rng.random(20), 1)
        weights = 1 / np.bincount(subject)[subject]
        drawn = draws_of(subject.max() + 1, rng, draws=5)
        found = scores_of(outcome(y, value), subject, weights, drawn)["auc"]
        for draw, area in zip(drawn, found, strict=True):
            repeated = weights * draw[subject]
            kept = repeated > 0
            if np.unique(y[kept]).size == 2:
                expected = roc_auc_score(y[kept], value[kept], sample_weight=repeated[kept])
                assert area == pytest.approx(expected)
            else:
                assert np.isnan(area)


class TestOtherScores:
    def test_brier_example_of_scikit_learn(self):
        # https://scikit-learn.org/stable/modules/generated/sklearn.metrics.brier_score_loss.html
        found = scores(outcome([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3]))
        assert found["brier"] == pytest.approx(0.0375)
        # Against 0.5 for all, whose score is 0.25.
        assert found["brier_skill"] == pytest.approx(1 - 0.0375 / 0.25)

    def test_accuracy_and_mean_recall(self):
        found = scores(outcome([0, 0, 0, 1], [0.1, 0.2, 0.7, 0.4]))
        assert found["accuracy"] == 0.5
        assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 0) / 2)

    def test_log_loss(self):
        found = scores(outcome([0, 1], [0.5, 0.25]))["log_loss"]
        assert found == pytest.approx((np.log(2) + np.log(4)) / 2)

    def test_explained_share_is_against_the_training_mean(self):
        # Squared errors 1 and 1; of the training mean, 2: 4 and 4.
        found = scores(numbers([0, 4], [1, 3], prior=2.0))
        assert found["explained_share"] == pytest.approx(0.75)
        assert found["mean_absolute_error"] == 1
        assert found["concordance"] == 1

    def test_predicting_the_training_mean_explains_nothing(self):
        assert scores(numbers([0, 1, 5], [2, 2, 2], prior=2.0))["explained_share"] == 0

    def test_samples_without_a_fold_do_not_count(self):
        made = outcome([0, 1, 1], [0.1, 0.9, np.nan], fold=[0, 0, -1])
        assert scores(made)["accuracy"] == 1


class TestCalibration:
    def test_curve_and_error_by_hand(self):
        # Two bins of two: 0.1 and 0.3 with one yes of two; 0.6 and 0.8 with two of two.
        made = outcome([0, 1, 1, 1], [0.1, 0.3, 0.6, 0.8])
        subject, weights = np.arange(4), np.ones(4)
        first, second = reliability([made], subject, weights)
        assert (first.predicted, first.observed) == (pytest.approx(0.2), 0.5)
        assert (second.predicted, second.observed) == (pytest.approx(0.7), 1)
        assert calibration_error([made], subject, weights) == pytest.approx((0.3 + 0.3) / 2)

    def test_error_of_calibrated_predictions_lies_in_the_range_by_chance(self):
        rng = np.random.default_rng(1)
        value = rng.random(400)
        subject, weights = np.arange(400), np.ones(400)
        good = outcome((rng.random(400) < value).astype(int), value)
        low, high = interval(calibrated_errors(good, subject, weights, rng, draws=100))
        assert low <= calibration_error([good], subject, weights) <= high
        bad = outcome((rng.random(400) < 0.5 + 0.2 * (value - 0.5)).astype(int), value)
        assert calibration_error([bad], subject, weights) > high


class TestReject:
    made = outcome([1, 1, 0, 1], [0.95, 0.9, 0.7, 0.4], threshold=0.65)
    subject, weights, once = np.arange(4), np.ones(4), np.ones((1, 4))

    def test_the_least_certain_go_first(self):
        curve = reject_curve([self.made], self.subject, self.weights, self.once)
        # Certainties 0.95, 0.9, 0.7, 0.6; the first two are right, the others wrong.
        assert curve[1.0][1][0] == 0.5 and curve[1.0][0] == pytest.approx(0.6)
        assert curve[0.75][1][0] == pytest.approx(2 / 3)
        assert curve[0.5][1][0] == 1 and curve[0.5][0] == 0.9

    def test_the_learned_limit_decides_without_the_test_samples(self):
        coverage, accuracy = trained_reject([self.made], self.subject, self.weights, self.once)
        assert (coverage[0], accuracy[0]) == (0.75, pytest.approx(2 / 3))


def test_p_counts_the_observed_arrangement():
    null = np.array([0.4, 0.5, 0.6, np.nan])
    assert tail(0.55, null) == 2 / 4
    assert tail(0.6, null) == 2 / 4
    assert tail(0.9, null) == 1 / 4


class TestStability:
    def test_the_same_choice_each_time_is_one(self):
        assert selection_stability(np.array([[1, 1, 0, 0]] * 3)) == 1

    def test_choices_without_overlap_by_hand(self):
        # p = 1/2 each, variance 2/1 * 1/4 = 1/2, (k/d)(1 - k/d) = 1/4: 1 - 2.
        assert selection_stability(np.array([[1, 1, 0, 0], [0, 0, 1, 1]])) == -1

    def test_all_or_none_chosen_is_not_known(self):
        assert np.isnan(selection_stability(np.ones((3, 4))))
        assert np.isnan(selection_stability(np.zeros((3, 4))))
