"""Findings to a Comprehensive 3D SR by TID 1500, each a measurement group by TID 1411 (PS3.16)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from detection.dicom_out.coding import SIDES, Number, own_scheme
from detection.dicom_out.settled import NAMELESS
from detection.dicom_out.source import SourceSeries
from phantom.dicom_writer import hashed_uid
from preprocessing.geometry import FloatArray, Triple

NAME = "lungscreen"
RESEARCH = "research use only"
# No number of a study's own series is so high, and a series browser lists them last.
REPORT_SERIES, SEGMENTATION_SERIES = 9001, 9002
# Longest text of a VR LO (PS3.5 6.2).
LO_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Finding:
    """One nodule as the report shows it.

    Attributes:
        label: for people, `Nodule 1`.
        tracking_uid: by which it is known in other objects too.
        center_mm: world LPS mm.
        diameter_mm: of the sphere that stands for it where there is no outline.
        side: `left`, `right`, or anything else where it is not known.
        numbers: measurements.
        words: question and answer.
        segment: its number in the segmentation; 0: it has no outline.
    """

    label: str
    tracking_uid: str
    center_mm: Triple
    diameter_mm: float
    side: str = ""
    numbers: tuple[Number, ...] = ()
    words: tuple[tuple[Code, Code], ...] = ()
    segment: int = 0


@dataclass(frozen=True, slots=True)
class Device:
    """Who observed: the program with its weights.

    Attributes:
        uid: of this version with these weights.
        model: names of the networks.
        checksum: of their weights.
        version: of the program.
    """

    uid: str
    model: str
    checksum: str
    version: str


def device_of(provenance: Mapping[str, str]) -> Device:
    """The device of a provenance: version, `detector`, `classifier` and their checksums."""
    stages = [name for name in ("detector", "classifier") if provenance.get(name)]
    model = " + ".join(provenance[name] for name in stages)[:LO_LENGTH] or "unknown"
    checksum = "+".join(provenance.get(f"{name}_sha256", "none") for name in stages)[:LO_LENGTH] or "none"
    program = provenance.get(NAME) or version(NAME)
    uid = hashed_uid(NAME, "device", program, model, checksum)
    return Device(uid, model, checksum, program)


def measurement_report(
    source: SourceSeries,
    device: Device,
    findings: Sequence[Finding],
    patient: Sequence[Number] = (),
    segmentation: Dataset | None = None,
) -> sr.Comprehensive3DSR:
    """The report, nameless (see `settle`).

    Each finding has its centre as a point in space beside its outline, so that the place is the detector's own and no
    pixel grid rounds it. Without outline the sphere around the centre stands for it.

    Args:
        source: the series measured.
        device: who measured.
        findings: in the order in which they are read.
        patient: what is said of the patient as a whole; with no finding, at least one number.
        segmentation: settled, with the segments that the findings name.
    """
    groups: list[sr.MeasurementsAndQualitativeEvaluations | sr.VolumetricROIMeasurementsAndQualitativeEvaluations]
    groups = [_whole_patient(source, device, patient)] if patient else []
    groups += [_group(finding, source, segmentation) for finding in findings]
    seen_by = sr.DeviceObserverIdentifyingAttributes(
        uid=device.uid,
        name=f"{NAME} {device.version} ({RESEARCH})",
        manufacturer_name=NAME,
        model_name=device.model,
        serial_number=device.checksum,
    )
    content = sr.MeasurementReport(
        sr.ObservationContext(observer_device_context=sr.ObserverContext(codes.DCM.Device, seen_by)),
        procedure_reported=codes.SCT.ChestImaging,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    return sr.Comprehensive3DSR(
        evidence=[*source.headers, *([segmentation] if segmentation is not None else [])],
        content=content,
        series_instance_uid=NAMELESS,
        series_number=REPORT_SERIES,
        sop_instance_uid=NAMELESS,
        instance_number=1,
        manufacturer=NAME,
        is_complete=True,
        series_description=f"{NAME} report, {RESEARCH}",
        manufacturer_model_name=device.model,
        device_serial_number=device.checksum,
        software_versions=device.version,
        coding_schemes=[own_scheme()],
        specific_character_set="ISO_IR 192",
    )


def _whole_patient(
    source: SourceSeries, device: Device, numbers: Sequence[Number]
) -> sr.MeasurementsAndQualitativeEvaluations:
    uid = hashed_uid(source.series_uid, device.uid, "patient")
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid, "Patient"),
        finding_sites=[sr.FindingSite(codes.SCT.Lung)],
        measurements=[_measurement(number) for number in numbers],
    )


def _group(
    finding: Finding, source: SourceSeries, segmentation: Dataset | None
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    whole_series = sr.SourceSeriesForSegmentation(source.series_uid)
    segment = surface = None
    if segmentation is not None and finding.segment:
        of = (segmentation.SOPClassUID, segmentation.SOPInstanceUID, finding.segment)
        segment = sr.ReferencedSegment(*of, source_series=whole_series)
    else:
        surface = sr.VolumeSurface("ELLIPSOID", [_sphere(finding)], source.frame_uid, source_series=whole_series)
    group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(finding.tracking_uid, finding.label),
        referenced_segment=segment,
        referenced_volume_surface=surface,
        finding_type=codes.SCT.Nodule,
        finding_category=codes.SCT.MorphologicallyAbnormalStructure,
        finding_sites=[sr.FindingSite(codes.SCT.Lung, laterality=SIDES.get(finding.side))],
        measurements=[_measurement(number) for number in finding.numbers],
        qualitative_evaluations=[sr.QualitativeEvaluation(question, answer) for question, answer in finding.words],
    )
    center = sr.Scoord3DContentItem(
        codes.DCM.Center, "POINT", np.array([finding.center_mm]), source.frame_uid, relationship_type="CONTAINS"
    )
    group[0].ContentSequence.append(center)
    return group


def _sphere(finding: Finding) -> FloatArray:
    """(6, 3): the ends of three axes of a sphere (PS3.3 C.18.9.1.2, ELLIPSOID), LPS mm."""
    ends = np.repeat(np.eye(3), 2, axis=0) * np.tile([[-1.0], [1.0]], (3, 1)) * finding.diameter_mm / 2
    sphere: FloatArray = np.asarray(finding.center_mm) + ends
    return sphere


def _measurement(number: Number) -> sr.Measurement:
    return sr.Measurement(number.name, number.value, number.unit, derivation=number.derivation)
