"""Tissue blended into a patch that is being made: nodules and masses, and normal tissue in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from detection.training.hosts import Host
from detection.training.settings import SamplingSettings
from detection.training.spheres import Spheres, clear_of, spheres
from phantom.hybrid import aerated_share, averaged, blend, paste_places, random_turn, tissue_like
from phantom.pieces import FloatVolume, NoduleCrop, Piece

# A cube's nodule lies at least so far from the border of its patch, so that it is seen well enough to be taught.
CUBE_MARGIN = 8
# At lower resolutions crops from so many voxels on are pasted, grown by up to so much.
LEAST_MASS = 8.0
MASS_GROWTH = 2.2
LARGEST = 8
# So much of a nodule's box is lung at the place where it goes; a mass may lie against the wall or the hilum.
AERATED, AERATED_MASS = 0.3, 0.12
# Ground glass is a nodule from so many mm on that takes the place of so much of the lung.
LEAST_GROUND_GLASS_MM = 5.0
GROUND_GLASS = (0.25, 0.55)


@dataclass(slots=True, eq=False)
class Canvas:
    """A patch being made: HU, lungs and marks, and where its seams are."""

    hu: FloatVolume
    lungs: npt.NDArray[np.bool_]
    nodules: Spheres
    ignored: Spheres
    seam: npt.NDArray[np.bool_]


class Pasting:
    """Puts cubes and crops, and normal tissue cut like them, into patches.

    Args:
        hosts: chests that normal tissue comes from.
        crops: nodules to blend in.
        cubes: nodules in their own surroundings.
        settings: of the patches.
    """

    def __init__(
        self, hosts: Sequence[Host], crops: Sequence[NoduleCrop], cubes: Sequence[Piece], settings: SamplingSettings
    ) -> None:
        self.hosts, self.crops, self.cubes, self.settings = hosts, crops, cubes, settings
        self._diameters = np.array([crop.diameter_mm for crop in crops])
        fine = np.array([host.weight * (host.step == 1) for host in hosts])
        self._fine_share = fine / fine.sum()

    def add_cube(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """A cube with its nodule, or the same cube cut from normal tissue of any chest."""
        cube = self.cubes[int(rng.integers(len(self.cubes)))]
        if rng.random() < 0.5:
            which = int(rng.choice(len(self.hosts), p=self._fine_share))
            tissue = _normal_tissue(self.hosts[which], cube, rng)
            if tissue is None:
                return
            cube = tissue
        place = rng.uniform(CUBE_MARGIN, self.settings.patch - 1 - CUBE_MARGIN, 3)
        _blend(canvas, cube, place, rng, seams=True)

    def add_crops(self, canvas: Canvas, host: Host, rng: np.random.Generator) -> None:
        """Nodules and normal tissue in random order, none over another."""
        wanted = self.settings
        kinds = [True] * int(rng.poisson(wanted.nodules)) + [False] * int(rng.poisson(wanted.tissue))
        rng.shuffle(kinds)
        places = paste_places(canvas.hu, canvas.lungs, rng, len(kinds))
        taken = np.concatenate([canvas.nodules, canvas.ignored])
        least_air = AERATED if host.step == 1 else AERATED_MASS
        for is_nodule, place in zip(kinds, places, strict=False):
            crop, grown = self._draw(rng) if host.step == 1 else self._draw_mass(rng, host.step)
            whole = bool(rng.random() < wanted.slabs)
            piece = crop.slab if whole else crop.outline
            if host.step > 1:
                piece = replace(piece, hu=averaged(piece.hu))
            glass = not whole and host.step == 1 and crop.diameter_mm >= LEAST_GROUND_GLASS_MM
            share = float(rng.uniform(*GROUND_GLASS)) if glass and rng.random() < wanted.ground_glass else 1.0
            reach = grown * crop.diameter_mm / 2 + 4
            air = aerated_share(canvas.hu, place, grown * crop.diameter_mm)
            if not clear_of(taken, place, reach) or air < least_air:
                continue
            tissue = None if is_nodule else _normal_tissue(host, piece, rng)
            if not is_nodule and tissue is None:
                continue
            _blend(canvas, tissue or piece, place + rng.uniform(-0.5, 0.5, 3), rng, whole, grown, share)
            taken = np.concatenate([taken, spheres([(*place, 2 * reach)])])

    def _draw(self, rng: np.random.Generator) -> tuple[NoduleCrop, float]:
        """A nodule as it comes, or of a size drawn evenly over its logarithm; it does not grow."""
        if rng.random() < self.settings.large_share:
            wanted = np.exp(rng.uniform(np.log(3), np.log(28)))
            near = np.flatnonzero(np.abs(np.log(self._diameters / wanted)) < 0.2)
            if len(near):
                return self.crops[int(rng.choice(near))], 1.0
        return self.crops[int(rng.integers(len(self.crops)))], 1.0

    def _draw_mass(self, rng: np.random.Generator, step: int) -> tuple[NoduleCrop, float]:
        """A nodule, and how it grows to a size drawn evenly over its logarithm."""
        low, high = np.maximum(np.asarray(self.settings.masses_mm) / step, LEAST_MASS)
        size = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        fitting = (self._diameters >= max(size / MASS_GROWTH, LEAST_MASS)) & (self._diameters <= size)
        # None is so large: the largest grow as much as they may.
        chosen = np.flatnonzero(fitting) if fitting.any() else np.argsort(self._diameters)[-LARGEST:]
        crop = self.crops[int(rng.choice(chosen))]
        return crop, float(np.clip(size / crop.diameter_mm, 1.0, MASS_GROWTH))


def _normal_tissue(host: Host, shape_of: Piece, rng: np.random.Generator) -> Piece | None:
    """Tissue of a chest, from a place in its lungs where nothing known or suspected comes into the piece."""
    hu, lung_mask = host.voxels.hu, host.voxels.lung_mask
    shape, middle = np.asarray(shape_of.hu.shape), np.asarray(shape_of.center_zyx)
    reach = float(np.linalg.norm(shape) / 2)
    # The piece must lie in the chest: a border repeated outwards would tell normal tissue from a nodule's.
    low, high = np.ceil(middle), np.floor(np.asarray(hu.shape) - shape + middle)
    if np.any(low >= high):
        return None
    for _ in range(12):
        at = rng.integers(low.astype(int), high.astype(int))
        if lung_mask[tuple(at)] and clear_of(host.marked, at, reach):
            return tissue_like(shape_of, hu, at)
    return None


def _blend(
    canvas: Canvas,
    piece: Piece,
    place: npt.NDArray[np.float64],
    rng: np.random.Generator,
    seams: bool,
    grown: float = 1.0,
    share: float = 1.0,
) -> None:
    """A piece goes in, turned. Nodules that it covers, in part or whole, teach nothing any more; nor do its seams."""
    matrix, scale = random_turn(rng)
    weights = blend(canvas.hu, piece, place, matrix / grown, share)
    covered = _at(weights, canvas.nodules) > 0.05
    canvas.ignored = np.concatenate([canvas.ignored, canvas.nodules[covered]])
    canvas.nodules = canvas.nodules[~covered]
    if seams:
        canvas.seam |= (weights > 0.1) & (weights < 0.9)
    if piece.diameter_mm > 0:
        canvas.nodules = np.concatenate([canvas.nodules, spheres([(*place, piece.diameter_mm * scale * grown)])])


def _at(weights: FloatVolume, marks: Spheres) -> npt.NDArray[np.float32]:
    """(n,) weights at the centres of marks; those outside take the nearest voxel's."""
    z, y, x = np.clip(np.rint(marks[:, :3]), 0, np.asarray(weights.shape) - 1).astype(int).T
    return np.asarray(weights[z, y, x])
