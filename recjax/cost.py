"""What a run will cost, before it: parameters, memory, operations and the time of a step; and whether it fits."""

import contextlib
import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import psutil

from recjax import baselines, configs, embed, evaluate, fit, methods, models, preparation, reports, rows, train
from recjax.errors import InputError
from recjax.types import Split

STEPS = 5  # that are timed


class Part(NamedTuple):
    """What takes memory, and how it takes less."""

    name: str
    bytes: int
    advice: str


def report(config: configs.Config, echo: Callable[[str], None] = print) -> list[Part]:
    """Prints what a run will cost, measured on a few steps; nothing is written.

    Raises:
        InputError: bad input, or memory that is not there, with the setting that takes the most.
    """
    _, split = preparation.read(config)
    free = at_hand()
    require(sizes(config, split), free)
    start = fit.start(config, split.train)
    steps = min(STEPS, train.steps(config.train, start.epoch))
    arguments = start.knobs, start.key, start.state, start.data
    program = jax.jit(train.block(start.advance, steps), donate_argnums=2).lower(*arguments).compile()
    parts = memory(config, split, start, program)
    require(parts, free)
    for _ in range(2):  # a first run warms up
        begin = time.perf_counter()
        state, _ = jax.block_until_ready(program(start.knobs, start.key, start.state, start.data))
        seconds = (time.perf_counter() - begin) / steps
        start = start._replace(state=state)
    flops = (program.cost_analysis() or {}).get("flops", float("nan"))
    count = sum(leaf.size for leaf in jax.tree.leaves(start.state.params))
    echo(f"{len(split.train.interactions.query):,} interactions to train on, {count:,} parameters")
    table = [{"memory": part.name, "MB": part.bytes / 1e6} for part in parts]
    echo(
        reports.listing(
            [*table, {"memory": "together", "MB": total(parts) / 1e6}, {"memory": "at hand", "MB": free / 1e6}]
        )
    )
    echo(
        f"a step: {1e3 * seconds:.3g} ms over {steps} steps, {flops / 1e6:,.4g} MFLOP as the compiler counts them "
        "(what it loops over counts once)"
    )
    return parts


def sizes(config: configs.Config, split: Split) -> list[Part]:
    """The parameters and what the optimizer keeps, without making them; empty for a method of one's own."""
    if config.train.method == "wals":
        model, optimizer = models.mf(config.model, split.train), None
    elif config.train.method == "gradient":
        parts = train.parts(config, split.train)
        model, optimizer = parts.model, parts.optimizer(config.optimizer.learning_rate)
    else:
        return []
    params = jax.eval_shape(lambda: embed.init(jax.random.key(0), model))
    kept = jax.eval_shape(lambda params: optimizer.init(rows.take(params, {})), params) if optimizer else ()
    return [_parameters(params), _optimizer(kept)]


def memory(config: configs.Config, split: Split, start: methods.Start, program: Any) -> list[Part]:
    """All that a run holds at its peak, on one device.

    Args:
        program: a compiled block of steps.
    """
    params = start.state.params
    judgement = evaluate.prepare(split.test)
    judged = (params, start.knobs, start.serving(split.test)), judgement
    ranker = jax.jit(evaluate.ranker(start.retriever, config.evaluate, config.model.history)).lower(*judged).compile()
    (step, _), (tile, found_bytes) = _told(program), _told(ranker)
    smaller = (
        "a smaller --config.model.dimension" if config.train.method == "wals" else "a smaller --config.train.batch"
    )
    found = [
        _parameters(params),
        Part("the best parameters", _bytes(params), "a smaller --config.model.dimension"),
        _optimizer(start.state.optimizer),
        Part(
            "the sampler and penalties",
            _bytes((start.state.sampler, start.state.penalty)),
            "another --config.sampler.name",
        ),
        Part("the interactions", _bytes(start.data), "fewer interactions"),
        Part("a step's temporaries", step, smaller),
        Part(
            "evaluation",
            _bytes(judgement) + tile + found_bytes,
            "smaller --config.evaluate.k, or a smaller --config.model.dimension",
        ),
    ]
    if count := baselines.matrices(config.baselines):
        items, queries = judgement.data.frequency.size, judgement.query.size
        # Each is kept; the one that is made is there twice, and so are its scores of all judged queries, once.
        size = 4 * ((count + 1) * items**2 + queries * items)
        found.append(Part("item_knn and ease", size, "--config.baselines.names without them"))
    if jax.default_backend() == "cpu":
        found.append(Part("a checkpoint", _bytes(start.state), "a smaller --config.model.dimension"))
    return found


def require(parts: list[Part], free: int) -> None:
    """Refuses what does not fit.

    Raises:
        InputError: names what takes the most, and what would take less.
    """
    if total(parts) > free:
        most = max(parts, key=lambda part: part.bytes)
        raise InputError(
            f"the run needs {total(parts) / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are at hand; the most, "
            f"{most.bytes / 1e6:,.0f} MB, is for {most.name}: type {most.advice}"
        )


def total(parts: list[Part]) -> int:
    return sum(part.bytes for part in parts)


def at_hand() -> int:
    """Bytes that a run may take: of the device where it tells, or else of the machine within this process's limits."""
    told = jax.local_devices()[0].memory_stats()
    if told and "bytes_limit" in told:
        return told["bytes_limit"] - told["bytes_in_use"]
    return min([psutil.virtual_memory().available, *_limits()])


def _limits() -> list[int]:
    """What control groups (of a container, of Slurm) leave, in bytes."""
    found = []
    names = {
        "": ("", "memory.max", "memory.current", "inactive_file"),
        "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    }
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _, kind, path = line.split(":", 2)
            if kind not in names:
                continue
            root, limit, used, cached = names[kind]
            home = pathlib.Path("/sys/fs/cgroup") / root
            for folder in (home / path.lstrip("/"), home):
                with contextlib.suppress(OSError, ValueError):  # no such file; "max"
                    pages = dict(one.split() for one in (folder / "memory.stat").read_text().splitlines())
                    most = int((folder / limit).read_text()) - int((folder / used).read_text())
                    found.append(most + int(pages.get(cached, 0)))
    return found


def _told(program: Any) -> tuple[int, int]:
    """Bytes of a compiled program's temporaries, and of what it gives."""
    found = program.memory_analysis()
    if found is None:
        raise InputError(
            "--dry_run: the compiler for this device does not tell what memory a program takes; leave it out"
        )
    return found.temp_size_in_bytes, found.output_size_in_bytes


def _parameters(params: Any) -> Part:
    return Part(
        "the parameters", _bytes(params), "a smaller --config.model.dimension, or --config.model.storage=bfloat16"
    )


def _optimizer(state: Any) -> Part:
    return Part("the optimizer's state", _bytes(state), "--config.optimizer.name=rowwise_adagrad")


def _bytes(tree: Any) -> int:
    return sum(
        int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree) if hasattr(leaf, "dtype")
    )
