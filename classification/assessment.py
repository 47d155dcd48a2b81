"""What stage 2 says about each nodule and about the patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from detection.candidate import Candidate


@dataclass(frozen=True, slots=True)
class NoduleAssessment:
    """One candidate, assessed.

    Attributes:
        candidate: where and how big.
        malignancy: probability in [0, 1] that this nodule is a cancer (the P_i of the noisy-or).
        attributes: LIDC-style ratings by name.
        measurements: world-unit numbers and words by name (`volume_mm3`, `side`, `zone`, ...).
        contribution: share of the patient's log-survival, -log(1 - P_i); with the leak they add up to
            -log(1 - P).
    """

    candidate: Candidate
    malignancy: float
    attributes: Mapping[str, float] = field(default_factory=dict)
    measurements: Mapping[str, float | str] = field(default_factory=dict)
    contribution: float = 0.0


@dataclass(frozen=True, slots=True)
class PatientReport:
    """The answer for one scan.

    Attributes:
        patient_id: of the scan.
        series_uid: of the scan.
        cancer_probability: in [0, 1], lung cancer diagnosed within a year of the scan.
        nodules: assessed candidates, largest contribution first.
        leak: -log(1 - P_leak), the part of the log-survival no nodule explains.
        provenance: version, weights and their checksums, settings.
        warnings: what intake and preparation repaired or doubted.
    """

    patient_id: str
    series_uid: str
    cancer_probability: float
    nodules: tuple[NoduleAssessment, ...]
    leak: float
    provenance: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
