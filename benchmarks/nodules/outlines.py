"""`python -m benchmarks.nodules.outlines [WEIGHTS]`: nodules' outlines against what LIDC's readers drew.

`lidc_nodules`: 747 nodules in boxes that hardly reach beyond them along z; `lidc_context`: 92 in cubes of 51 mm. A
contour of LIDC runs on the first pixel outside of the nodule, and the masks hold it: each slice loses its outermost
pixels here, which makes the volumes LUNA16's. Centres and diameters are the readers' own, and once more moved by a
tenth of the diameter and scaled by 15 % at random, as a detector's are. The network of outlines is asked about
patients that its training held out, the outline without a network about these and about all. Intervals: 1,000
bootstraps by patient.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from classification.measuring.axes import axes_of
from classification.measuring.outline import Draw, Outline, outline
from classification.outlines.examples import Drawn, read_boxes, read_cubes
from classification.outlines.figures import dice, outlined
from classification.outlines.model import DEFAULT_OUTLINES, load_outlines
from preprocessing.geometry import Geometry
from preprocessing.splits import SplitSettings
from runs.bootstrap import resample

WORST = 12
ENLARGED = 4


def main() -> None:
    """Print a table and, with --pictures, write the worst of the network's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nodules.outlines", description=__doc__)
    parser.add_argument("weights", nargs="?", default=DEFAULT_OUTLINES, help="of the network, a name or a path")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--pictures", type=Path, help="folder for the worst outlines")
    args = parser.parse_args()
    network, split = load_outlines(args.weights), SplitSettings()
    for source, read in (("lidc_nodules", read_boxes), ("lidc_context", read_cubes)):
        nodules = list(read(args.data / source))
        held = [n for n in nodules if split.holds_out(n.patient)]
        asked: tuple[tuple[str, Draw, list[Drawn]], ...] = (
            ("without a network, all", outline, nodules),
            ("without a network, held out", outline, held),
            (f"{Path(args.weights).name}, held out", network, held),
        )
        for name, draw, those in asked:
            for jitter in (False, True):
                found = [outlined(draw, nodule, jitter, index) for index, nodule in enumerate(those)]
                show(f"{source}, {name}{', disturbed' if jitter else ''}", those, found)
                if args.pictures and draw is network and not jitter:
                    write_worst(args.pictures / source, those, found)


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
