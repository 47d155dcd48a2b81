"""Archives that unpack to more than they may; the good ones beside them are read."""

from __future__ import annotations

import gzip
import io
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

import preprocessing.intake.archive
from preprocessing.intake.archive import Budget, OverBudgetError, _root, unpack
from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Reason, ScanError
from preprocessing.intake.volume_reader import read_volume
from tests.series import PATIENT_ID, chest, slice_files, write_series

MIB = 1024**2


def packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def unpacked_bytes() -> int:
    return sum(p.stat().st_size for p in Path(_root().name).rglob("*") if p.is_file())


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 MiB beyond 100 times the archive, 50 files."""
    monkeypatch.setattr(preprocessing.intake.archive, "SPARE_BYTES", MIB)
    monkeypatch.setattr(preprocessing.intake.archive, "MOST_FILES", 50)
    monkeypatch.setattr(Budget.__init__, "__defaults__", (3, 50, MIB))


def bombs() -> dict[str, bytes]:
    """Zeros deflate to a thousandth: ten times what is allowed, and more than 1 MiB beyond it."""
    one = packed({"zeros.dcm": bytes(MIB)})
    nested = packed({f"{k}.zip": packed({f"{j}.zip": one for j in range(3)}) for k in range(3)})
    deep = packed({"x.txt": b"."})
    for _ in range(3):
        deep = packed({"deeper.zip": deep})
    return {
        "flat": packed({"zeros.dcm": bytes(60 * MIB)}),
        "nested": nested,
        "many": packed({f"{k}.txt": b"" for k in range(51)}),
        "deep": deep,
    }


@pytest.mark.parametrize(
    ("name", "said"), [("flat", "100 times"), ("nested", "100 times"), ("many", "50"), ("deep", "3 levels")]
)
def test_a_bomb_is_refused_by_name_and_the_scan_beside_it_is_read(
    name: str, said: str, tmp_path: Path, tight: None
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / f"{name}.zip").write_bytes(bombs()[name])
    before = unpacked_bytes()
    write_series(tmp_path / "good")
    shutil.make_archive(str(source / "z_good"), "zip", tmp_path / "good")
    found = find_scans(source)
    (read,), (refused,) = ([s for s in found if bool(s.refused) == bad] for bad in (False, True))
    assert read.patient_id == PATIENT_ID
    assert (refused.patient_id, refused.refused) == (name, Reason.UNREADABLE)
    assert said in refused.detail
    good = sum(p.stat().st_size for p in (tmp_path / "good").iterdir())
    assert unpacked_bytes() - before == good


def test_a_nested_archive_within_the_budget_is_read(tmp_path: Path, tight: None) -> None:
    write_series(tmp_path / "a")
    shutil.make_archive(str(tmp_path / "inner"), "zip", tmp_path / "a")
    (tmp_path / "outer.zip").write_bytes(packed({"x/inner.zip": (tmp_path / "inner.zip").read_bytes()}))
    assert [s.refused for s in find_scans(tmp_path / "outer.zip")] == [None]


def lying(size: int) -> bytes:
    """One member of 4 MiB whose headers state another size."""
    content = bytearray(packed({"x.dcm": bytes(4 * MIB)}))
    central = content.index(b"PK\x01\x02")
    struct.pack_into("<I", content, central + 24, size)
    struct.pack_into("<I", content, 22, size)
    return bytes(content)


@pytest.mark.parametrize("size", [0, 10, MIB, 400 * MIB])
def test_headers_that_lie_gain_nothing(size: int, tmp_path: Path, tight: None) -> None:
    (tmp_path / "x.zip").write_bytes(lying(size))
    before = unpacked_bytes()
    with pytest.raises(ScanError):
        unpack(tmp_path / "x.zip", Budget(bytes=8 * MIB))
    assert unpacked_bytes() == before


def test_bytes_beyond_what_was_stated_are_counted(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(packed({"x": bytes(1000)}))
    with preprocessing.intake.archive._Counted(tmp_path / "x.zip") as archive:
        archive.left = 999
        with pytest.raises(OverBudgetError, match="more than its headers state"):
            archive.extractall(tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"no zip at all"])
def test_no_zip(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(ScanError, match="damaged or not a zip"):
        unpack(tmp_path / "x.zip")


def test_members_that_collide_or_climb_stay_inside(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(packed({"../../up.dcm": b"1", "/abs.dcm": b"2"}))
    folder = unpack(tmp_path / "x.zip")
    assert sorted(p.name for p in folder.rglob("*")) == ["abs.dcm", "up.dcm"]
    (tmp_path / "y.zip").write_bytes(packed({"a": b"1", "a/b": b"2"}))
    with pytest.raises(ScanError):
        unpack(tmp_path / "y.zip")


def test_slices_packed_by_themselves(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series")
    for path in slice_files(folder):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    (folder / "notes.gz").write_bytes(gzip.compress(b"a line"))
    (folder / "broken.gz").write_bytes(b"no gzip")
    (scan,) = find_scans(folder)
    assert scan.warnings == ()
    np.testing.assert_array_equal(read_volume(scan).hu, chest().hu)


def test_a_packed_slice_that_is_cut_is_said(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series")
    path = slice_files(folder)[5]
    path.with_name("0005.dcm.gz").write_bytes(gzip.compress(path.read_bytes())[:-500])
    path.unlink()
    (scan,) = find_scans(folder)
    assert {w.partition(":")[0] for w in scan.warnings} == {"broken_files", "missing_slices"}


@pytest.mark.parametrize("name", ["scan.tar", "scan.tar.gz", "scan.7z", "Scan.RAR"])
def test_archives_that_are_passed_over_are_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x" * 99)
    (scan,) = find_scans(tmp_path)
    assert (scan.patient_id, scan.refused) == (name, Reason.UNREADABLE)
    assert ".zip" in scan.detail
