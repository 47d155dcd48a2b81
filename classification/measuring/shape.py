"""The shape of a nodule beyond its axes and volume, and its border: what readers call round, lobulated, spiculated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import edt
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import ConvexHull

from classification.measuring.outline import LUNG_HU, Outline

FloatMap = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# So far around a nodule its surroundings are looked at, in voxels (1 mm); a spicule counts up to one voxel less.
AROUND = 6
# A spicule is denser than lung by this share of the nodule's contrast to it, and gone after an opening by a voxel.
FAINT = 0.3


@dataclass(frozen=True, slots=True)
class Shape:
    """All but `edge_hu_mm` are shares.

    Attributes:
        compactness: surface of the cube of equal volume by the nodule's surface, in faces of voxels: .83 for a ball.
        convexity: volume by that of the convex hull.
        flatness: shortest by longest axis of the ellipsoid with the nodule's moments.
        edge_hu_mm: mean gradient of the HU (-1000 to 200) at the border.
        spicules: share of the shell around the nodule, 0.5 to 5 mm, that thin dense strands fill: vessels too.
    """

    compactness: float
    convexity: float
    flatness: float
    edge_hu_mm: float
    spicules: float


def shape_of(nodule: Outline, hu: npt.NDArray[np.int16]) -> Shape:
    """Of an outline in the 1 mm volume (Z, Y, X) it is a window of; beyond the volume its border is repeated."""
    mask, window = _surroundings(nodule, hu)
    outside = edt.edt(~mask)
    # A voxel next to the border is half a voxel away from it.
    away = np.where(mask, 0.5 - edt.edt(mask), outside - 0.5)
    gradient = ndimage.gaussian_gradient_magnitude(np.clip(window, -1000, 200), 0.7)
    return Shape(
        compactness=_compactness(mask),
        convexity=_convexity(mask),
        flatness=_flatness(mask),
        edge_hu_mm=float(gradient[np.abs(away) < 1].mean()),
        spicules=_spicules(mask, window, away),
    )


def _surroundings(nodule: Outline, hu: npt.NDArray[np.int16]) -> tuple[Mask, FloatMap]:
    """The mask and the HU of a box that reaches `AROUND` voxels further than the nodule."""
    inside = np.argwhere(nodule.mask)
    low = inside.min(0) - AROUND
    mask = np.zeros(inside.max(0) + AROUND + 1 - low, bool)
    mask[tuple((inside - low).T)] = True
    start = low + nodule.start_zyx
    axes: list[Any] = [
        np.clip(np.arange(a, a + n), 0, size - 1) for a, n, size in zip(start, mask.shape, hu.shape, strict=True)
    ]
    return mask, hu[np.ix_(*axes)].astype(np.float32)


def _compactness(mask: Mask) -> float:
    faces = sum(int((mask != np.roll(mask, 1, axis)).sum()) for axis in range(3))
    return float(6 * mask.sum() ** (2 / 3) / faces)


def _convexity(mask: Mask) -> float:
    border = np.argwhere(mask & ~ndimage.binary_erosion(mask))
    corners = np.array(np.meshgrid(*((-0.5, 0.5),) * 3)).reshape(3, -1).T
    return float(mask.sum() / ConvexHull((border[:, None] + corners).reshape(-1, 3)).volume)


def _flatness(mask: Mask) -> float:
    places = np.argwhere(mask)
    # A voxel has an extent: the moment of a cube of 1 mm.
    moments = np.cov(places.T, bias=True) + np.eye(3) / 12
    values = np.linalg.eigvalsh(moments)
    return float(np.sqrt(values[0] / values[-1]))


def _spicules(mask: Mask, hu: FloatMap, away: FloatMap) -> float:
    around = hu[(away > 1) & (hu < -500)]
    lung = float(np.median(around)) if len(around) > 20 else LUNG_HU
    dense = hu > lung + FAINT * (float(np.percentile(hu[mask], 70)) - lung)
    shell = (away > 0.5) & (away < 5)
    return float((dense & ~ndimage.binary_opening(dense))[shell].mean())
