"""What pydicom reads back of a written series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from phantom.dicom_writer import Series, hashed_uid, write_series
from preprocessing.geometry import Geometry
from preprocessing.volume import Volume

SERIES = Series("PHANTOM-0001", "test/0", 2.5, "SHARP", 100, contrast=True)


def volume(direction: np.ndarray | None = None) -> Volume:
    hu = np.random.default_rng(0).integers(-1024, 3072, (12, 8, 6)).astype(np.int16)
    turned = np.eye(3) if direction is None else direction
    geometry = Geometry(hu.shape, (0.703125, 0.71, 2.5), (-170.1, -120.2, -333.25), turned)
    return Volume(hu, geometry, hashed_uid("test", "series"))


def test_geometry_and_hu_come_back(tmp_path: Path) -> None:
    written = volume()
    paths = write_series(written, tmp_path, SERIES)
    assert sorted(tmp_path.iterdir()) != paths  # names are not in slice order
    for k, path in enumerate(paths):
        read = pydicom.dcmread(path)
        hu = read.pixel_array.astype(int) * int(read.RescaleSlope) + int(read.RescaleIntercept)
        assert np.array_equal(hu, written.hu[k])
        assert [float(v) for v in read.ImagePositionPatient] == pytest.approx([-170.1, -120.2, -333.25 + 2.5 * k])
        assert [float(v) for v in read.ImageOrientationPatient] == [1, 0, 0, 0, 1, 0]
        assert [float(v) for v in read.PixelSpacing] == [0.71, 0.703125]  # between rows first
        assert read.SOPInstanceUID == read.file_meta.MediaStorageSOPInstanceUID
        assert read.InstanceNumber == k + 1


def test_header_of_a_ct(tmp_path: Path) -> None:
    read = [pydicom.dcmread(path) for path in write_series(volume(), tmp_path, SERIES)]
    first = read[0]
    assert first.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert (first.Modality, first.PatientID, first.PixelRepresentation) == ("CT", "PHANTOM-0001", 0)
    assert (first.SliceThickness, first.KVP, first.ConvolutionKernel) == (2.5, 100, "SHARP")
    assert "PixelPaddingValue" not in first
    assert "ContrastBolusAgent" in first
    assert {r.SeriesInstanceUID for r in read} == {volume().series_uid}
    assert len({r.FrameOfReferenceUID for r in read}) == len({r.StudyInstanceUID for r in read}) == 1
    assert len({r.SOPInstanceUID for r in read}) == 12
    for uid in (first.SOPInstanceUID, first.StudyInstanceUID, first.FrameOfReferenceUID):
        assert uid.is_valid
        assert uid.startswith("2.25.")


def test_tilted_grid(tmp_path: Path) -> None:
    c, s = np.cos(0.3), np.sin(0.3)
    written = volume(np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]))
    read = pydicom.dcmread(write_series(written, tmp_path, SERIES)[11])
    assert [float(v) for v in read.ImageOrientationPatient] == pytest.approx([c, 0, -s, 0, 1, 0], abs=1e-6)
    expected = np.array([-170.1, -120.2, -333.25]) + 11 * 2.5 * np.array([s, 0, c])
    assert [float(v) for v in read.ImagePositionPatient] == pytest.approx(expected, abs=1e-6)


def test_padding_is_stored_as_scanners_do(tmp_path: Path) -> None:
    padding = np.zeros((8, 6), bool)
    padding[0, 0] = True
    signed = Series("PHANTOM-0001", "test/0", 2.5, signed=True)
    read = pydicom.dcmread(write_series(volume(), tmp_path, signed, padding)[0])
    assert (read.PixelRepresentation, read.PixelPaddingValue, read.pixel_array[0, 0]) == (1, -2000, -2000)
    assert np.array_equal(read.pixel_array[1:] - 1024, volume().hu[0, 1:])
    with pytest.raises(ValueError, match="signed"):
        write_series(volume(), tmp_path, SERIES, padding)


def test_same_scan_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_series(volume(), tmp_path / name, SERIES)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "b").iterdir())
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
