"""Several acquisitions under one SeriesInstanceUID: phases, kernels, energies, a second breath.

Blended, they would make a chest that nobody has. They are parted by a tag when that gives whole stacks over the same
stretch of the body; tags that change along the stack (a number for each rotation, one for chest and one for abdomen)
part nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from preprocessing.intake.headers import Slice
from preprocessing.intake.scan import ScanError
from preprocessing.intake.stack import MIN_SLICES, stack_of
from preprocessing.intake.tags import SPLIT_TAGS

# Of the shorter of two stacks: less is a seam.
LEAST_OVERLAP = 0.5


def parts_of(slices: Sequence[Slice]) -> list[tuple[list[Slice], tuple[str, ...]]]:
    """The acquisitions of a series in the order of their first images, each with the tags that part it from others.

    A series of one acquisition, or one that no tag parts into whole stacks, comes back as it is.
    """
    parts = _parted([image for image in slices if not image.localiser])
    return parts if len(parts) > 1 else [(list(slices), ())]


def _parted(images: list[Slice]) -> list[tuple[list[Slice], tuple[str, ...]]]:
    for place, tag in enumerate(SPLIT_TAGS):
        groups: dict[str, list[Slice]] = {}
        for image in images:
            groups.setdefault(image.marks[place] if image.marks else "", []).append(image)
        if len(groups) < 2 or any(len(group) < MIN_SLICES for group in groups.values()):
            continue
        parts = [(part, (tag, *more)) for group in groups.values() for part, more in _parted(group)]
        if all(_is_whole(part) for part, _ in parts) and _overlap([part for part, _ in parts]):
            return parts
    return [(images, ())]


def _is_whole(part: list[Slice]) -> bool:
    """A stack without gaps by itself."""
    try:
        stack = stack_of(part)
    except ScanError:
        return False
    return len(stack.slices) == stack.geometry.shape_zyx[0]


def _overlap(parts: list[list[Slice]]) -> bool:
    """Whether every acquisition shows much of what the first one shows."""
    axes = np.asarray(parts[0][0].orientation).reshape(2, 3)
    normal = np.cross(axes[0], axes[1])
    spans = []
    for part in parts:
        depth = np.array([image.position_mm for image in part]) @ normal
        spans.append((float(depth.min()), float(depth.max())))
    low, high = spans[0]
    return all(min(high, b) - max(low, a) >= LEAST_OVERLAP * max(min(high - low, b - a), 1e-3) for a, b in spans[1:])
