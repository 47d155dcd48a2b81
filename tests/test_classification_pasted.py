"""Nodules pasted into the scans that tissue comes from: they look like nodules there, and stay on their side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classification.training.backgrounds import read_backgrounds
from classification.training.pasted import paste
from classification.training.samples import STORED, Samples, folds_of, join, unrated
from classification.training.settings import DataSettings
from phantom.pieces import NoduleCrop
from preprocessing.geometry import Geometry
from preprocessing.intake.scan import Scan
from preprocessing.prepare import PreparedScan
from preprocessing.splits import SplitSettings, fold_of
from preprocessing.volume import Volume
from tests.nodules import balls
from tests.patches import ball_piece

MIDDLE = STORED // 2


def lung(level: int = -850, gap: bool = False) -> PreparedScan:
    """80 mm of lung, or a gap of it 4 mm wide between walls; the lung mask ends 30 mm before the border."""
    geometry = Geometry((80, 80, 80), (1, 1, 1), (0, 0, 0), np.eye(3))
    hu = np.full(geometry.shape_zyx, 40 if gap else level, np.int16)
    hu[:, :, 38:42] = level
    mask = np.zeros(geometry.shape_zyx, bool)
    mask[30:50, 30:50, 30:50] = True
    return PreparedScan(Volume(hu, geometry, "1.2"), mask, geometry)


def crop(diameter: float = 10, patient: str = "p1") -> NoduleCrop:
    piece = replace(ball_piece(diameter), patient_id=patient)
    return NoduleCrop(piece, piece)


def test_a_pasted_nodule_lies_in_the_middle_with_its_own_size_in_the_scans_own_lung() -> None:
    made = paste(lung(-700), "host", 4, [crop(10)], np.random.default_rng(0), [])
    assert len(made) == 4
    assert made.is_nodule.all()
    assert not made.rated.any()
    assert set(made.patients) == {"host"}
    for hu, diameter in zip(made.crops.astype(float), made.diameter_mm, strict=True):
        dense = hu + 700
        assert abs((6 * dense.sum() / 730 / np.pi) ** (1 / 3) - diameter) < 0.3
        center = (np.indices(dense.shape).reshape(3, -1) * dense.ravel()).sum(1) / dense.sum()
        np.testing.assert_allclose(center, MIDDLE, atol=0.05)
        assert hu[2, 2, 2] == -700


def test_none_goes_where_something_real_may_grow() -> None:
    assert not len(paste(lung(), "host", 4, [crop()], np.random.default_rng(0), [((40.0, 40.0, 40.0), 20.0)]))
    assert len(paste(lung(), "host", 4, [crop()], np.random.default_rng(0), [((40.0, 40.0, 140.0), 20.0)])) == 4


def test_none_goes_where_less_than_a_third_of_its_box_is_lung() -> None:
    # 4 of the 17 columns around a nodule of 16 mm are lung, 4 of the 7 around one of 5 mm.
    assert not len(paste(lung(gap=True), "host", 4, [crop(16)], np.random.default_rng(0), []))
    assert len(paste(lung(gap=True), "host", 4, [crop(5)], np.random.default_rng(0), [])) == 4


def test_without_nodules_nothing_is_pasted() -> None:
    assert len(paste(lung(), "host", 4, [], np.random.default_rng(0), [])) == 0


def test_a_network_that_has_not_seen_a_fold_has_seen_none_of_its_nodules_pasted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts = ["anna", "bert", "carl", "dora", "emil"]
    given: dict[str, set[str]] = {}

    def every_scan(*_: Any) -> Iterator[tuple[Scan, PreparedScan]]:
        for host in hosts:
            yield Scan(host, f"1.{host}", ()), lung()

    def pasting(_: Any, host: str, count: int, crops: list[NoduleCrop], *__: Any) -> Samples:
        assert count == 3
        given[host] = {c.slab.patient_id for c in crops}
        return unrated([np.zeros((STORED,) * 3, np.int16)], [5.0], True, host)

    def one(_: Any, host: str, *__: Any) -> Samples:
        return unrated([np.zeros((STORED,) * 3, np.int16)], [5.0], False, host)

    for name, made in (("every_scan", every_scan), ("paste", pasting), ("tissue", one)):
        monkeypatch.setattr(f"classification.training.backgrounds.{name}", made)
    split = SplitSettings()
    nodules = balls(24)
    nodules = nodules.at(nodules.is_nodule)
    held = next(name for i in range(100) if fold_of(name := f"held-{i}") == 0)
    crops = [crop(patient=p) for p in [*np.unique(nodules.patients).tolist(), held, "anna"]]
    data = DataSettings(
        backgrounds=(Path("there"),), held_out_scans=("bert",), tissue_per_scan=1, pasted_per_scan=3, split=split
    )
    read = list(read_backgrounds(data, (), nodules.diameter_mm, 0, crops))
    assert given["bert"] == {held}
    own = replace(nodules.at(np.arange(12) < 1), patients=np.array(["anna"]))
    learnt = join([nodules, own, *[samples for samples, kept in read if not kept]])
    folds = dict(zip(learnt.patients.tolist(), folds_of(learnt, split).tolist(), strict=True))
    for host in ("anna", "carl", "dora", "emil"):
        assert {fold_of(p) for p in given[host]} == {folds[host]}
    assert sorted(folds[host] for host in ("carl", "dora", "emil")) == [1, 2, 3]
