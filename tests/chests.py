"""A chest of ellipsoids, for tests that need lungs and nothing else."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from preprocessing.geometry import Geometry
from preprocessing.volume import Volume


def ellipsoid(grid: list[np.ndarray], center: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, center, radii, strict=True)) <= 1


def simple_chest(
    collapsed: bool = False,
    tumour: float = 0.0,
    thickness: float = 2.5,
    cut: float = 0.0,
    empty: bool = False,
    fluid: float = 0.0,
) -> Volume:
    """A body with two lungs; z, y, x in mm over 280 x 260 x 340 mm, 2 mm in plane.

    Args:
        collapsed: the left lung is soft tissue.
        tumour: diameter in mm of a tumour on the right lateral wall.
        thickness: slice spacing in mm.
        cut: the scan starts this many mm higher (lungs cut by the field of view).
        empty: air everywhere.
        fluid: the left lung is full of fluid up to this height, mm from its lower end.
    """
    z, y, x = np.arange(cut, 280, thickness), np.arange(0, 260, 2.0), np.arange(0, 340, 2.0)
    grid = list(np.meshgrid(z, y, x, indexing="ij"))
    hu = np.full(grid[0].shape, -1000, np.int16)
    if not empty:
        hu[ellipsoid(grid[1:], (130, 170), (120, 160))] = 40
        right = ellipsoid(grid, (150, 130, 95), (120, 85, 60))
        left = ellipsoid(grid, (150, 130, 245), (120, 85, 60))
        hu[right] = -850
        hu[left] = 40 if collapsed else -850
        hu[left & (grid[0] < 30 + fluid)] = 20
        if tumour:
            hu[ellipsoid(grid, (150, 130, 45), (tumour / 2,) * 3)] = 40
    noise = np.random.default_rng(0).normal(0, 20, hu.shape)
    geometry = Geometry(hu.shape, (2.0, 2.0, thickness), (-170, -130, cut), np.eye(3))
    return Volume((hu + noise).astype(np.int16), geometry, "1.2.3.4")


def write_chest(path: Path, seed: int = 0, origin: tuple[float, ...] = (-72.0, -66.0, -54.0)) -> None:
    """Two air boxes in a body of 108 x 132 x 144 mm, 3 mm voxels, with a 10 mm ball at world (20, 0, 0)."""
    rng = np.random.default_rng(seed)
    hu = rng.normal(40, 10, (36, 44, 48))
    hu[:, :3] = hu[:, -3:] = -1000
    hu[4:32, 8:36, 6:22] = hu[4:32, 8:36, 26:42] = -850
    z, y, x = np.meshgrid(*(np.arange(n) * 3.0 for n in hu.shape), indexing="ij")
    hu[(z - 54) ** 2 + (y - 66) ** 2 + (x - 92) ** 2 < 25] = 30
    image = sitk.GetImageFromArray(hu.astype(np.int16))
    image.SetSpacing((3.0, 3.0, 3.0))
    image.SetOrigin(origin)
    sitk.WriteImage(image, str(path))
