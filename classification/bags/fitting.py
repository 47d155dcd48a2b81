"""The few parameters of a bag, by LBFGS on patients' labels."""

from __future__ import annotations

import math

import torch

from classification.bags.interface import Bag, BagInputs, BagKind, build_bag
from runs.seeds import seed_of


def fit_bag(settings: BagKind, inputs: BagInputs, label: torch.Tensor, seed: int) -> tuple[Bag, float]:
    """A bag fitted to B patients, in evaluation mode, and its mean cross-entropy on them, without the penalty.

    Args:
        settings: which bag, its steps and its penalty.
        inputs: (B, K).
        label: (B,) in [0, 1].
        seed: of the parameters that begin at random.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of("classification.bag.weights", seed))
        bag = build_bag(settings).double()
    inputs, label = inputs.double(), label.double()
    penalised = [p for name, p in bag.named_parameters() if name not in bag.unpenalised]
    optimizer = torch.optim.LBFGS(bag.parameters(), max_iter=settings.steps, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        squares = torch.stack([p.square().sum() for p in penalised]).sum()
        loss = cross_entropy(bag(inputs), label) + settings.l2 * squares
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        final = float(cross_entropy(bag(inputs), label))
    if not math.isfinite(final):
        values = {name: value.detach().tolist() for name, value in bag.named_parameters()}
        raise FloatingPointError(f"the bag's loss is not finite: {values}")
    return bag.float().eval(), final


def cross_entropy(log_survival: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of P = 1 - exp(log_survival) against labels in [0, 1]."""
    log_survival = log_survival.clamp_max(-1e-7)
    log_p = torch.log(-torch.expm1(log_survival))
    return -(label * log_p + (1 - label) * log_survival).mean()
