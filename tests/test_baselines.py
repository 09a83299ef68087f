"""What a model is judged beside: by hand, against dense formulas, and in a run."""

import dataclasses

import jax
import numpy as np
import pytest

from recjax import baselines, configs, experiment, judging, preparation, similarity, trained
from recjax.clock import Clock
from recjax.errors import InputError
from recjax.interactions import take
from recjax.types import Dataset, Interactions


@pytest.fixture(scope="module")
def small():
    """Queries 0: a b; 1: a b c; 2: b c, twice; 3: d."""
    query, item = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [1, 2], [2, 1], [2, 2], [2, 2], [3, 3]]).T
    interactions = Interactions(query, item, np.ones(9, np.float32), None)
    features = {"query": np.arange(4)}, {"item": np.arange(4)}
    return Dataset(interactions, *features, {"query": np.arange(4), "item": np.array(list("abcd"))}, None, True)


def test_the_nearest_are_by_cosine_and_a_repetition_counts_once(small):
    a, b, c = np.sqrt([2.0, 3.0, 2.0])
    wanted = np.zeros((4, 4))
    wanted[1, 0] = wanted[0, 1] = 2 / (a * b)
    wanted[2, 1] = wanted[1, 2] = 2 / (b * c)
    wanted[2, 0] = wanted[0, 2] = 1 / (a * c)
    np.testing.assert_allclose(similarity.nearest(small, 9), wanted, rtol=1e-6)
    wanted[2, 0] = wanted[0, 2] = 0.0  # of a and of c the nearest is b
    wanted[2, 1] = 0.0  # a and c are equally near to b: the first one stays
    np.testing.assert_allclose(similarity.nearest(small, 1), wanted, rtol=1e-6)


@pytest.mark.parametrize("discount", [0.5, 1.0])
def test_a_query_of_many_items_counts_less_and_a_rare_pair_is_shrunk(discount, small):
    two, three = 2.0**-discount, 3.0**-discount  # what queries 0 and 2, and query 1, count
    a, b, c = two + three, two + three + two, three + two  # what met each item
    wanted = np.zeros((4, 4))
    wanted[1, 0] = wanted[0, 1] = (two + three) / (np.sqrt(a * b) + 0.7)
    wanted[2, 1] = wanted[1, 2] = (three + two) / (np.sqrt(b * c) + 0.7)
    wanted[2, 0] = wanted[0, 2] = three / (np.sqrt(a * c) + 0.7)
    np.testing.assert_allclose(similarity.nearest(small, 9, 0.7, discount), wanted, rtol=1e-6)


@pytest.mark.parametrize("regularization", [0.5, 100.0])
def test_ease_is_the_constrained_least_squares(regularization, split):
    """Each column solved by itself, without its own row: the problem whose closed form EASE is."""
    known = split.test.known
    met = np.zeros((120, 120))
    met[known.interactions.query, known.interactions.item] = 1.0
    found = similarity.ease(known, regularization)
    assert found.flags.c_contiguous
    gram = met.T @ met
    for item in range(0, 120, 7):
        others = np.delete(np.arange(120), item)
        own = np.linalg.solve(gram[np.ix_(others, others)] + regularization * np.eye(119), gram[others, item])
        np.testing.assert_allclose(found[others, item], own, atol=2e-5)
        assert found[item, item] == 0.0


@pytest.mark.parametrize("size", [1, 7, 50, 64])
def test_a_matrix_is_inverted_in_place_by_blocks_from_its_lower_triangle(size):
    rows = np.random.default_rng(0).normal(size=(50, 80)).astype(np.float32)
    whole = rows @ rows.T
    found = np.where(np.tri(50, dtype=bool), whole, np.nan).astype(np.float32)
    similarity._invert(found, size)
    wanted = np.linalg.inv(whole.astype(np.float64))
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.max(wanted))


@pytest.mark.parametrize(
    ("baseline", "weights"),
    [
        (baselines.item_knn, lambda known: similarity.nearest(known, 5, 2.0, 0.5)),
        (baselines.ease, lambda known: similarity.ease(known, 20.0)),
    ],
    ids=["item_knn", "ease"],
)
def test_a_query_scores_items_by_the_sum_over_what_it_met(baseline, weights, config, split):
    settings = configs.Baselines(neighbors=5, shrinkage=2.0, discount=0.5, regularization=20.0)
    inside = split.test.known.interactions
    twice = Interactions(*(None if part is None else np.repeat(part, 2) for part in inside))  # counts once
    held = split.test._replace(known=split.test.known._replace(interactions=twice))
    ranking = trained.beside(baseline, held, dataclasses.replace(config, baselines=settings))
    met = np.zeros((120, 120), np.float32)
    met[inside.query, inside.item] = 1.0
    scores = np.where(met > 0, -np.inf, met @ weights(held.known))[ranking.query]
    np.testing.assert_allclose(ranking.queries, (met @ weights(held.known))[ranking.query], rtol=1e-5, atol=1e-6)
    best = np.take_along_axis(scores, ranking.ids, axis=1)
    np.testing.assert_allclose(best, -np.sort(-scores, axis=1)[:, :10], rtol=1e-5, atol=1e-6)


