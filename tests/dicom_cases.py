"""A thorax with one round nodule as DICOM in any geometry, its analysis without networks, and a reader of results.

The reader takes pydicom's elements alone: no line of it is shared with what wrote the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from scipy.spatial.transform import Rotation

from classification.assessment import NoduleAssessment, PatientReport
from classification.guidelines.applied import with_guidelines
from classification.guidelines.person import Person
from classification.measurements import measurements
from detection.candidate import Candidate
from lungscreen.pipeline import Analysis
from preprocessing.geometry import Geometry
from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Scan
from preprocessing.prepare import default_cache, prepare_scan
from preprocessing.volume import Volume
from tests.series import ROOT, write_series
from tests.thorax import small_volume

# Columns: the directions of rows, of columns and of the stack.
DIRECTIONS = {
    "plain": np.eye(3),
    "oblique": Rotation.from_rotvec([0.2, -0.1, 0.3]).as_matrix(),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "prone": np.diag([-1.0, -1.0, 1.0]),
    "coronal": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
}
DIAMETER_MM = 14.0
PROVENANCE = {
    "lungscreen": "0.1.0",
    "detector": "tiny",
    "detector_sha256": "0123456789abcdef",
    "classifier": "small",
    "classifier_sha256": "fedcba9876543210",
}


def thorax(direction: np.ndarray) -> tuple[Volume, np.ndarray]:
    """Two lungs, in one a ball of 14 mm whose middle is that of a voxel: the volume and that point, LPS mm."""
    plain = small_volume()
    center_zyx = np.array([30, 27, 25])
    geometry = Geometry(plain.geometry.shape_zyx, plain.geometry.spacing_mm, (-95.25, -55.5, 10.125), direction)
    away = 2 * np.sqrt(((np.indices(plain.hu.shape) - center_zyx[:, None, None, None]) ** 2).sum(0))
    hu = np.where(away < 16, -850 + 890 * np.clip((DIAMETER_MM / 2 - away) / 2 + 0.5, 0, 1), plain.hu)
    return Volume(np.rint(hu).astype(np.int16), geometry, f"{ROOT}7.2"), geometry.to_world(center_zyx)


def write_thorax(folder: Path, kind: str = "plain") -> tuple[Scan, np.ndarray]:
    """The scan, found on disk, and the middle of its nodule."""
    volume, center_mm = thorax(DIRECTIONS[kind])
    write_series(folder, volume)
    (scan,) = find_scans(folder)
    return scan, center_mm


def analysis_of(scan: Scan, *centers_mm: np.ndarray) -> Analysis:
    """As the pipeline makes it, of nodules that are known."""
    prepared = prepare_scan(scan, cache=default_cache())
    candidates = [Candidate(scan.series_uid, tuple(center), DIAMETER_MM, 0.75) for center in centers_mm]
    nodules = tuple(
        NoduleAssessment(
            candidate,
            malignancy=0.123456 + k / 10,
            attributes={"spiculation": 1.25, "texture": 4.75, "nodule_probability": 0.875},
            measurements=measurements(candidate, prepared),
            risk_without=0.0625,
            chance=0.345678 - k / 10,
        )
        for k, candidate in enumerate(candidates)
    )
    report = PatientReport(scan.patient_id, scan.series_uid, 0.234567, nodules, 0.01, PROVENANCE, prepared.warnings)
    return Analysis(prepared, candidates, with_guidelines(report, Person()))


@dataclass(frozen=True)
class Frame:
    """One frame of a segmentation: its segment, its place and its mask."""

    segment: int
    position_mm: np.ndarray
    source: tuple[str, int]
    mask: np.ndarray

    def points_mm(self, orientation: np.ndarray, spacing: np.ndarray) -> np.ndarray:
        """(N, 3): the centres of the pixels that are set, by PS3.3 C.7.6.2.1.1."""
        rows, columns = np.nonzero(self.mask)
        across = columns[:, None] * orientation[:3] * spacing[1]
        return self.position_mm + across + rows[:, None] * orientation[3:] * spacing[0]


def frames_of(dataset: Dataset) -> Iterator[Frame]:
    """The frames, their bits unpacked by hand (PS3.5 8.1.1: the first pixel in the lowest bit)."""
    shape = (dataset.NumberOfFrames, dataset.Rows, dataset.Columns)
    bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
    masks = bits[: np.prod(shape)].reshape(shape).astype(bool)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for group, mask in zip(dataset.PerFrameFunctionalGroupsSequence, masks, strict=True):
        segment = group if "SegmentIdentificationSequence" in group else shared
        image = group.DerivationImageSequence[0].SourceImageSequence[0]
        yield Frame(
            int(segment.SegmentIdentificationSequence[0].ReferencedSegmentNumber),
            np.array(group.PlanePositionSequence[0].ImagePositionPatient, float),
            (str(image.ReferencedSOPInstanceUID), int(image.get("ReferencedFrameNumber", 0))),
            mask,
        )


def segment_points(dataset: Dataset, segment: int) -> np.ndarray:
    """(N, 3): where a segment is, LPS mm."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    orientation = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
    return np.concatenate([f.points_mm(orientation, spacing) for f in frames_of(dataset) if f.segment == segment])


def groups_of(report: Dataset) -> list[Dataset]:
    """The measurement groups of a report, the patient's first."""
    (container,) = (item for item in report.ContentSequence if meaning(item) == "Imaging Measurements")
    return list(container.ContentSequence)


def meaning(item: Dataset) -> str:
    """What a content item is about."""
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def numbers_of(group: Dataset) -> dict[str, tuple[float, str]]:
    """Value and unit by code."""
    return {
        str(item.ConceptNameCodeSequence[0].CodeValue): (
            float(item.MeasuredValueSequence[0].NumericValue),
            str(item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue),
        )
        for item in group.ContentSequence
        if item.ValueType == "NUM"
    }


def item_of(group: Dataset, about: str) -> Dataset:
    """The one content item about something."""
    (item,) = (item for item in group.ContentSequence if meaning(item) == about)
    return item


def read(paths: tuple[Path, ...], kind: str) -> Dataset:
    """The file of a kind among those written."""
    (path,) = (path for path in paths if path.name.endswith(f"_{kind}.dcm"))
    return dcmread(path)
