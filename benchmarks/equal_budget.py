"""`python -m benchmarks.equal_budget --minutes 30 --out DIR`: three detectors, the same CPU minutes, the same data.

Ours, MONAI's RetinaNet and the network of the Data Science Bowl 2017's winners learn from scratch from the same stream
of patches, each in the pictures and with the matching, the losses and the sampling of its own recipe, by the same
optimizer. A few steps tell what one costs, and each gets as many as the budget pays for. Then all are searched with on
`benchmarks.context`. One thread: CPU minutes are minutes.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.context import ask, load_bench, report
from benchmarks.training import learn
from detection.detector import load_detector
from detection.models.interface import build_model
from detection.train import load_patches, train
from detection.training.engine import DetectorTraining
from detection.training.sampling import HybridPatches, collate
from detection.training.settings import TrainSettings
from runs.entry import compose_settings
from runs.writing import write_json

MODELS = ("compact", "monai_luna16", "grt123")
# Batches that the cost of a step is taken from, after one that is not counted.
TIMED = 3


def main() -> None:
    """Train what is not trained yet, search with all, print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.equal_budget", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="CPU minutes of training for each detector")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the real data")
    parser.add_argument("--fold", type=int, default=0, help="of the patients: held out, and measured")
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs and equal_budget.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    costs = {name: taught(name, args.minutes, args.fold, args.out) for name in args.models}
    bench = load_bench(args.data, args.fold)
    said = {name: ask(load_detector(args.out / name / "weights.safetensors"), bench) for name in args.models}
    figures = report(bench, said)
    print(f"\n{'detector':14}{'million weights':>16}{'s a step':>10}{'steps':>8}{'CPU minutes':>13}")
    for name, cost in costs.items():
        size = f"{cost['weights'] / 1e6:.1f}"
        print(f"{name:14}{size:>16}{cost['step_s']:10.2f}{cost['steps']:8d}{cost['cpu_minutes']:13.1f}")
    write_json(args.out / "equal_budget.json", {"minutes": args.minutes, "training": costs, "context": figures})


def settings_of(name: str, fold: int, out: Path) -> TrainSettings:
    """One detector's run: no start, one level, one patch made where it is taught."""
    overrides = [
        f"model={name}", "experiment=compact_context", "trainer.workers=0", "trainer.threads=1",
        f"data.split.held_out_fold={fold}",
    ]  # fmt: skip
    if name == "compact":
        overrides.append("model.levels=[1]")
    settings = compose_settings(TrainSettings, "detection_train", overrides)
    return replace(settings, experiment=f"equal_budget_{name}", out=out / name)


def taught(name: str, minutes: float, fold: int, out: Path) -> dict[str, Any]:
    """Train one detector for so many CPU minutes; what it cost. A run that had ended is not begun again."""
    told = out / name / "cost.json"
    if told.exists():
        cost: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
        return cost
    settings = settings_of(name, fold, out)
    model = build_model(settings.model)
    step_s = seconds_a_step(settings, load_patches(settings, model.levels)[0])
    steps = max(int(60 * minutes / step_s), 1)
    optimizer = replace(settings.optimizer, warmup_steps=min(settings.optimizer.warmup_steps, max(steps // 10, 1)))
    # Weights averaged over a tenth of the run, however short it is.
    trainer = replace(settings.trainer, steps=steps, ema_decay=min(0.998, max(1 - 10 / steps, 0.5)))
    before = time.process_time()
    train(replace(settings, optimizer=optimizer, trainer=trainer))
    cost = {
        "weights": sum(p.numel() for p in model.parameters()),
        "step_s": round(step_s, 3),
        "steps": steps,
        "cpu_minutes": round((time.process_time() - before) / 60, 1),
    }
    write_json(told, cost)
    return cost


def seconds_a_step(settings: TrainSettings, patches: HybridPatches) -> float:
    """CPU seconds of a batch made and learnt from; numbers that no training uses, so nothing is seen twice."""
    module = DetectorTraining(build_model(settings.model), settings.optimizer, settings.trainer.steps)
    optimizer = torch.optim.AdamW(module.parameters(), settings.optimizer.lr)
    spent = []
    for batch in range(10**6, 10**6 + 1 + TIMED):
        before = time.process_time()
        size = settings.trainer.batch
        images, truth = collate([patches[size * batch + k] for k in range(size)])
        learn(module, optimizer, images, truth, settings.trainer.precision)
        spent.append(time.process_time() - before)
    return sum(spent[1:]) / TIMED


if __name__ == "__main__":
    main()
