"""A CT volume in Hounsfield units with its geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from preprocessing.geometry import Geometry

HU_MIN = -1024
HU_MAX = 3071
AIR_HU = -1000


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Hounsfield units on a grid.

    Attributes:
        hu: (Z, Y, X) int16, air about -1000, clipped to [-1024, 3071]; padding outside the field of view
            is -1024.
        geometry: where the grid lies, LPS mm.
        series_uid: which series it came from.
        warnings: repairs of values, each `code: sentence`.
    """

    hu: npt.NDArray[np.int16]
    geometry: Geometry
    series_uid: str
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.hu.dtype != np.int16 or self.hu.shape != self.geometry.shape_zyx:
            raise ValueError(
                f"hu must be int16 of shape {self.geometry.shape_zyx}, got {self.hu.dtype} {self.hu.shape}"
            )
