"""Named streams: no two are one, and nothing else makes a generator."""

import re
from pathlib import Path

import pytest

from runs.seeds import seed_of, stream

ROOT = Path(__file__).parents[1]
PACKAGES = ("runs", "preprocessing", "phantom", "detection", "classification", "lungscreen")


def test_a_trailing_zero_makes_another_stream() -> None:
    drawn = [stream("a", *numbers).random() for numbers in ((7, 1), (7, 1, 0), (7, 1, 0, 0), (7,), ())]
    assert len(set(drawn)) == len(drawn)


def test_the_name_and_each_number_count_and_nothing_else_does() -> None:
    assert stream("a", 1, 2).random() == stream("a", 1, 2).random()
    assert len({stream("a", 1, 2).random(), stream("b", 1, 2).random(), stream("a", 12).random()}) == 3
    assert stream("a", 1).random() == stream("a", 1).random()


@pytest.mark.parametrize("bits", [31, 63, 128])
def test_seeds_have_the_asked_width(bits: int) -> None:
    drawn = [seed_of("a", i, bits=bits) for i in range(64)]
    assert max(drawn) < 2**bits
    assert max(drawn) > 2 ** (bits - 3)


def test_no_other_module_makes_a_generator() -> None:
    makers = re.compile(r"\b(default_rng|RandomState|SeedSequence|np\.random\.seed|random\.seed)\(")
    found = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if makers.search(path.read_text(encoding="utf-8"))
    ]
    assert found == ["runs/seeds.py"]
