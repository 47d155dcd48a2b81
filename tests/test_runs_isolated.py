"""A task that ends its process is told from the others, which are all answered."""

from __future__ import annotations

from collections import deque

import pytest

from runs.isolated import Lost, isolated
from tests import fates


def test_whatever_ends_its_process_ends_no_other() -> None:
    tasks = deque(["a", "killed", "segfault", "exits", "hangs", "b"])
    begun: list[str] = []
    answers = dict(isolated(tasks, fates.started, 2, 2.0, begun.append))
    assert begun == ["a", "killed", "segfault", "exits", "hangs", "b"]
    assert {fate: answers[fate].how for fate in ("killed", "segfault", "exits", "hangs")} == {  # type: ignore[union-attr]
        "killed": "its process was ended by SIGKILL, as for want of memory",
        "segfault": "its process was ended by SIGSEGV",
        "exits": "its process ended with status 3",
        "hangs": "took more than 2 s",
    }
    assert [fate for fate, said in answers.items() if isinstance(said, Lost) and said.too_long] == ["hangs"]
    assert str(answers["a"]).startswith("a in ")
    assert str(answers["b"]).startswith("b in ")


def test_a_lost_task_can_be_put_back() -> None:
    tasks, lost = deque(["exits", "a"]), 0
    for task, said in isolated(tasks, fates.started, 1, None, lambda task: None):
        if isinstance(said, Lost):
            lost += 1
            if lost < 2:
                tasks.append(task)
    assert lost == 2


def test_what_the_beginning_raises_is_raised_here() -> None:
    with pytest.raises(ValueError, match="no such weights"):
        list(isolated(deque(["a"]), fates.refuses, 1, None, lambda task: None))
    with pytest.raises(RuntimeError, match=r"before its first task, 3 times: .*status 7"):
        list(isolated(deque(["a"]), fates.dies_at_once, 1, None, lambda task: None))


def test_without_processes_all_is_done_here() -> None:
    done = list(isolated(deque(["a", "b"]), lambda: str.upper, 0, None, lambda task: None))
    assert done == [("a", "A"), ("b", "B")]
