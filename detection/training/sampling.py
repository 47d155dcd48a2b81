"""Training patches: a piece of a chest, tissue blended into it with and without nodules, seen by another scanner.

Everything in a patch passed one interpolation, the chest by its own turn and what is blended in by its own, so that
texture does not tell where a nodule may be. Patch number k is a function of k and the seed alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from detection.levels import coarse_place
from detection.models.interface import KNOWN_STEP, Truth
from detection.training.hosts import Host
from detection.training.pasting import Canvas, Pasting
from detection.training.settings import SamplingSettings
from detection.training.spheres import Spheres, inside, reaching, turned
from phantom.hybrid import lung_shifted, random_turn, reacquired, sampled
from phantom.pieces import FloatVolume, NoduleCrop, Piece
from preprocessing.geometry import Geometry, IntTriple
from preprocessing.patches import normalise
from preprocessing.preparation import Preparation
from preprocessing.resample import interpolated
from preprocessing.volume import HU_MIN
from runs.entry import UsageError
from runs.seeds import stream

# Chests in training reach so far beyond the lungs, so that normal tissue at the pleura brings as much wall along as a
# nodule's surroundings do; at inference they end at the preparation's own margin, and so do half of the patches.
HOST_MARGIN_MM = 32.0
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
        weights = np.array([host.weight for host in self.hosts])
        self._share = weights / weights.sum()
        self._pasting = Pasting(self.hosts, self.crops, self.cubes, settings)

    def __getitem__(self, number: int) -> Patch:
        return self.sample(stream("detection.patch", self.seed, number))

    def sample(self, rng: np.random.Generator) -> Patch:
        """One patch."""
        which = int(rng.choice(len(self.hosts), p=self._share))
        canvas = self._piece_of_chest(which, rng)
        if self.cubes and self.hosts[which].step == 1 and rng.random() < self.settings.cubes:
            self._pasting.add_cube(canvas, rng)
        elif self.crops:
            self._pasting.add_crops(canvas, self.hosts[which], rng)
        if rng.random() < self.settings.dense_share:
            canvas.hu = lung_shifted(canvas.hu, float(rng.uniform(*self.settings.density_hu)))
        size, wanted = self.settings.patch, self.settings
        seen = reacquired(canvas.hu, rng, self.hosts[which].step, wanted.thick_share, wanted.apart_share)
        found = inside(canvas.nodules, size)
        found[found] = standing_out(seen, canvas.lungs, canvas.nodules[found]) >= wanted.faint_hu
        ignored = np.concatenate([canvas.ignored, canvas.nodules[~found]])
        hu = interpolated(torch.from_numpy(seen), self._made, self._shown)
        image = torch.from_numpy(normalise(hu.numpy(), self.preparation.window_hu))[None]
        known = 1 - _per_cell(canvas.seam).astype(np.float32)
        kept = ignored[reaching(ignored, size)]
        return Patch(image, canvas.nodules[found], kept, torch.from_numpy(known), self._shown)

    def _piece_of_chest(self, which: int, rng: np.random.Generator) -> Canvas:
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
        return Canvas(hu, lungs, nodules, ignored, np.zeros(shape, bool))

    def _center(self, host: Host, shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Anywhere in the lungs, now and then at a nodule the chest came with; between the voxels."""
        jitter = rng.uniform(-self.settings.patch / 3, self.settings.patch / 3, 3)
        if len(host.nodules) and rng.random() < self.settings.own_nodules:
            return host.nodules[rng.integers(len(host.nodules)), :3] + jitter
        flat = rng.choice(host.voxels.lung_voxels)
        coarse = [(n + 1) // 2 for n in shape]
        return 2.0 * np.asarray(np.unravel_index(int(flat), coarse), dtype=float) + rng.uniform(-1, 1, 3)


def halved(host: Host, weight: float) -> Host:
    """A chest at half its resolution, as `detection.levels` shows it to a network; a halved one again at a quarter."""
    step = 2
    nodules, ignored = (
        np.column_stack([coarse_place(m[:, :3], step), m[:, 3] / step]) for m in (host.nodules, host.ignored)
    )
    large = nodules[:, 3] >= LEAST_COARSE_VOXELS
    box = host.box and (_divided(host.box[0], step), _divided(host.box[1], step))
    ignored = np.concatenate([ignored, nodules[~large]])
    return Host(host.voxels.half, nodules[large], ignored, box, weight, step * host.step)


def _divided(corner: IntTriple, step: int) -> IntTriple:
    z, y, x = corner
    return z // step, y // step, x // step


def standing_out(hu: FloatVolume, lungs: npt.NDArray[np.bool_], nodules: Spheres) -> npt.NDArray[np.float64]:
    """(n,) by how many HU nodules (n, 4) are denser than the lung of a patch (Z, Y, X).

    The upper quartile of the voxels in the ball, less the median of the lungs; infinite without lungs.
    """
    out = np.full(len(nodules), np.inf)
    if not lungs.any():
        return out
    level = float(np.median(hu[lungs]))
    for k, (*center, diameter) in enumerate(nodules.tolist()):
        reach = max(diameter / 2, 1.0)
        low = [max(math.floor(c - reach), 0) for c in center]
        part = hu[tuple(slice(a, math.ceil(c + reach) + 1) for a, c in zip(low, center, strict=True))]
        away = np.linalg.norm(np.indices(part.shape).T + (np.asarray(low) - center), axis=-1).T
        out[k] = np.quantile(part[away <= reach], 0.75) - level
    return out


def _per_cell(seam: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(D / 4, ...) whether at least half of a cell's voxels lie in a seam."""
    z, y, x = (n // KNOWN_STEP for n in seam.shape)
    blocks = seam.reshape(z, KNOWN_STEP, y, KNOWN_STEP, x, KNOWN_STEP)
    return np.asarray(blocks.mean((1, 3, 5)) >= 0.5)


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
