"""Record batches of pyarrow as numpy arrays, column by column; what is wrong is told with file and place.

Needs pyarrow, which is an extra: `python3 -m pip install -e '.[table]'`.
"""

import contextlib
import importlib
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from recjax.errors import InputError

NO_TIME = int(np.iinfo(np.int64).min)
ENTRIES = 2**20  # of the vocabularies of batches, before they are united
_TEXTS = "string", "large_string", "string_view"
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


def read(batches: Iterable[Any], wanted: Mapping[str, str], rows: int) -> dict[str, Any]:
    """Columns of `rows` rows out of record batches, which are let go one after another.

    Args:
        batches: `pyarrow.RecordBatch`es with the wanted columns.
        wanted: the kind of each column. "text": a `Text`. "id": a `Text` too, of strings or whole numbers; where each
            string is a whole number as Python writes it, the vocabulary is of numbers. "number": [E] float64, NaN
            where there is none. "finite": [E] bool, whether there is a finite number. "time": [E] int64, seconds since
            1970, in UTC where the file names a zone; NO_TIME where there is none. "date": the same, from texts as
            ISO 8601 writes them too. "s", "ms", "us", "ns": the same, from whole numbers of that unit too.

    Raises:
        Mistyped: a column is of another type, or what it holds does not fit.
        ValueError: there are more or fewer rows.
    """
    pyarrow = package(pathlib.Path())
    columns: dict[str, Any] = {
        name: _Texts(rows, kind == "id") if kind in ("id", "text") else _Numbers(rows, kind)
        for name, kind in wanted.items()
    }
    start = 0
    for batch in batches:
        stop = start + batch.num_rows
        for name, column in columns.items() if stop <= rows else ():
            part = batch.column(name)
            with _mistyped(pyarrow, name, part.type):
                column.add(pyarrow, part, slice(start, stop))
        start = stop
    if start != rows:
        raise ValueError(f"{start} rows in {rows} lines")
    found = {}
    for name in wanted:
        with _mistyped(pyarrow, name, "text"):
            found[name] = columns.pop(name).done(pyarrow)
    pyarrow.default_memory_pool().release_unused()
    return found


class Mistyped(ValueError):
    """A column is not of the wanted type; the text says why."""

    def __init__(self, column: str, type: str, why: str):
        super().__init__(why)
        self.column, self.type = column, type


@contextlib.contextmanager
def _mistyped(pyarrow: Any, column: str, type: Any) -> Iterator[None]:
    try:
        yield
    except (pyarrow.ArrowException, ValueError, TypeError) as error:
        raise Mistyped(column, str(type), first_line(error)) from None


class _Numbers:
    """A column of numbers, times, or marks."""

    def __init__(self, rows: int, kind: str):
        self._values = np.empty(rows, {"number": np.float64, "finite": bool}.get(kind, np.int64))
        known: dict[str, Any] = {"number": _number, "finite": _finite, "time": _time, "date": _Dates()}
        self._convert = known.get(kind) or _unit(kind)

    def add(self, pyarrow: Any, part: Any, place: slice) -> None:
        self._values[place] = self._convert(pyarrow, part)

    def done(self, pyarrow: Any) -> np.ndarray:
        return self._values


