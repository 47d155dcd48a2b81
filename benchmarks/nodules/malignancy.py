"""`python -m benchmarks.nodules.malignancy`: how far measurements alone tell what LIDC's readers found suspicious.

747 nodules of `lidc_nodules`, rated 4-5 against 1-2, five folds of whole patients. Logistic regressions of what
`classification.measurements` measures from the readers' centre and diameter; nothing is chosen on the folds. This is
what a network has to beat. Intervals: 1,000 bootstraps by patient. The rank correlation is over all nodules, those
rated 3 included.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.nodules.outlines import Drawn, boxes, outlined
from classification.measuring.axes import axes_of
from classification.measuring.density import density_of
from classification.training.figures import auc_figure
from preprocessing.geometry import Geometry
from preprocessing.lidc.nodule_folder import read_nodule_folder
from runs.seeds import seed_of

FOLDS = 5
SIZE = ("log_diameter",)
DENSITY = ("hu_mean", "hu_sd", "solid_share")
SHAPE = ("log_mean_diameter", "log_long_by_short", "log_volume")
MODELS = {
    "diameter": SIZE,
    "diameter and HU": (*SIZE, *DENSITY),
    "all that is measured": (*SHAPE, *DENSITY, "calcified"),
}
Floats = npt.NDArray[np.float64]


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nodules.malignancy", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    folder = parser.parse_args().data / "lidc_nodules"
    rating = np.array([n.ratings["malignancy"] for n in read_nodule_folder(folder, ("malignancy",))])
    nodules = list(boxes(folder))
    measured = [features(nodule, index) for index, nodule in enumerate(nodules)]
    patients = np.array([n.patient for n in nodules])
    clear = rating != 3
    scores: dict[str, Floats] = {"diameter alone": np.array([n.diameter_mm for n in nodules])}
    for name, columns in MODELS.items():
        x = np.array([[m[c] for c in columns] for m in measured])
        scores[name] = cross_validated(x, rating, clear, patients)
    clear_scores: dict[str, npt.NDArray[Any]] = {name: score[clear] for name, score in scores.items()}
    figure = auc_figure(rating[clear] > 3, clear_scores, patients[clear], 1000)
    print(f"{figure['n']} nodules rated 4-5 ({figure['positive']}) or 1-2, {figure['patients']} patients")
    for name, score in scores.items():
        auc = figure[name]
        rank = spearmanr(score, rating).statistic
        print(f"  {name:22} AUC {auc['auc']:.3f} ({auc['low']:.3f}-{auc['high']:.3f}), rank correlation {rank:.3f}")


def features(nodule: Drawn, index: int) -> dict[str, float]:
    """What is measured of one nodule."""
    found = outlined(nodule, jitter=False, index=index)
    axes = axes_of(found, Geometry(nodule.hu.shape, (1, 1, 1), (0, 0, 0), np.eye(3)))
    density = density_of(found, nodule.hu)
    return {
        "log_diameter": float(np.log(nodule.diameter_mm)),
        "log_mean_diameter": float(np.log(axes.mean_diameter_mm)),
        "log_long_by_short": float(np.log(axes.long_mm / axes.short_mm)),
        "log_volume": float(np.log(found.volume_mm3)),
        "hu_mean": density.mean_hu,
        "hu_sd": density.sd_hu,
        "solid_share": density.solid_share,
        "calcified": float(density.calcification != "none"),
    }


def cross_validated(x: Floats, rating: Floats, clear: npt.NDArray[np.bool_], patients: npt.NDArray[np.str_]) -> Floats:
    """Log odds (N,) of a rating of 4 or 5, each by a regression that saw clear nodules of other patients alone."""
    fold = np.array([seed_of(f"benchmarks.malignancy {p}") % FOLDS for p in patients.tolist()])
    scores = np.zeros(len(x))
    for held in range(FOLDS):
        learnt = (fold != held) & clear
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x[learnt], rating[learnt] > 3)
        scores[fold == held] = model.decision_function(x[fold == held])
    return scores


if __name__ == "__main__":
    main()
