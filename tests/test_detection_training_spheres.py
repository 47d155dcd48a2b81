"""Marks: diameters, who reaches in, and where a turn takes them."""

import numpy as np

from detection.training.spheres import clear_of, inside, reaching, spheres, turned
from phantom.hybrid import random_turn, sampled


def test_a_tumour_reaches_in_although_its_centre_is_outside() -> None:
    # 24 mm across, centred 11 voxels before the patch: one voxel of it lies inside; at 13 none does.
    marks = spheres([(-11, 16, 16, 24), (-13, 16, 16, 24), (16, 16, 16, 24), (16, 16, 42, 24), (16, 16, 45, 24)])
    assert reaching(marks, 32).tolist() == [True, False, True, True, False]
    assert inside(marks, 32).tolist() == [False, False, True, False, False]


def test_clear_is_measured_from_the_surface() -> None:
    marks = spheres([(0, 0, 0, 20)])
    assert clear_of(marks, (0, 0, 16), 5)
    assert not clear_of(marks, (0, 0, 14), 5)
    assert clear_of(spheres(), (0, 0, 0), 5)


def test_marks_go_where_their_tissue_goes() -> None:
    rng = np.random.default_rng(0)
    for _ in range(6):
        center, diameter = rng.uniform(24, 40, 3), 9.0
        away = np.linalg.norm(np.indices((64, 64, 64)) - center[:, None, None, None], axis=0)
        ball = np.clip(diameter / 2 - away + 0.5, 0, 1).astype(np.float32)
        matrix, scale = random_turn(rng)
        seen = sampled(ball, matrix, (32.3, 31.1, 30.2), (31.5, 31.5, 31.5), (64, 64, 64))
        mark = turned(spheres([(*center, diameter)]), matrix, (32.3, 31.1, 30.2), (31.5, 31.5, 31.5))[0]
        grid = np.indices(seen.shape).reshape(3, -1)
        measured = (grid * seen.ravel()).sum(1) / seen.sum()
        np.testing.assert_allclose(measured, mark[:3], atol=0.05)
        assert abs((6 * seen.sum() / np.pi) ** (1 / 3) - mark[3]) < 0.1
        assert abs(mark[3] - diameter * scale) < 1e-9
