"""What a network was trained to see, stated in its card, and the check that it is what it will be shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from preprocessing.patches import WINDOW_HU
from preprocessing.prepare import PrepareSettings
from runs.entry import UsageError


def preparation() -> dict[str, Any]:
    """Spacing and window of this version, as model cards hold them."""
    return {"spacing_mm": PrepareSettings().spacing_mm, "window_hu": list(WINDOW_HU)}


def check_preparation(card: Mapping[str, Any]) -> None:
    """Refuse weights that were made for other pictures. Cards of before 2026-11-28 say nothing and pass.

    Raises:
        UsageError: spacing or window of the card are not this version's.
    """
    ours, theirs = preparation(), card.get("preparation")
    if theirs is None:
        return
    for key, value in ours.items():
        if theirs.get(key) != value:
            name = card.get("name", "these weights")
            raise UsageError(f"{name} was trained with {key}={theirs.get(key)}, this version prepares {key}={value}")
