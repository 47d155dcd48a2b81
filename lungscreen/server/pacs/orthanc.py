"""An Orthanc: its changes, its images, and results to it, by its REST interface."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
from pydicom import dcmread

from lungscreen.server.pacs.choosing import Series
from lungscreen.server.pacs.studies import Studies
from preprocessing.intake.headers import quiet_pydicom

NAME = "orthanc"
PAGE = 500
NEW = "NewInstance"


class Orthanc:
    """A source of studies, and where their results go.

    Args:
        client: with its address and login.
        backlog: whether the studies that it has at the first look are taken.
    """

    name = NAME

    def __init__(self, client: httpx.Client, backlog: bool) -> None:
        self.client, self.backlog = client, backlog

    def look(self, studies: Studies) -> None:
        """Note the studies of which images came since the last look.

        Every new image counts, not Orthanc's word that a study is stable: an Orthanc that is restarted meanwhile
        never says it.
        """
        since = studies.mark(NAME)
        last = int(self._json("/changes", last="")["Last"])
        if since is None and not self.backlog:
            studies.came(NAME, set(), last)
            return
        # Another database under the same address begins to count anew.
        since = 0 if since is None or since > last else since
        done = since >= last
        while not done:
            page = self._json("/changes", since=since, limit=PAGE)
            images = [change["ID"] for change in page["Changes"] if change["ChangeType"] == NEW]
            since, done = int(page["Last"]), bool(page["Done"])
            studies.came(NAME, self._studies_of(images), since)

    def state(self, name: str) -> str | None:
        """Something that stays the same while no image comes; None: there is no such study."""
        answer = self.client.get(f"/studies/{name}/statistics")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        return str(answer.json()["CountInstances"])

    def series(self, name: str) -> list[Series]:
        """Of a study, each with the header of one image."""
        found = []
        for one in self._json(f"/studies/{name}/series"):
            images = tuple(sorted(one["Instances"]))
            content = self._file(images[0])
            with quiet_pydicom():
                header = dcmread(io.BytesIO(content), stop_before_pixels=True, force=True)
            found.append(Series(one["ID"], images, header))
        return found

    def files(self, name: str, images: Sequence[str]) -> Iterator[bytes]:
        """The images as files, in their order."""
        for image in images:
            yield self._file(image)

    def store(self, name: str, results: Sequence[Path]) -> None:
        """Hand over results; the ones that it has already it leaves as they are.

        Raises:
            httpx.HTTPError: it did not take one.
        """
        for path in results:
            self.client.post("/instances", content=path.read_bytes()).raise_for_status()

    def finished(self, name: str) -> None:
        """Orthanc keeps its images: there is nothing to tidy."""

    def _studies_of(self, images: Sequence[str]) -> set[str]:
        if not images:
            return set()
        # Images that were deleted since are passed over.
        asked = {"Resources": images, "Level": "Study"}
        answer = self.client.post("/tools/bulk-content", json=asked)
        answer.raise_for_status()
        return {found["ID"] for found in answer.json()}

    def _file(self, image: str) -> bytes:
        answer = self.client.get(f"/instances/{image}/file")
        answer.raise_for_status()
        return answer.content

    def _json(self, path: str, **query: str | int) -> Any:
        answer = self.client.get(path, params=query)
        answer.raise_for_status()
        return answer.json()
