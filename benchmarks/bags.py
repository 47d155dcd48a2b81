"""`python -m benchmarks.bags RUN`: every bag on patients whose nodules none of the run's networks has seen.

RUN is the folder of a `classification.train`: its last network answers for the held-out patients, the network of each
fold for the patients of that fold. Two tables that share no figure:

- simulated patients, as the bag's training draws them, with held-out nodules and tissue and a seed of their own. Their
  chances are known, so AUC and calibration error are those expected over all draws of the labels, beside the best
  possible AUC;
- patients of LIDC-IDRI with a diagnosis, benign against malignant: each bag fitted to the diagnoses in nested,
  patient-grouped folds, k and penalty chosen in the inner ones, and as fitted to simulated patients; beside the
  largest diameter. Truth stands in for the detector: every nodule of the readers, with one score.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold

from classification.bags.fitting import fit_bag
from classification.bags.interface import Bag, BagInputs, BagKind
from classification.classifier import load_classifier
from classification.labels import lidc_diagnosis
from classification.metrics.estimates import auc_bootstrap
from classification.metrics.reliability import bin_edges
from classification.network import NoduleNetwork, NoduleOutputs
from classification.train import load_samples
from classification.training.engine import answers
from classification.training.samples import Samples, folds_of, join
from classification.training.settings import TrainSettings
from classification.training.simulated_patients import Bags, draw_bags
from phantom.risk import best_auc
from runs.bootstrap import Array, Floats, bootstrap_estimate, resample
from runs.entry import compose_settings
from runs.seeds import seed_of
from runs.training.run_folder import WEIGHTS
from runs.training.weights import load_weights
from runs.writing import write_json

# Raised when there is another way to draw or to count.
BENCH_VERSION = 1
KINDS = ("leaky_noisy_or", "noisy_or", "maximum", "attention", "top_k_logistic")
# Of no training.
SEED = 1016
SCORE = 0.9
OUTER, INNER, REPEATS = 5, 3, 3
CHOICES = tuple(itertools.product((1, 3, 5), (1e-2, 1e-1)))
BINS = 10


def main() -> None:
    """Print both tables; write the figures when asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bags", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a classification.train, with its folds")
    parser.add_argument("--experiment", default="nodule_mil", help="that it was made by")
    parser.add_argument("--patients", type=int, default=400, help="simulated ones")
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument("--out", type=Path, help="json of all figures")
    args = parser.parse_args()
    torch.set_num_threads(1)
    base = compose_settings(TrainSettings, "classification_train", [f"experiment={args.experiment}"])
    learnt, kept = load_samples(base)
    unseen, said = fold_answers(args.run, learnt, base), held_out_answers(args.run, kept)
    known = draw_bags(learnt, unseen, base.patients, base.inference.top_k, base.seed)
    asked = draw_bags(kept, said, replace(base.patients, bags=args.patients), base.inference.top_k, SEED)
    settings = {kind: compose_settings(TrainSettings, "classification_train", [f"bag={kind}"]).bag for kind in KINDS}
    bags = {kind: fit_bag(bag, known.inputs, known.label, base.seed)[0] for kind, bag in settings.items()}
    told: dict[str, Any] = {"bench": "bags", "version": BENCH_VERSION, "seed": SEED}
    told["simulated"] = simulated(bags, asked, args.bootstrap)
    if base.data.diagnosis is not None:
        samples, both = (
            join([learnt, kept]),
            NoduleOutputs(*(torch.cat(pair) for pair in zip(unseen, said, strict=True))),
        )
        patients = diagnosed(samples, both, base.data.diagnosis)
        told["lidc_diagnosis"] = lidc(bags, settings, *patients, args.bootstrap)
    if args.out:
        write_json(args.out, told)


def fold_answers(run: Path, learnt: Samples, settings: TrainSettings) -> NoduleOutputs:
    """For each example that was learnt from, of the network of the fold that it was left out of."""
    folds = folds_of(learnt, settings.data.split)
    parts, order = [], []
    for fold in np.unique(folds).tolist():
        state, _ = load_weights(run / "folds" / str(fold) / WEIGHTS, run)
        network = NoduleNetwork(settings.model.widths, settings.model.hidden)
        network.load_state_dict(state)
        parts.append(answers(network, learnt.at(folds == fold), settings.model))
        order.append(np.flatnonzero(folds == fold))
    back = torch.from_numpy(np.argsort(np.concatenate(order)))
    return NoduleOutputs(*(torch.cat(column)[back] for column in zip(*parts, strict=True)))


