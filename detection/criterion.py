"""The loss: small named terms; the sum is taken by the training step. Logged names equal function names."""

from __future__ import annotations

from typing import cast

import torch
from monai.losses.focal_loss import FocalLoss
from torch.nn import functional

from detection.boxes import AnchorGrid


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
        self._focal = FocalLoss(gamma=gamma, reduction="none")

    def __call__(
        self,
        logits: torch.Tensor,
        codes: torch.Tensor,
        boxes: list[torch.Tensor],
        ignored: list[torch.Tensor],
    ) -> dict[str, torch.Tensor]:
        """Losses of a batch.

        Args:
            logits: (N, A, D, H, W).
            codes: (N, 6 A, D, H, W).
            boxes: N tensors (n, 6), the nodules as cubes in voxels of the patch.
            ignored: N tensors (m, 4) z, y, x, radius: spheres that teach nothing.
        """
        anchors = self.grid.anchors(logits.shape[2:])
        flat_logits, flat_codes = flatten_heads(logits, codes)
        with torch.no_grad():
            matches = torch.stack([self.grid.match(b, anchors) for b in boxes])
            weights = torch.stack([_outside(anchors, spheres) for spheres in ignored])
            weights[matches >= 0] = 1.0
        positive = matches >= 0
        n_positive = positive.sum().clamp_min(1)
        wanted = torch.cat([b[m[m >= 0]] for b, m in zip(boxes, matches, strict=True)])
        where = torch.cat([anchors[m >= 0] for m in matches])
        return {
            "loss_score": self.loss_score(flat_logits, positive, weights) / n_positive,
            "loss_box": self.loss_box(flat_codes[positive], wanted, where) / n_positive,
        }

    def loss_score(self, logits: torch.Tensor, positive: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Focal loss summed over all anchors (N, cells * A) that are not ignored."""
        balance = torch.where(positive, 2 * self.alpha, 2 * (1 - self.alpha))
        loss = self._focal(logits[:, None], positive[:, None].to(logits.dtype))[:, 0]
        return cast(torch.Tensor, (loss * balance * weights).sum())

    def loss_box(self, codes: torch.Tensor, boxes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
        """Smooth L1 summed over the matched anchors' codes (P, 6)."""
        if len(boxes) == 0:
            return codes.sum() * 0.0
        return functional.smooth_l1_loss(codes, self.grid.encode(boxes, anchors), beta=0.1, reduction="sum")


def flatten_heads(logits: torch.Tensor, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Head maps to (N, cells * A) and (N, cells * A, 6), in the order of `AnchorGrid.anchors`."""
    n, a = logits.shape[:2]
    flat_codes = codes.reshape(n, a, 6, -1).permute(0, 3, 1, 2).reshape(n, -1, 6)
    return logits.reshape(n, a, -1).permute(0, 2, 1).reshape(n, -1), flat_codes


def _outside(anchors: torch.Tensor, spheres: torch.Tensor) -> torch.Tensor:
    """(cells * A,) 1 where an anchor's centre lies in none of the (m, 4) spheres, else 0."""
    if len(spheres) == 0:
        return torch.ones(len(anchors))
    centers = (anchors[:, :3] + anchors[:, 3:]) / 2
    distance = torch.cdist(centers, spheres[:, :3])
    return (distance > spheres[:, 3]).all(1).to(torch.float32)
