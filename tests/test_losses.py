"""Every loss goes through every property."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from recjax import fields, losses

FAMILY = fields.members(losses)
BATCH, POSITIVES, CANDIDATES = 3, 2, 5


def example(seed=0):
    rng = np.random.default_rng(seed)
    target = jnp.array([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
    return {
        "positive": jnp.asarray(rng.normal(size=(BATCH, POSITIVES)), jnp.float32),
        "negative": jnp.asarray(rng.normal(size=(BATCH, CANDIDATES)), jnp.float32),
        "target": target,
        "where": jnp.asarray(rng.random((BATCH, CANDIDATES)) < 0.7),
        "weight": jnp.asarray(rng.uniform(0.5, 3.0, (BATCH, CANDIDATES)), jnp.float32),
    }


def call(loss, given):
    return loss(
        given["positive"], given["negative"], target=given["target"], where=given["where"], weight=given["weight"]
    )


def softplus(x):
    return np.log1p(np.exp(x))


# One positive with logit 2, negatives with logits 1 and 0 and weights 3 and 1.
GOLDEN = {
    "softmax": np.log(np.exp(2) + 3 * np.exp(1) + np.exp(0)) - 2,
    "logistic": softplus(-2) + 3 * softplus(1) + softplus(0),
    "squared": (2 - 1) ** 2 + 3 * 1**2 + 0,
    "bpr": 3 * softplus(1 - 2) + softplus(0 - 2),
    "hinge": 3 * (1 + 1 - 2) + 0,
}


def test_the_table_is_complete():
    assert set(GOLDEN) == set(FAMILY)


@pytest.mark.parametrize("name", FAMILY)
def test_golden_value(name):
    found = FAMILY[name](
        jnp.array([[2.0]]),
        jnp.array([[1.0, 0.0]]),
        target=jnp.array([[1.0]]),
        where=jnp.array([[True, True]]),
        weight=jnp.array([[3.0, 1.0]]),
    )
    np.testing.assert_allclose(found, [GOLDEN[name]], rtol=1e-6)


def test_the_hinge_counts_negatives_inside_the_margin():
    found = losses.hinge(
        jnp.array([[0.5]]),
        jnp.array([[0.25]]),
        target=jnp.ones((1, 1)),
        where=jnp.ones((1, 1), bool),
        weight=jnp.ones((1, 1)),
    )
    np.testing.assert_allclose(found, [1 + 0.25 - 0.5], rtol=1e-6)


@pytest.mark.parametrize("name", FAMILY)
def test_permuting_queries_and_candidates_permutes_the_loss(name):
    given = example()
    rows, columns = jnp.array([2, 0, 1]), jnp.array([3, 1, 4, 0, 2])
    turned = {key: value[rows] for key, value in given.items()}
    turned |= {key: turned[key][:, columns] for key in ("negative", "where", "weight")}
    np.testing.assert_allclose(call(FAMILY[name], turned), call(FAMILY[name], given)[rows], rtol=1e-6)


@pytest.mark.parametrize("name", FAMILY)
def test_a_mask_equals_leaving_out(name):
    given = example() | {"where": jnp.array([[True, False, True, False, True]] * BATCH)}
    kept = jnp.array([0, 2, 4])
    sliced = given | {key: given[key][:, kept] for key in ("negative", "where", "weight")}
    np.testing.assert_allclose(call(FAMILY[name], given), call(FAMILY[name], sliced), rtol=1e-6)


@pytest.mark.parametrize("name", FAMILY)
def test_a_positive_of_probability_0_is_padding(name):
    given = example()
    changed = given | {"positive": given["positive"].at[1, 1].set(1e4)}
    np.testing.assert_array_equal(call(FAMILY[name], given), call(FAMILY[name], changed))


@pytest.mark.parametrize("name", FAMILY)
def test_weight_2_is_the_candidate_twice(name):
    given = example()
    twice = {key: jnp.repeat(given[key], 2, axis=1) for key in ("negative", "where", "weight")}
    doubled = given | {"weight": 2 * given["weight"]}
    np.testing.assert_allclose(call(FAMILY[name], given | twice), call(FAMILY[name], doubled), rtol=1e-6)


@pytest.mark.parametrize("name", FAMILY)
def test_weight_0_equals_the_mask(name):
    given = example()
    by_weight = given | {
        "weight": jnp.where(given["where"], given["weight"], 0.0),
        "where": jnp.ones_like(given["where"]),
    }
    np.testing.assert_allclose(call(FAMILY[name], given), call(FAMILY[name], by_weight), rtol=1e-6)


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("candidates", [0, CANDIDATES])
def test_an_empty_row_gives_0_and_finite_gradients(name, candidates):
    empty = jnp.zeros((1, candidates))

    def value(positive, negative):
        return call(
            FAMILY[name],
            {
                "positive": positive,
                "negative": negative,
                "target": jnp.zeros((1, 2)),
                "where": empty > 0,
                "weight": empty + 1,
            },
        )[0]

    found, gradient = jax.value_and_grad(value, argnums=(0, 1))(jnp.full((1, 2), 50.0), empty + 200.0)
    assert found == 0.0
    assert all(np.all(np.asarray(one) == 0.0) for one in gradient)


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("value", [jnp.inf, jnp.nan])
def test_what_is_masked_may_hold_anything(name, value):
    given = example() | {"where": jnp.array([[True, False, True, False, True]] * BATCH)}
    spoilt = given | {"weight": jnp.where(given["where"], given["weight"], value)}
    loss, gradient = jax.value_and_grad(lambda one: call(FAMILY[name], spoilt | {"negative": one}).sum())(
        given["negative"]
    )
    np.testing.assert_allclose(loss, call(FAMILY[name], given).sum(), rtol=1e-6)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("name", FAMILY)
def test_jit_equals_eager_and_vmap_equals_the_loop(name):
    given = example()
    eager = call(FAMILY[name], given)
    np.testing.assert_allclose(jax.jit(lambda given: call(FAMILY[name], given))(given), eager, rtol=1e-6)
    stacked = jax.tree.map(lambda *parts: jnp.stack(parts), example(0), example(1))
    mapped = jax.vmap(lambda given: call(FAMILY[name], given))(stacked)
    looped = jnp.stack([call(FAMILY[name], example(seed)) for seed in (0, 1)])
    np.testing.assert_allclose(mapped, looped, rtol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "bpr", "hinge"])
def test_a_shift_of_a_querys_logits_changes_nothing(name):
    given = example()
    moved = given | {key: given[key] + 7.0 for key in ("positive", "negative")}
    np.testing.assert_allclose(call(FAMILY[name], given), call(FAMILY[name], moved), rtol=1e-5, atol=1e-6)


def test_softmax_equals_optax_with_integer_labels_and_with_a_distribution():
    logits = jnp.asarray(np.random.default_rng(1).normal(size=(BATCH, 7)), jnp.float32)
    label = jnp.array([3, 0, 6])
    one = losses.softmax(
        jnp.take_along_axis(logits, label[:, None], 1),
        logits,
        target=jnp.ones((BATCH, 1)),
        where=jnp.arange(7) != label[:, None],
        weight=jnp.ones((1, 1)),
    )
    np.testing.assert_allclose(one, optax.softmax_cross_entropy_with_integer_labels(logits, label), rtol=1e-6)
    dense = jnp.zeros((BATCH, 7)).at[:, 2].set(0.25).at[:, 5].set(0.75)
    many = losses.softmax(
        logits[:, jnp.array([2, 5])],
        logits,
        target=jnp.array([[0.25, 0.75]] * BATCH),
        where=dense == 0,
        weight=jnp.ones((1, 1)),
    )
    np.testing.assert_allclose(many, optax.softmax_cross_entropy(logits, dense), rtol=1e-6)


def test_softmax_with_a_weight_is_the_log_q_correction():
    given = example()
    corrected = given | {"negative": given["negative"] + jnp.log(given["weight"]), "weight": jnp.ones((1, 1))}
    np.testing.assert_allclose(call(losses.softmax, given), call(losses.softmax, corrected), rtol=1e-6)


def plain_softmax(positive, negative, *, target, where, weight):
    """The definition, differentiated by JAX."""
    count = jnp.concatenate([target > 0, jnp.where(where, weight, 0.0) + jnp.zeros(negative.shape)], axis=1)
    partition = jax.nn.logsumexp(jnp.concatenate([positive, negative], axis=1), b=count, axis=1)
    return jnp.sum(target, axis=1) * partition - jnp.sum(target * jnp.where(target > 0, positive, 0.0), axis=1)


@pytest.mark.parametrize("rows", [1, BATCH])
@pytest.mark.parametrize("columns", [1, CANDIDATES])
def test_softmaxs_own_gradient_equals_that_of_its_definition(rows, columns):
    """Both sum eight float32 terms, in another order: 1e-6."""
    given = example()
    where = given.pop("where")[:rows, :columns].at[0, 0].set(True)
    given |= {"weight": given["weight"][:rows, :columns], "negative": given["negative"].at[1].add(50.0)}

    def both(loss, given):
        value, pull = jax.vjp(lambda given: call(loss, given | {"where": where}), given)
        return value, pull(jnp.array([0.5, -2.0, 3.0]))[0]

    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6),
        both(losses.softmax, given),
        both(plain_softmax, given),
    )


def test_softmax_takes_one_exponential_a_candidate_for_value_and_gradient():
    given = example()
    value = jax.value_and_grad(lambda negative: call(losses.softmax, given | {"negative": negative}).sum())
    assert str(jax.make_jaxpr(value)(given["negative"])).count(f"f32[{BATCH},{CANDIDATES}] = exp ") == 1


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_softmax_is_finite_at_large_logits(size):
    given = example()
    moved = given | {key: given[key] + size for key in ("positive", "negative")}
    gradient = jax.grad(lambda one: call(losses.softmax, moved | {"negative": one}).sum())(moved["negative"])
    assert np.all(np.isfinite(call(losses.softmax, moved)))
    assert np.all(np.isfinite(gradient))
