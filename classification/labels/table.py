"""Any table with a row a patient and a column of 0 and 1: DSB2017's, the phantoms', yours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from classification.labels.interface import TruthSettings
from classification.metrics.predictions import read_table


@dataclass(frozen=True, kw_only=True)
class TableSettings(TruthSettings):
    """Which columns.

    Attributes:
        id: column of the ids.
        cancer: column of 0 and 1.
    """

    kind: str = "table"
    id: str = "id"
    cancer: str = "cancer"


SETTINGS = TableSettings


def read(path: Path, settings: TableSettings) -> pd.DataFrame:
    """See `interface.reader`."""
    return read_table(path, settings.id, settings.cancer)
