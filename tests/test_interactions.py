"""Interactions in their one order; ids, bags, and the fingerprint of a data set."""

import re

import numpy as np
import pytest

from recjax import interactions
from recjax.errors import InputError
from recjax.types import Bag, Dataset, Interactions

QUERY, ITEM = np.array([1, 0, 1, 1, 1]), np.array([5, 5, 4, 5, 6])
TIME = np.array([3, 9, 2, 1, 3])


def rows(query, item, time, repeats):
    """The rows of the source, as `arrange` orders them."""
    return interactions.arrange(query, item, np.arange(len(query)), time, repeats=repeats).weight.tolist()


@pytest.mark.parametrize(
    ("time", "repeats", "wanted"),
    [
        (TIME, True, [1, 3, 2, 0, 4]),
        (TIME, False, [1, 3, 2, 4]),
        (None, True, [1, 0, 2, 3, 4]),
        (None, False, [1, 0, 2, 4]),
    ],
)
def test_the_order_is_query_then_time_then_row(time, repeats, wanted):
    assert rows(QUERY, ITEM, time, repeats) == wanted


@pytest.mark.parametrize("block", [1, 100, 2**20])
@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("repeats", [True, False])
def test_equals_a_sort_in_plain_python(timed, repeats, block, monkeypatch):
    monkeypatch.setattr(interactions, "BLOCK", block)
    rng = np.random.default_rng(0)
    query, item, time = rng.integers(0, 9, 300), rng.integers(0, 20, 300), rng.integers(0, 9, 300)
    wanted, seen = [], set()
    for row in sorted(range(300), key=lambda row: (query[row], time[row] if timed else 0, row)):
        if repeats or (query[row], item[row]) not in seen:
            wanted.append(row)
        seen.add((query[row], item[row]))
    assert rows(query, item, time if timed else None, repeats) == wanted


@pytest.mark.parametrize("repeats", [True, False])
def test_ties_keep_the_order_of_the_file(repeats):
    assert rows(np.zeros(100, int), np.arange(100)[::-1], np.full(100, 7), repeats) == list(range(100))


def test_a_query_keeps_the_first_of_repeats():
    found = interactions.arrange(np.zeros(3, int), np.full(3, 8), np.arange(3), np.array([5, 4, 6]), repeats=False)
    assert [part.tolist() for part in found] == [[0], [8], [1], [4]]


def test_two_queries_may_share_an_item():
    assert rows(np.array([0, 1, 2]), np.array([7, 7, 7]), None, False) == [0, 1, 2]


def test_pairs_are_told_apart_beyond_32_bits():
    query, item = np.array([0, 2**16, 2**16], np.int32), np.array([0, 0, 2**16 - 1], np.int32)
    assert rows(query, item, None, False) == [0, 1, 2]


@pytest.mark.parametrize("repeats", [True, False])
def test_every_part_follows_its_row(repeats):
    found = interactions.arrange(QUERY, ITEM, np.arange(5), TIME, repeats=repeats)
    row = found.weight
    np.testing.assert_array_equal(found.query, QUERY[row])
    np.testing.assert_array_equal(found.item, ITEM[row])
    np.testing.assert_array_equal(found.time, TIME[row])


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("time", [np.array([], int), None])
def test_nothing_is_arranged_to_nothing(repeats, time):
    assert rows(np.array([], int), np.array([], int), time, repeats) == []


def test_no_time_stays_no_time():
    assert interactions.arrange(QUERY, ITEM, np.ones(5), None, repeats=False).time is None


@pytest.mark.parametrize("which", [np.array([True, False, True]), np.array([0, 2])])
@pytest.mark.parametrize("time", [np.array([7, 8, 9]), None])
def test_take_slices_every_part(which, time):
    found = interactions.take(Interactions(np.arange(3), np.arange(3) + 3, np.arange(3) / 2, time), which)
    assert [part.tolist() for part in found[:3]] == [[0, 2], [3, 5], [0 / 2, 2 / 2]]
    assert found.time is None if time is None else found.time.tolist() == [7, 9]


@pytest.mark.parametrize(
    ("raw", "vocabulary", "ids"),
    [
        (np.array([30, 10, 30, 20]), [10, 20, 30], [2, 0, 2, 1]),
        (np.array(["b", "ä", "a", "b"]), ["a", "b", "ä"], [1, 2, 0, 1]),
    ],
)
def test_ids_follow_the_sorted_raw_values(raw, vocabulary, ids):
    found, words = interactions.encode(raw)
    assert (found.tolist(), words.tolist(), found.dtype) == (ids, vocabulary, np.int32)
    np.testing.assert_array_equal(words[found], raw)


