"""How similar items are by who met them, as a matrix [N N]: item-based nearest neighbours, and EASE. Numpy and scipy.

A query's score of an item is the sum over what the query has met of the similarity: column i is what speaks for item i.
"""

import numpy as np
import scipy.sparse

from recjax import interactions
from recjax.errors import InputError
from recjax.types import Dataset

MOST = 50_000  # items: the matrix then has 10 GB


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


def nearest(known: Dataset, neighbors: int, shrinkage: float = 0.0, discount: float = 0.0) -> np.ndarray:
    """[N N]: the cosine of two items' queries, for each column the largest `neighbors` of it; equal ones by id.

    Of items i and j it is together_ij / (sqrt(together_ii together_jj) + h) with together_ij = sum over the queries
    that met both of 1 / #^β.

    Args:
        shrinkage: h, which takes weight from what few queries met.
        discount: β of a query's number # of items: 1 weighs queries as if their rows had length 1.

    Raises:
        InputError: more than 50,000 items.

    Source: Sarwar et al. 2001; Deshpande and Karypis 2004 (β = 1); Bell and Koren 2007 (h).
    """
    together = _together(known, discount).tocsr()
    norm = np.sqrt(np.where(together.diagonal() > 0, together.diagonal(), 1.0))
    found = np.zeros(together.shape, np.float32)
    for item, (start, stop) in enumerate(zip(together.indptr[:-1], together.indptr[1:], strict=True)):
        others, count = together.indices[start:stop], together.data[start:stop]
        others, count = others[others != item], count[others != item]
        cosine = count / (norm[others] * norm[item] + shrinkage)
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
    found = _together(known).toarray()
    found[np.diag_indices_from(found)] += regularization
    try:
        _invert(found)
    except np.linalg.LinAlgError:
        raise InputError(
            f"baselines.regularization is {regularization}, and EASE's system is singular; wanted a larger one"
        ) from None
    found /= -np.diag(found).copy()
    found[np.diag_indices_from(found)] = 0.0
    return found


def _invert(matrix: np.ndarray, size: int = 1024) -> None:
    """Inverts a symmetric positive definite matrix [N N] in place, as it may be most of the memory.

    N³ flops: the sweep operator on `size` columns at a time, in the lower triangle. LAPACK's own inverse in place
    (spotrf of scipy 1.17 with OpenBLAS) ends in a segmentation fault at N = 41,000.

    Raises:
        LinAlgError: it is not positive definite in its precision.

    Source: Goodnight 1979 (a tutorial on the sweep operator).
    """
    rows = len(matrix)
    blocks = [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
    for own in blocks:
        pivot = np.tril(matrix[own, own]).astype(np.float64)
        pivot += np.tril(pivot, -1).T
        np.linalg.cholesky(pivot)  # refuses what is not positive definite
        inverse = np.linalg.inv(pivot).astype(matrix.dtype)
        column = np.concatenate([matrix[own, : own.start].T, matrix[own.start :, own]])
        gain = column @ inverse
        for other in blocks:  # its own rows and columns are set below
            matrix[other, : other.stop] -= gain[other] @ column[: other.stop].T
        matrix[own, : own.start] = gain[: own.start].T
        matrix[own.stop :, own] = gain[own.stop :]
        matrix[own, own] = -inverse
    for own in blocks:  # what was swept everywhere is the negative inverse
        matrix[own, : own.stop] *= -1.0
        matrix[own, own.stop :] = -matrix[own.stop :, own].T


def _together(known: Dataset, discount: float = 0.0) -> scipy.sparse.csr_array:
    """[N N]: how many queries have met both items, each counted as 1 / #^discount."""
    require(len(known.vocabularies["item"]))
    met = interactions.met(known)
    share = np.maximum(np.diff(met.tocsr().indptr), 1.0) ** -discount
    return met.T.tocsr() @ scipy.sparse.diags_array(share.astype(np.float32)) @ met
