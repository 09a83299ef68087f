"""Whether the trials of a program are faster one after another (map) or side by side (vmap): it is measured."""

import time
from collections.abc import Callable
from typing import Any

import jax

from recjax import fit, train
from recjax.clock import Clock
from recjax.methods import Start
from recjax.preparation import Prepared
from recjax.sweeps import together

BUSY = 1e-3  # seconds a step from which one trial keeps a CPU's cores busy: see benchmarks/sweep.py
WORTH = 4  # the second program is tried where the trials take that many times the seconds of compiling the first


def faster(prepared: Prepared, clock: Clock, lanes: int) -> str:
    """Which way takes less time, by a block of steps of either on states that are then thrown away.

    Args:
        prepared: of any of the trials.
        lanes: how many trials fit side by side.
    """
    config, start = prepared.config, prepared.start
    if lanes == 1:
        return "map"
    schedule = fit.plan(config.train, start.epoch)
    steps = schedule[0][1]
    one = alone(prepared, steps, clock)
    busy = jax.default_backend() == "cpu" and one / steps > BUSY
    if busy or one * lanes * len(schedule) < WORTH * clock["compile_s"]:
        return "map"
    return "vmap" if side_by_side(prepared, steps, clock, lanes) < 0.9 * lanes * one else "map"


def block(prepared: Prepared, steps: int, clock: Clock) -> Callable:
    """The compiled block of one trial, the one that `fit.fit` runs."""
    start = prepared.start
    run, given = train.block(start.advance, steps), (start.knobs, start.key, start.state, start.data)
    return start.shared.compile(("block", steps), clock, run, *given, donate=(2,))


def alone(prepared: Prepared, steps: int, clock: Clock) -> float:
    """Seconds of a block of one trial."""
    return _seconds(block(prepared, steps, clock), prepared.start, prepared.start.begin(prepared.config))


def side_by_side(prepared: Prepared, steps: int, clock: Clock, lanes: int) -> float:
    """Seconds of a block of as many trials as there are lanes."""
    start = prepared.start
    knobs, key, state = start.begin(prepared.config)
    stack = together.Stack(state, lanes)
    for lane in range(lanes):
        stack.put(lane, state)
    given = together.stacked([knobs] * lanes), together.stacked([key] * lanes), stack.states
    return _seconds(together.program(start, steps, given, clock), start, given)


def _seconds(run: Callable, start: Start, given: tuple[Any, Any, Any]) -> float:
    """Of the second of two calls: a first one may set things up."""
    knobs, keys, states = given
    for _ in range(2):
        begin = time.perf_counter()
        states, _ = jax.block_until_ready(run(knobs, keys, states, start.data))
    return time.perf_counter() - begin
