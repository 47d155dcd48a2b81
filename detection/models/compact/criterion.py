"""The loss: small named terms; the sum is taken by the training step. Logged names equal function names."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch.nn import functional

from detection.models.compact.boxes import AnchorGrid, cubes, encode
from detection.models.interface import Truth


class DetectionCriterion:
    """Focal loss on scores and smooth L1 on box codes, both per matched anchor (Lin 2017).

    Args:
        grid: the anchors and their matching.
        gamma: focusing of the focal loss.
        alpha: weight of positives against negatives.
    """

    def __init__(self, grid: AnchorGrid, gamma: float = 2.0, alpha: float = 0.5) -> None:
        self.grid = grid
        self.alpha = alpha
        self.gamma = gamma

    @cached_property
    def _focal(self) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        from monai.losses.focal_loss import FocalLoss  # seconds, which only a training needs

        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = FocalLoss(gamma=self.gamma, reduction="none")
        return loss

    def __call__(self, logits: torch.Tensor, codes: torch.Tensor, truth: Truth) -> dict[str, torch.Tensor]:
        """Losses of a batch, on the device of its tensors.

        Args:
            logits: (N, A, D, H, W).
            codes: (N, 6 A, D, H, W).
            truth: of the same N patches.
        """
        cells = logits.shape[2:]
        anchors = self.grid.anchors(cells, logits.device)
        flat_logits, flat_codes = flatten_heads(logits, codes)
        with torch.no_grad():
            matches = self.grid.match(truth.nodules, cells)
            positive = matches >= 0
            weights = torch.where(positive, 1.0, self.taught(truth, cells))
            n_positive = positive.sum().clamp_min(1)
        return {
            "loss_score": self.loss_score(flat_logits, positive, weights) / n_positive,
            "loss_box": self.loss_box(flat_codes, matches, truth.nodules, anchors) / n_positive,
        }

    def loss_score(self, logits: torch.Tensor, positive: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Focal loss summed over all anchors (N, cells * A), weighted."""
        balance = torch.where(positive, 2 * self.alpha, 2 * (1 - self.alpha))
        loss = self._focal(logits[:, None], positive[:, None].to(logits.dtype))[:, 0]
        return (loss * balance * weights).sum()

    def loss_box(
        self, codes: torch.Tensor, matches: torch.Tensor, nodules: torch.Tensor, anchors: torch.Tensor
    ) -> torch.Tensor:
        """Smooth L1 summed over the codes (N, cells * A, 6) of the matched anchors."""
        if nodules.shape[1] == 0:
            return codes.sum() * 0.0
        theirs = nodules.gather(1, matches.clamp_min(0)[..., None].expand(-1, -1, 4))
        # What no anchor is matched to still needs a box that can be coded.
        wanted = cubes(theirs[..., :3], theirs[..., 3].clamp_min(1.0))
        target = encode(wanted, anchors.expand(len(codes), -1, -1))
        loss = functional.smooth_l1_loss(codes, target, beta=0.1, reduction="none").sum(-1)
        return torch.where(matches >= 0, loss, 0.0).sum()

    def taught(self, truth: Truth, cells: torch.Size) -> torch.Tensor:
        """(N, cells * A) 1 for anchors whose centre is known and lies in none of the ignored balls, else 0."""
        centers = self.grid.centers(cells, truth.ignored.device).expand(len(truth.ignored), -1, -1)
        away = torch.cdist(centers, truth.ignored[..., :3])
        outside = (away >= truth.ignored[:, None, :, 3] / 2).all(2)
        weights = outside.to(truth.known.dtype) * truth.known.flatten(1)
        return weights.repeat_interleave(len(self.grid.sizes_mm), 1)


def flatten_heads(logits: torch.Tensor, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Head maps to (N, cells * A) and (N, cells * A, 6), in the order of `AnchorGrid.anchors`."""
    n, a = logits.shape[:2]
    flat_codes = codes.reshape(n, a, 6, -1).permute(0, 3, 1, 2).reshape(n, -1, 6)
    return logits.reshape(n, a, -1).permute(0, 2, 1).reshape(n, -1), flat_codes
