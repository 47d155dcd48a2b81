"""dvc.yaml: four stages from phantoms to figures; a second run does nothing, a change only what it concerns."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("conf", "runs", "preprocessing", "phantom", "detection", "classification", "lungscreen")
STAGES = ["prepare", "train_detector", "train_classifier", "evaluate"]


def dvc(copy: Path, *words: str) -> str:
    """What `dvc` prints in the copy, with this Python first in the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "dvc", *words]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def ran(printed: str) -> list[str]:
    return [line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")]


@pytest.mark.slow
def test_the_pipeline_runs_once_and_again_only_where_something_changed(tmp_path: Path) -> None:
    pytest.importorskip("dvc", reason="needs the extra [pipeline]")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".dvc/config", ".dvcignore", "dvc.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    assert ran(dvc(tmp_path, "repro")) == STAGES
    metrics = tmp_path / "outputs" / "pipeline" / "metrics" / "metrics.json"
    assert json.loads(metrics.read_text())["n"] == 4
    weights = (tmp_path / "outputs" / "pipeline" / "detector" / "weights.safetensors").read_bytes()
    assert ran(dvc(tmp_path, "repro")) == []
    parameters = tmp_path / "conf" / "pipeline.yaml"
    text = parameters.read_text()
    assert text.count("bags: 50") == 1
    parameters.write_text(text.replace("bags: 50", "bags: 60"))
    assert ran(dvc(tmp_path, "repro")) == ["train_classifier", "evaluate"]
    assert (tmp_path / "outputs" / "pipeline" / "detector" / "weights.safetensors").read_bytes() == weights
