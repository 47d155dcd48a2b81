"""Lungs not shown or not searched whole: cut by the border of the volume, cut out of their body, filled with fluid.

The body's outline cannot be filled where the border cuts it, so a lung that is open there would be taken for the air
of the room. What tells them apart is their density: a lung holds blood, the room next to none.
"""

from __future__ import annotations

import cc3d
import numpy as np
import numpy.typing as npt

from preprocessing.geometry import Geometry
from preprocessing.masks import Mask, opened

# An open piece of lung: aerated, hardly any of it as thin as air, too large for a blanket and too high for a couch.
LUNG_MEDIAN_HU = (-950.0, -600.0)
THINNEST_HU, THINNEST_PERCENTILE = -970.0, 5
LEAST_ML, LEAST_HEIGHT_MM = 50.0, 60.0
# Lungs cut out of their body: the rest holds one value, and what is left is mostly lung.
CONSTANT_SHARE, CONSTANT_WITHIN_HU = 0.3, 20
AERATED_HU = (-970, -500)
LEAST_AERATED, MOST_DENSE, DENSE_HU = 0.5, 0.4, -300
# A smaller opening at the border is noise, or the first slice above the diaphragm.
OPENING_CM2 = 10.0
# One lung: the border cuts the body at a flank, and the lungs, but for a share at either end, are hardly wider than
# deep. A pair is 1.7 times as wide as deep, one lung .7 to .85 times.
FLANK_CM2, PAIR_WIDTH, END_PERCENT = 100.0, 1.1, 2
# Of the larger lung, on the mirror side and not searched; the heart and a high diaphragm stay below. At the ribs,
# where fluid gathers and no heart lies, less is worth a word: eight of nine real chests stay below .08.
UNSEARCHED_SHARE, UNSEARCHED_AT_RIBS = 0.6, 0.09
# Sheets thinner than twice this are where two lungs differ a little.
SHEET_VOXELS = 3
SIDES = (("feet", "head"), ("front", "back"), ("right", "left"))


def open_lungs(hu: npt.NDArray[np.int16], air: Mask, body: Mask, grid: Geometry) -> Mask:
    """Pieces of lung outside of the body's filled outline.

    Args:
        hu: (Z, Y, X), about 2.5 mm.
        air: aerated voxels.
        body: the filled outline.
        grid: of all three.
    """
    found = np.zeros_like(body)
    labels = cc3d.connected_components(opened(air & ~body), connectivity=6)
    statistics = cc3d.statistics(labels)
    volume_ml = statistics["voxel_counts"] * grid.voxel_volume_mm3 / 1000
    for label in np.flatnonzero(volume_ml >= LEAST_ML):
        box = statistics["bounding_boxes"][label]
        if label == 0 or (box[1].stop - box[1].start) * grid.spacing_mm[1] < LEAST_HEIGHT_MM:
            continue
        part = labels[box] == label
        thin, median = np.percentile(hu[box][part], [THINNEST_PERCENTILE, 50])
        if thin > THINNEST_HU and LUNG_MEDIAN_HU[0] < median < LUNG_MEDIAN_HU[1]:
            found[box] |= part
    return found


def cut_out(hu: npt.NDArray[np.int16], grid: Geometry) -> Mask | None:
    """Where the lungs are when everything else was set to one value; None when there is a body around them."""
    lowest = int(hu.min())
    counts = np.bincount(hu.ravel().astype(np.int32) - lowest)
    constant = int(counts.argmax()) + lowest
    if counts.max() < CONSTANT_SHARE * hu.size:
        return None
    inside = opened(np.abs(hu.astype(np.int32) - constant) > CONSTANT_WITHIN_HU)
    left = hu[inside]
    aerated = (left > AERATED_HU[0]) & (left < AERATED_HU[1])
    if not left.size or aerated.mean() < LEAST_AERATED or (left > DENSE_HU).mean() > MOST_DENSE:
        return None
    labels = cc3d.connected_components(inside, connectivity=6)
    volume_ml = np.bincount(labels.ravel()) * grid.voxel_volume_mm3 / 1000
    keep = volume_ml >= LEAST_ML
    keep[0] = False
    return keep[labels] if keep.any() else None


