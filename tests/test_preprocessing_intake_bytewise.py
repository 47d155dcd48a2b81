"""Headers that pydicom is not asked for: what is told of them is what it would have said, whatever their bytes.

`LUNGSCREEN_FUZZ` says how many mutations are tried, as for the other headers.
"""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian

from preprocessing.intake.headers import quiet_pydicom
from preprocessing.intake.series import bytewise as b
from preprocessing.intake.series.told import Reader, told_of
from tests import fuzz_headers as fuzz
from tests.series import chest, edit_series, slice_files, write_enhanced, write_series

TRIES = int(os.environ.get("LUNGSCREEN_FUZZ", "100000")) // 200
pytestmark = pytest.mark.slow
# What slices may well hold in the elements that are read here, and what they must not.
TIMES = (b"", b" ", b"1200", b"120000.25", b"120000.1234567", b"12:00:00", b"20200101120000.5 ", b"2020\\2021", b"12 ")
PLACES = (
    b"1\\2\\3",
    b"-1.5\\+2.\\3e1 ",
    b"1\\2",
    b"1\\2\\3\\4",
    b"1_0\\2\\3",
    b"1e99\\0\\0",
    b".5\\0\\0",
    b"-0\\0\\0",
    b"\0",
)
COUNTS = (b"7 ", b"+7", b"", b" ", b"7.0", b"1\\2", b"07", b"-3", b"9" * 9, b"9" * 10, b"1_0", b"7\0")


def rich(folder: Path) -> list[Path]:
    """A series with times, letters beyond ASCII, private elements, and sequences of defined and undefined length."""

    def enrich(k: int, dataset: Dataset) -> None:
        inner, outer = Dataset(), Dataset()
        inner.CodeValue, inner.CodeMeaning = "1", "within"
        inner.is_undefined_length_sequence_item = True
        outer.ReferencedSOPInstanceUID, outer.PurposeOfReferenceCodeSequence = f"2.25.{k}", [inner]
        outer["PurposeOfReferenceCodeSequence"].is_undefined_length = True
        dataset.ReferencedImageSequence, dataset.OtherPatientIDsSequence = [outer, outer], [inner]
        dataset["ReferencedImageSequence"].is_undefined_length = k % 3 > 0
        dataset.SpecificCharacterSet, dataset.SeriesDescription = "ISO_IR 100", "Lungenfenster für alle"
        dataset.AcquisitionTime, dataset.AcquisitionDateTime = f"1200{k:02}.5", f"202001011200{k:02}"
        dataset.SliceLocation, dataset.ContentTime = k * 2.5, f"1300{k:02}"
        dataset.private_block(0x0019, "ACME", create=True).add_new(1, "UN", bytes(range(k)))

    return slice_files(edit_series(write_series(folder), enrich))


