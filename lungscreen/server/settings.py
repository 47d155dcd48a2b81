"""What `lungscreen.server` takes; the numbers stand in `conf/server.yaml`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, fields
from pathlib import Path

from omegaconf import MISSING

from runs.entry import UsageError

# At least so much.
LEAST: dict[str, float] = {
    "port": 0,
    "workers": 1,
    "upload_mb": 1,
    "upload_files": 1,
    "uploads_at_once": 1,
    "upload_idle_seconds": 0.1,
    "upload_minutes": 0.001,
    "queue": 1,
    "attempts": 1,
    "case_minutes": 0.01,
    "free_mb": 0,
    "key_images": 0,
    "slice_mb": 1,
    "slice_megapixels": 1,
    "slice_seconds": 0.1,
}


@dataclass(frozen=True)
class ServerSettings:
    """What `lungscreen.server` takes.

    Attributes:
        folder: of the cases; one server at a time.
        database: URL of the jobs, as SQLAlchemy takes it; None: SQLite in `folder`.
        host: address to listen on; one that others can reach needs `token_file`.
        port: to listen on; 0: a free one.
        names: further host names that browsers may call the server by where no token is needed.
        token_file: file with a token a line, any of which lets in; None: no tokens.
        workers: scans at the same time.
        upload_mb: most MB of one upload.
        upload_files: most files of one upload.
        uploads_at_once: more are refused.
        upload_idle_seconds: an upload from which nothing comes for so long is given up.
        upload_minutes: most that an upload may take in all.
        queue: most cases that wait; more are refused.
        attempts: how often a case may take its worker down with it.
        case_minutes: most that a case may take; its worker is then ended.
        free_mb: what an upload must leave free on the disk.
        retention_days: finished cases are deleted after; None: never.
        key_images: of how many candidates a scan.
        slice_mb: most MB of a single slice.
        slice_megapixels: most pixels of one, in millions; more are not unpacked.
        slice_seconds: most that the answer to a single slice may take.
        weights: of stage 1, a name or a path; None: the shipped ones.
        classifier: of stage 2, likewise.
        calibration: calibration.json of `classification.calibrate`, or None.
    """

    folder: Path = MISSING
    database: str | None = MISSING
    host: str = MISSING
    port: int = MISSING
    names: tuple[str, ...] = MISSING
    token_file: Path | None = MISSING
    workers: int = MISSING
    upload_mb: int = MISSING
    upload_files: int = MISSING
    uploads_at_once: int = MISSING
    upload_idle_seconds: float = MISSING
    upload_minutes: float = MISSING
    queue: int = MISSING
    attempts: int = MISSING
    case_minutes: float = MISSING
    free_mb: int = MISSING
    retention_days: float | None = MISSING
    key_images: int = MISSING
    slice_mb: int = MISSING
    slice_megapixels: int = MISSING
    slice_seconds: float = MISSING
    weights: Path | None = MISSING
    classifier: Path | None = MISSING
    calibration: Path | None = MISSING

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, least in LEAST.items():
            if not values[name] >= least:
                raise UsageError(f"{name}= must be at least {least:g}, got {values[name]}")
        if self.retention_days is not None and not self.retention_days > 0:
            raise UsageError(f"retention_days= must be above 0 or null, got {self.retention_days}")
        if not self.is_local and self.token_file is None:
            raise UsageError(f"host={self.host} lets other machines in: give token_file=, a file with a token a line")

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
