"""Damage to the structure of DICOM files: lost tags, other VRs and lengths, ends at every place, packed slices."""

from __future__ import annotations

import gzip
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from pydicom.datadict import tag_for_keyword
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from preprocessing.intake.scan import Reason
from tests.damage import READ, Kind, cut, every, on_files, one, raw
from tests.damage_files import as_enhanced, compressed, into_zip
from tests.damage_kinds import most, then
from tests.series import slice_files

R = Reason
LOST = ("broken_files", "missing_slices")
# The file does not tell its series any more, and stands by itself.
APART = (R.MISSING_TAG, READ)
FRAMES = "PerFrameFunctionalGroupsSequence"
PIXELS = b"\xe0\x7f\x10\x00"


def place(content: bytes, name: str) -> int:
    """Where an element begins (explicit, little endian)."""
    group, element = divmod(tag_for_keyword(name) or 0, 0x10000)
    return content.index(struct.pack("<HH", group, element), 132)


def cut_at(name: str, after: int = 0) -> Callable[[Path], Path]:
    """One file ends so many bytes after the beginning of an element."""
    return cut(5, lambda content: place(content, name) + after)


def with_vr(name: str, vr: bytes, files: slice = slice(None)) -> Callable[[Path], Path]:
    """Another VR, and the same bytes behind it."""

    def change(paths: list[Path]) -> None:
        for path in paths[files]:
            content = bytearray(path.read_bytes())
            at = place(content, name) + 4
            content[at : at + 2] = vr
            path.write_bytes(content)

    return on_files(change)


def with_length(name: str, by: int) -> Callable[[Path], Path]:
    """One file whose element says that it is longer than it is, or shorter."""

    def change(paths: list[Path]) -> None:
        content = bytearray(paths[5].read_bytes())
        at = place(content, name) + 6
        length = int.from_bytes(content[at : at + 2], "little")
        content[at : at + 2] = struct.pack("<H", (length + by) % 0x10000)
        paths[5].write_bytes(content)

    return on_files(change)


def relabelled(uid: str, *places: int) -> Callable[[Path], Path]:
    """Files that say they are stored otherwise than they are, by the bytes alone: a writer would set them right."""

    def change(paths: list[Path]) -> None:
        for k, path in enumerate(paths):
            if not places or k in places:
                path.write_bytes(_called(path.read_bytes(), uid.encode() + b"\0" * (len(uid) % 2)))

    return on_files(change)


def _called(content: bytes, uid: bytes) -> bytes:
    at = place(content, "TransferSyntaxUID")
    old = int.from_bytes(content[at + 6 : at + 8], "little")
    group = int.from_bytes(content[140:144], "little") + len(uid) - old
    head = content[:140] + struct.pack("<I", group) + content[144 : at + 6] + struct.pack("<H", len(uid))
    return head + uid + content[at + 8 + old :]


def packed(change: Callable[[bytes], bytes] = bytes, at: int = 5) -> Callable[[Path], Path]:
    """Every slice as `.dcm.gz`, one of them changed."""

    def apply(folder: Path) -> Path:
        for k, path in enumerate(slice_files(folder)):
            content = gzip.compress(path.read_bytes(), 1)
            path.with_name(path.name + ".gz").write_bytes(change(content) if k == at else content)
            path.unlink()
        return folder

    return apply


def flipped(content: bytes) -> bytes:
    """A bit of the checksum at the end."""
    return content[:-8] + bytes([content[-8] ^ 1]) + content[-7:]


def zip_in_zip(folder: Path) -> Path:
    inner = into_zip(folder)
    outer = folder.parent / "outer.zip"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(inner, "deep/inner.zip")
    return outer


