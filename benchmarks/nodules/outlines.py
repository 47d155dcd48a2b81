"""`python -m benchmarks.nodules.outlines`: the outlines and measurements of nodules against what LIDC's readers drew.

`lidc_nodules`: 747 nodules in boxes that hardly reach beyond them along z; `lidc_context`: 92 in cubes of 51 mm. A
contour of LIDC runs on the first pixel outside of the nodule, and the masks hold it: each slice loses its outermost
pixels here, which makes the volumes LUNA16's. Centres and diameters are the readers' own, and once more moved by a
tenth of the diameter and scaled by 15 % at random, as a detector's are. Intervals: 1,000 bootstraps by patient.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import torch
from PIL import Image
from scipy import ndimage

from classification.measuring.axes import axes_of
from classification.measuring.outline import Outline, outline
from preprocessing.geometry import Geometry
from preprocessing.lidc.nodule_folder import read_nodule_folder
from preprocessing.resample import interpolated, resample_isotropic
from preprocessing.volume import HU_MAX, HU_MIN, Volume
from runs.bootstrap import resample
from runs.seeds import stream

IN_SLICE = ndimage.generate_binary_structure(2, 1)[None]
WORST = 12
ENLARGED = 4


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A nodule at 1 mm as its readers drew it."""

    name: str
    patient: str
    hu: npt.NDArray[np.int16]
    mask: npt.NDArray[np.bool_]
    diameter_mm: float
    volume_mm3: float


def main() -> None:
    """Print a table and, with --pictures, write the worst."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nodules.outlines", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--pictures", type=Path, help="folder for the worst outlines")
    args = parser.parse_args()
    for name, read in (("lidc_nodules", boxes), ("lidc_context", cubes)):
        nodules = list(read(args.data / name))
        for jitter in (False, True):
            found = [outlined(nodule, jitter, index) for index, nodule in enumerate(nodules)]
            show(f"{name}{', jittered' if jitter else ''}", nodules, found)
            if args.pictures and not jitter:
                write_worst(args.pictures / name, nodules, found)


def boxes(folder: Path) -> Iterator[Drawn]:
    """Of `lidc_nodules`; the diameter is LUNA16's, the volume that of its sphere."""
    for index, nodule in enumerate(read_nodule_folder(folder)):
        hu = np.clip(nodule.hu, HU_MIN, HU_MAX).astype(np.int16)
        fine = resample_isotropic(Volume(hu, nodule.geometry, "lidc"), 1.0)
        inner = torch.from_numpy(within_contours(nodule.mask).astype(np.float32))
        mask = interpolated(inner, nodule.geometry, fine.geometry).numpy() >= 0.5
        volume = np.pi / 6 * nodule.diameter_mm**3
        yield Drawn(f"{index}-{nodule.patient_id}", nodule.patient_id, fine.hu, mask, nodule.diameter_mm, volume)


def cubes(folder: Path) -> Iterator[Drawn]:
    """Of `lidc_context`; diameter and volume are those of the mask within its contours."""
    with (folder / "crops.csv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table):
            hu, mask = (
                sitk.GetArrayFromImage(sitk.ReadImage(str(folder / k / row["file"]))) for k in ("image", "mask")
            )
            inner = within_contours(mask > 0)
            diameter = (6 / np.pi * inner.sum()) ** (1 / 3)
            yield Drawn(row["file"], row["patient_id"], hu.astype(np.int16), inner, diameter, float(inner.sum()))


def within_contours(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Without the outermost pixels of each slice; a mask that would vanish stays."""
    inner: npt.NDArray[np.bool_] = ndimage.binary_erosion(mask, IN_SLICE)
    return inner if inner.any() else mask


def outlined(nodule: Drawn, jitter: bool, index: int) -> Outline:
    """The outline from the readers' centre and diameter, or from worse ones."""
    center, diameter = np.argwhere(nodule.mask).mean(0), nodule.diameter_mm
    if jitter:
        rng = stream("benchmarks.outlines", index)
        center = center + rng.normal(0, diameter / 10, 3)
        diameter *= float(np.exp(rng.normal(0, 0.15)))
    return outline(nodule.hu, center, diameter)


def dice(nodule: Drawn, found: Outline) -> float:
    """Overlap in [0, 1]."""
    mask = np.zeros(nodule.hu.shape, bool)
    mask[found.window] = found.mask
    return float(2 * (mask & nodule.mask).sum() / (mask.sum() + nodule.mask.sum()))


def show(title: str, nodules: list[Drawn], found: list[Outline]) -> None:
    """Means with their intervals."""
    pairs = list(zip(nodules, found, strict=True))
    overlap = np.array([dice(n, f) for n, f in pairs])
    ratio = np.array([f.volume_mm3 / n.volume_mm3 for n, f in pairs])
    means = [axes_of(f, Geometry(n.hu.shape, (1, 1, 1), (0, 0, 0), np.eye(3))).mean_diameter_mm for n, f in pairs]
    off = np.abs(np.array(means) - [n.diameter_mm for n in nodules])
    values: dict[str, npt.NDArray[Any]] = {
        "Dice": overlap,
        "Dice at least .5": overlap >= 0.5,
        "volume within 20 %": np.abs(ratio - 1) <= 0.2,
        "mean diameter within 2 mm": off <= 2,
    }
    patients = np.array([n.patient for n in nodules])
    print(
        f"{title}: {len(nodules)} nodules, {len(np.unique(patients))} patients, median volume {np.median(ratio):.2f}"
    )
    for name, value in values.items():
        drawn = resample(lambda w, v=value: {"": w @ v / w.sum(1)}, len(value), 1000, patients)[""]  # type: ignore[misc]
        low, high = np.quantile(drawn, [0.025, 0.975])
        print(f"  {name:26} {value.mean():.3f} ({low:.3f}-{high:.3f})")


def write_worst(folder: Path, nodules: list[Drawn], found: list[Outline]) -> None:
    """The lowest overlaps: the slice with most of the readers' mask, theirs in green, ours in red."""
    folder.mkdir(parents=True, exist_ok=True)
    ranked = sorted(zip(nodules, found, strict=True), key=lambda pair: dice(*pair))
    for rank, (nodule, outline_) in enumerate(ranked[:WORST]):
        mask = np.zeros(nodule.hu.shape, bool)
        mask[outline_.window] = outline_.mask
        z = int(nodule.mask.sum((1, 2)).argmax())
        grey = np.clip((nodule.hu[z].astype(float) + 1350) / 1500 * 255, 0, 255).astype(np.uint8)
        picture = np.stack([grey] * 3, -1).repeat(ENLARGED, 0).repeat(ENLARGED, 1)
        for drawn, color in ((nodule.mask[z], (0, 255, 0)), (mask[z], (255, 0, 0))):
            large = drawn.repeat(ENLARGED, 0).repeat(ENLARGED, 1)
            picture[large & ~ndimage.binary_erosion(large)] = color
        Image.fromarray(picture).save(folder / f"{rank:02d}-{dice(nodule, outline_):.2f}-{nodule.name}.png")


if __name__ == "__main__":
    main()
