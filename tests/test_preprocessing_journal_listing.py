"""A cohort is listed once for all of its shards, and again when its files are others."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from preprocessing.intake.find import find_scans
from preprocessing.journal import listing
from preprocessing.journal.listing import list_scans
from tests.chests import write_chest


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A scan in a folder, one that is broken, and a link back upwards."""
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    write_chest(folder / "deep" / "patient.mha")
    (folder / "brok\udcffen.mha").write_bytes(b"no header at all")
    (folder / "deep" / "up").symlink_to(folder)
    (folder / "nowhere").symlink_to(folder / "gone")
    return folder


def test_the_second_listing_is_the_first_one_and_opens_no_file(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = source.parent / "shards" / "listing.json"
    first = list_scans(source, kept)
    assert first == find_scans(source)
    assert sorted(scan.refused is None for scan in first) == [False, True]
    monkeypatch.setattr(listing, "find_scans", lambda *_: pytest.fail("listed again"))
    assert list_scans(source, kept) == first


def changed(source: Path) -> None:
    """The same bytes at another time."""
    os.utime(source / "deep" / "patient.mha", ns=(0, 1))


def grown(source: Path) -> None:
    write_chest(source / "deep" / "another.mha", seed=1)


def gone(source: Path) -> None:
    (source / "deep" / "patient.mha").unlink()


@pytest.mark.parametrize("happens", [changed, grown, gone])
def test_other_files_are_listed_again(source: Path, happens, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = source.parent / "listing.json"
    list_scans(source, kept)
    happens(source)
    asked: list[Path] = []
    monkeypatch.setattr(listing, "find_scans", lambda path: asked.append(path) or find_scans(path))
    assert list_scans(source, kept) == find_scans(source)
    assert asked == [source]


def test_a_damaged_listing_and_archives_are_listed_anew(source: Path) -> None:
    kept = source.parent / "listing.json"
    first = list_scans(source, kept)
    kept.write_text("{")
    assert list_scans(source, kept) == first
    kept.unlink()
    with zipfile.ZipFile(source / "more.zip", "w") as packed:
        packed.write(source / "deep" / "patient.mha", "third.mha")
    assert len(list_scans(source, kept)) == len(first) + 1
    assert not kept.exists()


def test_without_a_file_nothing_is_kept(source: Path) -> None:
    assert list_scans(source, None) == find_scans(source)
    with pytest.raises(FileNotFoundError):
        list_scans(source / "nothing", source.parent / "listing.json")
