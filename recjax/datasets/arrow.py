"""A table of pyarrow as numpy arrays, column by column; what is wrong is told with file and place.

Needs pyarrow, which is an extra: `python3 -m pip install -e '.[table]'`.
"""

import importlib
import pathlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from recjax.errors import InputError

NO_TIME = int(np.iinfo(np.int64).min)
LONGEST = 256  # characters of an id: numpy keeps all texts of a vocabulary as wide as the longest


class Text(NamedTuple):
    """A column of strings or ids: `vocabulary[ids]`, the vocabulary sorted, -1 where there is none."""

    ids: np.ndarray  # [E] int32
    vocabulary: np.ndarray  # [V]


def package(path: pathlib.Path, name: str = "pyarrow") -> Any:
    """The package, or a module of it.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(name)  # only here: an extra, which takes time to import
    except ImportError:
        raise InputError(
            f"{path} is read with pyarrow, which is not installed; type python3 -m pip install -e '.[table]'"
        ) from None


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def require(place: Callable[[int], str], column: str, right: np.ndarray, given: np.ndarray | str, wanted: str) -> None:
    """Refuses the first row that is not right.

    Args:
        place: of a row, counted from 0: file and line, or file and row.
        right: [E], row by row of the file.
        given: [E], what the column holds; or what each row that is not right does.
        wanted: what a row should hold.

    Raises:
        InputError: there is such a row.
    """
    if not np.all(right):
        row = int(np.argmin(right))
        held = given if isinstance(given, str) else given[row]
        raise InputError(f"{place(row)}: column {column!r} holds {held}; wanted {wanted}")


def read(column: Any, kind: str) -> Any:
    """A column (`pyarrow.ChunkedArray`) of one of these kinds.

    "text": a `Text`. "id": a `Text` too, of strings or whole numbers; where each string is a whole number as Python
    writes it, the vocabulary is of numbers. "number": [E] float64, NaN where there is none. "time": [E] int64, seconds
    since 1970, in UTC where the file names a zone; NO_TIME where there is none. "date": the same, from texts as ISO
    8601 writes them too. "s", "ms", "us", "ns": the same, from whole numbers of that unit too.

    Raises:
        TypeError, ValueError: the column is of another type.
    """
    pyarrow = package(pathlib.Path())
    return {"text": _text, "id": _id, "number": _number, "time": _time, "date": _date}.get(kind, _unit(kind))(
        pyarrow, column
    )


def _unit(kind: str) -> Callable[[Any, Any], np.ndarray]:
    def whole(pyarrow: Any, column: Any) -> np.ndarray:
        if pyarrow.types.is_timestamp(column.type):
            return _time(pyarrow, column)
        if not pyarrow.types.is_integer(column.type):
            raise TypeError("no whole numbers")
        found = column.cast(pyarrow.int64()).fill_null(NO_TIME).to_numpy()
        unit = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind]
        return found if unit == 1 else np.where(found == NO_TIME, found, found // unit)

    return whole


def _id(pyarrow: Any, column: Any) -> Text:
    if pyarrow.types.is_integer(column.type):
        return _coded(column.dictionary_encode(), np.uint64 if pyarrow.types.is_uint64(column.type) else np.int64)
    found = _text(pyarrow, column, longest=LONGEST)
    number = re.compile(r"(0|-?[1-9]\d{0,17})\Z", re.ASCII)
    if not all(map(number.match, found.vocabulary.tolist())):
        return found
    numbers = found.vocabulary.astype(np.int64)
    return _sorted(found.ids, numbers)


def _text(pyarrow: Any, column: Any, longest: int = 2**31) -> Text:
    types = pyarrow.types
    value = column.type.value_type if types.is_dictionary(column.type) else column.type
    if not (types.is_string(value) or types.is_large_string(value)):
        raise TypeError("no strings")
    coded = column.unify_dictionaries() if types.is_dictionary(column.type) else column.dictionary_encode()
    return _coded(coded, str, longest)


def _coded(column: Any, kind: type, longest: int = 2**31) -> Text:
    """Chunk by chunk, so that no second copy of the column is made."""
    if not column.num_chunks:
        return Text(np.empty(0, np.int32), np.empty(0, kind))
    ids, start = np.empty(len(column), np.int32), 0
    for chunk in column.chunks:
        ids[start : start + len(chunk)] = chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        start += len(chunk)
    values = column.chunk(0).dictionary.to_pylist()
    if any(isinstance(one, str) and "\0" in one for one in values):
        raise ValueError("a text holds the character NUL")
    if longest == LONGEST and not all(0 < len(one) < LONGEST for one in values):
        raise ValueError(f"an id is empty, or of {LONGEST} characters or more")
    return _sorted(ids, np.array(values, kind))


def _sorted(ids: np.ndarray, vocabulary: np.ndarray) -> Text:
    order = np.argsort(vocabulary)
    place = np.empty(len(order) + 1, np.int32)
    place[order], place[-1] = np.arange(len(order)), -1
    return Text(place[ids], vocabulary[order])


def _number(pyarrow: Any, column: Any) -> np.ndarray:
    types = pyarrow.types
    if not (types.is_integer(column.type) or types.is_floating(column.type)):
        raise TypeError("no numbers")
    return column.cast(pyarrow.float64()).to_numpy()


def _time(pyarrow: Any, column: Any) -> np.ndarray:
    if not pyarrow.types.is_timestamp(column.type):
        raise TypeError("no timestamps")
    seconds = column.cast(pyarrow.timestamp("s", column.type.tz), safe=False)
    return seconds.to_numpy().astype("datetime64[s]").astype(np.int64)


def _date(pyarrow: Any, column: Any) -> np.ndarray:
    if not pyarrow.types.is_string(column.type):
        return _time(pyarrow, column)
    try:
        return _time(pyarrow, column.cast(pyarrow.timestamp("us")))
    except pyarrow.ArrowInvalid:  # a zone is in all rows, or in none
        return _time(pyarrow, column.cast(pyarrow.timestamp("us", "UTC")))
