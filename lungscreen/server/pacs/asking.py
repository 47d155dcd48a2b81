"""The server, as a program asks it."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

CASES = "/api/v1/cases"
RESULTS = "dicom/"
# Of every member of a zip: the same images are the same bytes, and so the same case.
EPOCH = (1980, 1, 1, 0, 0, 0)


class RefusedError(Exception):
    """The server does not take a study; its reason, a fixed word."""


class Server:
    """A server of cases.

    Args:
        client: with its address and token.
    """

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def send(self, package: Path) -> str:
        """A zip becomes a case; the same zip again is the same case.

        Returns:
            The id of the case.

        Raises:
            RefusedError: it will never take this one.
            httpx.HTTPError: it cannot now.
        """
        with package.open("rb") as content:
            answer = self.client.post(CASES, files={"files": ("study.zip", content, "application/zip")})
        if answer.status_code in (413, 415, 422):
            raise RefusedError(str(answer.json()["reason"]))
        answer.raise_for_status()
        return str(answer.json()["id"])

    def case(self, name: str) -> dict[str, Any] | None:
        """How a case stands; None: the server has it no more."""
        answer = self.client.get(f"{CASES}/{name}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def results(self, name: str, folder: Path) -> list[Path]:
        """Fetch the DICOM objects of a case into a folder."""
        answer = self.client.get(f"{CASES}/{name}/files")
        answer.raise_for_status()
        paths = []
        for number, file in enumerate(f["name"] for f in answer.json() if f["name"].startswith(RESULTS)):
            content = self.client.get(f"{CASES}/{name}/files/{file}")
            content.raise_for_status()
            path = folder / f"{number}.dcm"
            path.write_bytes(content.content)
            paths.append(path)
        return paths


def pack(images: Iterator[bytes], package: Path) -> None:
    """Write images into a zip whose bytes follow from theirs alone; no name in it is the images' own."""
    with zipfile.ZipFile(package, "w", zipfile.ZIP_STORED) as archive:
        for content in images:
            name = f"{hashlib.sha256(content).hexdigest()[:32]}.dcm"
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
