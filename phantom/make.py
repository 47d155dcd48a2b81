"""`python -m phantom.make out=DIR patients=N seed=S`: a cohort of simulated patients as DICOM, with its truth."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import joblib
import numpy as np
import pandas as pd
from omegaconf import MISSING
from tqdm import tqdm

from phantom.acquisition import outside_circle
from phantom.chest import Chest, ChestSettings, simulate_chest
from phantom.dicom_writer import Series, hashed_uid, write_series
from phantom.lesions import library
from phantom.risk import ENRICHMENT, RISK_WITHOUT_NODULES, best_auc, nodule_risks, patient_risk
from preprocessing.annotations import Nodule, write_annotations
from preprocessing.lidc.reading import RATINGS
from preprocessing.splits import SplitSettings
from runs.csv_text import write_csv
from runs.entry import UsageError, run
from runs.seeds import stream
from runs.writing import write_json

log = logging.getLogger(__name__)

MOST_WORKERS = 2
DEFAULT_CHEST = ChestSettings()
# Raised when the same settings begin to give other bytes: an older cohort is then not continued.
RECIPE_VERSION = 3
# Whose outlines the nodules have, and that side of the split as `library` takes it.
OUTLINES: dict[str, tuple[SplitSettings | None, bool]] = {
    "held_out": (SplitSettings(), True),
    "training": (SplitSettings(), False),
    "all": (None, False),
}
LAW = (
    "PanCan model 2b (McWilliams et al., NEJM 2013) on the ratings of each nodule, log odds + enrichment; "
    "patient 1 - (1 - leak) * prod(1 - p); label Bernoulli(p)"
)


@dataclass(frozen=True)
class CohortSettings:
    """What `phantom.make` takes.

    Attributes:
        out: folder for the cohort; made if missing.
        patients: how many.
        seed: patient i depends on this and i only.
        workers: processes, 1 or 2.
        enrichment: added to the log odds of every nodule's risk.
        outlines: of which patients the nodules have their outlines: held_out (the default: cohorts are measured on),
            training or all, by `preprocessing.splits`.
        chest: what the scans are like.
    """

    out: Path = MISSING
    patients: int = 8
    seed: int = 0
    workers: int = MOST_WORKERS
    enrichment: float = ENRICHMENT
    outlines: str = "held_out"
    chest: ChestSettings = field(default_factory=ChestSettings)


def make_cohort(
    out: Path,
    patients: int,
    seed: int,
    chest: ChestSettings = DEFAULT_CHEST,
    enrichment: float = ENRICHMENT,
    workers: int = MOST_WORKERS,
    outlines: str = "held_out",
) -> Path:
    """Write `dicom/`, `annotations.csv`, `labels.csv`, `nodules.csv` and `cohort.json` under `out`.

    Patients that are there already are kept, so a killed run goes on where it stopped, and a cohort can grow. The
    same settings give the same bytes, whatever the number of workers.

    Args:
        out: folder of the cohort: missing, empty or of an earlier run with the same settings.
        patients: how many.
        seed: patient i depends on this and i only.
        chest: what the scans are like.
        enrichment: added to the log odds of every nodule's risk.
        workers: processes, 1 or 2.
        outlines: a key of `OUTLINES`.

    Returns:
        out.

    Raises:
        UsageError: for numbers out of range, and for an `out` that holds something else.
    """
    if patients < 1 or seed < 0 or not 1 <= workers <= MOST_WORKERS:
        raise UsageError(
            f"patients must be at least 1, seed at least 0 and workers 1 to {MOST_WORKERS}; "
            f"got {patients}, {seed} and {workers}"
        )
    if outlines not in OUTLINES:
        raise ValueError(f"outlines must be one of {', '.join(OUTLINES)}; got '{outlines}'")
    recipe = _recipe(seed, chest, enrichment, outlines)
    _check(out, patients, recipe)
    missing = [i for i in range(patients) if not _is_complete(out, i)]
    if missing:
        work = partial(make_patient, out, seed, chest, enrichment, outlines)
        for _ in tqdm(_each(work, missing, workers), total=len(missing), desc="phantoms", file=sys.stderr):
            pass
    shutil.rmtree(out / "part", ignore_errors=True)
    _summarise(out, [_read_truth(out, i) for i in range(patients)], recipe)
    return out


def make_patient(out: Path, seed: int, chest: ChestSettings, enrichment: float, outlines: str, index: int) -> None:
    """Simulate and write one patient under `out`; whole or not at all."""
    patient, key = patient_name(index), f"phantom/{seed}/{index}"
    made = simulate_chest(
        stream("phantom.cohort.scan", seed, index),
        chest,
        series_uid=hashed_uid(key, "series"),
        shapes=library(*OUTLINES[outlines]),
    )
    rng = stream("phantom.cohort.label", seed, index)
    risks = nodule_risks(made.nodules, made.upper, enrichment)
    probability = patient_risk(risks)
    truth = {
        "patient_id": patient,
        "recipe": _recipe(seed, chest, enrichment, outlines),
        "seriesuid": made.volume.series_uid,
        "probability": probability,
        "cancer": int(rng.random() < probability),
        "nodules": [_row(n, risk, high) for n, risk, high in zip(made.nodules, risks, made.upper, strict=True)],
    }
    part = out / "part" / patient
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    _write(made, part, patient, key, rng)
    write_json(_truth_path(out, index), truth)
    final = out / "dicom" / patient
    shutil.rmtree(final, ignore_errors=True)
    final.parent.mkdir(exist_ok=True)
    part.rename(final)


def patient_name(index: int) -> str:
    """PatientID of patient `index` (from 0)."""
    return f"PHANTOM-{index + 1:04d}"


def _recipe(seed: int, chest: ChestSettings, enrichment: float, outlines: str) -> dict[str, Any]:
    split, _ = OUTLINES[outlines]
    return {
        "version": RECIPE_VERSION,
        "seed": seed,
        "enrichment": enrichment,
        "outlines": outlines,
        "split": None if split is None else split.describe(),
        "chest": asdict(chest),
    }


def _write(made: Chest, folder: Path, patient: str, key: str, rng: np.random.Generator) -> None:
    """Half of the round fields of view are padded as scanners of one maker do; other pixels are signed or not."""
    protocol = made.protocol
    signed, pads = rng.random(2) < 0.5
    padding = outside_circle(protocol) if pads else None
    series = Series(
        patient_id=patient,
        key=key,
        thickness_mm=protocol.thickness_mm,
        kernel=protocol.kernel.name,
        kvp=int(rng.choice([100, 120, 140])),
        contrast=protocol.blood_hu > 60,
        signed=bool(signed) or padding is not None,
    )
    write_series(made.volume, folder, series, padding)


def _row(nodule: Nodule, risk: float, upper: bool) -> dict[str, Any]:
    return {
        "seriesuid": nodule.series_uid,
        "center_mm": [round(v, 6) for v in nodule.center_mm],
        "diameter_mm": round(nodule.diameter_mm, 6),
        "ratings": {name: nodule.ratings[name] for name in RATINGS},
        "upper_lobe": upper,
        "risk": risk,
    }


def _each(work: partial[None], indices: list[int], workers: int) -> Iterator[None]:
    """Worker processes of joblib import this package only, not the program that was started."""
    pool = joblib.Parallel(n_jobs=min(workers, len(indices)), return_as="generator")
    yield from pool(joblib.delayed(work)(index) for index in indices)


def _check(out: Path, patients: int, recipe: dict[str, Any]) -> None:
    """Refuse an `out` with other things in it, and make the folders."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"out must be a folder, got a file: {out}")
    found = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    if found and "truth" not in found:
        raise UsageError(f"out must be empty, missing or an earlier cohort; {out} holds {found[:3]}")
    (out / "truth").mkdir(parents=True, exist_ok=True)
    known = {_truth_path(out, i).name for i in range(patients)}
    for path in sorted((out / "truth").glob("*.json")):
        if path.name not in known:
            raise UsageError(f"out holds more than the {patients} patients asked for; choose another folder: {out}")
        if json.loads(path.read_text(encoding="utf-8"))["recipe"] != recipe:
            raise UsageError(
                f"out holds a cohort of another seed, other settings or an older version; choose another folder: {out}"
            )