def cut_warnings(lungs: Mask, grid: Geometry) -> tuple[str, ...]:
    """One sentence when the border of the volume cuts the lungs, with the areas that lie open.

    Args:
        lungs: (Z, Y, X), the air of the lungs.
        grid: its grid, axes near the patient's.
    """
    x, y, z = grid.spacing_mm
    areas = []
    for axis, face_mm2 in enumerate((x * y, x * z, y * z)):
        for end, side in zip((0, -1), SIDES[axis], strict=True):
            area = float(lungs.take(end, axis).sum()) * face_mm2 / 100
            if area >= OPENING_CM2:
                areas.append(f"{side} {area:.0f} cm2")
    if not areas:
        return ()
    where = ", ".join(areas)
    return (f"lungs_cut: the border of the scan cuts the lungs ({where}); what lies beyond is not searched",)


def one_lung_warnings(lungs: Mask, body: Mask, grid: Geometry) -> tuple[str, ...]:
    """One sentence when the scan ends at the middle of the body, so that the other lung is not in it.

    Args:
        lungs: (Z, Y, X), the air of the lungs.
        body: the same, filled.
        grid: of both, axes near the patient's.
    """
    x, y, z = grid.spacing_mm
    areas = [float(body[:, :, end].sum()) * y * z / 100 for end in (0, -1)]
    if max(areas) < FLANK_CM2 or not lungs.any():
        return ()
    ends = np.percentile(np.nonzero(lungs)[1:], [END_PERCENT, 100 - END_PERCENT], axis=1)
    deep, wide = (ends[1] - ends[0]) * [y, x]
    if wide >= PAIR_WIDTH * deep:
        return ()
    side = SIDES[2][int(np.argmax(areas))]
    what = f"the scan ends in the middle of the body ({side} {max(areas):.0f} cm2) and shows one lung"
    return (f"one_lung: {what}; the other is not searched",)


def unsearched_warnings(
    lungs: list[Mask], whole: Mask, body: Mask, middle_x: float, grid: Geometry
) -> tuple[str, ...]:
    """What lies in the body where one lung has its air and the mirror side has neither air nor is searched.

    Args:
        lungs: (Z, Y, X), the air of one or two.
        whole: what is searched.
        body: the same, filled.
        middle_x: column of the body's middle.
        grid: of all.
    """
    missed, at_ribs = np.zeros_like(body), np.zeros_like(body)
    for lung in lungs:
        mirror = mirrored(lung, middle_x)
        lost = mirror & body & ~whole
        missed |= lost
        if lost.any():
            at_ribs |= opened(lost & _outer_half(mirror, middle_x), SHEET_VOXELS)
    larger = max(int(lung.sum()) for lung in lungs)
    if missed.sum() < UNSEARCHED_SHARE * larger:
        missed = at_ribs
    share = float(missed.sum()) / larger
    if share < UNSEARCHED_AT_RIBS:
        return ()
    size = missed.sum() * grid.voxel_volume_mm3 / 1000
    return (
        f"unsearched: {size:.0f} ml where the other side has lung are not searched, {share:.0%} of the larger lung "
        "(fluid, a collapsed lobe, a high diaphragm or a large mass)",
    )


def mirrored(lung: Mask, middle_x: float) -> Mask:
    """The other side of the body's middle."""
    z, y, x = np.nonzero(lung)
    mirrored_x = np.rint(2 * middle_x - x).astype(int)
    inside = (mirrored_x >= 0) & (mirrored_x < lung.shape[2])
    mirror = np.zeros_like(lung)
    mirror[z[inside], y[inside], mirrored_x[inside]] = True
    return mirror


def _outer_half(lung: Mask, middle_x: float) -> Mask:
    """Voxels on the side of the lung's centre that is away from the middle."""
    x = np.nonzero(lung)[2].mean()
    columns = np.arange(lung.shape[2])
    return np.broadcast_to(columns >= x if x >= middle_x else columns <= x, lung.shape)
