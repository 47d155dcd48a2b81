"""Label maps: images whose voxels name parts of the body, such as lung masks, where a CT holds Hounsfield units.

They often lie beside the scans under the same names, as LUNA16's lung masks do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from preprocessing.intake.formats.stored import RAW, Stored, voxels
from preprocessing.intake.scan import Reason, ScanError
from preprocessing.volume import Volume

# LUNA16 packs its lung masks into seg-lungs-LUNA16.
FOLDER = "seg-lungs"
# Lungs, lobes, segments of the lungs (18) and bronchi; noise alone gives a CT more.
MOST_LABELS = 32
# Every so many voxels along z, y, x are looked at; of a file that was not asked for yet, fewer.
STEP_ZYX, GLANCE_ZYX = (2, 4, 4), (16, 8, 8)


def check_place(path: Path) -> None:
    """What the folder of a file tells.

    Raises:
        ScanError: `label_map`.
    """
    if path.parent.name.lower().startswith(FOLDER):
        raise ScanError(Reason.LABEL_MAP, f"a file in a folder {FOLDER}... is a lung mask and no CT")


def check_header(stored: Stored) -> None:
    """What the header of a file tells.

    Raises:
        ScanError: `label_map`.
    """
    if stored.dtype.itemsize == 1 and _unscaled(stored):
        raise ScanError(
            Reason.LABEL_MAP, "8 bits without a rescale hold no Hounsfield units: a label map, such as a lung mask"
        )


def check_glance(stored: Stored) -> None:
    """What a few voxels tell, where they lie open: packed ones are left for later.

    Raises:
        ScanError: `label_map`; or see `voxels`.
    """
    if _unscaled(stored) and all(piece.coding == RAW for piece in stored.pieces):
        _check_values(voxels(stored), GLANCE_ZYX)


def check_voxels(volume: Volume) -> None:
    """What the values of a volume tell.

    Raises:
        ScanError: `label_map`: few numbers and none below 0, where a CT has air.
    """
    _check_values(volume.hu, STEP_ZYX)


def _check_values(values: npt.NDArray[Any], step_zyx: tuple[int, int, int]) -> None:
    sample = values[tuple(slice(None, None, step) for step in step_zyx)]
    if sample.min() < 0:
        return
    kinds = np.unique(sample)
    if 2 <= len(kinds) <= MOST_LABELS:
        held = f"the voxels hold {len(kinds)} whole numbers from {kinds[0]} to {kinds[-1]}"
        raise ScanError(Reason.LABEL_MAP, f"{held}: a label map, such as a lung mask, and no CT")


def _unscaled(stored: Stored) -> bool:
    return np.issubdtype(stored.dtype, np.integer) and stored.slope == 1 and stored.intercept == 0
