"""Every experiment and every option of every group fits the command it is for, and no other."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.errors import HydraException

import conf
import detection.train
from classification.bags.interface import build_bag
from classification.slices.predict import SlicePredictSettings
from classification.training.settings import TrainSettings as ClassificationSettings
from classification.training.settings import deciding
from detection.cross_validate import CrossValidateSettings
from detection.evaluate import EvaluateSettings
from detection.training.settings import TrainSettings as DetectionSettings
from lungscreen.eda.settings import EdaSettings
from lungscreen.server.settings import ServerSettings
from phantom.make import CohortSettings
from preprocessing.download import DownloadSettings
from runs.entry import UsageError, compose_settings, register_schema

ROOT = Path(conf.__file__).parent
STAGES: dict[str, Any] = {"detection": DetectionSettings, "classification": ClassificationSettings}
# Which options a stage has; what stands in `conf/` and not here belongs to nobody.
BOTH = {
    "trainer": {"auto", "cpu", "gpu", "ddp", "smoke"},
    "logger": {"csv", "mlflow"},
    "sweep": {"grid", "optuna"},
    "hydra/sweeper": {"optuna"},
    "hydra/launcher": {"processes", "slurm", "slurm_local"},
}
OPTIONS = {
    "detection": BOTH | {
        "model": {"compact", "grt123", "monai_luna16"}, "data": {"phantoms", "context", "marked", "lidc", "luna16"},
        "sampling": {"hybrid"}, "optimizer": {"adamw"},
        "validation": {"none", "froc"},
        "experiment": {
            "compact_context", "compact_fine", "compact_large", "compact_marked", "compact_masses", "compact_thick",
            "detector_smoke", "luna16", "lidc",
        },
    },
    "classification": BOTH | {
        "model": {"nodule_network"}, "data": {"own_nodules", "lidc_ratings"}, "optimizer": {"one_cycle"},
        "bag": {"leaky_noisy_or", "noisy_or", "maximum", "attention", "top_k_logistic"},
        "simulated_patients": {"anybody", "compact_v6"}, "experiment": {"nodule_mil"},
        "sweep": {"grid", "optuna", "bags"},
    },
}  # fmt: skip
# Of the commands that measure.
MEASURING = {"truth": {"table", "dsb2017", "phantoms", "lidc_diagnosis", "nlst"}}
FILES = sorted((p.parent.relative_to(ROOT).as_posix(), p.stem) for p in ROOT.glob("*/**/*.yaml"))


def composed(stage: str, *overrides: str) -> Any:
    return compose_settings(STAGES[stage], f"{stage}_train", overrides)


def test_every_option_is_somebodys() -> None:
    everybody = [*OPTIONS.values(), MEASURING]
    stated = {(group, name) for groups in everybody for group, names in groups.items() for name in names}
    assert stated == set(FILES)


def test_no_group_hides_an_option_of_another_command() -> None:
    """Hydra takes `patients=50` for a choice from conf/patients/ if there is one, whichever command it is said to."""
    groups = {group for group, _ in FILES}
    for settings in (
        CohortSettings,
        DownloadSettings,
        EdaSettings,
        EvaluateSettings,
        ServerSettings,
        SlicePredictSettings,
    ):
        assert not groups & {field.name for field in fields(settings)}
    assert compose_settings(CohortSettings, "phantom", ["out=x", "patients=3"]).patients == 3


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("group", "name"), FILES)
def test_every_option_composes_for_its_stage_alone(group: str, name: str, stage: str) -> None:
    if name in OPTIONS[stage].get(group, ()):
        made = composed(stage, f"{group}={name}")
        assert group != "experiment" or made.experiment == name
    else:
        # By the key that its stage does not have, or by the group.
        with pytest.raises((HydraException, UsageError), match=r"not in|No match"):
            composed(stage, f"{group}={name}")


@pytest.mark.parametrize(("group", "name"), [f for f in FILES if f[0] == "experiment"])
def test_experiments_stay_short(group: str, name: str) -> None:
    assert len((ROOT / group / f"{name}.yaml").read_text().splitlines()) <= 25


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("group", ["experiment", "data", "trainer", "model"])
def test_an_option_that_is_not_there_is_refused_with_the_names(stage: str, group: str) -> None:
    with pytest.raises(HydraException) as refused:
        composed(stage, f"{group}=nope")
    assert "nope" in str(refused.value)
    assert all(name in str(refused.value) for name in OPTIONS[stage][group])


@pytest.mark.parametrize(
    ("stage", "override"),
    [
        ("detection", "optimizer.lr=abc"),
        ("detection", "trainer.steps=abc"),
        ("detection", "sampling.patch=abc"),
        ("detection", "model.head_width=abc"),
        ("detection", "data.phantom_share=abc"),
        ("classification", "patients.bags=abc"),
        ("classification", "bag.k=abc"),
        ("classification", "optimizer.rating_weight=abc"),
        ("detection", "sampling.patch=30"),
        ("detection", "sampling.cubes=1.5"),
        ("detection", "sampling.own_nodules=-1"),
        ("detection", "data.kind=abc"),
        ("detection", "data.jobs=0"),
        ("detection", "trainer.steps=0"),
        ("detection", "trainer.devices=0"),
        ("detection", "optimizer.lr=-1"),
        ("classification", "bag.steps=0"),
        ("classification", "bag.k=0"),
        ("classification", "bag.kind=abc"),
        ("classification", "patients.bags=0"),
        ("classification", "data.split.validation_fold=1"),
        ("detection", "data.split.validation_fold=7"),
        ("detection", "validation.patience=-1"),
        ("detection", "validation.patches=0"),
    ],
)
def test_wrong_values_are_refused_by_name(stage: str, override: str) -> None:
    key, _, value = override.partition("=")
    with pytest.raises((HydraException, UsageError), match=key.replace(".", r"\.")) as refused:
        composed(stage, override)
    assert value in str(refused.value)


def test_no_value_at_all_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"sampling\.patch"):
        composed("detection", "sampling.patch=???")


@pytest.mark.parametrize("stage", STAGES)
def test_smoke_cuts_every_experiment_short(stage: str) -> None:
    for name in OPTIONS[stage]["experiment"]:
        made = composed(stage, f"experiment={name}", "trainer=smoke")
        assert (made.trainer.steps, made.trainer.batch, made.trainer.workers) == (4, 2, 0)


def fingerprint(stage: str, *overrides: str) -> str:
    of = detection.train.identity if stage == "detection" else deciding
    return json.dumps(of(composed(stage, *overrides)), sort_keys=True, default=str)


def test_where_a_value_came_from_makes_no_other_run() -> None:
    chosen = fingerprint("detection", "experiment=compact_context")
    typed = ["trainer.steps=4000", "trainer.batch=6", "trainer.ema_decay=0.998", "trainer.precision=bf16-mixed"]
    assert fingerprint("detection", "data=context", *typed) == chosen
    elsewhere = ["trainer=gpu", "logger=mlflow", "out=elsewhere", "data.store=elsewhere", "data.jobs=4"]
    assert fingerprint("detection", "experiment=compact_context", *elsewhere) == chosen
    assert fingerprint("detection", "experiment=compact_context", "sampling.patch=80") != chosen
    mil = fingerprint("classification", "experiment=nodule_mil")
    assert (
        fingerprint("classification", "data=lidc_ratings", "simulated_patients=compact_v6", "trainer.steps=1200")
        == mil
    )


def test_the_context_data_are_those_of_the_shipped_detector() -> None:
    data = composed("detection", "experiment=compact_context").data
    assert [path.name for path in data.hosts] == ["chest_ct", "backgrounds"]
    assert (data.phantoms, data.phantom_share, len(data.ignored), len(data.sources)) == (6, 0.2, 10, 7)
    assert "CCMD-normal001" in data.held_out_hosts


def test_a_cross_validation_takes_the_keys_of_a_training_and_its_own() -> None:
    typed = ["experiment=luna16", "trainer=smoke", "folds=[0,3]", "inference.max_candidates=5", "optimizer.lr=1e-4"]
    made = compose_settings(CrossValidateSettings, "detection_cross_validate", typed)
    assert (list(made.folds), made.inference.max_candidates, made.optimizer.lr) == ([0, 3], 5, 1e-4)
    assert (made.data.kind, made.sampling.own_nodules, made.trainer.steps) == ("luna16", 0.5, 4)
    training = composed("detection", "experiment=luna16", "trainer=smoke", "optimizer.lr=1e-4")
    assert all(getattr(made, f.name) == getattr(training, f.name) for f in fields(training))


def test_the_sweep_over_bags_asks_for_each_bag_with_each_k() -> None:
    register_schema(ClassificationSettings, "classification_train")
    with hydra.initialize_config_module("conf", version_base="1.3"):
        params = hydra.compose("classification_train", ["sweep=bags"], return_hydra_config=True).hydra.sweeper.params
    jobs = list(itertools.product(*([f"{key}={value}" for value in params[key].split(",")] for key in params)))
    made = [composed("classification", *job).bag for job in jobs]
    assert {(bag.kind, bag.k) for bag in made} == set(itertools.product(OPTIONS["classification"]["bag"], (1, 3, 5)))
    assert all(build_bag(bag).k == bag.k for bag in made)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_help_lists_the_groups(stage: str) -> None:
    command = [sys.executable, "-m", f"{stage}.train", "--help"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT.parent).stdout
    # Hydra tells of its own groups elsewhere.
    for group, names in ((g, n) for g, n in OPTIONS[stage].items() if not g.startswith("hydra/")):
        line = next(line for line in said.splitlines() if line.strip().startswith(f"{group}: "))
        assert names <= set(line.partition(": ")[2].split(", ")), group
