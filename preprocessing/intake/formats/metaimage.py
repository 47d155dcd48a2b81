"""MetaImage: https://itk.org/Wiki/MetaIO/Documentation. A key and its value a line, the voxels after the last key."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from preprocessing.intake.formats.affine import Affine, affine_of
from preprocessing.intake.formats.names import MOST_AXES, beside, expanded, file_names, head_of
from preprocessing.intake.formats.stored import FROM_END, GZIP, RAW, Piece, Stored
from preprocessing.intake.scan import Reason, ScanError

FILE_KEY = re.compile(rb"^[ \t]*ElementDataFile\s*[=:][ \t]*([^\r\n]*)", re.MULTILINE)
TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip
# Names of one thing in different versions of the format.
PLACES = ("Offset", "Position", "Origin")
MATRICES = ("TransformMatrix", "Rotation", "Orientation")
# Digits that writers print.
SAME = 1e-4
SCALES = {"ElementToIntensityFunctionSlope": 1.0, "ElementToIntensityFunctionOffset": 0.0}
ORDERS = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")


def metaimage(path: Path) -> Stored:
    """What the header states.

    Raises:
        ScanError: a key is missing, twice, or does not hold what it must; the voxels lie in another folder.
    """
    head = head_of(path, FILE_KEY)
    found = FILE_KEY.search(head)
    # With two of them it would be anybody's guess which one is read.
    if found is None or head.count(b"ElementDataFile") != 1:
        raise ScanError(Reason.UNREADABLE, "the header must have one ElementDataFile, at its end")
    fields = _Fields(head[: found.start()])
    axes = fields.whole("NDims", 1)[0]
    if axes not in MOST_AXES:
        raise ScanError(Reason.BAD_VALUE, "the header must have one NDims, from 3 to 4")
    size = fields.whole("DimSize", axes)
    if min(size[:3]) < 2 or any(n != 1 for n in size[3:]):
        raise ScanError(Reason.BAD_VALUE, f"a volume has three axes, got size {size}")
    if (fields.one("ElementNumberOfChannels") or "1") != "1":
        raise ScanError(Reason.NOT_MONOCHROME, "one channel is needed")
    for name, usual in SCALES.items():  # readers differ in whether they apply it
        if fields.one(name) is not None and fields.numbers((name,), 1) != usual:
            raise ScanError(Reason.BAD_VALUE, f"{name} must be {usual:g}")
    kind = fields.one("ElementType")
    if kind not in TYPES or fields.flag("BinaryData", default=True) is False:
        raise ScanError(Reason.BAD_VALUE, "ElementType must be one of MetaImage's types of numbers, stored as binary")
    affine, warnings = _affine(fields, axes)
    order = ">" if any(fields.flag(name, default=False) for name in ORDERS) else "<"
    pieces = _pieces(path, head, found, fields, size[2])
    x, y, z = size[:3]
    return Stored((x, y, z), np.dtype(order + TYPES[kind]), pieces, affine, warnings=warnings)


def _affine(fields: _Fields, axes: int) -> tuple[Affine, tuple[str, ...]]:
    """Voxel index to world LPS mm, and a warning where only the format's default says how the patient lies."""
    spacing = fields.numbers(("ElementSpacing",), axes)
    if spacing is None:
        spacing = fields.numbers(("ElementSize",), axes)  # of a voxel; what MetaIO falls back to
    if spacing is None:
        raise ScanError(Reason.MISSING_TAG, "the spacing is missing: the header has no ElementSpacing")
    origin, matrix = fields.numbers(PLACES, axes), fields.numbers(MATRICES, axes * axes)
    place = np.zeros(3) if origin is None else origin[:3]
    if matrix is None:
        warning = "orientation_unstated: the header has no TransformMatrix; rows are taken to run to patient left"
        return affine_of(np.diag(spacing[:3]), place), (warning,)
    return affine_of((matrix.reshape(axes, axes).T * spacing)[:3, :3], place), ()


def _pieces(path: Path, head: bytes, key: re.Match[bytes], fields: _Fields, slices: int) -> tuple[Piece, ...]:
    """`LOCAL`, a name, a pattern with first, last and step, or `LIST` and a name on each line to the end."""
    value = os.fsdecode(key[1].strip())
    coding = GZIP if fields.flag("CompressedData", default=False) else RAW
    if value in ("LOCAL", "Local", "local"):
        end = head.index(b"\n", key.end()) + 1 if b"\n" in head[key.end() :] else len(head)
        return (Piece(path, end, coding),)
    skipped = int((fields.whole("HeaderSize", 1) if fields.one("HeaderSize") else (0,))[0])
    if skipped < -1:
        raise ScanError(Reason.BAD_VALUE, "HeaderSize must be a number of bytes, or -1")
    offset = FROM_END if skipped == -1 else skipped
    if not value.startswith("LIST") and "%" not in value:
        return (Piece(beside(path, value), offset, coding),)
    if value.startswith("LIST"):
        names = file_names(head[key.end() :]) if value.split() in (["LIST"], ["LIST", "2D"]) else []
    else:
        names = expanded(value.split())
    if len(names) != slices:
        raise ScanError(Reason.BAD_VALUE, f"the header must name one file for each slice: {slices}, got {len(names)}")
    return tuple(Piece(beside(path, name), offset, coding) for name in names)


class _Fields:
    """The keys of a header; a key that is there twice is refused."""

    def __init__(self, head: bytes) -> None:
        pairs = re.findall(rb"^[ \t]*(\w+)\s*[=:][ \t]*([^\r\n]*)", head, re.MULTILINE)
        self._values = {key.decode(): value.decode("latin-1").strip() for key, value in pairs}
        if len(self._values) < len(pairs):
            raise ScanError(Reason.BAD_VALUE, "the header must state each key once")

    def one(self, key: str) -> str | None:
        return self._values.get(key)

    def whole(self, key: str, n: int) -> tuple[int, ...]:
        """Whole numbers below 10^9."""
        words = self._values.get(key, "").split()
        if len(words) != n or not all(re.fullmatch(r"-?\d{1,9}", word) for word in words):
            raise ScanError(Reason.BAD_VALUE, f"the header must have one {key} with {n} whole number(s)")
        return tuple(int(word) for word in words)

    def flag(self, key: str, default: bool) -> bool:
        value = self._values.get(key, str(default)).lower()
        if value not in ("true", "false", "0", "1"):
            raise ScanError(Reason.BAD_VALUE, f"{key} must be True or False")
        return value in ("true", "1")

    def numbers(self, keys: tuple[str, ...], n: int) -> npt.NDArray[np.float64] | None:
        """The numbers under the names that are there, which must all say the same; None when there is none."""
        found = {key: self._row(key, n) for key in keys if key in self._values}
        first = next(iter(found.values()), None)
        for key, values in found.items():
            if first is not None and np.abs(values - first).max() > SAME:
                raise ScanError(Reason.BAD_VALUE, f"{next(iter(found))} and {key} must agree")
        return first

    def _row(self, key: str, n: int) -> npt.NDArray[np.float64]:
        try:
            words = self._values[key].replace("_", "?").split()  # to Python 1_0 is ten
            values = np.array([float(word) for word in words])
        except ValueError:
            values = np.zeros(0)
        if len(values) != n or not np.all(np.isfinite(values)):
            raise ScanError(Reason.BAD_VALUE, f"{key} must hold {n} finite numbers")
        return values
