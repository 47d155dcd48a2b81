"""Shards of a cohort become what one run leaves; what does not belong together is refused by name."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from detection.detect import DetectSettings, detect
from lungscreen.classify import ClassifySettings, classify
from lungscreen.merge import MergeSettings, merge
from runs.entry import UsageError
from tests.chests import write_chest
from tests.weights import tiny_classifier, tiny_detector


def contents(folder: Path) -> dict[str, bytes]:
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in files.items() if not name.startswith("journal/")}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`whole`, and `1` to `3` of the same cohort: a scan in each (c, g, a) and a broken one in the third."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "in").mkdir()
    for seed, name in enumerate(("a", "g", "c")):
        write_chest(folder / "in" / f"{name}.mha", seed)
    (folder / "in" / "d.mha").write_bytes(b"no header at all")
    settings = ClassifySettings(
        input=folder / "in", out=folder / "whole", weights=tiny_detector(folder),
        classifier=tiny_classifier(folder), key_images=1, cache=False,
    )  # fmt: skip
    assert classify(settings) == 0
    for number in (1, 2, 3):
        classify(replace(settings, out=folder / str(number), shard=f"{number}/3", workers=0))
    return folder


def shards(folder: Path, *numbers: int) -> tuple[Path, ...]:
    return tuple(folder / str(number) for number in numbers)


def test_shards_become_the_bytes_of_one_run(made: Path, tmp_path: Path) -> None:
    assert merge(MergeSettings(shards(made, 3, 1, 2), tmp_path / "out")) == 0
    joined, whole = contents(tmp_path / "out"), contents(made / "whole")
    assert joined.keys() == whole.keys()
    assert [name for name in whole if joined[name] != whole[name]] == []
    # Tables, an index, and three scans' pages and pictures.
    assert len(whole) == 5 + 3 + 3


def test_a_run_that_goes_on_leaves_the_bytes_of_one_that_was_not_stopped(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "whole", tmp_path / "out")
    before = contents(tmp_path / "out")
    record = max((tmp_path / "out" / "journal").glob("*.json"), key=lambda path: path.stat().st_size)
    record.unlink()
    for path in (tmp_path / "out").glob("*.csv"):
        path.unlink()
    settings = ClassifySettings(
        input=made / "in", out=tmp_path / "out", weights=made / "tiny_detector.safetensors",
        classifier=made / "tiny_classifier.safetensors", key_images=1, cache=False,
    )  # fmt: skip
    assert classify(settings) == 0
    assert record.exists()
    assert contents(tmp_path / "out") == before


def test_missing_twice_and_unfinished_shards_are_named(made: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 of 3 shards are missing: 2/3"):
        merge(MergeSettings(shards(made, 1, 3), tmp_path / "out"))
    with pytest.raises(UsageError, match="shard 1/3 is given twice"):
        merge(MergeSettings(shards(made, 1, 2, 1), tmp_path / "out"))
    with pytest.raises(UsageError, match=r"whole' holds no results of a shard"):
        merge(MergeSettings((made / "whole",), tmp_path / "out"))
    with pytest.raises(UsageError, match="out= must be a folder of its own"):
        merge(MergeSettings(shards(made, 1, 2, 3), made / "2"))
    with pytest.raises(UsageError, match=r"whole' holds the results of a run"):
        merge(MergeSettings(shards(made, 1, 2, 3), made / "whole"))
    full = next(n for n in (1, 2, 3) if list((made / str(n) / "report").glob("*.html")))
    shutil.copytree(made / str(full), tmp_path / "cut")
    others = tuple(made / str(n) for n in (1, 2, 3) if n != full)
    picture = next((tmp_path / "cut" / "key_images").glob("*.png"))
    picture.unlink()
    with pytest.raises(UsageError, match=rf"shard {full}/3 .*lacks key_images/{picture.name}"):
        merge(MergeSettings((*others, tmp_path / "cut"), tmp_path / "out"))
    next(p for p in (tmp_path / "cut" / "journal").glob("*.json") if p.name != "run.json").unlink()
    with pytest.raises(UsageError, match=rf"shard {full}/3 in .* is not finished"):
        merge(MergeSettings((*others, tmp_path / "cut"), tmp_path / "out"))
    assert not (tmp_path / "out" / "scans.csv").exists()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("cohort", "other", "cohort: "),
        ("command", "detect", "command: classify, detect|command: detect, classify"),
        ("key_images", "9", "key_images: 1, 9|key_images: 9, 1"),
    ],
)
def test_shards_of_different_runs_are_refused(made: Path, tmp_path: Path, key: str, value: str, said: str) -> None:
    shutil.copytree(made / "2", tmp_path / "other")
    identity = tmp_path / "other" / "journal" / "run.json"
    stored = json.loads(identity.read_text())
    (stored if key in stored else stored["settings"])[key] = value
    identity.write_text(json.dumps(stored))
    with pytest.raises(UsageError, match=rf"shards 1/3 and 2/3 are of different runs \((?:{said})"):
        merge(MergeSettings((*shards(made, 1, 3), tmp_path / "other"), tmp_path / "out"))


def test_weights_and_settings_decide_to_which_run_a_shard_belongs(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "2", tmp_path / "out")
    settings = ClassifySettings(
        input=made / "in", out=tmp_path / "out", weights=made / "tiny_detector.safetensors",
        classifier=made / "tiny_classifier.safetensors", key_images=2, cache=False, shard="2/3", workers=0,
    )  # fmt: skip
    with pytest.raises(UsageError, match="key_images: 1, 2"):
        classify(settings)
    with pytest.raises(UsageError, match="command: classify, detect"):
        detect(DetectSettings(input=made / "in", out=tmp_path / "out", weights=settings.weights, shard="2/3"))
    with pytest.raises(UsageError, match="shard: 2/3, 1/3"):
        classify(replace(settings, key_images=1, shard="1/3"))


def test_scans_that_other_kinds_of_processors_worked_on_are_not_joined(made: Path, tmp_path: Path) -> None:
    full = [n for n in (1, 2, 3) if list((made / str(n) / "report").glob("*.html"))]
    assert len(full) > 1
    shutil.copytree(made / str(full[0]), tmp_path / "other")
    for path in (tmp_path / "other" / "journal").glob("*.json"):
        path.write_text(path.read_text().replace("precision=", "precision=another "))
    others = tuple(made / str(n) for n in (1, 2, 3) if n != full[0])
    with pytest.raises(UsageError, match=r"not made alike \(detector_inference: .*inference\.precision=fp32"):
        merge(MergeSettings((*others, tmp_path / "other"), tmp_path / "out"))
