"""Segmentation and structured report: places and numbers as in the tables, the same bytes again."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydicom import dcmread

pytest.importorskip("highdicom")

from detection.candidate import write_candidates
from lungscreen.dicom_out.write import write_dicom
from lungscreen.tables import write_nodules
from preprocessing.intake.find import find_scans
from tests.dicom_cases import (
    DIAMETER_MM,
    PROVENANCE,
    analysis_of,
    frames_of,
    groups_of,
    item_of,
    numbers_of,
    read,
    segment_points,
    write_thorax,
)

RADIUS_MM = DIAMETER_MM / 2
# Where a second nodule is said to be.
BACK_MM = np.array([0.0, 6.0, 0.0])


@pytest.mark.parametrize(
    "kind",
    ["plain", "oblique", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("flipped", "prone", "coronal"))],
)
def test_places_are_those_of_the_tables(tmp_path: Path, kind: str) -> None:
    scan, center_mm = write_thorax(tmp_path / "in", kind)
    analysis = analysis_of(scan, center_mm)
    written = write_dicom(analysis, scan, tmp_path / "out")
    assert written.warnings == ()
    write_candidates(tmp_path / "candidates.csv", analysis.candidates)
    row = pd.read_csv(tmp_path / "candidates.csv").iloc[0]
    listed = np.array([row.coordX, row.coordY, row.coordZ])

    point = item_of(groups_of(read(written.paths, "sr"))[1], "Center")
    assert (point.ValueType, point.GraphicType) == ("SCOORD3D", "POINT")
    np.testing.assert_allclose(point.GraphicData, listed, atol=0.01)

    outlined = read(written.paths, "seg")
    points = segment_points(outlined, 1)
    np.testing.assert_allclose(points.mean(axis=0), listed, atol=0.01)
    # Every pixel that lies a pixel within the ball, and none that lies a pixel outside; 8 mm3 each.
    away = np.linalg.norm(points - center_mm, axis=1)
    assert away.max() < RADIUS_MM + 2
    assert 4 / 3 * math.pi * (RADIUS_MM - 2) ** 3 < 8 * len(points) < 4 / 3 * math.pi * (RADIUS_MM + 2) ** 3
    sources = {str(h.SOPInstanceUID): h for h in (dcmread(p, stop_before_pixels=True) for p in scan.paths)}
    assert point.ReferencedFrameOfReferenceUID == sources[next(iter(sources))].FrameOfReferenceUID
    for frame in frames_of(outlined):
        assert frame.mask.any()
        np.testing.assert_array_equal(frame.position_mm, sources[frame.source[0]].ImagePositionPatient)


def test_numbers_are_those_of_the_tables(tmp_path: Path) -> None:
    scan, center_mm = write_thorax(tmp_path / "in")
    analysis = analysis_of(scan, center_mm, center_mm + BACK_MM)
    write_nodules(tmp_path / "nodules.csv", [analysis.report])
    patient, *groups = groups_of(read(write_dicom(analysis, scan, tmp_path / "out").paths, "sr"))
    assert numbers_of(patient) == {"ONEYEAR": (23.4567, "%")}
    table = pd.read_csv(tmp_path / "nodules.csv")
    assert len(groups) == len(table) == 2
    for group, (_, row) in zip(groups, table.iterrows(), strict=True):
        numbers = numbers_of(group)
        assert numbers["103339001"] == (row.long_axis_mm, "mm")
        assert numbers["103340004"] == (row.short_axis_mm, "mm")
        assert numbers["81827009"] == (row.mean_diameter_mm, "mm")
        assert numbers["CANDIDATEDIAM"] == (row.diameter_mm, "mm")
        assert numbers["118565006"] == (row.volume_mm3, "mm3")
        assert numbers["112181"] == (row.hu_mean, "[hnsf'U]")
        assert numbers["111047"] == (pytest.approx(100 * row.chance, abs=1e-9), "%")
        assert numbers["SUSPICION"] == (pytest.approx(100 * row.malignancy, abs=1e-9), "%")
        assert numbers["RISKWITHOUT"] == (6.25, "%")
        assert numbers["DETECTORSCORE"] == (75.0, "%")
        assert numbers["NODULE"] == (87.5, "%")
        # The table has three digits of a share, the report the same six as of every probability.
        assert numbers["BROCK2B"] == (pytest.approx(100 * row.brock_2b, abs=0.05), "%")
        assert numbers["LIDCTEXTURE"] == (4.75, "1")
        category = item_of(group, "Lung-RADS v2022 category, as on a first CT").ConceptCodeSequence[0]
        assert (category.CodeMeaning, category.CodingSchemeDesignator) == (
            f"Lung-RADS {row.lung_rads}",
            "99LUNGSCREEN",
        )
        assert item_of(group, "Type of nodule by density").ConceptCodeSequence[0].CodeMeaning == "Solid"
        assert row.type == "solid"
        (side,) = item_of(group, "Finding Site").ContentSequence
        assert side.ConceptCodeSequence[0].CodeMeaning.lower() == row.side


def test_what_an_earlier_scan_adds(tmp_path: Path) -> None:
    """The category names what it compares with; an infinite time cannot be a number of a report."""
    scan, center_mm = write_thorax(tmp_path / "in")
    analysis = analysis_of(scan, center_mm)
    (nodule,) = analysis.report.nodules
    more = {
        "change": "slowly grown",
        "prior_volume_mm3": 100.0,
        "doubling_days": 412.5,
        "doubling_days_high": math.inf,
    }
    grown = replace(nodule, measurements={**nodule.measurements, **more})
    analysis = replace(analysis, report=replace(analysis.report, nodules=(grown,)))
    _, group = groups_of(read(write_dicom(analysis, scan, tmp_path / "out").paths, "sr"))
    numbers = numbers_of(group)
    assert (numbers["PRIORVOLUME"], numbers["DOUBLING"]) == ((100.0, "mm3"), (412.5, "d"))
    assert "DOUBLINGHIGH" not in numbers
    assert item_of(group, "Change since the earlier scan").ConceptCodeSequence[0].CodeMeaning == "Slowly grown"
    assert item_of(group, "Lung-RADS v2022 category, compared with an earlier CT").ValueType == "CODE"


def test_segment_and_measurements_know_each_other(tmp_path: Path) -> None:
    scan, center_mm = write_thorax(tmp_path / "in")
    paths = write_dicom(analysis_of(scan, center_mm, center_mm + BACK_MM), scan, tmp_path / "out").paths
    report, outlined = read(paths, "sr"), read(paths, "seg")
    segments = {segment.SegmentNumber: segment for segment in outlined.SegmentSequence}
    groups = groups_of(report)[1:]
    assert [item_of(group, "Tracking Identifier").TextValue for group in groups] == ["Nodule 1", "Nodule 2"]
    for number, group in enumerate(groups, 1):
        (reference,) = item_of(group, "Referenced Segment").ReferencedSOPSequence
        assert (reference.ReferencedSOPInstanceUID, reference.ReferencedSegmentNumber) == (
            outlined.SOPInstanceUID,
            number,
        )
        assert segments[number].TrackingUID == item_of(group, "Tracking Unique Identifier").UID
        assert item_of(group, "Tracking Identifier").TextValue == segments[number].TrackingID
    assert len({segment.TrackingUID for segment in segments.values()}) == 2
    assert outlined.StudyInstanceUID == report.StudyInstanceUID == scan.study_uid


def test_the_observer_is_the_program_with_its_weights(tmp_path: Path) -> None:
    scan, center_mm = write_thorax(tmp_path / "in")
    report = read(write_dicom(analysis_of(scan, center_mm), scan, tmp_path / "out").paths, "sr")
    assert item_of(report, "Device Observer Model Name").TextValue == "tiny + small"
    checksums = f"{PROVENANCE['detector_sha256']}+{PROVENANCE['classifier_sha256']}"
    assert item_of(report, "Device Observer Serial Number").TextValue == report.DeviceSerialNumber == checksums
    assert "research use only" in item_of(report, "Device Observer Name").TextValue
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")


def test_without_nodules_there_is_a_report_alone(tmp_path: Path) -> None:
    scan, _ = write_thorax(tmp_path / "in")
    (path,) = write_dicom(analysis_of(scan), scan, tmp_path / "out").paths
    (patient,) = groups_of(dcmread(path))
    assert numbers_of(patient) == {"ONEYEAR": (23.4567, "%")}


def test_the_same_bytes_whatever_the_files_are_called(tmp_path: Path) -> None:
    scan, center_mm = write_thorax(tmp_path / "in")
    first = write_dicom(analysis_of(scan, center_mm), scan, tmp_path / "first").paths
    (tmp_path / "again").mkdir()
    for k, path in enumerate(reversed(scan.paths)):
        shutil.copy(path, tmp_path / "again" / f"IM{k:03d}")
    (again,) = find_scans(tmp_path / "again")
    second = write_dicom(analysis_of(again, center_mm), again, tmp_path / "second").paths
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.slow
def test_other_results_have_other_uids(tmp_path: Path) -> None:
    scan, center_mm = write_thorax(tmp_path / "in")
    first, second = (
        [dcmread(path) for path in write_dicom(analysis_of(scan, center), scan, tmp_path / str(k)).paths]
        for k, center in enumerate((center_mm, center_mm + BACK_MM))
    )
    for name in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert len({str(made[name].value) for made in (*first, *second)}) == 4
    for made in (*first, *second):
        assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID
        assert made.StudyInstanceUID == scan.study_uid


@pytest.mark.slow
def test_unevenly_spaced_slices(tmp_path: Path) -> None:
    """A slice is missing through the nodule: the mask has none there, and the rest lies where it lay."""
    write_thorax(tmp_path / "in")
    (tmp_path / "in" / "0031.dcm").unlink()
    (scan,) = find_scans(tmp_path / "in")
    center_mm = np.array([-95.25 + 50, -55.5 + 54, 10.125 + 60])
    analysis = analysis_of(scan, center_mm)
    assert any(warning.startswith("missing_slices") for warning in analysis.report.warnings)
    outlined = read(write_dicom(analysis, scan, tmp_path / "out").paths, "seg")
    heights = {round(float(frame.position_mm[2] - 10.125)) for frame in frames_of(outlined)}
    assert heights == {54, 56, 58, 60, 64, 66}
    np.testing.assert_allclose(segment_points(outlined, 1)[:, :2].mean(axis=0), center_mm[:2], atol=0.2)
    assert "SpacingBetweenSlices" not in outlined.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
