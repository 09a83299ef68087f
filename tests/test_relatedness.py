"""Both ways to say how related a pair is, beside each other and beside the truth of the world."""

import dataclasses

import numpy as np
import pytest

from recjax import configs, relatedness
from recjax.errors import InputError

RANK = configs.Evaluate(rank=6)


@pytest.fixture(scope="module")
def related(split):
    found = {name: relatedness.resolve(dataclasses.replace(RANK, related=name)) for name in ("svd", "wals")}
    return {name: np.matmul(left, right.T) for name, one in found.items() for left, right in [one(split.train, RANK)]}


@pytest.mark.parametrize("name", ["svd", "wals"])
def test_relatedness_knows_the_groups_of_the_world(name, related, split):
    groups, (query, item, _, _) = split.train.groups, split.train.interactions
    cross = groups.query[:, None] != groups.item
    own = np.mean(related[name][~cross])
    assert own > 10 * abs(np.mean(related[name][cross]))
    assert np.mean(related[name][query, item]) > 1.5 * own


def test_both_say_much_the_same(related):
    assert np.corrcoef(related["svd"].reshape(-1), related["wals"].reshape(-1))[0, 1] > 0.9


def test_an_unknown_relatedness_is_refused():
    with pytest.raises(InputError, match="unknown relatedness 'svdd'; did you mean 'svd'"):
        relatedness.resolve(configs.Evaluate(related="svdd"))
