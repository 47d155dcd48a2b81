"""Nodules in image files of a few centimetres: assessed where someone says where they are, and nothing made up."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from classification.classifier import DEFAULT_WEIGHTS, SHIPPED
from classification.measuring.bare_crop import is_bare, prepare_crop
from lungscreen.classify import ClassifySettings, classify
from preprocessing.intake.scan import Scan

shipped = pytest.mark.skipif(
    not (SHIPPED / f"{DEFAULT_WEIGHTS}.safetensors").exists(), reason="the shipped weights are missing"
)
NODULES = Path("../shared/data/lidc_nodules")


def crop(path: Path, slices: int = 6, pixels: int = 50) -> Path:
    """A ball of 10 mm at world (12, 12, 5) in voxels of 0.5 x 0.5 x 2 mm."""
    z, y, x = np.meshgrid(np.arange(slices) * 2, *[np.arange(pixels) * 0.5] * 2, indexing="ij")
    ball = (z - 5) ** 2 + (y - 12) ** 2 + (x - 12) ** 2 < 25
    hu = np.where(ball, 40, -850) + np.random.default_rng(0).normal(0, 20, ball.shape)
    image = sitk.GetImageFromArray(hu.astype(np.int16))
    image.SetSpacing((0.5, 0.5, 2.0))
    sitk.WriteImage(image, str(path))
    return path


def test_a_crop_is_prepared_with_its_border_repeated(tmp_path: Path) -> None:
    """25 x 25 x 12 mm: at 1 mm 12 x 25 x 25 voxels and 24 more on every side."""
    prepared = prepare_crop(Scan("p", "a", (crop(tmp_path / "a.nii.gz"),)))
    assert prepared is not None
    assert is_bare(prepared)
    assert prepared.volume.hu.shape == (12 + 48, 25 + 48, 25 + 48)
    assert prepared.lung_mask.sum() == 12 * 25 * 25
    z, y, x = np.argwhere(prepared.lung_mask).min(0)
    # The outer face of the first voxel, -0.25 mm, is where the first voxel of 1 mm begins.
    assert prepared.volume.geometry.to_world((z, y, x)) == pytest.approx((0.25, 0.25, -0.5))
    hu = prepared.volume.hu
    assert np.array_equal(hu[0, :, 30], hu[z, :, 30])


def test_what_may_be_a_chest_is_none(tmp_path: Path) -> None:
    assert prepare_crop(Scan("p", "a", (crop(tmp_path / "a.nii.gz", pixels=280),))) is None
    assert prepare_crop(Scan("p", "a", (tmp_path / "1.dcm",))) is None


@shipped
def test_crops_have_their_rows_and_what_needs_the_chest_is_unknown(tmp_path: Path) -> None:
    folder, out = tmp_path / "crops", tmp_path / "out"
    folder.mkdir()
    crop(folder / "a.nii.gz")
    crop(folder / "b.nii.gz", slices=12)
    listed = tmp_path / "candidates.csv"
    listed.write_text("seriesuid,coordX,coordY,coordZ,probability,diameter_mm\na,12,12,5,0.9,10\nb,12.5,12,5,0.9,9\n")
    assert classify(ClassifySettings(input=folder, out=out, candidates=listed, cache=False)) == 0
    rows = pd.read_csv(out / "nodules.csv")
    assert rows["seriesuid"].tolist() == ["a", "b"]
    assert rows["malignancy"].between(0, 1).all()
    assert rows["long_axis_mm"].between(9, 11).all()
    assert rows["lung_rads"].eq("4A").all()
    assert rows[["side", "zone"]].eq("unknown").all(axis=None)
    assert rows[["pleura_mm", "contribution", "risk_without"]].isna().all(axis=None)
    assert "brock_2b" not in rows.columns
    assert pd.read_csv(out / "patients.csv").empty
    assert pd.read_csv(out / "scans.csv")["status"].eq("ok").all()


@shipped
@pytest.mark.skipif(not NODULES.is_dir(), reason="../shared/data/lidc_nodules is absent")
def test_crops_of_lidc_are_measured(tmp_path: Path) -> None:
    """Four nodules of two held-out patients: the mean diameter within 3.5 mm of the readers' sphere."""
    folder, rows = tmp_path / "crops", []
    folder.mkdir()
    table = pd.read_csv(NODULES / "nodules.csv").head(4)
    for row in table.itertuples():
        mask = sitk.ReadImage(str(NODULES / "mask" / row.voi))
        middle = np.argwhere(sitk.GetArrayFromImage(mask)).mean(0)[::-1]
        place = mask.TransformContinuousIndexToPhysicalPoint(middle.tolist())
        (folder / row.voi).symlink_to((NODULES / "image" / row.voi).resolve())
        rows.append((row.voi.removesuffix(".nii.gz"), *place, 0.9, row.diameter_mm))
    listed = tmp_path / "candidates.csv"
    names = ["seriesuid", "coordX", "coordY", "coordZ", "probability", "diameter_mm"]
    pd.DataFrame(rows, columns=names).to_csv(listed, index=False)
    classify(ClassifySettings(input=folder, out=tmp_path / "out", candidates=listed, cache=False))
    found = pd.read_csv(tmp_path / "out" / "nodules.csv").set_index("seriesuid")["mean_diameter_mm"]
    expected = table.set_index(table["voi"].str.removesuffix(".nii.gz"))["diameter_mm"]
    assert (found - expected[found.index]).abs().max() < 3.5
