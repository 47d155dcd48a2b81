"""What the report says of one nodule beside its place: its measurements, and attributes that are no ratings."""

from __future__ import annotations

import math
from collections.abc import Mapping

from classification.assessment import NoduleAssessment
from classification.measuring.place import FARTHEST_MM
from classification.network import RATING_SCALES
from lungscreen.report.wording import fixed, percent

Measured = Mapping[str, float | str]

# Doubling in over ten years is none.
NO_GROWTH_DAYS = 3650.0


def facts(nodule: NoduleAssessment) -> tuple[tuple[str, str], ...]:
    """(name, value) pairs in the order in which they are read; what was not measured is left out."""
    return (*_measured(nodule.measurements), *_attributes(nodule.attributes))


def _measured(measured: Measured) -> list[tuple[str, str]]:
    found = []
    if "long_axis_mm" in measured:
        axes = f"{_number(measured, 'long_axis_mm', 1)} × {_number(measured, 'short_axis_mm', 1)} mm"
        found.append(("Long × short axis, axial", f"{axes}, mean {_number(measured, 'mean_diameter_mm', 1)} mm"))
    if "type" in measured:
        found.append(("Type", str(measured["type"]).replace("-", " ")))
    if "hu_mean" in measured:
        found.append(("Density", f"{_number(measured, 'hu_mean', 0)} ± {_number(measured, 'hu_sd', 0)} HU"))
    if "solid_diameter_mm" in measured:
        found.append(("Solid part", f"mean {_number(measured, 'solid_diameter_mm', 1)} mm"))
    if measured.get("calcification_pattern", "none") != "none":
        found.append(("Calcification", str(measured["calcification_pattern"])))
    if "pleura_mm" in measured:
        found.append(("To the pleura", _distance(float(measured["pleura_mm"]))))
    return [*found, *_since(measured), *_guidelines(measured)]


def _since(measured: Measured) -> list[tuple[str, str]]:
    """What became of it since an earlier scan."""
    if "change" not in measured:
        return []
    if measured["change"] == "new":
        return [("Since the earlier scan", "new: not found there")]
    was = f"mean {_number(measured, 'prior_mean_diameter_mm', 1)} mm, {_number(measured, 'prior_volume_mm3', 0)} mm³"
    found = [("Since the earlier scan", f"{measured['change']}; it was {was}")]
    if "doubling_days" in measured:
        low, high = (_days(float(measured[f"doubling_days_{end}"])) for end in ("low", "high"))
        days = float(measured["doubling_days"])
        words = f"{_days(days)} ({low} to {high})" if days > 0 else f"does not grow (at the fastest {low})"
        found.append(("Volume doubling time", words))
    return found


def _days(days: float) -> str:
    return f"{days:.0f} days" if math.isfinite(days) and days < NO_GROWTH_DAYS else "no growth"


def _guidelines(measured: Measured) -> list[tuple[str, str]]:
    seen = "compared with the earlier CT" if "change" in measured else "as a first CT"
    found = [("Lung-RADS v2022", f"{measured['lung_rads']} ({seen})")] if "lung_rads" in measured else []
    for model in ("1b", "2b"):
        if f"brock_{model}" in measured:
            found.append((f"Brock model {model}", percent(float(measured[f"brock_{model}"]))))
    return found


def _distance(mm: float) -> str:
    if mm >= FARTHEST_MM:
        return f"over {FARTHEST_MM:.0f} mm"
    return "touches it" if mm < 1 else f"{mm:.0f} mm"


def _attributes(attributes: Mapping[str, float]) -> list[tuple[str, str]]:
    known = {"nodule_probability": lambda v: ("Chance it is a nodule", percent(v))}
    plain = [(k, v) for k, v in attributes.items() if k not in RATING_SCALES]
    return [known[k](v) if k in known else (k.replace("_", " ").capitalize(), fixed(v, 2)) for k, v in plain]


def _number(measured: Measured, name: str, digits: int) -> str:
    return fixed(float(measured[name]), digits)
