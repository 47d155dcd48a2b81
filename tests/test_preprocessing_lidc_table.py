"""The LIDC table: row counts as published, contours filled as a hand does, places as LUNA16 has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from preprocessing.annotations import read_annotations
from preprocessing.lidc_table import RATINGS, NoduleShape, count_rows, filled, one_per_nodule, read_nodule_shapes

DATA = Path(__file__).parents[2] / "shared/data"


def test_row_counts_are_those_of_lidc() -> None:
    rows = count_rows()
    assert (rows["scans"], rows["annotations"]) == (1018, 6859)


def test_contour_of_annotation_105_by_hand() -> None:
    # Contour 529 of the table, columns less 139 and rows less 318. Strictly inside, row by row: 1, 3, 3 and 1 pixels.
    outline = [(3, 6), (4, 5), (5, 4), (5, 3), (4, 2), (3, 1), (2, 2), (1, 3), (1, 4), (2, 5), (3, 6)]
    mask = filled(np.array(outline), (8, 7))
    assert [np.flatnonzero(row).tolist() for row in mask] == [[], [], [3], [2, 3, 4], [2, 3, 4], [3], [], []]


def test_contours_of_one_or_two_points_hold_nothing() -> None:
    assert not filled(np.array([(1, 1)]), (3, 3)).any()
    assert not filled(np.array([(0, 0), (2, 2)]), (3, 3)).any()


def test_one_shape_stands_for_each_nodule() -> None:
    def shape(annotation: int, nodule: int, diameter: float) -> NoduleShape:
        mask, ratings = np.ones((1, 1, 1), bool), dict.fromkeys(RATINGS, 3)
        return NoduleShape(annotation, "1.2", "p", nodule, ratings, mask, (1.0, 1.0), (0.0, 0.0, 0.0), diameter)

    chosen = one_per_nodule([shape(1, 0, 9.0), shape(2, 1, 4.0), shape(3, 0, 5.0), shape(4, 0, 6.0)])
    assert [s.annotation_id for s in chosen] == [4, 2]


def test_shapes_of_the_table() -> None:
    shapes = read_nodule_shapes()
    assert len(shapes) == 6859
    assert all(s.mask.any() and 1 <= s.ratings["texture"] <= 5 for s in shapes)
    volume = shapes[0].mask.sum() * shapes[0].spacing_mm[0] * shapes[0].spacing_mm[1] ** 2
    assert np.pi / 6 * shapes[0].diameter_mm ** 3 == pytest.approx(volume)


@pytest.mark.parametrize(("patient", "origin"), [("LIDC-IDRI-0001", (-166.0, -171.699997))])
def test_nodules_lie_where_luna16_has_them(patient: str, origin: tuple[float, float]) -> None:
    """The origin is ImagePositionPatient x, y of the series; LUNA16 averages the readers."""
    if not (DATA / "luna16/annotations.csv").is_file():
        pytest.skip("needs shared/data/luna16/annotations.csv")
    shapes = [s for s in read_nodule_shapes() if s.patient_id == patient]
    (truth,) = (n for n in read_annotations(DATA / "luna16/annotations.csv") if n.series_uid == shapes[0].series_uid)
    pixel = shapes[0].spacing_mm[1]
    centers = [(origin[0] + pixel * s.center[0], origin[1] + pixel * s.center[1], s.center[2]) for s in shapes]
    assert np.linalg.norm(np.mean(centers, axis=0) - truth.center_mm) < 1.5
    assert np.mean([s.diameter_mm for s in shapes]) == pytest.approx(truth.diameter_mm, rel=0.1)
