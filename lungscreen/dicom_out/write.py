"""One analysis to DICOM files that belong into the study of its scan: the entry of this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydicom import Dataset

from classification.measurements import outline_of
from detection.dicom_out.captures import captures
from detection.dicom_out.report import device_of, measurement_report
from detection.dicom_out.settled import settle
from detection.dicom_out.source import SourceSeries
from detection.dicom_out.write import Written, write_objects
from lungscreen.dicom_out.findings import findings_of, of_patient
from lungscreen.dicom_out.segmentation import segmentation
from lungscreen.pipeline import Analysis
from preprocessing.intake.scan import Scan


def write_dicom(analysis: Analysis, scan: Scan, folder: Path, pictures: Sequence[Path] = ()) -> Written:
    """Write the structured report (`..._sr.dcm`) and, with nodules, the segmentation (`..._seg.dcm`).

    The same analysis of the same scan gives the same bytes; see `write_objects` for names and for what happens to a
    scan that was not DICOM.

    Args:
        analysis: of `scan`.
        scan: as found on disk, its files still there.
        folder: made if missing.
        pictures: key images to write as secondary captures (`..._01.dcm`, ...), too.

    Raises:
        OSError: a file cannot be read or written.
    """
    return write_objects(scan, folder, lambda source: _made(analysis, source, pictures))


def _made(analysis: Analysis, source: SourceSeries, pictures: Sequence[Path]) -> Mapping[str, Dataset]:
    report, prepared = analysis.report, analysis.prepared
    device = device_of(report.provenance)
    findings = findings_of(report, device)
    outlined: dict[str, Dataset] = {}
    if findings:
        outlines = [outline_of(nodule.candidate, prepared, analysis.draw) for nodule in report.nodules]
        outlined["seg"] = segmentation(source, device, findings, outlines, prepared.volume.geometry)
        settle(outlined["seg"], source)
    said = measurement_report(source, device, findings, of_patient(report), outlined.get("seg"))
    settle(said, source)
    return {"sr": said, **outlined, **captures(pictures, source, device)}
