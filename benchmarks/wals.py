"""Weighted alternating least squares of recjax beside implicit (C++): the same objective, start, data and cores.

Parts: A seconds an iteration; B seconds to the same quality; C peak memory; D a matrix of 1,000,000 x 500,000.
All methods take turns, one iteration each, in one process; C and D are in processes of their own. Compilation and
the transfer of the data are not in any time; `compile_s` stands beside.

python benchmarks/wals.py --data=FOLDER --save=results/benchmarks/wals     # FOLDER has ml-1m/ and gowalla/
"""

import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import command
import contestants
import jax
import jax.numpy as jnp
import machine
import numpy as np
from absl import flags

from recjax import configs, errors, evaluate, least_squares, reports, retrievers, runs, splits
from recjax.types import Dataset, HeldOut

GRID = (2.0, 4.0, 10.0, 25.0, 60.0, 150.0), (1.0, 10.0, 30.0, 100.0, 300.0)  # c, λ
GRID_ITERATIONS = 8
SLOW = 2.0  # seconds; what takes longer is timed SLOW_REPEATS times
SLOW_REPEATS = 3
NDCG, OBJECTIVE = 0.995, 1.001  # of the reference's best NDCG@20, and of its lowest objective

DATA = flags.DEFINE_string("data", "", "The folder that has ml-1m/ratings.dat and gowalla/train.txt.")
SAVE = flags.DEFINE_string("save", None, "The numbers are written to SAVE.json.")
PARTS = flags.DEFINE_list("parts", ["A", "B", "C", "D"], "What to measure.")
DATASETS = flags.DEFINE_list("datasets", list(contestants.CHOSEN), "On which data: ml-1m, gowalla.")
METHODS = flags.DEFINE_list("methods", [], "Which methods, by default all: recjax cg, implicit cg, ...")
DIMENSIONS = flags.DEFINE_list("dimensions", ["64", "128", "256"], "A: each D.")
REPEATS = flags.DEFINE_integer("repeats", 7, "A: timed iterations.", 1)
QUALITY_DIMENSION = flags.DEFINE_integer("quality_dimension", 64, "B: D.", 1)
ITERATIONS = flags.DEFINE_integer("iterations", 15, "B: iterations of a run.", 1)
RUNS = flags.DEFINE_integer("runs", 3, "B: runs.", 1)
LARGE = flags.DEFINE_list("large", ["1000000", "500000", "20000000"], "D: queries, items, interactions.")
SEARCH = flags.DEFINE_bool("grid", False, "Prints the grid that chose c and λ, and measures nothing.")

Group = Iterator[tuple[tuple[str, ...], dict[str, Any]]]  # where a row belongs, and the row


def speed(methods: tuple[str, ...], datasets: Mapping[str, Dataset], gemm: float) -> Group:
    """A: seconds an iteration.

    `to_implicit` is the ratio to implicit's median with the same solver, `to_gemm` that of what was done in a second
    (see `contestants.gflop`) to what a large matrix product does.
    """
    for name, dataset in datasets.items():
        confidence, regularization = contestants.CHOSEN[name]
        for dimension in command.whole(DIMENSIONS):
            start = contestants.tables(dataset, dimension)
            weighed = contestants.weigh(dataset, confidence)
            built = {method: contestants.build(method, weighed, regularization, start) for method in methods}
            goal = {m: REPEATS.value if contestants.seconds(one) <= SLOW else SLOW_REPEATS for m, one in built.items()}
            seconds: dict[str, list[float]] = {method: [] for method in built}
            for turn in range(REPEATS.value):
                for method, one in built.items():
                    if turn < goal[method]:
                        seconds[method].append(contestants.seconds(one))
            for method, one in built.items():
                work = contestants.gflop(method, dataset, dimension)
                rival = seconds.get("implicit " + method.split()[1])
                median = float(np.median(seconds[method]))
                yield (
                    (name, str(dimension), method),
                    {
                        **contestants.spread("s", seconds[method]),
                        "to_implicit": median / float(np.median(rival)) if rival else None,
                        "gflop": work["necessary"],
                        "gflop_done": work["done"],
                        "gflop_per_s": work["necessary"] / median,
                        "to_gemm": work["done"] / median / gemm,
                        "compile_s": one.compile_s,
                        "padding": one.padding,
                        "seconds": seconds[method],
                    },
                )


