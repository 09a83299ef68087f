"""Gravity equals its dense form wherever its Gramians are exact, and L2 does; the weight may be a tracer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import gramians, penalties, train
from recjax.errors import InputError
from recjax.penalties import Settings
from recjax.types import Batch, Data, Embedded, Interactions, Params

RNG = np.random.default_rng(0)
# Every query and item occurs, query 0 and item 2 more than once: weightings differ.
QUERY = np.array([0, 0, 0, 1, 1, 2, 3, 3, 4, 5])
ITEM = np.array([2, 0, 1, 2, 3, 4, 5, 2, 6, 7])
U, V = (jnp.asarray(RNG.normal(size=(rows, 4)), jnp.float32) for rows in (6, 8))
A, B = RNG.normal(size=(6, 2)), RNG.normal(size=(8, 2))
PARAMS = Params({"query": U, "item": V}, {}, {})
DATA = Data(
    Interactions(jnp.asarray(QUERY), jnp.asarray(ITEM), jnp.ones(10), None),
    jnp.asarray(np.searchsorted(QUERY, np.arange(7))),
    jnp.zeros((), int),
    {},
    {},
    jnp.asarray(np.bincount(ITEM) / 10, jnp.float32),
)
FULL = np.arange(10)  # a batch with every example once
ESTIMATES = ["exact", "batch", "sogram", "sagram"]
PAIRS = ["all", "examples", "corpus"]


def shares(pairs):
    """What each query and each item counts in the mean."""
    seen = np.bincount(QUERY) / 10, np.bincount(ITEM) / 10
    return seen[0] if pairs != "all" else np.full(6, 1 / 6), seen[1] if pairs == "examples" else np.full(8, 1 / 8)


def dense(params, pairs, prior=None):
    """The formula, pair by pair."""
    of_query, of_item = shares(pairs)
    scores = params.tables["query"] @ params.tables["item"].T
    scores -= 0.0 if prior is None else prior[0] @ prior[1].T
    return jnp.sum(of_query[:, None] * of_item[None, :] * scores**2)


def batch_of(rows):
    ids = jnp.asarray(ITEM[rows])[:, None]
    return Batch({"query": jnp.asarray(QUERY[rows])}, ids, jnp.ones(ids.shape), jnp.ones(len(rows)))


def settings(pairs, estimate, prior=None, **changes):
    """With alpha = 1 SOGram forgets what was before; SAGram's cache is complete after a full batch."""
    return Settings(pairs=pairs, estimate=estimate, dimension=4, prior=prior, **{"alpha": 1.0} | changes)


def evaluate(params, settings, rows=FULL, weight=1.0, state=None):
    penalty = penalties.gravity(weight, settings)
    state = penalty.init(DATA, params) if state is None else state
    batch = batch_of(rows)
    queries, items = params.tables["query"][QUERY[rows]], params.tables["item"][ITEM[rows]][:, None]
    return penalty.apply(state, params, Embedded(queries, items), batch)


def same(found, wanted):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, wanted)


@pytest.mark.parametrize("prior", [None, (A, B)], ids=["no prior", "prior"])
@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize("estimate", ESTIMATES)
def test_with_every_example_in_the_batch_it_is_the_dense_mean_square(estimate, pairs, prior):
    """Value and gradient: then the Gramians of a batch are exact, and so are SOGram's with alpha = 1 and SAGram's."""
    found = jax.value_and_grad(lambda params: evaluate(params, settings(pairs, estimate, prior))[0])(PARAMS)
    same(found, jax.value_and_grad(lambda params: dense(params, pairs, prior))(PARAMS))


@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize("estimate", ESTIMATES)
def test_a_prior_of_0_changes_nothing(estimate, pairs):
    plain, with_prior = (
        jax.value_and_grad(lambda params, prior=prior: evaluate(params, settings(pairs, estimate, prior), FULL[::2])[0])
        for prior in (None, (np.zeros((6, 3)), np.zeros((8, 3))))
    )
    same(with_prior(PARAMS), plain(PARAMS))


