"""Where a cohort's true nodules and labels come from: the phantoms' files, LIDC's readers, or what the user names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from classification.measuring.place import lung_extent
from lungscreen.eda.facts import NoduleFacts
from lungscreen.eda.lidc_table import rated
from lungscreen.eda.scans import is_axial
from preprocessing.annotations import read_annotations
from preprocessing.geometry import Triple
from preprocessing.intake.scan import Scan
from preprocessing.lidc.consensus import LidcNodule, find_nodules, pixels_to_world
from preprocessing.lidc.reading import RATINGS, LidcScan
from preprocessing.prepare import PreparedScan
from runs.csv_text import numbers, read_csv, read_lines
from runs.entry import UsageError

PHANTOM_COLUMNS = ("patient_id", "seriesuid", "coordX", "coordY", "coordZ", "diameter_mm", *RATINGS, "upper_lobe")


class Truth(Protocol):
    """Where true nodules come from."""

    @property
    def words(self) -> str:
        """The same, in words."""

    def of(self, scan: Scan, prepared: PreparedScan) -> list[NoduleFacts]:
        """Nodules of one series, without a place."""

    def others(self, seen: Collection[str]) -> list[NoduleFacts]:
        """Nodules of series that are not among those seen."""

    def faults(self) -> tuple[str, ...]:
        """What was odd about it, each `code: sentence`; after all scans were asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """A table with centres in mm.

    Attributes:
        words: see `Truth`.
        by_series: its nodules.
    """

    words: str
    by_series: Mapping[str, Sequence[NoduleFacts]]

    def of(self, scan: Scan, prepared: PreparedScan) -> list[NoduleFacts]:
        """See `Truth`."""
        return [replace(n, patient_id=scan.patient_id) for n in self.by_series.get(scan.series_uid, ())]

    def others(self, seen: Collection[str]) -> list[NoduleFacts]:
        """See `Truth`; they lie in no scan, so their centres say nothing."""
        return [replace(n, center_mm=None) for uid, ns in self.by_series.items() if uid not in seen for n in ns]

    def faults(self) -> tuple[str, ...]:
        """See `Truth`."""
        return ()


class LidcReaders:
    """What LIDC's readers drew in those of the series that are in its table."""

    def __init__(self, scans: Sequence[LidcScan]) -> None:
        self._scans = {scan.series_uid: scan for scan in scans}
        self._found = 0
        self._turned: list[str] = []

    @property
    def words(self) -> str:
        """See `Truth`."""
        return "outlines and ratings of LIDC-IDRI's readers" if self._found or self._turned else "none"

    def of(self, scan: Scan, prepared: PreparedScan) -> list[NoduleFacts]:
        """See `Truth`; none where the files' axes are not those that the readers drew on."""
        drawn = self._scans.get(scan.series_uid)
        if drawn is None:
            return []
        if not is_axial(scan):
            self._turned.append(scan.patient_id)
            return []
        self._found += 1
        return [_outlined(nodule, scan, prepared) for nodule in find_nodules(drawn)]

    def others(self, seen: Collection[str]) -> list[NoduleFacts]:
        """See `Truth`; the table's other scans were not asked for."""
        return []

    def faults(self) -> tuple[str, ...]:
        """See `Truth`."""
        sentence = "is in LIDC's table, but its files do not say that their axes are those of the outlines; "
        return tuple(f"no_outlines: {p} {sentence}annotations= takes centres in mm" for p in self._turned)


def _outlined(nodule: LidcNodule, scan: Scan, prepared: PreparedScan) -> NoduleFacts:
    x, y, z = pixels_to_world(prepared.source_geometry, nodule.center("mean")).tolist()
    return NoduleFacts(
        scan.patient_id, scan.series_uid, nodule.diameter_mm("mean"), None, (x, y, z), ratings=rated(nodule)
    )


def phantom_folder(source: Path) -> Path | None:
    """The cohort that `source` or its `dicom` folder is of, or None."""
    for folder in (source, source.parent):
        if (folder / "cohort.json").is_file() and (folder / "nodules.csv").is_file():
            return folder
    return None


def of_phantoms(folder: Path) -> Listed:
    """The truth beside a phantom cohort.

    Raises:
        UsageError: its table is broken.
    """
    path = folder / "nodules.csv"
    table = read_lines(path, PHANTOM_COLUMNS, ("patient_id", "seriesuid"))
    given = {name: numbers(path, table, name) for name in PHANTOM_COLUMNS[2:]}
    found = []
    for k, (patient, uid) in enumerate(zip(table["patient_id"], table["seriesuid"], strict=True)):
        center = (given["coordX"][k], given["coordY"][k], given["coordZ"][k])
        ratings = {name: (given[name][k],) for name in RATINGS}
        upper = bool(given["upper_lobe"][k])
        found.append(NoduleFacts(patient, uid, given["diameter_mm"][k], None, center, ratings, upper))
    words = "the phantoms' own truth; ratings are those of the LIDC nodule that lent its outline"
    return Listed(words, _grouped(found))


def of_annotations(path: Path) -> Listed:
    """Of a LUNA16 list; the patient of a series that is not among the scans is the series itself.

    Raises:
        FileNotFoundError, UsageError: no such file, or not of that form.
    """
    found = [NoduleFacts(n.series_uid, n.series_uid, n.diameter_mm, None, n.center_mm) for n in read_annotations(path)]
    return Listed(f"{path.name}; it has no ratings", _grouped(found))


def _grouped(nodules: Sequence[NoduleFacts]) -> dict[str, list[NoduleFacts]]:
    found: dict[str, list[NoduleFacts]] = {}
    for nodule in nodules:
        found.setdefault(nodule.series_uid, []).append(nodule)
    return found


def read_labels(path: Path) -> dict[str, int]:
    """Cancer by patient out of `id,cancer`.

    Raises:
        FileNotFoundError, UsageError: no such file, no such columns, or a label that is neither 0 nor 1.
    """
    table = read_csv(path, ("id",), ("cancer",))
    if not {"id", "cancer"} <= set(table.columns):
        raise UsageError(f"{path.name} must have the columns id,cancer; it has {','.join(map(str, table.columns))}")
    bad = table[~table["cancer"].isin([0, 1])]
    if len(bad):
        raise UsageError(f"{path.name}: cancer must be 0 or 1, got {bad['cancer'].iloc[0]} for {bad['id'].iloc[0]}")
    return {str(patient): int(cancer) for patient, cancer in zip(table["id"], table["cancer"], strict=True)}


def located(nodule: NoduleFacts, prepared: PreparedScan) -> NoduleFacts:
    """The nodule with its place in the lungs' box, and whether its centre lies in the lung mask."""
    assert nodule.center_mm is not None
    z, y, x = np.rint(prepared.volume.geometry.to_voxel(nodule.center_mm)).astype(int).tolist()
    mask = prepared.lung_mask
    inside = all(0 <= i < n for i, n in zip((z, y, x), mask.shape, strict=True)) and bool(mask[z, y, x])
    low, high = lung_extent(prepared)
    return replace(nodule, place=fractions(nodule.center_mm, low, high), in_lungs=inside)


def fractions(center_mm: Triple, low_mm: Sequence[float], high_mm: Sequence[float]) -> Triple:
    """Of the way from the patient's right to left, front to back and foot to head of a box."""
    low, high = np.asarray(low_mm), np.asarray(high_mm)
    x, y, z = ((np.asarray(center_mm) - low) / np.maximum(high - low, 1e-6)).tolist()
    return x, y, z
