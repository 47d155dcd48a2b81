"""The lungs, without a learned model: where candidates may lie, tumours on the wall included.

The rule: inside the body, air that is not outside air; the one or two components that have a lung's size and
place; closed generously in each axial slice (a tumour on the wall belongs to the lung it grew in); a lung that
collapsed or filled up is replaced by the mirror image of the other. When nothing looks like a lung the mask is
the body's box and a warning says so: never an empty mask. All work happens at 2.5 mm, where it takes a fraction
of a second; the mask is a region of interest, not a volumetry.
"""

from __future__ import annotations

from typing import cast

import cc3d
import edt
import fill_voids
import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from torch.nn import functional

from preprocessing.geometry import Geometry
from preprocessing.lungs.borders import (
    cut_out,
    cut_warnings,
    mirrored,
    one_lung_warnings,
    open_lungs,
    unsearched_warnings,
)
from preprocessing.masks import Mask, box_of, dilated, eroded, opened
from preprocessing.resample import sample_mask
from preprocessing.volume import Volume

GRID_MM = 2.5
BODY_HU = -300
LUNG_HU = -400
MIN_LUNG_ML = 150.0
# A second lung smaller than this share of the first is taken for collapsed or filled (normal: .7 and more).
COLLAPSED_SHARE = 0.6
CLOSING_MM = 18.0
# A hull that grows a section by more spans the liver's dome or the heart (grt123 used 1.5 at training).
HULL_GROWTH = 1.4
MARGIN_MM = 4.0
# Code of the warning that nothing looked like a lung.
NO_LUNGS = "no_lungs"


def lung_mask(volume: Volume) -> tuple[Mask, tuple[str, ...]]:
    """Lungs with what grows in or on them, on the volume's own grid.

    Args:
        volume: a chest CT, any spacing.

    Returns:
        (Z, Y, X) bool mask with at least one True voxel, and warnings (`code: sentence`).
    """
    small, grid = _averaged(volume)
    mask, warnings = _lungs_on_coarse_grid(small, grid)
    return sample_mask(mask, grid, volume.geometry), warnings


def _averaged(volume: Volume) -> tuple[npt.NDArray[np.int16], Geometry]:
    """Block means over about 2.5 mm, a few slices at a time: sampling a sharp kernel would give noise."""
    source = volume.geometry
    block = [
        min(max(1, round(GRID_MM / s)), n) for s, n in zip(source.spacing_mm[::-1], source.shape_zyx, strict=True)
    ]
    slabs = []
    for z in range(0, source.shape_zyx[0] - block[0] + 1, block[0]):
        slab = torch.from_numpy(volume.hu[z : z + block[0]]).to(torch.float32).mean(0, keepdim=True)
        slabs.append(functional.avg_pool2d(slab, block[1:]).to(torch.int16))
    small = torch.cat(slabs).numpy()
    spacing = np.asarray(source.spacing_mm) * block[::-1]
    first = source.to_world((np.asarray(block) - 1) / 2)
    return small, Geometry(small.shape, tuple(spacing), tuple(first), source.direction)


def _lungs_on_coarse_grid(hu: npt.NDArray[np.int16], grid: Geometry) -> tuple[Mask, tuple[str, ...]]:
    left_over = cut_out(hu, grid)
    if left_over is not None:
        return _grown(_closed_sections(left_over, grid), MARGIN_MM, grid), (
            "already_masked: everything but the lungs was set to one value; all that is left is searched",
            *cut_warnings(left_over, grid),
        )
    body = _body(hu)
    opened = open_lungs(hu, hu < LUNG_HU, body, grid)
    if opened.any():
        body = _filled(body | opened)
    if not body.any():
        return np.ones(hu.shape, bool), (f"{NO_LUNGS}: no body found; the whole scan is searched",)
    # Only the body's box: the scanner's bore is a third of the volume.
    window = box_of(body)
    mask = np.zeros(hu.shape, bool)
    air, mask[window], warnings = _lungs_in_body(hu[window], body[window], grid)
    shown = np.zeros(hu.shape, bool)
    shown[window] = air
    return mask, (*warnings, *cut_warnings(shown, grid), *one_lung_warnings(shown, body, grid))


