"""How near outlines come to what readers drew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from classification.measuring.outline import Draw, Outline
from classification.outlines.examples import Drawn, disturbed
from classification.outlines.picture import Seed
from runs.seeds import stream

# A detector's seeds: off by a tenth of the diameter, wrong in size by 15 %.
PLACE, SIZE = 0.1, 0.15
CLOSE = 0.2


def dice(nodule: Drawn, found: Outline) -> float:
    """Overlap of the masks in [0, 1]."""
    mask = np.zeros(nodule.hu.shape, bool)
    mask[found.window] = found.mask
    return float(2 * (mask & nodule.mask).sum() / (mask.sum() + nodule.mask.sum()))


def outlined(draw: Draw, nodule: Drawn, jitter: bool, index: int) -> Outline:
    """The outline from the readers' centre and diameter, or from a seed as wrong as a detector's."""
    seed = Seed(nodule.center_zyx, nodule.diameter_mm)
    if jitter:
        seed = disturbed(nodule, PLACE, SIZE, stream("benchmarks.outlines", index))
    return draw(nodule.hu, seed.center_zyx, seed.diameter_mm)


def figures_of(draw: Draw, nodules: Sequence[Drawn]) -> dict[str, Any]:
    """Mean Dice and the share of volumes within 20 %, from seeds that are right and from ones that are not."""
    told: dict[str, Any] = {"n": len(nodules)}
    for name, jitter in (("", False), ("_disturbed", True)):
        found = [outlined(draw, nodule, jitter, index) for index, nodule in enumerate(nodules)]
        ratio = np.array([f.volume_mm3 / n.volume_mm3 for n, f in zip(nodules, found, strict=True)])
        told[f"dice{name}"] = round(float(np.mean([dice(n, f) for n, f in zip(nodules, found, strict=True)])), 4)
        told[f"volume_within_20_percent{name}"] = round(float((np.abs(ratio - 1) <= CLOSE).mean()), 4)
    return told
