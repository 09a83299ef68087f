"""The evaluator against plain numpy, whatever the tiles."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import configs, evaluate, fields, metrics, retrieval, retrievers, splits
from recjax.errors import InputError

SETTINGS = configs.Evaluate(k=(5, 10), pairs=64, rank=4)
RNG = np.random.default_rng(0)
QUERIES, ITEMS = RNG.normal(size=(120, 4)).astype(np.float32), RNG.normal(size=(120, 4)).astype(np.float32)
FIXED = retrievers.Retriever(lambda params, features: params[0][features["query"]], lambda params, data: params[1])
PARAMS = (jnp.asarray(QUERIES), jnp.asarray(ITEMS))


def judged(held, settings=SETTINGS, retriever=FIXED, params=PARAMS):
    judge = jax.jit(evaluate.ranker(retriever, settings, 6))
    return evaluate.rank(judge, params, evaluate.prepare(held))


def by_hand(held, k, own=False):
    """Ranked lists, recall and NDCG in plain numpy; which query, which list. `own`: of the query's group alone."""
    groups = held.known.groups
    lists, recall, ndcg = {}, [], []
    for query in np.unique(held.relevant.query):
        values = ITEMS @ QUERIES[query]
        if not held.known.repeats:
            values[held.known.interactions.item[held.known.interactions.query == query]] = -np.inf
        if own:
            values[groups.item != groups.query[query]] = -np.inf
        order = [int(one) for one in np.argsort(-values, kind="stable")[:k] if values[one] > -np.inf]
        relevant = set(held.relevant.item[held.relevant.query == query].tolist())
        gains = [1 / np.log2(2 + rank) for rank, one in enumerate(order) if one in relevant]
        ideal = sum(1 / np.log2(2 + rank) for rank in range(min(k, len(relevant))))
        lists[int(query)] = order
        recall.append(len(gains) / len(relevant))
        ndcg.append(sum(gains) / ideal)
    return lists, np.mean(recall), np.mean(ndcg)


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("kind", ["last_out", "share_out", "repeats"])
def test_metrics_equal_plain_numpy(part, kind, dataset, config):
    dataset = dataset._replace(repeats=kind == "repeats")
    split = (splits.share_out if kind == "share_out" else splits.last_out)(dataset, config.data)
    held = getattr(split, part)
    ranking = judged(held)
    found = evaluate.means(ranking, held.known, SETTINGS)
    for k in (5, 10):
        lists, recall, ndcg = by_hand(held, k)
        np.testing.assert_array_equal(ranking.query, list(lists))
        np.testing.assert_array_equal(ranking.ids[:, :k], list(lists.values()))
        np.testing.assert_allclose((found[f"recall@{k}"], found[f"ndcg@{k}"]), (recall, ndcg), rtol=1e-6)
        flat = np.concatenate(list(lists.values()))
        assert found[f"coverage@{k}"] == len(set(flat.tolist())) / 120
        count = np.bincount(held.known.interactions.item, minlength=120)
        assert found[f"mean_popularity@{k}"] == np.mean(count[flat])
        cross = [dataset.groups.item[item] != dataset.groups.query[query] for query in lists for item in lists[query]]
        np.testing.assert_allclose(found[f"cross_group_share@{k}"], np.mean(cross), rtol=1e-12)
        _, alone, _ = by_hand(held, k, own=True)
        np.testing.assert_allclose(found[f"in_group_recall@{k}"], alone, rtol=1e-6)


@pytest.mark.parametrize(("params", "some"), [(PARAMS, False), (tuple(jnp.round(one) for one in PARAMS), True)])
def test_near_ties_are_counted_to_the_first_item_that_is_left_out(params, some, timeless):
    held = timeless.test._replace(known=timeless.test.known._replace(repeats=True))
    ranking = judged(held, params=params)
    queries, items = (np.asarray(one) for one in params)
    found = np.sort(queries[ranking.query] @ items.T, axis=1)[:, ::-1][:, :11]
    near = np.sum(found[:, :-1] - found[:, 1:] <= 1e-5 * np.abs(found[:, 1:]), axis=1)
    np.testing.assert_array_equal(ranking.metrics["near_ties@10"], near)
    assert (near.sum() > 100) == some


def test_the_recall_inside_a_group_needs_groups(split):
    held = split.test
    without = judged(held._replace(known=held.known._replace(groups=None)))
    grouped = judged(held)
    assert set(grouped.metrics) - set(without.metrics) == {"in_group_recall@5", "in_group_recall@10"}
    one = held.known.groups._replace(query=np.zeros(120, int), item=np.zeros(120, int))
    alike = judged(held._replace(known=held.known._replace(groups=one)))
    np.testing.assert_array_equal(alike.metrics["in_group_recall@10"], alike.metrics["recall@10"])


@pytest.fixture(params=[(1, 120), (7, 120), (50, 13), (512, 1)], ids=lambda shape: f"{shape[0]}x{shape[1]}")
def tiled(request, monkeypatch):
    """Tiles and blocks of another size than a run's, in which so small a world has one."""
    monkeypatch.setattr(evaluate, "TILE", request.param[0])
    monkeypatch.setattr(retrieval, "BLOCK", request.param[1])


