"""Every name is in exactly one part, and which one follows from the name alone."""

from __future__ import annotations

import pytest

from runs.entry import UsageError
from runs.shard import Shard, shard_of


def test_a_name_belongs_to_one_part_and_the_parts_are_alike() -> None:
    names = [f"patient {k}" for k in range(1600)]
    parts = [Shard(number, 16) for number in range(1, 17)]
    owners = [[part for part in parts if part.holds(name)] for name in names]
    assert all(len(owner) == 1 for owner in owners)
    sizes = [sum(owner == [part] for owner in owners) for part in parts]
    # 100 each, binomial: a standard deviation of 9.7.
    assert 60 < min(sizes) <= max(sizes) < 140


def test_the_part_of_a_name_never_changes() -> None:
    """`printf a | b2sum -l 64` gives 40f89e395b66422f, 15 mod 16 and 3 mod 5; odd names have a part, too."""
    assert shard_of("16/16").holds("a")
    assert shard_of("4/5").holds("a")
    assert sum(Shard(number, 3).holds("\udcff ö") for number in (1, 2, 3)) == 1


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "3/0", "a/b", "1/2/3", "-1/4", "1.5/4"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="must be a part as 3/16"):
        shard_of(text)
