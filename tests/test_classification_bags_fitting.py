"""A bag's parameters are found again in what it says."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from classification.bags.features import features
from classification.bags.fitting import cross_entropy, fit_bag
from classification.bags.interface import BagInputs, BagKind, settings_of
from classification.bags.leaky_noisy_or import LeakyNoisyOr
from runs.seeds import stream
from tests.bags import KINDS, patients


def settings(kind: str, l2: float = 0.0, k: int | None = None) -> BagKind:
    more = {"hidden": 4} if kind == "attention" else {}
    ranks = 2 if kind == "top_k_logistic" else None
    return settings_of({"kind": kind, "k": k or ranks, "steps": 100, "l2": l2, **more})


def with_gaps(n: int) -> BagInputs:
    inputs = patients(4, b=n)
    inputs.present[:] = torch.from_numpy(stream("tests.gaps", 0).random((n, 4)) < 0.6)
    return inputs


@pytest.mark.parametrize("kind", KINDS)
def test_every_bag_learns_and_learns_the_same_again(kind: str) -> None:
    inputs = with_gaps(300)
    truth = LeakyNoisyOr().double()
    with torch.no_grad():
        truth.bias.fill_(1.0)
        label = -torch.expm1(truth(inputs))
    bag, loss = fit_bag(settings(kind, 1e-4), inputs, label, 0)
    rate = label.mean()
    assert loss < float(-(rate * rate.log() + (1 - rate) * (1 - rate).log())) - 0.02
    again, _ = fit_bag(settings(kind, 1e-4), inputs, label, 0)
    assert all(torch.equal(a, b) for a, b in zip(bag.parameters(), again.parameters(), strict=True))
    assert not bag.training


def test_a_leaky_noisy_or_is_found_again() -> None:
    inputs, truth = with_gaps(400), LeakyNoisyOr().double()
    with torch.no_grad():
        truth.bias.fill_(0.5)
        truth.leak.fill_(-3.0)
        label = -torch.expm1(truth(inputs))
    bag, _ = fit_bag(settings("leaky_noisy_or"), inputs, label, 0)
    assert bag.double()(inputs).detach().tolist() == pytest.approx(truth(inputs).tolist(), abs=0.01)


def test_top_k_logistic_is_the_logistic_regression_of_scikit_learn() -> None:
    inputs = patients(1, b=200)
    label = torch.from_numpy(stream("tests.labels", 0).random(200) < inputs.malignancy[:, 0].sigmoid().numpy())
    # Its penalty is |w|^2 / 2 / C on the sum of losses; the constant of the only rank is not told from the base.
    bag, _ = fit_bag(settings("top_k_logistic", l2=0.01, k=1), inputs, label, 0)
    x = torch.nn.functional.pad(features(inputs)[:, 0], (0, 1), value=1.0).numpy()
    sklearn = LogisticRegression(C=1 / (2 * 0.01 * 200), tol=1e-8).fit(x, label.numpy())
    said = -torch.expm1(bag.double()(inputs)).detach().numpy()
    assert said == pytest.approx(sklearn.predict_proba(x)[:, 1], abs=1e-3)


def test_cross_entropy_by_hand() -> None:
    survival = torch.tensor([0.5, 0.9]).log()
    expected = -(math.log(0.5) + 0.25 * math.log(0.1) + 0.75 * math.log(0.9)) / 2
    assert float(cross_entropy(survival, torch.tensor([1.0, 0.25]))) == pytest.approx(expected, abs=1e-6)
