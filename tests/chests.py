"""A chest of ellipsoids, for tests that need lungs and nothing else."""

import numpy as np

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
