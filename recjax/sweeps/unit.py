"""The unit of work of a sweep: trials that share a program, from their configs to their run places."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import jax

from recjax import experiment, fit, folders, judging, preparation, runs
from recjax.clock import Clock
from recjax.errors import InputError
from recjax.preparation import Prepared
from recjax.sweeps import choice, memory, places, together
from recjax.sweeps.space import Trial


class Unit(NamedTuple):
    """Trials of one program."""

    experiment: str
    folder: pathlib.Path  # of the sweep
    trials: tuple[Trial, ...]
    way: str  # map: one after another; vmap: side by side; auto: whichever is measured faster
    gigabytes: float  # to be taken; 0: a share of what there is


def run(unit: Unit, watch: Callable[[float], None], prepared: Prepared | None = None) -> None:
    """Runs the trials; each leaves its run folder, whatever becomes of it.

    Args:
        watch: gets how many trials have ended; of trials side by side the parts that are done count.
        prepared: of the first trial, where it is already at hand; its state is not used.
    """
    budget, config, clock = memory.budget(unit.gigabytes), unit.trials[0].config, Clock()
    try:
        loaded = (prepared.dataset, prepared.split) if prepared else preparation.load(config)
        memory.refuse(config, memory.least(config, loaded[1].train), budget, "its parameters and its optimizer's state")
        prepared = idle(prepared or preparation.prepare(config, loaded))
        need = _need(prepared, clock)
        parts = f"data {need.data / 1e9:.3g}, state {need.state / 1e9:.3g}, temporary {need.temporary / 1e9:.3g}"
        memory.refuse(config, need.together(1), budget, f"in GB: {parts}")
    except InputError as error:
        for number, trial in enumerate(unit.trials, 1):
            _refuse(unit, trial, str(error))
            watch(number)
        return
    lanes = min(need.most(budget), len(unit.trials))
    way = unit.way if unit.way != "auto" else choice.faster(prepared, clock, lanes)
    clocks = [Clock(compile_s=0.0, relatedness_s=0.0, baselines_s=0.0) for _ in unit.trials]
    clocks[0].update(clock)  # the first trial pays for what all need
    if way == "vmap":
        _together(unit, prepared, clocks, watch, lanes)
    else:
        _in_turn(unit, prepared, clocks, watch)


def _in_turn(unit: Unit, prepared: Prepared, clocks: Sequence[Clock], watch: Callable[[float], None]) -> None:
    """Each trial through the same programs; one is judged and drawn, in a thread, while the next one trains."""
    with ThreadPoolExecutor(1) as thread:
        finishing: Future | None = None
        for number, (trial, clock) in enumerate(zip(unit.trials, clocks, strict=True)):
            opened, fitted = _open(unit, trial, _begun(prepared, trial), "map"), None
            with together.reported(opened):
                fitted = _train(opened, clock)
            if finishing:
                finishing.result()
                watch(number)
            finishing = thread.submit(_finish, opened, fitted, clock)
    watch(len(unit.trials))


def _together(
    unit: Unit, prepared: Prepared, clocks: Sequence[Clock], watch: Callable[[float], None], lanes: int
) -> None:
    """As many trials side by side as there are lanes, then the next ones."""
    for first in range(0, len(unit.trials), lanes):
        some, own = unit.trials[first : first + lanes], clocks[first : first + lanes]
        opened, stack = [], together.Stack(prepared.start.state, len(some))
        for lane, trial in enumerate(some):
            begun = _begun(prepared, trial)
            stack.put(lane, begun.start.state)
            run = _open(unit, trial, begun, "vmap")
            opened.append(run._replace(prepared=idle(run.prepared)))
        for share, number, fitted in together.fits(opened, stack, own):
            if number is not None:
                _finish(opened[number], fitted, own[number])
            watch(first + share * len(some))


def _train(opened: experiment.Run, clock: Clock) -> fit.Fit:
    """As a single run does, without its checkpoints: a trial that was stopped begins anew."""
    config, _, split, start = opened.prepared
    log = functools.partial(runs.append_line, opened.folder / folders.LINES)
    return fit.fit(config, start, split.validation, clock, log=log, echo=_silent, quiet=True)


def _finish(opened: experiment.Run, fitted: fit.Fit | None, clock: Clock) -> None:
    if fitted:
        with together.reported(opened):
            experiment.finish(opened, fitted, clock, _silent)


def idle(prepared: Prepared) -> Prepared:
    """Without the state, of which only the shapes are left."""
    shapes = jax.eval_shape(lambda state: state, prepared.start.state)
    return prepared._replace(start=prepared.start._replace(state=shapes))


def _begun(prepared: Prepared, trial: Trial) -> Prepared:
    knobs, key, state = prepared.start.begin(trial.config)
    return prepared._replace(config=trial.config, start=prepared.start._replace(knobs=knobs, key=key, state=state))


def _open(unit: Unit, trial: Trial, prepared: Prepared, way: str) -> experiment.Run:
    place = places.place(unit.folder, trial)
    place.mkdir(parents=True)
    opened = experiment.open_run(prepared, unit.experiment, place)
    return opened._replace(head=opened.head | {"program": way})


def _refuse(unit: Unit, trial: Trial, error: str) -> None:
    place = places.place(unit.folder, trial)
    place.mkdir(parents=True)
    settings = dataclasses.asdict(trial.config)
    runs.write_json(place / folders.CONFIG, {"experiment": unit.experiment, **settings})
    head = {"status": "failed", "experiment": unit.experiment, "config": settings, "seed": trial.config.seed}
    runs.write_json(place / folders.RESULT, {**head, "error": error})


def _need(prepared: Prepared, clock: Clock) -> memory.Need:
    """Compiles a block and the judging of one trial."""
    config, _, split, start = prepared
    first, last, _ = fit.plan(config.train, start.epoch)[0]
    choice.block(prepared, last - first, clock)
    if split.validation:
        judging.validation(config, start, split.validation, start.state.params, clock)
    kept = list(start.shared.values())
    programs = [one for one in kept if isinstance(one, jax.stages.Compiled)]
    judged = [one for one in kept if not isinstance(one, jax.stages.Compiled)]
    return memory.need(start.state, (start.data, judged), programs)


def _silent(text: str) -> None:
    """A sweep has one line for all of its trials."""
