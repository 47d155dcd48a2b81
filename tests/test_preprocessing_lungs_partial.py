"""Parts of a chest and patients who lie otherwise: searched as far as they go, and what is not there is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from preprocessing.geometry import Geometry
from preprocessing.intake.find import find_scans
from preprocessing.intake.volume_reader import read_volume
from preprocessing.lungs.borders import one_lung_warnings
from preprocessing.lungs.mask import lung_mask
from preprocessing.volume import Volume
from tests.chests import simple_chest

DATA = Path("../shared/data")
needs_data = [pytest.mark.slow, pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is not there")]
GRID = Geometry((40, 50, 60), (2.0, 2.0, 5.0), (0.0, 0.0, 0.0), np.eye(3))


def part(volume: Volume, hu: np.ndarray) -> Volume:
    """Other voxels on a grid of the same spacing."""
    old = volume.geometry
    geometry = Geometry(hu.shape, old.spacing_mm, old.origin_mm, old.direction)
    return Volume(np.ascontiguousarray(hu), geometry, volume.series_uid)


def codes(warnings: tuple[str, ...]) -> set[str]:
    return {warning.split(":")[0] for warning in warnings}


def box(z: slice, y: slice, x: slice) -> np.ndarray:
    mask = np.zeros(GRID.shape_zyx, bool)
    mask[z, y, x] = True
    return mask


def test_one_lung_by_hand() -> None:
    """The body reaches the left border with 40 x 40 voxels of 2 x 5 mm, 160 cm2; the lung is 40 mm wide, 60 deep."""
    lung, body = box(slice(5, 35), slice(10, 40), slice(20, 40)), box(slice(40), slice(5, 45), slice(5, 60))
    (said,) = one_lung_warnings(lung, body, GRID)
    assert said.startswith("one_lung: the scan ends in the middle of the body (left 160 cm2)")
    # A body that ends within the scan; a pair of lungs that is wider than deep.
    assert one_lung_warnings(lung, box(slice(40), slice(5, 45), slice(5, 50)), GRID) == ()
    assert one_lung_warnings(box(slice(5, 35), slice(10, 40), slice(8, 52)), body, GRID) == ()


@pytest.mark.parametrize("half", [slice(0, 85), slice(85, 170)])
def test_a_scan_that_ends_in_the_middle_says_that_it_shows_one_lung(half: slice) -> None:
    volume = simple_chest()
    _, warnings = lung_mask(part(volume, volume.hu[:, :, half]))
    assert "one_lung" in codes(warnings)
    assert lung_mask(volume)[1] == ()


def test_arms_at_the_border_cost_no_lung() -> None:
    volume = simple_chest()
    hu = volume.hu.copy()
    hu[:, 40:90, :25] = hu[:, 40:90, -25:] = 40
    assert "one_lung" not in codes(lung_mask(part(volume, hu))[1])


@pytest.fixture(scope="module")
def chest() -> tuple[Volume, np.ndarray]:
    volume = read_volume(find_scans(DATA / "lidc_scans" / "LIDC-IDRI-0003")[0])
    return volume, lung_mask(volume)[0]


class TestReal:
    pytestmark = needs_data

    @pytest.mark.parametrize("how", ["prone", "decubitus", "feet first"])
    def test_a_patient_who_lies_otherwise_than_the_file_says(self, how: str, chest: tuple[Volume, np.ndarray]) -> None:
        """The couch on top, at the side, the head below: the same lungs are searched."""
        volume, lungs = chest
        turn = {
            "prone": lambda a: a[:, ::-1, ::-1],
            "decubitus": lambda a: np.rot90(a, 1, (1, 2)),
            "feet first": lambda a: a[::-1],
        }[how]
        mask, warnings = lung_mask(part(volume, turn(volume.hu)))
        assert codes(warnings) <= {"unsearched"}
        assert mask[turn(lungs)].mean() > 0.95
        assert mask.sum() < 1.15 * lungs.sum()

    @pytest.mark.parametrize("side", ["right", "left"])
    def test_one_lung(self, side: str, chest: tuple[Volume, np.ndarray]) -> None:
        volume, lungs = chest
        middle = int(np.nonzero(lungs)[2].mean())
        half = np.s_[:, :, :middle] if side == "right" else np.s_[:, :, middle:]
        mask, warnings = lung_mask(part(volume, volume.hu[half]))
        assert "one_lung" in codes(warnings)
        assert mask[lungs[half]].mean() > 0.95

    def test_bases_are_cut_and_a_few_slices_of_them_are_no_lungs(self, chest: tuple[Volume, np.ndarray]) -> None:
        volume, lungs = chest
        z = np.flatnonzero(lungs.any(axis=(1, 2)))
        quarter = z[0] + len(z) // 4
        mask, warnings = lung_mask(part(volume, volume.hu[:quarter]))
        (said,) = [warning for warning in warnings if warning.startswith("lungs_cut:")]
        assert "(head" in said
        assert mask[lungs[:quarter]].mean() > 0.95
        assert "no_lungs" in codes(lung_mask(part(volume, volume.hu[: z[0] + len(z) // 10]))[1])

    @pytest.mark.parametrize(("scan", "piece"), [("HN-CHUS-052", "above"), ("Pancreas-CT-CB-001", "below")])
    def test_head_and_abdomen_have_no_lungs(self, scan: str, piece: str) -> None:
        volume = read_volume(find_scans(DATA / "backgrounds" / scan)[0])
        z = np.flatnonzero(lung_mask(volume)[0].any(axis=(1, 2)))
        hu = volume.hu[z[-1] + 1 :] if piece == "above" else volume.hu[: z[0]]
        assert "no_lungs" in codes(lung_mask(part(volume, hu))[1])
