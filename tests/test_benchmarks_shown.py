"""What a bench shows a detector with other pictures is the same place of the same chest."""

import numpy as np

from benchmarks.held_out.shown import as_shown
from preprocessing.geometry import Geometry
from preprocessing.preparation import Preparation
from preprocessing.prepare import PreparedScan
from preprocessing.volume import Volume


def spot() -> PreparedScan:
    hu = np.full((20, 24, 28), -850, np.int16)
    hu[8:12, 10:14, 4:8] = 50
    grid = Geometry(hu.shape, (1.0, 1.0, 1.0), (10.0, 20.0, 30.0), np.eye(3))
    return PreparedScan(Volume(hu, grid, "1.2"), hu > 0, grid, ("told",))


def test_the_usual_pictures_are_the_scan_itself() -> None:
    shown = as_shown(spot(), Preparation())
    assert np.array_equal(shown.volume.hu, spot().volume.hu)
    assert np.array_equal(shown.lung_mask, spot().lung_mask)
    assert shown.warnings == ("told",)


def test_finer_turned_pictures_keep_the_place_in_the_world() -> None:
    shown = as_shown(spot(), Preparation((0.5, 0.5, 2.0), (-1024.0, 300.0), "RAS"))
    assert shown.volume.hu.shape == (10, 48, 56)
    # In LPS a grid that faces RAS walks against x and y.
    assert np.allclose(shown.volume.geometry.direction, np.diag([-1, -1, 1]))
    for inside in (shown.volume.hu > -400, shown.lung_mask):
        middle = np.argwhere(inside).mean(0)
        # Voxels 8 to 11, 10 to 13 and 4 to 7: 9.5, 11.5 and 5.5 from the origin.
        assert np.allclose(shown.volume.geometry.to_world(middle), (15.5, 31.5, 39.5), atol=0.26)
