"""How much a sample of a partition tells, and more of it where that is too little."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import importance

KEYS = jax.random.split(jax.random.key(0), 4)
LOGITS = 2.0 * jax.random.normal(KEYS[0], (5, 12))
LOG_WEIGHT = jax.random.normal(KEYS[1], (1, 12))
WHERE = jax.random.bernoulli(KEYS[2], 0.7, (5, 12)).at[3].set(False)


def test_the_sums_are_those_of_the_weighted_exponentials():
    r = np.where(WHERE, np.exp(np.asarray(LOGITS + LOG_WEIGHT, np.float64)), 0.0)
    found = importance.sums(LOGITS, LOG_WEIGHT, WHERE)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(found.first, np.log(r.sum(1)), rtol=1e-5)
        np.testing.assert_allclose(found.second, np.log((r**2).sum(1)), rtol=1e-5)
    size = np.divide(r.sum(1) ** 2, (r**2).sum(1), where=r.sum(1) > 0, out=np.zeros(5))
    np.testing.assert_allclose(importance.effective_size(found), size, rtol=1e-4)
    assert size[3] == 0.0


def test_the_gradient_is_the_softmax_and_finite_for_an_empty_row():
    gradient = jax.grad(
        lambda logits: jnp.sum(importance.sums(logits, LOG_WEIGHT, WHERE).first[jnp.array([0, 1, 2, 4])])
    )
    wanted = np.where(WHERE, jax.nn.softmax(jnp.where(WHERE, LOGITS + LOG_WEIGHT, -1e30), axis=-1), 0.0)
    wanted[3] = 0.0
    np.testing.assert_allclose(gradient(LOGITS), wanted, atol=1e-6)


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_joined_samples_are_one_sample_of_both(share):
    """Estimates weighted by share and 1 - share are those of all candidates with these weights."""
    one, two = slice(0, 4), slice(4, 12)
    joined = importance.join(
        importance.sums(LOGITS[:, one], LOG_WEIGHT[:, one], WHERE[:, one]),
        importance.sums(LOGITS[:, two], LOG_WEIGHT[:, two], WHERE[:, two]),
        share,
    )
    shift = jnp.where(jnp.arange(12) < 4, jnp.log(share), jnp.log(1 - share))
    whole = importance.sums(LOGITS, LOG_WEIGHT + shift, WHERE)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), joined, whole)


@pytest.mark.parametrize(("enough", "scored"), [(0.5, 4), (3.0, 8), (7.0, 12), (1000.0, 112)])
@pytest.mark.parametrize("many", [False, True], ids=["one", "vmap"])
def test_more_is_scored_until_it_is_enough(enough, scored, many):
    """The same numbers under vmap, where all branches are computed; the gradient too is that of the branch taken."""
    parts = [slice(0, 4), slice(4, 8), slice(8, 12)]

    def estimate(logits):
        sums = [importance.sums(logits[:, part], jnp.zeros((1, 1)), jnp.ones((1, 1), bool)) for part in parts]
        more = [(4, lambda one=one: one) for one in sums[1:]]
        whole = (100, lambda: jnp.sum(logits, axis=-1))
        total, found = importance.log_partition(sums[0], 4, more, whole, enough)
        return jnp.sum(total), found

    def wanted(logits):
        if scored == 112:
            return jnp.sum(logits)
        return jnp.sum(jax.nn.logsumexp(logits[:, :scored], axis=-1) - jnp.log(scored / 4))

    logits = 0.3 * LOGITS
    both = jax.value_and_grad(estimate, has_aux=True)
    if many:
        (value, found), gradient = jax.tree.map(lambda leaf: leaf[1], jax.vmap(both)(jnp.stack([logits * 9, logits])))
    else:
        (value, found), gradient = jax.jit(both)(logits)
    assert float(found["scored"]) == scored
    assert float(found["effective_sample_size"]) == 100 or float(found["effective_sample_size"]) >= enough
    np.testing.assert_allclose(value, wanted(logits), rtol=1e-5)
    np.testing.assert_allclose(gradient, jax.grad(wanted)(logits), rtol=1e-4, atol=1e-6)
