"""A Parquet file's columns as numpy arrays; what is wrong is told with file and column, or row.

Needs pyarrow, which is an extra: `python3 -m pip install -e '.[parquet]'`.
"""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from recjax.errors import InputError

NO_TIME = int(np.iinfo(np.int64).min)


class Text(NamedTuple):
    """A column of strings: `vocabulary[ids]`, the vocabulary sorted, -1 where there is none."""

    ids: np.ndarray  # [E] int32
    vocabulary: np.ndarray  # [V]


def columns(path: pathlib.Path, wanted: Mapping[str, str]) -> dict[str, Any]:
    """The wanted columns of a file.

    Args:
        wanted: what each holds. "text": a `Text`. "number": [E] float64, NaN where there is none. "time": [E] int64,
            seconds since 1970, in UTC where the file names a zone; NO_TIME where there is none.

    Raises:
        InputError: no pyarrow, a file that is not Parquet or is damaged, a column that is missing or of another type,
            or no row at all.
    """
    try:
        import pyarrow  # noqa: PLC0415  an extra, which takes time to import
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise InputError(
            f"{path} is read with pyarrow, which is not installed; type python3 -m pip install -e '.[parquet]'"
        ) from None
    try:
        names = pyarrow.parquet.read_schema(path).names
        if all(names.count(name) == 1 for name in wanted):
            table = pyarrow.parquet.read_table(path, columns=list(wanted), partitioning=None)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path} could not be read ({_first_line(error)}); wanted a whole Parquet file") from None
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
            found[name] = _READ[kind](pyarrow, column)
        except (pyarrow.ArrowException, ValueError, TypeError) as error:
            raise InputError(
                f"{path}: column {name!r} is of type {column.type} ({_first_line(error)}); wanted {kind}s"
            ) from None
    return found


def require(path: pathlib.Path, column: str, right: np.ndarray, given: np.ndarray | str, wanted: str) -> None:
    """Refuses the first row that is not right.

    Args:
        right: [E], row by row of the file.
        given: [E], what the column holds; or what each row that is not right does.
        wanted: what a row should hold.

    Raises:
        InputError: there is such a row; rows count from 1.
    """
    if not np.all(right):
        row = int(np.argmin(right))
        held = given if isinstance(given, str) else given[row]
        raise InputError(f"{path}: row {row + 1}: column {column!r} holds {held}; wanted {wanted}")


def _text(pyarrow, column) -> Text:
    types = pyarrow.types
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (types.is_string(column.type) or types.is_large_string(column.type)):
        raise TypeError("no strings")
    coded = column.dictionary_encode().combine_chunks()
    vocabulary = np.array(coded.dictionary.to_pylist(), str)
    order = np.argsort(vocabulary)
    place = np.empty(len(order) + 1, np.int32)
    place[order], place[-1] = np.arange(len(order)), -1
    return Text(place[coded.indices.fill_null(-1).to_numpy()], vocabulary[order])


def _number(pyarrow, column) -> np.ndarray:
    types = pyarrow.types
    if not (types.is_integer(column.type) or types.is_floating(column.type)):
        raise TypeError("no numbers")
    return column.cast(pyarrow.float64()).to_numpy()


def _time(pyarrow, column) -> np.ndarray:
    if not pyarrow.types.is_timestamp(column.type):
        raise TypeError("no timestamps")
    seconds = column.cast(pyarrow.timestamp("s", column.type.tz), safe=False)
    return seconds.to_numpy().astype("datetime64[s]").astype(np.int64)


_READ = {"text": _text, "number": _number, "time": _time}


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
