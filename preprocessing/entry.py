"""How every `python -m ...` of the product starts: Hydra overrides in, checked settings out, errors in one line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import FrozenInstanceError
from typing import Any, TypeVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

Settings = TypeVar("Settings")
WRONG_USE = 2
# Overrides whose value is a path: written as people type them, whatever characters they hold.
PATHS = (
    "input", "out", "candidates", "detector", "classifier", "data.nodules", "data.annotations", "data.diagnosis",
    "annotations", "excluded", "seriesuids", "ratings", "predictions", "labels", "against",
    "headers", "xml", "compare",
)  # fmt: skip


def run(task: Callable[[Settings], int | None], settings: type[Settings], config_name: str) -> None:
    """Run `task` with the settings of the command line and exit with its status.

    Wrong options and everything the task reports as the user's mistake (`ValueError`, missing files) end in one line
    on stderr and status 2; other exceptions are defects and keep their traceback.

    Args:
        task: does the work; returns an exit status, None meaning 0.
        settings: the dataclass behind the YAML; unknown keys and wrong types are refused.
        config_name: of the YAML in `conf/`; its defaults list begins with `<config_name>_schema`, the dataclass.
    """
    status: list[int] = []

    _register(settings, config_name)

    @hydra.main(version_base="1.3", config_path="pkg://conf", config_name=config_name)
    def entry(cfg: DictConfig) -> None:
        try:
            status.append(task(_settings(cfg, settings)) or 0)
        except (ValueError, OSError, OmegaConfBaseException) as error:
            if logging.getLogger().isEnabledFor(logging.DEBUG):
                raise
            text = str(error).split("\n    full_key")[0]
            sys.stderr.write(f"error: {text}\n")
            raise SystemExit(WRONG_USE) from None

    sys.argv = [sys.argv[0], *quoted(sys.argv[1:])]
    entry()
    if any(status):
        raise SystemExit(max(status))


def compose_settings(settings: type[Settings], config_name: str, overrides: Sequence[str] = ()) -> Settings:
    """What the command line would hand to its task, for notebooks and tests.

    Raises:
        hydra.errors.HydraException, ValueError: an override is wrong, naming the key.
    """
    _register(settings, config_name)
    with hydra.initialize_config_module("conf", version_base="1.3"):
        return _settings(hydra.compose(config_name, overrides=quoted(overrides)), settings)


def _settings(cfg: DictConfig, settings: type[Settings]) -> Settings:
    try:
        made = OmegaConf.to_object(cfg)
    except FrozenInstanceError as error:  # `+key=value` slips past Hydra's own check
        raise ValueError(f"no such option: {str(error).rpartition(' ')[2]}") from None
    assert isinstance(made, settings)
    return made


def _register(settings: type[Any], config_name: str) -> None:
    schema = OmegaConf.structured(settings)
    _thaw(schema)
    ConfigStore.instance().store(name=f"{config_name}_schema", node=schema)


def _thaw(node: DictConfig) -> None:
    """Frozen dataclasses become read-only nodes, which Hydra could not override."""
    OmegaConf.set_readonly(node, None)
    for key in node:
        child = node._get_node(key)
        if isinstance(child, DictConfig) and not child._is_none():
            _thaw(child)


def quoted(arguments: Sequence[str], paths: Sequence[str] = PATHS) -> list[str]:
    """The arguments with path values in Hydra's quotes: blanks, commas, brackets and `=` are part of a path."""
    return [_quoted(argument, paths) for argument in arguments]


def _quoted(argument: str, paths: Sequence[str]) -> str:
    key, equals, value = argument.partition("=")
    if not equals or key.lstrip("+") not in paths or not value or value == "null" or value[0] in "'\"":
        return argument
    # A path is text: `${...}` in it is no interpolation.
    text = value.replace("${", "\\${")
    return f"{key}={QuotedString(text=text, quote=Quote.single).with_quotes()}"
