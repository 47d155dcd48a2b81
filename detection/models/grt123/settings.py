"""The numbers of the winners' detector; those of the published one stand in `conf/model/grt123.yaml`."""

from __future__ import annotations

from dataclasses import dataclass

from preprocessing.preparation import Preparation
from runs.checks import above, at_least, between
from runs.entry import UsageError


@dataclass(frozen=True)
class Grt123Settings:
    """What the weights need to be rebuilt, shown the right pictures and taught; stored in their card.

    Attributes:
        widths: channels at strides 1, 2, 4, 8 and 16.
        blocks: residual blocks at strides 2, 4, 8 and 16.
        back_width: channels of the output features at stride 4.
        back_blocks: residual blocks on the way back, at strides 8 and 4.
        anchor_sizes_mm: edges of the cubic anchors.
        dropout: of the output features.
        positive_iou: anchors that overlap a nodule by more are it; where none does, the best one is.
        negative_iou: anchors that overlap every nodule by less are background.
        negatives: background anchors drawn of a patch.
        hardest: of these so many are taught, those with the highest scores.
        window_hu: of the pictures it is shown.
        nms_iou: overlap above which the weaker of two boxes goes.
        kind: which detector: the folder under `detection/models`.
    """

    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    back_width: int
    back_blocks: tuple[int, ...]
    anchor_sizes_mm: tuple[float, ...]
    dropout: float
    positive_iou: float
    negative_iou: float
    negatives: int
    hardest: int
    window_hu: tuple[float, float]
    nms_iou: float
    kind: str = "grt123"

    def __post_init__(self) -> None:
        for name, count in (("widths", 5), ("blocks", 4), ("back_blocks", 2), ("window_hu", 2)):
            values = getattr(self, name)
            if len(values) != count:
                raise UsageError(f"model.{name} must be {count} numbers, got {list(values)}")
        above("model.window_hu, its second,", self.window_hu[1], self.window_hu[0])
        for name in ("dropout", "positive_iou", "negative_iou", "nms_iou"):
            between(f"model.{name}", getattr(self, name), 0, 1)
        for name in ("negatives", "hardest"):
            at_least(f"model.{name}", getattr(self, name), 1)

    @property
    def preparation(self) -> Preparation:
        """The pictures it is shown."""
        low, high = self.window_hu
        return Preparation(window_hu=(low, high))
