"""What an evaluation found, as JSON, CSV and lines of text. Same results, same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from detection.froc.band import GRID
from detection.froc.curve import ALL, RATES, FrocResult
from detection.froc.matching import FloatArray, Matched
from runs.bootstrap import Comparison
from runs.csv_text import write_csv as write_table
from runs.guards import Caution

RATE_NAMES = ("1/8", "1/4", "1/2", "1", "2", "4", "8")
DIGITS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One submission: the file, what its candidates came to, and a curve for each group of nodules."""

    name: str
    n_candidates: int
    matched: Matched
    results: Mapping[str, FrocResult]

    @property
    def all(self) -> FrocResult:
        """The curve of all nodules."""
        return self.results[ALL]


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """One evaluation.

    Attributes:
        scored: the submission.
        strata: kind of group to its labels; the curve of one is `results["<kind> <label>"]`.
        protocol: options and inputs that fix the figures, as JSON can hold them.
        cautions: of the guards.
        against: another submission, or None.
        comparison: of the two, or None.
    """

    scored: Scored
    strata: Mapping[str, Sequence[str]]
    protocol: Mapping[str, Any]
    cautions: Sequence[Caution]
    against: Scored | None = None
    comparison: Comparison | None = None


def write_json(path: Path, report: Report) -> None:
    """Write `froc.json`: protocol, counts, every figure at the seven rates with its interval, warnings."""
    content = {
        "protocol": dict(report.protocol),
        **_scored(report.scored),
        "against": None if report.against is None else _against(report.against, report.comparison),
        "warnings": [{"guard": str(c.guard), "message": c.message} for c in report.cautions],
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def write_csv(path: Path, results: Mapping[str, FrocResult]) -> None:
    """Write `froc.csv`: the curves at 97 rates from 1/8 to 8; `threshold` is the score to cut at for that rate."""
    tables = []
    for name, result in results.items():
        columns: dict[str, Any] = {
            "group": name,
            "n_nodules": result.n_nodules,
            "fps_per_scan": GRID,
            "sensitivity": result.at(GRID),
        }
        if result.band is not None:
            columns |= {"low": result.band.low, "high": result.band.high}
        tables.append(pd.DataFrame(columns | {"threshold": result.threshold_at(GRID)}))
    write_table(path, pd.concat(tables), float_format=f"%.{DIGITS}f", lineterminator="\n")


def lines(report: Report) -> list[str]:
    """What a person reads on the terminal."""
    scored, matched = report.scored, report.scored.matched
    cap = f", {matched.over_cap} of them beyond {report.protocol['max_per_scan']} a scan" if matched.over_cap else ""
    sizes = f"{matched.n_scans} scans, {scored.all.n_nodules} nodules, {scored.n_candidates} candidates"
    text = [
        f"{scored.name}: {sizes}{cap}",
        f"TP {matched.found.sum()}, FP {len(matched.false_scan)}, FN {(~matched.found).sum()}; "
        f"not counted: {matched.on_excluded} excluded, {matched.doubles} doubles",
        f"{'sensitivity at FP/scan':24}{'n':>6}" + "".join(f"{rate:>7}" for rate in RATE_NAMES) + f"{'mean':>8}",
    ]
    for name, result in scored.results.items():
        text.append(_row(name, result.n_nodules, result.at(), result.cpm))
        if result.band is not None:
            low, high = result.band.at_rates
            text += [_row(f"  {end}", "", v, float(v.mean())) for end, v in (("95 % from", low), ("to", high))]
    text.append(_cpm_line(scored.all))
    if report.against is not None:
        text.append(_against_line(scored, report.against, report.comparison))
    return [*text, *(f"warning: {caution}" for caution in report.cautions)]


def short(value: float, digits: int = 4) -> str:
    """A share as the literature prints it: .8420."""
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("0.") else text


def _cpm_line(result: FrocResult) -> str:
    if result.band is None:
        return f"CPM {short(result.cpm)}"
    band, own = result.band.cpm_band, result.band.cpm_interval
    return (
        f"CPM {short(result.cpm)}, band {short(band[0], 3)}-{short(band[1], 3)} (means of the bounds above); "
        f"95 % of the CPMs of {len(result.band.cpm_draws)} bootstraps by scan: {short(own[0], 3)}-{short(own[1], 3)}"
    )


def _against_line(scored: Scored, other: Scored, comparison: Comparison | None) -> str:
    difference = scored.all.cpm - other.all.cpm
    text = f"against {other.name}: CPM {short(other.all.cpm)}, difference {difference:+.4f}"
    if comparison is None:
        return text
    between = comparison.difference
    return f"{text} (95 % {between.low:+.4f} to {between.high:+.4f}), p = {comparison.p_value:.3f}"


def _row(name: str, n: int | str, values: FloatArray, mean: float) -> str:
    return f"{name:24}{n:>6}" + "".join(f"{short(v):>7}" for v in values) + f"{short(mean):>8}"


def _scored(scored: Scored) -> dict[str, Any]:
    matched = scored.matched
    return {
        "cpm": _number(scored.all.cpm),
        "counts": {
            "scans": matched.n_scans,
            "nodules": scored.all.n_nodules,
            "candidates": scored.n_candidates,
            "over_cap": matched.over_cap,
            "true_positives": int(matched.found.sum()),
            "false_positives": len(matched.false_scan),
            "false_negatives": int((~matched.found).sum()),
            "on_excluded": matched.on_excluded,
            "doubles": matched.doubles,
        },
        "fps_per_scan": list(RATES),
        "curves": {name: _curve(result) for name, result in scored.results.items()},
    }


def _curve(result: FrocResult) -> dict[str, Any]:
    curve: dict[str, Any] = {
        "n_nodules": result.n_nodules,
        "mean": _number(result.cpm),
        "sensitivity": _numbers(result.at()),
        "threshold": _numbers(result.threshold_at()),
    }
    if result.band is not None:
        low, high = result.band.at_rates
        curve |= {
            "low": _numbers(low),
            "high": _numbers(high),
            "mean_of_bounds": _numbers(result.band.cpm_band),
            "mean_interval": _numbers(result.band.cpm_interval),
        }
    return curve


def _against(other: Scored, comparison: Comparison | None) -> dict[str, Any]:
    content: dict[str, Any] = {"file": other.name, **_scored(other)}
    if comparison is not None:
        content["cpm_difference"] = {
            "first_minus_second": _number(comparison.difference.value),
            "interval": _numbers((comparison.difference.low, comparison.difference.high)),
            "p": _number(comparison.p_value),
        }
    return content


def _numbers(values: FloatArray | Sequence[float]) -> list[float | None]:
    return [_number(float(v)) for v in values]


def _number(value: float) -> float | None:
    return round(value, DIGITS) if np.isfinite(value) else None
