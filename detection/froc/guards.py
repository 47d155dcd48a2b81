"""Protocol mistakes that change a LUNA16 figure without a word, each caught by name.

A guard in `STOPS` ends the evaluation unless its name is allowed; the others are warnings, which are printed and kept
in `froc.json`. What each is worth, where it was measured, is in its message (DeepLung's published 55,677 detections).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

import numpy as np
import pandas as pd

from detection.froc.matching import FloatArray, IntArray, Matched, Points, inside
from runs.entry import UsageError
from runs.guards import Caution, GuardError


class Guard(StrEnum):
    """The names; scripts may rely on them."""

    MISSING_COLUMNS = "missing_columns"
    NOT_A_NUMBER = "not_a_number"
    NOT_FINITE = "not_finite"
    ID_AS_NUMBER = "series_id_as_number"
    ID_PADDED = "series_id_padded"
    ID_CUT = "series_id_cut"
    UNKNOWN_SERIES = "unknown_series"
    NO_KNOWN_SERIES = "no_known_series"
    DUPLICATE_SERIES = "duplicate_series"
    DUPLICATE_NODULES = "duplicate_nodules"
    DUPLICATE_CANDIDATES = "duplicate_candidates"
    NO_NODULES = "no_nodules"
    NODULE_WITHOUT_DIAMETER = "nodule_without_diameter"
    NO_EXCLUDED_LIST = "no_excluded_list"
    ONLY_POSITIVE_LISTED = "only_positive_scans_listed"
    ONLY_POSITIVE_DETECTED = "only_positive_scans_detected"
    SCANS_WITHOUT_CANDIDATES = "scans_without_candidates"
    COORDINATES_VOXEL = "coordinates_voxel"
    COORDINATES_RAS = "coordinates_ras"
    COORDINATES_ZYX = "coordinates_zyx"
    NO_NODULE_HIT = "no_nodule_hit"
    CAP_DROPS_TIES = "cap_drops_ties"


STOPS = frozenset(
    {
        Guard.MISSING_COLUMNS,
        Guard.NOT_A_NUMBER,
        Guard.NOT_FINITE,
        Guard.ID_AS_NUMBER,
        Guard.ID_PADDED,
        Guard.ID_CUT,
        Guard.NO_KNOWN_SERIES,
        Guard.DUPLICATE_SERIES,
        Guard.DUPLICATE_NODULES,
        Guard.NO_NODULES,
        Guard.ONLY_POSITIVE_DETECTED,
        Guard.COORDINATES_VOXEL,
        Guard.COORDINATES_RAS,
        Guard.COORDINATES_ZYX,
    }
)
# With these there is nothing to score, or no telling what.
NEVER_ALLOWED = frozenset(
    {Guard.MISSING_COLUMNS, Guard.NOT_A_NUMBER, Guard.NOT_FINITE, Guard.NO_NODULES, Guard.DUPLICATE_SERIES}
)

NUMBER_TEXT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")
LEADING_ZEROS = re.compile(r"(^|\.)0+(?=\d)")
FILE_ENDINGS = (".nii.gz", ".mhd", ".mha", ".nii", ".npy", ".dcm")
# A piece of an id as short as this proves nothing.
SHORTEST_PIECE = 8
# Below so many candidates nothing is said of their coordinates as a whole.
FEWEST_CANDIDATES = 10
# Other axes must find so many nodules, and so many times what the coordinates as given find.
FEWEST_NODULES, TIMES_MORE = 3, 3
UNLIKELY = 1e-3
# So large a share of scans without candidates is odd where scans usually have so many.
MANY_EMPTY, MANY_CANDIDATES = 0.1, 5


def judge(cautions: Iterable[Caution], strict: bool = False, allow: Sequence[str] = ()) -> list[Caution]:
    """The cautions to go on with, as warnings.

    Args:
        cautions: what the guards saw.
        strict: warnings stop too.
        allow: names of guards that may not stop.

    Raises:
        GuardError: a guard that is not allowed stops.
        UsageError: `allow` holds something else than names of guards that can be allowed.
    """
    allowed = set(allow)
    wrong = allowed - set(Guard) | allowed & NEVER_ALLOWED
    if wrong:
        raise UsageError(f"allow= takes {sorted(set(Guard) - NEVER_ALLOWED)}; got {sorted(wrong)}")
    kept = list(cautions)
    stopping = [c for c in kept if (strict or c.guard in STOPS) and c.guard not in allowed]
    if stopping:
        first = stopping[0]
        raise GuardError(first.guard, first.message, sorted({c.guard for c in stopping} - {first.guard}))
    return kept


def check_series(series_uids: Sequence[str]) -> list[Caution]:
    """The list of scans itself: each once."""
    again = len(series_uids) - len(set(series_uids))
    if not again:
        return []
    return [Caution(Guard.DUPLICATE_SERIES, f"{again} scans are listed more than once: each would count twice")]


def check_ids(name: str, series: Iterable[str], series_uids: Sequence[str], subset_is_usual: bool) -> list[Caution]:
    """Ids of a table against the list of scans: mangled ones by kind, then those that are simply not listed.

    Args:
        name: of the table, for the messages.
        series: its ids, repeats allowed.
        series_uids: the scans that are scored.
        subset_is_usual: other scans' rows are no reason to warn.
    """
    seen = set(series)
    unknown = sorted(seen - set(series_uids))
    if not unknown:
        return []
    cautions: list[Caution] = []
    explained: set[str] = set()
    for guard, what, origin in (
        (Guard.ID_AS_NUMBER, "were written as numbers", _as_number),
        (Guard.ID_PADDED, "carry blanks, zeros or file endings that the list does not, or the reverse", _padded),
        (Guard.ID_CUT, "are pieces of listed ids", _cut),
    ):
        hits = {uid: meant for uid, meant in origin(unknown, series_uids).items() if uid not in explained}
        if hits:
            uid, meant = next(iter(hits.items()))
            cautions.append(Caution(guard, f"{name}: {len(hits)} series ids {what}: {uid!r}{meant}"))
        explained |= hits.keys()
    if len(unknown) == len(seen):
        cautions.append(Caution(Guard.NO_KNOWN_SERIES, f"{name}: none of its {len(seen)} series ids is listed"))
    elif len(explained) < len(unknown) and not subset_is_usual:
        left = [uid for uid in unknown if uid not in explained]
        text = f"{name}: {len(left)} of {len(seen)} series are not in the list and do not count, such as {left[0]!r}"
        cautions.append(Caution(Guard.UNKNOWN_SERIES, text))
    return cautions


def check_duplicates(guard: Guard, name: str, series: Sequence[str], numbers: FloatArray) -> list[Caution]:
    """Rows (series, numbers (N, C)) that are there more than once."""
    again = int(pd.DataFrame(numbers).assign(series=list(series)).duplicated().sum())
    text = f"{name}: {again} of {len(series)} rows repeat another one and count again"
    return [Caution(guard, text)] if again else []


def check_truth(nodules: Points, n_scans: int) -> list[Caution]:
    """Something to find, of known size, and scans where there is nothing to find."""
    if not len(nodules):
        return [Caution(Guard.NO_NODULES, "the listed scans hold no nodule: sensitivity is undefined")]
    cautions = []
    unknown = int((~(nodules.value >= 0)).sum())
    if unknown:
        text = f"{unknown} of {len(nodules)} nodules have no diameter and count as 10 mm; is this the excluded list?"
        cautions.append(Caution(Guard.NODULE_WITHOUT_DIAMETER, text))
    if len(np.unique(nodules.scan)) == n_scans:
        text = (
            f"each of the {n_scans} listed scans holds a nodule; LUNA16 counts false positives over all its 888, "
            "287 of which hold none (over the other 601 CPM reads .833 instead of .842)"
        )
        cautions.append(Caution(Guard.ONLY_POSITIVE_LISTED, text))
    return cautions


def check_excluded(given: bool) -> list[Caution]:
    """LUNA16 ignores hits on the findings of `annotations_excluded.csv`."""
    if given:
        return []
    text = (
        "no excluded= list: candidates on findings that LUNA16 ignores count as false positives "
        "(CPM reads .742 instead of .842)"
    )
    return [Caution(Guard.NO_EXCLUDED_LIST, text)]


def check_scans(matched: Matched, candidates: Points) -> list[Caution]:
    """Scans without candidates that were most likely never looked at: those without nodules, or a part of all.

    The first is judged by chance: how likely so many nodule-free scans would be without a candidate if they drew false
    positives as often as the scans with nodules do.
    """
    counts = np.bincount(candidates.scan, minlength=matched.n_scans)
    positive = np.unique(matched.nodule_scan)
    free = matched.n_scans - len(positive)
    share = len(np.unique(matched.false_scan)) / (len(positive) + 1)
    if not free or counts.sum() > counts[positive].sum() or (1 - share) ** free > UNLIKELY:
        return _check_empty(counts)
    text = (
        f"no candidate in any of the {free} scans without nodules; were they looked at? "
        "(with candidates on the 601 positive scans only, CPM reads .858 instead of .842)"
    )
    return [Caution(Guard.ONLY_POSITIVE_DETECTED, text)]


def _check_empty(counts: IntArray) -> list[Caution]:
    empty, filled = int((counts == 0).sum()), counts[counts > 0]
    if empty <= MANY_EMPTY * len(counts) or not len(filled) or np.median(filled) < MANY_CANDIDATES:
        return []
    text = f"{empty} of {len(counts)} scans have no candidate, half of the others {np.median(filled):g} or more"
    return [Caution(Guard.SCANS_WITHOUT_CANDIDATES, f"{text}; were all looked at?")]


def check_cap(matched: Matched, max_per_scan: int | None) -> list[Caution]:
    """The organisers keep what scores above the first candidate beyond the cap: with coarse scores, far too little."""
    if not matched.lost_to_ties:
        return []
    text = f"{matched.lost_to_ties} candidates among the best {max_per_scan} of a scan tie with the next: not counted"
    return [Caution(Guard.CAP_DROPS_TIES, text)]


def check_coordinates(nodules: Points, candidates: Points) -> list[Caution]:
    """World LPS mm in the order x, y, z? Judged by how many nodules other readings would find."""
    found = _nodules_found(nodules, candidates.center_mm, candidates)
    cautions = []
    for guard, what, axes, signs in (
        (Guard.COORDINATES_RAS, "with x and y negated (RAS instead of LPS)", [0, 1, 2], [-1, -1, 1]),
        (Guard.COORDINATES_ZYX, "read in the order z, y, x", [2, 1, 0], [1, 1, 1]),
    ):
        other = _nodules_found(nodules, candidates.center_mm[:, axes] * signs, candidates)
        if other >= FEWEST_NODULES and other >= TIMES_MORE * max(found, 1):
            text = f"{found} of {len(nodules)} nodules are hit as given, {other} {what}"
            cautions.append(Caution(guard, text))
    if not cautions and len(candidates) >= FEWEST_CANDIDATES:
        cautions = _check_voxels(nodules, candidates, found)
    return cautions


def _check_voxels(nodules: Points, candidates: Points, found: int) -> list[Caution]:
    """Both lungs lie on both sides of the scanner's axis; voxel indices are (all but) never negative."""
    given, truth = ((points.center_mm[:, :2] < 0).mean() for points in (candidates, nodules))
    hits = f"{found} of {len(nodules)} nodules are hit"
    if truth > 0.1 and given < 0.1 * truth and found < 0.1 * len(nodules):
        text = f"x and y are negative in {given:.0%} of the candidates, in {truth:.0%} of the nodules, and {hits}: "
        return [Caution(Guard.COORDINATES_VOXEL, f"{text}voxel indices? LUNA16 wants world millimetres")]
    return [] if found else [Caution(Guard.NO_NODULE_HIT, f"{hits} by {len(candidates)} candidates: other places?")]


