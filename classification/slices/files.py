"""Slices on disk: folders of classes as IQ-OTH/NCCD ships them, single images, DICOM slices."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from preprocessing.intake.pixels import read_images
from runs.csv_text import printable
from runs.entry import UsageError

CLASSES = ("normal", "benign", "malignant")
# "Bengin" is how the folder of the collection is spelt.
FOLDERS = {"normal": "normal", "benign": "benign", "bengin": "benign", "malignant": "malignant"}
IMAGES = (".jpg", ".jpeg", ".png", ".bmp")
DICOM = (".dcm", "")
# The window that most slices of the collection were saved in.
LUNG_WINDOW_HU = (-1350.0, 150.0)
LEAST_PX = 64

Grey = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Slice:
    """One file.

    Attributes:
        path: of the image.
        label: index into `CLASSES`, -1 where the folder does not say.
        number: the number in its name, -1 without one; neighbours in number are often neighbours in one chest.
    """

    path: Path
    label: int
    number: int


def find_slices(path: Path) -> list[Slice]:
    """One file, or all images under a folder, by class and number.

    Raises:
        FileNotFoundError: no such path.
        UsageError: a folder without an image.
    """
    if path.is_file():
        return [_slice(path)]
    if not path.is_dir():
        raise FileNotFoundError(f"no file or folder at '{printable(path)}'")
    found = [_slice(file) for file in sorted(path.rglob("*")) if file.is_file() and file.suffix.lower() in IMAGES]
    if not found:
        found = [_slice(file) for file in sorted(path.rglob("*")) if file.is_file() and _is_dicom(file)]
    if not found:
        raise UsageError(f"'{printable(path)}' holds no slice: {', '.join(IMAGES)} or DICOM was expected")
    return sorted(found, key=lambda s: (s.label, s.number, s.path))


def read_slice(path: Path) -> Grey:
    """(H, W) grey values in [0, 1]; a DICOM slice in a lung window.

    Raises:
        UsageError: it cannot be read as one slice.
    """
    name = f"'{printable(Path(path.name))}'"
    try:
        grey = _dicom(path) if path.suffix.lower() not in IMAGES else _picture(path)
    except (UnidentifiedImageError, OSError, ValueError) as error:  # a ScanError is a ValueError
        raise UsageError(f"{name} cannot be read as one slice ({type(error).__name__})") from error
    if grey.ndim != 2 or min(grey.shape) < LEAST_PX:
        raise UsageError(f"{name} must be one slice of at least {LEAST_PX} x {LEAST_PX} pixels, got {grey.shape}")
    return grey


def _slice(path: Path) -> Slice:
    words = [FOLDERS[w] for w in re.findall(r"[a-z]+", path.parent.name.lower()) if w in FOLDERS]
    numbers = re.findall(r"\d+", path.stem)
    return Slice(path, CLASSES.index(words[0]) if len(words) == 1 else -1, int(numbers[-1]) if numbers else -1)


def _is_dicom(path: Path) -> bool:
    if path.suffix.lower() not in DICOM:
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _picture(path: Path) -> Grey:
    with Image.open(path) as image:
        return np.asarray(np.asarray(image.convert("L"), dtype=np.float32) / 255, np.float32)


def _dicom(path: Path) -> Grey:
    low, high = LUNG_WINDOW_HU
    images = read_images(path)
    if len(images) != 1:
        raise ValueError(f"one slice was expected, got {len(images)}")
    hu = images[0][1].astype(np.float32)
    return np.asarray(np.clip((hu - low) / (high - low), 0, 1), np.float32)
