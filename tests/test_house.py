"""The house stays one that can be walked through: files one can hold in the head, rooms that are not full."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("runs", "preprocessing", "phantom", "detection", "classification", "lungscreen", "benchmarks")
MOST_LINES = 300
MOST_MODULES = 14


def test_no_file_is_longer_than_one_can_hold_in_the_head() -> None:
    files = [path for name in (*PACKAGES, "tests") for path in (ROOT / name).rglob("*.py")]
    long = {str(path.relative_to(ROOT)): n for path in files if (n := len(path.read_text().splitlines())) > MOST_LINES}
    assert len(files) > 200
    assert long == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_room_is_full(package: str) -> None:
    rooms = [ROOT / package, *(path for path in (ROOT / package).rglob("*") if path.is_dir())]
    counts = {str(room): sum(p.name != "__init__.py" for p in room.glob("*.py")) for room in rooms}
    assert {room: n for room, n in counts.items() if n > MOST_MODULES} == {}
