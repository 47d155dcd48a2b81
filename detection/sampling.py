"""Training patches: a piece of a chest, nodules and normal tissue pasted in, as another scanner would see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import IterableDataset, get_worker_info

from detection.boxes import cubes
from phantom.hybrid import Chip, FloatVolume, paste, paste_places, reacquired, tissue_chip, varied
from preprocessing.patches import extract_patch, normalise


@dataclass(frozen=True, slots=True, eq=False)
class Host:
    """A prepared chest to cut patches from.

    Attributes:
        hu: (Z, Y, X) int16 at 1 mm.
        lung_mask: (Z, Y, X) bool.
        nodules: (n, 4) true nodules already in it: z, y, x, diameter, in voxels.
        ignored: (m, 4) places that must teach nothing (unannotated tumours, excluded findings): z, y, x, radius.
        weight: how often patches come from it, relative to the other hosts.
    """

    hu: npt.NDArray[np.int16]
    lung_mask: npt.NDArray[np.bool_]
    nodules: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    ignored: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How a patch is made.

    Attributes:
        patch: edge of the cubic patch in voxels (1 mm), a multiple of 16.
        nodules: mean number of pasted nodules in a patch (Poisson; none is common).
        tissue: mean number of pasted pieces of normal tissue.
        large_share: share of nodules drawn evenly over size instead of as they come (most are 4-6 mm).
    """

    patch: int = 64
    nodules: float = 1.5
    tissue: float = 1.0
    large_share: float = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One training example: `image` (1, D, H, W) in [0, 1], `boxes` (n, 6), `ignored` (m, 4), in its voxels."""

    image: torch.Tensor
    boxes: torch.Tensor
    ignored: torch.Tensor


class HybridPatches(IterableDataset[Patch]):
    """An endless stream of patches, the same for the same seed and number of workers."""

    def __init__(self, hosts: Sequence[Host], chips: Sequence[Chip], settings: SamplingSettings, seed: int) -> None:
        super().__init__()
        if not hosts:
            raise ValueError("training needs at least one chest to cut patches from, got none")
        self.hosts = list(hosts)
        self.chips = sorted(chips, key=lambda chip: chip.diameter_mm)
        self.settings = settings
        self.seed = seed
        weights = np.array([host.weight for host in self.hosts])
        self._share = weights / weights.sum()
        self._diameters = np.array([chip.diameter_mm for chip in self.chips])
        self._lung_voxels = [np.flatnonzero(host.lung_mask[::2, ::2, ::2]) for host in self.hosts]

    def __iter__(self) -> Iterator[Patch]:
        worker = get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            yield self.sample(rng)

    def sample(self, rng: np.random.Generator) -> Patch:
        """One patch."""
        size = self.settings.patch
        which = int(rng.choice(len(self.hosts), p=self._share))
        host = self.hosts[which]
        center = self._center(host, which, rng)
        start = np.rint(center).astype(int) - size // 2
        hu = extract_patch(host.hu, center, [size] * 3).astype(np.float32)
        lungs = extract_patch(host.lung_mask.view(np.int8), center, [size] * 3, fill=0) > 0
        nodules = _inside(host.nodules, start, size)
        ignored = _inside(host.ignored, start, size)
        pasted = self._paste(hu, lungs, host, np.concatenate([nodules, ignored]), rng)
        nodules = np.concatenate([nodules, pasted])
        hu = reacquired(hu, rng)
        for axis in np.flatnonzero(rng.random(3) < 0.5).tolist():
            hu = np.flip(hu, axis)
            nodules[:, axis] = size - 1 - nodules[:, axis]
            ignored[:, axis] = size - 1 - ignored[:, axis]
        kept = torch.from_numpy(nodules.astype(np.float32))
        image = torch.from_numpy(np.ascontiguousarray(normalise(hu)))[None]
        return Patch(image, cubes(kept[:, :3], kept[:, 3]), torch.from_numpy(ignored.astype(np.float32)))

    def _center(self, host: Host, which: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Anywhere in the lungs, now and then at a nodule the chest came with."""
        jitter = rng.uniform(-self.settings.patch / 3, self.settings.patch / 3, 3)
        if len(host.nodules) and rng.random() < 0.3:
            return host.nodules[rng.integers(len(host.nodules)), :3] + jitter
        flat = rng.choice(self._lung_voxels[which])
        coarse = [(n + 1) // 2 for n in host.lung_mask.shape]
        return 2.0 * np.asarray(np.unravel_index(int(flat), coarse), dtype=float)

    def _paste(
        self,
        hu: FloatVolume,
        lungs: npt.NDArray[np.bool_],
        host: Host,
        taken: npt.NDArray[np.float64],
        rng: np.random.Generator,
    ) -> npt.NDArray[np.float64]:
        """Paste nodules and normal tissue in random order, none over another; returns the nodules (n, 4)."""
        if not self.chips:
            return np.zeros((0, 4))
        kinds = [True] * int(rng.poisson(self.settings.nodules)) + [False] * int(rng.poisson(self.settings.tissue))
        rng.shuffle(kinds)
        places = paste_places(hu, lungs, rng, len(kinds))
        occupied = [tuple(row) for row in taken]
        found = []
        for is_nodule, place in zip(kinds, places, strict=False):
            chip = varied(self._draw(rng), rng)
            reach = chip.diameter_mm / 2 + 4
            if any(np.linalg.norm(place - np.array(o[:3])) < reach + o[3] / 2 for o in occupied):
                continue
            if _aerated_share(hu, place, chip.diameter_mm) < 0.3:
                continue
            if not is_nodule:
                tissue = _normal_tissue(host, chip, rng)
                if tissue is None:
                    continue
                chip = tissue
                occupied.append((*place, 2 * reach))
            else:
                occupied.append((*place, chip.diameter_mm))
                found.append((*place, chip.diameter_mm))
            paste(hu, chip, place)
        return np.asarray(found, dtype=float).reshape(-1, 4)

    def _draw(self, rng: np.random.Generator) -> Chip:
        if rng.random() < self.settings.large_share:
            wanted = np.exp(rng.uniform(np.log(3), np.log(28)))
            near = np.flatnonzero(np.abs(np.log(self._diameters / wanted)) < 0.2)
            if len(near):
                return self.chips[int(rng.choice(near))]
        return self.chips[int(rng.integers(len(self.chips)))]


def _aerated_share(hu: FloatVolume, place: npt.NDArray[np.int64], diameter: float) -> float:
    """How much of a nodule's box would be lung: one buried in the mediastinum is nothing a reader would mark."""
    reach = int(np.ceil(diameter / 2))
    box = hu[tuple(slice(max(p - reach, 0), p + reach + 1) for p in place)]
    return float((box < -500).mean())


def _normal_tissue(host: Host, shape_of: Chip, rng: np.random.Generator) -> Chip | None:
    """Tissue of the same chest, from a place clear of everything known or suspected to be a nodule."""
    for _ in range(8):
        at = rng.integers(0, host.hu.shape)
        if not host.lung_mask[tuple(at)]:
            continue
        marked = np.concatenate([host.nodules * [1, 1, 1, 0.5], host.ignored])
        if len(marked) and np.any(np.linalg.norm(marked[:, :3] - at, axis=1) < marked[:, 3] + 20):
            continue
        return tissue_chip(host.hu, at, shape_of)
    return None


def _inside(marks: npt.NDArray[np.float64], start: npt.NDArray[np.int_], size: int) -> npt.NDArray[np.float64]:
    """Marks (n, 4) whose centre falls into the patch, in its voxels."""
    moved = marks.copy()
    moved[:, :3] -= start
    return moved[np.all((moved[:, :3] >= 0) & (moved[:, :3] <= size - 1), axis=1)]


def collate(batch: list[Patch]) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    """Images stacked (N, 1, D, H, W), boxes and ignored spheres as lists."""
    return torch.stack([p.image for p in batch]), [p.boxes for p in batch], [p.ignored for p in batch]
