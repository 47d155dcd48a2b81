"""Lung masks beside their scans, as LUNA16 comes: a scan keeps its uid, a mask is refused as what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from preprocessing.cohort import for_each_scan, write_scans
from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Reason, Scan, ScanError
from preprocessing.intake.volume_reader import read_volume
from preprocessing.luna16.files import read_series
from tests.collections import LABELS, UID, small_chest, write_labels, write_luna16


def by_file(scans: list[Scan], root: Path) -> dict[str, tuple[str, Reason | None]]:
    return {scan.paths[0].relative_to(root).as_posix(): (scan.series_uid, scan.refused) for scan in scans}


def test_the_whole_of_luna16_is_named_by_its_uids(tmp_path: Path) -> None:
    uids = write_luna16(tmp_path, {0: 1, 3: 1})
    write_labels(tmp_path / "seg-lungs-LUNA16" / f"{uids[0]}.mhd", packed=True)
    write_labels(tmp_path / "seg-lungs-LUNA16" / f"{uids[1]}.mhd", np.int16, packed=True)
    assert by_file(find_scans(tmp_path), tmp_path) == {
        f"subset0/{UID}0.1.mhd": (f"{UID}0.1", None),
        f"subset3/{UID}3.1.mhd": (f"{UID}3.1", None),
        f"seg-lungs-LUNA16/{UID}0.1.mhd": (f"seg-lungs-LUNA16_{UID}0.1.mhd", Reason.LABEL_MAP),
        f"seg-lungs-LUNA16/{UID}3.1.mhd": (f"seg-lungs-LUNA16_{UID}3.1.mhd", Reason.LABEL_MAP),
    }


@pytest.mark.parametrize(("kind", "packed"), [(np.uint8, True), (np.uint8, False), (np.int16, False)])
def test_labels_in_any_folder_take_no_name(tmp_path: Path, kind: type, packed: bool) -> None:
    write_luna16(tmp_path / "scans", {0: 1})
    write_labels(tmp_path / "drawn" / f"{UID}0.1.mhd", kind, packed)
    assert by_file(find_scans(tmp_path), tmp_path) == {
        f"scans/subset0/{UID}0.1.mhd": (f"{UID}0.1", None),
        f"drawn/{UID}0.1.mhd": (f"drawn_{UID}0.1.mhd", Reason.LABEL_MAP),
    }


@pytest.mark.parametrize("labels", [LABELS, (1, 1, 1), (255, 255, 255)])
def test_labels_that_only_their_voxels_tell(tmp_path: Path, labels: tuple[int, ...]) -> None:
    write_labels(tmp_path / "a.nii.gz", np.int16, labels=labels)
    (scan,) = find_scans(tmp_path)
    with pytest.raises(ScanError, match=f"the voxels hold {len({*labels}) + 1} whole numbers from 0 to") as refused:
        read_volume(scan)
    assert refused.value.reason == Reason.LABEL_MAP


def test_a_chest_without_its_intercept_is_no_label_map(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray((small_chest("x").hu + 1100).astype(np.int16))
    image.SetSpacing((3.5, 3.5, 3.0))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    with pytest.raises(ScanError) as refused:
        read_volume(find_scans(tmp_path)[0])
    assert refused.value.reason == Reason.NOT_HOUNSFIELD


def test_two_scans_of_one_name_still_get_two(tmp_path: Path) -> None:
    write_luna16(tmp_path / "a", {0: 1})
    write_luna16(tmp_path / "b", {0: 1})
    assert {scan.series_uid for scan in find_scans(tmp_path)} == {f"{part}_subset0_{UID}0.1.mhd" for part in "ab"}


def test_scans_csv_as_list_of_series_holds_no_masks(tmp_path: Path) -> None:
    """One is known by its folder, one by its voxels alone, a broken scan stays among those that are scored."""
    uids = write_luna16(tmp_path / "in", {0: 2})
    write_labels(tmp_path / "in" / "seg-lungs-LUNA16" / f"{uids[0]}.mhd")
    write_labels(tmp_path / "in" / "drawn" / "lungs.nii.gz", np.int16)
    (tmp_path / "in" / "subset0" / f"{uids[1]}.raw").write_bytes(b"")
    done = for_each_scan(find_scans(tmp_path / "in"), lambda scan: read_volume(scan).warnings)
    write_scans(tmp_path / "scans.csv", done)
    assert [scan.refused for scan in done].count(Reason.LABEL_MAP) == 2
    assert read_series(tmp_path / "scans.csv") == sorted(uids)
