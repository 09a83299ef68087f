"""A run folder that exists: whether the same command may go on in it, and from where."""

import contextlib
import fcntl
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from recjax import checkpoints, folders, runs
from recjax.errors import DivergedError, InputError
from recjax.types import State

_FREE = ("config.checkpoint.",)  # settings that may differ: they change no number
_NONE = object()


def folder(workdir: str | None, name: str) -> pathlib.Path:
    """The folder of a run, made if it does not exist: `workdir`, or the next free runs/NAME-1, -2, …

    Raises:
        InputError: it holds something and is not the folder of a run.
    """
    path = pathlib.Path(workdir or "")
    if not workdir or not path.is_dir():
        return runs.create(workdir, name)
    # A run that was killed before its config was written leaves nothing else.
    if not (path / folders.CONFIG).is_file() and {one.name for one in path.iterdir()} - {f"{folders.CONFIG}.partial"}:
        raise InputError(
            f"--workdir={workdir} exists and has no {folders.CONFIG}; wanted the folder of a run, or one that does not "
            "exist: name another"
        )
    return path


@contextlib.contextmanager
def alone(folder: pathlib.Path) -> Iterator[None]:
    """Keeps other processes out of a run folder, for as long as this one lives.

    Raises:
        InputError: another one is in it.
    """
    file = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder}: another process is running in it; wait for it, or name another") from None
        yield
    finally:
        os.close(file)


def completed(folder: pathlib.Path, run: Mapping[str, Any]) -> dict[str, Any] | None:
    """The result of a run that has ended; None: it has not, and may go on.

    Args:
        run: what identifies this one: {"experiment", "config", "data"}.

    Raises:
        InputError: it is a run of another config, or on other data; every difference is named.
        DivergedError: it ended so, and would again.
    """
    settings = _json(folder / folders.CONFIG)
    named = {"experiment": settings.pop("experiment", None), "config": settings}
    _compare(folder / folders.CONFIG, named, {name: run[name] for name in named})
    path = folder / folders.RESULT
    result: dict[str, Any] = _json(path) if path.exists() else {"status": "unknown"}
    diverged = "term" in result
    if result["status"] != "completed" and not diverged:
        return None
    _compare(path, {"data": result["data"]["fingerprint"]}, {"data": run["data"]})
    if diverged:
        raise DivergedError(result["step"], result["term"])
    return result


def begin(
    folder: pathlib.Path, run: Mapping[str, Any], environment: dict[str, str], state: State, echo: Callable[[str], None]
) -> checkpoints.Checkpoint | None:
    """Where an unfinished run goes on; what was written after that is taken back.

    Args:
        run: what identifies it.
        environment: of this process.
        state: before the first step, for its structure.

    Raises:
        InputError: a checkpoint cannot be read, or is of another run; every difference is named.
    """
    for leftover in folder.rglob("*.partial"):
        leftover.unlink()
    found = checkpoints.find(folder, state)
    lines = folder / folders.LINES
    if found:
        theirs = dict(found.about["run"])
        before = theirs.pop("environment")
        _compare(folder / checkpoints.FOLDER, theirs, run)
        for name in sorted(name for name in environment if environment[name] != before[name]):
            echo(f"{name} was {before[name]} and is {environment[name]}: the last digits of numbers may differ")
        runs.write_lines(lines, found.about["progress"]["lines"])
        echo(f"goes on after step {found.step:,}")
    else:
        lines.unlink(missing_ok=True)
        echo("has no checkpoint yet: begins anew")
    (folder / folders.RESULT).unlink(missing_ok=True)  # of an attempt that failed
    return found


def _compare(path: pathlib.Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Refuses runs that differ, naming each difference."""
    there, here = (folders.flat(json.loads(json.dumps(one))) for one in (theirs, ours))  # tuples become lists
    odd = [
        f"{name.removeprefix('config.')} is {there.get(name, 'missing')!r} there and {here.get(name, 'missing')!r} here"
        for name in here | there
        if not name.startswith(_FREE) and there.get(name, _NONE) != here.get(name, _NONE)
    ]
    if odd:
        raise InputError(
            f"{path} is of another run: {'; '.join(odd)}; wanted the same command: name another --workdir, or remove it"
        )


def _json(path: pathlib.Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); wanted the folder of a run: name another") from None
