"""Scan to Volume: pixels, Hounsfield units, one regular grid."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import joblib
import numpy as np
from pydicom import dcmread
from pydicom.uid import UID, JPEG2000TransferSyntaxes

from preprocessing.intake.headers import Slice, quiet_pydicom
from preprocessing.intake.images import image_ending, read_image
from preprocessing.intake.padding import without_padding
from preprocessing.intake.pixels import Image, read_images
from preprocessing.intake.plausible import check_plausible
from preprocessing.intake.scan import Reason, Scan, ScanError
from preprocessing.intake.stack import Stack, stack_of
from preprocessing.intake.upright import upright
from preprocessing.volume import Volume

# Decoding JPEG 2000 holds the interpreter lock for 50 ms a slice; other syntaxes do not repay worker processes.
SLOW_SYNTAXES = JPEG2000TransferSyntaxes
SLOW_ENOUGH = 32
MOST_WORKERS = 4


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
    volume = without_padding(volume)
    check_plausible(volume)
    return volume


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