class _Texts:
    """A column of texts or ids. Each batch has a vocabulary of its own; they are united whenever they have grown."""

    def __init__(self, rows: int, whole: bool):
        self._ids, self._whole = np.empty(rows, np.int32), whole
        self._vocabularies: list[Any] = []
        self._entries, self._stop, self._limit = 0, 0, ENTRIES

    def add(self, pyarrow: Any, part: Any, place: slice) -> None:
        types = pyarrow.types
        value = part.type.value_type if types.is_dictionary(part.type) else part.type
        if not (str(value) in _TEXTS or (self._whole and types.is_integer(part.type))):
            raise TypeError("no strings")
        coded = part if types.is_dictionary(part.type) else part.dictionary_encode()
        ids = coded.indices.cast(pyarrow.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
        self._ids[place] = np.where(ids < 0, -1, ids + self._entries)
        self._vocabularies.append(coded.dictionary)
        self._entries, self._stop = self._entries + len(coded.dictionary), place.stop
        if self._entries > self._limit:
            self._unite(pyarrow)
            self._limit = ENTRIES + 2 * self._entries

    def done(self, pyarrow: Any) -> Text:
        if not self._vocabularies:
            return Text(self._ids, np.empty(0, str))
        self._unite(pyarrow)
        values = self._vocabularies.pop()
        types = pyarrow.types
        if types.is_integer(values.type):
            return _sorted(self._ids, values.to_numpy().astype(np.uint64 if types.is_uint64(values.type) else np.int64))
        texts = values.to_pylist()
        if any("\0" in one for one in texts):
            raise ValueError("a text holds the character NUL")
        if self._whole and not all(0 < len(one) < LONGEST for one in texts):
            raise ValueError(f"an id is empty, or of {LONGEST} characters or more")
        if self._whole and all(map(_WHOLE.match, texts)):
            return _sorted(self._ids, np.array(texts, np.int64))
        return _sorted(self._ids, np.array(texts, str))

    def _unite(self, pyarrow: Any) -> None:
        united = pyarrow.concat_arrays(self._vocabularies).dictionary_encode()
        place = united.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        _rename(self._ids[: self._stop], np.append(place, -1).astype(np.int32))
        self._vocabularies, self._entries = [united.dictionary], len(united.dictionary)


def _sorted(ids: np.ndarray, vocabulary: np.ndarray) -> Text:
    order = np.argsort(vocabulary)
    place = np.empty(len(order) + 1, np.int32)
    place[order], place[-1] = np.arange(len(order)), -1
    _rename(ids, place)
    return Text(ids, vocabulary[order])


def _rename(ids: np.ndarray, place: np.ndarray) -> None:
    """Puts place[ids] into ids, some at a time."""
    for start in range(0, len(ids), 2**20):
        some = ids[start : start + 2**20]
        some[:] = place[some]


def _number(pyarrow: Any, column: Any) -> np.ndarray:
    types = pyarrow.types
    if not (types.is_integer(column.type) or types.is_floating(column.type)):
        raise TypeError("no numbers")
    return column.cast(pyarrow.float64()).to_numpy(zero_copy_only=False)


def _finite(pyarrow: Any, column: Any) -> np.ndarray:
    return np.isfinite(_number(pyarrow, column))


def _time(pyarrow: Any, column: Any) -> np.ndarray:
    if not pyarrow.types.is_timestamp(column.type):
        raise TypeError("no timestamps")
    seconds = column.cast(pyarrow.timestamp("s", column.type.tz), safe=False)
    return seconds.to_numpy(zero_copy_only=False).astype("datetime64[s]").astype(np.int64)


def _unit(kind: str) -> Callable[[Any, Any], np.ndarray]:
    def whole(pyarrow: Any, column: Any) -> np.ndarray:
        if pyarrow.types.is_timestamp(column.type):
            return _time(pyarrow, column)
        if not pyarrow.types.is_integer(column.type):
            raise TypeError("no whole numbers")
        found = column.cast(pyarrow.int64()).fill_null(NO_TIME).to_numpy()
        return np.where(found == NO_TIME, found, found // {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind])

    return whole


class _Dates:
    """Texts as times; a zone is in all rows, or in none."""

    def __init__(self) -> None:
        self._zones: tuple[str | None, ...] = (None, "UTC")

    def __call__(self, pyarrow: Any, column: Any) -> np.ndarray:
        if pyarrow.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if str(column.type) not in _TEXTS:
            return _time(pyarrow, column)
        column = column.cast(pyarrow.string())
        for zone in self._zones[:-1]:
            with contextlib.suppress(pyarrow.ArrowInvalid):
                return self._read(pyarrow, column, zone)
        return self._read(pyarrow, column, self._zones[-1])

    def _read(self, pyarrow: Any, column: Any, zone: str | None) -> np.ndarray:
        found = _time(pyarrow, column.cast(pyarrow.timestamp("us", zone)))
        if column.null_count < len(column):
            self._zones = (zone,)
        return found


_WHOLE = re.compile(r"(0|-?[1-9]\d{0,17})\Z", re.ASCII)
