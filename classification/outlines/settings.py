"""The types of the settings of `classification.outlines.train`; the numbers stand in `conf/`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from preprocessing.splits import SplitSettings
from runs.checks import above, at_least, between
from runs.entry import UsageError
from runs.training.loop import ONLY_SPEED, TrainerSettings


@dataclass(frozen=True, kw_only=True)
class SeedSettings:
    """How far seeds are off in training, as candidates are.

    Attributes:
        place: standard deviation of the centre, in diameters.
        size: of the logarithm of the diameter.
        exact: share of examples whose seed is right.
    """

    place: float
    size: float
    exact: float

    def __post_init__(self) -> None:
        at_least("seeds.place", self.place, 0)
        at_least("seeds.size", self.size, 0)
        between("seeds.exact", self.exact, 0, 1)


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """What is minimised.

    Attributes:
        cross_entropy: weight of the mean over voxels, beside one minus the soft Dice.
        volume: weight of the logarithm of the ratio of volumes.
        lr: peak of AdamW's one cycle.
        weight_decay: of all parameters.
    """

    cross_entropy: float
    volume: float
    lr: float
    weight_decay: float

    def __post_init__(self) -> None:
        for name in ("cross_entropy", "volume", "weight_decay"):
            at_least(f"loss.{name}", getattr(self, name), 0)
        above("loss.lr", self.lr, 0)


@dataclass(frozen=True, kw_only=True)
class OutlineSettings:
    """One training (`python -m classification.outlines.train`).

    Attributes:
        name: of the weights.
        out: folder of the run.
        seed: of everything random.
        resume: go on with an earlier run in `out`; False begins again.
        nodules: folder with `nodules.csv`, `image/` and `mask/` (LIDC).
        context: folder with `crops.csv`, `image/` and `mask/` at 1 mm, or None.
        context_share: of the examples.
        widths: of the network.
        split: whose nodules are measured on and not learnt from.
        seeds: how far off.
        loss: of the training.
        trainer: of the loop.
    """

    name: str
    out: Path = Path("outputs/outlines")
    seed: int = 0
    resume: bool = True
    nodules: Path
    context: Path | None
    context_share: float
    widths: tuple[int, ...]
    split: SplitSettings = field(default_factory=SplitSettings)
    seeds: SeedSettings
    loss: LossSettings
    trainer: TrainerSettings

    def __post_init__(self) -> None:
        between("context_share", self.context_share, 0, 1)
        if len(self.widths) != 3:
            raise UsageError(f"widths must be three numbers, of strides 1, 2 and 4; got {list(self.widths)}")

    def deciding(self) -> dict[str, Any]:
        """What decides what a run leaves: not its name, its place, nor what only changes the time it takes."""
        values = {k: v for k, v in asdict(self).items() if k not in ("name", "out", "resume")}
        values["trainer"] = {k: v for k, v in values["trainer"].items() if k not in ONLY_SPEED}
        return values
