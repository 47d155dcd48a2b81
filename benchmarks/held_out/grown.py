"""Masses of 30 to 100 mm in chests that no training sees: held-out nodules' outlines grown large, and simulated ones.

What lies in the chest wall or the mediastinum is cut off: truth is what a reader can see in the lung.
"""

from __future__ import annotations

from dataclasses import dataclass

import edt
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from benchmarks.held_out.chests import Chest
from benchmarks.held_out.mass_shapes import Lobed, Outline, Places, fitted, spicules, strands
from phantom.lesions import library
from phantom.pieces import FloatVolume
from phantom.solids import cover, smooth_noise
from preprocessing.lidc.shapes import NoduleShape
from preprocessing.lungs.mask import MARGIN_MM
from preprocessing.splits import SplitSettings

PLACES = ("wall", "hilum", "free")
KINDS = ("solid", "necrotic", "spiculated", "collapse")
SIZES_MM = ((30.0, 40.0), (40.0, 55.0), (55.0, 75.0), (75.0, 100.0))
# Outlines that masses are grown from.
LARGE_MM = 12.0
CANDIDATE_PLACES = 300

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Mass:
    """A mass in a chest at 1 mm.

    Attributes:
        center_zyx: centroid of what can be seen of it.
        diameter_mm: of the sphere with the volume of what can be seen; spicules and collapsed lung do not count.
        start_zyx: first voxel of `inside`.
        inside: (z, y, x) bool, the mass.
        place, kind: of `PLACES` and `KINDS`.
        origin: outline (of a held-out nodule) or simulated.
    """

    center_zyx: Places
    diameter_mm: float
    start_zyx: npt.NDArray[np.int64]
    inside: Mask
    place: str
    kind: str
    origin: str

    def holds(self, point_zyx: npt.NDArray[np.float64]) -> bool:
        """Whether a point lies in the mass."""
        at = np.rint(point_zyx).astype(int) - self.start_zyx
        return bool(np.all((at >= 0) & (at < self.inside.shape)) and self.inside[tuple(at)])


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """A chest with how deep in the lung its voxels lie.

    Attributes:
        chest: it.
        depth_mm: (Z, Y, X) float32, below 0 outside the lung field (vessels and hilum inside it).
        hila_zyx: (2, 3) about where the vessels enter, right and left.
    """

    chest: Chest
    depth_mm: FloatVolume
    hila_zyx: Places


def room_of(chest: Chest) -> Room:
    """Depth and hila of a chest."""
    inner = edt.edt(chest.lungs, parallel=0) > MARGIN_MM
    # The mask's margin lies in the wall but where lung reaches into it; there a mass meets the pleura without a gap.
    aerated = ndimage.binary_dilation(chest.lungs & (chest.hu < -300)) & chest.lungs
    field = inner | aerated
    depth = (edt.edt(field, parallel=0) - edt.edt(~field, parallel=0)).astype(np.float32)
    depth -= np.float32(0.5) * np.sign(depth)
    middle = float(np.nonzero(inner)[2].mean())
    hila = []
    for side in (inner[..., : int(middle)], inner[..., int(middle) :]):
        right = not hila
        z, y, _ = (int(v) for v in ndimage.center_of_mass(side))
        line = np.flatnonzero(side[z, y])
        if not len(line):
            line = np.flatnonzero(side.any((0, 1)))
        hila.append((float(z), float(y), float(line.max() if right else line.min() + int(middle))))
    return Room(chest, depth, np.asarray(hila))


def large_outlines() -> tuple[NoduleShape, ...]:
    """Outlines of the largest nodules of held-out patients."""
    return tuple(s for s in library(SplitSettings(), held_out=True) if s.diameter_mm >= LARGE_MM)


def grow(
    hu: FloatVolume,
    room: Room,
    place: str,
    kind: str,
    wanted_mm: float,
    outlines: tuple[NoduleShape, ...],
    rng: np.random.Generator,
) -> Mass:
    """Put a mass into `hu` (Z, Y, X at 1 mm), in place.

    Args:
        hu: of the chest.
        room: of the same chest.
        place, kind: of `PLACES` and `KINDS`.
        wanted_mm: diameter of what can be seen; a small lung holds less.
        outlines: to grow from.
        rng: the only source of randomness.
    """
    center = _center(room, place, wanted_mm / 2, rng)
    origin = "outline" if rng.random() < 0.5 else "simulated"
    shape = Outline.draw(outlines, rng) if origin == "outline" else Lobed.draw(rng)
    spikes = spicules(rng) if kind == "spiculated" else np.zeros((0, 3))
    reach = int(np.ceil(0.8 * wanted_mm + 22))
    start = np.maximum(np.rint(center).astype(int) - reach, 0)
    stop = np.minimum(np.rint(center).astype(int) + reach + 1, hu.shape)
    window = tuple(slice(a, b) for a, b in zip(start.tolist(), stop.tolist(), strict=True))
    depth = room.depth_mm[window]
    distance = fitted(shape, center - start, depth, wanted_mm, rng)
    away = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in depth.shape), indexing="ij"), -1)
    away -= (center - start).astype(np.float32)
    seen = cover(np.maximum(distance, -depth), 1.0)
    got = float((6 * seen.sum() / np.pi) ** (1 / 3))
    part = hu[window]
    if kind == "collapse":
        _collapse(part, away, depth, _outward(room, center, place, rng), got / 2, rng)
    tissue = _tissue(distance, got / 2, kind, rng)
    part += seen * (tissue - part)
    if len(spikes):
        share = cover(np.maximum(strands(away, distance, spikes), -depth), 1.0)
        part += share * np.maximum(tissue - part, 0) * (1 - seen)
    inside = seen >= 0.5
    centroid = np.asarray(ndimage.center_of_mass(seen)) + start
    return Mass(centroid, got, start, inside, place, kind, origin)


