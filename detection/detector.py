"""Prepared scan to candidates: the object every caller of stage 1 holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from detection.candidate import Candidate
from detection.levels import LEAST_OUTSIDE, coarse_mask, fine_boxes, of_masses, raised, without_parts
from detection.models.compact.boxes import suppress
from detection.models.interface import DetectorModel, Inference, chosen_kind, kind_of, model_of
from detection.runtimes.chosen import on_runtime
from detection.tiling import tiles
from preprocessing.geometry import Geometry, IntTriple
from preprocessing.patches import normalise
from preprocessing.preparation import check_preparation
from preprocessing.prepare import PreparedScan
from preprocessing.resample import coarsened
from runs.entry import UsageError
from runs.training.weights import load_weights, misfit

SHIPPED = Path(__file__).parent / "weights"
DEFAULT_KIND, DEFAULT_WEIGHTS = "compact", "compact-v6"


@dataclass(frozen=True)
class InferenceSettings:
    """What the user states of `detection.models.interface.Inference`; None: the detector's own number."""

    tile_voxels: int | None = None
    margin: int | None = None
    tile_candidates: int | None = None
    nms_iou: float | None = None
    min_score: float | None = None
    max_candidates: int | None = None
    precision: str | None = None
    runtime: str | None = None

    def over(self, own: Inference) -> Inference:
        """The numbers of a detector with these in their place."""
        return replace(own, **{key: value for key, value in asdict(self).items() if value is not None})


class NoduleDetector:
    """Finds candidates in prepared scans.

    Args:
        model: trained; a lightened copy is what runs.
        settings: of inference.
        provenance: what goes into reports: name and checksum of the weights.
    """

    def __init__(
        self,
        model: DetectorModel,
        settings: InferenceSettings | None = None,
        provenance: dict[str, str] | None = None,
    ) -> None:
        wanted = (settings or InferenceSettings()).over(model.inference)
        on_gpu = torch.cuda.is_available() and wanted.runtime == "torch"
        self.device = torch.device("cuda" if on_gpu else "cpu")
        self.settings = wanted.on(self.device)
        self.model = on_runtime(model.lightened(), self.settings).to(self.device)
        how = ", ".join(f"{key}={value}" for key, value in asdict(self.settings).items())
        self.provenance = {**provenance, "detector_inference": how} if provenance else {}

    def detect(self, prepared: PreparedScan) -> list[Candidate]:
        """Candidates whose centre lies in the lung mask, best first, at most `max_candidates`.

        Centres are world LPS mm; the diameter is the mean edge of the box in mm.

        Args:
            prepared: as `model.preparation` wants it.

        Raises:
            ValueError: a scan of another spacing.
        """
        wanted, got = self.model.preparation.spacing_mm, prepared.volume.geometry.spacing_mm
        if got != wanted:
            raise ValueError(f"this detector is shown voxels of {wanted} mm, got {got}")
        boxes, scores = self._boxes(prepared.volume.hu, prepared.lung_mask)
        return as_candidates(boxes, scores, prepared.volume.geometry, prepared.volume.series_uid, self.settings)

    @torch.inference_mode()
    def _boxes(self, hu: npt.NDArray[np.int16], lung_mask: npt.NDArray[np.bool_]) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes (N, 6) in voxels, centred in the lung mask, and scores (N,), best first, from all levels."""
        all_boxes, all_scores = [], []
        for step in self.model.levels:
            boxes, scores = self._boxes_of_level(step, coarsened(hu, step), coarse_mask(lung_mask, step))
            boxes = fine_boxes(boxes, step)
            if step > 1:
                masses = of_masses(boxes, lung_mask, step)
                masses &= _in_mask(boxes, lung_mask) | (scores >= LEAST_OUTSIDE)
                boxes, scores = boxes[masses], scores[masses]
                scores = raised(boxes, scores, self.model.coarse_logit)
            all_boxes.append(boxes)
            all_scores.append(scores)
        boxes, scores = torch.cat(all_boxes), torch.cat(all_scores)
        # A stable sort: equal scores keep their order, so the same bytes in give the same bytes out.
        order = torch.argsort(scores, descending=True, stable=True)
        boxes, scores = boxes[order], scores[order]
        kept = without_parts(boxes) if len(self.model.levels) > 1 else slice(None)
        return boxes[kept], scores[kept]

    def _boxes_of_level(
        self, step: int, hu: npt.NDArray[np.int16], lung_mask: npt.NDArray[np.bool_]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes (N, 6) in voxels of the level, centred in the mask, and scores (N,), from all tiles."""
        all_boxes, all_scores = [torch.zeros((0, 6))], [torch.zeros(0)]
        model = self.model.at_level(step)
        for tile in tiles(lung_mask, self.settings.tile_voxels, self.settings.margin, self.model.pad_multiple):
            patch = _padded_patch(hu, tile.start, tile.stop, self.model.preparation.window_hu)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16"):
                found = model.find(patch.to(self.device), self.settings.min_score)
            start = torch.tensor(tile.start, dtype=torch.float32)
            boxes, cells = found.boxes + start.repeat(2), found.cells + start
            # Each cell belongs to one tile's core: no box is found twice, none is lost at a seam.
            mine = ((cells >= torch.tensor(tile.core_start)) & (cells < torch.tensor(tile.core_stop))).all(1)
            kept = torch.nonzero(mine & _in_mask(boxes, lung_mask)).flatten()
            # The best of those that count: what lies outside the lungs takes nobody's place.
            kept = kept[torch.argsort(found.scores[kept], descending=True, stable=True)]
            kept = kept[: self.settings.tile_candidates]
            all_boxes.append(boxes[kept])
            all_scores.append(found.scores[kept])
        return torch.cat(all_boxes), torch.cat(all_scores)


