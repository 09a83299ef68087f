"""The k-core: what is left has enough, nothing that could stay is left out, and ids keep their names."""

import numpy as np
import pytest

from recjax import configs, cores, interactions
from recjax.errors import InputError
from recjax.types import Bag, Dataset, Groups, Interactions


def build(pairs):
    query, item = (np.array(one) for one in zip(*pairs, strict=True))
    found = interactions.arrange(query, item, np.ones(len(query), np.float32), np.arange(len(query)), repeats=False)
    queries, items = int(query.max()) + 1, int(item.max()) + 1
    bag = Bag(np.arange(items)[:, None], np.ones((items, 1), bool))
    return Dataset(
        found,
        {"query": np.arange(queries), "age": np.arange(queries) * 10},
        {"item": np.arange(items), "genres": bag},
        {"query": np.array([f"q{n}" for n in range(queries)]), "item": np.array([f"i{n}" for n in range(items)])},
        Groups(np.arange(queries), np.arange(items)),
        False,
        Interactions(query, item, np.ones(len(query)), None),
    )


# Round 1 takes query 3 (one interaction), round 2 item 3, which then has one, round 3 query 2.
CHAIN = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2), (2, 3), (0, 2), (1, 2), (3, 3)]


def test_it_takes_rounds_until_all_have_enough():
    found = cores.core(build(CHAIN), configs.Data(least_query=2, least_item=2))
    assert found.notes == {"core_rounds": 3, "core_left_out": 3}
    assert found.vocabularies["query"].tolist() == ["q0", "q1"]
    assert found.vocabularies["item"].tolist() == ["i0", "i1", "i2"]
    assert found.queries["query"].tolist() == [0, 1]
    assert found.queries["age"].tolist() == [0, 10]
    assert found.corpus["genres"].ids.tolist() == [[0], [1], [2]]
    assert found.groups.query.tolist() == [0, 1]
    assert len(found.impressions.query) == 6


def test_each_side_has_its_own_count():
    found = cores.core(build(CHAIN), configs.Data(least_item=3))
    assert found.vocabularies["item"].tolist() == ["i0", "i1", "i2"][2:]
    assert found.vocabularies["query"].tolist() == ["q0", "q1", "q2"]


def test_it_is_the_largest_such_part():
    """Another way to the same: one query or item at a time, in any order."""
    rng = np.random.default_rng(0)
    data = build(sorted({tuple(pair) for pair in rng.integers(0, 30, (160, 2)).tolist()}))
    found = cores.core(data, configs.Data(least_query=3, least_item=4))
    left = list(zip(data.interactions.query.tolist(), data.interactions.item.tolist(), strict=True))
    while True:
        few = [(0, q) for q in {q for q, _ in left} if sum(one == q for one, _ in left) < 3]
        few += [(1, i) for i in {i for _, i in left} if sum(one == i for _, one in left) < 4]
        if not few:
            break
        side, one = few[rng.integers(len(few))]
        left = [pair for pair in left if pair[side] != one]
    names = [found.vocabularies[side][ids] for side, ids in zip(("query", "item"), found.interactions, strict=False)]
    assert sorted(zip(*[one.tolist() for one in names], strict=True)) == sorted((f"q{q}", f"i{i}") for q, i in left)
    assert left


def test_with_one_it_is_the_same_data():
    data = build(CHAIN)
    assert cores.core(data, configs.Data()) is data


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            configs.Data(least_query=9),
            "data.least_query=9 and data.least_item=1 leave none of 9 interactions after 1 r",
        ),
        (configs.Data(least_item=2, split="ncf"), "data.split='ncf' is published for the whole data"),
    ],
)
def test_what_leaves_nothing_or_breaks_a_split_is_refused(settings, told):
    with pytest.raises(InputError) as caught:
        cores.core(build(CHAIN), settings)
    assert told in str(caught.value)
