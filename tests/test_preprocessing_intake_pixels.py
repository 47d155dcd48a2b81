"""Stored values that decoders and writers are known to differ in; SimpleITK's GDCM and the encoder are the judges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    HTJ2K,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from preprocessing.intake import pixels
from preprocessing.intake.find import find_scans
from preprocessing.intake.padding import without_padding
from preprocessing.intake.scan import Reason, ScanError
from preprocessing.intake.volume_reader import read_volume
from preprocessing.volume import Volume
from tests import damage as d
from tests.htj2k_frame import FRAME
from tests.lossless_jpeg import encoded
from tests.series import chest, edit_series, outside_circle, slice_files, write_series


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_series(tmp_path / "series")


@pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLosslessSV1])
@pytest.mark.parametrize(("bits", "wrap"), [(16, 16), (12, 16), (12, 12), (13, 13), (15, 15)])
@pytest.mark.parametrize("signed", [False, True])
def test_lossless_jpeg_whose_differences_wrap(bits: int, wrap: int, signed: bool, syntax: str, folder: Path) -> None:
    """Signed values wrap from -1 to 2**bits - 1 at every edge between air and tissue."""

    def compress(k: int, s: object) -> None:
        hu = d.pixels(s) - 1024
        stored = (hu if signed else hu + 1024) % (1 << bits)
        s.BitsStored, s.HighBit, s.PixelRepresentation = bits, bits - 1, int(signed)
        s.RescaleIntercept = 0 if signed else -1024
        frame = encoded(stored, bits, wrap)
        s.PixelData = encapsulate([frame + b"\0" * (len(frame) % 2)])
        s["PixelData"].VR, s["PixelData"].is_undefined_length = "OB", True
        s.file_meta.TransferSyntaxUID = syntax

    (scan,) = find_scans(edit_series(folder, compress))
    np.testing.assert_array_equal(read_volume(scan).hu, chest().hu)


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_high_throughput_jpeg_2000(syntax: str, folder: Path) -> None:
    """One frame for all slices, each 4 HU above the one below by its intercept, the corners padding."""

    def compress(k: int, s: object) -> None:
        s.PixelData = encapsulate([FRAME + b"\0" * (len(FRAME) % 2)])
        s["PixelData"].VR, s["PixelData"].is_undefined_length = "OB", True
        s.file_meta.TransferSyntaxUID = syntax
        s.RescaleIntercept = 4 * k - 1024
        s.add_new("PixelPaddingValue", "US", 0)

    (scan,) = find_scans(edit_series(folder, compress))
    np.testing.assert_array_equal(read_volume(scan).hu, chest().hu)


@pytest.mark.parametrize("last", [b"\x0f", b"\x00", b"\xff", b"\xd9", b"ab\x00"])
def test_bytes_after_the_end_marker_are_padding(last: bytes, folder: Path) -> None:
    edit_series(folder, lambda k, s: s.compress(JPEGLSLossless, generate_instance_uid=False))

    def lengthen(k: int, s: object) -> None:
        frame = get_frame(s.PixelData, 0, number_of_frames=1).rstrip(b"\0")
        s.PixelData = encapsulate([frame + last])

    (scan,) = find_scans(edit_series(folder, lengthen))
    np.testing.assert_array_equal(read_volume(scan).hu, chest().hu)


def test_a_panic_of_a_decoder_is_a_damaged_file(folder: Path) -> None:
    edit_series(folder, lambda k, s: s.compress(RLELossless, generate_instance_uid=False))
    path = slice_files(folder)[5]
    content = bytearray(path.read_bytes())
    start = content.rfind(b"\xe0\x7f\x10\x00")
    middle = start + (len(content) - start) // 2
    content[middle : middle + 500] = bytes(500)
    path.write_bytes(content)
    with pytest.raises(ScanError) as caught:
        read_volume(find_scans(folder)[0])
    assert caught.value.reason in (Reason.UNREADABLE, Reason.TRUNCATED)


def test_a_panic_is_none_of_pythons_errors(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):  # as pyo3 calls it
        pass

    def fail(kind: type[BaseException]) -> None:
        monkeypatch.setattr(pixels, "_by_its_decoder", lambda dataset: (_ for _ in ()).throw(kind()))

    (scan,) = find_scans(folder)
    fail(PanicException)
    with pytest.raises(ScanError) as caught:
        read_volume(scan)
    assert caught.value.reason == Reason.UNREADABLE
    fail(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        read_volume(scan)


@pytest.mark.parametrize(("high", "stored"), [(15, 12), (13, 12), (7, 16), (11, 17)])
def test_bits_at_another_place_are_refused(high: int, stored: int, folder: Path) -> None:
    edit_series(folder, lambda k, s: d.set_tags(s, {"HighBit": high, "BitsStored": stored}))
    (scan,) = find_scans(folder)
    assert scan.refused == Reason.BAD_VALUE
    assert "HighBit" in scan.detail


def test_bits_above_the_stored_ones_are_not_read(folder: Path) -> None:
    """Overlays of old scanners lie there."""

    def overlaid(k: int, s: object) -> None:
        stored = d.pixels(s)
        stored[20:30, 20:30] |= 1 << 12
        d.put(s, stored, False)
        s.BitsStored, s.HighBit = 12, 11

    (scan,) = find_scans(edit_series(folder, overlaid))
    np.testing.assert_array_equal(read_volume(scan).hu, chest().hu)


@pytest.mark.parametrize("value", [-500, 0, 976, 3071])
def test_a_constant_ring_without_a_padding_tag_becomes_air(value: int, folder: Path) -> None:
    """As where -1024 was stored, unsigned: 63536 is 62,512 HU, clipped to 3,071."""
    truth = chest()

    def ring(k: int, s: object) -> None:
        stored = d.pixels(s)
        stored[outside_circle()] = value + 1024 if value < 3071 else 63536
        d.put(s, stored, False)

    (scan,) = find_scans(edit_series(folder, ring))
    volume = read_volume(scan)
    np.testing.assert_array_equal(volume.hu, truth.hu)
    assert volume.warnings[0].startswith("padding: the corners of 16 slice(s)")


def test_tissue_in_the_corners_is_left_alone() -> None:
    volume = chest()
    hu = volume.hu.copy()
    hu[:, outside_circle()] = np.random.default_rng(0).integers(20, 60, (len(hu), int(outside_circle().sum())))
    same = without_padding(Volume(hu.copy(), volume.geometry, "x"))
    np.testing.assert_array_equal(same.hu, hu)
    assert same.warnings == ()
