"""A phantom cohort's nodules as the folder that stage 2 learns from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phantom.chest import ChestSettings
from phantom.crops import CropSettings, crop, cut_out
from phantom.make import make_cohort
from preprocessing.geometry import Geometry
from preprocessing.lidc.nodule_folder import read_nodule_folder
from preprocessing.volume import Volume
from runs.csv_text import read_lines
from runs.entry import UsageError, compose_settings


def test_the_box_is_within_the_scan_and_the_mask_is_the_ball() -> None:
    hu = np.arange(10 * 20 * 20, dtype=np.int16).reshape(10, 20, 20)
    volume = Volume(hu, Geometry(hu.shape, (1.0, 1.0, 2.0), (100.0, 0.0, -50.0), np.eye(3)), "1.2")
    # Voxel z 1, y 10, x 10.
    box, ball = cut_out(volume, np.array([110.0, 10.0, -48.0]), 4.0, 3.0)
    # 5 mm reach: z -1.5 to 3.5, cut at 0, slices 0 to 4; y and x from 5 to 15.
    np.testing.assert_array_equal(box.hu, hu[0:5, 5:16, 5:16])
    np.testing.assert_allclose(box.geometry.to_world((1, 5, 5)), (110, 10, -48))
    # Within 2 mm: 13 voxels in the plane, and one 2 mm above and below.
    assert ball.sum() == 15
    assert ball[1, 5, 3]
    assert not ball[1, 3, 3]
    # Of what is smaller than a voxel the nearest is left.
    assert cut_out(volume, np.array([110.3, 10.0, -48.0]), 0.2, 3.0)[1].sum() == 1


@pytest.mark.slow
def test_stage_2_reads_the_crops_of_a_cohort(tmp_path: Path) -> None:
    chest = ChestSettings(matrix=64, mean_nodules=4.0, targets_per_lung=20, thickness_mm=4.0)
    cohort = make_cohort(tmp_path / "cohort", 1, 3, chest, workers=1)
    truth = read_lines(cohort / "nodules.csv", ("patient_id", "diameter_mm", "malignancy"), ("patient_id",))
    assert len(truth) > 1
    settings = compose_settings(CropSettings, "phantom_crops", [f"cohort={cohort}", f"out={tmp_path / 'out'}"])
    for _ in range(2):  # the second replaces the first
        crop(settings)
        found = list(read_nodule_folder(tmp_path / "out", ("malignancy",)))
        assert [n.patient_id for n in found] == ["PHANTOM-0001"] * len(truth)
        assert [n.diameter_mm for n in found] == pytest.approx(truth["diameter_mm"].astype(float).tolist())
        assert [n.ratings["malignancy"] for n in found] == truth["malignancy"].astype(float).tolist()
        assert all(n.mask.any() and n.hu.shape == n.mask.shape and n.hu.min() < -500 for n in found)
    with pytest.raises(UsageError, match="out must be empty, missing or an earlier folder of crops"):
        crop(CropSettings(8.0, cohort, cohort))
    (cohort / "nodules.csv").write_text((cohort / "nodules.csv").read_text().splitlines()[0] + "\n")
    with pytest.raises(UsageError, match="there are none"):
        crop(settings)
    with pytest.raises(UsageError, match="margin_mm must be above 0, got 0"):
        CropSettings(0.0)
