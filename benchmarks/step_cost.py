"""What a training step costs as the tables grow: recjax by rows, dense and auto, beside PyTorch's sparse embeddings.

Matrix factorization with a sampled softmax: B = 1024, 2048 shared negatives, D = 64, two tables of N rows. Contenders
and sizes take turns, each time in a process of its own that has nothing else in memory; a timing is of a dispatch of 25
steps. Compilation is in no time. The variable asks glibc for huge pages (docs/scale.md), for every contender.

GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python benchmarks/step_cost.py --save=results/benchmarks/step_cost
"""

import importlib.metadata
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from typing import Any

import command
import contestants
import machine
import steps
from absl import flags

from recjax import errors, reports, rows

SIZES = flags.DEFINE_list("sizes", ["10000", "100000", "1000000", "10000000"], "N: rows of each table.")
ROUNDS = flags.DEFINE_integer("rounds", 3, "Processes of each contender and size.", 1)
REPEATS = flags.DEFINE_integer("repeats", 5, "Timed dispatches in each process.", 1)
SAVE = flags.DEFINE_string("save", None, "The numbers are written to SAVE.json.")
ALONE = flags.DEFINE_string("alone", None, "For its own use: one contender in this process.")

DENSE = 1_000_000  # rows above which dense steps are left out: seconds each
COLUMNS = ("ms", "ms_min", "ms_max", "to_torch", "to_gemm", "to_copy", "own_gb", "tables_gb")


def contenders(size: int) -> list[str]:
    """Those that can be run with so many rows."""
    return [
        name
        for name in steps.CONTENDERS
        if ("dense" not in name or size <= DENSE) and (steps.torch is not None or not name.startswith("torch"))
    ]


def work(name: str) -> dict[str, float]:
    """What a step must do: flops of the scores and their two gradients, 6 B C D; and bytes of rows, read and written.

    The rows are those of the queries, the positives and the negatives, and their numbers in the optimizer's state.
    """
    touched = 2 * steps.BATCH + steps.NEGATIVES
    numbers = steps.DIMENSION + steps.CONTENDERS[name][2]
    return {
        "gflop": 6 * steps.BATCH * steps.NEGATIVES * steps.DIMENSION / 1e9,
        "gbyte": 2 * 4 * touched * numbers / 1e9,
    }


def alone(name: str, size: int) -> dict[str, Any]:
    """Milliseconds and peak memory of one contender in this process; "base": of what it needs beside tables."""
    if name == "base":
        steps.batches.prepare(steps.dataset(size))
        return {"peak_gb": machine.peak()}
    run = steps.build(name, size)
    times = [steps.milliseconds(run) for _ in range(REPEATS.value)]
    return {"times": times, "peak_gb": machine.peak()}


def child(name: str, size: int) -> dict[str, Any]:
    line = [sys.executable, __file__, f"--alone={name}", f"--sizes={size}", f"--repeats={REPEATS.value}"]
    return json.loads(subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])


def measure(sizes: list[int]) -> dict[str, dict[str, dict[str, Any]]]:
    """A row for each contender, by size."""
    pairs = [(size, name) for size in sizes for name in contenders(size)]
    base = {size: child("base", size)["peak_gb"] for size in sizes}
    runs_of: dict[tuple[int, str], list[dict[str, Any]]] = {pair: [] for pair in pairs}
    for turn in range(ROUNDS.value):
        for size, name in pairs:
            runs_of[size, name].append(child(name, size))
            ms = statistics.median(runs_of[size, name][-1]["times"])
            print(f"round {turn + 1} of {ROUNDS.value}: N = {size:,}: {name}: {ms:.2f} ms a step", flush=True)
    found: dict[str, dict[str, dict[str, Any]]] = {str(size): {} for size in sizes}
    for (size, name), each in runs_of.items():
        times = [one for run in each for one in run["times"]]
        numbers = 2 * size * (steps.DIMENSION + steps.CONTENDERS[name][2])
        found[str(size)][name] = {
            **contestants.spread("ms", times),
            "own_gb": max(run["peak_gb"] for run in each) - base[size],
            "tables_gb": 4 * numbers / 1e9,
            **work(name),
            "times": times,
        }
    return found


def compare(found: dict[str, dict[str, Any]], gemm: float, copy: float) -> None:
    """Adds each time over that of PyTorch with the same optimizer, and over those of the machine's limits."""
    for name, row in found.items():
        rival = found.get("torch adagrad" if "adagrad" in name else "torch adam")
        row["to_torch"] = row["ms"] / rival["ms"] if rival else None
        row["to_gemm"] = row["ms"] / (1e3 * row["gflop"] / gemm)
        row["to_copy"] = row["ms"] / (1e3 * row["gbyte"] / copy)


def main() -> None:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # this process holds the device too
    sizes = command.whole(SIZES)
    if ALONE.value not in (None, "base", *steps.CONTENDERS):
        raise errors.unknown("name in --alone", ALONE.value, ("base", *steps.CONTENDERS))
    if steps.torch is not None:
        steps.torch.set_num_threads(contestants.THREADS)
    if ALONE.value:
        print(json.dumps(alone(ALONE.value, sizes[0])))
        return
    if steps.torch is None:
        print("torch is not installed: its rows are left out; type pip install -e '.[benchmark]'", flush=True)
    gemm, copy = machine.gemm(), machine.copy()
    versions = {one: importlib.metadata.version(one) for one in ("jax", "optax", "numpy")}
    versions |= {"torch": steps.torch.__version__} if steps.torch is not None else {}
    result: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]),
        "environment": {"python": platform.python_version(), **versions, **machine.device()}
        | {"gemm_gflop_per_s": gemm, "copy_gbyte_per_s": copy}
        | {"GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES")},
        "settings": {"batch": steps.BATCH, "negatives": steps.NEGATIVES, "dimension": steps.DIMENSION}
        | {"steps_a_dispatch": steps.STEPS, "rounds": ROUNDS.value, "repeats": REPEATS.value}
        | {"break_even": rows.BREAK_EVEN},
        "rows": measure(sizes),
    }
    for found in result["rows"].values():
        compare(found, gemm, copy)
    command.save(SAVE.value, result)
    for size, found in result["rows"].items():
        print(f"\nN = {int(size):,} rows a table; ms a step\n\n{reports.table(found, COLUMNS)}")
    growth = {
        name: {"growth": result["rows"][str(sizes[-1])][name]["ms"] / row["ms"]}
        for name, row in result["rows"][str(sizes[0])].items()
        if name in result["rows"][str(sizes[-1])]
    }
    print(f"\nTime at N = {sizes[-1]:,} over that at {sizes[0]:,}\n\n{reports.table(growth, ('growth',))}")


if __name__ == "__main__":
    command.run(main)
