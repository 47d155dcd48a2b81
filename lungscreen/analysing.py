"""Scans to a folder of results: tables, key images and pages, written while the run goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from classification.measuring.bare_crop import is_bare
from detection.candidate import Candidate, write_candidates
from detection.leavings import remove_results
from detection.pictures.key_images import write_key_images
from lungscreen.pipeline import Analysis, Pipeline
from lungscreen.report.page import PageLink, write_index, write_patient_page
from lungscreen.tables import Result, write_nodules, write_patients
from preprocessing.cohort import for_each_scan, write_scans
from preprocessing.intake.scan import Scan

Seen = Callable[[Scan, Analysis], None]


def analyse(
    pipeline: Pipeline,
    scans: Sequence[Scan],
    out: Path,
    key_images: int,
    seen: Seen | None = None,
    dicom: bool = False,
) -> list[Scan]:
    """Write candidates, scans, nodules and patients as csv, key images and the report.

    Args:
        pipeline: both stages.
        scans: from `find_scans`; the refused ones have their rows, too.
        out: folder for the results; what an earlier run left there under the same names is removed.
        key_images: of how many candidates a scan.
        seen: handed every scan that was read, with all that is known of it, while its voxels are still there.
        dicom: write segmentation and structured report into `dicom/`, too (extra `[dicom]`).

    Returns:
        The scans with what became of them, see `for_each_scan`.
    """
    out.mkdir(parents=True, exist_ok=True)
    remove_results(out)
    found: list[Candidate] = []
    results: list[Result] = []
    pages: list[PageLink] = []

    def as_dicom(analysis: Analysis, scan: Scan) -> tuple[str, ...]:
        if not dicom:
            return ()
        from lungscreen.dicom_out.write import write_dicom  # of an extra

        return write_dicom(analysis, scan, out / "dicom").warnings

    def work(scan: Scan) -> tuple[str, ...]:
        analysis = pipeline.run(scan)
        prepared, candidates, report = analysis.prepared, analysis.candidates, analysis.report
        if seen is not None:
            seen(scan, analysis)
        found.extend(candidates)
        results.append(Result(report, prepared.source_geometry, scan))
        warnings = (*report.warnings, *as_dicom(analysis, scan))
        if is_bare(prepared):
            return warnings
        write_key_images(prepared, candidates, out / "key_images", key_images)
        pages.append(write_patient_page(out / "report", report, prepared, top=key_images))
        return warnings

    def save(done: Sequence[Scan]) -> None:
        write_candidates(out / "candidates.csv", found)
        write_scans(out / "scans.csv", done)
        write_nodules(out / "nodules.csv", [r.report for r in results])
        write_patients(out / "patients.csv", [r for r in results if not math.isnan(r.report.cancer_probability)])
        write_index(out / "report", pages, [scan for scan in done if scan.refused])

    return for_each_scan(scans, work, save)
