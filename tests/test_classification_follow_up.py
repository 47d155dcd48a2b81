"""Two scans of one patient: the map between them, whose nodule is whose, and growth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk

from classification.assessment import NoduleAssessment, PatientReport
from classification.follow_up.applied import Prior, with_prior
from classification.follow_up.growth import change_of, doubling_time
from classification.follow_up.matching import match
from classification.follow_up.registration import Registration, register
from classification.measurements import measurements
from detection.candidate import Candidate
from preprocessing.geometry import Geometry, Triple
from preprocessing.prepare import PreparedScan
from preprocessing.volume import Volume
from tests.moved_chest import current_of, seen

PLACES: tuple[Triple, ...] = ((-60.0, 20.0, 30.0), (70.0, -10.0, -20.0), (50.0, 30.0, 20.0))


@pytest.mark.slow
def test_the_map_is_the_known_deformation() -> None:
    inside = np.array([(x, y, z) for x in (-80, -50, 50, 80) for y in (-40, 0, 40) for z in (-40, 0, 40)], float)
    found = register(seen(moved=True), seen())
    before = np.linalg.norm(current_of(inside) - inside, axis=1)
    after = np.linalg.norm(found.to_prior(current_of(inside)) - inside, axis=1)
    assert before.min() > 4
    assert np.median(after) < 1
    assert after.max() < 3
    assert found.correlation > 0.8
    # The same scans give the same map, to the last bit.
    again = register(seen(moved=True), seen())
    np.testing.assert_array_equal(again.to_prior(PLACES), found.to_prior(PLACES))


def test_nodules_are_matched_one_to_one_with_the_least_distance() -> None:
    # The first could be either; the second is only near the first of the earlier ones.
    here, there = [(0, 0, 0), (-8, 0, 0)], [(-1, 0, 0), (6, 0, 0), (90, 0, 0)]
    assert match(here, [5, 5], there, [5, 5, 5]) == [1, 0]


def test_a_large_nodule_may_move_by_its_radius_and_none_grows_fivefold() -> None:
    assert match([(0, 0, 0)], [40], [(18, 0, 0)], [30]) == [0]
    assert match([(0, 0, 0)], [8], [(18, 0, 0)], [8]) == [None]
    assert match([(0, 0, 0)], [25], [(1, 0, 0)], [5]) == [None]
    assert match([], [], [(1, 0, 0)], [5]) == []
    assert match([(0, 0, 0)], [5], [], []) == [None]


def test_doubling_time_by_hand() -> None:
    # ln 2 = .6931; the error is 1.96 * .14 = .2744: 100 * .6931 / .9675 and / .4187.
    time = doubling_time(200, 100, 100)
    assert (time.days, time.low, time.high) == pytest.approx((100.0, 71.64, 165.53), abs=0.01)
    # A tenth more in a year is within the error: perhaps it does not grow at all.
    time = doubling_time(110, 100, 365)
    assert time.days == pytest.approx(2654.5, abs=0.5)
    assert time.high == math.inf
    halved = doubling_time(50, 100, 100)
    assert (halved.days, halved.low, halved.high) == (pytest.approx(-100), math.inf, math.inf)
    assert doubling_time(100, 100, 50).days == math.inf


@pytest.mark.parametrize("wrong", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (math.nan, 1, 1)])
def test_what_has_no_doubling_time(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        doubling_time(*wrong)


@pytest.mark.parametrize(
    ("now", "then", "days", "word"),
    [
        (8.0, 6.0, 365, "grown"),
        (7.5, 6.0, 365, "stable"),
        (9.0, 6.0, 1096, "slowly grown"),
        (9.0, 6.0, 548, "grown"),
        (9.0, 6.0, math.nan, "grown"),
        (6.0, 8.0, 90, "shrunk"),
    ],
)
def test_the_word_for_a_change(now: float, then: float, days: float, word: str) -> None:
    assert change_of(now, then, days) == word


def reported(prepared: PreparedScan, candidates: list[Candidate]) -> PatientReport:
    nodules = tuple(NoduleAssessment(c, 0.5, {}, measurements(c, prepared)) for c in candidates)
    return PatientReport("p", prepared.volume.series_uid, 0.1, nodules, 0.01)


@pytest.mark.slow
def test_grown_stable_and_new_nodules_of_a_moved_chest() -> None:
    now_mm = [tuple(float(v) for v in current_of(place)) for place in PLACES]
    prior = seen([(PLACES[0], 12.0), (PLACES[1], 15.0)])
    current = seen([(now_mm[0], 18.0), (now_mm[1], 15.0), (now_mm[2], 15.0)], moved=True)
    before = [Candidate("1.2.1", PLACES[0], 12.0, 0.9), Candidate("1.2.1", PLACES[1], 15.0, 0.9)]
    after = [Candidate("1.2.2", place, d, 0.9) for place, d in zip(now_mm, (18.0, 15.0, 15.0), strict=True)]
    report, followed = with_prior(reported(current, after), current, Prior(prior, before, 200.0))
    assert followed.found == (*before, None)
    grown, stable, new = (n.measurements for n in report.nodules)
    assert [m["change"] for m in (grown, stable, new)] == ["grown", "stable", "new"]
    # (18 / 12) ** 3 in 200 days: 200 * ln 2 / (3 ln 1.5) = 114; voxels of 3 mm measure it roughly.
    assert 80 < float(grown["doubling_days"]) < 160
    assert float(grown["doubling_days_low"]) < float(grown["doubling_days"]) < float(grown["doubling_days_high"])
    assert float(stable["doubling_days_high"]) == math.inf
    assert "doubling_days" not in new
    assert report.provenance["prior"] == "1.2.1"
    assert report.provenance["prior_days"] == "200"
    assert "prior_thick" in {w.partition(":")[0] for w in report.warnings}


def test_a_prior_that_correlates_with_nothing_is_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    # Grey values that do not vary have no correlation: it is no number.
    nowhere = Registration(sitk.Transform(), math.nan)
    monkeypatch.setattr("classification.follow_up.applied.register", lambda *_: nowhere)
    geometry = Geometry((4, 4, 4), (1, 1, 1), (0, 0, 0), np.eye(3))
    volume = Volume(np.zeros((4, 4, 4), np.int16), geometry, "1.2.2")
    scan = PreparedScan(volume, np.ones((4, 4, 4), bool), geometry)
    report, _ = with_prior(reported(scan, []), scan, Prior(scan, [], math.nan))
    assert [w.partition(":")[0] for w in report.warnings] == ["prior_differs"]


@pytest.mark.slow
def test_another_persons_scan_is_doubted() -> None:
    other = seen()
    hu = np.where(other.lung_mask, -850, 40).astype(np.int16)
    other = PreparedScan(type(other.volume)(hu, other.volume.geometry, "9.9"), other.lung_mask, other.source_geometry)
    current = seen(moved=True)
    report, _ = with_prior(reported(current, []), current, Prior(other, [], math.nan))
    assert [w.partition(":")[0] for w in report.warnings] == ["prior_differs", "prior_thick"]
    assert report.provenance["prior_days"] == "unknown"
