"""Which series of a study are analysed."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from lungscreen.server.pacs.settings import Rules
from preprocessing.intake.headers import quiet_pydicom, text_of


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A series of a study.

    Attributes:
        name: by which its source knows it.
        images: names of its images there, sorted.
        header: of one of them, without pixels.
    """

    name: str
    images: tuple[str, ...]
    header: Dataset


def chosen(series: Sequence[Series], rules: Rules) -> list[Series]:
    """Those to analyse, the best first; none when no series is a chest CT that can be read."""
    with quiet_pydicom():
        fitting = [one for one in series if _fits(one, rules)]
        return sorted(fitting, key=lambda one: _order(one, rules))[: rules.series]


def _fits(one: Series, rules: Rules) -> bool:
    header = one.header
    thickness = _number(header, "SliceThickness")
    return (
        text_of(header, "Modality") == "CT"
        and len(one.images) * _frames(header) >= rules.least_images
        and "LOCALIZER" not in _image_type(header)
        and (rules.derived or _is_original(header))
        and (math.isnan(thickness) or thickness <= rules.most_thickness_mm)
        and _tilt_degrees(header) <= rules.most_tilt_degrees
    )


def _frames(header: Dataset) -> float:
    frames = _number(header, "NumberOfFrames")
    return 1 if math.isnan(frames) else frames


def _order(one: Series, rules: Rules) -> tuple[bool, bool, int, str]:
    kernels = [str(k) for k in _values(one.header, "ConvolutionKernel")]
    lung = any(re.fullmatch(pattern, k.strip(), re.IGNORECASE) for pattern in rules.lung_kernels for k in kernels)
    return not _is_original(one.header), not lung, -len(one.images), one.name


def _is_original(header: Dataset) -> bool:
    return _image_type(header)[:1] != ["DERIVED"]


def _image_type(header: Dataset) -> list[str]:
    return [str(word).upper() for word in _values(header, "ImageType")]


def _tilt_degrees(header: Dataset) -> float:
    """Between the slices and the axial plane; 0 where the header does not say, as in enhanced CT."""
    try:
        row, column = np.array(_values(header, "ImageOrientationPatient"), float).reshape(2, 3)
    except (TypeError, ValueError):
        return 0.0
    normal = np.cross(row, column)
    length = float(np.linalg.norm(normal))
    return math.degrees(math.acos(min(1.0, abs(float(normal[2])) / length))) if length else 90.0


def _number(header: Dataset, name: str) -> float:
    try:
        return float(header.get(name))
    except (TypeError, ValueError):
        return math.nan


def _values(header: Dataset, name: str) -> list[object]:
    try:
        value = header.get(name)
    except Exception:  # pydicom converts values when they are asked for, and fails in many ways
        return []
    if value is None:
        return []
    return [value] if isinstance(value, str | int | float) else list(value)
