"""`python -m detection.train experiment=...`: hybrids in, weights and their model card out."""

from __future__ import annotations

import logging
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from detection.fit import fit
from detection.hosts import load_hosts, load_nodules
from detection.settings import TrainSettings
from detection.weights import save_weights
from runs.entry import run

log = logging.getLogger(__name__)


def train(settings: TrainSettings) -> Path:
    """Train, write `weights.safetensors` and its card under `settings.out`, and return their path."""
    out = Path(settings.out)
    chips = load_nodules(settings.data)
    hosts = load_hosts(settings.data, settings.seed)
    log.info("training on %d chests and %d nodules", len(hosts), len(chips))
    network = fit(hosts, chips, settings, out)
    path = out / "weights.safetensors"
    save_weights(path, network.state_dict(), card_of(settings, len(hosts), len(chips)))
    log.info("weights written to %s", path)
    return path


def card_of(settings: TrainSettings, n_hosts: int, n_nodules: int) -> dict[str, Any]:
    """What is known at the end of training; measured figures join it with their commands. No paths."""
    training = {k: v for k, v in asdict(settings).items() if k not in ("data", "model", "out", "resume", "threads")}
    return {
        "name": settings.experiment,
        "model": asdict(settings.model),
        "training": training,
        "data": {
            "sources": list(settings.data.sources),
            "n_chests": n_hosts,
            "n_simulated_chests": settings.data.phantoms,
            "n_nodules": n_nodules,
        },
        "split": f"held out by patient: {', '.join(settings.data.held_out_patients) or 'nobody'}",
        "command": f"python -m detection.train experiment={settings.experiment}",
        "versions": {name: version(name) for name in ("lungscreen", "torch", "monai", "lightning")},
        "use": "research only, not a medical device",
    }


def _task(settings: TrainSettings) -> None:
    train(settings)


def main() -> None:
    """Entry point."""
    run(_task, TrainSettings, "detection_train")


if __name__ == "__main__":
    main()
