"""Evaluation: the whole corpus, or its candidates, ranked for every held-out query, in tiles on the device.

Scores are computed in tiles of TILE queries, the last padded, by blocks of retrieval.BLOCK items, the last one as long
as what is left: a query's metrics are the same to the bit whoever is judged beside it. Memory is that of the data,
embeddings and lists.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from recjax import batches, configs, fields, folding, metrics, retrieval, retrievers
from recjax.errors import InputError, unknown
from recjax.types import Data, Dataset, HeldOut

TILE = 512
CLOSE = 1e-5  # scores closer than this, relatively, may change places on another device


class Judgement(NamedTuple):
    """A held-out part on the device: T tiles of B queries."""

    data: Data  # what is known
    query: Int[Array, "T B"]
    where: Bool[Array, "T B"]  # False: padding
    now: Int[Array, "T B"] | None  # the moment of the first relevant interaction
    relevant: Int[Array, " R"]  # query after query, each one's different items in ascending order
    first: Int[Array, "T B"]  # where a query's relevant items begin
    number: Int[Array, "T B"]  # how many they are
    # What is not to be retrieved: pairs tile after tile, `start` [T G+1] of each; None where repeats may be
    exclude: retrieval.Excluded | None
    candidates: Int[Array, "T B C"] | None  # in ascending order, -1: none; None: the whole corpus is ranked
    query_group: Int[Array, "T B"] | None  # None: groups are not known, or candidates are ranked
    item_group: Int[Array, " N"] | None


class Ranking(NamedTuple):
    """What a retriever did, query by query, in the order of the judgement's queries."""

    query: np.ndarray  # [Q]
    ids: np.ndarray  # [Q K], -1: none
    metrics: dict[str, np.ndarray]  # [Q] each
    queries: Float[Array, "Q D"]
    items: Float[Array, "N D"]
    sampled: bool  # among candidates only: then metrics are named sampled_


def prepare(held: HeldOut) -> Judgement:
    """Puts a held-out part on the device, in tiles.

    Raises:
        InputError: candidates that are not one row of different items a judged query.
    """
    order = np.lexsort((held.relevant.item, held.relevant.query))
    pair = np.stack([held.relevant.query[order], held.relevant.item[order]])
    kept = np.concatenate([[True], np.any(pair[:, 1:] != pair[:, :-1], axis=0)])  # a repeated item is relevant once
    relevant_query, relevant = pair[:, kept]
    query, first, count = np.unique(relevant_query, return_index=True, return_counts=True)
    tiles = -(-len(query) // TILE)

    def tiled(part: np.ndarray, fill: int = 0) -> Array:
        rows = np.full((tiles * TILE, *part.shape[1:]), fill, np.int32)
        rows[: len(part)] = part
        return jnp.asarray(rows.reshape(tiles, TILE, *part.shape[1:]))

    now = None
    if held.relevant.time is not None and held.known.interactions.time is not None:
        starts = np.searchsorted(held.relevant.query, query)
        earliest = np.minimum.reduceat(held.relevant.time, starts) - np.min(held.known.interactions.time)
        now = tiled(earliest)
    candidates = None
    if held.candidates is not None:
        candidates = tiled(retrieval.by_id(held.candidates, len(query), len(held.known.corpus["item"])), -1)
    exclude = None
    if candidates is None and not held.known.repeats:
        met = np.isin(held.known.interactions.query, query)
        row, item = np.searchsorted(query, held.known.interactions.query[met]), held.known.interactions.item[met]
        exclude = retrieval.excluded(
            row, item, len(held.known.corpus["item"]), rows=len(query), tile=TILE, block=retrieval.BLOCK
        )
    groups = held.known.groups if candidates is None else None
    return Judgement(
        batches.prepare(held.known),
        tiled(query),
        jnp.asarray((np.arange(tiles * TILE) < len(query)).reshape(tiles, TILE)),
        now,
        jnp.asarray(relevant, jnp.int32),
        tiled(first),
        tiled(count),
        exclude,
        candidates,
        None if groups is None else tiled(groups.query[query]),
        None if groups is None else jnp.asarray(groups.item, jnp.int32),
    )


def ranker(
    retriever: retrievers.Retriever, settings: configs.Evaluate, length: int
) -> Callable[[Any, Judgement], tuple]:
    """Builds `(params, judgement) -> (ids, metrics by name, queries, items)`, for jax.jit; see `rank`.

    Args:
        length: L, of the histories that the query tower reads.
    """
    family: Mapping[str, Callable] = fields.members(metrics)
    most = max(settings.k)

    def judge(params, judgement: Judgement):
        # Accelerators round the inputs of a matrix product by default; a ranking is to be exact.
        with jax.default_matmul_precision("highest"):
            return exact(params, judgement)

    def exact(params, judgement: Judgement):
        data, params = judgement.data, retriever.ready(params)
        items = retriever.items(params, data)
        deeper = most + (most < (len(items) if judgement.candidates is None else judgement.candidates.shape[2]))

        def tile(part):
            query, now, first, count, start, candidates, group = part
            features = batches.features(data, query, data.offsets[query + 1], length, now=now)
            queries = retriever.queries(params, features)
            if candidates is None:
                exclude = judgement.exclude and judgement.exclude._replace(start=start)
                search = functools.partial(retrieval.top_k, queries, items, exclude=exclude)
                search = functools.partial(search, score=retriever.score, block=retrieval.BLOCK)
                found, ids = search(k=deeper)
            else:
                found, ids = retrieval.top_k_among(queries, items, candidates, deeper, score=retriever.score)
            later = found[:, 1:]  # -inf where a list has ended
            close = (jnp.abs(jnp.diff(found)) <= CLOSE * jnp.abs(later)) & jnp.isfinite(later)
            close = jnp.sum(close, axis=-1, dtype=jnp.float32)
            ids = ids[:, :most]

            def hits(ids):
                return retrieval.among(judgement.relevant, first, count, ids)

            values = {f"{name}@{k}": one(hits(ids)[:, :k], count) for k in settings.k for name, one in family.items()}
            if judgement.item_group is not None:
                _, own = search(k=most, groups=(group, judgement.item_group))
                values |= {f"in_group_recall@{k}": metrics.recall(hits(own)[:, :k], count) for k in settings.k}
            values[f"near_ties@{most}"] = close
            return (
                ids,
                values,
                queries,
                jnp.all(jnp.isfinite(found[:, :most]) | (ids < 0)) & jnp.all(jnp.isfinite(queries)),
            )

        start = judgement.exclude and judgement.exclude.start
        own = judgement.query, judgement.now, judgement.first, judgement.number
        parts = *own, start, judgement.candidates, judgement.query_group
        ids, values, queries, finite = jax.lax.map(tile, parts)
        finite = jnp.all(finite) & jnp.all(jnp.isfinite(items))
        flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), (ids, values, queries))
        return *flat, items, finite

    return judge


