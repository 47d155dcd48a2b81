"""Candidates to assessments to one patient probability: the object every caller of stage 2 holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from classification.assessment import NoduleAssessment, PatientReport
from classification.bags.noisy_or import NoisyOrBag, contribution, patient_probability
from classification.crops import nodule_crop
from classification.measurements import measurements
from classification.network import NoduleNetwork, to_ratings
from classification.settings import InferenceSettings, ModelSettings
from detection.candidate import Candidate
from preprocessing.patches import normalise
from preprocessing.preparation import check_preparation
from preprocessing.prepare import PreparedScan
from runs.entry import UsageError
from runs.training.weights import load_weights

SHIPPED = Path(__file__).parent / "weights"
DEFAULT_WEIGHTS = "nodule-mil-v3"
# A plain LUNA16 submission has no diameters: the median of the LIDC nodules stands in, with a warning.
MEDIAN_DIAMETER_MM = 6.6


class NoduleClassifier:
    """Assesses candidates. Runs on the CPU, where a bag takes milliseconds and answers do not vary by device.

    Args:
        network: trained; put into evaluation mode.
        bag: the noisy-or's parameters.
        model: the settings the network was built from.
        settings: of inference.
        provenance: what goes into reports: name and checksum of the weights, and `gate_detector`, the detector whose
            scores the gate was fitted to (empty: not stated).
    """

    def __init__(
        self,
        network: NoduleNetwork,
        bag: NoisyOrBag,
        model: ModelSettings,
        settings: InferenceSettings | None = None,
        provenance: dict[str, str] | None = None,
    ) -> None:
        self.network, self.bag, self.model = network.eval(), bag.eval(), model
        self.settings = settings or InferenceSettings()
        self.provenance = provenance or {}

    def assess(
        self,
        prepared: PreparedScan,
        candidates: Sequence[Candidate],
        patient_id: str = "",
        warnings: tuple[str, ...] = (),
    ) -> PatientReport:
        """The report on one scan: its `top_k` candidates by score, largest contribution first.

        The order of `candidates` does not matter. No candidates: the answer is the leak.

        Args:
            prepared: isotropic scan.
            candidates: world LPS mm; an unknown (NaN) diameter is replaced by the median and warned about.
            patient_id: for the report.
            warnings: of the steps before.

        Raises:
            ValueError: a candidate of another series, or a score outside [0, 1].
        """
        uid = prepared.volume.series_uid
        for candidate in candidates:
            _check(candidate, uid)
        # Ties are broken by place, so that the order of the list never decides who enters the bag.
        ranked = sorted(candidates, key=lambda c: (-c.score, c.center_mm))[: self.settings.top_k]
        if any(not c.diameter_mm > 0 for c in ranked):
            warnings = (*warnings, f"diameter_unknown: {MEDIAN_DIAMETER_MM} mm was assumed for some candidates")
            ranked = [c if c.diameter_mm > 0 else replace(c, diameter_mm=MEDIAN_DIAMETER_MM) for c in ranked]
        nodules = sorted(self._assessed(prepared, ranked), key=lambda n: -n.contribution)
        leak = contribution(1 / (1 + math.exp(-float(self.bag.leak.detach()))))
        probability = patient_probability([n.contribution for n in nodules], leak)
        return PatientReport(patient_id, uid, probability, tuple(nodules), leak, dict(self.provenance), warnings)

    @torch.inference_mode()
    def _assessed(self, prepared: PreparedScan, candidates: list[Candidate]) -> list[NoduleAssessment]:
        if not candidates:
            return []
        volume, model = prepared.volume, self.model
        crops = [
            nodule_crop(volume.hu, volume.geometry.to_voxel(c.center_mm), c.diameter_mm, model.crop, model.margins_mm)
            for c in candidates
        ]
        images = torch.from_numpy(np.stack([normalise(crop) for crop in crops]))[:, None]
        out = self.network(images, torch.tensor([c.diameter_mm for c in candidates], dtype=torch.float32))
        scores = torch.tensor([c.score for c in candidates], dtype=torch.float64)
        chances = self.bag.probabilities(out.nodule.double(), out.malignancy.double(), scores)
        gates = self.bag.gate(out.nodule.double(), scores)
        found = []
        for candidate, ratings, p, gate in zip(
            candidates, to_ratings(out.ratings), chances.tolist(), gates.tolist(), strict=True
        ):
            attributes = {**ratings, "nodule_probability": gate}
            measured = measurements(candidate, prepared)
            found.append(NoduleAssessment(candidate, p, attributes, measured, contribution(p)))
        return found


def load_classifier(weights: str | Path | None = None, settings: InferenceSettings | None = None) -> NoduleClassifier:
    """The classifier of a weights file, or of a shipped name (the default when None).

    Raises:
        FileNotFoundError: no such file or name, or no card beside it.
        UsageError: the file is not what its card says, is no classifier's, or was trained on scans that were prepared
            in another way.
    """
    name = weights or DEFAULT_WEIGHTS
    state, card = load_weights(name, SHIPPED)
    check_preparation(card)
    model, stored = _settings_of(card)
    network, bag = NoduleNetwork(model.widths, model.hidden), NoisyOrBag()
    try:
        torch.nn.ModuleDict({"network": network, "bag": bag}).load_state_dict(state)
    except RuntimeError as error:
        raise UsageError(f"'{Path(name).name}' does not hold the classifier its card describes") from error
    provenance = {
        "classifier": str(card.get("name", name)),
        "classifier_sha256": str(card["sha256"])[:16],
        "classifier_top_k": str((settings or stored).top_k),
        "gate_detector": str(card.get("gate_detector", "")),
    }
    return NoduleClassifier(network, bag, model, settings or stored, provenance)


def _settings_of(card: dict[str, Any]) -> tuple[ModelSettings, InferenceSettings]:
    try:
        values = card["model"]
        along_z, in_plane = (float(v) for v in values["margins_mm"])
        widths = tuple(int(w) for w in values["widths"])
        model = ModelSettings(widths, int(values["hidden"]), int(values["crop"]), (along_z, in_plane))
        return model, InferenceSettings(int(card["inference"]["top_k"]))
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError("the model card is not a classifier's: it lacks model or inference settings") from error


def _check(candidate: Candidate, series_uid: str) -> None:
    if candidate.series_uid != series_uid:
        raise ValueError("a candidate belongs to another series than the scan it should be assessed in")
    if not 0 <= candidate.score <= 1:
        raise ValueError(f"a candidate's score must lie in [0, 1], got {candidate.score}")
