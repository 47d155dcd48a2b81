"""Weights and pictures out of a formula, so that two programs can be given the same ones."""

import math
from collections.abc import Mapping

import torch


def weights(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Waves of the names' own lengths, of a size that signals neither die of nor explode at."""
    made = {}
    for number, (name, value) in enumerate(sorted(state.items())):
        if not value.is_floating_point():
            made[name] = value
            continue
        step = 0.37 + 0.011 * number
        wave = torch.sin(step * torch.arange(value.numel(), dtype=torch.float64) + number).reshape(value.shape)
        if value.dim() > 1:
            wave = wave * 2 / math.sqrt(value[0].numel())
        elif name.endswith(("running_var", "weight")):
            wave = 1 + 0.3 * wave
        else:
            wave = 0.1 * wave
        made[name] = wave.float()
    return made


def picture(*shape: int) -> torch.Tensor:
    """(1, 1, *shape) in [0, 1], no axis like another."""
    a, b, c = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in shape), indexing="ij")
    return (0.5 + 0.5 * torch.sin(0.31 * a + 0.53 * b + 0.79 * c + 0.004 * a * b * c)).float()[None, None]
