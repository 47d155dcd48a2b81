"""Mistakes in the files of an evaluation: each has a name that scripts can rely on; some stop, some warn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from runs.entry import UsageError


@dataclass(frozen=True, slots=True)
class Caution:
    """One guard that spoke up, and what it saw."""

    guard: StrEnum
    message: str

    def __str__(self) -> str:
        return f"{self.guard}: {self.message}"


class GuardError(UsageError):
    """A mistake that would give a wrong figure; `guard` names it, the message begins with the name.

    Args:
        guard: which one.
        message: what was expected and what came.
        also: other guards that would have stopped, too.
    """

    def __init__(self, guard: StrEnum, message: str, also: Sequence[StrEnum] = ()) -> None:
        super().__init__(f"{guard}: {message}" + (f" (also: {', '.join(also)})" if also else ""))
        self.guard = guard
        self.message = message
