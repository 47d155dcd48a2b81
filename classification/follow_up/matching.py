"""Which nodule of a scan is which of an earlier one, once their places are in one frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

# What registration leaves (19 of 20 places within 5.0 mm, `benchmarks.nodules.registration`), twice over;
# of larger nodules the radius too, since their middles move as they grow.
REACH_MM = 10.0
# A nodule that is more than four times as wide as it was is more likely another.
MOST_TIMES = 4.0


def match(
    places_mm: npt.ArrayLike, diameters_mm: npt.ArrayLike, prior_mm: npt.ArrayLike, prior_diameters_mm: npt.ArrayLike
) -> list[int | None]:
    """For each nodule the index of the one that it was, or None; no earlier one is taken twice.

    Of all ways to pair them that with the most pairs is taken, and of those that with the smallest distances in all.

    Args:
        places_mm: (N, 3) centres, carried into the earlier scan.
        diameters_mm: (N,).
        prior_mm: (M, 3) centres in the earlier scan.
        prior_diameters_mm: (M,).
    """
    here, there = (np.asarray(p, dtype=float).reshape(-1, 3) for p in (places_mm, prior_mm))
    wide, was = (np.asarray(d, dtype=float).ravel() for d in (diameters_mm, prior_diameters_mm))
    found: list[int | None] = [None] * len(here)
    if not len(here) or not len(there):
        return found
    away = cdist(here, there)
    larger = np.maximum(wide[:, None], was[None])
    times = larger / np.minimum(wide[:, None], was[None])
    possible = (away <= np.maximum(REACH_MM, larger / 2)) & (times <= MOST_TIMES)
    # One impossible pair costs more than all the distances of the possible ones.
    never = (np.where(possible, away, 0).sum() + 1.0) * 2
    for i, j in zip(*linear_sum_assignment(np.where(possible, away, never)), strict=True):
        if possible[i, j]:
            found[int(i)] = int(j)
    return found
