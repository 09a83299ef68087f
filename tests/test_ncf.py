"""The published leave-one-out split: small files, read exactly or refused with file and line; the real ones' counts."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import configs, datasets, evaluate, retrievers, splits
from recjax.errors import InputError

SHARED = pathlib.Path(__file__).parents[1].parent / "shared" / "data"
# Ids need not be dense: queries 4, 7 and 9, and 110 items, the even numbers from 0.
TRAIN = [(9, 10, 5, 60), (4, 6, 3, 50), (4, 8, 1, 40)]
TRAIN += [(7, 2 * item, 4, 1000 + item) for item in range(110) if item != 60]
TEST = [(9, 18, 4, 70), (4, 16, 3, 50), (7, 120, 5, 1050)]
DRAWN = [range(20, 218, 2), range(198, 0, -2), range(0, 198, 2)]  # 16 is among those of query 4, 120 of query 7
FILES = {
    "ml-1m.train.rating": ["\t".join(map(str, row)) for row in TRAIN],
    "ml-1m.test.rating": ["\t".join(map(str, row)) for row in TEST],
    "ml-1m.test.negative": [
        "\t".join([f"({row[0]},{row[1]})", *map(str, drawn)]) for row, drawn in zip(TEST, DRAWN, strict=True)
    ],
}
TRAIN_FILE, TEST_FILE, NEGATIVE_FILE = FILES


def write(folder, changed=(), newline="\n"):
    for file, lines in {**FILES, **dict(changed)}.items():
        (folder / file).write_bytes("".join(line + newline for line in lines).encode())
    return folder


def settings(folder, **others):
    return configs.Data(name="movielens_1m_ncf", path=str(folder), split="ncf", **others)


def read(folder):
    return datasets.movielens_1m_ncf(settings(folder))


def rows(interactions):
    return list(zip(*(part.tolist() for part in interactions), strict=True))


def message(folder):
    with pytest.raises(InputError) as caught:
        read(folder)
    return str(caught.value)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_data_set_is_both_files_in_order(newline, tmp_path):
    dataset = read(write(tmp_path, newline=newline))
    # Query 7's test item is in the midst of its items by time, and after the one of the same time.
    times = sorted([(1000 + item, item) for item in range(110) if item != 60] + [(1050, 60)])
    wanted = [(0, 4, 1.0, 40), (0, 3, 1.0, 50), (0, 8, 1.0, 50)]
    wanted += [(1, item, 1.0, time) for time, item in times] + [(2, 5, 1.0, 60), (2, 9, 1.0, 70)]
    assert rows(dataset.interactions) == wanted
    assert [part.dtype for part in dataset.interactions] == [np.int32, np.int32, np.float32, np.int64]
    assert {name: ids.tolist() for name, ids in dataset.vocabularies.items()} == {
        "query": [4, 7, 9],
        "item": list(range(0, 220, 2)),
    }
    assert {name: ids.tolist() for name, ids in dataset.queries.items()} == {"query": [0, 1, 2]}
    assert {name: ids.tolist() for name, ids in dataset.corpus.items()} == {"item": list(range(110))}
    assert (dataset.groups, dataset.repeats) == (None, False)


def test_the_split_is_the_published_one(tmp_path):
    dataset = read(write(tmp_path))
    split = splits.ncf(dataset, settings(tmp_path))
    test = [(0, 8, 1.0, 50), (1, 60, 1.0, 1050), (2, 9, 1.0, 70)]
    assert rows(split.test.relevant) == test
    assert rows(split.train.interactions) == [row for row in rows(dataset.interactions) if row not in test]
    assert all(one is other for one, other in zip(split.train[1:], dataset[1:], strict=True))
    assert split.validation is None
    assert split.test.known is split.train
    assert split.test.candidates.tolist() == [
        [8, *range(99, 8, -1), -1, *range(7, 0, -1)],
        [60, *range(60), -1, *range(61, 99)],
        [9, *range(10, 109)],
    ]


def test_only_the_candidates_are_ranked(tmp_path):
    """Scores fall with the id: 8 of query 4 comes after 1 to 7, 60 of query 7 after 0 to 59, 9 of query 9 is first."""
    split = splits.ncf(read(write(tmp_path)), settings(tmp_path))
    retriever = retrievers.Retriever(
        lambda params, features: jnp.ones((features["query"].shape[0], 1)),
        lambda params, data: -jnp.arange(110.0)[:, None],
    )
    judge = jax.jit(evaluate.ranker(retriever, configs.Evaluate(k=(1, 8, 99)), 6))
    ranking = evaluate.rank(judge, (), evaluate.prepare(split.test))
    found = {k: ranking.metrics[f"sampled_recall@{k}"].tolist() for k in (1, 8, 99)}
    assert found == {1: [0, 0, 1], 8: [1, 0, 1], 99: [1, 1, 1]}
    np.testing.assert_allclose(ranking.metrics["sampled_mrr@99"], [1 / 8, 1 / 61, 1], rtol=1e-6)


def replaced(file, number, line):
    """The lines of a file with the one of this number, counted from 1, replaced; None leaves it out."""
    lines = list(FILES[file])
    lines[number - 1 : number] = [] if line is None else [line]
    return {file: lines}


PAIR, *ITEMS = FILES[NEGATIVE_FILE][1].split("\t")


def negatives(pair=PAIR, items=ITEMS):
    return replaced(NEGATIVE_FILE, 2, "\t".join([pair, *items]))


RATING = "wanted query<tab>item<tab>rating<tab>time in whole numbers"


@pytest.mark.parametrize(
    ("changed", "place", "told"),
    [
        (replaced(TRAIN_FILE, 3, "4\t8\t1"), f"{TRAIN_FILE}:3: ", rf"b'4\t8\t1' is malformed; {RATING}"),
        (replaced(TRAIN_FILE, 3, "4\t8\tx\t40"), f"{TRAIN_FILE}:3: ", rf"b'4\t8\tx\t40' is malformed; {RATING}"),
        (replaced(TRAIN_FILE, 3, "4\t-8\t1\t40"), f"{TRAIN_FILE}:3: ", rf"b'4\t-8\t1\t40' is malformed; {RATING}"),
        (replaced(TEST_FILE, 2, "4 16 3 50"), f"{TEST_FILE}:2: ", f"b'4 16 3 50' is malformed; {RATING}"),
        ({TRAIN_FILE: []}, TRAIN_FILE, " has no ratings; wanted at least one line"),
        ({TEST_FILE: []}, TEST_FILE, " has no ratings; wanted at least one line"),
        (
            replaced(TEST_FILE, 3, "9\t120\t5\t1050"),
            f"{TEST_FILE}:3: ",
            "query 9 has a test row in line 1 already; wanted one row a query",
        ),
        (
            replaced(TRAIN_FILE, 3, "4\t16\t1\t40"),
            f"{TRAIN_FILE}:3: ",
            f"query 4 has item 16 in {TEST_FILE} too; wanted each pair in one of the two",
        ),
        (negatives(items=ITEMS[1:]), f"{NEGATIVE_FILE}:2: ", "is malformed (it has 99 columns); wanted 100 columns"),
        (negatives(items=[*ITEMS, "0"]), f"{NEGATIVE_FILE}:2: ", "(it has 101 columns); wanted 100 columns"),
        (negatives(items=["1.0", *ITEMS[1:]]), f"{NEGATIVE_FILE}:2: ", "malformed ('1.0' is no item id); wanted 100"),
        (negatives(items=["-2", *ITEMS[1:]]), f"{NEGATIVE_FILE}:2: ", "malformed ('-2' is no item id); wanted 100"),
        (
            negatives(pair="4,16"),
            f"{NEGATIVE_FILE}:2: ",
            "(it opens with '4,16', which is not (query,item)); wanted 100",
        ),
        (
            negatives(pair="(4,-1)"),
            f"{NEGATIVE_FILE}:2: ",
            "(it opens with '(4,-1)', which is not (query,item)); wanted",
        ),
        (
            negatives(pair="(4,18)"),
            f"{NEGATIVE_FILE}:2: ",
            f"(query,item) is (4, 18); wanted (4, 16) as in line 2 of {TEST_FILE}",
        ),
        (
            replaced(NEGATIVE_FILE, 3, None),
            f"{NEGATIVE_FILE}:3: ",
            f"(query,item) is missing; wanted (7, 120) as in line 3 of {TEST_FILE}",
        ),
        (
            replaced(TEST_FILE, 3, None),
            f"{NEGATIVE_FILE}:3: ",
            f"(query,item) is (7, 120); wanted no more than the 2 lines of {TEST_FILE}",
        ),
        (
            negatives(items=["3", *ITEMS[1:]]),
            f"{NEGATIVE_FILE}:2: ",
            "item 3 is in no rating; wanted one of the 110 rated items",
        ),
    ],
)
def test_what_is_malformed_is_refused_with_file_and_line(changed, place, told, tmp_path):
    found = message(write(tmp_path, changed))
    assert found.startswith(str(tmp_path / place))
    assert told in found


WHERE = (
    "wanted the folder of ml-1m.train.rating, ml-1m.test.rating, ml-1m.test.negative: get them from "
    "https://github.com/hexiangnan/neural_collaborative_filtering/tree/master/Data and type --config.data.path=FOLDER"
)


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named(file, tmp_path):
    (write(tmp_path) / file).unlink()
    assert message(tmp_path) == f"data.path={str(tmp_path)!r} has no {file}; {WHERE}"


def test_a_missing_path_is_refused():
    assert message("") == f"data.name='movielens_1m_ncf' needs data.path; {WHERE}"


def test_another_data_set_has_no_published_split(dataset):
    with pytest.raises(InputError) as caught:
        splits.ncf(dataset, configs.Data(split="ncf"))
    assert str(caught.value) == (
        "data.split='ncf' is read from the files of movielens_1m_ncf and data.name is 'languages'; "
        "type --config.data.name=movielens_1m_ncf or --config.data.split=last_out"
    )


def test_the_published_files_have_their_counts():
    folder = SHARED / "ml-1m-ncf"
    if not folder.is_dir():
        pytest.skip(
            "ml-1m-ncf is not here: it may not be redistributed and is read from shared/data beside the project"
        )
    dataset = read(folder)
    split = splits.ncf(dataset, settings(folder))
    assert [len(one) for one in (dataset.vocabularies["query"], dataset.vocabularies["item"])] == [6040, 3706]
    assert len(split.train.interactions.query) == 994_169
    assert split.test.relevant.query.tolist() == list(range(6040))
    assert split.test.candidates.shape == (6040, 100)
    assert np.sum(split.test.candidates < 0) == 156
    np.testing.assert_array_equal(split.test.candidates[:, 0], split.test.relevant.item)
    assert evaluate.prepare(split.test).candidates.shape == (12, 512, 100)
