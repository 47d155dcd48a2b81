"""A sound cohort, and every protocol mistake that can be made with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from detection.evaluate import EvaluateSettings
from detection.froc.guards import Guard

N_SCANS = 40
CENTER = ["coordX", "coordY", "coordZ"]
CANDIDATES, ANNOTATIONS, EXCLUDED, SERIES = FILES = ("candidates", "annotations", "excluded", "seriesuids")
Tables = dict[str, pd.DataFrame]


def uid(number: int) -> str:
    """As long as LIDC's, 64 letters."""
    return f"1.3.6.1.4.1.14519.5.2.1.6279.6001.{10**29 + 7919 * 10**20 * number + number:030d}"


def good() -> Tables:
    """40 scans, a nodule in every other one; each nodule is found, with three false positives in each scan."""
    nodules, excluded, candidates = [], [], []
    for i in range(N_SCANS):
        center = (-80.0 + 4 * i, 30.0 - 3 * i, -200.0 - 5 * i)
        if i % 2 == 0:
            nodules.append((uid(i), *center, 8.0))
            candidates.append((uid(i), *center, 0.9))
        excluded.append((uid(i), 150.0, 0.0, -100.0, -1.0))
        candidates += [(uid(i), -130.0, 100.0 - 7 * k, -350.0 + i, 0.5 - k / 10 + i / 1000) for k in range(3)]
    columns = ["seriesuid", *CENTER]
    return {
        CANDIDATES: pd.DataFrame(candidates, columns=[*columns, "probability"]),
        ANNOTATIONS: pd.DataFrame(nodules, columns=[*columns, "diameter_mm"]),
        EXCLUDED: pd.DataFrame(excluded, columns=[*columns, "diameter_mm"]),
        SERIES: pd.DataFrame([uid(i) for i in range(N_SCANS)]),
    }


def written(folder: Path, tables: Tables) -> EvaluateSettings:
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, header=name != SERIES)
    paths = {name: folder / f"{name}.csv" for name in tables}
    return EvaluateSettings(**paths, bootstraps=0)


def change(name: str, what: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Tables], Tables]:
    return lambda tables: tables | {name: what(tables[name])}


def ids(name: str, what: Callable[[str], str]) -> Callable[[Tables], Tables]:
    return change(name, lambda table: table.assign(seriesuid=table["seriesuid"].map(what)))


def center(what: Callable[[float, float, float], tuple[float, float, float]]) -> Callable[[Tables], Tables]:
    def moved(table: pd.DataFrame) -> pd.DataFrame:
        rows = [what(*row) for row in table[CENTER].to_numpy().tolist()]
        return table.assign(**{axis: [row[k] for row in rows] for k, axis in enumerate(CENTER)})

    return change(CANDIDATES, moved)


def cell(name: str, column: str, value: object) -> Callable[[Tables], Tables]:
    """One cell, in line 4 of the file."""
    return change(name, lambda t: t.astype(object).assign(**{column: [*t[column][:2], value, *t[column][3:]]}))


def without_column(name: str, column: str) -> Callable[[Tables], Tables]:
    return change(name, lambda t: t.drop(columns=column))


def twice(name: str) -> Callable[[Tables], Tables]:
    return change(name, lambda t: pd.concat([t, t.head(3)]))


def numbered(tables: Tables, candidate_id: Callable[[int], str]) -> Tables:
    """Scans named 000, 001, ... as grt123's preparation names them, and candidates named some other way."""
    number = {uid(i): i for i in range(N_SCANS)}
    for name in (ANNOTATIONS, EXCLUDED):
        tables = ids(name, lambda u: f"{number[u]:03d}")(tables)
    tables = ids(CANDIDATES, lambda u: candidate_id(number[u]))(tables)
    return tables | {SERIES: pd.DataFrame([f"{i:03d}" for i in range(N_SCANS)])}


POSITIVE = {uid(i) for i in range(0, N_SCANS, 2)}

