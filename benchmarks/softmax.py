"""Exact softmax cross entropy over a corpus: value and gradients of queries [B D] and items [N D], one label a query.

recjax in blocks, plain jnp and PyTorch over logits [B N], on the same data and cores. All methods and a large matrix
product take turns, one call each, in one process; memory is measured in processes of their own. Compilation is in no
time; `compile_s` stands beside.

python benchmarks/softmax.py --save=results/benchmarks/softmax
"""

import importlib.metadata
import json
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import command
import contestants
import jax
import jax.numpy as jnp
import machine
import numpy as np
from absl import flags

from recjax import errors, partition, reports

try:
    import torch
except ImportError:
    torch = None

SAVE = flags.DEFINE_string("save", None, "The numbers are written to SAVE.json.")
ITEMS = flags.DEFINE_list("items", ["10000", "100000", "200000", "1000000", "2000000"], "Each N.")
BATCH = flags.DEFINE_integer("batch", 1024, "B.", 1)
DIMENSION = flags.DEFINE_integer("dimension", 64, "D.", 1)
BLOCK = flags.DEFINE_integer("block", 4096, "recjax: items scored at once.", 1)
REPEATS = flags.DEFINE_integer("repeats", 7, "Timed calls.", 1)
LIMIT = flags.DEFINE_float("limit_gb", 6.0, "Methods over logits [B N] are left out where those need more.")
ALONE = flags.DEFINE_string("alone", None, "Prints the memory that one call of this method takes, and nothing else.")

SIZE = 2048  # of the matrices in the large product
COLUMNS = ("s", "s_min", "s_max", "to_jnp", "gflop", "to_gemm", "temporary_gb", "own_gb", "compile_s")


class Contestant(NamedTuple):
    """`call` computes value and gradients, waits for them and returns the value.

    `temporary_gb` is what the compiled program takes beyond its arguments and results; None: not known.
    """

    call: Callable[[], float]
    compile_s: float | None
    temporary_gb: float | None


def in_blocks(queries, items, label):
    """recjax: the log-partition block by block; 8 B N D flops."""
    positive = jnp.sum(queries * items[label], axis=1)
    return jnp.mean(partition.log_partition(queries, items, block=BLOCK.value) - positive)


def at_once(queries, items, label):
    """Plain jnp: all logits; 6 B N D flops, as PyTorch."""
    found = jax.nn.log_softmax(queries @ items.T)
    return -jnp.mean(jnp.take_along_axis(found, label[:, None], axis=1))


def compiled(function: Callable) -> Callable[[np.ndarray, np.ndarray, np.ndarray], Contestant]:
    """A method in JAX."""

    def build(*data):
        arrays = jax.block_until_ready([jnp.array(one) for one in data])
        begin = time.perf_counter()
        program = jax.jit(jax.value_and_grad(function, argnums=(0, 1))).lower(*arrays).compile()
        compile_s = time.perf_counter() - begin
        analysis = program.memory_analysis()

        def call():
            return float(jax.block_until_ready(program(*arrays))[0])

        return Contestant(call, compile_s, analysis and analysis.temp_size_in_bytes / 1e9)

    return build


def by_torch(queries, items, label) -> Contestant:
    """PyTorch's cross_entropy."""
    torch.set_num_threads(contestants.THREADS)
    learned = [torch.from_numpy(one).requires_grad_() for one in (queries, items)]
    label = torch.from_numpy(label).long()

    def call():
        for one in learned:
            one.grad = None
        loss = torch.nn.functional.cross_entropy(learned[0] @ learned[1].T, label)
        loss.backward()
        return loss.item()

    return Contestant(call, None, None)


METHODS = {"recjax": compiled(in_blocks), "jnp": compiled(at_once), "torch": by_torch}


