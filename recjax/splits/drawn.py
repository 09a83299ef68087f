"""Splits by chance: what is held out is drawn, fixed by data.seed."""

import numpy as np

from recjax import configs
from recjax.interactions import take
from recjax.splits import parts
from recjax.types import Dataset, Promise, Split


def random_out(dataset: Dataset, settings: configs.Data) -> Split:
    """One interaction of each query, drawn at random, is test, another validation; times and order are forgotten.

    Queries with fewer than 3 only train. What is known then comes from before and after what is
    relevant: an easier task than the future, and not one that a service meets. The draw is fixed by data.seed.

    Raises:
        InputError: no query has 3 interactions.
    """
    shuffled = parts.shuffled(dataset, settings)
    query = shuffled.interactions.query
    rank, enough = parts.rank(query), np.bincount(query)[query] >= 3
    return parts.split(shuffled, settings, enough & (rank == 1), enough & (rank == 0))


def share_out(dataset: Dataset, settings: configs.Data) -> Split:
    """A random share of each query's interactions is test, an equal share validation; times and order are forgotten.

    A query with n interactions gives floor(share n) to each part, and its interactions are put in a random order, so
    that no history tells of time. The draw is fixed by data.seed.

    Raises:
        InputError: a share outside (0, 0.5), or so small that nothing is held out.
    """
    shuffled = parts.shuffled(dataset, settings)
    query = shuffled.interactions.query
    rank = parts.rank(query)
    held = parts.share_of(np.bincount(query)[query], settings)
    return parts.split(shuffled, settings, (rank >= held) & (rank < 2 * held), rank < held)


def queries_out(dataset: Dataset, settings: configs.Data) -> Split:
    """Strong generalization: a random share of the queries is test, an equal share validation, and none of them trains.

    Of a held-out query a fifth of the interactions (rounded down, drawn at random) is relevant and the others are
    known when it is judged; queries with fewer than 5 only train. Times and order are forgotten, as in `share_out`. The
    draw is fixed by data.seed. Source: Liang et al. 2018 (variational autoencoders for collaborative filtering), 4.1.

    Raises:
        InputError: a share outside (0, 0.5), or so small that nothing is held out.
    """
    rng, shuffled = np.random.default_rng(settings.seed), parts.shuffled(dataset, settings)
    query = shuffled.interactions.query
    count = np.bincount(query, minlength=len(dataset.vocabularies["query"]))
    usable = rng.permutation(np.flatnonzero(count >= 5))
    held = parts.share_of(len(usable), settings)
    relevant = parts.rank(query) < count[query] // 5
    first, second = (np.isin(query, some) for some in (usable[:held], usable[held : 2 * held]))
    promise = Promise(cold="query")
    return parts.split(shuffled, settings, first & relevant, second & relevant, first | second, promise)


def cold_items(dataset: Dataset, settings: configs.Data) -> Split:
    """New items: a random data.share of the items is test, an equal share validation, and nothing trains with them.

    All interactions with a held-out item are relevant, for queries that have others to train on; the others are
    known, and of the impressions those of other items. A table of items has nothing to say of the new ones: features
    must. Times and order are forgotten, as in `share_out`. The draw is fixed by data.seed.
    Source: Volkovs et al. 2017, DropoutNet, section 5.

    Raises:
        InputError: a share outside (0, 0.5), or so small that nothing is held out.
    """
    mixed = parts.shuffled(dataset, settings)
    query, item = mixed.interactions.query, mixed.interactions.item
    validation, test = _drawn(item, settings)
    if mixed.impressions is not None:
        old = ~np.isin(mixed.impressions.item, item[validation | test])
        mixed = mixed._replace(impressions=take(mixed.impressions, old))
    trained = np.zeros(len(dataset.vocabularies["query"]), bool)
    trained[query[~validation & ~test]] = True
    judged, new = trained[query], validation | test
    known = ~new, ~test & (judged | ~new)
    return parts.build(
        mixed,
        settings,
        ~new,
        (known[0], validation & judged),
        (known[1], test & judged),
        Promise(cold="item"),
    )


def cold_queries(dataset: Dataset, settings: configs.Data) -> Split:
    """New queries: a random data.share of the queries is test, an equal share validation, and nothing is known of them.

    All that a held-out query did is relevant, and only its features tell of it; `queries_out` lets a history tell.
    Times stay. The draw is fixed by data.seed.

    Raises:
        InputError: a share outside (0, 0.5), or so small that nothing is held out.
    """
    parts.check_share(settings)
    return parts.split(dataset, settings, *_drawn(dataset.interactions.query, settings), promise=Promise(cold="query"))


def _drawn(ids: np.ndarray, settings: configs.Data) -> tuple[np.ndarray, np.ndarray]:
    """[E] each: the interactions of data.share of the ids that occur, for validation and for test."""
    drawn = np.random.default_rng(settings.seed).permutation(np.unique(ids))
    held = parts.share_of(len(drawn), settings)
    return np.isin(ids, drawn[held : 2 * held]), np.isin(ids, drawn[:held])
