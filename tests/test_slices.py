"""Slices part the judged queries: each mean by hand, and together the whole."""

import jax.numpy as jnp
import numpy as np

from recjax import evaluate, slices

RNG = np.random.default_rng(0)


def ranked(held):
    query = np.unique(held.relevant.query)
    metrics = {name: RNG.random(len(query)).astype(np.float32) for name in ("ndcg@10", "recall@10", "map@10")}
    none = jnp.zeros((0, 2))
    return evaluate.Ranking(query, np.zeros((len(query), 10), int), metrics, none, none, False)


def test_the_parts_of_a_slice_make_up_the_whole(split):
    ranking = ranked(split.test)
    found = slices.slices(ranking, split.test)
    assert list(found) == ["group", "history", "popularity", "time"]
    for parts in found.values():
        assert sum(part["queries"] for part in parts.values()) == len(ranking.query)
        for name in ("ndcg@10", "recall@10"):
            whole = sum(part["queries"] * part[name] for part in parts.values()) / len(ranking.query)
            np.testing.assert_allclose(whole, ranking.metrics[name].mean(dtype=np.float64), rtol=1e-12)
        assert all(set(part) == {"queries", "ndcg@10", "recall@10"} for part in parts.values())


def test_each_part_by_hand(split):
    ranking = ranked(split.test)
    known, relevant = split.test.known, split.test.relevant
    found = slices.slices(ranking, split.test)
    where = known.groups.query[ranking.query] == 1
    np.testing.assert_allclose(found["group"]["1"]["ndcg@10"], ranking.metrics["ndcg@10"][where].mean(), rtol=1e-6)
    count = np.bincount(known.interactions.item, minlength=120)
    values = {
        "history": np.array([np.sum(known.interactions.query == one) for one in ranking.query]),
        "popularity": np.array([count[relevant.item[relevant.query == one]].mean() for one in ranking.query]),
    }
    for name, value in values.items():
        for label, part in found[name].items():
            low, high = (float(one) for one in (label.split(" to ") * 2)[:2])
            inside = (value >= low) & (value <= high)
            assert part["queries"] == inside.sum()
            np.testing.assert_allclose(part["recall@10"], ranking.metrics["recall@10"][inside].mean(), rtol=1e-6)


def test_what_is_not_known_has_no_slice(timeless):
    held = timeless.test._replace(
        known=timeless.test.known._replace(groups=None), relevant=timeless.test.relevant._replace(time=None)
    )
    assert list(slices.slices(ranked(held), held)) == ["history", "popularity"]