def _is_complete(out: Path, index: int) -> bool:
    """The DICOM folder is put in place last, by one rename."""
    return (out / "dicom" / patient_name(index)).is_dir() and _truth_path(out, index).is_file()


def _truth_path(out: Path, index: int) -> Path:
    return out / "truth" / f"{patient_name(index)}.json"


def _read_truth(out: Path, index: int) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(_truth_path(out, index).read_text(encoding="utf-8")))


def _summarise(out: Path, truths: list[dict[str, Any]], recipe: dict[str, Any]) -> None:
    rows = [(t["patient_id"], n) for t in truths for n in t["nodules"]]
    write_annotations(
        out / "annotations.csv", (Nodule(n["seriesuid"], tuple(n["center_mm"]), n["diameter_mm"]) for _, n in rows)
    )
    labels = pd.DataFrame([(t["patient_id"], t["cancer"]) for t in truths], columns=["id", "cancer"])
    write_csv(out / "labels.csv", labels)
    write_csv(out / "nodules.csv", _nodule_table(rows), float_format="%.6f")
    probabilities = [t["probability"] for t in truths]
    best = best_auc(probabilities)
    summary = {
        "patients": len(truths),
        "nodules": len(rows),
        **recipe,
        "law": LAW,
        "leak": RISK_WITHOUT_NODULES,
        "best_auc": None if np.isnan(best) else round(best, 6),
        "expected_prevalence": round(float(np.mean(probabilities)), 6),
        "prevalence": round(float(labels["cancer"].mean()), 6),
        "probabilities": {t["patient_id"]: round(t["probability"], 6) for t in truths},
    }
    write_json(out / "cohort.json", summary)


def _nodule_table(rows: Iterable[tuple[str, dict[str, Any]]]) -> pd.DataFrame:
    columns = ["patient_id", "seriesuid", "coordX", "coordY", "coordZ", "diameter_mm", *RATINGS, "upper_lobe", "risk"]
    table = [
        (p, n["seriesuid"], *n["center_mm"], n["diameter_mm"], *n["ratings"].values(), int(n["upper_lobe"]), n["risk"])
        for p, n in rows
    ]
    return pd.DataFrame(table, columns=columns)


def _task(settings: CohortSettings) -> None:
    out = settings.out
    make_cohort(
        out,
        settings.patients,
        settings.seed,
        settings.chest,
        settings.enrichment,
        settings.workers,
        settings.outlines,
    )
    log.info("phantom cohort written to %s", out)


def main() -> None:
    """Entry point."""
    run(_task, CohortSettings, "phantom")


if __name__ == "__main__":
    main()
