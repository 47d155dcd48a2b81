"""Brock's (PanCan's) probability that a nodule of a first screening CT is a cancer.

McWilliams et al., "Probability of cancer in pulmonary nodules detected on first screening CT", N Engl J Med
2013;369:910-919, table 2 and supplement: model 1b (parsimonious with spiculation) and 2b (full with spiculation).
Nodules of benign calcification were not part of the study. On other populations it over-estimates (Winter et al.,
J Thorac Oncol 2019: NLST).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from classification.guidelines.person import ASSUMED_AGE, Person
from classification.measuring.density import NoduleType

# Both models take size as (mm / 10) ** -0.5, less its value at 4 mm.
SIZE_AT_4_MM = 1.58113883
SMALLEST_MM = 1.0


@dataclass(frozen=True, slots=True)
class BrockNodule:
    """What the models ask of a nodule.

    Attributes:
        size_mm: the longest diameter.
        kind: solid, part-solid or ground-glass.
        upper: in an upper lobe.
        spiculated: has spicules.
        count: nodules of the patient, at least 1.
    """

    size_mm: float
    kind: NoduleType
    upper: bool
    spiculated: bool
    count: int


def brock_1b(nodule: BrockNodule, person: Person) -> float:
    """Probability in [0, 1] by model 1b: sex, size, upper lobe, spiculation."""
    odds = -6.6144 + 0.6467 * _female(person) - 5.5537 * _size(nodule)
    return _logistic(odds + 0.6009 * nodule.upper + 0.9309 * nodule.spiculated)


def brock_2b(nodule: BrockNodule, person: Person) -> float:
    """Probability in [0, 1] by model 2b: the same and age, family history, emphysema, type and count."""
    age = ASSUMED_AGE if person.age is None else person.age
    odds = -6.7892 + 0.0287 * (age - 62) + 0.6011 * _female(person) - 5.3854 * _size(nodule)
    odds += 0.2961 * bool(person.family_history) + 0.2953 * bool(person.emphysema)
    odds += {"solid": 0.0, "part-solid": 0.3770, "ground-glass": -0.1276}[nodule.kind]
    return _logistic(odds + 0.6581 * nodule.upper - 0.0824 * (nodule.count - 4) + 0.7729 * nodule.spiculated)


def _size(nodule: BrockNodule) -> float:
    return float((max(nodule.size_mm, SMALLEST_MM) / 10) ** -0.5 - SIZE_AT_4_MM)


def _female(person: Person) -> float:
    """1 for a woman, 0 for a man, a half for who is not told."""
    return 0.5 if person.sex is None else float(person.sex == "female")


def _logistic(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))
