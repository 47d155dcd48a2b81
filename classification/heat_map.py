"""Which voxels make a nodule suspicious: integrated gradients of its chance, on the scan's own grid.

Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks" (ICML 2017): the gradient, integrated on the
straight way from a picture of nothing to the real one. What all voxels have adds up to the difference between the
answers to both. Nothing, here, is lung without a nodule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from classification.bags.interface import Bag, BagInputs
from classification.crops import nodule_crop, seen_indices
from classification.network import NoduleNetwork
from detection.candidate import Candidate
from preprocessing.patches import normalise, patch_start
from preprocessing.prepare import PreparedScan
from runs.one_thread import one_thread

# Steps of the integral, at their middles.
STEPS = 48
EMPTY_HU = -850


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """What the voxels around a nodule add to the log odds of its chance.

    Attributes:
        values: (D, H, W) float32; they sum to `answer - empty` but for the steps of the integral.
        start_zyx: index of the first voxel in the prepared scan; the window may reach beyond its borders.
        answer: log odds of the nodule's chance.
        empty: those of lung with nothing in it, at the same size and detector's score.
    """

    values: npt.NDArray[np.float32]
    start_zyx: tuple[int, int, int]
    answer: float
    empty: float

    def onto(self, target: npt.NDArray[np.float32]) -> None:
        """Add the values to a volume (Z, Y, X) on the prepared scan's grid, in place."""
        start = np.asarray(self.start_zyx)
        low = np.maximum(start, 0)
        high = np.minimum(start + self.values.shape, target.shape)
        if np.all(high > low):
            there = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
            target[there] += self.values[tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))]


def heat_map(
    network: NoduleNetwork,
    bag: Bag,
    prepared: PreparedScan,
    candidate: Candidate,
    size: int,
    margins_mm: tuple[float, float],
) -> HeatMap:
    """Of one candidate, as if it were the only one.

    Args:
        network, bag: in evaluation mode, the bag in fp64.
        prepared: the scan.
        candidate: with a known diameter.
        size, margins_mm: of the network's crops, see `nodule_crop`.
    """
    center = prepared.volume.geometry.to_voxel(candidate.center_mm)
    crop = nodule_crop(prepared.volume.hu, center, candidate.diameter_mm, size, margins_mm)
    image = torch.from_numpy(normalise(crop))
    empty = torch.full_like(image, float(normalise(np.full(1, EMPTY_HU, np.int16))[0]))
    along = (torch.arange(STEPS) + 0.5) / STEPS
    between = (empty + along[:, None, None, None] * (image - empty)).requires_grad_()
    with one_thread():
        (gradients,) = torch.autograd.grad(_log_odds(network, bag, between, candidate).sum(), between)
    shares = (gradients.mean(0) * (image - empty)).numpy()
    with one_thread(), torch.inference_mode():
        answer, nothing = _log_odds(network, bag, torch.stack([image, empty]), candidate).tolist()
    z, y, x = (int(v) for v in patch_start(center, (size,) * 3))
    return HeatMap(_gathered(shares, candidate.diameter_mm, margins_mm), (z, y, x), answer, nothing)


def _log_odds(network: NoduleNetwork, bag: Bag, images: torch.Tensor, candidate: Candidate) -> torch.Tensor:
    """(N,) of the nodule's own chance in pictures (N, D, H, W) of it."""
    n = len(images)
    out = network(images[:, None], torch.full((n,), candidate.diameter_mm, dtype=torch.float32))
    score, diameter = (torch.full((n, 1), v, dtype=torch.float64) for v in (candidate.score, candidate.diameter_mm))
    present = torch.ones((n, 1), dtype=torch.bool)
    inputs = BagInputs(out.nodule[:, None].double(), out.malignancy[:, None].double(), score, diameter, present)
    return torch.logit(bag.chances(inputs)[:, 0], eps=1e-9)


def _gathered(
    shares: npt.NDArray[np.float32], diameter_mm: float, margins_mm: Sequence[float]
) -> npt.NDArray[np.float32]:
    """Shares of a framed crop at the voxels that were seen: repeated ones give theirs to the one they repeat."""
    for axis, kept in enumerate(seen_indices(shares.shape, diameter_mm, margins_mm)):
        out = np.zeros_like(shares)
        np.add.at(np.moveaxis(out, axis, 0), kept, np.moveaxis(shares, axis, 0))
        shares = out
    return shares
