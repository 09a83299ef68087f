"""The embedded world follows its written law.

Statistical bounds have a fixed seed and say how rarely chance breaks them. Five deviations of
a normal number are passed with probability 6e-7.
"""

import dataclasses
import functools
import importlib
import math
import re
import warnings

import numpy as np
import pytest
import scipy.special
import scipy.stats

from recjax import configs, datasets, fields, interactions
from recjax.errors import InputError
from recjax.types import Bag

languages = importlib.import_module("recjax.datasets.languages")  # the package gives this name to the function
world = functools.cache(languages.world)

SMALL = configs.World(queries=150, items=200, groups=4, interactions=9)
MANY_QUERIES = configs.World(queries=8000, items=180, groups=4, interactions=5)
MANY_ITEMS = configs.World(queries=100, items=8000, groups=4, interactions=5)
WORLDS = {
    "small": SMALL,
    "another seed": configs.World(queries=150, items=200, groups=4, interactions=9, seed=7),
    "one group": configs.World(queries=30, items=20, groups=1, interactions=9),
    "popularity alone": configs.World(queries=100, items=80, groups=2, focus=0.0),
    "sharp taste on one axis": configs.World(queries=100, items=80, groups=2, focus=9.0, taste=1),
    "no crossing": configs.World(queries=100, items=80, groups=2, cross=0.0),
    "much crossing": configs.World(queries=100, items=80, groups=2, cross=0.9),
    "as many as fit": configs.World(queries=100, items=80, groups=2, interactions=500),
}


@pytest.fixture(params=WORLDS.values(), ids=WORLDS.keys())
def settings(request):
    return request.param


def harmonic(groups):
    """Share of each group: 1 / rank, normalised."""
    weight = 1 / np.arange(1, groups + 1)
    return weight / weight.sum()


def arrays(dataset, truth):
    features = {"queries": dataset.queries, "corpus": dataset.corpus}
    return [
        *dataset.interactions,
        *dataset.groups,
        *truth,
        *(part for side in features.values() for value in side.values() for part in np.atleast_1d(value)),
        *dataset.vocabularies.values(),
    ]


