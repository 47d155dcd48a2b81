"""What an upload says of the person, and what comes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")
pytest.importorskip("highdicom")

from pydicom import dcmread

from lungscreen.server.jobs.worker import analyse_case, load_pipeline
from phantom.chest import ChestSettings
from phantom.make import make_cohort
from tests.serving import NIFTI, files
from tests.test_server_uploads import CASES, served
from tests.test_server_worker import options

WOMAN = {"age": "67", "sex": "female", "family_history": "yes", "emphysema": "no"}


def test_options_make_a_case_of_their_own_and_are_in_no_name(tmp_path: Path) -> None:
    with served(tmp_path) as (client, desk):
        plain = client.post(CASES, files=files(NIFTI)).json()["id"]
        told = client.post(CASES, files=files(NIFTI), data=WOMAN)
        assert told.status_code == 202
        assert told.json()["id"] != plain
        again = client.post(CASES, files=files(NIFTI), data={**WOMAN, "sex": "F", "dicom_images": "no"})
        assert (again.status_code, again.json()["id"]) == (200, told.json()["id"])
        nothing = client.post(CASES, files=files(NIFTI), data=dict.fromkeys(WOMAN, ""))
        assert (nothing.status_code, nothing.json()["id"]) == (200, plain)
        stored = json.loads((desk.folders.case(told.json()["id"]) / "options.json").read_text())
        person = {"age": 67.0, "sex": "female", "family_history": True, "emphysema": False}
        assert stored == {"person": person, "dicom_images": False}
        assert [path.name for path in desk.folders.case(plain).iterdir()] == ["input"]


@pytest.mark.parametrize(
    ("field", "text", "reason"),
    [
        ("age", "17", "bad_option"),
        ("age", "nan", "bad_option"),
        ("age", "Doe", "bad_option"),
        ("sex", "Doe", "bad_option"),
        ("emphysema", "perhaps", "bad_option"),
        ("dicom_images", "2", "bad_option"),
        ("agee", "67", "unknown_option"),
    ],
)
def test_wrong_options_are_refused_without_their_value(tmp_path: Path, field: str, text: str, reason: str) -> None:
    with served(tmp_path) as (client, desk):
        answer = client.post(CASES, files=files(NIFTI), data={field: text})
        assert (answer.status_code, answer.json()["reason"]) == (422, reason)
        assert "Doe" not in answer.text
        assert desk.cases.ids() == set()
        assert list((tmp_path / "server/incoming").iterdir()) == []


@pytest.mark.slow
def test_a_case_is_analysed_with_its_options(tmp_path: Path) -> None:
    """Brock's model 2b of a woman of 67 with a family history is above that of nobody in particular."""
    chest = ChestSettings(matrix=64, targets_per_lung=10, thickness_mm=10.0, mean_nodules=4.0)
    cohort, pipeline = make_cohort(tmp_path / "cohort", 1, 5, chest, workers=1), load_pipeline(options(tmp_path))
    stored = {"person": {"age": 67.0, "sex": "female", "family_history": True, "emphysema": False}}
    tables, captures = [], []
    for name in ("plain", "told"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "input").symlink_to(cohort / "dicom")
    (tmp_path / "told/options.json").write_text(json.dumps({**stored, "dicom_images": True}))
    for name in ("plain", "told"):
        assert analyse_case(tmp_path / name, pipeline, 1, lambda said: None)["state"] == "done"
        tables.append(pd.read_csv(tmp_path / name / "result/nodules.csv"))
        kinds = [str(dcmread(path).Modality) for path in (tmp_path / name / "result/dicom").glob("*.dcm")]
        captures.append(len(kinds) - kinds.count("SR") - kinds.count("SEG"))
    assert captures == [0, 1]
    assert tables[0].diameter_mm.equals(tables[1].diameter_mm)
    assert (tables[1].brock_2b > tables[0].brock_2b).all()
