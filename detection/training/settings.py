"""The types of a training's settings and what they must be; the numbers stand in `conf/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detection.models.interface import settings_of
from preprocessing.annotations import IgnoredPlace
from preprocessing.splits import SplitSettings
from runs.checks import above, at_least, between, multiple_of
from runs.entry import UsageError
from runs.training.loop import TrainerSettings
from runs.training.tracking import LoggerSettings
from runs.training.validation import StoppingSettings

KINDS = ("chests", "lidc", "luna16")
# The smallest mass at half resolution: nodules from 8 voxels on are pasted there.
LEAST_MASS_MM = 16.0
# Settings of the data that change no patch.
ONLY_WHERE = ("store", "jobs")


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW with warm-up and cosine decay.

    Attributes:
        lr: peak learning rate.
        weight_decay: of all parameters.
        warmup_steps: linear warm-up.
    """

    lr: float
    weight_decay: float
    warmup_steps: int

    def __post_init__(self) -> None:
        above("optimizer.lr", self.lr, 0)
        at_least("optimizer.weight_decay", self.weight_decay, 0)
        at_least("optimizer.warmup_steps", self.warmup_steps, 0)


@dataclass(frozen=True)
class SamplingSettings:
    """How a patch is made.

    Attributes:
        patch: edge of the cubic patch in voxels (1 mm), a multiple of 16.
        own_nodules: share of patches centred near a nodule that the chest came with, where it came with any.
        cubes: share of patches with a cube of real surroundings, when there are cubes; half of these are normal
            tissue, cut and blended in the same way.
        nodules: mean number of nodules blended into a patch without a cube (Poisson; none is common).
        tissue: mean number of pieces of normal tissue there.
        slabs: share of these pieces blended with all their surroundings; the others by their outline.
        large_share: share of nodules drawn evenly over size instead of as they come (most are 4-6 mm).
        dense_share: share of patches whose lung is made denser or thinner.
        density_hu: by how much: least and most.
        masses: share of patches at lower resolutions with masses in them, for a model with more than one level; its
            coarser levels share them evenly.
        masses_mm: least and largest diameter of these.
        ground_glass: share of nodules of at least 5 mm blended by their outline that take the place of the lung only
            in part.
        thick_share: share of patches seen in slices of 1.2 to 8 mm.
        apart_share: share of these whose slices lie as far apart as they are thick.
        faint_hu: what stands out from the lung by less after all this teaches nothing.
    """

    patch: int
    own_nodules: float
    cubes: float
    nodules: float
    tissue: float
    slabs: float
    large_share: float
    dense_share: float
    density_hu: tuple[float, float]
    masses: float
    masses_mm: tuple[float, float]
    ground_glass: float
    thick_share: float
    apart_share: float
    faint_hu: float

    def __post_init__(self) -> None:
        multiple_of("sampling.patch", self.patch, 16)
        for name in ("own_nodules", "cubes", "slabs", "large_share", "dense_share", "ground_glass"):
            between(f"sampling.{name}", getattr(self, name), 0, 1)
        between("sampling.thick_share", self.thick_share, 0, 1)
        between("sampling.apart_share", self.apart_share, 0, 1)
        if not 0 <= self.masses < 1:
            raise UsageError(f"sampling.masses must be at least 0 and below 1, got {self.masses}")
        for name in ("nodules", "tissue", "faint_hu"):
            at_least(f"sampling.{name}", getattr(self, name), 0)
        at_least("sampling.density_hu, its second,", self.density_hu[1], self.density_hu[0])
        at_least("sampling.masses_mm, its first,", self.masses_mm[0], LEAST_MASS_MM)
        at_least("sampling.masses_mm, its second,", self.masses_mm[1], self.masses_mm[0])


@dataclass(frozen=True)
class ValidationSettings(StoppingSettings):
    """What the best weights are chosen by.

    Attributes:
        patches: fixed ones, with nodules of `data.split.validation_fold` or, without any to blend in, in further
            phantoms.
    """

    patches: int

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("validation.patches", self.patches, 1)


@dataclass(frozen=True)
class DataSettings:
    """Where chests and nodules come from.

    Attributes:
        kind: of the hosts: chests (any scans, few enough to be held in memory), lidc (LIDC-IDRI as TCIA delivers it)
            or luna16 (LUNA16's subset folders); the last two bring their truth and stay on disk.
        hosts: folders with CT scans to cut patches from.
        held_out_hosts: patients whose scans in these folders are not used.
        phantoms: synthetic chests simulated as further hosts.
        phantom_share: of the patches, when there are real hosts too.
        nodules: folder with `nodules.csv`, `image/`, `mask/` to blend in, or None.
        context: folder with `crops.csv` and `image/`: nodules in cubes of their own surroundings, or None.
        split: patients whose nodules, cubes and outlines are not used.
        annotations: true nodules of the hosts (LUNA16 csv), or None: none, or of LUNA16 the list beside its subsets.
        excluded: other findings of the hosts (LUNA16 csv), ignored; None as for `annotations`.
        min_readers: of LIDC-IDRI, findings of fewer are ignored.
        store: where prepared scans of lidc and luna16 are kept, about 100 MB each; None: in the user's cache folder.
        jobs: processes that prepare them.
        ignored: places in the hosts that teach nothing.
        sources: names and licences of all these, for the model card.
    """

    kind: str = "chests"
    hosts: tuple[Path, ...] = ()
    held_out_hosts: tuple[str, ...] = ()
    phantoms: int = 0
    phantom_share: float = 0.0
    nodules: Path | None = None
    context: Path | None = None
    split: SplitSettings = field(default_factory=SplitSettings)
    annotations: Path | None = None
    excluded: Path | None = None
    min_readers: int = 3
    store: Path | None = None
    jobs: int = 1
    ignored: tuple[IgnoredPlace, ...] = ()
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"data.kind must be one of {', '.join(KINDS)}; got {self.kind}")
        for name, least in (("phantoms", 0), ("min_readers", 1), ("jobs", 1)):
            at_least(f"data.{name}", getattr(self, name), least)
        between("data.phantom_share", self.phantom_share, 0, 1)


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """One training run (`python -m detection.train`).

    Attributes:
        experiment: its name, and that of the weights.
        out: folder of the run; made if missing.
        seed: of weights, patches and phantoms.
        resume: go on with a run in `out` that was cut; false deletes it and begins again.
        start: name or path of weights to begin from; None: fresh ones.
        data: what it is trained on.
        sampling: how patches are made.
        model: the detector's settings: a dataclass with `kind`, or from YAML a mapping that becomes it.
        optimizer: its steps.
        validation: whether the best weights are chosen, and by what.
        logger: who is told of it beside `curves.csv`.
        trainer: how many of them, and on what.
    """

    experiment: str = "phantom_smoke"
    out: Path = Path("outputs/detection")
    seed: int = 0
    resume: bool = True
    start: str | None = None
    data: DataSettings = field(default_factory=DataSettings)
    sampling: SamplingSettings
    model: Any
    optimizer: OptimizerSettings
    validation: ValidationSettings
    logger: LoggerSettings = field(default_factory=LoggerSettings)
    trainer: TrainerSettings

    def __post_init__(self) -> None:
        if isinstance(self.model, Mapping):
            object.__setattr__(self, "model", settings_of(self.model))
        if getattr(self.model, "coarse_network", False):
            raise UsageError("model.coarse_network is not trained: detection.average coarse= joins two trainings")
