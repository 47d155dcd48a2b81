"""One SeriesInstanceUID, several acquisitions, kinds and studies: who is read as what."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import SecondaryCaptureImageStorage

from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Reason, SeriesKind
from preprocessing.intake.volume_reader import read_volume
from tests import damage as d
from tests.series import SERIES_UID, chest, edit_series, outside_circle, slice_files, write_series


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_series(tmp_path / "series")


def second(folder: Path, up_mm: float, brighter: int = 300, **tags: object) -> None:
    """The same slices again, further up and brighter."""
    for path in slice_files(folder):

        def edit(s: Dataset) -> None:
            d.move(s, 0, 0, up_mm)
            d.put(s, d.pixels(s) + brighter * ~outside_circle(), False)
            d.set_tags(s, tags)

        d.copy_slice(path, "b" + path.name, ".2", edit)


@pytest.mark.parametrize("up_mm", [0, 0.02, 0.3, 1.0, 1.25])
@pytest.mark.parametrize(
    "tags",
    [{"AcquisitionNumber": 2}, {"ConvolutionKernel": "B70f"}, {"TemporalPositionIdentifier": 2}, {"KVP": "80"},
     {"NominalPercentageOfCardiacPhase": 70.0}, {"AcquisitionTime": "101112"}],
    ids=lambda tags: next(iter(tags)),
)  # fmt: skip
def test_two_acquisitions_are_two_scans(tags: dict[str, object], up_mm: float, folder: Path) -> None:
    edit_series(folder, lambda k, s: d.set_tags(s, {"AcquisitionNumber": 1, "ConvolutionKernel": "B30f"}))
    second(folder, up_mm, **tags)
    one, two = find_scans(folder)
    assert [one.series_uid, two.series_uid] == [f"{SERIES_UID}_1", f"{SERIES_UID}_2"]
    assert all(next(iter(tags)) in scan.warnings[-1] for scan in (one, two))
    first, brighter = read_volume(one), read_volume(two)
    np.testing.assert_array_equal(first.hu, chest().hu)
    np.testing.assert_array_equal(brighter.hu, chest().hu + 300 * ~outside_circle())
    assert brighter.geometry.origin_mm[2] == pytest.approx(first.geometry.origin_mm[2] + up_mm)


def test_two_phases_in_two_kernels_are_four_scans(folder: Path) -> None:
    second(folder, 0, 50, AcquisitionNumber=2)
    shutil.copytree(folder, folder.parent / "sharp")
    edit_series(folder.parent / "sharp", lambda k, s: (d.set_tags(s, {"ConvolutionKernel": "B70f"}), d.put(
        s, d.pixels(s) + 5 * ~outside_circle(), False)))  # fmt: skip
    scans = find_scans(folder.parent)
    assert len({scan.series_uid for scan in scans}) == 4
    differences = [(read_volume(scan).hu.astype(int) - chest().hu)[:, ~outside_circle()] for scan in scans]
    assert sorted((int(found.min()), int(found.max())) for found in differences) == [
        (0, 0),
        (5, 5),
        (50, 50),
        (55, 55),
    ]


@pytest.mark.parametrize("up_mm", [0, 0.02, 0.3])
def test_two_acquisitions_that_no_tag_parts_are_refused(up_mm: float, folder: Path) -> None:
    second(folder, up_mm)
    (scan,) = find_scans(folder)
    assert scan.refused in (Reason.DUPLICATE_SLICES, Reason.MISSING_SLICES, Reason.UNEVEN_SPACING)


def test_tags_that_change_along_the_stack_part_nothing(folder: Path) -> None:
    """A number for every rotation of two slices, and a kernel that changes below the lungs."""
    edit_series(folder, lambda k, s: d.set_tags(s, {"AcquisitionNumber": k // 2, "ConvolutionKernel": f"B{k // 8}"}))
    (scan,) = find_scans(folder)
    assert (scan.series_uid, scan.warnings) == (SERIES_UID, ())


def test_the_slice_like_its_neighbours_is_kept(folder: Path) -> None:
    for how in ({"AcquisitionNumber": 7}, {"InstanceNumber": 90}, {}):
        copy = folder / "0004b.dcm"
        d.copy_slice(slice_files(folder)[4], copy.name, ".7", lambda s, how=how: (
            d.set_tags(s, how), d.put(s, d.pixels(s)[::-1], False)))  # fmt: skip
        (scan,) = find_scans(folder)
        assert [w.partition(":")[0] for w in scan.warnings] == ["doubled_position"]
        np.testing.assert_array_equal(read_volume(scan).hu, chest().hu)
        copy.unlink()


def test_two_doubled_places_are_refused(folder: Path) -> None:
    for k in (4, 9):
        d.copy_slice(slice_files(folder)[k], f"z{k}.dcm", ".7", lambda s: d.put(s, d.pixels(s)[::-1], False))
    (scan,) = find_scans(folder)
    assert scan.refused == Reason.DUPLICATE_SLICES


@pytest.mark.parametrize("pixels", [True, False])
@pytest.mark.parametrize("count", [1, 9])
def test_objects_of_other_classes_are_left_out(count: int, pixels: bool, folder: Path) -> None:
    gone = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"))
    if not pixels:
        gone |= dict.fromkeys(("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelData"))
    kind = SecondaryCaptureImageStorage if pixels else "1.3.12.2.1107.5.9.1"
    for k in range(count):
        d.copy_slice(slice_files(folder)[k], f"z{k}.dcm", ".7", lambda s: (
            setattr(s, "SOPClassUID", kind), setattr(s.file_meta, "MediaStorageSOPClassUID", kind),
            d.set_tags(s, gone)))  # fmt: skip
    (scan,) = find_scans(folder)
    assert scan.refused is None
    assert scan.warnings == (f"stray_images: {count} object(s) of other kinds than CT images were left out",)
    np.testing.assert_array_equal(read_volume(scan).hu, chest().hu)


@pytest.mark.parametrize(
    ("image_type", "description", "kind"),
    [
        (["ORIGINAL", "PRIMARY", "AXIAL"], "Thorax 1.0 B30f", SeriesKind.ORIGINAL),
        (["DERIVED", "PRIMARY", "AXIAL"], "", SeriesKind.DERIVED),
        (["DERIVED", "SECONDARY", "REFORMATTED"], "", SeriesKind.REFORMATTED),
        (["DERIVED", "SECONDARY"], "Thorax COR 3.0", SeriesKind.REFORMATTED),
    ],
)
def test_kinds_of_series(image_type: list[str], description: str, kind: SeriesKind, folder: Path) -> None:
    edit_series(folder, lambda k, s: d.set_tags(s, {"ImageType": image_type, "SeriesDescription": description}))
    (scan,) = find_scans(folder)
    assert scan.kind == kind
    assert len(scan.warnings) == (kind != SeriesKind.ORIGINAL)


def test_slices_that_are_not_axial_are_a_reformat(folder: Path) -> None:
    coronal = ["1", "0", "0", "0", "0", "-1"]
    edit_series(folder, lambda k, s: d.set_tags(s, {"ImageOrientationPatient": coronal, "ImagePositionPatient": [
        "0", f"{2.5 * k}", "0"]}))  # fmt: skip
    (scan,) = find_scans(folder)
    assert scan.kind == SeriesKind.REFORMATTED


@pytest.mark.parametrize(
    "tags",
    [
        {"ImageType": ["DERIVED", "SECONDARY", "AXIAL", "MIP"]},
        {"ImageType": ["DERIVED", "SECONDARY", "MNIP"]},
        {"ImageType": ["DERIVED", "SECONDARY"], "SeriesDescription": "AX MIP 10 mm"},
    ],
)
def test_projections_are_refused(tags: dict[str, object], folder: Path) -> None:
    edit_series(folder, lambda k, s: d.set_tags(s, tags))
    (scan,) = find_scans(folder)
    assert scan.refused == Reason.PROJECTION


def test_the_study_of_a_scan(folder: Path) -> None:
    (scan,) = find_scans(folder)
    dataset = dcmread(slice_files(folder)[0])
    assert (scan.study_uid, scan.study_date) == (dataset.StudyInstanceUID, "20010203")
