"""Runs that are killed at random times and started again, against the same runs left alone.

Each run of the embedded world is started as a user starts it, killed by SIGKILL after a time drawn uniformly from the
first four fifths of what the whole run takes (one that goes on takes less), and started again with the same command,
until it ends; then the next begins. After every kill
every file that is left is read. Compiled programs are kept between the processes.

python benchmarks/kills.py --save=results/benchmarks/kills
"""

import csv
import json
import os
import pathlib
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
WORLD = ["--config.data.world.queries=600", "--config.data.world.items=400", "--config.data.world.groups=4"]
SHORT = ["--config.model.dimension=8", "--config.evaluate.pairs=128", "--config.evaluate.rank=8"]
GRAVITY = ["--config.penalties.gravity=0.01", "--config.train.block=10"]
RUNS = {
    "MF, by gradients": [
        "--config=experiments/mf.py",
        "--config.sampler.name=uniform",
        "--config.optimizer.name=adagrad",
        *("--config.model.update=rows", "--config.penalties.l2=0"),
        "--config.train.block=10",
    ],
    "softmax DNN, adaptive sampler, SOGram": [
        *("--config=experiments/softmax.py", "--config.model.hidden=16", *GRAVITY, "--config.gravity.estimate=sogram"),
        *("--config.sampler.name=adaptive", "--config.sampler.negatives=64"),
    ],
    "softmax DNN, memory, SAGram": [
        *("--config=experiments/softmax.py", "--config.model.hidden=16", *GRAVITY, "--config.gravity.estimate=sagram"),
        *("--config.sampler.name=memory", "--config.sampler.memory=64", "--config.sampler.hashes=2"),
    ],
    "WALS": ["--config=experiments/wals.py"],
}
EPOCHS = {"WALS": 150}  # iterations; of the others 30
COLUMNS = ("kills", "without_checkpoint", "in_training", "in_judging", "starts", "ended", "identical", "unreadable")


def start(arguments: Sequence[str], folder: pathlib.Path, cache: pathlib.Path) -> subprocess.Popen:
    """The command of a user in a process of its own."""
    command = [sys.executable, str(ROOT / "launch.py"), f"--workdir={folder}", *arguments]
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen) -> str:
    """Waits for its end, and gives what it told."""
    told, _ = process.communicate(timeout=300)
    if process.returncode:
        raise RuntimeError(f"{shlex.join(process.args)} ended with status {process.returncode}:\n{told}")
    return told


def killed(process: subprocess.Popen, seconds: float) -> bool:
    """Kills the process after so many seconds; False: it had ended."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    told, _ = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{shlex.join(process.args)} ended with status {process.returncode}:\n{told}")
    return process.returncode != 0


def unreadable(folder: pathlib.Path) -> list[str]:
    """The files of a run folder that cannot be read, but for those that are still being written (.partial)."""
    found = []
    for path in folder.rglob("*"):
        try:
            if path.suffix == ".npz":
                with path.open("rb") as file, np.load(file) as arrays:
                    dict(arrays)
            elif path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".jsonl":
                [json.loads(line) for line in path.read_text().splitlines()]
            elif path.suffix == ".html" and not path.read_text().rstrip().endswith("</html>"):
                raise ValueError("it is cut off")
            elif path.suffix == ".png":
                plt.imread(path)
            elif path.suffix == ".csv":
                list(csv.reader(path.read_text().splitlines(), strict=True))
        except Exception as error:
            found.append(f"{path}: {error!r}")
    return found


def left(folder: pathlib.Path) -> dict[str, Any]:
    """All that a run says, without its times."""
    result = json.loads((folder / "result.json").read_text())
    for name in ("timing", "command"):
        result.pop(name)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for one in [*lines, *result["curve"]]:
        one.pop("seconds", None)
    arrays = {}
    for name in ("parameters", "queries"):
        with np.load(folder / f"{name}.npz") as file:
            arrays |= {f"{name} {key}": (file[key].shape, file[key].tobytes()) for key in file}
    return {"result": result, "lines": lines, "arrays": arrays, "offenders": (folder / "offenders.csv").read_text()}


def phase(folder: pathlib.Path, last: int) -> str:
    """Where a run was when it was killed.

    Args:
        last: the step after which training ends.
    """
    steps = [int(path.name.split("-")[1]) for path in (folder / "checkpoints").glob("step-*.npz")]
    if not steps:
        return "without_checkpoint"
    return "in_judging" if max(steps) == last else "in_training"


def measure(arguments: Sequence[str], kills: int, seed: int, folder: pathlib.Path) -> dict[str, Any]:
    """A row: what so many kills did to runs with these arguments.

    Raises:
        RuntimeError: a run ended by itself and with a bad status.
    """
    draw, row = random.Random(seed), dict.fromkeys(COLUMNS, 0)
    cache = folder / "jax"
    finish(start(arguments, folder / "warm", cache))
    begin = time.monotonic()
    finish(start(arguments, folder / "alone", cache))
    seconds = time.monotonic() - begin
    wanted = left(folder / "alone")
    last = wanted["lines"][-1]["step"]
    while row["kills"] < kills:
        place = folder / f"run-{row['ended']}"
        while row["kills"] < kills:
            row["starts"] += 1
            if not killed(start(arguments, place, cache), draw.uniform(0.0, 0.8 * seconds)):
                break
            row["kills"] += 1
            row[phase(place, last)] += 1
            row["unreadable"] += len(unreadable(place))
        else:
            row["starts"] += 1
            finish(start(arguments, place, cache))
        row["ended"] += 1
        row["unreadable"] += len(unreadable(place)) + len(list(place.rglob("*.partial")))
        row["identical"] += left(place) == wanted
    return row


def main() -> None:
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, own) in enumerate(RUNS.items()):
            kills = KILLS.value * (number + 1) // len(RUNS) - KILLS.value * number // len(RUNS)
            epochs = f"--config.train.epochs={EPOCHS.get(name, 30)}"
            patience = "--config.train.patience=1000"
            arguments = [*own, *WORLD, *SHORT, epochs, patience]
            rows[name] = measure(arguments, kills, number, pathlib.Path(folder) / str(number))
            print(reports.listing([{"run": name, **rows[name]}]), flush=True)
    rows["together"] = {name: sum(row[name] for row in rows.values()) for name in COLUMNS}
    print(reports.listing([{"run": name, **row} for name, row in rows.items()]))
    told = shlex.join(["python", *sys.argv])
    command.save(SAVE.value, {"command": told, "environment": machine.device(), "rows": rows})


if __name__ == "__main__":
    import command
    import machine
    from absl import flags

    from recjax import reports

    KILLS = flags.DEFINE_integer("kills", 50, "Over all runs.", 1)
    SAVE = flags.DEFINE_string("save", None, "The numbers are written to SAVE.json.")
    command.run(main)
