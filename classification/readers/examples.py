"""Nodules with what is measured of them and what each of their readers said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from classification.measurements import measured
from classification.measuring.outline import outline
from classification.network import RATING_SCALES, from_rating
from classification.readers.model import inputs_of
from preprocessing.lidc.consensus import LidcNodule, find_nodules
from preprocessing.lidc.nodule_folder import TABLE, BoxedNodule, read_nodule_folder
from preprocessing.lidc.table import read_table
from preprocessing.luna16.files import read_headers
from preprocessing.resample import resample_isotropic
from preprocessing.volume import HU_MAX, HU_MIN, Volume
from runs.csv_text import numbers, read_lines

Floats = npt.NDArray[np.float64]
Votes = Mapping[str, Sequence[int]]

SUSPICIOUS, UNLIKELY = 4, 2


@dataclass(frozen=True, slots=True, eq=False)
class Rated:
    """N nodules.

    Attributes:
        inputs: (N, `INPUTS`).
        votes: of each its readers' ratings by name.
        voted: (N,) malignancy of the nodules' table: the readers' most frequent rating, the lowest of several.
        diameter_mm: (N,) of the table.
        patients: (N,) ids.
    """

    inputs: Floats
    votes: tuple[Votes, ...]
    voted: Floats
    diameter_mm: Floats
    patients: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.inputs)

    def at(self, where: npt.NDArray[np.bool_]) -> Rated:
        """The nodules a mask selects."""
        votes = tuple(v for v, chosen in zip(self.votes, where.tolist(), strict=True) if chosen)
        return Rated(self.inputs[where], votes, self.voted[where], self.diameter_mm[where], self.patients[where])

    def shares(self) -> tuple[Floats, Floats]:
        """(N,) share of the readers who call it suspicious (4, 5), and of those who call it unlikely (1, 2)."""
        said = [np.asarray(v["malignancy"]) for v in self.votes]
        return np.array([(s >= SUSPICIOUS).mean() for s in said]), np.array([(s <= UNLIKELY).mean() for s in said])

    def mean(self, name: str) -> Floats:
        """(N,) mean rating."""
        return np.array([np.mean(v[name]) for v in self.votes])

    def targets(self) -> Floats:
        """(N, 8) mean ratings, `RATING_SCALES` mapped to [0, 1]."""
        return np.stack([[from_rating(n, float(x)) for x in self.mean(n)] for n in RATING_SCALES], 1)


def read_rated(folder: Path, headers: Path, within_mm: float) -> Rated:
    """The nodules of a folder, measured from centre and diameter of their table as a scan's candidates are.

    Args:
        folder: with `nodules.csv`, `image/` and `mask/` (see `read_nodule_folder`).
        headers: LUNA16's, a folder or a csv: they say where in the scan the readers' outlines lie.
        within_mm: the readers' nodule is the nearest one of the scan, at most so far away; where there is none, the
            ratings of the table stand for one reader's.

    Raises:
        FileNotFoundError, UsageError: see `read_nodule_folder` and `read_headers`.
    """
    places = _places(folder)
    readings = readings_of({uid for uid, _ in places}, headers)
    rows = []
    for (uid, place), nodule in zip(places, read_nodule_folder(folder, tuple(RATING_SCALES)), strict=True):
        alone = {name: [round(value)] for name, value in nodule.ratings.items()}
        votes = nearest_votes(readings.get(uid, []), place, within_mm) or alone
        rows.append((box_inputs(nodule), votes, nodule.ratings["malignancy"], nodule.diameter_mm, nodule.patient_id))
    inputs, every, voted, diameters, patients = zip(*rows, strict=True)
    return Rated(np.array(inputs), every, np.array(voted), np.array(diameters), np.array(patients, str))


def box_inputs(nodule: BoxedNodule) -> list[float]:
    """What is measured of a nodule in a box, from the middle of its mask and its diameter."""
    hu = np.clip(nodule.hu, HU_MIN, HU_MAX).astype(np.int16)
    fine = resample_isotropic(Volume(hu, nodule.geometry, "lidc"), 1.0)
    center = fine.geometry.to_voxel(nodule.geometry.to_world(np.argwhere(nodule.mask).mean(0)))
    found = outline(fine.hu, center, nodule.diameter_mm)
    return inputs_of(measured(found, fine.hu, fine.geometry))


def readings_of(series: set[str], headers: Path) -> dict[str, list[tuple[Floats, LidcNodule]]]:
    """The readers' nodules of some LIDC series, with their centres in world mm."""
    geometries = read_headers(headers)
    return {
        scan.series_uid: [(np.asarray(n.center_mm(geometry)), n) for n in find_nodules(scan)]
        for scan in read_table()
        if scan.series_uid in series and (geometry := geometries.get(scan.series_uid)) is not None
    }


def nearest_votes(
    nodules: Sequence[tuple[Floats, LidcNodule]], place_mm: Sequence[float], within_mm: float
) -> Votes | None:
    """Each reader's ratings of the nearest nodule that at least three of them saw, or None."""
    agreed = [(float(np.linalg.norm(at - np.asarray(place_mm))), n) for at, n in nodules if n.n_readers >= 3]
    away, nodule = min(agreed, key=lambda pair: pair[0], default=(np.inf, None))
    if nodule is None or away > within_mm:
        return None
    return {name: nodule.ratings(name) for name in RATING_SCALES}


def _places(folder: Path) -> list[tuple[str, tuple[float, ...]]]:
    """Series and world mm of each row."""
    path, axes = folder / TABLE, [f"coord{a}" for a in "XYZ"]
    table = read_lines(path, ("seriesuid", *axes), ("seriesuid",))
    return list(zip(table["seriesuid"], zip(*(numbers(path, table, axis) for axis in axes), strict=True), strict=True))
