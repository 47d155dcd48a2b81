"""Grids as they come in life, drawn and shrunk by hypothesis: turned, flipped, anisotropic, far from the origin."""

from __future__ import annotations

import numpy as np
import pytest

from preprocessing.geometry import Geometry
from preprocessing.intake.upright import upright
from preprocessing.volume import Volume

pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

angles = st.floats(-180, 180)
spacings = st.floats(0.2, 10)
places = st.floats(-2000, 2000)


@st.composite
def volumes(draw: st.DrawFn) -> Volume:
    """A grid with a value of its own in every voxel; half of them left-handed."""
    turn = Rotation.from_euler("xyz", [draw(angles) for _ in range(3)], degrees=True).as_matrix()
    if draw(st.booleans()):
        turn = turn * np.array([1, 1, -1])
    shape = tuple(draw(st.integers(1, 6)) for _ in range(3))
    hu = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    x, y, z = (draw(spacings) for _ in range(3))
    return Volume(hu, Geometry(shape, (x, y, z), tuple(draw(places) for _ in range(3)), turn), "1.2")


@pytest.mark.slow
@settings(max_examples=500, deadline=None, derandomize=True)
@given(volumes())
def test_upright_moves_no_value_and_turns_to_the_patients_axes(volume: Volume) -> None:
    turned = upright(volume)
    found = {}
    for index in np.ndindex(*turned.geometry.shape_zyx):
        found[int(turned.hu[index])] = turned.geometry.to_world(index)
    for index in np.ndindex(*volume.geometry.shape_zyx):
        np.testing.assert_allclose(found[int(volume.hu[index])], volume.geometry.to_world(index), atol=1e-6)
    # No axis points the other way, and turning again changes nothing.
    assert (np.diag(turned.geometry.direction) >= 0).all()
    np.testing.assert_array_equal(upright(turned).hu, turned.hu)


@pytest.mark.slow
@settings(max_examples=500, deadline=None, derandomize=True)
@given(volumes(), st.tuples(places, places, places))
def test_places_go_there_and_back(volume: Volume, point: tuple[float, float, float]) -> None:
    grid = volume.geometry
    np.testing.assert_allclose(grid.to_world(grid.to_voxel(point)), point, atol=1e-6)
    again = Geometry.from_dict(grid.to_dict())
    np.testing.assert_array_equal(again.to_world((1.5, -2, 3)), grid.to_world((1.5, -2, 3)))
