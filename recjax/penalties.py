"""Penalties, added to the mean loss. Each factory takes its weight, a knob, and `Settings`; it gives a `types.Penalty`.

Gravity, weight · Σ_ij share_i share_j (<u_i, v_j> - p_ij)², visits no pair: it is the inner product of the two sides'
Gramians. A prior p_ij = <a_i, b_j> is part of them, as <u, v> - <a, b> is <(u, a), (v, -b)>.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from recjax import configs, fields, folding, gramians
from recjax.errors import InputError
from recjax.types import Batch, Data, Dataset, Embedded, Params, Penalty


class Settings(NamedTuple):
    """Of gravity; the other penalties have none.

    Attributes:
        pairs: whose mean it is. "all": every query and every item once. "examples": of training examples, so that both
            count as often as they are seen. "corpus": queries as often as they are seen, every item once.
            Rows that no training example has do not count where Gramians come from batches.
        estimate: of the Gramians. "exact": whole tables. "batch", "sogram", "sagram": `gramians.batch`, `.running`,
            `.cached`, for any towers.
        tables: "exact": the sides whose embeddings are the rows of the table of that name. Of a query tower it takes
            the batch's Gramian, which keeps value and gradient unbiased, as the items' does not depend on the batch.
        dimension: D, which "sogram" and "sagram" must know.
        alpha: of sogram.
        beta: of sagram.
        prior: factors a [M R] and b [N R].
    """

    pairs: str = "all"
    estimate: str = "exact"
    tables: tuple[str, ...] = ("query", "item")
    dimension: int = 0
    alpha: float | Array = 0.1
    beta: float | Array = 1.0
    prior: tuple[Any, Any] | None = None


def settings(config: configs.Config, dataset: Dataset) -> Settings:
    """What gravity needs beside its weight, of a model whose named sides are tables.

    Raises:
        InputError: settings that nothing reads, another score than the dot product, or no item table to read.
    """
    own, name = config.gravity, config.model.name
    refuse_unread(config)
    if not config.penalties.gravity:
        return Settings()
    if config.objective.score != "dot":
        raise InputError(
            f"penalties.gravity is the mean of squared dot products and objective.score={config.objective.score!r}; "
            "type --config.penalties.gravity=0 or --config.objective.score=dot"
        )
    sides = {"mf": ("query", "item"), "softmax_dnn": ("item",)}.get(name, ())
    if own.estimate == "exact" and "item" not in sides:
        raise InputError(
            f"gravity.estimate='exact' reads the table of all items, but model.name={name!r} has a net instead; "
            "type --config.gravity.estimate=sogram"
        )
    return Settings(
        pairs=own.pairs,
        estimate=own.estimate,
        tables=sides,
        dimension=config.model.dimension,
        prior=folding.factors(dataset, own.rank) if own.rank else None,
    )


def refuse_unread(config: configs.Config) -> None:
    """Refuses settings of gravity that nothing reads.

    Raises:
        InputError: such a setting is not its default.
    """
    if not config.penalties.gravity:
        fields.refuse_unread(config, configs.Config(), ["gravity"], "penalties.gravity=0")
    estimate = config.gravity.estimate
    unread = [f"gravity.{knob}" for knob, of in (("alpha", "sogram"), ("beta", "sagram")) if estimate != of]
    fields.refuse_unread(config, configs.Config(), unread, f"gravity.estimate={estimate!r}")


class Side(NamedTuple):
    """What gravity keeps of the queries, or of the items."""

    share: Float[Array, " N"]  # of a row in the mean: they sum to 1
    weight: Float[Array, " N"]  # the share over the expected count in an example
    prior: Float[Array, "N R"]
    estimate: Any  # the state of `gramians.Estimate`


def gravity(weight: float | Array, settings: Settings) -> Penalty:
    """Weight · Σ_ij share_i share_j (<u_i, v_j> - p_ij)²: what all pairs score, or how far they are from a prior.

    The value is weight <Ĝ_u, Ĝ_v>, and the gradient that of weight (<G_u, Ĝ_v> + <Ĝ_u, G_v>) with the estimates Ĝ held
    constant and G those of the batch: exact where the estimates are. O((B + rows of whole tables) (D + R)²) a step.
    Source: Krichene et al. 2019, equation 3 and its extension to a low-rank prior. All pairs, exact: the "gravity" of
    Google's course, and the unobserved part of iALS.

    Raises:
        InputError: the dimension is missing.
    """
    if settings.estimate in ("sogram", "sagram") and not settings.dimension:
        raise InputError(
            f"estimate={settings.estimate!r} keeps Gramians and Settings.dimension is 0; "
            "type dimension=D, that of the embeddings"
        )
    estimate = {
        "exact": gramians.batch(),  # of a side that is no table
        "batch": gramians.batch(),
        "sogram": gramians.running(settings.alpha),
        "sagram": gramians.cached(settings.beta),
    }[settings.estimate]
    tables = settings.tables if settings.estimate == "exact" else ()

    def init(data: Data, params: Params | None) -> dict[str, Side]:
        queries = jnp.diff(data.offsets) / len(data.interactions.query)
        counts = {"query": queries, "item": data.frequency}
        found = {}
        for name, count in counts.items():
            once = settings.pairs == "all" or (settings.pairs == "corpus" and name == "item")
            counted = jnp.ones_like(count) if once and name in tables else (count > 0).astype(count.dtype)
            share = counted / jnp.sum(counted) if once else count / jnp.sum(count)
            prior = jnp.zeros((len(count), 0))
            if settings.prior is not None:
                prior = jnp.asarray(settings.prior[0] if name == "query" else -settings.prior[1], jnp.float32)
            state = estimate.init(len(count), settings.dimension + prior.shape[1])
            found[name] = Side(share, share / jnp.where(count > 0, count, 1.0), prior, state)
        return found

    def apply(state: dict[str, Side], params: Params, embedded: Embedded, batch: Batch):
        queries, items, exists = embedded.queries, embedded.positives, batch.target > 0
        given = {
            "query": (queries, batch.features["query"], jnp.ones(len(queries), bool)),
            "item": (items.reshape(-1, items.shape[-1]), batch.positive.reshape(-1), exists.reshape(-1)),
        }
        rows, found, new = {}, {}, {}
        for name, side in state.items():
            if name in tables:
                rows[name] = jnp.concatenate([params.tables[name], side.prior], axis=1), side.share
                found[name], new[name] = gramians.moment(*jax.lax.stop_gradient(rows[name])), side
            else:
                seen = _seen(side, *given[name], examples=len(queries))
                rows[name] = seen.embeddings, seen.weight
                found[name], kept = estimate.update(side.estimate, jax.lax.stop_gradient(seen))
                new[name] = side._replace(estimate=kept)
        value = jnp.sum(found["query"] * found["item"])
        for name, other in (("query", "item"), ("item", "query")):
            value += _with_gradient(*rows[name], found[other])
        return weight * value, new

    return Penalty(init, apply, whole=bool(tables))


def _with_gradient(embeddings: Float[Array, "R D"], weight: Float[Array, " R"], other: Float[Array, "D D"]) -> Array:
    """0, with the gradient of Σ_r weight_r x_rᵀ other x_r: at the price of one product of matrices."""
    pull = jax.lax.stop_gradient(2 * weight[:, None] * (embeddings @ other))
    return jnp.sum(pull * (embeddings - jax.lax.stop_gradient(embeddings)))


def _seen(
    side: Side, embeddings: Float[Array, "R D"], ids: Int[Array, " R"], exists: Array, *, examples: int
) -> gramians.Seen:
    return gramians.Seen(
        jnp.concatenate([embeddings, side.prior[ids]], axis=1),
        jnp.where(exists, ids, len(side.share)),
        jnp.where(exists, side.weight[ids] / examples, 0.0),
        side.share[ids],
    )


def l2(weight: float | Array, settings: Settings) -> Penalty:
    """Weight · sum over the tables of their rows' mean squared norm. Nets are left to optax's weight decay."""

    def apply(state, params: Params, embedded, batch):
        return weight * sum(jnp.mean(_square(rows)) for rows in params.tables.values()), state

    return Penalty(_nothing, apply, whole=True)


def query_l2(weight: float | Array, settings: Settings) -> Penalty:
    """Weight · mean |u|² over the batch's queries, from any tower: a query counts as often as it is seen.

    Source, of this and the next two: Rendle et al. 2009 (Bayesian personalized ranking), section 4, whose updates
    regularize what they touch. There a triple has one weight for all three.
    """

    def apply(state, params, embedded: Embedded, batch):
        return weight * jnp.mean(_square(embedded.queries)), state

    return Penalty(_nothing, apply)


def positive_l2(weight: float | Array, settings: Settings) -> Penalty:
    """Weight · mean |v|² over the batch's positives, from any tower."""

    def apply(state, params, embedded: Embedded, batch: Batch):
        return weight * _mean(_square(embedded.positives), batch.target > 0), state

    return Penalty(_nothing, apply)


