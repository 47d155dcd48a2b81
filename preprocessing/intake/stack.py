"""Slices to one regular grid: the place where a series proves its geometry or is refused.

Order and spacing come from ImagePositionPatient along the slice normal (PS3.3 C.7.6.2.1.1), never from
SliceThickness, InstanceNumber or file names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from preprocessing.geometry import Geometry
from preprocessing.intake.headers import Slice, pixel_digest
from preprocessing.intake.scan import Reason, ScanError
from preprocessing.intake.series.doubles import without_doubles

MIN_SLICES = 10
# A gap is bridged by interpolation when it is no wider than the thickest slices that are read without a warning.
MAX_BRIDGED_MM = 5.5
MAX_SPACING_MM = 10.0
# Layers for each slice, at most, when gaps are bridged.
MOST_LAYERS = 1.5
# Sideways drift and unevenness that stay below a quarter of a pixel of any chest CT.
SIDEWAYS_MM = 0.5
UNEVEN_SHARE = 0.06
OFF_GRID_MM = 0.2
# A few stray images (a localiser, a dose sheet) do not spoil a series.
STRAY_SHARE = 0.1
TILT_DEG = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """A checked series.

    Attributes:
        slices: in order along the normal.
        geometry: the regular grid of the volume.
        layers: for each slice its place along z on that grid; 0, 1, 2, ... unless slices were missing.
        warnings: repairs, `code: sentence`.
    """

    slices: tuple[Slice, ...]
    geometry: Geometry
    layers: npt.NDArray[np.float64]
    warnings: tuple[str, ...]


def stack_of(slices: Sequence[Slice]) -> Stack:
    """Order the slices of one series and prove that they make one volume.

    Raises:
        ScanError: with the reason; repairs are warnings in the result.
    """
    images = [s for s in slices if not s.localiser]
    if not images:
        raise ScanError(Reason.LOCALISER, "the series holds localiser images only")
    warnings = []
    if len(images) < len(slices):
        warnings.append(f"localisers_dropped: {len(slices) - len(images)} localiser image(s) were left out")
    kept = _one_grid(_without_copies(images, warnings), warnings)
    if len(kept) < MIN_SLICES:
        raise ScanError(Reason.TOO_FEW_SLICES, f"at least {MIN_SLICES} slices are needed, got {len(kept)}")
    if len({(s.slope, s.intercept) for s in kept}) > 1:
        warnings.append("mixed_rescale: the slices are turned into Hounsfield units by different numbers")
    axes = np.asarray(kept[0].orientation).reshape(2, 3)
    normal = np.cross(axes[0], axes[1])
    positions = np.array([s.position_mm for s in kept])
    order = np.argsort(positions @ normal, kind="stable")
    kept, positions = [kept[k] for k in order], positions[order]
    kept, single = without_doubles(kept, positions @ normal, warnings)
    positions = positions[single]
    _check_line(positions, axes, normal, kept[0].tilt_deg)
    spacing, layers = _layers(positions @ normal, warnings)
    x, y = kept[0].spacing_mm
    direction = _orthonormal(axes, normal)
    shape = (round(float(layers[-1])) + 1, *kept[0].shape)
    ox, oy, oz = positions[0].tolist()
    return Stack(tuple(kept), Geometry(shape, (x, y, spacing), (ox, oy, oz), direction), layers, tuple(warnings))


def _without_copies(slices: list[Slice], warnings: list[str]) -> list[Slice]:
    """One of each image: same place and same pixels. SOPInstanceUIDs prove nothing: some writers repeat them."""
    places = Counter(s.position_mm for s in slices)
    named = {(s.position_mm, pixel_digest(s) if places[s.position_mm] > 1 else ""): s for s in reversed(slices)}
    unique = list(named.values())[::-1]
    if len(unique) < len(slices):
        warnings.append(f"duplicate_slices: {len(slices) - len(unique)} second copies of images were left out")
    return unique


def _one_grid(slices: list[Slice], warnings: list[str]) -> list[Slice]:
    """The slices that share orientation, matrix and pixel size; a few strays are dropped."""
    groups = Counter(_grid_key(s) for s in slices)
    key, n = groups.most_common(1)[0]
    strays = len(slices) - n
    if strays > STRAY_SHARE * len(slices):
        found = f"{len(groups)} different orientations, matrices or pixel sizes"
        raise ScanError(Reason.MIXED_GEOMETRY, f"all slices of a series must lie on one grid; found {found}")
    if strays:
        warnings.append(f"stray_images: {strays} image(s) on another grid were left out")
    return [s for s in slices if _grid_key(s) == key]


def _grid_key(s: Slice) -> tuple[object, ...]:
    # Rounded: writers print cosines with anything from 6 digits upwards.
    return (s.shape, tuple(round(v, 3) for v in s.orientation), tuple(round(v, 4) for v in s.spacing_mm))


def _check_line(
    positions: npt.NDArray[np.float64], axes: npt.NDArray[np.float64], normal: npt.NDArray[np.float64], tilt: float
) -> None:
    """The slices must stand exactly behind each other along their normal."""
    sideways = (positions - positions[0]) @ axes.T
    depth = (positions - positions[0]) @ normal
    if depth[-1] < 1e-3:
        raise ScanError(Reason.DUPLICATE_SLICES, "all slices claim the same position")
    line = depth[:, None] / depth[-1] * sideways[-1]
    if np.abs(sideways - line).max() > SIDEWAYS_MM:
        raise ScanError(Reason.MIXED_GEOMETRY, "slices are shifted sideways against each other")
    leaning = float(np.degrees(np.arctan2(np.linalg.norm(sideways[-1]), depth[-1])))
    if np.linalg.norm(sideways[-1]) > SIDEWAYS_MM:
        raise ScanError(
            Reason.GANTRY_TILT, f"the stack must run along the slice normal; it leans by {leaning:.1f} degrees"
        )
    plane = float(np.degrees(np.arccos(np.clip(np.abs(normal).max(), 0, 1))))
    if abs(tilt) > TILT_DEG and abs(abs(tilt) - plane) > TILT_DEG:
        raise ScanError(
            Reason.GANTRY_TILT, f"GantryDetectorTilt says {tilt:.1f} degrees and the slice planes {plane:.1f}"
        )


def _layers(depth: npt.NDArray[np.float64], warnings: list[str]) -> tuple[float, npt.NDArray[np.float64]]:
    """Spacing of the regular grid and the place of each slice on it."""
    steps = np.diff(depth)
    typical = float(np.median(steps))
    mean = float(steps.mean())
    off_grid = np.abs(depth - depth[0] - mean * np.arange(len(depth))).max()
    if np.abs(steps - typical).max() <= UNEVEN_SHARE * typical and off_grid <= OFF_GRID_MM:
        return _regular(mean, len(depth), warnings)
    whole = np.round(steps / typical)
    multiples = bool((np.abs(steps / typical - whole) <= UNEVEN_SHARE * whole).all())
    reason = Reason.MISSING_SLICES if multiples else Reason.UNEVEN_SPACING
    lost = int((whole - 1).clip(0).sum())
    what = f"{lost} slice(s) are missing" if multiples else "slices are unevenly spaced"
    if steps.max() > MAX_BRIDGED_MM:
        widest = f"from {steps.min():.2f} to {steps.max():.2f} mm apart"
        raise ScanError(reason, f"{what}: neighbours lie {widest}; gaps up to {MAX_BRIDGED_MM} mm are bridged")
    warnings.append(f"{reason}: {what}, gaps up to {steps.max():.1f} mm were filled by linear interpolation")
    n = round((depth[-1] - depth[0]) / typical) + 1
    if n > MOST_LAYERS * len(depth):
        raise ScanError(reason, f"{what}: {len(depth)} slices would make {n} layers, most of them interpolated")
    spacing = float((depth[-1] - depth[0]) / (n - 1))
    return spacing, (depth - depth[0]) / spacing


def _regular(spacing: float, n: int, warnings: list[str]) -> tuple[float, npt.NDArray[np.float64]]:
    if spacing > MAX_SPACING_MM:
        limit = f"slices at most {MAX_SPACING_MM:g} mm apart are needed"
        raise ScanError(Reason.THICK_SLICES, f"{limit}, got {spacing:.2f} mm")
    if spacing > MAX_BRIDGED_MM:
        warnings.append(f"{Reason.THICK_SLICES}: slices lie {spacing:.1f} mm apart; small nodules fall between them")
    return spacing, np.arange(n, dtype=np.float64)


def _orthonormal(axes: npt.NDArray[np.float64], normal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The nearest rotation: six printed digits are not quite orthonormal."""
    u, _, vt = np.linalg.svd(np.stack([axes[0], axes[1], normal / np.linalg.norm(normal)], axis=1))
    rotation: npt.NDArray[np.float64] = u @ vt
    return rotation
