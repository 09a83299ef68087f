"""Lists as published with NGCF and LightGCN: `train.txt` and `test.txt`, a query a line and then its items.

Gowalla, Yelp2018 and Amazon-Book are in https://github.com/kuandeng/LightGCN/tree/master/Data.
"""

import pathlib
from typing import NamedTuple

import numpy as np

from recjax import configs
from recjax.datasets import files
from recjax.errors import InputError
from recjax.interactions import arrange, encode
from recjax.types import Dataset

TRAIN, TEST = FILES = ("train.txt", "test.txt")
_SOURCE = "get them from https://github.com/kuandeng/LightGCN/tree/master/Data and type --config.data.path=FOLDER"


class Pairs(NamedTuple):
    """A file's pairs, in its order; ids as in the file."""

    query: np.ndarray  # [E] int64
    item: np.ndarray  # [E] int64
    line: np.ndarray  # [E], counted from 1


def lightgcn(settings: configs.Data) -> Dataset:
    """The pairs of both files: Gowalla has 29,858 queries, 40,981 items, 810,128 + 217,242 pairs.

    No side features, no times, and each pair once. `splits.lightgcn` takes the published split out of it. An id of the
    test file that the training file lacks is in the vocabulary, and its interactions are judged: a cold one.

    Raises:
        InputError: a file that is missing or malformed, a pair twice in a file, or in both; with file and line.

    Source: He et al. 2020, LightGCN; the split is that of Wang et al. 2019, Neural graph collaborative filtering.
    """
    folder = files.folder(settings, FILES, _SOURCE)
    train, test = (pairs(folder / file) for file in FILES)
    query, queries = encode(np.concatenate([train.query, test.query]))
    item, items = encode(np.concatenate([train.item, test.item]))
    pair = query.astype(np.int64) * len(items) + item
    _, first, row = np.unique(pair, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[row] != np.arange(len(pair)))
    if len(again):
        here, there = (_place(folder, train, test, int(one)) for one in (again[0], first[row[again[0]]]))
        raise InputError(
            f"{here}: query {queries[query[again[0]]]} has item {items[item[again[0]]]}, which is in {there} already; "
            "wanted each pair once"
        )
    return Dataset(
        arrange(query, item, np.ones(len(pair), np.float32), None, repeats=False),
        {"query": np.arange(len(queries), dtype=np.int32)},
        {"item": np.arange(len(items), dtype=np.int32)},
        {"query": queries, "item": items},
        None,
        False,
    )


def held_out(settings: configs.Data) -> Pairs:
    """The test file's pairs; ids as in the file."""
    return pairs(files.folder(settings, FILES, _SOURCE) / TEST)


def pairs(path: pathlib.Path) -> Pairs:
    """A file of lists.

    Raises:
        InputError: a line that is not whole numbers of 0 or more with single blanks between them, a query with two
            lines, or no pair at all; with file and line.
    """
    queries: list[int] = []
    items: list[np.ndarray] = []
    for number, line in enumerate(path.read_bytes().removesuffix(b"\n").split(b"\n"), 1):
        parts = line.rstrip(b" \r").split(b" ")  # some of the published lines end in a blank
        if not b"".join(parts).isdigit() or not all(0 < len(part) <= 18 for part in parts):
            wanted = "wanted a query and its items in whole numbers, with single blanks between them"
            raise InputError(f"{path}:{number}: {line[:80]!r} is malformed; {wanted}")
        query, *own = map(int, parts)
        queries.append(query)
        items.append(np.array(own, np.int64))
    _, first, row = np.unique(queries, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[row] != np.arange(len(queries)))
    if len(again):
        line_number = int(again[0])
        raise InputError(
            f"{path}:{line_number + 1}: query {queries[line_number]} has line {first[row[line_number]] + 1} already; "
            "wanted one line a query"
        )
    count = np.array([len(own) for own in items])
    if not count.sum():
        raise InputError(f"{path}:1: no query has an item; wanted at least one pair")
    lines = np.repeat(np.arange(1, len(queries) + 1), count)
    return Pairs(np.repeat(np.array(queries, np.int64), count), np.concatenate(items), lines)


def _place(folder: pathlib.Path, train: Pairs, test: Pairs, row: int) -> str:
    count = len(train.query)
    return f"{folder / TRAIN}:{train.line[row]}" if row < count else f"{folder / TEST}:{test.line[row - count]}"
