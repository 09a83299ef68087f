"""What gravity adds to a sampled step: milliseconds with each estimate of the Gramians, beside the step without it.

B = 1024, 2048 shared uniform negatives, sampled softmax, Adagrad, D = 64. All contenders of a size are in one process
and take turns, a dispatch of 25 steps each; medians. Compilation is in no time. `to_plain` is over the plain step.

GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python benchmarks/gravity.py --save=results/benchmarks/gravity
"""

import dataclasses
import importlib.metadata
import os
import pathlib
import platform
import shlex
import sys
from collections.abc import Callable
from typing import Any

import command
import contestants
import jax
import machine
import steps
from absl import flags

from recjax import batches, configs, embed, fields, reports, runs, train

SIZES = flags.DEFINE_list("sizes", ["10000", "1000000"], "M and N: queries and items.")
SETUPS = flags.DEFINE_list("setups", ["mf", "two_tower"], "Models.")
ROUNDS = flags.DEFINE_integer("rounds", 15, "Timed dispatches of each contender.", 1)
SAVE = flags.DEFINE_string("save", None, "The numbers are written to SAVE.json.")

ESTIMATES = ("plain", "exact", "batch", "sogram", "sagram")
COLUMNS = ("ms", "ms_min", "ms_max", "to_plain")


def config(setup: str, estimate: str) -> configs.Config:
    found = configs.Config(
        model=configs.Model(name=setup, dimension=steps.DIMENSION),
        sampler=configs.Sampler(name="uniform", negatives=steps.NEGATIVES),
        optimizer=configs.Optimizer(name="adagrad", learning_rate=steps.RATE),
        train=configs.Train(batch=steps.BATCH),
    )
    if estimate == "plain":
        return found
    gravity = configs.Gravity(pairs="examples", estimate=estimate)
    return dataclasses.replace(found, penalties=configs.Penalties(gravity=1.0), gravity=gravity)


def build(setup: str, estimate: str, size: int) -> Callable[[], float]:
    """A function that takes steps.STEPS steps and gives the last loss."""
    chosen, made = config(setup, estimate), steps.dataset(size)
    parts, knobs, data = train.parts(chosen, made), fields.knobs(chosen), batches.prepare(made)
    key = jax.random.key(0)
    params = jax.jit(lambda key: embed.init(key, parts.model))(key)
    held = [train.init(params, parts, knobs, data)]
    del params
    run = jax.jit(train.block(train.step(chosen, parts), steps.STEPS), donate_argnums=2)
    program = run.lower(knobs, key, held[0], data).compile()

    def advance() -> float:
        held[0], metrics = program(knobs, key, held[0], data)
        return float(metrics["loss"][-1])

    advance()
    return advance


def measure(setup: str, size: int) -> dict[str, dict[str, Any]]:
    """A row for each estimate; exact ones only where the items are a table."""
    names = [one for one in ESTIMATES if one != "exact" or setup == "mf"]
    contenders = {one: build(setup, one, size) for one in names}
    times: dict[str, list[float]] = {one: [] for one in names}
    for _ in range(ROUNDS.value):
        for one, advance in contenders.items():
            times[one].append(steps.milliseconds(advance))
    rows: dict[str, dict[str, Any]] = {one: contestants.spread("ms", times[one]) for one in names}
    for one, row in rows.items():
        row |= {"to_plain": row["ms"] / rows["plain"]["ms"], "times": times[one]}
    return rows


def main() -> None:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    versions = {one: importlib.metadata.version(one) for one in ("jax", "optax", "numpy")}
    result: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]),
        "environment": {"python": platform.python_version(), **versions, **machine.device()}
        | {"GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES")},
        "settings": {"batch": steps.BATCH, "negatives": steps.NEGATIVES, "dimension": steps.DIMENSION}
        | {"steps_a_dispatch": steps.STEPS, "rounds": ROUNDS.value},
        "rows": {},
    }
    for size in command.whole(SIZES):
        for setup in SETUPS.value:
            name = f"{setup}, N = {size:,}"
            rows = result["rows"][name] = measure(setup, size)
            print(f"\n{name}; ms a step\n\n{reports.table(rows, COLUMNS)}", flush=True)
            if SAVE.value:
                path = pathlib.Path(f"{SAVE.value}.json")
                path.parent.mkdir(parents=True, exist_ok=True)
                runs.write_json(path, result)


if __name__ == "__main__":
    command.run(main)
