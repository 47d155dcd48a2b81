"""Hybrid scans: nodules of held-out patients, and normal tissue cut alike, blended into chests that no training sees.

A piece goes where its surroundings fit best among many places and turns, so that a wall comes to a wall. All at 1 mm;
what a scanner makes of it comes after (`benchmarks.held_out.acquired`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.held_out.acquired import BREATHS, THICKNESSES_MM, Acquisition, acquire, draw_acquisition
from benchmarks.held_out.chests import Chest
from detection.training.spheres import Spheres, clear_of, spheres
from phantom.hybrid import SCALE_RANGE, Matrix, blend, random_turn, tissue_like
from phantom.pieces import FloatVolume, NoduleCrop, Piece
from preprocessing.annotations import Nodule
from preprocessing.prepare import PreparedScan
from preprocessing.volume import Volume
from runs.seeds import stream

MOST_NODULES = 4
# Of the nodules so many are drawn from those that are not solid, as far as there are some of the size.
SUBSOLID_SHARE = 0.15
TRIES = 60
SEAM_POINTS = 1500
# Around a place so much is changed by a blend; no crop reaches further.
REACH = 96


@dataclass(frozen=True, slots=True, eq=False)
class RatedCrop:
    """A nodule to blend in, with its patient's readers' texture (1 non-solid to 5 solid)."""

    crop: NoduleCrop
    texture: float


@dataclass(frozen=True, slots=True, eq=False)
class HybridScan:
    """A scan with its truth.

    Attributes:
        volume: as a reader would give it.
        nodules: those that were blended in.
        known: findings that the chest came with, under the scan's uid: hits on them are ignored.
        chest: whose chest it is.
        how: the acquisition.
    """

    volume: Volume
    nodules: list[Nodule]
    known: list[Nodule]
    chest: str
    how: Acquisition


def hybrid_scan(
    index: int,
    seed: int,
    chests: Sequence[Chest],
    crops: Sequence[RatedCrop],
    diameters_mm: npt.NDArray[np.float64],
) -> HybridScan:
    """Scan number `index` of the bench, a function of the number and the seed.

    Args:
        index: thicknesses, breaths and chests follow each other in turn, so that all meet all.
        seed: of the bench.
        chests: held out.
        crops: of held-out patients.
        diameters_mm: sizes to draw from.
    """
    rng = stream("benchmarks.hybrid.scan", seed, index)
    thickness = THICKNESSES_MM[index % len(THICKNESSES_MM)]
    breath = list(BREATHS)[index // len(THICKNESSES_MM) % len(BREATHS)]
    chest = chests[index % len(chests)]
    uid = f"hybrid-{seed}-{index}"
    hu = chest.hu.astype(np.float32)
    taken = chest.marks
    nodules = []
    for _ in range(int(rng.integers(1, MOST_NODULES + 1))):
        rated, scale = draw_crop(crops, float(rng.choice(diameters_mm)), rng)
        piece = rated.crop.slab if rng.random() < 0.5 else rated.crop.outline
        diameter = piece.diameter_mm * scale
        at = _put(hu, chest, piece, scale, taken, rng)
        if at is not None:
            taken = np.concatenate([taken, spheres([(*at, diameter + 10)])])
            x, y, z = chest.geometry.to_world(at).tolist()
            nodules.append(Nodule(uid, (x, y, z), diameter, ratings={"texture": rated.texture}))
        if rng.random() < 0.5:
            at = _put_tissue(hu, chest, chests, piece, taken, rng)
            taken = taken if at is None else np.concatenate([taken, spheres([(*at, diameter + 10)])])
    how = draw_acquisition(rng, thickness, breath)
    volume = acquire(hu, chest.lungs, chest.lung_hu, chest.geometry, how, rng, uid)
    known = [Nodule(uid, n.center_mm, n.diameter_mm) for n in chest.known]
    return HybridScan(volume, nodules, known, chest.patient_id, how)


def contrast_hu(prepared: PreparedScan, nodule: Nodule, lung_hu: float) -> float:
    """How much denser than lung the scan shows a nodule: the upper quartile in its ball. Thick slices dilute it."""
    geometry = prepared.volume.geometry
    center, radius = geometry.to_voxel(nodule.center_mm), nodule.diameter_mm / 2
    low = np.maximum(np.floor(center - radius), 0).astype(int)
    high = np.minimum(np.ceil(center + radius) + 1, prepared.volume.hu.shape).astype(int)
    grid = np.indices(high - low).reshape(3, -1).T + low
    ball = grid[np.linalg.norm(grid - center, axis=1) <= radius]
    return float(np.quantile(prepared.volume.hu[tuple(ball.T)], 0.75) - lung_hu)


def draw_crop(crops: Sequence[RatedCrop], wanted_mm: float, rng: np.random.Generator) -> tuple[RatedCrop, float]:
    """A nodule near a size, and the scale that brings it there: 0.85 to 1.18, as in training."""
    sizes = np.array([c.crop.diameter_mm for c in crops])
    near = (sizes * SCALE_RANGE[0] <= wanted_mm) & (sizes * SCALE_RANGE[1] >= wanted_mm)
    if rng.random() < SUBSOLID_SHARE:
        subsolid = near & np.array([c.texture < 3.5 for c in crops])
        near = subsolid if subsolid.any() else near
    if not near.any():
        near = np.abs(np.log(sizes / wanted_mm)) <= np.abs(np.log(sizes / wanted_mm)).min() + 1e-9
    chosen = crops[int(rng.choice(np.flatnonzero(near)))]
    return chosen, float(np.clip(wanted_mm / chosen.crop.diameter_mm, *SCALE_RANGE))


def _put(
    hu: FloatVolume, chest: Chest, piece: Piece, scale: float, taken: Spheres, rng: np.random.Generator
) -> npt.NDArray[np.float64] | None:
    """Blend a piece in where it fits best; its place (z, y, x), or None without a free one."""
    best: tuple[float, npt.NDArray[np.float64], Matrix] | None = None
    seam, values = _seam(piece, rng)
    reach = piece.diameter_mm * scale / 2 + 4
    for _ in range(TRIES):
        place = chest.places[rng.integers(len(chest.places))] + rng.uniform(-0.5, 0.5, 3)
        matrix, drawn = random_turn(rng)
        matrix = matrix * (drawn / scale)
        whole = np.all((place >= reach) & (place <= np.asarray(hu.shape) - 1 - reach))
        if not whole or not clear_of(taken, place, reach):
            continue
        misfit = _misfit(hu, seam @ np.linalg.inv(matrix).T + place, values)
        if best is None or misfit < best[0]:
            best = misfit, place, matrix
    if best is None:
        return None
    _, place, matrix = best
    low = np.maximum(np.rint(place).astype(int) - REACH, 0)
    window = tuple(
        slice(a, b) for a, b in zip(low.tolist(), (np.rint(place).astype(int) + REACH).tolist(), strict=True)
    )
    blend(hu[window], piece, place - low, matrix)
    return place


def _put_tissue(
    hu: FloatVolume,
    chest: Chest,
    chests: Sequence[Chest],
    shape_of: Piece,
    taken: Spheres,
    rng: np.random.Generator,
) -> npt.NDArray[np.float64] | None:
    """Normal tissue of any of the chests, cut like a piece and put like one."""
    source = chests[int(rng.integers(len(chests)))]
    shape, middle = np.asarray(shape_of.hu.shape), np.asarray(shape_of.center_zyx)
    for _ in range(TRIES):
        at = source.places[rng.integers(len(source.places))]
        inside = np.all((at >= middle) & (at + shape - middle <= source.hu.shape))
        if inside and clear_of(source.marks, at, float(np.linalg.norm(shape) / 2)):
            return _put(hu, chest, tissue_like(shape_of, source.hu, at), 1.0, taken, rng)
    return None


def _seam(piece: Piece, rng: np.random.Generator) -> tuple[npt.NDArray[np.float64], FloatVolume]:
    """(n, 3) steps from the piece's centre to points of its seam, and the tissue there."""
    points = np.argwhere((piece.weight > 0.05) & (piece.weight < 0.7))
    points = points[rng.permutation(len(points))[:SEAM_POINTS]]
    return points - np.asarray(piece.center_zyx), piece.hu[tuple(points.T)]


def _misfit(hu: FloatVolume, points: npt.NDArray[np.float64], values: FloatVolume) -> float:
    """Mean difference in HU between the seam and what is there; outside the chest nothing fits."""
    at = np.rint(points).astype(int)
    inside = np.all((at >= 0) & (at < hu.shape), axis=1)
    there = hu[tuple(at[inside].T)]
    apart = np.abs(np.clip(there, -1000, 200) - np.clip(values[inside], -1000, 200)).sum() + 500.0 * (~inside).sum()
    return float(apart / max(len(at), 1))
