"""The columns of a text file, a row a line (CSV, TSV), as numpy arrays; what is wrong is told with file and line.

Needs pyarrow, which is an extra: `python3 -m pip install -e '.[table]'`. A value in quotes may hold the separator and
doubled quotes, but no line end: a line is a row, which is how rows are counted.
"""

import csv
import datetime
import functools
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from recjax.datasets import arrow
from recjax.errors import InputError

LONGEST = 2**20  # bytes of a line
BLOCK = 2**21  # bytes that are parsed at once: longer than a line
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,18}\Z", re.ASCII)


def columns(
    path: pathlib.Path, wanted: Mapping[str, str], *, separator: str = ",", header: bool = True
) -> dict[str, Any]:
    """The wanted columns of a file in UTF-8.

    Args:
        wanted: what each holds, a kind of `arrow.read`, by the column's name; without a header by its number, from "1".
        separator: one character, or "::" (then nothing is in quotes).

    Raises:
        InputError: no pyarrow, an empty file, a column that is missing, repeated or of another type, or a line that is
            not whole.
    """
    names = _names(path, separator, header)
    for name in wanted:
        if names.count(name) != 1:
            how = f"{names.count(name)} columns" if name in names else "no column"
            raise InputError(
                f"{path}:1: {how} {name!r} among {', '.join(names)[:200]}; wanted each once of {', '.join(wanted)}"
            )
    pyarrow = arrow.package(path)
    lines = _lines(path) - header
    if lines < 1:
        raise InputError(f"{path} has no rows; wanted at least one")
    try:
        return arrow.read(_batches(pyarrow, path, names, wanted, separator, header), wanted, lines)
    except (pyarrow.ArrowException, ValueError) as error:
        where, why = _first(path, names, wanted, separator, header) or (str(path), arrow.first_line(error))
        raise InputError(
            f"{where}: malformed ({why}); wanted {len(names)} columns in UTF-8, "
            + ", ".join(f"{name}: {_WANTED[kind]}" for name, kind in wanted.items())
        ) from None


def place(path: pathlib.Path, header: bool, row: int) -> str:
    """Where a row, counted from 0, stands."""
    return f"{path}:{row + 1 + header}"


def _batches(
    pyarrow: Any, path: pathlib.Path, names: list[str], wanted: Mapping[str, str], separator: str, header: bool
) -> Any:
    text = arrow.package(path, "pyarrow.csv")
    texts = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    types = {
        "id": texts,
        "text": texts,
        "number": pyarrow.float64(),
        "finite": pyarrow.float64(),
        "date": pyarrow.string(),
    }
    # Between the two characters of "::" stands an empty column.
    spread = [one for number, name in enumerate(names) for one in (f"\0{number}", name)][1:]
    double = len(separator) == 2
    return text.open_csv(
        path,
        text.ReadOptions(column_names=spread if double else names, skip_rows=int(header), block_size=BLOCK),
        text.ParseOptions(delimiter=separator[0], quote_char=False if double else '"', ignore_empty_lines=False),
        text.ConvertOptions(
            column_types={name: types.get(kind, pyarrow.int64()) for name, kind in wanted.items()}
            | {one: pyarrow.null() for one in spread[1::2] if double},
            include_columns=[*wanted, *(spread[1::2] if double else [])],
            strings_can_be_null=False,
            null_values=[""] if double else [],
        ),
    )


def _names(path: pathlib.Path, separator: str, header: bool) -> list[str]:
    if not (len(separator) == 1 and separator not in '"\r\n') and separator != "::":
        raise InputError(f"the separator of {path} is {separator!r}; wanted one character, or '::'")
    number, line = next(_rows(path), (1, b""))
    try:
        found = _parts(line, separator)
    except ValueError as error:
        raise InputError(f"{path}:{number}: malformed ({error}); wanted a line of text in UTF-8") from None
    if found in ([], [""]):
        raise InputError(f"{path}:1: the line is empty; wanted {'the names of columns' if header else 'values'}")
    return found if header else [str(number) for number in range(1, len(found) + 1)]


def _lines(path: pathlib.Path) -> int:
    """How many there are; the last one may lack its end."""
    count, last = 0, b"\n"
    with path.open("rb") as file:
        for part in iter(functools.partial(file.read, 2**24), b""):
            count, last = count + part.count(b"\n"), part[-1:]
    return count + (last != b"\n")


def _rows(path: pathlib.Path) -> Iterator[tuple[int, bytes]]:
    """Line by line, counted from 1, without line ends and the byte order mark; of a gigantic one the beginning."""
    with path.open("rb") as file:
        for number, line in enumerate(iter(functools.partial(file.readline, LONGEST), b""), 1):
            yield number, line.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").rstrip(b"\n").removesuffix(b"\r")
            if not line.endswith(b"\n") and len(line) == LONGEST:
                return


def _parts(line: bytes, separator: str) -> list[str]:
    if len(line) >= LONGEST - 1:
        raise ValueError(f"a line of {LONGEST} bytes or more")
    text = line.decode()
    if "\r" in text or "\0" in text:
        raise ValueError("a carriage return or NUL within the line")
    if separator == "::":
        return text.split(separator)
    try:
        return next(csv.reader([text], delimiter=separator, strict=True), [""])
    except csv.Error as error:
        raise ValueError(str(error)) from None


def _first(
    path: pathlib.Path, names: list[str], wanted: Mapping[str, str], separator: str, header: bool
) -> tuple[str, str] | None:
    """The first line that is not whole, and why: slowly, where the fast way has failed."""
    places = [(names.index(name), name, kind) for name, kind in wanted.items()]
    for number, line in _rows(path):
        if number == 1 and header:
            continue
        try:
            parts = _parts(line, separator)
            if len(parts) != len(names):
                raise ValueError(f"it has {len(parts)} columns")
            for column, name, kind in places:
                if not _is(parts[column], kind):
                    raise ValueError(f"{name} is {parts[column][:80]!r}")
        except ValueError as error:
            return f"{path}:{number}", str(error)
    return None


def _is(text: str, kind: str) -> bool:
    if kind == "date":
        try:
            datetime.datetime.fromisoformat(text)
        except ValueError:
            return False
        return True
    if kind in ("text", "id"):
        return kind == "text" or 0 < len(text) < arrow.LONGEST
    return bool((_NUMBER if kind in ("number", "finite") else _WHOLE).match(text))


_WANTED = {
    "text": "text",
    "id": "an id",
    "number": "a number",
    "finite": "a number",
    "date": "a time as 2011-01-31T23:59:59",
}
_WANTED |= dict.fromkeys(("s", "ms", "us", "ns"), "a whole number")
