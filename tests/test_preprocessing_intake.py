"""What the intake finds, names and keeps to itself; single damages are in test_preprocessing_damage."""

import logging
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLSLossless

from preprocessing.cohort import write_scans
from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Reason, ScanError
from preprocessing.intake.volume_reader import read_volume
from tests import damage as d
from tests import damage_files
from tests.series import PATIENT_ID, SERIES_UID, chest, edit_series, slice_files, write_series

TEXT_TAGS = (
    "Modality", "ImageType", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID", "PhotometricInterpretation",
    "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept",
    "GantryDetectorTilt", "FrameOfReferenceUID", "NumberOfFrames",
)  # fmt: skip


def write_image(path: Path) -> Path:
    volume = chest()
    image = sitk.GetImageFromArray(volume.hu)
    image.SetSpacing(volume.geometry.spacing_mm)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def test_a_wrong_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        find_scans(tmp_path / "nothing")


def test_a_series_is_named_by_its_tags(tmp_path: Path) -> None:
    (scan,) = find_scans(write_series(tmp_path / "a"))
    assert (scan.patient_id, scan.series_uid, scan.refused, scan.warnings) == (PATIENT_ID, SERIES_UID, None, ())
    assert list(scan.paths) == slice_files(tmp_path / "a")  # written from feet to head


def test_paths_come_in_slice_order_whatever_the_names(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "a")
    files = slice_files(folder)
    names = [path.with_name(f"x{k}") for k, path in enumerate(random.Random(1).sample(files, len(files)))]
    for path, name in zip(files, names, strict=True):
        path.rename(name)
    assert list(find_scans(folder)[0].paths) == names


def test_patients_in_any_nesting_in_a_fixed_order(tmp_path: Path) -> None:
    for name in ("c", "a/deep/er", "b"):
        volume = chest()
        object.__setattr__(volume, "series_uid", f"1.2.{ord(name[0])}")
        write_series(tmp_path / name, volume, patient_id=f"P {name[0]}")
    damage_files.into_zip(tmp_path / "c")
    scans = find_scans(tmp_path)
    assert sorted(s.patient_id for s in scans) == ["P a", "P b", "P c"]
    assert [s.refused for s in scans] == [None] * 3
    assert [s.series_uid for s in find_scans(tmp_path)] == [s.series_uid for s in scans]


def test_a_series_spread_over_folders_is_one(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "a")
    (tmp_path / "b").mkdir()
    for path in slice_files(folder)[::2]:
        shutil.move(path, tmp_path / "b" / path.name)
    (scan,) = find_scans(tmp_path)
    np.testing.assert_array_equal(read_volume(scan).hu, chest().hu)


def test_image_files_are_named_by_file(tmp_path: Path) -> None:
    write_image(tmp_path / "1.2.3.nii.gz")
    write_image(tmp_path / "1.2.4.mhd")
    assert [s.series_uid for s in find_scans(tmp_path)] == ["1.2.3", "1.2.4"]


def test_no_two_images_share_a_name(tmp_path: Path) -> None:
    for name in ("a/ct.nii", "b/ct.nii", "a_b/ct.nii", "a/b_ct.nii", "a/ct.mha"):
        write_image(tmp_path / name)
    for name in ("x", "y"):
        write_image(tmp_path / name / "ct.nii")
        shutil.make_archive(str(tmp_path / name), "zip", tmp_path / name)
        shutil.rmtree(tmp_path / name)
    names = [s.series_uid for s in find_scans(tmp_path)]
    assert len(set(names)) == len(names) == 7


def test_an_image_beside_its_own_dicom_series(tmp_path: Path) -> None:
    write_series(tmp_path)
    write_image(tmp_path / f"{SERIES_UID}.nii.gz")
    names = [s.series_uid for s in find_scans(tmp_path)]
    assert len(set(names)) == len(names) == 2


