"""The outline of a nodule without a learned model: what is denser than lung, cut off from wall and vessels.

A voxel belongs to the nodule by two voices: how far its HU lies between lung and nodule, and how far it is from the
seed in radii. The second is what parts a nodule from a wall or a vessel of the same density; an opening parts what
hangs on by a thin neck. Everything scales with the expected diameter, so that 3 mm and 100 mm are treated alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cc3d
import edt
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from preprocessing.resample import coarsened

FloatMap = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# Chosen on every sixth nodule of LIDC (boxes) and every third of those in their surroundings.
LEVEL = 0.5  # of the way from lung to nodule
PULL = 2.0  # what a radius of distance is worth, in the same unit
DENSEST = 1.25  # a rib beside ground glass is not believed for being denser still
NECK = 0.4  # of the radius: what is thinner is cut off
LEAST_CONTRAST_HU = 120.0
LUNG_HU = -850.0
# Beyond this many voxels of radius a coarser grid shows as much.
FINEST_RADIUS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """Where a nodule is, in a window of a 1 mm volume.

    Attributes:
        share: (Z, Y, X) in [0, 1], how much of each voxel is nodule.
        start_zyx: index of the window's first voxel in the volume.
    """

    share: FloatMap
    start_zyx: tuple[int, int, int]

    @property
    def mask(self) -> Mask:
        """Voxels of which at least half is nodule; the fullest one where none is."""
        return self.share >= min(0.5, float(self.share.max()))

    @property
    def window(self) -> tuple[slice, ...]:
        """Cuts the window out of the volume."""
        return tuple(slice(a, a + n) for a, n in zip(self.start_zyx, self.share.shape, strict=True))

    def within(self, mask: Mask) -> Outline:
        """Only what lies in a mask (Z, Y, X) of the volume; all of it where nothing does."""
        kept = np.where(mask[self.window], self.share, 0).astype(np.float32)
        return Outline(kept, self.start_zyx) if kept.any() else self

    @property
    def volume_mm3(self) -> float:
        """Sum of the shares: a voxel at the border counts by what of it is nodule."""
        return float(self.share.sum(dtype=np.float64))


class Draw(Protocol):
    """What draws outlines: `outline`, or a network (`classification.outlines`)."""

    def __call__(self, hu: npt.NDArray[np.int16], center_zyx: npt.ArrayLike, diameter_mm: float) -> Outline:
        """The nodule around a seed, see `outline`."""


def outline(hu: npt.NDArray[np.int16], center_zyx: npt.ArrayLike, diameter_mm: float) -> Outline:
    """The nodule around a seed.

    Args:
        hu: (Z, Y, X) at 1 mm.
        center_zyx: voxel index of about its middle; may lie outside the volume, whose nearest voxel then counts.
        diameter_mm: about how large it is.
    """
    shape = np.asarray(hu.shape)
    center = np.clip(np.asarray(center_zyx, dtype=float), 0, shape - 1)
    step = max(1, int(diameter_mm / 2 / FINEST_RADIUS))
    reach = max(diameter_mm, diameter_mm / 2 + 6)
    # Whole blocks, so that the coarse grid can be spread over the fine one again.
    low = np.maximum(np.floor(center - reach), 0).astype(int)
    high = np.minimum(np.ceil(center + reach) + 1, shape).astype(int)
    window = np.clip(hu[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], -1000, 200).astype(np.int16)
    padded = np.pad(window, [(0, -n % step) for n in window.shape], mode="edge")
    seed = (center - low - (step - 1) / 2) / step
    share = _share(coarsened(padded, step).astype(np.float32), seed, diameter_mm / 2 / step)
    for axis, n in enumerate(window.shape):
        share = np.repeat(share, step, axis=axis).take(np.arange(n), axis=axis) if step > 1 else share
    z, y, x = (int(v) for v in low)
    return Outline(share, (z, y, x))


def _share(hu: FloatMap, seed: npt.NDArray[np.float64], radius: float) -> FloatMap:
    """How much of each voxel is nodule; everything in voxels."""
    away = _distance(hu.shape, seed)
    smooth = ndimage.gaussian_filter(hu, 0.5, mode="nearest")
    inside, lung = _levels(smooth, away, radius)
    dense = np.minimum((smooth - lung) / max(inside - lung, LEAST_CONTRAST_HU), DENSEST)
    off = away / radius - 1
    kept = _one_piece(dense - LEVEL - PULL * off > 0, away, NECK * radius)
    # A border voxel is nodule by as much as it is denser than lung; what is deep inside is nodule whatever its HU.
    border = ndimage.binary_dilation(kept) & ~ndimage.binary_erosion(kept, border_value=1)
    share = np.where(border, np.clip(dense / (2 * LEVEL), 0, 1) * (kept | (away < radius + 1)), kept)
    return np.asarray(share, dtype=np.float32)


def _levels(smooth: FloatMap, away: FloatMap, radius: float) -> tuple[float, float]:
    """HU of the nodule, by its middle or (a cavity) all of it, and of the lung, by a shell of 5 voxels around it."""
    inside = max(
        float(np.percentile(smooth[away <= max(1.5, share * radius, float(away.min()))], percent))
        for share, percent in ((0.5, 70), (1.0, 60))
    )
    shell = smooth[(away > radius + 1) & (away < radius + 6)]
    lung = shell[shell < -500]
    return inside, float(np.median(lung)) if len(lung) > 20 else LUNG_HU


def _one_piece(mask: Mask, away: FloatMap, neck: float) -> Mask:
    """The piece around the seed, without what hangs on it by less than a neck; where there is none, a voxel."""
    if not mask.any():
        return np.asarray(away <= max(1.0, float(away.min())))
    depth = edt.edt(mask)
    radius = min(neck, float(depth.max()) - 0.5)
    labels = cc3d.connected_components(depth > radius, connectivity=6)
    there = np.nonzero(labels)
    label = labels[there][np.argmin(away[there] - depth[there])]
    kept = (edt.edt(labels != label) <= radius + 1) & mask
    filled: Mask = ndimage.binary_fill_holes(kept)
    return filled


def _distance(shape: tuple[int, ...], seed: npt.NDArray[np.float64]) -> FloatMap:
    axes: list[Any] = [np.arange(n, dtype=np.float32) - np.float32(s) for n, s in zip(shape, seed, strict=True)]
    z, y, x = np.ix_(*axes)
    return np.asarray(np.sqrt(z * z + y * y + x * x), dtype=np.float32)
