"""What an example knows: strictly what came before its label, and never its label's own interaction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import batches
from recjax.errors import InputError
from recjax.types import Bag, Dataset, Interactions

DAY = 86_400


def dataset(query, item, time, items=20):
    queries = int(max(query)) + 1
    names = {"query": np.arange(queries), "item": np.arange(items)}
    features = {"query": np.arange(queries, dtype=np.int32), "color": np.arange(queries, dtype=np.int32) % 3}
    interactions = Interactions(
        np.asarray(query), np.asarray(item), np.ones(len(query)), None if time is None else np.asarray(time)
    )
    return Dataset(interactions, features, {"item": np.arange(items, dtype=np.int32)}, names, None, True)


#        rows:   0  1  2  3 | 4 | 5  6  7
QUERY = [0, 0, 0, 0, 1, 2, 2, 2]
ITEM = [5, 6, 7, 8, 9, 5, 6, 5]
TIME = [0, DAY, DAY, 8 * DAY, 4 * DAY, 0, 2 * DAY, 10 * DAY]


def bags(features, name="history"):
    bag = features[name]
    return [list(np.asarray(ids)[np.asarray(where)]) for ids, where in zip(bag.ids, bag.where, strict=True)]


def features(data, query, position, length=3, **more):
    return batches.features(data, jnp.array(query), jnp.array(position), length, **more)


@pytest.mark.parametrize(
    ("query", "position", "history"),
    [(0, 0, []), (0, 1, [5]), (0, 3, [7, 6, 5]), (0, 4, [8, 7, 6]), (1, 4, []), (2, 5, []), (2, 7, [6, 5])],
)
def test_a_history_holds_the_latest_interactions_first(query, position, history):
    data = batches.prepare(dataset(QUERY, ITEM, TIME))
    assert bags(features(data, [query], [position])) == [history]


@pytest.mark.parametrize(
    ("query", "position", "taken", "history"),
    [
        (0, 0, 1, [8, 7, 6]),
        (0, 2, 1, [6, 5, 8]),
        (0, 1, 2, [5, 8]),
        (1, 4, 1, []),
        (2, 6, 1, [5, 5]),
        (2, 8, 0, [5, 6, 5]),
    ],
)
def test_without_times_it_holds_the_querys_other_interactions(query, position, taken, history):
    data = batches.prepare(dataset(QUERY, ITEM, None))
    assert bags(features(data, [query], [position], taken=jnp.array([taken]))) == [history]


def test_side_and_dense_features():
    data = batches.prepare(dataset(QUERY, ITEM, TIME))
    found = features(data, [0, 2, 1], [3, 5, 4], now=jnp.array([8 * DAY, 0, 4 * DAY]), age=0.25)
    np.testing.assert_array_equal(found["color"], [0, 2, 1])
    np.testing.assert_array_equal(found["query"], [0, 2, 1])
    np.testing.assert_allclose(found["since_last"], [np.log1p(7), 0, 0], rtol=1e-6)
    np.testing.assert_array_equal(found["example_age"], np.float32([0.25] * 3))


def reference(first, positives, length, ring):
    """An example in plain Python: its positives and its history."""
    mine = [row for row in range(len(QUERY)) if QUERY[row] == QUERY[first]]
    place = mine.index(first)
    if ring:
        around = mine[place:] + mine[:place]
        return around[:positives], around[:positives:-1][:length] if len(mine) > positives else []
    return mine[place : place + positives], mine[:place][::-1][:length]


@pytest.mark.parametrize("ring", [False, True])
@pytest.mark.parametrize("positives", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [1, 2, 6])
def test_an_example_equals_its_definition(ring, positives, length):
    unique = list(range(len(QUERY)))  # every interaction its own item, so that rows can be told apart
    data = batches.prepare(dataset(QUERY, unique, None if ring else TIME), positives)
    batch = batches.draw(jax.random.key(0), data, 200, positives=positives, length=length)
    found_histories = bags(batch.features)
    assert set(np.asarray(batch.positive[:, 0])) == set(unique)
    for row, first in enumerate(np.asarray(batch.positive[:, 0]).tolist()):
        wanted, _ = reference(first, positives, length, ring)
        target = np.asarray(batch.target[row])
        assert np.asarray(batch.positive[row])[target > 0].tolist() == wanted
        np.testing.assert_allclose(target.sum(), 1.0, rtol=1e-6)
        others = [one for one in unique if QUERY[one] == QUERY[first] and one not in wanted]
        if ring:
            assert set(found_histories[row]) <= set(others)
            assert len(found_histories[row]) == min(length, len(others))
        else:
            assert found_histories[row] == [one for one in others if one < first][::-1][:length]


def test_example_age_is_the_share_of_the_time_that_is_left():
    data = batches.prepare(dataset(QUERY, list(range(8)), TIME))
    batch = batches.draw(jax.random.key(0), data, 100, positives=1, length=2)
    wanted = 1 - np.array(TIME)[np.asarray(batch.positive[:, 0])] / (10 * DAY)
    np.testing.assert_allclose(batch.features["example_age"], wanted, rtol=1e-6)


def test_a_repeated_item_gets_the_sum_of_its_probabilities():
    data = batches.prepare(dataset([0, 0, 0], [4, 6, 4], None), positives=3)
    batch = batches.draw(jax.random.key(0), data, 60, positives=3, length=2)
    for ids, target in zip(np.asarray(batch.positive), np.asarray(batch.target), strict=True):
        assert len(ids[target > 0]) == 2
        assert dict(zip(ids[target > 0].tolist(), target[target > 0].tolist(), strict=True)) == pytest.approx(
            {4: 2 / 3, 6: 1 / 3}
        )


@pytest.mark.parametrize("time", [TIME, None])
@pytest.mark.parametrize("positives", [1, 2, 4])
def test_frequency_is_the_mean_count_over_all_examples(time, positives):
    """Each example counts an item once, as `draw` leaves it, however often the query repeats it."""
    item = [3, 1, 3, 3, 3, 2, 1, 2]
    data = batches.prepare(dataset(QUERY, item, time), positives)
    count = np.zeros(20)
    for first in range(len(QUERY)):
        for one in {item[row] for row in reference(first, positives, 1, time is None)[0]}:
            count[one] += 1 / len(QUERY)
    np.testing.assert_allclose(data.frequency, count, rtol=1e-6)


def test_draws_are_uniform_over_interactions():
    """Each of 8 counts of 80,000 draws is within 5 standard errors: fails for another seed with p < 5e-6."""
    data = batches.prepare(dataset(QUERY, list(range(8)), TIME))
    batch = batches.draw(jax.random.key(1), data, 80_000, positives=1, length=1)
    count = np.bincount(np.asarray(batch.positive)[:, 0], minlength=8)
    assert np.all(np.abs(count - 10_000) < 5 * np.sqrt(80_000 / 8 * 7 / 8))


def test_large_unix_times_keep_their_seconds():
    start = 1_700_000_000
    data = batches.prepare(dataset([0, 0], [1, 2], [start, start + 1]))
    assert np.asarray(data.interactions.time).tolist() == [0, 1]
    assert int(data.span) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dataset([0], [0], [0])._replace(interactions=Interactions(*[np.zeros(0, int)] * 4)), "no interactions"),
        (dataset([0, 0], [0, 1], [0, 2**31]), "2147483648 seconds; wanted seconds over less than 68 years"),
        (dataset([1, 0], [0, 1], None), r"interaction 1 is out of order; wanted rows sorted by \(query, time\)"),
        (dataset([0, 0], [0, 1], [5, 4]), "interaction 1 is out of order"),
        (dataset([0, 0], [0, 20], None), "interaction 1 has item 20; wanted an id from 0 to 19"),
        (dataset([0, 0], [-1, 0], None), "interaction 0 has item -1; wanted an id from 0 to 19"),
    ],
)
def test_data_that_no_step_can_use_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        batches.prepare(given)


def test_the_side_features_of_a_history_are_bags_over_its_items():
    """Query 0 has items 1 and 2 before the moment; item i has year 10 + i, and genres i of (0,), (0, 1), (1,)."""
    genres = Bag(np.array([[0, 9], [0, 1], [1, 9]], np.int32), np.array([[True, False], [True, True], [True, False]]))
    known = dataset([0, 0, 0], [1, 2, 0], [1, 2, 3], items=3)
    known = known._replace(corpus=dict(known.corpus) | {"year": np.arange(10, 13, dtype=np.int32), "genres": genres})
    found = features(batches.prepare(known), [0], [2])
    assert bags(found, "history_year") == [[12, 11]]
    assert bags(found, "history_genres") == [[1, 0, 1]]
