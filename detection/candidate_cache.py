"""Candidates kept between runs, so that a killed cohort goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np

from detection.candidate import Candidate
from detection.detector import NoduleDetector
from preprocessing.prepare import PreparedScan

# Raise when inference changes: old entries are then never read again.
VERSION = 3


def detect_cached(detector: NoduleDetector, prepared: PreparedScan, cache: Path | None) -> list[Candidate]:
    """`detector.detect(prepared)`, from the cache when these weights and settings saw these voxels before.

    Args:
        detector: one without provenance (not loaded from a file) is never cached.
        prepared: the scan.
        cache: folder, or None to compute afresh.
    """
    if cache is None or "detector_sha256" not in detector.provenance:
        return detector.detect(prepared)
    entry = cache / f"{_key(detector, prepared)}.json"
    if entry.exists():
        found = _load(entry)
        if found is not None:
            return found
    candidates = detector.detect(prepared)
    entry.parent.mkdir(parents=True, exist_ok=True)
    part = entry.with_name(f".{entry.name}.{os.getpid()}")
    part.write_text(json.dumps([asdict(c) for c in candidates]), encoding="utf-8")
    part.replace(entry)
    return candidates


def _key(detector: NoduleDetector, prepared: PreparedScan) -> str:
    digest = hashlib.blake2b(digest_size=16)
    volume = prepared.volume
    what = [VERSION, detector.provenance, asdict(detector.settings), volume.geometry.to_dict(), volume.series_uid]
    digest.update(json.dumps(what, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(volume.hu).data)
    digest.update(np.packbits(prepared.lung_mask).data)
    return digest.hexdigest()


def _load(entry: Path) -> list[Candidate] | None:
    """None when the entry cannot be read: it is then made again."""
    try:
        rows = json.loads(entry.read_text(encoding="utf-8"))
        return [
            Candidate(r["series_uid"], tuple(r["center_mm"]), float(r["diameter_mm"]), float(r["score"])) for r in rows
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return None
