"""`python -m benchmarks.server.load`: many uploads at once to a server of its own, and how its pages answer meanwhile.

The scans are boxes of air in boxes of tissue, the networks tiny and untrained, or with `--shipped` the shipped ones.
Every upload has a client of its own, which tries once and takes a refusal for an answer, or with `--again` waits as
`Retry-After` says and tries again until it is taken. Memory is that of the server and all its workers at once. Linux.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from benchmarks.memory import family, proportional_kib
from tests.chests import write_chest
from tests.serving import Running, files

PAGES = ("/", "/api/v1/cases", "/health")
PAUSE_S = 0.2
REFUSED = 429
OVER = ("done", "refused", "failed", "cancelled")


class Watch:
    """Asks for pages, and looks at the memory, until it is stopped."""

    def __init__(self, running: Running) -> None:
        self.running, self.peak_kib = running, 0
        self.seconds: dict[str, list[float]] = {page: [] for page in PAGES}
        self._over = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._ask, self._weigh)]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self.running.client.base_url, timeout=300) as client:
            while not self._over.wait(PAUSE_S):
                for page, seconds in self.seconds.items():
                    began = time.perf_counter()
                    client.get(page).raise_for_status()
                    seconds.append(time.perf_counter() - began)

    def _weigh(self) -> None:
        assert self.running.process is not None
        while not self._over.wait(PAUSE_S):
            held = sum(proportional_kib(pid) for pid in family(self.running.process.pid))
            self.peak_kib = max(self.peak_kib, held)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server.load", description=__doc__)
    parser.add_argument("--uploads", type=int, default=50)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="who is refused by 429 comes again")
    parser.add_argument("--minutes", type=float, default=60, help="what is not over then is counted as it stands")
    parser.add_argument("--shipped", action="store_true", help="the shipped networks in the place of tiny ones")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        contents = [_scan(folder, seed) for seed in range(args.uploads)]
        running = Running(folder, f"workers={args.workers}", tiny=not args.shipped)
        running.start()
        try:
            began = time.monotonic()
            with Watch(running) as watch:
                answers = _all_at_once(running, contents, 60 * args.minutes if args.again else 0)
                _wait(running, 60 * args.minutes)
                over = time.monotonic() - began
                states = Counter(case["state"] for case in _cases(running))
        finally:
            running.stop()
    print(f"{os.cpu_count()} CPUs, load {load:.1f} before the start; {args.uploads} uploads at once")
    print("answers to the uploads: " + ", ".join(f"{n} x {status}" for status, n in sorted(answers.items())))
    print("cases: " + ", ".join(f"{n} {state}" for state, n in sorted(states.items())))
    print(f"all over after {over:.0f} s")
    print(f"most memory at once: {watch.peak_kib / 1024**2:.2f} GiB")
    print(f"{'page':16} {'asked':>6} {'median s':>9} {'worst s':>8}")
    for page, seconds in watch.seconds.items():
        print(f"{page:16} {len(seconds):6d} {statistics.median(seconds):9.3f} {max(seconds):8.3f}")
    sys.exit(int(states["failed"] > 0))


def _scan(folder: Path, seed: int) -> bytes:
    path = folder / "chest.nii.gz"
    write_chest(path, seed)
    return path.read_bytes()


def _all_at_once(running: Running, contents: Sequence[bytes], seconds: float) -> Counter[str]:
    """How the uploads were answered, each try of it for so long: the status, and the reason of a refusal."""
    end = time.monotonic() + seconds
    ready = threading.Barrier(len(contents))

    def upload(content: bytes) -> list[str]:
        said = []
        with httpx.Client(base_url=running.client.base_url, timeout=600) as client:
            ready.wait()
            while True:
                answer = client.post("/api/v1/cases", files=files(content))
                said.append(f"{answer.status_code} {answer.json().get('reason', '')}".strip())
                if answer.status_code != REFUSED or time.monotonic() > end:
                    return said
                time.sleep(float(answer.headers["Retry-After"]))

    with ThreadPoolExecutor(len(contents)) as pool:
        return Counter(one for said in pool.map(upload, contents) for one in said)


def _wait(running: Running, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(case["state"] not in OVER for case in _cases(running)):
        time.sleep(1)


def _cases(running: Running) -> list[dict[str, str]]:
    found: list[dict[str, str]] = running.client.get("/api/v1/cases", params={"limit": 200}).json()["items"]
    return found


if __name__ == "__main__":
    main()
