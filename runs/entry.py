"""How every `python -m ...` of the product starts: Hydra overrides in, checked settings out, errors in one line."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, fields
from pathlib import Path, PurePath
from typing import Any, NoReturn, TypeVar

import hydra
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from runs.options import expand_home, quoted

Settings = TypeVar("Settings")
WRONG_USE = 2
# 128 and the number of SIGINT, as shells have it.
STOPPED = 130
# What the user's folders and disks answer; any other error of the system is a defect until shown otherwise.
USERS_KINDS = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError)
USERS_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.EFBIG)
# Longest name of the folder of one job of a sweep.
NAME_LENGTH = 120

# `--help` shows paths as text.
yaml.Dumper.add_multi_representer(PurePath, lambda dumper, path: dumper.represent_str(str(path)))


class UsageError(ValueError):
    """What the user can mend: a wrong option, a file that is not as it should be. Says what was expected and came."""


class _JobStatus(Exception):  # noqa: N818  # no error: what a task returned
    """The exit status of a job that a launcher ran in another process, where nobody sees how that one ends."""


def run(
    task: Callable[[Settings], int | Mapping[str, float] | None], settings: type[Settings], config_name: str
) -> None:
    """Run `task` with the settings of the command line and exit with its status.

    Wrong options, what the task reports as `UsageError`, and files of the user's that are missing or closed to us end
    in one line on stderr and status 2. Every other exception, a plain `ValueError` too, is a defect and keeps its
    traceback. In a sweep (`--multirun`) every job gets an `out` of its own, see `job_out`.

    Args:
        task: does the work; returns an exit status, None meaning 0, or figures by which a sweep may judge it.
        settings: the dataclass behind the YAML; unknown keys and wrong types are refused. Its fields typed `Path` take
            paths as people type them, whatever characters they hold.
        config_name: of the YAML in `conf/`; its defaults list begins with `<config_name>_schema`, the dataclass.
    """
    status: list[int] = []
    own = os.getpid()
    arguments = quoted(sys.argv[1:], settings)
    fixed = _fixed_keys(arguments)

    register_schema(settings, config_name)

    @hydra.main(version_base="1.3", config_path="pkg://conf", config_name=config_name)
    def entry(cfg: DictConfig) -> dict[str, float] | None:
        try:
            _give_own_out(cfg, settings, fixed)
            result = task(_settings(cfg, settings))
        except (UsageError, OSError, OmegaConfBaseException) as error:
            if logging.getLogger().isEnabledFor(logging.DEBUG) or not is_users(error):
                raise
            if os.getpid() != own:  # said by the process that waits for this one
                raise UsageError(_in_words(error)) from None
            _end(_in_words(error))
        if isinstance(result, Mapping):
            return dict(result)
        if result and os.getpid() != own:
            raise _JobStatus(result)
        status.append(result or 0)
        return None

    sys.argv = [sys.argv[0], *arguments]
    with _raising(), _told(arguments, status):
        entry()
    if any(status):
        raise SystemExit(max(status))


def compose_settings(settings: type[Settings], config_name: str, overrides: Sequence[str] = ()) -> Settings:
    """What the command line would hand to its task, for notebooks and tests.

    Raises:
        hydra.errors.HydraException, UsageError: an override is wrong, naming the key.
    """
    register_schema(settings, config_name)
    with hydra.initialize_config_module("conf", version_base="1.3"):
        return _settings(hydra.compose(config_name, overrides=quoted(overrides, settings)), settings)


def is_users(error: Exception) -> bool:
    """Whether an error is one the user can mend: among those of the system, about a path that is not the program's."""
    if not isinstance(error, OSError):
        return isinstance(error, UsageError | OmegaConfBaseException)
    if not isinstance(error, USERS_KINDS) and error.errno not in USERS_NUMBERS:
        return False
    named = (error.filename, error.filename2)
    return not any(_is_ours(Path(os.fsdecode(name))) for name in named if isinstance(name, str | bytes | os.PathLike))


def typed(settings: type[Settings], values: Mapping[str, Any], key: str) -> Settings:
    """A part of the settings whose type only its values tell, checked as the rest is.

    Args:
        settings: the dataclass.
        values: from YAML and the command line, without interpolations.
        key: where the part stands among the options, for the messages.

    Raises:
        UsageError: a value of a wrong type, one too many or one too few, by its name.
    """
    part = OmegaConf.structured(settings)
    _thaw(part)
    schema = DictConfig({key: part})
    OmegaConf.set_struct(schema, True)
    try:
        whole = OmegaConf.to_object(OmegaConf.merge(schema, {key: dict(values)}))
    except MissingMandatoryValue as error:
        raise UsageError(f"no value for {error.full_key}: give one, {error.full_key}=...") from None
    except OmegaConfBaseException as error:
        raise UsageError(f"{error.full_key}: {_in_words(error)}") from None
    assert isinstance(whole, dict)
    made = whole[key]
    assert isinstance(made, settings)
    return made