@pytest.mark.parametrize("pairs", PAIRS)
def test_gramians_of_batches_are_unbiased(pairs):
    """The mean over the ten batches of one example: each Gramian is that of the whole."""
    penalty = penalties.gravity(1.0, settings(pairs, "sogram"))
    states = [evaluate(PARAMS, settings(pairs, "sogram"), FULL[row : row + 1])[1] for row in FULL]
    for name, table, share in zip(("query", "item"), (U, V), shares(pairs), strict=True):
        found = np.mean([state[name].estimate for state in states], axis=0)
        same(found, np.einsum("n,nd,ne->de", share, table, table))
    assert not penalty.whole


def test_exact_items_with_a_query_tower_are_unbiased_too():
    """Queries from the batch, items from their table: the mean over batches of one is the dense value and gradient."""

    def mean(params):
        one = settings("corpus", "exact", tables=("item",))
        return sum(evaluate(params, one, FULL[row : row + 1])[0] for row in FULL) / 10

    same(jax.value_and_grad(mean)(PARAMS), jax.value_and_grad(lambda params: dense(params, "corpus"))(PARAMS))


def test_sogram_is_the_discounted_sum_of_the_batches():
    """After batches 1, 2, 3 with alpha = 1/4: (9 G1 / 16 + 3 G2 / 4 + G3) / 4, in a scan."""
    rows = jnp.asarray(RNG.normal(size=(3, 5, 4)), jnp.float32)
    estimate = gramians.running(0.25)

    def step(state, embeddings):
        seen = gramians.Seen(embeddings, jnp.zeros(5, int), jnp.full(5, 0.2), jnp.full(5, 0.2))
        return estimate.update(state, seen)[::-1]

    found, _ = jax.lax.scan(step, estimate.init(9, 4), rows)
    first, second, third = (one.T @ one / 5 for one in rows)
    same(found, (9 * first / 16 + 3 * second / 4 + third) / 4)


def test_sagram_corrects_its_cache_by_the_batch():
    """Rows 0 and 2 of three equal shares, row 0 twice; then S is the Gramian of the cache, which has the last ones."""
    cache = jnp.asarray(RNG.normal(size=(3, 4)), jnp.float32)
    new = jnp.asarray(RNG.normal(size=(4, 4)), jnp.float32)
    ids, share = jnp.array([0, 2, 0, 3]), jnp.full(4, 1 / 3)
    seen = gramians.Seen(new, ids, jnp.array([0.25, 0.25, 0.25, 0.0]), share)
    for beta in (1.0, 0.5):
        found, (kept, whole) = gramians.cached(beta).update((cache, cache.T @ cache / 3), seen)
        fresh = (new[:3].T @ new[:3] - cache[ids[:3]].T @ cache[ids[:3]]) / 4
        same(found, cache.T @ cache / 3 + beta * fresh)
        np.testing.assert_array_equal(kept, jnp.stack([new[2], cache[1], new[1]]))
        same(whole, kept.T @ kept / 3)


def test_a_complete_cache_makes_sagram_exact_for_any_batch():
    """Its rows have not moved since, so that a batch of three corrects nothing."""
    chosen = settings("examples", "sagram")
    _, state = evaluate(PARAMS, chosen)
    np.testing.assert_allclose(
        evaluate(PARAMS, chosen, np.array([7, 1, 1]), state=state)[0], dense(PARAMS, "examples"), rtol=1e-5
    )


def test_the_gradient_holds_the_estimates_constant():
    """d/du of weight (<G_u, Ĝ_v> + <Ĝ_u, G_v>): a state of other tables, alpha = 1/2, one example."""
    chosen = settings("examples", "sogram", alpha=0.5)
    other = Params({"query": 2 * U, "item": 3 * V}, {}, {})
    _, state = evaluate(other, chosen)
    row, weight = np.array([3]), 0.7
    u, v = U[QUERY[row]], V[ITEM[row]]
    of_query, of_item = (0.5 * state[name].estimate + 0.5 * one.T @ one for name, one in (("query", u), ("item", v)))
    found = jax.grad(lambda params: evaluate(params, chosen, row, weight, state)[0])(PARAMS)
    same(found.tables["query"][QUERY[row]], weight * 2 * u @ of_item)
    same(found.tables["item"][ITEM[row]], weight * 2 * v @ of_query)
    same(evaluate(PARAMS, chosen, row, weight, state)[0], weight * jnp.sum(of_query * of_item))


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_padded_positives_do_not_count(estimate):
    """A second positive of target 0 changes neither value, nor gradient, nor state."""
    chosen = settings("examples", estimate)
    penalty, rows = penalties.gravity(1.0, chosen), FULL[:4]
    plain, state = evaluate(PARAMS, chosen, rows)
    batch = batch_of(rows)
    padded = batch._replace(
        positive=jnp.concatenate([batch.positive, jnp.zeros((4, 1), int)], axis=1),
        target=jnp.concatenate([batch.target, jnp.zeros((4, 1))], axis=1),
    )
    items = V[padded.positive]
    found, new = penalty.apply(penalty.init(DATA, PARAMS), PARAMS, Embedded(U[QUERY[rows]], items), padded)
    same((found, new), (plain, state))