def _nodules_found(nodules: Points, center_mm: FloatArray, candidates: Points) -> int:
    nodule, _ = inside(nodules, Points(candidates.scan, center_mm, candidates.value))
    return len(np.unique(nodule))


Origin = Callable[[Sequence[str], Sequence[str]], dict[str, str]]


def _as_number(unknown: Sequence[str], listed: Sequence[str]) -> dict[str, str]:
    plain = set(listed)
    return {u: "" for u in unknown if NUMBER_TEXT.fullmatch(u) or (u.endswith(".0") and u[:-2] in plain)}


def _padded(unknown: Sequence[str], listed: Sequence[str]) -> dict[str, str]:
    bare = {_bare(uid): uid for uid in listed}
    return {u: f" for {bare[_bare(u)]!r}" for u in unknown if _bare(u) in bare}


def _bare(uid: str) -> str:
    """Without blanks, NULs (DICOM pads to even length), quotes, file endings and leading zeros of a component."""
    text = uid.strip("\0 \t'\"")
    ending = next((e for e in FILE_ENDINGS if text.lower().endswith(e)), "")
    return LEADING_ZEROS.sub(r"\1", text.removesuffix(text[len(text) - len(ending) :]) if ending else text)


def _cut(unknown: Sequence[str], listed: Sequence[str]) -> dict[str, str]:
    found = {}
    for uid in unknown:
        if len(uid) >= SHORTEST_PIECE:
            whole = next((w for w in listed if w.startswith(uid) or w.endswith(uid)), None)
            if whole is not None:
                found[uid] = f" of {whole!r}"
    return found
