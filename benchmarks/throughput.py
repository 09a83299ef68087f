"""Examples a second of the three setups on MovieLens 1M, and the share of the time that is outside compiled code.

Timed is the loop of a run, `fit.fit`, from the end of its first block of steps to the end of the training: blocks,
metrics.jsonl, evaluations on validation, copies of the best parameters. A compiled program is timed from its dispatch
until its results are there; all else is outside, and what follows an evaluation's program counts as evaluation.
Compilation ahead of a call is in no time, `compile_s` stands beside; what jax compiles at the first evaluation, to copy
parameters and to select rows, counts as outside. Each setup has a process of its own.

python benchmarks/throughput.py --data=FOLDER --save=results/benchmarks/throughput     # FOLDER has ml-1m/
"""

import concurrent.futures
import dataclasses
import importlib.metadata
import itertools
import multiprocessing
import os
import pathlib
import platform
import runpy
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import command
import jax
import machine
from absl import flags

from recjax import configs, fit, preparation, reports, runs
from recjax.clock import Clock
from recjax.errors import InputError

SETUPS = {"mf": "mf", "softmax_dnn": "softmax", "two_tower": "two_tower"}  # by name: its experiment
COLUMNS = (
    *("examples_per_s", "ms_a_step", "outside", "outside_training", "outside_evaluation", "evaluation"),
    *("compile_s", "peak_gb"),
)

DATA = flags.DEFINE_string("data", "", "The folder that has ml-1m/ratings.dat.")
SAVE = flags.DEFINE_string("save", None, "The numbers are written to SAVE.json.")
EPOCHS = flags.DEFINE_float("epochs", 2.0, "How long each setup is trained.", 0.1)


class Span(NamedTuple):
    """When something ran, in seconds."""

    name: str  # training, evaluation or compilation
    begin: float
    end: float


class Watch(Clock):
    """A clock that also notes when programs were compiled and when they ran, until all of their results were there.

    The loop itself waits for the first result of each program, so that waiting for all of them changes nothing.
    """

    def __init__(self):
        super().__init__()
        self.spans: list[Span] = []

    def compile(self, function: Callable, *arguments: Any, donate: tuple[int, ...] = ()) -> Callable:
        program = self._note("compilation", super().compile, function, *arguments, donate=donate)
        name = "training" if donate else "evaluation"  # a block of steps takes the state over
        return lambda *arguments: self._note(name, lambda: jax.block_until_ready(program(*arguments)))

    def _note(self, name: str, run: Callable, *arguments: Any, **settings: Any) -> Any:
        begin = time.perf_counter()
        found = run(*arguments, **settings)
        self.spans.append(Span(name, begin, time.perf_counter()))
        return found


def measure(setup: str, folder: str, epochs: float) -> dict[str, Any]:
    """One setup, trained in this process."""
    file = pathlib.Path(__file__).parents[1] / "experiments" / f"{SETUPS[setup]}.py"
    config = runpy.run_path(str(file))["get_config"]()
    data = configs.Data(name="movielens_1m", path=folder)
    config = dataclasses.replace(config, data=data, train=dataclasses.replace(config.train, epochs=epochs))
    _, _, split, start = preparation.prepare(config)
    watch = Watch()
    with tempfile.TemporaryDirectory() as workdir:
        fitted = fit.fit(
            config,
            start,
            split.validation,
            watch,
            log=lambda line: runs.append_line(pathlib.Path(workdir) / "metrics.jsonl", line),
            echo=lambda line: print(f"{setup}: {line}", flush=True),
        )
        seconds = account(watch.spans, time.perf_counter())
    total = {name: sum(parts) for name, parts in seconds.items()}
    wall, steps = sum(total.values()), fitted.progress.step - fitted.progress.lines[0]["step"]
    found = {
        "examples_per_s": steps * start.examples / wall,
        "ms_a_step": 1e3 * total["training"] / steps,
        "outside": (total["outside_training"] + total["outside_evaluation"]) / wall,
        "outside_training": total["outside_training"] / wall,
        "outside_evaluation": total["outside_evaluation"] / wall,
        "evaluation": (total["evaluation"] + total["outside_evaluation"]) / wall,
        "compile_s": watch["compile_s"],
        "peak_gb": machine.peak(),
        "steps": steps,
        "seconds": seconds,
    }
    statistics = jax.devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in statistics:
        found["device_peak_gb"] = statistics["peak_bytes_in_use"] / 1e9
    return found


def account(spans: list[Span], end: float) -> dict[str, list[float]]:
    """Seconds after the first block: of each program, and after each, outside, until the next one.

    Compilation is left out; what lies outside between it and the next program counts as training.
    """
    names = ("training", "evaluation")
    seconds: dict[str, list[float]] = {f"{where}{name}": [] for where in ("", "outside_") for name in names}
    first = next(number for number, span in enumerate(spans) if span.name == "training")
    for before, after in itertools.pairwise([*spans[first:], Span("end", end, end)]):
        name = before.name if before.name in names else "training"
        seconds[f"outside_{name}"].append(after.begin - before.end)
        if after.name in names:
            seconds[after.name].append(after.end - after.begin)
    return seconds


def main() -> None:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # this process holds the device too
    _measure(_folder())


def _measure(folder: str) -> None:
    versions = {one: importlib.metadata.version(one) for one in ("jax", "optax", "numpy")}
    result: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]),
        "environment": {"python": platform.python_version(), **versions, **machine.device()},
        "settings": {"epochs": EPOCHS.value, "batch": configs.Train().batch, "block": configs.Train().block},
        "rows": {},
    }
    for setup in SETUPS:
        with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            row = process.submit(measure, setup, folder, EPOCHS.value).result()
        result["rows"][setup] = row
        print(f"{setup}: " + ", ".join(f"{one} {reports.number(row[one])}" for one in COLUMNS), flush=True)
        command.save(SAVE.value, result)
    print(f"\nMovieLens 1M, {EPOCHS.value:g} epochs\n\n{reports.table(result['rows'], COLUMNS)}")


def _folder() -> str:
    """That of MovieLens 1M.

    Raises:
        InputError: no folder, or the data is not in it.
    """
    folder = pathlib.Path(DATA.value) / "ml-1m"
    if not DATA.value or not (folder / "ratings.dat").is_file():
        raise InputError(f"--data={DATA.value} has no ml-1m/ratings.dat; wanted the folder that does: --data=FOLDER")
    return str(folder)


if __name__ == "__main__":
    command.run(main)
