"""Series of a collection come whole or not at all; a download that was cut fetches only what is missing.

`Bucket` stands for `idc_index.IDCClient`: the same index columns, the same call, and like it silent when it fails.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from preprocessing import download as download_module
from preprocessing.download import DownloadSettings, download, listed, main
from runs.csv_text import read_csv
from runs.entry import UsageError

BYTES = 1000


def row(patient: str, uid: str, files: int, **more: object) -> dict[str, object]:
    """Of the index: a series of `files` files with 1000, 1001, ... bytes."""
    size = sum(BYTES + k for k in range(files))
    return {
        "collection_id": "nlst", "analysis_result_id": None, "PatientID": patient, "StudyInstanceUID": f"1.{uid}",
        "SeriesInstanceUID": uid, "Modality": "CT", "instanceCount": files, "series_size_MB": size / 1e6,
        "license_short_name": "CC BY 4.0", "source_DOI": "10.1/x", **more,
    }  # fmt: skip


class Bucket:
    """A collection on a disk; `lose` is told of every file and says whether it does not come."""

    def __init__(self, *rows: dict[str, object]) -> None:
        self.index = pd.DataFrame(rows)
        self.fetched: list[list[str]] = []
        self.lose: Callable[[str, int], bool] = lambda uid, k: False
        self.dies_at = ""

    def get_idc_version(self) -> str:
        return "v25"

    def download_from_selection(
        self, downloadDir: str, *, seriesInstanceUID: list[str], dirTemplate: str, source_bucket_location: str,
        use_s5cmd_sync: bool, quiet: bool, show_progress_bar: bool,
    ) -> None:  # fmt: skip
        assert dirTemplate == "%SeriesInstanceUID"
        self.fetched.append(list(seriesInstanceUID))
        for uid in seriesInstanceUID:
            folder = Path(downloadDir) / uid
            folder.mkdir(exist_ok=True)
            (files,) = self.index.loc[self.index["SeriesInstanceUID"] == uid, "instanceCount"]
            for k in range(files):
                if uid == self.dies_at and k == 1:
                    raise KeyboardInterrupt
                if not self.lose(uid, k):
                    (folder / f"{k}.dcm").write_bytes(bytes(BYTES + k))


@pytest.fixture
def bucket() -> Bucket:
    return Bucket(
        row("P2", "22", 2),
        row("P1", "11", 3),
        row("P1", "12", 1, license_short_name="CC BY 3.0"),
        row("P1", "13", 1, Modality="SEG"),
        row("P1", "14", 1, analysis_result_id="nlst_sybil"),
        row("P9", "91", 1, collection_id="lidc_idri"),
    )


@pytest.fixture
def settings(tmp_path: Path) -> DownloadSettings:
    return DownloadSettings(collection="nlst", out=tmp_path / "ct", batch=2, bucket="aws")


def states(made: pd.DataFrame) -> dict[str, str]:
    return dict(zip(made["series_uid"], made["state"], strict=True))


def files(out: Path) -> list[str]:
    return sorted(p.relative_to(out).as_posix() for p in out.rglob("*.dcm"))


def test_the_ct_of_a_collection_as_it_was_published(bucket: Bucket) -> None:
    assert [s.series_uid for s in listed(bucket, "nlst")] == ["11", "12", "22"]
    assert [s.series_uid for s in listed(bucket, "nlst", ["P2"])] == ["22"]
    # 1000 + 1001 + 1002 bytes.
    assert [(s.files, s.size) for s in listed(bucket, "nlst")] == [(3, 3003), (1, 1000), (2, 2001)]


def test_all_comes_and_the_table_says_so(bucket: Bucket, settings: DownloadSettings) -> None:
    download(settings, bucket)
    assert bucket.fetched == [["11", "12"], ["22"]]
    assert files(settings.out) == [
        *(f"P1/1.11/11/{k}.dcm" for k in range(3)), "P1/1.12/12/0.dcm", *(f"P2/1.22/22/{k}.dcm" for k in range(2)),
    ]  # fmt: skip
    made = read_csv(settings.out / "series.csv", dtype=str)
    assert made["state"].tolist() == ["complete"] * 3
    assert made["licence"].tolist() == ["CC BY 4.0", "CC BY 3.0", "CC BY 4.0"]
    assert made["bytes"].tolist() == made["bytes_expected"].tolist() == ["3003", "1000", "2001"]
    assert not (settings.out / ".partial").exists()


def test_what_is_there_is_not_fetched_again(bucket: Bucket, settings: DownloadSettings) -> None:
    download(settings, bucket)
    bucket.fetched.clear()
    download(settings, bucket)
    assert bucket.fetched == []


@pytest.mark.parametrize("damage", ["lost", "short", "more"])
def test_half_a_series_is_seen_and_fetched_again(bucket: Bucket, settings: DownloadSettings, damage: str) -> None:
    download(settings, bucket)
    folder = settings.out / "P1/1.11/11"
    if damage == "lost":
        (folder / "2.dcm").unlink()
    elif damage == "short":
        (folder / "2.dcm").write_bytes(bytes(BYTES + 1))
    else:
        (folder / "old.dcm").write_bytes(b"")
    bucket.fetched.clear()
    assert states(download(replace(settings, dry_run=True), bucket))["11"] == "half"
    assert set(download(settings, bucket)["state"]) == {"complete"}
    assert bucket.fetched == [["11"]]
    assert len(files(settings.out)) == 6


def test_a_download_that_was_cut_goes_on(bucket: Bucket, settings: DownloadSettings) -> None:
    bucket.dies_at = "12"
    bucket.index.loc[bucket.index["SeriesInstanceUID"] == "12", ["instanceCount", "series_size_MB"]] = [2, 2001 / 1e6]
    with pytest.raises(KeyboardInterrupt):
        download(settings, bucket)
    # Nothing half stands in its place, and the table says what is there.
    assert not (settings.out / "P1").exists()
    assert set(read_csv(settings.out / "series.csv")["state"]) == {"absent"}
    bucket.dies_at = ""
    bucket.fetched.clear()
    assert set(download(settings, bucket)["state"]) == {"complete"}
    # 11 was whole when 12 was cut.
    assert bucket.fetched == [["12"], ["22"]]


def test_a_series_that_comes_in_part_never_takes_its_place(bucket: Bucket, settings: DownloadSettings) -> None:
    bucket.lose = lambda uid, k: (uid, k) == ("11", 1)
    with pytest.raises(UsageError, match=r"1 of 3 series did not come whole, such as 11: is there a network"):
        download(settings, bucket)
    assert states(read_csv(settings.out / "series.csv", dtype=str)) == {
        "11": "absent", "12": "complete", "22": "complete",
    }  # fmt: skip
    bucket.lose = lambda uid, k: False
    assert set(download(settings, bucket)["state"]) == {"complete"}


def test_without_a_network_it_ends_with_the_first_batch(bucket: Bucket, settings: DownloadSettings) -> None:
    bucket.lose = lambda uid, k: True
    with pytest.raises(UsageError, match="3 of 3 series did not come whole"):
        download(settings, bucket)
    assert len(bucket.fetched) == 1


def test_a_dry_run_says_what_is_missing_and_writes_nothing(
    bucket: Bucket, settings: DownloadSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    download(replace(settings, dry_run=True), bucket)
    assert not settings.out.exists()
    assert bucket.fetched == []
    assert "nlst of IDC v25: 3 CT series of 2 patients, 0.0 MB; 3 series missing, 0.0 MB" in caplog.text
    assert "CC BY 3.0 (1 series), CC BY 4.0 (2 series)" in caplog.text


def test_ids_do_not_lead_elsewhere(settings: DownloadSettings) -> None:
    bucket = Bucket(row("../../x", "11", 1), row("a/b", "22", 1))
    download(settings, bucket)
    assert files(settings.out.parent) == ["ct/_.._x/1.11/11/0.dcm", "ct/a_b/1.22/22/0.dcm"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"collection": "nlts"}, r"one of the 2 of IDC v25, such as nlst; got 'nlts'"),
        ({"patients": ("P1", "P7")}, r"nlst has no CT of patient P7"),
    ],
)
def test_an_unknown_name_is_said_with_what_was_expected(
    bucket: Bucket, settings: DownloadSettings, change: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        download(replace(settings, **change), bucket)


def test_too_little_space_is_said_before_anything_comes(settings: DownloadSettings) -> None:
    bucket = Bucket(row("P1", "11", 1, series_size_MB=1e12))
    with pytest.raises(UsageError, match=r"must have room for 1,000,000,000\.0 GB"):
        download(settings, bucket)
    assert bucket.fetched == []


def test_without_the_extra_the_line_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "idc_index", None)
    monkeypatch.setattr(sys, "argv", ["download", "collection=nlst", f"out={tmp_path}"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert (
        capsys.readouterr().err
        == "error: preprocessing.download needs idc-index: pip install 'lungscreen[download]'\n"
    )


def test_the_command_line_reaches_the_client(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "_client", lambda: bucket)
    monkeypatch.setattr(sys, "argv", ["download", "collection=nlst", f"out={tmp_path}", "patients=[P2]"])
    main()
    assert files(tmp_path) == ["P2/1.22/22/0.dcm", "P2/1.22/22/1.dcm"]


@pytest.mark.slow
def test_the_stand_in_is_called_as_the_real_client() -> None:
    idc_index = pytest.importorskip("idc_index")
    real = inspect.signature(idc_index.IDCClient.download_from_selection).parameters
    assert set(inspect.signature(Bucket.download_from_selection).parameters) <= set(real)
    client = idc_index.IDCClient()
    assert set(row("P", "1", 1)) <= set(client.index.columns)
    assert client.get_idc_version().startswith("v")
    first = listed(client, "lidc_idri", ["LIDC-IDRI-0001"])[0]
    # Of the published data: 133 slices of 512 x 512.
    assert (first.files, first.licence.startswith("CC BY")) == (133, True)
