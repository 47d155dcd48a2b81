"""Results as DICOM for others: dicom3tools' validator, the readers of dcmtk and highdicom; and from the commands."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

pytest.importorskip("highdicom")

from highdicom import sr
from PIL import Image
from pydicom import dcmread

from detection.detect import DetectSettings, detect
from detection.dicom_out.write import write_candidate_report
from detection.pictures.key_images import write_key_images
from lungscreen.classify import ClassifySettings, classify
from lungscreen.dicom_out.write import write_dicom
from phantom.dicom_writer import Series
from phantom.dicom_writer import write_series as write_phantom
from preprocessing.intake.find import find_scans
from tests.dicom_cases import DIRECTIONS, PROVENANCE, analysis_of, groups_of, read, thorax
from tests.weights import tiny_classifier, tiny_detector

BACK_MM = np.array([0.0, 4.0, 0.0])
# All that the validator may say of a sound object: what it is, and that a scheme of ours is not among those it knows.
SAID = re.compile(r"Segmentation|Comprehensive3DSR|SCImage|Warning - .*> - Unrecognized defined term = <99LUNGSCREEN>")


def written(folder: Path, kind: str = "oblique") -> tuple[Path, ...]:
    """Of a phantom, whose own headers the validator finds sound: candidates, report, segmentation, two pictures."""
    volume, center_mm = thorax(DIRECTIONS[kind])
    (folder / "in").mkdir()
    write_phantom(volume, folder / "in", Series("P1", "a", 2.0))
    (scan,) = find_scans(folder / "in")
    analysis = analysis_of(scan, center_mm, center_mm + BACK_MM)
    candidates = write_candidate_report(analysis.candidates, PROVENANCE, scan, folder / "stage 1")
    pictures = write_key_images(analysis.prepared, analysis.candidates, folder / "key_images")
    return candidates.paths + write_dicom(analysis, scan, folder / "out", pictures).paths


def tool(name: str) -> str:
    """Its path; the test is skipped without it."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def test_the_validator_is_silent(tmp_path: Path) -> None:
    validator = tool("dciodvfy")
    for path in written(tmp_path):
        done = subprocess.run([validator, "-new", str(path)], capture_output=True, text=True, check=False)
        assert [line for line in (done.stdout + done.stderr).splitlines() if not SAID.fullmatch(line)] == []


@pytest.mark.slow
def test_dcmtk_reads_the_report(tmp_path: Path) -> None:
    candidates, report, *_ = written(tmp_path)
    for path, label in ((report, "Nodule"), (candidates, "Candidate")):
        done = subprocess.run([tool("dsrdump"), "+Pl", str(path)], capture_output=True, text=True, check=True)
        assert re.findall(rf'"({label} \d)"', done.stdout) == [f"{label} 1", f"{label} 2"]
        points = re.findall(r'"Center"\)=\(POINT,,([-\d.]+)/([-\d.]+)/([-\d.]+)\)', done.stdout)
        _, center_mm = thorax(DIRECTIONS["oblique"])
        np.testing.assert_allclose(np.array(points, float), [center_mm, center_mm + BACK_MM], atol=0.01)


@pytest.mark.slow
def test_highdicom_reads_the_report(tmp_path: Path) -> None:
    _, report, *_ = written(tmp_path)
    content = sr.srread(report).content
    (patient,) = content.get_image_measurement_groups()
    groups = content.get_volumetric_roi_measurement_groups()
    assert patient.get_measurements()[0].value == 23.4567
    assert [group.tracking_identifier for group in groups] == ["Nodule 1", "Nodule 2"]


@pytest.mark.slow
def test_pictures_are_a_series_of_their_own(tmp_path: Path) -> None:
    _, report, _, *paths = written(tmp_path)
    first, second = (dcmread(path) for path in paths)
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID != dcmread(report).SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.StudyInstanceUID == dcmread(report).StudyInstanceUID
    assert first.DateOfSecondaryCapture == "20000101"
    for made, path in zip((first, second), sorted((tmp_path / "key_images").iterdir()), strict=True):
        with Image.open(path) as picture:
            np.testing.assert_array_equal(made.pixel_array, np.asarray(picture))


@pytest.mark.slow
def test_the_commands_write_them(tmp_path: Path) -> None:
    """A DICOM series and an image file: objects of the one, a warning in the row of the other; twice the same."""
    volume, _ = thorax(DIRECTIONS["plain"])
    (tmp_path / "in").mkdir()
    write_phantom(volume, tmp_path / "in", Series("P1", "a", 2.0))
    image = sitk.GetImageFromArray(volume.hu)
    image.SetSpacing(volume.geometry.spacing_mm)
    sitk.WriteImage(image, str(tmp_path / "in" / "b.mha"))
    weights = {
        "weights": tiny_detector(tmp_path),
        "key_images": 1,
        "dicom": True,
        "dicom_images": True,
        "input": tmp_path / "in",
    }
    classifier = tiny_classifier(tmp_path)
    for name in ("one", "two"):
        assert classify(ClassifySettings(out=tmp_path / name, classifier=classifier, **weights)) == 0
    one, two = (sorted((tmp_path / name / "dicom").iterdir()) for name in ("one", "two"))
    assert [path.name[16:] for path in one] == ["_01.dcm", "_seg.dcm", "_sr.dcm"]
    assert [(path.name, path.read_bytes()) for path in one] == [(path.name, path.read_bytes()) for path in two]
    nodules = pd.read_csv(tmp_path / "one" / "nodules.csv")
    groups = groups_of(read(tuple(one), "sr"))[1:]
    assert len(groups) == sum(nodules.seriesuid == volume.series_uid) > 0
    scans = pd.read_csv(tmp_path / "one" / "scans.csv", keep_default_na=False).set_index("seriesuid")
    assert scans.status.tolist() == ["ok", "ok"]
    assert "no_dicom: no results were written as DICOM, the scan did not come as DICOM" in scans.warnings["b"]
    assert "no_dicom" not in scans.warnings[volume.series_uid]

    assert detect(DetectSettings(out=tmp_path / "one", **weights)) == 0
    _, report = sorted((tmp_path / "one" / "dicom").iterdir())
    candidates = pd.read_csv(tmp_path / "one" / "candidates.csv")
    assert len(groups_of(read((report,), "sr"))) == 1 + sum(candidates.seriesuid == volume.series_uid)
