"""What a bag is to the rest of the product: the nodules of a patient in, one number and its exact parts out.

A bag is a module here, which `bag.kind` names, with `SETTINGS`, the dataclass of its settings, and `build(settings)`.
Its numbers stand in a YAML in `conf/bag/`. Nothing else in the product knows which bag it holds.

Every bag is a sum: its value is `base` plus one contribution a nodule. The value is the patient's -log(1 - P)
("log_survival") or the logit of P ("logit"), as the bag's `adds_up_to` says. Without nodules only the base is left.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn
from torch.nn import functional

from runs.checks import above, at_least
from runs.entry import UsageError, typed

LOG_SURVIVAL, LOGIT = "log_survival", "logit"
# Those that are no bags.
NO_BAGS = ("interface", "features", "fitting")
# A detector's score of exactly 0 or 1 has no logit.
CERTAIN_SCORE = 1e-4
NEUTRAL_MM = 6.6


class BagInputs(NamedTuple):
    """B patients with K places each, all (B, K); what stands in places that are not `present` plays no part.

    Attributes:
        nodule: the network's logit of "a nodule and not normal tissue".
        malignancy: its logit of "a cancer, given that it is a nodule".
        score: the detector's, in [0, 1].
        diameter_mm: of the nodule.
        present: bool.
    """

    nodule: torch.Tensor
    malignancy: torch.Tensor
    score: torch.Tensor
    diameter_mm: torch.Tensor
    present: torch.Tensor

    @property
    def believed(self) -> torch.Tensor:
        """The logit of the detector's score, finite."""
        return torch.logit(self.score.clamp(CERTAIN_SCORE, 1 - CERTAIN_SCORE))

    def at(self, rows: torch.Tensor) -> BagInputs:
        """Some of the patients."""
        return BagInputs(*(value[rows] for value in self))

    def double(self) -> BagInputs:
        """The same in fp64."""
        return BagInputs._make([*(value.double() for value in self[:-1]), self.present])


@dataclass(frozen=True, kw_only=True)
class BagSettings:
    """What every bag has.

    Attributes:
        kind: the module under `classification/bags`.
        k: so many nodules count, the most suspicious ones; None: all that `inference.top_k` lets in.
        steps: of LBFGS.
        l2: weight of the squared parameters beside the mean loss, the base's not among them.
    """

    kind: str
    k: int | None
    steps: int
    l2: float

    def __post_init__(self) -> None:
        if self.k is not None:
            at_least("bag.k", self.k, 1)
        above("bag.steps", self.steps, 0)
        at_least("bag.l2", self.l2, 0)


class BagKind(Protocol):
    """The settings of any bag, as those who fit one need them."""

    @property
    def kind(self) -> str:
        """The module under `classification/bags`."""

    @property
    def steps(self) -> int:
        """Of LBFGS."""

    @property
    def l2(self) -> float:
        """Weight of the squared parameters."""


class Bag(nn.Module, ABC):
    """One way from nodules to a patient.

    Args:
        k: so many nodules count, the most suspicious ones; None: all.

    Attributes:
        adds_up_to: what base and contributions do, `LOG_SURVIVAL` or `LOGIT`.
        unpenalised: names of the parameters that a small sample may move freely: the base.
    """

    adds_up_to: str = LOGIT
    unpenalised: tuple[str, ...] = ()

    def __init__(self, k: int | None) -> None:
        super().__init__()
        self.k = k

    @abstractmethod
    def base(self) -> torch.Tensor:
        """() value of a patient without nodules."""

    @abstractmethod
    def shares(self, inputs: BagInputs) -> torch.Tensor:
        """(B, K) what each nodule adds to the base; what it says of places that are not `present` is not used."""

    def suspicion(self, inputs: BagInputs) -> torch.Tensor:
        """(B, K) by which the k nodules are chosen: log of the network's P(nodule) * P(cancer | nodule)."""
        return functional.logsigmoid(inputs.nodule) + functional.logsigmoid(inputs.malignancy)

    def is_nodule(self, inputs: BagInputs) -> torch.Tensor:
        """(B, K) the chance of each place to be a nodule at all; the network's, unless the bag knows better."""
        return inputs.nodule.sigmoid()

    def chances(self, inputs: BagInputs) -> torch.Tensor:
        """(B, K) each nodule's own chance of being a cancer: what the patient's would be if it were the only one."""
        alone = BagInputs(*(value.reshape(-1, 1) for value in inputs))
        return -torch.expm1(self(alone._replace(present=torch.ones_like(alone.present)))).reshape(inputs.score.shape)

    def contributions(self, inputs: BagInputs) -> torch.Tensor:
        """(B, K) what each nodule adds to the base, 0 for those that do not count."""
        counted = self._counted(inputs)
        # Empty places may hold anything, also what is no number: it would spoil every gradient.
        neutral = (0.0, 0.0, 0.5, NEUTRAL_MM)
        said = [torch.where(inputs.present, value, other) for value, other in zip(inputs[:-1], neutral, strict=True)]
        shares = self.shares(BagInputs._make([*said, counted]))
        return torch.where(counted, shares, torch.zeros_like(shares))

    def forward(self, inputs: BagInputs) -> torch.Tensor:
        """Log-survival log(1 - P) (B,), whatever the parts add up to."""
        value = self.base() + self.contributions(inputs).sum(1)
        return -value if self.adds_up_to == LOG_SURVIVAL else functional.logsigmoid(-value)

    def _counted(self, inputs: BagInputs) -> torch.Tensor:
        if self.k is None or self.k >= inputs.present.shape[1]:
            return inputs.present
        known = torch.where(inputs.present, self.suspicion(inputs), -torch.inf)
        return inputs.present & (ranks(known) < self.k)


