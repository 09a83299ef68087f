"""Scores of items for queries. One signature: items [C D] are shared by the batch, [B C D] belong to a row."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recjax import linalg


def dot(queries: Float[Array, "B D"], items: Float[Array, "C D"] | Float[Array, "B C D"]) -> Float[Array, "B C"]:
    """Score = <query, item>.

    >>> dot(jnp.array([[1.0, 2.0]]), jnp.array([[3.0, 4.0], [0.0, 1.0]])).tolist()
    [[11.0, 2.0]]
    """
    if items.ndim == 2:
        return _product(queries, items)
    return jnp.einsum("bd,bcd->bc", queries, items)


def cosine(queries: Float[Array, "B D"], items: Float[Array, "C D"] | Float[Array, "B C D"]) -> Float[Array, "B C"]:
    """Score = <query, item> / (|query| |item|); 0 where a norm is 0.

    >>> cosine(jnp.array([[0.0, 2.0]]), jnp.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.800000011920929, 0.0]]
    """
    return dot(linalg.unit(queries), linalg.unit(items))


@jax.custom_vjp
def _product(queries: Float[Array, "B D"], items: Float[Array, "C D"]) -> Float[Array, "B C"]:
    """<query, item>, with a gradient of the items that XLA's CPU computes in a quarter of the time."""
    return queries @ items.T


def _product_forward(queries, items):
    return _product(queries, items), (queries, items)


def _product_backward(kept, cotangent):
    queries, items = kept
    # Without the barriers XLA would turn this back into cotangentᵀ queries, a product over two leading axes.
    of_items = jax.lax.optimization_barrier(jax.lax.optimization_barrier(queries.T) @ cotangent).T
    return (cotangent @ items).astype(queries.dtype), of_items.astype(items.dtype)


_product.defvjp(_product_forward, _product_backward)
