"""FROC figures of a bench: a curve with its interval for each group, on the screen and as a dictionary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from detection.candidate import Candidate
from detection.froc.curve import ALL, RATES, FrocResult, compare, froc, score
from detection.froc.matching import BoolArray, FloatArray, Points, match, points
from detection.froc.strata import flat, strata
from preprocessing.annotations import Nodule

DRAWS = 1000
# How much denser than lung a scan shows a nodule; below 150 HU it is about as faint as ground glass.
CONTRAST = "contrast"
CONTRASTS_HU = (150.0, 400.0)


@dataclass(slots=True, eq=False)
class Asked:
    """What is to be found, and what one detector said.

    Attributes:
        uids: the scans.
        nodules: truth.
        known: findings whose hits are ignored.
        candidates: of the detector.
        strata: name to the uids of its scans.
    """

    uids: list[str] = field(default_factory=list)
    nodules: list[Nodule] = field(default_factory=list)
    known: list[Nodule] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    strata: dict[str, list[str]] = field(default_factory=dict)

    def add(
        self,
        uid: str,
        nodules: Sequence[Nodule],
        known: Sequence[Nodule],
        candidates: Sequence[Candidate],
        strata: Sequence[str],
    ) -> None:
        """One more scan."""
        self.uids.append(uid)
        self.nodules += nodules
        self.known += known
        self.candidates += candidates
        for name in strata:
            self.strata.setdefault(name, []).append(uid)


def curves(asked: Asked, draws: int = DRAWS) -> dict[str, FrocResult]:
    """All scans; groups of nodules, against all scans' false positives; groups of scans, against their own."""
    columns = (
        _points(asked.uids, asked.nodules, [n.diameter_mm for n in asked.nodules]),
        _points(asked.uids, asked.candidates, [c.score for c in asked.candidates]),
        _points(asked.uids, asked.known, [n.diameter_mm for n in asked.known]),
    )
    found = score(match(*columns, len(asked.uids)), groups(asked.nodules), draws)
    held = {n.series_uid for n in asked.nodules}
    for name, uids in asked.strata.items():
        if held.intersection(uids):
            found[name] = froc(asked.nodules, asked.candidates, uids, asked.known, bootstraps=draws)
    return found


def groups(nodules: Sequence[Nodule]) -> dict[str, BoolArray]:
    """All nodules, and those of each size, texture and contrast (`Nodule.ratings`), where they are known."""
    by = {name: np.array([n.ratings.get(name, np.nan) for n in nodules]) for name in ("texture", CONTRAST)}
    diameter = np.array([n.diameter_mm for n in nodules])
    texture = by["texture"] if np.isfinite(by["texture"]).any() else None
    found = {ALL: np.ones(len(nodules), dtype=bool)} | flat(strata(diameter, texture))
    return found | _by_contrast(by[CONTRAST])


def _by_contrast(contrast: FloatArray) -> dict[str, BoolArray]:
    bounds = (-np.inf, *CONTRASTS_HU, np.inf)
    named = {}
    for low, high in pairwise(bounds):
        members = (contrast >= low) & (contrast < high)
        if members.any():
            named[f"{CONTRAST} {low:g} to {high:g} HU"] = members
    return named


def _points(uids: Sequence[str], items: Sequence[Nodule | Candidate], value: Sequence[float]) -> Points:
    return points(uids, [item.series_uid for item in items], [item.center_mm for item in items], value)[0]


def figures(found: Mapping[str, FrocResult]) -> dict[str, Any]:
    """Each curve as plain numbers."""
    return {name: _plain(result) for name, result in found.items()}


def table(name: str, found: Mapping[str, FrocResult]) -> str:
    """A line for each group: CPM with 95 % of the bootstrap, the seven rates, how much it rests on."""
    head = "  ".join(f"{rate:>5g}" for rate in RATES)
    lines = [f"\n{name:24}  CPM (95 %)           {head}   nodules  scans"]
    for group, result in found.items():
        plain = _plain(result)
        low, high = plain["cpm_interval_95"]
        at = "  ".join(f"{value:5.3f}" for value in plain["sensitivity"].values())
        lines.append(
            f"{group:24}  {result.cpm:.3f} ({low:.3f}-{high:.3f})  {at}   {result.n_nodules:7}  {result.n_scans:5}"
        )
    return "\n".join(lines)


def difference(first: Mapping[str, FrocResult], second: Mapping[str, FrocResult]) -> dict[str, Any]:
    """CPM of the first minus that of the second on the same draws of scans."""
    gain = compare(first[ALL], second[ALL])
    estimate = gain.difference
    return {
        "cpm": round(estimate.value, 4),
        "interval_95": [round(estimate.low, 4), round(estimate.high, 4)],
        "p": round(gain.p_value, 4),
    }


def _plain(result: FrocResult) -> dict[str, Any]:
    low, high = result.band.cpm_interval if result.band else (float("nan"), float("nan"))
    return {
        "cpm": round(result.cpm, 4),
        "cpm_interval_95": [round(low, 4), round(high, 4)],
        "sensitivity": {f"{rate:g}": round(float(v), 4) for rate, v in zip(RATES, result.at(), strict=True)},
        "n_nodules": result.n_nodules,
        "n_scans": result.n_scans,
    }
