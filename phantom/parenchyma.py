"""What fills the lungs: parenchyma with texture and gravity gradient, vessels and airways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from phantom.acquisition import Enlarger
from phantom.anatomy import STEP_MM, Anatomy
from phantom.solids import Field, cover
from phantom.vessels import Coverage, Grid, Points, Tree, grow, paint, samples

Mask = npt.NDArray[np.bool_]
AIR_HU = -985.0
SUBSLICE_MM = 1.1


@dataclass(frozen=True, slots=True, eq=False)
class Parenchyma:
    """Coverage on the scan grid, cropped in plane to the lungs.

    Attributes:
        box: rows and columns of the scan that the coverage spans.
        soft, air: (Z, y, x) shares of vessel or airway wall, and of airway lumen.
        tissue: coarse (Z, Y, X) HU of lung tissue.
        branch_points: (m, 4) x, y, z and radius of vessels, where nodules may sit.
        thickness_mm, pixel_mm: of the scan.
    """

    box: tuple[slice, slice]
    soft: Coverage
    air: Coverage
    tissue: Field
    branch_points: Points
    thickness_mm: float
    pixel_mm: float

    def fill(self, hu: Field, k: int, enlarge: Enlarger, lung: Field, z: float, vessel_hu: float) -> Mask:
        """Put the lungs of slice k at body height z, and the air of all airways, into `hu` (Y, X), in place.

        Args:
            hu: the slice without lungs.
            k: index of the slice.
            enlarge: from the coarse to the scan grid.
            lung: coarse signed distance to the lungs' surface.
            z: body height of the slice, mm.
            vessel_hu: of blood.

        Returns:
            (Y, X) where at least half of the pixel is lung.
        """
        spread = (-0.25, 0.25) if self.thickness_mm > 1.6 else (0.0,)
        shares = [cover(enlarge.slice(lung, z + s * self.thickness_mm, self.box), self.pixel_mm) for s in spread]
        share = shares[0] if len(shares) == 1 else (shares[0] + shares[1]) / 2
        aerated = enlarge.slice(self.tissue, z, self.box)
        aerated += self.soft[k] * (np.float32(vessel_hu) - aerated)
        part = hu[self.box]
        part += share * (aerated - part)
        part += self.air[k] * (np.float32(AIR_HU) - part)
        inside = np.zeros(hu.shape, dtype=bool)
        inside[self.box] = share >= 0.5
        return inside


def fill_lungs(anatomy: Anatomy, grid: Grid, targets: int, rng: np.random.Generator) -> Parenchyma:
    """Two vessel trees and an airway tree for each lung, painted with partial volume over the slice thickness."""
    box = _box(anatomy, grid)
    times = max(1, round(grid.step[0] / SUBSLICE_MM))
    fine = _fine(grid, box, times)
    soft = np.zeros(fine.shape, dtype=np.float32)
    air = np.zeros(fine.shape, dtype=np.float32)
    wall = np.zeros(fine.shape, dtype=np.float32)
    branches = []
    for hilum in anatomy.hila_xyz:
        for shift in (np.array([0.0, -6.0, 4.0]), np.array([0.0, 4.0, -12.0])):
            tree = grow(hilum + shift, _targets(anatomy, float(hilum[0]), targets, rng))
            points, radii = samples(tree)
            paint(soft, fine, points, radii)
            branches.append(np.column_stack([points, radii])[::7])
            if shift[1] < 0:
                _airways(air, wall, fine, anatomy, tree)
    _trachea(air, wall, fine, anatomy)
    np.maximum(soft, wall, out=soft)
    soft *= 1 - air
    shape = (grid.shape[0], times, *fine.shape[1:])
    soft, air = (np.ascontiguousarray(part.reshape(shape).mean(1)) for part in (soft, air))
    return Parenchyma(box, soft, air, _tissue(anatomy, rng), np.vstack(branches), grid.step[0], grid.step[1])


def _box(anatomy: Anatomy, grid: Grid) -> tuple[slice, slice]:
    where = anatomy.lung < 0
    out = []
    for axis in (1, 2):
        hit = np.flatnonzero(where.any(axis=tuple(a for a in range(3) if a != axis)))
        edges = anatomy.first_mm[axis] + STEP_MM * np.array([hit[0] - 1.0, hit[-1] + 1.0])
        index = (edges - grid.first[axis]) / grid.step[axis]
        out.append(slice(max(0, int(index[0])), min(grid.shape[axis], int(index[1]) + 1)))
    return out[0], out[1]


def _fine(grid: Grid, box: tuple[slice, slice], times: int) -> Grid:
    step = grid.step[0] / times
    first = (
        grid.first[0] - grid.step[0] / 2 + step / 2,
        grid.first[1] + box[0].start * grid.step[1],
        grid.first[2] + box[1].start * grid.step[2],
    )
    shape = (grid.shape[0] * times, box[0].stop - box[0].start, box[1].stop - box[1].start)
    return Grid(first, (step, grid.step[1], grid.step[2]), shape)


def _targets(anatomy: Anatomy, side: float, n: int, rng: np.random.Generator) -> Points:
    """Random points in one lung, 4 mm and more from its surface."""
    x = anatomy.first_mm[2] + STEP_MM * np.arange(anatomy.lung.shape[2])
    room = (anatomy.lung < -4.0) & (x * np.sign(side) > 0)
    where = np.argwhere(room)
    chosen = where[rng.integers(len(where), size=n)] + rng.uniform(-0.5, 0.5, (n, 3))
    return (np.asarray(anatomy.first_mm) + STEP_MM * chosen)[:, ::-1].copy()


def _airways(air: Coverage, wall: Coverage, grid: Grid, anatomy: Anatomy, tree: Tree) -> None:
    """A bronchus beside every larger artery, and the main bronchus from the carina to the hilum."""
    keep = tree.radius > 1.5
    points, radii = samples(Tree(tree.points, tree.parent, np.where(keep, tree.radius, 0.0)))
    points, radii = points[radii > 1.3], radii[radii > 1.3]
    center = anatomy.hila_xyz[0 if tree.points[0, 0] < 0 else 1]
    outwards = points - center
    sideways = np.cross(outwards, np.array([0.3, 0.9, 0.3]))
    sideways /= np.maximum(np.linalg.norm(sideways, axis=1, keepdims=True), 1e-6)
    points = points + sideways * (1.75 * radii + 0.5)[:, None]
    carina = anatomy.trachea_xyz[-1]
    t = np.linspace(0, 1, 120)[:, None]
    main = carina + t * (center + np.array([0, 2.0, -2.0]) - carina)
    points = np.vstack([points, main])
    radii = np.concatenate([np.clip(0.8 * radii, 0.9, 4.5), np.full(120, 5.2)])
    paint(wall, grid, points, radii + np.clip(0.22 * radii, 0.45, 1.2))
    paint(air, grid, points, radii)


def _trachea(air: Coverage, wall: Coverage, grid: Grid, anatomy: Anatomy) -> None:
    ends = anatomy.trachea_xyz
    t = np.linspace(0, 1, 260)
    points = np.column_stack([np.interp(t, np.linspace(0, 1, len(ends)), ends[:, k]) for k in range(3)])
    paint(wall, grid, points, np.full(len(points), 9.5))
    paint(air, grid, points, np.full(len(points), 8.0))


def _tissue(anatomy: Anatomy, rng: np.random.Generator) -> Field:
    """Lung HU on the coarse grid: denser at the back, patchy, a little denser at the pleura."""
    base = float(rng.uniform(-875, -825))
    slope = float(rng.uniform(20, 55))
    shape = anatomy.lung.shape
    y = anatomy.first_mm[1] + STEP_MM * np.arange(shape[1], dtype=np.float32)
    coarse = ndimage.gaussian_filter(rng.standard_normal(shape).astype(np.float32), 4.0)
    finer = ndimage.gaussian_filter(rng.standard_normal(shape).astype(np.float32), 0.9)
    hu = base + slope * (y / 80)[None, :, None] + 14 / coarse.std() * coarse + 16 / finer.std() * finer
    return cast(Field, np.clip(hu, -960, -700).astype(np.float32))
