"""Where in the lungs a nodule lies: side, zone and distance to the pleura."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import edt
import numpy as np

from classification.measuring.outline import Outline
from preprocessing.geometry import Triple
from preprocessing.lungs.mask import MARGIN_MM
from preprocessing.prepare import PreparedScan

# Beyond it a distance says nothing, and the window in which it is sought stays small.
FARTHEST_MM = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """Side and zone go by world LPS axes: +x is the patient's left, +z is up.

    Attributes:
        side: of the patient, the middle being that of the lungs' extent.
        zone: thirds of the height of the lung mask, not lobes.
    """

    side: Literal["left", "right"]
    zone: Literal["upper", "middle", "lower"]


def place_of(prepared: PreparedScan, center_mm: Triple) -> Place:
    """Of a world point in mm."""
    low, high = lung_extent(prepared)
    x, _, z = center_mm
    height = (z - low[2]) / max(high[2] - low[2], 1e-6)
    side: Literal["left", "right"] = "left" if x > (low[0] + high[0]) / 2 else "right"
    return Place(side, "lower" if height < 1 / 3 else ("middle" if height < 2 / 3 else "upper"))


def pleura_mm(nodule: Outline, prepared: PreparedScan) -> float:
    """From the nodule's surface to that of the lungs, at most 30 mm; 0 where it touches or reaches out.

    The lungs' surface is that of the lung mask less the margin it was grown by: costal, mediastinal or at a fissure's
    end alike, and bridged over large vessels of the hilum.
    """
    reach = round(FARTHEST_MM + MARGIN_MM) + 1
    at = np.argwhere(nodule.mask) + nodule.start_zyx
    low = np.maximum(at.min(0) - reach, 0)
    high = np.minimum(at.max(0) + reach + 1, prepared.lung_mask.shape)
    lungs = prepared.lung_mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    distance = FARTHEST_MM if lungs.all() else float(edt.edt(lungs)[tuple((at - low).T)].min()) - MARGIN_MM
    return min(max(distance, 0.0), FARTHEST_MM)


def lung_extent(prepared: PreparedScan) -> tuple[list[float], list[float]]:
    """Lowest and highest world x, y, z in mm of the lung mask (of the whole box when the mask is empty)."""
    mask = prepared.lung_mask
    spans = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    first = [int(s[0]) if len(s) else 0 for s in spans]
    last = [int(s[-1]) if len(s) else n - 1 for s, n in zip(spans, mask.shape, strict=True)]
    corners = np.array([[(first, last)[(k >> a) & 1][a] for a in range(3)] for k in range(8)])
    world = prepared.volume.geometry.to_world(corners)
    return world.min(0).tolist(), world.max(0).tolist()
