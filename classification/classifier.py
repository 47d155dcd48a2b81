"""Candidates to assessments to one patient probability: the object every caller of stage 2 holds."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from classification.assessment import NoduleAssessment, PatientReport
from classification.bags.interface import Bag, BagInputs, BagKind, Explanation, build_bag, explain, settings_of
from classification.calibration.maps import Calibration
from classification.crops import nodule_crop
from classification.heat_map import HeatMap, heat_map
from classification.measurements import measured, measurements, outline_of
from classification.measuring.bare_crop import is_bare
from classification.measuring.outline import Draw, outline
from classification.network import NoduleNetwork, NoduleOutputs, to_ratings
from classification.outlines.model import DEFAULT_OUTLINES, load_outlines
from classification.readers.model import DEFAULT_READERS, ReaderModel, load_readers
from classification.settings import InferenceSettings, ModelSettings
from detection.candidate import Candidate
from preprocessing.patches import normalise
from preprocessing.preparation import check_preparation
from preprocessing.prepare import PreparedScan
from runs.entry import UsageError
from runs.one_thread import one_thread
from runs.training.weights import load_weights

SHIPPED = Path(__file__).parent / "weights"
DEFAULT_WEIGHTS = "nodule-mil-v6"
# A plain LUNA16 submission has no diameters: the median of the LIDC nodules stands in, with a warning.
MEDIAN_DIAMETER_MM = 6.6
# What the bag of a card is that names none.
OLDER_CARDS = {"kind": "leaky_noisy_or", "k": None, "steps": 60, "l2": 1e-4}


class NoduleClassifier:
    """Assesses candidates. Runs on the CPU, where a bag takes milliseconds and answers do not vary by device.

    Args:
        network: trained; put into evaluation mode.
        bag: fitted; a copy in fp64 is kept.
        model: the settings the network was built from.
        settings: of inference.
        provenance: what goes into reports: name and checksum of the weights, and `gate_detector`, the detector whose
            scores the gate was fitted to (empty: not stated).
        calibration: of the patient's probability, or None.
        readers: says how suspicious each nodule is and rates it, fitted to and shown outlines without a network; None:
            the bag's chance and the network's ratings.
        draw: draws the outlines that are measured.
        members: networks that learnt from other patients each: how far the answer depends on whom one learns from.
    """

    def __init__(
        self,
        network: NoduleNetwork,
        bag: Bag,
        model: ModelSettings,
        settings: InferenceSettings | None = None,
        provenance: dict[str, str] | None = None,
        calibration: Calibration | None = None,
        readers: ReaderModel | None = None,
        draw: Draw = outline,
        members: Sequence[NoduleNetwork] = (),
    ) -> None:
        self.network, self.bag, self.model = network.eval(), copy.deepcopy(bag).double().eval(), model
        self.members = [member.eval() for member in members]
        self.settings = settings or InferenceSettings()
        self.provenance, self.calibration, self.readers, self.draw = provenance or {}, calibration, readers, draw

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
        shown = self._shown(prepared, ranked)
        attributes, inputs = self._seen(shown)
        said = explain(self.bag, inputs)
        patient, without, changes = self._calibrated(said)
        if not is_bare(prepared):  # a crop has no patient's answer
            changes |= self._spread(shown, patient)
        sizes = [measurements(candidate, prepared, self.draw) for candidate in ranked]
        suspicion = said.chances
        if self.readers is not None:
            volume, plain = prepared.volume, [outline_of(candidate, prepared) for candidate in ranked]
            opinions = self.readers.opinions([measured(nodule, volume.hu, volume.geometry) for nodule in plain])
            suspicion = tuple(o.suspicion for o in opinions)
            attributes = [{**a, **o.ratings} for a, o in zip(attributes, opinions, strict=True)]
        nodules = [
            NoduleAssessment(*parts)
            for parts in zip(
                *(ranked, suspicion, attributes, sizes, said.contributions, without, said.chances), strict=True
            )
        ]
        return PatientReport(
            patient_id,
            uid,
            patient,
            tuple(sorted(nodules, key=lambda n: -n.contribution)),
            said.base,
            dict(self.provenance),
            (*warnings, *self._doubts()),
            said.adds_up_to,
            **changes,
        )

    def heat_map(self, prepared: PreparedScan, candidate: Candidate) -> HeatMap:
        """Which voxels make a candidate with a known diameter suspicious, see `classification.heat_map`."""
        return heat_map(self.network, self.bag, prepared, candidate, self.model.crop, self.model.margins_mm)

    def _calibrated(self, said: Explanation) -> tuple[float, tuple[float, ...], dict[str, Any]]:
        """The patient's probability and those without each nodule, and what the report says of the change."""
        if self.calibration is None:
            return said.probability, said.without, {}
        without = tuple(self.calibration.of(risk) for risk in said.without)
        changes = {"uncalibrated": said.probability, "calibration": self.calibration.words}
        return self.calibration.of(said.probability), without, changes

    def _doubts(self) -> list[str]:
        fitted = self.calibration.classifier if self.calibration else ""
        own = self.provenance.get("classifier_sha256", "")
        if not fitted or not own or fitted == own:
            return []
        return [f"calibration_classifier: the calibration was fitted to answers of {fitted}, these are of {own}"]

    @torch.inference_mode()
    def _seen(self, shown: Shown) -> tuple[list[dict[str, float]], BagInputs]:
        """What the network says of each candidate: attributes by name, and what the bag takes, (1, K) in fp64."""
        out, inputs = shown.to(self.network)
        believed = self.bag.is_nodule(inputs)[0].tolist()
        rated = to_ratings(out.ratings)
        return [{**r, "nodule_probability": p} for r, p in zip(rated, believed, strict=True)], inputs

    @torch.inference_mode()
    def _spread(self, shown: Shown, patient: float) -> dict[str, float]:
        """Least and largest of the answers of the network and its members; empty without members."""
        if not self.members or not len(shown.images):
            return {}
        answers = [patient]
        for member in self.members:
            answers.append(self._calibrated(explain(self.bag, shown.to(member)[1]))[0])
        return {"least": min(answers), "most": max(answers)}

    def _shown(self, prepared: PreparedScan, candidates: Sequence[Candidate]) -> Shown:
        volume, model = prepared.volume, self.model
        crops = [
            nodule_crop(volume.hu, volume.geometry.to_voxel(c.center_mm), c.diameter_mm, model.crop, model.margins_mm)
            for c in candidates
        ]
        images = np.zeros((0, model.crop, model.crop, model.crop), np.float32)
        if crops:
            images = np.stack([normalise(crop) for crop in crops])
        return Shown(
            torch.from_numpy(images)[:, None],
            torch.tensor([[c.diameter_mm for c in candidates]], dtype=torch.float64),
            torch.tensor([[c.score for c in candidates]], dtype=torch.float64),
        )


