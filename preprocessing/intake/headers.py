"""DICOM headers to slices: what each image says of itself, checked one by one.

Sources: PS3.3 C.7.6.2 (Image Plane), C.11.1 (Modality LUT), C.7.6.16 (Multi-frame Functional Groups).
"""

from __future__ import annotations

import hashlib
import logging
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from pydicom import Dataset, config, dcmread
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, MediaStorageDirectoryStorage

from preprocessing.intake.scan import Reason, ScanError
from preprocessing.intake.tags import (
    CT_IMAGES,
    MAX_INTERCEPT,
    MAX_SLOPE,
    MULTI_FRAME,
    OTHER_MODALITIES,
    PIXEL_TAGS,
    SPLIT_TAGS,
    TAGS,
    flattened,
    need,
    numbers,
)


@dataclass(frozen=True, slots=True)
class Slice:
    """One CT image of a series.

    Attributes:
        path: its file.
        frame: which frame of the file, from 0.
        shape: rows, columns.
        spacing_mm: between columns (x) and between rows (y).
        position_mm: ImagePositionPatient, LPS mm.
        orientation: ImageOrientationPatient: unit vectors along a row and along a column.
        slope: RescaleSlope.
        intercept: RescaleIntercept.
        padding: PixelPaddingValue as stored (bits read as the pixels are), or None.
        tilt_deg: GantryDetectorTilt, 0 when absent.
        localiser: ImageType says LOCALIZER; its geometry and rescale are then not read.
        marks: the values of `SPLIT_TAGS` as text, empty where absent.
        instance: InstanceNumber, or None.
    """

    path: Path
    frame: int
    shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    slope: float
    intercept: float
    padding: int | None
    tilt_deg: float
    localiser: bool
    marks: tuple[str, ...] = ()
    instance: int | None = None


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """pydicom quotes odd values in its warnings and log; they may be a patient's name, so none is shown."""
    before = config.settings.reading_validation_mode
    log = logging.getLogger("pydicom")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    config.settings.reading_validation_mode = config.IGNORE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            config.settings.reading_validation_mode = before
            log.setLevel(level)


def read_header(path: Path) -> Dataset | None:
    """The header of a file, or None when it is no DICOM image object (a report, a DICOMDIR, another format).

    Raises:
        ScanError: `truncated` or `unreadable`: it begins as DICOM and does not go on so.
    """
    with path.open("rb") as handle:
        marked = handle.read(132)[128:] == b"DICM"
    try:
        dataset = cast(Dataset, dcmread(path, stop_before_pixels=True, force=not marked, specific_tags=list(TAGS)))
    except (EOFError, zlib.error) as error:
        raise ScanError(Reason.TRUNCATED, "a file ends inside its DICOM header") from error
    except Exception as error:  # on damaged bytes pydicom raises what it likes
        if not marked:
            return None
        raise ScanError(Reason.UNREADABLE, "a file begins as DICOM but its header cannot be read") from error
    if "SOPClassUID" in dataset or "Modality" in dataset:
        return dataset
    # A DICOMDIR has neither; a header cut before them has neither as well.
    if marked and not _is_directory(dataset):
        raise ScanError(Reason.TRUNCATED, "a file holds a DICOM preamble and no image header")
    return None


def owner_of(dataset: Dataset) -> tuple[str, str]:
    """PatientID and SeriesInstanceUID, each empty when absent.

    Raises:
        ScanError: `bad_value`: one of them is no text.
    """
    try:
        return str(dataset.get("PatientID") or "").strip(), str(dataset.get("SeriesInstanceUID") or "")
    except Exception as error:  # as in `read_header`
        raise ScanError(Reason.BAD_VALUE, "a file's PatientID or SeriesInstanceUID cannot be read") from error


def text_of(dataset: Dataset, name: str) -> str:
    """A tag as text, several values with backslashes between them; empty when absent or no text."""
    try:
        value = dataset.get(name) or ""
        return value.strip() if isinstance(value, str) else "\\".join(str(part) for part in value)
    except Exception:  # as in `read_header`
        return ""


def is_ct_image(dataset: Dataset) -> bool:
    """Whether the object's class is one of CT images; a header that does not say passes."""
    return text_of(dataset, "SOPClassUID") in ("", *CT_IMAGES)


def slices_of(dataset: Dataset, path: Path) -> list[Slice]:
    """The images of one file, one for each frame.

    Raises:
        ScanError: not a CT, not greyscale, a tag missing or senseless, a syntax nobody here can decode.
    """
    try:
        return _images(dataset, path)
    except ScanError:
        raise
    except Exception as error:  # pydicom converts values when they are asked for, and fails in many ways
        raise ScanError(Reason.BAD_VALUE, "a tag does not hold the numbers or words it must") from error


def pixel_digest(image: Slice) -> str:
    """A fingerprint of the stored pixels of one image, still compressed."""
    try:
        with quiet_pydicom():
            data = dcmread(image.path, force=True).get("PixelData", b"")
    except Exception as error:  # as in `read_header`
        raise ScanError(Reason.UNREADABLE, "the pixels of a file cannot be read") from error
    return hashlib.blake2b(data + str(image.frame).encode(), digest_size=16).hexdigest()


