"""Which options of a command are paths: said by the types of its settings, and written as people type them."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf


def path_options(settings: type[Any]) -> dict[str, bool]:
    """Dotted names of the options typed `Path` (False) or `tuple[Path, ...]` (True: a list of paths), None or not."""
    found: dict[str, bool] = {}
    for name, hint in get_type_hints(settings).items():
        for kind in _alternatives(hint):
            if is_dataclass(kind) and isinstance(kind, type):
                found |= {f"{name}.{below}": many for below, many in path_options(kind).items()}
            elif kind is Path:
                found[name] = False
            elif get_origin(kind) in (tuple, list) and Path in get_args(kind):
                found[name] = True
    return found


def quoted(arguments: Sequence[str], settings: type[Any]) -> list[str]:
    """The arguments with path values in Hydra's quotes: blanks, commas, brackets and `=` are part of a path.

    A list of paths is one path, or several in brackets with commas between them. What is in quotes already stays.
    """
    paths = path_options(settings)
    return [_quoted(argument, paths) for argument in arguments]


def expand_home(cfg: DictConfig, settings: type[Any]) -> None:
    """A leading `~` in paths becomes the user's home, in place: after `=` most shells leave it alone."""
    for name in path_options(settings):
        parent, _, last = name.rpartition(".")
        node = OmegaConf.select(cfg, parent) if parent else cfg
        if node is None or OmegaConf.is_missing(node, last) or node[last] is None:
            continue
        value = node[last]
        node[last] = _home(value) if isinstance(value, Path) else [_home(path) for path in value]


def _home(path: Path) -> str:
    # Set as text, it is read once more: `${...}` in a path is no interpolation.
    return str(path.expanduser()).replace("${", "\\${")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _quoted(argument: str, paths: dict[str, bool]) -> str:
    key, equals, value = argument.partition("=")
    name = key.lstrip("+")
    if not equals or name not in paths or not value or value == "null" or value[0] in "'\"":
        return argument
    if not paths[name]:
        return f"{key}={_in_quotes(value)}"
    if not value.startswith("["):
        return f"{key}=[{_in_quotes(value)}]"
    if "'" in value or '"' in value or not value.endswith("]"):
        return argument
    parts = [part.strip() for part in value[1:-1].split(",")]
    return f"{key}=[{','.join(_in_quotes(part) for part in parts if part)}]"


def _in_quotes(path: str) -> str:
    # A path is text: `${...}` in it is no interpolation.
    return QuotedString(text=path.replace("${", "\\${"), quote=Quote.single).with_quotes()
