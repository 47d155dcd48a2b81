"""The category of a nodule on a first screening CT or on a later one: ACR Lung-RADS v2022 (November 2022).

American College of Radiology, "Lung-RADS v2022"; Christensen et al., Chest 2024;165:738-753, table 1. Sizes are mean
diameters rounded to one decimal. Nothing of what is not a nodule (airways, cysts, infection, juxtapleural nodules by
shape). One earlier CT does not make the "growth over multiple screening exams" of a slowly growing nodule of category
4B: such a nodule has the category of its size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from classification.follow_up.growth import Change
from classification.measuring.density import NoduleType

Category = Literal["1", "2", "3", "4A", "4B", "4X"]

# Three and six months, a little early: people do not come to the day.
THREE_MONTHS_DAYS, SIX_MONTHS_DAYS = 76.0, 152.0


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


@dataclass(frozen=True, slots=True)
class Since:
    """What became of a nodule since an earlier CT.

    Attributes:
        change: of its mean diameter.
        solid_change: of that of its solid part; only read of part-solid nodules.
        days: between the two; NaN: not known.
    """

    change: Change
    solid_change: Change
    days: float


def lung_rads(nodule: RatedNodule, since: Since | None = None) -> Category:
    """The category on a baseline CT, or on one `since` an earlier one."""
    if nodule.benign_calcification:
        return "1"
    found = _by_size(nodule) if since is None else _followed(nodule, since)
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


def _followed(nodule: RatedNodule, since: Since) -> Category:
    size = nodule.mean_diameter_mm
    if nodule.kind == "ground-glass":
        return "3" if size >= 30 and since.change in ("new", "grown") else "2"
    if nodule.kind == "part-solid":
        if size < 6:
            return "3" if since.change == "new" else "2"
        if since.solid_change in ("new", "grown"):
            return "4A" if nodule.solid_diameter_mm < 4 else "4B"
    elif since.change == "new":
        return "2" if size < 4 else ("3" if size < 6 else ("4A" if size < 8 else "4B"))
    elif since.change == "grown":
        return "4A" if size < 8 else "4B"
    return _stepped_down(_by_size(nodule), since)


def _stepped_down(found: Category, since: Since) -> Category:
    """Stable or smaller at the follow-up that the category asks for: one category down."""
    if since.change in ("stable", "shrunk"):
        if found == "3" and since.days >= SIX_MONTHS_DAYS:
            return "2"
        if found == "4A" and since.days >= THREE_MONTHS_DAYS:
            return "3"
    return found
