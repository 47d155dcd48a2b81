"""Who is learnt from and who is measured on: one rule, by patient, for every consumer of both stages."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

FOLDS = 4


def fold_of(patient_id: str) -> int:
    """The fold of a patient, 0 to 3: the first eight hex digits of the id's SHA-256 as a fraction, times four."""
    return int(hashlib.sha256(patient_id.encode()).hexdigest()[:8], 16) * FOLDS // 2**32


@dataclass(frozen=True)
class SplitSettings:
    """Which patients a training does not see: not their scans, their nodules, their outlines or their ratings.

    Attributes:
        held_out_fold: 0 to 3; None leaves no fold out.
        held_out_patients: left out of every training, whatever their fold.
    """

    held_out_fold: int | None = 0
    held_out_patients: tuple[str, ...] = ("LIDC-IDRI-0001", "LIDC-IDRI-0003")

    def holds_out(self, patient_id: str) -> bool:
        """Whether a patient is kept for measuring."""
        return patient_id in self.held_out_patients or fold_of(patient_id) == self.held_out_fold

    def describe(self) -> str:
        """In words, for model cards."""
        fold = "no fold" if self.held_out_fold is None else f"fold {self.held_out_fold} of {FOLDS}"
        others = ", ".join(self.held_out_patients) or "nobody else"
        return (
            f"held out by patient: {fold} (fold = int(sha256(patient_id)[:8], 16) * {FOLDS} // 2**32) and {others}; "
            "the same rule for both stages, scans, pasted nodules, cubes, outlines of phantoms and ratings"
        )
