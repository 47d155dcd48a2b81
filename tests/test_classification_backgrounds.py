"""Normal tissue: a scan is on one side of the split, as a whole and by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classification.training.backgrounds import read_backgrounds
from classification.training.samples import Samples
from classification.training.settings import DataSettings
from phantom.lesions import library
from preprocessing.geometry import Geometry
from preprocessing.intake.scan import Scan
from preprocessing.prepare import PreparedScan
from preprocessing.splits import SplitSettings
from preprocessing.volume import Volume
from runs.seeds import stream

SIZES = np.array([6.0, 12.0], np.float32)
NOBODY = SplitSettings(held_out_fold=None, held_out_patients=())


def lung(uid: str) -> PreparedScan:
    """60 mm of lung with 27 specks."""
    geometry = Geometry((60, 60, 60), (1, 1, 1), (0, 0, 0), np.eye(3))
    hu = np.full(geometry.shape_zyx, -850, np.int16)
    grid = np.stack(np.meshgrid(*[np.arange(60)] * 3, indexing="ij"))
    hu[(np.abs(grid % 20 - 10) < 3).all(0)] = 0
    return PreparedScan(Volume(hu, geometry, uid), np.ones(geometry.shape_zyx, bool), geometry)


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Patients of the backgrounds, in their order."""
    patients = ["anna", "bert", "carl"]

    def every_scan(folders: list[str], held_out: tuple[str, ...], _: Path) -> Iterator[tuple[Scan, PreparedScan]]:
        assert folders == ["there"]
        for patient in patients:
            if patient not in held_out:
                yield Scan(patient, f"1.{patient}", ()), lung(f"1.{patient}")

    monkeypatch.setattr("classification.training.backgrounds.every_scan", every_scan)
    return patients


def data(**more: Any) -> DataSettings:
    return DataSettings(**{"backgrounds": (Path("there"),), "tissue_per_scan": 5, "split": NOBODY, **more})


def sides(parts: list[tuple[Samples, bool]]) -> dict[str, bool]:
    found = {}
    for samples, held in parts:
        (patient,) = set(samples.patients.tolist())
        found[patient] = held
    return found


def test_whole_scans_are_held_out_by_name(scans: list[str]) -> None:
    parts = list(read_backgrounds(data(held_out_scans=("bert",)), (), SIZES, 0))
    assert sides(parts) == {"anna": False, "bert": True, "carl": False}
    assert [len(samples) for samples, _ in parts] == [5, 5, 5]


def test_tissue_of_a_patient_whose_nodules_are_measured_on_is_not_learnt_from(scans: list[str]) -> None:
    assert sides(list(read_backgrounds(data(), {"carl"}, SIZES, 0)))["carl"]
    named = SplitSettings(held_out_fold=None, held_out_patients=("anna",))
    assert "anna" not in sides(list(read_backgrounds(data(split=named), (), SIZES, 0)))


def test_a_name_that_no_scan_has_is_refused(scans: list[str]) -> None:
    with pytest.raises(ValueError, match=r"not found: \['dora'\]"):
        list(read_backgrounds(data(held_out_scans=("bert", "dora")), (), SIZES, 0))


def test_other_scans_do_not_change_where_tissue_is_taken(scans: list[str]) -> None:
    before = list(read_backgrounds(data(), (), SIZES, 0))[2][0]
    del scans[0]
    after = list(read_backgrounds(data(), (), SIZES, 0))[1][0]
    other = list(read_backgrounds(data(), (), SIZES, 1))[1][0]
    assert np.array_equal(before.crops, after.crops)
    assert not np.array_equal(before.crops, other.crops)


def test_phantoms_are_made_from_their_own_streams_and_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, pools = [], []

    def simulate(rng: np.random.Generator, shapes: tuple[Any, ...]) -> tuple[Volume, list[Any]]:
        drawn.append(rng.random())
        pools.append({shape.patient_id for shape in shapes})
        return lung("phantom").volume, []

    monkeypatch.setattr("classification.training.backgrounds.simulate", simulate)
    monkeypatch.setattr("classification.training.backgrounds.prepare", lambda volume: lung(volume.series_uid))
    split = SplitSettings(held_out_fold=0, held_out_patients=("phantom-3-1",))
    parts = list(read_backgrounds(data(backgrounds=(), phantoms=2, split=split), (), SIZES, 3))
    assert drawn == [stream("classification.background", 3, i).random() for i in range(2)]
    assert sides(parts) == {"phantom-3-0": split.holds_out("phantom-3-0"), "phantom-3-1": True}
    assert pools[1] == {s.patient_id for s in library(split, held_out=True)}
