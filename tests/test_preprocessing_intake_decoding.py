"""Worker processes give what this process gives, and take over when that pays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from preprocessing.intake import decoding
from preprocessing.intake.decoding import decoded
from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Reason, ScanError
from preprocessing.intake.volume_reader import read_volume
from tests import damage as d
from tests.lossless_jpeg import encoded
from tests.series import chest, edit_series, slice_files, write_enhanced, write_series


@pytest.fixture
def workers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "STARTING_S", 0.0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def lossless_jpeg(dataset: Dataset) -> None:
    frame = encoded(d.pixels(dataset), 16, 16)
    dataset.PixelData = encapsulate([frame + b"\0" * (len(frame) % 2)])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1


def compressed(syntax: str) -> Callable[[int, Dataset], None]:
    def edit(k: int, dataset: Dataset) -> None:
        if syntax == JPEGLosslessSV1:
            lossless_jpeg(dataset)
        else:
            dataset.compress(syntax, generate_instance_uid=False)

    return edit


def process(path: Path, frames: slice = slice(None)) -> list[tuple[int, None]]:
    return [(os.getpid(), None)]


def crash(path: Path, frames: slice = slice(None)) -> None:
    os._exit(11)  # as a segmentation fault does


@pytest.mark.usefixtures("workers_at_once")
@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1])
def test_workers_give_the_same_volume(syntax: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (scan,) = find_scans(edit_series(write_series(tmp_path / "a"), compressed(syntax)))
    np.testing.assert_array_equal(read_volume(scan).hu, chest().hu)
    monkeypatch.setattr(decoding, "read_images", process)
    assert os.getpid() not in {pid for pid, _ in decoded(scan.paths)}


@pytest.mark.usefixtures("workers_at_once")
@pytest.mark.parametrize("extended", [False, True])
def test_frames_of_one_file_are_shared_out(extended: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def compress(dataset: Dataset) -> None:
        dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
        if extended:
            frames = list(generate_frames(dataset.PixelData, number_of_frames=16))
            data, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = encapsulate_extended(frames)
            dataset.PixelData = data

    write_enhanced(tmp_path / "enhanced.dcm", chest(), compress)
    (scan,) = find_scans(tmp_path)
    np.testing.assert_array_equal(read_volume(scan).hu, chest().hu)
    monkeypatch.setattr(decoding, "read_images", process)
    assert len(decoded(scan.paths)) == 4  # two parts for each worker


@pytest.mark.usefixtures("workers_at_once")
def test_frames_without_pixels_are_missed_in_parts_too(tmp_path: Path) -> None:
    def shorten(dataset: Dataset) -> None:
        dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
        frames = list(generate_frames(dataset.PixelData, number_of_frames=16))
        dataset.PixelData, dataset.NumberOfFrames = encapsulate(frames[:-1]), 15

    write_enhanced(tmp_path / "enhanced.dcm", chest(), shorten)
    (scan,) = find_scans(tmp_path)
    with pytest.raises(ScanError) as caught:
        read_volume(scan)
    assert caught.value.reason is Reason.TRUNCATED


@pytest.mark.usefixtures("workers_at_once")
def test_a_decoder_that_ends_its_process_is_a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (scan,) = find_scans(edit_series(write_series(tmp_path / "a"), compressed(JPEG2000Lossless)))
    monkeypatch.setattr(decoding, "read_images", crash)
    with pytest.raises(ScanError) as caught:
        read_volume(scan)
    assert caught.value.reason is Reason.UNREADABLE
    monkeypatch.undo()
    np.testing.assert_array_equal(read_volume(scan).hu, chest().hu)


def test_workers_are_started_when_that_pays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 slices of 44 x 48 cost 16 x 2,112e-6 x .17 s = 5.7 ms: the second series reaches 10 ms."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(decoding, "_account", decoding._Account())
    monkeypatch.setattr(decoding, "STARTING_S", 0.01)
    monkeypatch.setattr(decoding, "read_images", process)
    plain = slice_files(write_series(tmp_path / "plain"))
    rle = slice_files(edit_series(write_series(tmp_path / "rle"), compressed(RLELossless)))
    packed = slice_files(edit_series(write_series(tmp_path / "packed"), compressed(JPEG2000Lossless)))
    here = [{pid for pid, _ in decoded(paths)} == {os.getpid()} for paths in (plain, rle, packed, packed, plain)]
    assert here == [True, True, True, False, True]
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert {pid for pid, _ in decoded(packed)} == {os.getpid()}
