"""The whole product in its order: files, volume, prepared scan, candidates, assessments, patient report.

Start reading here; every step is one call into the package that owns it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version

from classification.assessment import PatientReport
from classification.classifier import NoduleClassifier
from classification.follow_up.applied import Followed, Prior, with_prior
from classification.guidelines.applied import with_guidelines
from classification.guidelines.person import Person
from classification.measuring.bare_crop import is_bare, prepare_crop
from classification.measuring.outline import Draw, outline
from detection.candidate import Candidate
from detection.detect import Search
from lungscreen.priors import Priors
from preprocessing.geometry import Geometry
from preprocessing.intake.scan import Reason, Scan, ScanError
from preprocessing.lungs.mask import NO_LUNGS
from preprocessing.prepare import PreparedScan, prepare_scan


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """All that is known of a scan at the end.

    Attributes:
        prepared: what the networks saw.
        candidates: of stage 1, or given; world LPS mm, best first.
        report: of stage 2.
        draw: what drew the outlines that were measured.
        followed: the earlier scan that the report compares with, if there is one.
    """

    prepared: PreparedScan
    candidates: list[Candidate]
    report: PatientReport
    draw: Draw = outline
    followed: Followed | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    """Both stages with what they need.

    Attributes:
        search: preparation and stage 1.
        classifier: stage 2.
        given: candidates by series uid that take the place of stage 1, or None to detect.
        persons: what is known of patients, by id, for the guidelines.
        anyone: what is known of all the others.
        priors: earlier scans to compare with.
    """

    search: Search
    classifier: NoduleClassifier
    given: Mapping[str, Sequence[Candidate]] | None = None
    persons: Mapping[str, Person] = field(default_factory=dict)
    anyone: Person = field(default_factory=Person)
    priors: Priors = field(default_factory=Priors)

    def run(self, scan: Scan) -> Analysis:
        """A scan on disk to its candidates and its report: the one way, whoever asks.

        Raises:
            ScanError: when the pixels cannot be read; `no_lungs`: there is no probability without lungs.
        """
        if self.given is None:
            prepared, candidates = self.search.run(scan)
            source, more = self.search.detector.provenance, self._gate_warnings()
        else:
            prepared = prepare_crop(scan) or prepare_scan(scan, cache=self.search.prepared)
            candidates, more = self._given(prepared)
            source = {"detector": "candidates given by the user"}
        _check_lungs(prepared)
        warnings = (*prepared.warnings, *more)
        report = self.classifier.assess(prepared, candidates, scan.patient_id, warnings)
        followed = None
        if is_bare(prepared):
            report = _of_nodules_alone(report)
        else:
            report, followed = self._followed(report, prepared, scan)
        report = with_guidelines(report, self.persons.get(scan.patient_id, self.anyone))
        provenance = {"lungscreen": version("lungscreen"), **source, **report.provenance}
        report = replace(report, provenance=provenance)
        return Analysis(prepared, candidates, report, self.classifier.draw, followed)

    @property
    def made_by(self) -> dict[str, str]:
        """Names and checksums of the weights and how they are applied, the same for every scan."""
        detector = {} if self.given is not None else self.search.detector.provenance
        return {**detector, **self.classifier.provenance}

    def _followed(
        self, report: PatientReport, prepared: PreparedScan, scan: Scan
    ) -> tuple[PatientReport, Followed | None]:
        """With what became of the nodules since the earlier scan, where there is one."""
        found = self.priors.of(scan)
        if found is None:
            return report, None
        try:
            before, candidates = self.search.run(found[0])
            _check_lungs(before)
        except ScanError as error:
            said = f"prior_unreadable: {error.reason}: {error.detail}"
            return replace(report, warnings=(*report.warnings, said)), None
        return with_prior(report, prepared, Prior(before, candidates, found[1]), self.classifier.draw)

    def _gate_warnings(self) -> list[str]:
        """Stage 2 reads the detector's scores: those of another detector mean something else."""
        fitted = self.classifier.provenance.get("gate_detector", "")
        used = self.search.detector.provenance.get("detector", "")
        if not fitted or not used or fitted == used:
            return []
        return [f"gate_detector: stage 2 was fitted to scores of {fitted}, these are of {used}"]

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


def _check_lungs(prepared: PreparedScan) -> None:
    if any(warning.startswith(f"{NO_LUNGS}:") for warning in prepared.warnings):
        raise ScanError(Reason.NO_LUNGS, "no lungs were found in the scan; without lungs there is no probability")


def _of_nodules_alone(report: PatientReport) -> PatientReport:
    """Without what only a whole chest can say: the patient's probability and each nodule's share of it."""
    nodules = tuple(replace(n, contribution=math.nan, risk_without=math.nan) for n in report.nodules)
    return replace(report, nodules=nodules, cancer_probability=math.nan, leak=math.nan)


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
