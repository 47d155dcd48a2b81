"""A chest seen twice: lungs full of small dense balls at 3 mm, and the same after a known deformation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from preprocessing.geometry import Geometry, Triple
from preprocessing.prepare import PreparedScan
from preprocessing.volume import Volume
from runs.seeds import stream

SPACING = 3.0
SHAPE = (60, 64, 88)
GEOMETRY = Geometry(SHAPE, (SPACING,) * 3, (-130.0, -95.0, -90.0), np.eye(3))
LUNGS = ((-65.0, 0.0, 0.0), (65.0, 0.0, 0.0))
RADII = (50.0, 75.0, 75.0)

Points = npt.NDArray[np.float64]
Ball = tuple[Triple, float]


def current_of(prior_mm: npt.ArrayLike) -> Points:
    """Where a world point (..., 3) of the earlier scan is now: moved, larger along z, and bent by 5 mm."""
    x, y, z = np.moveaxis(np.asarray(prior_mm, dtype=float), -1, 0)
    return np.stack([x + 6 + 5 * np.sin(z / 30), y - 8 + 4 * np.sin(x / 40), 1.08 * z + 5], -1)


def seen(balls: Sequence[Ball] = (), moved: bool = False) -> PreparedScan:
    """The earlier scan, or, `moved`, the one after it; balls are (centre, diameter) in mm of the scan itself."""
    world = GEOMETRY.to_world(np.moveaxis(np.indices(SHAPE), 0, -1).reshape(-1, 3)).reshape(*SHAPE, 3)
    places = _back(world) if moved else world
    lungs = np.zeros(SHAPE, bool)
    for middle in LUNGS:
        lungs |= (((places - middle) / RADII) ** 2).sum(-1) <= 1
    hu = np.where(lungs, -850.0, 40.0)
    for center in stream("tests.moved_chest", 1).uniform((-110, -70, -70), (110, 70, 70), (120, 3)):
        hu = np.maximum(hu, _ball(places, center, 14.0))
    for center, diameter in balls:
        hu = np.maximum(hu, _ball(world, np.asarray(center), diameter))
    hu += stream("tests.moved_chest", 2, int(moved)).normal(0, 5, SHAPE)
    volume = Volume(np.rint(hu).astype(np.int16), GEOMETRY, "1.2.2" if moved else "1.2.1")
    return PreparedScan(volume, lungs, GEOMETRY)


def _back(current_mm: Points) -> Points:
    """The inverse of `current_of`, by repetition: the bend is slight."""
    found = current_mm
    for _ in range(20):
        found = found + current_mm - current_of(found)
    return found


def _ball(places: Points, center: Points, diameter: float) -> Points:
    """40 HU inside, with an edge of 3 mm, and air far below anything else outside."""
    away = np.linalg.norm(places - center, axis=-1)
    return -850 + 890 * np.clip((diameter / 2 - away) / SPACING + 0.5, 0, 1)
