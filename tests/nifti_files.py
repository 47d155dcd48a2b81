"""NIfTI-1 files whose every field is chosen, for tests of what readers make of them."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768}


def nifti_bytes(
    voxels_zyx: np.ndarray,
    spacing: Sequence[float] = (1, 1, 1),
    sform: np.ndarray | None = None,
    quaternion: Sequence[float] | None = None,
    origin: Sequence[float] = (0, 0, 0),
    scale: tuple[float, float] = (0, 0),
    units: int = 2,
    order: str = "<",
    handed: float = 1,
) -> bytes:
    """A whole file; `sform` (3, 4) and the quaternion's last three numbers are RAS, and absent when None."""
    kind = voxels_zyx.dtype.newbyteorder("=").str[1:]
    head = bytearray(352)
    fields = (
        (0, "i", (348,)),
        (40, "8h", (3, *voxels_zyx.shape[::-1], 1, 1, 1, 1)),
        (70, "2h", (CODES[kind], 8 * voxels_zyx.dtype.itemsize)),
        (76, "8f", (handed, *spacing, 1, 1, 1, 1)),
        (108, "3f", (352, *scale)),
        (123, "b", (units,)),
        (252, "2h", (int(quaternion is not None), int(sform is not None))),
        (256, "6f", (*(quaternion or (0, 0, 0)), *origin)),
        (280, "12f", tuple(np.zeros(12) if sform is None else np.ravel(sform))),
    )
    for at, form, values in fields:
        struct.pack_into(order + form, head, at, *values)
    head[344:348] = b"n+1\0"
    return bytes(head) + voxels_zyx.astype(voxels_zyx.dtype.newbyteorder(order)).tobytes()


def write_nifti(path: Path, voxels_zyx: np.ndarray, **fields: object) -> Path:
    """The same in a file, packed where its name says so."""
    content = nifti_bytes(voxels_zyx, **fields)  # type: ignore[arg-type]
    path.write_bytes(gzip.compress(content, 1) if path.suffix.lower() == ".gz" else content)
    return path
