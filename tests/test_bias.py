"""What is unbiased is found to be, and what is not is found out.

Intervals are of 5 standard errors (a confidence of 1 - 5.7e-7): with another seed one of the comparisons here would
fail with a probability below 1e-4 where the normal approximation holds.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import batches, bias, configs, embed, losses, models, objectives, samplers, scores
from recjax.errors import InputError
from recjax.types import Sampler

CONFIDENCE = 1 - 5.733e-7
OWN = {"memory": {"memory": 40}, "score_proportional": {"resampled": 16}, "hard": {"hard_share": 0.25}}


@pytest.fixture(scope="module")
def model(split):
    return models.mf(configs.Model(dimension=8, scale=2.0), split.train)


def check(name, loss, model, data, *, sampler=None, draws=1000, **options):
    params = jax.jit(lambda key: embed.init(key, model))(jax.random.key(2))
    made = getattr(samplers, name)(configs.Sampler(name=name, negatives=24, **OWN.get(name, {})))
    given = {"model": model, "params": params, "data": data, "batch": 16, "rows": 3, "length": 4}
    return bias.check_unbiased(
        jax.random.key(0),
        sampler(made) if sampler else made,
        loss,
        **given,
        draws=draws,
        confidence=CONFIDENCE,
        **options,
    )


def unbiased(estimate):
    return estimate.low <= 0.0 <= estimate.high


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("uniform", losses.squared),
        ("popularity", losses.logistic),
        ("log_uniform", losses.logistic),
        ("in_batch", losses.logistic),
        ("mixed", losses.logistic),
        ("memory", losses.logistic),
        ("adaptive", losses.logistic),
        ("score_proportional", losses.logistic),
    ],
)
def test_additive_losses_and_the_partition_are_unbiased(name, loss, model, data):
    """Every item of this world is somebody's positive: one that is not could not be an in-batch negative."""
    assert np.all(np.asarray(data.frequency) > 0)
    assert all(unbiased(one) for one in check(name, loss, model, data).values())


def test_the_sampled_softmax_has_a_bias_that_falls_with_the_sample(model, data):
    found = [
        check("uniform", losses.softmax, model, data, sampler=lambda _, count=count: uniform(count), draws=4000)
        for count in (8, 64)
    ]
    assert all(one["loss"].high < 0.0 for one in found)  # Jensen: the mean log of a sum is below the log of its mean
    assert found[0]["loss"].bias < 3 * found[1]["loss"].bias
    assert all(unbiased(one["partition"]) for one in found)


def uniform(count):
    return samplers.uniform(configs.Sampler(negatives=count))


def test_the_hardest_of_a_pool_are_biased_by_design(model, data):
    found = check("hard", losses.logistic, model, data)
    assert found["loss"].high < 0.0
    assert found["partition"].high < 0.0


@pytest.mark.parametrize("masked", [False, True])
def test_the_whole_corpus_is_exact(masked, model, data):
    found = check("full", losses.softmax, model, data, draws=20, masked=masked)
    for one in found.values():
        np.testing.assert_allclose((one.bias, one.sd), 0.0, atol=1e-5)


def test_draws_that_do_not_fall_into_groups_are_refused(model, data):
    with pytest.raises(InputError, match="draws is 30; wanted a multiple of 20"):
        check("uniform", losses.softmax, model, data, draws=30)


def test_a_sampler_that_tells_wrong_counts_is_found_out(model, data):
    def wrong(sampler):
        def sample(key, state, batch):
            found, state = sampler.sample(key, state, batch)
            return found._replace(log_q=found.log_q + jnp.log(1.2)), state

        return Sampler(sampler.init, sample)

    found = check("uniform", losses.logistic, model, data, sampler=wrong, draws=2000)
    assert found["partition"].high < 0.0
    np.testing.assert_allclose(found["partition"].bias, 1 / 1.2 - 1, atol=0.05)
    assert found["gradient norm"].low > 0.0


def test_the_refined_correction_of_the_positive_is_that_of_the_negatives(data, model):
    """(1 - P) times the softmax over negatives alone, P without gradient, has the gradient of correction="negatives".

    The positive is there with probability 1, not sampled. Source: Khrylchenko et al. 2025.
    """

    def refined(positive, negative, *, target, where, log_weight):
        log_r = jnp.where(where, negative + log_weight, -jnp.inf)
        total = jax.nn.logsumexp(log_r, axis=-1)
        share = jax.lax.stop_gradient(jax.nn.sigmoid(total - positive[:, 0]))
        return share * (total - positive[:, 0])

    params = jax.jit(lambda key: embed.init(key, model))(jax.random.key(2))
    batch = batches.draw(jax.random.key(1), data, 16, positives=1, length=4)
    sampler = samplers.in_batch(configs.Sampler(name="in_batch"))

    def gradient(loss):
        objective = objectives.objective(model, sampler, loss, score=scores.dot)
        candidates, state = objective.sample(jax.random.key(3), sampler.init(data, params), batch)
        states = objectives.States(state, {})
        return jax.jit(jax.grad(lambda p: objective.value(jax.random.key(3), p, states, batch, candidates, data)[0]))(
            params
        )

    jax.tree.map(
        lambda one, two: np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6),
        gradient(refined),
        gradient(losses.softmax),
    )
