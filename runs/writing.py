"""Files that are there whole or not at all: written beside their place under another name, and renamed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the name `path` when the block ends; a block that fails leaves nothing.

    The name is one that no other process can have: of two writers the last one stands, and a killed one leaves no
    half file under `path`.

    Args:
        path: in a folder that is there; a file there is replaced.
    """
    part = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield part
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_json(path: Path, values: Any) -> None:
    """Write `values` as JSON, whole or not at all."""
    with whole(path) as part:
        part.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
