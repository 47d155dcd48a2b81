"""What results inherit of their series, what they may say of it, and candidates as a report."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import Dataset, dcmread

pytest.importorskip("highdicom")

from detection.candidate import Candidate
from detection.detect import DetectSettings
from detection.dicom_out.write import Written, write_candidate_report
from preprocessing.intake.find import find_scans
from preprocessing.intake.headers import quiet_pydicom
from preprocessing.intake.scan import Scan
from runs.entry import UsageError
from tests.dicom_cases import PROVENANCE, groups_of, item_of, numbers_of
from tests.series import PATIENT_ID, PATIENT_NAME, Edit, chest, edit_series, write_enhanced, write_series


def series(folder: Path, edit: Edit | None = None) -> Scan:
    write_series(folder)
    if edit:
        edit_series(folder, edit)
    (scan,) = find_scans(folder)
    return scan


def written(scan: Scan, folder: Path, *centers_mm: tuple[float, float, float]) -> Written:
    candidates = [Candidate(scan.series_uid, center, 9.5, 0.625) for center in centers_mm]
    return write_candidate_report(candidates, PROVENANCE, scan, folder)


def report(scan: Scan, folder: Path) -> Dataset:
    (path,) = written(scan, folder, (1.0, 2.0, -700.0)).paths
    return dcmread(path)


def test_candidates_are_spheres(tmp_path: Path) -> None:
    scan = series(tmp_path / "in")
    (path,) = written(scan, tmp_path / "out", (-61.1234, 2.0625, -700.5), (40.0, 0.0, -699.0)).paths
    count, first, second = groups_of(dcmread(path))
    assert numbers_of(count) == {"CANDIDATES": (2, "1")}
    for group, center in ((first, (-61.1234, 2.0625, -700.5)), (second, (40.0, 0.0, -699.0))):
        assert numbers_of(group) == {"CANDIDATEDIAM": (9.5, "mm"), "DETECTORSCORE": (62.5, "%")}
        surface = item_of(group, "Volume Surface")
        ends = np.array(surface.GraphicData).reshape(3, 2, 3)
        assert surface.GraphicType == "ELLIPSOID"
        np.testing.assert_allclose(ends.mean(axis=1), [center] * 3, atol=1e-4)
        np.testing.assert_allclose(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1), 9.5, atol=1e-4)
        np.testing.assert_allclose(item_of(group, "Center").GraphicData, center, atol=1e-4)


def test_no_candidates_are_said_as_well(tmp_path: Path) -> None:
    (path,) = written(series(tmp_path / "in"), tmp_path / "out").paths
    assert [numbers_of(group) for group in groups_of(dcmread(path))] == [{"CANDIDATES": (0, "1")}]


def test_patient_and_study_come_from_the_source(tmp_path: Path) -> None:
    def edit(k: int, dataset: Dataset) -> None:
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.PatientName, dataset.PatientSex, dataset.AccessionNumber = "Müller^Jörg", "M", "A-17"
        dataset.ContentDate, dataset.ContentTime = "20010204", "101112.5"

    made = report(series(tmp_path / "in", edit), tmp_path / "out")
    assert str(made.PatientName) == "Müller^Jörg"
    assert (made.PatientID, made.PatientSex, made.AccessionNumber) == (PATIENT_ID, "M", "A-17")
    assert (made.StudyDate, made.ContentDate, made.ContentTime) == ("20010203", "20010204", "101112")


def test_undated_images_have_results_of_no_day(tmp_path: Path) -> None:
    def edit(k: int, dataset: Dataset) -> None:
        del dataset.StudyDate, dataset.StudyTime

    made = report(series(tmp_path / "in", edit), tmp_path / "out")
    assert (made.StudyDate, made.ContentDate, made.ContentTime) == ("", "19000101", "000000")


def test_faulty_headers_cost_their_value_and_nothing_is_quoted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def edit(k: int, dataset: Dataset) -> None:
        dataset.PatientName = PATIENT_NAME + "=" * 5 + "\\" + "x" * 80
        dataset.PatientBirthDate = "1st of May"
        dataset.StudyTime, dataset.PatientSex, dataset.SliceThickness = "25:61", "unknown", "0"
        dataset.PatientID = PATIENT_ID + "y" * 80
        dataset.PatientWeight, dataset.PregnancyStatus = "54321", 4

    with quiet_pydicom():
        scan = series(tmp_path / "in", edit)
    for path in scan.paths:
        # A number that is none, and one of eight bytes that has two.
        content = path.read_bytes().replace(b"54321", b"heavy")
        path.write_bytes(content.replace(b"\x10\x00\xc0\x21US", b"\x10\x00\xc0\x21FD"))
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        (path,) = written(scan, tmp_path / "out").paths
    with quiet_pydicom():
        made = dcmread(path)
        assert made.PatientWeight == "heavy"
        assert "PregnancyStatus" not in made
        assert made.PatientID == PATIENT_ID + "y" * 80
    assert (made.PatientBirthDate, made.StudyTime, made.PatientSex, made.AccessionNumber) == ("", "", "", "")
    said = caplog.text + "".join(capfd.readouterr()) + path.name
    assert not any(word in said for word in (PATIENT_NAME, PATIENT_ID, "May", "heavy"))


@pytest.mark.parametrize("name", ["FrameOfReferenceUID", "StudyInstanceUID", "SOPInstanceUID"])
def test_what_nothing_can_refer_to_costs_a_warning(tmp_path: Path, name: str) -> None:
    def edit(k: int, dataset: Dataset) -> None:
        if k == 3:
            delattr(dataset, name)

    said = written(series(tmp_path / "in", edit), tmp_path / "out", (0.0, 0.0, -700.0))
    assert said.paths == ()
    assert not (tmp_path / "out").exists()
    assert said.warnings == (f"no_dicom: no results were written as DICOM, an image of the series has no {name}",)


def test_instances_that_share_a_uid_cost_a_warning(tmp_path: Path) -> None:
    def edit(k: int, dataset: Dataset) -> None:
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"

    (said,) = written(series(tmp_path / "in", edit), tmp_path / "out").warnings
    assert "two images of the series have the same SOPInstanceUID" in said


def test_an_image_file_costs_a_warning(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(chest().hu)
    image.SetSpacing((6.5, 7.0, 2.5))
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    (scan,) = find_scans(tmp_path)
    said = written(scan, tmp_path / "out", (0.0, 0.0, -700.0))
    assert said == Written((), ("no_dicom: no results were written as DICOM, the scan did not come as DICOM",))


def test_what_is_wrong_with_the_disk_is_told(tmp_path: Path) -> None:
    scan = series(tmp_path / "in")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FileExistsError):
        written(scan, tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        written(replace(scan, paths=(tmp_path / "gone.dcm",)), tmp_path / "out")


def test_an_enhanced_file_is_a_source_too(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "a.dcm", chest())
    (scan,) = find_scans(tmp_path)
    made = report(scan, tmp_path / "out")
    (study,) = made.CurrentRequestedProcedureEvidenceSequence
    (evidence,) = study.ReferencedSeriesSequence
    uids = [item.ReferencedSOPInstanceUID for item in evidence.ReferencedSOPSequence]
    assert uids == [dcmread(tmp_path / "a.dcm").SOPInstanceUID]


def test_the_option_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detection.detect.find_spec", lambda name: None)
    assert not DetectSettings().dicom
    with pytest.raises(UsageError, match="dicom_images=true needs dicom=true"):
        DetectSettings(dicom_images=True)
    with pytest.raises(UsageError, match=r"pip install 'lungscreen\[dicom\]'"):
        DetectSettings(dicom=True)
