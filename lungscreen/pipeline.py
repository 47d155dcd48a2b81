"""The whole product in its order: files, volume, prepared scan, candidates, assessments, patient report.

Start reading here; every step is one call into the package that owns it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from classification.assessment import PatientReport
from classification.classifier import NoduleClassifier
from detection.candidate import Candidate
from detection.candidate_cache import detect_cached
from detection.detector import NoduleDetector
from preprocessing.geometry import Geometry
from preprocessing.intake.scan import Scan
from preprocessing.prepare import PreparedScan, prepare_scan


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    """Both stages with what they need.

    Attributes:
        detector: stage 1.
        classifier: stage 2.
        given: candidates by series uid that take the place of stage 1, or None to detect.
        cache: folder for candidates, or None.
    """

    detector: NoduleDetector
    classifier: NoduleClassifier
    given: Mapping[str, Sequence[Candidate]] | None = None
    cache: Path | None = None

    def analyse(self, scan: Scan) -> tuple[list[Candidate], PatientReport]:
        """A scan on disk to its candidates and its report.

        Raises:
            ScanError: when the pixels cannot be read.
        """
        return self.assess(scan.patient_id, prepare_scan(scan))

    def assess(self, patient_id: str, prepared: PreparedScan) -> tuple[list[Candidate], PatientReport]:
        """A prepared scan to its candidates (world LPS mm, best first) and its report."""
        warnings = prepared.warnings
        if self.given is None:
            candidates = detect_cached(self.detector, prepared, self.cache)
            source = self.detector.provenance
        else:
            candidates, more = self._given(prepared)
            warnings, source = (*warnings, *more), {"detector": "candidates given by the user"}
        report = self.classifier.assess(prepared, candidates, patient_id, warnings)
        provenance = {"lungscreen": version("lungscreen"), **source, **report.provenance}
        return candidates, replace(report, provenance=provenance)

    def _given(self, prepared: PreparedScan) -> tuple[list[Candidate], list[str]]:
        """The user's candidates of this scan; those outside what was looked at cannot be assessed."""
        assert self.given is not None
        listed = self.given.get(prepared.volume.series_uid, ())
        if not listed:
            return [], ["no_candidates: the given list has none for this series"]
        inside = [c for c in listed if prepared.source_geometry.contains(c.center_mm)]
        near = [c for c in inside if prepared.volume.geometry.contains(c.center_mm)]
        warnings = _outside(listed, len(inside), prepared.source_geometry)
        if len(near) < len(inside):
            warnings.append(
                f"candidates_beyond_lungs: {len(inside) - len(near)} of {len(listed)} lie in the scan but outside the "
                "box around the lungs, where nothing is assessed, and are left out"
            )
        return near, warnings


def _outside(listed: Sequence[Candidate], inside: int, source: Geometry) -> list[str]:
    """What to say of candidates outside the scan: RAS when most are inside once x and y are negated."""
    outside = len(listed) - inside
    if not outside:
        return []
    turned = sum(bool(source.contains((-c.center_mm[0], -c.center_mm[1], c.center_mm[2]))) for c in listed)
    if 2 * outside > len(listed) and 2 * turned > len(listed):
        return [
            f"candidates_ras: {outside} of {len(listed)} lie outside the scan and are left out; with x and y negated "
            f"{turned} would lie inside: these look like RAS coordinates, world LPS mm is expected"
        ]
    return [
        f"candidates_outside: {outside} of {len(listed)} lie outside the scan (world LPS mm is expected) and are left "
        "out"
    ]
