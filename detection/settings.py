"""The numbers of the compact detector; `conf/` overrides them, networks never read them."""

from __future__ import annotations

from dataclasses import dataclass, field

from detection.sampling import SamplingSettings
from preprocessing.annotations import IgnoredPlace


@dataclass(frozen=True)
class ModelSettings:
    """What the weights need to be rebuilt; stored in their card.

    Attributes:
        widths: channels at strides 2, 4, 8, 16.
        head_width: channels at the output stride.
        anchor_sizes_mm: edges of the cubic anchors.
    """

    widths: tuple[int, ...] = (16, 32, 64, 96)
    head_width: int = 48
    anchor_sizes_mm: tuple[float, ...] = (4.0, 8.0, 14.0, 24.0)


@dataclass(frozen=True)
class InferenceSettings:
    """How a prepared scan becomes candidates.

    Attributes:
        tile_voxels: seen by one forward pass, context included; a million takes about 60 MB.
        margin: voxels of context around what a pass answers for, a multiple of 16.
        nms_iou: overlap above which the weaker of two boxes goes.
        min_score: candidates below it are not listed.
        max_candidates: per scan, best first.
    """

    tile_voxels: int = 16_000_000
    margin: int = 16
    nms_iou: float = 0.1
    min_score: float = 0.01
    max_candidates: int = 60


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW with warm-up and cosine decay.

    Attributes:
        lr: peak learning rate.
        weight_decay: of all parameters.
        warmup_steps: linear warm-up.
        clip: largest norm of the gradient.
        ema_decay: of the averaged weights that are shipped.
    """

    lr: float = 2e-3
    weight_decay: float = 1e-4
    warmup_steps: int = 100
    clip: float = 5.0
    ema_decay: float = 0.995


@dataclass(frozen=True)
class DataSettings:
    """Where chests and nodules come from.

    Attributes:
        hosts: folders with CT scans to cut patches from.
        phantoms: synthetic chests simulated as further hosts.
        phantom_share: of the patches, when there are real hosts too.
        nodules: folder with `nodules.csv`, `image/`, `mask/` to paste, or None.
        held_out_patients: patients whose nodules and scans are never used.
        annotations: true nodules of the hosts (LUNA16 csv), or None.
        ignored: places in the hosts that teach nothing.
        sources: names and licences of all these, for the model card.
    """

    hosts: tuple[str, ...] = ()
    phantoms: int = 4
    phantom_share: float = 0.25
    nodules: str | None = None
    held_out_patients: tuple[str, ...] = ()
    annotations: str | None = None
    ignored: tuple[IgnoredPlace, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainSettings:
    """One training run (`python -m detection.train`)."""

    experiment: str = "phantom_smoke"
    out: str = "outputs/detection"
    seed: int = 0
    steps: int = 1000
    batch: int = 6
    workers: int = 1
    threads: int = 0
    precision: str = "32-true"
    minutes: float | None = None
    checkpoint_steps: int = 100
    resume: bool = True
    data: DataSettings = field(default_factory=DataSettings)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
