"""Enhanced multi-frame files: a rescale for each frame, and several acquisitions in one file."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from preprocessing.archives.stored import pixel_grid
from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Reason
from preprocessing.intake.volume_reader import read_volume
from preprocessing.prepare import prepare
from tests.series import COLUMNS, ROWS, chest, write_enhanced


def frames_of(dataset: Dataset) -> np.ndarray:
    return np.frombuffer(dataset.PixelData, "<u2").reshape(-1, ROWS, COLUMNS).astype(int)


def group(name: str, **tags: object) -> Callable[[Dataset], None]:
    """A functional group of a frame."""

    def add(frame: Dataset) -> None:
        values = Dataset()
        for tag, value in tags.items():
            setattr(values, tag, value)
        setattr(frame, name, [values])

    return add


def twice(first: Callable[[Dataset], None], second: Callable[[Dataset], None]) -> Callable[[Dataset], None]:
    """The frames again, 100 HU brighter inside the circle, as a second acquisition; the two interleaved."""

    def edit(dataset: Dataset) -> None:
        stored, places = frames_of(dataset), list(dataset.PerFrameFunctionalGroupsSequence)
        again = copy.deepcopy(places)
        for add, frames in ((first, places), (second, again)):
            for frame in frames:
                add(frame)
        dataset.PerFrameFunctionalGroupsSequence = [
            frame for pair in zip(places, again, strict=True) for frame in pair
        ]
        both = np.stack([stored, np.where(stored > 0, stored + 100, 0)], axis=1)
        dataset.PixelData, dataset.NumberOfFrames = both.astype("<u2").tobytes(), 2 * len(stored)

    return edit


def test_every_frame_has_its_own_rescale(tmp_path: Path) -> None:
    def edit(dataset: Dataset) -> None:
        del dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
        stored = frames_of(dataset)
        for k, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            group("PixelValueTransformationSequence", RescaleSlope="0.5", RescaleIntercept=-1024 - 7 * k)(frame)
            stored[k] = 2 * (stored[k] + 7 * k)
        dataset.PixelData = stored.astype("<u2").tobytes()

    write_enhanced(tmp_path / "a.dcm", chest(), edit)
    (scan,) = find_scans(tmp_path)
    np.testing.assert_array_equal(read_volume(scan).hu, chest().hu)


@pytest.mark.parametrize(
    ("one", "other", "tag"),
    [
        (group("FrameContentSequence", FrameAcquisitionNumber=1),
         group("FrameContentSequence", FrameAcquisitionNumber=2), "AcquisitionNumber"),
        (group("FrameContentSequence", TemporalPositionIndex=1),
         group("FrameContentSequence", TemporalPositionIndex=2), "TemporalPositionIdentifier"),
        (group("CTReconstructionSequence", ConvolutionKernel="B30f"),
         group("CTReconstructionSequence", ConvolutionKernel="B70f"), "ConvolutionKernel"),
        (group("CardiacSynchronizationSequence", NominalPercentageOfCardiacPhase=30.0),
         group("CardiacSynchronizationSequence", NominalPercentageOfCardiacPhase=70.0),
         "NominalPercentageOfCardiacPhase"),
    ],
)  # fmt: skip
def test_two_acquisitions_in_one_file_are_two_scans(
    one: Callable[[Dataset], None], other: Callable[[Dataset], None], tag: str, tmp_path: Path
) -> None:
    write_enhanced(tmp_path / "a.dcm", chest(), twice(one, other))
    scans = find_scans(tmp_path)
    assert [scan.refused for scan in scans] == [None, None]
    assert all(any(w.startswith("split_series") and tag in w for w in scan.warnings) for scan in scans)
    truth = chest()
    for scan, brighter in zip(scans, (0, 100), strict=True):
        volume = read_volume(scan)
        np.testing.assert_array_equal(volume.hu, np.where(truth.hu > -1024, truth.hu + brighter, -1024))
        assert volume.geometry.shape_zyx == truth.geometry.shape_zyx
        assert pixel_grid(scan, prepare(volume)).shape_zyx == truth.geometry.shape_zyx


def test_two_acquisitions_that_nothing_parts_are_refused(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "a.dcm", chest(), twice(lambda frame: None, lambda frame: None))
    assert [scan.refused for scan in find_scans(tmp_path)] == [Reason.DUPLICATE_SLICES]


def test_numbers_that_change_along_the_stack_part_nothing(tmp_path: Path) -> None:
    def edit(dataset: Dataset) -> None:
        for k, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            group("FrameContentSequence", FrameAcquisitionNumber=k // 4, TemporalPositionIndex=k + 1)(frame)

    write_enhanced(tmp_path / "a.dcm", chest(), edit)
    (scan,) = find_scans(tmp_path)
    np.testing.assert_array_equal(read_volume(scan).hu, chest().hu)
