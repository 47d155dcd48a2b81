"""Scans to a folder of results: key images and pages a scan at a time, tables and an index of all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from classification.heat_map import HeatMap
from classification.measuring.bare_crop import is_bare
from detection.detect import write_tables as write_stage_1
from detection.leavings import remove_results
from detection.pictures.key_images import write_key_images
from lungscreen.heat_maps import heat_maps, write_heat_maps
from lungscreen.pipeline import Analysis, Pipeline
from lungscreen.report.page import page_link, write_index, write_patient_page
from lungscreen.results import as_found, result_of
from lungscreen.tables import write_nodules, write_patients
from preprocessing.cohort import for_each_scan
from preprocessing.intake.scan import Scan
from preprocessing.journal.record import Answer, Record

Seen = Callable[[Scan, Analysis, Sequence[HeatMap]], None]


def analyse(
    pipeline: Pipeline,
    scans: Sequence[Scan],
    out: Path,
    key_images: int,
    seen: Seen | None = None,
    dicom: bool = False,
    dicom_images: bool = False,
) -> list[Scan]:
    """Write candidates, scans, nodules and patients as csv, key images and the report.

    Args:
        pipeline: both stages.
        scans: from `find_scans`; the refused ones have their rows, too.
        out: folder for the results; what an earlier run left there under the same names is removed.
        key_images: of how many candidates a scan.
        seen: handed every scan that was read, with all that is known of it and the heat maps of its page, while its
            voxels are still there.
        dicom: write segmentation and structured report into `dicom/`, too (extra `[dicom]`).
        dicom_images: and the key images as secondary captures.

    Returns:
        The scans with what became of them, see `for_each_scan`.
    """
    out.mkdir(parents=True, exist_ok=True)
    remove_results(out)
    answers: dict[Scan, Answer] = {}

    def work(scan: Scan) -> tuple[str, ...]:
        answers[scan] = analyse_scan(pipeline, scan, out, key_images, seen, dicom, dicom_images)
        return answers[scan].warnings

    def save(done: Sequence[Scan]) -> None:
        given = zip(done, scans, strict=False)
        records = [
            Record("", place, scan, "", None if scan.refused else answers[found])
            for place, (scan, found) in enumerate(given)
        ]
        write_tables(out, records)

    return for_each_scan(scans, work, save)


def analyse_scan(
    pipeline: Pipeline,
    scan: Scan,
    out: Path,
    key_images: int,
    seen: Seen | None = None,
    dicom: bool = False,
    dicom_images: bool = False,
    heat_map_files: bool = False,
) -> Answer:
    """Write the key images and the page of a scan, and tell what the tables need.

    Args:
        pipeline: both stages.
        scan: one that intake did not refuse.
        out: folder of results.
        key_images: of how many candidates.
        seen, dicom: see `analyse`.
        dicom_images: the key images as secondary captures among the DICOM objects.
        heat_map_files: the heat maps of the page on the scan's grid in `heat_maps/`, too.

    Raises:
        ScanError: see `Pipeline.run`.
    """
    analysis = pipeline.run(scan)
    prepared, candidates, report = analysis.prepared, analysis.candidates, analysis.report
    files, images, maps = [], list[Path](), list[HeatMap]()
    if not is_bare(prepared):
        images = write_key_images(prepared, candidates, out / "key_images", key_images)
        maps = heat_maps(pipeline.classifier, prepared, report, key_images)
        page = write_patient_page(out / "report", report, prepared, top=key_images, heat_maps=maps)
        files = [f"report/{page.file}", *(f"key_images/{path.name}" for path in images)]
        if heat_map_files:
            files.append(f"heat_maps/{write_heat_maps(out / 'heat_maps', prepared, maps).name}")
    if seen is not None:
        seen(scan, analysis, maps)
    warnings = report.warnings
    if dicom:
        from lungscreen.dicom_out.write import write_dicom  # of an extra

        written = write_dicom(analysis, scan, out / "dicom", images if dicom_images else ())
        files += [f"dicom/{path.name}" for path in written.paths]
        warnings = (*warnings, *written.warnings)
    return Answer(warnings, as_found(candidates, report, prepared.source_geometry), tuple(files), pipeline.made_by)


def write_tables(out: Path, records: Sequence[Record]) -> None:
    """All tables and the index of the report, of these records; the pages are there."""
    write_stage_1(out, records)
    results = [result for record in records if (result := result_of(record)) is not None]
    write_nodules(out / "nodules.csv", [r.report for r in results])
    write_patients(out / "patients.csv", [r for r in results if not math.isnan(r.report.cancer_probability)])
    pages = {name for record in records if record.answer for name in record.answer.files}
    links = [page_link(r.report) for r in results]
    shown = [link for link in links if f"report/{link.file}" in pages]
    write_index(out / "report", shown, [record.scan for record in records if record.scan.refused])
