"""What a detector is to the rest of the product: patches in, found boxes or a loss out.

A detector has a folder here, which `settings.kind` names, with a module `model` that offers `SETTINGS`, the dataclass
of its settings, `build(settings)` and `settings_of(values)`, which reads them from a card. Its numbers stand in a YAML
in `conf/model/`. Nothing else in the product knows which detector it holds.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from preprocessing.preparation import Preparation
from runs.entry import UsageError, typed

# Training says for cells of so many voxels of 1 mm whether a patch is to be trusted there.
KNOWN_STEP = 4
PRECISIONS = ("auto", "fp32", "bf16")
RUNTIMES = ("torch", "onnx", "openvino")


class Truth(NamedTuple):
    """What a batch of N patches teaches; rows of zeros fill up patches with fewer marks.

    Patches are made of voxels of 1 mm and then shown as a detector's `preparation` wants it; the outer faces stay.
    Truth is told in these voxels of 1 mm, a voxel's index being its centre.

    Attributes:
        nodules: (N, M, 4) z, y, x, diameter.
        ignored: (N, K, 4) balls that teach nothing, in the same form.
        known: 1, or 0 where the picture itself is not to be trusted, for every 4 x 4 x 4 of these voxels.
    """

    nodules: torch.Tensor
    ignored: torch.Tensor
    known: torch.Tensor


class Found(NamedTuple):
    """What was found in one patch, on the CPU.

    Attributes:
        boxes: (P, 6) corner boxes in voxels of the patch, a voxel's index being its centre.
        scores: (P,) in [0, 1].
        cells: (P, 3) where in the patch each was predicted: of two tiles, the one with the cell in its core answers.
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    cells: torch.Tensor


@dataclass(frozen=True)
class Inference:
    """How a prepared scan becomes candidates.

    Attributes:
        tile_voxels: seen by one forward pass, context included.
        margin: voxels of context around what a pass answers for, a multiple of the detector's `pad_multiple`.
        tile_candidates: boxes kept of a tile, best first, of those whose centre lies in the lung mask.
        nms_iou: overlap above which the weaker of two boxes goes.
        min_score: candidates below it are not listed.
        max_candidates: per scan, best first.
        precision: of the network's arithmetic: fp32, bf16 (twice as fast where the processor has matrix units for it;
            scores move by some thousandths), or auto: bf16 there, fp32 elsewhere.
        runtime: what runs the network: torch, onnx (ONNX Runtime, fp32) or openvino, see `detection.runtimes`.
    """

    tile_voxels: int = 16_000_000
    margin: int = 16
    tile_candidates: int = 600
    nms_iou: float = 0.1
    min_score: float = 0.01
    max_candidates: int = 60
    precision: str = "auto"
    runtime: str = "torch"

    def __post_init__(self) -> None:
        if self.precision == "int8":
            raise UsageError(
                "inference.precision=int8 is not offered: quantised after training, the network was no faster than in "
                f"bf16 and its scores moved by tenths; expected one of {', '.join(PRECISIONS)}"
            )
        for name, known in (("precision", PRECISIONS), ("runtime", RUNTIMES)):
            if (got := getattr(self, name)) not in known:
                raise UsageError(f"inference.{name} must be one of {', '.join(known)}; got {got}")
        if self.runtime == "onnx" and self.precision == "bf16":
            raise UsageError("inference.runtime=onnx computes in fp32, got inference.precision=bf16")

    def on(self, device: torch.device) -> Inference:
        """With the precision that `auto` means on a device."""
        if self.precision != "auto":
            return self
        if self.runtime == "onnx":
            return replace(self, precision="fp32")
        return replace(self, precision="bf16" if _multiplies_bf16(device) else "fp32")


