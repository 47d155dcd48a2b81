"""`python -m benchmarks.server.viewer PATH`: how soon the viewer shows a scan, and how long a step takes it.

A server of its own with tiny untrained networks takes the files under PATH; Debian's Chromium, without a graphics
card, opens the case on loopback anew each time. Needs playwright.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.browsing import browsing, open_page, settled
from tests.serving import Running

OPENED = 3
STEPS = 40


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server.viewer", description=__doc__)
    parser.add_argument("path", type=Path, help="a DICOM folder or an image file")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as made:
        running = Running(Path(made))
        running.start()
        try:
            case = running.upload(*(path.read_bytes() for path in _files(args.path)))["id"]
            if (state := running.wait(case)["state"]) != "done":
                raise SystemExit(f"the scan is {state}")
            with browsing() as browser:
                seen = [_seen(browser, running.port, case) for _ in range(OPENED)]
        finally:
            running.stop()
    first, whole, steps = ([one[k] for one in seen] for k in range(3))
    drawn = [ms for one in steps for ms in one]
    print(f"{os.cpu_count()} CPUs, load {load:.1f} before the start; {args.path.name}, opened {OPENED} times")
    print(f"first picture after {statistics.median(first):.2f} s (worst {max(first):.2f})")
    print(f"all voxels after {statistics.median(whole):.2f} s (worst {max(whole):.2f})")
    print(f"{len(drawn)} steps: drawn in {statistics.median(drawn):.1f} ms (worst {max(drawn):.1f})")


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(found for found in path.rglob("*") if found.is_file())


def _seen(browser: Any, port: int, case: str) -> tuple[float, float, list[float]]:
    """Seconds to the first picture and to all voxels, and milliseconds of each step."""
    with open_page(browser, port) as page:
        began = time.perf_counter()
        page.goto(f"/viewer?case={case}", wait_until="commit")
        page.wait_for_selector("body[data-loaded]")
        settled(page)
        first = time.perf_counter() - began
        page.wait_for_selector('body[data-loaded="1.000"]')
        whole = time.perf_counter() - began
        page.locator("canvas[data-plane=axial]").focus()
        steps = []
        for k in range(STEPS):
            page.keyboard.press("ArrowUp" if k % 2 else "ArrowDown")
            settled(page)
            steps.append(float(page.evaluate("document.body.dataset.drawn")))
        return first, whole, steps


if __name__ == "__main__":
    main()