@pytest.mark.parametrize("estimate", ["exact", "sogram", "sagram"])
def test_weight_alpha_and_beta_may_be_tracers_and_states_are_carried_by_a_scan(estimate):
    def last(weight, alpha, beta):
        chosen = settings("all", estimate, alpha=alpha, beta=beta)

        def step(state, row):
            value, state = evaluate(PARAMS, chosen, FULL[:5] if row is None else FULL[5:], weight, state)
            return state, value

        return jax.lax.scan(step, penalties.gravity(weight, chosen).init(DATA, PARAMS), length=3)[1]

    arguments = jnp.array([0.5, 2.0]), jnp.array([0.1, 0.9]), jnp.array([0.3, 1.0])
    mapped = jax.jit(jax.vmap(last))(*arguments)
    same(mapped, jnp.stack([last(*one) for one in zip(*arguments, strict=True)]))


WHERE = np.tri(10, 3, -2, dtype=bool)  # 8, 7 and 6 queries


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("l2", [row for table in (U, V) for row in table / len(table) ** 0.5]),
        ("query_l2", U[QUERY] / 10**0.5),
        ("positive_l2", V[ITEM] / 10**0.5),
        ("negative_l2", [V[column] / WHERE.sum() ** 0.5 for row in WHERE for column in np.flatnonzero(row)]),
    ],
)
@pytest.mark.parametrize("shared", [True, False])
def test_l2_is_the_mean_squared_norm_of_its_rows(name, wanted, shared):
    negatives = V[:3] if shared else jnp.broadcast_to(V[:3], (10, 3, 4))
    embedded = Embedded(U[QUERY], V[ITEM][:, None], negatives, jnp.asarray(WHERE))
    found, _ = getattr(penalties, name)(0.5, Settings()).apply((), PARAMS, embedded, batch_of(FULL))
    same(found, 0.5 * sum(float(row @ row) for row in np.asarray(wanted)))


@pytest.mark.parametrize(
    ("negatives", "where"), [(None, None), (jnp.zeros((0, 4)), jnp.zeros((10, 0), bool))], ids=["full softmax", "none"]
)
def test_l2_of_negatives_that_a_step_lacks_is_refused(negatives, where):
    penalty = penalties.negative_l2(0.5, Settings())
    with pytest.raises(InputError, match=r"type --config.penalties.negative_l2=0, or --config.penalties.l2"):
        penalty.apply((), PARAMS, Embedded(U[QUERY], V[ITEM][:, None], negatives, where), batch_of(FULL))


def test_sogram_without_a_dimension_is_refused():
    with pytest.raises(InputError, match="type dimension=D"):
        penalties.gravity(1.0, Settings(estimate="sogram"))


@pytest.mark.parametrize("estimate", ["sogram", "sagram"])
@pytest.mark.parametrize("setup", ["mf", "softmax_dnn", "two_tower"])
def test_every_setup_trains_with_it_by_rows_and_with_a_prior(build, knobs, setup, estimate, config, split):
    changes = {"gravity__estimate": estimate, "gravity__rank": "3", "model__update": "rows", "penalties__gravity": "1"}
    changes |= {"model__name": setup, "sampler__name": "uniform", "optimizer__name": "adagrad"}
    config, advance, state, data = build(config, split, objective__positives="2", **changes)
    after, metrics = jax.eval_shape(train.block(advance, 3), knobs(config), jax.random.key(0), state, data)
    assert metrics["gravity"].shape == (3,)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert after.penalty["gravity"]["item"].prior.shape == (120, 3)
