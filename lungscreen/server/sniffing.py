"""What kind of file something is, by its first bytes: names are the user's and say what they like."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# NIfTI's magic stands at byte 344 (NIfTI-1, after `sizeof_hdr` 348) or 4 (NIfTI-2).
HEAD = 352
GZIP = b"\x1f\x8b"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
NIFTI_1, NIFTI_2 = (b"n+1\0", b"ni1\0"), (b"n+2\0", b"ni2\0")


@dataclass(frozen=True, slots=True)
class Kinds:
    """What an upload may be made of.

    Attributes:
        ending_of: the ending that a file gets; None: it is of another kind.
        words: the kinds, for people.
    """

    ending_of: Callable[[Path], str | None]
    words: str


def ending_of(path: Path) -> str | None:
    """The ending that the intake knows this kind of file by; None: it is none of a scan."""
    with path.open("rb") as handle:
        head = handle.read(4096)
    if head.startswith(GZIP):
        inside = _ending(_unpacked(head))
        return f"{inside}.gz" if inside in (".nii", ".dcm") else None
    return _ending(head)


def slice_ending_of(path: Path) -> str | None:
    """The ending of a single slice; None: it is none."""
    with path.open("rb") as handle:
        head = handle.read(132)
    if head.startswith(PNG):
        return ".png"
    if head.startswith(JPEG):
        return ".jpg"
    return ".dcm" if head[128:132] == b"DICM" else None


def _ending(head: bytes) -> str | None:
    if head.startswith(ZIP):
        return ".zip"
    if head[128:132] == b"DICM":
        return ".dcm"
    if head[344:348] in NIFTI_1 or head[4:8] in NIFTI_2:
        return ".nii"
    if head.startswith(b"NRRD000"):
        return ".nrrd"
    return ".mha" if head.startswith((b"ObjectType", b"NDims")) else None


def _unpacked(head: bytes) -> bytes:
    """The beginning of what a gzip file holds."""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, HEAD)
    except zlib.error:
        return b""


SCANS = Kinds(ending_of, "zip, DICOM, NIfTI, MetaImage or NRRD")
SLICES = Kinds(slice_ending_of, "PNG, JPEG or DICOM slice")
