"""DeLong's variance against a published example, against the plain double loop, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from classification.metrics.delong import auc_delong, compare_auc_delong, delong, placements

# DeLong et al. 1988 on 43 patients with ovarian cancer: albumin, total protein, K-G score, benefit of surgery, as
# printed in the SAS/STAT user's guide (PROC LOGISTIC, "Comparing Receiver Operating Characteristic Curves").
PRINTED = """
3.0 5.8 10 0   3.2 6.3  5 1   3.9 6.8  3 1   2.8 4.8  6 0   3.2 5.8  3 1   0.9 4.0  5 0   2.5 5.7  8 0
1.6 5.6  5 1   3.8 5.7  5 1   3.7 6.7  6 1   3.2 5.4  4 1   3.8 6.6  6 1   4.1 6.6  5 1   3.6 5.7  5 1
4.3 7.0  4 1   3.6 6.7  4 0   2.3 4.4  6 1   4.2 7.6  4 0   4.0 6.6  6 0   3.5 5.8  6 1   3.8 6.8  7 1
3.0 4.7  8 0   4.5 7.4  5 1   3.7 7.4  5 1   3.1 6.6  6 1   4.1 8.2  6 1   4.3 7.0  5 1   4.3 6.5  4 1
3.2 5.1  5 1   2.6 4.7  6 1   3.3 6.8  6 0   1.7 4.0  7 0   3.7 6.1  5 1   3.3 6.3  7 1   4.2 7.7  6 1
3.5 6.2  5 1   2.9 5.7  9 0   2.1 4.8  7 1   2.8 6.2  8 0   4.0 7.0  7 1   3.3 5.7  6 1   3.7 6.9  5 1
3.6 6.6  5 1
"""
OVARIAN = np.array(PRINTED.split(), float).reshape(-1, 4)
BENEFIT = OVARIAN[:, 3] == 1
ALBUMIN, PROTEIN, KG_SCORE = OVARIAN[:, 0], OVARIAN[:, 1], 10 - OVARIAN[:, 2]


def by_double_loop(label: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equations (3) to (6) of DeLong et al., pair by pair."""
    above, below = [], []
    for score in scores:
        wins = [[(x > y) + 0.5 * (x == y) for y in score[~label]] for x in score[label]]
        above.append(np.mean(wins, axis=1))
        below.append(np.mean(wins, axis=0))
    covariance = np.cov(above) / label.sum() + np.cov(below) / (~label).sum()
    return np.mean(above, axis=1), np.atleast_2d(covariance)


@pytest.mark.parametrize(
    ("score", "area", "error", "low", "high"),
    [
        (ALBUMIN, 0.7366, 0.0927, 0.5549, 0.9182),
        (PROTEIN, 0.6478, 0.1000, 0.4518, 0.8439),
        (KG_SCORE, 0.7258, 0.1028, 0.5243, 0.9273),
    ],
    ids=["albumin", "total protein", "K-G score"],
)
def test_published_areas(score, area, error, low, high):
    got = auc_delong(BENEFIT, score)
    assert (got.value, got.low, got.high) == pytest.approx((area, low, high), abs=5e-5)
    assert math.sqrt(delong(BENEFIT, score[None])[1][0, 0]) == pytest.approx(error, abs=5e-5)


@pytest.mark.parametrize(
    ("score", "difference", "low", "high", "p_value"),
    [(ALBUMIN, 0.0108, -0.1761, 0.1976, 0.9102), (PROTEIN, -0.0780, -0.2830, 0.1271, 0.4561)],
    ids=["albumin", "total protein"],
)
def test_published_contrasts_to_the_kg_score(score, difference, low, high, p_value):
    got = compare_auc_delong(BENEFIT, score, KG_SCORE)
    found = (got.difference.value, got.difference.low, got.difference.high)
    assert found == pytest.approx((difference, low, high), abs=5e-5)
    assert got.p_value == pytest.approx(p_value, abs=5e-5)