def negative_l2(weight: float | Array, settings: Settings) -> Penalty:
    """Weight · mean |v|² over the pairs of a query and a negative, as often as they are drawn and unmasked.

    Raises:
        InputError: a step has no negatives, as with positives alone or the softmax over a large corpus.
    """

    def apply(state, params, embedded: Embedded, batch: Batch):
        rows, where = embedded.negatives, embedded.where
        if rows is None or where is None or not rows.shape[-2]:
            raise InputError(
                "penalties.negative_l2 is of the negatives of a step, and here it has none; type "
                "--config.penalties.negative_l2=0, or --config.penalties.l2 for whole tables"
            )
        where = jnp.broadcast_to(where, (len(embedded.queries), rows.shape[-2]))
        # Whom the batch shares is counted first, so that no [B C] is differentiated.
        return weight * _mean(_square(rows), jnp.sum(where, axis=0) if rows.ndim == 2 else where), state

    return Penalty(_nothing, apply)


def _square(rows: Float[Array, "*B D"]) -> Float[Array, "*B"]:
    return jnp.sum(rows**2, axis=-1)


def _mean(value: Array, count: Array) -> Array:
    return jnp.sum(jnp.where(count > 0, count * value, 0.0)) / jnp.maximum(jnp.sum(count), 1)


def _nothing(data: Data, params: Params | None) -> tuple[()]:
    return ()