def ranks(values: torch.Tensor) -> torch.Tensor:
    """(B, K) the place of each value in its row, the highest being 0; of equal ones the first comes first."""
    return values.argsort(dim=1, descending=True, stable=True).argsort(dim=1, stable=True)


@dataclass(frozen=True, slots=True)
class Explanation:
    """One patient's number and its parts, in the order of the nodules.

    Attributes:
        probability: of the patient, in [0, 1].
        adds_up_to: what base and contributions do: `log_survival` (-log(1 - P)) or `logit`.
        base: what no nodule explains.
        contributions: what each nodule adds.
        chances: each nodule's own chance of being a cancer.
        without: the patient's probability if that nodule were not there, computed anew.
    """

    probability: float
    adds_up_to: str
    base: float
    contributions: tuple[float, ...]
    chances: tuple[float, ...]
    without: tuple[float, ...]


@torch.inference_mode()
def explain(bag: Bag, inputs: BagInputs) -> Explanation:
    """What a bag in fp64 says of one patient's nodules, (1, K) with all places present; K may be 0.

    Sums are `math.fsum`'s, which depends on no order.
    """
    base, n = float(bag.base()), inputs.present.shape[1]
    if n == 0:
        return Explanation(probability_of(bag.adds_up_to, [base]), bag.adds_up_to, base, (), (), ())
    contributions = bag.contributions(inputs)[0].tolist()
    # Row i is the patient without nodule i.
    others = BagInputs(*(value.expand(n, n) for value in inputs))._replace(present=~torch.eye(n, dtype=torch.bool))
    without = [probability_of(bag.adds_up_to, [base, *row]) for row in bag.contributions(others).tolist()]
    probability = probability_of(bag.adds_up_to, [base, *contributions])
    chances = bag.chances(inputs)[0].tolist()
    return Explanation(probability, bag.adds_up_to, base, tuple(contributions), tuple(chances), tuple(without))


def probability_of(adds_up_to: str, parts: Sequence[float]) -> float:
    """The probability of a value that is the sum of its parts."""
    value = math.fsum(parts)
    if adds_up_to == LOG_SURVIVAL:
        return -math.expm1(-value)
    return 1 / (1 + math.exp(-value)) if value > 0 else math.exp(value) / (1 + math.exp(value))


def build_bag(settings: BagKind) -> Bag:
    """A bag with fresh parameters.

    Raises:
        UsageError: there is none of that kind.
    """
    made: Bag = _module(settings.kind).build(settings)
    return made


def settings_of(values: Mapping[str, Any]) -> BagKind:
    """The settings of a bag as `conf/bag/`, the command line or a card give them: which, their `kind` says.

    Raises:
        UsageError: there is no bag of that kind, or its settings are others; by name.
    """
    made: BagKind = typed(_module(str(values.get("kind"))).SETTINGS, values, "bag")
    return made


def _module(kind: str) -> ModuleType:
    here = pkgutil.iter_modules([str(Path(__file__).parent)])
    known = sorted({module.name for module in here} - {*NO_BAGS})
    if kind not in known:
        raise UsageError(f"bag.kind must be one of {', '.join(known)}; got {kind}")
    return importlib.import_module(f"classification.bags.{kind}")