def asked_of_pydicom(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Those for which it was asked; of all it is checked that it would have said the same."""
    asked: list[Path] = []

    def noted(path: Path) -> object:
        asked.append(path)
        return told_of(path)

    expected = [repr(told_of(path)) for path in paths]
    monkeypatch.setattr("preprocessing.intake.series.told.told_of", noted)
    reader = Reader()
    assert [repr(reader.told_of(path)) for path in paths] == expected
    return asked


def test_the_first_of_a_series_is_asked_for_and_the_others_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = rich(tmp_path / "a"), slice_files(write_series(tmp_path / "b", chest(4)))
    assert asked_of_pydicom([*one, *other, *one[:2]], monkeypatch) == [one[0], other[0], one[0]]


def test_a_slice_that_says_something_else_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def edit(k: int, dataset: Dataset) -> None:
        if k == 2:
            dataset.RescaleSlope = 2
        if k == 4:
            del dataset.AcquisitionTime
        if k == 6:
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        if k == 8:
            dataset.ImagePositionPatient = None

    paths = rich(tmp_path)
    edit_series(tmp_path, edit)
    asked = asked_of_pydicom(paths, monkeypatch)
    # Itself, and what comes after it where that is not like it; of localisers and faults nothing is kept.
    assert [paths.index(path) for path in asked] == [0, 2, 3, 4, 5, 6, 8]


def test_other_encodings_are_left_to_pydicom(tmp_path: Path) -> None:
    one, other, *_ = rich(tmp_path)
    big = one.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0")
    assert big != one.read_bytes()
    one.write_bytes(big)
    assert b.bytewise(one) is None
    dataset = dcmread(other)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(other, implicit_vr=True)
    assert b.bytewise(other) is None
    assert b.bytewise(write_enhanced(tmp_path / "enhanced.dcm", chest(3))) is None
    assert b.bytewise(tmp_path / "nothing") is None


def written(path: Path, beginning: bytes, elements: list[RawDataElement]) -> None:
    """A file of these, as they are, in explicit VR and little endian."""
    parts = [beginning]
    for element in elements:
        vr, value = (element.VR or "UN").encode(), element.value or b""
        value = value.encode() if isinstance(value, str) else value
        long = b.WIDE.get(vr, False)
        value = value if long else value[:65534]
        parts.append(struct.pack("<HH2s", element.tag.group, element.tag.element, vr))
        parts.append(struct.pack("<HL", 0, len(value)) if long else struct.pack("<H", len(value)))
        parts.append(value)
    path.write_bytes(b"".join(parts) + bytes.fromhex("e07f1000 4f570000 04000000 00000000"))


def test_mutated_elements(tmp_path: Path) -> None:
    one, other = rich(tmp_path / "a")[4:6]
    content = one.read_bytes()
    base = fuzz.raw_header(one)
    first = min(base._dict)
    beginning = content[: content.index(struct.pack("<HH", first.group, first.element), 132)]
    values = {"InstanceNumber": COUNTS, "ImagePositionPatient": PLACES, "AcquisitionTime": TIMES}
    values["AcquisitionDateTime"] = TIMES
    readers = [reader_after(one), reader_after(other)]
    rng, hits, path = random.Random("own"), 0, tmp_path / "mutated.dcm"
    for n in range(TRIES):
        with quiet_pydicom():
            made = dict(fuzz.mutated_header(base, rng)._dict) if n % 2 else dict(base._dict)
        for name in rng.sample(list(values), rng.choice((0, 1, 2))):
            tag, value = Tag(name), rng.choice(values[name])
            made[tag] = RawDataElement(tag, b.OWN[name][0], len(value), value, 0, False, True)
        written(path, beginning, [made[tag] for tag in sorted(made)])
        hits += same_as_pydicom(readers[n % 2], path)
    assert TRIES / 20 < hits < TRIES


@pytest.mark.parametrize("syntax", [b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"])
def test_mutated_bytes(syntax: bytes, tmp_path: Path) -> None:
    paths = rich(tmp_path / "a")
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", syntax))
    content = paths[5].read_bytes()
    content = content[: content.rfind(b"\xe0\x7f\x10\x00") + 12]
    reader = reader_after(paths[4])
    rng, hits, path = random.Random("bytes"), 0, tmp_path / "mutated.dcm"
    for _ in range(TRIES // 2):
        path.write_bytes(fuzz.mutated_bytes(content, rng))
        hits += same_as_pydicom(reader, path)
    assert TRIES / 40 < hits < TRIES / 2


def reader_after(path: Path) -> Reader:
    reader = Reader()
    reader.told_of(path)
    return reader


def same_as_pydicom(reader: Reader, path: Path) -> bool:
    """Whether it was not asked; what is told is compared in any case. The reader stays after what it was after."""
    before, header = reader.before, b.bytewise(path)
    assert repr(reader.told_of(path)) == repr(told_of(path))
    reader.before = before
    return header is not None and before is not None and header.same == before[0].same
