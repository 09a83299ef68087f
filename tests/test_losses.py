"""Every loss goes through every property."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from recjax import configs, fields, losses, train
from recjax.errors import InputError

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


def call(loss, given, **tunables):
    rest = {name: given[name] for name in ("target", "where")} | {"log_weight": jnp.log(given["weight"])}
    return loss(given["positive"], given["negative"], **rest, **tunables)


def softplus(x):
    return np.log1p(np.exp(x))


# One positive with logit 2, negatives with logits 1 and 0 and weights 3 and 1.
GOLDEN = {
    "softmax": np.log(np.exp(2) + 3 * np.exp(1) + np.exp(0)) - 2,
    "logistic": softplus(-2) + 3 * softplus(1) + softplus(0),
    "squared": (2 - 1) ** 2 + 3 * 1**2 + 0,
    "bpr": 3 * softplus(1 - 2) + softplus(0 - 2),
    "hinge": 3 * (1 + 1 - 2) + 0,
    "warp": 0,
    "ccl": 0 + 3 * 1 + 0,
    # Four counted as two: a rate of 1/2.
    "gbce": (1 - 0.75 * (1 - 1 / 2)) * softplus(-2) + (3 * softplus(1) + softplus(0)) / 2,
    "nce": softplus(-2) + softplus(1 + np.log(3)) + softplus(0),
    "bsl": np.log(3 * np.exp(1) + np.exp(0)) - 2,
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
        log_weight=jnp.log(jnp.array([[3.0, 1.0]])),
    )
    np.testing.assert_allclose(found, [GOLDEN[name]], rtol=1e-6)


LOW = 3 * softplus(-1.25) + softplus(-3.5) + 2 * softplus(-0.5)
SIX = 3 * softplus(0.25) + softplus(-2) + 2 * softplus(1)
# Positives: logits 0.5 and 2, probabilities 1/4 and 3/4. Negatives: logits 0.25, -2 and 1, weights 3, 1 and 2.
TUNED = [
    ("hinge", {"margin": 1.0}, (3 * (1 + 0.25 - 0.5) + 2 * (1 + 1 - 0.5)) / 4 + 0),
    ("hinge", {"margin": 0.5}, (3 * (0.5 + 0.25 - 0.5) + 2 * (0.5 + 1 - 0.5)) / 4),
    # Five violate by weight: the harmonic sum is 137 / 60.
    ("warp", {"margin": 1.0}, 137 / 60 * (3 * (1 + 0.25 - 0.5) + 2 * (1 + 1 - 0.5)) / 5 / 4),
    ("warp", {"margin": 0.0}, (1 + 1 / 2) * (1 - 0.5) / 4),
    ("ccl", {"threshold": 0.25}, (1 - 0.5) / 4 + 2 * (1 - 0.25)),
    ("logistic", {"bias": -1.5}, (softplus(1) + 3 * softplus(-0.5)) / 4 + LOW),
    ("gbce", {"bias": -1.5}, (1 - 0.75 / 2) * (softplus(1) + 3 * softplus(-0.5)) / 4 + LOW / 2),
    (
        "nce",
        {"bias": -1.5},
        (softplus(1) + 3 * softplus(-0.5)) / 4
        + sum(softplus(logit - 1.5 + np.log(weight)) for logit, weight in ((0.25, 3), (-2, 1), (1, 2))),
    ),
    ("gbce", {"calibration": 0.0}, (softplus(-0.5) + 3 * softplus(-2)) / 4 + SIX / 2),
    ("gbce", {"calibration": 1.0}, (softplus(-0.5) + 3 * softplus(-2)) / 4 / 2 + SIX / 2),
    (
        "bsl",
        {"ratio": 2.0},
        2 * np.log(3 * np.exp(0.125) + np.exp(-1) + 2 * np.exp(0.5)) - np.log(np.exp(0.5) / 4 + 3 * np.exp(2) / 4),
    ),
    (
        "bsl",
        {"exponent": 1.5},
        1.5 * np.log(3 * np.exp(0.25) + np.exp(-2) + 2 * np.exp(1)) - np.log(np.exp(0.5) / 4 + 3 * np.exp(2) / 4),
    ),
]


@pytest.mark.parametrize(("name", "tunables", "wanted"), TUNED)
def test_golden_value_with_tunables(name, tunables, wanted):
    given = {
        "positive": jnp.array([[0.5, 2.0]]),
        "negative": jnp.array([[0.25, -2.0, 1.0]]),
        "target": jnp.array([[0.25, 0.75]]),
        "where": jnp.ones((1, 3), bool),
        "weight": jnp.array([[3.0, 1.0, 2.0]]),
    }
    np.testing.assert_allclose(call(FAMILY[name], given, **tunables), [wanted], rtol=1e-6)


def test_every_tunable_has_a_golden_value_and_the_configs_default():
    settings = fields.flatten(configs.Objective())
    named = {(name, one): default for name in FAMILY for one, default in fields.tunables(FAMILY[name]).items()}
    assert named == {key: settings[key[1]] for key in named}
    assert set(named) == {(name, one) for name, tunables, _ in TUNED for one in tunables}


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


@pytest.mark.parametrize("name", sorted(set(FAMILY) - {"gbce", "nce"}))
def test_weight_2_is_the_candidate_twice(name):
    """Not where a negative counts once: there a weight says how it was sampled."""
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


@pytest.mark.parametrize("name", ["softmax", "bpr", "hinge", "warp", "bsl"])
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
        log_weight=jnp.zeros((1, 1)),
    )
    np.testing.assert_allclose(one, optax.softmax_cross_entropy_with_integer_labels(logits, label), rtol=1e-6)
    dense = jnp.zeros((BATCH, 7)).at[:, 2].set(0.25).at[:, 5].set(0.75)
    many = losses.softmax(
        logits[:, jnp.array([2, 5])],
        logits,
        target=jnp.array([[0.25, 0.75]] * BATCH),
        where=dense == 0,
        log_weight=jnp.zeros((1, 1)),
    )
    np.testing.assert_allclose(many, optax.softmax_cross_entropy(logits, dense), rtol=1e-6)


def test_softmax_with_a_weight_is_the_log_q_correction():
    given = example()
    corrected = given | {"negative": given["negative"] + jnp.log(given["weight"]), "weight": jnp.ones((1, 1))}
    np.testing.assert_allclose(call(losses.softmax, given), call(losses.softmax, corrected), rtol=1e-6)


def plain_softmax(positive, negative, *, target, where, log_weight):
    """The definition, differentiated by JAX."""
    count = jnp.concatenate(
        [target > 0, jnp.where(where, jnp.exp(log_weight), 0.0) + jnp.zeros(negative.shape)], axis=1
    )
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


ADDITIVE = ("logistic", "squared", "bpr", "hinge", "ccl")
LOGITS, PROPOSAL, SAMPLE = np.array([0.3, -0.4, 0.8, 1.1]), np.array([0.1, 0.2, 0.3, 0.4]), 2


def every_sample(proposal):
    """Each possible sample of two negatives, as a row of one batch, with its probability."""
    drawn = np.array(list(itertools.product(range(len(LOGITS)), repeat=SAMPLE)))
    return np.prod(proposal[drawn], axis=1), {
        "positive": jnp.full((len(drawn), 1), 0.5),
        "negative": jnp.asarray(LOGITS[drawn], jnp.float32),
        "target": jnp.ones((len(drawn), 1)),
        "where": jnp.ones(drawn.shape, bool),
        "weight": jnp.asarray(1 / (SAMPLE * proposal[drawn]), jnp.float32),
    }


def the_corpus():
    whole = {"positive": jnp.full((1, 1), 0.5), "negative": jnp.asarray(LOGITS[None], jnp.float32)}
    return whole | {"target": jnp.ones((1, 1)), "where": jnp.ones((1, 4), bool), "weight": jnp.ones((1, 1))}


@pytest.mark.parametrize("name", FAMILY)
def test_what_is_additive_has_the_loss_over_the_corpus_as_its_expectation(name):
    """Exactly, by going through all samples; and what is not additive is off by more than rounding."""
    probability, given = every_sample(PROPOSAL)
    expected, exact = probability @ np.asarray(call(FAMILY[name], given)), call(FAMILY[name], the_corpus())[0]
    assert (abs(expected - exact) < 1e-5 * exact) == (name in ADDITIVE)
    assert name in ADDITIVE or abs(expected - exact) > 0.01


@pytest.mark.parametrize("name", ["softmax", "bsl"])
def test_the_partition_inside_the_logarithm_is_unbiased(name):
    probability, given = every_sample(PROPOSAL)
    own = np.exp(0.5) * (name == "softmax")
    partitions = np.exp(np.asarray(call(FAMILY[name], given)) + 0.5) - own
    np.testing.assert_allclose(probability @ partitions, np.exp(LOGITS).sum(), rtol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "bsl", "nce"])
def test_what_is_concave_in_the_weights_is_on_average_too_small(name):
    probability, given = every_sample(PROPOSAL)
    assert probability @ np.asarray(call(FAMILY[name], given)) < call(FAMILY[name], the_corpus())[0]


def test_where_logits_are_low_the_logistic_loss_has_the_gradient_of_the_softmax():
    """Of the one that has its positive among the negatives alone (`bsl`); to e⁻¹⁵ of it, and rounding.

    At the bias that is best for the row: then its negatives count as much as its positive.
    """
    given = example() | {"target": jnp.array([[1.0, 0.0]] * BATCH), "where": jnp.ones((BATCH, CANDIDATES), bool)}
    heavy = given | {"weight": given["weight"] * jnp.exp(15.0)}

    def gradient(function):
        return jax.grad(
            lambda logits: jnp.sum(function(given | dict(zip(("positive", "negative"), logits, strict=True))))
        )

    best = -jnp.log(jnp.sum(heavy["weight"] * jnp.exp(heavy["negative"]), axis=1, keepdims=True))
    logits = given["positive"], given["negative"]
    found = gradient(lambda one: call(losses.logistic, one | {"weight": heavy["weight"]}, bias=best))(logits)
    wanted = gradient(lambda one: call(losses.bsl, one))(logits)
    chex.assert_trees_all_close(found, wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("calibration", [0.0, 0.75, 1.0])
def test_gbce_under_uniform_draws_is_in_expectation_what_it_says(calibration):
    probability, given = every_sample(np.full(4, 1 / 4))
    rate = SAMPLE / len(LOGITS)
    wanted = (1 - calibration * (1 - rate)) * softplus(-0.5) + rate * softplus(LOGITS).sum()
    found = probability @ np.asarray(call(losses.gbce, given, calibration=calibration))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_gbce_over_the_corpus_is_logistic():
    np.testing.assert_allclose(call(losses.gbce, the_corpus()), call(losses.logistic, the_corpus()), rtol=1e-6)


def test_gbces_rate_is_that_of_the_negatives_that_count():
    """A masked accidental hit does not change alpha."""
    where = jnp.array([[True, False, True, True, False]] * BATCH)
    given = example() | {"weight": jnp.full((1, 1), 4.0), "where": where}
    sums = [np.sum(softplus(np.asarray(row))[[0, 2, 3]]) for row in given["negative"]]
    own = np.sum(np.asarray(given["target"]) * softplus(-np.asarray(given["positive"])), axis=1)
    found = call(losses.gbce, given, calibration=1.0)
    np.testing.assert_allclose(found, own / 4 + sums, rtol=1e-6)


def test_nce_with_both_sides_corrected_has_log_p_as_its_best_logits():
    """Its gradient over all positives (by p) and all negatives (by the proposal) is 0 at log p, to rounding: 1e-6."""
    p = np.array([0.5, 0.3, 0.15, 0.05])
    positive, negative = (jnp.asarray(one) for one in zip(*itertools.product(range(4), repeat=2), strict=True))
    probability = jnp.asarray(p[positive] * PROPOSAL[negative], jnp.float32)
    log_q = jnp.log(jnp.asarray(PROPOSAL, jnp.float32))  # one draw

    def expected(logits):
        one = jnp.ones((16, 1))
        corrected = (logits - log_q)[positive][:, None]
        log_weight = -log_q[negative][:, None]
        loss = losses.nce(corrected, logits[negative][:, None], target=one, where=one > 0, log_weight=log_weight)
        return probability @ loss

    slope = jax.jit(jax.grad(expected))
    np.testing.assert_allclose(slope(jnp.log(jnp.asarray(p, jnp.float32))), 0.0, atol=1e-6)
    assert np.abs(slope(jnp.zeros(4))).max() > 0.01


def test_warp_steps_as_wsabie_does_on_average():
    """Over the corpus: WSABIE steps for one of the violating items, all as likely, times the rank's harmonic sum."""
    given = the_corpus()
    cost = 1.0 + LOGITS - 0.5
    violating = cost > 0
    step = np.where(violating, sum(1 / n for n in range(1, violating.sum() + 1)) / violating.sum(), 0.0)
    gradient = jax.grad(lambda negative: call(losses.warp, given | {"negative": negative})[0])(given["negative"])
    np.testing.assert_allclose(gradient[0], step, rtol=1e-6)


