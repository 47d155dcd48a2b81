"""What a worker makes of a case, and that a case survives its workers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

pytest.importorskip("sqlalchemy")

from lungscreen.server.jobs.results import write_volume
from lungscreen.server.jobs.worker import WorkerOptions, analyse_case, load_pipeline
from preprocessing.geometry import Geometry
from preprocessing.volume import Volume
from tests.test_lungscreen_classify import write_chest
from tests.weights import tiny_classifier, tiny_detector


def case_of(folder: Path, name: str = "chest.nii.gz") -> Path:
    (folder / "input").mkdir(parents=True)
    write_chest(folder / "input" / name)
    return folder


def options(tmp_path: Path) -> WorkerOptions:
    return WorkerOptions(str(tiny_detector(tmp_path)), str(tiny_classifier(tmp_path, members=2)), None, 1, 1)


def test_a_case_is_analysed_once_and_whole(tmp_path: Path) -> None:
    case = case_of(tmp_path / "case")
    (case / "input" / "broken.mha").write_bytes(b"nothing")
    (case / "work").mkdir()
    (case / "work" / "half.csv").write_text("left by a worker that was killed")
    said: list[dict[str, Any]] = []
    pipeline = load_pipeline(options(tmp_path))
    answer = analyse_case(case, pipeline, 1, said.append)
    assert answer == {"state": "done", "scans": 2, "refused": 1, "reason": "", "detail": ""}
    assert said[-1] == {"step": "analysing", "done": 1, "of": 1}
    assert sorted(path.name for path in case.iterdir()) == ["input", "result"]
    assert not (case / "result" / "half.csv").exists()
    result = json.loads((case / "result" / "result.json").read_text())
    read, refused = sorted(result["scans"], key=lambda scan: str(scan["status"]))
    assert (refused["reason"], refused["page"]) == ("unreadable", None)
    assert (case / "result" / read["report"]).is_file()
    row = pd.read_csv(case / "result" / "patients.csv").iloc[0]
    assert read["cancer_least"] < read["cancer_most"]
    assert read["cancer_least"] <= read["cancer_probability"] <= read["cancer_most"]
    assert [read["cancer_least"], read["cancer_most"]] == pytest.approx([row.cancer_least, row.cancer_most], abs=1e-6)
    assert "cancer_least" not in refused
    volume = case / "result" / "volumes" / read["page"]
    grid = Geometry.from_dict(json.loads((volume / "volume.json").read_text()))
    image = sitk.ReadImage(str(case / "input" / "chest.nii.gz"))
    for nodule in read["nodules"]:  # the place on the viewer's grid, by an independent reader
        assert grid.to_world(nodule["voxel_zyx"]) == pytest.approx(nodule["center_mm"], abs=1e-3)
        index = image.TransformPhysicalPointToContinuousIndex(nodule["center_mm"])
        assert index[::-1] == pytest.approx(nodule["voxel_zyx"], abs=1e-3)
    before = (case / "result" / "result.json").stat().st_mtime_ns
    assert analyse_case(case, pipeline, 1, said.append) == answer
    assert (case / "result" / "result.json").stat().st_mtime_ns == before


def test_a_case_without_a_scan_is_refused_with_the_intake_s_reason(tmp_path: Path) -> None:
    (tmp_path / "case/input").mkdir(parents=True)
    (tmp_path / "case/input/1234.zip").write_bytes(b"PK\x03\x04 and no more")
    answer = analyse_case(tmp_path / "case", load_pipeline(options(tmp_path)), 1, lambda said: None)
    assert (answer["state"], answer["scans"], answer["reason"]) == ("refused", 1, "unreadable")
    assert answer["detail"] == "the zip archive is damaged or not a zip"


def test_the_viewer_s_voxels_are_those_of_the_scan(tmp_path: Path) -> None:
    hu = np.arange(19 * 4 * 5, dtype=np.int16).reshape(19, 4, 5) - 200
    write_volume(tmp_path, Volume(hu, Geometry(hu.shape, (0.5, 0.7, 2.0), (1, 2, 3), np.eye(3)), "1.2"))
    meta = json.loads((tmp_path / "volume.json").read_text())
    assert (meta["chunks"], meta["chunk_slices"], meta["shape_zyx"]) == (3, 8, [19, 4, 5])
    parts = [gzip.decompress((tmp_path / f"{k:03d}.gz").read_bytes()) for k in range(3)]
    assert [len(part) for part in parts] == [2 * 8 * 20, 2 * 8 * 20, 2 * 3 * 20]
    assert np.array_equal(np.frombuffer(b"".join(parts), "<i2").reshape(hu.shape), hu)
