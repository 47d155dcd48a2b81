"""The cache of prepared scans: the same bytes once, other bytes or settings anew, damage healed."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import preprocessing.prepare
from preprocessing.cohort import for_each_scan
from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Scan
from preprocessing.prepare import PreparedScan, PrepareSettings, prepare_scan
from tests.chests import simple_chest


def write_chest(path: Path, shift_hu: int = 0) -> Scan:
    volume = simple_chest(thickness=5)
    image = sitk.GetImageFromArray(volume.hu + np.int16(shift_hu))
    image.SetSpacing(volume.geometry.spacing_mm)
    image.SetOrigin(volume.geometry.origin_mm)
    sitk.WriteImage(image, str(path))
    (scan,) = find_scans(path)
    return scan


def same(a: PreparedScan, b: PreparedScan) -> bool:
    return (
        np.array_equal(a.volume.hu, b.volume.hu)
        and np.array_equal(a.lung_mask, b.lung_mask)
        and a.volume.geometry.to_dict() == b.volume.geometry.to_dict()
        and a.source_geometry.to_dict() == b.source_geometry.to_dict()
        and a.warnings == b.warnings
        and a.volume.series_uid == b.volume.series_uid
    )


def test_the_second_time_comes_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = write_chest(tmp_path / "ct.mha")
    first = prepare_scan(scan, cache=tmp_path / "cache")
    monkeypatch.setattr(preprocessing.prepare, "prepare", None)  # must not be needed again
    assert same(prepare_scan(scan, cache=tmp_path / "cache"), first)


def test_other_settings_and_other_bytes_have_their_own_entries(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    prepare_scan(write_chest(tmp_path / "ct.mhd"), cache=cache)
    coarse = prepare_scan(write_chest(tmp_path / "ct.mhd"), PrepareSettings(spacing_mm=(2, 2, 2)), cache)
    assert coarse.volume.geometry.spacing_mm == (2, 2, 2)
    assert len(list(cache.glob("*.npz"))) == 2
    # Only the data file beside the header changes.
    header = (tmp_path / "ct.mhd").read_bytes()
    changed = prepare_scan(write_chest(tmp_path / "ct.mhd", shift_hu=3), cache=cache)
    assert (tmp_path / "ct.mhd").read_bytes() == header
    assert len(list(cache.glob("*.npz"))) == 3
    assert same(changed, prepare_scan(write_chest(tmp_path / "ct.mhd", shift_hu=3)))


def test_a_damaged_entry_is_made_again(tmp_path: Path) -> None:
    scan = write_chest(tmp_path / "ct.mha")
    first = prepare_scan(scan, cache=tmp_path / "cache")
    (entry,) = (tmp_path / "cache").glob("*.npz")
    whole = entry.read_bytes()
    entry.write_bytes(whole[: len(whole) // 2])
    assert same(prepare_scan(scan, cache=tmp_path / "cache"), first)
    assert entry.stat().st_size == len(whole)


def test_the_cache_keeps_within_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_scan(write_chest(tmp_path / "a.mha"), cache=tmp_path / "cache")
    (old,) = (tmp_path / "cache").iterdir()
    monkeypatch.setattr(preprocessing.prepare, "CACHE_LIMIT_BYTES", 1.5 * old.stat().st_size)
    prepare_scan(write_chest(tmp_path / "b.mha"), cache=tmp_path / "cache")
    (left,) = (tmp_path / "cache").iterdir()
    assert left != old


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    scan = write_chest(tmp_path / "ct.mha")
    (done,) = for_each_scan([scan], lambda scan: prepare_scan(scan, cache=tmp_path / "cache" / "prepared").warnings)
    assert done.refused is None


def test_other_code_makes_other_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = write_chest(tmp_path / "ct.mha")
    prepare_scan(scan, cache=tmp_path / "cache")
    monkeypatch.setattr(preprocessing.prepare, "code_digest", lambda module: "changed")
    prepare_scan(scan, cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 2
