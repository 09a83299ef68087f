"""Several data sets as one: a disjoint union whose groups are the parts, and times of one span."""

import importlib
import pathlib

import numpy as np
import pytest

from recjax import configs, datasets, splits
from recjax.errors import InputError
from recjax.types import Dataset, Interactions

merging = importlib.import_module("recjax.datasets.merged")  # the package gives this name to the function
SHARED = pathlib.Path(__file__).parents[1].parent / "shared" / "data"
WORLD = configs.World(queries=120, items=120, groups=3, interactions=12)
TIMES = {"ml-100k": [3, 5, 5, 13], "other": [1000, 1040, 1020, 1010]}


def small(settings, time=True):
    """A part: two queries, three items, raw ids that the other part has too, and a side feature."""
    name = pathlib.Path(settings.path).name
    times = np.array(TIMES[name]) if time else None
    rows = np.array([0, 0, 1, 1], np.int32), np.array([0, 2, 1, 0], np.int32), np.full(4, 2.0, np.float32)
    if time and name == "other":
        times = np.sort(times)
    features = {"query": np.arange(2, dtype=np.int32), "age": np.array([0, 0], np.int32)}
    vocabularies = {"query": np.array([10, 20]), "item": np.array(["a", "b", "c"]), "age": np.array(["old"])}
    corpus = {"item": np.arange(3, dtype=np.int32)}
    return Dataset(Interactions(*rows, times), features, corpus, vocabularies, None, settings.repeats)


def timeless(settings):
    return small(settings, time=False)


def broken(settings):
    raise InputError(f"{settings.path}/file has no rows; wanted at least one")


PARTS = (f"{__name__}:small=ml-100k", f"{__name__}:small=sub/other")


def merge(*parts, path="data", **settings):
    return datasets.merged(configs.Data(name="merged", path=path, parts=parts or PARTS, world=WORLD, **settings))


def test_queries_and_items_stand_beside_each_other():
    found = merge()
    assert found.interactions.query.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert found.interactions.item.tolist() == [0, 2, 1, 0, 3, 5, 4, 3]
    assert found.interactions.weight.tolist() == [2.0] * 8
    assert [part.dtype for part in found.interactions] == [np.int32, np.int32, np.float32, np.int64]
    assert [found.groups.query.tolist(), found.groups.item.tolist()] == [[0, 0, 1, 1], [0, 0, 0, 1, 1, 1]]


def test_features_are_ids_alone_and_raw_ids_name_their_source():
    found = merge()
    assert {name: values.tolist() for name, values in found.queries.items()} == {"query": [0, 1, 2, 3]}
    assert {name: values.tolist() for name, values in found.corpus.items()} == {"item": [0, 1, 2, 3, 4, 5]}
    assert {name: values.tolist() for name, values in found.vocabularies.items()} == {
        "query": ["ml-100k:10", "ml-100k:20", "sub/other:10", "sub/other:20"],
        "item": ["ml-100k:a", "ml-100k:b", "ml-100k:c", "sub/other:a", "sub/other:b", "sub/other:c"],
    }


def test_times_begin_at_0_and_end_together():
    """Spans of 10 and 40 seconds: the first part's times are stretched by 4."""
    assert merge().interactions.time.tolist() == [0, 8, 8, 40, 0, 10, 20, 40]
    assert merge(*reversed(PARTS)).interactions.time.tolist() == [0, 10, 20, 40, 0, 8, 8, 40]


def test_one_moment_of_a_part_is_no_span():
    assert merging._stretched([np.array([7, 7]), np.array([1, 4])]).tolist() == [0, 0, 0, 3]


def test_stretching_keeps_order_and_ties():
    rng = np.random.default_rng(0)
    parts = [np.sort(rng.integers(0, span, 500)) for span in (400, 10**9)]
    found = merging._stretched(parts)
    for time, one in zip(parts, np.split(found, 2), strict=True):
        np.testing.assert_array_equal(np.diff(one) > 0, np.diff(time) > 0)
        assert one[-1] == np.ptp(parts[1])


def test_where_a_part_has_no_times_there_are_none():
    assert merge(PARTS[0], f"{__name__}:timeless=sub/other").interactions.time is None


@pytest.mark.parametrize("split", [splits.last_out, splits.share_out])
def test_groups_never_meet(split):
    world = merge("languages", PARTS[0])
    for part in (world, split(world, configs.Data(share=0.3)).test.known):
        query, item, *_ = part.interactions
        np.testing.assert_array_equal(part.groups.query[query], part.groups.item[item])


@pytest.mark.parametrize("repeats", [False, True])
def test_parts_get_the_settings(repeats):
    found = merge("languages", PARTS[0], repeats=repeats)
    assert found.repeats == repeats
    assert (np.sum(found.groups.query == 0), np.sum(found.groups.item == 0)) == (120, 120)


@pytest.mark.parametrize(
    ("parts", "given"),
    [
        ((PARTS[0],), PARTS[0]),
        ((PARTS[0], "languages=ml-100k"), f"{PARTS[0]},languages=ml-100k"),
        (("languages", "languages"), "languages,languages"),
    ],
    ids=["one", "same folder", "same name"],
)
def test_parts_that_are_not_different_are_refused(parts, given):
    with pytest.raises(InputError) as caught:
        merge(*parts)
    wanted = "wanted two or more different ones: type for example --config.data.parts="
    assert str(caught.value) == f"data.parts is {given}; {wanted}movielens_1m=ml-1m,online_retail=online-retail"


def test_no_part_is_refused():
    with pytest.raises(InputError, match=r"data\.parts is empty; wanted two or more different ones"):
        datasets.merged(configs.Data(name="merged", path="data", parts=()))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("movielens_1n=ml-1m", r"unknown data set in data.parts 'movielens_1n'; did you mean 'movielens_1m'"),
        (f"{__name__}:broken=x", r"data.parts has '.*broken=x', which is read from 'data/x': data/x/file has no rows"),
        ("movielens_1m=nowhere", r"which is read from 'data/nowhere': data.path='data/nowhere' has no ratings.dat; w"),
        ("merged=x", r"which is read from 'data/x': data.parts is empty; wanted two or more different ones"),
    ],
)
def test_what_a_part_refuses_is_told_with_the_part(part, message):
    with pytest.raises(InputError, match=message):
        merge(PARTS[0], part)


def test_folders_need_a_path():
    with pytest.raises(InputError) as caught:
        merge("languages", "movielens_1m=ml-1m", path="")
    assert str(caught.value) == (
        "data.name='merged' needs data.path; wanted the folder that holds ml-1m, of 'movielens_1m=ml-1m' in "
        "data.parts: type --config.data.path=FOLDER"
    )


def test_the_real_parts_have_their_counts():
    pytest.importorskip("pyarrow", reason="pyarrow is an extra: python3 -m pip install -e '.[table]'")
    if not all((SHARED / folder).is_dir() for folder in ("ml-1m", "online-retail")):
        pytest.skip("ml-1m and online-retail are not here: they are read from shared/data beside the project")
    found = datasets.merged(configs.Data(name="merged", path=str(SHARED)))
    assert [np.bincount(side).tolist() for side in found.groups] == [[6040, 4339], [3706, 3665]]
    assert np.bincount(found.groups.query[found.interactions.query]).tolist() == [1_000_209, 266_802]
    assert len(splits.last_out(found, configs.Data()).test.relevant.query) == 10_232
