"""`sweep=optuna` as Hydra finds it: it takes sweepers from this package alone and imports all of it at every start.

So nothing heavy is imported here; the work is done by `runs.training.sweep`.
"""

from __future__ import annotations

from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from runs.entry import register_schema
from runs.training.sweep_settings import SweepSettings

register_schema(SweepSettings, "optuna", group="hydra/sweeper")


class OptunaSweeper(Sweeper):
    """Hydra's side of a sweep by Optuna."""

    def __init__(self, **_: Any) -> None:
        """`setup` reads the settings, with their types, out of the whole configuration."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra's; called before `sweep`."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            config=config, hydra_context=hydra_context, task_function=task_function
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the sweep of these overrides."""
        from runs.training.sweep import Study

        assert self.config is not None
        assert self.launcher is not None
        settings = OmegaConf.to_object(self.config.hydra.sweeper)
        assert isinstance(settings, SweepSettings)
        Study(settings, self.config, self.launcher).run(arguments, self.validate_batch_is_legal)
