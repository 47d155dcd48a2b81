"""`python -m classification.slices.train input=FOLDER out=DIR`: a slice classifier, and what its accuracy is worth."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from classification.slices.answers import ANSWERS, write_answers
from classification.slices.engine import Labels, Views, fit_network, probabilities
from classification.slices.figures import figures_of
from classification.slices.files import CLASSES, Slice, find_slices, read_slice
from classification.slices.groups import grouped_folds, groups_of, nearest, random_folds, thumbnails
from classification.slices.pictures import write_confusion, write_heat_maps
from classification.slices.settings import SliceTrainSettings
from classification.slices.views import view_of
from runs.entry import UsageError, run
from runs.lock import held
from runs.seeds import stream
from runs.training.card import origin, stated
from runs.training.run_folder import WEIGHTS, claim, finished
from runs.training.weights import save_weights
from runs.writing import write_json

log = logging.getLogger(__name__)

WARNING = (
    "a random split puts neighbouring slices of one patient on both sides: it measures memory, not skill; "
    "the grouped split is the honest one"
)


def train(settings: SliceTrainSettings) -> Path:
    """Write weights, their card, the answers out of fold and pictures; returns the path of the weights.

    A run that was cut goes on where it stopped; a finished one keeps its weights.

    Raises:
        FileNotFoundError, UsageError: see `find_slices`; or slices without a class, or a class without slices for
            every fold.
    """
    path = finished(settings.out)
    if path is not None and settings.resume:
        claim(settings.out, settings.deciding(), resume=True)
        log.info("this training is finished: %s stays as it is (resume=false begins again)", path)
        return path
    slices = labelled(find_slices(settings.input), settings.folds)
    with held(settings.out):
        claim(settings.out, settings.deciding(), settings.resume)
        return _train_on(slices, settings)


def labelled(slices: list[Slice], folds: int) -> list[Slice]:
    """The slices, if they can be learnt from."""
    without = sum(s.label < 0 for s in slices)
    if without:
        raise UsageError(
            f"{without} of {len(slices)} slices lie in no folder of a class: names with Normal, Benign (Bengin) or "
            "Malignant were expected"
        )
    counts = np.bincount([s.label for s in slices], minlength=len(CLASSES))
    if counts.min() < folds:
        raise UsageError(
            f"every class must have at least {folds} slices, one a fold; got "
            + ", ".join(f"{n} {name}" for name, n in zip(CLASSES, counts.tolist(), strict=True))
        )
    return slices


def check_folds(labels: Labels, folds: Labels, n: int, name: str) -> None:
    """Every fold must have slices, and every class some outside of it.

    Raises:
        UsageError: the slices are so alike that their groups leave a fold or a class empty.
    """
    for fold in range(n):
        kept = folds == fold
        if not kept.any() or len(np.unique(labels[~kept])) < len(CLASSES):
            raise UsageError(
                f"the {name} split has no {n} folds with all classes outside of each: too many slices are alike; "
                "fewer folds= or slices of more patients are needed"
            )


def _train_on(slices: list[Slice], settings: SliceTrainSettings) -> Path:
    views = np.stack([view_of(read_slice(s.path)) for s in tqdm(slices, "slices", unit="slice", leave=False)])
    labels = np.array([s.label for s in slices], np.int64)
    thumbs = thumbnails(views)
    groups = groups_of(slices, thumbs)
    splits = {"grouped": grouped_folds(labels, groups, settings.folds)}
    if settings.random_split:
        splits["random"] = random_folds(labels, settings.folds, stream("classification.slices.folds", settings.seed))
    for name, folds in splits.items():
        check_folds(labels, folds, settings.folds, name)
    answers, neighbours, figures = {}, {}, {}
    for number, (name, folds) in enumerate(splits.items()):
        first = number * settings.folds
        answers[name] = _out_of_fold(views, labels, groups, folds, settings, first, settings.out / name)
        neighbours[name] = nearest(thumbs, labels, folds)
        drawn = groups if name == "grouped" else None
        figures[name] = {
            "network": figures_of(labels, answers[name].argmax(1), drawn, settings.bootstrap),
            "nearest_neighbour": figures_of(labels, neighbours[name], drawn, settings.bootstrap),
        }
    network = fit_network(views, labels, groups, settings, len(splits) * settings.folds, settings.out)
    for name, folds in splits.items():
        write_answers(settings.out / ANSWERS[name], slices, groups, folds, answers[name], neighbours[name])
    write_confusion(settings.out / "confusion.png", figures["grouped"]["network"])
    write_heat_maps(settings.out / "heat_maps.png", network, views, labels, answers["grouped"])
    write_json(settings.out / "figures.json", figures)
    for line in table(figures):
        sys.stdout.write(line + "\n")
    path = settings.out / WEIGHTS
    save_weights(path, network.state_dict(), _card(settings, labels, groups, figures))
    log.info("weights and card written to %s", path)
    return path


def _out_of_fold(
    views: Views,
    labels: Labels,
    groups: Labels,
    folds: Labels,
    settings: SliceTrainSettings,
    first: int,
    out: Path,
) -> npt.NDArray[np.float64]:
    """(N, classes) answers of networks that have not seen the slice's fold."""
    found = np.zeros((len(labels), len(CLASSES)))
    for fold in range(settings.folds):
        log.info("%s split, fold %d of %d", out.name, fold + 1, settings.folds)
        kept = folds == fold
        part = out / f"fold{fold}"
        network = fit_network(views[~kept], labels[~kept], groups[~kept], settings, first + fold, part)
        found[kept] = probabilities(network, views[kept])
    return found


