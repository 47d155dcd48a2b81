"""`python -m benchmarks.nodules.malignancy`: what is measured of a nodule against what LIDC's readers thought of it.

747 nodules of `lidc_nodules`, measured from the readers' centre and diameter; five folds of whole patients. The model
of readers (`classification.readers`) with the penalties of its configuration, beside the diameter and logistic
regressions of size, HU and calcium; gains are its AUC less theirs. Three things are taken for the readers' answer, see
`classification.readers.figures.sides`. Intervals: 95 %, 1,000 bootstraps by patient; of gains after DeLong, by
patient. What the model takes in was chosen on half of the patients, answers out of fold: the other half, and fold 0 of
the product's split, stand beside it.
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

from classification.metrics.delong import compare_auc_delong
from classification.readers.examples import Rated, read_rated
from classification.readers.figures import rating_figures, sides, suspicion_figures
from classification.readers.fit import out_of_fold
from classification.readers.model import INPUTS
from classification.readers.settings import ReadersSettings
from preprocessing.splits import SplitSettings
from runs.entry import compose_settings
from runs.seeds import seed_of

FOLDS = 5
DENSITY = ("hu_mean", "hu_sd", "solid_share")
SHAPE = ("log_mean_diameter", "log_long_by_short", "log_volume")
RIVALS = {"diameter and HU": ("log_diameter", *DENSITY), "size, HU and calcium": (*SHAPE, *DENSITY, "calcified")}
MODEL = "model of readers"
REPEATS = 1000
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nodules.malignancy", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    settings = compose_settings(ReadersSettings, "classification_readers")
    rated = read_rated(data / "lidc_nodules", data / "luna16/mhd_headers.csv", settings.within_mm)
    folds = np.array([seed_of(f"benchmarks.malignancy {p}") % FOLDS for p in rated.patients.tolist()])
    scores, ratings = scores_of(rated, folds, settings)
    for title, chosen in parts(rated).items():
        show(title, rated.at(chosen), {name: score[chosen] for name, score in scores.items()})
    print("rank correlation with the readers' mean, and of a reader with the others' mean")
    for name, value in rating_figures(rated, ratings).items():
        print(f"  {name:14} {value['model']:.3f}   {value['reader']:.3f}")


def scores_of(rated: Rated, folds: npt.NDArray[Any], settings: ReadersSettings) -> tuple[dict[str, Floats], Floats]:
    """Scores (N,) by name and ratings (N, 8), each of a model that has not seen the patient."""
    logits, ratings = out_of_fold(rated, folds, settings.fit)
    columns = dict(zip(INPUTS, rated.inputs.T, strict=True)) | {"log_diameter": np.log(rated.diameter_mm)}
    scores = {MODEL: logits, "diameter alone": rated.diameter_mm}
    for name, wanted in RIVALS.items():
        scores[name] = regression(np.stack([columns[c] for c in wanted], 1), rated.voted, folds)
    return scores, ratings


def parts(rated: Rated) -> dict[str, Bools]:
    """All nodules, those of patients that no choice looked at, and those that the shipped weights have not seen."""
    unseen = [seed_of(f"i16 development {p}") % 2 == 1 for p in rated.patients.tolist()]
    split = SplitSettings()
    held = [split.holds_out(p) for p in rated.patients.tolist()]
    return {
        "all": np.ones(len(rated), bool),
        "patients no choice looked at": np.array(unseen),
        "fold 0 of the split": np.array(held),
    }


def regression(x: Floats, voted: Floats, folds: npt.NDArray[Any]) -> Floats:
    """Log odds (N,) of a rating of 4 or 5, each by a regression that saw clear nodules of other patients alone."""
    scores = np.zeros(len(x))
    for held in np.unique(folds):
        learnt = (folds != held) & (voted != 3)
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x[learnt], voted[learnt] > 3)
        scores[folds == held] = model.decision_function(x[folds == held])
    return scores


def show(title: str, rated: Rated, scores: dict[str, Floats]) -> None:
    """AUC, gain of the model and rank correlation with the mean rating, those of 3 included."""
    figures = suspicion_figures(rated, scores, REPEATS)
    mean = rated.mean("malignancy")
    for answer, (counts, label) in sides(rated).items():
        figure = figures[answer]
        print(
            f"{title}, {answer}: {figure['n']} nodules, {figure['positive']} suspicious, {figure['patients']} patients"
        )
        for name, score in scores.items():
            auc, rank = figure[name], spearmanr(score, mean).statistic
            said = f"  {name:22} AUC {auc['auc']:.3f} ({auc['low']:.3f}-{auc['high']:.3f}), rank {rank:.3f}"
            if name != MODEL:
                values = [s[counts] for s in (scores[MODEL], score)]
                gain = compare_auc_delong(label[counts], *values, groups=rated.patients[counts])
                value = gain.difference
                said += f", gain {value.value:+.3f} ({value.low:+.3f} to {value.high:+.3f}), p {gain.p_value:.2g}"
            print(said)


if __name__ == "__main__":
    main()
