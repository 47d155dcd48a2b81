"""How a nodule changed between two scans: volume doubling time with its error, and the word for it.

Doubling time: Schwartz, Cancer 1961;14:1272. Error of a volume: of 233 stable solid nodules of a screening trial,
scanned twice, 95 % of the differences between two automated volumes lay within 27 % (Marchiano et al., Radiology
2009;251:919), so the logarithm of a ratio has a standard deviation of .14. The word follows ACR Lung-RADS v2022: grown
is more than 1.5 mm of mean diameter within 12 months.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Change = Literal["new", "grown", "slowly grown", "stable", "shrunk"]

RATIO_SD = 0.14
Z95 = 1.96
GROWN_MM = 1.5
YEAR_DAYS = 365.25


@dataclass(frozen=True, slots=True)
class DoublingTime:
    """In days; infinite: it does not grow.

    Attributes:
        days: of the two volumes as they were measured; negative: the time in which it halves.
        low, high: at the fastest and the slowest growth that the error of the volumes allows (95 %).
    """

    days: float
    low: float
    high: float


def doubling_time(volume_mm3: float, prior_mm3: float, days: float) -> DoublingTime:
    """From two volumes so many days apart.

    Raises:
        ValueError: a volume or a time that is not above 0.
    """
    if not (volume_mm3 > 0 and prior_mm3 > 0 and days > 0):
        raise ValueError(f"volumes and days must be above 0, got {volume_mm3}, {prior_mm3} and {days}")
    ratio = math.log(volume_mm3 / prior_mm3)
    fastest, slowest = ratio + Z95 * RATIO_SD, ratio - Z95 * RATIO_SD
    low, high = (days * math.log(2) / growth if growth > 0 else math.inf for growth in (fastest, slowest))
    return DoublingTime(days * math.log(2) / ratio if ratio else math.inf, low, high)


def change_of(mean_mm: float, prior_mm: float, days: float) -> Change:
    """The word for two mean diameters so many days apart; an unknown time (NaN) counts as within a year."""
    grown = mean_mm - prior_mm
    if grown < -GROWN_MM:
        return "shrunk"
    if grown <= GROWN_MM:
        return "stable"
    years = days / YEAR_DAYS
    return "slowly grown" if years > 1 and grown / years <= GROWN_MM else "grown"
