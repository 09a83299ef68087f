"""The three setups, side by side. Each is `(settings, dataset) -> Model`: tables, a query tower, an item tower."""

from collections.abc import Sequence

import jax
import numpy as np

from recjax import configs, fields, towers
from recjax.errors import InputError, unknown
from recjax.tables import Table
from recjax.towers import Feature
from recjax.types import Bag, Dataset, Features, Model, Tower

_ACTIVATIONS = {
    name: getattr(jax.nn, name)
    for name in ("celu", "elu", "gelu", "identity", "leaky_relu", "mish", "relu", "selu", "silu", "softplus", "tanh")
}


def mf(settings: configs.Model, dataset: Dataset) -> Model:
    """Matrix factorization: a table of queries, a table of items."""
    _refuse_unread(settings, "query_features", "item_features", "hidden", "activation", "dropout", "normalization")
    _refuse_unread(settings, "bag", "side", "buckets", "tied")
    if settings.newcomers == "none":
        reader = f"model.newcomers={settings.newcomers!r}"
        fields.refuse_unread(settings, configs.Model(), ["neighbors"], reader, "model.")
    specs = {name: _id_table(settings, dataset, name, unknown_rows=0) for name in ("query", "item")}
    return Model(specs, towers.embedding(Feature("query", "query")), towers.embedding(Feature("item", "item")))


def softmax_dnn(settings: configs.Model, dataset: Dataset) -> Model:
    """A net over history and side features gives ψ(x); the corpus is a table V. Source: Covington et al. 2016."""
    _refuse_unread(settings, "item_features", "newcomers", "neighbors")
    specs = {"item": _id_table(settings, dataset, "item", unknown_rows=0)}
    query = _tower(settings, _query_features(settings, dataset, specs), specs)
    return Model(specs, query, towers.embedding(Feature("item", "item")))


def two_tower(settings: configs.Model, dataset: Dataset) -> Model:
    """A net on each side, so that new items work too. Source: Yi et al. 2019."""
    _refuse_unread(settings, "newcomers", "neighbors")
    specs = {"item": _id_table(settings, dataset, "item", unknown_rows=1)}
    query = _tower(settings, _query_features(settings, dataset, specs), specs)
    chosen = _choose("item_features", settings.item_features, ["item"], dataset.corpus)
    item = _tower(settings, _features(settings, dataset, chosen, dataset.corpus, specs), specs)
    return Model(specs, query, item)


def _refuse_unread(settings: configs.Model, *names: str) -> None:
    fields.refuse_unread(settings, configs.Model(), names, f"model.name={settings.name!r}", "model.")


def _id_table(settings: configs.Model, dataset: Dataset, name: str, unknown_rows: int) -> Table:
    return Table(
        len(dataset.vocabularies[name]),
        settings.dimension,
        settings.scale,
        unknown=unknown_rows,
        storage=settings.storage,
        update=settings.update,
    )


def _tower(settings: configs.Model, features: Sequence[Feature], specs: dict[str, Table]) -> Tower:
    return towers.net(
        features,
        specs,
        sizes=(*settings.hidden, settings.dimension),
        combine=settings.bag,
        activation=fields.resolve("activation", settings.activation, _ACTIVATIONS),
        dropout=settings.dropout,
        normalization=settings.normalization,
    )


def query_features(settings: configs.Model, dataset: Dataset) -> list[str]:
    """The names of what a query tower reads, groups resolved; MF reads the query's id alone.

    Raises:
        InputError: a name that is neither a feature nor a group.
    """
    timed = dataset.interactions.time is not None
    own = ["history", "query"] + ["since_last", "example_age"] * timed
    if settings.name == "mf":
        return ["query"]
    return _choose("query_features", settings.query_features, own, dataset.queries, list(_over(dataset)))


def _over(dataset: Dataset) -> Features:
    """The items' side features, as bags over a history."""
    return {f"history_{name}": value for name, value in dataset.corpus.items() if name != "item" and not _dense(value)}


def _query_features(settings: configs.Model, dataset: Dataset, specs: dict[str, Table]) -> list[Feature]:
    chosen = query_features(settings, dataset)
    return _features(settings, dataset, chosen, {**dataset.queries, **_over(dataset)}, specs)


def _dense(value) -> bool:
    return not isinstance(value, Bag) and np.issubdtype(value.dtype, np.floating)


def _choose(
    field: str, names: Sequence[str], own: Sequence[str], given: Features, over: Sequence[str] = ()
) -> list[str]:
    """The features that `names` name, groups resolved.

    Args:
        over: features of the history's items, which no group but "history_side" has.
    """
    side = [name for name in given if name not in ("query", "item")]
    groups = {"side": side, "recency": ["since_last"] if "since_last" in own else [], "all": [*own, *side]}
    groups |= {"history_side": list(over)} if "history" in own else {}
    chosen = [one for name in names for one in groups.get(name, [name])]
    for name in chosen:
        if name not in own and name not in side and name not in over:
            raise unknown(f"feature in model.{field}", name, [*own, *side, *over, *groups])
    if not chosen:
        raise InputError(f"model.{field} is empty; type for example --config.model.{field}={own[0]}")
    return list(dict.fromkeys(chosen))


def _features(
    settings: configs.Model, dataset: Dataset, names: Sequence[str], given: Features, specs: dict[str, Table]
) -> list[Feature]:
    """Says how each feature is read, and adds the tables that it needs to `specs`."""
    found = []
    for name in names:
        value = given.get(name)
        if name == "history":
            table = "item" if settings.tied else "history"
            specs.setdefault(table, _id_table(settings, dataset, "item", unknown_rows=1))
        elif name in ("query", "item"):
            table = name
            specs.setdefault(table, _id_table(settings, dataset, name, unknown_rows=1))
        elif value is None or _dense(value):
            table = ""
        else:
            table = name.removeprefix("history_")  # a feature of the history's items shares its table with theirs
            size = len(dataset.vocabularies[table])
            buckets = settings.buckets if size > settings.buckets else 0
            table_of = Table(size, settings.side, settings.scale, buckets, 1, settings.storage, settings.update)
            specs.setdefault(table, table_of)
        found.append(Feature(name, table))
    return found
