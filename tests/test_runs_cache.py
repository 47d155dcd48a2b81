"""A cache that others write to, prune and fill up at the same time, and that never stops a run."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

import pytest

import runs.cache
from runs.cache import code_digest, load, prune, store


@pytest.fixture(autouse=True)
def new_run() -> None:
    runs.cache._warned.clear()


def keep(entry: Path, text: bytes = b"x" * 10, limit: int = 10**6) -> None:
    store(entry, lambda handle: handle.write(text) and None, limit=limit)


def test_there_and_back(tmp_path: Path) -> None:
    entry = tmp_path / "a" / "b" / "k.bin"
    assert load(entry, Path.read_bytes) is None
    keep(entry, b"hello")
    assert load(entry, Path.read_bytes) == b"hello"
    assert [p.name for p in entry.parent.iterdir()] == ["k.bin"]


@pytest.mark.parametrize("error", [OSError(), ValueError(), KeyError(), EOFError(), TypeError()])
def test_a_damaged_entry_is_none(error: Exception, tmp_path: Path) -> None:
    def read(path: Path) -> bytes:
        raise error

    keep(tmp_path / "k.bin")
    assert load(tmp_path / "k.bin", read) is None


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    for age, name in enumerate(("c", "b", "a")):
        keep(tmp_path / f"{name}.bin")
        os.utime(tmp_path / f"{name}.bin", (1000 - age, 1000 - age))
    keep(tmp_path / "other.txt", b"y" * 100)
    load(tmp_path / "a.bin", Path.read_bytes)
    keep(tmp_path / "d.bin", limit=29)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.bin", "d.bin", "other.txt"]


def test_what_a_killed_run_left_goes_after_a_day(tmp_path: Path) -> None:
    for name, age in (("old.tmp", 90_000), ("new.tmp", 10)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    prune(tmp_path, ".bin", 10)
    assert [p.name for p in tmp_path.iterdir()] == ["new.tmp"]


def test_entries_that_vanish_while_we_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.bin", "b.bin"):
        keep(tmp_path / name)
    listed = list(tmp_path.iterdir())
    monkeypatch.setattr(Path, "iterdir", lambda self: iter([*listed, tmp_path / "gone.bin"]))
    prune(tmp_path, ".bin", 10)
    assert sum(p.exists() for p in listed) == 1


def test_writers_at_the_same_time_leave_one_whole_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when their process ids are equal, as on two hosts."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    together = threading.Barrier(4)

    def slowly(text: bytes) -> None:
        def write(handle: BinaryIO) -> None:
            together.wait(10)
            for k in range(len(text)):
                handle.write(text[k : k + 1])

        store(tmp_path / "k.bin", write)

    texts = [letter * 1000 for letter in (b"a", b"b", b"c", b"d")]
    threads = [threading.Thread(target=slowly, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "k.bin").read_bytes() in texts
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("fault", ["folder is a file", "disk full while writing", "disk full before"])
def test_a_cache_that_cannot_be_written_warns_once(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "cache" / "prepared"
    if fault == "folder is a file":
        folder.parent.write_text("not a folder")
    if fault == "disk full before":
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 0))

    def write(handle: BinaryIO) -> None:
        handle.write(b"half")
        raise OSError(28, "No space left on device")

    with caplog.at_level(logging.WARNING):
        for k in range(3):
            store(folder / f"{k}.bin", write, size=100)
        assert load(folder / "0.bin", Path.read_bytes) is None
    assert len(caplog.records) == 1
    assert str(tmp_path / "cache") in caplog.text
    assert "goes on without it" in caplog.text
    assert not folder.is_dir() or not list(folder.iterdir())


def test_a_defect_in_the_writer_is_not_hidden(tmp_path: Path) -> None:
    def write(handle: BinaryIO) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store(tmp_path / "k.bin", write)
    assert not list(tmp_path.iterdir())


def test_the_code_behind_the_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = runs.cache._sources("preprocessing.prepare")
    reading = {
        "geometry",
        "intake.headers",
        "intake.images",
        "lungs.borders",
        "lungs.mask",
        "masks",
        "intake.pixels",
        "prepare",
        "intake.volume_reader",
        "resample",
        "intake.scan",
        "intake.stack",
        "volume",
    }
    assert {f"preprocessing.{name}" for name in reading} <= sources.keys()
    assert not [name for name in sources if name.startswith(("runs", "detection")) or "lidc" in name]
    before = code_digest("preprocessing.prepare")
    assert code_digest("preprocessing.prepare") == before
    code_digest.cache_clear()
    monkeypatch.setattr(runs.cache, "_sources", lambda module: sources | {"preprocessing.lungs.mask": b"changed"})
    assert code_digest("preprocessing.prepare") != before
    code_digest.cache_clear()


def test_code_that_needs_an_extra_is_read_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("highdicom", "detection.dicom_out"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "highdicom", None)
    assert "detection.dicom_out.report" in runs.cache._sources("detection.detect")
