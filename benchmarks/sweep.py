"""16 trials, 8 seeds by 2 learning rates: as one sweep, one run after another in a warm process, and in 16 processes.

Source: recjax's own; no other library runs a sweep as one program.
Claim:  one program is never slower than .95 of the warm sequence, and 2 times as fast as processes; equal to the bit.
Run:    python benchmarks/sweep.py --data=data --save=results/benchmarks/sweep
Expect: two hours on two cores; --epochs=12,1.2 --repeats=1 --processes=2 takes a quarter of an hour.
"""

import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

import command
import jax
import machine
import numpy as np
from absl import flags

from recjax import configs, experiment, fields, preparation, reports
from recjax.clock import Clock
from recjax.sweeps import choice, engine, executors, space

DATA = flags.DEFINE_string("data", "data", "The folder of ml-100k and ml-1m.")
SAVE = flags.DEFINE_string("save", None, "The table is also written to SAVE.json.")
REPEATS = flags.DEFINE_integer("repeats", 3, "How often each is timed.", lower_bound=1)
EPOCHS = flags.DEFINE_list("epochs", ["12", "12"], "Of ML-100K and of ML-1M; the README's runs have 12 at most.")
PROCESSES = flags.DEFINE_integer("processes", 4, "How many of the 16 processes are timed, a repeat.", lower_bound=1)

SPACE, TRIALS, STEPS = ("optimizer.learning_rate=1e-3,1e-2", "seed=0:8"), 16, 50
SETUPS = {
    "softmax DNN, ML-100K": {"data.name": "movielens_100k", "data.path": "ml-100k"},
    "MF D=32, ML-1M": {
        "data.name": "movielens_1m",
        "data.path": "ml-1m",
        "model.name": "mf",
        "model.dimension": "32",
        "penalties.l2": "0.01",
    },
}


def main() -> None:
    rows: dict[str, dict[str, float]] = {}
    found = {
        "command": shlex.join(["python", *sys.argv]),
        "repeats": REPEATS.value,
        "processes": PROCESSES.value,
        "epochs": EPOCHS.value,
        "setups": SETUPS,
        "space": SPACE,
        "environment": experiment.environment() | machine.device(),
        "rows": rows,
    }
    with tempfile.TemporaryDirectory() as place:
        cache = str(pathlib.Path(place) / "cache")
        os.environ["JAX_COMPILATION_CACHE_DIR"] = cache
        jax.config.update("jax_compilation_cache_dir", cache)
        for (name, overrides), epochs in zip(SETUPS.items(), EPOCHS.value, strict=True):
            path = str(pathlib.Path(DATA.value) / overrides["data.path"])
            texts = overrides | {"data.path": path, "train.epochs": epochs}
            rows[name] = _measure(texts, pathlib.Path(place) / overrides["data.name"])
            print(reports.table({name: rows[name]}, list(rows[name])), flush=True)
            command.save(SAVE.value, found)  # the next setup takes long


def _measure(texts: dict[str, str], place: pathlib.Path) -> dict[str, float]:
    config = fields.override(configs.Config(), texts)
    trials = space.trials(space.parse(SPACE, config), config, 0)
    _single(trials[0].config, place / "first")  # fills the cache: every way then finds what it compiles
    seconds: dict[str, list[float]] = {"sweep": [], "warm": [], "processes": []}
    differences, ways = [], []
    for repeat in range(REPEATS.value):
        here = place / str(repeat)
        begin = time.perf_counter()
        _sweep(config, here / "sweep")
        seconds["sweep"].append(time.perf_counter() - begin)
        begin = time.perf_counter()
        for trial in trials:
            _single(trial.config, here / "warm" / trial.name)
        seconds["warm"].append(time.perf_counter() - begin)
        begin = time.perf_counter()
        for trial in trials[:: TRIALS // PROCESSES.value][: PROCESSES.value]:
            _process(texts | trial.overrides, here / "processes" / trial.name)
        seconds["processes"].append((time.perf_counter() - begin) * TRIALS / PROCESSES.value)
        differences += [_difference(here / "sweep" / "trials" / one.name, here / "warm" / one.name) for one in trials]
        ways.append(json.loads((here / "sweep" / "sweep.json").read_text())["trials"][0]["program"])
    row: dict[str, float] = {}
    for name, values in seconds.items():
        row |= {f"{name}_s": float(np.median(values)), f"{name}_min": min(values), f"{name}_max": max(values)}
    for name in ("warm", "processes"):
        ratios = [slow / fast for slow, fast in zip(seconds[name], seconds["sweep"], strict=True)]
        row |= {f"{name} / sweep": float(np.median(ratios)), f"{name} / sweep, least": min(ratios)}
    row["difference"] = max(differences)
    row["trials"] = TRIALS
    row["vmap"] = float(np.mean([way == "vmap" for way in ways]))
    return row | _ways(config)


def _sweep(config: configs.Config, place: pathlib.Path) -> None:
    how = engine.Command("sweep", ("launch.py",), ("launch.py",))
    engine.run(space.Sweep(config, SPACE), how, str(place), executors.Options(), lambda text: None)


def _single(config: configs.Config, place: pathlib.Path) -> None:
    experiment.run(config, "sweep", str(place), lambda text: None)


def _process(texts: dict[str, str], place: pathlib.Path) -> None:
    given = [f"--config.{name}={value}" for name, value in texts.items()]
    called = [sys.executable, "launch.py", *given, f"--workdir={place}"]
    subprocess.run(called, check=True, capture_output=True)


def _difference(one: pathlib.Path, other: pathlib.Path) -> float:
    """The largest difference of a parameter, or of a test metric."""
    metrics = [json.loads((place / "result.json").read_text())["metrics"] for place in (one, other)]
    with np.load(one / "parameters.npz") as ours, np.load(other / "parameters.npz") as theirs:
        found = [float(np.max(np.abs(ours[name] - theirs[name]))) for name in theirs]
    return max(found + [abs(metrics[0][name] - metrics[1][name]) for name in metrics[1]])


def _ways(config: configs.Config) -> dict[str, float]:
    """Milliseconds that a step of a trial takes: one after another, and 16 side by side."""
    prepared, clock = preparation.prepare(config), Clock()
    one, together = choice.alone(prepared, STEPS, clock), choice.side_by_side(prepared, STEPS, clock, TRIALS)
    return {"map_ms": 1e3 * one / STEPS, "vmap_ms": 1e3 * together / STEPS / TRIALS}


if __name__ == "__main__":
    command.run(main)
