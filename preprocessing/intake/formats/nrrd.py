"""NRRD: https://teem.sourceforge.net/nrrd/format.html. A field a line, an empty line, then the voxels."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from preprocessing.intake.formats.affine import affine_of
from preprocessing.intake.formats.names import MOST_AXES, beside, expanded, file_names, head_of
from preprocessing.intake.formats.stored import FROM_END, GZIP, RAW, Piece, Stored
from preprocessing.intake.scan import Reason, ScanError

FILE_KEY = re.compile(rb"^data ?file:(?!=)[ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
END = re.compile(rb"\r?\n\r?\n")
LINE_BYTES = 500
TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
CODINGS = {"raw": RAW, "gzip": GZIP, "gz": GZIP}
# Signs that turn the first two world axes to LPS.
SPACES = {
    ("right", "anterior", "superior"): (-1, -1),
    ("left", "anterior", "superior"): (1, -1),
    ("left", "posterior", "superior"): (1, 1),
}
VECTOR = re.compile(r"\(([^()]*)\)|none", re.IGNORECASE)


def nrrd(path: Path) -> Stored:
    """What the header states.

    Raises:
        ScanError: a field is missing, twice, or does not hold what it must; lengths are not in mm; the voxels lie in
            another folder.
    """
    head = head_of(path, FILE_KEY)
    if not head.startswith(b"NRRD"):
        raise ScanError(Reason.UNREADABLE, "the header is none of NRRD")
    end, key = END.search(head), FILE_KEY.search(head)
    if end is None and key is None:
        raise ScanError(Reason.UNREADABLE, "the header has no end")
    fields = _fields(head[: end.start() if end else None])
    size = _size(fields)
    kind = next((code for code, names in TYPES.items() if fields.get("type", "").lower() in names), None)
    if kind is None:
        raise ScanError(Reason.BAD_VALUE, "the type must be one of NRRD's types of numbers")
    order = fields.get("endian", "").lower()
    if order not in ("little", "big") and kind[1] != "1":
        raise ScanError(Reason.BAD_VALUE, "endian must be little or big")
    dtype = np.dtype((">" if order == "big" else "<") + kind)
    return Stored(size, dtype, _pieces(path, head, fields, size[2]), _affine(fields))


def _fields(header: bytes) -> dict[str, str]:
    """The fields by their names, which are free as to letter case and the blank in `datafile`."""
    lines = header.splitlines()
    if any(len(line) > LINE_BYTES and not _is_free(line) for line in lines):
        raise ScanError(Reason.BAD_VALUE, f"a field of the header must be shorter than {LINE_BYTES} letters")
    found: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.decode("latin-1").partition(": " if b": " in line else ":")
        name = name.strip().lower().replace("datafile", "data file")
        if not colon or line.startswith(b"#") or value.startswith("="):
            continue
        if name in found:
            raise ScanError(Reason.BAD_VALUE, "the header must state each field once")
        found[name] = value.strip()
        if name == "data file" and value.strip().startswith("LIST"):
            break
    return found


def _is_free(line: bytes) -> bool:
    """Comments, and pairs of a key and its value, may be of any length."""
    return line.startswith(b"#") or (b":=" in line and b": " not in line.partition(b":=")[0])


def _size(fields: dict[str, str]) -> tuple[int, int, int]:
    words = fields.get("sizes", "").split()
    if not all(re.fullmatch(r"\d{1,9}", word) for word in words) or fields.get("dimension") != str(len(words)):
        raise ScanError(Reason.BAD_VALUE, "sizes must hold a whole number for each dimension")
    sizes = tuple(int(word) for word in words)
    if len(sizes) not in MOST_AXES or min(sizes[:3]) < 2 or any(n != 1 for n in sizes[3:]):
        raise ScanError(Reason.BAD_VALUE, f"a volume has three axes, got size {sizes}")
    x, y, z = sizes[:3]
    return x, y, z


def _affine(fields: dict[str, str]) -> npt.NDArray[np.float64]:
    """Voxel index to world LPS mm."""
    units = set(re.findall(r'"([^"]*)"', fields.get("space units", "") + fields.get("units", "")))
    if not units <= {"mm", "", "millimeter", "millimetre", "millimeters", "millimetres"}:
        raise ScanError(Reason.BAD_VALUE, "lengths must be in mm, the header has other units")
    if "space directions" not in fields:
        what = "orientation" if "spacings" in fields else "spacing"
        raise ScanError(Reason.MISSING_TAG, f"the {what} is missing: the header has no space directions")
    space = fields.get("space", "").lower()
    named = {"".join(word[0] for word in words): words for words in SPACES}
    words = named.get(space, tuple(space.split("-")))
    if words not in SPACES:
        raise ScanError(Reason.MISSING_TAG, "the space must be one of RAS, LAS and LPS")
    steps = [_numbers(vector) for vector in VECTOR.findall(fields["space directions"]) if vector]
    origin = [_numbers(vector) for vector in VECTOR.findall(fields.get("space origin", "(0,0,0)")) if vector]
    if len(steps) != 3 or len(origin) != 1 or any(len(vector) != 3 for vector in (*steps, *origin)):
        raise ScanError(Reason.BAD_VALUE, "space directions must be three vectors and space origin one, of 3 numbers")
    turn = np.array([*SPACES[words], 1])
    return affine_of(np.array(steps).T * turn[:, None], np.array(origin[0]) * turn)


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.replace("_", "?").split(",")]  # to Python 1_0 is ten
    except ValueError:
        return []


def _pieces(path: Path, head: bytes, fields: dict[str, str], slices: int) -> tuple[Piece, ...]:
    """The voxels after the empty line; a name, a pattern with first, last and step, or `LIST` and the names."""
    coding = CODINGS.get(fields.get("encoding", "").lower())
    if coding is None:
        raise ScanError(Reason.UNSUPPORTED_SYNTAX, "the encoding must be raw or gzip")
    skips = [fields.get(name, fields.get(name.replace(" ", ""), "0")) for name in ("line skip", "byte skip")]
    if skips[0] != "0" or not re.fullmatch(r"-1|\d{1,9}", skips[1]) or (coding != RAW and skips[1] != "0"):
        raise ScanError(Reason.BAD_VALUE, "line skip must be 0, byte skip a number of bytes, 0 for packed voxels")
    skip = int(skips[1])
    found = FILE_KEY.search(head)
    if found is None:
        end = END.search(head)
        assert end is not None
        return (Piece(path, FROM_END if skip == -1 else end.end() + skip, coding),)
    offset = FROM_END if skip == -1 else skip
    value = os.fsdecode(found[1].strip())
    if value.startswith("LIST"):
        names = file_names(head[found.end() :])
    else:
        names = expanded(value.split()) if "%" in value else [value]
    if len(names) not in (1, slices):
        raise ScanError(Reason.BAD_VALUE, f"the header must name one file for each slice: {slices}, got {len(names)}")
    return tuple(Piece(beside(path, name), offset, coding) for name in names)
