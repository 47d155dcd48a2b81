"""Mutations of headers: values that writers, transfers and damaged disks leave, drawn from a seed.

A DICOM header is mutated as pydicom holds it before any value is converted, raw bytes with a VR, so that hundreds of
thousands are checked in minutes; others as the bytes of a file. Of image files it is the header's text or fields.
"""

from __future__ import annotations

import math
import random
import struct
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import UID

from preprocessing.intake.tags import TAGS

VRS = (
    "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OD", "OF", "OL", "OV", "OW",
    "PN", "SH", "SL", "SQ", "SS", "ST", "SV", "TM", "UC", "UI", "UL", "UN", "UR", "US", "UT", "UV", "??", "\0\0",
)  # fmt: skip
NUMBERS = (math.nan, math.inf, 0.0, -1.0, 1e30, 1e-30, 2.5)
COUNTS = (-1, 0, 1, 3, 4, 7, 512, 32767)
SYNTAXES = ("", "1.2", "x", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.90")
ODD = [
    b"", b" ", b"\0", b"\0\0\0\0", b"\xff\xfe", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"nan", b"inf", b"-inf", b"1e400",
    b"1e-320", b"0", b"-0", b"-1", b"1,5", b"1.5.2", b"0x10", b"1_0", b"9" * 17, b"9" * 400, b"1\\2", b"1\\2\\3",
    b"1\\2\\3\\4\\5\\6", b"1\\0\\0\\0\\1\\0", b"0\\0\\0\\0\\0\\0", b"\\\\", b"\\", b"A" * 70_000, b"CT", b"MR",
    b"MONOCHROME1", b"RGB", b"ORIGINAL\\PRIMARY\\LOCALIZER", b"DERIVED", "½".encode(), "١٢".encode(), b"1 2", b"1;2",
    b"512", b"\x00\x02", b"\x02\x00", b"\x10\x00", b"\x0c\x00\x0b\x00", b"1.2.840.10008.5.1.4.1.1.2.1", b"1e5", b"+1",
    b"\x1b$B", b"2.5 ", b"1e-7\\1e-7", b"1000\\1000", b"-0.7\\0.7", b"1e9\\1e9\\1e9",
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
]  # fmt: skip


def raw_header(path: Path) -> Dataset:
    """The header of a file as `read_header` gets it, nothing converted yet."""
    return dcmread(path, stop_before_pixels=True, specific_tags=list(TAGS))


def mutated_header(base: Dataset, rng: random.Random) -> Dataset:
    """A copy with one to three elements lost, of another VR, or of other bytes."""
    made = Dataset()
    made._dict = dict(base._dict)  # raw elements, converted in the copy only
    made.file_meta = base.file_meta
    made.set_original_encoding(*base.original_encoding, base.original_character_set)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        tag = Tag(tag_for_keyword(rng.choice(TAGS)))
        if rng.random() < 0.1:
            made._dict.pop(tag, None)
            continue
        old = made._dict.get(tag)
        known = isinstance(old, RawDataElement)
        value = _bytes(old.value if known and old.value else b"1", rng)
        vr = rng.choice(VRS) if not known or rng.random() < 0.3 else old.VR
        made._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, rng.random() < 0.05, rng.random() < 0.95)
    if rng.random() < 0.05:
        made.file_meta = Dataset()
        made.file_meta.TransferSyntaxUID = UID(
            rng.choice(("", "1.2", "1.2.840.10008.1.2.4.90", "x", "1.2.840.10008.1.2"))
        )
    return made


def mutated_bytes(content: bytes, rng: random.Random) -> bytes:
    """Bits flipped, bytes put in, taken out, doubled, zeroed, or the rest cut off."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at, n = rng.randrange(len(changed) or 1), rng.choice((1, 2, 4, 16))
        kind = rng.randrange(7)
        if kind == 0 and changed:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at:at] = rng.randbytes(n)
        elif kind == 2:
            del changed[at : at + n]
        elif kind == 3:
            changed[at:at] = changed[at : at + n]
        elif kind == 4:
            changed[at : at + n] = bytes(len(changed[at : at + n]))
        elif kind == 5:
            changed[at : at + n] = rng.randbytes(len(changed[at : at + n]))
        elif rng.random() < 0.2:
            del changed[at:]
    return bytes(changed)


def mutated_text(content: bytes, rng: random.Random) -> bytes:
    """Lines of a header lost, doubled, with other words, or with changed bytes."""
    lines = content.split(b"\n")
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(lines) or 1)
        kind = rng.randrange(5)
        if kind == 0 and lines:
            del lines[at]
        elif kind == 1 and lines:
            lines.insert(at, lines[at])
        elif kind == 2 and lines:
            words = lines[at].split(b" ")
            words[rng.randrange(len(words))] = rng.choice(ODD[:-1])
            lines[at] = b" ".join(words)
        elif kind == 3 and lines:
            lines[at] = mutated_bytes(lines[at], rng)
        elif lines:
            name, mark, _ = lines[at].partition(b"=" if b"=" in lines[at] else b":")
            lines[at] = name + mark + b" " + b" ".join(rng.choices(ODD[:-1], k=rng.choice((1, 3, 9))))
    return b"\n".join(lines)


def mutated_nifti(content: bytes, rng: random.Random) -> bytes:
    """One field of the 348 bytes with an odd number, or changed bytes."""
    if rng.random() < 0.5:
        return mutated_bytes(content, rng)
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2))):
        form, value = rng.choice((("<f", rng.choice(NUMBERS)), ("<h", rng.choice(COUNTS))))
        struct.pack_into(form, changed, 2 * rng.randrange(20, 172), value)
    return bytes(changed)


def _bytes(value: bytes | object, rng: random.Random) -> bytes:
    old = value if isinstance(value, bytes) else b"1"
    kind = rng.randrange(4)
    if kind == 0:
        return rng.choice(ODD)
    if kind == 1:
        parts = old.split(b"\\")
        parts[rng.randrange(len(parts))] = rng.choice(ODD)
        return b"\\".join(parts)
    return mutated_bytes(old, rng)
