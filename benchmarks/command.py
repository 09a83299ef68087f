"""The command line of a benchmark: flags, and errors that a person can act on."""

import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from absl import app, flags, logging

from recjax import runs
from recjax.errors import InputError


def run(main: Callable[[], None]) -> None:
    """Runs `main` with the flags parsed; an InputError is printed and the exit status is 2."""

    def guarded(arguments: list[str]) -> None:
        logging.set_verbosity(logging.WARNING)
        try:
            if len(arguments) > 1:
                raise InputError(f"{arguments[1]!r} is no flag; wanted --FLAG=VALUE: see --help")
            main()
        except InputError as error:
            _fail(error)

    app.run(guarded, flags_parser=_parse)


def save(place: str | None, result: Mapping[str, Any]) -> None:
    """Writes the numbers to PLACE.json, where a place was given."""
    if place:
        path = pathlib.Path(f"{place}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        runs.write_json(path, result)


def whole(flag: flags.FlagHolder) -> list[int]:
    """The whole numbers of a list.

    Raises:
        InputError: it is empty, or something else is in it.
    """
    texts = flag.value
    if not texts or not all(one.isdecimal() and int(one) for one in texts):
        raise InputError(f"--{flag.name}={','.join(texts)}: wanted whole numbers above 0, with commas between them")
    return [int(one) for one in texts]


def _parse(arguments: list[str]) -> list[str]:
    try:
        return flags.FLAGS(arguments)
    except flags.Error as error:
        _fail(error)


def _fail(error: Exception) -> None:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)
