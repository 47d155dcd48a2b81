"""Debian's Chromium, and windows in which nothing goes wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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


def drawn(canvas: Any) -> str:
    """What is on a canvas, whatever frame it has."""
    return str(canvas.evaluate("canvas => canvas.toDataURL()"))


def slices(canvas: Any) -> int:
    """Of the stack of a canvas, as its label says."""
    return int(canvas.get_attribute("aria-label").rpartition(" ")[2])
