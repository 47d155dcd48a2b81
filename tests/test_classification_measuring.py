"""Balls, cylinders and walls whose size is known, drawn with the blur and the noise of a scanner."""

import numpy as np
import pytest
from scipy import ndimage

from classification.measuring.axes import Axes, axes_of
from classification.measuring.density import density_of
from classification.measuring.outline import Outline, outline
from classification.measuring.place import place_of, pleura_mm
from preprocessing.geometry import Geometry
from preprocessing.prepare import PreparedScan
from preprocessing.volume import Volume


def grid(shape: tuple[int, int, int], center: tuple[float, float, float]) -> np.ndarray:
    """(3, Z, Y, X) offsets from a centre in voxels."""
    return np.stack(np.meshgrid(*(np.arange(n) - c for n, c in zip(shape, center, strict=True)), indexing="ij"))


def flat(shape: tuple[int, int, int]) -> Geometry:
    return Geometry(shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))


def scan_of(share: np.ndarray, hu: float = 40.0) -> np.ndarray:
    """Lung of -850 HU and what is denser, blurred by 0.7 mm, with 20 HU of noise."""
    noise = np.random.default_rng(0).normal(0, 20, share.shape)
    return np.rint(-850 + (hu + 850) * ndimage.gaussian_filter(share.astype(float), 0.7) + noise).astype(np.int16)


@pytest.mark.parametrize("diameter", [8, 12, 20, 30, 60, 100])
@pytest.mark.parametrize("hu", [40.0, -600.0])
def test_balls_from_8_to_100_mm_are_measured(diameter: int, hu: float) -> None:
    """Within 0.8 mm on the diameter, of 60 and 100 mm within 3: axes are extremes and find the noise."""
    n = int(2.2 * diameter) + 20
    center = (n / 2 + 0.3, n / 2 - 0.2, n / 2)
    volume = scan_of((grid((n, n, n), center) ** 2).sum(0) < (diameter / 2) ** 2, hu)
    found = outline(volume, center, diameter)
    axes = axes_of(found, flat(volume.shape))
    margin = 0.8 if diameter < 60 else 3.0
    assert diameter - 0.8 < axes.short_mm <= axes.long_mm < diameter + margin
    assert (diameter - 0.5) ** 3 < 6 / np.pi * found.volume_mm3 < (diameter + margin) ** 3
    assert density_of(found, volume).kind == ("solid" if hu > 0 else "ground-glass")


def test_wall_and_vessel_are_cut_off() -> None:
    """A 12 mm ball that touches a wall and hangs on a 3 mm vessel."""
    z, y, x = grid((60, 60, 60), (30, 30, 30))
    ball = z**2 + y**2 + x**2 < 36
    volume = scan_of(ball | (x > 5.5) | ((z**2 + y**2 < 1.5**2) & (x < 0)))
    found = outline(volume, (30, 30, 30), 12)
    whole = np.zeros(volume.shape, bool)
    whole[found.window] = found.mask
    assert 2 * (whole & ball).sum() / (whole.sum() + ball.sum()) > 0.8
    assert np.ptp(np.argwhere(whole)[:, 2]) < 17


def test_ground_glass_at_a_rib_and_a_cavity_are_kept_apart_from_what_is_denser() -> None:
    z, y, x = grid((60, 60, 60), (30, 30, 30))
    away = np.sqrt(z**2 + y**2 + x**2)
    glass, cavity = away < 7, (away < 12) & (away > 8)
    at_rib = scan_of(glass, -500) + np.where(x > 8, 1000, 0)
    for volume, diameter, truth in ((at_rib.astype(np.int16), 14, glass), (scan_of(cavity), 24, away < 12)):
        found = outline(volume, (30, 30, 30), diameter)
        whole = np.zeros(volume.shape, bool)
        whole[found.window] = found.mask
        assert 2 * (whole & truth).sum() / (whole.sum() + truth.sum()) > 0.8


def test_a_seed_off_centre_and_a_diameter_off_by_a_fifth_change_little() -> None:
    ball = (grid((50, 50, 50), (25, 25, 25)) ** 2).sum(0) < 64
    volume = scan_of(ball)
    for center, diameter in (((25, 25, 25), 16.0), ((26.5, 24, 25), 19.2), ((25, 25, 23.5), 12.8)):
        assert outline(volume, center, diameter).volume_mm3 == pytest.approx(ball.sum(), rel=0.35)