def _lungs_in_body(hu: npt.NDArray[np.int16], body: Mask, grid: Geometry) -> tuple[Mask, Mask, tuple[str, ...]]:
    """The air of the lungs, what is to be searched, and warnings."""
    found = _lung_components(hu, body, grid)
    if not found:
        nothing, everything = np.zeros(hu.shape, bool), np.ones(hu.shape, bool)
        return nothing, everything, (f"{NO_LUNGS}: no lungs were found; the box of the body is searched",)
    lungs, warnings = _complete_pair(found, body, grid)
    middle_x = float(np.nonzero(body)[2].mean())
    whole = np.zeros(hu.shape, bool)
    for lung in lungs:
        whole |= _closed(lung, grid, middle_x)
    whole &= body
    whole |= np.logical_or.reduce(lungs)
    whole = _grown(fill_voids.fill(whole), MARGIN_MM, grid)
    return np.logical_or.reduce(found), whole, (*warnings, *unsearched_warnings(found, whole, body, middle_x, grid))


def _body(hu: npt.NDArray[np.int16]) -> Mask:
    """The patient, lungs included: the largest dense component, filled slice by slice; the couch is dropped."""
    dense = opened(hu > BODY_HU)
    largest = cc3d.largest_k(dense, k=1, connectivity=6) > 0
    return _filled(largest)


def _filled(dense: Mask) -> Mask:
    return np.stack([fill_voids.fill(section) for section in _closed_borders(dense)])


def _closed_borders(dense: Mask) -> Mask:
    """Arms or shoulders cut by the field of view leave gaps at the border; close gaps of a few voxels."""
    padded = np.pad(dense, ((0, 0), (3, 3), (3, 3))).astype(np.uint8)
    grown = ndimage.maximum_filter1d(ndimage.maximum_filter1d(padded, 7, axis=1), 7, axis=2)
    closed = ndimage.minimum_filter1d(ndimage.minimum_filter1d(grown, 7, axis=1), 7, axis=2) > 0
    return closed[:, 3:-3, 3:-3]


def _lung_components(hu: npt.NDArray[np.int16], body: Mask, grid: Geometry) -> list[Mask]:
    """Air components of a lung's size, largest first, at most two; airways and bowel gas are dropped."""
    air = (hu < LUNG_HU) & body
    # Opening parts the lungs where they touch in front of the heart, and cuts the trachea off.
    core = opened(air)
    labels = cc3d.connected_components(core, connectivity=6)
    volume_ml = np.bincount(labels.ravel()) * grid.voxel_volume_mm3 / 1000
    found: list[Mask] = []
    for label in np.argsort(-volume_ml):
        if label == 0 or volume_ml[label] < MIN_LUNG_ML:
            continue
        part = labels == label
        if _looks_like_gas(hu, part):
            continue
        found.extend(_parted(part, grid))
    found.sort(key=lambda part: -int(part.sum()))
    return [dilated(part) & air | part for part in found[:2]]


def _looks_like_gas(hu: npt.NDArray[np.int16], part: Mask) -> bool:
    """Bowel gas and trachea are pure air; a lung, emphysema included, has a spread of densities."""
    values = hu[part]
    return bool(np.median(values) < -985 and np.percentile(values, 90) < -960)


def _parted(part: Mask, grid: Geometry) -> list[Mask]:
    """Both lungs in one component (they often touch): erode until two halves of similar size part, grow back."""
    window, voxels = box_of(part), int(part.sum())
    core = part[window]
    for _ in range(6):
        labels = cc3d.connected_components(core, connectivity=6)
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        order = np.argsort(-sizes)
        if len(order) > 1 and sizes[order[1]] > 0.12 * voxels:
            to_first, to_second = (edt.edt(labels != seed, parallel=0) for seed in order[:2])
            first = np.zeros_like(part)
            first[window] = to_first <= to_second
            return [part & first, part & ~first]
        core = eroded(core)
        if not core.any():
            break
    return [part]


