"""Key images: a candidate in three planes with its box, and where in the lungs it lies. Same input, same bytes."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from detection.candidate import Candidate
from detection.pictures.canvas import Canvas
from preprocessing.planes import Axis, Plane, display_planes
from preprocessing.prepare import PreparedScan
from preprocessing.volume import HU_MIN
from runs.writing import whole

PANEL_PX = 320
SIZE_MM = 70.0
LUNG_WINDOW_HU = (-1350.0, 150.0)
# Mean HU of a whole projection: air above soft tissue, as on a radiograph.
PROJECTION_WINDOW_HU = (-950.0, 100.0)
LUNG_OUTLINE = (90, 200, 210)
# Beyond the prepared box nothing was looked at; black would pass for air.
OUTSIDE = (30, 36, 48)
STEM_LENGTH = 16
TOP = 5
# Width over height of a locator, at most.
WIDEST = 1.5
BICUBIC = Image.Resampling.BICUBIC

Scalar = TypeVar("Scalar", bound=np.generic)


def key_views(prepared: PreparedScan, candidate: Candidate, size_mm: float = SIZE_MM) -> dict[str, Image.Image]:
    """Axial, coronal and sagittal view through a candidate's centre, by name; each 320 x 320 pixels.

    Args:
        prepared: the scan the candidate was found in.
        candidate: its box is drawn; one with an unknown (NaN) diameter gets none.
        size_mm: edge of the field shown; larger when the box would fill more than half of it.
    """
    known = candidate.diameter_mm if candidate.diameter_mm > 0 else 0.0
    field_mm = max(size_mm, 2.0 * known)
    center = prepared.volume.geometry.to_voxel(candidate.center_mm)
    views = {}
    for plane in display_planes(prepared.volume.geometry):
        canvas = Canvas.of(section(prepared, plane, center, field_mm))
        if known:
            reach = known / 2 * PANEL_PX / field_mm
            middle = PANEL_PX / 2
            canvas.box((middle - reach, middle - reach), (middle + reach - 1, middle + reach - 1))
        canvas.edge_letters(plane)
        canvas.text((8, 6), plane.name, "lt", 14)
        canvas.scale_bar(PANEL_PX / field_mm)
        views[plane.name] = canvas.image
    return views


def overview(
    prepared: PreparedScan, candidates: Sequence[Candidate], highlight: int | None = None, height_px: int = PANEL_PX
) -> Image.Image:
    """Coronal mean projection of the prepared box, the lungs outlined, every candidate marked with its number.

    Args:
        prepared: the scan.
        candidates: numbered from 1 in this order.
        highlight: index of the one to fill; the others are rings.
        height_px: height of the image, with marks to match; the width follows the box. A box of few slices is
            flat: its image is lower.
    """
    hu, geometry = prepared.volume.hu, prepared.volume.geometry
    plane = display_planes(geometry)[1]
    axes, depth = (plane.down, plane.right), plane.depth.array_axis
    pitch_mm = [float(geometry.spacing_mm[2 - a.array_axis]) for a in axes]
    down_mm, right_mm = (hu.shape[a.array_axis] * pitch for a, pitch in zip(axes, pitch_mm, strict=True))
    scale = min(height_px / down_mm, WIDEST * height_px / right_mm)
    size = (max(1, round(right_mm * scale)), max(1, round(down_mm * scale)))
    gray = _windowed(_oriented(hu.mean(axis=depth, dtype=np.float32), plane), PROJECTION_WINDOW_HU)
    mask = _oriented(prepared.lung_mask.max(axis=depth), plane).astype(np.uint8) * np.uint8(255)
    resized, lungs = (Image.fromarray(np.ascontiguousarray(a)).resize(size, BICUBIC) for a in (gray, mask))
    rgb = np.repeat(np.asarray(resized)[..., None], 3, axis=2)
    inside = np.asarray(lungs) > 127
    rgb[inside & ~ndimage.binary_erosion(inside)] = LUNG_OUTLINE
    canvas = Canvas.of(rgb, height_px / PANEL_PX)
    canvas.edge_letters(plane)
    # The best is drawn last, and so on top; the highlighted one after it.
    for index in sorted(range(len(candidates)), key=lambda i: (i == highlight, -i)):
        at = geometry.to_voxel(candidates[index].center_mm)
        down, right = (
            (_walked(at[a.array_axis], a, hu.shape) + 0.5) * pitch * scale
            for a, pitch in zip(axes, pitch_mm, strict=True)
        )
        canvas.ring((right, down), str(index + 1), index == highlight)
    return canvas.image


def key_image(
    prepared: PreparedScan,
    candidate: Candidate,
    size_mm: float = SIZE_MM,
    others: Sequence[Candidate] = (),
) -> Image.Image:
    """One picture: axial, coronal, sagittal and the locator, in a row.

    Args:
        prepared: the scan.
        candidate: the one shown; among `others` it keeps its number, else it is number 1.
        size_mm: edge of the field of the three planes.
        others: all candidates of the scan, marked in the locator.
    """
    marked = list(others) if candidate in others else [candidate, *others]
    locator = overview(prepared, marked, marked.index(candidate))
    panels = [*key_views(prepared, candidate, size_mm).values(), locator]
    gap = 4
    joined = Image.new("RGB", (sum(p.width for p in panels) + gap * (len(panels) - 1), PANEL_PX), OUTSIDE)
    left = 0
    for panel in panels:
        joined.paste(panel, (left, (PANEL_PX - panel.height) // 2))
        left += panel.width + gap
    return joined


def write_key_images(
    prepared: PreparedScan, candidates: Sequence[Candidate], folder: Path, top: int = TOP
) -> list[Path]:
    """Write `<stem>-01.png`, ... of the first `top` candidates; those a former run left over are removed.

    The stem comes from the series uid (see `file_stem`), so that all series of a run share one folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = file_stem(prepared.volume.series_uid)
    shown = list(candidates[:top])
    written = []
    for number, candidate in enumerate(shown, 1):
        path = folder / f"{stem}-{number:02d}.png"
        with whole(path) as part:
            part.write_bytes(png_bytes(key_image(prepared, candidate, others=shown)))
        written.append(path)
    for old in folder.glob(f"{stem}-[0-9][0-9].png"):
        if old not in written:
            old.unlink()
    return written


