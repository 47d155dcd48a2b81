"""Hybrids: real nodules pasted into real or synthetic chests, and normal tissue pasted in the same way.

A nodule is lifted from its crop with its own surroundings feathered out, its lung matched to the local lung, and
blended into the host at a place where nodules grow. Normal tissue goes through the very same operation as a
negative, so that a seam, a blur or a halo says nothing about what was pasted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import SimpleITK as sitk
from scipy import ndimage

FloatVolume = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

LUNG_BELOW_HU = -600.0
FEATHER_MM = 1.2
SCALE_RANGE = (0.85, 1.15)


@dataclass(frozen=True, slots=True, eq=False)
class Chip:
    """A piece of tissue to paste, at 1 mm.

    Attributes:
        hu: (Z, Y, X) float32, true HU.
        mask: (Z, Y, X) float32 in [0, 1], the nodule (or the part of normal tissue) to transfer.
        diameter_mm: of the sphere of equal volume, as LUNA16 gives it.
        patient_id: whose tissue it is; splits go by patient.
        malignancy: voted rating 1-5, NaN where unknown.
    """

    hu: FloatVolume
    mask: FloatVolume
    diameter_mm: float
    patient_id: str
    malignancy: float = float("nan")


def load_chips(folder: Path, spacing_mm: float = 1.0) -> list[Chip]:
    """The nodules of a folder with `nodules.csv`, `image/` and `mask/` (NIfTI, true HU), resampled, in file order.

    Raises:
        FileNotFoundError: when `nodules.csv` is not there.
    """
    table = pd.read_csv(folder / "nodules.csv")
    chips = []
    for row in table.to_dict("records"):
        image = _resampled(sitk.ReadImage(str(folder / "image" / str(row["voi"])), sitk.sitkFloat32), spacing_mm)
        mask = _resampled(sitk.ReadImage(str(folder / "mask" / str(row["voi"])), sitk.sitkFloat32), spacing_mm)
        chips.append(Chip(image, mask, float(row["diameter_mm"]), str(row["patient_id"]), float(row["malignancy"])))
    return chips


def _resampled(image: sitk.Image, spacing_mm: float) -> FloatVolume:
    """Linear, over the voxel faces; the crop's missing z margin is later filled by the feathered mask."""
    old = np.asarray(image.GetSpacing())
    size = np.maximum(1, np.ceil(np.asarray(image.GetSize()) * old / spacing_mm)).astype(int)
    identity = sitk.Image(image)
    identity.SetOrigin((0.0, 0.0, 0.0))
    identity.SetDirection(np.eye(3).ravel().tolist())
    origin = ((spacing_mm - old) / 2).tolist()
    filter_ = sitk.ResampleImageFilter()
    filter_.SetSize(size.tolist())
    filter_.SetOutputSpacing([spacing_mm] * 3)
    filter_.SetOutputOrigin(origin)
    filter_.SetInterpolator(sitk.sitkLinear)
    filter_.UseNearestNeighborExtrapolatorOn()
    return cast(FloatVolume, sitk.GetArrayFromImage(filter_.Execute(identity)))


def varied(chip: Chip, rng: np.random.Generator) -> Chip:
    """Flipped, turned about z by any angle and scaled by 0.85 to 1.15: a size change that keeps the rating true."""
    scale = float(rng.uniform(*SCALE_RANGE))
    angle = float(rng.uniform(0, 2 * np.pi))
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.diag(rng.choice([-1.0, 1.0], 3)) / scale
    center = np.array(ndimage.center_of_mass(chip.mask))
    half = int(np.ceil(scale * (0.5 * max(_extent(chip.mask)) + 5)))
    shape = (2 * half + 1,) * 3
    offset = center - matrix @ np.full(3, half)
    hu = ndimage.affine_transform(chip.hu, matrix, offset, shape, order=1, mode="nearest")
    mask = ndimage.affine_transform(chip.mask, matrix, offset, shape, order=1, mode="constant")
    return Chip(hu, mask, chip.diameter_mm * scale, chip.patient_id, chip.malignancy)


def _extent(mask: FloatVolume) -> list[int]:
    where = np.argwhere(mask > 0.25)
    return [int(n) for n in where.max(0) - where.min(0) + 1]


