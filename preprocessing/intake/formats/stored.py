"""The voxels of an image file: where they lie, and that all of them are there.

ITK's readers give zeros for what is missing of a `.nii`, `.nii.gz` or `.zraw`, and go past a wrong checksum;
nifti_clib takes the voxels of `A.nii` for `A.nii.gz` when both are there. Half a chest of zeros is half a chest of
water. So the bytes are fetched here: from the files named and no others, their number compared, their checksum
required.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from preprocessing.intake.scan import Reason, ScanError

RAW, GZIP = "raw", "gzip"
FROM_END = -1
CHUNK = 1 << 20
# zlib and gzip streams alike: https://zlib.net/manual.html, inflateInit2.
EITHER_WRAPPER = 47
GZIP_MAGIC = b"\x1f\x8b"
CUT = "the voxels end early"


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of voxels in one file.

    Attributes:
        path: the file.
        offset: bytes before the voxels; `FROM_END`: they are the last ones of the file.
        coding: `RAW` or `GZIP`: a zlib or gzip stream.
        inside: the offset counts bytes of the unpacked stream, as in `.nii.gz`.
    """

    path: Path
    offset: int = 0
    coding: str = RAW
    inside: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """What the header of an image file states.

    Attributes:
        size_xyz: voxels along the first, fastest, axis, the second and the third.
        dtype: of a stored value, with its byte order.
        pieces: the runs of voxels, equally long, in their order.
        affine: (4, 4), voxel index (x, y, z, 1) to world LPS mm.
        slope: stored value to Hounsfield units.
        intercept: the same.
        warnings: `code: sentence`.
    """

    size_xyz: tuple[int, int, int]
    dtype: np.dtype[Any]
    pieces: tuple[Piece, ...]
    affine: npt.NDArray[np.float64]
    slope: float = 1.0
    intercept: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def piece_bytes(self) -> int:
        """Length of each piece."""
        return math.prod(self.size_xyz) * self.dtype.itemsize // len(self.pieces)

    @property
    def slice_bytes(self) -> int:
        """Length of one slice."""
        return self.size_xyz[0] * self.size_xyz[1] * self.dtype.itemsize


def check_sizes(stored: Stored) -> None:
    """Compare what the header states with the sizes of the files; packed ones tell nothing before they are unpacked.

    Raises:
        ScanError: `unreadable`: a file is missing; `truncated`: it is too short; `damaged`: it holds more slices.
    """
    for piece in stored.pieces:
        try:
            size = piece.path.stat().st_size
        except OSError as error:
            raise ScanError(Reason.TRUNCATED, "the file with the voxels is missing") from error
        if piece.coding == RAW:
            start = max(piece.offset, 0)
            _compare(size - start, stored, exact=piece.offset != FROM_END)


def voxels(stored: Stored) -> npt.NDArray[Any]:
    """(Z, Y, X) as stored, before slope and intercept; of a single plain file a view that is read when it is used.

    Raises:
        ScanError: see `check_sizes`; `truncated`, `damaged`: a packed stream ends early, breaks or fails its checksum.
    """
    check_sizes(stored)
    shape = stored.size_xyz[::-1]
    (first, *more) = stored.pieces
    if not more:
        return _run(first, stored).reshape(shape)
    return np.concatenate([_run(piece, stored) for piece in stored.pieces]).reshape(shape)


def _run(piece: Piece, stored: Stored) -> npt.NDArray[Any]:
    if piece.coding == RAW:
        offset = piece.offset
        if offset == FROM_END:
            offset = piece.path.stat().st_size - stored.piece_bytes
        count = stored.piece_bytes // stored.dtype.itemsize
        return np.memmap(piece.path, stored.dtype, "r", offset, (count,))
    return np.frombuffer(_unpacked(piece, stored), stored.dtype)


def _compare(there: int, stored: Stored, exact: bool = True) -> None:
    wanted = stored.piece_bytes
    if there < wanted:
        raise ScanError(Reason.TRUNCATED, f"{CUT}: the header states {wanted} bytes, {max(there, 0)} are there")
    if exact and there >= wanted + stored.slice_bytes:
        more = (there - wanted) // stored.slice_bytes
        raise ScanError(Reason.DAMAGED, f"the file holds {more} slice(s) more than its header states")


def _unpacked(piece: Piece, stored: Stored) -> bytearray:
    """The unpacked voxels of a piece; the stream is followed to its end, for its checksum stands there."""
    wanted = stored.piece_bytes
    out = bytearray(wanted)
    view = memoryview(out)
    skip = piece.offset if piece.inside else 0
    at = 0
    for chunk in _stream(piece):
        if skip:
            dropped = min(skip, len(chunk))
            skip -= dropped
            chunk = chunk[dropped:]
        taken = chunk[: max(wanted - at, 0)]
        view[at : at + len(taken)] = taken
        at += len(chunk)
        if at >= wanted + stored.slice_bytes:
            break  # not to be followed any further: a few kB can unpack to more than any disk holds
    _compare(at, stored)
    return out


def _stream(piece: Piece) -> Iterator[bytes]:
    """What a packed file holds, from one member to the next, in chunks."""
    with piece.path.open("rb") as handle:
        handle.seek(0 if piece.inside else piece.offset)
        packed = handle.read(CHUNK)
        while packed:
            unpack = zlib.decompressobj(EITHER_WRAPPER)
            while packed and not unpack.eof:
                try:
                    yield unpack.decompress(packed, 4 * CHUNK)
                except zlib.error as error:
                    raise ScanError(Reason.DAMAGED, "the packed voxels are damaged") from error
                packed = unpack.unconsumed_tail or (b"" if unpack.eof else handle.read(CHUNK))
            if not unpack.eof:
                break
            packed = unpack.unused_data + handle.read(CHUNK)
            if not packed.startswith(GZIP_MAGIC):
                return  # padding, or what else writers append
    raise ScanError(Reason.TRUNCATED, f"{CUT}: the packed stream has no end")
