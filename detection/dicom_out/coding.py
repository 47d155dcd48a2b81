"""Codes of the results. What no public terminology says exactly is said in a scheme of our own, openly."""

from __future__ import annotations

from dataclasses import dataclass

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

SCHEME = "99LUNGSCREEN"
MM, MM3 = codes.UCUM.Millimeter, codes.UCUM.CubicMillimeter
HU, PERCENT, NO_UNIT, DAYS = codes.UCUM.HounsfieldUnit, codes.UCUM.Percent, codes.UCUM.NoUnits, codes.UCUM.Day
# As many digits as the csv files have.
DIGITS, CHANCE_DIGITS = 3, 6
SIDES = {"left": codes.SCT.Left, "right": codes.SCT.Right}


def own(value: str, meaning: str) -> Code:
    """A code of our own scheme; at most 16 and 64 characters (PS3.5 6.2, SH and LO)."""
    return Code(value, SCHEME, meaning)


def own_scheme() -> CodingSchemeIdentificationItem:
    """What the object says of the scheme."""
    return CodingSchemeIdentificationItem(
        SCHEME, name="lungscreen private codes", responsible_organization="lungscreen"
    )


@dataclass(frozen=True, slots=True)
class Number:
    """A measurement: what, how much, in which unit, and how it was derived, if that must be said."""

    name: Code
    value: float
    unit: Code
    derivation: Code | None = None


def percent(name: Code, probability: float) -> Number:
    """Of a probability in [0, 1], with the digits that the csv files have."""
    return Number(name, round(100 * round(probability, CHANCE_DIGITS), CHANCE_DIGITS - 2), PERCENT)


CANDIDATES = own("CANDIDATES", "Number of candidates")
DETECTOR_SCORE = own("DETECTORSCORE", "Score of the detector")
CANDIDATE_DIAMETER = own("CANDIDATEDIAM", "Diameter of the candidate, mean edge of its box")
