"""How a patient's number is shared out, as the page shows it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from classification.assessment import PatientReport
from classification.bags.interface import LOG_SURVIVAL
from lungscreen.report.wording import fixed, percent


@dataclass(frozen=True, slots=True)
class Part:
    """What one nodule, or the leak, has of the whole.

    Attributes:
        amount: what it adds, on the scale that adds up.
        width: of its bar, in [0, 1].
        words: the share, or where parts may be negative the signed amount.
    """

    amount: float
    width: float
    words: str


@dataclass(frozen=True, slots=True)
class Parts:
    """All of them.

    Attributes:
        shares: whether the parts are shares of a whole: of -log(1 - P), not of a logit.
        total: what leak and nodules add up to.
        leak: what no nodule explains.
        nodules: in the order of the report.
    """

    shares: bool
    total: float
    leak: Part
    nodules: tuple[Part, ...]


def parts_of(report: PatientReport) -> Parts:
    """The parts of a report's number: shares where it is a -log(1 - P), amounts beside the largest one in a logit."""
    amounts = [report.leak, *(n.contribution for n in report.nodules)]
    total, shares = math.fsum(amounts), report.adds_up_to == LOG_SURVIVAL
    whole = total if shares else max(abs(a) for a in amounts)
    widths = [abs(a) / whole if whole > 0 else 0.0 for a in amounts]
    words = [percent(w) if shares else _signed(a) for w, a in zip(widths, amounts, strict=True)]
    leak, *nodules = (Part(*part) for part in zip(amounts, widths, words, strict=True))
    return Parts(shares, total, leak, tuple(nodules))


def _signed(value: float) -> str:
    text = fixed(value, 2)
    return text if value < 0 or text == fixed(0, 2) else f"+{text}"
