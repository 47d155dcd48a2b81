"""Simulated patients: the best scores enter, the law gives the label."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from classification.network import NoduleNetwork
from classification.training.engine import answers
from classification.training.simulated_patients import draw_bags, nodule_risks, pancan_risk
from tests.nodules import MODEL, balls
from tests.training_settings import classification


def test_pancan_risk_by_hand() -> None:
    # 10 mm, smooth, solid, no calcification, 4 nodules: the size term and the count term vanish.
    typical = 0.5 * 0.6011 + 0.2 * 0.2961 + 0.33 * 0.2953 + 0.5 * 0.6581
    size = -5.3854 * (1 - 1.58113883)
    assert pancan_risk(10, 1, 5, 6, 4) == pytest.approx(1 / (1 + math.exp(6.7892 - typical - size)))
    assert pancan_risk(20, 1, 5, 6, 1) > pancan_risk(10, 1, 5, 6, 1) > pancan_risk(10, 1, 5, 3, 1)
    assert pancan_risk(10, 4, 5, 6, 1) > pancan_risk(10, 1, 5, 6, 1)


def test_bags_hold_the_best_scores_and_the_law() -> None:
    samples = balls(16)
    settings = replace(classification().patients, bags=40)
    said = answers(NoduleNetwork(MODEL.widths, MODEL.hidden), samples, MODEL)
    bags = draw_bags(samples, said, settings, 3, 0)
    assert bags.inputs.score.shape == (40, 3)
    assert float(bags.label.min()) == pytest.approx(0.005)
    assert bool((bags.inputs.score[:, :-1] >= bags.inputs.score[:, 1:])[bags.inputs.present[:, 1:]].all())
    assert nodule_risks(samples)[~samples.is_nodule].max() == 0
    assert torch.equal(draw_bags(samples, said, settings, 3, 0).label, bags.label)
    assert not torch.equal(draw_bags(samples, said, settings, 3, 1).label, bags.label)
