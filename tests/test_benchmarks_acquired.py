"""How the benches' scanner sees a chest: nothing moves, averages are exact, only the lungs breathe."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.held_out.acquired import Acquisition, acquire, averaged, draw_acquisition
from preprocessing.geometry import Geometry
from runs.seeds import stream

PLAIN = Acquisition(1.0, "inspiration", -850.0, 0.0, 0.0, 0.5)


def test_slices_are_exact_means() -> None:
    ramp = np.arange(10, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    np.testing.assert_allclose(averaged(ramp, 2.5)[:, 0, 0], [0.8, 3.2, 5.8, 8.2], atol=1e-5)
    np.testing.assert_allclose(averaged(ramp, 4.0)[:, 0, 0], [1.5, 5.5, 8.5], atol=1e-5)
    np.testing.assert_array_equal(averaged(ramp, 1.0), ramp)


@pytest.mark.parametrize("thickness", [1.0, 2.5, 5.0, 8.0])
def test_what_is_there_stays_where_it_is_in_the_world(thickness: float) -> None:
    hu = np.full((40, 12, 12), -1000, np.float32)
    hu[14:26, 4:9, 5:8] = 0
    geometry = Geometry(hu.shape, (1.0, 1.0, 1.0), (-20.0, 7.0, 100.0), np.eye(3))
    how = replace(PLAIN, thickness_mm=thickness)
    seen = acquire(hu.copy(), np.zeros(hu.shape, bool), -850, geometry, how, stream("test"), "s")
    mass = (seen.hu.astype(float) + 1000).ravel()
    middle = (np.indices(seen.hu.shape).reshape(3, -1) * mass).sum(1) / mass.sum()
    np.testing.assert_allclose(seen.geometry.to_world(middle), [-14.0, 13.0, 119.5], atol=0.01)
    assert seen.geometry.spacing_mm == (1.0, 1.0, thickness)


def test_only_the_lungs_breathe() -> None:
    hu = np.full((4, 6, 6), -900, np.float32)
    hu[:, 3:] = 40
    lungs = np.zeros(hu.shape, bool)
    lungs[:, :, :3] = True
    geometry = Geometry(hu.shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    seen = acquire(hu, lungs, -900, geometry, replace(PLAIN, lung_hu=-700), stream("test"), "s").hu
    assert (seen[:, :3, :3] == -700).all()
    assert (seen[:, :3, 3:] == -900).all()
    assert (seen[:, 3:] == 40).all()


def test_noise_has_the_deviation_it_was_given_and_is_louder_in_thin_slices() -> None:
    hu = np.zeros((8, 64, 64), np.float32)
    geometry = Geometry(hu.shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    seen = acquire(hu, np.zeros(hu.shape, bool), -850, geometry, replace(PLAIN, noise_hu=20), stream("test"), "s").hu
    assert abs(float(seen.std()) - 20) < 0.5
    thin, thick = (draw_acquisition(stream("test"), mm, "expiration") for mm in (1.0, 8.0))
    assert thin.noise_hu > thick.noise_hu
    assert -760 <= thin.lung_hu <= -660
