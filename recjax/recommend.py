"""What a trained model recommends: raw ids in, raw items and their scores out."""

import csv
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from recjax import commands, configs, fields, folders, names, newcomers, reports, runs, trained
from recjax.errors import InputError
from recjax.features import query as query_features
from recjax.interactions import words
from recjax.types import Bag, Dataset, HeldOut, Interactions

NEW = "(new)"  # the raw id of a query that the data set does not have
_ASKED = ("query", "history", "features")
_SET = ("data.path", "model.newcomers", "model.neighbors")  # fields that need not be as they were in training


def command(arguments: Sequence[str]) -> str:
    """What `launch.py recommend` prints: a table for queries of the data, or for a new one.

    Raises:
        InputError: what was given, what was wanted, what to type.
    """
    places, options = commands.parse("recommend", arguments, [*_ASKED, "k", "csv", *(f"config.{one}" for one in _SET)])
    queries, history, features = (_parts(options.get(name, "")) for name in _ASKED)
    k = options.get("k", "10")
    if len(places) > 1 or bool(queries) == bool(history or features) or not k.isdecimal():
        raise InputError(
            f"recommend got {' '.join(arguments)}; wanted one run, and queries of its data or else a history: type "
            f"python launch.py {commands.USAGE['recommend']}"
        )
    changes = {name: options[f"config.{name}"] for name in _SET if f"config.{name}" in options}
    if queries:
        rows = for_queries(trained.load(places[0], changes), queries, int(k))
    else:
        settings = {**folders.settings(folders.run(places[0])), **changes}
        if settings["train.method"] == "wals":
            changes["wals.fold_in"] = fields.text(settings.get("model.newcomers", "none") == "none")
        given = {name: value for name, _, value in (one.partition("=") for one in features)}
        rows = for_history(trained.load(places[0], changes), history, given, int(k))
    if not rows:
        raise InputError("nothing is left to recommend: every item was met")
    if "csv" in options:
        try:
            runs.write_csv(pathlib.Path(options["csv"]), list(rows[0]), rows)
        except OSError as error:
            raise InputError(f"--csv={options['csv']} cannot be written ({error}); name another file") from None
    return reports.listing(rows)


def _parts(text: str) -> list[str]:
    """The parts between commas, which may stand in quotes."""
    return next(csv.reader([text]), [])


def for_queries(model: trained.Trained, queries: Sequence[str], k: int) -> list[dict[str, Any]]:
    """The k items with the highest scores for each query, without those that it is known to have met.

    What a query is known to have met is in no list, what was held out too, unless data.repeats keeps repetitions.
    A net and fold-in also read all of it; the row of a table is that of training.

    Returns:
        A row an item: query, rank, the item by its raw id and title, score.

    Raises:
        InputError: no query, one that is unknown, or one that has no embedding or one of zeros; k outside [1, N].
    """
    rows = names.rows(model.dataset, "query", list(dict.fromkeys(queries)))
    if not len(rows):
        raise InputError("no query was given; wanted raw ids of the data set")
    new = np.setdiff1d(rows, model.split.train.interactions.query)
    if len(new) and not _embeds_new(model.config):
        raise InputError(
            f"query {model.dataset.vocabularies['query'][new[0]]} had no training interactions, and model.name='mf' "
            "has only its untrained row; type --config.model.newcomers=history or features"
        )
    by_history = model.config.wals.fold_in or model.config.model.newcomers == "history"
    unknown = np.setdiff1d(new, model.dataset.interactions.query)
    if model.config.model.name == "mf" and by_history and len(unknown):
        raise InputError(
            f"query {model.dataset.vocabularies['query'][unknown[0]]} has no interactions, and its row would be found "
            "from them; leave it out"
        )
    return _rows(model, model.dataset, rows, k)


def for_history(
    model: trained.Trained, history: Sequence[str], features: Mapping[str, str], k: int
) -> list[dict[str, Any]]:
    """The k items with the highest scores for a new query that did this, now, oldest first.

    With wals.fold_in the query is folded in from its history, with model.newcomers it is the mean of similar queries;
    a net reads the history and the features, and for the query's id the row that stands for unknown ones.

    Args:
        history: items by their raw ids; a net may do without, and so may model.newcomers="features".
        features: raw values of the side features that are read of a query; of a bag, its words.

    Returns:
        As `for_queries`, for one query.

    Raises:
        InputError: MF that was loaded with neither, and has no row for a new query; an unknown item, or a feature that
            is missing, not known or not read; nothing of it is like what trained; k outside [1, N].
    """
    settings = model.config
    if not _embeds_new(settings):
        raise InputError(
            "model.name='mf' has no row for a new query; type --config.model.newcomers=history or features, or in a "
            "program trained.load(FOLDER, {'model.newcomers': 'history'}), or of a run by WALS {'wals.fold_in': 'true'}"
        )
    if settings.model.name == "mf" and settings.model.newcomers != "features" and not history:
        raise InputError("a new query's row is found from its history; type --history=ITEM,ITEM")
    dataset = _with_query(model, history, features)
    if settings.model.name == "mf":
        tables = model.params.tables
        row = {"query": jnp.pad(tables["query"], ((0, 1), (0, 0)))}  # which is filled before the ranking
        model = model._replace(params=model.params._replace(tables=tables | row))
    return _rows(model, dataset, np.array([len(dataset.vocabularies["query"]) - 1], np.int32), k)


