"""A network says which pictures it wants: grid, window and orientation, and gets no others."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from preprocessing.geometry import Geometry
from preprocessing.orientation import facing_ras
from preprocessing.patches import normalise
from preprocessing.preparation import Preparation, check_preparation
from preprocessing.prepare import PrepareSettings, prepare
from preprocessing.volume import Volume
from tests.chests import simple_chest

FLAT = Preparation((1.5, 1.5, 2.5), (-1024.0, 300.0), "RAS")


def numbered(direction: np.ndarray) -> Volume:
    """Every voxel its own value."""
    shape = (4, 5, 6)
    hu = np.arange(120, dtype=np.int16).reshape(shape)
    return Volume(hu, Geometry(shape, (0.7, 0.8, 2.5), (-30.0, 12.0, 100.0), direction), "1.2")


@pytest.mark.parametrize(
    "direction",
    [
        np.eye(3),
        np.diag([-1.0, 1.0, -1.0]),
        np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]),
        Rotation.from_rotvec([0.2, -0.1, 0.3]).as_matrix(),
    ],
    ids=["LPS", "flipped", "sagittal", "oblique"],
)
def test_turning_to_ras_moves_no_voxel_in_the_world(direction: np.ndarray) -> None:
    volume = numbered(direction)
    turned, mask = facing_ras(volume, volume.hu % 2 == 0)
    x, y, z = turned.geometry.direction.T
    assert -x[0] > 0.9
    assert -y[1] > 0.9
    assert z[2] > 0.9
    for value in (0, 1, 17, 64, 119):
        before, after = (np.argwhere(v.hu == value)[0] for v in (volume, turned))
        np.testing.assert_allclose(turned.geometry.to_world(after), volume.geometry.to_world(before), atol=1e-9)
        assert mask[tuple(after)] == (value % 2 == 0)
    assert turned.hu.flags.c_contiguous


def test_an_upright_scan_turns_by_reversing_x_and_y() -> None:
    volume = numbered(np.eye(3))
    np.testing.assert_array_equal(facing_ras(volume, volume.hu > 0)[0].hu, volume.hu[:, ::-1, ::-1])


def test_a_scan_is_prepared_on_the_grid_that_is_wanted() -> None:
    chest = simple_chest(thickness=5)
    chest.hu[29:33, 70:74, 50:54] = 300  # at x = -170 + 2 * 51.5, y = -130 + 2 * 71.5, z = 5 * 30.5
    coarse = PrepareSettings(spacing_mm=(2.0, 2.0, 2.0))
    usual, flat = prepare(chest, coarse), prepare(chest, FLAT.grid)
    assert flat.volume.geometry.spacing_mm == (1.5, 1.5, 2.5)
    np.testing.assert_array_equal(flat.volume.geometry.direction, np.diag([-1.0, -1.0, 1.0]))
    for prepared in (usual, flat):
        bright = prepared.volume.geometry.to_world(np.argwhere(prepared.volume.hu > 200).mean(0))
        np.testing.assert_allclose(bright, [-67, 13, 152.5], atol=0.75)  # half a voxel
    # The lungs are as large, whatever the voxels are.
    volumes = [p.lung_mask.sum() * p.volume.geometry.voxel_volume_mm3 for p in (usual, flat)]
    assert volumes[1] == pytest.approx(volumes[0], rel=0.01)


def test_a_window_is_scaled_to_its_ends() -> None:
    hu = np.array([-1024, -362, 300, 3071], np.int16)
    assert normalise(hu, FLAT.window_hu).tolist() == pytest.approx([0, 0.5, 1, 1])


def test_a_card_states_it_and_is_held_to_it() -> None:
    assert Preparation().stated() == {"spacing_mm": 1.0, "window_hu": [-1000.0, 400.0]}
    card = {"name": "flat", "preparation": FLAT.stated()}
    assert card["preparation"] == {
        "spacing_mm": [1.5, 1.5, 2.5], "window_hu": [-1024.0, 300.0], "orientation": "RAS",
    }  # fmt: skip
    check_preparation(card, FLAT)
    check_preparation({"name": "old, says nothing"})
    with pytest.raises(ValueError, match=r"flat was trained with spacing_mm=\[1\.5, 1\.5, 2\.5\].* spacing_mm=1\.0"):
        check_preparation(card)
    with pytest.raises(ValueError, match=r"trained with orientation=RAS, this version prepares orientation=None"):
        check_preparation(card, Preparation(FLAT.spacing_mm, FLAT.window_hu))


def test_an_orientation_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="'LAS'"):
        PrepareSettings(orientation="LAS")
