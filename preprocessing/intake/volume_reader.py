"""Scan to Volume: pixels, Hounsfield units, one regular grid."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import joblib
import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.uid import UID, JPEG2000TransferSyntaxes

from preprocessing.geometry import Geometry
from preprocessing.intake.headers import Slice, quiet_pydicom
from preprocessing.intake.images import image_ending, read_image
from preprocessing.intake.pixels import Image, read_images
from preprocessing.intake.scan import Reason, Scan, ScanError
from preprocessing.intake.stack import Stack, stack_of
from preprocessing.volume import HU_MIN, Volume

# Decoding JPEG 2000 holds the interpreter lock for 50 ms a slice; other syntaxes do not repay worker processes.
SLOW_SYNTAXES = JPEG2000TransferSyntaxes
SLOW_ENOUGH = 32
MOST_WORKERS = 4
# What every chest CT has, and no image that lost its rescale intercept.
AIR_BELOW_HU, TISSUE_ABOVE_HU, LEAST_SHARE = -500, -300, 0.01


def read_volume(scan: Scan) -> Volume:
    """Read the pixels of a scan that was not refused.

    Returns:
        HU in [-1024, 3071]; slices along the normal, gaps within the intake's limits filled by interpolation; axes
        turned to the nearest of patient left, back and head (x, y, z).

    Raises:
        ScanError: with the reason; nothing is returned whose geometry or values are in doubt.
    """
    if scan.refused is not None:
        raise ScanError(scan.refused, scan.detail)
    if not scan.paths:
        raise ScanError(Reason.EMPTY_FOLDER, "the scan has no files")
    if len(scan.paths) == 1 and image_ending(scan.paths[0]):
        volume = read_image(scan.paths[0], scan.series_uid)
    else:
        volume = upright(_read_dicom(scan))
    _check_values(volume.hu)
    return volume


def upright(volume: Volume) -> Volume:
    """The same voxels with axes permuted and flipped to lie nearest to world x, y, z; the anatomy stays put."""
    direction = volume.geometry.direction
    # Which grid axis runs along each world axis, the clearest one chosen first.
    strength = np.abs(direction).copy()
    axis_of = [0, 0, 0]
    for _ in range(3):
        world, grid = divmod(int(strength.argmax()), 3)
        axis_of[world] = grid
        strength[world, :] = strength[:, grid] = -1
    signs = [1 if direction[w, g] >= 0 else -1 for w, g in enumerate(axis_of)]
    if axis_of == [0, 1, 2] and signs == [1, 1, 1]:
        return volume
    order = [2 - axis_of[2 - k] for k in range(3)]
    steps = tuple(slice(None, None, s) for s in reversed(signs))
    hu = np.ascontiguousarray(volume.hu.transpose(order)[steps])
    old = volume.geometry
    corner_zyx = [0, 0, 0]
    for sign, grid in zip(signs, axis_of, strict=True):
        if sign < 0:
            corner_zyx[2 - grid] = old.shape_zyx[2 - grid] - 1
    x, y, z = (old.spacing_mm[g] for g in axis_of)
    turned = direction[:, axis_of] * np.asarray(signs)
    ox, oy, oz = old.to_world(corner_zyx).tolist()
    return Volume(hu, Geometry(hu.shape, (x, y, z), (ox, oy, oz), turned), volume.series_uid)


def _read_dicom(scan: Scan) -> Volume:
    found = _read_all(scan.paths)
    stack = stack_of([image for image, _ in found])
    pixels = {(image.path, image.frame): hu for image, hu in found}
    hu = _on_grid([pixels[s.path, s.frame] for s in stack.slices], stack)
    return Volume(hu, stack.geometry, scan.series_uid)


def _read_all(paths: Sequence[Path]) -> list[tuple[Slice, Image]]:
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    if workers > 1 and len(paths) >= SLOW_ENOUGH and _is_slow(paths[0]):
        pool = joblib.Parallel(n_jobs=workers, batch_size=8)
        return list(chain.from_iterable(pool(joblib.delayed(read_images)(path) for path in paths)))
    return list(chain.from_iterable(read_images(path) for path in paths))


def _is_slow(path: Path) -> bool:
    with quiet_pydicom():
        dataset = dcmread(path, stop_before_pixels=True, force=True, specific_tags=["Modality"])
    meta = getattr(dataset, "file_meta", {})
    return UID(str(meta.get("TransferSyntaxUID", ""))) in SLOW_SYNTAXES


def _on_grid(images: list[Image], stack: Stack) -> Image:
    """(Z, Y, X); layers between slices are interpolated linearly."""
    shape = stack.geometry.shape_zyx
    if len(images) == shape[0] and np.array_equal(stack.layers, np.arange(shape[0])):
        return np.stack(images)
    hu = np.empty(shape, np.int16)
    after = np.searchsorted(stack.layers, np.arange(shape[0]) - 1e-6).clip(1, len(images) - 1)
    for layer, k in enumerate(after.tolist()):
        low, high = float(stack.layers[k - 1]), float(stack.layers[k])
        share = min(max((layer - low) / (high - low), 0.0), 1.0)
        hu[layer] = np.rint((1 - share) * images[k - 1] + share * images[k])
    return hu


def _check_values(hu: npt.NDArray[np.int16]) -> None:
    sample = hu[::2, ::4, ::4]
    # Padding sits at the very bottom whatever the rescale, so it is no proof of air.
    air = float(((sample > HU_MIN) & (sample < AIR_BELOW_HU)).mean())
    tissue = float((sample > TISSUE_ABOVE_HU).mean())
    if min(air, tissue) < LEAST_SHARE:
        shares = (
            f"{air:.1%} of the voxels lie between {HU_MIN} and {AIR_BELOW_HU} and {tissue:.1%} above {TISSUE_ABOVE_HU}"
        )
        raise ScanError(Reason.NOT_HOUNSFIELD, f"a chest CT holds air and tissue in Hounsfield units; here {shares}")
