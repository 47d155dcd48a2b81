"""A calibration as a file: written by `classification.calibrate`, taken by `lungscreen.classify calibration=...`."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from classification.calibration.maps import Calibration, LogitLine, Map, Steps
from runs.csv_text import printable
from runs.entry import UsageError

FORMAT = "lungscreen calibration 1"


def map_as_json(curve: Map) -> dict[str, Any]:
    """What `load_calibration` makes the map of again."""
    assert isinstance(curve, LogitLine | Steps)
    return {"kind": "logit_line" if isinstance(curve, LogitLine) else "steps", **asdict(curve)}


def load_calibration(path: Path) -> Calibration:
    """The calibration in a file.

    Raises:
        FileNotFoundError: no such file.
        UsageError: it is none, or its numbers are no rising map.
    """
    name = printable(path)
    content = path.read_bytes()
    try:
        stored = json.loads(content)
    except ValueError:
        raise UsageError(f"{name} must be a calibration.json of classification.calibrate; it is no JSON") from None
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise UsageError(f"{name} must be a calibration.json of classification.calibrate with format '{FORMAT}'")
    try:
        curve, log_odds = _map(stored["map"]), float(stored["log_odds"])
        words, classifier = str(stored["words"]), str(stored["classifier"])
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{name} does not hold a calibration: {error}") from None
    if not math.isfinite(log_odds):
        raise UsageError(f"{name} does not hold a calibration: log_odds must be finite, got {log_odds}")
    return Calibration(curve, log_odds, words, classifier, hashlib.sha256(content).hexdigest()[:16])


def _map(stored: dict[str, Any]) -> Map:
    if stored["kind"] == "logit_line":
        line = LogitLine(float(stored["slope"]), float(stored["intercept"]))
        if not (line.slope > 0 and math.isfinite(line.slope) and math.isfinite(line.intercept)):
            raise ValueError(f"expected a slope above 0 and a finite intercept, got {line.slope} and {line.intercept}")
        return line
    if stored["kind"] != "steps":
        raise ValueError(f"expected a map of kind logit_line or steps, got {stored['kind']}")
    x, y = (tuple(float(v) for v in stored[axis]) for axis in ("x", "y"))
    rising = all(a < b for a, b in pairwise(x)) and all(a <= b for a, b in pairwise(y))
    if not x or len(x) != len(y) or not rising or not all(0 <= v <= 1 for v in (*x, *y)):
        raise ValueError("expected as many x, rising, as y, not falling, all in [0, 1]")
    return Steps(x, y)