def _center(room: Room, place: str, radius: float, rng: np.random.Generator) -> Places:
    """Where a mass sits: against the ribs or the diaphragm, at the hilum, or as free as the lung allows."""
    chest = room.chest
    spots = chest.places[rng.permutation(len(chest.places))[:CANDIDATE_PLACES]].astype(float)
    depth = room.depth_mm[tuple(spots.astype(int).T)]
    to_hilum = np.linalg.norm(spots[:, None] - room.hila_zyx[None], axis=2).min(1)
    ends = np.minimum(spots[:, 0], chest.hu.shape[0] - 1 - spots[:, 0])
    if place == "wall":
        worth = -np.abs(depth - 0.45 * radius) - 0.2 * np.maximum(60 - to_hilum, 0)
    elif place == "hilum":
        worth = -np.abs(to_hilum - 0.8 * radius) - 0.5 * np.maximum(0.3 * radius - depth, 0)
    else:
        worth = np.minimum(depth, 1.1 * radius)
    # Not cut off by the first or last slice, where the chest allows it.
    worth = worth - np.maximum(radius - ends, 0)
    best = np.argsort(-worth)[:6]
    return spots[int(rng.choice(best))] + rng.uniform(-0.5, 0.5, 3)


def _outward(room: Room, center: Places, place: str, rng: np.random.Generator) -> Places:
    """Where the lung lies that a mass cuts off from its bronchus: away from the hilum; at the wall along it."""
    hilum = room.hila_zyx[np.linalg.norm(room.hila_zyx - center, axis=1).argmin()]
    away = center - hilum
    if place == "wall":
        away = np.array([rng.choice([-1.0, 1.0]), *(0.5 * rng.standard_normal(2))])
    elif np.linalg.norm(away) < 10:
        away = np.array([1.0, 0, 0])
    return np.asarray(away / np.linalg.norm(away))


def _collapse(
    part: FloatVolume, away: Places, depth: FloatVolume, axis: Places, radius: float, rng: np.random.Generator
) -> None:
    """A wedge of airless lung from the mass outwards, with some air left in it and edges along straight fissures."""
    along = away @ axis
    across = np.sqrt(np.maximum((away**2).sum(-1) - along**2, 0))
    slope = np.tan(np.deg2rad(rng.uniform(16, 28)))
    edge = across - (0.45 * radius + slope * np.maximum(along, 0)) + smooth_noise(rng, depth.shape, 10.0, 1.0)
    beyond = along - radius * rng.uniform(2.0, 2.8)
    wedge = np.maximum(np.maximum(edge, -along), np.maximum(beyond, -depth)).astype(np.float32)
    airless = 25 + 12 * smooth_noise(rng, depth.shape, 4.0, 1.0)
    bronchi = np.clip(smooth_noise(rng, depth.shape, 3.0, 1.0) - 1.7, 0, 1)
    weight = cover(wedge, 2.0)
    part += weight * (airless - 500 * bronchi - part)


def _tissue(distance: FloatVolume, radius: float, kind: str, rng: np.random.Generator) -> FloatVolume:
    """Soft tissue with grain; a necrotic centre of low density, in some with gas above."""
    level = rng.uniform(30, 65)
    hu = level + 9 * smooth_noise(rng, distance.shape, 5.0, 1.0) + 12 * smooth_noise(rng, distance.shape, 0.8, 1.0)
    if kind == "necrotic":
        deep = cover(
            distance + np.float32(radius * rng.uniform(0.25, 0.45)) + 3 * smooth_noise(rng, distance.shape, 8.0, 1.0),
            4.0,
        )
        core = rng.uniform(0, 15) if rng.random() < 0.6 else rng.uniform(-950, -700)
        hu += deep * (core - level)
    return np.asarray(hu, np.float32)
