"""The compact detector as the rest of the product holds it: network, anchors and loss together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import torch

from detection.models.compact.boxes import AnchorGrid, decode
from detection.models.compact.criterion import DetectionCriterion, flatten_heads
from detection.models.compact.network import PAD_MULTIPLE, STRIDE, CompactRetinaNet, build_network, fused
from detection.models.compact.settings import ModelSettings
from detection.models.interface import DetectorModel, Found, Truth

# Before the names of the second network's weights.
COARSE = "coarse."


class CompactModel(DetectorModel):
    """A U-Net-shaped RetinaNet with cubic anchors at stride 4, and perhaps a second one for the coarser levels."""

    pad_multiple = PAD_MULTIPLE
    exportable = True

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.network = build_network(settings).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.grid = AnchorGrid(settings.anchor_sizes_mm, STRIDE, settings.cell_center)
        self.criterion = DetectionCriterion(self.grid)
        self.levels, self.coarse_logit = tuple(settings.levels), settings.coarse_logit
        self.coarse = CompactModel(replace(settings, coarse_network=False)) if settings.coarse_network else None

    def at_level(self, step: int) -> CompactModel:
        """The second network beyond the first level, where there is one."""
        return self if step == 1 or self.coarse is None else self.coarse

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
        """Of the network alone; those of the second one bear its prefix."""
        state: dict[str, torch.Tensor] = dict(self.network.state_dict())
        if self.coarse is not None:
            state |= {COARSE + name: values for name, values in self.coarse.weights().items()}
        return state

    def take(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Of the network alone; a second one in the file is left out where this model has none."""
        self.network.load_state_dict({name: values for name, values in weights.items() if not name.startswith(COARSE)})
        if self.coarse is not None:
            own = {name.removeprefix(COARSE): values for name, values in weights.items() if name.startswith(COARSE)}
            self.coarse.take(own)

    def lightened(self) -> CompactModel:
        """Without normalisation layers; what was trained stays as it is."""
        light = CompactModel.__new__(CompactModel)
        DetectorModel.__init__(light)
        light.network = fused(cast(CompactRetinaNet, self.network))
        light.grid, light.criterion = self.grid, self.criterion
        light.levels, light.coarse_logit = self.levels, self.coarse_logit
        light.coarse = None if self.coarse is None else self.coarse.lightened()
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
        coarse_network=bool(values.get("coarse_network", False)),
    )