def as_candidates(
    boxes: torch.Tensor, scores: torch.Tensor, geometry: Geometry, series_uid: str, settings: Inference
) -> list[Candidate]:
    """What is left of boxes (N, 6) in voxels and scores (N,), best first, after suppression, in world mm."""
    found = []
    keep = suppress(boxes, scores, settings.nms_iou, settings.max_candidates)
    for box, score in zip(boxes[keep].double().numpy(), scores[keep].tolist(), strict=True):
        x, y, z = geometry.to_world((box[:3] + box[3:]) / 2)
        edges = (box[3:] - box[:3]) * np.asarray(geometry.spacing_mm)[::-1]
        found.append(Candidate(series_uid, (float(x), float(y), float(z)), float(edges.mean()), float(score)))
    return found


def _padded_patch(
    hu: npt.NDArray[np.int16], start: IntTriple, stop: IntTriple, window_hu: tuple[float, float]
) -> torch.Tensor:
    """(1, 1, D, H, W) normalised; past the volume it is air, as at training borders."""
    part = hu[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    patch = torch.from_numpy(normalise(part, window_hu))[None, None]
    missing = [b - a - n for a, b, n in zip(start, stop, part.shape, strict=True)]
    return functional.pad(patch, (0, missing[2], 0, missing[1], 0, missing[0]))


def _in_mask(boxes: torch.Tensor, mask: npt.NDArray[np.bool_]) -> torch.Tensor:
    centers = ((boxes[:, :3] + boxes[:, 3:]) / 2).round().long()
    limit = torch.tensor(mask.shape)
    inside = ((centers >= 0) & (centers < limit)).all(1)
    safe = torch.minimum(centers.clamp_min(0), limit - 1)
    hit = torch.from_numpy(mask[tuple(safe.numpy().T)])
    return inside & hit


def load_detector(
    weights: str | Path | None = None, settings: InferenceSettings | None = None, kind: str | None = None
) -> NoduleDetector:
    """The detector of a weights file, or of a name.

    Raises:
        FileNotFoundError, UsageError: see `read_weights`.
    """
    model, card = read_weights(weights, kind)
    provenance = {"detector": str(card.get("name", weights)), "detector_sha256": str(card["sha256"])[:16]}
    return NoduleDetector(model, settings, provenance)


def read_weights(weights: str | Path | None = None, kind: str | None = None) -> tuple[DetectorModel, dict[str, Any]]:
    """A trained model and its card.

    Args:
        weights: path or name; None: the shipped ones, or those that others publish of a detector that is not ours.
        kind: which detector they must be of; None: the card says it.

    Raises:
        FileNotFoundError, UsageError: see `load_weights` and `check_preparation`; or they are of another detector, or
            not those of the one that their card describes.
    """
    kind = chosen_kind(kind)
    name = weights or (DEFAULT_WEIGHTS if kind in (None, DEFAULT_KIND) else str(kind))
    state, card = load_weights(name, SHIPPED, kind)
    found = kind_of(card["model"])
    if kind not in (None, found):
        raise UsageError(f"'{Path(name).name}' holds weights of model={found}, not of model={kind}")
    model = model_of(card)
    check_preparation(card, model.preparation)
    wrong = misfit(state, model.weights())
    if wrong:
        raise UsageError(f"'{Path(name).name}' does not hold the detector that its card describes: {wrong}")
    model.take(state)
    return model, card
