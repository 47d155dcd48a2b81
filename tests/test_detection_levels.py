"""The coarser levels: where things come to lie, what counts there, and that masses are taught on it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from detection.detector import NoduleDetector
from detection.levels import coarse_mask, coarse_place, fine_boxes, of_masses, without_parts
from detection.models.interface import DetectorModel, Found, Truth
from detection.train import at_levels
from detection.training.pasting import Pasting
from detection.training.sampling import HybridPatches, halved
from preprocessing.geometry import Geometry
from preprocessing.prepare import PreparedScan
from preprocessing.resample import coarsened
from preprocessing.volume import Volume
from tests.patches import SMALL, crop, host


def test_half_resolution_is_the_mean_of_eight_voxels_and_drops_the_rest() -> None:
    hu = np.arange(4 * 4 * 5, dtype=np.int16).reshape(4, 4, 5)
    made = coarsened(hu, 2)
    assert made.shape == (2, 2, 2)
    # Voxels 0, 1, 5, 6, 20, 21, 25, 26.
    assert made[0, 0, 0] == 13
    assert coarsened(hu, 1) is hu


def test_places_and_boxes_come_back_to_where_they_were() -> None:
    # The middle of voxels 6 and 7 is 6.5, in the middle of coarse voxel 3.
    assert coarse_place(np.array([6.5, 0.5, 9.0]), 2).tolist() == [3.0, 0.0, 4.25]
    box = torch.tensor([[3.0, 0.0, 4.25, 5.0, 2.0, 6.25]])
    assert fine_boxes(box, 2).tolist() == [[6.5, 0.5, 9.0, 10.5, 4.5, 13.0]]
    assert torch.equal(fine_boxes(box, 1), box)


def test_a_mass_may_have_its_centre_far_from_what_is_left_of_the_lung() -> None:
    mask = np.zeros((100, 100, 100), bool)
    mask[50, 50, 50] = True
    assert coarse_mask(mask, 2).sum() == (np.square(np.indices((50, 50, 50)) - 25).sum(0) <= 20**2).sum()
    assert np.argwhere(coarse_mask(mask, 2, reach=0)).tolist() == [[25, 25, 25]]
    assert coarse_mask(mask, 1) is mask
    assert not coarse_mask(np.zeros((8, 8, 8), bool), 2).any()


def cube_box(z: float, y: float, x: float, edge: float) -> list[float]:
    return [z - edge / 2, y - edge / 2, x - edge / 2, z + edge / 2, y + edge / 2, x + edge / 2]


@pytest.mark.parametrize(
    ("boxes", "kept"),
    [
        # A lump in a better mass goes, a better lump and one beside the mass stay.
        ([cube_box(50, 50, 50, 60), cube_box(60, 50, 50, 8)], [0]),
        ([cube_box(60, 50, 50, 8), cube_box(50, 50, 50, 60)], [0, 1]),
        ([cube_box(50, 50, 50, 60), cube_box(90, 50, 50, 8)], [0, 1]),
        # A box of like size is left to suppression; a small nodule takes nothing with it.
        ([cube_box(50, 50, 50, 30), cube_box(52, 50, 50, 22)], [0, 1]),
        ([cube_box(50, 50, 50, 20), cube_box(52, 50, 50, 5)], [0, 1]),
        # What went takes nothing with it: the third lies in the second, not in the first.
        ([cube_box(50, 50, 50, 80), cube_box(75, 50, 50, 40), cube_box(93, 50, 50, 8)], [0, 2]),
    ],
)
def test_lumps_of_a_mass_go(boxes: list[list[float]], kept: list[int]) -> None:
    assert without_parts(torch.tensor(boxes)).tolist() == kept


def test_a_mass_is_large_and_reaches_the_lung() -> None:
    lung_mask = np.zeros((100, 100, 100), bool)
    lung_mask[50, 50, 30] = True
    boxes = [cube_box(50, 50, 60, 60), cube_box(50, 50, 60, 59), cube_box(50, 50, 30, 23), cube_box(50, 50, 30, 24)]
    assert of_masses(torch.tensor(boxes), lung_mask, 2).tolist() == [True, False, False, True]
    assert of_masses(torch.tensor([cube_box(120, 50, 60, 30)]), lung_mask, 2).tolist() == [False]
    assert of_masses(torch.zeros((0, 6)), lung_mask, 2).tolist() == []
    # Of 12 voxels of the level: 48 mm at voxels of 4 mm.
    boxes = [cube_box(50, 50, 30, 47), cube_box(50, 50, 30, 48)]
    assert of_masses(torch.tensor(boxes), lung_mask, 4).tolist() == [False, True]


class Brightest(DetectorModel):
    """Calls the brightest voxel the middle of a box of so many voxels, at every level."""

    pad_multiple = 4

    def __init__(self, edge: float, levels: tuple[int, ...] = (1, 2)) -> None:
        super().__init__()
        self.edge, self.levels = edge, levels

    def loss(self, images: torch.Tensor, truth: Truth) -> dict[str, torch.Tensor]:
        raise NotImplementedError

    def find(self, image: torch.Tensor, least_score: float) -> Found:
        at = torch.tensor(np.unravel_index(int(image[0, 0].argmax()), image.shape[2:]), dtype=torch.float32)[None]
        half = self.edge / 2
        return Found(torch.cat([at - half, at + half], 1), image.max()[None], at)


@pytest.mark.parametrize("edge", [20.0, 10.0])
def test_a_scan_is_searched_at_both_levels(edge: float) -> None:
    hu = np.full((96, 96, 96), -900, np.int16)
    hu[40:42, 50:52, 60:62] = 260
    hu[90, 80, 70] = 330  # brighter, and lost in the mean of its block
    geometry = Geometry(hu.shape, (1.0, 1.0, 1.0), (-10.0, -20.0, -30.0), np.eye(3))
    prepared = PreparedScan(Volume(hu, geometry, "1.2"), np.ones(hu.shape, bool), geometry)
    found = [(c.diameter_mm, round(c.score, 3), c.center_mm) for c in NoduleDetector(Brightest(edge)).detect(prepared)]
    assert found[0] == (edge, 0.95, (70 - 10, 80 - 20, 90 - 30))
    # The coarser level's box is twice as large in millimetres; below 24 mm the finer level alone is heard.
    assert found[1:] == ([(2 * edge, 0.9, (60.5 - 10, 50.5 - 20, 40.5 - 30))] if edge == 20 else [])


def test_a_quarter_of_the_resolution_finds_the_largest() -> None:
    hu = np.full((96, 96, 96), -900, np.int16)
    hu[40:44, 48:52, 60:64] = 260
    geometry = Geometry(hu.shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    prepared = PreparedScan(Volume(hu, geometry, "1.2"), np.ones(hu.shape, bool), geometry)
    found = NoduleDetector(Brightest(16.0, (1, 2, 4))).detect(prepared)
    # One block of 64 voxels, its middle at 61.5; the finer levels call its first voxels the brightest.
    assert (64.0, (61.5, 49.5, 41.5)) in [(c.diameter_mm, c.center_mm) for c in found]
    assert not [c for c in NoduleDetector(Brightest(16.0)).detect(prepared) if c.diameter_mm == 64]


@pytest.mark.parametrize(("hu_there", "listed"), [(-880, False), (-840, True)])
def test_outside_of_the_mask_a_mass_needs_more_of_a_score(hu_there: int, listed: bool) -> None:
    """The stand-in's score is the brightness: .086 and .114 of the window from -1000 to 400 HU."""
    hu = np.full((96, 96, 96), -1000, np.int16)
    hu[40:42, 50:52, 60:62] = hu_there
    hu[90, 80, 70] = hu_there + 50  # the finer level's
    geometry = Geometry(hu.shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    mask = np.zeros(hu.shape, bool)
    mask[40, 50, 40:50] = True
    outside = PreparedScan(Volume(hu, geometry, "1.2"), mask, geometry)
    found = [c for c in NoduleDetector(Brightest(20.0)).detect(outside) if c.diameter_mm == 40]
    assert bool(found) is listed
    # In the mask either counts.
    inside = PreparedScan(outside.volume, np.ones(hu.shape, bool), geometry)
    assert [c for c in NoduleDetector(Brightest(20.0)).detect(inside) if c.diameter_mm == 40]


def test_a_halved_chest_keeps_its_marks_on_its_nodules() -> None:
    chest = host([(40, 50, 60, 16), (80, 80, 80, 6)], [(90, 30, 30, 40)])
    small = halved(chest, weight=0.25)
    assert (small.step, small.weight, small.voxels.hu.shape) == (2, 0.25, (60, 60, 60))
    assert small.nodules.tolist() == [[19.75, 24.75, 29.75, 8.0]]
    # Of 3 voxels: known at the finer level, and nothing to teach here.
    assert small.ignored.tolist() == [[44.75, 14.75, 14.75, 20.0], [39.75, 39.75, 39.75, 3.0]]
    assert small.voxels.hu[20, 25, 30] == 30
    assert small.voxels.lung_mask.all()


def test_a_chest_halved_twice_is_at_a_quarter() -> None:
    chest = halved(halved(host([(40, 50, 60, 32), (80, 80, 80, 8)]), 1.0), 0.5)
    assert (chest.step, chest.weight, chest.voxels.hu.shape) == (4, 0.5, (30, 30, 30))
    assert chest.nodules.tolist() == [[*coarse_place(np.array([40.0, 50.0, 60.0]), 4).tolist(), 8.0]]
    assert chest.ignored[:, 3].tolist() == [2.0]


def test_the_coarser_levels_share_the_patches_of_masses_evenly() -> None:
    chests = at_levels([host(), host()], (1, 2, 4), share=0.4)
    total = sum(chest.weight for chest in chests)
    shares = {step: sum(c.weight for c in chests if c.step == step) / total for step in (1, 2, 4)}
    assert shares == {1: pytest.approx(0.6), 2: pytest.approx(0.2), 4: pytest.approx(0.2)}
    assert [c.step for c in at_levels([host()], (1,), share=0.4)] == [1]


@pytest.mark.parametrize(("step", "most"), [(2, 50.0), (4, 25.0)])
def test_masses_are_as_large_in_millimetres_at_every_level(step: int, most: float) -> None:
    pasting = Pasting([host()], [crop(d) for d in range(8, 27)], [], replace(SMALL, masses_mm=(16.0, 100.0)))
    rng = np.random.default_rng(0)
    drawn = [pasting._draw_mass(rng, step) for _ in range(300)]
    sizes = [c.diameter_mm * grown for c, grown in drawn]
    assert min(sizes) >= 8 - 1e-9
    assert most * 0.9 < max(sizes) <= most + 1e-9


def test_patches_of_a_halved_chest_hold_masses_and_no_cubes() -> None:
    never = HybridPatches([host(), halved(host(), 9.0)], [crop(6), crop(12)], [], replace(SMALL, nodules=2.0), 4)
    diameters = [d for n in range(60) for d in never[n].nodules[:, 3]]
    # Crops of 6 voxels are no masses; those of 12 are turned and grown by up to 1.18 x 2.2.
    large = [d for d in diameters if d > 12 * 1.18]
    assert large
    assert max(diameters) <= 12 * 1.18 * 2.2
    for n in range(60):
        patch = never[n]
        for z, y, x, d in patch.nodules:
            if d > 12 * 1.18 and min(z, y, x) >= 2 and max(z, y, x) < 29:
                assert float(patch.image[0, round(z), round(y), round(x)]) > 0.4
