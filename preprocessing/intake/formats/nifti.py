"""NIfTI-1 and -2, one file: https://nifti.nimh.nih.gov/nifti-1, nifti1.h and nifti2.h.

The place of a volume may be stated twice, by a quaternion (qform) and by a matrix (sform), its spacing a third time
(pixdim); or not at all. Readers differ in what they then believe, so disagreement and silence are refused.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from preprocessing.intake.formats.affine import MOST_MOVED_MM, RAS_TO_LPS, Affine, affine_of, apart_mm
from preprocessing.intake.formats.stored import GZIP, RAW, Piece, Stored
from preprocessing.intake.scan import Reason, ScanError

HEADER_BYTES = 540
TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
COLOURS = (128, 2304)
# xyzt_units: 0 says nothing, 2 mm.
LENGTHS = {1: "metres", 3: "micrometres"}
# Quaternions in single precision may be a little longer than 1.
QUATERNION_SLACK = 1e-4


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the fields of a version lie."""

    dim: tuple[int, str]
    datatype: int
    pixdim: tuple[int, str]
    vox_offset: tuple[int, str]
    scale: tuple[int, str]
    codes: tuple[int, str]
    quaternion: tuple[int, str]
    matrix: tuple[int, str]
    units: tuple[int, str]


NIFTI_1 = _Layout(
    dim=(40, "8h"), datatype=70, pixdim=(76, "8f"), vox_offset=(108, "f"), scale=(112, "2f"), codes=(252, "2h"),
    quaternion=(256, "6f"), matrix=(280, "12f"), units=(123, "b"),
)  # fmt: skip
NIFTI_2 = _Layout(
    dim=(16, "8q"), datatype=12, pixdim=(104, "8d"), vox_offset=(168, "q"), scale=(176, "2d"), codes=(344, "2i"),
    quaternion=(352, "6d"), matrix=(400, "12d"), units=(500, "i"),
)  # fmt: skip


def nifti(path: Path) -> Stored:
    """What the header states.

    Raises:
        ScanError: no NIfTI with its voxels in it; not one channel; a geometry that is missing, senseless or stated
            twice in different ways.
    """
    head, packed = _head(path)
    layout, order = _version(head)

    def field(place: tuple[int, str]) -> tuple[float, ...]:
        return struct.unpack_from(order + place[1], head, place[0])

    size = _size(field(layout.dim))
    (kind,) = struct.unpack_from(order + "h", head, layout.datatype)
    if kind in COLOURS:
        raise ScanError(Reason.NOT_MONOCHROME, "one channel is needed, got colours")
    if kind not in TYPES:
        raise ScanError(Reason.BAD_VALUE, f"no values of a CT have the NIfTI data type {kind}")
    (units,) = field(layout.units)
    if int(units) & 7 in LENGTHS:
        raise ScanError(Reason.BAD_VALUE, f"lengths must be in mm, the header says {LENGTHS[int(units) & 7]}")
    (offset,) = field(layout.vox_offset)
    slope, intercept = field(layout.scale)
    if not np.isfinite(slope) or not np.isfinite(intercept) or slope == 0:
        slope, intercept = 1.0, 0.0  # the standard: no scaling
    qcode, scode = field(layout.codes)
    affine = _affine(
        field(layout.pixdim),
        field(layout.quaternion) if qcode > 0 else None,
        field(layout.matrix) if scode > 0 else None,
        size,
    )
    if not np.isfinite(offset) or offset < 0:
        raise ScanError(Reason.BAD_VALUE, "the offset of the voxels must not be negative")
    piece = Piece(path, max(int(offset), 352), GZIP if packed else RAW, inside=packed)
    return Stored(size, np.dtype(order + TYPES[kind]), (piece,), RAS_TO_LPS @ affine, slope, intercept)


def _head(path: Path) -> tuple[bytes, bool]:
    """The first bytes, unpacked, and whether the file is packed, which its content says, not its name."""
    try:
        with path.open("rb") as handle:
            head = handle.read(1 << 14)
        packed = head.startswith(b"\x1f\x8b")
        if packed:
            head = zlib.decompressobj(31).decompress(head, HEADER_BYTES)
    except (OSError, zlib.error) as error:
        raise ScanError(Reason.UNREADABLE, "the header cannot be opened") from error
    return head[:HEADER_BYTES], packed


