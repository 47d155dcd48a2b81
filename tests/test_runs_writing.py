"""A file is there whole or not at all."""

import json
from pathlib import Path

import pytest

from runs.writing import whole, write_json


def test_a_file_takes_its_name_when_it_is_done(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("before")
    with whole(path) as part:
        part.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    with pytest.raises(FileNotFoundError), whole(path) as part:
        (part.parent / "no" / "where").write_text(str(part.write_text("half")))
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    with whole(tmp_path / "a") as first, whole(tmp_path / "a") as second:
        first.write_text("1")
        second.write_text("2")
    assert (tmp_path / "a").read_text() == "1"
