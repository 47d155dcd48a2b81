"""Made bags of nodules."""

from __future__ import annotations

import torch

from classification.bags.interface import BagInputs

KINDS = ("leaky_noisy_or", "noisy_or", "maximum", "attention", "top_k_logistic")


def patients(n: int, b: int = 1) -> BagInputs:
    """(b, n) in fp64, all places present."""
    draw = torch.Generator().manual_seed(7)
    nodule, malignancy, score, size = (torch.randn((b, n), generator=draw, dtype=torch.float64) for _ in range(4))
    return BagInputs(2 * nodule, 2 * malignancy, score.sigmoid(), (2 + size / 2).exp(), torch.ones(b, n).bool())
