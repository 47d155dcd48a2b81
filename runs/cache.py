"""Where derived things are kept between runs; everything in it can be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder(kind: str) -> Path:
    """The folder for one kind of thing, under `LUNGSCREEN_CACHE` or the user's cache folder; not yet made."""
    root = os.environ.get("LUNGSCREEN_CACHE") or platformdirs.user_cache_dir("lungscreen")
    return Path(root).expanduser() / kind
