"""Where nodules grow, and how much of each voxel they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phantom.anatomy import STEP_MM, Anatomy
from phantom.lesions import Field, Lesion, Points
from phantom.parenchyma import SUBSLICE_MM
from phantom.vessels import Grid

# Shares of nodules in free lung, at the pleura and on a vessel.
PLACE_SHARE = (0.45, 0.25, 0.30)
_TRIES = 60


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A nodule on the scan grid.

    Attributes:
        center_xyz: centroid of the placed nodule, body mm.
        diameter_mm: of the sphere with the volume of the placed nodule (spikes included, cut at the pleura).
        start_zyx: first voxel of `cover` in the scan.
        cover: (z, y, x) share of each voxel.
        hu: (z, y, x) tissue.
        ratings: LIDC ratings by name.
    """

    center_xyz: Points
    diameter_mm: float
    start_zyx: tuple[int, int, int]
    cover: Field
    hu: Field
    ratings: dict[str, float]

    def blend(self, k: int, image: Field) -> None:
        """Put slice k of the nodule into a scan slice (Y, X), in place; denser structures stay visible."""
        local = k - self.start_zyx[0]
        if not 0 <= local < len(self.cover):
            return
        rows, columns = self.cover.shape[1:]
        part = image[self.start_zyx[1] : self.start_zyx[1] + rows, self.start_zyx[2] : self.start_zyx[2] + columns]
        part += self.cover[local] * np.maximum(self.hu[local] - part, 0)


def place(
    lesions: Sequence[Lesion], anatomy: Anatomy, grid: Grid, branches: Points, rng: np.random.Generator
) -> list[Placed]:
    """Find a place for each lesion, largest first; one without room is left out."""
    taken: list[tuple[Points, float]] = []
    placed = []
    for lesion in sorted(lesions, key=lambda item: -item.diameter_mm):
        center = _room(lesion, anatomy, grid, branches, taken, rng)
        if center is None:
            continue
        result = _rasterise(lesion, center, anatomy, grid, rng)
        if result is not None:
            taken.append((center, lesion.diameter_mm / 2))
            placed.append(result)
    return placed


def _room(
    lesion: Lesion,
    anatomy: Anatomy,
    grid: Grid,
    branches: Points,
    taken: list[tuple[Points, float]],
    rng: np.random.Generator,
) -> Points | None:
    radius = lesion.diameter_mm / 2
    kind = int(rng.choice(3, p=PLACE_SHARE))
    depth = anatomy.lung
    shell = (depth < -0.35 * radius) & (depth > -0.9 * radius - 1.5) if kind == 1 else depth < -1.05 * radius - 1
    where = np.argwhere(shell)
    vessels = branches[(branches[:, 3] > 0.5) & (branches[:, 3] < 2.2)]
    top = grid.first[0] + grid.step[0] * (grid.shape[0] - 1)
    for _ in range(_TRIES):
        if kind == 2 and len(vessels):
            vessel = vessels[int(rng.integers(len(vessels)))]
            aside = rng.standard_normal(3)
            center: Points = vessel[:3] + aside / np.linalg.norm(aside) * (0.8 * radius + vessel[3])
        elif len(where):
            spot = where[int(rng.integers(len(where)))] + rng.uniform(-0.5, 0.5, 3)
            center = (np.asarray(anatomy.first_mm) + STEP_MM * spot)[::-1].copy()
        else:
            return None
        inside = float(anatomy.sample(anatomy.lung, center)) < (-0.35 if kind == 1 else -0.8) * radius
        free = all(np.linalg.norm(center - c) > radius + r + 6 for c, r in taken)
        if inside and free and grid.first[0] + radius < center[2] < top - radius:
            return center
    return None


def _rasterise(
    lesion: Lesion, center: Points, anatomy: Anatomy, grid: Grid, rng: np.random.Generator
) -> Placed | None:
    """Coverage on sub-slices, cut at the pleura, averaged over the slice thickness."""
    times = max(1, round(grid.step[0] / (SUBSLICE_MM / 2)))
    first, step = np.asarray(grid.first), np.asarray(grid.step)
    low = np.maximum(np.floor((center[::-1] - lesion.reach_mm - first) / step).astype(int), 0)
    high = np.minimum(np.ceil((center[::-1] + lesion.reach_mm - first) / step).astype(int) + 1, grid.shape)
    if np.any(high <= low):
        return None
    fine_z = (np.arange(low[0] * times, high[0] * times) + 0.5) / times - 0.5
    z = first[0] + step[0] * fine_z
    y, x = (first[a] + step[a] * np.arange(low[a], high[a]) for a in (1, 2))
    points = np.stack(np.meshgrid(z, y, x, indexing="ij")[::-1], axis=-1)
    surface = lesion.at(points - center)
    cover = np.clip(0.5 - surface / step[1], 0, 1)
    cover = cover * np.clip(0.5 - (anatomy.sample(anatomy.lung, points) - 0.8) / step[1], 0, 1)
    volume = float(cover.sum()) * float(step.prod()) / times
    if volume < 8.0:
        return None
    weights = cover.reshape(-1, 1)
    centroid = (points.reshape(-1, 3) * weights).sum(0) / weights.sum()
    hu = _tissue(lesion, surface, rng)
    shape = (high[0] - low[0], times, *cover.shape[1:])
    mean = cover.reshape(shape).mean(1)
    tissue = (cover * hu).reshape(shape).mean(1) / np.maximum(mean, 1e-6)
    start = (int(low[0]), int(low[1]), int(low[2]))
    diameter = float((6 * volume / np.pi) ** (1 / 3))
    return Placed(centroid, diameter, start, mean.astype(np.float32), tissue.astype(np.float32), lesion.ratings)


def _tissue(lesion: Lesion, surface: Field, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    patchy = 35.0 if lesion.level_hu < -200 else 8.0
    hu = lesion.level_hu + rng.normal(0, patchy, surface.shape)
    core = np.clip(0.5 - (surface + lesion.core_depth_mm) / 1.0, 0, 1)
    return np.asarray(hu + core * (lesion.core_hu - hu))
