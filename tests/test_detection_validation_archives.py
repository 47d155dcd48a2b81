"""`validation=froc` on LUNA16 and LIDC-IDRI: the best weights are chosen on scans of the validation fold, by the
nodules that grew there, and never on a scan that teaches or is held out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from detection import train as train_module
from detection.train import train
from detection.training.sampling import HybridPatches
from detection.training.settings import TrainSettings
from detection.training.validation import ValidationFroc
from preprocessing.archives import lidc, luna16
from preprocessing.splits import fold_of
from runs.entry import compose_settings
from tests.collections import PLACES, UID, write_lidc, write_luna16

VALIDATION = 3
# A network of a few weights; every patch lies at a nodule, so that few of them measure something.
SMALL = (
    "trainer=smoke", "trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.steps=4", "sampling.patch=32",
    "sampling.own_nodules=1.0", "model.widths=[4,8,8,8]", "model.head_width=8", "validation=froc",
    f"data.split.validation_fold={VALIDATION}", "validation.every_steps=2", "validation.patches=4",
)  # fmt: skip


def patients_of(fold: int, count: int) -> list[str]:
    names = (f"LIDC-IDRI-{n:04d}" for n in range(100, 1000))
    return [name for name in names if fold_of(name) == fold][:count]


def luna(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """Subset 0 is held out, with it the patient of the last scan of subset 5, whose fold is the validation's."""
    held, chosen = patients_of(VALIDATION, 2)
    (taught,) = patients_of(1, 1)
    owners = {f"{UID}0.1": held, f"{UID}5.1": taught, f"{UID}5.2": chosen, f"{UID}5.3": held}
    monkeypatch.setattr(luna16, "read_patients", lambda: owners)
    write_luna16(folder, {0: 1, 5: 3})
    return [f"{UID}5.1"], [f"{UID}5.2"]


def tcia(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """Fold 0 is held out."""
    table = write_lidc(folder, [*patients_of(0, 1), *patients_of(VALIDATION, 1), *patients_of(2, 1)])
    monkeypatch.setattr(lidc, "read_table", lambda: table)
    return [table[2].series_uid], [table[1].series_uid]


@pytest.mark.parametrize(("kind", "written"), [("luna16", luna), ("lidc", tcia)])
def test_weights_are_chosen_on_the_archives_own_fold(
    kind: str, written: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(written)
    taught, chosen = written(tmp_path / "data", monkeypatch)
    made: list[tuple[HybridPatches, ValidationFroc]] = []

    class Seen(ValidationFroc):
        def __init__(self, patches: HybridPatches, count: int, seed: int) -> None:
            super().__init__(patches, count, seed)
            made.append((patches, self))

    monkeypatch.setattr(train_module, "ValidationFroc", Seen)
    paths = [f"data.hosts=[{tmp_path / 'data'}]", f"data.store={tmp_path / 'store'}", f"out={tmp_path / 'out'}"]
    weights = train(compose_settings(TrainSettings, "detection_train", [f"experiment={kind}", *SMALL, *paths]))
    assert (tmp_path / "out" / "seriesuids.csv").read_text().split() == taught
    ((fixed, froc),) = made
    (host,) = fixed.hosts
    assert [host.series_uid] == chosen
    # Its own nodule of 18 mm, to the pixels of 3.5 mm that readers drew; the other finding is ignored.
    assert [float(mark[3]) for mark in host.nodules] == pytest.approx([PLACES[0][3]], abs=3)
    assert len(host.ignored) == 1
    assert all(len(patch.nodules) for patch in froc.patches)
    rows = list(csv.DictReader((tmp_path / "out" / "curves.csv").open()))
    measured = {int(row["step"]) + 1: float(row["validation_cpm"]) for row in rows if row["validation_cpm"]}
    assert measured.keys() == {2, 4}
    assert all(0 <= figure <= 1 for figure in measured.values())
    card = json.loads(weights.with_suffix(".json").read_text())
    assert f"weights chosen by fold {VALIDATION}" in card["split"]


def test_an_archive_without_a_scan_of_that_fold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    luna(tmp_path / "data", monkeypatch)
    paths = [f"data.hosts=[{tmp_path / 'data'}]", f"data.store={tmp_path / 'store'}", f"out={tmp_path / 'out'}"]
    nobody = "data.split.validation_fold=2"
    wanted = compose_settings(TrainSettings, "detection_train", ["experiment=luna16", *SMALL, *paths, nobody])
    with pytest.raises(ValueError, match=r"validation needs patients to choose by: data\.split\.validation_fold"):
        train(wanted)
