"""A search by Optuna: what is tried next depends on what was found on validation. The test part is never looked at.

Points are asked for some at a time, so that they form one program; a point is judged by its mean over the grid (the
seeds, say). The study is a journal in the sweep's folder, so that a search that was stopped goes on.
"""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from recjax import configs, preparation
from recjax.errors import InputError
from recjax.sweeps import places, space
from recjax.sweeps.space import Draw, Space, Trial

JOURNAL = "search.log"


def check(config: configs.Config, parsed: Space) -> None:
    """Refuses a search that has nothing to choose, or nothing to choose by.

    Raises:
        InputError: Optuna is not installed, nothing is drawn, or the split has no validation part.
    """
    _optuna()
    if not parsed.draws:
        raise InputError(
            "--search chooses among random draws and nothing is drawn; type for example "
            "--sweep='optimizer.learning_rate=log_uniform(1e-4,1e-1)'"
        )
    if preparation.load(config)[1].validation is None:
        raise InputError(
            f"--search chooses by validation, which data.split={config.data.split!r} has not; take another"
        )


def run(
    folder: pathlib.Path,
    config: configs.Config,
    parsed: Space,
    draws: int,
    at_once: int,
    train: Callable[[Sequence[Trial], Sequence[Trial]], None],
) -> list[Trial]:
    """Asks, trains and tells until so many points were asked for, and gives all trials.

    Args:
        train: gets the trials so far and those of them that are new.
    """
    study = _study(folder)
    while True:
        running = [one.number for one in study.trials if not one.state.is_finished()]
        fresh = min(at_once - len(running), draws - len(study.trials))
        running += [_ask(study, parsed) for _ in range(fresh)]
        points = [{one.name: _text(trial.params[one.name]) for one in parsed.draws} for trial in study.trials]
        unlike = list({tuple(point.items()): point for point in points}.values())  # a small space has few points
        trials = space.numbered([point | grid for point in unlike for grid in parsed.grid()], config)
        if not running:
            return trials
        asked = [points[number] for number in running]
        train(trials, [trial for trial in trials if any(point.items() <= trial.overrides.items() for point in asked)])
        for number, point in zip(running, asked, strict=True):
            _tell(study, number, [trial for trial in trials if point.items() <= trial.overrides.items()], folder)


def _ask(study: Any, parsed: Space) -> int:
    """One more point. What is random about it hangs on its number alone, whenever the search began again."""
    study.sampler = _sampler(len(study.trials))
    return study.ask({one.name: _distribution(one) for one in parsed.draws}).number


def _text(value: Any) -> str:
    """What Optuna chose, as on the command line: numbers keep six digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _tell(study: Any, number: int, trials: Sequence[Trial], folder: pathlib.Path) -> None:
    found = [_value(places.result(folder, trial)) for trial in trials]
    known = [one for one in found if one is not None]
    if len(known) < len(found):  # the mean of those that survived would speak for the others
        study.tell(number, state=_optuna().trial.TrialState.FAIL)
    else:
        study.tell(number, float(np.mean(known)))


def _value(result: Mapping[str, Any] | None) -> float | None:
    metrics = (result or {}).get("metrics", {})
    return next((value for name, value in metrics.items() if name.startswith("validation_")), None)


def _study(folder: pathlib.Path) -> Any:
    optuna = _optuna()
    journal = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL))
    return optuna.create_study(
        storage=optuna.storages.JournalStorage(journal),
        study_name="sweep",
        sampler=_sampler(0),
        direction="maximize",
        load_if_exists=True,
    )


def _sampler(seed: int) -> Any:
    return _optuna().samplers.TPESampler(seed=seed, constant_liar=True)


def _distribution(draw: Draw) -> Any:
    distributions = _optuna().distributions
    if draw.kind == "choice":
        return distributions.CategoricalDistribution(draw.given)
    if draw.kind == "integers":
        return distributions.IntDistribution(*map(int, draw.given))
    return distributions.FloatDistribution(*map(float, draw.given), log=draw.kind == "log_uniform")


def _optuna() -> Any:
    try:
        import optuna  # noqa: PLC0415  an extra
    except ImportError:
        raise InputError("--search needs Optuna; type python3 -m pip install 'recjax[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