def tissue_chip(host: npt.NDArray[np.int16], at_zyx: npt.ArrayLike, shape_of: Chip) -> Chip:
    """Normal tissue of a host around a voxel, in the outline of a (varied) nodule: a negative to paste."""
    size = np.asarray(shape_of.hu.shape)
    start = np.clip(np.asarray(at_zyx, int) - size // 2, 0, np.maximum(np.asarray(host.shape) - size, 0))
    piece = host[tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))].astype(np.float32)
    padding = [(0, n - m) for n, m in zip(size, piece.shape, strict=True)]
    return Chip(np.pad(piece, padding, mode="edge"), shape_of.mask, float("nan"), "normal tissue")


def paste(hu: FloatVolume, chip: Chip, center_zyx: npt.ArrayLike) -> None:
    """Blend the chip into `hu` (Z, Y, X) in place, its middle voxel at `center_zyx` (whole numbers).

    What falls outside the host is cut off.
    """
    size = np.asarray(chip.hu.shape)
    start = np.asarray(center_zyx, int) - size // 2
    low, high = np.maximum(start, 0), np.minimum(start + size, hu.shape)
    if np.any(high <= low):
        return
    host = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    part = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
    tissue = _matched(chip, hu[host])[part]
    weight = feathered(chip.mask)[part]
    hu[host] += weight * (tissue - hu[host])


def feathered(mask: FloatVolume) -> FloatVolume:
    """1 inside the nodule and 1 mm around it, falling to 0 over about 3 mm."""
    grown = ndimage.grey_dilation(mask, footprint=ndimage.generate_binary_structure(3, 1))
    soft = ndimage.gaussian_filter(grown, FEATHER_MM)
    return cast(FloatVolume, np.maximum(np.clip(soft * 1.3, 0, 1), np.clip(mask, 0, 1)).astype(np.float32))


def _matched(chip: Chip, host: FloatVolume) -> FloatVolume:
    """The chip with its lung level moved to the host's; soft tissue keeps its HU."""
    around = chip.hu[(chip.mask < 0.05) & (chip.hu < LUNG_BELOW_HU)]
    local = host[host < LUNG_BELOW_HU]
    if around.size < 20 or local.size < 20:
        return chip.hu
    shift = float(np.median(local) - np.median(around))
    share = 1 - np.clip((chip.hu + 850) / 700, 0, 1)
    return (chip.hu + shift * share).astype(np.float32)


def paste_places(hu: FloatVolume, lungs: Mask, rng: np.random.Generator, n: int) -> npt.NDArray[np.int64]:
    """Voxels where a nodule may grow: half anywhere in aerated lung, half beside a wall or a vessel.

    Returns:
        (m, 3) z, y, x with m <= n; fewer when there is little lung.
    """
    aerated = lungs & (hu < -500)
    solid = ndimage.uniform_filter((hu > -300).astype(np.float32), 7) > 0.12
    inner = np.argwhere(aerated & ~solid)
    beside = np.argwhere(aerated & solid)
    picks = []
    for _ in range(n):
        pool = beside if len(beside) and (rng.random() < 0.5 or not len(inner)) else inner
        if len(pool):
            picks.append(pool[rng.integers(len(pool))])
    return np.asarray(picks, dtype=np.int64).reshape(-1, 3)


def reacquired(hu: FloatVolume, rng: np.random.Generator) -> FloatVolume:
    """Another scanner: slice thickness 1-4 mm (box along z), kernel (blur or sharpening), correlated noise, offset."""
    out = hu
    if rng.random() < 0.5:
        out = ndimage.uniform_filter1d(out, int(rng.integers(2, 5)), axis=0, mode="nearest")
    kernel = rng.uniform(-0.6, 0.8)
    if kernel > 0.25:
        out = ndimage.gaussian_filter(out, (0, kernel, kernel))
    elif kernel < 0:
        out = out + np.float32(-kernel) * (out - ndimage.gaussian_filter(out, (0, 1.0, 1.0)))
    noise = rng.standard_normal(out.shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, rng.uniform(0.3, 0.9))
    sigma = rng.uniform(0, 30) / max(float(noise.std()), 1e-6)
    return cast(FloatVolume, out + np.float32(sigma) * noise + np.float32(rng.normal(0, 15)))