def quality(methods: tuple[str, ...], datasets: Mapping[str, Dataset], gemm: float) -> Group:
    """B: seconds to the same quality.

    The quality is measured in the first run alone: the others repeat it, as `runs_differ` says.
    """
    reference = next(one for one in ("implicit cholesky", "recjax cholesky") if one in methods)
    for name, dataset in datasets.items():
        confidence, regularization = contestants.CHOSEN[name]
        test = splits.share_out(dataset, configs.Data(split="share_out", share=0.1, seed=0)).test
        train = contestants.weigh(test.known, confidence)
        start = contestants.tables(train, QUALITY_DIMENSION.value)
        measures = {"ndcg": _judge(test), "objective": _objective(train, regularization)}
        built = {method: contestants.build(method, train, regularization, start) for method in methods}
        for one in built.values():
            one.iterate()
        trace: dict[str, Any] = {method: {"ndcg": [], "objective": [], "seconds": [], "last": []} for method in built}
        for run in range(RUNS.value):
            for method, one in built.items():
                one.restart(start)
                trace[method]["seconds"].append([])
            for _ in range(ITERATIONS.value):
                for method, one in built.items():
                    trace[method]["seconds"][-1].append(contestants.seconds(one))
                    for measure, of in measures.items() if run == 0 else ():
                        trace[method][measure].append(of(one.tables()))
            for method, one in built.items():
                trace[method]["last"].append(measures["objective"](one.tables()))
            _say(f"quality {name}: run {run + 1} of {RUNS.value}")
        target_ndcg = NDCG * max(trace[reference]["ndcg"])
        target_objective = OBJECTIVE * min(trace[reference]["objective"])
        for method, one in built.items():
            found = trace[method]
            ndcg, objective = np.array(found["ndcg"]), np.array(found["objective"])
            yield (
                (name, str(QUALITY_DIMENSION.value), method),
                {
                    **_reach("ndcg", ndcg >= target_ndcg, found["seconds"]),
                    **_reach("objective", objective <= target_objective, found["seconds"]),
                    "best_ndcg": float(ndcg.max()),
                    "least_objective": float(objective.min()),
                    "compile_s": one.compile_s,
                    "targets": {"reference": reference, "ndcg": target_ndcg, "objective": target_objective},
                    "runs_differ": max(found["last"]) / min(found["last"]) - 1,  # of the last objective
                    **{part: found[part] for part in ("ndcg", "objective", "seconds")},
                },
            )


def memory(methods: tuple[str, ...], datasets: Mapping[str, Dataset], gemm: float) -> Group:
    """C: the peak of a process that does two iterations at D = 64, and of one that only imports and reads."""
    for name, dataset in datasets.items():
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "interactions.npz"
            runs.write_arrays(path, dataset.interactions._asdict() | {"time": ()})
            base = _child("memory", str(path), "")["peak_gb"]
            for method in methods:
                found = _child("memory", str(path), method)
                yield (name, "64", method), {**found, "base_gb": base, "own_gb": found["peak_gb"] - base}


def large(methods: tuple[str, ...], datasets: Mapping[str, Dataset], gemm: float) -> Group:
    """D: a large synthetic matrix, beside ML-1M in the same process; `rows_s`: seconds to only read its lists' rows."""
    for method in methods:
        yield ("synthetic", "64", method), _child("large", DATA.value, method, *LARGE.value)


MEASURES: dict[str, tuple[Callable[..., Group], tuple[str, ...]]] = {
    "A": (speed, ("s", "s_min", "s_max", "to_implicit", "gflop", "gflop_per_s", "to_gemm", "compile_s", "padding")),
    "B": (
        quality,
        (
            *(f"{one}_{part}" for one in ("ndcg", "objective") for part in ("iterations", "s", "s_min", "s_max")),
            "best_ndcg",
            "least_objective",
            "compile_s",
        ),
    ),
    "C": (memory, ("peak_gb", "base_gb", "own_gb")),
    "D": (large, ("s", "ns_an_interaction", "to_ml-1m", "rows_s", "peak_gb", "padding", "compile_s", "prepare_s")),
}


def _child(*arguments: str) -> dict[str, Any]:
    """What `alone.py` prints. Its process takes device memory as it needs it: this one may hold most of it."""
    line = [sys.executable, str(pathlib.Path(__file__).with_name("alone.py")), *arguments]
    surroundings = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    return json.loads(subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True, env=surroundings).stdout)


def _grid(datasets: Mapping[str, Dataset]) -> None:
    """NDCG@20 on validation for each c (rows) and λ (columns): recjax cg, D = 64."""
    for name, dataset in datasets.items():
        split = splits.share_out(dataset, configs.Data(split="share_out", share=0.1, seed=0))
        assert split.validation is not None
        start, judge = contestants.tables(dataset, 64), _judge(split.validation)
        rows: dict[str, dict[str, float]] = {}
        for confidence in GRID[0]:
            one = contestants.build("recjax cg", contestants.weigh(split.train, confidence), GRID[1][0], start)
            rows[f"{name} c={confidence:g}"] = row = {}
            for regularization in GRID[1]:
                one.restart(start, regularization)
                for _ in range(GRID_ITERATIONS):
                    one.iterate()
                row[f"λ={regularization:g}"] = judge(one.tables())
        print(reports.table(rows, [f"λ={one:g}" for one in GRID[1]]), flush=True)


