"""What a number of the settings must be, and the sentence when it is not."""

from __future__ import annotations

from runs.entry import UsageError


def at_least(name: str, value: float, least: float) -> None:
    """Refuse a smaller value, by the name of its option."""
    if not value >= least:
        raise UsageError(f"{name} must be at least {least}, got {value}")


def above(name: str, value: float, bound: float) -> None:
    """Refuse a value that is not above `bound`, by the name of its option."""
    if not value > bound:
        raise UsageError(f"{name} must be above {bound}, got {value}")


def between(name: str, value: float, least: float, most: float) -> None:
    """Refuse a value outside of [least, most], by the name of its option."""
    if not least <= value <= most:
        raise UsageError(f"{name} must be between {least} and {most}, got {value}")


def multiple_of(name: str, value: int, step: int) -> None:
    """Refuse what is not a positive multiple, by the name of its option."""
    if value < step or value % step:
        raise UsageError(f"{name} must be a multiple of {step}, got {value}")
