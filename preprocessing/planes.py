"""Which way is up: display planes of a grid in radiological orientation, for any direction matrix.

Axial: patient right on the left of the image, front at the top. Coronal: patient right on the left, head up.
Sagittal: front on the left, head up. The planes are the grid's own (nothing is resampled into world axes); on an
oblique grid each is the one nearest to its name, and the letters at its edges say where it really points.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

from preprocessing.geometry import Geometry, Triple

# DICOM Patient Orientation letters (PS3.3 C.7.6.1.1.1) of +x, +y, +z and -x, -y, -z in LPS.
POSITIVE, NEGATIVE = "LPH", "RAF"
# A second letter appears from 15 degrees of obliquity on.
LETTER_FROM = float(np.sin(np.radians(15.0)))


@dataclass(frozen=True, slots=True)
class Axis:
    """One array axis, walked in one direction.

    Attributes:
        array_axis: 0, 1 or 2 of a ``[z, y, x]`` array.
        step: +1 along the array, -1 against it.
        toward: unit vector of the walk, world LPS.
    """

    array_axis: int
    step: int
    toward: Triple

    @property
    def letters(self) -> str:
        """Where the walk leads, in patient letters."""
        return orientation_letters(self.toward)

    @property
    def reversed(self) -> Axis:
        """The walk back."""
        x, y, z = self.toward
        return Axis(self.array_axis, -self.step, (-x, -y, -z))


@dataclass(frozen=True, slots=True)
class Plane:
    """How one plane of a grid is shown.

    Attributes:
        name: axial, coronal or sagittal.
        right: walked from the left to the right of the image.
        down: walked from its top to its bottom.
        depth: the axis across the plane.
    """

    name: str
    right: Axis
    down: Axis
    depth: Axis

    def edges(self) -> tuple[str, str, str, str]:
        """Patient letters at the left, right, top and bottom edge of the image."""
        return self.right.reversed.letters, self.right.letters, self.down.reversed.letters, self.down.letters


def orientation_letters(direction: npt.ArrayLike) -> str:
    """Patient letters of a world direction, largest part first: "L", or "LP" when it leans to the back too."""
    vector = np.asarray(direction, dtype=float)
    unit = vector / np.linalg.norm(vector)
    # Rounded, so that an exact diagonal is named in the order x, y, z whatever the last bit says.
    order = sorted(range(3), key=lambda axis: (-round(abs(float(unit[axis])), 6), axis))
    return "".join((POSITIVE if unit[a] > 0 else NEGATIVE)[a] for a in order if abs(unit[a]) >= LETTER_FROM)


def display_planes(geometry: Geometry) -> tuple[Plane, Plane, Plane]:
    """Axial, coronal and sagittal plane of a grid."""
    left, back, head = anatomical_axes(geometry)
    return (
        Plane("axial", left, back, head),
        Plane("coronal", left, head.reversed, back),
        Plane("sagittal", back, head.reversed, left),
    )


def anatomical_axes(geometry: Geometry) -> list[Axis]:
    """The grid's axes nearest to patient left, back and head, each walked that way."""
    direction = geometry.direction

    def fit(order: tuple[int, ...]) -> float:
        return float(sum(abs(direction[world, grid]) for world, grid in enumerate(order)))

    best = max(permutations(range(3)), key=fit)
    found = []
    for world, grid in enumerate(best):
        step = 1 if direction[world, grid] > 0 else -1
        x, y, z = (step * float(v) for v in direction[:, grid])
        found.append(Axis(2 - grid, step, (x, y, z)))
    return found
