"""Pieces of real tissue to blend into chests: nodules of a folder of crops, cubes of their surroundings.

Where a piece knows nothing (past the border of its crop) it has weight 0 and the host stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy import ndimage

from preprocessing.geometry import Triple
from preprocessing.lidc.nodule_folder import read_nodule_folder
from runs.csv_text import numbers, read_lines

FloatVolume = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Matrix = npt.NDArray[np.float64]

# Over which a piece blends into its host, in mm from the faces of its crop: along z (crops are short), in plane.
SLAB_FADE_MM = (2.5, 4.0)
CUBE_FADE_MM = (4.0, 4.0)
OUTLINE_FADE_MM = (1.0, 1.0)
FEATHER_MM = 1.2


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Tissue at 1 mm to blend into a chest.

    Attributes:
        hu: (Z, Y, X) float32, true HU.
        weight: (Z, Y, X) float32 in [0, 1], how much of the host it replaces.
        center_zyx: of the nodule, or of the middle; what is put at a place of the host.
        diameter_mm: of the nodule (sphere of equal volume, as LUNA16 gives it); 0 for normal tissue.
        patient_id: whose tissue it is; splits go by patient.
        slices_mm: distance of the slices it was scanned with; 1 where it is not known.
    """

    hu: FloatVolume
    weight: FloatVolume
    center_zyx: tuple[float, float, float]
    diameter_mm: float
    patient_id: str
    slices_mm: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class NoduleCrop:
    """A nodule of a folder of crops, to be blended as a slab (all that the crop shows) or by its outline alone.

    Attributes:
        slab: the whole crop.
        outline: the same tissue with the nodule's feathered outline as weight.
    """

    slab: Piece
    outline: Piece

    @property
    def diameter_mm(self) -> float:
        """Of the sphere of equal volume."""
        return self.slab.diameter_mm


def load_nodule_crops(folder: Path) -> list[NoduleCrop]:
    """The nodules of a folder at 1 mm, in file order.

    Raises:
        FileNotFoundError, UsageError: see `read_nodule_folder`.
    """
    crops = []
    for nodule in read_nodule_folder(folder):
        spacing = nodule.geometry.spacing_mm
        hu, mask = at_1mm(nodule.hu, spacing), at_1mm(nodule.mask.astype(np.float32), spacing)
        middle = cast(tuple[float, float, float], tuple(float(c) for c in ndimage.center_of_mass(mask)))
        weight = faded(hu.shape, SLAB_FADE_MM)
        piece = Piece(hu, weight, middle, nodule.diameter_mm, nodule.patient_id, spacing[2])
        outline = feathered(mask) * faded(hu.shape, OUTLINE_FADE_MM)
        crops.append(NoduleCrop(piece, replace(piece, weight=outline)))
    return crops


def load_cubes(folder: Path) -> list[Piece]:
    """Nodules in their own surroundings: a folder with `crops.csv` and `image/` (NIfTI cubes at 1 mm).

    Raises:
        FileNotFoundError: when `crops.csv` is not there.
        UsageError: a column is missing or a cell is no number.
        ValueError: a cube that is not at 1 mm.
    """
    path = folder / "crops.csv"
    measures = ("center_z", "center_y", "center_x", "diameter_mm")
    table = read_lines(path, ("file", "patient_id", *measures), ("file", "patient_id"))
    columns = (numbers(path, table, name) for name in measures)
    cubes = []
    for file, patient, z, y, x, diameter in zip(table["file"], table["patient_id"], *columns, strict=True):
        image = sitk.ReadImage(str(folder / "image" / file), sitk.sitkFloat32)
        if not np.allclose(image.GetSpacing(), 1.0, atol=0.01):
            raise ValueError(f"cubes must have voxels of 1 mm, got {image.GetSpacing()} in {file}")
        hu = sitk.GetArrayFromImage(image)
        cubes.append(Piece(hu, faded(hu.shape, CUBE_FADE_MM), (z, y, x), diameter, patient))
    return cubes


def at_1mm(values: FloatVolume, spacing_mm: Triple) -> FloatVolume:
    """(Z, Y, X) at 1 mm, linear, over the outer faces of the voxels; `spacing_mm` is x, y, z."""
    old = np.asarray(spacing_mm)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing_mm)
    size = np.maximum(1, np.ceil(np.asarray(image.GetSize()) * old)).astype(int)
    filter_ = sitk.ResampleImageFilter()
    filter_.SetSize(size.tolist())
    filter_.SetOutputSpacing([1.0] * 3)
    filter_.SetOutputOrigin(((1.0 - old) / 2).tolist())
    filter_.SetInterpolator(sitk.sitkLinear)
    filter_.UseNearestNeighborExtrapolatorOn()
    return cast(FloatVolume, sitk.GetArrayFromImage(filter_.Execute(image)))


def faded(shape: tuple[int, ...], fade_mm: tuple[float, float]) -> FloatVolume:
    """(Z, Y, X) weights at 1 mm: 0 at the faces of a crop, 1 from `fade_mm` (along z, in plane) inwards."""
    weight = np.ones(shape, np.float32)
    for axis, (n, fade) in enumerate(zip(shape, (fade_mm[0], fade_mm[1], fade_mm[1]), strict=True)):
        depth = np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5
        profile = np.clip(depth / fade, 0, 1).astype(np.float32)
        weight *= profile.reshape([-1 if a == axis else 1 for a in range(3)])
    return weight


def feathered(mask: FloatVolume) -> FloatVolume:
    """1 inside the nodule and 1 mm around it, falling to 0 over about 4 mm."""
    ball = np.linalg.norm(np.indices((5, 5, 5)) - 2, axis=0) <= 2
    grown = ndimage.grey_dilation(mask, footprint=ball)
    soft = ndimage.gaussian_filter(grown, FEATHER_MM)
    return cast(FloatVolume, np.maximum(np.clip(soft * 1.3, 0, 1), np.clip(mask, 0, 1)).astype(np.float32))
