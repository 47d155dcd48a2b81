"""The weights that come along and what their card says a number from them is worth; needs no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).parent / "weights"
DEFAULT_WEIGHTS = "slices-v1"
WORTH = (
    "The class is that of the patients in one collection of one hospital, from one slice alone: no probability of "
    "cancer, not a diagnosis. Research use only."
)


@dataclass(frozen=True, slots=True)
class Share:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Worth:
    """How good the answers of the shipped weights were on slices of groups that they had not seen.

    Attributes:
        weights: their name.
        sha256: checksum of their file.
        data: which slices.
        n_slices, n_groups: how many; slices of one group are alike or neighbours.
        accuracy: of the network, with its 95 % interval.
        nearest_neighbour: the same of a nearest neighbour on thumbnails.
        known_failures: sentences.
    """

    weights: str
    sha256: str
    data: str
    n_slices: int
    n_groups: int
    accuracy: Share
    nearest_neighbour: Share
    known_failures: tuple[str, ...]


def shipped_worth() -> Worth:
    """As the card of the shipped weights has it."""
    card: dict[str, Any] = json.loads((SHIPPED / f"{DEFAULT_WEIGHTS}.json").read_text(encoding="utf-8"))
    grouped = card["figures"]["grouped"]
    return Worth(
        card["name"],
        card["sha256"],
        card["data"]["slices"],
        grouped["network"]["n"],
        card["data"]["n_groups"],
        Share(*grouped["network"]["accuracy"]),
        Share(*grouped["nearest_neighbour"]["accuracy"]),
        tuple(card["known_failures"]),
    )
