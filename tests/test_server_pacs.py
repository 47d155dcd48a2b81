"""Which series are taken, and what a study goes through when images come at any moment."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("sqlalchemy")
from pydicom import Dataset

from lungscreen.server.pacs.asking import Server, pack
from lungscreen.server.pacs.choosing import Series, chosen
from lungscreen.server.pacs.following import Follower
from lungscreen.server.pacs.settings import PacsSettings
from lungscreen.server.pacs.studies import State, Studies
from runs.entry import UsageError, compose_settings

AXIAL, CORONAL, TILTED_40 = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [1, 0, 0, 0, 0.766, 0.643]
RULES = compose_settings(PacsSettings, "server_pacs", ["orthanc=http://localhost:1"]).rules


def series(name: str, images: int = 100, **values: Any) -> Series:
    header = Dataset()
    given = {
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "ImageOrientationPatient": AXIAL,
        **values,
    }
    for key, value in given.items():
        setattr(header, key, value)
    return Series(name, tuple(str(k) for k in range(images)), header)


@pytest.mark.parametrize(
    "values",
    [
        {"Modality": "SR"},
        {"images": 19},
        {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
        {"ImageOrientationPatient": CORONAL},
        {"ImageOrientationPatient": TILTED_40},
        {"SliceThickness": "8"},
    ],
)
def test_what_is_no_thin_axial_ct_is_left(values: dict[str, Any]) -> None:
    assert chosen([series("a", **values)], RULES) == []


def test_original_before_derived_lung_kernel_before_soft_and_many_images_before_few() -> None:
    many = series("many", 300, ConvolutionKernel="B30f")
    lung = series("lung", 100, ConvolutionKernel="B70f")
    multi = series("multi", 90, ConvolutionKernel=["Br62f", "3"])
    derived = series("derived", 400, ImageType=["DERIVED", "SECONDARY"], ConvolutionKernel="B70f")
    few = series("few", 20)
    found = chosen([few, derived, many, multi, lung], replace(RULES, series=9))
    assert [one.name for one in found] == ["lung", "multi", "many", "few", "derived"]
    assert [one.name for one in chosen([derived, few], RULES)] == ["few"]
    assert chosen([derived], replace(RULES, derived=False)) == []


def test_enhanced_ct_counts_its_frames() -> None:
    enhanced = series("enhanced", 1, NumberOfFrames=60)
    del enhanced.header.ImageOrientationPatient
    assert chosen([enhanced], RULES) == [enhanced]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "give orthanc=URL"),
        (["listen_port=11112"], "needs back_aet="),
        (["orthanc=http://x", "aet='A TITLE'"], "AE title"),
        (["orthanc=http://x", "rules.series=0"], "rules.series="),
        (["orthanc=http://x", "rules.lung_kernels=['(']"], "no regular expression"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(options: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        compose_settings(PacsSettings, "server_pacs", options)


def test_the_same_images_are_the_same_zip(tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        pack(iter([b"a", b"b"]), tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert [archive.read(name) for name in archive.namelist()] == [b"a", b"b"]


class Archive:
    """A source in memory."""

    name = "archive"

    def __init__(self) -> None:
        self.studies: dict[str, list[Series]] = {}
        self.stored: list[tuple[str, list[bytes]]] = []

    def look(self, studies: Studies) -> None:
        """Whoever tests says what came."""

    def state(self, name: str) -> str | None:
        return str(sum(len(one.images) for one in self.studies[name])) if name in self.studies else None

    def series(self, name: str) -> list[Series]:
        return self.studies[name]

    def files(self, name: str, images: Sequence[str]) -> Iterator[bytes]:
        yield from (image.encode() for image in images)

    def store(self, name: str, results: Sequence[Path]) -> None:
        self.stored.append((name, [path.read_bytes() for path in results]))

    def finished(self, name: str) -> None:
        """Nothing to tidy."""


class Answering:
    """A server that answers what the test says."""

    def __init__(self) -> None:
        self.state, self.uploads, self.away, self.refuses = "queued", 0, False, False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("nobody")
        if request.method == "POST":
            self.uploads += 1
            if self.refuses:
                return httpx.Response(413, json={"reason": "too_large"})
            return httpx.Response(202, json={"id": f"{self.uploads:032d}"})
        if request.url.path.endswith("/files"):
            return httpx.Response(200, json=[{"name": "dicom/x_sr.dcm"}, {"name": "patients.csv"}])
        if request.url.path.endswith("_sr.dcm"):
            return httpx.Response(200, content=b"SR")
        if self.state == "gone":
            return httpx.Response(404, json={"reason": "no_such_case"})
        return httpx.Response(200, json={"state": self.state, "reason": "no_lungs" if self.state == "refused" else ""})


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[tuple[Follower, Archive, Answering]]:
    studies, archive, answering = Studies(tmp_path / "studies.sqlite"), Archive(), Answering()
    client = httpx.Client(transport=httpx.MockTransport(answering), base_url="http://server")
    yield Follower(studies, Server(client), {"archive": archive}, RULES, 0, tmp_path), archive, answering
    studies.close()


def came(follower: Follower, archive: Archive, images: int) -> None:
    archive.studies["one"] = [series("s", images)]
    follower.studies.came("archive", {"one"})


def test_a_study_is_analysed_once_whatever_comes_beside_its_images(
    parts: tuple[Follower, Archive, Answering],
) -> None:
    follower, archive, answering = parts
    came(follower, archive, 30)
    follower.step()
    assert [study.state for study in follower.studies.of(State.SENT)] == [State.SENT]
    answering.state = "done"
    follower.step()
    assert archive.stored == [("one", [b"SR"])]
    archive.studies["one"].append(series("ours", 1, Modality="SR"))
    follower.studies.came("archive", {"one"})
    follower.step()
    assert (answering.uploads, len(archive.stored)) == (1, 1)
    assert [study.name for study in follower.studies.of(State.DONE)] == ["one"]


def test_images_that_come_while_the_server_works_are_analysed_after(
    parts: tuple[Follower, Archive, Answering],
) -> None:
    follower, archive, answering = parts
    came(follower, archive, 30)
    follower.step()
    came(follower, archive, 60)
    answering.state = "done"
    follower.step()  # the results of the first ones
    follower.step()
    follower.step()
    assert (answering.uploads, len(archive.stored)) == (2, 2)


def test_who_is_away_is_asked_again_and_a_case_that_is_gone_begins_anew(
    parts: tuple[Follower, Archive, Answering],
) -> None:
    follower, archive, answering = parts
    answering.away = True
    came(follower, archive, 30)
    follower.step()
    assert len(follower.studies.of(State.WAITING)) == 1
    answering.away, answering.state = False, "gone"
    follower.step()
    follower.step()
    answering.state = "done"
    follower.step()
    follower.step()
    assert (answering.uploads, len(archive.stored)) == (2, 1)


@pytest.mark.parametrize(("state", "refuses", "reason"), [("refused", False, "no_lungs"), ("", True, "too_large")])
def test_what_the_server_refuses_is_left_with_its_reason_and_not_tried_again(
    parts: tuple[Follower, Archive, Answering], state: str, refuses: bool, reason: str
) -> None:
    follower, archive, answering = parts
    answering.state, answering.refuses = state, refuses
    came(follower, archive, 30)
    follower.step()
    follower.step()
    came(follower, archive, 30)
    follower.step()
    assert [study.reason for study in follower.studies.of(State.LEFT)] == [reason]
    assert (answering.uploads, archive.stored) == (1, [])


def test_a_study_that_its_source_has_no_more_is_forgotten(parts: tuple[Follower, Archive, Answering]) -> None:
    follower, _, answering = parts
    follower.studies.came("archive", {"deleted"})
    follower.step()
    assert follower.studies.names("archive") == set()
    assert answering.uploads == 0


def test_a_rule_is_a_number_above_0() -> None:
    with pytest.raises(UsageError, match="least_images"):
        replace(RULES, least_images=0)
