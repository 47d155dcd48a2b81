"""Mistakes in predictions and labels, each under a name that scripts can rely on: some stop, some warn."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

import numpy as np

from classification.metrics.delong import auc_delong
from runs.bootstrap import Array
from runs.guards import Caution, GuardError


class Guard(StrEnum):
    """What can be wrong; the machine-readable name in errors and in `warnings` of metrics.json."""

    # These stop.
    MISSING_COLUMN = "missing_column"
    NO_ROWS = "no_rows"
    DUPLICATE_IDS = "duplicate_ids"
    DAMAGED_IDS = "damaged_ids"
    NO_OVERLAP = "no_overlap"
    NOT_A_NUMBER = "not_a_number"
    LOOKS_LIKE_LOGITS = "looks_like_logits"
    OUTSIDE_0_1 = "outside_0_1"
    BAD_LABELS = "bad_labels"
    ONE_CLASS = "one_class"
    # These warn.
    WITHOUT_PREDICTION = "without_prediction"
    WITHOUT_LABEL = "without_label"
    ALL_EQUAL = "all_equal"
    LOOKS_INVERTED = "looks_inverted"
    LOOKS_LIKE_DECISIONS = "looks_like_decisions"
    PERFECT_SEPARATION = "perfect_separation"


def checked_labels(values: Array, name: str = "labels") -> Array:
    """(n,) bool out of numbers that are exactly 0 or 1.

    Raises:
        GuardError: `bad_labels`, `one_class`.
    """
    values = np.asarray(values)
    wrong = ~np.isin(values, (0, 1))
    if wrong.any():
        got = _some(values[wrong].astype(float))
        raise GuardError(Guard.BAD_LABELS, f"{name}: expected 0 or 1, got {got} in {wrong.sum()} row(s)")
    label = values.astype(bool)
    if label.all() or not label.any():
        raise GuardError(
            Guard.ONE_CLASS, f"{name}: all {len(label)} rows are {int(label[0])}; both classes are needed"
        )
    return label


def checked_probabilities(values: Array, name: str = "predictions") -> Array:
    """(n,) float in [0, 1].

    Raises:
        GuardError: `not_a_number`, `looks_like_logits`, `outside_0_1`.
    """
    values = np.asarray(values, dtype=np.float64)
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise GuardError(Guard.NOT_A_NUMBER, f"{name}: {wrong.sum()} row(s) hold no finite number")
    wrong = (values < 0) | (values > 1)
    if not wrong.any():
        return values
    got = f"got {values.min():g} to {values.max():g}, {wrong.sum()} of {len(values)} row(s) outside"
    # A regression overshoots by little; below -1/2 something else was written.
    if values.min() < -0.5:
        raise GuardError(Guard.LOOKS_LIKE_LOGITS, f"{name}: expected probabilities, {got}; apply the sigmoid first")
    hint = "; percentages?" if 1.5 < values.max() <= 100 and values.min() >= 0 else ""
    raise GuardError(Guard.OUTSIDE_0_1, f"{name}: expected probabilities in [0, 1], {got}{hint}")


def doubts(label: Array, probability: Array, name: str = "predictions") -> list[Caution]:
    """What the rows (n,) let suspect although every one of them is valid."""
    if (probability == probability[0]).all():
        return [Caution(Guard.ALL_EQUAL, f"{name}: every probability is {probability[0]:g}; nothing is ranked")]
    found = []
    area = auc_delong(label, probability)
    if area.value in (0, 1):
        detail = f"{name}: the classes do not overlap (AUC {area.value:g}): intervals are too narrow; a leak?"
        found.append(Caution(Guard.PERFECT_SEPARATION, detail))
    if area.high < 0.5:
        detail = (
            f"{name}: AUC {area.value:.4f} is below chance; 1 - p would give {1 - area.value:.4f}: the other class?"
        )
        found.append(Caution(Guard.LOOKS_INVERTED, detail))
    if np.isin(probability, (0, 1)).all():
        detail = f"{name}: only 0 and 1; decisions have no log-loss or calibration worth reading"
        found.append(Caution(Guard.LOOKS_LIKE_DECISIONS, detail))
    return found


def check_unmatched(left: Iterable[str], right: Iterable[str], names: tuple[str, str]) -> None:
    """Ids that stand on one side only must not be the same ids, changed by a spreadsheet on one side.

    Looked for: leading zeros lost, `.0` gained, 1.23457E+11 for a long number, blanks, quotes, upper and lower case.

    Raises:
        GuardError: `damaged_ids`, with an example.
    """
    left, right = sorted(left), sorted(right)
    pairs = {*_same_but_damaged(left, right), *((b, a) for a, b in _same_but_damaged(right, left))}
    if pairs:
        a, b = min(pairs)
        detail = (
            f"{len(pairs)} id(s) differ only as a spreadsheet changes them, such as {a!r} in {names[0]} and {b!r} in"
        )
        raise GuardError(Guard.DAMAGED_IDS, f"{detail} {names[1]}; export the ids as text")


SCIENTIFIC = re.compile(r"\d+(\.\d+)?e\+?\d{1,3}")
WHOLE = re.compile(r"\d+(\.0*)?")


def _same_but_damaged(damaged: list[str], whole: list[str]) -> list[tuple[str, str]]:
    """Pairs whose text is the same once repaired, or whose first six digits are where that is all that is left."""
    repaired = {_repaired(text): text for text in whole}
    rounded = {_six_digits(_repaired(text)): text for text in whole if WHOLE.fullmatch(text)}
    pairs = []
    for text in damaged:
        twin = repaired.get(_repaired(text))
        if twin is None and SCIENTIFIC.fullmatch(text.strip().lower()):
            twin = rounded.get(_six_digits(_repaired(text)))
        if twin is not None:
            pairs.append((text, twin))
    return pairs


def _repaired(text: str) -> str:
    plain = text.strip(" \t'\"").casefold()
    if SCIENTIFIC.fullmatch(plain):
        return f"{Decimal(plain):f}"
    return str(int(plain.partition(".")[0])) if WHOLE.fullmatch(plain) else plain


def _six_digits(number: str) -> str:
    return f"{Decimal(number):.5e}"


def _some(values: Array) -> str:
    distinct = [f"{v:g}" for v in np.unique(values[~np.isnan(values)])][:3]
    return ", ".join(distinct + ["no number"] * bool(np.isnan(values).any()))
