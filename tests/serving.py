"""Settings of servers for tests, and uploads to them."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from lungscreen.server.settings import ServerSettings
from runs.entry import compose_settings

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
