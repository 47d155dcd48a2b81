"""`python -m benchmarks.training [experiment=...]`: milliseconds a patch and a training step, and who waits for whom.

Nothing else should run beside it. One process makes patches while the network computes on the threads that
`trainer.threads` leaves it, so the slower of the two figures is what a step takes.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch

from detection.models.interface import Truth, build_model
from detection.train import load_patches
from detection.training.chests import open_archive
from detection.training.engine import DetectorTraining
from detection.training.sampling import collate
from detection.training.settings import TrainSettings
from runs.entry import compose_settings

PATCHES = 60
STEPS = 8


def learn(
    module: DetectorTraining, optimizer: torch.optim.Optimizer, images: torch.Tensor, truth: Truth, precision: str
) -> None:
    """One step of a training."""
    with torch.autocast("cpu", torch.bfloat16, enabled=precision.startswith("bf16")):
        terms = module.model.loss(images, truth)
    optimizer.zero_grad()
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def main() -> None:
    """Print both figures."""
    settings = compose_settings(TrainSettings, "detection_train", sys.argv[1:])
    if settings.trainer.threads:
        torch.set_num_threads(settings.trainer.threads)
    patches = load_patches(settings, build_model(settings.model).levels, open_archive(settings.data))[0]
    made, taken = [], []
    for number in range(PATCHES):
        start = time.perf_counter()
        patches[number]
        made.append(time.perf_counter() - start)
    module = DetectorTraining(build_model(settings.model), settings.optimizer, settings.trainer.steps)
    optimizer = torch.optim.AdamW(module.parameters(), 1e-4)
    images, truth = collate([patches[number] for number in range(settings.trainer.batch)])
    for _ in range(STEPS):
        start = time.perf_counter()
        learn(module, optimizer, images, truth, settings.trainer.precision)
        taken.append(time.perf_counter() - start)
    patch, step = statistics.mean(made), statistics.median(taken[1:])
    batch = patch * settings.trainer.batch / max(settings.trainer.workers, 1)
    print(f"patch: {1000 * patch:.0f} ms")
    print(f"a batch of {settings.trainer.batch} by {settings.trainer.workers} worker(s): {batch:.2f} s")
    print(f"step on {torch.get_num_threads()} thread(s), {settings.trainer.precision}: {step:.2f} s")
    print("the network waits for patches" if batch > step else "patches wait for the network")


if __name__ == "__main__":
    main()
