"""What is said of lungs at the border of a volume, of boxes whose faces are counted by hand."""

import numpy as np

from preprocessing.geometry import Geometry
from preprocessing.lungs.borders import cut_warnings

GRID = Geometry((40, 50, 60), (2.0, 2.0, 5.0), (0.0, 0.0, 0.0), np.eye(3))


def test_lungs_that_touch_no_border_give_no_word() -> None:
    lungs = np.zeros(GRID.shape_zyx, bool)
    lungs[1:-1, 1:-1, 1:-1] = True
    assert cut_warnings(lungs, GRID) == ()


def test_each_open_face_is_named_with_its_area() -> None:
    lungs = np.zeros(GRID.shape_zyx, bool)
    # 20 x 30 voxels of 2 x 2 mm at the lowest slice, 10 x 20 voxels of 5 x 2 mm at the last column.
    lungs[:10, 10:30, 10:40] = True
    lungs[20:30, 10:30, 30:] = True
    (said,) = cut_warnings(lungs, GRID)
    assert "(feet 24 cm2, left 20 cm2)" in said
