"""What stage 2 says about each nodule and about the patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from classification.bags.interface import LOG_SURVIVAL
from detection.candidate import Candidate


@dataclass(frozen=True, slots=True)
class NoduleAssessment:
    """One candidate, assessed.

    Attributes:
        candidate: where and how big.
        malignancy: how suspicious LIDC's readers would find it, in [0, 1] (`classification.readers`).
        attributes: LIDC-style ratings by name.
        measurements: world-unit numbers and words by name (`volume_mm3`, `side`, `zone`, ...).
        contribution: what it adds to the patient's value, see `PatientReport.adds_up_to`.
        risk_without: the patient's probability if this nodule were not there, computed anew.
        chance: that it is a cancer, in [0, 1], as the bag takes it (the P_i of the noisy-or).
    """

    candidate: Candidate
    malignancy: float
    attributes: Mapping[str, float] = field(default_factory=dict)
    measurements: Mapping[str, float | str] = field(default_factory=dict)
    contribution: float = 0.0
    risk_without: float = 0.0
    chance: float = 0.0


@dataclass(frozen=True, slots=True)
class PatientReport:
    """The answer for one scan.

    Attributes:
        patient_id: of the scan.
        series_uid: of the scan.
        cancer_probability: in [0, 1], lung cancer diagnosed within a year of the scan; calibrated, if anything is.
        nodules: assessed candidates, largest contribution first.
        leak: the part of the patient's value that no nodule explains: what a scan without nodules has.
        provenance: version, weights and their checksums, settings.
        warnings: what intake and preparation repaired or doubted.
        adds_up_to: what leak and contributions add up to: `log_survival` (-log(1 - P)) or `logit`, of P before any
            calibration.
        uncalibrated: that P; None: nothing was calibrated.
        calibration: in words, what makes `cancer_probability` of it and every nodule's `risk_without`; empty: nothing.
        least, most: of the answers of networks that learnt from other patients each; None: there are none.
    """

    patient_id: str
    series_uid: str
    cancer_probability: float
    nodules: tuple[NoduleAssessment, ...]
    leak: float
    provenance: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    adds_up_to: str = LOG_SURVIVAL
    uncalibrated: float | None = None
    calibration: str = ""
    least: float | None = None
    most: float | None = None
