"""The winners' detector as the rest of the product holds it: network, anchors, matching by overlap, and their loss."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

from detection.models.compact.boxes import AnchorGrid, cube_iou, cubes
from detection.models.grt123.network import PAD_MULTIPLE, STRIDE, Grt123Network
from detection.models.grt123.settings import Grt123Settings
from detection.models.interface import DetectorModel, Found, Inference, Truth
from runs.entry import typed
from runs.seeds import seed_of

MOST_GROWTH = math.log(1000 / 16)


class Grt123(DetectorModel):
    """A residual U-Net with cubic anchors of three sizes at stride 4."""

    pad_multiple = PAD_MULTIPLE

    def __init__(self, settings: Grt123Settings) -> None:
        super().__init__()
        self.settings = settings
        self.network = Grt123Network(settings)
        self.grid = AnchorGrid(settings.anchor_sizes_mm, STRIDE)
        self.preparation = settings.preparation
        self.inference = Inference(margin=32, nms_iou=settings.nms_iou)

    def loss(self, images: torch.Tensor, truth: Truth) -> dict[str, torch.Tensor]:
        """`loss_score`: half for nodules, half for the hardest background; `loss_box`: smooth L1 on the four codes."""
        maps, cells = self._rows(images)
        logits, codes = maps[..., 0], maps[..., 1:]
        anchors = self.grid.anchors(cells, images.device)
        with torch.no_grad():
            matches, background = self._matched(truth, anchors, cells)
            hard = self._hardest(images, logits, background)
        positive = matches >= 0
        theirs = truth.nodules.gather(1, matches.clamp_min(0)[..., None].expand(-1, -1, 4)) if positive.any() else None
        zero = maps.sum() * 0.0
        loss_box = zero
        if theirs is not None:
            edges = (anchors[:, 3:] - anchors[:, :3]).mean(1, keepdim=True)
            shift = (theirs[..., :3] - (anchors[:, :3] + anchors[:, 3:]) / 2) / edges
            growth = (theirs[..., 3:].clamp_min(1.0) / edges).log()
            wanted = torch.cat([shift, growth], -1)
            loss_box = functional.smooth_l1_loss(codes[positive], wanted[positive], reduction="none").sum(-1).mean()
        loss_score = zero
        for chosen, says in ((positive, 1.0), (hard, 0.0)):
            if chosen.any():
                told = logits[chosen]
                loss_score = loss_score + 0.5 * functional.binary_cross_entropy_with_logits(
                    told, torch.full_like(told, says)
                )
        return {"loss_score": loss_score, "loss_box": loss_box}

    def find(self, image: torch.Tensor, least_score: float) -> Found:
        """Boxes of all anchors with at least this score."""
        maps, cells = self._rows(image)
        maps = maps.cpu()
        scores = maps[0, :, 0].sigmoid()
        best = torch.nonzero(scores >= least_score).flatten()
        anchors = self.grid.anchors(cells)[best]
        edges = (anchors[:, 3:] - anchors[:, :3]).mean(1)
        middles = (anchors[:, :3] + anchors[:, 3:]) / 2
        codes = maps[0, best, 1:]
        centers = middles + codes[:, :3] * edges[:, None]
        return Found(cubes(centers, codes[:, 3].clamp_max(MOST_GROWTH).exp() * edges), scores[best], middles)

    def weights(self) -> dict[str, torch.Tensor]:
        """Of the network alone."""
        state: dict[str, torch.Tensor] = self.network.state_dict()
        return state

    def take(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Of the network alone."""
        self.network.load_state_dict(weights)

    def _rows(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Size]:
        """(N, cells * A, 5), in the order of `AnchorGrid.anchors`, and the cells along each axis."""
        maps = self.network(images).float()
        cells = maps.shape[3:]
        return maps.permute(0, 3, 4, 5, 1, 2).reshape(len(maps), -1, 5), cells

    def _matched(self, truth: Truth, anchors: torch.Tensor, cells: torch.Size) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, P) the nodule each anchor is, or -1; and (N, P) whether it is background that may be taught."""
        n, p = len(truth.nodules), len(anchors)
        away = torch.cdist(self.grid.centers(cells, anchors.device).expand(n, -1, -1), truth.ignored[..., :3])
        open_ = (away >= truth.ignored[:, None, :, 3] / 2).all(2) & (truth.known.flatten(1) > 0)
        background = open_.repeat_interleave(len(self.grid.sizes_mm), 1)
        matches = torch.full((n, p), -1, dtype=torch.int64, device=anchors.device)
        if truth.nodules.shape[1] == 0:
            return matches, background
        overlap = cube_iou(truth.nodules, anchors)
        real = truth.nodules[..., 3] > 0
        overlap = torch.where(real[..., None], overlap, 0.0)
        best, which = overlap.max(1)
        matches = torch.where(best > self.settings.positive_iou, which, -1)
        for i in range(truth.nodules.shape[1]):
            lost = real[:, i] & ~(matches == i).any(1)
            its_best = overlap[:, i].argmax(1, keepdim=True)
            matches = matches.scatter(1, its_best, torch.where(lost[:, None], i, matches.gather(1, its_best)))
        return matches, background & (best < self.settings.negative_iou) & (matches < 0)

    def _hardest(self, images: torch.Tensor, logits: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
        """(N, P) the background that is taught: of some drawn anchors of each patch those with the highest scores."""
        # The bits of a sum that no two batches of a training share: a run that goes on draws the same.
        (batch,) = struct.unpack("<q", struct.pack("<d", float(images.double().sum())))
        taught = torch.zeros_like(background)
        for number, (mine, scores) in enumerate(zip(background, logits, strict=True)):
            pool = torch.nonzero(mine).flatten()
            generator = torch.Generator().manual_seed(seed_of("detection.grt123.negatives", batch, number))
            drawn = torch.randperm(len(pool), generator=generator)[: self.settings.negatives].to(pool.device)
            pool = pool[drawn]
            taught[number, pool[torch.argsort(scores[pool], descending=True)[: self.settings.hardest]]] = True
        return taught


SETTINGS = Grt123Settings


def build(settings: Grt123Settings) -> Grt123:
    """With fresh weights."""
    return Grt123(settings)


def settings_of(values: Mapping[str, Any]) -> Grt123Settings:
    """Of a card."""
    return typed(Grt123Settings, values, "model")
