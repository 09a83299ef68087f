"""Splits: what is held out, what is known then, and that nothing is lost."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.stats

from recjax import configs, fields, interactions, splits
from recjax.errors import InputError
from recjax.types import Dataset, Interactions

PUBLISHED = ("ncf", "lightgcn", "lightgcn_tuning")  # read from files: test_ncf.py, test_lists.py
FAMILY = {name: one for name, one in fields.members(splits).items() if name not in PUBLISHED}
# Not all interactions are in a part, or in training.
PARTIAL = ("queries_out", "global_time", "cold_items")
SETTINGS = configs.Data(share=0.25)


def build(query, time, repeats=True):
    """A data set of these rows; the weight of an interaction is its row in the file."""
    query = np.asarray(query)
    row = np.arange(len(query))
    found = interactions.arrange(query, row % 7, row, None if time is None else np.asarray(time), repeats=repeats)
    count = int(query.max()) + 1
    vocabularies = {"query": np.arange(count), "item": np.arange(7)}
    return Dataset(found, {"query": np.arange(count)}, {"item": np.arange(7)}, vocabularies, None, repeats)


def random(seed=0, queries=40):
    rng = np.random.default_rng(seed)
    query = rng.permutation(np.repeat(np.arange(queries), np.arange(queries)))
    return build(query, rng.integers(0, 9, len(query)))


def rows(part):
    return part.weight.tolist()


def all_rows(split):
    return {
        "train": rows(split.train.interactions),
        "validation": rows(split.validation.relevant),
        "test": rows(split.test.relevant),
        "known at validation": rows(split.validation.known.interactions),
        "known at test": rows(split.test.known.interactions),
    }


def test_last_out_holds_out_the_last_in_time_and_row():
    #         row  0  1  2  3  4  5  6  7  8  9
    dataset = build([0, 1, 0, 2, 0, 1, 0, 2, 2, 3], [5, 1, 9, 4, 9, 2, 1, 4, 4, 0])
    found = all_rows(splits.last_out(dataset, SETTINGS))
    assert found == {
        "train": [6, 0, 1, 5, 3, 9],  # query 1 has 2 interactions, query 3 has 1
        "validation": [2, 7],
        "test": [4, 8],
        "known at validation": [6, 0, 1, 5, 3, 9],
        "known at test": [6, 0, 2, 1, 5, 3, 7, 9],
    }


@pytest.mark.parametrize(("count", "held"), [(1, 0), (2, 0), (3, 1), (4, 1), (30, 1)])
def test_last_out_holds_out_one_of_a_query_with_3(count, held):
    dataset = build([0] * 3 + [1] * count, np.arange(3 + count))
    split = splits.last_out(dataset, SETTINGS)
    assert [np.sum(part.query == 1) for part in (split.train.interactions, split.validation.relevant)] == [
        count - 2 * held,
        held,
    ]
    assert np.sum(split.test.relevant.query == 1) == held


def test_last_out_ring_judges_as_last_out_and_trains_without_times():
    dataset = random()
    ring, future = splits.last_out_ring(dataset, SETTINGS), splits.last_out(dataset, SETTINGS)
    for one, other in ((ring.validation, future.validation), (ring.test, future.test)):
        np.testing.assert_array_equal(one.relevant.weight, other.relevant.weight)
        np.testing.assert_array_equal(one.known.interactions.weight, other.known.interactions.weight)
        assert one.known.interactions.time is not None
    assert ring.train.interactions.time is None
    assert rows(ring.train.interactions) != rows(future.train.interactions)


@pytest.mark.parametrize(("count", "held"), [(1, 0), (2, 0), (3, 1), (4, 1), (30, 1)])
def test_random_out_holds_out_one_of_a_query_with_3(count, held):
    split = splits.random_out(build([0] * 3 + [1] * count, np.arange(3 + count)), SETTINGS)
    for part, wanted in ((split.validation.relevant, held), (split.test.relevant, held)):
        assert np.bincount(part.query, minlength=2).tolist() == [1, wanted]
    assert np.bincount(split.train.interactions.query).tolist() == [1, count - 2 * held]


def test_random_out_draws_every_interaction_alike():
    found = splits.random_out(build(np.repeat(np.arange(4000), 4), None), SETTINGS)
    for part in (found.validation.relevant, found.test.relevant):
        counts = np.bincount(part.weight % 4, minlength=4)
        # Each count is Binomial(4000, 1 / 4): 8 bounds of 5 deviations fail by chance with probability 5e-6.
        assert np.abs(counts - 1000).max() < 5 * math.sqrt(4000 * 0.25 * 0.75)


@pytest.mark.parametrize("name", FAMILY)
def test_a_cap_limits_the_weight_of_a_query_in_training_alone(name):
    dataset = random()
    dataset = dataset._replace(
        interactions=dataset.interactions._replace(weight=np.ones(len(dataset.interactions.query)))
    )
    plain = FAMILY[name](dataset, SETTINGS)
    capped = FAMILY[name](dataset, dataclasses.replace(SETTINGS, cap=3))
    count = np.bincount(plain.train.interactions.query, minlength=40)
    total = np.bincount(capped.train.interactions.query, capped.train.interactions.weight, minlength=40)
    np.testing.assert_allclose(total, np.minimum(count, 3), rtol=1e-6)
    for one, other in ((plain.train, capped.train), (plain.test.known, capped.test.known)):
        np.testing.assert_array_equal(one.interactions.item, other.interactions.item)
    np.testing.assert_array_equal(capped.test.known.interactions.weight, 1.0)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.4, 0.49])
def test_share_out_gives_the_floor_of_the_share(share):
    split = splits.share_out(random(), configs.Data(share=share))
    floor = [math.floor(share * count) for count in range(40)]
    assert np.bincount(split.test.relevant.query, minlength=40).tolist() == floor
    assert np.bincount(split.validation.relevant.query, minlength=40).tolist() == floor


def test_share_out_draws_every_interaction_alike():
    found = splits.share_out(build(np.repeat(np.arange(4000), 4), None), configs.Data(share=0.25))
    for part in (found.train.interactions, found.validation.relevant, found.test.relevant):
        chance = len(part.query) / 16_000
        counts = np.bincount(part.weight % 4, minlength=4)
        # Each count is Binomial(4000, chance): 12 bounds of 5 deviations fail by chance with probability 7e-6.
        assert np.abs(counts - 4000 * chance).max() < 5 * math.sqrt(4000 * chance * (1 - chance))


@pytest.mark.parametrize("seed", [0, 1])
def test_share_out_is_fixed_by_its_seed(seed):
    settings = configs.Data(share=0.25, seed=seed)
    np.random.seed(0)  # noqa: NPY002  the global state is no part of it
    first = all_rows(splits.share_out(random(), settings))
    np.random.seed(1)  # noqa: NPY002
    assert all_rows(splits.share_out(random(), settings)) == first
    assert all_rows(splits.share_out(random(), configs.Data(share=0.25, seed=seed + 1))) != first


def test_share_out_forgets_times():
    split = splits.share_out(random(), SETTINGS)
    parts = [split.train, split.validation.known, split.test.known]
    assert [part.interactions.time for part in parts] == [None] * 3
    assert (split.validation.relevant.time, split.test.relevant.time) == (None, None)


def test_share_out_needs_no_times():
    dataset = random()
    timeless = dataset._replace(interactions=dataset.interactions._replace(time=None))
    assert all_rows(splits.share_out(timeless, SETTINGS)) == all_rows(splits.share_out(dataset, SETTINGS))


def test_last_out_keeps_times():
    dataset = random()
    split = splits.last_out(dataset, SETTINGS)
    time = dict(zip(dataset.interactions.weight.tolist(), dataset.interactions.time.tolist(), strict=True))
    for part in (split.train.interactions, split.validation.relevant, split.test.relevant):
        assert part.time.tolist() == [time[row] for row in rows(part)]


@pytest.mark.parametrize("name", [name for name in FAMILY if name not in PARTIAL])
def test_nothing_is_lost_and_nothing_twice(name):
    dataset = random()
    found = all_rows(FAMILY[name](dataset, SETTINGS))
    assert sorted(found["train"] + found["validation"] + found["test"]) == list(range(len(dataset.interactions.query)))


@pytest.mark.parametrize("name", [name for name in FAMILY if name not in PARTIAL])
def test_what_is_known_at_test_includes_validation(name):
    found = all_rows(FAMILY[name](random(), SETTINGS))
    # last_out_ring shuffles what trains, and not what is known.
    assert sorted(found["known at validation"]) == sorted(found["train"])
    assert name == "last_out_ring" or found["known at validation"] == found["train"]
    assert sorted(found["known at test"]) == sorted(found["train"] + found["validation"])


def test_queries_out_trains_on_no_interaction_of_a_held_out_query():
    """A fifth of each held-out query's interactions is relevant, the others are known; nothing else is lost."""
    dataset = random()
    split = splits.queries_out(dataset, SETTINGS)
    count = np.bincount(dataset.interactions.query)
    usable = np.sum(count >= 5)
    for held in (split.validation, split.test):
        judged = np.unique(held.relevant.query)
        assert len(judged) == int(SETTINGS.share * usable) > 0
        assert not np.isin(judged, split.train.interactions.query).any()
        assert np.bincount(held.relevant.query)[judged].tolist() == (count[judged] // 5).tolist()
        known = np.bincount(held.known.interactions.query, minlength=len(count))[judged]
        assert known.tolist() == (count[judged] - count[judged] // 5).tolist()
    found = all_rows(split)
    assert not set(found["validation"]) & set(found["test"])
    assert sorted(found["known at test"] + found["test"]) == list(range(len(dataset.interactions.query)))
    assert sorted(found["known at validation"] + found["validation"] + found["test"]) == sorted(
        found["known at test"] + found["test"]
    )


def test_last_out_keeps_the_order():
    dataset = random()
    place = {row: index for index, row in enumerate(rows(dataset.interactions))}
    for part in all_rows(splits.last_out(dataset, SETTINGS)).values():
        assert part == sorted(part, key=place.__getitem__)


def test_share_out_forgets_the_order():
    """Kendall's tau of old against new places is 0 but for chance: its mean over 50 queries has sd .013."""
    query = np.repeat(np.arange(50), 60)
    item = np.tile(np.arange(60), 50)  # the item number is the old place
    dataset = random()._replace(interactions=Interactions(query, item, np.ones(3000), np.arange(3000)))
    split = splits.share_out(dataset, SETTINGS)
    for part in (split.train.interactions, split.test.known.interactions):
        assert np.all(np.diff(part.query) >= 0)
        places = [part.item[part.query == one] for one in range(50)]
        taus = [scipy.stats.kendalltau(np.arange(len(one)), one).statistic for one in places]
        assert abs(np.mean(taus)) < 0.08  # six of them: p < 1e-8


@pytest.mark.parametrize("name", FAMILY)
def test_everything_but_the_interactions_stays(name):
    dataset = random()
    split = FAMILY[name](dataset, SETTINGS)
    for part in (split.train, split.validation.known, split.test.known):
        assert all(one is other for one, other in zip(part[1:], dataset[1:], strict=True))


@pytest.mark.parametrize("name", FAMILY)
def test_the_data_set_is_left_as_it_was(name):
    dataset = random()
    FAMILY[name](dataset, SETTINGS)
    assert interactions.fingerprint(dataset) == interactions.fingerprint(random())


def message(name, dataset, settings):
    with pytest.raises(InputError) as caught:
        FAMILY[name](dataset, settings)
    return str(caught.value)


def test_last_out_without_times_is_refused():
    found = message("last_out", build([0, 0, 0], None), SETTINGS)
    wanted = "data.split='last_out' needs times and this data set has none; type --config.data.split=share_out"
    assert found == wanted


@pytest.mark.parametrize(("name", "count"), [("last_out", 2), ("share_out", 3)])
def test_an_empty_split_is_refused(name, count):
    found = message(name, build(np.repeat(np.arange(5), count), np.arange(5 * count)), SETTINGS)
    assert found == (
        f"the validation split is empty: {5 * count} interactions of 5 queries leave none to hold out; "
        "wanted queries with more of them"
    )


@pytest.mark.parametrize("share", [0.0, -0.1, 0.5, 1.0, math.nan])
def test_a_share_outside_0_and_a_half_is_refused(share):
    found = message("share_out", random(), configs.Data(share=share))
    assert found == f"data.share is {share}; wanted a share between 0 and 0.5: type --config.data.share=0.1"


def test_impressions_are_known_no_longer_than_a_querys_interactions(dataset, config):
    """A later one would tell of the time that is held out."""
    query = np.repeat(np.arange(120), 3)
    first, last = (f(dataset.interactions.time) for f in (np.min, np.max))
    shown = Interactions(query, query, np.ones(360), np.tile([first - 1, (first + last) // 2, last + 1], 120))
    split = splits.last_out(dataset._replace(impressions=shown), config.data)
    for part in (split.train, split.validation.known, split.test.known):
        ends = dict(zip(part.interactions.query.tolist(), part.interactions.time.tolist(), strict=True))
        kept = [time <= ends.get(q, -1) for q, time in zip(shown.query.tolist(), shown.time.tolist(), strict=True)]
        np.testing.assert_array_equal(part.impressions.time, shown.time[kept])
    assert 120 <= len(split.train.impressions.query) < len(split.test.known.impressions.query) + 1 < 361


def test_global_time_cuts_at_one_moment():
    #               row  0  1  2  3  4  5  6  7  8  9
    dataset = build([0, 1, 0, 2, 0, 1, 3, 0, 1, 2], [0, 1, 2, 3, 4, 5, 5, 7, 8, 9])
    found = all_rows(splits.global_time(dataset, configs.Data(share=0.2, split="global_time")))
    assert found == {  # test begins at 8; validation at 5, as row 5 is of the very second of row 6
        "train": [0, 2, 4, 1, 3],
        "validation": [7, 5],  # query 3 has not trained
        "test": [8, 9],
        "known at validation": [0, 2, 4, 1, 3],
        "known at test": [0, 2, 4, 7, 1, 5, 3, 6],
    }


@pytest.mark.parametrize("name", ["global_time", "last_out"])
def test_a_split_by_time_needs_times(name):
    found = message(name, build([0, 0, 0], None), dataclasses.replace(SETTINGS, split=name))
    assert found == f"data.split={name!r} needs times and this data set has none; type --config.data.split=share_out"


@pytest.mark.parametrize(("share", "count", "held"), [(0.29, 100, 29), (0.285, 200, 57), (0.29, 99, 28)])
def test_a_share_is_what_it_is_written_as(share, count, held):
    """.29 · 100 is 28.999999999999996 in binary."""
    dataset = build(np.repeat([0, 1], count), np.arange(2 * count))
    split = splits.share_out(dataset, configs.Data(share=share))
    assert [len(part.relevant.query) for part in (split.validation, split.test)] == [2 * held, 2 * held]


def test_global_time_of_too_few_interactions_is_refused():
    found = message("global_time", build([0, 0, 0], [1, 2, 3]), configs.Data(share=0.1))
    assert found.startswith("data.share=0.1 of 3 interactions is none; type for example --config.data.share=0.25")


def test_cold_items_train_with_none_of_the_held_out():
    """All interactions with a held-out item are relevant, but for queries that have no others."""
    dataset = random()
    split = splits.cold_items(dataset, SETTINGS)
    train, item = split.train.interactions, dataset.interactions.item
    trained = np.unique(train.query)
    for held in (split.validation, split.test):
        own = np.unique(held.relevant.item)
        assert len(own) == int(SETTINGS.share * len(np.unique(item))) == 1
        assert not np.isin(train.item, own).any()
        wanted = np.isin(item, own) & np.isin(dataset.interactions.query, trained)
        assert sorted(rows(held.relevant)) == sorted(dataset.interactions.weight[wanted].tolist())
    found = all_rows(split)
    assert sorted(found["known at validation"]) == sorted(found["train"])
    assert sorted(found["known at test"]) == sorted(found["train"] + found["validation"])
    assert split.test.known.interactions.time is None


def test_cold_queries_have_no_history():
    dataset = random()
    split = splits.cold_queries(dataset, SETTINGS)
    count = len(np.unique(dataset.interactions.query))
    for held in (split.validation, split.test):
        judged = np.unique(held.relevant.query)
        assert len(judged) == int(SETTINGS.share * count)
        assert not np.isin(held.known.interactions.query, judged).any()
    assert split.train.interactions.time is not None


@pytest.mark.parametrize("name", ["global_time", "cold_items", "cold_queries"])
def test_a_split_by_share_refuses_half_and_more(name):
    assert message(name, random(), configs.Data(share=0.5)).startswith(
        "data.share is 0.5; wanted a share between 0 and"
    )
