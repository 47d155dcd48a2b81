"""The guidelines on a report: each nodule's Lung-RADS category and Brock probabilities, of what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from classification.assessment import NoduleAssessment, PatientReport
from classification.follow_up.growth import Change
from classification.guidelines.brock import BrockNodule, brock_1b, brock_2b
from classification.guidelines.lung_rads import RatedNodule, Since, lung_rads
from classification.guidelines.person import Person
from classification.measuring.density import NoduleType

# LIDC's scale of 1 to 5. The model of readers estimates means and never strays far from theirs: as many of LIDC's
# nodules reach 2.5 with it (47 of 747) as have a mean of 3.5 and more among the readers (45), where one speaks of a
# spiculated nodule.
SPICULATED = 2.5
BENIGN_CALCIFICATION = ("diffuse", "central")


def with_guidelines(report: PatientReport, person: Person) -> PatientReport:
    """The report with `lung_rads`, `brock_1b` and `brock_2b` among the measurements of its nodules.

    Spiculation is an estimate of the readers' rating, an upper lobe the upper third of the lungs, the count that of
    assessed candidates that are rather nodules than not. Brock is left out for benign calcification and where the
    place in the lungs is unknown. Where an earlier scan says how a nodule changed (`classification.follow_up`), its
    category is that of a later CT. What was assumed of the person stands in the provenance as `brock_assumed`.
    """
    count = max(1, sum(n.attributes.get("nodule_probability", 1.0) >= 0.5 for n in report.nodules))
    days = report.provenance.get("prior_days", "unknown")
    since = math.nan if days == "unknown" else float(days)
    nodules = tuple(_judged(n, person, count, since) for n in report.nodules)
    return replace(report, nodules=nodules, provenance={**report.provenance, "brock_assumed": person.assumed})


def _judged(nodule: NoduleAssessment, person: Person, count: int, days: float) -> NoduleAssessment:
    measured = nodule.measurements
    if "type" not in measured:
        return nodule
    kind = cast(NoduleType, measured["type"])
    benign = measured["calcification_pattern"] in BENIGN_CALCIFICATION
    spiculated = nodule.attributes.get("spiculation", 1.0) >= SPICULATED
    mean, solid = (float(measured.get(f"{name}_diameter_mm", 0.0)) for name in ("mean", "solid"))
    rated = RatedNodule(kind, mean, solid, benign, spiculated)
    more: dict[str, float | str] = {"lung_rads": lung_rads(rated, _since(measured, days))}
    if not benign and measured["zone"] != "unknown":
        asked = BrockNodule(float(measured["long_axis_mm"]), kind, measured["zone"] == "upper", spiculated, count)
        more |= {"brock_1b": brock_1b(asked, person), "brock_2b": brock_2b(asked, person)}
    return replace(nodule, measurements={**measured, **more})


def _since(measured: Mapping[str, float | str], days: float) -> Since | None:
    if "change" not in measured:
        return None
    change = cast(Change, measured["change"])
    return Since(change, cast(Change, measured.get("solid_change", change)), days)
