from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detection.candidate import Candidate
from detection.pictures.canvas import AMBER
from detection.pictures.key_images import (
    OUTSIDE,
    PANEL_PX,
    file_stem,
    key_image,
    key_views,
    overview,
    write_key_images,
)
from preprocessing.geometry import Geometry
from preprocessing.prepare import PreparedScan
from preprocessing.volume import Volume

UID = "1.2.3"
FLIPS = [np.eye(3), np.diag([-1.0, 1.0, 1.0]), np.diag([1.0, -1.0, -1.0])]


def prepared(direction: np.ndarray = FLIPS[0]) -> PreparedScan:
    """80 mm of lung at 1 mm, centred on the world's origin; a bright cube 20 mm to the left, back and head."""
    shape = (80, 80, 80)
    grid = Geometry(shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), direction)
    grid = replace(grid, origin_mm=tuple(-grid.to_world((39.5, 39.5, 39.5))))
    hu = np.full(shape, -850, np.int16)
    world = grid.to_world(np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1))
    hu[np.all(np.abs(world - 20) < 5, axis=-1)] = 150
    return PreparedScan(Volume(hu, grid, UID), np.ones(shape, bool), grid)


def candidate(center: float = 0.0, diameter: float = 16.0) -> Candidate:
    return Candidate(UID, (center, center, center), diameter, 0.5)


def is_amber(image: Image.Image) -> np.ndarray:
    return np.all(np.asarray(image) == AMBER, axis=-1)


def test_the_box_is_where_the_candidate_is() -> None:
    # 16 mm at 4 pixels a millimetre: 64 pixels around the middle of 320, so 128 ... 191 outside to outside.
    for view in key_views(prepared(), candidate(), size_mm=80.0).values():
        rows, columns = np.nonzero(is_amber(view))
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (128, 191, 128, 191)


def test_an_unknown_diameter_has_no_box() -> None:
    for view in key_views(prepared(), candidate(diameter=float("nan"))).values():
        assert not is_amber(view).any()


def test_a_large_box_widens_the_field() -> None:
    # 100 mm: the field becomes 200 mm, the box half of the panel.
    view = key_views(prepared(), candidate(diameter=100.0))["axial"]
    columns = np.nonzero(is_amber(view))[1]
    assert (columns.min(), columns.max()) == (80, 239)


@pytest.mark.parametrize("direction", FLIPS, ids=["identity", "x flipped", "y and z flipped"])
def test_left_back_and_head_are_at_the_same_edge_for_every_grid(direction: np.ndarray) -> None:
    scan = prepared(direction)
    centre = candidate()
    # Through the cube's own depth (20 mm), seen from the middle of the other two axes.
    expected = {"axial": ((0, 0, 20), 240, 240), "coronal": ((0, 20, 0), 80, 240), "sagittal": ((20, 0, 0), 80, 240)}
    for name, (center_mm, row, column) in expected.items():
        at = replace(centre, center_mm=tuple(float(v) for v in center_mm), diameter_mm=2.0)
        gray = np.asarray(key_views(scan, at, size_mm=80.0)[name])[..., 0].astype(int)
        # 20 mm at 4 pixels a millimetre is 80 pixels from the middle; the window makes 150 HU white, -850 HU 85.
        assert gray[row, column] == 255, name
        assert gray[320 - row, 320 - column] == 85, name


def test_beyond_the_prepared_box_is_marked_and_not_air() -> None:
    view = np.asarray(key_views(prepared(), candidate(center=39.0))["axial"])
    assert tuple(view[100, 300]) == OUTSIDE
    assert tuple(view[100, 60]) != OUTSIDE


def test_a_candidate_outside_the_volume_is_still_drawn() -> None:
    assert is_amber(key_views(prepared(), candidate(center=500.0))["axial"]).any()


def test_the_overview_marks_where_the_candidate_lies() -> None:
    # +20 mm left and 20 mm up in 80 mm shown over 320 pixels: column 240, row 80.
    found = Candidate(UID, (20.0, 0.0, 20.0), 6.0, 0.5)
    for direction in FLIPS:
        rows, columns = np.nonzero(is_amber(overview(prepared(direction), [found], highlight=0)))
        assert (rows.min() + rows.max()) / 2 == pytest.approx(80, abs=1)
        assert (columns.min() + columns.max()) / 2 == pytest.approx(240, abs=1)


def test_the_overview_of_few_slices_is_flat() -> None:
    scan = prepared()
    thin = PreparedScan(
        Volume(scan.volume.hu[:10].copy(), scan.volume.geometry.cropped((0, 0, 0), (10, 80, 80)), UID),
        scan.lung_mask[:10],
        scan.source_geometry,
    )
    # 80 mm wide and 10 mm high, at most 480 pixels wide: 6 pixels a millimetre.
    assert overview(thin, []).size == (480, 60)


def test_written_images_are_the_same_twice_and_leftovers_go(tmp_path: Path) -> None:
    scan, found = prepared(), [candidate(), candidate(20.0), candidate(-20.0)]
    first = write_key_images(scan, found, tmp_path)
    before = [path.read_bytes() for path in first]
    other = tmp_path / "another-01.png"
    other.write_bytes(b"kept")
    again = write_key_images(scan, found, tmp_path, top=2)
    assert again == first[:2]
    assert [path.read_bytes() for path in again] != before[:2]  # the locator shows two marks now
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*(p.name for p in again), other.name])
    assert [p.read_bytes() for p in write_key_images(scan, found, tmp_path)] == before


def test_key_image_joins_four_panels() -> None:
    # Three panels and a square locator with gaps of 4.
    assert key_image(prepared(), candidate()).size == (4 * PANEL_PX + 3 * 4, PANEL_PX)


def test_file_names_say_nothing_of_the_patient() -> None:
    assert file_stem("1.2.840") == "a664433065199647"  # printf 1.2.840 | sha256sum
    labels = ["Ä/ö:1", "a b", "A b", "a=b,(c)", "..", "", "x" * 300, "x" * 301, "\udce9"]
    assert len({file_stem(label) for label in labels}) == len(labels)
