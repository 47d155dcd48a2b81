"""A folder of LIDC nodules: a table `nodules.csv`, and for each row a box of voxels in `image/` and `mask/` (NIfTI).

The files' origin is flipped against LUNA16's world and is not used: everything here is relative to the box.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from tqdm import tqdm

from preprocessing.geometry import Geometry
from runs.csv_text import numbers, read_lines
from runs.entry import UsageError

TABLE = "nodules.csv"
COLUMNS = ("patient_id", "voi", "diameter_mm")


@dataclass(frozen=True, slots=True, eq=False)
class BoxedNodule:
    """One row of the table with its voxels.

    Attributes:
        patient_id: whose nodule it is.
        hu: (Z, Y, X) float32, true HU.
        mask: (Z, Y, X) bool, the nodule.
        geometry: of both, the first voxel at the origin and the axes those of the box.
        diameter_mm: of the sphere of equal volume.
        ratings: of the columns that were asked for, by name.
    """

    patient_id: str
    hu: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    geometry: Geometry
    diameter_mm: float
    ratings: Mapping[str, float]


def read_nodule_folder(folder: Path, ratings: Sequence[str] = ()) -> Iterator[BoxedNodule]:
    """The nodules of the folder in the order of the table, read one by one.

    Args:
        folder: with `nodules.csv`, `image/` and `mask/`; the column `voi` names a file in both.
        ratings: columns wanted besides the patient, the file and the diameter.

    Raises:
        FileNotFoundError: no table, or no image or mask of a row.
        UsageError: a column is missing, a cell is no number, or an image is none or of another shape than its mask.
    """
    path = folder / TABLE
    table = read_lines(path, (*COLUMNS, *ratings), ("patient_id", "voi"))
    diameters = numbers(path, table, "diameter_mm")
    rated = {name: numbers(path, table, name) for name in ratings}
    rows = zip(table["patient_id"], table["voi"], diameters, strict=True)
    for row, (patient, name, diameter) in enumerate(tqdm(rows, "LIDC nodules", len(table), disable=None)):
        image, mask = (_read(folder / kind / name) for kind in ("image", "mask"))
        if image.GetSize() != mask.GetSize():
            raise UsageError(f"{name} must have one shape in image and mask; got {image.GetSize()}, {mask.GetSize()}")
        hu = sitk.GetArrayFromImage(image)
        geometry = Geometry(hu.shape, image.GetSpacing(), (0.0, 0.0, 0.0), np.eye(3))
        given = {column: values[row] for column, values in rated.items()}
        yield BoxedNodule(patient, hu, sitk.GetArrayFromImage(mask) > 0, geometry, diameter, given)


def _read(path: Path) -> sitk.Image:
    if not path.is_file():
        raise FileNotFoundError(f"{TABLE} names a file that is not there: {path}")
    try:
        return sitk.ReadImage(str(path), sitk.sitkFloat32)
    except RuntimeError as error:
        raise UsageError(f"{path} is no image that can be read: {str(error).strip().splitlines()[-1]}") from None
