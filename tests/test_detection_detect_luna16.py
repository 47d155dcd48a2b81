"""LUNA16 as it is unpacked, lung masks and all, goes in; what comes out is a submission that the evaluation takes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from detection.detect import DetectSettings, detect
from detection.evaluate import EvaluateSettings, evaluate
from detection.froc.guards import Guard
from tests.collections import write_labels, write_luna16
from tests.weights import tiny_detector


def test_the_whole_folder_in_one_submission(tmp_path: Path) -> None:
    luna, out = tmp_path / "LUNA16", tmp_path / "out"
    uids = write_luna16(luna, {0: 1, 1: 1})
    for uid in uids:
        write_labels(luna / "seg-lungs-LUNA16" / f"{uid}.mhd", packed=True)
    assert detect(DetectSettings(input=luna, out=out, weights=tiny_detector(tmp_path), key_images=0, cache=False)) == 0
    scans = pd.read_csv(out / "scans.csv", keep_default_na=False)
    assert dict(zip(scans["seriesuid"], scans["reason"], strict=True)) == {
        **dict.fromkeys(uids, ""),
        **{f"seg-lungs-LUNA16_{uid}.mhd": "label_map" for uid in uids},
    }
    report = evaluate(
        EvaluateSettings(
            candidates=out / "candidates.csv",
            annotations=luna / "annotations.csv",
            excluded=luna / "annotations_excluded.csv",
            seriesuids=out / "scans.csv",
            # An untrained network need not find anything.
            allow=(Guard.NO_NODULE_HIT, Guard.COORDINATES_VOXEL),
            bootstraps=0,
        )
    )
    assert report.scored.matched.n_scans == len(uids)
    assert len(pd.read_csv(out / "candidates.csv")) > 0
