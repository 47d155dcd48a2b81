"""MetaImage and NRRD headers: values held against SimpleITK, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from preprocessing.intake.images import check_image, read_image
from preprocessing.intake.scan import Reason, ScanError

META = {
    "ObjectType": "Image", "NDims": "3", "DimSize": "6 5 12", "ElementSpacing": ".7 .8 2.5",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "3 4 5", "ElementType": "MET_SHORT", "ElementDataFile": "a.raw",
}  # fmt: skip
NRRD = {
    "type": "short", "dimension": "3", "sizes": "6 5 12", "encoding": "raw", "endian": "little", "space": "LPS",
    "space directions": "(.7,0,0) (0,.8,0) (0,0,2.5)", "space origin": "(3,4,5)", "data file": "a.raw",
}  # fmt: skip
META_TYPES = {"MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4",
              "MET_UINT": "u4", "MET_FLOAT": "f4", "MET_DOUBLE": "f8", "MET_LONG_LONG": "i8"}  # fmt: skip
NRRD_TYPES = {"int8": "i1", "unsigned char": "u1", "short": "i2", "uint16": "u2", "int": "i4", "unsigned int": "u4",
              "float": "f4", "double": "f8", "long long": "i8"}  # fmt: skip


def meta(folder: Path, voxels: np.ndarray | None = None, **fields: str | None) -> Path:
    """A header and its voxels; None leaves a key out."""
    (folder / "a.raw").write_bytes((np.arange(360, dtype="<i2") if voxels is None else voxels).tobytes())
    stated = {key: value for key, value in {**META, **fields}.items() if value is not None}
    stated["ElementDataFile"] = stated.pop("ElementDataFile")
    (folder / "a.mhd").write_text("".join(f"{key} = {value}\n" for key, value in stated.items()))
    return folder / "a.mhd"


def nrrd(folder: Path, voxels: np.ndarray | None = None, **fields: str | None) -> Path:
    """The same; `_` in a name stands for a blank."""
    (folder / "a.raw").write_bytes((np.arange(360, dtype="<i2") if voxels is None else voxels).tobytes())
    named = {key.replace("_", " "): value for key, value in fields.items()}
    stated = {key: value for key, value in {**NRRD, **named}.items() if value is not None}
    (folder / "a.nrrd").write_text("NRRD0005\n" + "".join(f"{key}: {value}\n" for key, value in stated.items()) + "\n")
    return folder / "a.nrrd"


def as_simpleitk(path: Path) -> None:
    """Voxels and the world places of two corners."""
    image = sitk.ReadImage(str(path))
    volume = read_image(path, "x")
    for index in ([0, 0, 0], [5, 4, 11], [2, 3, 7]):
        at = np.rint(volume.geometry.to_voxel(image.TransformIndexToPhysicalPoint(index))).astype(int)
        np.testing.assert_allclose(volume.geometry.to_world(at), image.TransformIndexToPhysicalPoint(index), atol=1e-4)
        assert volume.hu[tuple(at)] == np.rint(np.clip(image.GetPixel(index), -1024, 3071))


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("kind", META_TYPES)
def test_metaimage_types_as_simpleitk_reads_them(kind: str, big: bool, tmp_path: Path) -> None:
    voxels = (np.arange(360) % 100).astype((">" if big else "<") + META_TYPES[kind])
    as_simpleitk(meta(tmp_path, voxels, ElementType=kind, BinaryDataByteOrderMSB=str(big)))


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("kind", NRRD_TYPES)
def test_nrrd_types_as_simpleitk_reads_them(kind: str, order: str, tmp_path: Path) -> None:
    voxels = (np.arange(360) % 100).astype(("<" if order == "little" else ">") + NRRD_TYPES[kind])
    as_simpleitk(nrrd(tmp_path, voxels, type=kind, endian=order))


@pytest.mark.parametrize(
    "matrix",
    ["1 0 0 0 1 0 0 0 1", "-1 0 0 0 -1 0 0 0 1", "0 1 0 0 0 1 1 0 0", "0 0 1 1 0 0 0 -1 0", ".8 .6 0 -.6 .8 0 0 0 1"],
)
def test_metaimage_matrices_as_simpleitk_reads_them(matrix: str, tmp_path: Path) -> None:
    voxels = np.arange(1320, dtype="<i2")
    as_simpleitk(meta(tmp_path, voxels, DimSize="10 11 12", TransformMatrix=matrix))


@pytest.mark.parametrize("space", ["LPS", "RAS", "LAS", "left-posterior-superior", "right-anterior-superior"])
def test_nrrd_spaces_as_simpleitk_reads_them(space: str, tmp_path: Path) -> None:
    as_simpleitk(nrrd(tmp_path, space=space, space_directions="(0,.7,0) (.8,0,0) (0,0,-2.5)"))


def test_voxels_after_other_bytes(tmp_path: Path) -> None:
    led = np.concatenate([np.zeros(50, "<i2"), np.arange(360, dtype="<i2")])
    as_simpleitk(meta(tmp_path, led, HeaderSize="-1"))
    as_simpleitk(meta(tmp_path, led, HeaderSize="100"))
    as_simpleitk(nrrd(tmp_path, led, byte_skip="-1"))
    as_simpleitk(nrrd(tmp_path, led, byte_skip="100"))


def refused(path: Path) -> tuple[Reason, str]:
    with pytest.raises(ScanError) as caught:
        check_image(path)
    return caught.value.reason, caught.value.detail


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        ({"ElementSpacing": None}, Reason.MISSING_TAG, "spacing"),
        ({"ElementSpacing": ".7 .8 nan"}, Reason.BAD_VALUE, "ElementSpacing"),
        ({"ElementSpacing": ".7 .8 0"}, Reason.BAD_VALUE, "spacing"),
        ({"ElementSpacing": ".7 .8"}, Reason.BAD_VALUE, "ElementSpacing"),
        ({"TransformMatrix": "1 0 0 .1 1 0 0 0 1", "DimSize": "6 60 12"}, Reason.BAD_VALUE, "sheared"),
        ({"ElementType": "MET_SHORT\nElementSpacing = 1 1 1"}, Reason.BAD_VALUE, "once"),
        ({"Position": "9 9 9"}, Reason.BAD_VALUE, "Offset and Position"),
        ({"Rotation": "0 1 0 1 0 0 0 0 1"}, Reason.BAD_VALUE, "TransformMatrix and Rotation"),
        ({"ElementType": "MET_COMPLEX"}, Reason.BAD_VALUE, "ElementType"),
        ({"BinaryData": "False"}, Reason.BAD_VALUE, "binary"),
        ({"ElementNumberOfChannels": "3"}, Reason.NOT_MONOCHROME, "channel"),
        ({"HeaderSize": "-7"}, Reason.BAD_VALUE, "HeaderSize"),
        ({"ElementToIntensityFunctionSlope": "2"}, Reason.BAD_VALUE, "ElementToIntensityFunctionSlope"),
    ],
)
def test_metaimage_headers_that_are_refused(
    fields: dict[str, str | None], reason: Reason, words: str, tmp_path: Path
) -> None:
    found, detail = refused(meta(tmp_path, **fields))
    assert found == reason
    assert words in detail


def test_a_metaimage_without_a_matrix_is_said(tmp_path: Path) -> None:
    (warning,) = check_image(meta(tmp_path, TransformMatrix=None))
    assert warning.startswith("orientation_unstated:")


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        ({"space_directions": None}, Reason.MISSING_TAG, "spacing"),
        ({"space_directions": None, "spacings": ".7 .8 2.5"}, Reason.MISSING_TAG, "orientation"),
        ({"space_directions": None, "spacings": ".7 .8 NaN"}, Reason.MISSING_TAG, "orientation"),
        ({"space_directions": "(nan,0,0) (0,.8,0) (0,0,2.5)"}, Reason.BAD_VALUE, "numbers"),
        ({"space_directions": "(.7,0,0) (0,.8,0)"}, Reason.BAD_VALUE, "three vectors"),
        ({"space": None}, Reason.MISSING_TAG, "space"),
        ({"space": "scanner-xyz"}, Reason.MISSING_TAG, "space"),
        ({"space_units": '"m" "m" "m"'}, Reason.BAD_VALUE, "mm"),
        ({"encoding": "bzip2"}, Reason.UNSUPPORTED_SYNTAX, "encoding"),
        ({"encoding": "ascii"}, Reason.UNSUPPORTED_SYNTAX, "encoding"),
        ({"endian": None}, Reason.BAD_VALUE, "endian"),
        ({"sizes": "6 5 12 2", "dimension": "4"}, Reason.BAD_VALUE, "three axes"),
        ({"dimension": "4"}, Reason.BAD_VALUE, "dimension"),
        ({"line_skip": "2"}, Reason.BAD_VALUE, "line skip"),
        ({"content": "a\nspace: RAS"}, Reason.BAD_VALUE, "once"),
    ],
)
def test_nrrd_headers_that_are_refused(
    fields: dict[str, str | None], reason: Reason, words: str, tmp_path: Path
) -> None:
    found, detail = refused(nrrd(tmp_path, **fields))
    assert found == reason
    assert words in detail


def test_nrrd_lengths_in_millimetres(tmp_path: Path) -> None:
    assert check_image(nrrd(tmp_path, space_units='"mm" "mm" "mm"')) == ()
