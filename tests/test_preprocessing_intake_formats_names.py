"""Where the voxels of an image file lie; SimpleITK is the outside judge of which files are read."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from preprocessing.intake.find import find_scans
from preprocessing.intake.images import data_files, read_image
from preprocessing.intake.scan import Reason, Scan, ScanError
from preprocessing.prepare import PrepareSettings, _key

SLICES = 12
META = "ObjectType = Image\nNDims = 3\nDimSize = 6 5 12\nElementSpacing = 1 1 2\nElementType = MET_SHORT\n"
NRRD = "NRRD0004\ntype: short\ndimension: 3\nsizes: 6 5 12\nendian: little\nencoding: raw\nspace: LPS\n"
NRRD += "space directions: (1,0,0) (0,1,0) (0,0,2)\n"
NAMES = [f"s{k:02d}.raw" for k in range(1, SLICES + 1)]
LIST = "".join(f"{name}\n" for name in NAMES)

FORMS = {
    "name.mhd": (META + "ElementDataFile = whole.raw\n", ["whole.raw"]),
    "colon.mhd": (META + "  ElementDataFile :whole.raw", ["whole.raw"]),
    "newline.mhd": (META + "ElementDataFile\n = whole.raw\n", ["whole.raw"]),
    "below.mhd": (META + "ElementDataFile = sub/whole.raw\n", ["sub/whole.raw"]),
    "name.mha": (META + "ElementDataFile = whole.raw\n", ["whole.raw"]),
    "list.mhd": (META + "ElementDataFile = LIST\n" + LIST, NAMES),
    "list.mha": (META + "ElementDataFile = LIST 2D\n" + LIST, NAMES),
    "pattern.mhd": (META + "ElementDataFile = s%02d.raw 1 12 1\n", NAMES),
    "pattern.mha": (META + "ElementDataFile = s%02d.raw 1 12 1\n", NAMES),
    "name.nrrd": (NRRD + "data file: whole.raw\n", ["whole.raw"]),
    "other.nrrd": (NRRD + "DataFile: whole.raw\n\n", ["whole.raw"]),
    "list.nrrd": (NRRD + "data file: LIST\n" + LIST, NAMES),
    "pattern.nrrd": (NRRD + "data file: s%02d.raw 1 12 1\n", NAMES),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    here = tmp_path / "here"
    (here / "sub").mkdir(parents=True)
    for k, name in enumerate(NAMES, 1):
        (here / name).write_bytes(np.full((5, 6), 10 * k, "<i2").tobytes())
    whole = b"".join((here / name).read_bytes() for name in NAMES)
    for place in (here / "whole.raw", here / "sub" / "whole.raw", tmp_path / "away.raw"):
        place.write_bytes(whole)
    return here


@pytest.mark.parametrize("name", FORMS)
def test_the_files_that_are_read_are_the_files_that_are_known(name: str, folder: Path) -> None:
    content, expected = FORMS[name]
    path = folder / name
    path.write_text(content)
    assert [p.relative_to(folder).as_posix() for p in data_files(path)] == expected
    assert read_image(path, "x").hu[:, 0, 0].tolist() == [10 * k for k in range(1, SLICES + 1)]
    # Without one of them nothing can be read: they are the ones.
    (folder / expected[-1]).unlink()
    with pytest.raises(ScanError):
        read_image(path, "x")


@pytest.mark.parametrize("name", FORMS)
def test_every_byte_of_them_is_in_the_key_of_the_cache(name: str, folder: Path) -> None:
    content, expected = FORMS[name]
    (folder / name).write_text(content)
    scan = Scan("x", "x", (folder / name,))
    keys = {_key(scan, PrepareSettings())}
    for part in expected:
        changed = bytearray((folder / part).read_bytes())
        changed[-1] ^= 1
        (folder / part).write_bytes(changed)
        keys.add(_key(scan, PrepareSettings()))
    assert len(keys) == 1 + len(expected)


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
def test_voxels_in_the_same_file(ending: str, tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((12, 5, 6), np.int16)), str(tmp_path / f"x{ending}"))
    assert data_files(tmp_path / f"x{ending}") == ()


@pytest.mark.parametrize("named", ["../away.raw", "{tmp}/away.raw", "sub/../../away.raw", "link.raw", "C:\\x.raw",
                                   "..\\away.raw", "linked/away.raw", "ring.raw"])  # fmt: skip
@pytest.mark.parametrize("ending", [".mhd", ".mha", ".nrrd"])
def test_files_elsewhere_are_refused(named: str, ending: str, folder: Path, tmp_path: Path) -> None:
    (folder / "link.raw").symlink_to(tmp_path / "away.raw")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "ring.raw").symlink_to(folder / "ring.raw")
    head, key = (NRRD, "data file: ") if ending == ".nrrd" else (META, "ElementDataFile = ")
    name = named.format(tmp=tmp_path)
    (folder / f"x{ending}").write_text(f"{head}{key}{name}\n")
    (scan,) = find_scans(folder / f"x{ending}")
    assert scan.refused == Reason.BAD_VALUE
    assert "its own folder" in scan.detail
    assert "raw" not in scan.detail  # names may say who it is
    many = LIST.replace(NAMES[3], name)
    (folder / f"x{ending}").write_text(f"{head}{key}LIST\n{many}")
    (scan,) = find_scans(folder / f"x{ending}")
    assert scan.refused == Reason.BAD_VALUE


@pytest.mark.parametrize(
    "last",
    [
        "ElementDataFile = s%02d.raw 1 12\n",  # MetaIO divides by zero
        "ElementDataFile = s%02d.raw 1 12 0\n",
        "ElementDataFile = %s.raw 1 12 1\n",  # and crashes
        "ElementDataFile = s%02d%n.raw 1 12 1\n",
        "ElementDataFile = s%02d.raw 1 11 1\n",  # the last slice would be memory that was never written
        "ElementDataFile = s%02d.raw 1 999999999 1\n",
        "ElementDataFile = LIST\ns01.raw\n",
        "ElementDataFile = LIST 3D\nwhole.raw\n",
        "ElementDataFile = whole.raw\nElementDataFile = s01.raw\n",
        "elementdatafile = whole.raw\n",
        "NDims = -1\nElementDataFile = whole.raw\n",
        "NDims = 99999999999999999999\nElementDataFile = whole.raw\n",
        "",
    ],
)
@pytest.mark.parametrize("ending", [".mhd", ".mha"])
def test_headers_that_would_be_misread_are_refused(last: str, ending: str, folder: Path) -> None:
    head = META.replace("NDims = 3\n", "") if last.startswith("NDims") else META
    (folder / f"x{ending}").write_text(head + last)
    (scan,) = find_scans(folder / f"x{ending}")
    assert scan.refused in (Reason.BAD_VALUE, Reason.UNREADABLE)


@pytest.mark.parametrize("field", ["type", "space", "data file", "no field", "a: b:="])
def test_long_lines_of_nrrd_end_no_process(field: str, folder: Path) -> None:
    (folder / "x.nrrd").write_text(f"{NRRD}{field}: {'x' * 2000}\n\n")
    (scan,) = find_scans(folder / "x.nrrd")
    assert scan.refused == Reason.BAD_VALUE
    (folder / "x.nrrd").write_text(f"{NRRD}# {'x' * 2000}\nwho made it:={'y' * 2000}\ndata file: whole.raw\n\n")
    assert read_image(folder / "x.nrrd", "x").hu[-1, 0, 0] == 10 * SLICES


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_nifti_holds_its_voxels_itself(ending: str, tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.full((12, 5, 6), 7, np.int16))
    sitk.WriteImage(image, str(tmp_path / f"whole{ending}"))
    assert data_files(tmp_path / f"whole{ending}") == ()
    assert read_image(tmp_path / f"whole{ending}", "x").hu[0, 0, 0] == 7
    sitk.WriteImage(image, str(tmp_path / "pair.hdr"))
    content = (tmp_path / "pair.hdr").read_bytes()
    (tmp_path / f"pair{ending}").write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    (scan,) = find_scans(tmp_path / f"pair{ending}")
    assert scan.refused == Reason.UNREADABLE
    (tmp_path / f"cut{ending}").write_bytes((tmp_path / f"whole{ending}").read_bytes()[:60])
    (scan,) = find_scans(tmp_path / f"cut{ending}")
    assert scan.refused == Reason.UNREADABLE


def test_the_ending_says_who_reads(folder: Path) -> None:
    """A header of another kind under a known ending would be read unchecked."""
    (folder / "x.nii").write_text(META + "ElementDataFile = ../away.raw\n")
    shutil.copy(folder / "x.nii", folder / "x.nrrd")
    assert {s.refused for s in find_scans(folder) if s.refused} == {Reason.UNREADABLE}


def test_a_grid_no_scanner_makes(tmp_path: Path) -> None:
    (tmp_path / "x.mhd").write_text(META.replace("6 5 12", "60000 60000 900") + "ElementDataFile = x.raw\n")
    (scan,) = find_scans(tmp_path / "x.mhd")
    assert scan.refused == Reason.BAD_VALUE
    assert "voxels" in scan.detail