def _complete_pair(lungs: list[Mask], body: Mask, grid: Geometry) -> tuple[list[Mask], tuple[str, ...]]:
    """Add the mirror image of the larger lung where the other is missing or collapsed."""
    sizes = [int(lung.sum()) for lung in lungs]
    if len(lungs) == 2 and sizes[1] >= COLLAPSED_SHARE * sizes[0]:
        return lungs, ()
    middle = float(np.nonzero(body)[2].mean())
    if len(lungs) == 1 and abs(float(np.nonzero(lungs[0])[2].mean()) - middle) * grid.spacing_mm[0] < 25:
        return lungs, ()  # one component across the middle: two lungs that would not part
    mirror = mirrored(lungs[0], middle) & body & ~lungs[0]
    share = sizes[1] / sizes[0] if len(lungs) == 2 else 0.0
    warning = (
        f"lung_mask: one lung has {share:.0%} of the other's air (collapsed, filled or cut); "
        "the mirror image of the larger one is searched too"
    )
    return [*lungs, mirror], (warning,)


def _closed(lung: Mask, grid: Geometry, middle_x: float) -> Mask:
    """Each axial section closed by 18 mm and, on the side of the ribs, filled up to its convex hull.

    The closing takes in hilar vessels and what they hide; the hull a tumour on the wall, however large. On the
    side of the mediastinum a hull would take in the heart.
    """
    radius = max(1, round(CLOSING_MM / grid.spacing_mm[0]))
    out = np.zeros_like(lung)
    for z in np.flatnonzero(lung.any(axis=(1, 2))):
        # Only the lung's own window: what is done to it reaches no further.
        window = box_of(lung[z])
        section = lung[z][window]
        filled = fill_voids.fill(_closed_by_disk(section, radius))
        hull = _hull(section)
        if hull.sum() <= HULL_GROWTH * section.sum():
            filled |= hull & _lateral_half(section, middle_x - window[1].start)
        out[z][window] = filled
    return out


def _closed_sections(mask: Mask, grid: Geometry) -> Mask:
    """Each axial section closed by 18 mm and filled."""
    radius = max(1, round(CLOSING_MM / grid.spacing_mm[0]))
    return np.stack([fill_voids.fill(_closed_by_disk(s, radius)) if s.any() else s for s in mask])


def _closed_by_disk(section: Mask, radius: int) -> Mask:
    """Closing of a (Y, X) mask, by distances: exact disks, and faster than a structuring element of this size."""
    padded = np.pad(section, radius + 1)
    grown = edt.edt(~padded) <= radius
    closed: Mask = (edt.edt(grown) > radius) | padded
    return closed[radius + 1 : -radius - 1, radius + 1 : -radius - 1]


def _hull(section: Mask) -> Mask:
    """The convex hull of a (Y, X) mask; the mask itself when it is too thin to have one."""
    points = np.argwhere(_edge(section))
    if len(points) < 4 or np.ptp(points, axis=0).min() < 2:
        return section
    y, x = np.indices(section.shape)
    inside = np.ones(section.shape, bool)
    try:
        faces = ConvexHull(points).equations
    except QhullError:  # all on one slanting line
        return section
    for a, b, c in faces:
        inside &= a * y + b * x + c <= 1e-9
    return inside


def _edge(section: Mask) -> Mask:
    """Pixels of a (Y, X) mask beside one that is not in it."""
    padded = np.pad(section, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return section & ~inner


def _lateral_half(section: Mask, middle_x: float) -> Mask:
    """Pixels of a (Y, X) section on the outer side of the lung's own centre, away from the middle."""
    center = float(np.nonzero(section)[1].mean())
    x = np.arange(section.shape[1])
    outer = x <= center if center < middle_x else x >= center
    return np.broadcast_to(outer, section.shape)


def _grown(mask: Mask, margin_mm: float, grid: Geometry) -> Mask:
    distance = edt.edt(~mask, anisotropy=grid.spacing_mm[::-1], parallel=0)
    return cast(Mask, distance <= margin_mm)
