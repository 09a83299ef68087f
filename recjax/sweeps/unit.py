"""The unit of work of a sweep: trials that share a program, from their configs to their run folders."""

import dataclasses
import pathlib
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax

from recjax import experiment, fit, judging, parameters, preparation, runs, train
from recjax.clock import Clock
from recjax.errors import DivergedError, InputError
from recjax.preparation import Prepared
from recjax.sweeps import folder as folders
from recjax.sweeps import memory, together
from recjax.sweeps.space import Trial

BUSY = 1e-3  # seconds a step from which a CPU's cores are busy with one trial: see benchmarks/sweep.py
WORTH = 4  # a second program is tried where the trials take that many times the seconds of compiling the first


class Unit(NamedTuple):
    """Trials of one program."""

    experiment: str
    folder: pathlib.Path  # of the sweep
    trials: tuple[Trial, ...]
    way: str  # map: one after another; vmap: side by side; auto: whichever is measured faster
    gigabytes: float  # to be taken; 0: a share of what there is


def run(unit: Unit, watch: Callable[[int], None], prepared: Prepared | None = None) -> str:
    """Runs the trials; each leaves its run folder, whatever becomes of it.

    Args:
        watch: gets how many trials have ended, each time that one does.
        prepared: of the first trial, where it is already at hand; its state is not used.

    Returns:
        the way that was taken: map, vmap, or none where no trial fits.
    """
    budget, config, clock = memory.budget(unit.gigabytes), unit.trials[0].config, Clock()
    try:
        loaded = (prepared.dataset, prepared.split) if prepared else preparation.load(config)
        memory.refuse(config, memory.least(config, loaded[1].train), budget, "its parameters and its optimizer's state")
        prepared = _idle(prepared or preparation.prepare(config, loaded))
        need = _need(prepared, clock)
        parts = f"data {need.data / 1e9:.3g}, state {need.state / 1e9:.3g}, temporary {need.temporary / 1e9:.3g}"
        memory.refuse(config, need.together(1), budget, f"in GB: {parts}")
    except InputError as error:
        for number, trial in enumerate(unit.trials, 1):
            _refuse(unit, trial, str(error))
            watch(number)
        return "none"
    lanes = min(need.most(budget), len(unit.trials))
    way = unit.way if unit.way != "auto" else _faster(prepared, clock, lanes)
    size = lanes if way == "vmap" else 1
    ended = 0
    for first in range(0, len(unit.trials), size):
        some = unit.trials[first : first + size]
        clocks = [Clock(compile_s=0.0, relatedness_s=0.0) for _ in some]
        if first == 0:
            clocks[0].update(clock)  # the first trial pays for what all need
        for _ in _together(unit, some, prepared, clocks) if size > 1 else _alone(unit, some[0], prepared, clocks[0]):
            ended += 1
            watch(ended)
    return way


def _alone(unit: Unit, trial: Trial, prepared: Prepared, clock: Clock) -> Iterator[None]:
    opened = _open(unit, trial, _begun(prepared, trial))
    with _reported(), experiment.failing(opened):
        experiment.finish(opened, experiment.train(opened, clock, _silent, quiet=True), clock, _silent)
    yield


def _together(unit: Unit, trials: Sequence[Trial], prepared: Prepared, clocks: list[Clock]) -> Iterator[None]:
    opened, stack = [], None
    for lane, trial in enumerate(trials):
        begun = _begun(prepared, trial)
        stack = stack or together.Stack(begun.start.state, len(trials))
        stack.put(lane, begun.start.state)
        run = _open(unit, trial, begun)
        opened.append(run._replace(prepared=_idle(run.prepared)))
    assert stack is not None
    for number, fitted in together.fits(opened, stack, clocks):
        with _reported(), experiment.failing(opened[number]):
            if fitted:
                experiment.finish(opened[number], fitted, clocks[number], _silent)
        yield


def _idle(prepared: Prepared) -> Prepared:
    """Without the state, of which only the shapes are left."""
    shapes = jax.eval_shape(lambda state: state, prepared.start.state)
    return prepared._replace(start=prepared.start._replace(state=shapes))


def _begun(prepared: Prepared, trial: Trial) -> Prepared:
    knobs, key, state = prepared.start.begin(trial.config)
    return prepared._replace(config=trial.config, start=prepared.start._replace(knobs=knobs, key=key, state=state))


def _open(unit: Unit, trial: Trial, prepared: Prepared) -> experiment.Run:
    place = folders.place(unit.folder, trial)
    place.mkdir(parents=True)
    return experiment.open_run(prepared, unit.experiment, place)


def _refuse(unit: Unit, trial: Trial, error: str) -> None:
    place = folders.place(unit.folder, trial)
    place.mkdir(parents=True)
    settings = dataclasses.asdict(trial.config)
    runs.write_json(place / "config.json", {"experiment": unit.experiment, **settings})
    head = {"status": "failed", "experiment": unit.experiment, "config": settings, "seed": trial.config.seed}
    runs.write_json(place / parameters.RESULT, {**head, "error": error})


@contextmanager
def _reported() -> Iterator[None]:
    """A trial's failure, which its result.json tells, is not that of the others."""
    try:
        yield
    except DivergedError:
        pass
    except Exception:
        traceback.print_exc()


def _need(prepared: Prepared, clock: Clock) -> memory.Need:
    """Compiles a block and the judging of one trial."""
    config, _, split, start = prepared
    first, last, _ = fit.plan(config.train, len(split.train.interactions.query) / start.examples)[0]
    _block(prepared, last - first, clock)
    if split.validation:
        judging.validation(config, start, split.validation, start.state.params, clock)
    kept = list(start.shared.values())
    programs = [one for one in kept if isinstance(one, jax.stages.Compiled)]
    judged = [one for one in kept if not isinstance(one, jax.stages.Compiled)]
    return memory.need(start.state, (start.data, judged), programs)


def _block(prepared: Prepared, steps: int, clock: Clock) -> Callable:
    start = prepared.start
    run, given = train.block(start.advance, steps), (start.knobs, start.key, start.state, start.data)
    return start.shared.compile(("block", steps), clock, run, *given, donate=(2,))


def _faster(prepared: Prepared, clock: Clock, lanes: int) -> str:
    """Which way takes less time, by a block of steps of either on states that are then thrown away."""
    config, _, split, start = prepared
    schedule = fit.plan(config.train, len(split.train.interactions.query) / start.examples)
    steps = schedule[0][1]
    if lanes == 1:
        return "map"
    alone = _seconds(_block(prepared, steps, clock), start, start.begin(config))
    left = alone * lanes * len(schedule)
    busy = jax.default_backend() == "cpu" and alone / steps > BUSY
    if busy or left < WORTH * clock["compile_s"]:
        return "map"
    stack = together.Stack(start.begin(config)[2], lanes)
    knobs, keys = (together.stacked([one] * lanes) for one in (start.knobs, start.key))
    given = knobs, keys, stack.states
    side_by_side = _seconds(together.program(start, steps, given, clock), start, given)
    return "vmap" if side_by_side < 0.9 * lanes * alone else "map"


def _seconds(block: Callable, start: Any, given: tuple[Any, Any, Any]) -> float:
    """Of the second of two calls: a first one may set things up."""
    knobs, keys, states = given
    for _ in range(2):
        begin = time.perf_counter()
        states, _ = jax.block_until_ready(block(knobs, keys, states, start.data))
    return time.perf_counter() - begin


def _silent(text: str) -> None:
    """A sweep has one line for all of its trials."""
