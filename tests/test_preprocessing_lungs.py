"""Lung masks on chests whose lungs are known exactly, and preparation that maps back."""

import numpy as np
import pytest

from preprocessing.geometry import Geometry
from preprocessing.lungs.mask import _hull, lung_mask
from preprocessing.prepare import prepare
from preprocessing.volume import Volume
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
    volume = simple_chest(tumour=50)
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
    assert warnings[0].startswith("no_lungs:")


def test_prepared_geometry_maps_back_to_the_source() -> None:
    volume = simple_chest(tumour=50)
    prepared = prepare(volume)
    assert prepared.volume.geometry.spacing_mm == (1.0, 1.0, 1.0)
    assert prepared.volume.hu.shape == prepared.lung_mask.shape
    tumour = prepared.volume.geometry.to_voxel(TUMOUR_MM)
    assert abs(int(prepared.volume.hu[tuple(np.rint(tumour).astype(int))]) - 40) < 100
    back = volume.geometry.to_voxel(prepared.volume.geometry.to_world(tumour))
    np.testing.assert_allclose(back, volume.geometry.to_voxel(TUMOUR_MM), atol=1e-9)
    # Only the lungs' box: the body is 240 x 320 mm, the lungs' box about 190 x 290.
    assert prepared.volume.hu.shape[2] < 320


def cropped(volume: Volume, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Volume:
    window = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    return Volume(np.ascontiguousarray(volume.hu[window]), volume.geometry.cropped(start, stop), volume.series_uid)


def lungs_of(volume: Volume) -> np.ndarray:
    """The two ellipsoids, from the numbers in `simple_chest`."""
    index = np.indices(volume.hu.shape).reshape(3, -1).T
    z, y, x = volume.geometry.to_world(index).T[::-1]
    right = ((z - 150) / 120) ** 2 + (y / 85) ** 2 + ((x + 75) / 60) ** 2 <= 1
    left = ((z - 150) / 120) ** 2 + (y / 85) ** 2 + ((x - 75) / 60) ** 2 <= 1
    return (right | left).reshape(volume.hu.shape)


@pytest.mark.parametrize(
    ("start", "stop", "sides"),
    [
        # A box around the lungs less 10 mm; x from -125 to 125 mm of -135 to 135.
        ((16, 28, 22), (104, 102, 148), ("feet", "head", "front", "back", "right", "left")),
        # A field of view that cuts the lungs at their sides: x from -100 to 100 mm.
        ((0, 0, 35), (112, 130, 135), ("right", "left")),
        # A field of view around the left lung, less 15 mm of it.
        ((0, 0, 85), (112, 130, 145), ("left",)),
    ],
)
def test_lungs_that_the_border_cuts_are_searched_and_said(
    start: tuple[int, int, int], stop: tuple[int, int, int], sides: tuple[str, ...]
) -> None:
    volume = cropped(simple_chest(), start, stop)
    mask, warnings = lung_mask(volume)
    assert mask[lungs_of(volume)].mean() > 0.99
    (said,) = [w for w in warnings if w.startswith("lungs_cut:")]
    for side in ("feet", "head", "front", "back", "right", "left"):
        assert (f"{side} " in said) == (side in sides)


def test_the_area_that_lies_open() -> None:
    """Cut through the middle each lung shows an ellipse of 85 x 60 mm: 2 pi 85 60 = 320 cm2."""
    _, warnings = lung_mask(simple_chest(cut=150))
    (said,) = [w for w in warnings if w.startswith("lungs_cut:")]
    area = float(said.partition("feet ")[2].partition(" cm2")[0])
    assert abs(area - 320) < 25


@pytest.mark.parametrize("outside", [-1000, -1024, -500])
def test_lungs_cut_out_of_their_body_are_searched_whole(outside: int) -> None:
    volume = simple_chest()
    lungs = lungs_of(volume)
    masked = Volume(np.where(lungs, volume.hu, outside).astype(np.int16), volume.geometry, "x")
    mask, warnings = lung_mask(masked)
    assert mask[lungs].mean() > 0.99
    assert warnings[0].startswith("already_masked:")


@pytest.mark.parametrize("diameter", [60, 80, 100])
def test_masses_on_the_wall(diameter: int) -> None:
    volume = simple_chest(tumour=diameter)
    mask, _ = lung_mask(volume)
    assert at(mask, volume.geometry, TUMOUR_MM)


@pytest.mark.parametrize("height", [80, 100, 120, 160])
def test_fluid_is_searched_or_said(height: int) -> None:
    volume = simple_chest(fluid=height)
    mask, warnings = lung_mask(volume)
    in_fluid = at(mask, volume.geometry, (75, 0, 30 + height / 2))
    assert in_fluid or any(w.startswith("unsearched:") for w in warnings)


def test_a_section_that_is_a_line_has_no_hull() -> None:
    """A real chest with pneumonia had one: Qhull ends with an error."""
    for section in (np.eye(6, dtype=bool), np.eye(9, dtype=bool)[::-1]):
        np.testing.assert_array_equal(_hull(section), section)


def test_both_lungs_full_of_water_have_no_air() -> None:
    volume = simple_chest()
    water = np.where(lungs_of(volume), 20, volume.hu).astype(np.int16)
    _, warnings = lung_mask(Volume(water, Geometry(water.shape, (2, 2, 2.5), (0, 0, 0), np.eye(3)), "x"))
    assert warnings[0].startswith("no_lungs:")
