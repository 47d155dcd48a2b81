"""Phantom nodules: size and tissue follow the outline and the ratings they are made from."""

from __future__ import annotations

import numpy as np
import pytest

from phantom.lesions import LARGEST_MM, SMALLEST_MM, Lesion, draw_lesion, library
from preprocessing.lidc.reading import RATINGS
from preprocessing.lidc.shapes import NoduleShape
from preprocessing.splits import SplitSettings


def shape(radius_mm: float = 6.0, patient_id: str = "LIDC-IDRI-0002", **ratings: int) -> NoduleShape:
    """A ball as a reader would outline it on 2 mm slices with 0.7 mm pixels."""
    dz, dxy = 2.0, 0.7
    z, y, x = (np.arange(-n, n + 1) * s for n, s in ((6, dz), (14, dxy), (14, dxy)))
    mask = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= radius_mm**2
    diameter = float((6 / np.pi * mask.sum() * dz * dxy**2) ** (1 / 3))
    rated = {**dict.fromkeys(RATINGS, 1), "texture": 5, "calcification": 6, **ratings}
    return NoduleShape(patient_id, rated, mask, (dz, dxy), diameter)


def volume(lesion: Lesion) -> float:
    return float((lesion.distance < 0).sum()) * lesion.step_mm**3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_size_is_kept_up_to_the_drawn_scale(seed: int) -> None:
    made_from = shape()
    lesion = draw_lesion(np.random.default_rng(seed), (made_from,))
    assert 0.9 <= lesion.diameter_mm / made_from.diameter_mm <= 1.15
    assert volume(lesion) == pytest.approx(np.pi / 6 * lesion.diameter_mm**3, rel=0.06)


def test_surface_of_a_ball_is_round() -> None:
    lesion = draw_lesion(np.random.default_rng(0), (shape(),))
    radius = lesion.diameter_mm / 2
    directions = np.random.default_rng(1).standard_normal((50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    assert np.abs(lesion.at(directions * radius)).max() < 1.0
    assert (lesion.at(directions * 0.6 * radius) < -1).all()
    assert (lesion.at(directions * 1.5 * radius) > 1).all()


@pytest.mark.parametrize(
    ("ratings", "outer", "core"),
    [
        ({"texture": 5}, (0, 60), None),
        ({"texture": 1}, (-650, -450), None),
        ({"texture": 3}, (-560, -380), (-40, 50)),
        ({"calcification": 3}, (350, 900), None),
        ({"calcification": 4}, (0, 60), (250, 700)),
    ],
)
def test_tissue_follows_the_ratings(
    ratings: dict[str, int], outer: tuple[int, int], core: tuple[int, int] | None
) -> None:
    for seed in range(5):
        lesion = draw_lesion(np.random.default_rng(seed), (shape(**ratings),))
        assert outer[0] <= lesion.level_hu <= outer[1]
        assert np.isfinite(lesion.core_depth_mm) == (core is not None)
        if core is not None:
            assert core[0] <= lesion.core_hu <= core[1]
            assert lesion.core_depth_mm < lesion.diameter_mm / 2


@pytest.mark.parametrize(("spiculation", "fewest", "most"), [(1, 0, 0), (2, 0, 0), (3, 4, 6), (5, 12, 18)])
def test_spiculated_from_a_rating_of_three(spiculation: int, fewest: int, most: int) -> None:
    lesion = draw_lesion(np.random.default_rng(0), (shape(spiculation=spiculation),))
    assert fewest <= len(lesion.spikes) <= most
    assert lesion.reach_mm > lesion.diameter_mm / 2 + max((np.linalg.norm(s) for s in lesion.spikes), default=0)


def test_spikes_reach_beyond_the_ball() -> None:
    lesion = draw_lesion(np.random.default_rng(0), (shape(spiculation=4),))
    spike = lesion.spikes[0]
    length = np.linalg.norm(spike)
    assert lesion.at((spike / length * (lesion.diameter_mm / 2 + 0.5 * length))[None])[0] < 0


def test_library_holds_one_outline_for_each_lidc_nodule_of_phantom_size() -> None:
    shapes = library()
    assert 2300 < len(shapes) < 2700  # LIDC reports 2,669 lesions marked as nodules of 3 mm and more
    assert all(SMALLEST_MM <= s.diameter_mm <= LARGEST_MM for s in shapes)


def test_outlines_are_split_by_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    named = SplitSettings(held_out_fold=None, held_out_patients=("A", "C"))
    mine = tuple(shape(patient_id=p) for p in ("A", "B", "C", "A"))
    monkeypatch.setattr("phantom.lesions._whole_library", lambda: mine)
    assert library() == mine
    assert library(named) == mine[1:2]
    assert library(named, held_out=True) == (mine[0], mine[2], mine[3])
    with pytest.raises(ValueError, match="no outline is left to measure on"):
        library(SplitSettings(held_out_fold=None, held_out_patients=()), held_out=True)


def test_the_two_sides_of_lidc_share_no_patient() -> None:
    learnt, measured = library(SplitSettings()), library(SplitSettings(), held_out=True)
    assert not {s.patient_id for s in learnt} & {s.patient_id for s in measured}
    assert len(learnt) + len(measured) == len(library())
    assert 500 < len(measured) < 800  # about a quarter of 2,600
