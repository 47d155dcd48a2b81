"""How the server says no: a status, a reason for programs and a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """Why a request was not done."""

    reason: str = Field(description="a fixed word, for programs; of a refused scan the intake's reason")
    detail: str = Field(description="one sentence, for people; carries no patient data")


class ProblemError(Exception):
    """Raised anywhere below a request, answered as `Problem`.

    Args:
        status: of the answer.
        reason: a fixed word.
        detail: one sentence.
        headers: of the answer.
    """

    def __init__(self, status: int, reason: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, reason, detail)
        self.status, self.reason, self.detail = status, reason, detail
        self.headers = dict(headers or {})

    def body(self) -> dict[str, str]:
        """As `Problem`."""
        return {"reason": self.reason, "detail": self.detail}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route documents: these refusals, each a `Problem`."""
    return {status: {"model": Problem} for status in statuses}
