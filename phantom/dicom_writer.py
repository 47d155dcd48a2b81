"""A simulated scan as a folder of DICOM CT images, one file a slice, as a scanner would send it.

PS3.3 A.3 (CT Image IOD): explicit VR little endian, 16 bits, rescale slope 1 and intercept -1024. UIDs are hashes
under the 2.25 root (PS3.5 B.2), so the same scan gives the same bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from preprocessing.volume import Volume

INTERCEPT = -1024
PADDING = -2000
_MAKER = "lungscreen phantom"


@dataclass(frozen=True, slots=True)
class Series:
    """What the headers say beside the geometry.

    Attributes:
        patient_id: PatientID; also the family name.
        key: whatever makes this scan unique; all UIDs are hashes of it.
        thickness_mm: SliceThickness.
        kernel: ConvolutionKernel.
        kvp: tube voltage, kV.
        contrast: whether contrast medium was given.
        signed: PixelRepresentation 1, otherwise 0.
    """

    patient_id: str
    key: str
    thickness_mm: float
    kernel: str = "STANDARD"
    kvp: int = 120
    contrast: bool = False
    signed: bool = False

    def uid(self, *parts: str | int) -> str:
        """The UID of a part of this scan, such as `uid("series")`."""
        return hashed_uid(self.key, *parts)


def hashed_uid(*parts: str | int) -> str:
    """A UID under 2.25 of 128 bits of a hash."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def write_series(
    volume: Volume, folder: Path, series: Series, padding: npt.NDArray[np.bool_] | None = None
) -> list[Path]:
    """Write one file a slice into an existing folder; names are hashes, so they are not in slice order.

    Args:
        volume: with a right-handed, orthonormal direction; `series_uid` becomes SeriesInstanceUID.
        folder: where to write.
        series: header values.
        padding: (Y, X) pixels outside the field of view, stored as -2000 with PixelPaddingValue; None for no such
            pixels. Wants `series.signed`.

    Returns:
        The files in slice order.

    Raises:
        ValueError: for padding in unsigned pixels.
    """
    if padding is not None and not series.signed:
        raise ValueError(f"padding is stored as {PADDING}, which wants signed pixels; got series.signed = False")
    common = _common(volume, series, padding is not None)
    paths = []
    for k in range(volume.hu.shape[0]):
        stored = volume.hu[k].astype(np.int32) - INTERCEPT
        if padding is not None:
            stored[padding] = PADDING
        instance = series.uid("slice", k)
        path = folder / f"{hashlib.sha256(instance.encode()).hexdigest()[:8]}.dcm"
        _write_slice(path, common, volume, k, instance, stored.astype("<i2" if series.signed else "<u2"))
        paths.append(path)
    return paths


def _write_slice(
    path: Path, common: Dataset, volume: Volume, k: int, instance: str, stored: npt.NDArray[np.integer]
) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID(instance)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(hashed_uid(_MAKER, "implementation"))
    meta.ImplementationVersionName = "LUNGSCREEN"
    data = FileDataset(str(path), {}, preamble=b"\0" * 128, file_meta=meta)
    data.update(common)
    data.SOPInstanceUID = UID(instance)
    data.InstanceNumber = k + 1
    position = [round(float(v), 6) for v in volume.geometry.to_world((k, 0, 0))]
    data.ImagePositionPatient = [_decimal(v) for v in position]
    data.SliceLocation = _decimal(position[2])
    data.PixelData = stored.tobytes()
    data.save_as(path, enforce_file_format=True)


def _common(volume: Volume, series: Series, padded: bool) -> Dataset:
    """All that the slices of a series share."""
    data = Dataset()
    _identity(data, volume, series)
    geometry = volume.geometry
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.ImageOrientationPatient = [_decimal(v) for v in (*geometry.direction[:, 0], *geometry.direction[:, 1])]
    data.PixelSpacing = [_decimal(geometry.spacing_mm[1]), _decimal(geometry.spacing_mm[0])]
    data.SliceThickness = _decimal(series.thickness_mm)
    data.SpacingBetweenSlices = _decimal(geometry.spacing_mm[2])
    data.KVP = str(series.kvp)
    data.ConvolutionKernel = series.kernel
    if series.contrast:
        data.ContrastBolusAgent = "simulated"
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.Rows, data.Columns = volume.hu.shape[1:]
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation = int(series.signed)
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = str(INTERCEPT), "1", "HU"
    if padded:
        data.add_new("PixelPaddingValue", "SS", PADDING)
    data.WindowCenter, data.WindowWidth = "-600", "1500"
    return data


def _identity(data: Dataset, volume: Volume, series: Series) -> None:
    """Patient, study, series and equipment; the day is made up."""
    data.SpecificCharacterSet = "ISO_IR 100"
    data.SOPClassUID = CTImageStorage
    data.StudyDate, data.StudyTime = "20000101", "120000"
    data.AccessionNumber, data.ReferringPhysicianName = "", ""
    data.Modality, data.Manufacturer = "CT", _MAKER
    data.StudyDescription, data.SeriesDescription = "Simulated chest", "Lung phantom"
    data.PatientName, data.PatientID = f"{series.patient_id}^", series.patient_id
    data.PatientBirthDate, data.PatientSex = "", ""
    data.BodyPartExamined, data.PatientPosition = "CHEST", "HFS"
    data.StudyInstanceUID = UID(series.uid("study"))
    data.SeriesInstanceUID = UID(volume.series_uid)
    data.FrameOfReferenceUID = UID(series.uid("frame"))
    data.PositionReferenceIndicator = ""
    data.StudyID, data.SeriesNumber, data.AcquisitionNumber = "1", 2, 1


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2, DS), six digits after the point."""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
