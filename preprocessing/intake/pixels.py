"""Stored pixels of one DICOM file to Hounsfield units. Worker processes import this module and little else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)

from preprocessing.intake.headers import Slice, quiet_pydicom, slices_of
from preprocessing.intake.scan import Reason, ScanError
from preprocessing.volume import HU_MAX, HU_MIN

Image = npt.NDArray[np.int16]
SILENT_WHEN_CUT = (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes)
LOSSLESS_JPEG = (JPEGLossless, JPEGLosslessSV1)
PIXEL_MODULE = (
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "PixelData",
)  # fmt: skip
# Of the last marker of a JPEG frame, from the frame's end.
END_WITHIN = 16
UNDECODED = "the pixels of a file cannot be decoded; it may be cut or damaged"
CUT = "a file of the series can no longer be read to its end"
# A padding value among real tissue (0 is the usual slip) would punch holes into it, so it is not believed.
BELIEVABLE_PADDING_HU = (-900.0, 3000.0)


def read_images(path: Path, frames: slice = slice(None)) -> list[tuple[Slice, Image]]:
    """CT images of one file with their Hounsfield units, (rows, columns) int16 in [-1024, 3071].

    Args:
        path: of the file.
        frames: which of a compressed multi-frame file, all by default.

    Raises:
        ScanError: `truncated` when pixels are missing, `unreadable` when they cannot be decoded.
    """
    with quiet_pydicom():
        try:
            dataset = dcmread(path, force=True)
        except Exception as error:  # on damaged bytes pydicom raises what it likes
            raise ScanError(Reason.TRUNCATED, CUT) from error
        if "Modality" not in dataset:  # it was there; at a sudden end pydicom gives an empty data set
            raise ScanError(Reason.TRUNCATED, CUT)
        slices = slices_of(dataset, path)
        if frames != slice(None):
            slices = _keep(frames, dataset, slices)
        stored = _decoded(dataset)
    if stored.ndim == 2:
        stored = stored[None]
    if stored.shape != (len(slices), *slices[0].shape):
        raise ScanError(Reason.TRUNCATED, f"pixels of shape {stored.shape} do not fill {len(slices)} image(s)")
    return [(s, hounsfield(image, s)) for s, image in zip(slices, stored, strict=True)]


def hounsfield(stored: npt.NDArray[np.integer], image: Slice) -> Image:
    """Modality LUT (PS3.3 C.11.1), padding to -1024, clipped to [-1024, 3071]."""
    whole = float(image.slope).is_integer() and float(image.intercept).is_integer()
    if whole and stored.dtype.itemsize <= 2:
        hu = stored.astype(np.int32) * np.int32(image.slope) + np.int32(image.intercept)
    else:
        exact = stored.astype(np.float64) * image.slope + image.intercept
        hu = np.rint(exact.clip(HU_MIN, HU_MAX)).astype(np.int32)
    if image.padding is not None:
        low, high = BELIEVABLE_PADDING_HU
        if not low < image.padding * image.slope + image.intercept < high:
            hu[stored == image.padding] = HU_MIN
    return hu.clip(HU_MIN, HU_MAX).astype(np.int16)


def _decoded(dataset: Dataset) -> npt.NDArray[np.integer]:
    if not dataset.get("PixelData"):
        raise ScanError(Reason.TRUNCATED, "a file of the series holds no pixels")
    if "TransferSyntaxUID" not in getattr(dataset, "file_meta", {}):
        _set_native_syntax(dataset)
    try:
        _check_complete(dataset)
        return _by_its_decoder(dataset)
    except ScanError:
        raise
    except NotImplementedError as error:
        raise ScanError(Reason.UNSUPPORTED_SYNTAX, "no decoder for the transfer syntax of a file") from error
    except Exception as error:  # decoders of seven codecs raise what they like; all of it means the same
        short = "expected" in str(error) and "bytes" in str(error)
        reason = Reason.TRUNCATED if short else Reason.UNREADABLE
        raise ScanError(reason, UNDECODED) from error
    except BaseException as error:
        # A panic of a decoder in Rust is none of Python's errors, so that nobody catches it by accident.
        if type(error).__name__ != "PanicException":
            raise
        raise ScanError(Reason.UNREADABLE, UNDECODED) from None


def _keep(frames: slice, dataset: Dataset, slices: list[Slice]) -> list[Slice]:
    """Drop the other frames, still compressed, and their slices."""
    try:
        there = list(_frames(dataset))
        kept = encapsulate(there[frames])
    except Exception as error:  # of damaged items, as in `_decoded`
        raise ScanError(Reason.UNREADABLE, UNDECODED) from error
    if len(there) != len(slices):
        raise ScanError(Reason.TRUNCATED, f"{len(there)} compressed image(s) do not fill {len(slices)}")
    for name in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        dataset.pop(name, None)
    dataset.PixelData, dataset.NumberOfFrames = kept, len(there[frames])
    return slices[frames]


def _frames(dataset: Dataset) -> Iterator[bytes]:
    """Each frame, still compressed."""
    offsets, lengths = (dataset.get(name) for name in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"))
    table = (offsets, lengths) if offsets and lengths else None
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    return generate_frames(dataset.PixelData, number_of_frames=frames, extended_offsets=table)


def _by_its_decoder(dataset: Dataset) -> npt.NDArray[np.integer]:
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in LOSSLESS_JPEG:
        return _by_gdcm(dataset)
    if syntax in JPEGLSTransferSyntaxes:
        dataset.pixel_array_options(decoding_plugin="pyjpegls")  # five times faster than pydicom's first choice
    pixels: npt.NDArray[np.integer] = dataset.pixel_array
    return pixels


def _by_gdcm(dataset: Dataset) -> npt.NDArray[np.integer]:
    """Stored values as GDCM decodes them: of lossless JPEG, libjpeg clips differences that wrap at the precision."""
    import SimpleITK as sitk  # half a second, and most processes never need it

    bare = Dataset()
    for name in PIXEL_MODULE:
        if name in dataset:
            bare[name] = dataset[name]
    bare.SOPClassUID, bare.SOPInstanceUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage, "1.2.3"
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    with tempfile.TemporaryDirectory(prefix="lungscreen-") as folder:
        path = Path(folder) / "frames.dcm"
        bare.save_as(path, enforce_file_format=True)
        image = sitk.ReadImage(str(path), imageIO="GDCMImageIO")
    pixels: npt.NDArray[np.integer] = sitk.GetArrayFromImage(image)
    return pixels


def _check_complete(dataset: Dataset) -> None:
    """JPEG and JPEG-LS decoders fill up a cut image without a word, so look for its end: EOI (ITU T.81 B.1.1.3)."""
    if dataset.file_meta.TransferSyntaxUID not in SILENT_WHEN_CUT:
        return
    for frame in _frames(dataset):
        # Writers pad to an even length with whatever they like; no marker can occur within the coded data.
        if b"\xff\xd9" not in frame.rstrip(b"\x00\xff")[-END_WITHIN:]:
            raise ScanError(Reason.TRUNCATED, "a compressed image of the series lacks its end")


def _set_native_syntax(dataset: Dataset) -> None:
    """A data set without file meta information cannot be compressed; how it was parsed says the rest."""
    implicit, little_endian = dataset.original_encoding
    explicit = ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    dataset.file_meta = meta
