"""`python -m lungscreen.server`: uploads, workers, results and the viewer."""

from __future__ import annotations

import logging

import uvicorn

from lungscreen.server.desk import Desk
from lungscreen.server.settings import ServerSettings
from lungscreen.server.web.app import create_app
from runs.entry import run
from runs.lock import held

log = logging.getLogger(__name__)

# Open transfers have so long to end when the server does.
GRACE_SECONDS = 5


def serve(settings: ServerSettings) -> int:
    """Serve until stopped; what then waits or runs goes on at the next start.

    Raises:
        UsageError: another server has the data folder; a token file without tokens.
    """
    with held(settings.folder):
        app = create_app(Desk(settings))
        log.info(
            "http://%s:%d (Ctrl-C ends it); research use only, not a medical device", settings.host, settings.port
        )
        uvicorn.run(
            app,
            host=settings.host,
            port=settings.port,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    return 0


def main() -> None:
    """Entry point."""
    run(serve, ServerSettings, "server")


if __name__ == "__main__":
    main()
