"""A cohort goes past whatever one scan does, and says so."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

import preprocessing.cohort
from preprocessing.cohort import every_scan, for_each_scan, summary, write_scans
from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Reason, Scan, ScanError
from preprocessing.prepare import prepare_scan
from tests.chests import simple_chest
from tests.series import PATIENT_ID, SERIES_UID, edit_series, write_series


def write(path: Path) -> None:
    volume = simple_chest(thickness=10.0)
    image = sitk.GetImageFromArray(volume.hu[:, ::2, ::2])
    image.SetSpacing((4.0, 4.0, 10.0))
    sitk.WriteImage(image, str(path))


@pytest.fixture
def scans(tmp_path: Path) -> list[Scan]:
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.mha")
    return find_scans(tmp_path)


def test_bad_scans_become_rows_and_the_rest_goes_on(
    scans: list[Scan], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen = []

    def work(scan: Scan) -> tuple[str, ...]:
        if scan.patient_id == "a":
            raise ScanError(Reason.TRUNCATED, "half of it is missing")
        if scan.patient_id == "b":
            raise RuntimeError("Mr Secret Name's file broke")
        seen.append(scan.patient_id)
        return ("code: said",)

    refused = Scan("d", "4", (), Reason.NOT_CT, "an MR")
    with caplog.at_level(logging.INFO):
        done = for_each_scan([*scans, refused], work)
    assert seen == ["c"]
    assert [s.refused for s in done] == [Reason.TRUNCATED, Reason.INTERNAL_ERROR, None, Reason.NOT_CT]
    assert done[2].warnings == ("code: said",)
    assert "Secret" not in caplog.text + done[1].detail
    assert summary(done).startswith("1 scan(s) read, 3 refused")
    write_scans(tmp_path / "scans.csv", done)
    table = pd.read_csv(tmp_path / "scans.csv", keep_default_na=False)
    assert table["status"].tolist() == ["refused", "refused", "ok", "refused"]
    assert table["reason"].tolist() == ["truncated", "internal_error", "", "not_ct"]


def test_warnings_of_the_preparation_reach_the_row(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.where(np.indices((20, 40, 40))[2] < 20, -1000, 40).astype(np.int16))
    image.SetSpacing((8, 8, 2.5))
    sitk.WriteImage(image, str(tmp_path / "no_lungs.mha"))
    (done,) = for_each_scan(find_scans(tmp_path), lambda scan: prepare_scan(scan).warnings)
    assert done.refused is None
    assert any(w.startswith("no_lungs: no lungs were found") for w in done.warnings)


def test_training_goes_past_held_out_patients_and_stops_at_a_refused_scan(tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    ((scan, prepared),) = every_scan([str(tmp_path / "a")], (), None)
    assert (scan.patient_id, prepared.volume.series_uid) == (PATIENT_ID, SERIES_UID)
    assert list(every_scan([str(tmp_path / "a")], (PATIENT_ID,), None)) == []
    edit_series(tmp_path / "a", lambda k, s: setattr(s, "Modality", "MR"))
    with pytest.raises(ValueError, match="refused"):
        list(every_scan([str(tmp_path / "a")], (), None))


def test_what_is_finished_is_saved_when_the_run_is_stopped() -> None:
    scans = [Scan(name, name, ()) for name in ("a", "b", "c")]
    saved: list[list[str]] = []

    def work(scan: Scan) -> tuple[str, ...]:
        if scan.patient_id == "c":
            raise KeyboardInterrupt
        return ()

    with pytest.raises(KeyboardInterrupt):
        for_each_scan(scans, work, lambda done: saved.append([s.patient_id for s in done]))
    assert saved[-1] == ["a", "b"]


def test_results_are_saved_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preprocessing.cohort, "SAVE_SECONDS", -1.0)
    saved: list[int] = []
    for_each_scan([Scan("a", "a", ()), Scan("b", "b", ())], lambda scan: (), lambda done: saved.append(len(done)))
    assert saved == [1, 2, 2]
