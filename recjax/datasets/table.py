"""Any file of interactions, a row each, through a mapping of its columns: CSV, TSV, other text, or Parquet."""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from recjax import configs
from recjax.datasets import arrow, delimited, files, parquet, ratings
from recjax.datasets.ratings import Rows
from recjax.errors import InputError
from recjax.types import Dataset


def table(settings: configs.Data) -> Dataset:
    """The interactions of data.columns.files, which say what each column is; ids are any texts or whole numbers.

    Where all ids of a side are whole numbers as Python writes them, the vocabulary is of numbers, else of texts as
    they stand in the file. Text is UTF-8. Needs pyarrow.

    Raises:
        InputError: a file that is missing or malformed, or a row without an id or with a weight that is not above 0;
            with file and line (of Parquet: row).
    """
    columns = settings.columns
    if not columns.files:
        raise InputError("data.columns.files is empty; type for example --config.data.columns.files=interactions.csv")
    folder = files.folder(settings, columns.files, "type --config.data.path=FOLDER --config.data.columns.files=FILE")
    rated = settings.drop_below > 0 or settings.least_rating > 0  # else ratings are read, and not kept
    found = ratings.count(
        settings,
        ratings.joined([_rows(columns, folder / file, rated) for file in columns.files]),  # `count` lets go of them
        ", ".join(columns.files),
    )
    return Dataset(
        found.interactions,
        {"query": np.arange(len(found.query), dtype=np.int32)},
        {"item": np.arange(len(found.item), dtype=np.int32)},
        {"query": found.query, "item": found.item},
        None,
        settings.repeats,
        found.impressions,
        found.notes,
    )


def _rows(columns: configs.Columns, path: pathlib.Path, rated: bool) -> Rows:
    kinds = {columns.query: "id", columns.item: "id", columns.time: columns.unit}
    if len(kinds) < 3 or {columns.rating, columns.weight} & set(kinds) - {""} or "" in (columns.query, columns.item):
        raise InputError(
            f"data.columns name {columns.query!r}, {columns.item!r}, {columns.time!r}, {columns.rating!r} and "
            f"{columns.weight!r} as query, item, time, rating and weight; wanted different columns, and the first two"
        )
    kinds |= {columns.rating: "number" if rated else "finite", columns.weight: "number"}
    wanted = {name: kind for name, kind in kinds.items() if name}
    place: Callable[[int], str]
    if path.suffix == ".parquet":
        found, place = parquet.columns(path, wanted), functools.partial(parquet.place, path)
    else:
        separator = columns.separator.replace("\\t", "\t")
        found = delimited.columns(path, wanted, separator=separator, header=columns.header)
        place = functools.partial(delimited.place, path, columns.header)
    rating = _numbers(place, columns.rating, found) if columns.rating and rated else None
    if columns.rating and not rated:
        arrow.require(place, columns.rating, found[columns.rating], "no finite number", "a number")
    return Rows(
        _ids(place, columns.query, found),
        _ids(place, columns.item, found),
        _time(place, columns.time, found) if columns.time else None,
        rating,
        _weights(place, columns.weight, found) if columns.weight else None,
    )


def _ids(place: Callable[[int], str], name: str, found: dict[str, Any]) -> arrow.Text:
    arrow.require(place, name, found[name].ids >= 0, "nothing", "an id")
    return found[name]


def _time(place: Callable[[int], str], name: str, found: dict[str, Any]) -> np.ndarray:
    arrow.require(place, name, found[name] != arrow.NO_TIME, "nothing", "a time")
    return found[name]


def _numbers(place: Callable[[int], str], name: str, found: dict[str, Any]) -> np.ndarray:
    arrow.require(place, name, np.isfinite(found[name]), found[name], "a number")
    return found[name]


def _weights(place: Callable[[int], str], name: str, found: dict[str, Any]) -> np.ndarray:
    weight, most = _numbers(place, name, found), np.finfo(np.float32)
    arrow.require(place, name, (weight >= most.tiny) & (weight <= most.max), weight, "a weight above 0")
    return weight.astype(np.float32)
