"""What a model card says of how its weights came to be: enough to make them again, and no path of any machine."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any

from hydra.core.hydra_config import HydraConfig

USE = "research only, not a medical device"


def origin(command: str, packages: Sequence[str]) -> dict[str, Any]:
    """Command, overrides, commit and versions of the running training.

    Args:
        command: as one types it.
        packages: whose versions matter.
    """
    return {
        "command": command,
        "overrides": [without_folders(text) for text in overrides()],
        "commit": commit(),
        "versions": {name: version(name) for name in packages},
        "use": USE,
    }


def overrides() -> list[str]:
    """What was typed after the command, as Hydra read it; empty outside of a command."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


@functools.cache
def commit() -> str:
    """The git commit of this code, marked when files were changed since; 'unknown' outside of a checkout.

    Asked for when a run begins and kept: what is committed while it runs is not what it runs.
    """
    here = Path(__file__).parent
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=-changed", "--exclude=*"],
            cwd=here, capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return said.stdout.strip()


def stated(settings: Any, leave_out: Sequence[str] = ()) -> dict[str, Any]:
    """A settings dataclass as a card holds it: paths by their last name only.

    Args:
        settings: a dataclass instance.
        leave_out: top-level fields that are nobody's business (where the results went, how many threads).
    """
    values: dict[str, Any] = _plain({k: v for k, v in asdict(settings).items() if k not in leave_out})
    return values


def without_folders(override: str) -> str:
    """`data.nodules=/home/me/lidc` as `data.nodules=lidc`."""
    key, equals, value = override.partition("=")
    value = value.strip("'\"")
    return f"{key}{equals}{value.rstrip('/').rpartition('/')[2]}" if equals and "/" in value else override


def _plain(value: Any) -> Any:
    if isinstance(value, PurePath):
        return value.name
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