def held_out_answers(run: Path, kept: Samples) -> NoduleOutputs:
    """Of the run's last network."""
    classifier = load_classifier(run / WEIGHTS)
    return answers(classifier.network, kept, classifier.model)


def simulated(bags: Mapping[str, Bag], asked: Bags, repeats: int) -> dict[str, Any]:
    """AUC and calibration error of each bag over all draws of the labels, with intervals by patient."""
    truth = asked.label.double().numpy()
    best = best_auc(truth)
    print(f"{len(truth)} simulated patients, mean chance {truth.mean():.3f}, best possible AUC {best:.4f}")
    print(f"{'':16} {'AUC':>22} {'below the best':>24} {'calibration error':>24}")
    told: dict[str, Any] = {"n": len(truth), "mean_chance": float(truth.mean()), "best_auc": best}
    for kind, bag in bags.items():
        p = chances(bag, asked.inputs)
        edges = bin_edges(p, BINS, "equal_mass")
        found = with_intervals(lambda w, p=p, edges=edges: figures(truth, p, edges, w), len(truth), repeats)
        auc, lost, error = (_text(found[name]) for name in ("auc", "below_best", "calibration_error"))
        print(f"{kind:16} {auc:>22} {lost:>24} {error:>24}")
        told[kind] = found
    return told


def figures(truth: Floats, p: Floats, edges: Floats, weights: Floats) -> dict[str, float]:
    """Of one (re)sample of patients with weights (n,)."""
    own, best = expected_auc(truth, p, weights), expected_auc(truth, truth, weights)
    error = expected_calibration_error(truth, p, edges, weights)
    return {"auc": own, "below_best": best - own, "calibration_error": error}


def with_intervals(figure: Callable[[Floats], dict[str, float]], n: int, repeats: int) -> dict[str, dict[str, float]]:
    """Each figure of all patients, and its percentile interval over resamples of them."""

    def statistic(weights: Array) -> Mapping[str, Array]:
        rows = [figure(w) for w in weights]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    drawn, whole = resample(statistic, n, repeats, None, SEED), figure(np.ones(n))
    estimates = {name: bootstrap_estimate(value, drawn[name], n) for name, value in whole.items()}
    return {name: {"value": e.value, "low": e.low, "high": e.high} for name, e in estimates.items()}


def expected_auc(truth: Floats, score: Floats, weights: Floats) -> float:
    """Share of pairs, one with and one without cancer, that a score ranks rightly, over all draws of the labels.

    `phantom.risk.best_auc` is that of the chances themselves; nobody is paired with themselves.

    Args:
        truth: (n,) chances of cancer.
        score: (n,).
        weights: (n,) how often each patient counts.
    """
    order = np.argsort(score)
    s, ill, well = score[order], (weights * truth)[order], (weights * (1 - truth))[order]
    before = np.concatenate([[0.0], np.cumsum(well)])
    below, upto = (before[np.searchsorted(s, s, side=side)] for side in ("left", "right"))
    alone = float((weights * truth * (1 - truth)).sum())
    right = float((ill * (below + upto) / 2).sum()) - alone / 2
    return right / (float(ill.sum() * well.sum()) - alone)


def expected_calibration_error(truth: Floats, p: Floats, edges: Floats, weights: Floats) -> float:
    """Mean over the patients of |predicted - expected| of their bin."""
    place = np.searchsorted(edges[1:-1], p, side="left")
    off = np.bincount(place, weights * (p - truth), len(edges) - 1)
    return float(np.abs(off).sum() / weights.sum())


