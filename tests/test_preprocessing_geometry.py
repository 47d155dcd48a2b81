"""Voxels to millimetres and back, over rotations that are not symmetric."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from preprocessing.geometry import Geometry


def random_geometry(seed: int) -> Geometry:
    rng = np.random.default_rng(seed)
    rotation = Rotation.from_rotvec(rng.uniform(-3, 3, 3)).as_matrix()
    shape = tuple(int(n) for n in rng.integers(4, 40, 3))
    return Geometry(shape, tuple(rng.uniform(0.4, 5, 3)), tuple(rng.uniform(-400, 400, 3)), rotation)


@pytest.mark.parametrize("seed", range(25))
def test_round_trip_over_random_rotations(seed: int) -> None:
    geometry = random_geometry(seed)
    points = np.random.default_rng(seed + 100).uniform(-300, 300, (50, 3))
    np.testing.assert_allclose(geometry.to_world(geometry.to_voxel(points)), points, atol=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_agrees_with_simpleitk(seed: int) -> None:
    geometry = random_geometry(seed)
    image = sitk.Image([int(n) for n in geometry.shape_zyx[::-1]], sitk.sitkInt16)
    image.SetSpacing(geometry.spacing_mm)
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(geometry.direction.ravel().tolist())
    expected = image.TransformContinuousIndexToPhysicalPoint((1.5, 2.0, 0.25))
    np.testing.assert_allclose(geometry.to_world([0.25, 2.0, 1.5]), expected, atol=1e-9)


def test_a_case_worked_by_hand() -> None:
    # x runs along world y, y along world -x, z along world z.
    direction = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    geometry = Geometry((4, 5, 6), (0.5, 2.0, 3.0), (10, 20, 30), direction)
    np.testing.assert_allclose(geometry.to_world([1, 1, 2]), [10 - 2, 20 + 1, 30 + 3])
    np.testing.assert_allclose(geometry.to_voxel([8, 21, 33]), [1, 1, 2])


def test_a_ten_degree_tilt_keeps_the_side_of_the_inverse() -> None:
    turn = Rotation.from_euler("x", 10, degrees=True).as_matrix()
    geometry = Geometry((300, 300, 300), (1, 1, 1), (0, 0, 0), turn)
    np.testing.assert_allclose(geometry.to_voxel(geometry.to_world([30, 120, 200])), [30, 120, 200], atol=1e-9)


def test_cropping_keeps_world_positions() -> None:
    geometry = random_geometry(3)
    cropped = geometry.cropped((1, 2, 3), (4, 4, 4))
    assert cropped.shape_zyx == (3, 2, 1)
    np.testing.assert_allclose(cropped.to_world([0, 0, 0]), geometry.to_world([1, 2, 3]))
    padded = geometry.cropped((-2, 0, 0), (1, 1, 1))
    np.testing.assert_allclose(padded.to_world([2, 0, 0]), geometry.to_world([0, 0, 0]))


def test_resampling_keeps_the_first_outer_face() -> None:
    geometry = Geometry((10, 10, 10), (0.5, 0.5, 2.0), (0, 0, 0), np.eye(3))
    new = geometry.resampled((1, 1, 1))
    assert new.shape_zyx == (20, 5, 5)
    # The face of the first voxel lies at -0.25 mm in x and at -1 mm in z, half a voxel before its centre.
    np.testing.assert_allclose(new.origin_mm, [0.25, 0.25, -0.5])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("spacing_mm", (1, 0, 1)),
        ("spacing_mm", (1, float("nan"), 1)),
        ("shape_zyx", (0, 3, 3)),
        ("direction", np.ones((3, 3))),
    ],
)
def test_impossible_geometry_is_refused(field: str, value: object) -> None:
    values = {"shape_zyx": (3, 3, 3), "spacing_mm": (1, 1, 1), "origin_mm": (0, 0, 0), "direction": np.eye(3)}
    with pytest.raises(ValueError, match=field):
        Geometry(**{**values, field: value})  # type: ignore[arg-type]


def test_json_round_trip_is_exact() -> None:
    geometry = random_geometry(8)
    back = Geometry.from_dict(geometry.to_dict())
    assert back.to_dict() == geometry.to_dict()