def data(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries and items whose logits have a standard deviation of 2, and labels."""
    draw, scale = np.random.default_rng(0), np.float32(2**0.5 / DIMENSION.value**0.25)
    queries, items = (draw.standard_normal((rows, DIMENSION.value), np.float32) for rows in (BATCH.value, count))
    queries *= scale
    items *= scale
    return queries, items, draw.integers(0, count, BATCH.value).astype(np.int32)


def speed(methods: list[str], count: int) -> dict[str, dict[str, Any]]:
    """Seconds of a call by each method; `to_gemm` is its GFLOP/s over those of a large matrix product."""
    given = data(count)
    built = {method: METHODS[method](*given) for method in methods}
    product = machine.product(SIZE)
    values = {method: one.call() for method, one in built.items()}
    product()
    seconds: dict[str, list[float]] = {method: [] for method in (*built, "product")}
    for _ in range(REPEATS.value):
        for method, one in built.items():
            seconds[method].append(_seconds(one.call))
        seconds["product"].append(_seconds(product))
    gemm, rows = 2 * SIZE**3 / float(np.median(seconds["product"])) / 1e9, {}
    for method, one in built.items():
        median = float(np.median(seconds[method]))
        gflop = (8 if method == "recjax" else 6) * BATCH.value * count * DIMENSION.value / 1e9
        rows[method] = {
            **contestants.spread("s", seconds[method]),
            "to_jnp": median / float(np.median(seconds["jnp"])) if "jnp" in built else None,
            "gflop": gflop,
            "to_gemm": gflop / median / gemm,
            "gemm_gflop_per_s": gemm,
            "temporary_gb": one.temporary_gb,
            "compile_s": one.compile_s,
            "value": values[method],
            "seconds": seconds[method],
        }
    return rows


def alone(method: str, count: int) -> dict[str, float]:
    """GB of resident memory that a call takes beyond its data and its program: the gradients, and what it needs."""
    one = METHODS[method](*data(count))
    machine.forget_peak()
    base = machine.peak()
    one.call()
    return {"base_gb": base, "own_gb": machine.peak() - base}


def _seconds(call: Callable[[], Any]) -> float:
    time.sleep(contestants.PAUSE)
    begin = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - begin


def _child(method: str, count: int) -> dict[str, float]:
    flag_values = [f"--{one.name}={one.value}" for one in (BATCH, DIMENSION, BLOCK)]
    line = [sys.executable, __file__, f"--alone={method}", f"--items={count}", *flag_values]
    return json.loads(subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True).stdout)


def _check() -> list[str]:
    """The methods that can be run here."""
    if torch is None:
        _say("torch is left out: it is not installed; type pip install -e '.[benchmark]'")
    elif jax.default_backend() != "cpu":
        _say("torch is left out: it takes part on a CPU alone")
    else:
        return list(METHODS)
    return [one for one in METHODS if one != "torch"]


def _measure(methods: list[str]) -> None:
    versions = {one: importlib.metadata.version(one) for one in ("jax", "numpy", *({"torch"} & {*methods}))}
    result: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]),
        "environment": {"python": platform.python_version(), **versions, **machine.device()}
        | {"gemm_gflop_per_s": machine.gemm()},
        "settings": {one.name: one.value for one in (ITEMS, BATCH, DIMENSION, BLOCK, REPEATS, LIMIT)},
        "rows": {},
        "left_out": {},
    }
    _say(" ".join(f"{name} {value}" for name, value in result["environment"].items()))
    shown = {}
    for count in map(int, ITEMS.value):
        # Logits, their log-softmax and its gradient.
        wanted = 3 * 4 * BATCH.value * count / 1e9
        fitting = [one for one in methods if one == "recjax" or wanted <= LIMIT.value]
        for method in sorted({*methods} - {*fitting}):
            _say(f"N={count} {method} is left out: it needs {wanted:.1f} GB, over --limit_gb={LIMIT.value:g}")
            result["left_out"].setdefault(str(count), {})[method] = wanted
        rows = result["rows"][str(count)] = speed(fitting, count)
        for method, row in rows.items():
            if jax.default_backend() == "cpu":
                row.update(_child(method, count))
            shown[f"N={count} {method}"] = {one: row.get(one) for one in COLUMNS}
            _say(f"N={count} {method}: " + ", ".join(f"{one} {reports.number(row.get(one))}" for one in COLUMNS))
        command.save(SAVE.value, result)
    print(f"\n{reports.table(shown, COLUMNS)}")


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    command.whole(ITEMS)
    if ALONE.value is not None:
        if ALONE.value not in METHODS:
            raise errors.unknown("name in --alone", ALONE.value, METHODS)
        print(json.dumps(alone(ALONE.value, int(ITEMS.value[0]))))
        return
    _measure(_check())


if __name__ == "__main__":
    command.run(main)
