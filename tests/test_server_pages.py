"""The pages as files: nothing in them needs an outside host, an inline script or an inline style."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import lungscreen.server

STATIC = Path(lungscreen.server.__file__).parent / "web" / "static"
PAGES = sorted(path.name for path in STATIC.glob("*.html"))
SCRIPTS = sorted(path.name for path in STATIC.glob("*.js"))


class Page(HTMLParser):
    """Every tag of a page and the text of its scripts and styles."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.feed((STATIC / name).read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self.ids += [str(value) for key, value in attributes if key == "id"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_and_loads_nothing_but_our_files(name: str) -> None:
    page = Page(name)
    for tag, attributes in page.tags:
        assert tag not in ("style", "iframe", "object", "embed", "base")
        assert not [key for key in attributes if key == "style" or key.startswith("on")]
        for link in (attributes.get("src"), attributes.get("href")):
            assert link is None or link.startswith("/"), link
            if link and link.startswith("/static/"):
                assert (STATIC / link.removeprefix("/static/")).is_file()
        assert tag != "script" or attributes.get("src")
    assert len(set(page.ids)) == len(page.ids)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_makes_no_html_of_text_and_calls_nobody_else(name: str) -> None:
    text = (STATIC / name).read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function|https?://", text)
    for imported in re.findall(r'from "\./([^"]+)"', text):
        assert imported in SCRIPTS


def test_scripts_ask_for_elements_that_their_page_has() -> None:
    parts = {"cases.html": ["cases.js"], "login.html": ["login.js"], "viewer.html": ["viewer.js", "keys.js"]}
    for name, scripts in parts.items():
        ids = Page(name).ids
        for script in scripts:
            asked = re.findall(r'byId\("([^"]+)"\)', (STATIC / script).read_text(encoding="utf-8"))
            assert asked
            assert set(asked) <= set(ids), script
