"""A real Orthanc on loopback, started and killed by tests; Debian's package `orthanc`."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx

from tests.serving import free_port, until

ORTHANC = shutil.which("Orthanc")


class RunningOrthanc:
    """An Orthanc whose archive outlives it.

    Args:
        folder: of the archive.
        modalities: who it may send to, as its configuration has it.
    """

    def __init__(self, folder: Path, **modalities: tuple[str, str, int]) -> None:
        self.folder, self.port, self.dicom_port = folder, free_port(), free_port()
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "HttpPort": self.port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {"lungscreen": "secret"},
            "DicomAet": "ORTHANC",
            "DicomPort": self.dicom_port,
            "DicomCheckCalledAet": False,
            "DicomAlwaysAllowStore": True,
            "StableAge": 1,
            "DicomModalities": modalities,
        }
        (folder / "orthanc.json").write_text(json.dumps(settings))
        (folder / "login").write_text("lungscreen:secret\n")
        self.login = folder / "login"
        self.address = f"http://127.0.0.1:{self.port}"
        # A connection a request: Orthanc closes those that are kept, sometimes while a request is under way.
        once = httpx.Limits(max_keepalive_connections=0)
        self.client = httpx.Client(base_url=self.address, auth=("lungscreen", "secret"), timeout=120, limits=once)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert ORTHANC is not None
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([ORTHANC, str(self.folder / "orthanc.json")], stdout=log, stderr=log)
        until(self._answers)

    def stop(self, number: int = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(timeout=60)

    def put(self, content: bytes) -> None:
        self.client.post("/instances", content=content).raise_for_status()

    def found(self, modality: str) -> list[tuple[str, bytes]]:
        """Every object of a modality: the uid of the study that it lies in, and its file."""
        ids = self.ids(modality)
        return [(self._study_of(one), self.client.get(f"/instances/{one}/file").content) for one in ids]

    def ids(self, modality: str) -> list[str]:
        """Of every object of a modality."""
        asked = {"Level": "Instance", "Query": {"Modality": modality}}
        found: list[str] = self.client.post("/tools/find", json=asked).json()
        return found

    def _study_of(self, instance: str) -> str:
        found: dict[str, Any] = self.client.get(f"/instances/{instance}/study").json()
        return str(found["MainDicomTags"]["StudyInstanceUID"])

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            return self.client.get("/system").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False