def on_enhanced(change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    """The series as one file, its bytes changed."""

    def apply(folder: Path) -> Path:
        path = as_enhanced()(folder)
        path.write_bytes(change(path.read_bytes()))
        return folder

    return apply


def swapped_pixels(places: slice) -> Callable[[Path], Path]:
    """The two bytes of every pixel exchanged."""

    def change(paths: list[Path]) -> None:
        for path in paths[places]:
            content = bytearray(path.read_bytes())
            at = content.rfind(PIXELS) + 12
            content[at::2], content[at + 1 :: 2] = content[at + 1 :: 2], content[at::2]
            path.write_bytes(content)

    return on_files(change)


HEADER_KINDS = [
    # Tags lost one by one, in every slice.
    *(Kind(f"no {name}", every(**{name: None})) for name in (
        "SOPInstanceUID", "SOPClassUID", "ImageType", "FrameOfReferenceUID", "StudyInstanceUID", "StudyDate",
        "HighBit",
    )),
    *(Kind(f"no {name}", every(**{name: None}), (R.MISSING_TAG,)) for name in (
        "Rows", "Columns", "BitsAllocated", "PixelRepresentation",
    )),
    Kind("no SamplesPerPixel", every(SamplesPerPixel=None), (R.UNREADABLE,)),
    Kind("no PhotometricInterpretation", every(PhotometricInterpretation=None), (R.UNREADABLE,)),
    Kind("empty PixelSpacing", every(PixelSpacing=""), (R.MISSING_TAG,)),
    Kind("empty RescaleSlope", one(RescaleSlope=""), (R.MISSING_TAG,)),
    Kind("pixel spacing of another notation", raw("PixelSpacing", b"0.7\\1_0 "), (R.BAD_VALUE,)),
    # Other VRs before the same bytes.
    Kind("position as UN", with_vr("ImagePositionPatient", b"UN"), (R.MISSING_TAG,)),
    Kind("position as text", with_vr("ImagePositionPatient", b"LO")),
    Kind("rows as SS", with_vr("Rows", b"SS")),
    Kind("rows as UL", with_vr("Rows", b"UL", slice(5, 6)), (R.BAD_VALUE,)),
    Kind("spacing as FD", with_vr("PixelSpacing", b"FD", slice(5, 6)), (R.BAD_VALUE,)),
    Kind("slope as IS", with_vr("RescaleSlope", b"IS")),
    Kind("orientation without a VR", with_vr("ImageOrientationPatient", b"\0\0", slice(5, 6)), (R.MISSING_TAG,)),
    Kind("modality as SQ", with_vr("Modality", b"SQ", slice(5, 6)), APART, ("missing_slices",)),
    # Lengths that are not those of the values.
    Kind("spacing said to be longer", with_length("PixelSpacing", 2), (R.MISSING_TAG,)),
    Kind("spacing said to be shorter", with_length("PixelSpacing", -2), (R.MISSING_TAG,)),
    Kind("rows said to be longer", with_length("Rows", 2), (R.BAD_VALUE,)),
    Kind("position said to reach beyond the file", with_length("ImagePositionPatient", 0xF000), (R.MISSING_TAG,)),
    Kind("odd length of a position", with_length("ImagePositionPatient", -1), (R.MISSING_TAG,)),
    # The end, at every place.
    Kind("cut after the preamble", cut(5, lambda content: 128), warns=LOST),
    Kind("cut after DICM", cut(5, lambda content: 132), warns=LOST),
    Kind("cut behind the meta group", cut_at("SOPClassUID"), warns=LOST),
    Kind("cut in the class of the object", cut_at("SOPClassUID", 12), APART, ("missing_slices",)),
    Kind("cut before the modality", cut_at("Modality"), APART, ("missing_slices",)),
    Kind("cut before the position", cut_at("ImagePositionPatient"), (R.MISSING_TAG,)),
    Kind("cut in a position", cut_at("ImagePositionPatient", 14), (R.MISSING_TAG,)),
    Kind("cut before the rows", cut_at("Rows"), (R.MISSING_TAG,)),
    Kind("cut in the rows", cut_at("Rows", 9), (R.BAD_VALUE,)),
    Kind("cut before the slope", cut_at("RescaleSlope"), (R.MISSING_TAG,)),
    Kind("cut before the pixels", cut(5, lambda content: content.rfind(PIXELS)), (R.TRUNCATED,)),
    Kind("cut in the tag of the pixels", cut(5, lambda content: content.rfind(PIXELS) + 2), (R.TRUNCATED,)),
    Kind("cut in the length of the pixels", cut(5, lambda content: content.rfind(PIXELS) + 9), warns=LOST),
    Kind("half of the pixels cut", cut(5, lambda content: (content.rfind(PIXELS) + len(content)) // 2),
         (R.TRUNCATED,)),
    Kind("the last byte cut", cut(5, lambda content: len(content) - 1), (R.TRUNCATED,)),
    *(Kind(f"{uid.name}, cut in the first item", then(compressed(uid), cut(5, lambda c: c.rfind(PIXELS) + 24)),
           (R.TRUNCATED,)) for uid in (JPEG2000Lossless, JPEGLSLossless, RLELossless)),
    # Encodings said wrongly.
    Kind("called big endian", relabelled("1.2.840.10008.1.2.2", 5), warns=LOST),
    Kind("called deflated", relabelled("1.2.840.10008.1.2.1.99", 5), warns=LOST),
    Kind("called implicit", relabelled("1.2.840.10008.1.2", 5)),
    Kind("called JPEG-LS", relabelled("1.2.840.10008.1.2.4.80", 5), (R.UNREADABLE,)),
    Kind("called JPEG 2000", relabelled("1.2.840.10008.1.2.4.90", 5), (R.UNREADABLE,)),
    Kind("called RLE", relabelled("1.2.840.10008.1.2.5", 5), (R.UNREADABLE,)),
    Kind("JPEG-LS called uncompressed", then(compressed(JPEGLSLossless), relabelled("1.2.840.10008.1.2.1", 5)),
         (R.TRUNCATED,)),
    Kind("pixels of all slices swapped", swapped_pixels(slice(None)), (R.NOT_HOUNSFIELD,)),
    # Enhanced files.
    Kind("enhanced, cut in its frames' places", on_enhanced(lambda c: c[: place(c, FRAMES) + 300]), (R.BAD_VALUE,)),
    Kind("enhanced, cut before its frames' places", on_enhanced(lambda c: c[: place(c, FRAMES)]),
         (R.MISSING_TAG,)),
    Kind("enhanced, half of the pixels cut", on_enhanced(lambda c: c[: len(c) - len(c) // 3]), (R.TRUNCATED,)),
    Kind("enhanced, one frame more", as_enhanced(lambda s: setattr(s, "NumberOfFrames", s.NumberOfFrames + 1)),
         (R.TRUNCATED,)),
    Kind("enhanced, one frame less", as_enhanced(lambda s: setattr(s, "NumberOfFrames", s.NumberOfFrames - 1))),
    Kind("enhanced, no frames", as_enhanced(lambda s: setattr(s, "NumberOfFrames", 0))),
    Kind("enhanced, no shared groups", as_enhanced(lambda s: s.__delattr__("SharedFunctionalGroupsSequence")),
         (R.MISSING_TAG,)),
    # Packed slices and archives.
    Kind("packed slices", packed()),
    Kind("a packed slice cut", packed(lambda c: c[: most(c)]), (R.TRUNCATED, READ), ("missing_slices",)),
    Kind("a packed slice of a wrong checksum", packed(flipped), (R.TRUNCATED, READ), ("missing_slices",)),
    Kind("a packed slice empty", packed(lambda c: b""), warns=("missing_slices",)),
    Kind("zip in a zip", zip_in_zip),
    Kind("zip without its directory", lambda folder: into_zip(folder, "", lambda c: c[: c.rfind(b"PK\x01\x02")]),
         (R.UNREADABLE,)),
]  # fmt: skip
