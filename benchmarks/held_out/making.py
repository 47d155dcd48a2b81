"""What the benches of made scans share: their options, and scans made while the ones before are looked at."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
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


def arguments(prog: str, description: str | None, scans: int) -> argparse.Namespace:
    """Of a bench of made scans: `weights`, `data`, `scans`, `seed`, `out`, `pictures`."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("weights", nargs="+", help="names or paths; the first is compared with the others")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the real data")
    parser.add_argument("--scans", type=int, default=scans)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="json of all figures")
    parser.add_argument("--pictures", type=Path, help="folder for the worst misses and false positives")
    return parser.parse_args()
