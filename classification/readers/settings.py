"""The types of the settings of `classification.readers.train`; the numbers stand in `conf/`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from preprocessing.splits import SplitSettings
from runs.checks import above, at_least


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How a model is fitted.

    Attributes:
        limit: standard deviations beyond which an input counts no more.
        suspicion_l2: weight of half the squared coefficients beside the summed log-loss of the readers' votes.
        rating_l2: weight of the squared coefficients beside the summed squared errors of the mean ratings, of 1 to 5.
    """

    limit: float
    suspicion_l2: float
    rating_l2: float

    def __post_init__(self) -> None:
        for name in ("limit", "suspicion_l2", "rating_l2"):
            above(f"fit.{name}", getattr(self, name), 0)


@dataclass(frozen=True, kw_only=True)
class ReadersSettings:
    """One fit (`python -m classification.readers.train`).

    Attributes:
        name: of the weights.
        out: folder for weights and card.
        nodules: folder with `nodules.csv`, `image/` and `mask/` (LIDC).
        headers: of LUNA16's scans, a folder of `.mhd` files or a csv.
        within_mm: between a nodule of the table and the readers' outlines of it.
        bootstrap: draws of the card's intervals.
        split: whose nodules are measured on and not learnt from.
        fit: penalties.
    """

    name: str
    out: Path = Path("outputs/readers")
    nodules: Path
    headers: Path
    within_mm: float
    bootstrap: int
    split: SplitSettings = field(default_factory=SplitSettings)
    fit: FitSettings

    def __post_init__(self) -> None:
        above("within_mm", self.within_mm, 0)
        at_least("bootstrap", self.bootstrap, 1)
