"""Figures as JSON: no clock, no folders, six significant digits, null where a figure is undefined."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DIGITS = 6


def files_written(files: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """Names and checksums of files by their part in it."""
    return {
        role: {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for role, path in files.items()
    }


def plain(value: Any) -> Any:
    """JSON knows no NaN; beyond six digits the order of additions on this machine would show."""
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
