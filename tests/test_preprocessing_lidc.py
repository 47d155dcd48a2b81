"""`python -m preprocessing.lidc`: LUNA16's own figures out of the LIDC annotations, and wrong options by name."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from preprocessing.annotations import read_annotations
from preprocessing.lidc.__main__ import COLUMNS, LidcSettings, extract, main
from preprocessing.luna16.files import read_headers, read_series
from runs.entry import compose_settings
from tests.outlines import DATA, as_xml, reading, square

LUNA = DATA / "luna16"
needs_luna16 = pytest.mark.skipif(not LUNA.is_dir(), reason="needs shared/data/luna16")
HEADER = (
    "seriesuid,dim_size_xyz,element_spacing_xyz_mm,offset_xyz_mm,transform_matrix\n"
    "1.2.3,64 64 20,0.5 0.5 2,100 100 -50,-1 0 0 0 -1 0 0 0 1\n"
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The run on all 1,018 scans with everything compared: its folder and what it printed."""
    out = tmp_path_factory.mktemp("lidc")
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("preprocessing.lidc")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        extract(
            LidcSettings(
                out=out,
                headers=LUNA / "mhd_headers.csv",
                seriesuids=LUNA / "seriesuids.csv",
                compare=LUNA / "annotations.csv",
            )
        )
    finally:
        logger.removeHandler(handler)
    return out, "\n".join(lines)


@needs_luna16
def test_luna16_counts(whole: tuple[Path, str]) -> None:
    out, _ = whole
    nodules = pd.read_csv(out / "nodules.csv")
    # pylidc's own clustering gives these counts (ANCHORS B1l); 1,186 is LUNA16's.
    assert [len(nodules), *((nodules["n_readers"] >= n).sum() for n in (2, 3, 4))] == [2651, 1880, 1392, 911]
    listed = nodules[nodules["listed"] == 1]
    assert [(listed["n_readers"] >= n).sum() for n in (1, 2, 3, 4)] == [2281, 1598, 1186, 776]
    assert len(read_annotations(out / "annotations.csv")) == 1186
    agreed = listed[listed["n_readers"] >= 3]
    assert (agreed["malignancy_median"] == 3).sum() == 440


@needs_luna16
def test_luna16_places_and_sizes(whole: tuple[Path, str]) -> None:
    _, printed = whole
    limits = re.search(r"centres: (\d+) within 3 mm, (\d+) within 1 mm, .*median error ([\d.]+) mm", printed)
    assert limits is not None
    assert int(limits[1]) >= 1177
    assert int(limits[2]) >= 1153
    assert float(limits[3]) <= 0.2
    sizes = re.search(r"median error ([+-][\d.]+) mm, median of its size ([\d.]+) mm, ([\d.]+) %", printed)
    assert sizes is not None
    assert abs(float(sizes[1])) <= 0.05
    assert float(sizes[2]) <= 0.05
    assert float(sizes[3]) >= 75
    named = re.findall(r"(?:off centre|not matched|not found): +[\d.]+ \(", printed)
    assert len(named) == 1186 - int(limits[2])


@needs_luna16
def test_every_difference_of_rule_and_list_is_named(whole: tuple[Path, str]) -> None:
    _, printed = whole
    assert "the rule alone differs on 7" in printed
    assert len(re.findall(r"LIDC-IDRI-\d{4} [\d.]+ (?:fits the rule but|is listed although)", printed)) == 7


@needs_luna16
def test_nodules_lie_in_their_volumes(whole: tuple[Path, str]) -> None:
    """Also in the 14 whose x and y are flipped: voxel and world coordinates are one place."""
    nodules = pd.read_csv(whole[0] / "nodules.csv")
    headers = read_headers(LUNA / "mhd_headers.csv")
    nodules = nodules[nodules["seriesuid"].isin(headers.keys())]
    assert sum(bool(g.direction[0, 0] < 0) for g in headers.values()) == 14
    for uid, rows in nodules.groupby("seriesuid"):
        geometry = headers[str(uid)]
        world = rows[["coordX", "coordY", "coordZ"]].to_numpy()
        assert geometry.contains(world).all()
        assert np.abs(geometry.to_voxel(world) - rows[["voxelZ", "voxelY", "voxelX"]].to_numpy()).max() < 1e-4


@needs_luna16
def test_without_a_list_the_same_888_are_chosen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        extract(LidcSettings(out=tmp_path))
    assert read_series(tmp_path / "seriesuids.csv") == sorted(read_series(LUNA / "seriesuids.csv"))
    assert "no headers given: places are in pixels, and there is no annotations.csv" in caplog.text
    assert not (tmp_path / "annotations.csv").exists()
    nodules = pd.read_csv(tmp_path / "nodules.csv")
    assert nodules[["coordX", "coordY"]].isna().all(axis=None)
    assert ((nodules["listed"] == 1) & (nodules["n_readers"] >= 3)).sum() == 1186


