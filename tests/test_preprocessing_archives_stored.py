"""Prepared scans on disk: the same voxels, once, past what is refused, and after a kill."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from preprocessing.archives import stored
from preprocessing.archives.stored import StoredScan, lung_voxels, store_scans, stored_scan
from preprocessing.geometry import Geometry
from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Scan
from preprocessing.prepare import PrepareSettings, prepare_scan
from preprocessing.resample import coarsened
from preprocessing.volume import Volume
from tests.collections import small_chest, write_mhd
from tests.series import write_series

WIDE = PrepareSettings(margin_mm=32.0)


@pytest.fixture
def scans(tmp_path: Path) -> list[Scan]:
    for name in ("a", "b"):
        write_mhd(tmp_path / "ct" / f"{name}.mhd", small_chest("1.2.3"))
    return find_scans(tmp_path / "ct")


def entries(done: list[tuple[Scan, StoredScan | None]]) -> list[StoredScan]:
    return [entry for _, entry in done if entry is not None]


def test_the_arrays_are_those_of_the_preparation(tmp_path: Path, scans: list[Scan]) -> None:
    first, _ = entries(store_scans(scans, tmp_path / "store", WIDE))
    prepared = prepare_scan(scans[0], WIDE)
    assert np.array_equal(first.voxels.hu, prepared.volume.hu)
    assert np.array_equal(first.voxels.lung_mask, prepared.lung_mask)
    assert np.array_equal(first.voxels.lung_voxels, lung_voxels(prepared.lung_mask))
    assert first.voxels.hu.dtype == np.int16
    assert not first.voxels.hu.flags.writeable
    half = first.voxels.half
    assert np.array_equal(half.hu, coarsened(prepared.volume.hu, 2))
    assert np.array_equal(half.lung_voxels, lung_voxels(half.lung_mask))
    assert np.array_equal(half.half.hu, coarsened(coarsened(prepared.volume.hu, 2), 2))
    assert first.geometry.to_dict() == prepared.volume.geometry.to_dict()
    places = np.argwhere(prepared.lung_mask)
    assert first.lung_box == (tuple(places.min(0)), tuple(places.max(0) + 1))


def test_what_is_there_is_not_prepared_again(
    tmp_path: Path, scans: list[Scan], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = entries(store_scans(scans, tmp_path / "store", WIDE))
    with monkeypatch.context() as patched:
        patched.setattr(stored, "prepare_scan", None)
        again = entries(store_scans(scans, tmp_path / "store", WIDE))
    assert [entry.voxels.folder for entry in again] == [entry.voxels.folder for entry in before]
    # Another margin is another preparation.
    other = entries(store_scans(scans, tmp_path / "store", PrepareSettings()))
    assert not {e.voxels.folder for e in other} & {e.voxels.folder for e in before}


def test_a_killed_pass_goes_on_with_what_is_missing(tmp_path: Path, scans: list[Scan]) -> None:
    first, second = entries(store_scans(scans, tmp_path / "store", WIDE))
    content = {path: path.read_bytes() for path in second.voxels.folder.glob("**/*.*")}
    # Killed before the last file; and one that never began.
    (second.voxels.folder / "meta.json").unlink()
    shutil.rmtree(first.voxels.folder)
    assert stored_scan(second.voxels.folder) is None
    store_scans(scans, tmp_path / "store", WIDE)
    assert {path: path.read_bytes() for path in second.voxels.folder.glob("**/*.*")} == content
    assert stored_scan(first.voxels.folder) is not None


def test_a_pass_goes_on_past_refused_scans_and_lists_them(
    tmp_path: Path, scans: list[Scan], caplog: pytest.LogCaptureFixture
) -> None:
    raw = scans[0].paths[0].with_suffix(".raw")
    raw.write_bytes(raw.read_bytes()[:100])
    write_mhd(tmp_path / "ct" / "c.mhd", small_chest("1.2.3"))
    with caplog.at_level(logging.WARNING):
        done = store_scans(find_scans(tmp_path / "ct"), tmp_path / "store", WIDE)
    assert [scan.series_uid for scan, entry in done if entry is not None] == ["b", "c"]
    assert "1 of 3 scans were refused" in caplog.text
    assert "a: truncated" in caplog.text


@pytest.mark.slow
def test_several_processes_store_the_same_in_the_same_order(tmp_path: Path, scans: list[Scan]) -> None:
    one = entries(store_scans(scans, tmp_path / "one", WIDE))
    two = entries(store_scans(scans, tmp_path / "two", WIDE, jobs=2))
    assert [e.series_uid for e in one] == [e.series_uid for e in two] == ["a", "b"]
    for a, b in zip(one, two, strict=True):
        assert np.array_equal(a.voxels.hu, b.voxels.hu)


def test_a_store_that_cannot_be_written_ends_the_pass(
    tmp_path: Path, scans: list[Scan], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space"):
        store_scans(scans, tmp_path / "store", WIDE)


def test_the_pixel_grid_is_the_files_own_where_axes_were_turned(tmp_path: Path) -> None:
    """Outlines count in the columns and rows of the files, whatever way these run; here to the right and to the front,
    as in 14 of LUNA16's scans."""
    upright = small_chest("1.2.3")
    corner = upright.geometry.to_world([0, 79, 89])
    turned = Geometry(upright.geometry.shape_zyx, (3.5, 3.5, 3.0), tuple(corner), np.diag([-1.0, -1.0, 1.0]))
    (scan,) = find_scans(write_series(tmp_path / "ct", Volume(upright.hu[:, ::-1, ::-1], turned, "1.2.3")))
    prepared = prepare_scan(scan)
    assert np.allclose(prepared.source_geometry.direction, np.eye(3))
    assert stored.pixel_grid(scan, prepared).to_dict() == turned.to_dict()
