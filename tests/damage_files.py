"""Damage to files as wholes: other encodings, other names and containers, series and patients that run together."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.encaps import encapsulate, get_frame
from pydicom.fileset import FileSet
from pydicom.uid import UID, ExplicitVRBigEndian

from preprocessing.intake.find import find_scans
from preprocessing.intake.volume_reader import read_volume
from tests.damage import copy_slice, each, move, on_files
from tests.series import slice_files, write_enhanced


def compressed(syntax: UID) -> Callable[[Path], Path]:
    return each(lambda k, d: d.compress(syntax, generate_instance_uid=False))


def codestream_cut(folder: Path) -> Path:
    """The container of one slice is whole, the compressed image within has lost its second half."""
    path = slice_files(folder)[5]
    dataset = dcmread(path)
    image = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([image[: len(image) // 2]])
    dataset.save_as(path)
    return folder


def rewritten(syntax: UID, **options: Any) -> Callable[[Path], Path]:
    """Every file stored in another uncompressed syntax."""

    def change(files: list[Path]) -> None:
        for path in files:
            dataset = dcmread(path)
            if syntax == ExplicitVRBigEndian:
                dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
                dataset["PixelData"].VR = "OW"
            dataset.file_meta.TransferSyntaxUID = syntax
            dcmwrite(path, dataset, **options)

    return on_files(change)


def bare(little_endian: bool = True, implicit: bool = True) -> Callable[[Path], Path]:
    """No preamble, no file meta information: the data set alone, as old archives send it."""

    def change(files: list[Path]) -> None:
        for path in files:
            old = dcmread(path)
            dataset = Dataset()
            dataset.update(dict(old.items()))
            [dataset[tag] for tag in list(dataset.keys())]  # raw elements would be copied in the old byte order
            if not little_endian:
                dataset.PixelData = np.frombuffer(old.PixelData, "<u2").astype(">u2").tobytes()
                dataset["PixelData"].VR = "OW"
            dataset.save_as(path, implicit_vr=implicit, little_endian=little_endian)

    return on_files(change)


def relabel(files: list[Path]) -> None:
    """File names and InstanceNumbers say nothing about the order any more."""
    places = np.random.default_rng(3).permutation(len(files))
    for place, path in zip(places.tolist(), files, strict=True):
        dataset = dcmread(path)
        dataset.InstanceNumber = 1000 - place
        dataset.save_as(path)
        path.rename(path.with_name(f"IM{place:05d}"))


def into_zip(folder: Path, below: str = "", content: Callable[[bytes], bytes] = bytes) -> Path:
    """All files moved into `folder/below/scan.zip`."""
    target = folder / below / "scan.zip"
    target.parent.mkdir(exist_ok=True, parents=True)
    files = slice_files(folder)
    with zipfile.ZipFile(target, "w") as packed:
        for path in files:
            packed.write(path, f"a/b/{path.name}")
    for path in files:
        path.unlink()
    target.write_bytes(content(target.read_bytes()))
    return target


def encrypted(content: bytes) -> bytes:
    """Set the encryption bit of every member, in the local headers and in the directory."""
    changed = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = changed.find(mark)
        while at >= 0:
            changed[at + offset] |= 1
            at = changed.find(mark, at + 4)
    return bytes(changed)


def with_second_series(folder: Path) -> Path:
    """Every other file belongs to a second series of the same patient, which lies 1 m further up."""
    for path in slice_files(folder):

        def second(d: Dataset) -> None:
            d.SeriesInstanceUID += ".2"
            move(d, 0, 0, 1000)

        copy_slice(path, path.stem + "b.dcm", ".2", second)
    return folder


def under_two_patients(folder: Path) -> Path:
    """The same series again under another PatientID."""
    for path in slice_files(folder):
        copy_slice(path, path.stem + "b.dcm", None, lambda d: setattr(d, "PatientID", "somebody else"))
    return folder


def one_bad_patient(folder: Path) -> Path:
    """A cohort: a sound patient, one who lacks three slices in a row, one empty folder."""
    for name in ("good/study", "bad/study/series", "none"):
        (folder / name).mkdir(parents=True)

    def other(dataset: Dataset) -> None:
        dataset.PatientID, dataset.SeriesInstanceUID = "bad", dataset.SeriesInstanceUID + ".9"

    for k, path in enumerate(slice_files(folder)):
        if not 5 <= k < 8:
            copy_slice(path, folder / "bad/study/series" / path.name, ".9", other)
        shutil.move(path, folder / "good/study" / path.name)
    return folder


def odd_names(folder: Path) -> Path:
    target = folder.parent / "Größe, (kopie) = 3 'ü' [x] 肺 #1"
    folder.rename(target)
    for k, path in enumerate(slice_files(target)):
        path.rename(target / f"Bild {k}, (é)=1")
    return target


def as_enhanced(edit: Callable[[Dataset], None] | None = None) -> Callable[[Path], Path]:
    """The series as one multi-frame file."""

    def apply(folder: Path) -> Path:
        volume = read_volume(find_scans(folder)[0])
        for path in slice_files(folder):
            path.unlink()
        return write_enhanced(folder / "enhanced.dcm", volume, edit)

    return apply


def as_fileset(folder: Path) -> Path:
    """Medium with a DICOMDIR; the path is that of the DICOMDIR itself."""
    medium = FileSet()
    for path in slice_files(folder):
        medium.add(path)
    medium.write(folder.parent / "medium")
    return folder.parent / "medium" / "DICOMDIR"
