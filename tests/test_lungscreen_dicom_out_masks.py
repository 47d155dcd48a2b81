"""Outlines on slices that suit them badly: far apart, coarse, cut off; and on the frames of one enhanced file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

pytest.importorskip("highdicom")

from classification.measuring.outline import Outline
from lungscreen.dicom_out.masks import slice_masks
from lungscreen.dicom_out.write import write_dicom
from preprocessing.geometry import Geometry
from preprocessing.intake.find import find_scans
from preprocessing.intake.headers import Slice
from tests.dicom_cases import DIRECTIONS, analysis_of, frames_of, read, segment_points, thorax
from tests.series import write_enhanced

GRID = Geometry((40, 40, 40), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))


def ball(center_zyx: tuple[float, float, float], radius: float) -> Outline:
    """On a window of 20 voxels from (10, 10, 10) on."""
    away = np.sqrt(((np.indices((20, 20, 20)) + 10 - np.reshape(center_zyx, (3, 1, 1, 1))) ** 2).sum(0))
    return Outline(np.clip(radius - away + 0.5, 0, 1).astype(np.float32), (10, 10, 10))


def axial(heights: list[float], pixel: float = 1.0, n: int = 40) -> list[Slice]:
    """Slices from the corner (0, 0) on, `pixel` mm."""
    axes = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    return [
        Slice(Path(), k, (n, n), (pixel, pixel), (0.0, 0.0, z), axes, 1, 0, None, 0, False)
        for k, z in enumerate(heights)
    ]


def test_each_slice_has_its_disc() -> None:
    found = slice_masks(ball((20, 20, 20), 5), GRID, axial([10.0, 16.0, 20.0, 27.0]))
    assert sorted(found) == [1, 2]
    for k, radius in ((1, 3.0), (2, 5.0)):
        rows, columns = np.nonzero(found[k])
        assert (rows.mean(), columns.mean()) == (20, 20)
        assert np.hypot(rows - 20, columns - 20).max() == radius


def test_a_nodule_between_two_slices_is_drawn_on_the_nearest_at_its_widest() -> None:
    found = slice_masks(ball((20, 20, 20), 3), GRID, axial([8.0, 16.0, 24.5]))
    assert sorted(found) == [1]
    np.testing.assert_array_equal(found[1], slice_masks(ball((20, 20, 20), 3), GRID, axial([20.0]))[0])


def test_a_nodule_between_pixels_is_the_nearest_one() -> None:
    found = slice_masks(ball((20, 22, 20), 1), GRID, axial([20.0], pixel=6.0, n=7))
    assert [tuple(map(int, index)) for index in np.argwhere(found[0])] == [(4, 3)]


def test_what_hangs_over_the_edge_of_the_image_is_left_out() -> None:
    found = slice_masks(ball((20, 20, 20), 5), GRID, axial([20.0], n=20))
    rows, columns = np.nonzero(found[0])
    assert (rows.max(), columns.max()) == (19, 19)


def test_a_faint_outline_counts_from_its_fullest_voxel_on() -> None:
    faint = ball((20, 20, 20), 5)
    found = slice_masks(Outline(0.3 * faint.share, faint.start_zyx), GRID, axial([20.0]))
    assert found[0].sum() > 0
    assert found[0][20, 20]


@pytest.mark.parametrize("kind", ["oblique", pytest.param("flipped", marks=pytest.mark.slow)])
def test_frames_of_one_file_are_named_by_number(tmp_path: Path, kind: str) -> None:
    volume, center_mm = thorax(DIRECTIONS[kind])
    write_enhanced(tmp_path / "a.dcm", volume)
    (scan,) = find_scans(tmp_path)
    written = write_dicom(analysis_of(scan, center_mm), scan, tmp_path / "out")
    assert written.warnings == ()
    outlined, source = read(written.paths, "seg"), dcmread(tmp_path / "a.dcm")
    groups = source.PerFrameFunctionalGroupsSequence
    for frame in frames_of(outlined):
        uid, number = frame.source
        assert uid == source.SOPInstanceUID
        at = groups[number - 1].PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(frame.position_mm, np.array(at, float), atol=1e-6)
    np.testing.assert_allclose(segment_points(outlined, 1).mean(axis=0), center_mm, atol=0.01)
