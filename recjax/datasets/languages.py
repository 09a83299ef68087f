"""The embedded world: queries and items in groups that hardly interact, as speakers of different languages do.

Group sizes and popularity inside a group follow Zipf's law; inside a group a low-rank taste decides. Some side
features tell something (country, age, language, topics), others nothing (device, publisher). Times are drawn
independently of taste: the order of a query's interactions tells nothing.
"""

from typing import NamedTuple

import numpy as np

from recjax import configs
from recjax.errors import InputError
from recjax.interactions import arrange, pad
from recjax.types import Dataset, Groups

DAY = 86_400
SMALLEST = 20  # items in a group


class Truth(NamedTuple):
    """What made the world: unit taste vectors, and the popularity of each item inside its group."""

    query_taste: np.ndarray  # [M taste]
    item_taste: np.ndarray  # [N taste]
    popularity: np.ndarray  # [N], sums to 1 in a group


def languages(settings: configs.Data) -> Dataset:
    """The world as a data set; `world` gives its truth too."""
    return world(settings.world)[0]._replace(repeats=settings.repeats)


def world(settings: configs.World) -> tuple[Dataset, Truth]:
    """Draws a world. The same settings give the same world.

    P(item | query) is (1 - cross) · popularity · exp(focus <taste, taste>) inside the query's group, normalised, and
    cross · popularity outside; a query draws from it without replacement.

    Raises:
        InputError: a group would have fewer than 20 items or no query.
    """
    rng = np.random.default_rng(settings.seed)
    query_group = _zipf_groups(settings.queries, settings.groups)
    item_group = _zipf_groups(settings.items, settings.groups)
    _check(settings)
    rng.shuffle(query_group)
    rng.shuffle(item_group)
    query_taste, item_taste = _unit(rng, settings.queries, settings.taste), _unit(rng, settings.items, settings.taste)
    popularity = _popularity(rng, item_group)
    truth = Truth(query_taste, item_taste, popularity)
    query, item = _interact(rng, settings, query_group, item_group, truth)
    time = rng.uniform(0, 300 * DAY, settings.queries)[query] + rng.uniform(0, 60 * DAY, len(query))
    queries = {
        "query": np.arange(settings.queries, dtype=np.int32),
        "country": _noisy(rng, query_group, settings.groups, 0.9),
        "age": np.digitize(query_taste[:, 0] + rng.normal(0, 0.2, settings.queries), [-0.4, -0.1, 0.2, 0.5]).astype(
            np.int32
        ),
        "device": rng.integers(0, 4, settings.queries, np.int32),
    }
    topics = [np.flatnonzero(np.concatenate([row, -row]) > 0.4) for row in item_taste]
    corpus = {
        "item": np.arange(settings.items, dtype=np.int32),
        "language": _noisy(rng, item_group, settings.groups, 0.95),
        "topics": pad(topics),
        "publisher": rng.integers(0, 50, settings.items, np.int32),
    }
    vocabularies = {
        "query": np.array([f"query_{number}" for number in range(settings.queries)]),
        "item": np.array([f"item_{number}" for number in range(settings.items)]),
        "country": np.array([f"country_{number}" for number in range(settings.groups)]),
        "age": np.array(["young", "youngish", "middle", "oldish", "old"]),
        "device": np.array(["phone", "tablet", "desktop", "television"]),
        "language": np.array([f"language_{number}" for number in range(settings.groups)]),
        "topics": np.array([f"{sign}{axis}" for sign in "+-" for axis in range(settings.taste)]),
        "publisher": np.array([f"publisher_{number}" for number in range(50)]),
    }
    found = arrange(query, item, np.ones(len(query), np.float32), time.astype(np.int64), repeats=False)
    return Dataset(found, queries, corpus, vocabularies, Groups(query_group, item_group), False), truth


def _check(settings: configs.World) -> None:
    def smallest(count: int, groups: int) -> int:
        return int(np.min(np.bincount(_zipf_groups(count, groups), minlength=groups)))

    def fits(groups: int) -> bool:
        return smallest(settings.items, groups) >= SMALLEST and smallest(settings.queries, groups) >= 1

    if fits(settings.groups):
        return
    queries, items = smallest(settings.queries, settings.groups), smallest(settings.items, settings.groups)
    less = next((groups for groups in range(settings.groups - 1, 0, -1) if fits(groups)), None)
    raise InputError(
        f"data.world: {settings.queries} queries and {settings.items} items in {settings.groups} groups leave "
        f"{queries} and {items} in the smallest; wanted at least 1 and {SMALLEST}: type --config.data.world."
        + (f"groups={less}" if less else f"items={SMALLEST * 2 * settings.groups}")
    )


def _zipf_groups(count: int, groups: int) -> np.ndarray:
    """Group numbers of `count` members, group g having a share ~ 1 / (g + 1)."""
    bounds = np.cumsum(1.0 / np.arange(1, groups + 1))
    return np.searchsorted(bounds / bounds[-1], (np.arange(count) + 0.5) / count).astype(np.int32)


def _unit(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    rows = rng.normal(size=(count, dimension))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _popularity(rng: np.random.Generator, group: np.ndarray) -> np.ndarray:
    weight = np.empty(len(group))
    for number in np.unique(group):
        members = rng.permutation(np.flatnonzero(group == number))
        zipf = (10.0 + np.arange(len(members))) ** -1.0
        weight[members] = zipf / zipf.sum()
    return weight


def _noisy(rng: np.random.Generator, label: np.ndarray, size: int, right: float) -> np.ndarray:
    return np.where(rng.random(len(label)) < right, label, rng.integers(0, size, len(label))).astype(np.int32)


def _interact(rng, settings: configs.World, query_group, item_group, truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """Draws each query's items without replacement: the first arrivals of exponential clocks with these rates."""
    own = query_group[:, None] == item_group[None, :]
    taste = settings.focus * (truth.query_taste @ truth.item_taste.T - 1.0)  # at most 0
    inside = np.where(own, truth.popularity * np.exp(taste), 0.0)
    outside = np.where(own, 0.0, truth.popularity)
    cross = settings.cross / np.maximum(outside.sum(1, keepdims=True), 1e-30)
    probability = (1.0 - settings.cross) * inside / inside.sum(1, keepdims=True) + cross * outside
    key = probability / rng.standard_exponential(probability.shape)
    smallest = np.bincount(item_group)[query_group] // 2
    length = np.clip(rng.geometric(1.0 / max(1, settings.interactions - 4), settings.queries) + 4, 5, smallest)
    longest = int(length.max())
    top = np.argpartition(-key, longest, axis=1)[:, :longest]
    top = np.take_along_axis(top, np.argsort(-np.take_along_axis(key, top, 1), axis=1), 1)
    chosen = np.arange(longest) < length[:, None]
    query, item = np.repeat(np.arange(settings.queries), length), top[chosen]
    order = rng.permutation(len(query))
    return query[order].astype(np.int32), item[order].astype(np.int32)