def job_out(out: Path, number: int, overrides: Sequence[str], fixed: Sequence[str] = ()) -> Path:
    """The folder of one job of a sweep: `out/<number>-<what was swept>`, or `out` itself when that was swept over.

    Args:
        out: of the whole sweep.
        number: of the job.
        overrides: of the job, `key=value`.
        fixed: keys among them that are the same in every job.
    """
    swept = [(key, value) for key, _, value in (o.lstrip("+~").partition("=") for o in overrides) if key not in fixed]
    if any(key == "out" for key, _ in swept):
        return out
    words = ",".join(f"{key}={value}" for key, value in swept)
    name = re.sub(r"[^\w.,=+-]+", "_", words.replace("'", "").replace('"', "").replace("/", "_"))[:NAME_LENGTH]
    return out / f"{number}-{name}".rstrip("-._")


def _give_own_out(cfg: DictConfig, settings: type[Any], fixed: Sequence[str]) -> None:
    known = HydraConfig.get()
    if known.mode != RunMode.MULTIRUN or "out" not in {f.name for f in fields(settings)}:
        return
    if not OmegaConf.is_missing(cfg, "out") and cfg.out is not None:
        own = job_out(Path(cfg.out), known.job.num, list(known.overrides.task), fixed)
        OmegaConf.update(cfg, "out", str(own).replace("${", "\\${"))


@contextmanager
def _told(arguments: Sequence[str], status: list[int]) -> Iterator[None]:
    """Mistakes outside of a job end in one line; the status of a job in another process joins the others."""
    try:
        yield
    except _JobStatus as ended:
        status.append(ended.args[0])
    except (UsageError, HydraException, OmegaConfBaseException) as error:
        _end(_in_words(error))
    except KeyboardInterrupt:
        _end("stopped; what was finished until then stands", STOPPED)
    except RuntimeError as error:
        if not str(error).startswith("Unknown plugin class"):
            raise
        _end(f"hydra/launcher={_launcher(arguments)} is not installed: pip install 'lungscreen[cluster]'")


def _launcher(arguments: Sequence[str]) -> str:
    chosen = [argument.partition("=")[2] for argument in arguments if argument.startswith("hydra/launcher=")]
    return chosen[-1] if chosen else "..."


def _fixed_keys(arguments: Sequence[str]) -> list[str]:
    """Keys given once for all jobs of a sweep; what cannot be parsed is left to Hydra, which says so."""
    keys = []
    for argument in arguments:
        try:
            (override,) = OverridesParser.create().parse_overrides([argument])
        except HydraException:
            continue
        if not override.is_sweep_override():
            keys.append(override.get_key_element().lstrip("+~"))
    return keys


def _settings(cfg: DictConfig, settings: type[Settings]) -> Settings:
    try:
        expand_home(cfg, settings)
        made = OmegaConf.to_object(cfg)
    except FrozenInstanceError as error:  # `+key=value` slips past Hydra's own check
        raise UsageError(f"no such option: {str(error).rpartition(' ')[2]}") from None
    except MissingMandatoryValue as error:
        raise UsageError(f"no value for {error.full_key}: give one, {error.full_key}=...") from None
    assert isinstance(made, settings)
    return made


def register_schema(settings: type[Any], name: str, group: str | None = None) -> None:
    """Offer a dataclass to the YAML `name` of a group (None: of `conf/` itself); its defaults list begins with it."""
    schema = OmegaConf.structured(settings)
    _thaw(schema)
    ConfigStore.instance().store(name=f"{name}_schema", node=schema, group=group)


def _thaw(node: DictConfig) -> None:
    """Frozen dataclasses become read-only nodes, which Hydra could not override."""
    OmegaConf.set_readonly(node, None)
    for key in node:
        child = node._get_node(key)
        if isinstance(child, DictConfig) and child._is_missing():
            # A dataclass whose values stand in YAML alone.
            node[key] = OmegaConf.structured(child._metadata.ref_type)
            child = node._get_node(key)
        if isinstance(child, DictConfig) and not child._is_none():
            _thaw(child)


@contextmanager
def _raising() -> Iterator[None]:
    """Hydra hands its errors on instead of printing several lines and exiting itself."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


def _in_words(error: BaseException) -> str:
    """One line, without the advice to programmers that Hydra and OmegaConf add."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename is not None else error.strerror
    causes = [error]
    if isinstance(error, HydraException) and isinstance(error.__cause__, OmegaConfBaseException):
        causes.append(error.__cause__)
    lines = [line for cause in causes for line in str(cause).splitlines()]
    noise = ("full_key:", "object_type=", "See https:", "To append to your config")
    kept = dict.fromkeys(line.strip().rstrip(".") for line in lines if line.strip() and not _begins(line, noise))
    text = "; ".join(kept).partition(" expecting {")[0]
    return f"cannot read {error.override!r}: {text}" if isinstance(error, OverrideParseException) else text


def _begins(line: str, words: tuple[str, ...]) -> bool:
    return line.strip().startswith(words)


def _end(text: str, status: int = WRONG_USE) -> NoReturn:
    sys.stderr.write(f"error: {text}\n")
    raise SystemExit(status) from None


def _is_ours(path: Path) -> bool:
    """Whether a path lies in the program itself: in Python's own folders, or in a package beside this one."""
    path = Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would leave the environment by its links
    if path.is_relative_to(sys.prefix):
        return True
    root = Path(__file__).parents[1]
    return (
        path.is_relative_to(root)
        and path != root
        and (root / path.relative_to(root).parts[0] / "__init__.py").exists()
    )
