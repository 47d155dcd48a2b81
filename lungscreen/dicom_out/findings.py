"""What a patient report says of each nodule, in the codes of a structured report."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from classification.assessment import NoduleAssessment, PatientReport
from classification.network import RATING_SCALES
from detection.dicom_out.coding import (
    CANDIDATE_DIAMETER,
    DAYS,
    DETECTOR_SCORE,
    DIGITS,
    HU,
    MM,
    MM3,
    NO_UNIT,
    Number,
    own,
    percent,
)
from detection.dicom_out.report import Device, Finding
from detection.dicom_out.write import tracking_uid

# Name in `nodules.csv`, code, unit, and how it was derived.
MEASURED = (
    ("long_axis_mm", codes.SCT.LongAxis, MM, None),
    ("short_axis_mm", codes.SCT.ShortAxis, MM, None),
    ("mean_diameter_mm", codes.SCT.Diameter, MM, codes.SCT.Mean),
    ("solid_diameter_mm", own("SOLIDDIAM", "Mean diameter of the solid part"), MM, None),
    ("diameter_mm", CANDIDATE_DIAMETER, MM, None),
    ("volume_mm3", codes.SCT.Volume, MM3, None),
    ("hu_mean", codes.DCM.MeanAttenuationCoefficient, HU, None),
    ("hu_sd", codes.DCM.StandardDeviationOfAttenuationCoefficient, HU, None),
    ("pleura_mm", own("PLEURA", "Distance to the pleura, at most 30 mm"), MM, None),
    ("prior_mean_diameter_mm", own("PRIORDIAM", "Mean diameter in the earlier scan"), MM, None),
    ("prior_volume_mm3", own("PRIORVOLUME", "Volume in the earlier scan"), MM3, None),
    ("doubling_days", own("DOUBLING", "Volume doubling time; negative: halving time"), DAYS, None),
    ("doubling_days_low", own("DOUBLINGLOW", "Volume doubling time, lower limit"), DAYS, None),
    ("doubling_days_high", own("DOUBLINGHIGH", "Volume doubling time, upper limit"), DAYS, None),
)
CHANCES = (
    ("brock_1b", own("BROCK1B", "Probability of cancer by Brock model 1b")),
    ("brock_2b", own("BROCK2B", "Probability of cancer by Brock model 2b")),
)
SUSPICION = own("SUSPICION", "Probability that an LIDC reader calls it suspicious")
IS_NODULE = own("NODULE", "Probability that it is a nodule")
WITHOUT = own("RISKWITHOUT", "One-year probability of the patient without it")
ONE_YEAR = own("ONEYEAR", "One-year probability of a lung cancer diagnosis")
UNCALIBRATED = own("ONEYEARRAW", "One-year probability before calibration")
LUNG_RADS = own("LUNGRADS", "Lung-RADS v2022 category, as on a first CT")
LATER_LUNG_RADS = own("LUNGRADSLATER", "Lung-RADS v2022 category, compared with an earlier CT")
CHANGE = own("CHANGE", "Change since the earlier scan")
TYPE = own("TYPE", "Type of nodule by density")
TYPES = {
    "solid": own("SOLID", "Solid"),
    "part-solid": own("PARTSOLID", "Part-solid"),
    "ground-glass": codes.DCM.GroundGlassOpacity,
}
ZONE = own("ZONE", "Third of the height of the lungs")
CALCIFICATION = own("CALCIFICATION", "Pattern of calcification")


def findings_of(report: PatientReport, device: Device) -> list[Finding]:
    """The nodules of a report in its order, each with a segment."""
    return [_finding(number, nodule, device) for number, nodule in enumerate(report.nodules, 1)]


def of_patient(report: PatientReport) -> list[Number]:
    """The patient's probability; with a calibration also what it was before."""
    before = [] if report.uncalibrated is None else [percent(UNCALIBRATED, report.uncalibrated)]
    return [percent(ONE_YEAR, report.cancer_probability), *before]


def _finding(number: int, nodule: NoduleAssessment, device: Device) -> Finding:
    candidate, measured = nodule.candidate, nodule.measurements
    return Finding(
        label=f"Nodule {number}",
        tracking_uid=tracking_uid(candidate, device),
        center_mm=candidate.center_mm,
        diameter_mm=candidate.diameter_mm,
        side=str(measured.get("side", "")),
        numbers=tuple(n for n in _numbers(nodule) if math.isfinite(n.value)),
        words=tuple(_words(measured)),
        segment=number,
    )


def _numbers(nodule: NoduleAssessment) -> list[Number]:
    measured, rated = nodule.measurements, nodule.attributes
    found = [
        Number(code, round(float(measured[name]), DIGITS), unit, derivation)
        for name, code, unit, derivation in MEASURED
        if name in measured
    ]
    found += [percent(codes.DCM.ProbabilityOfCancer, nodule.chance), percent(SUSPICION, nodule.malignancy)]
    found += [percent(code, float(measured[name])) for name, code in CHANCES if name in measured]
    if "nodule_probability" in rated:
        found.append(percent(IS_NODULE, rated["nodule_probability"]))
    found += [percent(DETECTOR_SCORE, nodule.candidate.score), percent(WITHOUT, nodule.risk_without)]
    found += [Number(_rating(name), round(rated[name], DIGITS), NO_UNIT) for name in RATING_SCALES if name in rated]
    return found


def _rating(name: str) -> Code:
    low, high = RATING_SCALES[name]
    return own(f"LIDC{name[:12].upper()}", f"{name.capitalize()}, {low:.0f} to {high:.0f} as in LIDC")


def _words(measured: Mapping[str, float | str]) -> list[tuple[Code, Code]]:
    found = []
    if "type" in measured:
        found.append((TYPE, TYPES[str(measured["type"])]))
    if "lung_rads" in measured:
        category = str(measured["lung_rads"])
        question = LATER_LUNG_RADS if "change" in measured else LUNG_RADS
        found.append((question, own(f"LR{category}", f"Lung-RADS {category}")))
    for name, question in (("zone", ZONE), ("calcification_pattern", CALCIFICATION), ("change", CHANGE)):
        word = str(measured.get(name, "unknown"))
        if word != "unknown":
            found.append((question, own(word.upper().replace(" ", ""), word.capitalize())))
    return found
