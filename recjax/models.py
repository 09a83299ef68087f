"""The three setups, side by side. Each is `(settings, dataset) -> Model`: tables, a query tower, an item tower."""

from collections.abc import Sequence

import jax

from recjax import configs, features, fields, towers
from recjax.tables import Table
from recjax.towers import Feature
from recjax.types import Dataset, Features, Model, Tower

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
    chosen = features.item(settings, dataset)
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


def _query_features(settings: configs.Model, dataset: Dataset, specs: dict[str, Table]) -> list[Feature]:
    given = {**dataset.queries, **features.over_history(dataset)}
    return _features(settings, dataset, features.query(settings, dataset), given, specs)


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
        elif value is None or features.dense(value):
            table = ""
        else:
            table = name.removeprefix("history_")  # a feature of the history's items shares its table with theirs
            size = len(dataset.vocabularies[table])
            buckets = settings.buckets if size > settings.buckets else 0
            table_of = Table(size, settings.side, settings.scale, buckets, 1, settings.storage, settings.update)
            specs.setdefault(table, table_of)
        found.append(Feature(name, table))
    return found
