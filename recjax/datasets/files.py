"""A data set's files: the folder that holds them, and their lines; what is wrong is told with file and line."""

import io
import pathlib
import re
from collections.abc import Callable, Sequence

import numpy as np

from recjax import configs
from recjax.errors import InputError


def folder(settings: configs.Data, files: Sequence[str], source: str) -> pathlib.Path:
    """The folder that data.path names.

    Args:
        files: that it must hold.
        source: where to get them and what to type then, for the message.

    Raises:
        InputError: no data.path, or a file is not there.
    """
    wanted = f"wanted the folder of {', '.join(files)}: {source}"
    if not settings.path:
        raise InputError(f"data.name={settings.name!r} needs data.path; {wanted}")
    found = pathlib.Path(settings.path)
    missing = [file for file in files if not (found / file).is_file()]
    if missing:
        raise InputError(f"data.path={settings.path!r} has no {missing[0]}; {wanted}")
    return found


def ratings(path: pathlib.Path, separator: bytes) -> np.ndarray:
    """[E 4] of query, item, rating, time, raw.

    Raises:
        InputError: no line at all, or one that is not four whole numbers of 0 or more.
    """
    text = path.read_bytes()
    if not text.strip():
        raise InputError(f"{path} has no ratings; wanted at least one line")
    try:
        found = np.loadtxt(io.BytesIO(text.replace(separator, b"\t")), np.int64, delimiter="\t", comments=None, ndmin=2)
        right = found.shape[1] == 4 and len(found) == len(text.splitlines()) and found.min() >= 0
    except ValueError:
        right = False
    if not right:
        number = r"\d{1,18}"
        line = re.compile(separator.join([number.encode()] * 4) + rb"\Z")
        for row, one in enumerate(text.splitlines(), 1):
            if not line.match(one):
                wanted = separator.decode().join(["query", "item", "rating", "time"]).replace("\t", "<tab>")
                raise InputError(f"{path}:{row}: {one[:80]!r} is malformed; wanted {wanted} in whole numbers")
        raise InputError(f"{path} holds numbers that are too large; wanted whole numbers of at most 18 digits")
    return found


def rows(path: pathlib.Path, separator: str, columns: int, read: Callable) -> list:
    """A small file, row by row.

    Args:
        read: turns the strings of a row into what is wanted of it, and refuses them by a ValueError or a KeyError.

    Raises:
        InputError: a row that has not so many columns, or that `read` refused.
    """
    found = []
    for number, line in enumerate(path.read_text("latin-1").rstrip("\n").split("\n"), 1):
        row = line.split(separator)
        try:
            if len(row) != columns:
                raise ValueError(f"it has {len(row)} columns")
            found.append(read(row))
        except (ValueError, KeyError) as error:
            raise InputError(
                f"{path}:{number}: {line[:80]!r} is malformed ({error}); wanted {columns} columns"
            ) from None
    return found