def test_an_empty_zip_is_said(tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    (tmp_path / "none").mkdir()
    shutil.make_archive(str(tmp_path / "b"), "zip", tmp_path / "none")
    (tmp_path / "none").rmdir()
    assert sorted(s.refused or "" for s in find_scans(tmp_path)) == ["", Reason.EMPTY_FOLDER]


def test_a_link_back_upwards_ends(tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "dangling.dcm").symlink_to(tmp_path / "gone")
    assert [s.refused for s in find_scans(tmp_path)] == [None]


@pytest.mark.parametrize("tag", TEXT_TAGS)
def test_a_name_in_a_wrong_tag_is_not_repeated(
    tag: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    folder = write_series(tmp_path / "a", chest(10))
    for path in slice_files(folder):
        path.write_bytes(renamed(path.read_bytes(), tag))
    said = ""
    for scan in find_scans(folder):
        said += scan.detail + "".join(scan.warnings)
        try:
            read_volume(scan)
        except ScanError as error:
            said += repr(error)
    assert "Quetzal" not in said + caplog.text + "".join(capfd.readouterr())


def renamed(content: bytes, tag: str) -> bytes:
    """The patient's name in place of a tag's value."""
    try:
        return d.spliced(content, tag, b"Quetzalcoatl")
    except ValueError:  # the tag is not in the file
        return content


@pytest.mark.parametrize(
    "seed", [*range(24), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(24, 240))]
)
def test_flipped_bytes_never_raise_and_never_move_the_volume(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    folder = write_series(tmp_path / "a", chest(12))
    kind = (lambda f: f, damage_files.bare(), damage_files.as_enhanced(), damage_files.compressed(JPEGLSLossless),
            damage_files.rewritten(DeflatedExplicitVRLittleEndian), damage_files.into_zip)[seed % 6]  # fmt: skip
    kind(folder)
    for path in rng.permutation(sorted(folder.iterdir()))[:2]:
        content = bytearray(path.read_bytes())
        for at in rng.integers(0, min(len(content), 1200), 5):
            content[at] = rng.integers(0, 256)
        path.write_bytes(content)
    for scan in find_scans(folder):
        try:
            volume = read_volume(scan)
        except ScanError:
            continue
        if any(w.startswith("uneven_spacing") for w in scan.warnings):
            continue
        # A digit of one position may have changed by less than the tolerances of the intake.
        index = chest(12).geometry.to_voxel(volume.geometry.to_world(np.indices(volume.hu.shape).reshape(3, -1).T))
        assert np.abs(index - np.rint(index)).max() < 0.15


def test_two_scans_of_one_patient_both_read(tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    write_series(tmp_path / "b")
    edit_series(tmp_path / "b", lambda k, s: setattr(s, "SeriesInstanceUID", "1.2.99"))
    assert [(s.patient_id, s.refused) for s in find_scans(tmp_path)] == [(PATIENT_ID, None)] * 2


@pytest.mark.parametrize(
    "broken", ["image_scans.check_image", "find.stack_of", "series.told.slices_of", "series.told.read_header"]
)
def test_a_defect_refuses_one_scan_and_not_the_cohort(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the bytes of one file make our own code raise."""

    def fail(*_: object) -> None:
        raise IndexError("Quetzalcoatl")

    write_series(tmp_path / "a")
    write_image(tmp_path / "b.nii")
    monkeypatch.setattr(f"preprocessing.intake.{broken}", fail)
    found = find_scans(tmp_path)
    assert sorted(str(s.refused) for s in found) == ["None", "internal_error"]
    assert all("Quetzalcoatl" not in s.detail + caplog.text for s in found)


def test_file_names_that_are_no_text(tmp_path: Path) -> None:
    write_image(tmp_path / "good.nii")
    odd = os.fsencode(tmp_path) + b"/bad\xe9.nii"
    try:
        shutil.copy(os.fsencode(tmp_path / "good.nii"), odd)
    except OSError:
        pytest.skip("this file system takes no such names")
    os.mkdir(os.fsencode(tmp_path) + b"/none\xe9")  # noqa: PTH102, a Path takes no bytes
    found = find_scans(tmp_path)
    assert [s.refused for s in found] == [None, None, Reason.EMPTY_FOLDER]
    write_scans(tmp_path / "scans.csv", found)
    written = (tmp_path / "scans.csv").read_text()
    assert "bad\\udce9" in written
    assert "none\\udce9" in written
