"""The objective of weighted least squares, as it is written."""

import jax.numpy as jnp
import numpy as np
import pytest

from recjax import least_squares
from recjax.least_squares import Coefficients
from recjax.types import Interactions

QUERIES, ITEMS, OBSERVED, DIMENSION = 7, 5, 14, 3
# Two queries, three items; scores 2 1 -1 | 0.5 0 0.5.
GOLDEN = jnp.array([[1.0, 1.0], [0.5, 0.0]]), jnp.array([[1.0, 1.0], [0.0, 1.0], [1.0, -2.0]])
SEEN = Interactions(np.array([0, 0, 1]), np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0]), None)
VALUE = jnp.array([3.0, 1.0, 1.0])
OBSERVED_PART = 1 * (3 - 2) ** 2 + 2 * (1 + 1) ** 2 + 3 * (1 - 0.5) ** 2
EVERY_SQUARE = 2**2 + 1**2 + 1**2 + 0.5**2 + 0 + 0.5**2


@pytest.mark.parametrize(
    ("all_pairs", "unobserved"), [(True, 0.1 * EVERY_SQUARE), (False, 0.1 * (EVERY_SQUARE - 2**2 - 1**2 - 0.5**2))]
)
@pytest.mark.parametrize(
    ("exponent", "penalty"),
    [
        # Squared norms 2 and .25, of the items 2, 1, 5; # = |observed| + .1 · 3 and |observed| + .1 · 2.
        (1.0, 0.01 * (2.3 * 2 + 1.3 * 0.25 + 1.2 * 2 + 0.2 * 1 + 2.2 * 5)),
        (0.5, 0.01 * (2.3**0.5 * 2 + 1.3**0.5 * 0.25 + 1.2**0.5 * 2 + 0.2**0.5 * 1 + 2.2**0.5 * 5)),
        (0.0, 0.01 * (2 + 0.25 + 2 + 1 + 5)),
    ],
)
def test_golden_value(all_pairs, unobserved, exponent, penalty):
    found = least_squares.objective(*GOLDEN, SEEN, Coefficients(0.1, 0.01, exponent, all_pairs), VALUE)
    np.testing.assert_allclose(found, [OBSERVED_PART, unobserved, penalty], rtol=1e-6)


def test_values_are_1_by_default():
    numbers = Coefficients(0.1, 0.01)
    found = least_squares.objective(*GOLDEN, SEEN, numbers)
    assert found == least_squares.objective(*GOLDEN, SEEN, numbers, jnp.ones(3))
    np.testing.assert_allclose(found.observed, 1 * (1 - 2) ** 2 + 2 * (1 + 1) ** 2 + 3 * (1 - 0.5) ** 2, rtol=1e-6)


def tables(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(QUERIES, DIMENSION)), rng.normal(size=(ITEMS, DIMENSION))


def interactions(seed=0):
    """Pairs, two of them repeated, and their values; query 6 and item 4 have met nobody."""
    rng = np.random.default_rng(seed)
    pair = rng.choice((QUERIES - 1) * (ITEMS - 1), OBSERVED - 2, replace=False)
    pair = np.concatenate([pair, pair[:2]])
    weight, value = rng.uniform(1.0, 3.0, OBSERVED), rng.normal(size=OBSERVED)
    return Interactions(pair // (ITEMS - 1), pair % (ITEMS - 1), weight, None), value


def call(tables, interactions, value, numbers):
    given = (jnp.asarray(part, jnp.float32) for part in tables)
    return least_squares.objective(*given, interactions, numbers, jnp.asarray(value, jnp.float32))


def dense(tables, interactions, value, numbers):
    """The three sums over arrays [M N] in float64. A pair observed k times is 1 - k times unobserved."""
    scores = tables[0] @ tables[1].T
    query, item, weight, _ = interactions
    times = np.zeros(scores.shape)
    np.add.at(times, (query, item), 1)
    alpha, ridge, exponent, all_pairs = numbers
    degree = times.sum(1) + alpha * scores.shape[1], times.sum(0) + alpha * scores.shape[0]
    return [
        sum(w * (a - scores[q, i]) ** 2 for q, i, w, a in zip(query, item, weight, value, strict=True)),
        alpha * np.sum((1.0 if all_pairs else 1 - times) * scores**2),
        ridge * sum(np.sum(d**exponent * np.sum(t**2, 1)) for d, t in zip(degree, tables, strict=True)),
    ]


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("unobserved_weight", [0.0, 0.3])
@pytest.mark.parametrize("all_pairs", [True, False])
def test_it_equals_the_sums_over_all_pairs(all_pairs, unobserved_weight, exponent):
    given, numbers = interactions(), Coefficients(unobserved_weight, 0.02, exponent, all_pairs)
    np.testing.assert_allclose(call(tables(1), *given, numbers), dense(tables(1), *given, numbers), rtol=1e-5)


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_the_two_forms_differ_by_a_constant(exponent):
    """-Σ w α0 a² / (w - α0), whatever the tables: to 1e-5 of the objective, for it is a difference."""
    (query, item, weight, time), value = interactions()
    alpha = 0.4
    changed = Interactions(query, item, weight - alpha, time), weight * value / (weight - alpha)
    wanted = -np.sum(weight * alpha * value**2 / (weight - alpha))
    for seed in range(3):
        one = call(
            tables(seed), Interactions(query, item, weight, time), value, Coefficients(alpha, 0.1, exponent, False)
        )
        other = call(tables(seed), *changed, Coefficients(alpha, 0.1, exponent))
        np.testing.assert_allclose(float(sum(one)) - float(sum(other)), wanted, atol=1e-5 * float(sum(one)))


def test_order_does_not_matter_and_weight_0_counts_for_the_regularization_alone():
    (query, item, weight, _), value = interactions()
    numbers, order = Coefficients(0.3, 0.02), np.random.default_rng(2).permutation(OBSERVED)
    wanted = call(tables(1), Interactions(query, item, weight, None), value, numbers)
    turned = Interactions(query[order], item[order], weight[order], None)
    np.testing.assert_allclose(call(tables(1), turned, value[order], numbers), wanted, rtol=1e-6)
    extra = Interactions(np.append(query, 0), np.append(item, 0), np.append(weight, 0.0), None)
    found = call(tables(1), extra, np.append(value, 9.0), numbers)
    np.testing.assert_allclose(found[:2], wanted[:2], rtol=1e-6)
    norms = sum(np.sum(table[0] ** 2) for table in tables(1))
    np.testing.assert_allclose(found.regularization - wanted.regularization, 0.02 * norms, rtol=1e-4)


def test_bfloat16_tables_are_summed_in_float32():
    given, numbers = interactions(), Coefficients(0.3, 0.02, all_pairs=False)
    stored = [jnp.asarray(part, jnp.bfloat16) for part in tables(1)]
    found = least_squares.objective(*stored, given[0], numbers, jnp.asarray(given[1], jnp.float32))
    exact = [np.asarray(part, np.float64) for part in stored]
    np.testing.assert_allclose(found, dense(exact, *given, numbers), rtol=1e-5)
