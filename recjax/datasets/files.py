"""A data set's files: the folder that holds them, and their lines; what is wrong is told with file and line."""

import csv
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
    lines = text.count(b"\n") + (not text.endswith(b"\n"))
    try:
        found = np.loadtxt(io.BytesIO(text.replace(separator, b"\t")), np.int64, delimiter="\t", comments=None, ndmin=2)
        # A line of tabs where the separator is another is none, though it would read as one.
        right = found.shape == (lines, 4) and text.count(separator) == 3 * lines and found.min() >= 0
    except ValueError:
        right = False
    if not right:
        number = r"\d{1,18}"
        line = re.compile(separator.join([number.encode()] * 4) + rb"\r?\Z")
        for row, one in enumerate(text.removesuffix(b"\n").split(b"\n"), 1):
            if not line.match(one):
                wanted = separator.decode().join(["query", "item", "rating", "time"]).replace("\t", "<tab>")
                raise InputError(f"{path}:{row}: {one[:80]!r} is malformed; wanted {wanted} in whole numbers")
        raise InputError(f"{path} could not be read; wanted lines that end with a newline")
    return found


def whole(text: str) -> int:
    """A whole number of 0 or more, in plain digits: `int` would take more.

    Raises:
        ValueError: something else.
    """
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise ValueError(f"{text[:80]!r} is no whole number")
    return int(text)


def rows(
    path: pathlib.Path,
    separator: str,
    columns: int,
    read: Callable,
    encoding: str = "latin-1",
    *,
    header: Sequence[str] = (),
) -> list:
    """A small file, row by row.

    Args:
        separator: where it is a comma, values may stand in quotes.
        read: turns the strings of a row into what is wanted of it, and refuses them by a ValueError or a KeyError.
        header: the columns' names, which the first line must tell.

    Raises:
        InputError: a row that has not so many columns, or that `read` refused; another first line.
    """
    found = []
    for number, line in enumerate(path.read_bytes().rstrip(b"\r\n").split(b"\n"), 1):
        try:
            text = line.removesuffix(b"\r").decode(encoding)
            row = next(csv.reader([text], strict=True), [""]) if separator == "," else text.split(separator)
            if len(row) != columns:
                raise ValueError(f"it has {len(row)} columns")
            if number > 1 or not header:
                found.append(read(row))
            elif row != list(header):
                raise ValueError(f"it is not {','.join(header)}")
        except (ValueError, KeyError, csv.Error) as error:
            raise InputError(
                f"{path}:{number}: {line[:80].decode('latin-1')!r} is malformed ({error}); wanted {columns} columns"
            ) from None
    return found
