"""HU of a nodule, and what it makes of it: solid, part-solid or ground glass; calcified and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cc3d
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from classification.measuring.outline import Outline

NoduleType = Literal["solid", "part-solid", "ground-glass"]
Calcification = Literal["none", "diffuse", "central", "eccentric"]
Mask = npt.NDArray[np.bool_]

# Denser is solid: between the middle of ground glass and of soft tissue. The shares were chosen on LIDC nodules of
# folds 1 to 3 against the readers' texture.
SOLID_HU = -300
LEAST_SOLID, MOSTLY_SOLID = 0.1, 0.6
# Denser than this is calcium and not contrast medium or noise (Khan et al., AJR 2010;194:1166).
CALCIUM_HU = 200
LEAST_CALCIUM, MOSTLY_CALCIUM = 0.2, 0.5


@dataclass(frozen=True, slots=True)
class Density:
    """What the voxels of a nodule say.

    Attributes:
        mean_hu, sd_hu: over the voxels that are at least half nodule.
        kind: by the share of its inside that is denser than -300 HU.
        solid_share: that share.
        calcification: by the share of its inside that is denser than 200 HU, and where it lies.
        p95_hu: 95th percentile of the same voxels as the mean.
        calcium_share: of those voxels, denser than 200 HU.
    """

    mean_hu: float
    sd_hu: float
    kind: NoduleType
    solid_share: float
    calcification: Calcification
    p95_hu: float
    calcium_share: float


def density_of(nodule: Outline, hu: npt.NDArray[np.int16]) -> Density:
    """Of an outline in the 1 mm volume (Z, Y, X) it is a window of."""
    mask, window = nodule.mask, hu[nodule.window]
    inside = _inside(mask, window)
    solid = float((window[inside] > SOLID_HU).mean())
    kind: NoduleType = "ground-glass" if solid < LEAST_SOLID else ("part-solid" if solid < MOSTLY_SOLID else "solid")
    values = window[mask].astype(np.float64)
    return Density(
        mean_hu=float(values.mean()),
        sd_hu=float(values.std()),
        kind=kind,
        solid_share=solid,
        calcification=_calcification(inside, window),
        p95_hu=float(np.percentile(values, 95)),
        calcium_share=float((values > CALCIUM_HU).mean()),
    )


def solid_part(nodule: Outline, hu: npt.NDArray[np.int16]) -> Outline | None:
    """The largest piece of a nodule denser than -300 HU, or None; its border counts in part, as the nodule's does."""
    labels = cc3d.largest_k(nodule.mask & (hu[nodule.window] > SOLID_HU), k=1, connectivity=6)
    if not labels.any():
        return None
    return Outline(np.where(labels > 0, nodule.share, 0).astype(np.float32), nodule.start_zyx)


def _inside(mask: Mask, hu: npt.NDArray[np.int16]) -> Mask:
    """The voxels that no border dilutes; of a nodule too small to have five the densest quarter, at least three."""
    core: Mask = ndimage.binary_erosion(mask, border_value=1)
    if core.sum() >= 5:
        return core
    ranked = np.sort(hu[mask])[::-1]
    bound = ranked[min(max(3, len(ranked) // 4), len(ranked)) - 1]
    return np.asarray(mask & (hu >= bound))


def _calcification(inside: Mask, hu: npt.NDArray[np.int16]) -> Calcification:
    """Central: the middle of the calcium is within a quarter of the nodule's radius of its own middle."""
    calcium = inside & (hu > CALCIUM_HU)
    share = calcium.sum() / inside.sum()
    if share < LEAST_CALCIUM:
        return "none"
    if share >= MOSTLY_CALCIUM:
        return "diffuse"
    places = np.argwhere(inside)
    off = float(np.linalg.norm(np.argwhere(calcium).mean(0) - places.mean(0)))
    radius = float((3 * len(places) / (4 * np.pi)) ** (1 / 3))
    return "central" if off <= radius / 4 else "eccentric"