@pytest.mark.parametrize("center", [(0, 0, 0), (-3, 50, 9), (4, 4, 4)])
def test_nothing_to_outline_and_seeds_at_the_border_still_give_a_voxel(center: tuple[float, float, float]) -> None:
    volume = np.full((9, 9, 9), -850, np.int16)
    found = outline(volume, center, 5.0)
    assert found.mask.any()
    assert axes_of(found, flat(volume.shape)).long_mm > 0
    assert density_of(found, volume).kind == "ground-glass"


def box(shape: tuple[int, int, int], *, size: tuple[int, int, int]) -> Outline:
    share = np.zeros(shape, np.float32)
    share[tuple(slice(2, 2 + n) for n in size)] = 1
    return Outline(share, (0, 0, 0))


def test_axes_of_a_box_by_hand() -> None:
    """12 x 5 mm in plane: the long axis is the diagonal, 13 mm; at right angles to it 5 * 13 / 12 = 5.4 mm."""
    axes = axes_of(box((9, 16, 9), size=(4, 12, 5)), flat((9, 16, 9)))
    assert axes.long_mm == pytest.approx(13.0, abs=0.6)
    assert axes.short_mm == pytest.approx(5.42, abs=0.4)


def test_axes_lie_in_the_axial_plane_of_the_world() -> None:
    """Height is along the first grid axis here: a rod along it is as wide as it is thick in every axial slice."""
    turned = Geometry((9, 9, 20), (1, 1, 1), (0, 0, 0), np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]]))
    rod = box((9, 9, 20), size=(4, 4, 16))
    assert axes_of(rod, turned).long_mm == pytest.approx(np.hypot(4, 4), abs=0.6)
    assert axes_of(rod, flat((9, 9, 20))).long_mm == pytest.approx(np.hypot(4, 16), abs=0.6)


def test_mean_diameter_is_rounded_half_up() -> None:
    assert Axes(8.5, 7.0).mean_diameter_mm == 7.8  # 7.75
    assert Axes(6.0, 5.8).mean_diameter_mm == 5.9
    assert Axes(8.0, 7.88).mean_diameter_mm == 7.9


def of_hu(values: np.ndarray) -> str:
    return density_of(Outline(np.ones(values.shape, np.float32), (0, 0, 0)), values.astype(np.int16)).calcification


def test_type_and_calcification_by_hand() -> None:
    hu = np.full((10, 10, 10), -600)
    assert of_hu(hu) == "none"
    hu[:3] = 0
    found = density_of(Outline(np.ones(hu.shape, np.float32), (0, 0, 0)), hu.astype(np.int16))
    assert (found.kind, found.solid_share) == ("part-solid", pytest.approx(0.3))
    assert found.mean_hu == pytest.approx(-420)
    assert found.sd_hu == pytest.approx(600 * np.sqrt(0.3 * 0.7))
    away = np.abs(grid((10, 10, 10), (4.5, 4.5, 4.5))).max(0)
    assert of_hu(np.where(away < 3, 900, 40)) == "central"
    assert of_hu(np.where(away < 4.4, 900, 40)) == "diffuse"
    hu[:] = 40
    hu[:3] = 900
    assert of_hu(hu) == "eccentric"


def chest(nodule: tuple[int, int, int]) -> tuple[PreparedScan, Outline]:
    """Lung mask of 100 x 80 x 120 mm, less a border of 10; a nodule of one voxel."""
    geometry = Geometry((100, 80, 120), (1, 1, 1), (-59.5, -39.5, -49.5), np.eye(3))
    mask = np.zeros(geometry.shape_zyx, bool)
    mask[10:90, 10:70, 10:110] = True
    hu = np.full(geometry.shape_zyx, -850, np.int16)
    return PreparedScan(Volume(hu, geometry, "1.2"), mask, geometry), Outline(np.ones((1, 1, 1), np.float32), nodule)


def test_distance_to_the_pleura_is_that_to_the_mask_less_its_margin() -> None:
    for nodule, expected in (((50, 40, 60), 26.0), ((50, 40, 20), 7.0), ((50, 40, 12), 0.0), ((50, 40, 5), 0.0)):
        prepared, found = chest(nodule)
        assert pleura_mm(found, prepared) == pytest.approx(expected)


def test_side_and_zone_follow_the_world_not_the_array() -> None:
    prepared, _ = chest((50, 40, 60))
    places = [place_of(prepared, center) for center in ((25.0, 0.0, 30.0), (-25.0, 0.0, -30.0), (-25.0, 0.0, 0.0))]
    assert [(p.side, p.zone) for p in places] == [("left", "upper"), ("right", "lower"), ("right", "middle")]
