"""Penalties, added to the mean loss. Each factory takes its weight (a knob) and gives a `types.Penalty`."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from recjax import linalg
from recjax.types import Batch, Data, Params, Penalty


def gravity(weight: float | Array) -> Penalty:
    """Weight · mean of <u, v>² over *all* pairs of a query and an item, for a model of two tables.

    = weight <UᵀU / M, VᵀV / N>; every query and every item counts once. O((M + N) D²) a step.
    Source: Google's course on recommendation systems, matrix factorization exercise (its "gravity" term).
    """

    def apply(state, params: Params, queries, items, batch):
        u, v = params.tables["query"], params.tables["item"]
        return weight * jnp.sum(linalg.gramian(u) * linalg.gramian(v)), state

    return Penalty(_nothing, apply, whole=True)


def corpus_gravity(weight: float | Array) -> Penalty:
    """The weighted mean of <u, v>² over the pairs of a batch query and *any* item, for an item tower that is a table.

    = weight <mean of u uᵀ over the batch, VᵀV / N>: every item counts once, queries count by how often they are seen.
    O((B + N) D²) a step. Up to the factor N it is what squared uniform negatives estimate.
    Source: Krichene et al. 2019, equation 3, with other weights of the items.
    """

    def apply(state, params: Params, queries: Float[Array, "B D"], items, batch):
        return weight * jnp.sum(linalg.gramian(queries) * linalg.gramian(params.tables["item"])), state

    return Penalty(_nothing, apply, whole=True)


def batch_gravity(weight: float | Array) -> Penalty:
    """Weight · mean of <u, v>² over the pairs of a batch query and a batch positive, for any towers.

    An estimate of the mean over pairs of *training examples*: queries and items count by how often they are seen.
    The pairs of an example with its own positive are among the B², so its bias is O(1 / B).
    Source: Krichene et al. 2019, equation 3, with the Gramians of one batch.
    """

    def apply(state, params: Params, queries: Float[Array, "B D"], items: Float[Array, "B P D"], batch: Batch):
        rows = items.reshape(-1, items.shape[-1])
        exists = (batch.target > 0).reshape(-1).astype(rows.dtype)
        return weight * jnp.sum(linalg.gramian(queries) * linalg.gramian(rows, exists)), state

    return Penalty(_nothing, apply)


def l2(weight: float | Array) -> Penalty:
    """Weight · sum over the tables of their rows' mean squared norm. Nets are left to optax's weight decay."""

    def apply(state, params: Params, queries, items, batch):
        return weight * sum(jnp.mean(jnp.sum(rows**2, axis=-1)) for rows in params.tables.values()), state

    return Penalty(_nothing, apply, whole=True)


def batch_l2(weight: float | Array) -> Penalty:
    """Weight · (mean |u|² over the batch's queries + mean |v|² over its positives), for any towers.

    Rows count by how often they are seen, and those that the batch does not touch stay as they are.
    Source: Rendle et al. 2009 (Bayesian personalized ranking), section 4, whose updates regularize what they touch.
    """

    def apply(state, params: Params, queries: Float[Array, "B D"], items: Float[Array, "B P D"], batch: Batch):
        exists = (batch.target > 0).astype(items.dtype)
        positives = jnp.sum(exists * jnp.sum(items**2, axis=-1)) / jnp.sum(exists)
        return weight * (jnp.mean(jnp.sum(queries**2, axis=-1)) + positives), state

    return Penalty(_nothing, apply)


def _nothing(data: Data, params: Params | None) -> tuple[()]:
    return ()