class Shown(NamedTuple):
    """One patient's candidates as networks and bag are shown them.

    Attributes:
        images: (K, 1, D, D, D).
        diameter_mm: (1, K) fp64.
        score: (1, K) fp64.
    """

    images: torch.Tensor
    diameter_mm: torch.Tensor
    score: torch.Tensor

    def to(self, network: NoduleNetwork) -> tuple[NoduleOutputs, BagInputs]:
        """What a network says of them, the same to the last digit in every process, and what a bag takes."""
        with one_thread():
            out = network(self.images, self.diameter_mm[0].float())
        present = torch.ones_like(self.score, dtype=torch.bool)
        nodule, malignancy = out.nodule[None].double(), out.malignancy[None].double()
        return out, BagInputs(nodule, malignancy, self.score, self.diameter_mm, present)


def load_classifier(
    weights: str | Path | None = None,
    settings: InferenceSettings | None = None,
    calibration: Calibration | None = None,
    readers: str | Path | None = None,
    outlines: str | Path | None = None,
) -> NoduleClassifier:
    """The classifier of a weights file, or of a shipped name (the default when None), with a site's calibration.

    Beside it stand the model of readers and the network of outlines of other files or names, or the shipped ones.

    Raises:
        FileNotFoundError: no such file or name, or no card beside it.
        UsageError: the file is not what its card says, is no classifier's, or was trained on scans that were prepared
            in another way.
    """
    name = weights or DEFAULT_WEIGHTS
    state, card = load_weights(name, SHIPPED)
    check_preparation(card)
    model, stored, bag_settings = _settings_of(card)
    count = int(card.get("members", 0))
    network, *members = (NoduleNetwork(model.widths, model.hidden) for _ in range(1 + count))
    bag = build_bag(bag_settings)
    parts = {"network": network, "bag": bag, "members": torch.nn.ModuleList(members)}
    try:
        torch.nn.ModuleDict(parts).load_state_dict(state)
    except RuntimeError as error:
        raise UsageError(f"'{Path(name).name}' does not hold the classifier its card describes") from error
    provenance = {
        "classifier": str(card.get("name", name)),
        "classifier_sha256": str(card["sha256"])[:16],
        "classifier_top_k": str((settings or stored).top_k),
        "bag": bag_settings.kind,
        "gate_detector": str(card.get("gate_detector", "")),
    }
    opinions, readers_card = load_readers(readers or DEFAULT_READERS)
    provenance |= {"readers": str(readers_card["name"]), "readers_sha256": str(readers_card["sha256"])[:16]}
    draw = load_outlines(outlines or DEFAULT_OUTLINES)
    provenance |= draw.provenance
    if calibration is not None:
        provenance |= {"calibration": calibration.words, "calibration_sha256": calibration.sha256}
    return NoduleClassifier(network, bag, model, settings or stored, provenance, calibration, opinions, draw, members)


def _settings_of(card: dict[str, Any]) -> tuple[ModelSettings, InferenceSettings, BagKind]:
    try:
        values = card["model"]
        along_z, in_plane = (float(v) for v in values["margins_mm"])
        widths = tuple(int(w) for w in values["widths"])
        model = ModelSettings(widths, int(values["hidden"]), int(values["crop"]), (along_z, in_plane))
        return model, InferenceSettings(int(card["inference"]["top_k"])), settings_of(card.get("bag", OLDER_CARDS))
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError("the model card is not a classifier's: it lacks model or inference settings") from error


def _check(candidate: Candidate, series_uid: str) -> None:
    if candidate.series_uid != series_uid:
        raise ValueError("a candidate belongs to another series than the scan it should be assessed in")
    if not 0 <= candidate.score <= 1:
        raise ValueError(f"a candidate's score must lie in [0, 1], got {candidate.score}")
