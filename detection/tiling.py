"""Which parts of a scan the detector looks at: tiles of bounded size, only where there is lung."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from preprocessing.geometry import IntTriple
from preprocessing.masks import box_of
from runs.entry import UsageError

# A box may be predicted from a cell this many voxels away from its centre.
REACH = 8
MOST_PARTS = 12
Whole = TypeVar("Whole", int, npt.NDArray[np.int_])


@dataclass(frozen=True, slots=True)
class Tile:
    """One forward pass, in voxels of the prepared scan.

    Attributes:
        core_start: first voxel (z, y, x) it answers for, a multiple of the network's own (16).
        core_stop: one past the last.
        start: first voxel it sees, a multiple of 16, so that the anchors of all tiles lie on one grid.
        stop: one past the last it sees; whole multiples of 16 after `start`, past the volume's end if need be.
    """

    core_start: IntTriple
    core_stop: IntTriple
    start: IntTriple
    stop: IntTriple


def tiles(lung_mask: npt.NDArray[np.bool_], most_voxels: int, margin: int, multiple: int = 16) -> Iterator[Tile]:
    """Tiles whose cores cover the lungs and everything within 8 voxels of them, each place once.

    Args:
        lung_mask: (Z, Y, X).
        most_voxels: seen at once, context included (no axis is cut into more than 12 parts).
        margin: voxels of context.
        multiple: sides, corners and margin are multiples of this, as the network's strides need it.

    Raises:
        UsageError: a margin that is not such a multiple.
    """
    if margin % multiple:
        raise UsageError(f"the margin must be a multiple of {multiple}, got {margin}")
    shape = np.array(lung_mask.shape)
    size = _core_size(shape, most_voxels, margin, multiple)
    for corner in product(*(range(0, n, s) for n, s in zip(shape.tolist(), size.tolist(), strict=True))):
        low = np.array(corner)
        high = np.minimum(low + size, shape)
        around = np.maximum(low - REACH, 0)
        box = box_of(lung_mask[_window(around, high + REACH)])
        if not box[0].stop:
            continue
        first = around + [s.start for s in box] - REACH
        last = around + [s.stop for s in box] + REACH
        low = np.maximum(low, first // multiple * multiple)
        high = np.minimum(high, _rounded_up(last, multiple))
        start = np.maximum(low - margin, 0)
        stop = start + _rounded_up(np.minimum(high + margin, shape) - start, multiple)
        yield Tile(_triple(low), _triple(high), _triple(start), _triple(stop))


def _core_size(shape: npt.NDArray[np.int_], most_voxels: int, margin: int, multiple: int) -> npt.NDArray[np.int_]:
    """Even parts, of all that are small enough those with the least context; failing that the smallest."""
    sizes = [[_rounded_up(-(-n // parts), multiple) for parts in range(1, MOST_PARTS + 1)] for n in shape.tolist()]
    whole = [_rounded_up(n, multiple) for n in shape.tolist()]
    choices = []
    for parts in product(range(1, MOST_PARTS + 1), repeat=3):
        size = [sizes[axis][n - 1] for axis, n in enumerate(parts)]
        seen = math.prod(min(s + 2 * margin, w) for s, w in zip(size, whole, strict=True))
        choices.append((max(seen - most_voxels, 0), seen * math.prod(parts), math.prod(parts), size))
    return np.array(min(choices)[-1])


def _rounded_up(n: Whole, multiple: int) -> Whole:
    return -(-n // multiple) * multiple


def _window(low: npt.NDArray[np.int_], high: npt.NDArray[np.int_]) -> tuple[slice, ...]:
    return tuple(slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))


def _triple(values: npt.NDArray[np.int_]) -> IntTriple:
    z, y, x = (int(v) for v in values)
    return z, y, x
