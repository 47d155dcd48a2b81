"""Real chests that no training sees, at 1 mm, with all that is known and suspected in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cc3d
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from tqdm import tqdm

from benchmarks.held_out.suspected import SUSPECTED
from detection.training.spheres import Spheres, spheres
from phantom.hybrid import paste_places
from preprocessing.annotations import Nodule, read_annotations
from preprocessing.geometry import Geometry
from preprocessing.intake.find import find_scans
from preprocessing.intake.volume_reader import read_volume
from preprocessing.lungs.mask import lung_mask
from preprocessing.resample import resample, sample_mask
from preprocessing.volume import Volume
from runs.entry import UsageError
from runs.seeds import stream

# Of `held_out_hosts` of conf/data/context.yaml those without disease, and the patients that every split holds out.
CHESTS = ("LIDC-IDRI-0001", "LIDC-IDRI-0003", "CCMD-normal001", "HN-CHUS-052", "Pancreas-CT-CB-001")
# Of wall kept around the lungs (z, y, x), so that the preparation finds the body and the lungs in it.
AROUND_MM = (20.0, 45.0, 45.0)
PLACES = 6000
AIRWAY_BELOW_HU = -950
# Of the larger lung; what is smaller is no lung (a rim around the pharynx).
LUNG_SHARE = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Chest:
    """A chest to put nodules into.

    Attributes:
        patient_id: whose it is.
        hu: (Z, Y, X) int16 at 1 mm: the lungs and the wall around them.
        geometry: of `hu`, in the scan's world.
        lungs: (Z, Y, X) bool, the preparation's lung mask.
        lung_hu: median of the aerated lung.
        places: (n, 3) voxels where a nodule may grow: half of them beside walls and vessels.
        known: findings that the scan came with, LUNA16's and suspected ones: neither found nor false.
        marks: the same as balls in voxels.
    """

    patient_id: str
    hu: npt.NDArray[np.int16]
    geometry: Geometry
    lungs: npt.NDArray[np.bool_]
    lung_hu: float
    places: npt.NDArray[np.int64]
    known: tuple[Nodule, ...]
    marks: Spheres


def load_chests(data: Path, wanted: Sequence[str] = CHESTS) -> list[Chest]:
    """The chests in the order of `wanted`.

    Args:
        data: folder with `lidc_scans`, `backgrounds` and `luna16`.
        wanted: patients.

    Raises:
        FileNotFoundError: a folder or the annotations are not there.
        UsageError: a patient has no scan that can be read.
    """
    scans = {}
    for folder in ("lidc_scans", "backgrounds"):
        scans |= {scan.patient_id: scan for scan in find_scans(data / folder) if scan.refused is None}
    missing = [patient for patient in wanted if patient not in scans]
    if missing:
        raise UsageError(f"expected a scan of {', '.join(missing)} in lidc_scans or backgrounds of {data}, found none")
    listed = [n for name in ("annotations", "annotations_excluded") for n in read_annotations(_luna16(data, name))]
    chests = []
    for patient in tqdm(wanted, "held-out chests"):
        scan = scans[patient]
        known = [n for n in listed if n.series_uid == scan.series_uid]
        known += [Nodule(scan.series_uid, c, d) for c, d in SUSPECTED.get(patient, ())]
        chests.append(chest_of(patient, read_volume(scan), known))
    return chests


def chest_of(patient_id: str, volume: Volume, known: Sequence[Nodule] = ()) -> Chest:
    """A scan as a chest: its lungs with `AROUND_MM` of wall, at 1 mm."""
    mask, _ = lung_mask(volume)
    box = ndimage.find_objects(mask.view(np.uint8))[0]
    around = np.asarray(AROUND_MM) / np.asarray(volume.geometry.spacing_mm[::-1])
    start = np.maximum([int(s.start - a) for s, a in zip(box, around, strict=True)], 0)
    stop = np.minimum([int(s.stop + a) for s, a in zip(box, around, strict=True)], mask.shape)
    window = tuple(slice(a, b) for a, b in zip(start.tolist(), stop.tolist(), strict=True))
    cropped = volume.geometry.cropped(start, stop)
    grid = cropped.resampled((1.0, 1.0, 1.0))
    hu = resample(Volume(np.ascontiguousarray(volume.hu[window]), cropped, volume.series_uid), grid).hu
    lungs = sample_mask(mask[window], cropped, grid)
    aerated = hu[lungs & (hu < -500)]
    if not aerated.size:
        raise ValueError(f"expected lungs in the scan of {patient_id}, found no air")
    places = paste_places(hu.astype(np.float32), _lung_tissue(hu, lungs), stream("benchmarks.held_out.places"), PLACES)
    rows = [(*(float(v) for v in grid.to_voxel(n.center_mm)), _size(n)) for n in known]
    marks = spheres([(z, y, x, d) for z, y, x, d in rows])
    return Chest(patient_id, hu, grid, lungs, float(np.median(aerated)), places, tuple(known), marks)


def _lung_tissue(hu: npt.NDArray[np.int16], lungs: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The mask without pharynx, trachea and large bronchi and 6 mm around them, where no nodule grows."""
    lumen = ndimage.binary_opening(ndimage.uniform_filter(hu, 3) < AIRWAY_BELOW_HU, iterations=2)
    tissue = lungs & ~ndimage.binary_dilation(lumen, iterations=6)
    labels = cc3d.connected_components(ndimage.binary_opening(tissue, iterations=2), connectivity=6)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(tissue & np.isin(labels, np.flatnonzero(sizes > LUNG_SHARE * sizes.max())))


def _size(nodule: Nodule) -> float:
    """Findings of unknown size count 10 mm across, as LUNA16 counts them."""
    return nodule.diameter_mm if nodule.diameter_mm > 0 else 10.0


def _luna16(data: Path, name: str) -> Path:
    return data / "luna16" / f"{name}.csv"
