"""The objective's limits must be equal, and what is masked must leave the loss."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from recjax import batches, configs, embed, known, losses, models, objectives, partition, penalties, samplers, scores
from recjax.errors import InputError
from recjax.types import Candidates, Sampler

KEY = jax.random.key(0)
FULL, UNIFORM = samplers.full(configs.Sampler()), samplers.uniform(configs.Sampler(negatives=40))


def whole() -> Sampler:
    """The corpus as a sample: every item once, so that each expected count is 1."""

    def sample(key, count, batch):
        ids = jnp.arange(120)
        hit = jnp.any((ids[:, None] == batch.positive[:, None]) & (batch.target > 0)[:, None], -1)
        return Candidates(ids, jnp.zeros(()), ~hit, jnp.zeros(batch.positive.shape)), count

    return Sampler(lambda data, params: (), sample)


@pytest.fixture(scope="module", params=["mf", "softmax_dnn", "two_tower"])
def model(request, split):
    settings = configs.Model(dimension=8, history=4, scale=2.0)
    return getattr(models, request.param)(settings, split.train)


def setting(model, data, positives=1):
    draw = jax.jit(lambda key, data: batches.draw(key, data, 12, positives=positives, length=4))
    batch = draw(jax.random.key(1), data)
    return jax.jit(lambda key: embed.init(key, model))(jax.random.key(2)), batch._replace(
        weight=jnp.linspace(0.5, 2.0, 12)
    )


def value_and_gradient(model, data, sampler, loss, batch, params, **options):
    built = objectives.objective(model, sampler, loss, **{"score": scores.dot} | options)
    penalty = {name: one.init(data, params) for name, one in options.get("penalties", {}).items()}
    states = objectives.States(sampler.init(data, params), penalty)

    def value(params, data):
        candidates, _ = built.sample(KEY, states.sampler, batch)
        return built.value(KEY, params, states, batch, candidates, data)[0]

    return jax.jit(jax.value_and_grad(value))(params, data)


def assert_same(one, other, rtol=2e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-5), one, other)


@pytest.mark.parametrize("block", [partition.BLOCK, 10])
def test_full_softmax_equals_optax_over_all_logits(block, model, data, monkeypatch):
    """Also where the corpus has more items than a block, and its logits are never held."""
    monkeypatch.setattr(partition, "BLOCK", block)
    params, batch = setting(model, data)

    def by_optax(params):
        queries = embed.queries(None, model, params, batch.features)
        all_logits = queries @ embed.items(None, model, params, data.corpus).T / 0.5
        found = optax.softmax_cross_entropy_with_integer_labels(all_logits, batch.positive[:, 0])
        return jnp.sum(batch.weight * found) / jnp.sum(batch.weight)

    found = value_and_gradient(model, data, FULL, losses.softmax, batch, params, temperature=0.5)
    assert_same(found, jax.jit(jax.value_and_grad(by_optax))(params))


@pytest.mark.parametrize("block", [partition.BLOCK, 10])
def test_full_softmax_equals_optax_against_a_distribution(block, model, split, monkeypatch):
    monkeypatch.setattr(partition, "BLOCK", block)
    data = batches.prepare(split.train, 3)
    params, batch = setting(model, data, positives=3)

    def by_optax(params):
        all_logits = (
            embed.queries(None, model, params, batch.features) @ embed.items(None, model, params, data.corpus).T
        )
        dense = jnp.zeros(all_logits.shape).at[jnp.arange(12)[:, None], batch.positive].add(batch.target)
        return jnp.sum(batch.weight * optax.softmax_cross_entropy(all_logits, dense)) / jnp.sum(batch.weight)

    assert_same(
        value_and_gradient(model, data, FULL, losses.softmax, batch, params),
        jax.jit(jax.value_and_grad(by_optax))(params),
    )


@pytest.mark.parametrize("loss", [losses.softmax, losses.logistic, losses.squared, losses.bpr, losses.hinge])
@pytest.mark.parametrize("correction", ["none", "negatives", "all"])
@pytest.mark.parametrize("wrap", [lambda sampler: sampler, known.masked], ids=["plain", "masked"])
def test_a_sample_of_the_whole_corpus_equals_full(loss, correction, wrap, split):
    model = models.mf(configs.Model(dimension=8), split.train)
    data = batches.prepare(split.train, 2)
    params, batch = setting(model, data, positives=2)
    options = {"correction": correction, "unobserved_weight": 0.3}
    found = value_and_gradient(model, data, wrap(FULL), loss, batch, params, **options)
    assert_same(found, value_and_gradient(model, data, wrap(whole()), loss, batch, params, **options))


@pytest.mark.parametrize("name", ["uniform", "in_batch", "mixed"])
def test_accidental_hits_leave_the_loss(name, data, split):
    """The loss of a row is what it is without the columns that hold the row's own positive."""
    model = models.mf(configs.Model(dimension=8), split.train)
    sampler = getattr(samplers, name)(configs.Sampler(negatives=400))
    params, batch = setting(model, data)
    batch = batch._replace(positive=batch.positive.at[:4].set(batch.positive[0]))
    state = sampler.init(data, params)
    queries = embed.queries(None, model, params, batch.features)
    candidates, _ = sampler.sample(jax.random.split(KEY, 4)[2], state, batch)
    per_row, hits = [], 0
    for row, own in enumerate(np.asarray(batch.positive)[:, 0]):
        kept = np.asarray(candidates.ids) != own
        hits += np.sum(~kept)
        logits = np.asarray(params.tables["item"] @ queries[row], np.float64)
        log_q = np.broadcast_to(np.asarray(candidates.log_q), kept.shape)
        negatives = np.exp(logits[np.asarray(candidates.ids)[kept]] - log_q[kept]).sum()
        per_row.append(np.log(np.exp(logits[own]) + negatives) - logits[own])
    assert hits > 12
    weight = np.asarray(batch.weight)
    found, _ = value_and_gradient(model, data, sampler, losses.softmax, batch, params)
    np.testing.assert_allclose(found, np.sum(weight * per_row) / weight.sum(), rtol=1e-5)