def test_the_same_settings_give_the_same_world(settings):
    first, again = world(settings), languages.world(settings)
    for one, other in zip(arrays(*first), arrays(*again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_seed_gives_another_world():
    one, other = world(SMALL)[0], world(WORLDS["another seed"])[0]
    assert interactions.fingerprint(one) != interactions.fingerprint(other)
    assert not np.array_equal(one.groups.item, other.groups.item)


def test_the_data_set_is_the_world():
    found = datasets.languages(configs.Data(world=SMALL, seed=3))
    assert interactions.fingerprint(found) == interactions.fingerprint(world(SMALL)[0])


def test_no_pair_is_repeated(settings):
    found = world(settings)[0]
    pair = found.interactions.query.astype(int) * settings.items + found.interactions.item
    assert len(np.unique(pair)) == len(pair)
    assert found.repeats is False


def test_interactions_are_in_order(settings):
    query, item, weight, time = world(settings)[0].interactions
    assert np.lexsort((np.arange(len(query)), time, query)).tolist() == list(range(len(query)))
    assert (query.dtype, item.dtype, weight.dtype, time.dtype) == (np.int32, np.int32, np.float32, np.int64)
    assert np.all(weight == 1.0)
    assert np.all((item >= 0) & (item < settings.items))
    assert np.all((time >= 0) & (time <= (300 + 60) * 86_400))


@pytest.mark.parametrize("seed", [2, 17, 21])
def test_a_draw_of_0_does_no_harm(seed):
    # Of 100 x 8000 clocks with 23 bits, one or more is exactly 0 in every 10th world: these are such seeds.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset, _ = languages.world(dataclasses.replace(MANY_ITEMS, seed=seed))
    assert set(np.bincount(dataset.interactions.query).tolist()) == {5}


def test_groups_have_the_sizes_of_zipf(settings):
    groups = world(settings)[0].groups
    for group, count in ((groups.query, settings.queries), (groups.item, settings.items)):
        sizes = np.bincount(group, minlength=settings.groups)
        assert len(sizes) == settings.groups
        assert sizes.sum() == count
        assert np.all(np.abs(sizes - count * harmonic(settings.groups)) <= 1)  # a member is whole


def test_groups_are_mixed_over_the_ids():
    for group in (world(MANY_QUERIES)[0].groups.query, world(MANY_ITEMS)[0].groups.item):
        half = np.bincount(group[: len(group) // 2], minlength=4) / np.bincount(group)
        # Of a group of n, n/2 ± sqrt(n)/2 (at most) fall in the first half: 8 bounds, 5e-6.
        assert np.all(np.abs(half - 1 / 2) < 5 / (2 * np.sqrt(np.bincount(group))))


def test_every_query_has_5_interactions_and_at_most_half_its_group(settings):
    dataset = world(settings)[0]
    count = np.bincount(dataset.interactions.query, minlength=settings.queries)
    half = np.bincount(dataset.groups.item)[dataset.groups.query] // 2
    assert np.all((count >= 5) & (count <= half))


def test_a_query_that_wants_more_gets_half_its_group():
    settings = WORLDS["as many as fit"]
    dataset = world(settings)[0]
    count = np.bincount(dataset.interactions.query)
    half = np.bincount(dataset.groups.item)[dataset.groups.query] // 2
    # A geometric number of mean 496 is below 53 - 4 with probability 0.1: all but some queries are cut.
    assert count.max() == half.max()
    assert np.mean(count == half) > 1 / 2


@pytest.mark.parametrize("mean", [6, 12, 40])
def test_the_mean_number_of_interactions_is_as_set(mean):
    settings = configs.World(queries=2000, items=400, groups=1, interactions=mean)
    count = np.bincount(world(settings)[0].interactions.query)
    chance, room = 1 / (mean - 4), 400 // 2 - 4
    expected = 4 + (1 - (1 - chance) ** room) / chance  # 4 + a geometric number, cut at half the group
    # The deviation of a geometric number is sqrt(1 - chance) / chance: 6e-7.
    assert abs(count.mean() - expected) < 5 * math.sqrt(1 - chance) / chance / math.sqrt(2000)


def test_5_interactions_are_5():
    assert set(np.bincount(world(MANY_QUERIES)[0].interactions.query).tolist()) == {5}


def crossing(dataset):
    return dataset.groups.query[dataset.interactions.query] != dataset.groups.item[dataset.interactions.item]


@pytest.mark.parametrize("cross", [0.01, 0.1, 0.4])
def test_the_cross_group_share_is_as_set(cross):
    settings = configs.World(queries=3000, items=1500, groups=2, interactions=5, cross=cross, focus=0.0)
    dataset, truth = world(settings)
    # Of 5 draws without replacement the last finds 4 items gone, which moves the share by this factor at most.
    moved = 1 - 4 * truth.popularity.max()
    deviation = math.sqrt(cross * (1 - cross) / 15_000)  # two bounds of 5 of them: 1e-6
    assert cross * moved - 5 * deviation < crossing(dataset).mean() < cross / moved + 5 * deviation
    assert moved > 0.85


@pytest.mark.parametrize("name", ["no crossing", "one group"])
def test_nothing_crosses_where_nothing_can(name):
    assert not crossing(world(WORLDS[name])[0]).any()


def drawn(settings, dataset, truth):
    """The world's law, written out and drawn from one query after the other."""
    own = dataset.groups.query[:, None] == dataset.groups.item[None]
    inside = np.where(own, truth.popularity * np.exp(settings.focus * truth.query_taste @ truth.item_taste.T), 0.0)
    outside = np.where(own, 0.0, truth.popularity)
    law = (1 - settings.cross) * inside / inside.sum(1, keepdims=True)
    law += settings.cross * outside / outside.sum(1, keepdims=True)
    count = np.bincount(dataset.interactions.query)
    rng = np.random.default_rng(1)
    return np.concatenate([rng.choice(len(row), n, replace=False, p=row) for row, n in zip(law, count, strict=True)])


@pytest.mark.parametrize(("cross", "focus"), [(0.05, 2.5), (0.3, 0.0), (0.3, 5.0)])
def test_items_are_drawn_from_the_written_law(cross, focus):
    settings = configs.World(queries=1500, items=200, groups=4, interactions=8, cross=cross, focus=focus)
    dataset, truth = world(settings)
    query = dataset.interactions.query
    count = np.bincount(query)

    def means(item):
        """What each query's items are like."""
        values = {
            "crossing": dataset.groups.query[query] != dataset.groups.item[item],
            "taste": np.sum(truth.query_taste[query] * truth.item_taste[item], -1),
            "popularity": truth.popularity[item],
        }
        return {name: np.bincount(query, value) / count for name, value in values.items()}

    found, wanted = means(dataset.interactions.item), means(drawn(settings, dataset, truth))
    for name in found:
        difference = found[name].mean() - wanted[name].mean()
        deviation = math.sqrt((found[name].var() + wanted[name].var()) / settings.queries)
        assert abs(difference) < 5 * deviation, name  # 3 bounds: 2e-6


@pytest.mark.parametrize("focus", [40.0, 200.0])
def test_a_sharp_taste_takes_only_what_it_likes(focus):
    dataset, truth = world(configs.World(queries=50, items=100, groups=1, interactions=5, focus=focus, taste=1))
    query, item = dataset.interactions[:2]
    np.testing.assert_array_equal(truth.query_taste[query], truth.item_taste[item])


def test_tastes_are_unit_vectors(settings):
    truth = world(settings)[1]
    assert truth.query_taste.shape == (settings.queries, settings.taste)
    assert truth.item_taste.shape == (settings.items, settings.taste)
    for taste in (truth.query_taste, truth.item_taste):
        np.testing.assert_allclose(np.sum(taste**2, -1), 1.0, rtol=1e-12)


def test_popularity_in_a_group_follows_zipf(settings):
    dataset, truth = world(settings)
    for group in range(settings.groups):
        found = np.sort(truth.popularity[dataset.groups.item == group])[::-1]
        weight = 1 / (10 + np.arange(len(found)))
        np.testing.assert_allclose(found, weight / weight.sum(), rtol=1e-12)


QUERY_FEATURES, ITEM_FEATURES = ["query", "country", "age", "device"], ["item", "language", "topics", "publisher"]


def test_the_features_are_these(settings):
    dataset = world(settings)[0]
    assert (list(dataset.queries), list(dataset.corpus)) == (QUERY_FEATURES, ITEM_FEATURES)
    assert set(dataset.vocabularies) == {*QUERY_FEATURES, *ITEM_FEATURES}


@pytest.mark.parametrize("name", [*QUERY_FEATURES, *ITEM_FEATURES])
def test_a_feature_stays_in_its_vocabulary(settings, name):
    dataset = world(settings)[0]
    value = (dataset.queries | dataset.corpus)[name]
    ids = value.ids if isinstance(value, Bag) else value
    words = dataset.vocabularies[name]
    assert ids.dtype == np.int32
    assert len(ids) == (settings.queries if name in QUERY_FEATURES else settings.items)
    assert np.all((ids >= 0) & (ids < len(words)))
    assert len(set(words.tolist())) == len(words)


def test_ids_are_their_own_features(settings):
    dataset = world(settings)[0]
    assert dataset.queries["query"].tolist() == list(range(settings.queries))
    assert dataset.corpus["item"].tolist() == list(range(settings.items))


def test_topics_are_the_axes_of_taste(settings):
    dataset, truth = world(settings)
    ids, where = dataset.corpus["topics"]
    words = dataset.vocabularies["topics"]
    for row, real, taste in zip(ids, where, truth.item_taste, strict=True):
        wanted = {f"{'+' if value > 0 else '-'}{axis}" for axis, value in enumerate(taste) if abs(value) > 0.4}
        assert set(words[row[real]].tolist()) == wanted
        assert real.sum() == len(wanted)


def feature(name):
    """Many values of a feature, the groups of those who have them, and the first axis of their tastes."""
    if name in QUERY_FEATURES:
        dataset, truth = world(MANY_QUERIES)
        return dataset.queries[name], dataset.groups.query, truth.query_taste[:, 0]
    dataset, truth = world(MANY_ITEMS)
    return dataset.corpus[name], dataset.groups.item, truth.item_taste[:, 0]


@pytest.mark.parametrize(("name", "right"), [("country", 0.9), ("language", 0.95)])
def test_a_label_is_its_group_but_for_a_share_of_noise(name, right):
    label, group, _ = feature(name)
    chance = right + (1 - right) / 4  # the noise names one of 4 groups, at times the right one
    assert abs(np.mean(label == group) - chance) < 5 * math.sqrt(chance * (1 - chance) / len(group))  # 6e-7


def test_age_is_the_first_axis_of_taste_with_noise():
    age, _, taste = feature("age")
    bounds = np.array([-np.inf, -0.4, -0.1, 0.2, 0.5, np.inf])
    chance = np.diff(scipy.special.ndtr((bounds - taste[:, None]) / 0.2), axis=1)
    found = age[:, None] == np.arange(5)
    for weight in (np.ones((len(age), 1)), taste[:, None]):
        deviation = np.sqrt(np.sum(weight**2 * chance * (1 - chance), 0))
        assert np.all(np.abs(np.sum(weight * (found - chance), 0)) < 5 * deviation)  # 10 bounds: 6e-6


@pytest.mark.parametrize(
    ("name", "against", "tells"),
    [
        ("country", "group", True),
        ("age", "taste", True),
        ("age", "group", False),
        ("device", "group", False),
        ("device", "taste", False),
        ("language", "group", True),
        ("publisher", "group", False),
        ("publisher", "taste", False),
    ],
)
def test_some_features_tell_something_and_others_nothing(name, against, tells):
    value, group, taste = feature(name)
    other = group if against == "group" else (taste > 0).astype(int)
    table = np.zeros((value.max() + 1, other.max() + 1))
    np.add.at(table, (value, other), 1)
    # Pearson's test of independence: chance alone goes below 1e-6 once in a million.
    assert (scipy.stats.chi2_contingency(table).pvalue < 1e-6) == tells


@pytest.mark.parametrize(("name", "size"), [("device", 4), ("publisher", 50)])
def test_noise_is_uniform(name, size):
    counts = np.bincount(feature(name)[0], minlength=size)
    assert len(counts) == size
    assert scipy.stats.chisquare(counts).pvalue > 1e-6  # one in a million


def message(settings):
    with pytest.raises(InputError) as caught:
        languages.world(settings)
    return str(caught.value)


@pytest.mark.parametrize(("items", "groups", "smallest"), [(90, 3, 16), (30, 2, 10), (100, 4, 12)])
def test_too_few_items_are_refused(items, groups, smallest):
    found = message(configs.World(queries=50, items=items, groups=groups))
    assert found.startswith(f"data.world: 50 queries and {items} items in {groups} groups leave ")
    assert f"and {smallest} in the smallest; wanted at least 1 and 20: type --config.data.world." in found


def test_20_items_in_the_smallest_group_are_enough():
    assert np.bincount(world(configs.World(queries=9, items=60, groups=2))[0].groups.item).tolist() == [40, 20]


def test_too_few_queries_are_refused():
    found = message(configs.World(queries=3, items=2000, groups=8))
    assert "3 queries" in found
    assert "8 groups" in found


@pytest.mark.parametrize(
    "settings",
    [
        configs.World(queries=50, items=90, groups=3),
        configs.World(queries=50, items=100, groups=64),
        configs.World(queries=50, items=10, groups=1),
        configs.World(queries=3, items=2000, groups=8),
    ],
    ids=["items", "many groups", "one group", "queries"],
)
def test_what_an_error_says_to_type_works(settings):
    name, value = re.search(r"type --config\.([a-z._]+)=(\d+)\Z", message(settings)).groups()
    config = configs.Config(data=configs.Data(world=settings))
    dataset = datasets.languages(fields.override(config, {name: value}).data)
    assert len(dataset.interactions.query) > 0
