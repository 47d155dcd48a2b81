"""Signed distances of simple solids, negative inside, and the ways to join them; all lengths in mm.

Coordinates are broadcastable arrays x, y, z. Distances are approximate: exact enough within the few millimetres
around a surface where they are turned into coverage.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Field = npt.NDArray[np.float32]


def ellipse(x: Field, y: Field, center: tuple[float, float], radii: tuple[float, float]) -> Field:
    """An upright elliptic cylinder."""
    rho = np.sqrt(((x - center[0]) / radii[0]) ** 2 + ((y - center[1]) / radii[1]) ** 2)
    return cast(Field, (rho - 1) * np.float32(min(radii)))


def ellipsoid(
    x: Field, y: Field, z: Field, center: tuple[float, float, float], radii: tuple[float, float, float]
) -> Field:
    """An upright ellipsoid."""
    scaled = [((a - c) / r) ** 2 for a, c, r in zip((x, y, z), center, radii, strict=True)]
    return cast(Field, (np.sqrt(scaled[0] + scaled[1] + scaled[2]) - 1) * np.float32(min(radii)))


def tube(x: Field, y: Field, z: Field, points: Sequence[tuple[float, float, float]], radius: float) -> Field:
    """Distance to a polyline of round cross-section."""
    best = np.float32(np.inf)
    for a, b in pairwise(points):
        step = np.subtract(b, a).astype(np.float32)
        px, py, pz = (axis - np.float32(c) for axis, c in zip((x, y, z), a, strict=True))
        t = (px * step[0] + py * step[1]) / (step @ step) + pz * (step[2] / (step @ step))
        np.clip(t, 0, 1, out=t)
        far = (px - t * step[0]) ** 2
        far += (py - t * step[1]) ** 2
        far += (pz - t * step[2]) ** 2
        best = np.minimum(best, far)
    return cast(Field, np.sqrt(best) - np.float32(radius))


def minimum(*fields: Field) -> Field:
    """The union of solids."""
    out = fields[0]
    for field in fields[1:]:
        out = np.minimum(out, field)
    return out


def smooth_min(a: Field, b: Field, k: float) -> Field:
    """Polynomial smooth minimum (Quilez); k is the width of the blend in mm."""
    h = np.clip(0.5 + 0.5 * (b - a) / k, 0, 1)
    return cast(Field, b + (a - b) * h - k * h * (1 - h))


def smooth_max(a: Field, b: Field, k: float) -> Field:
    """The smooth intersection of two solids."""
    return -smooth_min(-a, -b, k)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int, int], length_mm: float, step_mm: float) -> Field:
    """Unit-variance noise of a correlation length, made small and enlarged."""
    factor = max(1, int(length_mm / step_mm / 1.5))
    small = rng.standard_normal(tuple(-(-n // factor) + 3 for n in shape)).astype(np.float32)
    small = ndimage.gaussian_filter(small, length_mm / step_mm / factor)
    large = ndimage.zoom(small, factor, order=1)[tuple(slice(0, n) for n in shape)]
    return cast(Field, large / large.std())


def cover(distance: Field, width: float) -> Field:
    """How much of a pixel of this width lies inside a surface at a signed distance."""
    out = distance * np.float32(-1 / width)
    out += np.float32(0.5)
    return cast(Field, np.clip(out, 0, 1, out=out))
