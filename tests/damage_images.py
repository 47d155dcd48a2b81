"""Damage to image files: what is cut, lost, changed or stated wrongly in NIfTI, MetaImage and NRRD."""

from __future__ import annotations

import gzip
import re
import struct
from collections.abc import Callable
from pathlib import Path

import SimpleITK as sitk

from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Reason
from preprocessing.intake.volume_reader import read_volume
from tests.damage import READ, Kind
from tests.series import slice_files

R = Reason
Change = Callable[[bytes], bytes]
# Of a file name: the file that holds the voxels, and whether they are packed.
HOLDS = {
    "a.nii": ("a.nii", False), "a.nii.gz": ("a.nii.gz", True), "a.mha": ("a.mha", False), "z.mha": ("z.mha", True),
    "a.mhd": ("a.raw", False), "z.mhd": ("z.zraw", True), "a.nrrd": ("a.nrrd", False), "z.nrrd": ("z.nrrd", True),
}  # fmt: skip


def image(name: str, header: Change = bytes, voxels: Change = bytes) -> Callable[[Path], Path]:
    """The series as an image file.

    Args:
        name: of the file, one of `HOLDS`; beginning with z where its voxels are packed.
        header: what happens to the header file, or to the header of a NIfTI, unpacked.
        voxels: what happens to the file with the voxels, as it lies on the disk, at the very end.
    """

    def apply(folder: Path) -> Path:
        volume = read_volume(find_scans(folder)[0])
        for path in slice_files(folder):
            path.unlink()
        written = sitk.GetImageFromArray(volume.hu)
        written.SetSpacing(volume.geometry.spacing_mm)
        written.SetOrigin(volume.geometry.origin_mm)
        written.SetDirection(volume.geometry.direction.ravel().tolist())
        path = folder / name
        sitk.WriteImage(written, str(path), useCompression=name.startswith("z") or name.endswith(".gz"))
        content = path.read_bytes()
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(header(gzip.decompress(content)), mtime=0))
        else:
            path.write_bytes(header(content))
        holder = folder / HOLDS[name][0]
        holder.write_bytes(voxels(holder.read_bytes()))
        return folder

    return apply


def field(at: int, form: str, *values: float) -> Change:
    """Other numbers in the header of a NIfTI."""

    def change(content: bytes) -> bytes:
        made = bytearray(content)
        struct.pack_into("<" + form, made, at, *values)
        return bytes(made)

    return change


def line(key: str, value: str | None) -> Change:
    """Another value in the text of a header; None takes the line away."""

    def change(content: bytes) -> bytes:
        pattern = rb"^(" + key.encode() + rb"\s*[:=]\s*)[^\n]*\n"
        made = b"" if value is None else rb"\g<1>" + value.encode() + b"\n"
        changed, n = re.subn(pattern, made, content, count=1, flags=re.MULTILINE)
        assert n == 1
        return changed

    return change


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def less(content: bytes) -> bytes:
    return content[:-1]


def zeroed(content: bytes) -> bytes:
    """A block in the middle of a packed stream."""
    middle = len(content) // 2
    return content[:middle] + bytes(64) + content[middle + 64 :]


def bit(from_end: int) -> Change:
    """One bit of the packed stream's checksum, which ends so many bytes before the file does."""

    def change(content: bytes) -> bytes:
        made = bytearray(content)
        made[-2 - from_end] ^= 4
        return bytes(made)

    return change


def more(content: bytes) -> bytes:
    """Two slices of a synthetic chest more than the header states."""
    return content + bytes(2 * 44 * 48 * 2)


def lost(folder: Path) -> None:
    for path in (*folder.glob("*.raw"), *folder.glob("*.zraw")):
        path.unlink()


def without_voxels(name: str) -> Callable[[Path], Path]:
    def apply(folder: Path) -> Path:
        image(name)(folder)
        lost(folder)
        return folder

    return apply


def twin(folder: Path) -> Path:
    """`a.nii` with other voxels beside `a.nii.gz`: each is read for itself."""
    packed = image("a.nii.gz")(folder) / "a.nii.gz"
    content = gzip.decompress(packed.read_bytes())
    (folder / "a.nii").write_bytes(content[:352] + content[:351:-1])
    return folder


