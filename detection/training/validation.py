"""The FROC of fixed patches on the way: nodules of patients that the training does not learn from."""

from __future__ import annotations

from collections.abc import Sequence

import lightning as L
import numpy as np
import torch

from detection.candidate import Candidate
from detection.detector import as_candidates
from detection.froc.curve import RATES, froc
from detection.models.interface import DetectorModel
from detection.training.sampling import HybridPatches, Patch
from detection.training.spheres import Spheres
from preprocessing.annotations import Nodule
from runs.entry import UsageError
from runs.seeds import stream

# Patches centred in the lungs that hold as much of them as a scan does: 4.5 litres, seven tenths of each patch.
SCAN_MM3 = 6.5e6


class ValidationFroc:
    """Mean sensitivity at 1/8 to 8 false positives a scan, on patches that stay the same.

    Every patch is a scan of its own for the FROC; the rates are those of so many patches as hold a scan's lungs.

    Args:
        patches: made of nodules that the training does not see.
        count: how many.
        seed: of the patches; their stream is no training's.

    Raises:
        UsageError: there is no nodule in them.
    """

    name = "validation_cpm"

    def __init__(self, patches: HybridPatches, count: int, seed: int) -> None:
        self.patches = [patches.sample(stream("detection.validation", seed, number)) for number in range(count)]
        self.scans = count * patches.settings.patch**3 / SCAN_MM3
        if not any(len(patch.nodules) for patch in self.patches):
            raise UsageError(f"validation needs patches with nodules, there is none in {count}: more, or other data")

    def score(self, module: L.LightningModule) -> float:
        """The figure of a `DetectorTraining`, as inference would find nodules with its model."""
        said = [c for number, patch in enumerate(self.patches) for c in _found(module, number, patch)]
        nodules = [n for number, patch in enumerate(self.patches) for n in _as_nodules(number, patch.nodules)]
        ignored = [n for number, patch in enumerate(self.patches) for n in _as_nodules(number, patch.ignored)]
        uids = [str(number) for number in range(len(self.patches))]
        rates = np.asarray(RATES) * self.scans / len(self.patches)
        return float(froc(nodules, said, uids, ignored).at(rates).mean())


def _found(module: L.LightningModule, number: int, patch: Patch) -> list[Candidate]:
    model = module.model
    assert isinstance(model, DetectorModel)
    found = model.find(patch.image[None].to(module.device), model.inference.min_score)
    best = torch.argsort(found.scores, descending=True, stable=True)[: model.inference.tile_candidates]
    return as_candidates(found.boxes[best], found.scores[best], patch.grid, str(number), model.inference)


def _as_nodules(number: int, marks: Spheres) -> Sequence[Nodule]:
    return [Nodule(str(number), (x, y, z), d) for z, y, x, d in marks.tolist()]
