"""The run folder: written whole or not at all, line by line where a line is the unit."""

import csv
import io
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from recjax.errors import InputError


def create(workdir: str | None, name: str) -> pathlib.Path:
    """Makes the folder of a run: `workdir`, or runs/NAME-1, runs/NAME-2, … whichever is next.

    Raises:
        InputError: `workdir` exists.
    """
    if workdir:
        path = pathlib.Path(workdir)
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            raise InputError(
                f"--workdir={workdir} exists; wanted a folder that does not: name another, or remove it"
            ) from None
        except OSError as error:
            raise InputError(f"--workdir={workdir} cannot be made ({error}); name another") from None
        return path
    number = 1
    while (path := pathlib.Path("runs") / f"{name}-{number}").exists():
        number += 1
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"{path} cannot be made ({error}); name a folder with --workdir") from None
    return path


def write_json(path: pathlib.Path, value: Mapping[str, Any]) -> None:
    """Writes JSON so that the file is absent, old or complete; a number that is not finite becomes null."""
    replace(path, lambda file: file.write((json.dumps(_finite(value), indent=2) + "\n").encode()))


def write_arrays(path: pathlib.Path, arrays: Mapping[str, Any]) -> None:
    """Writes an .npz file, whole or not at all."""
    replace(path, lambda file: np.savez(file, **arrays))


def write_csv(path: pathlib.Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes rows as CSV, whole or not at all; without rows the header alone."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replace(path, lambda file: file.write(text.getvalue().encode()))


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes text, whole or not at all."""
    replace(path, lambda file: file.write(text.encode()))


def append_line(path: pathlib.Path, value: Mapping[str, Any]) -> None:
    """Adds a line of JSON. A number that is not finite becomes null: JSON has no word for it."""
    with path.open("ab", buffering=0) as file:  # one call of the system a line
        file.write(_line(value))


def write_lines(path: pathlib.Path, values: Iterable[Mapping[str, Any]]) -> None:
    """Writes what `append_line` writes for each of the values, whole or not at all."""
    replace(path, lambda file: file.writelines(map(_line, values)))


def _line(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(_finite(value)) + "\n").encode()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def replace(path: pathlib.Path, write: Callable[[Any], Any]) -> None:
    """Writes a file, whole or not at all: `write` gets a file of bytes, which then takes the place of `path`."""
    temporary = path.with_name(path.name + ".partial")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
