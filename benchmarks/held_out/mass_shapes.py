"""Outlines of masses as signed distances: real nodules' grown large, lobed ellipsoids, spicules."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from phantom.lesions import Lesion, draw_lesion
from phantom.pieces import FloatVolume
from phantom.solids import cover, ellipsoid, smooth_noise
from preprocessing.lidc.shapes import NoduleShape

# The cut at the pleura makes a mass smaller: it is grown again so often to come to its size.
ROUNDS = 4
STEP = 2

Places = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """A real nodule's outline."""

    lesion: Lesion

    @staticmethod
    def draw(outlines: tuple[NoduleShape, ...], rng: np.random.Generator) -> Outline:
        return Outline(replace(draw_lesion(rng, outlines), spikes=np.zeros((0, 3))))

    def distance(self, away_zyx: Places, diameter_mm: float) -> FloatVolume:
        k = diameter_mm / self.lesion.diameter_mm
        scaled = replace(
            self.lesion,
            distance=(self.lesion.distance * k).astype(np.float32),
            step_mm=self.lesion.step_mm * k,
            diameter_mm=diameter_mm,
        )
        return scaled.at(away_zyx[..., ::-1])


@dataclass(frozen=True, slots=True, eq=False)
class Lobed:
    """An ellipsoid with lobes."""

    radii: tuple[float, float, float]
    lobes: Places

    @staticmethod
    def draw(rng: np.random.Generator) -> Lobed:
        radii = np.exp(rng.normal(0, 0.12, 3))
        x, y, z = (radii / np.prod(radii) ** (1 / 3)).tolist()
        lobes = rng.standard_normal((int(rng.integers(4, 9)), 3))
        return Lobed((x, y, z), lobes / np.linalg.norm(lobes, axis=1, keepdims=True))

    def distance(self, away_zyx: Places, diameter_mm: float) -> FloatVolume:
        radius = diameter_mm / 2
        z, y, x = (away_zyx[..., k].astype(np.float32) for k in range(3))
        rx, ry, rz = (0.93 * radius * r for r in self.radii)
        whole = ellipsoid(x, y, z, (0, 0, 0), (rx, ry, rz))
        for lobe in self.lobes:
            cx, cy, cz = (0.62 * radius * float(v) for v in lobe)
            whole = np.minimum(whole, ellipsoid(x, y, z, (cx, cy, cz), (0.45 * radius,) * 3))
        return np.asarray(whole, np.float32)


def fitted(
    shape: Outline | Lobed, center: Places, depth: FloatVolume, wanted_mm: float, rng: np.random.Generator
) -> FloatVolume:
    """Signed distance of a shape that, cut at the borders of the lung, has the wanted size; made at 2 mm."""
    coarse = depth[::STEP, ::STEP, ::STEP]
    away = np.stack(np.meshgrid(*(STEP * np.arange(n) for n in coarse.shape), indexing="ij"), -1) - center
    # No mass is round: lobes of a quarter of its size, and a margin that is ragged within millimetres.
    ragged = 1.2 * smooth_noise(rng, coarse.shape, 4.0, STEP)
    ragged += 0.045 * wanted_mm * smooth_noise(rng, coarse.shape, wanted_mm / 7, STEP)
    size = wanted_mm
    for _ in range(ROUNDS):
        distance = shape.distance(away, size) + ragged
        volume = cover(np.maximum(distance, -coarse), STEP).sum() * STEP**3
        got = float((6 * volume / np.pi) ** (1 / 3))
        if abs(got / wanted_mm - 1) < 0.03:
            break
        size = min(size * wanted_mm / max(got, 1.0), 1.35 * wanted_mm)
    grid = [np.arange(n) / STEP for n in depth.shape]
    fine = distance
    for axis, where in enumerate(grid):
        low = np.minimum(where.astype(int), max(fine.shape[axis] - 2, 0))
        share = np.minimum(where - low, 1).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        high = np.minimum(low + 1, fine.shape[axis] - 1)
        fine = np.take(fine, low, axis) * (1 - share) + np.take(fine, high, axis) * share
    return np.asarray(fine, np.float32)


def spicules(rng: np.random.Generator) -> Places:
    """Directions times length in mm, (n, 3) z, y, x."""
    n = int(rng.integers(25, 45))
    directions = rng.standard_normal((n, 3))
    return np.asarray(directions / np.linalg.norm(directions, axis=1, keepdims=True) * rng.uniform(6, 20, (n, 1)))


def strands(away: Places, distance: FloatVolume, spikes: Places) -> FloatVolume:
    """Distance to strands that leave the surface: in each direction a cone that tapers to nothing."""
    out = np.full(distance.shape, 50, np.float32)
    near = (distance > -2) & (distance < 22)
    spots, outside = away[near], distance[near]
    far = np.linalg.norm(spots, axis=-1)
    best = np.full(len(spots), 50.0)
    for spike in spikes:
        length = float(np.linalg.norm(spike))
        along = spots @ (spike / length)
        across = np.sqrt(np.maximum(far**2 - along**2, 0))
        thick = 1.6 * np.clip(1 - outside / length, 0, 1)
        best = np.minimum(best, np.where((along > 0) & (outside < length), across - thick, 50.0))
    out[near] = best
    return out
