"""`python -m phantom.crops cohort=DIR out=DIR`: a cohort's nodules as boxes of voxels, in the form of a LIDC folder.

What stage 2 learns nodules from (`data.nodules=`). The mask is the ball of the nodule's volume, not its outline: the
cohort's files hold centre and diameter.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk
from omegaconf import MISSING

from preprocessing.geometry import Geometry
from preprocessing.intake.find import find_scans
from preprocessing.intake.volume_reader import read_volume
from preprocessing.lidc.nodule_folder import TABLE
from preprocessing.lidc.reading import RATINGS
from preprocessing.masks import Mask
from preprocessing.volume import Volume
from runs.csv_text import numbers, read_lines, write_csv
from runs.entry import UsageError, run

log = logging.getLogger(__name__)

PLACE = ("coordX", "coordY", "coordZ", "diameter_mm")


@dataclass(frozen=True)
class CropSettings:
    """What `phantom.crops` takes.

    Attributes:
        margin_mm: of the box beyond the nodule.
        cohort: folder of `phantom.make`.
        out: folder for `nodules.csv`, `image/` and `mask/`; what it held is replaced.
    """

    margin_mm: float
    cohort: Path = MISSING
    out: Path = MISSING

    def __post_init__(self) -> None:
        if not self.margin_mm > 0:
            raise UsageError(f"margin_mm must be above 0, got {self.margin_mm}")


def crop(settings: CropSettings) -> None:
    """Write the folder.

    Raises:
        FileNotFoundError: there is no such cohort.
        UsageError: it has no nodules, or `out` holds something else.
    """
    path = settings.cohort / "nodules.csv"
    table = read_lines(path, ("patient_id", "seriesuid", *PLACE, *RATINGS), ("patient_id", "seriesuid"))
    if not len(table):
        raise UsageError(f"the cohort must have nodules; there are none in {path}")
    # A cohort has a nodules.csv too.
    earlier = all((settings.out / name).exists() for name in (TABLE, "image", "mask"))
    if settings.out.exists() and not earlier and any(settings.out.iterdir()):
        raise UsageError(f"out must be empty, missing or an earlier folder of crops: {settings.out}")
    values = {name: numbers(path, table, name) for name in (*PLACE, *RATINGS)}
    scans = {scan.series_uid: scan for scan in find_scans(settings.cohort / "dicom")}
    for kind in ("image", "mask"):
        shutil.rmtree(settings.out / kind, ignore_errors=True)
        (settings.out / kind).mkdir(parents=True)
    rows = []
    series = table["seriesuid"].tolist()
    for uid in dict.fromkeys(series):
        volume = read_volume(scans[uid])
        for k in [k for k, one in enumerate(series) if one == uid]:
            name = f"{table['patient_id'].iloc[k]}_{k:04d}.nii.gz"
            center = np.array([values[axis][k] for axis in PLACE[:3]])
            box, ball = cut_out(volume, center, values["diameter_mm"][k], settings.margin_mm)
            _write(settings.out / "image" / name, box.hu, box.geometry)
            _write(settings.out / "mask" / name, ball.astype(np.uint8), box.geometry)
            ratings = {rating: values[rating][k] for rating in RATINGS}
            rows.append({"patient_id": table["patient_id"].iloc[k], "voi": name,
                         "diameter_mm": values["diameter_mm"][k], **ratings})  # fmt: skip
    write_csv(settings.out / TABLE, pd.DataFrame(rows), float_format="%.6f")
    log.info("%d nodules of %d scans in %s", len(rows), len(set(series)), settings.out)


def cut_out(volume: Volume, center_mm: np.ndarray, diameter_mm: float, margin_mm: float) -> tuple[Volume, Mask]:
    """The box around a nodule, within the scan, and the voxels of its ball; the nearest voxel at least."""
    geometry = volume.geometry
    at = geometry.to_voxel(center_mm)
    reach = (diameter_mm / 2 + margin_mm) / np.asarray(geometry.spacing_mm[::-1])
    low = np.maximum(np.floor(at - reach), 0).astype(int)
    high = np.minimum(np.ceil(at + reach) + 1, geometry.shape_zyx).astype(int)
    hu = np.ascontiguousarray(volume.hu[tuple(slice(a, b) for a, b in zip(low, high, strict=True))])
    box = Volume(hu, geometry.cropped(low, high), volume.series_uid)
    away = box.geometry.to_world(np.moveaxis(np.indices(hu.shape), 0, -1)) - center_mm
    distance = np.linalg.norm(away, axis=-1)
    return box, (distance <= diameter_mm / 2) | (distance == distance.min())


def _write(path: Path, voxels: np.ndarray, geometry: Geometry) -> None:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(geometry.spacing_mm)
    sitk.WriteImage(image, str(path), True)


def main() -> None:
    """Entry point."""
    run(crop, CropSettings, "phantom_crops")


if __name__ == "__main__":
    main()
