"""ResNet-50 to its second stage, a feature pyramid, RetinaNet's heads: with the names of MONAI's state dict.

monai has all of it but the piece that takes features out of the middle of a backbone, for which it asks torchvision.
Layout: `models/lung_nodule_ct_detection/configs/inference.json` of Project-MONAI/model-zoo, `network_def`.
"""

from __future__ import annotations

import torch
from monai.apps.detection.networks.retinanet_network import RetinaNet
from monai.networks.blocks.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool
from monai.networks.nets.resnet import ResNet
from torch import nn

from detection.models.monai_luna16.settings import MonaiSettings

# Along x, y, z; the stem halves in plane only, for slices are thick.
STEM_STRIDE = (2, 2, 1)
DIVISIBLE_XYZ = (16, 16, 8)
BODY = ("conv1", "bn1", "act", "maxpool", "layer1", "layer2")
# A bottleneck gives four times as many channels as it works with (He 2016).
EXPANSION = 4


class PyramidFeatures(nn.Module):
    """Features at strides 4, 8 and 16 in plane; 2, 4 and 8 across.

    Attributes:
        out_channels: of each level; RetinaNet's heads ask for it.
    """

    def __init__(self, settings: MonaiSettings) -> None:
        super().__init__()
        width = settings.width
        resnet = ResNet(
            "bottleneck",
            layers=[*settings.blocks, 1, 1],
            block_inplanes=[width, 2 * width, 1, 1],
            n_input_channels=1,
            conv1_t_size=7,
            conv1_t_stride=STEM_STRIDE,
            feed_forward=False,
        )
        # Its last two stages and its classifier are not used, nor are they in the published weights.
        self.body = nn.ModuleDict({name: layer for name, layer in resnet.named_children() if name in BODY})
        channels = [EXPANSION * width, 2 * EXPANSION * width]
        self.out_channels = settings.pyramid_width
        self.fpn = FeaturePyramidNetwork(3, channels, self.out_channels, LastLevelMaxPool(3))

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """(N, 1, X, Y, Z) to the three levels (N, C, ...), finest first."""
        found = []
        for name in BODY:
            image = self.body[name](image)
            if name.startswith("layer"):
                found.append(image)
        levels: dict[str, torch.Tensor] = self.fpn(dict(zip("01", found, strict=True)))
        return levels


def build_network(settings: MonaiSettings) -> nn.Module:
    """With fresh weights. It takes (N, 1, X, Y, Z), sides multiples of 16, 16 and 8, and gives the maps of both heads:
    `classification` (N, A, ...) and `box_regression` (N, 6 A, ...), each a list of three levels."""
    network: nn.Module = RetinaNet(
        spatial_dims=3,
        num_classes=1,
        num_anchors=len(settings.anchor_shapes),
        feature_extractor=PyramidFeatures(settings),
        size_divisible=DIVISIBLE_XYZ,
    )
    return network
