"""`python -m lungscreen.server.pacs`: studies out of a PACS to the server, its results back beside the images."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from lungscreen.server.pacs.asking import Server
from lungscreen.server.pacs.following import Follower, Source
from lungscreen.server.pacs.orthanc import Orthanc
from lungscreen.server.pacs.settings import PacsSettings
from lungscreen.server.pacs.studies import Studies
from runs.entry import UsageError, run
from runs.lock import held

log = logging.getLogger(__name__)


def follow(settings: PacsSettings) -> int:
    """Follow until stopped; what is under way then goes on at the next start.

    Raises:
        UsageError: another process has the folder; a file without a token or login.
        FileNotFoundError: no such file.
    """
    # Every request has its line there otherwise.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with ExitStack() as stack:
        stack.enter_context(held(settings.folder))
        work = settings.folder / "work"
        work.mkdir(parents=True, exist_ok=True, mode=0o700)
        studies = Studies(settings.folder / "studies.sqlite")
        stack.callback(studies.close)
        sources = _sources(settings, studies, stack)
        server = Server(stack.enter_context(_server_client(settings)))
        follower = Follower(studies, server, sources, settings.rules, settings.stable_seconds, work)
        log.info("following %s; research use only, not a medical device", " and ".join(sources))
        while True:
            follower.step()
            time.sleep(settings.look_seconds)


def _sources(settings: PacsSettings, studies: Studies, stack: ExitStack) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    if settings.orthanc is not None:
        user, _, password = _first_line(settings.login_file).partition(":") if settings.login_file else ("", "", "")
        login = httpx.BasicAuth(user, password) if user else None
        client = httpx.Client(base_url=settings.orthanc, auth=login, timeout=settings.timeout_seconds)
        orthanc = Orthanc(stack.enter_context(client), settings.backlog)
        sources[orthanc.name] = orthanc
    if settings.listen_port is not None:
        from lungscreen.server.pacs.listening import Listener  # who only follows an Orthanc does not need it

        listener = Listener(settings.folder / "sent", settings, studies)
        listener.start()
        stack.callback(listener.stop)
        sources[listener.name] = listener
    return sources


def _server_client(settings: PacsSettings) -> httpx.Client:
    token = {"Authorization": f"Bearer {_first_line(settings.token_file)}"} if settings.token_file else {}
    return httpx.Client(base_url=settings.server, headers=token, timeout=settings.timeout_seconds)


def _first_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").split()
    if not lines:
        raise UsageError(f"{path.name} must hold a line, it is empty")
    return lines[0]


def main() -> None:
    """Entry point."""
    run(follow, PacsSettings, "server_pacs")


if __name__ == "__main__":
    main()
