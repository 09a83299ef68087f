"""Splits by time: what is held out comes after what is known."""

import numpy as np

from recjax import configs
from recjax.errors import InputError
from recjax.splits import parts
from recjax.types import Dataset, Promise, Split


def last_out(dataset: Dataset, settings: configs.Data) -> Split:
    """Each query's last interaction is test, the one before validation; queries with fewer than 3 only train.

    Raises:
        InputError: times are unknown, or no query has 3 interactions.
    """
    parts.require_times(dataset, settings)
    query = dataset.interactions.query
    count = np.bincount(query)[query]
    left = np.searchsorted(query, query, side="right") - 1 - np.arange(len(query))  # interactions still to come
    return parts.split(dataset, settings, (count >= 3) & (left == 1), (count >= 3) & (left == 0))


def last_out_ring(dataset: Dataset, settings: configs.Data) -> Split:
    """As `last_out`, but training forgets times and order: an example's history is the query's *other* interactions.

    So it learns to fill a gap with what came later in sight, and is judged on the future. The order is drawn by
    data.seed. Source: Covington et al. 2016, figure 5a (5b is `last_out`).
    """
    split = last_out(dataset, settings)
    return split._replace(train=parts.shuffled(split.train, settings))


def global_time(dataset: Dataset, settings: configs.Data) -> Split:
    """One moment for all: the last data.share of all interactions is test, as much before it validation.

    Interactions of a boundary's very second are behind it. Training knows nothing of anyone after the first boundary;
    at test, what is known ends at the second. Judged are queries that have trained; what the others did after the first
    boundary is relevant to nobody (`left_out` in a run's data card). Items that appear only then are relevant too, and
    the card counts them: a model that knows an item by its id alone misses them.

    Raises:
        InputError: times are unknown, a share outside (0, 0.5), or a part without a query that has trained.

    Source: Meng et al. 2020, Exploring data splitting strategies for the evaluation of recommendation models.
    """
    time = parts.require_times(dataset, settings)
    parts.check_share(settings)
    count = parts.share_of(len(time), settings)
    if not count:
        raise InputError(
            f"data.share={settings.share} of {len(time)} interactions is none; type for example "
            "--config.data.share=0.25, or take another split"
        )
    ordered = np.sort(time)
    first, second = ordered[-2 * count], ordered[-count]
    query = dataset.interactions.query
    trained = np.zeros(len(dataset.vocabularies["query"]), bool)
    trained[query[time < first]] = True
    judged = trained[query]
    validation = time < first, judged & (time >= first) & (time < second)
    test = time < second, judged & (time >= second)
    return parts.build(dataset, settings, time < first, validation, test, Promise(order="global"))
