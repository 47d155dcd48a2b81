"""Training patches: a piece of a chest, tissue blended into it with and without nodules, seen by another scanner.

Everything in a patch passed one interpolation, the chest by its own turn and what is blended in by its own, so that
texture does not tell where a nodule may be. Patch number k is a function of k and the seed alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from detection.levels import coarse_place
from detection.models.interface import KNOWN_STEP, Truth
from detection.training.hosts import Host
from detection.training.settings import SamplingSettings
from detection.training.spheres import Spheres, clear_of, inside, reaching, spheres, turned
from phantom.hybrid import averaged, blend, lung_shifted, paste_places, random_turn, reacquired, sampled, tissue_like
from phantom.pieces import FloatVolume, NoduleCrop, Piece
from preprocessing.geometry import Geometry, IntTriple
from preprocessing.patches import normalise
from preprocessing.preparation import Preparation
from preprocessing.resample import interpolated
from preprocessing.volume import HU_MIN
from runs.entry import UsageError
from runs.seeds import stream

# A cube's nodule lies at least so far from the border of its patch, so that it is seen well enough to be taught.
CUBE_MARGIN = 8
# Chests in training reach so far beyond the lungs, so that normal tissue at the pleura brings as much wall along as a
# nodule's surroundings do; at inference they end at the preparation's own margin, and so do half of the patches.
HOST_MARGIN_MM = 32.0
# At half resolution crops from so many voxels on are pasted, grown by up to so much: masses of 16 to 100 mm.
LEAST_MASS = 8.0
MASS_GROWTH = 1.6
# What is smaller there, in voxels, teaches nothing: the finer level knows it.
LEAST_COARSE_VOXELS = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One training example.

    Attributes:
        image: (1, D, H, W) in [0, 1], as the detector is shown it.
        nodules: marks to find, in the voxels of 1 mm that the patch was made of.
        ignored: marks that teach nothing, likewise.
        known: 1, or 0 along the seams of a slab or cube; one for every four voxels of 1 mm along each axis.
        grid: where the image's voxels lie among those of 1 mm.
    """

    image: torch.Tensor
    nodules: Spheres
    ignored: Spheres
    known: torch.Tensor
    grid: Geometry


@dataclass(slots=True, eq=False)
class _Canvas:
    """A patch being made: HU, lungs and marks, and where its seams are."""

    hu: FloatVolume
    lungs: npt.NDArray[np.bool_]
    nodules: Spheres
    ignored: Spheres
    seam: npt.NDArray[np.bool_]