@pytest.mark.parametrize("ties", [False, True])
def test_ranks_give_what_the_double_loop_gives(ties):
    rng = np.random.default_rng(4)
    label = rng.random(70) < 0.3
    scores = rng.normal(size=(3, 70)) + label
    scores = np.round(scores) if ties else scores
    areas, covariance = delong(label, scores)
    expected_areas, expected = by_double_loop(label, scores)
    assert areas == pytest.approx(expected_areas)
    assert covariance == pytest.approx(expected)


def test_placements_by_hand():
    #                  cancer: .9  .6  .3   healthy: .6  .2  .1
    label = np.array([1, 1, 1, 0, 0, 0], bool)
    above, below = placements(label, np.array([[0.9, 0.6, 0.3, 0.6, 0.2, 0.1]]))
    # .9 stands above 3 of 3; .6 above two and level with one; .3 above two.
    assert above[0] == pytest.approx([1, 2.5 / 3, 2 / 3])
    # Above .6 stands one, one is level; above .2 and .1 all three.
    assert below[0] == pytest.approx([1.5 / 3, 1, 1])
    # Variances of (6, 5, 4) / 6 and of (3, 6, 6) / 6: 1/36 and 3/36; each over its three members.
    assert delong(label, np.array([[0.9, 0.6, 0.3, 0.6, 0.2, 0.1]]))[1][0, 0] == pytest.approx(4 / 36 / 3)


def test_one_row_a_group_changes_nothing():
    groups = np.random.default_rng(0).permutation(len(BENEFIT))
    scores = np.stack([ALBUMIN, KG_SCORE])
    assert delong(BENEFIT, scores, groups)[1] == pytest.approx(delong(BENEFIT, scores)[1])


def test_copies_of_a_row_in_its_group_add_no_certainty():
    # Each patient three times: sums of placements and group sizes triple, and cancel.
    copies = np.tile(np.arange(len(BENEFIT)), 3)
    scores = np.stack([ALBUMIN, KG_SCORE])
    grouped = delong(BENEFIT[copies], scores[:, copies], copies)[1]
    assert grouped == pytest.approx(delong(BENEFIT, scores)[1])
    assert delong(BENEFIT[copies], scores[:, copies])[1][0, 0] < 0.4 * grouped[0, 0]


def test_grouped_variance_is_the_one_seen_in_repeated_samples():
    # 80 patients of four nodules that share a patient's level, classes mixed within patients.
    rng = np.random.default_rng(1)
    areas, variances = [], []
    for _ in range(400):
        level = np.repeat(rng.normal(size=80), 4)
        label = rng.random(320) < stats.norm.cdf(level - 0.5)
        score = label + level + rng.normal(size=320)
        found, covariance = delong(label, score[None], np.repeat(np.arange(80), 4))
        areas.append(found[0])
        variances.append(covariance[0, 0])
    assert np.mean(variances) == pytest.approx(np.var(areas), rel=0.15)


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(2)
    truth, hits = stats.norm.cdf(1 / math.sqrt(2)), 0
    for _ in range(1000):
        label = np.arange(150) < 50
        estimate = auc_delong(label, rng.normal(size=150) + label)
        hits += estimate.low <= truth <= estimate.high
    assert 0.925 < hits / 1000 < 0.97


def test_edges():
    label = np.array([1, 1, 0, 0], bool)
    perfect = auc_delong(label, np.array([4, 3, 2, 1]))
    assert (perfect.value, perfect.low, perfect.high) == (1, 1, 1)
    alone = auc_delong(np.array([1, 0, 0], bool), np.array([2, 3, 1]))
    assert (alone.value, alone.low, alone.high) == (0.5, 0, 1)
    same = compare_auc_delong(BENEFIT, ALBUMIN, 2 * ALBUMIN)
    assert (same.difference.value, same.p_value) == (0, 1)
    # Perfect against useless: neither varies, so there is nothing to test with.
    assert math.isnan(compare_auc_delong(label, np.array([4, 3, 2, 1]), np.zeros(4)).p_value)
    with pytest.raises(ValueError, match="both classes"):
        auc_delong(np.ones(3, bool), np.arange(3))
    with pytest.raises(ValueError, match="1 NaN"):
        auc_delong(label, np.array([1, np.nan, 2, 3]))
