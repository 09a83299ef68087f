"""Splits into train, validation and test. One signature: (dataset, settings: configs.Data) -> Split.

The order is (time, row in the file). At test, what is known includes the validation part.
"""

import numpy as np

from recjax import configs, datasets
from recjax.errors import InputError
from recjax.interactions import take
from recjax.types import Dataset, HeldOut, Interactions, Split


def last_out(dataset: Dataset, settings: configs.Data) -> Split:
    """Each query's last interaction is test, the one before validation; queries with fewer than 3 only train.

    Raises:
        InputError: times are unknown, or no query has 3 interactions.
    """
    if dataset.interactions.time is None:
        raise InputError(
            f"data.split={settings.split!r} needs times and this data set has none; type --config.data.split=share_out"
        )
    query = dataset.interactions.query
    count = np.bincount(query)[query]
    left = np.searchsorted(query, query, side="right") - 1 - np.arange(len(query))  # interactions still to come
    return _split(dataset, settings, (count >= 3) & (left == 1), (count >= 3) & (left == 0))


def last_out_ring(dataset: Dataset, settings: configs.Data) -> Split:
    """As `last_out`, but training forgets times and order: an example's history is the query's *other* interactions.

    So it learns to fill a gap with what came later in sight, and is judged on the future. The order is drawn by
    data.seed. Source: Covington et al. 2016, figure 5a (5b is `last_out`).
    """
    split = last_out(dataset, settings)
    return split._replace(train=_shuffle(split.train, settings))


def random_out(dataset: Dataset, settings: configs.Data) -> Split:
    """One interaction of each query, drawn at random, is test, another validation; times and order are forgotten.

    Queries with fewer than 3 only train. What is known then comes from before and after what is
    relevant: an easier task than the future, and not one that a service meets. The draw is fixed by data.seed.

    Raises:
        InputError: no query has 3 interactions.
    """
    shuffled = _shuffle(dataset, settings)
    query = shuffled.interactions.query
    rank, enough = _rank(query), np.bincount(query)[query] >= 3
    return _split(shuffled, settings, enough & (rank == 1), enough & (rank == 0))


def share_out(dataset: Dataset, settings: configs.Data) -> Split:
    """A random share of each query's interactions is test, an equal share validation; times and order are forgotten.

    A query with n interactions gives floor(share n) to each part, and its interactions are put in a random order, so
    that no history tells of time. The draw is fixed by data.seed.

    Raises:
        InputError: a share outside (0, 0.5), or so small that nothing is held out.
    """
    shuffled = _shuffle(dataset, settings)
    query = shuffled.interactions.query
    rank = _rank(query)
    held = np.floor(settings.share * np.bincount(query)[query]).astype(np.int64)
    return _split(shuffled, settings, (rank >= held) & (rank < 2 * held), rank < held)


def queries_out(dataset: Dataset, settings: configs.Data) -> Split:
    """Strong generalization: a random share of the queries is test, an equal share validation, and none of them trains.

    Of a held-out query a fifth of the interactions (rounded down, drawn at random) is relevant and the others are
    known when it is judged; queries with fewer than 5 only train. Times and order are forgotten, as in `share_out`. The
    draw is fixed by data.seed. Source: Liang et al. 2018 (variational autoencoders for collaborative filtering), 4.1.

    Raises:
        InputError: a share outside (0, 0.5), or so small that nothing is held out.
    """
    rng, shuffled = np.random.default_rng(settings.seed), _shuffle(dataset, settings)
    query = shuffled.interactions.query
    count = np.bincount(query, minlength=len(dataset.vocabularies["query"]))
    usable = rng.permutation(np.flatnonzero(count >= 5))
    held = int(settings.share * len(usable))
    relevant = _rank(query) < count[query] // 5
    parts = [np.isin(query, some) for some in (usable[:held], usable[held : 2 * held])]
    return _split(shuffled, settings, parts[0] & relevant, parts[1] & relevant, unseen=parts[0] | parts[1])


