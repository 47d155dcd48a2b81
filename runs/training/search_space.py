"""What a sweep searches: Hydra's sweep overrides as Optuna's distributions, and proposed values as overrides again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from runs.entry import UsageError


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """Overrides of a sweep, taken apart.

    Attributes:
        fixed: overrides that every trial gets, as they were typed.
        texts: what is searched, as it was typed, by key.
        distributions: the same as Optuna takes it.
    """

    fixed: tuple[str, ...]
    texts: Mapping[str, str]
    distributions: Mapping[str, BaseDistribution]

    def overrides(self, values: Mapping[str, Any]) -> list[str]:
        """Of one trial: the fixed ones and those of its values, always in the same order."""
        return [*self.fixed, *self.swept(values)]

    def swept(self, values: Mapping[str, Any]) -> list[str]:
        """Only what differs between trials."""
        return [f"{key}={values[key]}" for key in self.distributions]

    def first(self) -> dict[str, Any]:
        """Values of a trial that might be."""
        return {key: _lowest(distribution) for key, distribution in self.distributions.items()}


def search_space(params: Mapping[str, str], arguments: Sequence[str]) -> SearchSpace:
    """What is fixed and what is searched.

    `interval(a, b)` are numbers between two bounds, `int(interval(a, b))` whole ones, `tag(log, interval(a, b))` even
    over their logarithm; `x,y,z`, `choice(...)` and `range(...)` are choices without an order.

    Args:
        params: of the configuration, key to sweep.
        arguments: of the command line, which wins.

    Raises:
        UsageError: nothing is searched, or the folder is.
    """
    parser = OverridesParser.create()
    fixed: list[str] = []
    found: dict[str, Override] = {}
    for override in parser.parse_overrides([*(f"{key}={value}" for key, value in params.items()), *arguments]):
        key = override.get_key_element()
        found.pop(key, None)
        if override.is_sweep_override():
            found[key] = override
        else:
            fixed.append(str(override.input_line))
    if "out" in found:
        raise UsageError("out cannot be swept over with sweep=optuna: every trial has a folder of its own under it")
    if not found:
        raise UsageError("nothing to search: give a key several values, such as optimizer.lr=interval(1e-4,1e-2)")
    texts = {key: str(override.input_line).partition("=")[2] for key, override in found.items()}
    return SearchSpace(tuple(fixed), texts, {key: _distribution(override) for key, override in found.items()})


def _distribution(override: Override) -> BaseDistribution:
    value = override.value()
    if not isinstance(value, IntervalSweep):
        return CategoricalDistribution(list(dict.fromkeys(override.sweep_string_iterator())))
    low, high, log = value.start, value.end, "log" in value.tags
    assert low is not None
    assert high is not None
    if low > high or (log and low <= 0):
        raise UsageError(f"{override.input_line}: expected the lower bound first, and above 0 with tag(log, ...)")
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _lowest(distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low


def sampler_of(seed: int, startup: int, together: bool) -> optuna.samplers.BaseSampler:
    """Optuna's own, tree-structured Parzen estimators (Bergstra et al. 2011).

    Args:
        seed: of this trial's proposal: a sampler that goes on after a cut would otherwise draw again what it drew.
        startup: random trials before it learns from the earlier ones.
        together: whether several trials run at once, which then keep away from each other.
    """
    return optuna.samplers.TPESampler(n_startup_trials=startup, seed=seed, constant_liar=together)
