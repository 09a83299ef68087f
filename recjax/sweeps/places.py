"""A sweep's folder: sweep.json, trials.csv, and a run folder a trial under trials/."""

import json
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

from recjax import configs, fields, folders, runs
from recjax.errors import InputError
from recjax.sweeps.space import Trial

TRIALS, TABLE = "trials", "trials.csv"


def result(folder: pathlib.Path, trial: Trial) -> dict[str, Any] | None:
    """What a trial's result.json says; None where there is none yet."""
    try:
        return json.loads((place(folder, trial) / folders.RESULT).read_text())
    except FileNotFoundError:
        return None


def place(folder: pathlib.Path, trial: Trial) -> pathlib.Path:
    """The run folder of a trial."""
    return folder / TRIALS / trial.name


def waiting(folder: pathlib.Path, trials: Sequence[Trial]) -> list[Trial]:
    """What is still to be done, its folders cleared.

    A trial is done where it completed, and where it diverged: it would diverge again.
    """
    found = []
    for trial in trials:
        known = result(folder, trial)
        if known is not None and (known["status"] == "completed" or "term" in known):
            continue
        shutil.rmtree(place(folder, trial), ignore_errors=True)
        found.append(trial)
    return found


def identity(name: str, config: configs.Config, space: Sequence[str], draws: int, search: str) -> dict[str, Any]:
    """What makes a sweep another one."""
    settings = {field: fields.text(value) for field, value in fields.flatten(config).items()}
    return {"experiment": name, "config": settings, "space": list(space), "draws": draws, "search": search}


def open_sweep(workdir: str | None, name: str, identity: dict[str, Any]) -> pathlib.Path:
    """A new folder, or that of the same sweep, which then goes on.

    Raises:
        InputError: the folder holds something else; the differences are shown.
    """
    path = pathlib.Path(workdir or "")
    if not workdir or not path.exists():
        folder = runs.create(workdir, f"{name}-sweep")
        (folder / TRIALS).mkdir()
        return folder
    try:
        found = json.loads((path / folders.SWEEP).read_text())["identity"]
    except (OSError, ValueError, KeyError):
        raise InputError(
            f"--workdir={workdir} exists and holds no {folders.SWEEP}; wanted a new folder or that of this sweep"
        ) from None
    differences = [f"{one}: there {theirs}, here {ours}" for one, theirs, ours in _differences(found, identity)]
    if differences:
        raise InputError(f"--workdir={workdir} holds another sweep ({'; '.join(differences)}); name another folder")
    return path


def _differences(theirs: dict[str, Any], ours: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    found = []
    for one, value in ours.items():
        if isinstance(value, dict):
            found += _differences(theirs.get(one, {}), value)
        elif theirs.get(one) != value:
            found.append((one, theirs.get(one), value))
    return found


def rows(folder: pathlib.Path, trials: Sequence[Trial], lost: dict[str, str]) -> list[dict[str, Any]]:
    """The trials of sweep.json.

    Args:
        lost: by name, what became of the process of a trial that left no result.
    """
    found = []
    for trial in trials:
        known = result(folder, trial) or {}
        timing = known.get("timing", {})
        row = {
            "name": trial.name,
            "overrides": trial.overrides,
            "status": known.get("status", "failed" if trial.name in lost else "waiting"),
            "program": known.get("program"),
            "seconds": round(sum(value for one, value in timing.items() if one.endswith("_s") and "per" not in one), 3),
            "folder": f"{TRIALS}/{trial.name}",
            "error": known.get("error", lost.get(trial.name)),
        }
        found.append(row)
    return found


def write(folder: pathlib.Path, head: dict[str, Any], trials: list[dict[str, Any]]) -> None:
    """Writes sweep.json and trials.csv, each whole or not at all."""
    runs.write_json(folder / folders.SWEEP, {**head, "trials": trials})
    lines = []
    for row in trials:
        path = folder / row["folder"] / folders.RESULT
        known = json.loads(path.read_text()) if path.exists() else {}
        metrics = known.get("metrics", {})
        lines.append(
            {"trial": row["name"], "status": row["status"], **row["overrides"], **metrics}
            | {"seconds": row["seconds"], "folder": row["folder"]}
        )
    metrics = dict.fromkeys(one for line in lines for one in line)
    last = ["seconds", "folder"]
    columns = [one for one in metrics if one not in last] + last
    runs.write_csv(folder / TABLE, columns, lines)
