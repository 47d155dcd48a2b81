"""One outline for each LIDC nodule: real shapes to simulate nodules from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from preprocessing.lidc.consensus import LidcNodule, find_nodules
from preprocessing.lidc.masks import Mask
from preprocessing.lidc.table import read_table


@dataclass(frozen=True, slots=True, eq=False)
class NoduleShape:
    """One reader's outline of one nodule.

    Attributes:
        patient_id: whose nodule it is; splits go by patient.
        ratings: that reader's, by name; texture 1 ground glass to 5 solid, calcification 6 none.
        mask: (Z, Y, X) bool, cropped to the nodule.
        spacing_mm: slice spacing and pixel spacing of the scan.
        diameter_mm: of the sphere of equal volume.
    """

    patient_id: str
    ratings: dict[str, int]
    mask: Mask
    spacing_mm: tuple[float, float]
    diameter_mm: float


@lru_cache(maxsize=1)
def read_nodule_shapes() -> tuple[NoduleShape, ...]:
    """A shape for every nodule of the table, in its order; takes some seconds, once in a process."""
    return tuple(median_shape(nodule) for scan in read_table() for nodule in find_nodules(scan))


def median_shape(nodule: LidcNodule) -> NoduleShape:
    """The outline of median diameter, the larger of the middle two."""
    chosen = int(np.argsort(nodule.diameters_mm, kind="stable")[nodule.n_readers // 2])
    scan = nodule.scan
    return NoduleShape(
        scan.patient_id,
        nodule.readings[chosen].ratings,
        nodule.masks[chosen].cropped.voxels,
        (scan.slice_spacing_mm, scan.pixel_spacing_mm),
        float(nodule.diameters_mm[chosen]),
    )
