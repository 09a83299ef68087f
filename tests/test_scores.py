"""Scores and logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import fields, logits, scores

RNG = np.random.default_rng(0)
QUERIES, SHARED, OWN = (jnp.asarray(RNG.normal(size=shape), jnp.float32) for shape in ((4, 3), (6, 3), (4, 6, 3)))
PLAIN = {
    "dot": lambda q, i: q @ i,
    "cosine": lambda q, i: q @ i / np.sqrt((q @ q) * (i @ i)),
}


@pytest.mark.parametrize("name", fields.members(scores))
@pytest.mark.parametrize("items", [SHARED, OWN], ids=["shared", "own"])
def test_equals_its_definition(name, items):
    wanted = [
        [
            PLAIN[name](np.asarray(QUERIES[row]), np.asarray(items[row, column] if items.ndim == 3 else items[column]))
            for column in range(6)
        ]
        for row in range(4)
    ]
    np.testing.assert_allclose(fields.members(scores)[name](QUERIES, items), wanted, rtol=1e-5)


@pytest.mark.parametrize("name", fields.members(scores))
def test_a_zero_row_scores_0_with_finite_gradients(name):
    value, gradient = jax.value_and_grad(lambda q: fields.members(scores)[name](q, SHARED).sum())(jnp.zeros((1, 3)))
    assert value == 0.0
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("kind", [jnp.float32, jnp.bfloat16])
def test_dots_own_gradient_equals_that_of_the_product(kind):
    """In bfloat16 both are rounded to 8 bits at the end."""
    items, cotangent = SHARED.astype(kind), jnp.asarray(RNG.normal(size=(4, 6)), jnp.float32)
    found, wanted = (jax.vjp(score, QUERIES, items)[1](cotangent) for score in (scores.dot, lambda q, i: q @ i.T))
    assert [one.dtype for one in found] == [jnp.float32, kind]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(
            one.astype(jnp.float32), other.astype(jnp.float32), rtol=1e-5 if one.dtype == jnp.float32 else 2**-7
        )


@pytest.mark.parametrize("alpha", [30.0, 300.0])
def test_softmax_of_alpha_y_tends_to_the_hard_max(alpha):
    y = jnp.array([[1.0, 3.0, 2.5, -4.0], [0.0, -1.0, 5.0, 4.0]])
    hard = jax.nn.one_hot(jnp.argmax(y, -1), 4)
    gap = jnp.array([[0.5], [1.0]])  # between the two highest: what is left is at most 3 exp(-alpha gap)
    assert np.all(np.abs(logits.softmax(alpha * y) - hard) <= 3 * np.exp(-alpha * gap) + 1e-7)
    np.testing.assert_allclose(logits.softmax(0.0 * y), np.full((2, 4), 0.25))


def test_probabilities_sum_to_1_over_what_exists():
    where = jnp.array([[True, False, True, True]])
    found = logits.softmax(jnp.array([[1.0, 9.0, 2.0, 3.0]]), where)
    np.testing.assert_allclose(found.sum(), 1.0, rtol=1e-6)
    assert found[0, 1] == 0.0
    np.testing.assert_allclose(logits.log_softmax(QUERIES), np.log(logits.softmax(QUERIES)), rtol=1e-5)


def test_scale_and_correct():
    np.testing.assert_allclose(logits.scale(QUERIES, 0.5), 2 * QUERIES)
    np.testing.assert_allclose(
        logits.correct(QUERIES, jnp.log(jnp.array([1.0, 2.0, 4.0]))), QUERIES - np.log([1, 2, 4]), rtol=1e-6
    )
