"""What a training leaves in `out`, and whether it may go on there.

`settings.json` says which run the folder belongs to. A run with other settings is refused by the key that differs,
so that a checkpoint never goes on under a name that it does not deserve; a finished run is never written again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runs.entry import UsageError
from runs.training.card import commit
from runs.writing import whole, write_json

SETTINGS = "settings.json"
WEIGHTS = "weights.safetensors"
CHECKPOINTS = "checkpoints"
CURVES = "curves.csv"
CURVES_PICTURE = "curves.png"
MLFLOW_RUN = "mlflow_run.txt"
SERIES = "seriesuids.csv"
_OURS = (SETTINGS, WEIGHTS, "weights.json", CHECKPOINTS, CURVES, CURVES_PICTURE, MLFLOW_RUN, SERIES)


def claim(out: Path, settings: Mapping[str, Any], resume: bool) -> None:
    """Make `out` the folder of the run with these settings.

    Args:
        out: missing, empty, or of an earlier run.
        settings: everything that decides what the weights become; what only decides how fast is not in it.
        resume: go on with what is there; False deletes an earlier run's files and begins again.

    Raises:
        UsageError: `out` holds a run with other settings, or checkpoints without their settings.
    """
    commit()
    wanted = json.loads(json.dumps(settings, default=str))
    if not resume:
        _clear(out)
    out.mkdir(parents=True, exist_ok=True)
    stated = out / SETTINGS
    if stated.is_file():
        _compare(out, json.loads(stated.read_text(encoding="utf-8")), wanted)
        return
    if (out / CHECKPOINTS).exists() or (out / WEIGHTS).exists():
        raise UsageError(
            f"'{out}' holds a training without {SETTINGS}: choose another out, or resume=false to replace it"
        )
    write_json(stated, wanted)


def claim_series(out: Path, uids: Sequence[str]) -> None:
    """Note what a run learns from, one uid a line; a run that goes on must be given the same, or it is another.

    Raises:
        UsageError: the run in `out` began with other series.
    """
    stated = out / SERIES
    if not stated.is_file():
        with whole(stated) as part:
            part.write_text("".join(f"{uid}\n" for uid in uids), encoding="utf-8")
        return
    before = stated.read_text(encoding="utf-8").splitlines()
    if before != list(uids):
        other = sorted(set(before) ^ set(uids)) or ["none, but the order"]
        raise UsageError(
            f"'{out}' holds a training on {len(before)} series, this start has {len(uids)}; {len(other)} differ, such "
            f"as {other[0]}: bring them back, choose another out, or resume=false to begin again"
        )


def finished(out: Path) -> Path | None:
    """The weights that the run left behind when it ended; None when it did not."""
    weights = out / WEIGHTS
    return weights if weights.is_file() and weights.with_suffix(".json").is_file() else None


def last_checkpoint(out: Path) -> Path | None:
    """Where a run that was cut goes on."""
    last = out / CHECKPOINTS / "last.ckpt"
    return last if last.is_file() else None


def _clear(out: Path) -> None:
    for name in _OURS:
        path = out / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _compare(out: Path, found: Any, wanted: Any) -> None:
    before, now = dict(flat(found)), dict(flat(wanted))
    for key in sorted({*before, *now}):
        old, new = before.get(key, "absent"), now.get(key, "absent")
        if old != new:
            raise UsageError(
                f"'{out}' holds a training with {key}={_short(old)}, this one has {key}={_short(new)}: "
                "choose another out, or resume=false to begin again"
            )


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings by their dotted names."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
