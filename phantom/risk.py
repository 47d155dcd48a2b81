"""The law that gives patients their label, and the best AUC that anyone can reach under it.

A nodule's risk is the PanCan (Brock) logistic: McWilliams et al., "Probability of cancer in pulmonary nodules
detected on first screening CT", N Engl J Med 2013;369:910-919, model 2b, supplement; its terms that a CT does not
show (age, sex, family history, emphysema) are held at typical values. A patient is diagnosed when any nodule is a
cancer, independently, or through a small leak: p = 1 - (1 - leak) * prod(1 - p_i).

PanCan's horizon is the follow-up of a screening trial and few of its nodules are cancers. Phantoms state one-year
labels and need enough cancers to learn from and to measure with, so their odds are multiplied: `ENRICHMENT` is added
to every nodule's log odds. Phantom prevalence is thereby chosen, not estimated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from preprocessing.annotations import Nodule

# Age 62, half women, a fifth with family history, a third with emphysema.
TYPICAL_PERSON = 0.5 * 0.6011 + 0.2 * 0.2961 + 0.33 * 0.2953
UPPER_LOBE = 0.6581
# One-year risk of a screening participant in whom nothing was seen.
RISK_WITHOUT_NODULES = 0.005
# LIDC's benign calcification patterns: popcorn, laminated, solid, central; PanCan left such nodules out.
BENIGN_CALCIFICATION = (1, 2, 3, 5)
RISK_OF_BENIGN = 0.002
# Log odds; gives about 30 % patients with cancer under the default phantom settings.
ENRICHMENT = 2.0


def pancan_risk(
    diameter_mm: float,
    spiculation: float,
    texture: float,
    calcification: float,
    count: int,
    *,
    upper: float = 0.5,
    enrichment: float = 0.0,
) -> float:
    """Chance in [0, 1] that a nodule is a cancer, of LIDC ratings.

    Args:
        diameter_mm: mean diameter.
        spiculation: 1-5; spiculated from 3.
        texture: 1 ground glass to 5 solid.
        calcification: 1-6, 6 none.
        count: nodules of the patient.
        upper: 1 in an upper lobe, 0 elsewhere; a half where unknown.
        enrichment: added to the log odds.
    """
    if round(calcification) in BENIGN_CALCIFICATION:
        return RISK_OF_BENIGN
    odds = -6.7892 + TYPICAL_PERSON - 5.3854 * ((max(diameter_mm, 2.0) / 10) ** -0.5 - 1.58113883)
    odds += UPPER_LOBE * upper + 0.7729 * (spiculation >= 3) - 0.0824 * (min(count, 10) - 4)
    odds += -0.1276 if texture < 2.5 else (0.3770 if texture < 4.5 else 0.0)
    return 1 / (1 + math.exp(-odds - enrichment))


def nodule_risks(nodules: Sequence[Nodule], upper: Sequence[bool], enrichment: float = ENRICHMENT) -> list[float]:
    """The risk of each nodule of one patient.

    Args:
        nodules: all nodules of the patient, with `ratings`.
        upper: whether each lies in an upper lobe.
        enrichment: added to the log odds.

    Raises:
        ValueError: when the two are of different length.
    """
    if len(nodules) != len(upper):
        raise ValueError(f"upper must have one entry for each of {len(nodules)} nodules, got {len(upper)}")
    risks = []
    for nodule, high in zip(nodules, upper, strict=True):
        spiculation, texture, calcification = (nodule.ratings[n] for n in ("spiculation", "texture", "calcification"))
        size, count = nodule.diameter_mm, len(nodules)
        risks.append(pancan_risk(size, spiculation, texture, calcification, count, upper=high, enrichment=enrichment))
    return risks


def patient_risk(risks: npt.ArrayLike) -> float:
    """Chance that a patient with these nodule risks (n,) is diagnosed: the leak alone for n = 0."""
    return float(1 - (1 - RISK_WITHOUT_NODULES) * np.prod(1 - np.asarray(risks, dtype=np.float64)))


def best_auc(probabilities: npt.ArrayLike) -> float:
    """The AUC of the predictor that knows every patient's probability, over all Bernoulli draws of the labels.

    A pair (i, j) has i with and j without cancer in a share p_i (1 - p_j) of the draws, and is then ranked rightly
    if p_i > p_j, half rightly if they are equal. This is the ratio of the expected numbers of rightly ranked and of
    all such pairs; the AUC of one draw scatters around it.

    Args:
        probabilities: (n,) in [0, 1].

    Returns:
        In [0.5, 1]; NaN when no pair can differ in its labels (fewer than two patients, or all p 0, or all 1).

    Raises:
        ValueError: for anything outside [0, 1].
    """
    p = np.sort(np.asarray(probabilities, dtype=np.float64).ravel())
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError("probabilities must lie in [0, 1]")
    free = np.concatenate([[0.0], np.cumsum(1 - p)])
    below, upto = (free[np.searchsorted(p, p, side=side)] for side in ("left", "right"))
    right = float(np.sum(p * (below + 0.5 * (upto - below - (1 - p)))))
    pairs = float(np.sum(p * (free[-1] - (1 - p))))
    return right / pairs if pairs > 0 else float("nan")
