"""What the whole-scan baseline takes; the numbers stand in `conf/classification_whole_scan_train.yaml`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runs.checks import above, at_least, between
from runs.entry import UsageError
from runs.training.loop import ONLY_SPEED, TrainerSettings


@dataclass(frozen=True)
class WholeScanModelSettings:
    """Of the network.

    Attributes:
        size: voxels along each axis that every lung box is brought to.
        widths: channels after each halving.
        dropout: before the last layer.
    """

    size: int
    widths: tuple[int, ...]
    dropout: float

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1:
            raise UsageError(f"network.widths must be numbers from 1 on, got {list(self.widths)}")
        at_least("network.size", self.size, 2 ** len(self.widths))
        between("network.dropout", self.dropout, 0, 1)


@dataclass(frozen=True)
class WholeScanLearning:
    """AdamW with a one-cycle schedule.

    Attributes:
        lr: peak learning rate.
        weight_decay: of all parameters.
        shift: largest move along each axis, in voxels.
        noise: largest standard deviation of the noise, in grey values of [0, 1].
    """

    lr: float
    weight_decay: float
    shift: int
    noise: float

    def __post_init__(self) -> None:
        above("learning.lr", self.lr, 0)
        for name in ("weight_decay", "shift", "noise"):
            at_least(f"learning.{name}", getattr(self, name), 0)


@dataclass(frozen=True)
class WholeScanSettings:
    """What `classification.whole_scan.train` takes.

    Attributes:
        network, learning, trainer: of every network.
        input: scans, one a patient.
        labels: csv `id,cancer`.
        seed: of all of it.
        name: of the weights.
        out: folder for them and `predictions.csv`.
        resume: go on with what is in `out`.
    """

    network: WholeScanModelSettings
    learning: WholeScanLearning
    trainer: TrainerSettings
    input: Path
    labels: Path
    seed: int = 0
    name: str = "whole_scan"
    out: Path = Path("outputs/whole_scan")
    resume: bool = True

    def deciding(self) -> dict[str, Any]:
        """What decides the weights and the answers, beside the scans."""
        left_out = ("out", "resume", "input", "labels", "name")
        values = {k: v for k, v in asdict(self).items() if k not in left_out}
        values["trainer"] = {k: v for k, v in values["trainer"].items() if k not in ONLY_SPEED}
        return values
