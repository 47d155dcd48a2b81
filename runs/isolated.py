"""Work in processes of its own: a task that ends its process (memory, a fault in native code) ends no other.

Processes are spawned, not forked: a fork of a process with threads of native libraries may hang.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

Task = TypeVar("Task")
Answer = TypeVar("Answer")
Start = Callable[[], Callable[[Task], Answer]]

# How often in a row a process may end before it has begun: by then it is no accident.
STARTS = 3
# How long to wait at most before time limits are looked at.
TICK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Lost:
    """What stands for an answer when the process ended instead.

    Attributes:
        how: in words.
        too_long: it was ended for its time limit.
    """

    how: str
    too_long: bool = False


@dataclass(slots=True)
class _Worker(Generic[Task]):
    process: BaseProcess
    connection: Connection
    task: Task | None = None
    # Of the monotonic clock, when the task was handed out; None before it is ready.
    since: float | None = None
    ready: bool = False


def isolated(
    tasks: deque[Task], start: Start[Task, Answer], workers: int, limit_s: float | None, begin: Callable[[Task], None]
) -> Generator[tuple[Task, Answer | Lost]]:
    """Answers as they come, not in the order of the tasks.

    Args:
        tasks: taken from the left; more may be put in while this runs.
        start: called once in each process, makes what answers a task there; both can be pickled.
        workers: how many processes; 0: in this one, without protection.
        limit_s: seconds a task may take, or None; needs processes.
        begin: called here just before a task is handed out.

    Raises:
        RuntimeError: a process ended before it could begin, several times in a row.
        Exception: what `start` raised.
    """
    if workers == 0:
        yield from _here(tasks, start, begin)
        return
    pool: list[_Worker[Task]] = []
    failed = 0
    try:
        while tasks or any(worker.task is not None for worker in pool):
            while len(pool) < workers and len(pool) < len(tasks) + sum(w.task is not None for w in pool):
                pool.append(_started(start, workers))
            _hand_out(tasks, pool, begin)
            for worker in _spoken(pool, limit_s):
                done = _heard(worker, limit_s)
                if isinstance(done, Lost):
                    pool.remove(worker)
                    _end(worker)
                if worker.task is None:
                    failed = 0 if worker.ready else failed + 1
                    if failed >= STARTS:
                        raise RuntimeError(f"a process ended before its first task, {failed} times: {done}")
                elif done is not None:
                    task, worker.task = worker.task, None
                    yield task, done  # type: ignore[misc]
    finally:
        for worker in pool:
            _end(worker)


def _here(
    tasks: deque[Task], start: Start[Task, Answer], begin: Callable[[Task], None]
) -> Iterator[tuple[Task, Answer]]:
    answer = start()
    while tasks:
        task = tasks.popleft()
        begin(task)
        yield task, answer(task)


def _hand_out(tasks: deque[Task], pool: list[_Worker[Task]], begin: Callable[[Task], None]) -> None:
    for worker in pool:
        if tasks and worker.ready and worker.task is None:
            worker.task = tasks.popleft()
            begin(worker.task)
            worker.since = time.monotonic()
            try:
                worker.connection.send(worker.task)
            except OSError:  # it has just ended, which is heard next
                continue


def _spoken(pool: list[_Worker[Task]], limit_s: float | None) -> list[_Worker[Task]]:
    """Those that said something, ended, or took too long."""
    spoken = set(wait([w.connection for w in pool] + [w.process.sentinel for w in pool], TICK_SECONDS))
    return [w for w in pool if spoken & {w.connection, w.process.sentinel} or _is_late(w, limit_s)]


def _is_late(worker: _Worker[Task], limit_s: float | None) -> bool:
    return limit_s is not None and worker.since is not None and time.monotonic() - worker.since > limit_s


def _heard(worker: _Worker[Task], limit_s: float | None) -> object:
    """The answer, `Lost`, or None of a process that has just become ready."""
    try:
        if worker.connection.poll():
            kind, said = pickle.loads(worker.connection.recv_bytes())
            worker.since = None
            if kind == "failed":
                raise said
            worker.ready = True
            return said
    except (EOFError, ConnectionResetError):
        pass
    if worker.process.is_alive() and _is_late(worker, limit_s):
        return Lost(f"took more than {limit_s:g} s", too_long=True)
    worker.process.join()
    return Lost(_in_words(worker.process.exitcode or 0))


def _in_words(code: int) -> str:
    if code >= 0:
        return f"its process ended with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    return f"its process was ended by {name}" + (", as for want of memory" if name == "SIGKILL" else "")


def _started(start: Start[Task, Answer], workers: int) -> _Worker[Task]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, start), daemon=True)
    with _threads_shared(workers):
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextmanager
def _threads_shared(workers: int) -> Iterator[None]:
    """Several processes share the cores; who says how many threads each has, is obeyed."""
    if workers == 1 or "OMP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // workers))
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]


def _end(worker: _Worker[Task]) -> None:
    worker.process.kill()
    worker.process.join()
    worker.connection.close()


def _serve(connection: Connection, start: Start[Task, Answer]) -> None:
    """What a process does until nobody is at the other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the one that asks decides
    try:
        answer = start()
    except Exception as error:
        connection.send_bytes(_packed("failed", error))
        return
    try:
        connection.send_bytes(_packed("ready", None))
        while True:
            connection.send_bytes(_packed("done", answer(connection.recv())))
    except (EOFError, OSError):
        return


def _packed(kind: str, said: object) -> bytes:
    try:
        packed = pickle.dumps((kind, said))
        pickle.loads(packed)
    except Exception:
        return pickle.dumps(("failed", RuntimeError(f"{type(said).__name__}: {said}")))
    return packed
