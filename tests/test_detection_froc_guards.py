"""Every protocol mistake, made on purpose, is caught by its name; the same cohort without it passes in silence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from detection.evaluate import EvaluateSettings, evaluate
from detection.froc.guards import Guard, judge
from preprocessing.luna16.files import series_column
from runs.guards import GuardError

LUNA16 = Path(__file__).parents[2] / "shared/data/luna16"
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


def test_without_a_mistake_no_guard_speaks(tmp_path: Path) -> None:
    report = evaluate(replace(written(tmp_path, good()), strict=True))
    assert report.cautions == []
    assert report.scored.matched.found.all()


@pytest.mark.parametrize("mistake", STOPPING)
def test_a_mistake_stops(tmp_path: Path, mistake: str) -> None:
    guard, make = STOPPING[mistake]
    with pytest.raises(GuardError) as stopped:
        evaluate(written(tmp_path, make(good())))
    assert stopped.value.guard is guard
    assert str(stopped.value).startswith(f"{guard}: ")
    assert "\n" not in str(stopped.value)


@pytest.mark.parametrize("mistake", WARNING)
def test_a_mistake_warns_and_stops_when_strict(tmp_path: Path, mistake: str) -> None:
    guard, make = WARNING[mistake]
    settings = written(tmp_path, make(good()))
    report = evaluate(settings)
    assert [caution.guard for caution in report.cautions] == [guard]
    with pytest.raises(GuardError) as stopped:
        evaluate(replace(settings, strict=True))
    assert stopped.value.guard is guard
    assert evaluate(replace(settings, strict=True, allow=(str(guard),))).cautions == report.cautions


def test_every_guard_is_tried() -> None:
    assert {guard for guard, _ in (*STOPPING.values(), *WARNING.values())} == set(Guard)


def test_an_allowed_guard_warns(tmp_path: Path) -> None:
    _, make = STOPPING["RAS"]
    report = evaluate(replace(written(tmp_path, make(good())), allow=("coordinates_ras",)))
    assert [c.guard for c in report.cautions] == [Guard.COORDINATES_RAS]
    assert report.scored.all.cpm == 0


@pytest.mark.parametrize("name", ["coordinates-ras", "missing_columns"])
def test_only_guards_that_can_be_allowed_are(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        judge([], allow=[name])


def test_messages_say_where(tmp_path: Path) -> None:
    for mistake, words in (
        ("a score that is a word", "candidates.csv: probability in line 4 is 'high'"),
        ("a score column of another name", "missing: probability; the first line has seriesuid,coordX,coordY,coordZ,"),
        (
            "one id of many cut off",
            f"candidates.csv: 1 series ids are pieces of listed ids: {uid(7)[:50]!r} of {uid(7)!r}",
        ),
        ("RAS", "0 of 20 nodules are hit as given, 20 with x and y negated"),
    ):
        with pytest.raises(GuardError) as stopped:
            evaluate(written(tmp_path, STOPPING[mistake][1](good())))
        assert words in str(stopped.value)


def test_a_perfect_detector_is_not_suspected(tmp_path: Path) -> None:
    """No candidate in nodule-free scans is what it should be, as long as there is no false positive elsewhere."""
    tables = good()
    tables[CANDIDATES] = tables[CANDIDATES][tables[CANDIDATES]["probability"] == 0.9]
    assert evaluate(written(tmp_path, tables)).cautions == []


def test_a_file_with_a_heading_only_finds_nothing(tmp_path: Path) -> None:
    tables = good()
    tables[CANDIDATES] = tables[CANDIDATES].head(0)
    report = evaluate(replace(written(tmp_path, tables), bootstraps=10))
    assert (report.scored.all.cpm, report.cautions) == (0, [])


@pytest.mark.parametrize("content", [b"", b"\n", b"a;b\n1;2\n", b'seriesuid,coordX\n"1.2,3\n', b"\xff\xfe\x00"])
def test_what_is_no_csv_is_refused(tmp_path: Path, content: bytes) -> None:
    settings = written(tmp_path, good())
    settings.candidates.write_bytes(content)
    with pytest.raises(ValueError):  # noqa: PT011, each in its own words
        evaluate(settings)


def test_one_fold_against_the_full_excluded_list(tmp_path: Path) -> None:
    tables = good()
    tables[SERIES] = tables[SERIES].head(10)
    fold = set(tables[SERIES][0])
    for name in (CANDIDATES, ANNOTATIONS):
        tables[name] = tables[name][tables[name]["seriesuid"].isin(fold)]
    assert evaluate(written(tmp_path, tables)).cautions == []


def test_the_list_of_scans_may_have_a_heading(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfseriesuid\r\n1.2\r\n\r\n1.3,more\r\n")
    assert series_column(tmp_path / "a.csv") == ["1.2", "1.3"]


def luna16(**changes: object) -> EvaluateSettings:
    names = {CANDIDATES: "submission_deeplung_dpn26", EXCLUDED: "annotations_excluded"}
    paths = {name: LUNA16 / f"{names.get(name, name)}.csv" for name in FILES}
    if not all(path.exists() for path in paths.values()):
        pytest.skip("needs shared/data/luna16")
    return replace(EvaluateSettings(**paths, bootstraps=0), **changes)


def test_what_the_protocol_alone_is_worth(tmp_path: Path) -> None:
    """The published detections scored wrongly: .7422, .8583 and .8331 instead of .8420 (reference/ANCHORS.md, B1m)."""
    right = luna16()
    assert evaluate(right).cautions == []
    report = evaluate(replace(right, excluded=None))
    assert [c.guard for c in report.cautions] == [Guard.NO_EXCLUDED_LIST]
    assert f"{report.scored.all.cpm:.4f}" == "0.7422"

    positive = sorted(set(pd.read_csv(right.annotations)["seriesuid"]))
    assert len(positive) == 601
    lists = tmp_path / "positive.csv"
    lists.write_text("\n".join(positive))
    report = evaluate(replace(right, seriesuids=lists, allow=("unknown_series",)))
    assert [c.guard for c in report.cautions] == [Guard.ONLY_POSITIVE_LISTED, Guard.UNKNOWN_SERIES]
    assert f"{report.scored.all.cpm:.4f}" == "0.8331"

    table = pd.read_csv(right.candidates, dtype=str)
    table[table["seriesuid"].isin(positive)].to_csv(tmp_path / "some.csv", index=False)
    some = replace(right, candidates=tmp_path / "some.csv")
    with pytest.raises(GuardError) as stopped:
        evaluate(some)
    assert stopped.value.guard is Guard.ONLY_POSITIVE_DETECTED
    report = evaluate(replace(some, allow=("only_positive_scans_detected",)))
    assert f"{report.scored.all.cpm:.4f}" == "0.8583"


@pytest.mark.parametrize("mistake", ["RAS", "z, y, x"])
def test_wrong_axes_on_the_published_detections(tmp_path: Path, mistake: str) -> None:
    settings = luna16()
    guard, make = STOPPING[mistake]
    tables = make({CANDIDATES: pd.read_csv(settings.candidates, dtype={"seriesuid": str})})
    assert stopped_by(tmp_path, settings, tables[CANDIDATES]) is guard


def test_voxel_indices_of_the_published_detections(tmp_path: Path) -> None:
    """By the scans' own headers; some of the places lie outside the 14 volumes with flipped axes, at indices < 0."""
    settings = luna16()
    table = pd.read_csv(settings.candidates, dtype={"seriesuid": str})
    headers = pd.read_csv(LUNA16 / "mhd_headers.csv", dtype=str).set_index("seriesuid").loc[table["seriesuid"]]
    offset, spacing, axes = (
        headers[name].str.split(expand=True).to_numpy(float)
        for name in ("offset_xyz_mm", "element_spacing_xyz_mm", "transform_matrix")
    )
    table[CENTER] = ((table[CENTER].to_numpy() - offset) / spacing * axes[:, [0, 4, 8]]).round()
    assert stopped_by(tmp_path, settings, table) is Guard.COORDINATES_VOXEL


def stopped_by(folder: Path, settings: EvaluateSettings, candidates: pd.DataFrame) -> Guard:
    candidates.to_csv(folder / "changed.csv", index=False)
    with pytest.raises(GuardError) as stopped:
        evaluate(replace(settings, candidates=folder / "changed.csv"))
    return stopped.value.guard
