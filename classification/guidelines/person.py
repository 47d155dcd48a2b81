"""What a CT does not show of a person and Brock's models ask for; who is not told is assumed, and it is said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from runs.checks import between
from runs.entry import UsageError

SEXES = ("female", "male")
ASSUMED_AGE = 62.0
YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Person:
    """None is not known.

    Attributes:
        age: years, 18 to 110.
        sex: female or male.
        family_history: whether a parent, sibling or child had lung cancer.
        emphysema: whether a reader sees it on CT.
    """

    age: float | None = None
    sex: str | None = None
    family_history: bool | None = None
    emphysema: bool | None = None

    def __post_init__(self) -> None:
        if self.age is not None:
            between("age", self.age, 18, 110)
        if self.sex is not None and self.sex not in SEXES:
            raise UsageError(f"sex must be one of {', '.join(SEXES)}; got {self.sex}")

    @property
    def assumed(self) -> str:
        """What stands in for what is not known, in words; empty where all is known."""
        words = {
            "age": f"age {ASSUMED_AGE:.0f}",
            "sex": "between a woman and a man",
            "family_history": "no family history",
            "emphysema": "no emphysema",
        }
        return ", ".join(words[f.name] for f in fields(self) if getattr(self, f.name) is None)


def read_persons(path: Path) -> dict[str, Person]:
    """By patient id, of a csv with `id` and any of age, sex, family_history, emphysema; an empty cell is unknown.

    Raises:
        FileNotFoundError: no such file.
        UsageError: no column `id`, a patient twice, or a cell that is none of what `Person` takes.
    """
    from runs.csv_text import printable, read_lines  # pandas, which the server's own process does without

    table = read_lines(path, ("id",), ("id", *(f.name for f in fields(Person))))
    found: dict[str, Person] = {}
    for line, row in table.iterrows():
        cells = {f.name: str(row[f.name]).strip() for f in fields(Person) if f.name in table.columns}
        where = f"{printable(path)}, line {line}"
        if row["id"] in found:
            raise UsageError(f"{where}: every patient once, {row['id']} is there twice")
        try:
            found[row["id"]] = person_of(cells)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from None
    return found


def person_of(cells: Mapping[str, str]) -> Person:
    """Of text by field; what is empty or missing is not known.

    Raises:
        UsageError: text that is none of what `Person` takes.
    """
    sex = cells.get("sex", "").lower()
    sex = next((s for s in SEXES if sex and s.startswith(sex)), sex)
    history, emphysema = (_answer(name, cells.get(name, "")) for name in ("family_history", "emphysema"))
    return Person(_age(cells.get("age", "")), sex or None, history, emphysema)


def _age(text: str) -> float | None:
    try:
        age = float(text) if text else None
    except ValueError:
        age = math.nan
    if age is not None and not math.isfinite(age):
        raise UsageError(f"age must be a number of years, got {text}")
    return age


def _answer(name: str, text: str) -> bool | None:
    if text and text.lower() not in YES_NO:
        raise UsageError(f"{name} must be yes or no, got {text}")
    return YES_NO.get(text.lower())
