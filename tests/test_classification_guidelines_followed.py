"""Lung-RADS v2022 on a CT that has an earlier one (Christensen et al., Chest 2024;165:738, table 1)."""

from __future__ import annotations

import math
from typing import cast

import pytest

from classification.assessment import NoduleAssessment, PatientReport
from classification.follow_up.growth import Change
from classification.guidelines.applied import with_guidelines
from classification.guidelines.lung_rads import RatedNodule, Since, lung_rads
from classification.guidelines.person import Person
from classification.measuring.density import NoduleType
from detection.candidate import Candidate


@pytest.mark.parametrize(
    ("kind", "size", "solid", "change", "solid_change", "days", "category"),
    [
        # Solid: new.
        ("solid", 3.9, 0, "new", "new", 365, "2"),
        ("solid", 4.0, 0, "new", "new", 365, "3"),
        ("solid", 6.0, 0, "new", "new", 365, "4A"),
        ("solid", 8.0, 0, "new", "new", 365, "4B"),
        # Growing.
        ("solid", 7.9, 0, "grown", "grown", 365, "4A"),
        ("solid", 8.0, 0, "grown", "grown", 365, "4B"),
        # Stable at the follow-up its category asks for: six months for 3, three for 4A; 4B stays.
        ("solid", 7.0, 0, "stable", "stable", 182, "2"),
        ("solid", 7.0, 0, "stable", "stable", 91, "3"),
        ("solid", 10.0, 0, "stable", "stable", 91, "3"),
        ("solid", 10.0, 0, "shrunk", "shrunk", 30, "4A"),
        ("solid", 16.0, 0, "stable", "stable", 365, "4B"),
        ("solid", 7.0, 0, "stable", "stable", math.nan, "3"),
        # Slowly growing between two CTs only: by size.
        ("solid", 7.0, 0, "slowly grown", "slowly grown", 900, "3"),
        # Part-solid.
        ("part-solid", 5.0, 2, "new", "new", 365, "3"),
        ("part-solid", 5.0, 2, "stable", "stable", 365, "2"),
        ("part-solid", 9.0, 3.9, "stable", "new", 365, "4A"),
        ("part-solid", 9.0, 4.0, "grown", "grown", 365, "4B"),
        ("part-solid", 9.0, 4.0, "stable", "stable", 182, "2"),
        # Ground-glass.
        ("ground-glass", 29.9, 0, "grown", "grown", 365, "2"),
        ("ground-glass", 30.0, 0, "new", "new", 365, "3"),
        ("ground-glass", 30.0, 0, "stable", "stable", 365, "2"),
        ("ground-glass", 30.0, 0, "slowly grown", "slowly grown", 800, "2"),
    ],
)
def test_the_category_by_what_became_of_it(
    kind: str, size: float, solid: float, change: str, solid_change: str, days: float, category: str
) -> None:
    nodule = RatedNodule(cast(NoduleType, kind), size, solid)
    assert lung_rads(nodule, Since(cast(Change, change), cast(Change, solid_change), days)) == category


def test_spicules_and_benign_calcium_count_on_later_scans_too() -> None:
    grown = Since("grown", "grown", 365)
    assert lung_rads(RatedNodule("solid", 7.0, spiculated=True), grown) == "4X"
    assert lung_rads(RatedNodule("solid", 7.0, benign_calcification=True), grown) == "1"


def test_a_report_that_was_compared_has_the_later_category() -> None:
    measured = {
        "type": "solid", "mean_diameter_mm": 7.0, "long_axis_mm": 7.5, "calcification_pattern": "none",
        "zone": "upper", "change": "grown",
    }  # fmt: skip
    nodule = NoduleAssessment(Candidate("1.2", (0, 0, 0), 7.0, 0.9), 0.5, {}, measured)
    report = PatientReport("p", "1.2", 0.1, (nodule,), 0.01, {"prior_days": "365"})
    assert with_guidelines(report, Person()).nodules[0].measurements["lung_rads"] == "4A"
