"""`python -m classification.whole_scan.evaluate`: the baseline beside the two stages, on the same patients."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from classification.metrics.delong import auc_delong, compare_auc_delong
from classification.metrics.predictions import MatchedRows, read_matched
from classification.metrics.written import plain
from classification.whole_scan.train import PREDICTIONS
from runs.bootstrap import Estimate
from runs.entry import run
from runs.writing import write_json


@dataclass(frozen=True)
class WholeScanEvaluateSettings:
    """What `classification.whole_scan.evaluate` takes.

    Attributes:
        training: folder of `classification.whole_scan.train`; its answers out of fold are measured.
        labels: csv `id,cancer`.
        against: `patients.csv` of `lungscreen.classify` on the same scans.
        out: JSON to write.
    """

    training: Path
    labels: Path
    against: Path
    out: Path = Path("outputs/whole_scan.json")


def evaluate(settings: WholeScanEvaluateSettings) -> None:
    """Print the AUC of both and their difference, and write them.

    Raises:
        FileNotFoundError: no such file.
        GuardError: see `read_matched`.
    """
    rows = read_matched(settings.training / PREDICTIONS, settings.labels, settings.against)
    found = compared(rows)
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(settings.out, plain(found))
    sys.stdout.write("".join(f"{line}\n" for line in table(found)))


def compared(rows: MatchedRows) -> dict[str, Any]:
    """AUC of whole scan and two stages with DeLong's interval, their paired difference and its p-value."""
    assert rows.against is not None
    difference = compare_auc_delong(rows.label, rows.probability, rows.against)
    return {
        "n": len(rows.label),
        "positive": int(rows.label.sum()),
        "whole_scan": asdict(auc_delong(rows.label, rows.probability)),
        "two_stages": asdict(auc_delong(rows.label, rows.against)),
        "difference": asdict(difference.difference),
        "p_value": difference.p_value,
    }


def table(found: dict[str, Any]) -> Iterator[str]:
    """Lines for a terminal."""
    yield f"{found['n']} patients, {found['positive']} with cancer; AUC with 95 % intervals (DeLong)"
    for name in ("whole_scan", "two_stages", "difference"):
        e = Estimate(**found[name])
        yield f"{name.replace('_', ' '):12} {e.value:+.3f} ({e.low:+.3f} to {e.high:+.3f})"
    yield f"p of no difference {found['p_value']:.3g}"


def main() -> None:
    """Entry point."""
    run(evaluate, WholeScanEvaluateSettings, "classification_whole_scan_evaluate")


if __name__ == "__main__":
    main()