def png_bytes(image: Image.Image) -> bytes:
    """The image as PNG; not `optimize`d, which saves a tenth of the bytes for ten times the time."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def file_stem(series_uid: str) -> str:
    """The name of a series in file names: the first 16 digits of the SHA-256 of its uid.

    File names travel further than files: no id of a patient stands in them, nor a name that an image file was given.
    """
    return hashlib.sha256(series_uid.encode(errors="surrogateescape")).hexdigest()[:STEM_LENGTH]


def _windowed(hu: npt.NDArray[np.float32], window: tuple[float, float]) -> npt.NDArray[np.uint8]:
    low, high = window
    scaled = np.rint((np.clip(hu, low, high) - low) * (255 / (high - low)))
    return cast(npt.NDArray[np.uint8], scaled.astype(np.uint8))


def section_places(
    prepared: PreparedScan, plane: Plane, center_zyx: npt.NDArray[np.float64], field_mm: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(320,), (320,) where rows and columns of a section lie, in voxels along the plane's `down` and `right`."""
    spacing = np.asarray(prepared.volume.geometry.spacing_mm)[::-1]
    offsets_mm = (np.arange(PANEL_PX) - (PANEL_PX - 1) / 2) * (field_mm / PANEL_PX)
    down, right = (
        center_zyx[a.array_axis] + a.step * offsets_mm / spacing[a.array_axis] for a in (plane.down, plane.right)
    )
    return down, right


def section(
    prepared: PreparedScan, plane: Plane, center_zyx: npt.NDArray[np.float64], field_mm: float
) -> npt.NDArray[np.uint8]:
    """RGB (320, 320, 3): the plane through the centre, cubic in the plane, linear across it."""
    hu, axes = prepared.volume.hu, (plane.down, plane.right)
    at = section_places(prepared, plane, center_zyx, field_mm)
    # Cut with room for the spline, then sample; array axes in the order down, right, depth.
    low = [math.floor(v.min()) - 4 for v in at]
    high = [math.ceil(v.max()) + 5 for v in at]
    slab = _slab(
        hu.transpose([a.array_axis for a in (*axes, plane.depth)]), low, high, center_zyx[plane.depth.array_axis]
    )
    grid = np.meshgrid(at[0] - low[0], at[1] - low[1], indexing="ij")
    gray = _windowed(ndimage.map_coordinates(slab, grid, order=3), LUNG_WINDOW_HU)
    rgb = np.repeat(gray[..., None], 3, axis=2)
    inside = [(v >= -0.5) & (v <= hu.shape[a.array_axis] - 0.5) for v, a in zip(at, axes, strict=True)]
    rgb[~(inside[0][:, None] & inside[1][None, :])] = OUTSIDE
    return rgb


def _slab(hu: npt.NDArray[np.int16], low: Sequence[int], high: Sequence[int], depth: float) -> npt.NDArray[np.float32]:
    """(high - low) of an array (down, right, depth) at a fractional depth; outside it is air."""
    first = min(max(math.floor(depth), 0), hu.shape[2] - 1)
    second = min(first + 1, hu.shape[2] - 1)
    weight = np.float32(min(max(depth - first, 0.0), 1.0))
    window = tuple(slice(max(a, 0), max(b, 0)) for a, b in zip(low, high, strict=True))
    part = hu[window]
    mixed = part[..., first] * (1 - weight) + part[..., second] * weight
    before = [min(max(-a, 0), b - a) for a, b in zip(low, high, strict=True)]
    after = [b - a - f - n for a, b, f, n in zip(low, high, before, mixed.shape, strict=True)]
    return np.pad(mixed.astype(np.float32), list(zip(before, after, strict=True)), constant_values=HU_MIN)


def _oriented(flat: npt.NDArray[Scalar], plane: Plane) -> npt.NDArray[Scalar]:
    """A projection along the plane's depth, its two array axes turned into rows down and columns right."""
    rows_first = flat if plane.down.array_axis < plane.right.array_axis else flat.T
    return rows_first[:: plane.down.step, :: plane.right.step]


def _walked(index: float, axis: Axis, shape: tuple[int, ...]) -> float:
    """How many voxels along its walk an array index lies."""
    return index if axis.step > 0 else shape[axis.array_axis] - 1 - index
