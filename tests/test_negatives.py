"""What candidates are worth, against counting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import known, models, negatives, samplers, scores
from recjax.configs import Model, Sampler
from recjax.types import Params

ITEMS = 120


@pytest.fixture(scope="module")
def examine(split, data):
    model = models.mf(Model(dimension=4), split.train)
    tables = {"query": jnp.zeros((ITEMS, 4)), "item": jnp.zeros((ITEMS, 4))}

    def examine(sampler, tables=tables, correction="negatives", batches=2):
        draw = jax.jit(
            negatives.drawer(model, sampler, scores.dot, correction=correction, batch=16, positives=1, length=3)
        )
        keys, params = jax.random.split(jax.random.key(0), batches), Params(tables, (), ())
        state, one = sampler.init(data, params), jnp.ones(())
        draws = [jax.tree.map(np.asarray, draw(key, one, params, state, data)) for key in keys]
        return negatives.report(draws, split), draws

    return examine


def test_the_whole_corpus_has_every_other_positive_against_it(examine, split):
    """Of N - 1 items that count against a query, n - 1 are its other training items, and two are held out."""
    found, draws = examine(samplers.full(Sampler()))
    met = np.bincount(split.train.interactions.query)
    query = np.concatenate([one.query for one in draws])
    assert found == {
        "training_positives": pytest.approx(np.mean((met[query] - 1) / (ITEMS - 1))),
        "held_out_positives": pytest.approx(2 / (ITEMS - 1)),
    }


@pytest.mark.parametrize("sampler", [samplers.full(Sampler()), samplers.uniform(Sampler(name="uniform", negatives=64))])
def test_known_interactions_that_are_masked_are_not_counted(sampler, examine):
    found, _ = examine(known.masked(sampler))
    assert found["training_positives"] == 0
    assert found["held_out_positives"] > 0


def test_uniform_draws_hold_as_many_positives_as_the_corpus(examine):
    """A fifth is more than five standard deviations of the shares over 2,560 draws, each of which meets 16 queries."""
    sampled, _ = examine(samplers.uniform(Sampler(name="uniform", negatives=64)), batches=40)
    whole, _ = examine(samplers.full(Sampler()), batches=40)
    for name, share in whole.items():
        assert sampled[name] == pytest.approx(share, rel=0.2)


def test_equal_logits_and_weights_make_every_candidate_count(examine):
    found, draws = examine(samplers.uniform(Sampler(name="uniform", negatives=64)))
    assert found["effective_sample_size"] == pytest.approx(found["candidates"], rel=1e-5)
    assert found["candidates"] == np.mean([one.where.sum(1) for one in draws])


def test_unequal_weights_count_by_their_squares(examine):
    found, draws = examine(samplers.popularity(Sampler(name="popularity", negatives=64)))
    sizes = [(one.weight * one.where).sum(1) ** 2 / ((one.weight * one.where) ** 2).sum(1) for one in draws]
    assert found["effective_sample_size"] == pytest.approx(np.mean(sizes), rel=1e-4)
    assert found["effective_sample_size"] < 0.95 * found["candidates"]
    equal, _ = examine(samplers.popularity(Sampler(name="popularity", negatives=64)), correction="none")
    assert equal["effective_sample_size"] == pytest.approx(equal["candidates"], rel=1e-5)


def test_a_sampler_that_refines_is_looked_at_after_that(examine):
    settings = Sampler(name="hard", negatives=64, hard_share=0.25)
    tables = {"query": jnp.ones((ITEMS, 4)), "item": jax.random.normal(jax.random.key(1), (ITEMS, 4))}
    found, _ = examine(samplers.hard(settings), tables)
    assert 0 < found["candidates"] <= 17


def test_without_candidates_there_is_nothing_to_tell(examine):
    assert examine(samplers.none(Sampler(name="none")))[0] == {}