@pytest.mark.parametrize(
    ("lists", "ids", "where"),
    [
        ([[3, 4], [], [5]], [[3, 4], [0, 0], [5, 0]], [[1, 1], [0, 0], [1, 0]]),
        ([[], []], [[0], [0]], [[0], [0]]),
        ([np.array([0])], [[0]], [[1]]),
    ],
)
def test_a_bag_holds_unequal_lists(lists, ids, where):
    found = interactions.pad(lists)
    assert (found.ids.tolist(), found.where.tolist()) == (ids, np.array(where, bool).tolist())
    assert (found.ids.dtype, found.where.dtype) == (np.int32, bool)


def test_a_bag_of_no_lists_has_no_rows():
    assert interactions.pad([]).ids.shape == interactions.pad([]).where.shape == (0, 1)


def small():
    """A new data set of the same content, every array its own."""
    return Dataset(
        Interactions(np.array([0, 0, 1]), np.array([1, 0, 1]), np.array([1.0, 2.0, 1.0]), np.array([5, 6, 5])),
        {"query": np.arange(2), "age": np.array([4, 3]), "likes": Bag(np.array([[1, 2], [1, 0]]), np.eye(2) < 1)},
        {"item": np.arange(2), "price": np.array([0.5, 0.25])},
        {"query": np.array(["a", "b"]), "item": np.array(["x", "y"]), "age": np.arange(5), "likes": np.arange(3)},
        None,
        False,
    )


@pytest.mark.parametrize("weight", [[0.1, 2.0, 1.0], [1e-30, 1.0, 1e30]])
def test_finite_weights_above_0_pass(weight):
    dataset = small()
    good = dataset._replace(interactions=dataset.interactions._replace(weight=np.array(weight)))
    assert interactions.check(good) is None


@pytest.mark.parametrize("bad", [-1.0, 0.0, np.nan, np.inf, -np.inf])
def test_other_weights_are_refused(bad):
    dataset = small()
    weight = np.array([1.0, bad, -2.0])
    with pytest.raises(InputError) as caught:
        interactions.check(dataset._replace(interactions=dataset.interactions._replace(weight=weight)))
    assert str(caught.value) == f"interaction 1 has weight {bad}; wanted finite weights above 0"


def test_a_data_set_without_interactions_is_refused():
    dataset = small()
    with pytest.raises(InputError) as caught:
        interactions.check(dataset._replace(interactions=interactions.take(dataset.interactions, np.zeros(3, bool))))
    assert str(caught.value) == "the data set has no interactions; wanted at least one"


def test_a_fingerprint_is_16_hex_digits():
    assert re.fullmatch("[0-9a-f]{16}", interactions.fingerprint(small()))


def backwards(dataset):
    return dataset._replace(queries=dict(reversed(dataset.queries.items())))


def strided(dataset):
    double = {name: np.repeat(value, 2, axis=0)[::2] for name, value in dataset.corpus.items()}
    return dataset._replace(corpus=double)


@pytest.mark.parametrize("rebuild", [lambda dataset: dataset, backwards, strided])
def test_equal_data_has_an_equal_fingerprint(rebuild):
    assert interactions.fingerprint(rebuild(small())) == interactions.fingerprint(small())


@pytest.mark.parametrize("part", Interactions._fields)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_fingerprint_changes_with_any_interaction(part, place):
    dataset = small()
    getattr(dataset.interactions, part)[place] += 1
    assert interactions.fingerprint(dataset) != interactions.fingerprint(small())


@pytest.mark.parametrize(
    "find",
    [
        lambda dataset: dataset.queries["query"],
        lambda dataset: dataset.queries["age"],
        lambda dataset: dataset.queries["likes"].ids,
        lambda dataset: dataset.queries["likes"].where,
        lambda dataset: dataset.corpus["item"],
        lambda dataset: dataset.corpus["price"],
    ],
    ids=["query", "age", "likes.ids", "likes.where", "item", "price"],
)
def test_the_fingerprint_changes_with_any_feature(find):
    dataset = small()
    array = find(dataset)
    array.flat[-1] = not array.flat[-1] if array.dtype == bool else array.flat[-1] + 1
    assert interactions.fingerprint(dataset) != interactions.fingerprint(small())


@pytest.mark.parametrize(
    "change",
    [
        lambda dataset: dataset._replace(interactions=dataset.interactions._replace(time=None)),
        lambda dataset: dataset._replace(interactions=interactions.take(dataset.interactions, np.array([0, 1]))),
        lambda dataset: dataset._replace(interactions=interactions.take(dataset.interactions, np.array([1, 0, 2]))),
        lambda dataset: dataset._replace(corpus={"item": dataset.corpus["item"]}),
        lambda dataset: dataset._replace(corpus=dataset.corpus | {"price": dataset.corpus["price"][:, None]}),
    ],
    ids=["no time", "fewer rows", "another order", "fewer features", "another shape"],
)
def test_the_fingerprint_changes_with_the_form(change):
    assert interactions.fingerprint(change(small())) != interactions.fingerprint(small())
