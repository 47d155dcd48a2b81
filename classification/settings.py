"""The numbers of stage 2; `conf/` overrides them, networks never read them."""

from __future__ import annotations

from dataclasses import dataclass, field

from preprocessing.annotations import IgnoredPlace


@dataclass(frozen=True)
class ModelSettings:
    """What the weights need to be rebuilt; stored in their card.

    Attributes:
        widths: channels at strides 2, 4, 8 and 16.
        hidden: width of the shared feature vector.
        crop: voxels (1 mm) along each edge of the crop, a multiple of 16.
        margins_mm: kept beyond the nodule's radius along z and in plane (see `classification.crops`).
    """

    widths: tuple[int, ...] = (16, 32, 64, 96)
    hidden: int = 64
    crop: int = 32
    margins_mm: tuple[float, float] = (2.0, 8.0)


@dataclass(frozen=True)
class InferenceSettings:
    """How candidates become a bag.

    Attributes:
        top_k: candidates of highest score that enter the bag.
    """

    top_k: int = 5


@dataclass(frozen=True)
class DataSettings:
    """Where nodules and normal tissue come from.

    Attributes:
        nodules: folder with `nodules.csv`, `image/` and `mask/` (LIDC).
        backgrounds: folders of CT scans from which normal tissue is cut.
        phantoms: simulated chests used as further backgrounds.
        tissue_per_scan: normal-tissue places drawn per background.
        ignored: places in the backgrounds that teach nothing (a tumour nobody annotated).
        held_out_patients: never trained on.
        held_out_share: share of the other patients held out, by hash of their id.
        diagnosis: csv `patient_id,diagnosis` (1 benign, 2 and 3 cancer), only reported on, or None.
    """

    nodules: str | None = None
    backgrounds: tuple[str, ...] = ()
    phantoms: int = 0
    tissue_per_scan: int = 150
    ignored: tuple[IgnoredPlace, ...] = ()
    held_out_patients: tuple[str, ...] = ("LIDC-IDRI-0001", "LIDC-IDRI-0003")
    held_out_share: float = 0.25
    diagnosis: str | None = None


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW with a one-cycle schedule.

    Attributes:
        lr: peak learning rate.
        weight_decay: of all parameters.
        rating_weight: of the rating loss beside the two classification losses.
    """

    lr: float = 3e-3
    weight_decay: float = 1e-3
    rating_weight: float = 2.0


@dataclass(frozen=True)
class BagSettings:
    """Stage b: the bag's few parameters, fitted on simulated patients.

    Attributes:
        patients: how many bags are drawn.
        max_false: at most so many false candidates in a bag.
        score_true: mean and standard deviation of logit(detector score) on nodules.
        score_false: the same on false candidates.
        steps: of LBFGS.
    """

    patients: int = 4000
    max_false: int = 5
    score_true: tuple[float, float] = (1.0, 1.5)
    score_false: tuple[float, float] = (-1.5, 1.2)
    steps: int = 60


@dataclass(frozen=True)
class TrainSettings:
    """One training run (`python -m classification.train`)."""

    experiment: str = "nodule_mil"
    out: str = "outputs/classification"
    seed: int = 0
    epochs: int = 12
    batch: int = 16
    threads: int = 0
    bootstrap: int = 1000
    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    bag: BagSettings = field(default_factory=BagSettings)
