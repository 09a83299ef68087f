"""What runs, studies and sweeps have left in their folders, read back. Nothing here needs jax."""

import csv
import json
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from recjax.errors import InputError

# The files of a run, of a study and of a sweep, and the page that each of them may have.
CONFIG, LINES, RESULT = "config.json", "metrics.jsonl", "result.json"
QUERIES, OFFENDERS = "queries.npz", "offenders.csv"
STUDY, PICTURE, SWEEP = "study.json", "study.png", "sweep.json"
REPORT = "report.html"


class Run(NamedTuple):
    """A run that is completed."""

    name: str  # the folder's
    folder: pathlib.Path
    result: dict[str, Any]
    lines: list[dict[str, Any]]  # of metrics.jsonl


class Arm(NamedTuple):
    """Runs of one setting, that differ in their seed alone."""

    name: str
    runs: list[Run]


class Failure(NamedTuple):
    """A trial without a result."""

    name: str
    setting: str
    status: str
    error: str


class Several(NamedTuple):
    """A study or a sweep."""

    folder: pathlib.Path
    head: dict[str, Any]  # study.json or sweep.json
    arms: list[Arm]
    failures: list[Failure]


def is_run(folder: pathlib.Path) -> bool:
    return not (folder / STUDY).is_file() and not (folder / SWEEP).is_file()


def run(folder: pathlib.Path) -> Run:
    """Reads a run folder.

    Raises:
        InputError: it is none, or its run is not completed.
    """
    result = _json(folder / RESULT, "the folder of a completed run")
    if result.get("status") != "completed":
        told = f": {result['error']}" if "error" in result else ""
        raise InputError(f"{folder}: the run is {result.get('status')!r}{told}; wanted a completed one")
    if "command" not in result:
        raise InputError(f"{folder}: the run is of an older version, which kept too little; run it again")
    return Run(folder.resolve().name, folder, result, lines(folder))


def settings(run: Run) -> dict[str, Any]:
    """The run's config by dotted name."""
    return flat(run.result["config"])


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted name; a list, which JSON made of a tuple, is a tuple again.

    >>> flat({"seed": 1, "model": {"hidden": [64, 32]}})
    {'seed': 1, 'model.hidden': (64, 32)}
    """
    found: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = tuple(value) if isinstance(value, list) else value
    return found


def lines(folder: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl."""
    return [json.loads(line) for line in (folder / LINES).read_text().splitlines()]


def rows(path: pathlib.Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def queries(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """What the run kept of each test query: see recjax.queries.

    Raises:
        InputError: there is no such file.
    """
    path = folder / QUERIES
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            return dict(found)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read ({error}); wanted a run of this version: run it again") from None


def several(folder: pathlib.Path) -> Several:
    """Reads the folder of a study or a sweep, with the runs of every arm: trials that differ in more than the seed.

    Raises:
        InputError: it is none, or no run in it is completed.
    """
    if (folder / STUDY).is_file():
        head = _json(folder / STUDY, "the folder of a study")
        arms = [
            Arm(name, [run(folder / of_arm(name, seed)) for seed in head["seeds"]]) for name in head.get("configs", {})
        ]
        return Several(folder, head, arms, [])
    head = _json(folder / SWEEP, "the folder of a study or a sweep")
    trials = head["trials"]
    done = [trial for trial in trials if trial["status"] == "completed"]
    if not done:
        raise InputError(f"{folder}: none of {len(trials)} trials is completed; start the sweep again")
    grouped: dict[str, list[Run]] = {}
    for trial in done:
        grouped.setdefault(setting(trial["overrides"]), []).append(run(_place(folder, trial)))
    failures = [
        Failure(trial["name"], _text(trial["overrides"]), trial["status"], str(trial.get("error") or ""))
        for trial in trials
        if trial["status"] != "completed"
    ]
    return Several(folder, head, [Arm(*pair) for pair in grouped.items()], failures)


def of_arm(name: str, seed: int) -> str:
    """The folder of a study's run.

    >>> of_arm("iALS, D = 64", 0)
    'iALS,-D-=-64-0'
    """
    return f"{name.replace(' ', '-')}-{seed}"


def setting(overrides: Mapping[str, Any]) -> str:
    """The name of what a trial sets beside its seed.

    >>> setting({"optimizer.learning_rate": "0.01", "seed": "3"})
    'optimizer.learning_rate=0.01'
    """
    return _text({name: value for name, value in overrides.items() if name != "seed"}) or "all trials"


def _text(overrides: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in overrides.items())


def _place(folder: pathlib.Path, trial: Mapping[str, Any]) -> pathlib.Path:
    """A sweep may have been moved since, so its own folder is looked into first."""
    inside = folder / "trials" / trial["name"]
    return inside if inside.is_dir() else pathlib.Path(trial["folder"])


def _json(path: pathlib.Path, wanted: str) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); wanted {wanted}") from None
