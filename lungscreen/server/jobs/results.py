"""What the server keeps of a scan beside the tables: `result.json` and the voxels that the viewer shows."""

from __future__ import annotations

import gzip
import math
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from classification.assessment import NoduleAssessment
from classification.follow_up.applied import Followed
from classification.measuring.bare_crop import is_bare
from detection.candidate import Candidate
from detection.pictures.key_images import file_stem
from lungscreen.pipeline import Analysis
from lungscreen.server import NOTICE
from preprocessing.geometry import Geometry
from preprocessing.intake.scan import Scan
from preprocessing.volume import Volume
from runs.writing import write_json

# A chunk of a 512 x 512 matrix is 4 MB: soon there, and few requests for a scan.
CHUNK_SLICES = 8
# CT packs to about half at any level; higher ones only take longer.
GZIP_LEVEL = 1


def write_volume(folder: Path, volume: Volume) -> None:
    """Write `volume.json` and `000.gz`, `001.gz`, ...: int16 little endian, `CHUNK_SLICES` slices each, gzipped.

    Args:
        folder: made if missing.
        volume: upright, so that x points to the patient's left, y to the back and z to the head.
    """
    folder.mkdir(parents=True, exist_ok=True)
    depth = volume.geometry.shape_zyx[0]
    for number, start in enumerate(range(0, depth, CHUNK_SLICES)):
        content = np.ascontiguousarray(volume.hu[start : start + CHUNK_SLICES], dtype="<i2").tobytes()
        (folder / f"{number:03d}.gz").write_bytes(gzip.compress(content, GZIP_LEVEL, mtime=0))
    chunks = math.ceil(depth / CHUNK_SLICES)
    write_json(folder / "volume.json", {**volume.geometry.to_dict(), "chunk_slices": CHUNK_SLICES, "chunks": chunks})


def scan_result(analysis: Analysis, shown: Geometry) -> dict[str, Any]:
    """All that is known of a scan that was read, as JSON takes it: what is not known is None.

    Args:
        analysis: of the pipeline.
        shown: the grid of the viewer; `voxel_zyx` of a nodule lies on it.
    """
    report = analysis.report
    bare = is_bare(analysis.prepared)
    was = analysis.followed.found if analysis.followed else [None] * len(report.nodules)
    nodules = enumerate(zip(report.nodules, was, strict=True), 1)
    return {
        "cancer_probability": _number(report.cancer_probability),
        "cancer_least": _number(report.least),
        "cancer_most": _number(report.most),
        "uncalibrated": _number(report.uncalibrated),
        "calibration": report.calibration,
        "leak": _number(report.leak),
        "adds_up_to": report.adds_up_to,
        "provenance": dict(report.provenance),
        "prior": _prior(analysis.followed),
        "nodules": [{**_nodule(rank, nodule, shown), "prior": _was(then)} for rank, (nodule, then) in nodules],
        "report": None if bare else f"report/{file_stem(report.series_uid)}.html",
    }


def case_result(done: Sequence[Scan], read: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """`result.json`: every series found, those that were refused with the reason.

    Args:
        done: what became of the scans.
        read: `scan_result` by series uid.
    """
    scans = [
        {
            "page": file_stem(scan.series_uid) if scan.series_uid in read and not scan.refused else None,
            "patient_id": scan.patient_id,
            "series_uid": scan.series_uid,
            "study_uid": scan.study_uid,
            "study_date": scan.study_date,
            "kind": str(scan.kind),
            "status": "refused" if scan.refused else "ok",
            "reason": str(scan.refused or ""),
            "detail": scan.detail,
            "warnings": list(scan.warnings),
            **({} if scan.refused else read.get(scan.series_uid, {})),
        }
        for scan in done
    ]
    return {"notice": NOTICE, "lungscreen": version("lungscreen"), "scans": scans}


def _nodule(rank: int, nodule: NoduleAssessment, shown: Geometry) -> dict[str, Any]:
    candidate = nodule.candidate
    return {
        "rank": rank,
        "center_mm": list(candidate.center_mm),
        "voxel_zyx": shown.to_voxel(candidate.center_mm).tolist(),
        "diameter_mm": _number(candidate.diameter_mm),
        "score": _number(candidate.score),
        "malignancy": _number(nodule.malignancy),
        "chance": _number(nodule.chance),
        "contribution": _number(nodule.contribution),
        "risk_without": _number(nodule.risk_without),
        "attributes": {key: _number(value) for key, value in nodule.attributes.items()},
        "measurements": {
            key: value if isinstance(value, str) else _number(value) for key, value in nodule.measurements.items()
        },
    }


def _prior(followed: Followed | None) -> dict[str, Any] | None:
    if followed is None:
        return None
    uid = followed.prior.prepared.volume.series_uid
    days, correlation = followed.prior.days, followed.registration.correlation
    return {"page": file_stem(uid), "series_uid": uid, "days": _number(days), "correlation": _number(correlation)}


def _was(then: Candidate | None) -> dict[str, Any] | None:
    if then is None:
        return None
    return {"center_mm": list(then.center_mm), "diameter_mm": _number(then.diameter_mm)}


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
