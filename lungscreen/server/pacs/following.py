"""From a study that came to its results beside the images: every step may be cut and is taken up again."""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import httpx

from lungscreen.server.pacs.asking import RefusedError, Server, pack
from lungscreen.server.pacs.choosing import Series, chosen
from lungscreen.server.pacs.settings import Rules
from lungscreen.server.pacs.studies import State, Studies, Study

log = logging.getLogger(__name__)

# States of a case that come to nothing.
OVER = ("refused", "failed", "cancelled")


class NotTakenError(Exception):
    """Whoever gets the results does not take them now."""


class Source(Protocol):
    """Where studies come from, and where their results go. Names of studies are made of checksums."""

    name: str

    def look(self, studies: Studies) -> None:
        """Note the studies of which images came."""

    def state(self, name: str) -> str | None:
        """Something that stays the same while no image of a study comes; None: it is gone."""

    def series(self, name: str) -> list[Series]:
        """Of a study."""

    def files(self, name: str, images: Sequence[str]) -> Iterator[bytes]:
        """Images of a study, as files."""

    def store(self, name: str, results: Sequence[Path]) -> None:
        """Hand over the results of a study; once more hands over the same."""

    def finished(self, name: str) -> None:
        """All is done with a study, if nothing came since."""


class Follower:
    """Takes every study one step on, as far as it can now.

    Args:
        studies: the table.
        server: that analyses.
        sources: by name.
        rules: which series.
        stable_seconds: nothing came for so long: a study is whole.
        work: folder for what is packed and fetched.
    """

    def __init__(
        self,
        studies: Studies,
        server: Server,
        sources: Mapping[str, Source],
        rules: Rules,
        stable_seconds: float,
        work: Path,
    ) -> None:
        self.studies, self.server, self.sources, self.rules = studies, server, sources, rules
        self.stable_seconds, self.work = stable_seconds, work
        self._seen: dict[str, tuple[str, float]] = {}
        self._away: set[str] = set()

    def step(self) -> None:
        """One look at all sources and all studies; who does not answer now is asked again at the next."""
        for name, source in self.sources.items():
            with _Forgiving(self._away, name):
                source.look(self.studies)
        for study in (*self.studies.of(State.WAITING), *self.studies.of(State.SENT)):
            with _Forgiving(self._away, f"a study from {study.source}"):
                self._take_on(study)

    def _take_on(self, study: Study) -> None:
        source = self.sources.get(study.source)
        if source is None:  # not followed any more
            return
        if study.state is State.SENT:
            self._bring_back(study, source)
        elif self._is_whole(study, source):
            self._send(study, source)

    def _is_whole(self, study: Study, source: Source) -> bool:
        state, now = source.state(study.name), time.monotonic()
        if state is None:
            self.studies.forget(study.name)
            return False
        seen, since = self._seen.get(study.name, ("", now))
        if state != seen:
            since = now
        self._seen[study.name] = (state, since)
        return now - since >= self.stable_seconds

    def _send(self, study: Study, source: Source) -> None:
        series = chosen(source.series(study.name), self.rules)
        images = [image for one in series for image in one.images]
        key = hashlib.sha256("\n".join(images).encode()).hexdigest()
        if study.settled and key == study.key:  # what came are other images, such as our own results
            self._settle(study, source, State.LEFT if study.reason else State.DONE, study.reason)
        elif not images:
            self.studies.change(study.name, key=key, case="")
            self._settle(study, source, State.LEFT, "no_fitting_series")
        else:
            with tempfile.TemporaryDirectory(dir=self.work) as folder:
                package = Path(folder) / "study.zip"
                pack(source.files(study.name, images), package)
                self._hand_in(study, source, package, key)

    def _hand_in(self, study: Study, source: Source, package: Path, key: str) -> None:
        try:
            case = self.server.send(package)
        except RefusedError as refused:
            self.studies.change(study.name, key=key, case="")
            self._settle(study, source, State.LEFT, str(refused))
            return
        self.studies.change(study.name, state=State.SENT, key=key, settled=False, case=case, reason="")
        log.info("study %s is case %s", study.name[:8], case[:8])

    def _bring_back(self, study: Study, source: Source) -> None:
        case = self.server.case(study.case)
        if case is None:  # deleted there: it begins anew
            self.studies.change(study.name, state=State.WAITING, settled=False)
        elif case["state"] in OVER:
            self._settle(study, source, State.LEFT, str(case["reason"] or case["state"]))
        elif case["state"] == "done":
            with tempfile.TemporaryDirectory(dir=self.work) as folder:
                results = self.server.results(study.case, Path(folder))
                source.store(study.name, results)
            self._settle(study, source, State.DONE if results else State.LEFT, "" if results else "no_results")

    def _settle(self, study: Study, source: Source, state: State, reason: str) -> None:
        self.studies.settle(study, state, reason)
        self._seen.pop(study.name, None)
        source.finished(study.name)
        if not study.settled:
            log.info("study %s is %s%s", study.name[:8], state, f": {reason}" if reason else "")


class _Forgiving:
    """Says once that somebody does not answer, and goes on."""

    def __init__(self, away: set[str], who: str) -> None:
        self.away, self.who = away, who

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if error is None:
            self.away.discard(self.who)
            return False
        if not isinstance(error, httpx.HTTPError | NotTakenError):
            return False
        if self.who not in self.away:
            self.away.add(self.who)
            status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else ""
            log.warning("%s waits: %s %s", self.who, type(error).__name__, status)
        return True
