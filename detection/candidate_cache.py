"""Candidates kept between runs, so that a killed cohort goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from detection.candidate import Candidate
from detection.detector import NoduleDetector
from preprocessing.prepare import PreparedScan
from runs.cache import code_digest, load, store

# With all it imports; when any of it changes, old entries are never read again.
CODE = "detection.detector"
LIMIT_BYTES = 1024**3


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
    found = load(entry, _read)
    if found is not None:
        return found
    candidates = detector.detect(prepared)
    text = json.dumps([asdict(c) for c in candidates]).encode()
    store(entry, partial(_write, text), size=len(text), limit=LIMIT_BYTES)
    return candidates


def _key(detector: NoduleDetector, prepared: PreparedScan) -> str:
    digest = hashlib.blake2b(digest_size=16)
    volume = prepared.volume
    what = [
        code_digest(CODE),
        # Which detector it is, is known at run time only, so no import of `CODE` leads to its source.
        code_digest(type(detector.model).__module__),
        detector.provenance,
        asdict(detector.settings),
        volume.geometry.to_dict(),
        volume.series_uid,
    ]
    digest.update(json.dumps(what, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(volume.hu).data)
    digest.update(np.packbits(prepared.lung_mask).data)
    return digest.hexdigest()


def _write(text: bytes, handle: BinaryIO) -> None:
    handle.write(text)


def _read(entry: Path) -> list[Candidate]:
    rows = json.loads(entry.read_text(encoding="utf-8"))
    return [
        Candidate(r["series_uid"], tuple(r["center_mm"]), float(r["diameter_mm"]), float(r["score"])) for r in rows
    ]
