"""Protocol mistakes made with the published detections on LUNA16: what each is worth, and that it is caught."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from detection.evaluate import EvaluateSettings, evaluate
from detection.froc.guards import Guard
from runs.guards import GuardError
from tests.froc_mistakes import CANDIDATES, CENTER, EXCLUDED, FILES, STOPPING

LUNA16 = Path(__file__).parents[2] / "shared/data/luna16"


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
