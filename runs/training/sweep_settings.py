"""The type of a sweep's settings, apart from the sweep itself: Hydra reads this one at every start."""

from __future__ import annotations

from dataclasses import dataclass, field

from runs.checks import at_least
from runs.entry import UsageError

DIRECTIONS = ("minimize", "maximize")


@dataclass(frozen=True)
class SweepSettings:
    """How settings are searched (`sweep=optuna`, keys `hydra.sweeper...`).

    Attributes:
        objective: the figure that trials are judged by, among those that the command returns.
        direction: minimize or maximize.
        trials: of the study, whatever the number of starts.
        at_once: trials that the launcher is given together.
        startup: random trials before Optuna learns from those that ended.
        failures: so many trials may fail in one start; the next one ends it.
        seed: of the proposals.
        params: what is searched: key to sweep, as on the command line, whose own keys come on top.
    """

    objective: str
    direction: str
    trials: int
    at_once: int
    startup: int
    failures: int
    seed: int
    params: dict[str, str] = field(default_factory=dict)
    _target_: str = "hydra_plugins.lungscreen.OptunaSweeper"

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise UsageError(f"hydra.sweeper.direction must be {' or '.join(DIRECTIONS)}, got {self.direction!r}")
        for name in ("trials", "at_once", "startup"):
            at_least(f"hydra.sweeper.{name}", getattr(self, name), 1)
        at_least("hydra.sweeper.failures", self.failures, 0)