@pytest.fixture
def whole(split):
    return judged(split.test)


def test_ranks_do_not_depend_on_tiles_or_blocks(whole, tiled, split):
    one, other = whole, judged(split.test)
    np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_array_equal(one.query, other.query)
    for name, value in one.metrics.items():
        np.testing.assert_array_equal(value, other.metrics[name])


def test_a_subset_of_queries_gets_the_same_numbers_to_the_bit(whole, split):
    keep = split.test.relevant.query % 3 == 1
    some = split.test._replace(relevant=type(split.test.relevant)(*(one[keep] for one in split.test.relevant)))
    part = judged(some)
    rows = np.isin(whole.query, part.query)
    np.testing.assert_array_equal(np.asarray(whole.queries)[rows], np.asarray(part.queries))
    np.testing.assert_array_equal(whole.ids[rows], part.ids)


def test_the_evaluation_knows_what_the_split_says(split):
    """At test the history begins with the validation item, which the validation judgement does not know."""
    seen = {}

    def look(params, features):
        seen["history"], seen["now"] = features["history"].ids[:, 0], features["since_last"]
        return jnp.zeros((features["query"].shape[0], 1))

    for part in ("validation", "test"):
        held = getattr(split, part)
        retriever = retrievers.Retriever(
            lambda params, features: jnp.stack([features["history"].ids[:, 0], features["since_last"]], -1),
            lambda params, data: jnp.zeros((120, 2)),
        )
        found = np.asarray(judged(held, retriever=retriever).queries)
        for query, history, since in zip(np.unique(held.relevant.query), *found.T, strict=True):
            mine = held.known.interactions.query == query
            assert history == held.known.interactions.item[mine][-1]
            gap = held.relevant.time[held.relevant.query == query][0] - held.known.interactions.time[mine][-1]
            np.testing.assert_allclose(since, np.log1p(gap / 86_400), rtol=1e-5)
    last = split.validation.relevant
    np.testing.assert_array_equal(found[:, 0], last.item[np.isin(last.query, np.unique(split.test.relevant.query))])


@pytest.mark.parametrize("name", ["recall", "recall_capped", "ndcg", "map"])
def test_a_ranking_of_the_whole_corpus_is_perfect_in_recall_with_repeats(name, split):
    """A relevant item counts once, however often the query came back to it."""
    twice = type(split.test.relevant)(*(np.repeat(one, 3) for one in split.test.relevant))
    held = split.test._replace(relevant=twice, known=split.test.known._replace(repeats=True))
    settings = dataclasses.replace(SETTINGS, k=(120,))
    once = judged(split.test._replace(known=held.known), settings)
    found = judged(held, settings)
    np.testing.assert_array_equal(found.metrics[f"{name}@120"], once.metrics[f"{name}@120"])
    assert name not in ("recall", "recall_capped") or np.all(found.metrics[f"{name}@120"] == 1.0)


@pytest.mark.parametrize("place", ["query", "item"])
def test_a_number_that_is_not_finite_is_told(place, split):
    broken = (
        (PARAMS[0].at[3, 1].set(jnp.nan), PARAMS[1])
        if place == "query"
        else (PARAMS[0], PARAMS[1].at[3, 1].set(jnp.inf))
    )
    assert judged(split.test, params=broken) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": (10, 121)}, r"evaluate.k is \(10, 121\) and the corpus has 120 items; wanted cut-offs from 1 to 120"),
        ({"k": ()}, "wanted cut-offs from 1 to 120: type for example --config.evaluate.k=10"),
        ({"select": "ndgc@10"}, "unknown metric in evaluate.select 'ndgc@10'; did you mean 'ndcg@10'"),
        ({"select": "ndcg@20"}, "Valid: .*ndcg@10.*ndcg@5"),
    ],
)
def test_settings_that_no_evaluation_can_use_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        evaluate.check(dataclasses.replace(SETTINGS, **changes), 120, 120)


@pytest.fixture(scope="module")
def sampled(split):
    """The test part with 30 candidates a query: its relevant item in the first column, and some columns empty."""
    rng = np.random.default_rng(1)
    ranked = np.array(
        [[one, *rng.permutation(np.delete(np.arange(120), one))[:29]] for one in split.test.relevant.item]
    )
    ranked[:, 1:][rng.random((len(ranked), 29)) < 0.3] = -1
    return split.test._replace(candidates=ranked)


