"""The numbers of MONAI's detector; those of the published one stand in `conf/model/monai_luna16.yaml`."""

from __future__ import annotations

from dataclasses import dataclass

from preprocessing.preparation import Preparation
from preprocessing.prepare import ORIENTATIONS
from runs.checks import above, at_least, between, multiple_of
from runs.entry import UsageError


@dataclass(frozen=True)
class MonaiSettings:
    """What the weights need to be rebuilt, shown the right pictures and taught; stored in their card.

    Attributes:
        width: channels of the stem and of the first stage's bottlenecks; the second has twice as many.
        blocks: bottlenecks of the two stages.
        pyramid_width: channels of the feature pyramid and of the heads, a multiple of 8.
        anchor_shapes: x, y, z edges of the anchors in voxels, at the first level.
        level_scales: how much larger they are at each of the three levels.
        spacing_mm: x, y, z; of the pictures it is shown.
        window_hu: theirs.
        orientation: theirs.
        atss_candidates: nearest cells of each level that are considered for a nodule (Zhang 2020, 3.2).
        sampled: anchors of a patch that are taught.
        positive_share: of these, the most that may be nodules.
        least_negatives: background anchors taught at least.
        hard_pool: background is drawn from so many times as many anchors, those with the highest scores.
        min_score: candidates below it are not listed.
        level_candidates: boxes kept of a level, best first.
        nms_iou: overlap above which the weaker of two boxes goes.
        max_candidates: per scan, best first.
        tile_voxels: seen by one forward pass; the heads normalise over all of it, so its size changes the answer.
        margin: voxels of context, a multiple of 16.
        kind: which detector: the folder under `detection/models`.
    """

    width: int
    blocks: tuple[int, int]
    pyramid_width: int
    anchor_shapes: list[list[float]]
    level_scales: tuple[float, ...]
    spacing_mm: tuple[float, float, float]
    window_hu: tuple[float, float]
    orientation: str
    atss_candidates: int
    sampled: int
    positive_share: float
    least_negatives: int
    hard_pool: float
    min_score: float
    level_candidates: int
    nms_iou: float
    max_candidates: int
    tile_voxels: int
    margin: int
    kind: str = "monai_luna16"

    def __post_init__(self) -> None:
        multiple_of("model.pyramid_width", self.pyramid_width, 8)
        multiple_of("model.margin", self.margin, 16)
        for name, count in (("blocks", 2), ("level_scales", 3), ("spacing_mm", 3), ("window_hu", 2)):
            values = getattr(self, name)
            if len(values) != count:
                raise UsageError(f"model.{name} must be {count} numbers, got {list(values)}")
        if self.orientation not in ORIENTATIONS:
            raise UsageError(f"model.orientation must be one of {', '.join(ORIENTATIONS)}, got {self.orientation}")
        for value in self.spacing_mm:
            above("model.spacing_mm", value, 0)
        above("model.window_hu, its second,", self.window_hu[1], self.window_hu[0])
        between("model.positive_share", self.positive_share, 0, 1)
        for name in ("width", "atss_candidates", "sampled", "hard_pool", "level_candidates", "max_candidates"):
            at_least(f"model.{name}", getattr(self, name), 1)

    @property
    def preparation(self) -> Preparation:
        """The pictures it is shown."""
        (x, y, z), (low, high) = self.spacing_mm, self.window_hu
        return Preparation((x, y, z), (low, high), self.orientation)
