"""Trials side by side: one program, a block of whose steps is a block of every trial."""

import functools
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from recjax import experiment, fit, folders, judging, methods, runs, train
from recjax.clock import Clock
from recjax.errors import DivergedError
from recjax.types import State


class Stack:
    """The states of several trials, along a first axis; a trial is put in its lane without a second copy of all."""

    def __init__(self, state: State, lanes: int):
        """Lanes of zeros, for states like this one."""
        self.states = jax.tree.map(lambda leaf: jnp.zeros((lanes, *leaf.shape), leaf.dtype), state)

    def put(self, lane: int, state: State) -> None:
        self.states = _put(self.states, lane, state)

    def take(self, lane: int, part: str) -> Any:
        """A copy of a trial's "params", "sampler", …"""
        return _take(getattr(self.states, part), lane)


@functools.partial(jax.jit, donate_argnums=0)
def _put(states: Any, lane: Any, state: Any) -> Any:
    return jax.tree.map(lambda every, one: every.at[lane].set(one), states, state)


@jax.jit
def _take(states: Any, lane: Any) -> Any:
    return jax.tree.map(lambda every: every[lane], states)


def program(start: methods.Start, steps: int, given: tuple[Any, Any, Any], clock: Clock) -> Any:
    """The compiled block of the trials whose (knobs, keys, states) are given, stacked."""
    run = jax.vmap(train.block(start.advance, steps), in_axes=(0, 0, 0, None))
    return start.shared.compile(("together", steps), clock, run, *given, start.data, donate=(2,))


def stacked(trees: Sequence[Any]) -> Any:
    """Small trees, knobs and keys, along a first axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@contextmanager
def reported(run: experiment.Run) -> Iterator[None]:
    """A trial's failure, which its result.json tells, is not that of the others; to be stopped is no failure."""
    try:
        with experiment.failing(run):
            yield
    except DivergedError:
        pass
    except Exception:
        traceback.print_exc()
    except BaseException:
        (run.folder / folders.RESULT).unlink(missing_ok=True)
        raise


class Lane:
    """One of the trials while it trains."""

    def __init__(self, run: experiment.Run, params: Any, clock: Clock):
        """For params of these shapes."""
        config, _, split, start = run.prepared
        self.run, self.clock = run, clock
        self.progress = fit.Progress(functools.partial(runs.append_line, run.folder / folders.LINES))
        held = split.validation
        self.judging = judging.validation(config, start, held, params, clock) if held else None
        self.best: Any = None  # parameters of the best step

    def trained(self, last: int, metrics: dict[str, np.ndarray], seconds: float) -> None:
        """A block is done: see `fit.Progress.trained`."""
        self.clock["train_s"] = self.clock.get("train_s", 0.0) + seconds
        self.progress.trained(last, metrics, seconds)

    def judged(self, params: Any, last: int) -> bool:
        """Whether it has no more patience. Without validation the last parameters are the best."""
        if self.judging is None:
            self.progress.best_step, self.best = last, params
            return False
        line = self.judging.judge(params, last)
        if self.progress.judged(line, self.judging.select):
            self.best = params
        return self.progress.stale == self.run.prepared.config.train.patience

    def fit(self, sampler: Any) -> fit.Fit:
        select = self.judging.select if self.judging else self.run.prepared.config.evaluate.select
        return fit.Fit(self.best, self.progress, select, sampler)


def fits(
    opened: Sequence[experiment.Run], stack: Stack, clocks: Sequence[Clock]
) -> Iterator[tuple[float, int | None, fit.Fit | None]]:
    """Trains the trials of a program.

    Gives the share of the steps that are done, after each block; and each trial, by its number, when it ends, with None
    where it failed, which its result.json then tells.

    Args:
        opened: the trials, whose states are in `stack`, and not in their starts.
        clocks: of the trials; a block's seconds are shared out, the first pays for what is compiled.
    """
    config, _, _, start = opened[0].prepared
    knobs, keys = (stacked([getattr(run.prepared.start, one) for run in opened]) for one in ("knobs", "key"))
    shapes = jax.eval_shape(lambda: stack.take(0, "params"))
    lanes = [Lane(run, shapes, clock) for run, clock in zip(opened, clocks, strict=True)]
    place = {number: number for number in range(len(lanes))}  # in the stack, of trials that go on
    schedule = fit.plan(config.train, start.epoch)
    for first, last, judged in schedule:
        block = program(start, last - first, (knobs, keys, stack.states), clocks[0])
        begin = time.perf_counter()
        stack.states, found = jax.block_until_ready(block(knobs, keys, stack.states, start.data))
        seconds = (time.perf_counter() - begin) / len(place)
        values = {name: np.asarray(value) for name, value in found.items()}
        for number, at in list(place.items()):
            lane, ended, fitted = lanes[number], True, None
            with reported(lane.run):
                lane.trained(last, {name: value[at] for name, value in values.items()}, seconds)
                ended = judged and lane.judged(stack.take(at, "params"), last)
                if ended or last == schedule[-1][1]:
                    ended, fitted = True, lane.fit(stack.take(at, "sampler"))
            if ended:
                del place[number]
                yield last / schedule[-1][1], number, fitted
                lane.best = None
        yield last / schedule[-1][1], None, None
        if not place:
            break
        if 2 * len(place) <= len(keys):  # the idle lanes would cost as much as the others
            kept = jnp.array(list(place.values()))
            knobs, keys, stack.states = _take((knobs, keys, stack.states), kept)
            place = {number: at for at, number in enumerate(place)}
