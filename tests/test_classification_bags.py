"""What every bag keeps to: parts that add up, no order, k, the leak; and each bag's own formula by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from classification.bags.attention import GatedAttention
from classification.bags.interface import LOG_SURVIVAL, Bag, BagInputs, build_bag, explain, settings_of
from classification.bags.leaky_noisy_or import LeakyNoisyOr
from classification.bags.maximum import Maximum
from classification.bags.noisy_or import NoisyOr
from classification.bags.top_k_logistic import TopKLogistic
from classification.training.settings import TrainSettings
from runs.entry import UsageError, compose_settings
from tests.bags import KINDS, patients


def composed(kind: str, k: int | None = None) -> Bag:
    """The bag of a YAML with parameters at random: nothing here may depend on what was learnt."""
    torch.manual_seed(3)
    settings = compose_settings(TrainSettings, "classification_train", [f"bag={kind}"]).bag
    bag = build_bag(replace(settings, k=k if k else settings.k)).double().eval()
    for name, parameter in bag.named_parameters():
        if name not in ("leak", "bias"):
            torch.nn.init.normal_(parameter)
    return bag


@pytest.mark.parametrize("k", [None, 1, 2, 9])
@pytest.mark.parametrize("kind", KINDS)
def test_contributions_add_up_to_the_patient(kind: str, k: int | None) -> None:
    bag = composed(kind, k)
    said = explain(bag, patients(5))
    value = math.fsum([said.base, *said.contributions])
    p = said.probability
    truth = -math.log1p(-p) if said.adds_up_to == LOG_SURVIVAL else math.log(p) - math.log1p(-p)
    assert value == pytest.approx(truth, abs=1e-9)
    assert math.log1p(-p) == pytest.approx(bag(patients(5)).item(), abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_changes_nothing(kind: str) -> None:
    bag, inputs, order = composed(kind), patients(5), [3, 0, 4, 1, 2]
    turned = explain(bag, BagInputs(*(value[:, order] for value in inputs)))
    said = explain(bag, inputs)
    assert turned.probability == pytest.approx(said.probability, abs=1e-12)
    for field in ("contributions", "chances", "without"):
        expected = [getattr(said, field)[i] for i in order]
        assert getattr(turned, field) == pytest.approx(expected, abs=1e-12), field


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_nodule_is_the_patient_who_lacks_it(kind: str) -> None:
    bag, inputs = composed(kind), patients(4)
    for i, risk in enumerate(explain(bag, inputs).without):
        left = [j for j in range(4) if j != i]
        assert risk == pytest.approx(explain(bag, BagInputs(*(v[:, left] for v in inputs))).probability, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_no_nodules_leave_the_base_and_one_leaves_it_without_itself(kind: str) -> None:
    bag = composed(kind)
    none = explain(bag, patients(0))
    assert none.contributions == none.chances == none.without == ()
    # The parameter's start is -5: sigmoid(-5) = .0066929.
    assert none.probability == pytest.approx(0.0 if kind == "noisy_or" else 1 / (1 + math.exp(5)), abs=1e-7)
    assert explain(bag, patients(1)).without == (pytest.approx(none.probability, abs=1e-12),)


@pytest.mark.parametrize("kind", KINDS)
def test_with_k_1_only_the_most_suspicious_nodule_is_there(kind: str) -> None:
    bag, inputs = composed(kind, 1), patients(6)
    first = int(bag.suspicion(inputs).argmax())
    said = explain(bag, inputs)
    alone = explain(bag, BagInputs(*(value[:, [first]] for value in inputs)))
    assert said.probability == pytest.approx(alone.probability, abs=1e-12)
    assert [i for i, part in enumerate(said.contributions) if part] == [first]


@pytest.mark.parametrize("kind", ["leaky_noisy_or", "noisy_or"])
def test_a_noisy_or_with_k_1_is_the_maximum(kind: str) -> None:
    one, most = composed(kind, 1), Maximum().double()
    state = one.state_dict() if kind == "leaky_noisy_or" else {**one.state_dict(), "leak": torch.tensor(-60.0)}
    most.load_state_dict(state)
    inputs = patients(6, b=20)
    assert torch.allclose(one(inputs), most(inputs), atol=1e-12, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_empty_places_change_nothing_whatever_they_hold(kind: str) -> None:
    bag, inputs = composed(kind), patients(3, b=2)
    rest = torch.full((2, 2), math.nan, dtype=torch.float64)
    padded = BagInputs(*(torch.cat([v, rest], 1) for v in inputs[:-1]), torch.ones(2, 5).bool())
    padded.present[:, 3:] = False
    assert torch.allclose(bag(padded), bag(inputs), atol=1e-12)
    padded.present[1] = False
    bag(padded).sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in bag.parameters() if p.grad is not None)
    assert bag(padded)[1].item() == pytest.approx(math.log1p(-explain(bag, patients(0)).probability), abs=1e-12)


def test_a_leaky_noisy_or_by_hand() -> None:
    bag = LeakyNoisyOr()
    with torch.no_grad():
        # P_leak = .1; the gate is open; P_i = sigmoid(m) with softplus(scale) = 1.
        bag.leak.fill_(math.log(1 / 9))
        bag.gate_bias.fill_(60.0)
        bag.scale.fill_(math.log(math.e - 1))
        bag.bias.fill_(0.0)
    halves = patients(2)._replace(malignancy=torch.zeros(1, 2, dtype=torch.float64))
    said = explain(bag.double(), halves)
    # 1 - .9 * .5 * .5; without either 1 - .9 * .5.
    assert said.probability == pytest.approx(0.775, abs=1e-6)
    assert said.chances == pytest.approx((0.5, 0.5), abs=1e-6)
    assert said.without == pytest.approx((0.55, 0.55), abs=1e-6)
    assert said.base == pytest.approx(-math.log(0.9), abs=1e-6)
    assert explain(NoisyOr().double(), patients(0)).probability == 0


def test_a_candidate_the_detector_doubts_adds_less_and_a_certain_one_stays_finite() -> None:
    bag = LeakyNoisyOr().double()
    same = torch.full((1, 4), 1.0, dtype=torch.float64)
    score = torch.tensor([[0.0, 0.5, 0.95, 1.0]], dtype=torch.float64)
    parts = bag.contributions(BagInputs(same, same, score, same, same.bool()))[0].tolist()
    assert parts == sorted(parts)
    sure = BagInputs(*(torch.full((1, 1), 1e6, dtype=torch.float64),) * 2, score[:, 3:], same[:, :1], same[:, :1] > 0)
    assert math.isfinite(explain(bag, sure).contributions[0])


def test_attention_weights_add_up_to_one() -> None:
    bag = GatedAttention(None, 2).double()
    with torch.no_grad():
        for parameter in bag.parameters():
            parameter.zero_()
        # h = (.5, 0) for every nodule, so whatever the weights are the logit is base + 2 * .5.
        bag.embed.bias[0] = math.atanh(0.5)
        bag.risk.weight[0, 0] = 2.0
        bag.weigh.weight.fill_(1.0)
    for n in (1, 2, 7):
        said = explain(bag, patients(n))
        assert math.fsum(said.contributions) == pytest.approx(1.0, abs=1e-12)
        assert said.contributions == pytest.approx([1 / n] * n, abs=1e-12)


def test_top_k_logistic_weighs_by_rank() -> None:
    bag = TopKLogistic(2).double()
    with torch.no_grad():
        # Malignancy is taken by half: 2 a unit on the first rank, and 1 for there being a second.
        bag.weights[0, 1], bag.weights[1, -1] = 2.0, 1.0
    inputs = patients(3)._replace(
        nodule=torch.full((1, 3), 9.0, dtype=torch.float64),
        malignancy=torch.tensor([[-1.0, 3.0, 0.5]], dtype=torch.float64),
    )
    said = explain(bag, inputs)
    assert said.contributions == pytest.approx((0.0, 3.0, 1.0), abs=1e-12)
    assert said.probability == pytest.approx(1 / (1 + math.exp(5 - 4)), abs=1e-7)
    # The second rank's nodule is followed by the third.
    assert said.without == pytest.approx([said.probability, 1 / (1 + math.exp(5 - 1.5)), said.probability], abs=1e-7)


def test_unknown_bags_and_settings_are_refused_by_name() -> None:
    known = {"k": None, "steps": 5, "l2": 0.0}
    with pytest.raises(
        UsageError, match=r"one of attention, leaky_noisy_or, maximum, noisy_or, top_k_logistic; got x"
    ):
        settings_of({"kind": "x", **known})
    with pytest.raises(UsageError, match=r"bag\.hidden"):
        settings_of({"kind": "maximum", "hidden": 3, **known})
    with pytest.raises(UsageError, match=r"bag\.k must be a number for top_k_logistic"):
        settings_of({"kind": "top_k_logistic", **known})
