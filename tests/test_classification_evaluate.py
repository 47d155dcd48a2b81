"""Every mistake made on purpose is caught under its name; the published predictions give the published figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from classification.evaluate import EvaluateSettings, evaluate, main
from classification.metrics.guards import Guard
from classification.metrics.predictions import read_matched
from runs.entry import compose_settings
from runs.guards import GuardError

DSB = Path("../shared/data/dsb2017")
LABELS = "id,cancer\n001,1\n002,1\n003,0\n004,0\n"
CHANCES = "id,cancer\n001,0.9\n002,0.3\n003,0.4\n004,0.1\n"
# One 12-digit id, as hospitals have them, which spreadsheets show as 1.23457E+11.
LONG = "id,cancer\n123456789012,1\n2,1\n3,0\n4,0\n"

STOPS = [
    (Guard.MISSING_COLUMN, "patient;probability\n001;0.9\n", LABELS),
    (Guard.NO_ROWS, "id,cancer\n", LABELS),
    (Guard.NO_ROWS, "", LABELS),
    (Guard.DUPLICATE_IDS, CHANCES + "001,0.9\n", LABELS),
    (Guard.DUPLICATE_IDS, CHANCES, LABELS + "004,1\n"),
    (Guard.DAMAGED_IDS, CHANCES.replace("00", ""), LABELS),  # leading zeros gone
    (Guard.DAMAGED_IDS, CHANCES.replace("001", "1"), LABELS),  # of one id only
    (Guard.DAMAGED_IDS, CHANCES, LABELS.replace("001", "1.0")),
    (Guard.DAMAGED_IDS, LONG.replace("123456789012", "1.23457E+11"), LONG),
    (Guard.DAMAGED_IDS, LONG.replace("123456789012", "5E+03"), LONG.replace("123456789012", "5000")),
    (Guard.DAMAGED_IDS, CHANCES.replace("001", "ab1"), LABELS.replace("001", "AB1")),
    (Guard.DAMAGED_IDS, CHANCES.replace("001,", "'001,"), LABELS),
    (Guard.NO_OVERLAP, CHANCES.replace("00", "p"), LABELS),
    (Guard.NOT_A_NUMBER, CHANCES.replace("0.3", "nan"), LABELS),
    (Guard.NOT_A_NUMBER, CHANCES.replace("0.3", ""), LABELS),
    (Guard.NOT_A_NUMBER, CHANCES.replace("0.3", "high"), LABELS),
    (Guard.NOT_A_NUMBER, CHANCES.replace("0.3", "inf"), LABELS),
    (Guard.LOOKS_LIKE_LOGITS, "id,cancer\n001,2.2\n002,-0.8\n003,-0.4\n004,-2.2\n", LABELS),
    (Guard.OUTSIDE_0_1, CHANCES.replace("0.9", "1.01"), LABELS),
    (Guard.OUTSIDE_0_1, CHANCES.replace("0.1", "-0.01"), LABELS),
    (Guard.OUTSIDE_0_1, "id,cancer\n001,90\n002,30\n003,40\n004,10\n", LABELS),  # percentages
    (Guard.BAD_LABELS, CHANCES, LABELS.replace("004,0", "004,2")),
    (Guard.BAD_LABELS, CHANCES, LABELS.replace("004,0", "004,0.5")),
    (Guard.BAD_LABELS, CHANCES, LABELS.replace("004,0", "004,")),
    (Guard.ONE_CLASS, CHANCES, LABELS.replace(",1", ",0")),
    (Guard.ONE_CLASS, CHANCES, LABELS.replace(",0", ",1")),
]
WARNS = [
    (Guard.WITHOUT_PREDICTION, CHANCES.replace("002,0.3\n", ""), LABELS),
    (Guard.WITHOUT_LABEL, CHANCES + "005,0.5\n", LABELS),
    (Guard.ALL_EQUAL, "id,cancer\n001,0.3\n002,0.3\n003,0.3\n004,0.3\n", LABELS),
    (Guard.PERFECT_SEPARATION, CHANCES.replace("0.3", "0.5"), LABELS),
    (Guard.LOOKS_INVERTED, "id,cancer\n001,0.1\n002,0.6\n003,0.7\n004,0.9\n", LABELS),
    (Guard.LOOKS_LIKE_DECISIONS, "id,cancer\n001,1\n002,0\n003,0\n004,0\n", LABELS),
]


def names(cases: list[tuple[Guard, str, str]]) -> list[str]:
    return [guard.value for guard, _, _ in cases]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A good pair, as settings."""
    return written(tmp_path, CHANCES, LABELS)


