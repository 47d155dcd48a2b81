"""Scans made while the ones before are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")


def ahead(make: Callable[[int], Made], n: int) -> Iterator[Made]:
    """`make(0)` to `make(n - 1)`, each made while the one before is used."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(make, 0)
        for index in range(n):
            done = waiting.result()
            if index + 1 < n:
                waiting = pool.submit(make, index + 1)
            yield done