PLAIN = [name for name, (_, packed) in HOLDS.items() if not packed]
PACKED = [name for name, (_, packed) in HOLDS.items() if packed]
IMAGE_KINDS = [
    *(Kind(name, image(name)) for name in HOLDS),
    *(Kind(f"{name}, empty", image(name, voxels=lambda c: b""),
           ((R.TRUNCATED if name.endswith(".mhd") else R.UNREADABLE),)) for name in HOLDS),
    *(Kind(f"{name}, half", image(name, voxels=half), (R.TRUNCATED,)) for name in HOLDS),
    *(Kind(f"{name}, a byte less", image(name, voxels=less), (R.TRUNCATED,)) for name in HOLDS),
    *(Kind(f"{name}, two slices more", image(name, voxels=more), (R.DAMAGED,)) for name in PLAIN),
    *(Kind(f"{name}, a block of zeros", image(name, voxels=zeroed), (R.DAMAGED,)) for name in PACKED),
    # After the checksum of gzip stands the length, four bytes; a zlib stream ends with it.
    *(Kind(f"{name}, a wrong checksum", image(name, voxels=bit(0 if ".m" in name else 4)), (R.DAMAGED,))
      for name in PACKED),
    *(Kind(f"{name}, without its voxels", without_voxels(name), (R.TRUNCATED,)) for name in ("a.mhd", "z.mhd")),
    # NIfTI, on the disk and packed.
    *(Kind(f"{name}, {what}", image(name, header=change), (reason,)) for name in ("a.nii", "a.nii.gz")
      for what, change, reason in (
        ("no forms", field(252, "2h", 0, 0), R.MISSING_TAG),
        ("one pixdim zero", field(80, "f", 0), R.MISSING_TAG),
        ("one pixdim no number", field(84, "f", float("nan")), R.MISSING_TAG),
        ("in metres", field(123, "b", 1), R.BAD_VALUE),
        ("in colours", field(70, "h", 128), R.NOT_MONOCHROME),
        ("a type of no CT", field(70, "h", 32), R.BAD_VALUE),
        ("called 8 bits", field(70, "h", 2), R.DAMAGED),
        ("called 64 bits", field(70, "h", 64), R.TRUNCATED),
        ("two axes", field(40, "h", 2), R.BAD_VALUE),
        ("four times", field(40, "8h", 4, 48, 44, 4, 4, 1, 1, 1), R.BAD_VALUE),
        ("a size below zero", field(42, "h", -48), R.BAD_VALUE),
        ("a matrix of zeros", field(280, "12f", *[0.0] * 12), R.BAD_VALUE),
        ("an infinite origin", field(292, "f", float("inf")), R.BAD_VALUE),
        ("its length as magic", field(344, "4s", b"ni1\0"), R.UNREADABLE),
        ("voxels begin in the middle", field(108, "f", 9000), R.TRUNCATED),
        ("voxels begin below zero", field(108, "f", -352), R.BAD_VALUE),
        ("ten times the values", field(112, "2f", 1, 3000), R.NOT_HOUNSFIELD),
      )),
    # Headers in text.
    *(Kind(f"{name}, {what}", image(name, header=change), (reason,)) for name in ("a.mhd", "a.mha", "z.mhd")
      for what, change, reason in (
        ("no spacing", line("ElementSpacing", None), R.MISSING_TAG),
        ("a spacing no number", line("ElementSpacing", "nan 7 2.5"), R.BAD_VALUE),
        ("a spacing with commas", line("ElementSpacing", "6,5 7 2,5"), R.BAD_VALUE),
        ("a sheared matrix", line("TransformMatrix", "1 0 0 0.3 1 0 0 0 1"), R.BAD_VALUE),
        ("two sizes", line("DimSize", "48 44"), R.BAD_VALUE),
        ("a type of no CT", line("ElementType", "MET_STRING"), R.BAD_VALUE),
        ("called double", line("ElementType", "MET_DOUBLE"), R.TRUNCATED),
        ("three channels", line("ElementType", "MET_SHORT\nElementNumberOfChannels = 3"), R.NOT_MONOCHROME),
        ("a key twice", line("NDims", "3\nNDims = 3"), R.BAD_VALUE),
      )),
    *(Kind(f"{name}, {what}", image(name, header=change), (reason,)) for name in ("a.nrrd", "z.nrrd")
      for what, change, reason in (
        ("no directions", line("space directions", None), R.MISSING_TAG),
        ("no space", line("space", None), R.MISSING_TAG),
        ("sheared directions", line("space directions", "(6.5,0,0) (3,7,0) (0,0,2.5)"), R.BAD_VALUE),
        ("no type", line("type", None), R.BAD_VALUE),
        ("no byte order", line("endian", None), R.BAD_VALUE),
        ("two sizes", line("sizes", "48 44"), R.BAD_VALUE),
        ("another encoding", line("encoding", "bzip2"), R.UNSUPPORTED_SYNTAX),
        ("no empty line", lambda c: c[: c.index(b"\n\n") + 1], R.UNREADABLE),
      )),
    Kind("bytes of a mhd swapped", image("a.mhd", header=line("BinaryDataByteOrderMSB", "True")), (R.NOT_HOUNSFIELD,)),
    Kind("bytes of a nrrd swapped", image("a.nrrd", header=line("endian", "big")), (R.NOT_HOUNSFIELD,)),
    Kind("packed mhd called plain", image("z.mhd", header=line("CompressedData", "False")), (R.TRUNCATED,)),
    Kind("another patient's twin", twin, (R.NOT_HOUNSFIELD, READ)),
]  # fmt: skip
