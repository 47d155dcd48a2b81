"""`python -m preprocessing.download collection=lidc_idri out=DIR`: CT of a public collection, each series whole.

The collections are those of the NCI Imaging Data Commons; `idc-index` holds their list and fetches them. It reports no
failure to its caller, so what came is counted and weighed against the list; only a whole series moves to its place.
"""

from __future__ import annotations

import difflib
import logging
import re
import shutil
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from omegaconf import MISSING
from tqdm import tqdm

from runs.checks import at_least
from runs.csv_text import write_csv
from runs.entry import UsageError, run
from runs.writing import whole

log = logging.getLogger(__name__)

BUCKETS = ("aws", "gcs")
# Below `out`: what is on its way, a folder a series.
ON_ITS_WAY = ".partial"
TABLE = "series.csv"
COMPLETE, HALF, ABSENT = "complete", "half", "absent"


@dataclass(frozen=True)
class DownloadSettings:
    """What `preprocessing.download` takes.

    Attributes:
        collection: as the Imaging Data Commons names it: lidc_idri, nlst.
        out: folder for the series; made if missing.
        patients: only theirs; none named means all.
        batch: series fetched together; a download that is cut loses at most so many.
        bucket: aws or gcs.
        dry_run: say what is missing, and fetch nothing.
    """

    batch: int
    bucket: str
    collection: str = MISSING
    out: Path = MISSING
    patients: tuple[str, ...] = ()
    dry_run: bool = False

    def __post_init__(self) -> None:
        at_least("batch", self.batch, 1)
        if self.bucket not in BUCKETS:
            raise UsageError(f"bucket must be {' or '.join(BUCKETS)}, got {self.bucket!r}")


class Index(Protocol):
    """What is used of `idc_index.IDCClient`.

    Attributes:
        index: a row a series: collection_id, analysis_result_id, PatientID, StudyInstanceUID, SeriesInstanceUID,
            Modality, instanceCount, series_size_MB (bytes / 10^6), license_short_name, source_DOI.
    """

    index: pd.DataFrame

    def get_idc_version(self) -> str:
        """Of the collections, such as v25."""

    def download_from_selection(
        self, downloadDir: str, *, seriesInstanceUID: list[str], dirTemplate: str, source_bucket_location: str,
        use_s5cmd_sync: bool, quiet: bool, show_progress_bar: bool,
    ) -> None:  # fmt: skip
        """Fetch series into folders named by a template; says nothing when it fails."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series as the index lists it.

    Attributes:
        collection: it belongs to.
        patient_id: as in DICOM.
        study_uid: as in DICOM.
        series_uid: as in DICOM.
        files: how many images there are.
        size: of all of them, in bytes.
        licence: short name.
        doi: of the data set that it comes from.
    """

    collection: str
    patient_id: str
    study_uid: str
    series_uid: str
    files: int
    size: int
    licence: str
    doi: str

    def place(self) -> Path:
        """Below `out`."""
        return Path(*(_name(part) for part in (self.patient_id, self.study_uid, self.series_uid)))


def download(settings: DownloadSettings, client: Index | None = None) -> pd.DataFrame:
    """Fetch what is missing of a collection, and say what is there in `series.csv`.

    Args:
        settings: what, and where to.
        client: None: the one of `idc-index`.

    Returns:
        The table: a row a series.

    Raises:
        UsageError: `idc-index` is not installed; no such collection or patient; too little space; series that did not
            come, or came in part.
    """
    client = client or _client()
    wanted = listed(client, settings.collection, settings.patients)
    missing = [s for s in tqdm(wanted, "looking", unit="series") if state(settings.out / s.place(), s) != COMPLETE]
    log.info(
        "%s of IDC %s: %d CT series of %d patients, %s; %d series missing, %s; licences: %s",
        settings.collection, client.get_idc_version(), len(wanted), len({s.patient_id for s in wanted}),
        _bytes(_size(wanted)), len(missing), _bytes(_size(missing)), _licences(wanted),
    )  # fmt: skip
    if settings.dry_run:
        return table(settings.out, wanted)
    settings.out.mkdir(parents=True, exist_ok=True)
    try:
        failed = _fetch(client, missing, settings)
    finally:
        made = table(settings.out, wanted)
        with whole(settings.out / TABLE) as part:
            write_csv(part, made)
    if failed:
        raise UsageError(
            f"{len(failed)} of {len(missing)} series did not come whole, such as {failed[0].series_uid}: "
            f"is there a network? The same command goes on; what is there stands in {TABLE}"
        )
    log.info("all %d series are in %s", len(wanted), settings.out)
    return made


def listed(client: Index, collection: str, patients: Sequence[str] = ()) -> list[Series]:
    """CT series of a collection as it was published (no results of later analyses), by patient and uid.

    Args:
        client: with the index.
        collection: its name there.
        patients: only theirs; none named means all.

    Raises:
        UsageError: no such collection or patient.
    """
    rows = client.index
    known = sorted(set(rows["collection_id"]))
    if collection not in known:
        close = difflib.get_close_matches(collection, known, n=3) or known[:3]
        raise UsageError(
            f"collection must be one of the {len(known)} of IDC {client.get_idc_version()}, "
            f"such as {', '.join(close)}; got {collection!r}"
        )
    rows = rows[(rows["collection_id"] == collection) & (rows["Modality"] == "CT") & rows["analysis_result_id"].isna()]
    if absent := sorted(set(patients) - set(rows["PatientID"])):
        raise UsageError(f"{collection} has no CT of patient {', '.join(absent)}")
    if patients:
        rows = rows[rows["PatientID"].isin(patients)]
    rows = rows.sort_values(["PatientID", "StudyInstanceUID", "SeriesInstanceUID"])
    return [_series(row) for row in rows.to_dict("records")]


