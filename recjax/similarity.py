"""How similar items are by who met them, as a matrix [N N]: item-based nearest neighbours, and EASE. Numpy and scipy.

A query's score of an item is the sum over what the query has met of the similarity: column i is what speaks for item i.
"""

import numpy as np
import scipy.linalg
import scipy.sparse

from recjax import interactions
from recjax.errors import InputError
from recjax.types import Dataset

MOST = 50_000  # items: the matrix then has 10 GB
_BLOCK = 4096  # rows that are copied at once


def require(items: int) -> None:
    """Refuses more items than such a matrix is made for.

    Raises:
        InputError: more than 50,000.
    """
    if items > MOST:
        raise InputError(
            f"item_knn and ease keep a number a pair of items, and there are {items:,}; wanted {MOST:,} at most: "
            "leave them out of --config.baselines.names"
        )


def nearest(known: Dataset, neighbors: int) -> np.ndarray:
    """[N N]: the cosine of two items' queries, for each column the largest `neighbors` of it; equal ones by id.

    Raises:
        InputError: more than 50,000 items.

    Source: Sarwar et al. 2001; Deshpande and Karypis 2004.
    """
    together = _together(known).tocsr()
    norm = np.sqrt(np.maximum(together.diagonal(), 1.0))
    found = np.zeros(together.shape, np.float32)
    for item, (start, stop) in enumerate(zip(together.indptr[:-1], together.indptr[1:], strict=True)):
        others, count = together.indices[start:stop], together.data[start:stop]
        others, count = others[others != item], count[others != item]
        cosine = count / (norm[others] * norm[item])
        best = np.lexsort((others, -cosine))[:neighbors]
        found[others[best], item] = cosine[best]
    return found


def ease(known: Dataset, regularization: float) -> np.ndarray:
    """[N N]: the linear model of the interactions by themselves that may not use the item itself, in closed form.

    With P = (XᵀX + λ I)⁻¹ it is -P / diag(P) by columns, and 0 on the diagonal.

    Raises:
        InputError: more than 50,000 items.

    Source: Steck 2019 (embarrassingly shallow autoencoders), equation 8.
    """
    found = _together(known).toarray(order="F")
    found[np.diag_indices_from(found)] += regularization
    # In place: the matrix may be most of the memory.
    factor, info = scipy.linalg.lapack.spotrf(found, lower=1, overwrite_a=1)
    if not info:
        found, info = scipy.linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
    if info:
        raise InputError(
            f"baselines.regularization is {regularization}, and EASE's system is singular; wanted a larger one"
        )
    for start in range(0, len(found), _BLOCK):  # the other triangle
        stop = min(start + _BLOCK, len(found))
        found[start:stop, stop:] = found[stop:, start:stop].T
        own = np.tril(found[start:stop, start:stop])
        found[start:stop, start:stop] = own + np.tril(own, -1).T
    found /= -np.diag(found)[:, None].copy()
    found[np.diag_indices_from(found)] = 0.0
    return found.T  # whose rows lie in memory one after another


def _together(known: Dataset) -> scipy.sparse.csr_array:
    """[N N]: how many queries have met both items."""
    require(len(known.vocabularies["item"]))
    met = interactions.met(known)
    return met.T.tocsr() @ met
