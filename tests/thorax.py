"""A small thorax, for tests of the benches: two lungs in a block of soft tissue, made at 2 mm."""

import numpy as np

from benchmarks.held_out.chests import Chest, chest_of
from preprocessing.annotations import Nodule
from preprocessing.geometry import Geometry
from preprocessing.volume import Volume
from tests.chests import ellipsoid

UID = "1.2.3"


def small_volume() -> Volume:
    """120 x 110 x 190 mm, lungs of 300 ml each at -850 HU with 10 HU of noise."""
    shape = (60, 55, 95)
    grid = list(np.indices(shape))
    hu = np.full(shape, 40.0)
    for x in (25, 69):
        hu[ellipsoid(grid, (30, 27, x), (27, 20, 17))] = -850
    hu += np.random.default_rng(0).normal(0, 10, shape)
    return Volume(np.rint(hu).astype(np.int16), Geometry(shape, (2.0, 2.0, 2.0), (-95.0, -55.0, 10.0), np.eye(3)), UID)


def small_chest() -> Chest:
    """The same as a chest of the benches, with one finding of unknown size."""
    return chest_of("p1", small_volume(), [Nodule(UID, (-45.0, 0.0, 40.0), float("nan"))])
