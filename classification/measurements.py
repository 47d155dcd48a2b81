"""What can be said of a candidate without a network: size, side and height in the lungs."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from detection.candidate import Candidate
from preprocessing.prepare import PreparedScan


def measurements(candidate: Candidate, prepared: PreparedScan) -> Mapping[str, float | str]:
    """`diameter_mm`, `volume_mm3` (of the sphere), `side` (left or right of the patient), `zone` of the lungs.

    Side and zone go by world LPS axes: +x is the patient's left, +z is up; the zones are thirds of the height
    of the lung mask, not lobes.
    """
    low, high = lung_extent(prepared)
    x, _, z = candidate.center_mm
    height = (z - low[2]) / max(high[2] - low[2], 1e-6)
    return {
        "diameter_mm": candidate.diameter_mm,
        "volume_mm3": math.pi / 6 * candidate.diameter_mm**3,
        "side": "left" if x > (low[0] + high[0]) / 2 else "right",
        "zone": "lower" if height < 1 / 3 else ("middle" if height < 2 / 3 else "upper"),
    }


def lung_extent(prepared: PreparedScan) -> tuple[list[float], list[float]]:
    """Lowest and highest world x, y, z in mm of the lung mask (of the whole box when the mask is empty)."""
    mask = prepared.lung_mask
    spans = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    first = [int(s[0]) if len(s) else 0 for s in spans]
    last = [int(s[-1]) if len(s) else n - 1 for s, n in zip(spans, mask.shape, strict=True)]
    corners = np.array([[(first, last)[(k >> a) & 1][a] for a in range(3)] for k in range(8)])
    world = prepared.volume.geometry.to_world(corners)
    return world.min(0).tolist(), world.max(0).tolist()