def _judge(held: HeldOut) -> Callable[[contestants.Tables], float]:
    """NDCG@20 over the whole corpus without what is known: one evaluator for both libraries."""
    retriever = retrievers.Retriever(
        lambda tables, features: tables["query"][features["query"]], lambda tables, data: tables["item"]
    )
    judgement = evaluate.prepare(held)
    ranker = jax.jit(evaluate.ranker(retriever, configs.Evaluate(k=(20,), select="ndcg@20"), 1))

    def judge(tables):
        ranking = evaluate.rank(ranker, tables, judgement)
        return float("nan") if ranking is None else float(np.mean(ranking.metrics["ndcg@20"], dtype=np.float64))

    return judge


def _objective(train: Dataset, regularization: float) -> Callable[[contestants.Tables], float]:
    numbers = contestants.coefficients(regularization)

    def total(tables, met):
        with jax.default_matmul_precision("highest"):
            return sum(least_squares.objective(tables["query"], tables["item"], met, numbers))

    program, met = jax.jit(total), jax.tree.map(jnp.asarray, train.interactions)
    return lambda tables: float(program(tables, met))


def _reach(name: str, there: np.ndarray, seconds: list[list[float]]) -> dict[str, float | None]:
    """How many iterations, and seconds of them in each run, until it was there; None: never."""
    if not there.any():
        return dict.fromkeys((f"{name}_iterations", f"{name}_s", f"{name}_s_min", f"{name}_s_max"))
    count = int(np.argmax(there)) + 1
    return {f"{name}_iterations": count, **contestants.spread(f"{name}_s", [sum(run[:count]) for run in seconds])}


def _measure(methods: tuple[str, ...], datasets: Mapping[str, Dataset]) -> None:
    gemm = machine.gemm()
    versions = {one: importlib.metadata.version(one) for one in ("jax", "numpy")}
    if any(one.startswith("implicit") for one in methods):
        versions["implicit"] = importlib.metadata.version("implicit")
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "environment": {"python": platform.python_version(), **versions, **machine.device(), "gemm_gflop_per_s": gemm},
        "settings": {one.name: one.value for one in (PARTS, DATASETS, DIMENSIONS, REPEATS, RUNS, ITERATIONS, LARGE)}
        | {"chosen": {name: {"confidence": c, "regularization": r} for name, (c, r) in contestants.CHOSEN.items()}}
        | {"steps": contestants.STEPS, "block": configs.Wals().block, "quality_dimension": QUALITY_DIMENSION.value},
        "rows": {},
    }
    _say(" ".join(f"{name} {value}" for name, value in result["environment"].items()))
    shown = {}
    for part in PARTS.value:
        measure, columns = MEASURES[part]
        rows = {}
        for where, row in measure(methods, datasets, gemm):
            inner = result["rows"].setdefault(measure.__name__, {})
            for one in where[:-1]:
                inner = inner.setdefault(one, {})
            inner[where[-1]] = row
            label = " ".join(where)
            rows[label] = {name: value for name, value in row.items() if name in columns}
            numbers = ", ".join(f"{name} {reports.number(rows[label].get(name)) or '-'}" for name in columns[:4])
            _say(f"{measure.__name__} {label}: {numbers}")
            command.save(SAVE.value, result)
        shown[measure.__doc__.splitlines()[0]] = reports.table(rows, columns)
    for title, table in shown.items():
        print(f"\n{title}\n\n{table}")


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    for flag, valid in ((PARTS, MEASURES), (DATASETS, contestants.CHOSEN)):
        for one in flag.value:
            if one not in valid:
                raise errors.unknown(f"name in --{flag.name}", one, valid)
    for flag in (DIMENSIONS, LARGE):
        command.whole(flag)
    for name in {*DATASETS.value, *(["ml-1m"] if "D" in PARTS.value else [])}:
        contestants.find(name, DATA.value)
    known = contestants.check()
    for one in METHODS.value:
        if one not in known:
            raise errors.unknown("name in --methods", one, known)
    datasets = {name: contestants.read(name, DATA.value) for name in DATASETS.value}
    if SEARCH.value:
        _grid(datasets)
        return
    _measure(tuple(METHODS.value) or known, datasets)


if __name__ == "__main__":
    command.run(main)
