"""The one split."""

import hashlib

from preprocessing.splits import SplitSettings, fold_of


def test_folds_are_quarters_of_the_hash() -> None:
    for patient in ("LIDC-IDRI-0002", "LIDC-IDRI-0100", "x"):
        fraction = int(hashlib.sha256(patient.encode()).hexdigest()[:8], 16) / 2**32
        assert fold_of(patient) == int(fraction * 4)
    counts = [sum(fold_of(f"LIDC-IDRI-{i:04d}") == k for i in range(1012)) for k in range(4)]
    assert sum(counts) == 1012
    assert min(counts) > 200


def test_named_patients_are_held_out_whatever_their_fold() -> None:
    split = SplitSettings(held_out_fold=None)
    assert split.holds_out("LIDC-IDRI-0001")
    assert not split.holds_out("LIDC-IDRI-0002")
    assert SplitSettings(held_out_fold=fold_of("LIDC-IDRI-0002")).holds_out("LIDC-IDRI-0002")
    assert not SplitSettings(held_out_fold=(fold_of("LIDC-IDRI-0002") + 1) % 4).holds_out("LIDC-IDRI-0002")
    assert "fold 0 of 4" in SplitSettings().describe()