def test_batch_positives_are_embedded_once_and_the_same(model, data):
    """`in_batch` reuses embeddings; the same sampler without the promise embeds them anew."""
    params, batch = setting(model, data)
    for sampler in (samplers.in_batch(configs.Sampler()), samplers.mixed(configs.Sampler(negatives=7))):
        anew = sampler._replace(in_batch=False)
        assert_same(
            value_and_gradient(model, data, sampler, losses.softmax, batch, params),
            value_and_gradient(model, data, anew, losses.softmax, batch, params),
        )


def test_correcting_the_positive_shifts_its_logit(data, split):
    model = models.mf(configs.Model(dimension=8), split.train)
    params, batch = setting(model, data)
    values = {
        one: value_and_gradient(model, data, UNIFORM, losses.softmax, batch, params, correction=one)[0]
        for one in ("none", "negatives", "all")
    }
    # With equal log_q everywhere, correcting all columns shifts all logits alike: no correction at all.
    np.testing.assert_allclose(values["all"], values["none"], rtol=1e-5)
    assert abs(values["negatives"] - values["none"]) > 0.1


def test_a_sampler_that_refines_sees_the_steps_logits_without_gradient(model, data):
    params, batch = setting(model, data)
    ids = jnp.array([3, 5])

    def sampler(refine):
        def sample(key, state, batch):
            return Candidates(ids, jnp.zeros(2), jnp.ones((12, 2), bool), jnp.zeros((12, 1))), state

        return Sampler(lambda data, params: jnp.zeros(()), sample, refine=refine)

    def refine(key, state, batch, candidates, positive, negative):
        return candidates._replace(log_q=jnp.tanh(negative)), state + 1.0, {"seen": negative, "own": positive}

    built = objectives.objective(model, sampler(refine), losses.logistic, score=scores.cosine, temperature=0.1)
    candidates, state = built.sample(KEY, jnp.zeros(()), batch)
    states = objectives.States(state, {})
    evaluate = jax.jit(lambda params: built.value(KEY, params, states, batch, candidates, data)[1])
    found = evaluate(params)
    queries, corpus = embed.queries(None, model, params, batch.features), embed.corpus(model, params, data.corpus)
    logits = scores.cosine(queries, corpus) / 0.1
    np.testing.assert_allclose(found.metrics["seen"], logits[:, ids], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.metrics["own"][:, 0], logits[jnp.arange(12), batch.positive[:, 0]], rtol=1e-4)
    assert float(found.states.sampler) == 1.0

    def constant(key, state, batch, candidates, positive, negative):
        return candidates._replace(log_q=jnp.tanh(logits[:, ids])), state, {}

    options = {"score": scores.cosine, "temperature": 0.1}
    assert_same(
        value_and_gradient(model, data, sampler(refine), losses.logistic, batch, params, **options),
        value_and_gradient(model, data, sampler(constant), losses.logistic, batch, params, **options),
        rtol=1e-4,
    )


