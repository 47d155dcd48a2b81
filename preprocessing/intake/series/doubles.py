"""Two different slices at one place: the one that belongs to its neighbours is kept, where it is one place only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from preprocessing.intake.headers import Slice
from preprocessing.intake.pixels import read_images
from preprocessing.intake.scan import Reason, ScanError

# Of the mean step: nearer than this, two slices claim one place.
SAME_PLACE, SAME_PLACE_MM = 0.1, 0.01
# One place in so many.
ONE_IN = 64


def without_doubles(
    slices: list[Slice], depth: npt.NDArray[np.float64], warnings: list[str]
) -> tuple[list[Slice], npt.NDArray[np.bool_]]:
    """The slices, sorted by depth, with one of each place, and which of them were kept.

    Raises:
        ScanError: `duplicate_slices`: more places than a slip explains, which would be two series in one.
    """
    keep = np.ones(len(slices), bool)
    mean = (depth[-1] - depth[0]) / max(len(depth) - 1, 1)
    close = np.flatnonzero(np.diff(depth) < max(SAME_PLACE_MM, SAME_PLACE * mean))
    if not len(close):
        return slices, keep
    if len(close) > max(1, len(slices) // ONE_IN) or (len(close) > 1 and np.diff(close).min() < 2):
        raise ScanError(
            Reason.DUPLICATE_SLICES, f"{len(close)} position(s) are taken by two slices with different content"
        )
    for k in close.tolist():
        around = [slices[n] for n in (k - 1, k + 2) if 0 <= n < len(slices)]
        keep[k + 1 if _fits_better(slices[k], slices[k + 1], around) else k] = False
    what = f"{len(close)} place(s) were taken by two slices"
    warnings.append(f"doubled_position: {what}; the one like its neighbours is kept")
    return [image for image, kept in zip(slices, keep, strict=True) if kept], keep


def _fits_better(first: Slice, second: Slice, around: Sequence[Slice]) -> bool:
    """Whether the first belongs to its neighbours rather than the second: by tags, by number, by content."""
    for measure in (_same_marks, _in_order, _likeness):
        one, other = measure(first, around), measure(second, around)
        if one != other:
            return one > other
    return True


def _same_marks(image: Slice, around: Sequence[Slice]) -> float:
    return sum(a == b for near in around for a, b in zip(image.marks, near.marks, strict=True))


def _in_order(image: Slice, around: Sequence[Slice]) -> float:
    """InstanceNumber between those of the neighbours."""
    numbers = [near.instance for near in around if near.instance is not None]
    if image.instance is None or len(numbers) < 2:
        return 0
    return float(min(numbers) < image.instance < max(numbers))


def _likeness(image: Slice, around: Sequence[Slice]) -> float:
    hu, *near = (
        next(pixels for found, pixels in read_images(other.path) if found.frame == other.frame)
        for other in (image, *around)
    )
    return -float(np.abs(np.mean(near, axis=0) - hu).mean())
