"""Voxels that are not whole are refused, whichever format and packing; whole ones are read from the file named."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from preprocessing.intake.images import read_image
from preprocessing.intake.scan import Reason, ScanError

SHAPE = (12, 40, 50)
# Name, packed, the file with the voxels.
FORMS = {
    "a.nii": (False, "a.nii"),
    "a.nii.gz": (True, "a.nii.gz"),
    "a.mha": (False, "a.mha"),
    "b.mha": (True, "b.mha"),
    "a.mhd": (False, "a.raw"),
    "b.mhd": (True, "b.zraw"),
    "a.nrrd": (False, "a.nrrd"),
    "b.nrrd": (True, "b.nrrd"),
}
PACKED = [name for name, (packed, _) in FORMS.items() if packed]
PLAIN = [name for name, (packed, _) in FORMS.items() if not packed]


def values() -> np.ndarray:
    """Noise: it hardly packs, so that any byte of the file is a byte of a voxel."""
    return np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)


def write(folder: Path, name: str, hu: np.ndarray | None = None) -> Path:
    image = sitk.GetImageFromArray(values() if hu is None else hu)
    image.SetSpacing((0.7, 0.8, 2.5))
    sitk.WriteImage(image, str(folder / name), FORMS[name][0])
    return folder / FORMS[name][1]


def change(path: Path, edit: Callable[[bytes], bytes]) -> None:
    path.write_bytes(edit(path.read_bytes()))


def refused(path: Path) -> Reason:
    with pytest.raises(ScanError) as caught:
        read_image(path, "x")
    return caught.value.reason


@pytest.mark.parametrize("name", FORMS)
def test_whole_files_hold_what_was_written(name: str, tmp_path: Path) -> None:
    write(tmp_path, name)
    volume = read_image(tmp_path / name, "x")
    np.testing.assert_array_equal(volume.hu, values())
    np.testing.assert_allclose(volume.geometry.spacing_mm, (0.7, 0.8, 2.5), rtol=1e-6)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", FORMS)
def test_cut_files(name: str, share: float, tmp_path: Path) -> None:
    change(write(tmp_path, name), lambda content: content[: int(share * len(content))])
    assert refused(tmp_path / name) == Reason.TRUNCATED


@pytest.mark.parametrize("name", FORMS)
def test_a_single_byte_less(name: str, tmp_path: Path) -> None:
    change(write(tmp_path, name), lambda content: content[:-1])
    assert refused(tmp_path / name) == Reason.TRUNCATED


@pytest.mark.parametrize("name", PACKED)
def test_zeroed_blocks_and_changed_bits_of_packed_files(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes(500) + whole[middle + 500 :])
    assert refused(tmp_path / name) in (Reason.DAMAGED, Reason.TRUNCATED)
    # Any single bit of the packed voxels, the checksum at the end included.
    for at in (*np.random.default_rng(1).integers(600, len(whole) - 9, 20).tolist(), len(whole) - 6):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert refused(tmp_path / name) in (Reason.DAMAGED, Reason.TRUNCATED)


@pytest.mark.parametrize("name", PLAIN)
def test_more_slices_than_the_header_states(name: str, tmp_path: Path) -> None:
    change(write(tmp_path, name), lambda content: content + bytes(2 * 40 * 50))
    assert refused(tmp_path / name) == Reason.DAMAGED


@pytest.mark.parametrize("name", ["a.mhd", "b.mhd"])
def test_voxels_that_are_not_there(name: str, tmp_path: Path) -> None:
    write(tmp_path, name).unlink()
    assert refused(tmp_path / name) == Reason.TRUNCATED


def test_the_twin_of_another_patient_is_not_read(tmp_path: Path) -> None:
    """nifti_clib looks for the voxels of A.nii.gz in A.nii first."""
    write(tmp_path, "a.nii.gz")
    write(tmp_path, "a.nii", values()[::-1])
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz", "x").hu, values())
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii", "x").hu, values()[::-1])


@pytest.mark.parametrize("name", FORMS)
def test_endings_in_capitals(name: str, tmp_path: Path) -> None:
    write(tmp_path, name)
    loud = name.replace("nii", "Nii").replace("mh", "MH").replace("nrrd", "NRRD")
    (tmp_path / name).rename(tmp_path / loud)
    np.testing.assert_array_equal(read_image(tmp_path / loud, "x").hu, values())


def test_streams_of_several_members(tmp_path: Path) -> None:
    """As bgzip writes them; padding after the last one is none of it."""
    content = gzip.decompress(write(tmp_path, "a.nii.gz").read_bytes())
    parts = [gzip.compress(content[at : at + 9999]) for at in range(0, len(content), 9999)]
    (tmp_path / "a.nii.gz").write_bytes(b"".join(parts) + bytes(40))
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz", "x").hu, values())
    (tmp_path / "a.nii.gz").write_bytes(b"".join(parts[:-2]))
    assert refused(tmp_path / "a.nii.gz") == Reason.TRUNCATED


def test_a_stream_that_never_ends_is_not_followed(tmp_path: Path) -> None:
    """1 GB of zeros behind the voxels is 1 MB packed."""
    content = gzip.decompress(write(tmp_path, "a.nii.gz").read_bytes())
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = [packer.compress(content), *(packer.compress(bytes(1 << 24)) for _ in range(64)), packer.flush()]
    (tmp_path / "a.nii.gz").write_bytes(b"".join(packed))
    assert refused(tmp_path / "a.nii.gz") == Reason.DAMAGED
