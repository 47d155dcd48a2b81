"""Folds as one submission: each scan found by a network that never saw it, killed at any time, pooled and scored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from detection.cross_validate import CrossValidateSettings, cross_validate, training_of
from detection.detect import Search
from detection.train import train
from detection.training.chests import open_archive
from preprocessing.archives import lidc
from runs.entry import compose_settings
from tests.collections import PLACES, UID, write_lidc, write_luna16

# A network of a few weights, on the CPU, that lists whatever it sees.
SMALL = (
    "trainer=smoke", "trainer.accelerator=cpu", "trainer.precision=32-true", "sampling.patch=32",
    "model.widths=[4,8,8,8]", "model.head_width=8", "inference.min_score=0.001", "inference.max_candidates=5",
    "allow=[no_nodule_hit,coordinates_voxel]",
)  # fmt: skip


def settings(kind: str, folder: Path, out: Path, *more: str) -> CrossValidateSettings:
    paths = [f"data.hosts=[{folder / 'data'}]", f"data.store={folder / 'store'}", f"out={out}"]
    return compose_settings(
        CrossValidateSettings, "detection_cross_validate", [f"experiment={kind}", *SMALL, *paths, *more]
    )


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*")) if path.is_file()}


@pytest.fixture(scope="module")
def luna(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scans in subset 0, one in subset 3; a cross-validation over both under `whole`."""
    folder = tmp_path_factory.mktemp("luna")
    write_luna16(folder / "data", {0: 2, 3: 1})
    cross_validate(settings("luna16", folder, folder / "whole", "folds=[0,3]"))
    return folder


def test_one_submission_holds_every_scan_once(luna: Path) -> None:
    pooled = luna / "whole" / "pooled-0-3"
    uids = [f"{UID}0.1", f"{UID}0.2", f"{UID}3.1"]
    assert (pooled / "seriesuids.csv").read_text().split() == uids
    candidates = pd.read_csv(pooled / "candidates.csv")
    assert list(dict.fromkeys(candidates["seriesuid"])) == uids
    assert len(candidates) == 15
    annotations = pd.read_csv(pooled / "annotations.csv")
    assert annotations["seriesuid"].tolist() == uids
    assert annotations.iloc[2, 1:].tolist() == list(PLACES[0])
    assert pd.read_csv(pooled / "annotations_excluded.csv")["diameter_mm"].tolist() == [10.0] * 3
    froc = json.loads((pooled / "froc.json").read_text())
    assert "sensitivity" in json.dumps(froc)


def test_the_network_of_a_fold_learns_from_the_others(luna: Path) -> None:
    assert (luna / "whole/fold0/seriesuids.csv").read_text().split() == [f"{UID}3.1"]
    assert (luna / "whole/fold3/seriesuids.csv").read_text().split() == [f"{UID}0.1", f"{UID}0.2"]
    card = json.loads((luna / "whole/fold3/weights.json").read_text())
    assert "subset 3 of LUNA16" in card["split"]


def test_killed_while_it_detects_it_ends_in_the_same_bytes(luna: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, seen = Search.run, []

    def dying(self: Search, scan: object) -> object:
        seen.append(scan)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return run(self, scan)

    cut = settings("luna16", luna, luna / "cut", "folds=[0,3]")
    with monkeypatch.context() as patched:
        patched.setattr(Search, "run", dying)
        with pytest.raises(KeyboardInterrupt):
            cross_validate(cut)
    assert not (luna / "cut/fold0/held_out/candidates.csv").exists()
    # The folds as jobs of a cluster, then all together.
    cross_validate(replace(cut, folds=(3,)))
    cross_validate(cut)
    assert files(luna / "cut/pooled-0-3") == files(luna / "whole/pooled-0-3")
    monkeypatch.setattr(Search, "run", None)  # a finished fold is not searched again
    cross_validate(cut)


def test_a_training_goes_on_with_the_scans_it_began_with(luna: Path, tmp_path: Path) -> None:
    wanted = settings("luna16", luna, tmp_path)
    archive = open_archive(wanted.data)
    assert archive is not None
    training = training_of(wanted, archive, 3)
    train(training, archive)
    (training.out / "weights.safetensors").unlink()
    fewer = replace(archive, scans=archive.scans[1:])
    with pytest.raises(ValueError, match=f"2 series, this start has 1; 1 differ.*{UID}0.1"):
        train(training, fewer)


@pytest.mark.parametrize(("folds", "message"), [("[10]", "0 to 9 of LUNA16, got 10"), ("[]", "no scan of fold 1")])
def test_folds_that_are_not_there_are_refused(luna: Path, folds: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cross_validate(settings("luna16", luna, luna / "never", f"folds={folds}"))


def test_data_without_parts_are_refused(luna: Path) -> None:
    plain = settings("luna16", luna, luna / "never")
    with pytest.raises(ValueError, match="data=luna16 or data=lidc"):
        cross_validate(replace(plain, data=replace(plain.data, kind="chests")))


def test_lidc_in_dicom_is_cross_validated_by_patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Folds 3, 0 and 3.
    patients = ["LIDC-IDRI-0002", "LIDC-IDRI-0001", "LIDC-IDRI-0004"]
    table = write_lidc(tmp_path / "data", patients)
    monkeypatch.setattr(lidc, "read_table", lambda: table)
    parts = open_archive(settings("lidc", tmp_path, tmp_path).data).part
    folds = sorted(set(parts.values()))
    cross_validate(settings("lidc", tmp_path, tmp_path / "out", f"folds={folds}"))
    (pooled,) = tmp_path.glob("out/pooled*")
    assert sorted((pooled / "seriesuids.csv").read_text().split()) == sorted(parts)
    assert len(pd.read_csv(pooled / "annotations.csv")) == len(pd.read_csv(pooled / "annotations_excluded.csv")) == 3
