"""The worst offenders of a ranking that was made by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from recjax import evaluate, offenders, scores
from recjax.pairs import Pairs
from recjax.types import Bag, Dataset, Groups, Interactions

# Items 0 to 2 are of group 0, items 3 and 4 of group 1; queries 0 and 1 met group 0, query 2 met group 1.
MET = Interactions(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 2, 3, 4]), np.ones(6, np.float32), None)
TITLE = Bag(
    np.array([[0, 1], [1, 0], [1, 0], [2, 0], [0, 2]]), np.array([[1, 1], [1, 0], [1, 0], [1, 0], [1, 1]], bool)
)
KNOWN = Dataset(
    MET,
    {"query": np.arange(3)},
    {"item": np.arange(5), "title": TITLE},
    {"query": np.array(["ann", "bob", "eve"]), "item": np.arange(10, 15), "title": np.array(["blue", "moon", "sun"])},
    Groups(np.array([0, 0, 1]), np.array([0, 0, 0, 1, 1])),
    False,
)
RANKING = evaluate.Ranking(
    np.array([0, 1, 2]), np.array([[2, 3], [4, 3], [-1, -1]]), {}, jnp.eye(3, 2), jnp.arange(10.0).reshape(5, 2), False
)
FACTORS = np.eye(3, dtype=np.float32), np.arange(15, dtype=np.float32).reshape(5, 3)
PAIRS = Pairs(None, np.array([[9.0, 9.5], [10.0, 20.0]]), None, None, None)


def test_items_of_another_group_by_rank_and_by_name():
    found = offenders.worst(RANKING, KNOWN, FACTORS, PAIRS, scores.dot)
    assert [list(line) for line in found] == [offenders.columns(KNOWN)] * 2
    together = "no other query met it and anything that this one met"
    assert found == [
        {
            "query": "bob", "item": "14", "title": "blue sun", "rank": 1, "score": 9.0, "relatedness": 13.0,
            "popularity": 1, "why": f"group 1, the query's is 0; {together}",
        },
        {
            "query": "ann", "item": "13", "title": "sun", "rank": 2, "score": 6.0, "relatedness": 9.0,
            "popularity": 1, "why": f"group 1, the query's is 0; {together}",
        },
    ]  # fmt: skip


def test_without_groups_those_that_are_less_related_than_random_pairs():
    known = KNOWN._replace(groups=None)
    found = offenders.worst(RANKING, known, FACTORS, PAIRS, scores.dot)
    assert [(line["query"], line["item"], line["rank"]) for line in found] == [("ann", "12", 1)]  # 6 <= 9.75
    assert found[0]["why"] == (
        "no more related than the middle one of random pairs; 1 other query met it and anything that this one met"
    )


def test_nothing_spurious_gives_no_rows():
    ranking = RANKING._replace(ids=np.array([[2, -1], [0, -1], [3, 4]]))
    assert offenders.worst(ranking, KNOWN, FACTORS, PAIRS, scores.dot) == []
    assert offenders.worst(RANKING._replace(sampled=True), KNOWN, FACTORS, PAIRS, scores.dot) == []


@pytest.mark.parametrize(("query", "item", "count"), [(0, 2, 1), (0, 3, 0), (1, 0, 1), (2, 3, 0)])
def test_who_met_both_is_counted_without_the_query_itself(query, item, count):
    assert offenders._together(KNOWN, np.array([query]), np.array([item])).tolist() == [count]
