"""What a step costs with each sampler and each gravity, beside uniform negatives without gravity: as many candidates.

B = 1024, 2048 candidates, sampled softmax, Adagrad, D = 64; of MF, and of a DNN that reads histories of 50 items. The
contenders of a model and size are in one process and take turns, a dispatch of 25 steps each; medians. Compilation is
in no time. `to_uniform` is over the plain step.

GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python benchmarks/negatives.py --save=results/benchmarks/negatives
"""

import importlib.metadata
import os
import platform
import shlex
import sys
from typing import Any

import command
import contestants
import machine
import steps
from absl import flags

from recjax import configs, fields, reports

MODELS = {
    "mf": configs.Model(name="mf", dimension=steps.DIMENSION),
    "softmax_dnn": configs.Model(dimension=steps.DIMENSION, query_features=("history",)),
}
MODEL = flags.DEFINE_multi_enum("model", list(MODELS), list(MODELS), "Measured at each size; may be given repeatedly.")
SIZES = flags.DEFINE_list("sizes", ["10000", "1000000"], "M and N: queries and items.")
ROUNDS = flags.DEFINE_integer("rounds", 15, "Timed dispatches of each contender.", 1)
SAVE = flags.DEFINE_string("save", None, "The numbers are written to SAVE.json.")

MIXED = {"sampler.name": "mixed", "sampler.negatives": str(steps.NEGATIVES - steps.BATCH)}
GRAVITY = {"penalties.gravity": "1.0", "gravity.pairs": "examples"}
CONTENDERS = {
    "uniform": {},
    "popularity": {"sampler.name": "popularity"},
    "mixed": MIXED,
    "mixed, streamed": MIXED | {"sampler.hashes": "4"},
    "memory": {"sampler.name": "memory", "sampler.memory": str(steps.NEGATIVES - steps.BATCH)},
    "hard": {"sampler.name": "hard"},
    "score-proportional": {"sampler.name": "score_proportional"},
    "adaptive": {"sampler.name": "adaptive"},
    "uniform, known masked": {"sampler.mask_known": "true"},
    "gravity, batch": GRAVITY | {"gravity.estimate": "batch"},
    "gravity, sogram": GRAVITY | {"gravity.estimate": "sogram"},
    "gravity, sagram": GRAVITY | {"gravity.estimate": "sagram"},
    "gravity, exact": GRAVITY,
}
DENSE = 100_000  # rows above which exact gravity is left out: it trains whole tables, seconds a dispatch
COLUMNS = ("ms", "ms_min", "ms_max", "to_uniform")


def measure(model: configs.Model, size: int) -> dict[str, dict[str, Any]]:
    """A row for each contender."""
    plain = configs.Config(
        model=model,
        sampler=configs.Sampler(name="uniform", negatives=steps.NEGATIVES),
        optimizer=configs.Optimizer(name="adagrad", learning_rate=steps.RATE),
        train=configs.Train(batch=steps.BATCH),
    )
    made = steps.dataset(size)
    contenders = {
        name: steps.advancing(fields.override(plain, changes), made)
        for name, changes in CONTENDERS.items()
        if name != "gravity, exact" or size <= DENSE
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for advance in contenders.values():
        advance()
    for _ in range(ROUNDS.value):
        for name, advance in contenders.items():
            times[name].append(steps.milliseconds(advance))
    rows: dict[str, dict[str, Any]] = {name: contestants.spread("ms", found) for name, found in times.items()}
    for name, row in rows.items():
        row |= {"to_uniform": row["ms"] / rows["uniform"]["ms"], "times": times[name]}
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
        for name in MODEL.value:
            rows = result["rows"][f"{name}, {size}"] = measure(MODELS[name], size)
            print(f"\n{name}, M = N = {size:,}; ms a step\n\n{reports.table(rows, COLUMNS)}", flush=True)
            command.save(SAVE.value, result)


if __name__ == "__main__":
    command.run(main)
