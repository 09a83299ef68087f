"""MovieLens 1M as published with neural collaborative filtering: a test item a query, among 99 drawn ones.

The files may not be redistributed: get them from https://github.com/hexiangnan/neural_collaborative_filtering and cite
He et al. 2017, and Harper and Konstan 2015.
"""

import re

import numpy as np

from recjax import configs
from recjax.datasets import files
from recjax.errors import InputError
from recjax.interactions import arrange, encode
from recjax.types import Dataset

TRAIN, TEST, NEGATIVE = FILES = ("ml-1m.train.rating", "ml-1m.test.rating", "ml-1m.test.negative")
COLUMNS = 100  # of a line of negatives: (query,item) and 99 items
_SOURCE = (
    "get them from https://github.com/hexiangnan/neural_collaborative_filtering/tree/master/Data "
    "and type --config.data.path=FOLDER"
)


def movielens_1m_ncf(settings: configs.Data) -> Dataset:
    """6,040 queries, 3,706 items, 994,169 + 6,040 ratings of the train and the test file; every rating is a positive.

    No side features, and each pair once, whatever data.repeats. `splits.ncf` takes the published split out of it.

    Raises:
        InputError: a file that is missing or malformed, a test item that is in the train file too, or a negative
            that nobody rated; with file and line.

    Source: He et al. 2017, Neural collaborative filtering, section 4.1.
    """
    test, negatives = held_out(settings)
    folder = files.folder(settings, FILES, _SOURCE)
    train = files.ratings(folder / TRAIN, b"\t")
    raw = np.concatenate([train, test])  # at equal times the test item is the last
    query, query_vocabulary = encode(raw[:, 0])
    item, item_vocabulary = encode(raw[:, 1])
    own = np.full(len(query_vocabulary), -1)
    own[query[len(train) :]] = item[len(train) :]
    both = np.flatnonzero(own[query[: len(train)]] == item[: len(train)])
    if len(both):
        pair = train[both[0], :2]
        raise InputError(
            f"{folder / TRAIN}:{both[0] + 1}: query {pair[0]} has item {pair[1]} in {TEST} too; "
            "wanted each pair in one of the two"
        )
    strange = np.argwhere(~np.isin(negatives, item_vocabulary))
    if len(strange):
        row, column = strange[0]
        raise InputError(
            f"{folder / NEGATIVE}:{row + 1}: item {negatives[row, column]} is in no rating; "
            f"wanted one of the {len(item_vocabulary)} rated items"
        )
    return Dataset(
        arrange(query, item, np.ones(len(raw), np.float32), raw[:, 3], repeats=False),
        {"query": np.arange(len(query_vocabulary), dtype=np.int32)},
        {"item": np.arange(len(item_vocabulary), dtype=np.int32)},
        {"query": query_vocabulary, "item": item_vocabulary},
        groups=None,
        repeats=False,
    )


def held_out(settings: configs.Data) -> tuple[np.ndarray, np.ndarray]:
    """The test rows, one a query, [Q 4] of query, item, rating, time, and their negatives [Q 99]; ids as in the files.

    In 156 of the 6,040 published rows a query's own test item is among its negatives.

    Raises:
        InputError: a file that is missing or malformed, a query with two test rows, or lines of the two files that
            do not match; with file and line.

    Source: He et al. 2017, section 4.1; Rendle et al. 2020, Neural collaborative filtering vs. matrix factorization
    revisited.
    """
    folder = files.folder(settings, FILES, _SOURCE)
    test = files.ratings(folder / TEST, b"\t")
    _, first, row = np.unique(test[:, 0], return_index=True, return_inverse=True)
    again = np.flatnonzero(first[row] != np.arange(len(test)))
    if len(again):
        line = again[0]
        raise InputError(
            f"{folder / TEST}:{line + 1}: query {test[line, 0]} has a test row in line {first[row[line]] + 1} already; "
            "wanted one row a query"
        )
    found = files.rows(folder / NEGATIVE, "\t", COLUMNS, _negatives)
    for number, pair in enumerate(map(tuple, test[:, :2].tolist()), 1):
        given = found[number - 1][0] if number <= len(found) else "missing"
        if given != pair:
            raise InputError(
                f"{folder / NEGATIVE}:{number}: (query,item) is {given}; wanted {pair} as in line {number} of {TEST}"
            )
    if len(found) > len(test):
        raise InputError(
            f"{folder / NEGATIVE}:{len(test) + 1}: (query,item) is {found[len(test)][0]}; "
            f"wanted no more than the {len(test)} lines of {TEST}"
        )
    return test, np.array([items for _, items in found])


def _negatives(row: list[str]) -> tuple[tuple[int, int], list[int]]:
    pair = re.fullmatch(r"\((\d{1,18}),(\d{1,18})\)", row[0])
    if not pair:
        raise ValueError(f"it opens with {row[0][:80]!r}, which is not (query,item)")
    for one in row[1:]:
        if not re.fullmatch(r"\d{1,18}", one):
            raise ValueError(f"{one[:80]!r} is no item id")
    return (int(pair[1]), int(pair[2])), [int(one) for one in row[1:]]
