"""From a config to all that a run needs: bad input is refused here, before anything is trained or written."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from recjax import (
    baselines,
    configs,
    cores,
    datasets,
    evaluate,
    fields,
    fit,
    leaks,
    methods,
    newcomers,
    parameters,
    relatedness,
    splits,
)
from recjax.errors import InputError
from recjax.interactions import check, fingerprint
from recjax.types import Dataset, Split


class Prepared(NamedTuple):
    """A config that can be run: everything that bad input could break has been tried."""

    config: configs.Config
    dataset: Dataset
    split: Split
    start: methods.Start


def load(config: configs.Config) -> tuple[Dataset, Split]:
    """Reads the data and splits it.

    Raises:
        InputError: what was given, what was wanted, what to type.
    """
    reader = fields.resolve("data set", config.data.name, fields.members(datasets))
    splitter = fields.resolve("split", config.data.split, fields.members(splits))
    _refuse_unread(config, reader, splitter)
    dataset = reader(config.data)
    check(dataset)
    if config.data.drop_below and "below" not in dataset.notes:
        raise InputError(
            f"data.drop_below is {config.data.drop_below} and data.name={config.data.name!r} has no ratings; type "
            "--config.data.drop_below=0, or name a data set of ratings"
        )
    dataset = cores.core(dataset, config.data)
    if config.data.least_rating and dataset.impressions is None:
        raise InputError(
            f"data.least_rating is {config.data.least_rating} and data.name={config.data.name!r} has no ratings; type "
            "--config.data.least_rating=0, or name a data set of ratings"
        )
    split = splitter(dataset, config.data)
    leaks.check(dataset, split, config.data.split)
    return dataset, split


def prepare(config: configs.Config, loaded: tuple[Dataset, Split] | None = None, *, judged: bool = True) -> Prepared:
    """Loads the data, resolves all names, and traces one step.

    Args:
        loaded: the data and its split, where they are at hand.
        judged: False: the model may be one that has no embedding for some held-out queries.

    Raises:
        InputError: what was given, what was wanted, what to type.
    """
    dataset, split = read(config, loaded, judged=judged)
    return Prepared(config, dataset, split, fit.start(config, split.train))


def read(
    config: configs.Config, loaded: tuple[Dataset, Split] | None = None, *, judged: bool = True
) -> tuple[Dataset, Split]:
    """Loads the data, and refuses what does not go with it.

    Raises:
        InputError: what was given, what was wanted, what to type.
    """
    fields.check(config)
    dataset, split = loaded or load(config)
    queries, items = (len(dataset.vocabularies[one]) for one in ("query", "item"))
    for held in (split.validation, split.test):
        candidates = held.candidates if held else None
        evaluate.check(config.evaluate, queries, items, None if candidates is None else candidates.shape[1])
    relatedness.resolve(config.evaluate)
    baselines.check(config.baselines, items)
    if judged:
        _check_new_queries(config, split)
    if config.model.start:
        parameters.check_start(config, fingerprint(dataset))
    return dataset, split


def _refuse_unread(config: configs.Config, reader: Callable, splitter: Callable) -> None:
    """What only some of our data sets or splits read is refused with the others; a user's own may read anything."""
    if config.data.path and reader is datasets.languages:
        raise InputError(
            f"data.path is {config.data.path!r} and data.name='languages' is drawn, not read; type for example "
            "--config.data.name=movielens_1m, or leave data.path out"
        )
    ours, cuts = fields.members(datasets), fields.members(splits)
    fetched = {one for name, one in ours.items() if name.startswith("movielens")} - {datasets.movielens_1m_ncf}
    drawn = {splits.cold_items, splits.cold_queries, splits.queries_out, splits.share_out}
    readers = {
        "data.parts": {datasets.merged},
        "data.columns": {datasets.merged, datasets.table},
        "data.download": {datasets.merged} | fetched,
        "data.world": {datasets.merged, datasets.languages},
    }
    splitters = {
        "data.share": drawn | {splits.global_time, splits.lightgcn_tuning},
        "data.seed": drawn | {splits.last_out_ring, splits.random_out},
    }
    for who, one, family, table in (
        (f"data.name={config.data.name!r}", reader, ours, readers),
        (f"data.split={config.data.split!r}", splitter, cuts, splitters),
    ):
        unread = [name for name, those in table.items() if one in set(family.values()) - those]
        fields.refuse_unread(config, configs.Config(), unread, who)


def _check_new_queries(config: configs.Config, split: Split) -> None:
    """A table has nothing to say of a query that training has not seen; folding in needs something that is known."""
    if config.model.name != "mf":
        return
    if config.model.newcomers != "none":
        for held in (split.validation, split.test):
            if held:
                newcomers.check(split.train, held, config.model)
        return
    for held in (split.validation, split.test):
        met = (held.known if config.wals.fold_in else split.train).interactions.query if held else np.empty(0)
        new = np.setdiff1d(held.relevant.query, met) if held else np.empty(0)
        if len(new) and config.wals.fold_in:
            raise InputError(
                f"data.split={config.data.split!r} judges {len(new)} queries of which nothing is known, and "
                "wals.fold_in has nothing to fold in; take another model or split"
            )
        if len(new):
            raise InputError(
                f"data.split={config.data.split!r} judges {len(new)} queries without training interactions, whose rows "
                "of model.name='mf' are not trained; type --config.model.newcomers=features, or take "
                "another model or split; by WALS also --config.train.method=wals --config.wals.fold_in=true"
            )
