"""Small stand-ins for LUNA16 and LIDC-IDRI as they come: small chests with ball nodules, as .mhd and as DICOM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from preprocessing.annotations import Nodule, write_annotations
from preprocessing.geometry import Geometry
from preprocessing.lidc.reading import Contour, LidcScan
from preprocessing.volume import Volume
from tests.outlines import reading
from tests.series import write_series

UID = "1.3.6.1.4.1.14519.5.2.1.6279.6001."
# In the right lung of `small_chest`: world x, y, z and diameter, mm.
PLACES = ((-75.0, 20.0, 122.0, 18.0), (-65.0, -30.0, 122.0, 14.0))

# The labels of LUNA16's lung masks: left, right, windpipe.
LABELS = (3, 4, 5)


def small_chest(uid: str, places: Sequence[tuple[float, ...]] = PLACES, seed: int = 0) -> Volume:
    """Two lungs, 48 mm of a body, with balls of soft tissue in it; x and y grow along the rows and columns."""
    geometry = Geometry((16, 80, 90), (3.5, 3.5, 3.0), (-155.0, -140.0, 100.0), np.eye(3))
    x, y, z = np.moveaxis(geometry.to_world(np.moveaxis(np.indices(geometry.shape_zyx), 0, -1)), -1, 0)
    hu = np.full(x.shape, -1000)
    hu[(x / 140) ** 2 + (y / 115) ** 2 < 1] = 40
    for side in (-70, 70):
        hu[((x - side) / 50) ** 2 + (y / 80) ** 2 < 1] = -850
    for *center, diameter in places:
        hu[(x - center[0]) ** 2 + (y - center[1]) ** 2 + (z - center[2]) ** 2 < (diameter / 2) ** 2] = 40
    hu += np.random.default_rng(seed).integers(-15, 16, hu.shape)
    return Volume(hu.astype(np.int16), geometry, uid)


def nodule(uid: str, place: Sequence[float]) -> Nodule:
    x, y, z, diameter = place
    return Nodule(uid, (x, y, z), diameter)


def write_mhd(path: Path, volume: Volume) -> None:
    image = sitk.GetImageFromArray(volume.hu)
    image.SetSpacing(volume.geometry.spacing_mm)
    image.SetOrigin(volume.geometry.origin_mm)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def write_labels(path: Path, kind: type = np.uint8, packed: bool = False, labels: tuple[int, ...] = LABELS) -> None:
    """A mask on the grid of `small_chest`."""
    hu = small_chest("x").hu
    lungs = hu < -500
    lungs[:, :20] = lungs[:, -20:] = False
    voxels = np.zeros(hu.shape, kind)
    for number, label in enumerate(labels):
        part = slice(number * 30, (number + 1) * 30)
        voxels[:, :, part] = np.where(lungs[:, :, part], label, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((3.5, 3.5, 3.0))
    sitk.WriteImage(image, str(path), packed)


def write_luna16(folder: Path, subsets: dict[int, int]) -> list[str]:
    """`subsets[k]` scans in `subset<k>`, all with the first of `PLACES` as nodule and the second as excluded finding.

    Returns the uids, by subset and number.
    """
    uids = []
    for subset, count in subsets.items():
        for number in range(count):
            uids.append(f"{UID}{subset}.{number + 1}")
            write_mhd(folder / f"subset{subset}" / f"{uids[-1]}.mhd", small_chest(uids[-1], seed=len(uids)))
    write_annotations(folder / "annotations.csv", [nodule(uid, PLACES[0]) for uid in uids])
    others = [Nodule(uid, PLACES[1][:3], float("nan")) for uid in uids]
    write_annotations(folder / "annotations_excluded.csv", others)
    return uids


def write_lidc(folder: Path, patients: Sequence[str]) -> list[LidcScan]:
    """A DICOM series a patient, in TCIA's nesting, the first of `PLACES` outlined by three readers, the second by one.

    Returns what the table says of them.
    """
    scans = []
    for number, patient in enumerate(patients):
        volume = small_chest(f"{UID}7.{number + 1}", seed=number)
        write_series(folder / patient / "study" / volume.series_uid, volume, patient)
        outlines = [_outlined(volume, PLACES[0])] * 3 + [_outlined(volume, PLACES[1])]
        readings = tuple(reading(*contours, nodule_id=str(k)) for k, contours in enumerate(outlines))
        geometry = volume.geometry
        slices = geometry.to_world([[k, 0, 0] for k in range(geometry.shape_zyx[0])])[:, 2]
        thickness, pixel = geometry.spacing_mm[2], geometry.spacing_mm[0]
        scans.append(LidcScan(volume.series_uid, patient, thickness, pixel, slices, readings))
    return scans


def _outlined(volume: Volume, place: Sequence[float]) -> list[Contour]:
    """The first pixels outside of a ball, slice by slice, as LIDC's readers draw."""
    geometry, (*center, diameter) = volume.geometry, place
    contours = []
    for k in range(geometry.shape_zyx[0]):
        z = float(geometry.to_world([k, 0, 0])[2])
        inside = (diameter / 2) ** 2 - (z - center[2]) ** 2
        if inside > 0:
            radius = np.sqrt(inside) / geometry.spacing_mm[0] + 1
            middle = geometry.to_voxel([center[0], center[1], z])[[2, 1]]
            angles = np.linspace(0, 2 * np.pi, 65)
            points = middle + radius * np.column_stack([np.cos(angles), np.sin(angles)])
            contours.append(Contour(z, True, np.rint(points).astype(np.int64)))
    return contours