STOPPING: dict[str, tuple[Guard, Callable[[Tables], Tables]]] = {
    "a score column of another name": (
        Guard.MISSING_COLUMNS,
        change(CANDIDATES, lambda t: t.rename(columns={"probability": "score"})),
    ),
    "annotations without diameters": (Guard.MISSING_COLUMNS, without_column(ANNOTATIONS, "diameter_mm")),
    "a score that is a word": (Guard.NOT_A_NUMBER, cell(CANDIDATES, "probability", "high")),
    "a coordinate with a decimal comma": (Guard.NOT_A_NUMBER, cell(CANDIDATES, "coordX", "3,5")),
    "a score that is NaN": (Guard.NOT_FINITE, cell(CANDIDATES, "probability", "nan")),
    "a score left empty": (Guard.NOT_FINITE, cell(CANDIDATES, "probability", "")),
    "an infinite score": (Guard.NOT_FINITE, cell(CANDIDATES, "probability", "inf")),
    "ids written as floats by a spreadsheet": (Guard.ID_AS_NUMBER, lambda t: numbered(t, lambda i: f"{i:.1e}")),
    "ids that lost their zeros": (Guard.ID_PADDED, lambda t: numbered(t, str)),
    "ids with more zeros": (Guard.ID_PADDED, lambda t: numbered(t, lambda i: f"{i:05d}")),
    "ids padded with NUL as in DICOM": (Guard.ID_PADDED, ids(CANDIDATES, lambda u: u + "\0")),
    "ids with a blank": (Guard.ID_PADDED, ids(ANNOTATIONS, lambda u: u + " ")),
    "file names for ids": (Guard.ID_PADDED, ids(CANDIDATES, lambda u: u + ".mhd")),
    "ids cut off": (Guard.ID_CUT, ids(CANDIDATES, lambda u: u[:60])),
    "ids without their root": (Guard.ID_CUT, ids(EXCLUDED, lambda u: u[-20:])),
    "one id of many cut off": (Guard.ID_CUT, ids(CANDIDATES, lambda u: u[:50] if u == uid(7) else u)),
    "candidates of other scans": (Guard.NO_KNOWN_SERIES, ids(CANDIDATES, lambda u: u[::-1])),
    "a scan listed twice": (Guard.DUPLICATE_SERIES, twice(SERIES)),
    "a nodule annotated twice": (Guard.DUPLICATE_NODULES, twice(ANNOTATIONS)),
    "annotations of no listed scan": (Guard.NO_NODULES, change(ANNOTATIONS, lambda t: t.head(0))),
    "only the positive scans detected": (
        Guard.ONLY_POSITIVE_DETECTED,
        change(CANDIDATES, lambda t: t[t["seriesuid"].isin(POSITIVE)]),
    ),
    "voxel indices": (
        Guard.COORDINATES_VOXEL,
        center(lambda x, y, z: (round((x + 200) / 0.7), round((y + 200) / 0.7), round((z + 500) / 1.25))),
    ),
    "RAS": (Guard.COORDINATES_RAS, center(lambda x, y, z: (-x, -y, z))),
    "z, y, x": (Guard.COORDINATES_ZYX, center(lambda x, y, z: (z, y, x))),
}

WARNING: dict[str, tuple[Guard, Callable[[Tables], Tables]]] = {
    "candidates somewhere else": (Guard.NO_NODULE_HIT, center(lambda x, y, z: (x + 40, y - 40, z))),
    "no excluded list": (Guard.NO_EXCLUDED_LIST, lambda t: {k: v for k, v in t.items() if k != EXCLUDED}),
    "candidates of some scans more": (
        Guard.UNKNOWN_SERIES,
        change(CANDIDATES, lambda t: pd.concat([t, t.head(4).assign(seriesuid="9.8.7.6.5")])),
    ),
    "annotations of more scans than are listed": (
        Guard.UNKNOWN_SERIES,
        change(ANNOTATIONS, lambda t: pd.concat([t, t.head(4).assign(seriesuid="9.8.7.6.5")])),
    ),
    "candidates there twice": (Guard.DUPLICATE_CANDIDATES, twice(CANDIDATES)),
    "diameters unknown": (Guard.NODULE_WITHOUT_DIAMETER, change(ANNOTATIONS, lambda t: t.assign(diameter_mm=-1))),
    "only positive scans listed": (
        Guard.ONLY_POSITIVE_LISTED,
        lambda t: {
            SERIES: t[SERIES][t[SERIES][0].isin(POSITIVE)],
            **{name: t[name][t[name]["seriesuid"].isin(POSITIVE)] for name in (CANDIDATES, ANNOTATIONS, EXCLUDED)},
        },
    ),
    "a fold of the scans not detected": (
        Guard.SCANS_WITHOUT_CANDIDATES,
        change(
            CANDIDATES,
            lambda t: pd.concat([t, t.assign(coordX=200.0), t.assign(coordX=210.0)])[
                lambda all_: ~all_["seriesuid"].isin([uid(i) for i in range(8)])
            ],
        ),
    ),
    "coarse scores and many candidates": (
        Guard.CAP_DROPS_TIES,
        change(
            CANDIDATES,
            lambda t: pd.concat([t, *(t.head(1).assign(coordY=400.0 + k, probability=0.25) for k in range(120))]),
        ),
    ),
}