@pytest.mark.parametrize("params", [PARAMS, tuple(jnp.round(one) for one in PARAMS)], ids=["different", "ties"])
def test_a_ranking_of_candidates_equals_plain_numpy(tiled, params, sampled):
    ranking = judged(sampled, params=params)
    queries, items = (np.asarray(one) for one in params)
    lists, ranks, ties = [], [], 0
    for query, own, row in zip(sampled.relevant.query, sampled.relevant.item, sampled.candidates, strict=True):
        ids = np.sort(row[row >= 0])
        values = items[ids] @ queries[query]
        order = ids[np.argsort(-values, kind="stable")].tolist()
        lists.append((order + [-1] * 10)[:10])
        ranks.append(order.index(own))
        ties += len(np.unique(values)) < len(values)
    np.testing.assert_array_equal(ranking.query, sampled.relevant.query)
    np.testing.assert_array_equal(ranking.ids, lists)
    assert (ties == len(lists)) == (params is not PARAMS)
    for k in (5, 10):
        hit = np.array(ranks) < k
        np.testing.assert_array_equal(ranking.metrics[f"sampled_recall@{k}"], hit)
        gain = np.where(hit, 1 / np.log2(2.0 + np.array(ranks)), 0)
        np.testing.assert_allclose(ranking.metrics[f"sampled_ndcg@{k}"], gain, rtol=1e-6)


def test_a_list_that_ends_has_no_near_ties_after_its_end(split):
    held = split.test
    few = np.full((len(held.relevant.query), 30), -1)
    few[:, 0] = held.relevant.item
    assert not judged(held._replace(candidates=few)).metrics["sampled_near_ties@10"].any()


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("params", [PARAMS, (PARAMS[0], 0 * PARAMS[1])], ids=["different", "ties"])
def test_ranking_all_that_is_not_known_is_the_full_ranking(params, order, split):
    held = split.test
    known = np.zeros((120, 120), bool)
    known[held.known.interactions.query, held.known.interactions.item] = True
    rest = np.where(known[held.relevant.query], -1, np.arange(120))[:, ::order]
    full, among = judged(held, params=params), judged(held._replace(candidates=rest), params=params)
    np.testing.assert_array_equal(among.ids, full.ids)
    shared = {name: value for name, value in full.metrics.items() if not name.startswith("in_group_")}
    assert list(among.metrics) == [f"sampled_{name}" for name in shared]
    for name, value in shared.items():
        np.testing.assert_array_equal(among.metrics[f"sampled_{name}"], value)


def test_what_is_known_may_be_a_candidate(split):
    known = split.test.known.interactions
    first = known.item[np.searchsorted(known.query, split.test.relevant.query)]
    settings = configs.Evaluate(k=(1,))
    np.testing.assert_array_equal(judged(split.test._replace(candidates=first[:, None]), settings).ids, first[:, None])


def test_means_over_candidates_say_so_and_nothing_of_the_corpus(sampled):
    ranking = judged(sampled)
    found = evaluate.means(ranking, sampled.known, SETTINGS)
    names = {f"{name}@{k}" for name in fields.members(metrics) for k in (5, 10)} | {"near_ties@10"}
    assert set(found) == {f"sampled_{name}" for name in names}
    assert found["sampled_ndcg@10"] == np.mean(ranking.metrics["sampled_ndcg@10"], dtype=np.float64)


@pytest.mark.parametrize("place", ["query", "item"])
def test_a_number_of_candidates_that_is_not_finite_is_told(place, sampled):
    side = ("query", "item").index(place)
    params = tuple(one.at[3, 1].set(jnp.nan) if number == side else one for number, one in enumerate(PARAMS))
    assert judged(sampled, params=params) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ranked: ranked[1:], r"there are candidates for 119 queries and 120 are judged; wanted one row each"),
        (
            lambda ranked: ranked * 0 + 7,
            "row 0 of the candidates has item 7; wanted different ids from 0 to 119, or -1",
        ),
        (lambda ranked: ranked + 120 * (ranked == ranked.max()), "has item 239; wanted different ids from 0 to 119"),
        (lambda ranked: ranked - (ranked < 0), "row 0 of the candidates has item -2; wanted different ids"),
    ],
    ids=["rows", "repeated", "above", "below"],
)
def test_candidates_that_cannot_be_ranked_are_refused(change, message, sampled):
    with pytest.raises(InputError, match=message):
        evaluate.prepare(sampled._replace(candidates=change(sampled.candidates)))


def test_more_than_the_candidates_is_refused(sampled):
    settings = dataclasses.replace(SETTINGS, k=(10, 31))
    message = (
        r"evaluate.k is \(10, 31\) and a query's list of candidates has 30 items; wanted cut-offs from 1 to 30: "
        "type for example --config.evaluate.k=10"
    )
    with pytest.raises(InputError, match=message):
        evaluate.check(settings, 120, 120, 30)
    evaluate.check(settings, 120, 120)
    with pytest.raises(InputError, match="k = 31 items were asked for among 30 candidates; wanted 1 <= k <= 30"):
        judged(sampled, settings)


@pytest.mark.parametrize(("queries", "items"), [(1, 120), (120, 1)])
def test_a_data_set_of_one_query_or_item_is_refused(queries, items):
    with pytest.raises(InputError, match=f"has {queries} queries and {items} items; wanted at least two of each"):
        evaluate.check(dataclasses.replace(SETTINGS, k=(1,), select="ndcg@1"), queries, items)
