"""Several data sets as one, whose queries and items never meet: real groups, and any result across them is spurious."""

import dataclasses
import pathlib

import numpy as np

from recjax import configs, datasets, fields
from recjax.errors import InputError
from recjax.interactions import check
from recjax.types import Dataset, Groups, Interactions


def merged(settings: configs.Data) -> Dataset:
    """The disjoint union of the data sets that data.parts names, in that order; a group is a part.

    A part is NAME=FOLDER, a member of recjax.datasets and its folder inside data.path; or NAME, for one without files.
    Features are the ids alone: what two sources know of a query or an item hardly compares, and would name the group.
    A raw id is FOLDER:RAW (or NAME:RAW).
    Each part's times begin at 0 and are stretched to the longest part's span, so that a moment is the same share of
    every part's history, and the order and ties of a part stay. Where a part has no times, the union has none.

    Raises:
        InputError: fewer than two parts, two of the same name, a folder without data.path, or what a part refuses.
    """
    labels = [part.partition("=")[2] or part.partition("=")[0] for part in settings.parts]
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise InputError(
            f"data.parts is {','.join(settings.parts) or 'empty'}; wanted two or more different ones: type for "
            f"example --config.data.parts={','.join(configs.Data().parts)}"
        )
    found = [_read(settings, part) for part in settings.parts]
    sizes = {side: [len(one.vocabularies[side]) for one in found] for side in ("query", "item")}
    groups = {side: np.repeat(np.arange(len(found), dtype=np.int32), count) for side, count in sizes.items()}
    vocabularies = {
        side: np.concatenate(
            [
                np.array([f"{label}:{raw}" for raw in one.vocabularies[side]])
                for label, one in zip(labels, found, strict=True)
            ]
        )
        for side in sizes
    }
    interactions = Interactions(
        _shifted([one.interactions.query for one in found], sizes["query"]),
        _shifted([one.interactions.item for one in found], sizes["item"]),
        np.concatenate([one.interactions.weight for one in found]),
        _stretched([one.interactions.time for one in found]),
    )
    return Dataset(
        interactions,
        {"query": np.arange(sum(sizes["query"]), dtype=np.int32)},
        {"item": np.arange(sum(sizes["item"]), dtype=np.int32)},
        vocabularies,
        Groups(groups["query"], groups["item"]),
        settings.repeats,
    )


def _read(settings: configs.Data, part: str) -> Dataset:
    name, _, folder = part.partition("=")
    if folder and not settings.path:
        raise InputError(
            f"data.name='merged' needs data.path; wanted the folder that holds {folder}, of {part!r} in data.parts: "
            "type --config.data.path=FOLDER"
        )
    reader = fields.resolve("data set in data.parts", name, fields.members(datasets))
    path = str(pathlib.Path(settings.path, folder)) if folder else ""
    try:
        found = reader(dataclasses.replace(settings, name=name, path=path, parts=()))
        check(found)
    except InputError as error:
        raise InputError(f"data.parts has {part!r}, which is read from {path!r}: {error}") from None
    return found


def _shifted(ids: list[np.ndarray], sizes: list[int]) -> np.ndarray:
    first = np.cumsum([0, *sizes[:-1]])
    return np.concatenate([one + start for one, start in zip(ids, first, strict=True)]).astype(np.int32)


def _stretched(times: list[np.ndarray | None]) -> np.ndarray | None:
    """Times [E] as seconds from each part's first interaction, in the longest part's span.

    >>> _stretched([np.array([5, 6, 7]), np.array([100, 110])]).tolist()
    [0, 5, 10, 0, 10]
    """
    known = [time - np.min(time) for time in times if time is not None]
    if len(known) < len(times):
        return None
    longest = max(int(np.max(time)) for time in known)
    return np.concatenate([time * longest // max(1, int(np.max(time))) for time in known])
