"""Checkpoints: the whole state of a run at the end of a block, one .npz file a step, whole or not at all.

A thin file over numpy and not Orbax: a run's arrays are those of one process, so one file that is renamed into place is
atomic, and the checksums of its members tell damage.
"""

import json
import pathlib
import re
import shlex
import time
import zipfile
import zlib
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from recjax import configs, runs
from recjax.errors import InputError
from recjax.types import Params, State

FOLDER = "checkpoints"  # in the run folder
# A RuntimeError is zipfile's where damage reads as a password or as a compression of another kind.
_DAMAGED = (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)


class Checkpoint(NamedTuple):
    """Where a run goes on."""

    step: int  # done
    state: State
    best: Params  # of the best step so far
    about: dict[str, Any]  # what was saved beside the arrays


class Saver:
    """Writes checkpoints on a thread of its own, one at a time; what goes wrong there is raised by the next call.

    Args:
        folder: of the run.
        run: what identifies the run; `find` gives it back in `about`.
    """

    def __init__(self, folder: pathlib.Path, settings: configs.Checkpoint, run: Mapping[str, Any]):
        self._folder, self._settings, self._run = folder / FOLDER, settings, dict(run)
        self._pool, self._pending = ThreadPoolExecutor(1, "checkpoint"), Future[None]()
        self._pending.set_result(None)
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether a checkpoint is to be written though nothing was judged: the last one is too long ago."""
        return self._pending.done() and time.monotonic() - self._last > self._settings.seconds

    def save(self, state: State, best_step: int, about: Mapping[str, Any]) -> None:
        """Copies the state, which may then be donated, and begins to write it.

        The checkpoint of `best_step` is kept as long as this one: it holds the best parameters, which are not written
        again.
        """
        self.wait()
        path = self._folder / _name(int(state.step), best_step)
        text = json.dumps({"run": self._run, **about})
        self._pending = self._pool.submit(self._write, path, flatten(state), text)
        self._last = time.monotonic()

    def wait(self) -> None:
        """Until everything is written.

        Raises:
            OSError: it could not be written.
        """
        self._pending.result()

    def close(self) -> None:
        """Waits for the thread, whatever came of it."""
        self._pool.shutdown()

    def _write(self, path: pathlib.Path, arrays: dict[str, np.ndarray], text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        runs.write_arrays(path, {**arrays, "about": np.frombuffer(text.encode(), np.uint8)})
        prune(path.parent, self._settings.keep)


def flatten(state: State) -> dict[str, np.ndarray]:
    """A copy on the host by tree path: {"state/params/tables/item": …}. What numpy has no name for is kept as bits."""
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    for _, leaf in leaves:
        leaf.copy_to_host_async()
    # A copy: the leaf's own memory is donated to the next block.
    found = {_path(path): np.array(leaf).view(_stored(leaf.dtype)) for path, leaf in leaves}
    assert len(found) == len(leaves), "two leaves have one path"
    return found


def find(folder: pathlib.Path, like: State) -> Checkpoint | None:
    """The newest checkpoint of a run folder, on the device; None: there is none.

    Args:
        like: a state of the same run, for its structure.

    Raises:
        InputError: a file that is needed is damaged, is missing or has other arrays.
    """
    steps = _steps(folder / FOLDER)
    if not steps:
        return None
    step, best_step = max(steps.items())
    path = folder / FOLDER / _name(step, best_step)
    arrays, about = _read(path, [path])
    state = restore(like, arrays, path)
    if best_step in (0, step):
        return Checkpoint(step, state, jax.tree.map(jnp.copy, state.params), about)  # as the state is donated
    other = folder / FOLDER / _name(best_step, best_step)
    leaning = [folder / FOLDER / _name(*one) for one in steps.items() if one[1] == best_step]
    best = restore(like, _read(other, sorted({other, *leaning}))[0], other).params
    return Checkpoint(step, state, best, about)


def restore(like: State, arrays: Mapping[str, np.ndarray], path: pathlib.Path) -> State:
    """The state that `flatten` took apart.

    Raises:
        InputError: its arrays are not those of a state like this.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    wanted = {_path(one): (leaf.shape, str(_stored(leaf.dtype))) for one, leaf in leaves}
    given = {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}
    odd = sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name))
    if odd:
        raise InputError(
            f"{path}: {odd[0]} is {given.get(odd[0])} and {wanted.get(odd[0])} here; wanted a "
            "checkpoint of this run, written by this version: remove the run folder to begin anew"
        )
    # A copy: the state will be donated, which memory of numpy cannot be.
    found = [jnp.array(arrays[_path(one)].view(leaf.dtype)) for one, leaf in leaves]
    return jax.tree.unflatten(structure, found)


def prune(folder: pathlib.Path, keep: int) -> None:
    """Removes all checkpoints but the newest `keep` and those that hold the best parameters of these."""
    steps = _steps(folder)
    newest = sorted(steps)[-keep:]
    for step in steps.keys() - newest - {steps[one] for one in newest}:
        (folder / _name(step, steps[step])).unlink()


def _path(path: Any) -> str:
    return f"state/{jax.tree_util.keystr(path, simple=True, separator='/')}"


def _stored(kind: np.dtype) -> np.dtype:
    return kind if kind.isbuiltin == 1 else np.dtype(f"u{kind.itemsize}")


def _name(step: int, best_step: int) -> str:
    return f"step-{step}-best-{best_step}.npz"


def _steps(folder: pathlib.Path) -> dict[int, int]:
    """The best step by step."""
    found = (re.fullmatch(r"step-(\d+)-best-(\d+)\.npz", path.name) for path in folder.glob("*.npz"))
    return {int(one[1]): int(one[2]) for one in found if one}


def _read(path: pathlib.Path, remove: list[pathlib.Path]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """All arrays, each with its checksum, and what was saved beside them."""
    try:
        with path.open("rb") as file, np.load(file) as members:
            arrays = dict(members)
        return arrays, json.loads(arrays.pop("about").tobytes())
    except _DAMAGED as error:
        raise InputError(
            f"{path} cannot be read ({error}); to go on from the one before, or from the beginning where there "
            f"is none, type: rm {shlex.join(map(str, remove))}"
        ) from None
