"""An earlier scan on a report: what each nodule was, and how it changed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from classification.assessment import PatientReport
from classification.follow_up.growth import change_of, doubling_time
from classification.follow_up.matching import match
from classification.follow_up.registration import Registration, register
from classification.measurements import measurements
from classification.measuring.outline import Draw, outline
from detection.candidate import Candidate
from preprocessing.prepare import PreparedScan

# A scan beside a deformation of itself has .97, nine other people's .42 to .88 (`benchmarks.nodules.registration`).
LEAST_CORRELATION = 0.88
# From here on the volumes are worth less than the error says.
THIN_MM = 1.5

Measured = Mapping[str, float | str]


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """An earlier scan of the same person.

    Attributes:
        prepared: with lungs.
        candidates: all that the detector found there, world LPS mm.
        days: from it to the current scan, above 0; NaN: not known.
    """

    prepared: PreparedScan
    candidates: Sequence[Candidate]
    days: float


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """How a scan and an earlier one go together.

    Attributes:
        prior: the earlier one.
        registration: from the scan to it.
        found: for each nodule of the report what it was there; None: not found.
    """

    prior: Prior
    registration: Registration
    found: tuple[Candidate | None, ...]


def with_prior(
    report: PatientReport, prepared: PreparedScan, prior: Prior, draw: Draw = outline
) -> tuple[PatientReport, Followed]:
    """The report with what became of its nodules since `prior`, and how the two scans go together.

    Nodules found again have `change`, `prior_mean_diameter_mm`, `prior_volume_mm3` and, where the days are known,
    `doubling_days` with `doubling_days_low` and `doubling_days_high`; those not found where the earlier scan shows
    their place are `new`; where it does not show it nothing is added. Of part-solid nodules also `solid_change`.

    Args:
        report: measured.
        prepared: the scan that it is about.
        prior: the earlier one.
        draw: what drew the report's outlines.
    """
    registration = register(prepared, prior.prepared)
    places = registration.to_prior([n.candidate.center_mm for n in report.nodules])
    matches = match(
        places,
        [n.candidate.diameter_mm for n in report.nodules],
        [c.center_mm for c in prior.candidates],
        [c.diameter_mm for c in prior.candidates],
    )
    nodules = []
    for nodule, place, index in zip(report.nodules, places, matches, strict=True):
        more: Measured = {}
        if index is not None:
            earlier = measurements(prior.candidates[index], prior.prepared, draw)
            more = _since(nodule.measurements, earlier, prior.days)
        elif prior.prepared.volume.geometry.contains(place):
            more = {"change": "new"}
        nodules.append(replace(nodule, measurements={**nodule.measurements, **more}))
    provenance = {
        **report.provenance,
        "prior": prior.prepared.volume.series_uid,
        "prior_days": "unknown" if math.isnan(prior.days) else f"{prior.days:.0f}",
        "prior_correlation": f"{registration.correlation:.3f}",
    }
    warnings = (*report.warnings, *_doubts(prepared, prior, registration.correlation))
    found = tuple(None if index is None else prior.candidates[index] for index in matches)
    followed = Followed(prior, registration, found)
    return replace(report, nodules=tuple(nodules), provenance=provenance, warnings=warnings), followed


def _since(now: Measured, then: Measured, days: float) -> Measured:
    mean, was = float(now["mean_diameter_mm"]), float(then["mean_diameter_mm"])
    volume, had = float(now["volume_mm3"]), float(then["volume_mm3"])
    found: dict[str, float | str] = {
        "change": change_of(mean, was, days),
        "prior_mean_diameter_mm": was,
        "prior_volume_mm3": had,
    }
    if not math.isnan(days) and volume > 0 and had > 0:
        time = doubling_time(volume, had, days)
        found |= {"doubling_days": time.days, "doubling_days_low": time.low, "doubling_days_high": time.high}
    if now["type"] == "part-solid":
        found["solid_change"] = _solid_change(now, then, days)
    return found


def _solid_change(now: Measured, then: Measured, days: float) -> str:
    """Of the solid part; one that was all solid has all of it to compare with, one that was ground-glass nothing."""
    if then["type"] == "ground-glass":
        return "new"
    was = then["solid_diameter_mm"] if then["type"] == "part-solid" else then["mean_diameter_mm"]
    return change_of(float(now["solid_diameter_mm"]), float(was), days)


def _doubts(prepared: PreparedScan, prior: Prior, correlation: float) -> list[str]:
    found = []
    if not correlation >= LEAST_CORRELATION:  # NaN, where grey values do not vary, is not enough either
        found.append(
            f"prior_differs: after registration the earlier scan correlates by {correlation:.2f} with this one; "
            "are they of one person?"
        )
    thickest = max(float(np.max(p.source_geometry.spacing_mm)) for p in (prepared, prior.prepared))
    if thickest > THIN_MM:
        found.append(
            f"prior_thick: slices are {thickest:.1f} mm apart; volumes, and with them doubling times, are less sure "
            "than stated"
        )
    return found
