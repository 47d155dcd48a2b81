"""The category of a nodule on a first screening CT: ACR Lung-RADS v2022 (November 2022).

American College of Radiology, "Lung-RADS v2022"; Christensen et al., Chest 2024;165:738-753, table 1. Sizes are mean
diameters rounded to one decimal. A CT alone with nothing before it: nothing of growth, and nothing of what is not a
nodule (airways, cysts, infection, juxtapleural nodules by shape).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from classification.measuring.density import NoduleType

Category = Literal["1", "2", "3", "4A", "4B", "4X"]


@dataclass(frozen=True, slots=True)
class RatedNodule:
    """What the table asks of a nodule.

    Attributes:
        kind: solid, part-solid or ground-glass.
        mean_diameter_mm: of all of it.
        solid_diameter_mm: mean diameter of its solid part; only read of part-solid nodules.
        benign_calcification: complete, central, popcorn or in rings.
        spiculated: raises categories 3 and 4 to 4X.
    """

    kind: NoduleType
    mean_diameter_mm: float
    solid_diameter_mm: float = 0.0
    benign_calcification: bool = False
    spiculated: bool = False


def lung_rads(nodule: RatedNodule) -> Category:
    """The category on a baseline CT."""
    if nodule.benign_calcification:
        return "1"
    found = _by_size(nodule)
    return "4X" if nodule.spiculated and found in ("3", "4A", "4B") else found


def _by_size(nodule: RatedNodule) -> Category:
    size = nodule.mean_diameter_mm
    if nodule.kind == "ground-glass":
        return "2" if size < 30 else "3"
    if size < 6:
        return "2"
    if nodule.kind == "part-solid":
        solid = nodule.solid_diameter_mm
        return "3" if solid < 6 else ("4A" if solid < 8 else "4B")
    return "3" if size < 8 else ("4A" if size < 15 else "4B")