def test_files_that_are_there_are_not_lost(tmp_path: Path) -> None:
    official = tmp_path / "annotations.csv"
    official.write_text("the only copy")
    with pytest.raises(ValueError, match=r"holds an annotations\.csv, which a run without headers= cannot renew"):
        extract(LidcSettings(out=tmp_path))
    with pytest.raises(ValueError, match=r"out must be another folder than that of annotations\.csv"):
        extract(LidcSettings(out=tmp_path, headers=Path("headers.csv"), compare=official))
    assert official.read_text() == "the only copy"


def test_xml_of_a_scan_outside_the_table(tmp_path: Path) -> None:
    # Three readers of one nodule, 3 x 3, 3 x 3 and 5 x 5 pixels on the slices at -40 and -38 mm, and one of another.
    drawn = [
        reading(*(square(left, 20, size, z_mm=z) for z in (-40.0, -38.0)), malignancy=m)
        for left, size, m in ((10, 4, 5), (10, 4, 2), (12, 6, 4))
    ]
    (tmp_path / "a.xml").write_text(as_xml("1.2.3", [*drawn, reading(square(40, 40, 4, z_mm=-20.0))]))
    (tmp_path / "headers.csv").write_text(HEADER)
    (tmp_path / "list.csv").write_text("1.2.3\n1.2.4\n")
    out = tmp_path / "out"
    settings = {"xml": "a.xml", "headers": "headers.csv", "seriesuids": "list.csv"}
    extract(LidcSettings(out=out, **{key: tmp_path / name for key, name in settings.items()}))  # type: ignore[arg-type]
    (nodule,) = read_annotations(out / "annotations.csv")
    # Weights 1/2, 1/4, 1/4 of (12, 22), (12, 22), (15, 23) pixels of 0.5 mm, backwards from 100 mm.
    assert nodule.center_mm == pytest.approx((100 - 0.5 * 12.75, 100 - 0.5 * 22.25, -39))
    sizes = [(6 / np.pi * pixels * 2 * 0.25 * 2) ** (1 / 3) for pixels in (9, 9, 25)]
    assert nodule.diameter_mm == pytest.approx(0.75 * sizes[0] + 0.25 * sizes[2], abs=1e-5)
    table = pd.read_csv(out / "nodules.csv", dtype=str)
    assert table[["n_readers", "malignancy", "malignancy_median"]].to_numpy().tolist() == [
        ["3", "5;2;4", "4"],
        ["1", "3", "3"],
    ]
    assert (out / "seriesuids.csv").read_text() == "1.2.3\n"


def test_a_scan_without_nodules_gives_empty_tables(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(as_xml("1.2.3", []))
    (tmp_path / "headers.csv").write_text(HEADER)
    out = tmp_path / "out"
    extract(LidcSettings(out=out, xml=tmp_path, headers=tmp_path / "headers.csv"))
    assert read_annotations(out / "annotations.csv") == []
    assert list(pd.read_csv(out / "nodules.csv").columns) == list(COLUMNS)


def test_the_same_options_give_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(as_xml("1.2.3", [reading(square(10, 20, 4, z_mm=-40.0))] * 3))
    (tmp_path / "headers.csv").write_text(HEADER)
    for name in ("one", "two"):
        extract(LidcSettings(out=tmp_path / name, xml=tmp_path, headers=tmp_path / "headers.csv"))
    for file in ("annotations.csv", "nodules.csv", "seriesuids.csv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["average=median"], "average must be one of luna16, mean; got median"),
        (["min_readers=0"], "min_readers must be at least 1, got 0"),
        (["min_readers=most"], "min_readers"),
        (["cluster.factor=2"], "cluster needs .* a factor between 0 and 1"),
        (["compare=a.csv"], "compare= needs headers="),
        (["headers=none"], "no headers at none: neither a csv file nor a folder"),
        (["headers={tmp}", "compare=none.csv"], "no such file: none.csv"),
        (["seriesuids=none"], "no such list of series: none"),
        (["seriesuids={tmp}/other.csv"], r"must list LIDC series; 1 \(such as 1\.2\.4\) not among the 1,018"),
        (["headers={tmp}"], r"every listed series must have a header; 888 \(such as .*\) without one"),
        (["xml=none"], "no LIDC XML file .* at none"),
        (["xml={tmp}"], r"series 1\.2\.3 of the XML is not in the LIDC table, so it needs a header"),
        (["bogus=1"], "bogus"),
    ],
)  # fmt: skip
def test_wrong_options_end_in_one_line(
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "1.2.4.mhd").write_text(
        "DimSize = 9 9 9\nElementSpacing = 1 1 1\nOffset = 0 0 0\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"
    )
    (tmp_path / "other.csv").write_text("1.2.4\n")
    (tmp_path / "a.xml").write_text(as_xml("1.2.3", [reading(square(1, 1, 3))]))
    given = [option.replace("{tmp}", str(tmp_path)) for option in options]
    monkeypatch.setattr(sys, "argv", ["lidc", f"out={tmp_path / 'out'}", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code not in (0, None)
    printed = capsys.readouterr()
    assert re.search(message, printed.err + printed.out + str(ended.value.code))
    assert not (tmp_path / "out").exists()


def test_out_is_required(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="out"):
        extract(compose_settings(LidcSettings, "lidc"))
