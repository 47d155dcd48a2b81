"""What the training of the slice classifier takes; the numbers stand in `conf/classification_slices_train.yaml`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runs.checks import above, at_least, between
from runs.entry import UsageError
from runs.training.loop import ONLY_SPEED, TrainerSettings


@dataclass(frozen=True)
class SliceModelSettings:
    """Of the network.

    Attributes:
        widths: channels of the stem and of each halving after it.
        dropout: before the last layer.
    """

    widths: tuple[int, ...]
    dropout: float

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise UsageError(f"network.widths must be at least two numbers from 1 on, got {list(self.widths)}")
        between("network.dropout", self.dropout, 0, 1)


@dataclass(frozen=True)
class LearningSettings:
    """AdamW with a one-cycle schedule, and how often which slice is shown.

    Attributes:
        lr: peak learning rate.
        weight_decay: of all parameters.
        label_smoothing: share of the answer that is spread over all classes.
        class_power: a class of n slices is shown in proportion to n to this power; 1: as it is, 0: all alike.
        group_power: of a group of n slices each is shown in proportion to n to minus this power.
    """

    lr: float
    weight_decay: float
    label_smoothing: float
    class_power: float
    group_power: float

    def __post_init__(self) -> None:
        above("learning.lr", self.lr, 0)
        for name in ("weight_decay", "label_smoothing", "class_power", "group_power"):
            between(f"learning.{name}", getattr(self, name), 0, 1)


@dataclass(frozen=True)
class SliceTrainSettings:
    """What `classification.slices.train` takes.

    Attributes:
        input: folder of classes, as IQ-OTH/NCCD ships them.
        folds: of each split; every fold is answered by a network that has not seen it.
        random_split: train on the split at random too, to show what it is worth.
        network, learning, trainer: of every network.
        bootstrap: draws behind the intervals.
        seed: of all of it.
        name: of the weights.
        out: folder for them, the answers and the pictures.
        resume: go on with what is in `out`.
    """

    network: SliceModelSettings
    learning: LearningSettings
    trainer: TrainerSettings
    input: Path
    folds: int = 5
    random_split: bool = True
    bootstrap: int = 2000
    seed: int = 0
    name: str = "slices"
    out: Path = Path("outputs/slices")
    resume: bool = True

    def __post_init__(self) -> None:
        at_least("folds", self.folds, 2)
        at_least("bootstrap", self.bootstrap, 1)

    def deciding(self) -> dict[str, Any]:
        """What decides the weights and the answers."""
        values = {k: v for k, v in asdict(self).items() if k not in ("out", "resume", "input", "bootstrap")}
        values["trainer"] = {k: v for k, v in values["trainer"].items() if k not in ONLY_SPEED}
        return values
