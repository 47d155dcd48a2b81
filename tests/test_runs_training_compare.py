"""The trainings of a sweep side by side: what differs, who is best, who has not ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runs.csv_text import read_csv
from runs.entry import UsageError, compose_settings
from runs.training.compare import CompareSettings, compare, differing, read_runs


def training(
    sweep: Path, name: str, lr: float, losses: list[float], auc: float | None, kind: str | None = "a"
) -> None:
    """What a training leaves; without an AUC it has not ended."""
    folder = sweep / name
    folder.mkdir(parents=True)
    settings = {"seed": 0, "optimizer": {"lr": lr, "decay": 1e-4}, "kind": kind, "widths": [4, 8]}
    (folder / "settings.json").write_text(json.dumps(settings))
    lines = ["step,nodule_loss,box_loss", *(f"{10 * k},{value},1.0" for k, value in enumerate(losses))]
    (folder / "curves.csv").write_text("\n".join(lines) + "\n")
    if auc is not None:
        (folder / "weights.safetensors").write_bytes(b"")
        (folder / "weights.json").write_text(json.dumps({"figures": {"held_out": {"auc": auc, "n": 9}}}))


def settings(sweep: Path, *more: str) -> CompareSettings:
    return compose_settings(CompareSettings, "compare_runs", [f"trainings={sweep}", *more])


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    training(tmp_path, "0-lr=0.1", 0.1, [4.0, 4.0], 0.8)
    training(tmp_path, "1-lr=0.01", 0.01, [2.0, 2.0], 0.7, kind=None)
    training(tmp_path, "2-lr=1", 1.0, [0.5], None)
    (tmp_path / "notes").mkdir()
    return tmp_path


@pytest.mark.slow
def test_the_best_comes_first_and_who_has_not_ended_last(sweep: Path) -> None:
    compare(settings(sweep))
    table = read_csv(sweep / "runs.csv", keep_default_na=False)
    assert table.columns.tolist() == ["folder", "state", "loss", "optimizer.lr", "kind", "nodule_loss", "box_loss"]
    assert table["folder"].tolist() == ["1-lr=0.01", "0-lr=0.1", "2-lr=1"]
    assert table["state"].tolist() == ["finished", "finished", "unfinished"]
    assert table["loss"].tolist() == [3.0, 5.0, 1.5]
    assert table["kind"].tolist() == ["", "a", "a"]
    picture = (sweep / "runs.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    compare(settings(sweep, "objective=held_out.auc", "direction=maximize"))
    table = read_csv(sweep / "runs.csv", keep_default_na=False)
    assert table["folder"].tolist() == ["0-lr=0.1", "1-lr=0.01", "2-lr=1"]
    assert [str(auc) for auc in table["held_out.auc"]] == ["0.8", "0.7", ""]
    assert (sweep / "runs.png").read_bytes() != picture


def test_only_what_differs_is_told(sweep: Path) -> None:
    runs = read_runs(sweep)
    assert [run.finished for run in runs] == [True, True, False]
    assert differing([run.settings for run in runs]) == ["optimizer.lr", "kind"]
    assert differing([runs[0].settings]) == []


def test_mistakes_are_told(sweep: Path) -> None:
    with pytest.raises(UsageError, match=r"objective=auc is no figure .* held_out\.auc, held_out\.n, loss"):
        compare(settings(sweep, "objective=auc"))
    with pytest.raises(UsageError, match="direction must be one of minimize, maximize; got up"):
        settings(sweep, "direction=up")
    with pytest.raises(UsageError, match="must hold the folders of trainings"):
        compare(settings(sweep / "notes"))
    with pytest.raises(FileNotFoundError, match="no such folder"):
        compare(settings(sweep / "nowhere"))
