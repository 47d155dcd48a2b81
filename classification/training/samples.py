"""Training examples of stage 2: LIDC nodules with their ratings, and normal tissue out of background scans."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from classification.network import RATING_SCALES, from_rating
from preprocessing.lidc.nodule_folder import BoxedNodule, read_nodule_folder
from preprocessing.patches import extract_patch
from preprocessing.prepare import PreparedScan
from preprocessing.resample import resample_isotropic
from preprocessing.splits import FOLDS, SplitSettings, fold_of
from preprocessing.volume import HU_MAX, HU_MIN, Volume
from runs.entry import UsageError

# Stored crops are larger than what the network sees, so that training can shift them.
STORED = 40


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """N examples.

    Attributes:
        crops: (N, 40, 40, 40) int16 HU at 1 mm, nodule in the middle.
        diameter_mm: (N,).
        is_nodule: (N,) bool; False for normal tissue.
        ratings: (N, 8) in [0, 1] in the order of `RATING_SCALES`, NaN for normal tissue and for pasted nodules.
        patients: (N,) patient ids; of pasted nodules that of the scan they were blended into.
    """

    crops: npt.NDArray[np.int16]
    diameter_mm: npt.NDArray[np.float32]
    is_nodule: npt.NDArray[np.bool_]
    ratings: npt.NDArray[np.float32]
    patients: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.crops)

    def at(self, where: npt.NDArray[np.bool_]) -> Samples:
        """The examples a mask selects."""
        return Samples(
            self.crops[where],
            self.diameter_mm[where],
            self.is_nodule[where],
            self.ratings[where],
            self.patients[where],
        )

    @property
    def rated(self) -> npt.NDArray[np.bool_]:
        """(N,) nodules in their own scans; those that were pasted into others say only that they are nodules."""
        rated: npt.NDArray[np.bool_] = self.is_nodule & np.isfinite(self.ratings).all(1)
        return rated

    @property
    def malignancy(self) -> npt.NDArray[np.float32]:
        """(N,) readers' rating 1-5, NaN for what is not rated."""
        return 1 + 4 * self.ratings[:, list(RATING_SCALES).index("malignancy")]


def join(parts: list[Samples]) -> Samples:
    """All examples, in order."""
    return Samples(
        np.concatenate([p.crops for p in parts]),
        np.concatenate([p.diameter_mm for p in parts]),
        np.concatenate([p.is_nodule for p in parts]),
        np.concatenate([p.ratings for p in parts]),
        np.concatenate([p.patients for p in parts]),
    )


def folds_of(samples: Samples, split: SplitSettings) -> npt.NDArray[np.int64]:
    """The fold of each example, (N,), none of them the fold that the split holds out.

    Patients with nodules go by the split's rule. The others, few scans of normal tissue, take the folds in turn, in
    their order, so that no fold is left without.
    """
    with_nodules = {p: fold_of(p) for p in samples.patients[samples.rated].tolist()}
    others = [p for p in dict.fromkeys(samples.patients.tolist()) if p not in with_nodules]
    fold = with_nodules | {p: fold_in_turn(i, split) for i, p in enumerate(others)}
    return np.array([fold[p] for p in samples.patients.tolist()], dtype=np.int64)


def fold_in_turn(place: int, split: SplitSettings) -> int:
    """The fold of the scan without rated nodules at a place, from 0, in the order of these."""
    folds = [fold for fold in range(FOLDS) if fold != split.held_out_fold]
    return folds[place % len(folds)]


def read_nodules(folder: Path) -> Samples:
    """The LIDC nodules of a folder: voxels at 1 mm, centred on the centroid of the mask.

    Beyond the box the border is repeated, as `classification.crops` repeats it for every crop.

    Raises:
        FileNotFoundError, UsageError: see `read_nodule_folder`; a table without rows too.
    """
    crops, rows = [], []
    for nodule in read_nodule_folder(folder, tuple(RATING_SCALES)):
        crops.append(_box_crop(nodule))
        ratings = [from_rating(name, nodule.ratings[name]) for name in RATING_SCALES]
        rows.append((nodule.diameter_mm, ratings, nodule.patient_id))
    if not rows:
        raise UsageError(f"{folder} must list nodules in its table; there are none")
    diameters, rated, patients = zip(*rows, strict=True)
    return Samples(
        np.stack(crops),
        np.array(diameters, np.float32),
        np.ones(len(rows), dtype=bool),
        np.array(rated, np.float32),
        np.array(patients, str),
    )


def _box_crop(nodule: BoxedNodule) -> npt.NDArray[np.int16]:
    hu = np.clip(nodule.hu, HU_MIN, HU_MAX).astype(np.int16)
    center_mm = nodule.geometry.to_world(np.argwhere(nodule.mask).mean(0))
    fine = resample_isotropic(Volume(hu, nodule.geometry, "lidc"), 1.0)
    padded = np.pad(fine.hu, STORED, mode="edge")
    return extract_patch(padded, fine.geometry.to_voxel(center_mm) + STORED, (STORED,) * 3)


def tissue(
    prepared: PreparedScan,
    patient_id: str,
    count: int,
    diameters_mm: npt.NDArray[np.float32],
    rng: np.random.Generator,
    avoid: list[tuple[tuple[float, float, float], float]],
) -> Samples:
    """Dense spots of normal lung (vessels, walls, scars) that a detector might mistake for nodules.

    Args:
        prepared: 1 mm scan.
        patient_id: whose.
        count: at most so many.
        diameters_mm: drawn from, so that size does not give tissue away.
        rng: seeded.
        avoid: world centres and radii in mm where something real may grow.
    """
    hu = prepared.volume.hu
    smooth = ndimage.gaussian_filter(np.clip(hu, -1000, 200).astype(np.float32), 1.5)
    peaks = (smooth == ndimage.maximum_filter(smooth, 7)) & (smooth > -700) & prepared.lung_mask
    places = np.argwhere(peaks)
    for center_mm, radius in avoid:
        away = np.linalg.norm(places - prepared.volume.geometry.to_voxel(center_mm), axis=1) > radius + STORED / 2
        places = places[away]
    places = places[rng.permutation(len(places))[:count]]
    crops = [thickened(extract_patch(hu, place, (STORED,) * 3), rng) for place in places]
    return unrated(crops, rng.choice(diameters_mm, len(crops)), False, patient_id)


def thickened(
    crop: npt.NDArray[np.int16] | npt.NDArray[np.float32], rng: np.random.Generator
) -> npt.NDArray[np.int16]:
    """As slices of about 1 to 3 mm would show it: LIDC's are so thick, and thickness must not give a class away."""
    blurred = ndimage.gaussian_filter1d(crop.astype(np.float32), rng.uniform(0.01, 1.2), axis=0)
    return np.asarray(np.rint(np.clip(blurred, HU_MIN, HU_MAX)), np.int16)


def unrated(
    crops: list[npt.NDArray[np.int16]], diameters_mm: npt.ArrayLike, is_nodule: bool, patient_id: str
) -> Samples:
    """Examples of one scan that no reader rated."""
    n = len(crops)
    return Samples(
        np.stack(crops) if crops else np.zeros((0, *(STORED,) * 3), np.int16),
        np.asarray(diameters_mm, np.float32),
        np.full(n, is_nodule),
        np.full((n, len(RATING_SCALES)), np.nan, np.float32),
        np.array([patient_id] * n, dtype=str),
    )
