"""A stated transform to a rotation and a spacing, or a reason why it is none.

Printed and rounded numbers are never quite orthonormal, and formats that state a geometry twice never agree to the
last digit. Both are settled by what they do to the corners of the volume: up to `MOST_MOVED_MM` is rounding, more is
another geometry.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from preprocessing.geometry import Geometry
from preprocessing.intake.scan import Reason, ScanError

# As far as slices of a DICOM series may stand sideways: less than the pixels of a chest CT.
MOST_MOVED_MM = 0.5
# Below, nobody needs to be told.
WORTH_A_WORD_MM = 0.01
# Matrices of scanners. In 1 mm cubes they are wider than any scanner's field of view, or a child's.
SCANNER_MATRICES = (256, 512, 768, 1024)
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

Affine = npt.NDArray[np.float64]


def affine_of(columns: npt.ArrayLike, origin_mm: npt.ArrayLike) -> Affine:
    """(4, 4) of the three steps along the voxel axes, as columns, and the first voxel's place."""
    affine = np.eye(4)
    affine[:3, :3] = columns
    affine[:3, 3] = origin_mm
    return affine


def geometry_of(affine: Affine, size_xyz: tuple[int, int, int]) -> tuple[Geometry, tuple[str, ...]]:
    """The nearest rectangular grid, and a warning where it is not quite the stated one.

    Args:
        affine: (4, 4), voxel index (x, y, z, 1) to world LPS mm.
        size_xyz: of the volume.

    Raises:
        ScanError: `missing_tag`: the spacing was lost on the way; `bad_value`: no spacing, or a sheared grid.
    """
    steps = affine[:3, :3]
    spacing = np.linalg.norm(steps, axis=0)
    if not np.all(np.isfinite(affine)) or not spacing.min() > 0:
        raise ScanError(Reason.BAD_VALUE, "spacing, origin and direction must be numbers, the spacing above zero")
    _check_lost(affine, spacing, size_xyz)
    u, _, vt = np.linalg.svd(steps / spacing)
    direction = u @ vt
    nearest = affine_of(direction * spacing, affine[:3, 3])
    moved = apart_mm(affine, nearest, size_xyz)
    if moved > MOST_MOVED_MM:
        raise ScanError(
            Reason.BAD_VALUE,
            f"the grid must be rectangular: it is sheared by up to {moved:.1f} mm, {MOST_MOVED_MM} mm are repaired",
        )
    x, y, z = spacing.tolist()
    ox, oy, oz = affine[:3, 3].tolist()
    warnings = (
        (f"geometry_repaired: the stated axes are sheared by up to {moved:.2f} mm and were set right",)
        if moved > WORTH_A_WORD_MM
        else ()
    )
    return Geometry(size_xyz[::-1], (x, y, z), (ox, oy, oz), direction), warnings


def apart_mm(one: Affine, other: Affine, size_xyz: tuple[int, int, int]) -> float:
    """How far apart two transforms place a corner of the volume, at most."""
    corners = np.array([[x, y, z, 1] for x in (0, size_xyz[0]) for y in (0, size_xyz[1]) for z in (0, size_xyz[2])])
    return float(np.linalg.norm((corners @ (one - other).T)[:, :3], axis=1).max())


def _check_lost(affine: Affine, spacing: npt.NDArray[np.float64], size_xyz: tuple[int, int, int]) -> None:
    """A scanner's matrix as 1 mm cubes at the world's zero: what writers leave that were told no geometry."""
    square = any(size_xyz.count(n) > 1 for n in SCANNER_MATRICES)
    if square and np.all(spacing == 1) and not affine[:3, 3].any():
        size = " x ".join(map(str, size_xyz))
        raise ScanError(
            Reason.MISSING_TAG, f"the spacing is missing: {size} voxels are stated to be 1 mm cubes at the origin"
        )
