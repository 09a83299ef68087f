"""A Parquet file's columns as numpy arrays; what is wrong is told with file and column, or row.

Needs pyarrow, which is an extra: `python3 -m pip install -e '.[table]'`.
"""

import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from recjax.datasets import arrow
from recjax.errors import InputError


def columns(path: pathlib.Path, wanted: Mapping[str, str]) -> dict[str, Any]:
    """The wanted columns of a file.

    Args:
        wanted: what each holds, a kind of `arrow.read`.

    Raises:
        InputError: no pyarrow, a file that is not Parquet or is damaged, a column that is missing or of another type,
            or no row at all.
    """
    pyarrow = arrow.package(path)
    store = arrow.package(path, "pyarrow.parquet")
    try:
        names = store.read_schema(path).names
        if all(names.count(name) == 1 for name in wanted):
            table = store.read_table(path, columns=list(wanted), partitioning=None)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path} could not be read ({arrow.first_line(error)}); wanted a whole Parquet file") from None
    for name in wanted:
        if name not in names:
            raise InputError(f"{path} has no column {name!r} among {', '.join(names)}; wanted {', '.join(wanted)}")
        if names.count(name) > 1:
            raise InputError(f"{path} has {names.count(name)} columns {name!r}; wanted one")
    if not table.num_rows:
        raise InputError(f"{path} has no rows; wanted at least one")
    found = {}
    for name, kind in wanted.items():
        column = table.column(name)
        try:
            found[name] = arrow.read(column, kind)
            table = table.drop_columns([name])  # what is read is let go
        except (pyarrow.ArrowException, ValueError, TypeError) as error:
            raise InputError(
                f"{path}: column {name!r} is of type {column.type} ({arrow.first_line(error)}); wanted {_NAMES[kind]}"
            ) from None
    pyarrow.default_memory_pool().release_unused()
    return found


def place(path: pathlib.Path, row: int) -> str:
    """Where a row, counted from 0, stands."""
    return f"{path}: row {row + 1}"


def require(path: pathlib.Path, column: str, right: np.ndarray, given: np.ndarray | str, wanted: str) -> None:
    """Refuses the first row that is not right: see `arrow.require`."""
    arrow.require(functools.partial(place, path), column, right, given, wanted)


_NAMES = {"text": "texts", "number": "numbers", "time": "times", "id": "texts or whole numbers"}
_NAMES |= {"date": "times, or texts as 2011-01-31T23:59:59"}
_NAMES |= dict.fromkeys(("s", "ms", "us", "ns"), "times, or whole numbers")
