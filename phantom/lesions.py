"""Nodules for phantoms: real LIDC outlines with tissue made from their ratings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from preprocessing.lidc.shapes import NoduleShape, read_nodule_shapes
from preprocessing.splits import SplitSettings

Field = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]
SMALLEST_MM = 3.0
LARGEST_MM = 30.0
SOLID_LEVEL = {1: (-650.0, -450.0), 2: (-600.0, -400.0), 3: (-560.0, -380.0), 4: (-120.0, 20.0), 5: (0.0, 60.0)}


@dataclass(frozen=True, slots=True, eq=False)
class Lesion:
    """A nodule ready to be placed.

    Attributes:
        distance: (Z, Y, X) signed distance to the surface, mm, negative inside, on a cubic grid of `step_mm`.
        step_mm: grid step, mm.
        diameter_mm: of the sphere of equal volume.
        level_hu: of the outer part.
        core_hu, core_depth_mm: tissue deeper than this under the surface (part-solid, calcified); depth inf for none.
        spikes: (n, 3) directions times length in mm, from the surface outwards.
        ratings: LIDC ratings by name.
    """

    distance: Field
    step_mm: float
    diameter_mm: float
    level_hu: float
    core_hu: float
    core_depth_mm: float
    spikes: Points
    ratings: dict[str, float]

    def at(self, away_xyz: Points) -> Field:
        """Signed distance at points (..., 3) x, y, z relative to the centre, spikes included."""
        middle = (np.asarray(self.distance.shape) - 1) / 2
        index = away_xyz[..., ::-1] / self.step_mm + middle
        flat = index.reshape(-1, 3).T
        inside = ndimage.map_coordinates(self.distance, flat, order=1, mode="nearest").reshape(away_xyz.shape[:-1])
        beyond = np.maximum(np.abs(index - middle) - middle, 0).max(axis=-1) * self.step_mm
        out = inside + beyond
        far = np.linalg.norm(away_xyz, axis=-1)
        radius = self.diameter_mm / 2
        for spike in self.spikes:
            length = float(np.linalg.norm(spike))
            along = away_xyz @ (spike / length)
            across = np.sqrt(np.maximum(far**2 - along**2, 0))
            thick = 0.9 * np.clip(1 - (along - radius) / length, 0, 1)
            needle = np.maximum(across - thick, np.maximum(along - radius - length, -along))
            out = np.minimum(out, needle)
        return cast(Field, out.astype(np.float32))

    @property
    def reach_mm(self) -> float:
        """Half the side of a box that holds the lesion and its spikes."""
        own = (max(self.distance.shape) - 1) / 2 * self.step_mm
        spiked = self.diameter_mm / 2 + max((float(np.linalg.norm(s)) for s in self.spikes), default=0.0)
        return float(max(own, spiked + 1))


@lru_cache(maxsize=1)
def _whole_library() -> tuple[NoduleShape, ...]:
    return tuple(s for s in read_nodule_shapes() if SMALLEST_MM <= s.diameter_mm <= LARGEST_MM)


def library(split: SplitSettings | None = None, held_out: bool = False) -> tuple[NoduleShape, ...]:
    """One outline for each LIDC nodule of 3 to 30 mm.

    Args:
        split: keeps one side of it only; None keeps both.
        held_out: the side to measure on; else the one to learn from.

    Raises:
        ValueError: the split leaves no outline on that side.
    """
    shapes = _whole_library()
    if split is None:
        return shapes
    wanted = split.holds_out if held_out else split.trains
    sides = {patient: wanted(patient) for patient in {s.patient_id for s in shapes}}
    kept = tuple(s for s in shapes if sides[s.patient_id])
    if not kept:
        raise ValueError(f"no outline is left {'to measure on' if held_out else 'to learn from'}: {split.describe()}")
    return kept


def draw_lesion(rng: np.random.Generator, shapes: tuple[NoduleShape, ...] | None = None) -> Lesion:
    """A lesion after a random real nodule: turned, mirrored, scaled by 0.9 to 1.15, with tissue from its ratings.

    Args:
        rng: the only source of randomness.
        shapes: outlines to draw from, see `library`; None takes all.
    """
    shapes = library() if shapes is None else shapes
    shape = shapes[int(rng.integers(len(shapes)))]
    scale = float(rng.uniform(0.9, 1.15))
    step, distance = _surface(shape, scale)
    distance = np.rot90(distance, int(rng.integers(4)), (1, 2))
    distance = np.rot90(distance, 2 * int(rng.integers(2)), (0, 1))[:, :, :: int(rng.choice([-1, 1]))]
    diameter = shape.diameter_mm * scale
    ratings = {name: float(value) for name, value in shape.ratings.items()}
    level, core, depth = _tissue(rng, shape.ratings, diameter)
    spikes = _spikes(rng, shape.ratings["spiculation"], diameter)
    return Lesion(np.ascontiguousarray(distance), step, diameter, level, core, depth, spikes, ratings)


def _surface(shape: NoduleShape, scale: float) -> tuple[float, Field]:
    """Smooth signed distance of the scaled mask on a cubic grid; the zero level keeps the volume."""
    dz, dxy = shape.spacing_mm
    step = float(np.clip(shape.diameter_mm / 12, 0.35, 0.8))
    pad = [int(np.ceil(3 / dz)) + 1, int(np.ceil(3 / dxy)) + 1, int(np.ceil(3 / dxy)) + 1]
    mask = np.pad(shape.mask, [(n, n) for n in pad])
    size = np.array([dz, dxy, dxy])
    extent = np.array(mask.shape) * size
    half = np.ceil(extent / 2 / step).astype(int)
    axes = [(np.arange(-h, h + 1) * step) / s + (n - 1) / 2 for h, s, n in zip(half, size, mask.shape, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    soft = ndimage.map_coordinates(mask.astype(np.float32), grid.reshape(3, -1), order=1, mode="constant")
    soft = ndimage.gaussian_filter(soft.reshape(grid.shape[1:]), [0.45 * dz / step, 0.6 / step, 0.6 / step])
    wanted = shape.mask.sum() * size.prod() / step**3
    level = float(np.partition(soft.ravel(), -round(wanted))[-round(wanted)])
    inside = soft >= max(level, 1e-4)
    signed = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
    signed = ndimage.gaussian_filter(signed - 0.5 * np.sign(signed), 0.7)
    return step * scale, (signed * step * scale).astype(np.float32)


def _tissue(rng: np.random.Generator, ratings: dict[str, int], diameter: float) -> tuple[float, float, float]:
    """HU of the outer part, HU of the core and how deep the core begins."""
    texture, calcification = ratings["texture"], ratings["calcification"]
    level = float(rng.uniform(*SOLID_LEVEL[int(np.clip(texture, 1, 5))]))
    if calcification == 3:
        return float(rng.uniform(350, 900)), 0.0, float("inf")
    if calcification < 6:
        return level, float(rng.uniform(250, 700)), float(rng.uniform(0.18, 0.3)) * diameter
    if texture in (2, 3):
        depth = rng.uniform(0.12, 0.22) if texture == 3 else rng.uniform(0.28, 0.36)
        return level, float(rng.uniform(-40, 50)), float(depth) * diameter
    return level, 0.0, float("inf")


def _spikes(rng: np.random.Generator, spiculation: int, diameter: float) -> Points:
    """Radiating strands from a rating of 3 upwards."""
    if spiculation < 3 or diameter < 5:
        return np.zeros((0, 3))
    n = int(rng.integers(4, 7)) * (spiculation - 2)
    directions = rng.standard_normal((n, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions * rng.uniform(0.3, 0.7, (n, 1)) * min(diameter, 14)
