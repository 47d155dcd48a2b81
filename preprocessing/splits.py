"""Who is learnt from and who is measured on: one rule, by patient, for every consumer of both stages."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from runs.checks import between
from runs.entry import UsageError

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
        held_out_subset: 0 to 9, of LUNA16: the patients of its scans are held out. The folders say who they are, so
            that `Archive.split` adds them to `held_out_patients`.
        validation_fold: 0 to 3; kept from training too, to choose the best weights and to stop by; None: nobody is.
    """

    held_out_fold: int | None = 0
    validation_fold: int | None = None
    held_out_patients: tuple[str, ...] = ("LIDC-IDRI-0001", "LIDC-IDRI-0003")
    held_out_subset: int | None = None

    def __post_init__(self) -> None:
        for name in ("held_out_fold", "validation_fold"):
            fold = getattr(self, name)
            if fold is not None:
                between(f"data.split.{name}", fold, 0, FOLDS - 1)
        if self.validation_fold is not None and self.validation_fold == self.held_out_fold:
            raise UsageError(
                "data.split.validation_fold must be another than data.split.held_out_fold, "
                f"by which the result is measured: both are {self.held_out_fold}"
            )

    def holds_out(self, patient_id: str) -> bool:
        """Whether a patient is kept for measuring."""
        return patient_id in self.held_out_patients or fold_of(patient_id) == self.held_out_fold

    def validates(self, patient_id: str) -> bool:
        """Whether a patient is kept for choosing weights by."""
        return not self.holds_out(patient_id) and fold_of(patient_id) == self.validation_fold

    def trains(self, patient_id: str) -> bool:
        """Whether a patient is learnt from."""
        return not self.holds_out(patient_id) and not self.validates(patient_id)

    def describe(self) -> str:
        """In words, for model cards."""
        fold = "no fold" if self.held_out_fold is None else f"fold {self.held_out_fold} of {FOLDS}"
        others = ", ".join(self.held_out_patients) or "nobody else"
        subset = "" if self.held_out_subset is None else f"subset {self.held_out_subset} of LUNA16, "
        chosen = "" if self.validation_fold is None else f"weights chosen by fold {self.validation_fold}; "
        return (
            f"held out by patient: {subset}{fold} "
            f"(fold = int(sha256(patient_id)[:8], 16) * {FOLDS} // 2**32) and {others}; "
            f"{chosen}"
            "the same rule for both stages, scans, pasted nodules, cubes, outlines of phantoms and ratings"
        )
