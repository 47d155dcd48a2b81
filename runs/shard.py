"""A part of a larger work, `3/16`: names alone say who belongs to it, in whatever order they are listed."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from runs.entry import UsageError


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """One of equal parts.

    Attributes:
        number: from 1 to `of`.
        of: how many parts there are.
    """

    number: int
    of: int

    def holds(self, name: str) -> bool:
        """Whether what has this name belongs here; it belongs to exactly one of the parts."""
        digest = hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def shard_of(text: str) -> Shard:
    """`3/16` as it is typed.

    Raises:
        UsageError: anything else.
    """
    typed = re.fullmatch(r"([1-9]\d{0,8})/([1-9]\d{0,8})", text)
    if typed is None or int(typed[1]) > int(typed[2]):
        raise UsageError(f"shard= must be a part as 3/16 (from 1/16 to 16/16), got {text!r}")
    return Shard(int(typed[1]), int(typed[2]))