class DetectorModel(nn.Module, ABC):
    """One detector: its layers, how it is taught and how it answers.

    Attributes:
        pad_multiple: sides of its patches are multiples of this.
        levels: edges of the voxels it looks at, in those of a prepared scan: 1, and 2 or 2 and 4 if it knows masses
            at lower resolutions (`detection.levels`).
        coarse_logit: added to the logits of masses' scores at these, see `detection.levels.raised`.
        preparation: the pictures it is shown.
        inference: its own numbers, where the user states none.
        exportable: its `network`, from (1, 1, D, H, W) to a tuple of two maps, is where the work is, and other
            runtimes can run it in its place.
    """

    pad_multiple: int = 16
    levels: tuple[int, ...] = (1,)
    coarse_logit: float = 0.0
    preparation: Preparation = Preparation()
    inference: Inference = Inference()
    exportable: bool = False
    network: nn.Module

    @abstractmethod
    def loss(self, images: torch.Tensor, truth: Truth) -> dict[str, torch.Tensor]:
        """Named terms whose sum is minimised.

        Args:
            images: (N, 1, D, H, W) float in [0, 1], as `preparation` wants them.
            truth: of the same N patches, on their device.
        """

    def at_level(self, step: int) -> DetectorModel:
        """What looks at voxels `step` times as wide as those of a prepared scan: the same detector, or another."""
        return self

    @abstractmethod
    def find(self, image: torch.Tensor, least_score: float) -> Found:
        """All boxes of one patch (1, 1, D, H, W), prepared as it wants, with at least this score.

        Suppression of overlapping boxes is not its business.
        """

    def weights(self) -> dict[str, torch.Tensor]:
        """What is written to disk."""
        return self.state_dict()

    def take(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Use weights from disk.

        Raises:
            RuntimeError: they are not of this model.
        """
        self.load_state_dict(weights)

    def lightened(self) -> DetectorModel:
        """The same answers with less work, for inference; the model itself where there is nothing to save."""
        return self.eval()


class ModelKind(Protocol):
    """The settings of any detector."""

    @property
    def kind(self) -> str:
        """The folder under `detection/models`."""

    @property
    def preparation(self) -> Preparation:
        """The pictures it is shown."""


def build_model(settings: ModelKind) -> DetectorModel:
    """A detector with fresh weights.

    Raises:
        UsageError: there is none of that kind.
    """
    made: DetectorModel = _module(settings.kind).build(settings)
    return made


def model_of(card: Mapping[str, Any]) -> DetectorModel:
    """The detector that a card's `model` describes, with fresh weights; cards without a kind are of `compact`.

    Raises:
        UsageError: there is none of that kind.
    """
    module = _module(kind_of(card["model"]))
    made: DetectorModel = module.build(module.settings_of(card["model"]))
    return made


def settings_of(values: Mapping[str, Any]) -> ModelKind:
    """The settings of a detector as `conf/model/` and the command line give them: which, their `kind` says.

    Raises:
        UsageError: there is no detector of that kind, or its settings are others; by name.
    """
    made: ModelKind = typed(_module(kind_of(values)).SETTINGS, values, "model")
    return made


def kind_of(values: Mapping[str, Any]) -> str:
    """Which detector settings are of; those that do not say are of `compact`, the first."""
    return str(values.get("kind", "compact"))


def chosen_kind(chosen: Any) -> str | None:
    """What `model=` of a command that trains nothing means, by name or, from Hydra's group, by the numbers of one.

    Raises:
        UsageError: there is no such detector; with the names of those there are.
    """
    if chosen is None:
        return None
    kind = str(chosen.get("kind", "another network's") if isinstance(chosen, Mapping) else chosen)
    _module(kind)
    return kind


def _multiplies_bf16(device: torch.device) -> bool:
    """Whether there are matrix units for bf16: AMX, or those of a GPU since Ampere."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", bool)())


def _module(kind: str) -> ModuleType:
    name = f"detection.models.{kind}"
    try:
        return importlib.import_module(f"{name}.model")
    except ModuleNotFoundError as error:
        if error.name not in (name, f"{name}.model"):
            raise
        here = pkgutil.iter_modules([str(Path(__file__).parent)])
        known = ", ".join(sorted(module.name for module in here if module.ispkg))
        raise UsageError(f"model must be one of {known}, got {kind}") from None
