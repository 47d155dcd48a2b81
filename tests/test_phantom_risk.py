"""The risk law and the best AUC, by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from phantom.risk import best_auc, nodule_risks, pancan_risk, patient_risk
from preprocessing.annotations import Nodule

PERSON = 0.5 * 0.6011 + 0.2 * 0.2961 + 0.33 * 0.2953
AT_10_MM = -6.7892 + PERSON + 5.3854 * 0.58113883


def test_logistic_by_hand() -> None:
    # 10 mm, solid, smooth, upper lobe, four nodules: log odds -6.7892 + 0.4572 + 0.6581 + 3.1297 = -2.5442.
    assert pancan_risk(10, 1, 5, 6, 4, upper=1) == pytest.approx(0.07282, abs=1e-5)


@pytest.mark.parametrize(
    ("changed", "odds"),
    [
        ({}, 0.0),
        ({"spiculation": 3}, 0.7729),
        ({"texture": 1}, -0.1276),
        ({"texture": 3}, 0.3770),
        ({"count": 1}, 3 * 0.0824),
        ({"upper": 1.0}, 0.6581),
        ({"enrichment": 2.0}, 2.0),
        ({"diameter_mm": 40.0}, 5.3854 * 0.5),  # (40 / 10) ** -0.5 = 0.5 instead of 1
    ],
)
def test_each_term(changed: dict[str, float], odds: float) -> None:
    plain = {"diameter_mm": 10, "spiculation": 1, "texture": 5, "calcification": 6, "count": 4, "upper": 0.0}
    risk = pancan_risk(**{**plain, **changed})
    assert math.log(risk / (1 - risk)) == pytest.approx(AT_10_MM + odds)


def test_calcified_nodules_are_benign_whatever_their_size() -> None:
    assert pancan_risk(30, 5, 5, 3, 1, enrichment=5) == 0.002


def test_patient_risk_by_hand() -> None:
    assert patient_risk([]) == pytest.approx(0.005)
    assert patient_risk([0.5, 0.5]) == pytest.approx(1 - 0.995 * 0.25)


def test_nodules_of_a_patient_count() -> None:
    ratings = {"spiculation": 1.0, "texture": 5.0, "calcification": 6.0}
    nodules = [Nodule("1.2", (0, 0, 0), 10.0, 3.0, ratings, 1)] * 2
    low, high = nodule_risks(nodules, [False, True], 0.0)
    assert low == pancan_risk(10, 1, 5, 6, 2, upper=0) < high == pancan_risk(10, 1, 5, 6, 2, upper=1)
    with pytest.raises(ValueError, match="2 nodules, got 1"):
        nodule_risks(nodules, [True])


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([0.2, 0.8], 0.64 / 0.68),  # 0.8 * 0.8 right, 0.2 * 0.2 wrong
        ([0.5, 0.5], 0.5),
        ([0.2, 0.5, 0.5], (2 * 0.4 + 0.25) / (2 * 0.4 + 2 * 0.1 + 2 * 0.25)),
        ([1.0, 0.0, 0.5], 1.0),
    ],
)
def test_best_auc_by_hand(probabilities: list[float], expected: float) -> None:
    assert best_auc(probabilities) == pytest.approx(expected)


def test_best_auc_is_the_sum_over_pairs() -> None:
    p = np.random.default_rng(0).integers(0, 11, 40) / 10
    pairs = [(a * (1 - b), (a > b) + 0.5 * (a == b)) for a, b in itertools.permutations(p, 2)]
    assert best_auc(p) == pytest.approx(sum(w * s for w, s in pairs) / sum(w for w, _ in pairs))


def test_best_auc_of_nothing_to_rank() -> None:
    assert math.isnan(best_auc([0.0, 0.0]))
    assert math.isnan(best_auc([0.3]))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        best_auc([0.5, 1.5])
