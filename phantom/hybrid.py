"""How pieces of real tissue, with a nodule in them or without one, are blended into a chest.

Whatever is done to a piece with a nodule is done to normal tissue by the same functions: the same grid of slices, the
same turn, the same interpolation, the same edges. So a seam, a blur or the loss of noise says nothing about what a
piece holds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from phantom.pieces import FloatVolume, Piece

Mask = npt.NDArray[np.bool_]
Matrix = npt.NDArray[np.float64]

LUNG_BELOW_HU = -600.0
SCALE_RANGE = (0.85, 1.18)
THICKEST_MM = 8.0
MOST_TILT = np.deg2rad(12)


def tissue_like(piece: Piece, host: npt.NDArray[np.int16], at_zyx: npt.ArrayLike) -> Piece:
    """Normal tissue of a host in the shape of a piece and seen through its slices: a negative to blend.

    Args:
        piece: whose weights and slice distance it takes.
        host: (Z, Y, X) HU at 1 mm.
        at_zyx: voxel of the host that comes to the piece's centre; what lies outside the host repeats its border.
    """
    start = np.rint(np.asarray(at_zyx, float) - piece.center_zyx).astype(int)
    index = [np.clip(np.arange(n) + s, 0, m - 1) for n, s, m in zip(piece.hu.shape, start, host.shape, strict=True)]
    hu = host[np.ix_(*index)].astype(np.float32)
    return replace(piece, hu=resliced(hu, piece.slices_mm), diameter_mm=0.0, patient_id="normal tissue")


def resliced(hu: FloatVolume, slices_mm: float) -> FloatVolume:
    """A volume at 1 mm as slices so far apart would give it: some of its slices, and between them a line.

    Slices are taken whole, at most half a millimetre from their places: a mean of two would lose noise.
    """
    if slices_mm <= 1:
        return hu
    n = max(1, round(len(hu) / slices_mm))
    taken = np.rint((np.arange(n) + 0.5) * len(hu) / n - 0.5).astype(int)
    return _along_z(hu[taken], (np.arange(len(hu)) + 0.5) * n / len(hu) - 0.5)


def boxed(hu: FloatVolume, width_mm: float) -> FloatVolume:
    """The mean over so many mm along z, centred on each voxel whatever the width: nothing moves."""
    half = (max(width_mm, 1.0) - 1) / 2
    whole = int(np.floor(half))
    weights = np.ones(2 * whole + 3)
    weights[[0, -1]] = half - whole
    return cast(FloatVolume, ndimage.correlate1d(hu, weights / weights.sum(), axis=0, mode="nearest"))


def averaged(hu: FloatVolume) -> FloatVolume:
    """About what a mean over two voxels along each axis leaves of noise; nothing moves."""
    return cast(FloatVolume, ndimage.gaussian_filter(hu, 0.6))


def random_turn(rng: np.random.Generator) -> tuple[Matrix, float]:
    """A turn about z by any angle, a tilt of at most 12 degrees, mirrors, and a scale.

    Returns:
        the matrix (3, 3) from a step in the new picture (z, y, x) to one in the old, and the scale by which things
        grow: 0.85 to 1.18, a change of size that keeps a rating true.
    """
    scale = float(np.exp(rng.uniform(*np.log(SCALE_RANGE))))
    angle, tilt, about = rng.uniform(0, 2 * np.pi), rng.uniform(-MOST_TILT, MOST_TILT), rng.uniform(0, 2 * np.pi)
    spin = _about_z(float(angle))
    lean = _about_z(float(about)) @ _about_x(float(tilt)) @ _about_z(float(-about))
    return spin @ lean @ np.diag(rng.choice([-1.0, 1.0], 3)) / scale, scale


def sampled(
    volume: npt.NDArray[Any],
    matrix: Matrix,
    old_zyx: npt.ArrayLike,
    new_zyx: npt.ArrayLike,
    shape: tuple[int, int, int],
    fill: float = 0.0,
    order: int = 1,
) -> FloatVolume:
    """A volume through a turn: the voxel `old_zyx` of it comes to `new_zyx` of the result (fractions allowed).

    Args:
        volume: (Z, Y, X).
        matrix: from steps in the result to steps in the volume.
        old_zyx, new_zyx: the point that stays.
        shape: of the result.
        fill: outside of the volume.
        order: 1 linear, 0 nearest.
    """
    offset = np.asarray(old_zyx, float) - matrix @ np.asarray(new_zyx, float)
    made: FloatVolume = ndimage.affine_transform(  # type: ignore[call-overload]
        volume, matrix, offset, shape, output=np.float32, order=order, mode="constant", cval=fill, prefilter=False
    )
    return made


def blend(hu: FloatVolume, piece: Piece, place_zyx: npt.ArrayLike, matrix: Matrix, share: float = 1.0) -> FloatVolume:
    """Blend a turned piece into `hu` (Z, Y, X) in place, its centre at `place_zyx` (fractions allowed).

    Its lung takes the level of the lung around the place; soft tissue keeps its HU. A share below 1 leaves that much
    of the host in: a solid nodule becomes ground glass, with the host's vessels in it.

    Returns:
        the weights (Z, Y, X) with which it went in, before the share.
    """
    place = np.asarray(place_zyx, float)
    reach = _reach(piece, matrix)
    low = np.maximum(np.floor(place - reach), 0).astype(int)
    high = np.minimum(np.ceil(place + reach) + 1, hu.shape).astype(int)
    all_weights = np.zeros(hu.shape, np.float32)
    if np.any(high <= low):
        return all_weights
    window = tuple(slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))
    z, y, x = (int(n) for n in high - low)
    weight = sampled(piece.weight, matrix, piece.center_zyx, place - low, (z, y, x))
    tissue = sampled(piece.hu, matrix, piece.center_zyx, place - low, (z, y, x), fill=-1000.0)
    part = hu[window]
    part += np.float32(share) * weight * (_matched(tissue, weight, part) - part)
    all_weights[window] = weight
    return all_weights


def _reach(piece: Piece, matrix: Matrix) -> npt.NDArray[np.float64]:
    """How far the turned piece reaches from its centre along each axis of the picture."""
    shape = np.asarray(piece.hu.shape)
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij"), -1).reshape(-1, 3)
    return cast(
        npt.NDArray[np.float64], np.abs((corners - np.asarray(piece.center_zyx)) @ np.linalg.inv(matrix).T).max(0)
    )


def _matched(tissue: FloatVolume, weight: FloatVolume, host: FloatVolume) -> FloatVolume:
    own = tissue[(weight > 0.5) & (tissue < LUNG_BELOW_HU)]
    local = host[host < LUNG_BELOW_HU]
    if own.size < 20 or local.size < 20:
        return tissue
    return lung_shifted(tissue, float(np.median(local) - np.median(own)))


def lung_shifted(hu: FloatVolume, shift: float) -> FloatVolume:
    """Lung denser by `shift` HU (less dense when negative); from -150 HU upwards nothing changes."""
    share = 1 - np.clip((hu + 850) / 700, 0, 1)
    return (hu + np.float32(shift) * share).astype(np.float32)


def paste_places(hu: FloatVolume, lungs: Mask, rng: np.random.Generator, n: int) -> npt.NDArray[np.int64]:
    """Voxels where a nodule may grow: half anywhere in aerated lung, half beside a wall or a vessel.

    Returns:
        (m, 3) z, y, x with m <= n; fewer when there is little lung.
    """
    aerated = lungs & (hu < -500)
    solid = ndimage.uniform_filter((hu > -300).astype(np.float32), 7) > 0.12
    inner = np.argwhere(aerated & ~solid)
    beside = np.argwhere(aerated & solid)
    picks = []
    for _ in range(n):
        pool = beside if len(beside) and (rng.random() < 0.5 or not len(inner)) else inner
        if len(pool):
            picks.append(pool[rng.integers(len(pool))])
    return np.asarray(picks, dtype=np.int64).reshape(-1, 3)


def aerated_share(hu: npt.NDArray[Any], place: npt.NDArray[np.int64], diameter: float) -> float:
    """How much of a nodule's box would be lung: one buried in the mediastinum is nothing a reader would mark.

    Args:
        hu: (Z, Y, X).
        place: voxel of it.
        diameter: of the nodule, in voxels.
    """
    reach = int(np.ceil(diameter / 2))
    box = hu[tuple(slice(max(p - reach, 0), p + reach + 1) for p in place)]
    return float((box < -500).mean())


def reacquired(
    hu: FloatVolume,
    rng: np.random.Generator,
    voxel_mm: float = 1.0,
    thick_share: float = 0.5,
    apart_share: float = 0.5,
) -> FloatVolume:
    """Another scanner: slices of 1 to 8 mm, kernel (blur or sharpening), correlated noise, offset.

    Args:
        hu: (Z, Y, X).
        rng: the only source of randomness.
        voxel_mm: edge of its voxels; the noise of larger ones is lower.
        thick_share: how often slices are thicker than 1 mm.
        apart_share: how often thick slices lie as far apart as they are thick, with a line between them, as a prepared
            scan has it; else there is one for every voxel.
    """
    out, thick = hu, 0.0
    if rng.random() < thick_share:
        thick = float(np.exp(rng.uniform(np.log(1.2), np.log(THICKEST_MM)))) / voxel_mm
        out = boxed(out, thick)
    kernel = rng.uniform(-0.6, 0.8)
    if kernel > 0.25:
        out = ndimage.gaussian_filter(out, (0, kernel, kernel))
    elif kernel < 0:
        out = out + np.float32(-kernel) * (out - ndimage.gaussian_filter(out, (0, 1.0, 1.0)))
    noise = rng.standard_normal(out.shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, rng.uniform(0.3, 0.9))
    sigma = rng.uniform(0, 30) / voxel_mm / max(float(noise.std()), 1e-6)
    out = out + np.float32(sigma) * noise + np.float32(rng.normal(0, 15))
    return resliced(out, thick) if rng.random() < apart_share else out


def _along_z(hu: FloatVolume, where: npt.NDArray[np.float64]) -> FloatVolume:
    at = np.clip(where, 0, len(hu) - 1)
    low = np.minimum(np.floor(at).astype(int), max(len(hu) - 2, 0))
    share = (at - low).astype(np.float32)[:, None, None]
    return cast(FloatVolume, hu[low] * (1 - share) + hu[np.minimum(low + 1, len(hu) - 1)] * share)


def _about_z(angle: float) -> Matrix:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _about_x(angle: float) -> Matrix:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
