"""Expected letters are worked out by hand from the direction matrices."""

import numpy as np
import pytest

from preprocessing.geometry import Geometry
from preprocessing.planes import display_planes, orientation_letters

# Edges as (left, right, top, bottom).
RADIOLOGICAL = {
    "axial": ("R", "L", "A", "P"),
    "coronal": ("R", "L", "H", "F"),
    "sagittal": ("A", "P", "H", "F"),
}
COS, SIN = np.cos(np.radians(30)), np.sin(np.radians(30))


def edges(direction: np.ndarray) -> dict[str, tuple[str, str, str, str]]:
    planes = display_planes(Geometry((4, 5, 6), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), direction))
    return {plane.name: plane.edges() for plane in planes}


@pytest.mark.parametrize(
    "direction",
    [
        np.eye(3),
        np.diag([-1.0, 1.0, 1.0]),
        np.diag([1.0, -1.0, 1.0]),
        np.diag([1.0, 1.0, -1.0]),
        np.diag([-1.0, -1.0, -1.0]),
        # A coronal acquisition: columns to the left, rows to the feet, slices to the back.
        np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]]),
        # 10 degrees about the head axis: too little for a second letter.
        np.array([[0.9848078, -0.1736482, 0], [0.1736482, 0.9848078, 0], [0, 0, 1]]),
    ],
    ids=["identity", "x flipped", "y flipped", "z flipped", "all flipped", "coronal acquisition", "10 degrees"],
)
def test_every_upright_grid_is_shown_the_radiological_way(direction: np.ndarray) -> None:
    assert edges(direction) == RADIOLOGICAL


def test_an_oblique_grid_carries_second_letters() -> None:
    # Turned by 30 degrees about the head axis: +x leans to the back, +y leans to the right.
    turned = np.array([[COS, -SIN, 0], [SIN, COS, 0], [0, 0, 1]])
    assert edges(turned) == {
        "axial": ("RA", "LP", "AL", "PR"),
        "coronal": ("RA", "LP", "H", "F"),
        "sagittal": ("AL", "PR", "H", "F"),
    }


def test_flipping_walks_the_array_backwards() -> None:
    axial = display_planes(Geometry((4, 5, 6), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.diag([-1.0, -1.0, 1.0])))[0]
    assert (axial.right.array_axis, axial.right.step) == (2, -1)
    assert (axial.down.array_axis, axial.down.step) == (1, -1)
    assert axial.right.toward == pytest.approx((1.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("direction", "letters"),
    [((0, 0, 1), "H"), ((0, -2, 0), "A"), ((-1, 1, 0), "RP"), ((0.1, 0.5, -0.8), "FP"), ((1, 1, 1), "LPH")],
)
def test_letters(direction: tuple[float, ...], letters: str) -> None:
    assert orientation_letters(direction) == letters
