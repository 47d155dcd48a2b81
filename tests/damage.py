"""Ways in which a CT series on disk is damaged or merely unusual, each with what the intake must make of it.

A kind gets a folder that holds a sound series, one file a slice, sorted by name from feet to head. It changes the
folder and returns the path to read. `expect` lists what must come out, one word a scan found: a `Reason`, or
`READ`. The kinds stand in `damage_kinds.py`, what is done to files and containers as wholes in `damage_files.py`.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.uid import SecondaryCaptureImageStorage

from tests.series import Edit, edit_series, slice_files

READ = "read"


@dataclass(frozen=True)
class Kind:
    """One kind of damage.

    Attributes:
        name: of the test.
        apply: damages the folder, returns what is to be read.
        expect: outcomes of all scans found, sorted.
        warns: the warning codes of the scans that are read, exactly these.
        in_place: the volume must hold the truth's values at the truth's world points.
        whole: every slice of the truth must be there again.
        synthetic_only: needs something that the real series does not have.
    """

    name: str
    apply: Callable[[Path], Path]
    expect: tuple[str, ...] = (READ,)
    warns: tuple[str, ...] = ()
    in_place: bool = True
    whole: bool = True
    synthetic_only: bool = False


def each(edit: Edit) -> Callable[[Path], Path]:
    """A kind that edits every slice."""
    return lambda folder: edit_series(folder, edit)


def every(**tags: Any) -> Callable[[Path], Path]:
    """A kind that sets tags in every slice; None deletes the tag."""
    return each(lambda k, d: set_tags(d, tags))


def one(at: int = 5, **tags: Any) -> Callable[[Path], Path]:
    """The same in a single slice."""
    return each(lambda k, d: set_tags(d, tags) if k == at else None)


def set_tags(dataset: Dataset, tags: dict[str, Any]) -> None:
    for name, value in tags.items():
        if value is None:
            if name in dataset:
                del dataset[name]
        else:
            setattr(dataset, name, value)


def raw(name: str, value: bytes) -> Callable[[Path], Path]:
    """Bytes for a tag of one slice that no writer lets through."""

    return on_files(lambda files: files[5].write_bytes(spliced(files[5].read_bytes(), name, value)))


def spliced(content: bytes, name: str, value: bytes) -> bytes:
    """A file (explicit, little endian) with another value of a tag; ValueError when it is not there."""
    group, element = divmod(tag_for_keyword(name) or 0, 0x10000)
    at = content.index(struct.pack("<HH", group, element), 132) + 6  # past tag and explicit VR
    old = int.from_bytes(content[at : at + 2], "little")
    return content[:at] + struct.pack("<H", len(value)) + value + content[at + 2 + old :]


def on_files(change: Callable[[list[Path]], object]) -> Callable[[Path], Path]:
    """A kind that changes the list of files, in slice order."""

    def apply(folder: Path) -> Path:
        change(slice_files(folder))
        return folder

    return apply


def cut(at: int, keep: Callable[[bytes], int]) -> Callable[[Path], Path]:
    """One file ends early."""

    def change(files: list[Path]) -> None:
        content = files[at].read_bytes()
        files[at].write_bytes(content[: keep(content)])

    return on_files(change)


def pixels(dataset: Dataset) -> np.ndarray:
    """Stored pixels as whole numbers, to be written back by `put`."""
    return dataset.pixel_array.astype(np.int64)


def put(dataset: Dataset, stored: np.ndarray, signed: bool) -> None:
    """Write stored pixels, 16 bits, changing neither rescale nor geometry."""
    dataset.PixelRepresentation = int(signed)
    dataset.Rows, dataset.Columns = stored.shape
    dataset.PixelData = stored.astype("<i2" if signed else "<u2").tobytes()


def position(dataset: Dataset) -> np.ndarray:
    return np.array(dataset.ImagePositionPatient, float)


def move(dataset: Dataset, *by_mm: float) -> None:
    dataset.ImagePositionPatient = [f"{p:.6f}" for p in position(dataset) + by_mm]


def copy_slice(
    source: Path, name: str | Path, uid: str | None = None, edit: Callable[[Dataset], None] | None = None
) -> None:
    """A second file beside `source`."""
    dataset = dcmread(source)
    if uid:
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID + uid
    if edit:
        edit(dataset)
    dataset.save_as(source.parent / name)


def coloured(dataset: Dataset) -> None:
    """A secondary capture in RGB, such as a dose sheet, without any position."""
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = b"\x7f" * (3 * dataset.Rows * dataset.Columns)
    set_tags(
        dataset, dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"))
    )


def bare_localiser(dataset: Dataset) -> None:
    """Some scanners write the localiser with neither pixel spacing nor rescale."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    set_tags(dataset, dict.fromkeys(("PixelSpacing", "RescaleSlope", "RescaleIntercept", "ImagePositionPatient")))