def _embeds_new(config: configs.Config) -> bool:
    """Whether a query that nothing trained has an embedding."""
    return config.model.name != "mf" or config.wals.fold_in or config.model.newcomers != "none"


def _rows(model: trained.Trained, known: Dataset, queries: np.ndarray, k: int) -> list[dict[str, Any]]:
    if not 1 <= k <= len(known.vocabularies["item"]):
        raise InputError(f"k is {k}; wanted 1 to {len(known.vocabularies['item'])}, the number of items")
    settings = dataclasses.replace(model.config.evaluate, k=(k,), select=f"ndcg@{k}")
    query, time = np.sort(queries), known.interactions.time
    # A judgement whose answer nobody knows: it is asked for its lists alone.
    asked = Interactions(
        query,
        np.zeros(len(query), np.int32),
        np.ones(len(query), np.float32),
        None if time is None else np.full(len(query), np.max(time), time.dtype),
    )
    model = model._replace(config=dataclasses.replace(model.config, evaluate=settings))
    ranking = trained.rank(model, HeldOut(known._replace(groups=None), asked))  # groups would have a second list
    empty = query[~np.any(np.asarray(ranking.queries), axis=1)]
    if len(empty):
        raise InputError(
            f"query {known.vocabularies['query'][empty[0]]} is like no query that trained: its row is 0, and all items "
            "would score alike; leave it out, or give another history or other features"
        )
    with jax.default_matmul_precision("highest"):
        items = ranking.items[np.maximum(ranking.ids, 0)]
        scores = np.asarray(model.retriever.score(ranking.queries, items))
    return [
        {
            "query": str(known.vocabularies["query"][one]),
            "rank": place + 1,
            **names.item(known, int(ranking.ids[row, place])),
            "score": float(scores[row, place]),
        }
        for one, row in zip(queries, np.searchsorted(query, queries), strict=True)
        for place in range(k)
        if ranking.ids[row, place] >= 0
    ]


def _with_query(model: trained.Trained, history: Sequence[str], features: Mapping[str, str]) -> Dataset:
    """The data set with one query more, the last."""
    dataset = model.dataset
    settings = model.config.model
    read = newcomers.reads(dataset, "query") if settings.newcomers == "features" else query_features(settings, dataset)
    side = {name: value for name, value in dataset.queries.items() if name != "query"}
    wanted = [name for name in side if name in read]
    for name in features:
        if name not in wanted:
            raise InputError(f"the model does not read {name!r} of a query; it reads {', '.join(wanted) or 'none'}")
    missing = [name for name in wanted if name not in features]
    if missing:
        raise InputError(f"the model reads {', '.join(missing)} of a query; type --features={missing[0]}=VALUE")
    items = names.rows(dataset, "item", history if dataset.repeats else list(dict.fromkeys(history)))
    count = len(dataset.vocabularies["query"])
    query, item, weight, time = dataset.interactions
    last = None if time is None else np.append(time, np.full(len(items), np.max(time), time.dtype))
    interactions = Interactions(
        np.append(query, np.full(len(items), count, query.dtype)),
        np.append(item, items.astype(item.dtype)),
        np.append(weight, np.ones(len(items), weight.dtype)),
        last,
    )
    queries = {"query": np.arange(count + 1, dtype=np.int32)}
    queries |= {name: _one_more(dataset, name, value, features.get(name)) for name, value in side.items()}
    known = np.append(dataset.vocabularies["query"].astype(str), NEW)
    vocabularies = {**dataset.vocabularies, "query": known}
    return dataset._replace(interactions=interactions, queries=queries, vocabularies=vocabularies)


def _one_more(dataset: Dataset, name: str, value: Any, raw: str | None) -> Any:
    """A feature of queries with a last row: of a raw value, or, where nobody reads it, of no meaning."""
    if isinstance(value, Bag):
        own = names.rows(dataset, name, words(raw or ""))
        if len(own) > value.ids.shape[1]:
            raise InputError(f"{name} has {len(own)} values; wanted at most {value.ids.shape[1]}")
        ids = np.pad(own, (0, value.ids.shape[1] - len(own)))
        where = np.arange(value.ids.shape[1]) < len(own)
        return Bag(np.concatenate([value.ids, ids[None]]), np.concatenate([value.where, where[None]]))
    if raw is None:
        return np.append(value, np.zeros(1, value.dtype))
    if np.issubdtype(value.dtype, np.integer):
        return np.append(value, names.rows(dataset, name, [raw]).astype(value.dtype))
    try:
        return np.append(value, np.array([float(raw)], value.dtype))
    except ValueError:
        raise InputError(f"{name} is {raw!r}; wanted a number") from None
