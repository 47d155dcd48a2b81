"""Lung masks on chests whose lungs are known exactly, and preparation that maps back."""

import numpy as np
import pytest

from preprocessing.lungs import lung_mask
from preprocessing.prepare import prepare
from tests.chests import simple_chest

RIGHT_MM, LEFT_MM = (-75, 0, 150), (75, 0, 150)
TUMOUR_MM = (-118, 0, 150)


def at(mask: np.ndarray, geometry: object, point_mm: tuple[float, float, float]) -> bool:
    return bool(mask[tuple(np.rint(geometry.to_voxel(point_mm)).astype(int))])  # type: ignore[attr-defined]


@pytest.mark.parametrize("thickness", [1.0, 2.5, 5.0])
def test_both_lungs_are_found(thickness: float) -> None:
    volume = simple_chest(thickness=thickness)
    mask, warnings = lung_mask(volume)
    lungs = volume.hu < -600
    lungs &= lung_box(volume.hu.shape)
    assert warnings == ()
    assert mask[lungs].mean() > 0.995
    assert mask.sum() < 1.35 * lungs.sum()


def lung_box(shape: tuple[int, int, int]) -> np.ndarray:
    """Inside the body's ellipse: outside air is no lung."""
    y, x = np.meshgrid(np.arange(shape[1]) * 2.0, np.arange(shape[2]) * 2.0, indexing="ij")
    return np.broadcast_to(((y - 130) / 115) ** 2 + ((x - 170) / 155) ** 2 <= 1, shape)


def test_a_large_tumour_on_the_wall_is_inside() -> None:
    volume = simple_chest(tumour=True)
    mask, _ = lung_mask(volume)
    assert at(mask, volume.geometry, TUMOUR_MM)


def test_a_collapsed_lung_is_searched_and_said() -> None:
    volume = simple_chest(collapsed=True)
    mask, warnings = lung_mask(volume)
    assert at(mask, volume.geometry, LEFT_MM)
    assert at(mask, volume.geometry, RIGHT_MM)
    assert any("collapsed" in warning for warning in warnings)


def test_lungs_cut_by_the_scan() -> None:
    volume = simple_chest(cut=150)
    mask, _ = lung_mask(volume)
    assert at(mask, volume.geometry, (75, 0, 160))
    assert at(mask, volume.geometry, (-75, 0, 160))


def test_no_lungs_falls_back_and_says_so() -> None:
    mask, warnings = lung_mask(simple_chest(empty=True))
    assert mask.any()
    assert any("lung_mask" in warning for warning in warnings)


def test_prepared_geometry_maps_back_to_the_source() -> None:
    volume = simple_chest(tumour=True)
    prepared = prepare(volume)
    assert prepared.volume.geometry.spacing_mm == (1.0, 1.0, 1.0)
    assert prepared.volume.hu.shape == prepared.lung_mask.shape
    tumour = prepared.volume.geometry.to_voxel(TUMOUR_MM)
    assert abs(int(prepared.volume.hu[tuple(np.rint(tumour).astype(int))]) - 40) < 100
    back = volume.geometry.to_voxel(prepared.volume.geometry.to_world(tumour))
    np.testing.assert_allclose(back, volume.geometry.to_voxel(TUMOUR_MM), atol=1e-9)
    # Only the lungs' box: the body is 240 x 320 mm, the lungs' box about 190 x 290.
    assert prepared.volume.hu.shape[2] < 320
