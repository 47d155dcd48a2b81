"""The corners outside of the scanner's circle, where writers leave a constant that no header calls padding."""

from __future__ import annotations

import cc3d
import numpy as np
import numpy.typing as npt

from preprocessing.volume import HU_MIN, Volume

# A constant below is air or padding already; above, it would be a ring of water or metal around the patient.
AIR_BELOW_HU = -900
# Corners that hold the constant, and the least share of the slice that hangs together with them: tissue has noise.
LEAST_CORNERS, LEAST_SHARE = 2, 0.005


def without_padding(volume: Volume) -> Volume:
    """The volume with constant corners set to -1024, and a warning where there were any; the array is changed."""
    found: list[int] = []
    for section in volume.hu:
        constant = _constant(section)
        if constant is not None:
            found.append(constant)
    if not found:
        return volume
    words = f"the corners of {len(found)} slice(s) hold the constant {max(set(found), key=found.count)} HU"
    warning = f"padding: {words} and were set to {HU_MIN}"
    return Volume(volume.hu, volume.geometry, volume.series_uid, (*volume.warnings, warning))


def _constant(section: npt.NDArray[np.int16]) -> int | None:
    """Fill the padding of one slice; its value, or None when there is none."""
    corners = section[[0, 0, -1, -1], [0, -1, 0, -1]]
    values, counts = np.unique(corners, return_counts=True)
    value = int(values[counts.argmax()])
    if value <= AIR_BELOW_HU or counts.max() < LEAST_CORNERS:
        return None
    labels = cc3d.connected_components((section == value).astype(np.uint8), connectivity=4)
    touched = labels[[0, 0, -1, -1], [0, -1, 0, -1]]
    region = np.isin(labels, touched[touched > 0])
    if region.mean() < LEAST_SHARE:
        return None
    section[region] = HU_MIN
    return value
