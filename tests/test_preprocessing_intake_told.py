"""Headers read on several cores: the scans that one process finds, in its order, also when a worker is killed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import joblib
import pytest

from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Reason, Scan
from preprocessing.intake.series import told
from tests.series import chest, edit_series, write_series


def series(folder: Path, number: int) -> Path:
    return write_series(folder, replace(chest(), series_uid=f"2.25.{number}"), f"p{number}")


def mixed(folder: Path) -> Path:
    """Two good series, one without positions, a folder of damage, a stranger, and an image file that is none."""
    series(folder / "a", 1)
    series(folder / "b", 2)
    edit_series(series(folder / "c", 3), lambda _, dataset: dataset.pop("ImagePositionPatient"))
    broken = folder / "d"
    broken.mkdir()
    for name in ("1.dcm", "2.dcm"):
        (broken / name).write_bytes(bytes(128) + b"DICM")
    (broken / "letter").write_bytes(b"nothing")
    (folder / "e.nii").write_bytes(b"nothing")
    return folder


def in_workers(monkeypatch: pytest.MonkeyPatch, source: Path) -> list[Scan]:
    monkeypatch.setattr(told, "LEAST_FILES", 1)
    monkeypatch.setattr(told, "BATCH", 7)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    return find_scans(source)


@pytest.mark.slow
def test_workers_find_what_one_process_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = mixed(tmp_path / "in")
    expected = find_scans(source)
    assert [scan.refused for scan in expected] == [
        None, None, Reason.MISSING_TAG, Reason.UNREADABLE, Reason.TRUNCATED,
    ]  # fmt: skip
    assert in_workers(monkeypatch, source) == expected
    read = told.told_of(next((source / "a").iterdir()))
    monkeypatch.setattr(told, "_told_of_batch", lambda paths: [(read, os.getpid()) for _ in paths])
    processes = {pid for _, pid in told.told_of_each([source] * 40)}  # type: ignore[misc, union-attr]
    assert processes
    assert os.getpid() not in processes


def killed(paths: list[Path]) -> None:
    os._exit(9)


@pytest.mark.slow
def test_a_killed_worker_costs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = mixed(tmp_path / "in")
    expected = find_scans(source)
    monkeypatch.setattr(told, "_told_of_batch", killed)
    assert in_workers(monkeypatch, source) == expected
