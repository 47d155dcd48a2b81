"""Named random streams: the one place where a generator is made.

NumPy pads the entropy it is given with zeros, so `default_rng([7, 1])` and `default_rng([7, 1, 0])` are one stream.
Here a stream is the hash of its name and of all its numbers, so that two places never share one by accident.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np


def stream(name: str, *numbers: int) -> np.random.Generator:
    """The generator of a purpose, such as `stream("detection.patch", seed, index)`.

    Args:
        name: what the numbers are drawn for; a package's name first.
        numbers: seed, index, fold, ...: any number of whole numbers, zero and none being different things.
    """
    return np.random.default_rng(seed_of(name, *numbers, bits=128))


def seed_of(name: str, *numbers: int, bits: int = 63) -> int:
    """A whole number of so many bits for libraries that take a seed (torch: 63); the same names, the same number."""
    text = json.dumps([name, *(int(n) for n in numbers)])
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return int.from_bytes(digest, "little") >> (128 - bits)
