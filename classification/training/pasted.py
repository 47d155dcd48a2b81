"""Nodules blended into the scans that normal tissue is taken from.

A network that sees nodules of some scanners and tissue of others learns to tell the scanners apart. Here both come
with the texture of one scan. What is blended in says that it is a nodule and no more: a reader rated it elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from classification.training.samples import STORED, Samples, thickened, unrated
from phantom.hybrid import aerated_share, blend, paste_places, random_turn
from phantom.pieces import NoduleCrop
from preprocessing.patches import extract_patch
from preprocessing.prepare import PreparedScan

# Places drawn for each nodule wanted, since some are refused.
DRAWN = 3
# So much of a nodule's box is lung at the place where it goes.
AERATED = 0.3
# Voxels around a stored crop that are there while a nodule is blended in, so that its lung is matched to more of them.
AROUND = 8


def paste(
    prepared: PreparedScan,
    patient_id: str,
    count: int,
    crops: Sequence[NoduleCrop],
    rng: np.random.Generator,
    avoid: Sequence[tuple[tuple[float, float, float], float]],
) -> Samples:
    """At most so many nodules, each blended into a copy of its place.

    Args:
        prepared: 1 mm scan.
        patient_id: whose.
        count: at most so many; none without `crops`.
        crops: drawn from; half go in by their outline, half with their surroundings.
        rng: seeded.
        avoid: world centres and radii in mm where something real may grow.
    """
    hu, geometry = prepared.volume.hu, prepared.volume.geometry
    taken = [(geometry.to_voxel(center_mm), radius + STORED / 2) for center_mm, radius in avoid]
    made: list[npt.NDArray[np.int16]] = []
    diameters: list[float] = []
    drawn = DRAWN * count if crops else 0
    for place in paste_places(hu.astype(np.float32), prepared.lung_mask, rng, drawn):
        crop = crops[int(rng.integers(len(crops)))]
        near = any(np.linalg.norm(place - center) < reach for center, reach in taken)
        if len(made) == count or near or aerated_share(hu, place, crop.diameter_mm) < AERATED:
            continue
        wide = extract_patch(hu, place, (STORED + 2 * AROUND,) * 3).astype(np.float32)
        matrix, scale = random_turn(rng)
        blend(wide, crop.outline if rng.random() < 0.5 else crop.slab, np.full(3, STORED // 2 + AROUND), matrix)
        made.append(thickened(wide[AROUND:-AROUND, AROUND:-AROUND, AROUND:-AROUND], rng))
        diameters.append(crop.diameter_mm * scale)
    return unrated(made, diameters, True, patient_id)