def test_candidates_may_differ_by_row(data, split):
    model = models.mf(configs.Model(dimension=8), split.train)
    params, batch = setting(model, data)
    shared = jnp.array([3, 5, 9])

    def sampler(ids):
        def sample(key, state, batch):
            where = ids != batch.positive if ids.ndim == 2 else ids[None] != batch.positive
            return Candidates(ids, jnp.zeros(()), where, jnp.zeros((12, 1))), state

        return Sampler(lambda data, params: (), sample)

    own = jnp.broadcast_to(shared, (12, 3))
    assert_same(
        value_and_gradient(model, data, sampler(shared), losses.softmax, batch, params),
        value_and_gradient(model, data, sampler(own), losses.softmax, batch, params),
    )


def test_penalties_are_added_and_named(data, split):
    model = models.mf(configs.Model(dimension=8), split.train)
    params, batch = setting(model, data)
    built = {name: getattr(penalties, name)(0.5, penalties.Settings()) for name in ("gravity", "l2")}
    state = {name: penalty.init(data, params) for name, penalty in built.items()}
    objective = objectives.objective(model, UNIFORM, losses.logistic, score=scores.dot, penalties=built)
    candidates, own = objective.sample(KEY, UNIFORM.init(data, params), batch)
    total, found = objective.value(KEY, params, objectives.States(own, state), batch, candidates, data)
    assert set(found.terms) == {"loss", "gravity", "l2"}
    np.testing.assert_allclose(total, sum(found.terms.values()), rtol=1e-6)
    dense = 0.5 * jnp.mean((params.tables["query"] @ params.tables["item"].T) ** 2)
    np.testing.assert_allclose(found.terms["gravity"], dense, rtol=1e-5)


@pytest.mark.parametrize("wrap", [lambda sampler: sampler, known.masked], ids=["plain", "masked"])
def test_a_sample_that_is_never_enough_ends_with_the_full_softmax(wrap, model, data):
    params, batch = setting(model, data)
    sampler = samplers.adaptive(configs.Sampler(name="adaptive", negatives=10, enough=1e6))
    assert_same(
        value_and_gradient(model, data, wrap(sampler), losses.softmax, batch, params, temperature=0.5),
        value_and_gradient(model, data, wrap(FULL), losses.softmax, batch, params, temperature=0.5),
    )


def test_a_sample_that_is_enough_at_once_is_the_plain_one(data, split):
    model = models.mf(configs.Model(dimension=8), split.train)
    params, batch = setting(model, data)
    found = [
        value_and_gradient(
            model,
            data,
            samplers.adaptive(configs.Sampler(name="adaptive", negatives=10, enough=enough)),
            losses.softmax,
            batch,
            params,
        )
        for enough in (1e-6, 0.0)
    ]
    assert_same(*found)


def test_a_sample_cannot_be_enough_for_another_loss(data, split):
    model = models.mf(configs.Model(dimension=8), split.train)
    with pytest.raises(InputError, match=r"sampler.enough is an effective sample size of the softmax's partition"):
        objectives.objective(
            model, samplers.adaptive(configs.Sampler(name="adaptive", enough=5.0)), losses.logistic, score=scores.dot
        )
