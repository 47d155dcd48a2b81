"""Masses: as large as asked for, where the truth says, cut at the pleura, of the kind they are called."""

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.held_out.grown import Mass, Room, grow, room_of
from benchmarks.masses import Answer, judged
from detection.candidate import Candidate
from preprocessing.annotations import Nodule
from preprocessing.geometry import Geometry
from preprocessing.lidc.shapes import NoduleShape
from runs.seeds import stream
from tests.thorax import small_chest


@pytest.fixture(scope="module")
def room() -> Room:
    return room_of(small_chest())


def ball_outline() -> NoduleShape:
    mask = np.linalg.norm(np.indices((15, 15, 15)) - 7, axis=0) <= 6.5
    return NoduleShape("p1", {"texture": 5, "calcification": 6, "spiculation": 1}, mask, (1.0, 1.0), 13.0)


@pytest.mark.parametrize(("place", "kind"), [("free", "solid"), ("wall", "spiculated"), ("hilum", "collapse")])
def test_a_mass_is_what_its_truth_says(room: Room, place: str, kind: str) -> None:
    before = room.chest.hu.astype(np.float32)
    hu = before.copy()
    mass = grow(hu, room, place, kind, 30.0, (ball_outline(),), stream("test", 4))
    assert mass.diameter_mm == pytest.approx(30, rel=0.06)
    assert float((6 * mass.inside.sum() / np.pi) ** (1 / 3)) == pytest.approx(mass.diameter_mm, rel=0.03)
    assert mass.holds(mass.center_zyx)
    window = tuple(slice(a, a + n) for a, n in zip(mass.start_zyx.tolist(), mass.inside.shape, strict=True))
    assert abs(float(hu[window][mass.inside].mean()) - 47) < 25
    # The wall stays as it was.
    outside = room.depth_mm < -1
    np.testing.assert_array_equal(hu[outside], before[outside])


def test_a_necrotic_mass_has_a_dark_centre(room: Room) -> None:
    hu = room.chest.hu.astype(np.float32)
    mass = grow(hu, room, "free", "necrotic", 32.0, (ball_outline(),), stream("test", 1))
    window = tuple(slice(a, a + n) for a, n in zip(mass.start_zyx.tolist(), mass.inside.shape, strict=True))
    deep = ndimage.distance_transform_edt(mass.inside)
    rim = hu[window][(deep > 1) & (deep < 3)].mean()
    assert 25 < rim < 70
    assert hu[window][deep > 10].mean() < rim - 15


def test_a_candidate_counts_by_its_centre_and_its_diameter() -> None:
    inside = np.zeros((9, 9, 9), bool)
    inside[2:7, 2:7, 2:7] = True
    mass = Mass(np.array([14.0, 24.0, 34.0]), 40.0, np.array([10, 20, 30]), inside, "wall", "solid", "simulated")
    geometry = Geometry((50, 50, 50), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    other = Candidate("s", (5.0, 5.0, 5.0), 40.0, 0.9)
    small = Candidate("s", (34.0, 24.0, 14.0), 20.0, 0.8)
    right = Candidate("s", (33.0, 23.0, 14.0), 31.0, 0.7)
    assert judged(mass, geometry, [other], []) == Answer(0, 0.0, False, 0)
    assert judged(mass, geometry, [other, small], []) == Answer(2, 20.0, False, 1)
    assert judged(mass, geometry, [other, small, right], []) == Answer(2, 20.0, True, 2)
    assert judged(mass, geometry, [other, other, other, right], []) == Answer(4, 31.0, False, 1)
    # A nodule that the chest came with takes no place; one that the mass covers is the mass.
    known = [Nodule("s", (5.0, 5.0, 5.0), 8.0), Nodule("s", (33.0, 23.0, 14.0), 8.0)]
    assert judged(mass, geometry, [other, other, other, right], known) == Answer(1, 31.0, True, 1)