def test_bsl_averages_positives_inside_the_logarithm():
    """With one positive this is a softmax without the positive in its denominator."""
    given = example() | {"target": jnp.array([[1.0, 0.0]] * BATCH), "where": jnp.ones((BATCH, CANDIDATES), bool)}
    partition = jax.nn.logsumexp(given["negative"], b=given["weight"], axis=1)
    np.testing.assert_allclose(call(losses.bsl, given), partition - given["positive"][:, 0], rtol=1e-5)
    alike = given | {"positive": jnp.ones((BATCH, 2)), "target": jnp.array([[0.25, 0.75]] * BATCH)}
    np.testing.assert_allclose(call(losses.bsl, alike), partition - 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", sorted({name for name, _, _ in TUNED} | {"nce"}))
def test_a_loss_trains_and_each_of_its_knobs_reaches_the_program(build, knobs, name, config, split):
    own = {"model__name": "mf", "model__scale": "1.0", "sampler__name": "uniform", "objective__loss": name}
    correction = {"objective__correction": "all"} if name == "nce" else {}
    config, advance, state, data = build(config, split, **own, **correction)
    run, base = jax.jit(advance), knobs(config)
    after, metrics = run(base, jax.random.key(0), state, data)
    chex.assert_tree_all_finite((after.params, metrics))
    read = [f"objective.{one}" for one in fields.tunables(FAMILY[name])]
    for knob in [*read, "objective.temperature", *["objective.unobserved_weight"] * (name != "bsl")]:
        changed = run(base | {knob: base[knob] * 0.5 + 0.1}, jax.random.key(0), state, data)[0]
        assert not np.array_equal(changed.params.tables["item"], after.params.tables["item"]), knob


def test_a_softmax_stays_itself_so_that_large_corpora_take_the_short_way(config, split):
    found = train.parts(config, split.train)
    assert (found.loss, found.tunables) == (losses.softmax, ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"objective.margin": "2.0"},
            "objective.margin is 2.0, which objective.loss='softmax' does not read; leave it out, or type "
            "--config.objective.margin=1.0",
        ),
        ({"objective.loss": "hinge", "objective.ratio": "2"}, "objective.ratio is 2.0, which objective.loss='hinge'"),
        ({"objective.loss": "warp", "sampler.name": "none"}, "so nothing would be learned"),
        ({"objective.loss": "bsl", "sampler.name": "none"}, "so nothing would be learned"),
        ({"objective.loss": "bsl", "objective.correction": "all"}, "which only softmax and nce allow"),
        ({"objective.loss": "bsl", "objective.unobserved_weight": "2"}, "objective.unobserved_weight is 2.0, which"),
        ({"objective.loss": "builtins:max"}, "does not tell its parameters"),
    ],
)
def test_what_a_loss_does_not_read_is_refused(changes, message, config, split):
    with pytest.raises(InputError, match=message):
        train.parts(fields.override(config, changes), split.train)


def test_calibration_is_at_most_1():
    with pytest.raises(InputError, match=r"is 1\.5; wanted a value at most 1\.0"):
        fields.check(configs.Objective(calibration=1.5), "objective.")


def test_a_users_own_loss_names_our_tunables_or_keeps_its_own(config, split, tmp_path, monkeypatch):
    (tmp_path / "losses_of_mine.py").write_text(
        "def far(positive, negative, *, target, where, log_weight, margin=9.0, steepness=3.0):\n    return margin\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    given = fields.override(config, {"objective.loss": "losses_of_mine:far", "objective.margin": "2.0"})
    assert train.parts(given, split.train).tunables == ("margin",)
