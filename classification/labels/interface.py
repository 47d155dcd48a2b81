"""What labels are to the rest of the product: a table by id with a column `cancer` of 0 and 1.

A form is a module here, which `truth.kind` names, with `SETTINGS`, the dataclass of its settings, and `read(path,
settings)`. Its choices stand in a YAML in `conf/truth/`. Nothing else in the product knows where labels came from.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import pandas as pd

from runs.csv_text import printable
from runs.entry import UsageError, typed

PLAIN = "table"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TruthSettings:
    """What every form has.

    Attributes:
        kind: the module under `classification/labels`.
    """

    kind: str


class TruthKind(Protocol):
    """The settings of any form."""

    @property
    def kind(self) -> str:
        """The module under `classification/labels`."""


def chosen(truth: Any) -> Any:
    """What a command's `truth` means: its settings, from YAML's mapping if need be; None: a plain `id,cancer`.

    Raises:
        UsageError: see `settings_of`.
    """
    values = {"kind": PLAIN} if truth is None else truth
    return settings_of(values) if isinstance(values, Mapping) else values


def settings_of(values: Mapping[str, Any]) -> TruthKind:
    """The settings of a form as `conf/truth/` and the command line give them: which, their `kind` says.

    Raises:
        UsageError: there is no such form, or its settings are others; by name.
    """
    made: TruthKind = typed(_module(str(values.get("kind"))).SETTINGS, values, "truth")
    return made


def reader(settings: TruthKind) -> Callable[[Path], pd.DataFrame]:
    """What reads a file of that form: columns as text by id, `cancer` among them, the index called as the file.

    Raises (when it reads):
        FileNotFoundError: no such file.
        UsageError: it is no such table; `GuardError` where `metrics.guards.Guard` has a name for it.
    """
    read = _module(settings.kind).read

    def of(path: Path) -> pd.DataFrame:
        table: pd.DataFrame = read(path, settings)
        return table

    return of


def by_id(path: Path, rows: Mapping[str, Mapping[str, str]], left_out: Mapping[str, int]) -> pd.DataFrame:
    """The table of rows by id; who is left out, and why, goes to the log.

    Raises:
        UsageError: nobody is left.
    """
    said = ", ".join(f"{count} {why}" for why, count in left_out.items() if count)
    if not rows:
        raise UsageError(f"{printable(path)} gives nobody a label: {said or 'it has no rows'}")
    if said:
        log.info("%s: %d have a label; without one: %s", printable(path), len(rows), said)
    return pd.DataFrame.from_dict(dict(rows), orient="index").rename_axis(path.name)


def _module(kind: str) -> ModuleType:
    here = pkgutil.iter_modules([str(Path(__file__).parent)])
    known = sorted({module.name for module in here} - {"interface"})
    if kind not in known:
        raise UsageError(f"truth.kind must be one of {', '.join(known)}; got {kind}")
    return importlib.import_module(f"classification.labels.{kind}")
