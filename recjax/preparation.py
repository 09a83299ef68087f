"""From a config to all that a run needs: bad input is refused here, before anything is trained or written."""

from typing import NamedTuple

import numpy as np

from recjax import configs, datasets, evaluate, fields, fit, methods, parameters, relatedness, splits
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
    if reader in set(fields.members(datasets).values()) - {datasets.merged}:
        fields.refuse_unread(config, configs.Config(), ["data.parts"], f"data.name={config.data.name!r}")
    dataset = reader(config.data)
    check(dataset)
    if config.data.least_rating and dataset.impressions is None:
        raise InputError(
            f"data.least_rating is {config.data.least_rating} and data.name={config.data.name!r} has no ratings; type "
            "--config.data.least_rating=0, or name a data set of MovieLens"
        )
    return dataset, splitter(dataset, config.data)


def prepare(config: configs.Config, loaded: tuple[Dataset, Split] | None = None) -> Prepared:
    """Loads the data, resolves all names, and traces one step.

    Args:
        loaded: the data and its split, where they are at hand.

    Raises:
        InputError: what was given, what was wanted, what to type.
    """
    dataset, split = read(config, loaded)
    return Prepared(config, dataset, split, fit.start(config, split.train))


def read(config: configs.Config, loaded: tuple[Dataset, Split] | None = None) -> tuple[Dataset, Split]:
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
    _check_new_queries(config, split)
    if config.model.start:
        parameters.check_start(config, fingerprint(dataset))
    return dataset, split


def _check_new_queries(config: configs.Config, split: Split) -> None:
    """A table has nothing to say of a query that training has not seen."""
    if config.model.name != "mf" or config.wals.fold_in:
        return
    for held in (split.validation, split.test):
        new = np.setdiff1d(held.relevant.query, split.train.interactions.query) if held else np.empty(0)
        if len(new):
            raise InputError(
                f"data.split={config.data.split!r} judges {len(new)} queries without training interactions, whose rows "
                "of model.name='mf' are not trained; type --config.train.method=wals --config.wals.fold_in=true, or "
                "take another model or split"
            )
