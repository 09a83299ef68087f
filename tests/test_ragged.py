"""Every entry is in exactly one cell of its row's list, in few shapes that pad as little as they can."""

import itertools

import numpy as np
import pytest

from recjax import ragged


def zipf(most, rows):
    return most // (1 + np.arange(rows))


# name: (the lengths of the rows' lists, settings of `pack`)
CASES = {
    "two sides": (np.random.default_rng(0).integers(0, 40, 60), {"sides": (25, 35)}),
    "three sides": (np.random.default_rng(1).integers(0, 9, 30), {"sides": (4, 1, 25)}),
    "one list": ([7], {"sides": (1,)}),
    "one entry": ([1], {"sides": (1,)}),
    "empty rows": ([0, 0, 5, 0], {"sides": (4,)}),
    "a side without lists": ([0, 0, 3, 4, 0], {"sides": (2, 3)}),
    "a side without rows": ([2, 3], {"sides": (0, 2, 0)}),
    "one length": ([6] * 11, {"sides": (5, 6)}),
    "a list longer than the chunk": ([3, 1, 70, 0, 2, 16, 17], {"sides": (3, 4), "chunk": 16}),
    "a list as long as the chunk": ([16, 32], {"sides": (2,), "chunk": 16}),
    "one shape": (zipf(50, 30), {"sides": (10, 20), "shapes": 1}),
    "three shapes": (zipf(300, 60), {"sides": (60,), "shapes": 3, "chunk": 64}),
    "batches of one list": (zipf(40, 20), {"sides": (9, 11), "batch": lambda length: 1}),
    "a batch of no list is one of one": (zipf(40, 20), {"sides": (9, 11), "batch": lambda length: 16 // length}),
}


def entries(lengths, seed=0):
    """Entries in random order; the values tell them apart, pairs repeat."""
    rng = np.random.default_rng(seed)
    row = rng.permutation(np.repeat(np.arange(len(lengths)), lengths))
    return row, rng.integers(0, 5, len(row)), rng.permutation(len(row)) + 1.0, rng.uniform(0.5, 2.0, len(row))


def packed(name, **changes):
    lengths, settings = CASES[name]
    given = entries(lengths)
    settings = {"batch": lambda length: 4} | settings | changes
    return np.asarray(lengths), given, settings, ragged.pack(*given, **settings)


@pytest.mark.parametrize("name", CASES)
def test_every_entry_is_in_exactly_one_cell_of_its_rows_list(name):
    _, given, _, found = packed(name)
    cells, placed = [], 0
    for bucket in found.buckets:
        batches, size, length = bucket.ids.shape
        row = np.repeat(found.row[placed : placed + batches * size], length)
        held = np.reshape(bucket.weight, -1) > 0
        parts = [np.reshape(part, -1) for part in (bucket.ids, bucket.value, bucket.weight)]
        cells += zip(row[held], *(part[held] for part in parts), strict=True)
        assert not any(part[~held].any() for part in parts)
        placed += batches * size
    assert placed == len(found.row) == len(found.count)
    row, ids, value, weight = given
    wanted = zip(row, ids, value, weight.astype(np.float32), strict=True)
    assert sorted(cells) == sorted(wanted)


@pytest.mark.parametrize("name", CASES)
def test_slot_and_row_are_inverse_and_count_is_the_lists_length(name):
    lengths, _, _, found = packed(name)
    np.testing.assert_array_equal(found.slot >= 0, lengths > 0)
    held = np.flatnonzero(lengths)
    np.testing.assert_array_equal(found.row[found.slot[held]], held)
    np.testing.assert_array_equal(np.sort(found.row[found.row >= 0]), held)
    np.testing.assert_array_equal(found.count, np.where(found.row < 0, 0, lengths[found.row]))
    parts = [np.count_nonzero(bucket.weight, axis=2).reshape(-1) for bucket in found.buckets]
    np.testing.assert_array_equal(found.count, np.concatenate(parts))


@pytest.mark.parametrize("name", CASES)
def test_a_batch_has_rows_of_one_side_and_until_cuts_the_sides(name):
    _, _, settings, found = packed(name)
    side, placed = np.repeat(np.arange(len(settings["sides"])), settings["sides"]), 0
    for bucket in found.buckets:
        batches, size, _ = bucket.ids.shape
        rows = found.row[placed : placed + batches * size].reshape(batches, size)
        until = [0, *bucket.until.tolist()]
        assert until[-1] == batches
        for one, (begin, end) in enumerate(itertools.pairwise(until)):
            inside = rows[begin:end]
            assert (inside >= 0).any(axis=1).all()  # no batch is empty
            assert (side[inside[inside >= 0]] == one).all()
        placed += batches * size


@pytest.mark.parametrize("name", CASES)
def test_shapes_are_few_and_within_their_limits(name):
    lengths, _, settings, found = packed(name)
    shapes = [bucket.ids.shape for bucket in found.buckets]
    chunk = settings.get("chunk", ragged.CHUNK)
    assert len(shapes) <= settings.get("shapes", 8)
    assert [length for *_, length in shapes] == sorted({length for *_, length in shapes})
    assert shapes[-1][2] >= lengths.max()
    for _, size, length in shapes:
        assert length <= chunk or length % chunk == 0
        assert 1 <= size <= max(settings["batch"](length), 1)


def test_a_list_is_in_the_shortest_shape_that_holds_it():
    _, _, _, found = packed("three shapes")
    shorter, placed = 0, 0
    for bucket in found.buckets:
        batches, size, length = bucket.ids.shape
        count = found.count[placed : placed + batches * size]
        assert ((count == 0) | ((count > shorter) & (count <= length))).all()
        shorter, placed = length, placed + batches * size


def fewest(lengths, shapes):
    """The fewest cells of all choices of at most `shapes` lengths, multiples of 4, to which lists are rounded up."""
    counts = np.asarray(lengths)[np.asarray(lengths) > 0]
    longest = -(-counts.max() // 4) * 4
    choices = (
        np.array([*chosen, longest])
        for number in range(shapes)
        for chosen in itertools.combinations(range(4, longest, 4), number)
    )
    return min(chosen[np.searchsorted(chosen, counts)].sum() for chosen in choices)


SMALL = {
    "zipf": zipf(80, 60),
    "uniform": np.random.default_rng(2).integers(0, 70, 50),
    "two lengths": [5] * 9 + [60] * 2,
    "one length": [9] * 3,
    "one list": [33],
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shapes", [1, 2, 3, 4])
def test_the_lengths_pad_least_of_all_choices(name, shapes):
    """Up to 80 cells every multiple of 4 may be chosen; above, lengths are 5 % apart."""
    given = entries(SMALL[name])
    found = ragged.pack(*given, sides=[len(SMALL[name])], batch=lambda length: 1, shapes=shapes)
    assert sum(bucket.ids.size for bucket in found.buckets) == fewest(SMALL[name], shapes)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("worth", [0, 30, 100, 10**6])
def test_a_further_shape_is_taken_where_it_saves_more_than_it_must(name, worth):
    cells = [fewest(SMALL[name], shapes) for shapes in range(1, 5)]
    wanted = next((shapes for shapes in range(1, 4) if cells[shapes - 1] - cells[shapes] <= worth), 4)
    given = entries(SMALL[name])
    found = ragged.pack(*given, sides=[len(SMALL[name])], batch=lambda length: 1, shapes=4, worth=worth)
    assert len(found.buckets) == wanted
    assert sum(bucket.ids.size for bucket in found.buckets) == cells[wanted - 1]


def test_the_padding_of_lists_of_zipfs_law():
    """Lists of 80, 40, 26, ... entries, 348 in all: 44 lists of up to 4, 8 of 8, 6 of 28 and 2 of 80 cells."""
    lengths = zipf(80, 60)
    found = ragged.pack(*entries(lengths), sides=[60], batch=lambda length: 1, shapes=4)
    assert [bucket.ids.shape for bucket in found.buckets] == [(44, 1, 4), (8, 1, 8), (6, 1, 28), (2, 1, 80)]
    assert ragged.padding(found) == fewest(lengths, 4) / 348 == (44 * 4 + 8 * 8 + 6 * 28 + 2 * 80) / 348


def test_a_list_as_long_as_the_chunk_needs_no_second_chunk():
    lengths = [ragged.CHUNK, ragged.CHUNK + 1]
    found = ragged.pack(*entries(lengths), sides=[2], batch=lambda length: 1)
    assert [bucket.ids.shape for bucket in found.buckets] == [(1, 1, ragged.CHUNK), (1, 1, 2 * ragged.CHUNK)]


def test_a_chunk_need_not_be_a_multiple_of_4():
    found = ragged.pack(*entries([9, 2, 15]), sides=[3], batch=lambda length: 1, chunk=10)
    assert all(length <= 10 or length % 10 == 0 for *_, length in (bucket.ids.shape for bucket in found.buckets))
    found = ragged.pack(*entries([9, 2]), sides=[2], batch=lambda length: 1, chunk=10)
    assert all(length <= 10 or length % 10 == 0 for *_, length in (bucket.ids.shape for bucket in found.buckets))
