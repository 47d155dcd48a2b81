"""LUNA16 as downloaded: folders `subset0` to `subset9` of `.mhd` volumes, and lists of nodules and other findings."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from preprocessing.annotations import Nodule, read_annotations
from preprocessing.archives.archive import Archive, Findings, findings
from preprocessing.geometry import Geometry
from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Scan
from preprocessing.lidc.table import read_patients
from runs.entry import UsageError

SUBSETS = 10
SUBSET = re.compile(r"subset(\d)")
ANNOTATIONS = ("annotations.csv",)
# The organisers ship it with their evaluation script.
EXCLUDED = ("annotations_excluded.csv", "evaluationScript/annotations/annotations_excluded.csv")


def open_luna16(folders: Sequence[Path], annotations: Path | None, excluded: Path | None) -> Archive:
    """The scans of the subset folders in or among `folders`, with the official ten folds.

    Args:
        folders: with `subset*` folders in them, or such folders.
        annotations, excluded: the lists; None: those in the folders.

    Raises:
        FileNotFoundError: a folder or list does not exist.
        UsageError: there are no subsets, a list is nowhere, or a series lies in two places.
    """
    truth = _by_series(read_annotations(annotations or _list(folders, ANNOTATIONS, "data.annotations")))
    others = _by_series(read_annotations(excluded or _list(folders, EXCLUDED, "data.excluded")))
    patients = read_patients()
    scans: list[Scan] = []
    part: dict[str, int] = {}
    for number, folder in _subsets(folders):
        for scan in find_scans(folder):
            scans.append(replace(scan, patient_id=patients.get(scan.series_uid, scan.patient_id)))
            part[scan.series_uid] = number
    times = Counter(scan.series_uid for scan in scans if scan.series_uid)
    twice = [uid for uid, n in times.items() if n > 1]
    if twice:
        raise UsageError(f"a series of LUNA16 must lie in one subset; {len(twice)} lie in several, such as {twice[0]}")

    def of(series_uid: str, _: Geometry | None) -> Findings:
        return findings(truth.get(series_uid, []), others.get(series_uid, []))

    return Archive("LUNA16", tuple(scans), part, SUBSETS, "held_out_subset", of)


def _subsets(folders: Sequence[Path]) -> list[tuple[int, Path]]:
    """By number, then in the order of the folders."""
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"no such folder: {folder}")
        for path in (folder, *sorted(folder.iterdir())):
            name = SUBSET.fullmatch(path.name)
            if name and path.is_dir():
                found.append((int(name[1]), path))
    if not found:
        raise UsageError(f"data.hosts must hold LUNA16's folders subset0 to subset9, got {[str(f) for f in folders]}")
    return sorted(found, key=lambda item: item[0])


def _list(folders: Sequence[Path], names: Sequence[str], option: str) -> Path:
    # Beside the subsets too, where the folders are subsets themselves.
    places = [place / name for folder in folders for place in (folder, folder.parent) for name in names]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise UsageError(f"no {names[0]} in data.hosts: say where it is, {option}=...")
    return path


def _by_series(nodules: Sequence[Nodule]) -> dict[str, list[Nodule]]:
    found: defaultdict[str, list[Nodule]] = defaultdict(list)
    for nodule in nodules:
        found[nodule.series_uid].append(nodule)
    return found