def test_popularity_ranks_by_the_known_count(split, config):
    held = split.test
    ranking = trained.beside(baselines.popularity, held, config)
    count = np.bincount(held.known.interactions.item, minlength=120).astype(float)
    for query, ids in zip(ranking.query, ranking.ids, strict=True):
        mine = count.copy()
        mine[held.known.interactions.item[held.known.interactions.query == query]] = -1
        np.testing.assert_array_equal(ids, np.argsort(-mine, kind="stable")[:10])


def test_random_ranks_every_item_alike(split, config):
    """An item's count is binomial but for what a query has seen: 5 sd, p < 1e-6 an item and side."""
    ranking = trained.beside(baselines.random, split.test, config)
    count = np.bincount(ranking.ids.reshape(-1), minlength=120)
    mean = ranking.ids.size / 120
    known = split.test.known.interactions.item
    assert np.all(np.abs(count - mean)[np.bincount(known, minlength=120) < 12] < 5 * np.sqrt(mean))
    other = trained.beside(baselines.random, split.test, dataclasses.replace(config, seed=1))
    assert np.mean(other.ids == ranking.ids) < 0.1


def test_a_run_has_those_that_it_names(config, tmp_path):
    named = configs.Baselines(names=("ease", "item_knn", "popularity"), regularization=50.0)
    given = dataclasses.replace(config, baselines=named, train=dataclasses.replace(config.train, epochs=0.2))
    result = experiment.run(given, workdir=str(tmp_path / "run"), echo=lambda text: None).result
    assert list(result["baselines"]) == ["ease", "item_knn", "popularity"]
    for name in ("ease", "item_knn"):
        found = result["baselines"][name]
        assert found["ndcg@10"] > result["baselines"]["popularity"]["ndcg@10"]
        assert found["cross_group_share@10"] < 0.2
        assert 0.5 < found["random_pair_auc"] <= 1.0
    with np.load(tmp_path / "run" / "queries.npz") as kept:
        assert kept["ease/ndcg@10"].mean() == pytest.approx(result["baselines"]["ease"]["ndcg@10"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"names": ("easy",)}, "unknown baseline 'easy'; did you mean 'ease'"),
        ({"names": ("ease", "ease")}, "wanted each once"),
        ({"neighbors": 7}, "baselines.neighbors is 7, which baselines.names=popularity,random does not read"),
        ({"names": ("ease",), "shrinkage": 2.0}, "baselines.shrinkage is 2.0, which baselines.names=ease does not"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        baselines.resolve(configs.Baselines(**settings))


@pytest.mark.parametrize("baseline", [baselines.item_knn, baselines.ease])
def test_a_corpus_with_too_many_pairs_is_refused(baseline, small, monkeypatch):
    monkeypatch.setattr(similarity, "MOST", 3)
    with pytest.raises(InputError, match="there are 4; wanted 3 at most"):
        baseline(configs.Baselines(), small)


def test_it_is_refused_before_anything_is_trained(config, monkeypatch):
    monkeypatch.setattr(similarity, "MOST", 119)
    named = dataclasses.replace(config, baselines=configs.Baselines(("popularity", "item_knn")))
    with pytest.raises(InputError, match=r"there are 120; wanted 119 at most: leave them out of --config.baselines"):
        preparation.read(named)
    preparation.read(config)


def test_a_singular_system_is_refused(small):
    first = small._replace(interactions=take(small.interactions, small.interactions.query == 0))  # a and b are one
    with pytest.raises(InputError, match=r"baselines.regularization is 1e-12, and EASE's system is singular"):
        similarity.ease(first, 1e-12)


def test_a_drawn_baseline_follows_the_key(split):
    for make in (baselines.popularity, baselines.random, baselines.item_knn, baselines.ease):
        built = make(configs.Baselines(), split.test.known)
        one, other = (jax.tree.leaves(built.params(jax.random.key(seed))) for seed in (3, 4))
        same = all(np.array_equal(*map(_numbers, pair)) for pair in zip(one, other, strict=True))
        assert same == (make in baselines.FIXED)


def test_one_of_ones_own_is_made_anew_for_each_seed(config, tmp_path, monkeypatch):
    """It may depend on the key: the trials of a sweep do not share what it found, as they do of popularity."""
    (tmp_path / "noisy.py").write_text(
        "from recjax import baselines\n\ndef noise(settings, known):\n    return baselines.random(settings, known)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    names = configs.Baselines(names=("popularity", "noisy:noise"))
    prepared = preparation.prepare(dataclasses.replace(config, baselines=names))
    found = []
    for seed in (0, 1):
        one = dataclasses.replace(prepared.config, seed=seed)
        test = judging.test(one, prepared.start, prepared.split.test, prepared.start.state.params, Clock())
        found.append({name: baseline.metrics["recall@10"] for name, baseline in test.baselines.items()})
    assert found[0]["popularity"] == found[1]["popularity"]
    assert found[0]["noisy:noise"] != found[1]["noisy:noise"]


def _numbers(leaf):
    return jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
