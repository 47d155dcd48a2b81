"""Nodules with what their readers drew, and the numbered examples that the network of outlines learns from."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import edt
import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import torch
from scipy import ndimage

from classification.outlines.picture import Floats, Seed, picture_of
from classification.outlines.settings import SeedSettings
from preprocessing.lidc.nodule_folder import read_nodule_folder
from preprocessing.resample import interpolated, resample_isotropic
from preprocessing.volume import HU_MAX, HU_MIN, Volume
from runs.seeds import stream

Mask = npt.NDArray[np.bool_]
Batch = dict[str, torch.Tensor]

IN_SLICE = ndimage.generate_binary_structure(2, 1)[None]
# LIDC's pixels are about so wide: as much of a cube's mask, along the border in each slice, is the contour's own.
CONTOUR_MM = 0.7
# Of the noise that is added, in the picture's units: the offset of all voxels, and the most of each one's own.
OFFSET, NOISIEST = 0.04, 0.06


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A nodule at 1 mm as its readers drew it, without the contour's own pixels, which lie outside of it.

    Attributes:
        name: of the file or row.
        patient: whose it is.
        hu: (Z, Y, X) int16.
        share: (Z, Y, X) float32, how much of each voxel is nodule.
        diameter_mm: of the sphere of its volume.
        volume_mm3: LUNA16's, or of the shares.
    """

    name: str
    patient: str
    hu: npt.NDArray[np.int16]
    share: npt.NDArray[np.float32]
    diameter_mm: float
    volume_mm3: float

    @property
    def mask(self) -> Mask:
        """Voxels of which at least half is nodule."""
        return self.share >= 0.5

    @property
    def center_zyx(self) -> Floats:
        """Middle of the mask."""
        return np.asarray(np.argwhere(self.mask).mean(0))


def read_boxes(folder: Path) -> Iterator[Drawn]:
    """LIDC nodules in boxes that hardly reach beyond them along z; the diameter is the table's, LUNA16's.

    Raises:
        FileNotFoundError, UsageError: see `read_nodule_folder`.
    """
    for index, nodule in enumerate(read_nodule_folder(folder)):
        hu = np.clip(nodule.hu, HU_MIN, HU_MAX).astype(np.int16)
        fine = resample_isotropic(Volume(hu, nodule.geometry, "lidc"), 1.0)
        inner = torch.from_numpy(within_contours(nodule.mask).astype(np.float32))
        share = interpolated(inner, nodule.geometry, fine.geometry).numpy()
        volume = np.pi / 6 * nodule.diameter_mm**3
        yield Drawn(f"{index}-{nodule.patient_id}", nodule.patient_id, fine.hu, share, nodule.diameter_mm, volume)


def read_cubes(folder: Path) -> Iterator[Drawn]:
    """LIDC nodules in cubes of their surroundings at 1 mm."""
    with (folder / "crops.csv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table):
            hu, mask = (
                sitk.GetArrayFromImage(sitk.ReadImage(str(folder / kind / row["file"]))) for kind in ("image", "mask")
            )
            share = np.stack([_inner_share(section > 0) for section in mask])
            volume = float(share.sum(dtype=np.float64))
            diameter = (6 / np.pi * volume) ** (1 / 3)
            yield Drawn(row["file"], row["patient_id"], hu.astype(np.int16), share, diameter, volume)


def within_contours(mask: Mask) -> Mask:
    """(Z, Y, X) without the outermost pixels of each slice; a mask that would vanish stays."""
    inner: Mask = ndimage.binary_erosion(mask, IN_SLICE)
    return inner if inner.any() else mask


def _inner_share(section: Mask) -> npt.NDArray[np.float32]:
    """(Y, X) how much of each pixel lies further inside than a contour is wide."""
    if not section.any():
        return np.zeros(section.shape, np.float32)
    return np.asarray(np.clip(edt.edt(section) - CONTOUR_MM, 0, 1), np.float32)


class NumberedPictures:
    """Training examples without end: number k is a function of k and the seed alone.

    Args:
        boxes, cubes: to learn from.
        cube_share: of the examples.
        seeds: how far off.
        seed: of everything random.
    """

    def __init__(
        self, boxes: Sequence[Drawn], cubes: Sequence[Drawn], cube_share: float, seeds: SeedSettings, seed: int
    ) -> None:
        self.boxes, self.cubes, self.seeds, self.seed = list(boxes), list(cubes), seeds, seed
        self.cube_share = cube_share if self.cubes else 0.0

    def __getitem__(self, number: int) -> Batch:
        rng = stream("classification.outlines", self.seed, number)
        pool = self.cubes if rng.random() < self.cube_share else self.boxes
        nodule = pool[int(rng.integers(len(pool)))]
        far = 0.0 if rng.random() < self.seeds.exact else 1.0
        seed = disturbed(nodule, self.seeds.place * far, self.seeds.size * far, rng)
        picture, _ = picture_of(nodule.hu, seed, _turn(rng), nodule.share[None])
        channels = picture.channels
        noise = rng.normal(0, rng.uniform(0, NOISIEST), channels.shape[1:]) + rng.normal(0, OFFSET)
        channels[0] += torch.from_numpy(noise.astype(np.float32)) * picture.known
        return {
            "picture": channels,
            "share": picture.more[0] * picture.known,
            "known": picture.known,
            "voxels": torch.tensor(nodule.volume_mm3 / seed.voxel_mm**3, dtype=torch.float32),
        }


def disturbed(nodule: Drawn, place: float, size: float, rng: np.random.Generator) -> Seed:
    """A seed so far off: standard deviations in diameters and of the logarithm of the diameter."""
    center = nodule.center_zyx + rng.normal(0, nodule.diameter_mm * place, 3)
    return Seed(center, nodule.diameter_mm * float(np.exp(rng.normal(0, size))))


def _turn(rng: np.random.Generator) -> Floats:
    """About z by any angle, mirrored along z and in plane or not."""
    angle = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) * rng.choice([-1.0, 1.0], 3))