def _images(dataset: Dataset, path: Path) -> list[Slice]:
    modality = str(need(dataset, "Modality"))
    if modality != "CT":
        found = modality if modality in OTHER_MODALITIES else "another"
        raise ScanError(Reason.NOT_CT, f"Modality must be CT, got {found}")
    if int(dataset.get("SamplesPerPixel", 1) or 1) != 1 or not _is_grey(dataset):
        raise ScanError(Reason.NOT_MONOCHROME, "a CT slice must have one grey channel; this one is coloured")
    _check_syntax(dataset)
    if dataset.get("SOPClassUID") in MULTI_FRAME:
        return _frames(dataset, path)
    if int(dataset.get("NumberOfFrames", 1) or 1) != 1:
        raise ScanError(Reason.MISSING_TAG, "a multi-frame image without functional groups has no positions")
    return [_slice(dataset, dataset, path, 0)]


def _frames(dataset: Dataset, path: Path) -> list[Slice]:
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    per_frame = need(dataset, "PerFrameFunctionalGroupsSequence")
    return [_slice(dataset, flattened(shared, own), path, k) for k, own in enumerate(per_frame)]


def _slice(dataset: Dataset, values: Dataset, path: Path, frame: int) -> Slice:
    rows, columns, *_ = (int(need(dataset, name)) for name in PIXEL_TAGS)
    if _is_localiser(values) or _is_localiser(dataset):
        return Slice(path, frame, (rows, columns), (1, 1), (0, 0, 0), (1, 0, 0, 0, 1, 0), 1, 0, None, 0, True)
    _check_bits(dataset)
    between_rows, between_columns = numbers(values, "PixelSpacing", 2)
    orientation = numbers(values, "ImageOrientationPatient", 6)
    axes = np.asarray(orientation).reshape(2, 3)
    if np.abs(axes @ axes.T - np.eye(2)).max() > 1e-2:
        raise ScanError(Reason.BAD_VALUE, "ImageOrientationPatient must be two orthogonal unit vectors")
    if min(between_rows, between_columns) <= 0 or min(rows, columns) < 2:
        raise ScanError(Reason.BAD_VALUE, "PixelSpacing, Rows and Columns must be positive")
    (slope,), (intercept,) = numbers(values, "RescaleSlope", 1), numbers(values, "RescaleIntercept", 1)
    if not 0 < slope <= MAX_SLOPE or abs(intercept) > MAX_INTERCEPT:
        wanted = f"RescaleSlope must lie in 0..{MAX_SLOPE:g} and RescaleIntercept within {MAX_INTERCEPT:g}"
        raise ScanError(Reason.BAD_VALUE, f"{wanted}, got {slope:g} and {intercept:g}")
    return Slice(
        path=path,
        frame=frame,
        shape=(rows, columns),
        spacing_mm=(between_columns, between_rows),
        position_mm=numbers(values, "ImagePositionPatient", 3),
        orientation=orientation,
        slope=slope,
        intercept=intercept,
        padding=_padding(dataset),
        tilt_deg=float(dataset.get("GantryDetectorTilt") or 0),
        localiser=False,
        marks=tuple(_mark(dataset, values, tag) for tag in SPLIT_TAGS),
        instance=_instance(dataset),
    )


def _mark(dataset: Dataset, values: Dataset, tag: str) -> str:
    """A tag of the frame, else of its file; of classic headers they are one, and asked once."""
    value = values.get(tag)
    if not value and values is not dataset:
        value = dataset.get(tag)
    return str(value or "")


def _check_bits(dataset: Dataset) -> None:
    """Where the stored bits lie elsewhere than at the bottom of a word, decoders disagree."""
    stored, allocated = int(need(dataset, "BitsStored")), int(need(dataset, "BitsAllocated"))
    high = int(dataset.get("HighBit", stored - 1) or 0)
    if not 0 < stored <= allocated or high != stored - 1:
        raise ScanError(
            Reason.BAD_VALUE,
            f"HighBit must be BitsStored - 1, both within BitsAllocated; got {high}, {stored} and {allocated}",
        )


def _instance(dataset: Dataset) -> int | None:
    try:
        return int(dataset["InstanceNumber"].value)
    except Exception:  # as in `read_header`; nothing depends on it alone
        return None


def _is_localiser(values: Dataset) -> bool:
    kinds = values.get("ImageType") or []
    return "LOCALIZER" in [str(kind).upper() for kind in ([kinds] if isinstance(kinds, str) else kinds)]


def _padding(dataset: Dataset) -> int | None:
    """Its VR (US or SS) is often written wrong: 63536 in signed pixels means -2000."""
    value = dataset.get("PixelPaddingValue")
    if value is None or isinstance(value, (bytes, str)):
        return None
    bits = int(dataset.get("BitsAllocated", 16))
    unsigned = int(value) & ((1 << bits) - 1)
    signed = int(dataset.get("PixelRepresentation", 0)) == 1
    return unsigned - (1 << bits) if signed and unsigned >= 1 << (bits - 1) else unsigned


def _is_grey(dataset: Dataset) -> bool:
    return str(dataset.get("PhotometricInterpretation", "MONOCHROME2")).startswith("MONOCHROME")


def _check_syntax(dataset: Dataset) -> None:
    syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    if syntax is None:
        return
    try:
        get_decoder(UID(syntax))
    except NotImplementedError as error:
        raise ScanError(Reason.UNSUPPORTED_SYNTAX, f"transfer syntax {UID(syntax).name} is not readable") from error


def _is_directory(dataset: Dataset) -> bool:
    meta = getattr(dataset, "file_meta", Dataset())
    return text_of(meta, "MediaStorageSOPClassUID") == MediaStorageDirectoryStorage
