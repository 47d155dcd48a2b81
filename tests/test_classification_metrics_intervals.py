"""Intervals and paired comparisons of patient metrics, by hand and against other ways to the same figure."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from classification.metrics.delong import auc_delong
from classification.metrics.estimates import (
    MetricSettings,
    auc_bootstrap,
    compare,
    patient_metrics,
)
from runs.bootstrap import bootstrap_comparison, clopper_pearson, percentiles, resample
from tests.metric_cases import FEW, cohort


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (5, 10), (10, 10), (238, 419)])
def test_exact_interval_is_where_each_tail_holds_its_half(hits, n):
    # Each end is the chance under which so many hits, or fewer, or more, happen in 2.5 % of samples.
    got = clopper_pearson(hits, n)
    assert stats.binom.sf(hits - 1, n, got.low) == pytest.approx(0.025 if hits else 1)
    assert stats.binom.cdf(hits, n, got.high) == pytest.approx(0.025 if hits < n else 1)
    assert got.value == hits / n


def test_exact_interval_by_hand():
    # Nothing in n: (1 - p)^n = 2.5 %.
    assert clopper_pearson(0, 20).high == pytest.approx(1 - 0.025 ** (1 / 20))
    empty = clopper_pearson(0, 0)
    assert math.isnan(empty.value)
    assert (empty.low, empty.high) == (0, 1)
    with pytest.raises(ValueError, match="0 <= hits <= n"):
        clopper_pearson(3, 2)


def test_bootstrap_and_delong_agree_on_a_big_sample():
    label, chance = cohort(4000)
    delong, bootstrap = auc_delong(label, chance), auc_bootstrap(label, {"it": chance})["it"]
    assert (bootstrap.low, bootstrap.high) == pytest.approx((delong.low, delong.high), abs=0.0025)


def test_bootstrap_of_a_mean_has_its_standard_error():
    chance = cohort(2000)[1]
    drawn = resample(lambda w: {"mean": w @ chance / len(chance)}, len(chance), 4000)["mean"]
    assert drawn.std() == pytest.approx(chance.std() / math.sqrt(len(chance)), rel=0.05)


def test_groups_are_drawn_whole():
    groups = np.array(["p", "q", "p", "r", "q", "p"])
    weights = resample(lambda w: {"weights": w}, 6, 200, groups)["weights"]
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 0] == weights[:, 5]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    # Three of three groups each time.
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_copies_of_patients_add_no_certainty_when_grouped():
    label, chance = cohort(300, seed=5)
    twice, patient = (np.repeat(a, 2) for a in (label, np.arange(300)))
    copied = np.repeat(chance, 2)
    settings = MetricSettings(bootstrap=1000)
    plain = patient_metrics(label, chance, settings).estimates
    naive, grouped = (patient_metrics(twice, copied, settings, g).estimates for g in (None, patient))
    for name in ("roc_auc", "roc_auc_bootstrap", "log_loss", "recall"):
        width = {k: e[name].high - e[name].low for k, e in (("p", plain), ("n", naive), ("g", grouped))}
        assert width["g"] == pytest.approx(width["p"], rel=0.12)
        assert width["n"] < 0.8 * width["p"]


def test_draws_without_both_classes_are_left_out():
    low, high = percentiles(np.array([np.nan, 0.2, 0.4, np.nan]), 0.5)
    assert (low, high) == pytest.approx((0.25, 0.35))
    found = patient_metrics(np.array([1, 0, 0]), np.array([0.9, 0.1, 0.2]), MetricSettings(bootstrap=200)).estimates
    assert found["roc_auc_bootstrap"].low == found["roc_auc_bootstrap"].high == 1


def test_the_same_seed_gives_the_same_draws_and_another_does_not():
    label, chance = cohort(50)
    one, two, other = (auc_bootstrap(label, {"it": chance}, repeats=FEW, seed=seed)["it"].low for seed in (1, 1, 2))
    assert one == two != other


def test_a_prediction_against_itself_differs_by_nothing():
    label, chance = cohort(80)
    for compared in compare(label, chance, chance, MetricSettings(bootstrap=FEW)).values():
        assert (compared.difference.value, compared.difference.low, compared.difference.high) == (0, 0, 0)
        assert compared.p_value == 1


def test_the_order_of_the_two_only_turns_the_sign():
    label, chance = cohort(200)
    other = np.sqrt(chance)[::-1]
    there, back = (compare(label, *pair, MetricSettings(bootstrap=200)) for pair in ((chance, other), (other, chance)))
    for name, compared in there.items():
        turned = back[name].difference
        expected = (-turned.value, -turned.high, -turned.low)
        got = (compared.difference.value, compared.difference.low, compared.difference.high)
        assert got == pytest.approx(expected, abs=1e-12)
        assert compared.p_value == pytest.approx(back[name].p_value)


def test_pairing_sees_a_small_difference_that_two_intervals_do_not():
    label, chance = cohort(1500)
    noisy = np.clip(chance + np.random.default_rng(2).normal(0, 0.1, 1500), 0, 1)
    found = compare(label, chance, noisy, MetricSettings(bootstrap=500))
    own, other = (auc_delong(label, p) for p in (chance, noisy))
    assert own.low < other.high
    assert found["roc_auc"].p_value < 0.01
    assert found["roc_auc_bootstrap"].p_value < 0.01
    assert found["log_loss"].difference.high < 0


def test_bootstrap_p_value_by_hand():
    # 19 draws, 1 at or below zero: twice (1 + 1) of (19 + 1).
    assert bootstrap_comparison(0.1, np.array([-0.1] + [0.1] * 18), 9).p_value == pytest.approx(0.2)
    assert bootstrap_comparison(0.1, np.full(19, 0.1), 9).p_value == pytest.approx(0.1)