def table(figures: dict[str, Any]) -> Iterator[str]:
    """Both splits beside the nearest neighbour, a line each, and the warning."""
    yield f"{'split':8} {'classifier':18} {'accuracy (95 %)':22} macro-F1 (95 %)"
    for split, by_name in figures.items():
        for name, found in by_name.items():
            accuracy, f1 = (
                f"{found[key][0]:.3f} ({found[key][1]:.3f}-{found[key][2]:.3f})" for key in ("accuracy", "macro_f1")
            )
            yield f"{split:8} {name.replace('_', ' '):18} {accuracy:22} {f1}"
    if "random" in figures:
        yield f"warning: {WARNING}"


def _card(settings: SliceTrainSettings, labels: Labels, groups: Labels, figures: dict[str, Any]) -> dict[str, Any]:
    counts = np.bincount(labels, minlength=len(CLASSES)).tolist()
    return {
        "name": settings.name,
        "model": {"kind": "slices", **asdict(settings.network)},
        "classes": list(CLASSES),
        "training": stated(settings, leave_out=("input", "out", "resume")),
        "data": {
            "slices": "IQ-OTH/NCCD lung cancer dataset (Alyasriy & Al-Huseiny, 10.17632/bhmdr45bh2), CC BY 4.0",
            "n": dict(zip(CLASSES, counts, strict=True)),
            "n_groups": int(groups.max()) + 1,
        },
        "split": f"{settings.folds} folds of consecutive groups of slices; the weights have seen all of them",
        "figures": figures,
        "warning": WARNING,
        "known_failures": [
            "the class is the patient's: slices of a cancer patient that show no tumour are 'malignant' too",
            "one hospital, no patient ids: groups are by likeness and number, some patients may be on both sides",
            "a handful of patients stand behind 'benign'",
            "not a diagnosis: use the whole scan (python -m lungscreen.classify)",
        ],
        **origin("python -m classification.slices.train input=IQ-OTH/NCCD", ("lungscreen", "torch", "lightning")),
    }


def train_command(settings: SliceTrainSettings) -> None:
    """`train`, for the command line."""
    card = json.loads(train(settings).with_suffix(".json").read_text(encoding="utf-8"))
    accuracy = card["figures"]["grouped"]["network"]["accuracy"][0]
    log.info("grouped accuracy %.3f; research use only", accuracy)


def main() -> None:
    """Entry point."""
    run(train_command, SliceTrainSettings, "classification_slices_train")


if __name__ == "__main__":
    main()
