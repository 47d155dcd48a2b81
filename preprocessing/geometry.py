"""The one place where voxel indices become millimetres and back.

Convention, fixed here for the whole product: arrays are ``[z, y, x]``; world is LPS millimetres
``(x, y, z)``, the frame of DICOM (PS3.3 C.7.6.2.1.1), SimpleITK and the LUNA16 CSV files. A voxel index is
the centre of its voxel, so index 0 sits at ``origin_mm``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Triple = tuple[float, float, float]
IntTriple = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """Where a ``[z, y, x]`` voxel grid lies in the world.

    Attributes:
        shape_zyx: number of voxels along the array axes.
        spacing_mm: distance between voxel centres along the grid axes, in order (x, y, z).
        origin_mm: world position (x, y, z) of voxel ``[0, 0, 0]``, LPS mm.
        direction: (3, 3); column k is the unit vector of grid axis k (x, y, z) in the world.
    """

    shape_zyx: IntTriple
    spacing_mm: Triple
    origin_mm: Triple
    direction: FloatArray

    def __post_init__(self) -> None:
        flat = np.array(self.direction, dtype=np.float64).reshape(-1)
        if flat.size != 9:
            raise ValueError(f"direction must have 9 numbers, got {flat.size}")
        direction = flat.reshape(3, 3)
        if not np.all(np.isfinite(direction)) or np.abs(direction.T @ direction - np.eye(3)).max() > 1e-3:
            raise ValueError(f"direction must be orthonormal (3, 3), got {direction.tolist()}")
        direction.flags.writeable = False
        shape = _int_triple("shape_zyx", self.shape_zyx)
        spacing = _float_triple("spacing_mm", self.spacing_mm)
        if min(shape) < 1:
            raise ValueError(f"shape_zyx must be positive, got {shape}")
        if not min(spacing) > 0:
            raise ValueError(f"spacing_mm must be positive, got {spacing}")
        object.__setattr__(self, "direction", direction)
        object.__setattr__(self, "shape_zyx", shape)
        object.__setattr__(self, "spacing_mm", spacing)
        object.__setattr__(self, "origin_mm", _float_triple("origin_mm", self.origin_mm))

    def to_world(self, index_zyx: npt.ArrayLike) -> FloatArray:
        """Voxel indices (..., 3) in z, y, x order (fractions allowed) to world (..., 3) x, y, z in mm."""
        index_xyz = np.asarray(index_zyx, dtype=np.float64)[..., ::-1]
        world = (index_xyz * np.asarray(self.spacing_mm)) @ self.direction.T + np.asarray(self.origin_mm)
        return cast(FloatArray, world)

    def to_voxel(self, point_mm: npt.ArrayLike) -> FloatArray:
        """World points (..., 3) x, y, z in mm to fractional voxel indices (..., 3) in z, y, x order."""
        offset = np.asarray(point_mm, dtype=np.float64) - np.asarray(self.origin_mm)
        # The direction is orthonormal to 1e-3 only, so solve instead of transposing: round trips stay exact.
        index_xyz = offset @ np.linalg.inv(self.direction).T / np.asarray(self.spacing_mm)
        return cast(FloatArray, index_xyz[..., ::-1])

    def cropped(self, start_zyx: npt.ArrayLike, stop_zyx: npt.ArrayLike) -> Geometry:
        """The geometry of ``array[start:stop]``; negative starts and stops past the end mean padding."""
        start = _int_triple("start_zyx", start_zyx)
        stop = _int_triple("stop_zyx", stop_zyx)
        shape = tuple(b - a for a, b in zip(start, stop, strict=True))
        return Geometry(cast(IntTriple, shape), self.spacing_mm, _tuple(self.to_world(start)), self.direction)

    def resampled(self, spacing_mm: npt.ArrayLike) -> Geometry:
        """A grid of another spacing over the same extent; the outer faces of the first corner stay put."""
        new = np.asarray(_float_triple("spacing_mm", spacing_mm))
        old = np.asarray(self.spacing_mm)
        extent_xyz = np.asarray(self.shape_zyx[::-1]) * old
        shape_xyz = np.maximum(1, np.ceil(extent_xyz / new - 1e-6)).astype(int)
        first_zyx = ((new - old) / 2 / old)[::-1]
        return Geometry(_ints(shape_xyz[::-1]), _tuple(new), _tuple(self.to_world(first_zyx)), self.direction)

    @property
    def center_mm(self) -> Triple:
        """World position of the middle of the grid."""
        return _tuple(self.to_world((np.asarray(self.shape_zyx) - 1) / 2))

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in cubic millimetres."""
        return float(np.prod(self.spacing_mm))

    def contains(self, point_mm: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether world points (..., 3) fall inside the outer voxel faces."""
        index = self.to_voxel(point_mm)
        inside = (index >= -0.5) & (index <= np.asarray(self.shape_zyx) - 0.5)
        return cast(npt.NDArray[np.bool_], inside.all(axis=-1))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; `from_dict` reads them back exactly."""
        return {
            "shape_zyx": list(self.shape_zyx),
            "spacing_mm": list(self.spacing_mm),
            "origin_mm": list(self.origin_mm),
            "direction": self.direction.reshape(-1).tolist(),
        }

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Geometry:
        """The inverse of `to_dict`."""
        return Geometry(
            _int_triple("shape_zyx", values["shape_zyx"]),
            _float_triple("spacing_mm", values["spacing_mm"]),
            _float_triple("origin_mm", values["origin_mm"]),
            np.asarray(values["direction"], dtype=np.float64),
        )


def _float_triple(name: str, values: npt.ArrayLike) -> Triple:
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if array.size != 3 or not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be three finite numbers, got {np.asarray(values).tolist()}")
    return _tuple(array)


def _int_triple(name: str, values: npt.ArrayLike) -> IntTriple:
    array = np.asarray(values)
    if array.size != 3 or np.any(array != np.floor(array)):
        raise ValueError(f"{name} must be three whole numbers, got {array.tolist()}")
    return _ints(array)


def _tuple(values: npt.ArrayLike) -> Triple:
    x, y, z = (float(v) for v in np.asarray(values).reshape(-1))
    return x, y, z


def _ints(values: npt.ArrayLike) -> IntTriple:
    z, y, x = (int(v) for v in np.asarray(values).reshape(-1))
    return z, y, x