def ncf(dataset: Dataset, settings: configs.Data) -> Split:
    """The published split of movielens_1m_ncf: the test file is test, and what it ranks are 100 items a query.

    A query's candidates are its test item and then its 99 published negatives; where one of these is the test item
    again it is -1. Nothing is validation.

    Raises:
        InputError: another data set, or files that are missing or malformed.

    Source: He et al. 2017, Neural collaborative filtering, section 4.1; as in Rendle et al. 2020, Neural collaborative
    filtering vs. matrix factorization revisited.
    """
    if settings.name != "movielens_1m_ncf":
        raise InputError(
            f"data.split='ncf' is read from the files of movielens_1m_ncf and data.name is {settings.name!r}; "
            "type --config.data.name=movielens_1m_ncf or --config.data.split=last_out"
        )
    test, negatives = datasets.ncf.held_out(settings)
    order = np.argsort(test[:, 0])
    query = np.searchsorted(dataset.vocabularies["query"], test[order, 0])
    own, drawn = (np.searchsorted(dataset.vocabularies["item"], raw[order]) for raw in (test[:, 1:2], negatives))
    item = np.full(len(dataset.vocabularies["query"]), -1)
    item[query] = own[:, 0]
    held = dataset.interactions.item == item[dataset.interactions.query]
    train = dataset._replace(interactions=take(dataset.interactions, ~held))
    candidates = np.concatenate([own, np.where(drawn == own, -1, drawn)], axis=1)
    return Split(_capped(train, settings), None, HeldOut(train, take(dataset.interactions, held), candidates))


def _known(dataset: Dataset, kept: Interactions) -> Dataset:
    """The data set with these interactions alone, and of the impressions those until each query's last of them."""
    shown = dataset.impressions
    if shown is not None and kept.time is not None and shown.time is not None:
        last = np.full(len(dataset.vocabularies["query"]), -1)
        last[kept.query] = kept.time  # of a query the last is written last
        shown = take(shown, shown.time <= last[shown.query])
    return dataset._replace(interactions=kept, impressions=shown)


def _shuffle(dataset: Dataset, settings: configs.Data) -> Dataset:
    """Each query's interactions in a random order, without times."""
    if not 0.0 < settings.share < 0.5:
        raise InputError(
            f"data.share is {settings.share}; wanted a share between 0 and 0.5: type --config.data.share=0.1"
        )
    query = dataset.interactions.query
    order = np.lexsort((np.random.default_rng(settings.seed).random(len(query)), query))
    return dataset._replace(interactions=take(dataset.interactions, order)._replace(time=None))


def _rank(query: np.ndarray) -> np.ndarray:
    """[E]: the place of each interaction among its query's."""
    return np.arange(len(query)) - np.searchsorted(query, query)


def _capped(train: Dataset, settings: configs.Data) -> Dataset:
    """The same interactions; each of a query with n > data.cap of them weighs data.cap / n of what it did."""
    if not settings.cap:
        return train
    query, _, weight, _ = train.interactions
    share = np.minimum(1.0, settings.cap / np.bincount(query)[query])
    return train._replace(interactions=train.interactions._replace(weight=(weight * share).astype(np.float32)))


def _split(
    dataset: Dataset,
    settings: configs.Data,
    validation: np.ndarray,
    test: np.ndarray,
    unseen: np.ndarray | None = None,
) -> Split:
    """Holds two sets of interactions out.

    Args:
        unseen: [E], interactions that are known when judging, but do not train.
    """
    for name, part in (("validation", validation), ("test", test)):
        if not part.any():
            raise InputError(
                f"the {name} split is empty: {len(dataset.interactions.query)} interactions of "
                f"{len(dataset.vocabularies['query'])} queries leave none to hold out; wanted queries with more of them"
            )

    def those(which: np.ndarray) -> Dataset:
        return _known(dataset, take(dataset.interactions, which))

    return Split(
        _capped(those(~validation & ~test & (True if unseen is None else ~unseen)), settings),
        HeldOut(those(~validation & ~test), take(dataset.interactions, validation)),
        HeldOut(those(~test), take(dataset.interactions, test)),
    )
