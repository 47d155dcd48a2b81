"""The bytes of a header's elements, without pydicom: enough to see that two files say the same but for their places.

pydicom takes two milliseconds a header, and the slices of a series differ in a few elements. Here nothing is
interpreted but structure: explicit VR, little endian, elements in order and whole as far as the pixels (PS3.5, 7.1 and
7.5). Whatever is otherwise is left to pydicom.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from pydicom.datadict import tag_for_keyword
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, STANDARD_VR

from preprocessing.intake.tags import TAGS

# Of each file; a longer header is left to pydicom.
HEAD_BYTES = 32768
UNDEFINED = 0xFFFFFFFF
PIXELS, ITEM, ITEM_END, SEQUENCE_END = 0x7FE00010, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
CHARACTERS, META_LENGTH, META_INSTANCE, META_END = 0x00080005, 0x00020000, 0x00020003, 0x0002FFFF
SYNTAX = 0x00020010
# Explicit and little endian, each of them: uncompressed, the JPEG family, RLE.
SYNTAXES = re.compile(rb"1\.2\.840\.10008\.1\.2\.(1|4\.\d+|5)\0?")
# Whether a length of four bytes follows the VR.
WIDE = {str(vr).encode(): vr in EXPLICIT_VR_LENGTH_32 for vr in STANDARD_VR}
SHORT, LONG, MARK = (struct.Struct(form).unpack_from for form in ("<HH2sH", "<L", "<HHL"))
MOST_NESTED = 8

_DECIMAL = rb" *[+-]?\d{1,9}(?:\.\d{0,12})?(?:[eE][+-]?\d\d?)? *"
# What slices differ in, and how it must look to be read here; pydicom reads any other.
OWN = {
    "SOPInstanceUID": ("UI", re.compile(rb"(?s).*")),
    "InstanceNumber": ("IS", re.compile(rb" *[+-]?\d{1,9} *")),
    "ImagePositionPatient": ("DS", re.compile(rb"\\".join([_DECIMAL] * 3))),
    "AcquisitionTime": ("TM", re.compile(rb"(?:\d{2,6}(?:\.\d{1,6})? ?)?")),
    "AcquisitionDateTime": ("DT", re.compile(rb"(?:\d{4,14}(?:\.\d{1,6})? ?)?")),
}


def _tag(name: str) -> int:
    found = tag_for_keyword(name)
    assert found is not None
    return found


_OWN = {_tag(name): (name, vr.encode(), form) for name, (vr, form) in OWN.items()}
_WANTED = frozenset({CHARACTERS, *map(_tag, TAGS)})
# Of enhanced objects, whose frames have elements of their own.
_NEVER = frozenset(map(_tag, ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")))


@dataclass(frozen=True, slots=True)
class Bytewise:
    """A header in bytes.

    Attributes:
        same: tag, VR and bytes of all elements that are read of a header, and of its file's meta information; those in
            `own` without their bytes, the file's own uid and its length left out.
        own: the bytes of what slices of one series differ in, by name; each as `OWN` wants it.
    """

    same: tuple[tuple[int, bytes, bytes], ...]
    own: dict[str, bytes]


class _UnusualError(Exception):
    """Left to pydicom."""


def bytewise(path: Path) -> Bytewise | None:
    """The header of a file, or None where only pydicom can say what it means."""
    try:
        with path.open("rb", buffering=0) as handle:
            content = handle.read(HEAD_BYTES)
        return _header(content)
    except (OSError, struct.error, _UnusualError):
        return None


def _header(content: bytes) -> Bytewise:
    if content[128:132] != b"DICM":
        raise _UnusualError
    same: list[tuple[int, bytes, bytes]] = []
    own: dict[str, bytes] = {}
    at, before, tag = 132, META_LENGTH - 1, 0
    while tag != PIXELS:
        group, element, vr, length = SHORT(content, at)
        tag = group << 16 | element
        if tag <= before or tag in _NEVER:
            raise _UnusualError
        start, end = _value(content, at, vr, length, 0) if tag != PIXELS else (at, at + 12)
        if end > len(content):
            raise _UnusualError
        if tag in _OWN:
            name, wanted, form = _OWN[tag]
            own[name] = content[start:end]
            if vr != wanted or not form.fullmatch(own[name]):
                raise _UnusualError
            same.append((tag, vr, b""))
        elif tag in _WANTED or tag <= META_END:
            same.append((tag, vr, _kept(tag, vr, content[start:end])))
        at, before = end, tag
    return Bytewise(tuple(same), own)


def _kept(tag: int, vr: bytes, value: bytes) -> bytes:
    """What is to be the same in each file of a series."""
    if tag == SYNTAX and not SYNTAXES.fullmatch(value):
        raise _UnusualError
    if tag == META_LENGTH and (vr != b"UL" or len(value) != 4):
        raise _UnusualError
    return b"" if tag in (META_LENGTH, META_INSTANCE) else value


def _value(content: bytes, at: int, vr: bytes, length: int, nested: int) -> tuple[int, int]:
    """Where the value of the element at `at` begins and ends, its delimiter counted."""
    wide = WIDE.get(vr)
    if wide is None:
        raise _UnusualError
    if not wide:
        return at + 8, at + 8 + length
    (length,) = LONG(content, at + 8)
    if length != UNDEFINED:
        return at + 12, at + 12 + length
    if vr != b"SQ" or nested == MOST_NESTED:
        raise _UnusualError
    return at + 12, _after_items(content, at + 12, nested + 1)


def _after_items(content: bytes, at: int, nested: int) -> int:
    """Where a sequence of undefined length ends that begins there; pydicom reads its items, wanted or not."""
    while True:
        group, element, length = MARK(content, at)
        at += 8
        tag = group << 16 | element
        if tag == SEQUENCE_END:
            return at
        if tag != ITEM:
            raise _UnusualError
        at = _after_elements(content, at, None if length == UNDEFINED else at + length, nested)


def _after_elements(content: bytes, at: int, end: int | None, nested: int) -> int:
    """Where an item ends that begins there: at `end`, or behind its delimiter."""
    while at != end:
        group, element, vr, length = SHORT(content, at)
        tag = group << 16 | element
        if tag == ITEM_END and end is None:
            return at + 8
        if tag == CHARACTERS:
            raise _UnusualError
        _, at = _value(content, at, vr, length, nested)
        if at > (len(content) if end is None else end):
            raise _UnusualError
    return at
