"""What the splits share: taking interactions out, and what is then known."""

from typing import Any

import numpy as np

from recjax import configs
from recjax.errors import InputError
from recjax.interactions import take
from recjax.types import Dataset, HeldOut, Interactions, Promise, Split

BY_QUERY = Promise()


def split(
    dataset: Dataset,
    settings: configs.Data,
    validation: np.ndarray,
    test: np.ndarray,
    unseen: np.ndarray | None = None,
    promise: Promise = BY_QUERY,
) -> Split:
    """Holds two sets of interactions out; all others train.

    Args:
        validation, test: [E], which interactions.
        unseen: [E], interactions that are known when judging, but do not train.

    Raises:
        InputError: a part is empty.
    """
    train = ~validation & ~test & (True if unseen is None else ~unseen)
    return build(dataset, settings, train, (~validation & ~test, validation), (~test, test), promise)


def build(
    dataset: Dataset,
    settings: configs.Data,
    train: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    promise: Promise,
) -> Split:
    """A split of these interactions.

    Args:
        train: [E], which train.
        validation, test: [E] each, which are known and which are relevant.

    Raises:
        InputError: a part is empty.
    """
    for name, part in (("training", train), ("validation", validation[1]), ("test", test[1])):
        if not part.any():
            raise InputError(
                f"the {name} split is empty: {len(dataset.interactions.query)} interactions of "
                f"{len(dataset.vocabularies['query'])} queries leave none to "
                + (
                    "train on; wanted more of them"
                    if name == "training"
                    else "hold out; wanted queries with more of them"
                )
            )

    def those(which: np.ndarray) -> Dataset:
        return known(dataset, take(dataset.interactions, which))

    return Split(
        capped(those(train), settings),
        HeldOut(those(validation[0]), take(dataset.interactions, validation[1])),
        HeldOut(those(test[0]), take(dataset.interactions, test[1])),
        promise,
    )


def known(dataset: Dataset, kept: Interactions) -> Dataset:
    """The data set with these interactions alone, and of the impressions those until each query's last of them.

    Where times are unknown or forgotten, those of queries that have any.
    """
    shown = dataset.impressions
    if shown is not None:
        timed = kept.time is not None and shown.time is not None
        last = np.full(len(dataset.vocabularies["query"]), np.iinfo(np.int64).min)
        last[kept.query] = kept.time if timed else 0  # of a query the last is written last
        shown = take(shown, (shown.time if timed else 0) <= last[shown.query])
    return dataset._replace(interactions=kept, impressions=shown)


def shuffled(dataset: Dataset, settings: configs.Data) -> Dataset:
    """Each query's interactions in a random order, without times.

    Raises:
        InputError: data.share is not between 0 and a half.
    """
    check_share(settings)
    query = dataset.interactions.query
    order = np.lexsort((np.random.default_rng(settings.seed).random(len(query)), query))
    return dataset._replace(interactions=take(dataset.interactions, order)._replace(time=None))


def share_of(count: Any, settings: configs.Data) -> Any:
    """floor(data.share · count), of the share as it is written: .29 of 100 is 29, and not what rounding leaves of it.

    >>> share_of(np.array([100, 99]), configs.Data(share=0.29)).tolist()
    [29, 28]
    """
    return np.floor(settings.share * count + 1e-9).astype(np.int64)


def check_share(settings: configs.Data) -> None:
    """Refuses a data.share that is not between 0 and a half."""
    if not 0.0 < settings.share < 0.5:
        raise InputError(
            f"data.share is {settings.share}; wanted a share between 0 and 0.5: type --config.data.share=0.1"
        )


def require_times(dataset: Dataset, settings: configs.Data) -> np.ndarray:
    """[E]: the times.

    Raises:
        InputError: there are none.
    """
    if dataset.interactions.time is None:
        raise InputError(
            f"data.split={settings.split!r} needs times and this data set has none; type --config.data.split=share_out"
        )
    return dataset.interactions.time


def rank(query: np.ndarray) -> np.ndarray:
    """[E]: the place of each interaction among its query's."""
    return np.arange(len(query)) - np.searchsorted(query, query)


def capped(train: Dataset, settings: configs.Data) -> Dataset:
    """The same interactions; each of a query with n > data.cap of them weighs data.cap / n of what it did."""
    if not settings.cap:
        return train
    query, _, weight, _ = train.interactions
    share = np.minimum(1.0, settings.cap / np.bincount(query)[query])
    return train._replace(interactions=train.interactions._replace(weight=(weight * share).astype(np.float32)))
