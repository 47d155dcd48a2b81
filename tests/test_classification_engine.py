"""Numbered examples: the same at any time and in any process, each pass in an order of its own."""

from __future__ import annotations

import numpy as np
import torch

from classification.network import NoduleNetwork
from classification.training.engine import NumberedCrops, answers, example
from tests.nodules import MODEL, balls


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_each_pass_holds_every_example_once_in_another_order() -> None:
    samples = balls(8)
    samples.diameter_mm[:] = 4.0 ** np.arange(
        1, 9
    )  # half a step, a factor 2, is 4.6 standard deviations of what is drawn
    numbered = NumberedCrops(samples, MODEL, seed=0)
    drawn = [float(numbered[k]["diameter_mm"]) for k in range(24)]
    order = [round(np.log(d) / np.log(4)) - 1 for d in drawn]
    passes = [order[0:8], order[8:16], order[16:24]]
    assert [sorted(p) for p in passes] == [list(range(8))] * 3
    assert passes[0] != passes[1]
    assert passes[1] != passes[2]


def test_an_example_depends_on_its_number_and_the_seed_only() -> None:
    samples = balls(8)
    backwards, forwards = NumberedCrops(samples, MODEL, 0), NumberedCrops(samples, MODEL, 0)
    last_first = {k: backwards[k] for k in reversed(range(20))}
    assert all(same(forwards[k], last_first[k]) for k in range(20))
    assert not same(NumberedCrops(samples, MODEL, 1)[0], forwards[0])


def test_undisturbed_crops_are_the_same_twice() -> None:
    samples = balls(4)
    assert same(example(samples, 0, MODEL), example(samples, 0, MODEL))
    assert example(samples, 0, MODEL)["crop"].shape == (1, 32, 32, 32)
    assert example(samples, 1, MODEL)["weight"] == torch.tensor(0.0)


def test_answers_come_in_order_whatever_the_batch() -> None:
    samples, network = balls(6), NoduleNetwork(MODEL.widths, MODEL.hidden)
    at_once, in_parts = answers(network, samples, MODEL), answers(network, samples, MODEL, batch=4)
    assert torch.allclose(at_once.malignancy, in_parts.malignancy, atol=1e-6)
    assert torch.allclose(at_once.ratings, in_parts.ratings, atol=1e-6)
