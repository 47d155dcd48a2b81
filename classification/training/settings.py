"""The types of stage 2's settings and what they must be; the numbers stand in `conf/`, networks never read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from classification.bags.interface import settings_of
from classification.settings import InferenceSettings, ModelSettings
from preprocessing.annotations import IgnoredPlace
from preprocessing.splits import SplitSettings
from runs.checks import above, at_least
from runs.entry import UsageError
from runs.training.loop import ONLY_SPEED, TrainerSettings
from runs.training.tracking import LoggerSettings


@dataclass(frozen=True)
class DataSettings:
    """Where nodules and normal tissue come from.

    Attributes:
        nodules: folder with `nodules.csv`, `image/` and `mask/` (LIDC).
        backgrounds: folders of CT scans from which normal tissue is cut.
        held_out_scans: patients whose backgrounds are measured on and not learnt from, by name.
        phantoms: simulated chests used as further backgrounds; which are held out goes by the split of their names.
        tissue_per_scan: normal-tissue places drawn per background.
        pasted_per_scan: nodules blended into each background, so that texture does not tell nodules from tissue.
        ignored: places in the backgrounds that teach nothing (a tumour nobody annotated).
        split: whose nodules (and outlines, in phantoms) are measured on and not learnt from.
        diagnosis: csv `patient_id,diagnosis` (1 benign, 2 and 3 cancer), only reported on, or None.
    """

    nodules: Path | None = None
    backgrounds: tuple[Path, ...] = ()
    held_out_scans: tuple[str, ...] = ()
    phantoms: int = 0
    tissue_per_scan: int = 0
    pasted_per_scan: int = 0
    ignored: tuple[IgnoredPlace, ...] = ()
    split: SplitSettings = field(default_factory=SplitSettings)
    diagnosis: Path | None = None

    def __post_init__(self) -> None:
        if self.split.validation_fold is not None:
            raise UsageError(
                "data.split.validation_fold is of stage 1; stage 2 keeps its last weights: "
                f"expected null, got {self.split.validation_fold}"
            )
        at_least("data.phantoms", self.phantoms, 0)
        for name in ("tissue_per_scan", "pasted_per_scan"):
            at_least(f"data.{name}", getattr(self, name), 0)


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW with a one-cycle schedule.

    Attributes:
        lr: peak learning rate.
        weight_decay: of all parameters.
        rating_weight: of the rating loss beside the two classification losses.
    """

    lr: float
    weight_decay: float
    rating_weight: float

    def __post_init__(self) -> None:
        above("optimizer.lr", self.lr, 0)
        at_least("optimizer.weight_decay", self.weight_decay, 0)
        at_least("optimizer.rating_weight", self.rating_weight, 0)


@dataclass(frozen=True)
class SimulatedPatients:
    """Stage b: the patients that the bag's few parameters are fitted on.

    Attributes:
        bags: how many are drawn.
        max_false: at most so many false candidates in each.
        detector: name of the weights whose scores the two laws below are; empty when they are nobody's.
        score_true: mean and standard deviation of logit(detector score) on nodules.
        score_false: the same on false candidates.
    """

    bags: int
    max_false: int
    detector: str
    score_true: tuple[float, float]
    score_false: tuple[float, float]

    def __post_init__(self) -> None:
        at_least("patients.bags", self.bags, 1)
        at_least("patients.max_false", self.max_false, 0)
        for name in ("score_true", "score_false"):
            at_least(f"patients.{name}, its deviation,", getattr(self, name)[1], 0)


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """One training run (`python -m classification.train`).

    Attributes:
        experiment: name of the run.
        out: folder for checkpoints, curves, folds, weights and card.
        seed: of everything random.
        resume: go on with an earlier run in `out`; False begins again.
        bootstrap: draws of the card's intervals.
        data: nodules, backgrounds and the split.
        model: of the network.
        inference: candidates in a bag.
        optimizer: rates and weights of losses.
        logger: who is told of it beside `curves.csv`.
        trainer: of the loop; the folds take their share of its steps.
        bag: of stage b: a dataclass with `kind`, or from YAML a mapping that becomes it.
        patients: it is fitted on.
    """

    experiment: str = "nodule_mil"
    out: Path = Path("outputs/classification")
    seed: int = 0
    resume: bool = True
    bootstrap: int = 1000
    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    optimizer: OptimizerSettings
    logger: LoggerSettings = field(default_factory=LoggerSettings)
    trainer: TrainerSettings
    bag: Any
    patients: SimulatedPatients

    def __post_init__(self) -> None:
        if isinstance(self.bag, Mapping):
            object.__setattr__(self, "bag", settings_of(self.bag))


def deciding(settings: TrainSettings) -> dict[str, Any]:
    """The settings that decide what a run leaves: not its name, its place, nor what only changes the time it takes."""
    values = {k: v for k, v in asdict(settings).items() if k not in ("experiment", "out", "resume", "logger")}
    values["trainer"] = {k: v for k, v in values["trainer"].items() if k not in ONLY_SPEED}
    return values
