"""The table of damages: what is done to a sound series, and what the intake must make of it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    RLELossless,
)

from preprocessing.intake.scan import Reason
from tests import damage as d
from tests.damage import READ, Kind, cut, each, every, on_files, one, raw
from tests.damage_files import (
    as_enhanced,
    as_fileset,
    bare,
    codestream_cut,
    compressed,
    encrypted,
    into_zip,
    odd_names,
    one_bad_patient,
    relabel,
    rewritten,
    under_two_patients,
    with_second_series,
)

GARBAGE = b"\xff\xfe\x01"
OTHERS = {"notes": b"a line\n" * 40, "LOCK": b"", "x.bin": bytes(range(256)) * 9, "a.xml": b"<a/>", ".x": b""}
R = Reason


def delete(*places: int) -> Callable[[Path], Path]:
    return on_files(lambda files: [files[k].unlink() for k in places])


def copy_one(**how: object) -> Callable[[Path], Path]:
    return on_files(lambda files: d.copy_slice(files[4], "zz.dcm", **how))


def brighter(dataset: Dataset) -> None:
    d.put(dataset, d.pixels(dataset).clip(0, 3000) + 100, bool(dataset.PixelRepresentation))


def shear(degrees: float) -> Callable[[Path], Path]:
    return each(lambda k, s: d.move(s, 0, np.tan(np.radians(degrees)) * 2.5 * k, 0))


def stretched(mm: float) -> Callable[[Path], Path]:
    """Every slice step grows by `mm`."""
    return each(lambda k, s: d.move(s, 0, 0, mm * k))


def then(*steps: Callable[[Path], Path]) -> Callable[[Path], Path]:
    def apply(folder: Path) -> Path:
        for step in steps:
            folder = step(folder)
        return folder

    return apply


def most(content: bytes) -> int:
    return len(content) * 4 // 5


def uneven(mm: float) -> Callable[[Path], Path]:
    return each(lambda k, s: d.move(s, 0, 0, mm * (k % 2)))


KINDS = [
    Kind("sound", lambda folder: folder),
    # Slices that are not there, or there twice.
    Kind("one slice missing", delete(5), warns=("missing_slices",)),
    Kind("two separate slices missing", delete(2, 9), warns=("missing_slices",)),
    Kind("a block missing", delete(5, 6, 7), (R.MISSING_SLICES,)),
    Kind("one slice missing among 4 mm ones", then(stretched(1.5), delete(5)), (R.MISSING_SLICES,)),
    Kind("too few slices", on_files(lambda files: [f.unlink() for f in files[9:]]), (R.TOO_FEW_SLICES,)),
    Kind("file copied", copy_one(), warns=("duplicate_slices",)),
    Kind("all files copied", on_files(lambda files: [shutil.copy(f, f.with_suffix(".copy")) for f in files]),
         warns=("duplicate_slices",)),
    Kind("copy under a new uid", copy_one(uid=".7"), warns=("duplicate_slices",)),
    Kind("same place, other pixels", copy_one(uid=".7", edit=brighter), warns=("doubled_position",)),
    Kind("same uid and place, other pixels", copy_one(edit=brighter), warns=("doubled_position",)),
    Kind("nearly the same place", copy_one(uid=".7", edit=lambda s: d.move(s, 0, 0, 0.005)),
         warns=("doubled_position",)),
    Kind("one uid for all slices", every(SOPInstanceUID="1.2.3")),
    Kind("all at one place", every(ImagePositionPatient=["1", "2", "3"]), (R.DUPLICATE_SLICES,)),
    # Series that run into each other.
    Kind("two series in a folder", with_second_series, (READ, READ)),
    Kind("two grids under one uid", each(lambda k, s: setattr(s, "PixelSpacing", ["0.9", "0.9"]) if k % 2 else None),
         (R.MIXED_GEOMETRY,)),
    Kind("one slice of another matrix", one(at=0, PixelSpacing=["0.9", "0.9"]), warns=("stray_images",), whole=False),
    Kind("same series, two patients", under_two_patients, (R.BAD_VALUE, R.BAD_VALUE)),
    Kind("cohort with a bad patient", one_bad_patient, (R.EMPTY_FOLDER, R.MISSING_SLICES, READ)),
    # Geometry.
    Kind("names and numbers shuffled", on_files(relabel)),
    Kind("wrong SliceThickness", every(SliceThickness="77", SpacingBetweenSlices="-3")),
    Kind("no SliceThickness, no InstanceNumber", every(SliceThickness=None, InstanceNumber=None, SliceLocation=None)),
    Kind("names in reverse", on_files(lambda files: [f.rename(f.with_name(f"a{999 - k}.dcm"))
                                                     for k, f in enumerate(files)])),
    Kind("columns mirrored", each(d.mirror_columns)),
    Kind("rows and columns exchanged", each(d.transpose)),
    Kind("turned by 180 degrees", each(d.prone_turn)),
    Kind("gantry tilt", shear(12), (R.GANTRY_TILT,)),
    Kind("slight gantry tilt", shear(2), (R.GANTRY_TILT,)),
    Kind("tilt tag against the planes", every(GantryDetectorTilt="14.5"), (R.GANTRY_TILT,)),
    Kind("tilt tag is zero", every(GantryDetectorTilt="0.0")),
    Kind("a slice shifted sideways", each(lambda k, s: d.move(s, 4, 0, 0) if k == 6 else None), (R.MIXED_GEOMETRY,)),
    Kind("the last slice shifted sideways", each(lambda k, s: d.move(s, 0, 4, 0) if k == 0 else None),
         (R.MIXED_GEOMETRY,)),
    Kind("uneven spacing", uneven(0.6), warns=("uneven_spacing",), in_place=False, whole=False),
    Kind("uneven wide spacing", each(lambda k, s: d.move(s, 0, 0, 2.5 * k + 1.5 * (k % 2))), (R.UNEVEN_SPACING,)),
    Kind("slices 6 mm apart", stretched(3.5), warns=("thick_slices",), in_place=False),
    Kind("slices 12.5 mm apart", stretched(10), (R.THICK_SLICES,)),
    # Images that are no CT slices.
    Kind("localiser alone", each(lambda k, s: d.localiser(s)), (R.LOCALISER,)),
    Kind("bare localiser alone", each(lambda k, s: d.bare_localiser(s)), (R.LOCALISER,)),
    Kind("localiser among slices", copy_one(uid=".7", edit=d.localiser), warns=("localisers_dropped",)),
    Kind("bare localiser among slices", copy_one(uid=".7", edit=d.bare_localiser), warns=("localisers_dropped",)),
    Kind("MR", every(Modality="MR", SOPClassUID=MRImageStorage), (R.NOT_CT,)),
    Kind("PET", every(Modality="PT", SOPClassUID=PositronEmissionTomographyImageStorage), (R.NOT_CT,)),
    Kind("coloured", each(lambda k, s: d.coloured(s)), (R.NOT_MONOCHROME,)),
    Kind("coloured stray", copy_one(uid=".7", edit=d.coloured), warns=("stray_images",)),
    # Damaged files.
    Kind("pixels cut", cut(5, lambda content: len(content) - 1001), (R.TRUNCATED,)),
    Kind("all pixels cut", cut(5, lambda content: content.rfind(b"\xe0\x7f\x10\x00") + 12), (R.TRUNCATED,)),
    Kind("header cut early", cut(5, lambda content: 200), warns=("broken_files", "missing_slices")),
    Kind("header cut in the meta group", cut(5, lambda content: 150), warns=("broken_files", "missing_slices")),
    Kind("empty file", cut(5, lambda content: 0), warns=("broken_files", "missing_slices")),
    Kind("all files empty", on_files(lambda files: [f.write_bytes(b"") for f in files]), (R.NOT_DICOM,)),
    Kind("text named .dcm", on_files(lambda files: files[5].write_text("no DICOM\n" * 99)),
         warns=("broken_files", "missing_slices")),
    Kind("only text named .dcm", on_files(lambda files: [f.write_text("no DICOM\n" * 99) for f in files]),
         (R.NOT_DICOM,)),
    Kind("other files beside", on_files(lambda files: [files[0].with_name(name).write_bytes(content) for name, content
                                                       in OTHERS.items()])),
    Kind("only other files", on_files(lambda files: [(f.unlink(), f.with_suffix(".note").write_text("x" * 500))
                                                     for f in files]), (R.NOT_DICOM,)),
    Kind("empty folder", on_files(lambda files: [f.unlink() for f in files]), (R.EMPTY_FOLDER,)),
    # Tags.
    Kind("no position", one(ImagePositionPatient=None), (R.MISSING_TAG,)),
    Kind("no orientation", every(ImageOrientationPatient=None), (R.MISSING_TAG,)),
    Kind("no pixel spacing", every(PixelSpacing=None), (R.MISSING_TAG,)),
    Kind("no rescale slope", every(RescaleSlope=None), (R.MISSING_TAG,)),
    Kind("no rescale intercept", every(RescaleIntercept=None), (R.MISSING_TAG,)),
    Kind("no modality", every(Modality=None), (R.MISSING_TAG,)),
    Kind("no series uid", every(SeriesInstanceUID=None), (R.MISSING_TAG,)),
    Kind("no patient id", every(PatientID=None), warns=("missing_patient_id",)),
    Kind("no pixel data", one(PixelData=None), (R.TRUNCATED,)),
    Kind("garbage position", raw("ImagePositionPatient", b"a\\b\\c "), (R.BAD_VALUE,)),
    Kind("two numbers for a position", every(ImagePositionPatient=["1", "2"]), (R.BAD_VALUE,)),
    Kind("position is not a number", raw("ImagePositionPatient", b"1\\nan\\3 "), (R.BAD_VALUE,)),
    Kind("one number for pixel spacing", every(PixelSpacing="0.7"), (R.BAD_VALUE,)),
    Kind("pixel spacing zero", every(PixelSpacing=["0", "0"]), (R.BAD_VALUE,)),
    Kind("orientation not orthogonal", every(ImageOrientationPatient=["1", "0", "0", "1", "0", "0"]), (R.BAD_VALUE,)),
    Kind("rescale slope zero", every(RescaleSlope="0"), (R.BAD_VALUE,)),
    Kind("rescale slope senseless", every(RescaleSlope="1e20"), (R.BAD_VALUE,)),
    Kind("rescale intercept senseless", one(RescaleIntercept="-1e30"), (R.BAD_VALUE,)),
    Kind("garbage samples per pixel", raw("SamplesPerPixel", GARBAGE), (R.BAD_VALUE,)),
    Kind("garbage rows", raw("Rows", GARBAGE), (R.BAD_VALUE,)),
    Kind("no bits stored", one(BitsStored=None), (R.MISSING_TAG,)),
    Kind("garbage bits", raw("BitsAllocated", GARBAGE), (R.BAD_VALUE,)),
    Kind("wrong number of rows", one(Rows=64), warns=("missing_slices", "stray_images")),
    # Stored values.
    Kind("signed pixels", each(d.signed_pixels)),
    Kind("one slice stored otherwise", each(lambda k, s: d.half_slope(k, s) if k == 3 else None),
         warns=("mixed_rescale",)),
    Kind("rescale slope 0.5", each(d.half_slope)),
    Kind("12 bits signed", each(d.twelve_bits)),
    Kind("padding -2000", d.padded(-2000, -2000, signed=True)),
    Kind("padding -3024", d.padded(-3024, -3024, signed=True, intercept=0)),
    Kind("padding written as 63536", d.padded(-2000, 63536, signed=True)),
    Kind("padding 63536 in unsigned pixels", d.padded(63536, 63536, signed=False)),
    Kind("padding -2000 for unsigned pixels", d.padded(63536, -2000, signed=False)),
    Kind("padding of 0 HU is not believed", each(lambda k, s: (d.signed_pixels(k, s), d.set_tags(
        s, {"PixelPaddingValue": None}), s.add_new("PixelPaddingValue", "SS", 0)))),
    Kind("intercept lost", every(RescaleIntercept="0"), (R.NOT_HOUNSFIELD,)),
    # Encodings.
    Kind("big endian", rewritten(ExplicitVRBigEndian, implicit_vr=False, little_endian=False)),
    Kind("deflated", rewritten(DeflatedExplicitVRLittleEndian)),
    Kind("implicit", rewritten(ImplicitVRLittleEndian)),
    Kind("bare data set, implicit", bare()),
    Kind("bare data set, explicit", bare(implicit=False)),
    Kind("bare data set, big endian", bare(implicit=False, little_endian=False)),
    Kind("JPEG 2000", compressed(JPEG2000Lossless)),
    Kind("JPEG-LS", compressed(JPEGLSLossless)),
    Kind("RLE", compressed(RLELossless)),
    Kind("JPEG 2000, a file cut", then(compressed(JPEG2000Lossless), cut(5, most)), (R.TRUNCATED,)),
    Kind("JPEG-LS, a file cut", then(compressed(JPEGLSLossless), cut(5, most)), (R.TRUNCATED,)),
    Kind("RLE, a file cut", then(compressed(RLELossless), cut(5, most)), (R.TRUNCATED,)),
    Kind("deflated, a file cut", then(rewritten(DeflatedExplicitVRLittleEndian), cut(5, most)),
         warns=("broken_files", "missing_slices")),
    Kind("JPEG 2000, a codestream cut", then(compressed(JPEG2000Lossless), codestream_cut), (R.UNREADABLE,)),
    Kind("JPEG-LS, a codestream cut", then(compressed(JPEGLSLossless), codestream_cut), (R.TRUNCATED,)),
    Kind("RLE, a codestream cut", then(compressed(RLELossless), codestream_cut), (R.TRUNCATED,)),
    Kind("unsupported syntax", each(lambda k, s: setattr(s.file_meta, "TransferSyntaxUID", "1.2.3.4.5")),
         (R.UNSUPPORTED_SYNTAX,)),
    Kind("enhanced multi-frame", as_enhanced()),
    Kind("enhanced, one position missing", as_enhanced(
        lambda s: s.PerFrameFunctionalGroupsSequence[3].clear()), (R.MISSING_TAG,)),
    Kind("enhanced, pixels of one frame missing", as_enhanced(
        lambda s: setattr(s, "PixelData", s.PixelData[: -2 * s.Rows * s.Columns])), (R.TRUNCATED,)),
    Kind("enhanced without functional groups", as_enhanced(
        lambda s: s.__delattr__("PerFrameFunctionalGroupsSequence")), (R.MISSING_TAG,)),
    # Containers and paths.
    Kind("odd names", odd_names),
    Kind("zip", into_zip),
    Kind("zip in a folder", lambda folder: into_zip(folder, "x/y").parents[2]),
    Kind("zip cut", lambda folder: into_zip(folder, "", lambda c: c[: len(c) // 2]), (R.UNREADABLE,)),
    Kind("zip with a damaged member", lambda folder: into_zip(
        folder, "", lambda c: c[:3000] + bytes(x ^ 0x55 for x in c[3000:3100]) + c[3100:]), (R.UNREADABLE,)),
    Kind("zip encrypted", lambda folder: into_zip(folder, "", encrypted), (R.UNREADABLE,)),
    Kind("DICOMDIR", as_fileset, synthetic_only=True),
]  # fmt: skip
