"""Scan to Volume: pixels, Hounsfield units, one regular grid."""

from __future__ import annotations

import numpy as np

from preprocessing.intake.decoding import decoded
from preprocessing.intake.formats.labels import check_voxels
from preprocessing.intake.images import image_ending, read_image
from preprocessing.intake.padding import without_padding
from preprocessing.intake.pixels import Image
from preprocessing.intake.plausible import check_plausible
from preprocessing.intake.scan import Reason, Scan, ScanError
from preprocessing.intake.stack import Stack, stack_of
from preprocessing.intake.upright import upright
from preprocessing.volume import Volume


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
    check_voxels(volume)
    volume = without_padding(volume)
    check_plausible(volume)
    return volume


def _read_dicom(scan: Scan) -> Volume:
    found = [(image, hu) for image, hu in decoded(scan.paths) if scan.holds(image.path, image.frame)]
    stack = stack_of([image for image, _ in found])
    pixels = {(image.path, image.frame): hu for image, hu in found}
    hu = _on_grid([pixels[s.path, s.frame] for s in stack.slices], stack)
    return Volume(hu, stack.geometry, scan.series_uid)


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
