"""Raw ids and the rows of tables that stand for them, and what a person calls an item."""

import difflib
from collections.abc import Sequence

import numpy as np

from recjax.errors import InputError
from recjax.types import Bag, Dataset


def rows(dataset: Dataset, side: str, raw: Sequence[str]) -> np.ndarray:
    """The ids of raw values of a vocabulary, "query", "item" or a feature's.

    Raises:
        InputError: a value that the data set does not have; the nearest are named.
    """
    vocabulary = dataset.vocabularies[side]
    number = {str(value): index for index, value in enumerate(vocabulary.tolist())}
    for value in raw:
        if value not in number:
            near = difflib.get_close_matches(value, list(number)[: 2**14], n=3) or list(number)[:3]
            raise InputError(
                f"{side} {value!r} is none of the {len(number):,} of the data set; wanted one as {', '.join(near)}"
            )
    return np.array([number[value] for value in raw], np.int32)


def item_columns(dataset: Dataset) -> list[str]:
    """The columns that name an item in a table."""
    return ["item", *["title"] * isinstance(dataset.corpus.get("title"), Bag)]


def item(dataset: Dataset, row: int) -> dict[str, str]:
    """An item by its raw id, and its title where it has one."""
    found = {"item": str(dataset.vocabularies["item"][row])}
    title = dataset.corpus.get("title")
    if isinstance(title, Bag):
        found["title"] = " ".join(dataset.vocabularies["title"][title.ids[row][title.where[row]]])
    return found
