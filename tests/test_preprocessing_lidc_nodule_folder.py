"""A folder of nodules, read whole or refused by the name of what is wrong."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from preprocessing.lidc.nodule_folder import BoxedNodule, read_nodule_folder

HEADER = "patient_id,voi,diameter_mm,malignancy\n"
ROW = "0012,a.nii.gz,8.5,4\n"


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((0.5, 0.75, 2.0))
    image.SetOrigin((10.0, 20.0, 30.0))
    sitk.WriteImage(image, str(path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "image" / "a.nii.gz", np.arange(24, dtype=np.int16).reshape(2, 3, 4) - 900)
    save(tmp_path / "mask" / "a.nii.gz", np.eye(3, 4, dtype=np.int16)[None].repeat(2, 0))
    (tmp_path / "nodules.csv").write_text(HEADER + ROW)
    return tmp_path


def read(folder: Path) -> list[BoxedNodule]:
    return list(read_nodule_folder(folder, ["malignancy"]))


def test_a_row_with_its_voxels(folder: Path) -> None:
    (nodule,) = read(folder)
    assert (nodule.patient_id, nodule.diameter_mm, nodule.ratings) == ("0012", 8.5, {"malignancy": 4.0})
    assert nodule.hu[1, 2, 3] == -877
    assert nodule.mask.sum() == 6
    assert (nodule.geometry.shape_zyx, nodule.geometry.spacing_mm) == ((2, 3, 4), (0.5, 0.75, 2.0))
    # The second slice, third row, fourth column of a box that begins at the origin.
    assert nodule.geometry.to_world([1, 2, 3]).tolist() == [1.5, 1.5, 2.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("patient_id,voi\n", r"nodules\.csv must have the columns .*missing: diameter_mm,malignancy"),
        (HEADER + ROW.replace("8.5", "wide"), r"diameter_mm in line 2 must be a finite number, got 'wide'"),
        (HEADER + ROW.replace("a.nii", "b.nii"), r"not there: .*image/b\.nii\.gz"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str, folder: Path) -> None:
    (folder / "nodules.csv").write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read(folder)


def test_a_mask_must_be_there_be_an_image_and_fit(folder: Path) -> None:
    mask = folder / "mask" / "a.nii.gz"
    save(mask, np.zeros((2, 3, 5), np.int16))
    with pytest.raises(ValueError, match=r"a\.nii\.gz must have one shape in image and mask; got \(4, 3, 2\)"):
        read(folder)
    mask.write_text("no image")
    with pytest.raises(ValueError, match=r"a\.nii\.gz is no image that can be read"):
        read(folder)
    mask.unlink()
    with pytest.raises(FileNotFoundError, match=r"not there: .*mask/a\.nii\.gz"):
        read(folder)
