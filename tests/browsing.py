"""Debian's Chromium, and windows in which nothing goes wrong."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
LONG = 300_000


@contextmanager
def browsing() -> Iterator[Any]:
    """A browser."""
    from playwright import sync_api

    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@contextmanager
def open_page(browser: Any, port: int, width: int = 1280, height: int = 800, **more: Any) -> Iterator[Any]:
    """A window on the server at `port`; in the end nothing went wrong in it and nobody else was called."""
    size = {"width": width, "height": height}
    page = browser.new_page(viewport=size, base_url=f"http://127.0.0.1:{port}", **more)
    page.set_default_timeout(LONG)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("request", lambda request: None if str(port) in request.url else wrong.append(request.url))
    yield page
    page.close()
    assert wrong == []


def settled(page: Any) -> None:
    """Wait until all that was asked for is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def drawn(canvas: Any) -> str:
    """What is on a canvas, whatever frame it has."""
    return str(canvas.evaluate("canvas => canvas.toDataURL()"))


def slices(canvas: Any) -> int:
    """Of the stack of a canvas, as its label says."""
    return int(canvas.get_attribute("aria-label").rpartition(" ")[2])


def complaints(page: Any, axe: str) -> list[tuple[str, list[str]]]:
    """Of axe, about what a window shows: the rule and the elements."""
    page.evaluate(axe)
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 10
    return [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]]


def axe_core(folder: Path) -> str:
    """axe as npm has it; it is no part of the product."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), "axe-core@4"]
    if subprocess.run(command, check=False, capture_output=True, timeout=120).returncode:
        pytest.skip("npm has no axe-core for us")
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
