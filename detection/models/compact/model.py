"""The compact detector as the rest of the product holds it: network, anchors and loss together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch

from detection.models.compact.boxes import AnchorGrid, decode
from detection.models.compact.criterion import DetectionCriterion, flatten_heads
from detection.models.compact.network import PAD_MULTIPLE, STRIDE, CompactRetinaNet, build_network, fused
from detection.models.compact.settings import ModelSettings
from detection.models.interface import DetectorModel, Found, Truth


class CompactModel(DetectorModel):
    """A U-Net-shaped RetinaNet with cubic anchors at stride 4."""

    pad_multiple = PAD_MULTIPLE
    exportable = True

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.network = build_network(settings).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.grid = AnchorGrid(settings.anchor_sizes_mm, STRIDE, settings.cell_center)
        self.criterion = DetectionCriterion(self.grid)
        self.levels, self.coarse_logit = tuple(settings.levels), settings.coarse_logit

    def loss(self, images: torch.Tensor, truth: Truth) -> dict[str, torch.Tensor]:
        """`loss_score` and `loss_box`."""
        logits, codes = self.network(images.to(memory_format=torch.channels_last_3d))
        return self.criterion(logits.float(), codes.float(), truth)

    def find(self, image: torch.Tensor, least_score: float) -> Found:
        """Boxes of all anchors with at least this score."""
        logits, codes = self.network(image.to(memory_format=torch.channels_last_3d))
        flat_logits, flat_codes = flatten_heads(logits.float().cpu(), codes.float().cpu())
        scores = flat_logits[0].sigmoid()
        best = torch.nonzero(scores >= least_score).flatten()
        anchors = self.grid.anchors(logits.shape[2:])[best]
        return Found(decode(flat_codes[0][best], anchors), scores[best], (anchors[:, :3] + anchors[:, 3:]) / 2)

    def weights(self) -> dict[str, torch.Tensor]:
        """Of the network alone."""
        state: dict[str, torch.Tensor] = self.network.state_dict()
        return state

    def take(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Of the network alone."""
        self.network.load_state_dict(weights)

    def lightened(self) -> CompactModel:
        """Without normalisation layers; what was trained stays as it is."""
        light = CompactModel.__new__(CompactModel)
        DetectorModel.__init__(light)
        light.network = fused(cast(CompactRetinaNet, self.network))
        light.grid, light.criterion = self.grid, self.criterion
        light.levels, light.coarse_logit = self.levels, self.coarse_logit
        return light.eval()


SETTINGS = ModelSettings


def build(settings: ModelSettings) -> CompactModel:
    """With fresh weights."""
    return CompactModel(settings)


def settings_of(values: Mapping[str, Any]) -> ModelSettings:
    """Of a card. Those without `cell_center` are of weights whose cells sat half a voxel off their voxels' middle."""
    return ModelSettings(
        widths=tuple(values["widths"]),
        head_width=int(values["head_width"]),
        anchor_sizes_mm=tuple(values["anchor_sizes_mm"]),
        cell_center=float(values.get("cell_center", STRIDE / 2)),
        levels=tuple(values.get("levels", (1,))),
        coarse_logit=float(values.get("coarse_logit", 0.0)),
    )
