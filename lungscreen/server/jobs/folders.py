"""Where everything of the server lies; no name in it is one that the user or the scan gave."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from lungscreen.server.jobs.options import CaseOptions

RESULT = "result.json"
# Beside the voxels of a scan.
HEAT = "heat.json"
PRIOR, PLACES = "prior.json", "prior.gz"


@dataclass(frozen=True, slots=True)
class Folders:
    """The data folder: `cases/<id>/input`, `.../result`, and what is being received, removed or unpacked.

    Attributes:
        root: the data folder.
    """

    root: Path

    def prepare(self, known: set[str]) -> None:
        """Make the folders and remove what a server that was stopped left half done.

        Args:
            known: ids of the cases in the database; the folder of another one was being received or removed.
        """
        for name in ("incoming", "leaving", "tmp"):
            shutil.rmtree(self.root / name, ignore_errors=True)
            (self.root / name).mkdir(parents=True, mode=0o700)
        (self.root / "cases").mkdir(mode=0o700, exist_ok=True)
        for folder in (self.root / "cases").iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)

    def case(self, name: str) -> Path:
        """The folder of a case."""
        return self.root / "cases" / name

    def result(self, name: str) -> Path:
        """The folder of a case's results, there when it is done."""
        return self.case(name) / "result"

    def incoming(self) -> Path:
        """A new folder for an upload."""
        folder = self.root / "incoming" / uuid.uuid4().hex
        folder.mkdir(mode=0o700)
        return folder

    def tmp(self, worker: int) -> Path:
        """An empty folder for what a worker unpacks."""
        folder = self.root / "tmp" / f"worker-{worker}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        return folder

    def admit(self, received: Path, name: str, options: CaseOptions) -> None:
        """Make a received folder the input of a case; of one that has an input it is dropped."""
        case = self.case(name)
        case.mkdir(mode=0o700, exist_ok=True)
        if not (case / "input").exists():
            options.write(case)
            received.rename(case / "input")
        # Else it has one, of the same content and options.

    def drop(self, received: Path) -> None:
        """Remove a received folder, if it is still there."""
        shutil.rmtree(received, ignore_errors=True)

    def remove(self, name: str) -> None:
        """Remove a case's folder: out of sight at once, off the disk a little later."""
        leaving = self.root / "leaving" / uuid.uuid4().hex
        try:
            self.case(name).rename(leaving)
        except FileNotFoundError:
            return
        shutil.rmtree(leaving, ignore_errors=True)
