"""A phantom and the same phantom years before, whose chest was a little smaller and lay elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom

from phantom.chest import ChestSettings
from phantom.make import make_cohort

NOW, BEFORE, DAYS = "20240301", "20230301", 366
# Of the earlier scan's world along x, y, z.
SCALE = np.array([0.96, 0.96, 0.94])
SHIFT_MM = np.array([6.0, -9.0, 14.0])
CHEST = ChestSettings(matrix=96, targets_per_lung=60, thickness_mm=5.0, mean_nodules=4.0)


def earlier_mm(place_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Where a world point (..., 3) of the scan of now was before."""
    return np.asarray(place_mm) * SCALE + SHIFT_MM


def two_studies(folder: Path) -> Path:
    """`folder` with the DICOM files of both studies of one patient."""
    slices = sorted((make_cohort(folder / "cohort", 1, 3, CHEST, workers=1) / "dicom").rglob("*.dcm"))
    (folder / "studies").mkdir()
    for number, path in enumerate(slices):
        dataset = pydicom.dcmread(path)
        dataset.StudyDate = NOW
        dataset.save_as(folder / f"studies/now{number:03d}.dcm")
        dataset.StudyDate = BEFORE
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
            dataset[name].value += ".1"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.PixelSpacing = [float(s) * SCALE[0] for s in dataset.PixelSpacing]
        dataset.ImagePositionPatient = [round(v, 6) for v in earlier_mm(dataset.ImagePositionPatient).tolist()]
        dataset.save_as(folder / f"studies/before{number:03d}.dcm")
    return folder / "studies"
