"""What an upload says of its case besides the files: of the person, and what else is wanted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from classification.guidelines.person import YES_NO, Person, person_of
from lungscreen.server.problems import ProblemError
from runs.entry import UsageError

FILE = "options.json"
# Fields of the form, and what they take; of the person as `lungscreen.classify` takes them.
FIELDS = {
    "age": "a number of years, 18 to 110",
    "sex": "female or male",
    "family_history": "yes or no",
    "emphysema": "yes or no",
    "dicom_images": "yes or no",
}


@dataclass(frozen=True, slots=True)
class CaseOptions:
    """Of a case; all scans of an upload share them.

    Attributes:
        person: for Brock's models.
        dicom_images: the key images as DICOM secondary captures among the results, too.
    """

    person: Person = field(default_factory=Person)
    dicom_images: bool = False

    def name(self, content: str) -> str:
        """Id of the case of an upload called `content`: with nothing stated it is that, and else one of its own."""
        if self == CaseOptions():
            return content
        return hashlib.sha256(f"{content} {self._text()}".encode()).hexdigest()[:32]

    def write(self, folder: Path) -> None:
        """Into a case's folder; nothing where nothing was stated."""
        if self != CaseOptions():
            (folder / FILE).write_text(self._text(), encoding="utf-8")

    def _text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def read_options(folder: Path) -> CaseOptions:
    """Of a case's folder."""
    if not (folder / FILE).exists():
        return CaseOptions()
    stored = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return CaseOptions(Person(**stored["person"]), stored["dicom_images"])


def options_of(fields: Mapping[str, str]) -> CaseOptions:
    """Of the fields of a form; an empty one states nothing.

    Raises:
        ProblemError: 422 for a field that nobody asks for, or one that is not what it must be; never with its value.
    """
    given = {name: text.strip() for name, text in fields.items()}
    for name, text in given.items():
        if name not in FIELDS:
            raise ProblemError(422, "unknown_option", f"a field that is no file must be one of {', '.join(FIELDS)}")
        if not _fits(name, text):
            raise ProblemError(422, "bad_option", f"{name} must be {FIELDS[name]}, or empty")
    images = given.pop("dicom_images", "")
    return CaseOptions(person_of(given), YES_NO.get(images.lower(), False))


def _fits(name: str, text: str) -> bool:
    if name == "dicom_images":
        return not text or text.lower() in YES_NO
    try:
        person_of({name: text})
    except UsageError:
        return False
    return True
