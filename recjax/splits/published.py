"""Splits that a data set's own files hold."""

import numpy as np

from recjax import configs, datasets
from recjax.errors import InputError
from recjax.interactions import take
from recjax.splits import parts
from recjax.types import Dataset, HeldOut, Split


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
    judged = HeldOut(train, take(dataset.interactions, held), candidates)
    return Split(parts.capped(train, settings), None, judged)


def lightgcn(dataset: Dataset, settings: configs.Data) -> Split:
    """The published split of lists: test.txt is test, all of train.txt trains; nothing is validation.

    Raises:
        InputError: another data set, or files that are missing or malformed.

    Source: Wang et al. 2019, Neural graph collaborative filtering; He et al. 2020, LightGCN.
    """
    held = _listed(dataset, settings)
    train = parts.known(dataset, take(dataset.interactions, ~held))
    return Split(parts.capped(train, settings), None, HeldOut(train, take(dataset.interactions, held)))


def lightgcn_tuning(dataset: Dataset, settings: configs.Data) -> Split:
    """As `lightgcn`, with a validation part out of train.txt: what a study chooses its settings and last step by.

    Of a query with n training interactions the last floor(data.share n) of its line: in Gowalla's lists the test items
    are the later ones, not random ones (docs/gowalla.md), and validation is to be like test. At test what is known
    includes validation; published numbers compare with a training on all of train.txt, by `lightgcn`.

    Raises:
        InputError: as `lightgcn`; a share outside (0, 0.5), or so small that nothing is held out.
    """
    parts.check_share(settings)
    test, query = _listed(dataset, settings), dataset.interactions.query
    count = np.bincount(query[~test], minlength=len(dataset.vocabularies["query"]))
    place = np.empty(len(query), np.int64)  # among the query's training interactions
    place[~test] = parts.rank(query[~test])
    last = place >= count[query] - parts.share_of(count[query], settings)
    return parts.split(dataset, settings, ~test & last, test)


def _listed(dataset: Dataset, settings: configs.Data) -> np.ndarray:
    """[E]: which interactions are in the test file."""
    if settings.name != "lightgcn":
        raise InputError(
            f"data.split={settings.split!r} is read from the files of lightgcn and data.name is {settings.name!r}; "
            "type --config.data.name=lightgcn or --config.data.split=share_out"
        )
    test, items = datasets.lists.held_out(settings), len(dataset.vocabularies["item"])
    query, item = (
        np.searchsorted(dataset.vocabularies[side], raw) for side, raw in (("query", test.query), ("item", test.item))
    )
    own = dataset.interactions.query.astype(np.int64) * items + dataset.interactions.item
    return np.isin(own, query.astype(np.int64) * items + item)
