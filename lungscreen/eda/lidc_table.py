"""LIDC-IDRI as its table alone knows it: 1,018 scans and all their readings, no voxel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lungscreen.eda.facts import Cohort, NoduleFacts, ScanFacts
from preprocessing.geometry import Triple
from preprocessing.lidc.consensus import LidcNodule, find_nodules
from preprocessing.lidc.reading import RATINGS, LidcScan

# Rows and columns of every LIDC image.
MATRIX = 512
PLACE = (
    "the scan: its width, its depth and its stack of slices. The table holds no lungs, so the margins are those of "
    "each scan's field of view"
)


def lidc_cohort(scans: Sequence[LidcScan]) -> Cohort:
    """Facts of the table's scans; nodules are clustered as pylidc does by default."""
    nodules = [found for scan in scans for found in find_nodules(scan)]
    return Cohort(
        name=f"LIDC-IDRI, the table of {len(scans):,} scans",
        scans=tuple(_scan(scan) for scan in scans),
        nodules=tuple(
            NoduleFacts(n.scan.patient_id, n.scan.series_uid, n.diameter_mm("mean"), _place(n), ratings=rated(n))
            for n in nodules
        ),
        labels={},
        place_words=PLACE,
        truth_words="outlines and ratings of up to four readers (LIDC-IDRI, Armato et al. 2011)",
    )


def rated(nodule: LidcNodule) -> dict[str, tuple[float, ...]]:
    """All ratings by name, one a reader."""
    return {name: tuple(map(float, nodule.ratings(name))) for name in RATINGS}


def _scan(scan: LidcScan) -> ScanFacts:
    gaps = np.diff(scan.slice_z_mm)
    return ScanFacts(
        patient_id=scan.patient_id,
        series_uid=scan.series_uid,
        slices=len(scan.slice_z_mm),
        pixel_mm=scan.pixel_spacing_mm,
        slice_mm=scan.slice_spacing_mm,
        gap=float(gaps.max() / np.median(gaps)),
        thickness_mm=scan.slice_thickness_mm,
    )


def _place(nodule: LidcNodule) -> Triple:
    column, row, z_mm = nodule.center("mean").tolist()
    low, high = float(nodule.scan.slice_z_mm[0]), float(nodule.scan.slice_z_mm[-1])
    return (column + 0.5) / MATRIX, (row + 0.5) / MATRIX, (z_mm - low) / (high - low)
