"""The loop around the step: blocks of steps, evaluations on validation, and the best parameters so far."""

import dataclasses
import itertools
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from recjax import checkpoints, configs, display, fields, judging, methods, profiling, reports, train
from recjax.clock import Clock
from recjax.errors import DivergedError, InputError, Interrupted
from recjax.types import Dataset, HeldOut, Params, State


@dataclasses.dataclass
class Progress:
    """How far a run has come, beside its arrays."""

    log: Callable[[dict[str, Any]], None]  # gets each line
    step: int = 0  # done
    best: float | None = None  # the metric that chooses, at the best step; None without validation
    best_step: int = 0
    stale: int = 0  # evaluations since
    lines: list[dict[str, Any]] = dataclasses.field(default_factory=list)  # of metrics.jsonl

    def trained(self, last: int, metrics: dict[str, Any], seconds: float) -> None:
        """A block of steps is done.

        Args:
            metrics: by name, a value a step.

        Raises:
            DivergedError: one is not finite; the line was logged before.
        """
        first, self.step = self.step, last
        values = {name: np.asarray(value) for name, value in metrics.items()}
        means = {name: float(value.mean()) for name, value in values.items()}
        self._record({"step": last, **means, "seconds": round(seconds, 4)})
        _require_finite(first, values)

    def judged(self, line: dict[str, Any], select: str) -> bool:
        """Whether this evaluation is the best so far."""
        self._record(line)
        better = self.best is None or line[select] > self.best
        self.stale += 1
        if better:
            self.best, self.best_step, self.stale = line[select], line["step"], 0
        return better

    def saved(self) -> dict[str, Any]:
        """What a checkpoint holds of it: all but `log`."""
        fields = {one.name: getattr(self, one.name) for one in dataclasses.fields(self) if one.name != "log"}
        return fields | {"lines": list(self.lines)}

    def _record(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        self.log(line)


class Fit(NamedTuple):
    """What training found."""

    params: Params  # of the best step
    progress: Progress
    select: str  # the metric that chose
    sampler: Any  # the last state of it


def start(config: configs.Config, dataset: Dataset) -> methods.Start:
    """Everything before the first step, as a function of the seed.

    A step is traced once, so that parts that do not fit together fail here and not in a run.

    Raises:
        InputError: what was given, what was wanted, what to type.
    """
    method = fields.resolve("method", config.train.method, fields.members(methods))
    found = method(config, dataset)
    if not isinstance(found, methods.Start):
        raise InputError(f"train.method={config.train.method!r} gave {found!r}; wanted a recjax.methods.Start")
    jax.eval_shape(found.advance, found.knobs, found.key, found.state, found.data)
    return found


def fit(
    config: configs.Config,
    start: methods.Start,
    validation: HeldOut | None,
    clock: Clock,
    *,
    log: Callable[[dict[str, Any]], None],
    echo: Callable[[str], None],
    earlier: checkpoints.Checkpoint | None = None,
    saver: checkpoints.Saver | None = None,
    stop: Callable[[], bool] = lambda: False,
    profile: pathlib.Path | None = None,
    quiet: bool = False,
) -> Fit:
    """Trains until the epochs are done, or until `patience` evaluations on validation brought nothing better.

    Args:
        validation: None: every epoch is done and the last parameters are kept.
        log: gets a line for each block of steps and for each evaluation.
        echo: gets what a person should read.
        earlier: where to go on; None: from the beginning.
        saver: gets the state after each evaluation, and at ends of blocks in between when it is due.
        stop: whether to stop before the next block.
        profile: a folder that gets a trace of some blocks.
        quiet: no bar: somebody else tells how far it is.

    Raises:
        Interrupted: it was stopped; all is saved.
        DivergedError: a term of the objective, the gradient or a score is not finite; the block was logged before.
    """
    knobs, key, state, data = start.knobs, start.key, start.state, start.data
    like = jax.eval_shape(lambda state: state, state)  # weak types too: so the programs are those of an unbroken run
    progress, params = Progress(log), state.params
    if earlier:
        state, params, progress = _go_on(earlier, state, clock, log)
    found = judging.validation(config, start, validation, state.params, clock) if validation else None
    blocks: dict[int, Callable] = {}
    schedule = plan(config.train, start.epoch)
    before = clock.get("compile_s", 0.0)
    live = display.Live(schedule[-1][1], progress.step, echo, quiet=quiet)
    with live, profiling.traced(profile, echo) as trace:
        for first, last, judged in schedule:
            if last <= progress.step:
                continue
            if progress.stale == config.train.patience:
                break
            if last - first not in blocks:
                run, name = train.block(start.advance, last - first), ("block", last - first)
                blocks[last - first] = start.shared.compile(name, clock, run, knobs, key, like, data, donate=(2,))
            if stop():
                if saver and progress.step:
                    _save(saver, state, progress, clock)
                    saver.wait()
                raise Interrupted
            trace()
            begin = clock.get("train_s", 0.0)
            with clock.time("train_s"):
                state, metrics = jax.block_until_ready(blocks[last - first](knobs, key, state, data))
            progress.trained(last, metrics, clock["train_s"] - begin)
            loss, rate = float(np.mean(metrics["loss"])), last * start.examples / clock["train_s"]
            judgement = ""
            if not found:
                progress.best_step, params = last, state.params
            elif judged:
                line = found.judge(state.params, last)
                if progress.judged(line, found.select):
                    params = jax.tree.map(jnp.copy, state.params)  # the state's own buffers are donated
                judgement = f", validation {found.select} {reports.number(line[found.select])}"
            if saver and (judged or saver.due()):
                _save(saver, state, progress, clock)
            now = display.told(loss, rate, found.select if found else "", progress.best, progress.best_step)
            live.advance(last, loss, judgement, now, idle=clock["compile_s"] - before)
    if saver:
        with clock.time("checkpoint_s"):
            saver.wait()
    return Fit(params, progress, found.select if found else config.evaluate.select, state.sampler)


def _go_on(
    earlier: checkpoints.Checkpoint, state: State, clock: Clock, log: Callable[[dict[str, Any]], None]
) -> tuple[State, Params, Progress]:
    """What a checkpoint says, in place of the state before the first step, whose memory is given back."""
    jax.tree.map(lambda leaf: leaf.delete(), state)
    clock.update(earlier.about["clock"])
    return earlier.state, earlier.best, Progress(log, **earlier.about["progress"])


def _save(saver: checkpoints.Saver, state: State, progress: Progress, clock: Clock) -> None:
    with clock.time("checkpoint_s"):
        saver.save(state, progress.best_step, {"progress": progress.saved(), "clock": dict(clock)})


def plan(settings: configs.Train, epoch: float) -> list[tuple[int, int, bool]]:
    """Blocks of steps as (first, last, whether an evaluation follows); the last one may be shorter.

    Args:
        epoch: in steps.
    """
    total = train.steps(settings, epoch)
    between = max(1, round(settings.evaluate * epoch))
    block = min(settings.block, between)
    every = round(between / block)
    edges = [*range(0, total, block), total]
    return [
        (first, last, number % every == 0 or last == total)
        for number, (first, last) in enumerate(itertools.pairwise(edges), 1)
    ]


def _require_finite(first: int, terms: dict[str, np.ndarray]) -> None:
    bad = {name: int(np.argmin(np.isfinite(value))) for name, value in terms.items() if not np.isfinite(value).all()}
    if bad:
        # The gradient of a step whose terms are not finite is not either: the term is the cause.
        term = min(bad, key=lambda name: (bad[name], name == "gradient_norm"))
        raise DivergedError(first + bad[term] + 1, term)