def _series(row: Mapping[Hashable, Any]) -> Series:
    return Series(
        row["collection_id"], row["PatientID"], row["StudyInstanceUID"], row["SeriesInstanceUID"],
        int(row["instanceCount"]), round(row["series_size_MB"] * 1e6), str(row["license_short_name"]),
        str(row["source_DOI"]),
    )  # fmt: skip


def state(folder: Path, series: Series) -> str:
    """Whether a folder holds a series: complete by the number and the bytes of its files, half, or absent."""
    files, size = _holds(folder)
    if not files:
        return ABSENT
    return COMPLETE if (files, size) == (series.files, series.size) else HALF


def table(out: Path, wanted: Sequence[Series]) -> pd.DataFrame:
    """What is there, a row a series: state, files and bytes found and expected, licence, source and folder."""
    rows = []
    for series in wanted:
        folder = out / series.place()
        files, size = _holds(folder)
        rows.append({
            "collection": series.collection, "patient_id": series.patient_id, "study_uid": series.study_uid,
            "series_uid": series.series_uid, "state": state(folder, series), "files": files,
            "files_expected": series.files, "bytes": size, "bytes_expected": series.size,
            "licence": series.licence, "source_doi": series.doi, "folder": series.place().as_posix(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _fetch(client: Index, missing: Sequence[Series], settings: DownloadSettings) -> list[Series]:
    """Fetch in batches, each series moved to its place when it is whole; those that did not come whole.

    Ends with the first batch of which nothing came: the next ones would not come either.
    """
    _check_space(settings.out, missing)
    failed: list[Series] = []
    with tqdm(total=_size(missing), desc="fetching", unit="B", unit_scale=True) as bar:
        for start in range(0, len(missing), settings.batch):
            batch = missing[start : start + settings.batch]
            came = _fetch_batch(client, batch, settings)
            bar.update(_size(came))
            failed += [s for s in batch if s not in came]
            if not came:
                return failed + list(missing[start + settings.batch :])
    shutil.rmtree(settings.out / ON_ITS_WAY, ignore_errors=True)
    return failed


def _fetch_batch(client: Index, batch: Sequence[Series], settings: DownloadSettings) -> list[Series]:
    on_its_way = settings.out / ON_ITS_WAY
    on_its_way.mkdir(exist_ok=True)
    absent = [s for s in batch if state(on_its_way / s.series_uid, s) != COMPLETE]
    if absent:
        for series in absent:
            shutil.rmtree(on_its_way / series.series_uid, ignore_errors=True)
        client.download_from_selection(
            str(on_its_way), seriesInstanceUID=[s.series_uid for s in absent], dirTemplate="%SeriesInstanceUID",
            source_bucket_location=settings.bucket, use_s5cmd_sync=False, quiet=True, show_progress_bar=False,
        )  # fmt: skip
    came = [s for s in batch if state(on_its_way / s.series_uid, s) == COMPLETE]
    for series in came:
        place = settings.out / series.place()
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():  # half a series: of an earlier release, or files were lost
            shutil.rmtree(place)
        (on_its_way / series.series_uid).rename(place)
    return came


def _client() -> Index:
    try:
        from idc_index import IDCClient
    except ModuleNotFoundError:
        raise UsageError("preprocessing.download needs idc-index: pip install 'lungscreen[download]'") from None
    # It tells of every manifest; its errors stay.
    logging.getLogger("idc_index").setLevel(logging.ERROR)
    return IDCClient()  # type: ignore[no-any-return]


def _check_space(out: Path, missing: Sequence[Series]) -> None:
    needed, free = _size(missing), shutil.disk_usage(out).free
    if needed > free:
        raise UsageError(f"'{out}' must have room for {_bytes(needed)}; {_bytes(free)} are free: name fewer patients")


def _holds(folder: Path) -> tuple[int, int]:
    """Number and bytes of the files in a folder; none where there is no folder."""
    sizes = [path.stat().st_size for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    return len(sizes), sum(sizes)


def _name(text: str) -> str:
    """As a folder: an id is anything that a hospital wrote."""
    return re.sub(r"[^\w.-]", "_", text).lstrip(".") or "_"


def _size(series: Sequence[Series]) -> int:
    return sum(s.size for s in series)


def _bytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"


def _licences(series: Sequence[Series]) -> str:
    return ", ".join(f"{name} ({n} series)" for name, n in sorted(Counter(s.licence for s in series).items()))


def _task(settings: DownloadSettings) -> None:
    download(settings)


def main() -> None:
    """Entry point."""
    run(_task, DownloadSettings, "download")


if __name__ == "__main__":
    main()
