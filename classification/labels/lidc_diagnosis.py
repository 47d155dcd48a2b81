"""LIDC-IDRI's diagnoses of patients: `patient_id,diagnosis`, 0 unknown, 1 benign, 2 primary lung cancer, 3 metastasis.

The collection publishes them as a spreadsheet (McNitt-Gray et al. 2007; TCIA, "Diagnosis at the Patient Level"); here
it is a CSV with these two columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from classification.labels.interface import TruthSettings, by_id
from classification.metrics.guards import Guard
from runs.csv_text import numbers, printable, read_lines
from runs.entry import UsageError
from runs.guards import GuardError

UNKNOWN, BENIGN, PRIMARY, METASTASIS = range(4)
METASTASES = {"cancer": "1", "benign": "0", "left_out": None}


@dataclass(frozen=True, kw_only=True)
class LidcSettings(TruthSettings):
    """What counts as cancer.

    Attributes:
        metastases: of another cancer: `cancer`, `benign` or `left_out`.
    """

    metastases: str

    def __post_init__(self) -> None:
        if self.metastases not in METASTASES:
            raise UsageError(f"truth.metastases must be one of {', '.join(METASTASES)}; got {self.metastases}")


SETTINGS = LidcSettings


def read(path: Path, settings: LidcSettings) -> pd.DataFrame:
    """See `interface.reader`.

    Raises:
        GuardError: a patient stands in several rows.
    """
    table = read_lines(path, ("patient_id", "diagnosis"), ("patient_id",))
    twice = table["patient_id"][table["patient_id"].duplicated()].unique()
    if len(twice):
        detail = f"{printable(path)}: {len(twice)} id(s) stand in several rows, such as {twice[0]!r}"
        raise GuardError(Guard.DUPLICATE_IDS, detail)
    found = numbers(path, table, "diagnosis", lambda v: v in range(4), "0, 1, 2 or 3")
    label = {UNKNOWN: None, BENIGN: "0", PRIMARY: "1", METASTASIS: METASTASES[settings.metastases]}
    labels = {str(p): label[int(d)] for p, d in zip(table["patient_id"], found, strict=True)}
    known = {patient: {"cancer": cancer} for patient, cancer in labels.items() if cancer is not None}
    left_out = {
        "with an unknown diagnosis": found.count(UNKNOWN),
        "with metastases": 0 if METASTASES[settings.metastases] else found.count(METASTASIS),
    }
    return by_id(path, known, left_out)