def _version(head: bytes) -> tuple[_Layout, str]:
    """Fields and byte order; the voxels of a pair (`ni1`) would lie in an .img beside it."""
    for length, magic, at, layout in ((348, b"n+1\0", 344, NIFTI_1), (540, b"n+2\0", 4, NIFTI_2)):
        if len(head) < length or head[at : at + 4] != magic:
            continue
        for order in "<>":
            if struct.unpack_from(order + "i", head, 0) == (length,):
                return layout, order
    raise ScanError(Reason.UNREADABLE, "the file must be a NIfTI with its voxels in it")


def _size(dim: tuple[float, ...]) -> tuple[int, int, int]:
    count, *sizes = (int(n) for n in dim)
    if not 3 <= count <= 7 or any(n != 1 for n in sizes[3:count]) or min(sizes[:3]) < 2:
        raise ScanError(Reason.BAD_VALUE, f"a volume has three axes, got size {tuple(sizes[: max(count, 0)])}")
    x, y, z = sizes[:3]
    return x, y, z


def _affine(
    pixdim: tuple[float, ...],
    quaternion: tuple[float, ...] | None,
    matrix: tuple[float, ...] | None,
    size: tuple[int, int, int],
) -> Affine:
    """Voxel index to world RAS mm, as all that is stated has it."""
    spacing = np.asarray(pixdim[1:4], float)
    if quaternion is None and matrix is None:
        if not np.all(np.isfinite(spacing)) or spacing.min() <= 0 or np.all(spacing == 1):
            raise ScanError(Reason.MISSING_TAG, "neither spacing nor orientation is stated: no pixdim, qform or sform")
        raise ScanError(Reason.MISSING_TAG, "the orientation is not stated: the header has neither qform nor sform")
    stated = []
    if matrix is not None:
        rows = np.asarray(matrix, float).reshape(3, 4)
        if not np.all(np.isfinite(rows)):
            raise ScanError(Reason.BAD_VALUE, "the sform must hold 12 finite numbers")
        stated.append(affine_of(rows[:, :3], rows[:, 3]))
        _check_lengths(np.linalg.norm(rows[:, :3], axis=0), spacing, size)
    if quaternion is not None:
        if not np.all(np.isfinite(spacing)) or spacing.min() <= 0:
            raise ScanError(Reason.MISSING_TAG, "the spacing is missing: pixdim must be above zero")
        stated.append(_rotated(quaternion, spacing, -1.0 if pixdim[0] < 0 else 1.0))
    apart = apart_mm(stated[0], stated[-1], size)
    if not apart <= MOST_MOVED_MM:
        raise ScanError(
            Reason.BAD_VALUE, f"sform and qform must agree; they place a corner of the volume {apart:.1f} mm apart"
        )
    return stated[0]


def _check_lengths(lengths: npt.NDArray[np.float64], pixdim: npt.NDArray[np.float64], size: tuple[int, ...]) -> None:
    """Where pixdim says anything, not zeros or ones, it must say what the matrix says."""
    silent = not np.all(np.isfinite(pixdim)) or pixdim.min() <= 0 or bool(np.all(pixdim == 1))
    if not silent and not (np.abs(lengths - pixdim) * size).max() <= MOST_MOVED_MM:
        ours, theirs = (" x ".join(f"{v:.4g}" for v in values) for values in (lengths, pixdim))
        raise ScanError(Reason.BAD_VALUE, f"sform and pixdim must agree; the spacing is {ours} mm and {theirs} mm")


def _rotated(quaternion: tuple[float, ...], spacing: npt.NDArray[np.float64], handed: float) -> Affine:
    """nifti1.h, METHOD 2."""
    b, c, d, *origin = quaternion
    rest = 1 - (b * b + c * c + d * d)
    if not rest >= -QUATERNION_SLACK:
        raise ScanError(Reason.BAD_VALUE, "the quaternion of the orientation is longer than 1")
    length = np.sqrt(max(1.0, 1 - rest))
    a, b, c, d = np.sqrt(max(rest, 0.0)), b / length, c / length, d / length
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    return affine_of(rotation * spacing * [1, 1, handed], origin)
