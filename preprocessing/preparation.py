"""What a network was trained to see, stated in its card, and the check that it is what it will be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from preprocessing.geometry import Triple
from preprocessing.patches import WINDOW_HU
from preprocessing.prepare import PrepareSettings
from runs.entry import UsageError

USUAL = PrepareSettings()


@dataclass(frozen=True, slots=True)
class Preparation:
    """The pictures a network is shown; without arguments those of all networks that are trained here.

    Attributes:
        spacing_mm: between voxels, along the grid axes x, y, z.
        window_hu: what becomes 0 and what becomes 1.
        orientation: which way the axes point, see `PrepareSettings`.
    """

    spacing_mm: Triple = USUAL.spacing_mm
    window_hu: tuple[float, float] = WINDOW_HU
    orientation: str = USUAL.orientation

    @property
    def grid(self) -> PrepareSettings:
        """The settings that prepare a scan so."""
        return PrepareSettings(spacing_mm=self.spacing_mm, orientation=self.orientation)

    def stated(self) -> dict[str, Any]:
        """As model cards hold it: one number for a spacing that is isotropic, no orientation where any will do."""
        x, y, z = self.spacing_mm
        spacing = x if x == y == z else [x, y, z]
        facing = {} if self.orientation == USUAL.orientation else {"orientation": self.orientation}
        return {"spacing_mm": spacing, "window_hu": list(self.window_hu), **facing}


def check_preparation(card: Mapping[str, Any], shown: Preparation | None = None) -> None:
    """Refuse weights that were made for other pictures. Cards of before 2026-11-28 say nothing and pass.

    Args:
        card: of the weights.
        shown: what the network will see.

    Raises:
        UsageError: spacing, window or orientation of the card are others.
    """
    ours, theirs = (shown or Preparation()).stated(), card.get("preparation")
    if theirs is None:
        return
    for key in dict.fromkeys((*ours, *theirs)):
        if theirs.get(key) != ours.get(key):
            name = card.get("name", "these weights")
            raise UsageError(
                f"{name} was trained with {key}={theirs.get(key)}, this version prepares {key}={ours.get(key)}"
            )