def localiser(dataset: Dataset) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "0", "-1"]


def mirror_columns(k: int, dataset: Dataset) -> None:
    """The same slice stored from the patient's left to the right."""
    step = np.array(dataset.ImageOrientationPatient[:3], float) * float(dataset.PixelSpacing[1])
    move(dataset, *(step * (dataset.Columns - 1)))
    dataset.ImageOrientationPatient = [-float(v) for v in dataset.ImageOrientationPatient[:3]] + list(
        dataset.ImageOrientationPatient[3:]
    )
    put(dataset, pixels(dataset)[:, ::-1], bool(dataset.PixelRepresentation))


def transpose(k: int, dataset: Dataset) -> None:
    """The same slice with rows and columns exchanged."""
    cosines, spacing = list(dataset.ImageOrientationPatient), list(dataset.PixelSpacing)
    dataset.ImageOrientationPatient, dataset.PixelSpacing = cosines[3:] + cosines[:3], spacing[::-1]
    put(dataset, pixels(dataset).T, bool(dataset.PixelRepresentation))


def prone_turn(k: int, dataset: Dataset) -> None:
    """The same slice stored upside down in both directions, as for a patient lying otherwise."""
    mirror_columns(k, dataset)
    transpose(k, dataset)
    mirror_columns(k, dataset)
    transpose(k, dataset)


def signed_pixels(k: int, dataset: Dataset) -> None:
    hu = pixels(dataset) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    put(dataset, hu.clip(-1024, 3071), signed=True)


def half_slope(k: int, dataset: Dataset) -> None:
    """Stored = 2 HU + 3001: hounsfield = stored * 0.5 - 1500.5."""
    hu = pixels(dataset) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    dataset.RescaleSlope, dataset.RescaleIntercept = "0.5", "-1500.5"
    put(dataset, 2 * hu.clip(-1024, 3071) + 3001, signed=False)


def padded(value: int, tag: int | None, signed: bool, intercept: int = -1024) -> Callable[[Path], Path]:
    """Outside the circle, where the truth is -1024 HU, `value` is stored; the header calls it `tag`."""

    def edit(k: int, dataset: Dataset) -> None:
        hu = pixels(dataset) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        stored = hu.clip(-1024, 3071) - intercept
        stored[hu <= -1024] = value
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, intercept
        put(dataset, stored, signed)
        set_tags(dataset, {"PixelPaddingValue": None})
        if tag is not None:
            dataset.add_new("PixelPaddingValue", "SS" if tag < 0 else "US", tag)

    return each(edit)


def twelve_bits(k: int, dataset: Dataset) -> None:
    """12 bits signed in 16, the four upper bits not a copy of the sign (PS3.5 8.1.1 leaves them open)."""
    signed_pixels(k, dataset)
    stored = pixels(dataset).clip(-1024, 2047)
    dataset.BitsStored, dataset.HighBit = 12, 11
    set_tags(dataset, {"PixelPaddingValue": None})
    dataset.PixelData = (stored & 0x0FFF).astype("<u2").tobytes()
