"""Small cohorts whose figures a reader can work out with a pencil."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from classification.metrics.estimates import (
    MetricSettings,
    auc_bootstrap,
    compare,
    metric_points,
    patient_metrics,
    tally_points,
)
from classification.metrics.reliability import bin_edges, calibration_error, error_by_chance
from classification.metrics.tally import Tally, net_benefit, net_benefit_of_all
from classification.training.figures import auc_figure
from runs.guards import GuardError
from tests.metric_cases import CANCER, CHANCE, FEW, cohort, points


def test_auc_is_the_share_of_pairs_in_order():
    # a beats d, e, f: 3. b ties d and beats e, f: 2.5. c loses to d, beats e, f: 2. Of 9 pairs 7.5.
    assert points(CANCER, CHANCE)["roc_auc_bootstrap"] == pytest.approx(7.5 / 9)


@pytest.mark.parametrize(
    ("threshold", "tp", "fp", "fn", "tn", "accuracy", "precision", "recall", "specificity", "f1"),
    [
        (0.25, 3, 1, 0, 2, 5 / 6, 3 / 4, 1, 2 / 3, 6 / 7),  # a b c d are called
        (0.5, 2, 1, 1, 2, 4 / 6, 2 / 3, 2 / 3, 2 / 3, 2 / 3),  # a b d
        (0.6, 2, 1, 1, 2, 4 / 6, 2 / 3, 2 / 3, 2 / 3, 2 / 3),  # a chance equal to the threshold is called
        (0.95, 0, 0, 3, 3, 3 / 6, math.nan, 0, 1, 0),  # nobody: no precision
        (0.05, 3, 3, 0, 0, 3 / 6, 1 / 2, 1, 0, 2 / 3),  # everybody
    ],
)
def test_calls_at_a_threshold(threshold, tp, fp, fn, tn, accuracy, precision, recall, specificity, f1):
    found = patient_metrics(CANCER, CHANCE, MetricSettings(threshold=threshold, bootstrap=FEW))
    assert [found.confusion[k].value for k in ("tp", "fp", "fn", "tn")] == [tp, fp, fn, tn]
    got = [found.estimates[k].value for k in ("accuracy", "precision", "recall", "specificity", "f1")]
    assert got == pytest.approx([accuracy, precision, recall, specificity, f1], nan_ok=True)
    assert found.estimates["precision"].n == tp + fp
    assert found.estimates["recall"].n == 3


def test_log_loss_and_brier_by_hand():
    # -log of what was given to the truth: 1/2, 1/4, 1/2, 1/4, so 1, 2, 1, 2 times log 2; squares 1/4, 9/16, 1/4, 9/16.
    got = points(np.array([1, 1, 0, 0]), np.array([0.5, 0.25, 0.5, 0.75]))
    assert got["log_loss"] == pytest.approx(1.5 * math.log(2))
    assert got["brier"] == pytest.approx(13 / 32)


def test_a_certain_mistake_costs_what_the_clip_says():
    # One of two patients: log(1e15) / 2 = 15 log(10) / 2; a wider clip forgives more.
    certain = (np.array([1, 0]), np.array([0.0, 0.0]))
    assert points(*certain)["log_loss"] == pytest.approx(15 * math.log(10) / 2)
    assert points(*certain, clip=0.01)["log_loss"] == pytest.approx((math.log(100) - math.log(0.99)) / 2)


def test_average_precision_by_hand():
    # Recall rises by a third each time: at .9 (1 of 1 right), at .6 (2 of 3), at .3 (3 of 4).
    assert points(CANCER, CHANCE)["average_precision"] == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_calibration_error_by_hand():
    # Up to .5: c e f, mean .2, one of three has cancer. Above: a b d, mean .7, two of three. (2/15 + 1/30) / 2 = 1/12.
    assert points(CANCER, CHANCE, bins=2)["expected_calibration_error"] == pytest.approx(1 / 12)


def test_bins_of_equal_mass_see_what_one_wide_bin_hides():
    label, chance = np.array([0, 1, 0, 0]), np.array([0.1, 0.2, 0.3, 0.4])
    # Equal width: all four in the lower bin, mean .25, one of four. Equal mass: .15 against 1/2, .35 against 0.
    assert points(label, chance, bins=2)["expected_calibration_error"] == pytest.approx(0)
    assert points(label, chance, bins=2, binning="equal_mass")["expected_calibration_error"] == pytest.approx(0.35)


@pytest.mark.parametrize(("binning", "strategy"), [("equal_width", "uniform"), ("equal_mass", "quantile")])
def test_bins_are_those_of_scikit_learn(binning, strategy):
    label, chance = cohort(400, grain=0.05)
    found = patient_metrics(label, chance, MetricSettings(binning=binning, bootstrap=FEW)).reliability
    observed, predicted = calibration_curve(label, chance, n_bins=10, strategy=strategy)
    assert [b.observed.value for b in found if b.observed.n] == pytest.approx(observed)
    assert [b.predicted for b in found if b.observed.n] == pytest.approx(predicted)


def test_equal_predictions_make_one_bin():
    label, chance = np.array([1, 0, 0, 0], bool), np.full(4, 0.5)
    tally = Tally.of(label, chance)
    assert calibration_error(tally, bin_edges(chance, 10, "equal_mass")) == pytest.approx([0.25])


def test_chance_alone_makes_a_calibration_error():
    # One patient of p = 1/2: predicted .5, observed 0 or 1, off by .5 either way.
    assert error_by_chance(np.array([0.5]), bin_edges(np.array([0.5])), 20).value == 0.5
    label, chance = cohort(500)
    found = patient_metrics(label, chance).estimates
    by_chance = found["calibration_error_by_chance"]
    assert by_chance.low < found["expected_calibration_error"].value < by_chance.high


@pytest.mark.parametrize(
    ("specificity", "sensitivity", "cutoff"),
    [
        (1.0, 1 / 3, 0.9),  # only a stands above d, the highest of the healthy; b ties with d and falls with it
        (0.9, 1 / 3, 0.9),  # 9 of 10 asks for all three
        (0.6, 1.0, 0.3),  # d may be called: a b c
    ],
)
def test_sensitivity_at_a_specificity(specificity, sensitivity, cutoff):
    found = patient_metrics(CANCER, CHANCE, MetricSettings(specificities=(specificity,), bootstrap=FEW))
    name = f"sensitivity_at_specificity_{specificity:g}"
    assert found.estimates[name].value == pytest.approx(sensitivity)
    assert found.cutoffs[name] == cutoff


@pytest.mark.parametrize(
    ("sensitivity", "specificity", "cutoff"),
    [
        (1.0, 2 / 3, 0.3),  # to find c, d is called too
        (0.5, 2 / 3, 0.6),  # half of three asks for two: b, and d with it
        (0.3, 1.0, 0.9),  # a alone
    ],
)
def test_specificity_at_a_sensitivity(sensitivity, specificity, cutoff):
    found = patient_metrics(CANCER, CHANCE, MetricSettings(sensitivities=(sensitivity,), bootstrap=FEW))
    name = f"specificity_at_sensitivity_{sensitivity:g}"
    assert found.estimates[name].value == pytest.approx(specificity)
    assert found.cutoffs[name] == cutoff


def test_when_the_healthy_score_highest_nobody_may_be_called():
    found = patient_metrics(CANCER, 1 - CHANCE, MetricSettings(specificities=(1.0,), bootstrap=FEW))
    assert found.estimates["sensitivity_at_specificity_1"].value == 0
    assert found.cutoffs["sensitivity_at_specificity_1"] == math.inf


def test_a_target_is_met_by_equality_whatever_floats_say():
    # 1 of 20 healthy may be called at specificity .95, although 20 * (1 - .95) is 1.0000000000000009.
    label, chance = np.array([1] + [0] * 20, bool), np.array([0.5, 0.9] + [0.1] * 19)
    assert points(label, chance)["sensitivity_at_specificity_0.95"] == 1
    label, chance = np.array([1] * 20 + [0], bool), np.array([0.9] * 19 + [0.1, 0.5])
    assert points(label, chance)["specificity_at_sensitivity_0.95"] == 1


def test_net_benefit_by_hand():
    thresholds = np.array([0.2, 0.5, 0.95])
    # From .2 on a b c are found, d e called, each false alarm at odds 1/4; from .5 on 2, 1 at odds 1; then nobody.
    by_hand = [(3 - 2 / 4) / 6, (2 - 1) / 6, 0]
    tally = Tally.of(CANCER, CHANCE)
    assert net_benefit(tally, thresholds)[0] == pytest.approx(by_hand)
    # Everyone: 3 found, 3 false at odds 1/4, 1 and 19.
    assert net_benefit_of_all(tally, thresholds)[0] == pytest.approx([(3 - 3 / 4) / 6, 0, (3 - 57) / 6])


def test_a_perfect_list_and_a_useless_one():
    perfect = points(CANCER, CANCER.astype(float))
    assert {perfect[k] for k in ("roc_auc_bootstrap", "average_precision", "f1", "accuracy")} == {1}
    assert perfect["brier"] == perfect["expected_calibration_error"] == 0
    useless = points(CANCER, np.full(6, 0.5))
    assert useless["roc_auc_bootstrap"] == useless["average_precision"] == 0.5
    assert useless["log_loss"] == pytest.approx(math.log(2))


@pytest.mark.parametrize("grain", [0, 0.1])
def test_each_draw_gives_what_scikit_learn_gives_on_the_drawn_rows(grain):
    # The tally counts rows where scikit-learn would see them repeated.
    label, chance = cohort(60, seed=3, grain=grain)
    weights = np.random.default_rng(1).integers(0, 4, (5, 60)).astype(float)
    settings = MetricSettings(bins=7)
    drawn = tally_points(Tally.of(label, chance, weights), bin_edges(chance, 7), settings)
    for row, repeated in enumerate(weights.astype(int)):
        expected = metric_points(np.repeat(label, repeated), np.repeat(chance, repeated), settings)
        assert {k: v[row] for k, v in drawn.items()} == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("choice", "value"),
    [("threshold", 0.0), ("specificities", (0.9, 1.5)), ("sensitivities", (0.0,)), ("level", 1.0), ("clip", 0.0)],
)
def test_settings_without_a_meaning_are_refused_by_name(choice, value):
    with pytest.raises(ValueError, match=choice):
        MetricSettings(**{choice: value})


def test_wrong_arrays_are_refused():
    with pytest.raises(GuardError, match="one_class"):
        patient_metrics(np.ones(3), np.full(3, 0.5))
    with pytest.raises(GuardError, match="looks_like_logits"):
        compare(CANCER, CHANCE, CHANCE * 9 - 4)
    with pytest.raises(ValueError, match="one probability for each label"):
        patient_metrics(CANCER, CHANCE[:5])
    with pytest.raises(ValueError, match="equal_width"):
        patient_metrics(CANCER, CHANCE, MetricSettings(binning="deciles"))


def test_the_model_card_uses_the_same_bootstrap():
    label, chance = cohort(120)
    patients = np.repeat(np.arange(60), 2)
    card = auc_figure(label, {"network": chance}, patients, 100)
    estimate = auc_bootstrap(label, {"network": chance}, 100, patients)["network"]
    assert card["network"] == {
        "auc": round(roc_auc_score(label, chance), 4),
        "low": round(estimate.low, 4),
        "high": round(estimate.high, 4),
    }
    assert (card["n"], card["patients"]) == (120, 60)
