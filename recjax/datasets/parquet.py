"""A Parquet file's columns as numpy arrays; what is wrong is told with file and column, or row.

Needs pyarrow, which is an extra: `python3 -m pip install -e '.[table]'`.
"""

import functools
import itertools
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from recjax.datasets import arrow
from recjax.errors import InputError

BATCH = 2**18  # rows that are read at once


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
        schema = store.read_schema(path)
        names = schema.names
        coded = ("id", "text")
        texts = [one.name for one in schema if pyarrow.types.is_string(one.type) and wanted.get(one.name) in coded]
        with store.ParquetFile(path, read_dictionary=texts, pre_buffer=False) as file:
            rows = file.metadata.num_rows
            if rows and all(names.count(name) == 1 for name in wanted):
                # Group by group: else what was read of the file is kept.
                groups = (file.iter_batches(BATCH, [one], list(wanted)) for one in range(file.num_row_groups))
                return arrow.read(itertools.chain.from_iterable(groups), wanted, rows)
    except arrow.Mistyped as error:
        raise InputError(
            f"{path}: column {error.column!r} is of type {error.type} ({error}); wanted {_NAMES[wanted[error.column]]}"
        ) from None
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path} could not be read ({arrow.first_line(error)}); wanted a whole Parquet file") from None
    for name in wanted:
        if name not in names:
            raise InputError(f"{path} has no column {name!r} among {', '.join(names)}; wanted {', '.join(wanted)}")
        if names.count(name) > 1:
            raise InputError(f"{path} has {names.count(name)} columns {name!r}; wanted one")
    raise InputError(f"{path} has no rows; wanted at least one")


def place(path: pathlib.Path, row: int) -> str:
    """Where a row, counted from 0, stands."""
    return f"{path}: row {row + 1}"


def require(path: pathlib.Path, column: str, right: np.ndarray, given: np.ndarray | str, wanted: str) -> None:
    """Refuses the first row that is not right: see `arrow.require`."""
    arrow.require(functools.partial(place, path), column, right, given, wanted)


_NAMES = {"text": "texts", "number": "numbers", "finite": "numbers", "time": "times", "id": "texts or whole numbers"}
_NAMES |= {"date": "times, or texts as 2011-01-31T23:59:59"}
_NAMES |= dict.fromkeys(("s", "ms", "us", "ns"), "times, or whole numbers")
