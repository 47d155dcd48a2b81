"""Settings of servers for tests, and uploads to them."""

from __future__ import annotations

import io
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from lungscreen.server.desk import Desk
from lungscreen.server.settings import ServerSettings
from lungscreen.server.web.app import create_app
from runs.entry import compose_settings
from tests.weights import tiny_classifier, tiny_detector

ROOT = Path(__file__).parents[1]

# The beginning of a file that is taken for NIfTI-1.
NIFTI = bytes(344) + b"n+1\0" + bytes(40)


@cache
def shipped_settings() -> ServerSettings:
    return compose_settings(ServerSettings, "server")


def server_settings(folder: Path, **changes: Any) -> ServerSettings:
    return replace(shipped_settings(), folder=folder / "server", **{"free_mb": 0, **changes})


def files(*contents: bytes) -> list[tuple[str, Any]]:
    """Of a multipart body, with names that no log should have."""
    return [("files", (f"Doe^Jane {k}", content, "application/x")) for k, content in enumerate(contents)]


def zipped(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def waiting_server(settings: ServerSettings) -> Iterator[str]:
    """The address of a server in this process without workers: what waits keeps waiting."""
    config = uvicorn.Config(create_app(Desk(settings, workers=0)), port=free_port(), log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        yield f"http://127.0.0.1:{config.port}"
    finally:
        server.should_exit = True
        thread.join()


class Running:
    """`python -m lungscreen.server` in a folder that outlives it.

    Args:
        folder: of the server and of the networks.
        options: of the server.
        tiny: networks that know nothing in the place of the shipped ones.
    """

    def __init__(self, folder: Path, *options: str, tiny: bool = True) -> None:
        self.folder, self.port = folder, free_port()
        weights = [f"weights={tiny_detector(folder)}", f"classifier={tiny_classifier(folder, members=2)}"]
        weights = [*weights, "key_images=1"] if tiny else []
        given = [f"folder={folder / 'server'}", f"port={self.port}", "free_mb=0", *weights, *options]
        self.command = [sys.executable, "-m", "lungscreen.server", *given]
        self.log = folder / "server.log"
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, cwd=ROOT, stdout=log, stderr=log)
        until(self._ready)

    def stop(self, number: int = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(timeout=60)

    def upload(self, *contents: bytes) -> dict[str, Any]:
        answer = self.client.post("/api/v1/cases", files=files(*contents))
        assert answer.status_code in (200, 202), answer.text
        found: dict[str, Any] = answer.json()
        return found

    def case(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/api/v1/cases/{name}").json()
        return found

    def wait(self, name: str) -> dict[str, Any]:
        until(lambda: self.case(name)["state"] not in ("queued", "running"))
        return self.case(name)

    def workers(self) -> list[int]:
        """Process ids of the workers, as the system knows them."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        pids = [int(pid) for path in children for pid in path.read_text().split()]
        return [pid for pid in pids if b"lungscreen.server.jobs.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.client.get("/ready").status_code == 200
        except httpx.TransportError:
            return False


def until(true: Callable[[], bool], seconds: float = 300) -> None:
    """Wait for something that comes; the time is for machines that do much else."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
