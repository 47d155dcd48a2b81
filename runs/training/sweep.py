"""A sweep by Optuna: a study in a SQLite file under `out`, which goes on where it was cut.

Every trial is a job with a folder of its own, numbered as in the study. A trial that was cut stands in the study as
running: it runs again with the same values in the same folder, where its training goes on. Each proposal depends on
the seed, the number of the trial and the trials that ended before it, so a sweep that was cut ends as one that was
not.

(hydra-optuna-sweeper 1.2 and 1.3 want Optuna 2, 1.4 wants Hydra 1.4; all number the jobs of every start from 0.)
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from runs.csv_text import write_csv
from runs.entry import UsageError, job_out
from runs.lock import held
from runs.seeds import seed_of
from runs.training.loop import ONLY_SPEED
from runs.training.run_folder import claim
from runs.training.sweep_settings import SweepSettings
from runs.writing import whole

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from runs.training.search_space import SearchSpace

log = logging.getLogger(__name__)

STUDY, TABLE, MULTIRUN = "study.db", "trials.csv", "multirun.yaml"


class Study:
    """Asks Optuna for values, has a launcher run them, tells Optuna what came.

    Args:
        settings: of the sweep.
        config: composed of everything that trials have in common.
        launcher: Hydra's, set up.
    """

    def __init__(self, settings: SweepSettings, config: DictConfig, launcher: Launcher) -> None:
        self.settings, self.config, self.launcher = settings, config, launcher
        self.out = Path(config.hydra.sweep.dir)

    def run(self, arguments: list[str], check: Callable[[Sequence[Sequence[str]]], None]) -> None:
        """Run what is left of the study, and leave `trials.csv`, the best trial first.

        Args:
            arguments: overrides of the command line.
            check: raises when the overrides of a job do not fit.

        Raises:
            UsageError: Optuna is not installed, there is nothing to search, or `out` holds another sweep or is
                another process's.
        """
        try:
            import optuna

            from runs.training.search_space import search_space
        except ModuleNotFoundError:
            raise UsageError("sweep=optuna needs optuna: pip install 'lungscreen[sweep]'") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        space = search_space(self.settings.params, arguments)
        check([space.overrides(space.first())])
        with held(self.out):
            self._run(space)

    def _run(self, space: SearchSpace) -> None:
        study = self._open(space)
        failed: list[Exception] = []
        while batch := self._next(study, space):
            for numbers in _neighbours(batch):
                failed += self._launch(study, space, {n: batch[n] for n in numbers})
            _write_table(study, space, self.out, self.settings)
            if len(failed) > self.settings.failures:
                raise failed[-1]
        _tell_best(study, space, self.out, self.settings)

    def _open(self, space: SearchSpace) -> optuna.Study:
        import optuna

        resume = bool(OmegaConf.select(self.config, "resume", default=True))
        claim(self.out, _identity(self.config, self.settings, space), resume)
        if not resume:
            (self.out / STUDY).unlink(missing_ok=True)
        OmegaConf.save(self.config, self.out / MULTIRUN)
        return optuna.create_study(
            study_name="sweep", storage=f"sqlite:///{(self.out / STUDY).resolve()}", direction=self.settings.direction,
            load_if_exists=True,
        )  # fmt: skip

    def _next(self, study: optuna.Study, space: SearchSpace) -> dict[int, dict[str, Any]]:
        """Values by the number of the trial: first those that were cut, then new ones, then none."""
        from optuna.trial import TrialState

        from runs.training.search_space import sampler_of

        cut = {t.number: t.params for t in study.get_trials(states=(TrialState.RUNNING,))}
        for number in [n for n, values in cut.items() if values.keys() != space.distributions.keys()]:
            # Cut while it was proposed.
            study.tell(number, state=TrialState.FAIL)
            del cut[number]
        if cut:
            return dict(itertools.islice(cut.items(), self.settings.at_once))
        done = len(study.get_trials(deepcopy=False))
        asked = {}
        for number in range(done, min(done + self.settings.at_once, self.settings.trials)):
            seed = seed_of("runs.sweep", self.settings.seed, number, bits=32)
            study.sampler = sampler_of(seed, self.settings.startup, self.settings.at_once > 1)
            trial = study.ask(dict(space.distributions))
            asked[trial.number] = trial.params
        return asked

    def _launch(
        self, study: optuna.Study, space: SearchSpace, batch: Mapping[int, Mapping[str, Any]]
    ) -> list[Exception]:
        """Run trials whose numbers follow each other, and tell the study; what the failed ones raised."""
        from optuna.trial import TrialState

        overrides = [space.overrides(values) for values in batch.values()]
        failed = []
        for number, job in zip(batch, self.launcher.launch(overrides, initial_job_idx=min(batch)), strict=True):
            try:
                value = _objective(job, self.settings.objective)
            except UsageError:
                raise
            except Exception as error:
                # One set of values may break a training, as a learning rate does that is too high.
                study.tell(number, state=TrialState.FAIL)
                log.warning("trial %d failed: %s: %s", number, type(error).__name__, error)
                failed.append(error)
                continue
            study.tell(number, value)
            log.info("trial %d of %d: %s=%g", number, self.settings.trials, self.settings.objective, value)
        return failed


def _objective(job: JobReturn, name: str) -> float:
    figures = job.return_value
    if not isinstance(figures, Mapping) or name not in figures:
        there = ", ".join(sorted(figures)) if isinstance(figures, Mapping) else "none"
        raise UsageError(f"hydra.sweeper.objective={name} is no figure of this command; it has {there}")
    value = float(figures[name])
    if value != value:
        raise FloatingPointError(f"{name} is not a number")
    return value


def _neighbours(numbers: Iterable[int]) -> Iterator[list[int]]:
    """Runs of numbers that follow each other: a launcher counts upwards from the first one."""
    for _, run in itertools.groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
        yield [number for _, number in run]


def _identity(config: DictConfig, settings: SweepSettings, space: SearchSpace) -> dict[str, Any]:
    """What makes a study one study: what is searched, how it is judged, and all that stays the same in its trials."""
    without = ("hydra", "experiment", "out", "resume", "logger")
    shared = OmegaConf.masked_copy(config, [str(key) for key in config if key not in without])
    values = OmegaConf.to_container(shared, resolve=True)
    assert isinstance(values, dict)
    kept: dict[str, Any] = {str(key): value for key, value in values.items()}
    if isinstance(kept.get("trainer"), dict):
        kept["trainer"] = {k: v for k, v in kept["trainer"].items() if k not in ONLY_SPEED}
    judged = {name: getattr(settings, name) for name in ("objective", "direction", "startup", "seed")}
    return {**kept, "hydra.sweeper": {**judged, "params": dict(space.texts)}}


def _ranked(study: optuna.Study, settings: SweepSettings) -> list[FrozenTrial]:
    """The best first; those without a value last, by number."""
    sign = 1 if settings.direction == "minimize" else -1
    trials = study.get_trials(deepcopy=False)
    return sorted(trials, key=lambda t: (t.value is None, sign * (t.value or 0.0), t.number))


def _write_table(study: optuna.Study, space: SearchSpace, out: Path, settings: SweepSettings) -> None:
    rows = []
    for trial in _ranked(study, settings):
        values = {key: trial.params.get(key) for key in space.distributions}
        folder = _folder(trial, space) if None not in values.values() else ""
        rows.append({
            "trial": trial.number, "state": trial.state.name.lower(), settings.objective: trial.value, **values,
            "folder": folder,
        })  # fmt: skip
    with whole(out / TABLE) as part:
        write_csv(part, pd.DataFrame(rows))


def _folder(trial: FrozenTrial, space: SearchSpace) -> str:
    return job_out(Path(), trial.number, space.swept(trial.params)).name


def _tell_best(study: optuna.Study, space: SearchSpace, out: Path, settings: SweepSettings) -> None:
    best = _ranked(study, settings)[0]
    if best.value is None:
        raise UsageError(f"no trial of the sweep in '{out}' ended well: see {TABLE} there")
    log.info("best: trial %d, %s=%g, in %s", best.number, settings.objective, best.value, out / _folder(best, space))
