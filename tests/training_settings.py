"""The settings of both trainings as the command line composes them, to be changed by tests."""

from functools import cache
from typing import Any

from classification.training.settings import TrainSettings as ClassificationSettings
from detection.training.settings import TrainSettings as DetectionSettings
from runs.entry import compose_settings
from runs.training.loop import TrainerSettings


@cache
def detection() -> DetectionSettings:
    return compose_settings(DetectionSettings, "detection_train")


@cache
def classification() -> ClassificationSettings:
    return compose_settings(ClassificationSettings, "classification_train")


def short(**changes: Any) -> TrainerSettings:
    """Of a loop of a few steps on the CPU."""
    few: dict[str, Any] = {
        "steps": 5, "batch": 2, "clip": 5.0, "ema_decay": 0.995, "precision": "32-true", "accelerator": "cpu",
        "devices": 1, "strategy": "auto", "workers": 0, "threads": 0, "checkpoint_steps": 2, "log_steps": 1,
    }  # fmt: skip
    return TrainerSettings(**{**few, **changes})
