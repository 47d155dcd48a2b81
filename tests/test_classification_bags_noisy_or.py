import math

import pytest
import torch

from classification.bags.noisy_or import NoisyOrBag, contribution, noisy_or, patient_probability, without


def test_noisy_or_of_two_halves_is_three_quarters():
    assert noisy_or([0.5, 0.5]) == pytest.approx(0.75, abs=1e-15)
    # 1 - 0.9 * 0.5 * 0.5
    assert noisy_or([0.5, 0.5], leak_probability=0.1) == pytest.approx(0.775, abs=1e-15)


def test_an_empty_bag_answers_with_the_leak():
    assert noisy_or([], 0.02) == pytest.approx(0.02, abs=1e-15)
    assert noisy_or([], 0.0) == 0.0


def test_contributions_add_up_to_the_log_survival():
    chances, leak = [0.9, 0.001, 0.3, 1e-9], contribution(0.01)
    parts = [contribution(p) for p in chances]
    p = patient_probability(parts, leak)
    assert math.fsum([leak, *parts]) == pytest.approx(-math.log(1 - p), abs=1e-9)
    assert 1 - p == pytest.approx(0.99 * 0.1 * 0.999 * 0.7, abs=1e-8)


def test_order_does_not_matter_to_the_last_bit():
    chances = [0.1, 0.7, 1e-7, 0.33]
    assert noisy_or(chances, 0.01) == noisy_or(chances[::-1], 0.01)


def test_a_certain_nodule_stays_finite_and_nonsense_is_refused():
    assert math.isfinite(contribution(1.0))
    assert noisy_or([1.0, 1.0]) == pytest.approx(1.0)
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="probability must lie in"):
            contribution(wrong)


def test_leaving_a_nodule_out():
    parts = [contribution(0.5), contribution(0.2)]
    assert without(parts, 0.0, 0) == pytest.approx(0.2)
    assert without(parts, contribution(0.1), 1) == pytest.approx(1 - 0.9 * 0.5)


def test_bag_equals_the_plain_formula_and_ignores_empty_places():
    bag = NoisyOrBag()
    nodule, malignancy = torch.tensor([[2.0, -1.0, 9.0]]), torch.tensor([[1.0, 3.0, 9.0]])
    score, present = torch.tensor([[0.9, 0.4, 0.9]]), torch.tensor([[True, True, False]])
    p = bag.probabilities(nodule, malignancy, score)[0, :2].tolist()
    expected = noisy_or(p, torch.sigmoid(bag.leak).item())
    assert -math.expm1(bag(nodule, malignancy, score, present).item()) == pytest.approx(expected, abs=1e-6)


def test_a_candidate_the_detector_doubts_adds_less():
    bag = NoisyOrBag()
    same = torch.full((3,), 1.0)
    p = bag.probabilities(same, same, torch.tensor([0.05, 0.5, 0.95]))
    assert p[0] < p[1] < p[2]