def written(folder: Path, predictions: str, labels: str) -> dict[str, str]:
    paths = {"predictions": folder / "predictions.csv", "labels": folder / "labels.csv"}
    for path, text in zip(paths.values(), (predictions, labels), strict=True):
        path.write_text(text)
    return {**paths, "out": folder / "out"}


def measured(files: dict[str, str], **choices: object) -> dict[str, object]:
    evaluate(EvaluateSettings(**files, **choices))  # type: ignore[arg-type]
    return dict(json.loads((Path(files["out"]) / "metrics.json").read_text()))


@pytest.mark.parametrize(("guard", "predictions", "labels"), STOPS, ids=names(STOPS))
def test_mistakes_that_stop(tmp_path, guard, predictions, labels):
    with pytest.raises(GuardError) as stopped:
        evaluate(EvaluateSettings(**written(tmp_path, predictions, labels)))
    assert stopped.value.guard == guard
    assert str(stopped.value).startswith(f"{guard.value}: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("guard", "predictions", "labels"), WARNS, ids=names(WARNS))
def test_mistakes_that_warn(tmp_path, guard, predictions, labels):
    files = written(tmp_path, predictions, labels)
    found = measured(files, bootstrap=20, plots=False)["warnings"]
    assert guard.value in [w["guard"] for w in found]
    with pytest.raises(GuardError):
        evaluate(EvaluateSettings(**files, strict=True))


def test_every_guard_has_a_mistake_made_on_purpose():
    assert {*names(STOPS), *names(WARNS)} == {g.value for g in Guard}


def test_warnings_count_what_does_not_count(tmp_path):
    files = written(tmp_path, CHANCES.replace("002,0.3\n", "").replace("003", "005"), LABELS)
    found = {w["guard"]: w["message"] for w in measured(files, bootstrap=20, plots=False)["warnings"]}
    assert found["without_prediction"].startswith("2 of 4 labelled ids (1 with cancer) are not in predictions.csv")
    assert found["without_label"].startswith("1 of 3 ids of predictions.csv")


def test_no_warning_without_a_cause(files):
    assert measured(files, bootstrap=20)["warnings"] == []


def test_ids_keep_their_zeros_and_may_be_any_text(tmp_path):
    ids = ["007", "7", "NA", "1.2.840.10008", "12e3", "p 1"]
    tables = ["id,cancer\n" + "".join(f"{i},{v}\n" for i, v in zip(ids, values, strict=True)) for values in (
        ("0.9", "0.1", "0.8", "0.2", "0.7", "0.3"), "101010")]  # fmt: skip
    files = written(tmp_path, *tables)
    rows = read_matched(Path(files["predictions"]), Path(files["labels"]))
    assert sorted(ids) == list(rows.ids)
    assert rows.label[list(rows.ids).index("007")]
    assert rows.cautions[0].guard == Guard.PERFECT_SEPARATION


def test_more_columns_a_byte_order_mark_and_blanks_do_no_harm(tmp_path):
    text = "\ufeffid, cancer, seriesuid\n" + "".join(f"{row}, 1.2.3\n" for row in CHANCES.splitlines()[1:])
    files = written(tmp_path, text, LABELS)
    # 001 beats both, 002 only 004: 3 of 4 pairs.
    assert measured(files, bootstrap=20, plots=False)["metrics"]["roc_auc"]["value"] == 0.75


def test_rows_are_matched_by_id_and_their_order_changes_no_byte(tmp_path):
    rng = np.random.default_rng(0)
    chances = [f"p{i:03},{v:.4f}\n" for i, v in enumerate(rng.random(60))]
    labels = [f"p{i:03},{v}\n" for i, v in enumerate(rng.integers(0, 2, 60))]
    outs = []
    for turn in range(2):
        folder = tmp_path / str(turn)
        folder.mkdir()
        files = written(folder, "id,cancer\n" + "".join(chances), "id,cancer\n" + "".join(labels))
        found = measured(files, bootstrap=50)
        found.pop("files")
        outs.append((found, {p.name: p.read_bytes() for p in sorted((folder / "out").glob("*.png"))}))
        rng.shuffle(chances)
        rng.shuffle(labels)
    assert outs[0] == outs[1]
    assert list(outs[0][1]) == ["decision_curve.png", "precision_recall.png", "reliability.png", "roc.png"]
    assert not any(b"matplotlib" in data or b"tEXt" in data for data in outs[0][1].values())


def test_the_same_files_give_the_same_bytes_and_no_folder_is_named(files, tmp_path):
    measured(files, bootstrap=50)
    first = {p.name: p.read_bytes() for p in Path(files["out"]).iterdir()}
    measured(files, bootstrap=50)
    assert {p.name: p.read_bytes() for p in Path(files["out"]).iterdir()} == first
    assert str(tmp_path).encode() not in first["metrics.json"]
    assert b"NaN" not in first["metrics.json"]


def test_undefined_figures_are_null(files):
    found = measured(files, bootstrap=20, threshold=0.95, plots=False)["metrics"]
    assert found["precision"] == {"value": None, "low": 0.0, "high": 1.0, "n": 0, "method": "Clopper-Pearson"}


def test_against_another_prediction(files, tmp_path, capsys):
    other = tmp_path / "other.csv"
    other.write_text(CHANCES.replace("0.3", "0.05"))
    found = measured(files, against=other, bootstrap=200)
    # 002 now stands below both of the healthy: 2 of 4 pairs instead of 3.
    assert found["against"]["metrics"]["roc_auc"]["value"] == 0.5
    assert found["difference"]["roc_auc"]["value"] == 0.25
    assert set(found["difference"]) >= {"roc_auc_bootstrap", "log_loss", "brier", "expected_calibration_error"}
    assert "difference to against" in capsys.readouterr().out


def test_against_counts_only_what_all_three_files_have(files, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text(CHANCES.replace("002,0.3\n", ""))
    found = measured(files, against=other, bootstrap=20, plots=False)
    assert found["n"] == 3
    assert "not in other.csv" in found["warnings"][0]["message"]


def test_groups_come_from_a_column(tmp_path):
    labels = "id,cancer,patient\n001,1,A\n002,1,B\n003,0,A\n004,0,C\n"
    files = written(tmp_path, CHANCES, labels)
    found = measured(files, group="patient", bootstrap=50, plots=False)
    assert found["groups"] == 3
    assert "clustered" in found["metrics"]["roc_auc"]["method"]
    assert "bootstrap" in found["metrics"]["recall"]["method"]
    with pytest.raises(GuardError, match=r"missing_column: no column 'site'"):
        measured(files, group="site")


def test_the_table_says_what_was_done(files, capsys):
    measured(files, bootstrap=30, threshold=0.35, clip=0.001, plots=False)
    said = capsys.readouterr().out
    for words in (
        "4 patients, 2 with cancer",
        "called positive from 0.35 on",
        "log-loss within [0.001, 1 - 0.001]",
        "10 equal_width bins",
        "bootstrap, 30 draws",
        "DeLong",
        "matched by id",
    ):
        assert words in said


def test_command_line(files, monkeypatch, capsys):
    for key, value in (("level=2", "level"), ("treshold=0.4", "treshold"), ("labels=null", "labels=...")):
        arguments = [f"{k}={v}" for k, v in files.items() if not key.startswith(f"{k}=")]
        monkeypatch.setattr(sys, "argv", ["evaluate", *arguments, key])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code != 0
        said = capsys.readouterr().err
        assert value in said
        assert "Traceback" not in said


def test_settings_compose_from_the_command_line():
    overrides = ["predictions=/data/a b,c.csv", "specificities=[0.8]", "threshold=0.3"]
    settings = compose_settings(EvaluateSettings, "classification_evaluate", overrides)
    assert settings.predictions == Path("/data/a b,c.csv")
    assert tuple(settings.specificities) == (0.8,)


@pytest.mark.skipif(not DSB.is_dir(), reason="../shared/data/dsb2017 is absent")
def test_published_dsb2017_predictions(tmp_path):
    files = {
        "predictions": DSB / "submission_ens2_stage1.csv",
        "labels": DSB / "stage1_labels.csv",
        "out": tmp_path / "out",
    }
    found = measured(files, bootstrap=200, plots=False)
    assert (found["n"], found["positive"], found["warnings"]) == (1595, 419, [])
    # As ../shared/README.md gives them.
    assert round(found["metrics"]["roc_auc"]["value"], 4) == 0.8573
    assert round(found["metrics"]["log_loss"]["value"], 4) == 0.3930