def rank(judge: Callable, params: Any, judgement: Judgement) -> Ranking | None:
    """Runs a (jitted) ranker and drops the padding; None where an embedding or a score is not finite.

    near_ties@K counts neighbours in a query's list of K + 1 whose scores differ by less than 1e-5 relatively.
    """
    ids, values, queries, items, finite = judge(params, judgement)
    if not finite:
        return None
    where = np.asarray(judgement.where).reshape(-1)
    query = np.asarray(judgement.query).reshape(-1)[where]
    sampled = judgement.candidates is not None
    kept = {"sampled_" * sampled + name: np.asarray(value)[where] for name, value in values.items()}
    return Ranking(query, np.asarray(ids)[where], kept, queries[: len(query)], items, sampled)  # padding is last


def check(settings: configs.Evaluate, queries: int, items: int, candidates: int | None = None) -> None:
    """Refuses what no evaluation could use.

    Args:
        candidates: C, where only candidates are ranked.

    Raises:
        InputError: fewer than two queries or items, K outside [1, N] or [1, C], no K, or an unknown metric.
    """
    if min(queries, items) < 2:
        raise InputError(f"the data set has {queries} queries and {items} items; wanted at least two of each")
    ranked, most = ("the corpus", items) if candidates is None else ("a query's list of candidates", candidates)
    if not settings.k or min(settings.k) < 1 or max(settings.k) > most:
        raise InputError(
            f"evaluate.k is {settings.k} and {ranked} has {most} items; wanted cut-offs from 1 to {most}: "
            f"type for example --config.evaluate.k={min(10, most)}"
        )
    valid = [f"{name}@{k}" for k in settings.k for name in fields.members(metrics)]
    if settings.select not in valid:
        raise unknown("metric in evaluate.select", settings.select, valid)


def means(ranking: Ranking, known: Dataset, settings: configs.Evaluate) -> dict[str, float]:
    """One number a metric: means over queries, and what only the lists together tell.

    coverage@K is the share of the corpus that is retrieved for anyone; mean_popularity@K the mean number of known
    interactions of what is retrieved; cross_group_share@K, where groups are known, the share from another group, and
    in_group_recall@K the recall where each query's own group is all that is ranked: a second search of the corpus.
    Among candidates these are left out: they would describe the candidates, not the model.
    """
    found = {name: float(np.mean(value, dtype=np.float64)) for name, value in ranking.metrics.items()}
    if ranking.sampled:
        return found
    count = np.bincount(known.interactions.item, minlength=len(known.vocabularies["item"]))
    for k in settings.k:
        ids = ranking.ids[:, :k]
        flat = ids[ids >= 0]
        if not len(flat):
            continue
        found[f"coverage@{k}"] = len(np.unique(flat)) / len(count)
        found[f"mean_popularity@{k}"] = float(np.mean(count[flat]))
        if known.groups is not None:
            share = folding.cross_group_share(ids, known.groups.query[ranking.query], known.groups.item)
            found[f"cross_group_share@{k}"] = float(np.mean(share))
    return found
