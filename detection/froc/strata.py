"""Nodules in groups a radiologist reports by: size and texture."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from detection.froc.matching import BoolArray, FloatArray
from runs.entry import UsageError

UNKNOWN = "unknown"
# Where Lung-RADS v2022 changes category for solid nodules at baseline.
SIZE_EDGES_MM = (6.0, 8.0, 15.0)
# LIDC readers rate texture from 1 (non-solid) over 3 (part-solid) to 5 (solid); means are cut half way.
TEXTURES = (("non-solid", 0.0, 2.5), ("part-solid", 2.5, 3.5), ("solid", 3.5, np.inf))


def strata(
    diameter_mm: FloatArray, texture: FloatArray | None = None, edges_mm: Sequence[float] = SIZE_EDGES_MM
) -> dict[str, dict[str, BoolArray]]:
    """Kind (`size`, and `texture` unless it is None) to label to which of the nodules (N,) belong to it."""
    groups = {"size": by_size(diameter_mm, edges_mm)}
    return groups if texture is None else groups | {"texture": by_texture(texture)}


def flat(groups: Mapping[str, Mapping[str, BoolArray]]) -> dict[str, BoolArray]:
    """The same under one name each, such as `size < 6 mm`."""
    return {f"{kind} {label}": members for kind, labels in groups.items() for label, members in labels.items()}


def by_size(diameter_mm: FloatArray, edges_mm: Sequence[float] = SIZE_EDGES_MM) -> dict[str, BoolArray]:
    """Groups that hold at least one nodule: `< 6 mm`, `6-8 mm`, ... (lower edge included), `unknown` for the rest.

    Args:
        diameter_mm: (N,); negative or NaN where unknown.
        edges_mm: rising.

    Raises:
        UsageError: the edges do not rise.
    """
    if any(a >= b for a, b in itertools.pairwise(edges_mm)):
        raise UsageError(f"size edges must rise, got {list(edges_mm)}")
    bounds = [0.0, *edges_mm, np.inf]
    groups = {
        _size_label(low, high): (diameter_mm >= low) & (diameter_mm < high) for low, high in itertools.pairwise(bounds)
    }
    return _filled(groups | {UNKNOWN: ~(diameter_mm >= 0)})


def by_texture(texture: FloatArray) -> dict[str, BoolArray]:
    """Groups that hold at least one nodule: `non-solid`, `part-solid`, `solid`, `unknown`.

    Args:
        texture: (N,) mean LIDC rating 1-5; NaN where unknown.
    """
    groups = {name: (texture >= low) & (texture < high) for name, low, high in TEXTURES}
    return _filled(groups | {UNKNOWN: ~(texture >= 0)})


def _size_label(low: float, high: float) -> str:
    if np.isinf(high):
        return f">= {low:g} mm"
    return f"{low:g}-{high:g} mm" if low else f"< {high:g} mm"


def _filled(groups: dict[str, BoolArray]) -> dict[str, BoolArray]:
    return {name: members for name, members in groups.items() if members.any()}
