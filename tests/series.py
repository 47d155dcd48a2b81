"""A small synthetic chest as DICOM files, for tests of the intake.

The chest has no symmetry: rows, columns and slices differ in number, spacing and content, so a swapped axis, a flip or
a shifted slice cannot go unnoticed. Along z every voxel grows by the same 4 HU a slice, so that a slice interpolated
between its neighbours is known exactly.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import Dataset, FileDataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian

from preprocessing.geometry import Geometry
from preprocessing.volume import Volume

N_SLICES, ROWS, COLUMNS = 16, 44, 48
SPACING_MM = (6.5, 7.0, 2.5)
ORIGIN_MM = (-150.5, -148.25, -731.5)
ROOT = "1.2.826.0.1.3680043.8.498."
SERIES_UID = ROOT + "7.1"
# Odd enough that it appears in a message only when it was put there.
PATIENT_NAME = "Quetzalcoatl^Xanthippe"
PATIENT_ID = "ZZ-PID-4711"
INTERCEPT = -1024

Edit = Callable[[int, Dataset], None]


def chest(n: int = N_SLICES) -> Volume:
    """Two lungs in a body; the corners lie outside the scanner's circle and hold -1024."""
    y, x = np.meshgrid(np.linspace(-1, 1, ROWS), np.linspace(-1, 1, COLUMNS), indexing="ij")
    plane = np.full((ROWS, COLUMNS), -1000)
    plane[(y / 0.8) ** 2 + (x / 0.95) ** 2 < 1] = 40
    plane[(y / 0.55) ** 2 + ((x + 0.45) / 0.35) ** 2 < 1] = -850
    plane[((y - 0.1) / 0.45) ** 2 + ((x - 0.5) / 0.25) ** 2 < 1] = -800
    plane += np.random.default_rng(7).integers(-15, 15, plane.shape)
    hu = plane + 4 * np.arange(n)[:, None, None]
    hu[:, outside_circle()] = -1024
    return Volume(hu.astype(np.int16), Geometry(hu.shape, SPACING_MM, ORIGIN_MM, np.eye(3)), SERIES_UID)


def outside_circle() -> np.ndarray:
    """(ROWS, COLUMNS) bool: the corners."""
    y, x = np.meshgrid(np.linspace(-1, 1, ROWS), np.linspace(-1, 1, COLUMNS), indexing="ij")
    return y**2 + x**2 > 1.7


def write_series(folder: Path, volume: Volume | None = None, patient_id: str = PATIENT_ID) -> Path:
    """One file a slice, unsigned, intercept -1024, named by slice: `0000.dcm`, ... Returns the folder."""
    volume = volume or chest()
    folder.mkdir(parents=True, exist_ok=True)
    for k, hu in enumerate(volume.hu):
        dataset = _common(volume, CTImageStorage, f"{volume.series_uid}.{k + 1}", patient_id)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.InstanceNumber = k + 1
        dataset.SliceThickness = volume.geometry.spacing_mm[2]
        dataset.PixelSpacing = [volume.geometry.spacing_mm[1], volume.geometry.spacing_mm[0]]
        dataset.ImagePositionPatient = decimals(volume.geometry.to_world([k, 0, 0]))
        dataset.ImageOrientationPatient = decimals(volume.geometry.direction[:, :2].T.ravel())
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, INTERCEPT
        dataset.PixelData = (hu.astype(int) - INTERCEPT).astype("<u2").tobytes()
        dataset.save_as(folder / f"{k:04d}.dcm", enforce_file_format=True)
    return folder


def write_enhanced(path: Path, volume: Volume, edit: Callable[[Dataset], None] | None = None) -> Path:
    """The volume as one enhanced multi-frame CT; frames are stored top down, against the order of the array."""
    order = list(range(len(volume.hu)))[::-1]
    dataset = _common(volume, EnhancedCTImageStorage, volume.series_uid + ".1", PATIENT_ID)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.NumberOfFrames = len(order)
    measures, orientation, values = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [volume.geometry.spacing_mm[1], volume.geometry.spacing_mm[0]]
    measures.SliceThickness = 99
    orientation.ImageOrientationPatient = decimals(volume.geometry.direction[:, :2].T.ravel())
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 1, INTERCEPT, "HU"
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    shared.PixelValueTransformationSequence = [values]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [_frame(volume, k) for k in order]
    dataset.PixelData = (volume.hu[order].astype(int) - INTERCEPT).astype("<u2").tobytes()
    if edit:
        edit(dataset)
    dataset.save_as(path, enforce_file_format=True)
    return path


def edit_series(folder: Path, edit: Edit) -> Path:
    """Apply `edit(k, dataset)` to every file, k being its place in the slice order of `write_series`."""
    for k, path in enumerate(slice_files(folder)):
        dataset = dcmread(path)
        edit(k, dataset)
        dataset.save_as(path)
    return folder


def slice_files(folder: Path) -> list[Path]:
    """The files from feet to head; by name, as `write_series` and the real copies name them."""
    return sorted(folder.glob("*.dcm"))


def decimals(numbers: np.ndarray) -> list[str]:
    """Decimal strings of at most 16 characters, as DICOM wants them."""
    return [f"{n:.9f}"[:16] for n in np.asarray(numbers).tolist()]


def _common(volume: Volume, sop_class: str, sop_uid: str, patient_id: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, sop_uid
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, sop_uid
    dataset.PatientName, dataset.PatientID = PATIENT_NAME, patient_id
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = ROOT + "7", volume.series_uid
    dataset.FrameOfReferenceUID = ROOT + "8"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20010203", "040506", "1"
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "CT", 1, 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    _, dataset.Rows, dataset.Columns = volume.hu.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    return dataset


def _frame(volume: Volume, k: int) -> Dataset:
    place, frame = Dataset(), Dataset()
    place.ImagePositionPatient = decimals(volume.geometry.to_world([k, 0, 0]))
    frame.PlanePositionSequence = [place]
    return frame
