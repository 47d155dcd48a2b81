"""What the LIDC readers drew. The table (`table`) and the XML files (`xml`) both become these objects.

Up to four readers outlined every nodule of 3 mm and more, slice by slice, without saying which of their outlines are
the same nodule (Armato et al., Med Phys 38, 2011). A contour runs on the first pixel *outside* the nodule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from preprocessing.geometry import FloatArray
from runs.entry import UsageError

IntArray = npt.NDArray[np.int64]
RATINGS = (
    "subtlety",
    "internalStructure",
    "calcification",
    "sphericity",
    "margin",
    "lobulation",
    "spiculation",
    "texture",
    "malignancy",
)
# Less than half of the closest slice spacing in LIDC (0.45 mm); its own contours are off by nothing.
_ASTRAY_MM = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """One closed line in one slice.

    Attributes:
        z_mm: position of the slice, LPS mm.
        included: False where the line bounds a hole.
        points_xy: (n, 2) pixels, column and row, in drawing order; the last may or may not repeat the first.
    """

    z_mm: float
    included: bool
    points_xy: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One reader's outline of one nodule.

    Attributes:
        nodule_id: the reader's own name for it; it says nothing about other readers.
        ratings: 1 to 5 (calcification 1 to 6, where 6 is none) by name, in the order of `RATINGS`.
        contours: in the order they were stored.
    """

    nodule_id: str
    ratings: dict[str, int]
    contours: tuple[Contour, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LidcScan:
    """One LIDC series with everything its readers outlined.

    Attributes:
        series_uid, patient_id: of the series; the patient is empty where only an XML file and a header are known.
        slice_thickness_mm: as stated; a third of the LIDC scans have another slice spacing.
        pixel_spacing_mm: the same along rows and columns in all LIDC scans.
        slice_z_mm: (Z,) positions of the slices, LPS mm, ascending.
        readings: of all readers, in the order they were stored.
    """

    series_uid: str
    patient_id: str
    slice_thickness_mm: float
    pixel_spacing_mm: float
    slice_z_mm: FloatArray
    readings: tuple[Reading, ...]

    @property
    def slice_spacing_mm(self) -> float:
        """Median distance of neighbouring slices."""
        return float(np.median(np.diff(self.slice_z_mm)))

    def slices_of(self, reading: Reading) -> IntArray:
        """The slice nearest to each contour, (n contours,) indices into `slice_z_mm`.

        Raises:
            UsageError: a contour lies between or beyond the slices, so the reading is of another scan.
        """
        z_mm = np.array([contour.z_mm for contour in reading.contours])
        nearest = np.abs(self.slice_z_mm - z_mm[:, None]).argmin(axis=1)
        away = float(np.abs(self.slice_z_mm[nearest] - z_mm).max())
        if away > _ASTRAY_MM:
            raise UsageError(
                f"contours of {reading.nodule_id} must lie in slices of series {self.series_uid}; "
                f"one is {away:g} mm from the nearest"
            )
        return cast(IntArray, nearest)