def diagnosed(samples: Samples, said: NoduleOutputs, diagnosis: Path) -> tuple[BagInputs, Array]:
    """The patients with nodules and a diagnosis: their nodules (B, K), and whether they had a cancer (B,)."""
    settings = lidc_diagnosis.LidcSettings(kind="lidc_diagnosis", metastases="cancer")
    known = lidc_diagnosis.read(diagnosis, settings)["cancer"].to_dict()
    own = [np.flatnonzero((samples.patients == p) & samples.rated) for p in sorted(known)]
    label = np.array([known[p] == "1" for p, rows in zip(sorted(known), own, strict=True) if len(rows)])
    own = [rows for rows in own if len(rows)]
    shape = (len(own), max(map(len, own)))
    where, present = np.zeros(shape, int), np.zeros(shape, bool)
    for b, rows in enumerate(own):
        where[b, : len(rows)], present[b, : len(rows)] = rows, True
    index = torch.from_numpy(where)
    diameter = torch.from_numpy(samples.diameter_mm)[index]
    score = torch.full(shape, SCORE)
    return BagInputs(said.nodule[index], said.malignancy[index], score, diameter, torch.from_numpy(present)), label


def lidc(
    bags: Mapping[str, Bag], settings: Mapping[str, BagKind], inputs: BagInputs, label: Array, repeats: int
) -> dict[str, Any]:
    """AUC of each bag beside the largest diameter on the same resamples."""
    largest = torch.where(inputs.present, inputs.diameter_mm, 0.0).amax(1).numpy()
    scores = {"largest diameter": largest}
    scores |= {f"{kind}, nested": nested(bag, inputs, label) for kind, bag in settings.items()}
    scores |= {f"{kind}, of simulated patients": chances(bag, inputs) for kind, bag in bags.items()}
    print(f"\n{len(label)} LIDC patients with nodules and a diagnosis, {label.sum()} malignant")
    print(f"{'':40} {'AUC':>22}")
    found = auc_bootstrap(label, scores, repeats)
    told: dict[str, Any] = {"n": len(label), "malignant": int(label.sum()), "nodules": int(inputs.present.sum())}
    for name, e in found.items():
        told[name] = {"value": e.value, "low": e.low, "high": e.high}
        print(f"{name:40} {_text(told[name]):>22}")
    return told | {"folds": [OUTER, INNER], "repeats": REPEATS, "choices": CHOICES}


def nested(settings: BagKind, inputs: BagInputs, label: Array) -> Floats:
    """(B,) mean logit of each patient over repeats, by bags that were neither fitted to them nor chosen by them."""
    total = np.zeros(len(label))
    for repeat in range(REPEATS):
        for others, own in _folds(OUTER, repeat, label):
            best = min(CHOICES, key=lambda c, o=others, r=repeat: inner_loss(_with(settings, *c), inputs, label, o, r))
            bag = _fitted(_with(settings, *best), inputs, label, others)
            p = np.clip(chances(bag, inputs.at(torch.from_numpy(own))), 1e-9, 1 - 1e-9)
            total[own] += np.log(p / (1 - p)) / REPEATS
    return total


def inner_loss(settings: BagKind, inputs: BagInputs, label: Array, rows: Array, repeat: int) -> float:
    """Mean log loss of the inner folds of some patients."""
    losses = []
    for others, own in _folds(INNER, repeat, label[rows]):
        bag = _fitted(settings, inputs, label, rows[others])
        p = np.clip(chances(bag, inputs.at(torch.from_numpy(rows[own]))), 1e-6, 1 - 1e-6)
        losses.append(-np.log(np.where(label[rows[own]], p, 1 - p)).mean())
    return float(np.mean(losses))


def chances(bag: Bag, inputs: BagInputs) -> Floats:
    """(B,) P of each patient."""
    with torch.inference_mode():
        p: Floats = -torch.expm1(bag.double()(inputs.double())).numpy()
    return p


def _fitted(settings: BagKind, inputs: BagInputs, label: Array, rows: Array) -> Bag:
    return fit_bag(settings, inputs.at(torch.from_numpy(rows)), torch.from_numpy(label[rows]).float(), 0)[0]


def _with(settings: BagKind, k: int, l2: float) -> BagKind:
    return replace(settings, k=k, l2=l2)  # type: ignore[type-var]


def _folds(count: int, repeat: int, label: Array) -> list[tuple[Array, Array]]:
    split = StratifiedKFold(count, shuffle=True, random_state=seed_of("benchmarks.bags", SEED, repeat, bits=32))
    return list(split.split(label, label))


def _text(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})"


if __name__ == "__main__":
    main()