class HybridPatches:
    """Numbered patches.

    Args:
        hosts: chests.
        crops: nodules to blend in.
        cubes: nodules in their own surroundings.
        settings: of the patches.
        seed: of all of them.
        preparation: what the detector is shown; None: what all networks trained here are.
    """

    def __init__(
        self,
        hosts: Sequence[Host],
        crops: Sequence[NoduleCrop],
        cubes: Sequence[Piece],
        settings: SamplingSettings,
        seed: int,
        preparation: Preparation | None = None,
    ) -> None:
        if not hosts:
            raise UsageError("training needs at least one chest to cut patches from, got none")
        self.hosts = list(hosts)
        self.crops = list(crops)
        self.cubes = list(cubes)
        self.settings = settings
        self.seed = seed
        self.preparation = preparation or Preparation()
        cube = Geometry((settings.patch,) * 3, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
        self._made, self._shown = cube, cube.resampled(self.preparation.spacing_mm)
        self._diameters = np.array([crop.diameter_mm for crop in self.crops])
        weights = np.array([host.weight for host in self.hosts])
        self._share = weights / weights.sum()
        fine = weights * [host.step == 1 for host in self.hosts]
        self._fine_share = fine / fine.sum()

    def __getitem__(self, number: int) -> Patch:
        return self.sample(stream("detection.patch", self.seed, number))

    def sample(self, rng: np.random.Generator) -> Patch:
        """One patch."""
        which = int(rng.choice(len(self.hosts), p=self._share))
        canvas = self._piece_of_chest(which, rng)
        if self.cubes and self.hosts[which].step == 1 and rng.random() < self.settings.cubes:
            self._add_cube(canvas, rng)
        elif self.crops:
            self._add_crops(canvas, self.hosts[which], rng)
        if rng.random() < self.settings.dense_share:
            canvas.hu = lung_shifted(canvas.hu, float(rng.uniform(*self.settings.density_hu)))
        size = self.settings.patch
        found = inside(canvas.nodules, size)
        partly = canvas.nodules[~found]
        ignored = np.concatenate([canvas.ignored, partly])
        hu = torch.from_numpy(reacquired(canvas.hu, rng, self.hosts[which].step))
        hu = interpolated(hu, self._made, self._shown)
        image = torch.from_numpy(normalise(hu.numpy(), self.preparation.window_hu))[None]
        known = 1 - _per_cell(canvas.seam).astype(np.float32)
        kept = ignored[reaching(ignored, size)]
        return Patch(image, canvas.nodules[found], kept, torch.from_numpy(known), self._shown)

    def _piece_of_chest(self, which: int, rng: np.random.Generator) -> _Canvas:
        host, size = self.hosts[which], self.settings.patch
        chest, lung_mask = host.voxels.hu, host.voxels.lung_mask
        center = self._center(host, chest.shape, rng)
        matrix, _ = random_turn(rng)
        middle = np.full(3, (size - 1) / 2)
        shape = (size, size, size)
        seen, first = chest, np.zeros(3)
        if host.box is not None and rng.random() < 0.5:
            seen = seen[tuple(slice(a, b) for a, b in zip(*host.box, strict=True))]
            first = np.asarray(host.box[0], float)
        hu = sampled(seen, matrix, center - first, middle, shape, fill=HU_MIN)
        lungs = sampled(lung_mask.view(np.uint8), matrix, center, middle, shape, order=0) > 0
        marks = [turned(m, matrix, center, middle) for m in (host.nodules, host.ignored)]
        nodules, ignored = (m[reaching(m, size)] for m in marks)
        return _Canvas(hu, lungs, nodules, ignored, np.zeros(shape, bool))

    def _center(self, host: Host, shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Anywhere in the lungs, now and then at a nodule the chest came with; between the voxels."""
        jitter = rng.uniform(-self.settings.patch / 3, self.settings.patch / 3, 3)
        if len(host.nodules) and rng.random() < self.settings.own_nodules:
            return host.nodules[rng.integers(len(host.nodules)), :3] + jitter
        flat = rng.choice(host.voxels.lung_voxels)
        coarse = [(n + 1) // 2 for n in shape]
        return 2.0 * np.asarray(np.unravel_index(int(flat), coarse), dtype=float) + rng.uniform(-1, 1, 3)

    def _add_cube(self, canvas: _Canvas, rng: np.random.Generator) -> None:
        """A cube with its nodule, or the same cube cut from normal tissue of any chest."""
        cube = self.cubes[int(rng.integers(len(self.cubes)))]
        if rng.random() < 0.5:
            which = int(rng.choice(len(self.hosts), p=self._fine_share))
            tissue = self._normal_tissue(self.hosts[which], cube, rng)
            if tissue is None:
                return
            cube = tissue
        place = rng.uniform(CUBE_MARGIN, self.settings.patch - 1 - CUBE_MARGIN, 3)
        _blend(canvas, cube, place, rng, seams=True)

    def _add_crops(self, canvas: _Canvas, host: Host, rng: np.random.Generator) -> None:
        """Nodules and normal tissue in random order, none over another."""
        wanted = self.settings
        kinds = [True] * int(rng.poisson(wanted.nodules)) + [False] * int(rng.poisson(wanted.tissue))
        rng.shuffle(kinds)
        places = paste_places(canvas.hu, canvas.lungs, rng, len(kinds))
        taken = np.concatenate([canvas.nodules, canvas.ignored])
        for is_nodule, place in zip(kinds, places, strict=False):
            crop = self._draw(rng, host.step)
            whole = bool(rng.random() < wanted.slabs)
            piece = crop.slab if whole else crop.outline
            grown = 1.0
            if host.step > 1:
                piece = replace(piece, hu=averaged(piece.hu))
                grown = float(np.exp(rng.uniform(0, np.log(MASS_GROWTH))))
            reach = grown * crop.diameter_mm / 2 + 4
            if not clear_of(taken, place, reach) or _aerated_share(canvas.hu, place, grown * crop.diameter_mm) < 0.3:
                continue
            tissue = None if is_nodule else self._normal_tissue(host, piece, rng)
            if not is_nodule and tissue is None:
                continue
            _blend(canvas, tissue or piece, place + rng.uniform(-0.5, 0.5, 3), rng, whole, grown)
            taken = np.concatenate([taken, spheres([(*place, 2 * reach)])])

    def _normal_tissue(self, host: Host, shape_of: Piece, rng: np.random.Generator) -> Piece | None:
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

    def _draw(self, rng: np.random.Generator, step: int) -> NoduleCrop:
        if step > 1 or rng.random() < self.settings.large_share:
            wanted = np.exp(rng.uniform(np.log(3 if step == 1 else LEAST_MASS), np.log(28)))
            near = np.flatnonzero(np.abs(np.log(self._diameters / wanted)) < 0.2)
            if len(near):
                return self.crops[int(rng.choice(near))]
        return self.crops[int(rng.integers(len(self.crops)))]


def halved(host: Host, weight: float) -> Host:
    """A chest at half its resolution, as `detection.levels` shows it to a network."""
    step = 2
    nodules, ignored = (
        np.column_stack([coarse_place(m[:, :3], step), m[:, 3] / step]) for m in (host.nodules, host.ignored)
    )
    large = nodules[:, 3] >= LEAST_COARSE_VOXELS
    box = host.box and (_divided(host.box[0], step), _divided(host.box[1], step))
    ignored = np.concatenate([ignored, nodules[~large]])
    return Host(host.voxels.half, nodules[large], ignored, box, weight, step)


def _divided(corner: IntTriple, step: int) -> IntTriple:
    z, y, x = corner
    return z // step, y // step, x // step


def _blend(
    canvas: _Canvas,
    piece: Piece,
    place: npt.NDArray[np.float64],
    rng: np.random.Generator,
    seams: bool,
    grown: float = 1.0,
) -> None:
    """A piece goes in, turned. Nodules that it covers, in part or whole, teach nothing any more; nor do its seams."""
    matrix, scale = random_turn(rng)
    weights = blend(canvas.hu, piece, place, matrix / grown)
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


def _per_cell(seam: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(D / 4, ...) whether at least half of a cell's voxels lie in a seam."""
    z, y, x = (n // KNOWN_STEP for n in seam.shape)
    blocks = seam.reshape(z, KNOWN_STEP, y, KNOWN_STEP, x, KNOWN_STEP)
    return np.asarray(blocks.mean((1, 3, 5)) >= 0.5)


def _aerated_share(hu: FloatVolume, place: npt.NDArray[np.int64], diameter: float) -> float:
    """How much of a nodule's box would be lung: one buried in the mediastinum is nothing a reader would mark."""
    reach = int(np.ceil(diameter / 2))
    box = hu[tuple(slice(max(p - reach, 0), p + reach + 1) for p in place)]
    return float((box < -500).mean())


def collate(batch: list[Patch]) -> tuple[torch.Tensor, Truth]:
    """Images (N, 1, D, H, W), and the marks filled up with zeros to the same number a patch."""
    truth = Truth(
        _filled([p.nodules for p in batch]),
        _filled([p.ignored for p in batch]),
        torch.stack([p.known for p in batch]),
    )
    return torch.stack([p.image for p in batch]), truth


def _filled(marks: list[Spheres]) -> torch.Tensor:
    out = torch.zeros((len(marks), max(len(m) for m in marks), 4))
    for row, mark in zip(out, marks, strict=True):
        row[: len(mark)] = torch.from_numpy(mark)
    return out
