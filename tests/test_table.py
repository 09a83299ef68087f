"""Any table of interactions: text and Parquet give the same data, ids come back as they stood, and what is not whole
is refused with file and line."""

import pathlib

import numpy as np
import pytest

from recjax import configs, datasets, fields, leaks, names, preparation, splits
from recjax.datasets import arrow, delimited, parquet, ratings
from recjax.errors import InputError

pyarrow, store = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))

COLUMNS = configs.Columns(
    files=("log.csv",), query="user", item="thing", time="when", rating="stars", weight="how much"
)
HEADER = "extra,user,thing,when,stars,how much"
ROWS = ['x,ann,"B, ""b""",300,5,1', "x,bo,7,100,2,2", "x,ann,007,200,3.5,.5", 'x,ann,"B, ""b""",100,4,3']
# Of the same rows: (query, item, weight, time) in order, a repeated pair at its first time.
FOUND = [("ann", 'B, "b"', 3.0, 100), ("ann", "007", 0.5, 200), ("bo", "7", 2.0, 100)]


def write(folder, rows=ROWS, header=HEADER, end="\n", file="log.csv"):
    (folder / file).write_bytes("".join(line + end for line in [header, *rows] if line).encode())
    return folder


def read(folder, columns=COLUMNS, **settings):
    return datasets.table(configs.Data(name="table", path=str(folder), columns=columns, **settings))


def rows(dataset, part=None):
    query, item, weight, time = part or dataset.interactions
    names = [dataset.vocabularies["query"][query], dataset.vocabularies["item"][item]]
    return list(zip(*[one.tolist() for one in (*names, weight, time)], strict=True))


def changed(**changes):
    return fields.override(COLUMNS, changes)


def message(folder, columns=COLUMNS, **settings):
    with pytest.raises(InputError) as caught:
        read(folder, columns, **settings)
    return str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_is_read_through_its_mapping(end, tmp_path):
    dataset = read(write(tmp_path, end=end))
    assert rows(dataset) == FOUND
    assert [part.dtype for part in dataset.interactions] == [np.int32, np.int32, np.float32, np.int64]
    assert dataset.notes == {"duplicates": 1}
    assert {name: ids.tolist() for name, ids in (*dataset.queries.items(), *dataset.corpus.items())} == {
        "query": [0, 1],
        "item": [0, 1, 2],
    }


@pytest.mark.parametrize("separator", ["\t", ";", "|", "::"])
def test_the_separator_is_a_setting(separator, tmp_path):
    plain = ["x,ann,B b,300,5,1", *ROWS[1:3], "x,ann,B b,100,4,3"]
    folder = write(tmp_path, [row.replace(",", separator) for row in plain], HEADER.replace(",", separator))
    columns = changed(separator="\\t" if separator == "\t" else separator)
    assert rows(read(folder, columns)) == [("ann", "B b", 3.0, 100), *FOUND[1:]]


def test_without_a_header_columns_are_numbers(tmp_path):
    columns = changed(header="false", query="2", item="3", time="4", rating="5", weight="6")
    assert rows(read(write(tmp_path, header=""), columns)) == FOUND


def test_parquet_gives_the_same(tmp_path):
    table = {
        "user": ["ann", "bo", "ann", "ann"],
        "thing": ['B, "b"', "7", "007", 'B, "b"'],
        "when": [300, 100, 200, 100],
    }
    table |= {"stars": [5, 2, 3.5, 4], "how much": [1.0, 2.0, 0.5, 3.0]}
    store.write_table(pyarrow.table(table), tmp_path / "log.parquet")
    one, other = read(write(tmp_path)), read(tmp_path, changed(files="log.parquet"))
    for left, right in zip(one.interactions, other.interactions, strict=True):
        np.testing.assert_array_equal(left, right)
    assert {name: ids.tolist() for name, ids in one.vocabularies.items()} == {
        name: ids.tolist() for name, ids in other.vocabularies.items()
    }


@pytest.mark.parametrize("file", ["log.csv", "log.parquet"])
@pytest.mark.parametrize("numbers", [True, False])
def test_many_batches_give_what_one_gives(file, numbers, tmp_path, monkeypatch):
    """Of 300 rows, some dozen at a time, with vocabularies that are united again and again; without order in time."""
    rng = np.random.default_rng(0)
    names = [str(one) if numbers else f"n{one}" for one in rng.integers(0, 60, 600).tolist()]
    when = rng.integers(0, 50, 300).tolist()
    table = {"user": names[:300], "thing": names[300:], "when": when}
    lines = [",".join(map(str, row)) for row in zip(*table.values(), strict=True)]
    write(tmp_path, lines, "user,thing,when")
    store.write_table(pyarrow.table(table), tmp_path / "log.parquet", row_group_size=70)
    first: dict = {}
    for row, (user, thing, time) in enumerate(zip(*table.values(), strict=True)):
        if (user, thing) not in first or time < first[user, thing][0]:
            first[user, thing] = time, row
    key = int if numbers else str
    wanted = sorted((key(user), *where, key(thing)) for (user, thing), where in first.items())
    for module, name, value in ((delimited, "BLOCK", 128), (parquet, "BATCH", 13), (arrow, "ENTRIES", 20)):
        monkeypatch.setattr(module, name, value)
    found = read(tmp_path, changed(files=file, rating="", weight=""))
    assert rows(found) == [(user, thing, 1.0, time) for user, time, _, thing in wanted]
    assert found.notes == {"duplicates": 300 - len(wanted)}


@pytest.mark.parametrize("kind", ["text", "int64", "string"])
def test_ids_that_are_all_plain_numbers_are_numbers(kind, tmp_path):
    numbers = [10, -2, 10, 9]
    columns = configs.Columns(files=("log.csv" if kind == "text" else "log.parquet",))
    if kind == "text":
        write(tmp_path, [f"{one},{one}" for one in numbers], "query,item")
    else:
        column = pyarrow.array(numbers).cast(kind)
        store.write_table(pyarrow.table({"query": column, "item": column}), tmp_path / "log.parquet")
    dataset = read(tmp_path, columns, repeats=True)
    assert dataset.vocabularies["item"].tolist() == [-2, 9, 10]
    assert dataset.vocabularies["item"][dataset.interactions.item].tolist() == sorted(numbers)
    assert dataset.interactions.time is None


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("s", "1293937445"),
        ("ms", "1293937445678"),
        ("us", "1293937445678901"),
        ("ns", "1293937445678901234"),
        ("date", "2011-01-02T03:04:05"),
        ("date", "2011-01-02 03:04:05.678"),
        ("date", "2011-01-02T03:04:05Z"),
        ("date", "2011-01-02T04:04:05+01:00"),
    ],
)
def test_a_time_is_in_whole_seconds(unit, text, tmp_path):
    columns = configs.Columns(files=("log.csv",), time="at", unit=unit)
    dataset = read(write(tmp_path, [f"a,b,{text}"], "query,item,at"), columns)
    assert dataset.interactions.time.tolist() == [1293937445]


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view", "dictionary"])
def test_a_date_is_a_text_of_any_kind(kind, tmp_path):
    texts = pyarrow.array(["2011-01-02T03:04:05", "2011-01-02T03:04:06"])
    dates = texts.dictionary_encode() if kind == "dictionary" else texts.cast(kind)
    store.write_table(pyarrow.table({"query": [1, 1], "item": [1, 2], "at": dates}), tmp_path / "log.parquet")
    dataset = read(tmp_path, configs.Columns(files=("log.parquet",), time="at", unit="date"))
    assert dataset.interactions.time.tolist() == [1293937445, 1293937446]


def test_a_later_file_lets_the_vocabulary_grow(tmp_path):
    write(tmp_path)
    write(tmp_path, ["x,carl,7,50,1,1", "x,ann,C,400,1,1"], file="more.csv")
    dataset = read(tmp_path, changed(files="log.csv,more.csv"))
    assert rows(dataset) == [FOUND[0], FOUND[1], ("ann", "C", 1.0, 400), FOUND[2], ("carl", "7", 1.0, 50)]
    assert dataset.vocabularies["query"].tolist() == ["ann", "bo", "carl"]


def test_numbers_and_names_in_two_files_are_names():
    texts = [arrow.Text(np.array([0, 1]), np.array([9, 10])), arrow.Text(np.array([0]), np.array(["x"]))]
    found = ratings._grown(texts)
    assert found.vocabulary[found.ids].tolist() == ["9", "10", "x"]


def test_ratings_below_the_thresholds(tmp_path):
    dataset = read(write(tmp_path), drop_below=3.0, least_rating=4.0, repeats=True)
    assert rows(dataset) == [FOUND[0], ("ann", 'B, "b"', 1.0, 300)]
    assert rows(dataset, dataset.impressions) == [FOUND[1]]
    assert dataset.notes == {"below": 1, "duplicates": 0}
    assert dataset.vocabularies["query"].tolist() == ["ann"]  # bo's only rating was left out


def test_what_was_refused_once_and_liked_another_time_is_an_interaction(tmp_path):
    """Otherwise the last one, held out, would have been shown in vain before: a leak."""
    log = ["x,q,a,1,2,1", "x,q,b,2,5,1", "x,q,c,3,5,1", "x,q,a,4,5,1", "x,q,d,5,1,1"]
    settings = configs.Data(name="table", path=str(write(tmp_path, log)), columns=COLUMNS, least_rating=4.0)
    dataset = datasets.table(settings)
    assert rows(dataset) == [("q", "b", 1.0, 2), ("q", "c", 1.0, 3), ("q", "a", 1.0, 4)]
    assert rows(dataset, dataset.impressions) == [("q", "d", 1.0, 5)]
    leaks.check(dataset, splits.last_out(dataset, settings), "last_out")
    kept = read(tmp_path, least_rating=4.0, repeats=True)
    assert rows(kept, kept.impressions) == [("q", "a", 1.0, 1), ("q", "d", 1.0, 5)]


def test_hashes_of_64_bits_are_ids(tmp_path):
    column = pyarrow.array([2**64 - 1, 7, 2**63], pyarrow.uint64())
    store.write_table(pyarrow.table({"query": column, "item": column}), tmp_path / "log.parquet")
    dataset = read(tmp_path, configs.Columns(files=("log.parquet",)))
    assert dataset.vocabularies["query"].tolist() == [7, 2**63, 2**64 - 1]
    assert names.rows(dataset, "item", [str(2**64 - 1), "7"]).tolist() == [2, 0]


@pytest.mark.parametrize("name", ["least_rating", "drop_below"])
@pytest.mark.parametrize(("rating", "why"), [("", "the file has no ratings"), ("stars", "the highest rating is 5")])
def test_a_threshold_that_leaves_nothing_is_refused(name, rating, why, tmp_path):
    found = message(write(tmp_path), changed(rating=rating), **{name: 6.0})
    assert found.startswith(f"data.{name} is 6 and {why} (log.csv); type --config.data.{name}=0")


LINES = [
    ("x,ann,7,z,5,1", "when is 'z'"),
    ("x,ann,7,,5,1", "when is ''"),
    ("x,ann,7,1.5,5,1", "when is '1.5'"),
    ("x,ann,7,99999999999999999999,5,1", "when is '99999999999999999999'"),
    ("x,ann,7,100,five,1", "stars is 'five'"),
    ("x,,7,100,5,1", "user is ''"),
    ("x," + "a" * 300 + ",7,100,5,1", "user is 'aaa"),
    ("x,ann,7,100,5", "it has 5 columns"),
    ("x,ann,7,100,5,1,1", "it has 7 columns"),
    ("", "it has 0 columns"),
    ('x,"ann,7,100,5,1', "unexpected end of data"),
    ("x,an\rn,7,100,5,1", "a carriage return or NUL within the line"),
    ("x,ann\0,7,100,5,1", "a carriage return or NUL within the line"),
    ("x,ann" + "7" * 2**20 + ",100,5,1", "a line of 1048576 bytes or more"),
]


@pytest.mark.parametrize(("line", "why"), LINES, ids=[why for _, why in LINES])
def test_a_line_that_is_not_whole_is_refused(line, why, tmp_path):
    folder = tmp_path
    (folder / "log.csv").write_bytes("\n".join([HEADER, *ROWS[:2], line, *ROWS[2:], ""]).encode())
    found = message(folder)
    assert found.startswith(f"{folder / 'log.csv'}:4: malformed ({why}")
    assert "wanted 6 columns in UTF-8, user: an id, thing: an id, when: a whole number, stars: a number" in found


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("x,ann,7,100,nan,1", "column 'stars' holds no finite number; wanted a number"),
        ("x,ann,7,100,5,0", "column 'how much' holds 0.0; wanted a weight above 0"),
        ("x,ann,7,100,5,-1", "column 'how much' holds -1.0; wanted a weight above 0"),
        ("x,ann,7,100,5,1e300", "column 'how much' holds 1e+300; wanted a weight above 0"),
    ],
)
def test_a_value_that_is_no_weight_or_rating_is_refused(row, told, tmp_path):
    folder = write(tmp_path, [*ROWS, row])
    assert message(folder) == f"{folder / 'log.csv'}:6: {told}"


@pytest.mark.parametrize(
    ("column", "told"), [("user", "holds nothing; wanted an id"), ("when", "holds nothing; wanted a time")]
)
def test_a_row_of_parquet_without_a_value_is_refused(column, told, tmp_path):
    table = {"user": ["a", "b"], "thing": [1, 2], "when": [1, 2]}
    table[column] = [table[column][0], None]
    store.write_table(pyarrow.table(table), tmp_path / "log.parquet")
    columns = changed(files="log.parquet", rating="", weight="")
    assert message(tmp_path, columns) == f"{tmp_path / 'log.parquet'}: row 2: column {column!r} {told}"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"query": "usr"},
            "log.csv:1: no column 'usr' among extra, user, thing, when, stars, how much; wanted each once",
        ),
        ({"files": "no.csv"}, "has no no.csv; wanted the folder of no.csv: type --config.data.path=FOLDER"),
        ({"files": ""}, "data.columns.files is empty"),
        ({"separator": "ab"}, "is 'ab'; wanted one character, or '::'"),
        ({"item": "user"}, "wanted different columns, and the first two"),
        ({"query": ""}, "wanted different columns, and the first two"),
    ],
)
def test_a_wrong_mapping_is_refused(changes, told, tmp_path):
    assert told in message(write(tmp_path), changed(**changes))


def test_a_repeated_column_is_refused(tmp_path):
    folder = write(tmp_path, header=HEADER.replace("extra", "user"))
    assert message(folder).startswith(f"{folder / 'log.csv'}:1: 2 columns 'user' among user, user, thing")


@pytest.mark.parametrize(
    ("rows", "header", "told"), [([], HEADER, " has no rows; "), ([], "", ":1: the line is empty; ")]
)
def test_an_empty_file_is_refused(rows, header, told, tmp_path):
    folder = write(tmp_path, rows, header)
    assert message(folder).startswith(f"{folder / 'log.csv'}{told}wanted")


def test_without_pyarrow_the_error_says_what_to_install(tmp_path, monkeypatch):
    folder = write(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    wanted = "is read with pyarrow, which is not installed; type python3 -m pip install -e '.[table]'"
    assert message(folder) == f"{folder / 'log.csv'} {wanted}"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"columns": COLUMNS}, "data.columns.files is ('log.csv',), which data.name='languages' does not read"),
        ({"download": True}, "data.download is True, which data.name='languages' does not read"),
        ({"drop_below": 2.0}, "data.drop_below is 2.0 and data.name='languages' has no ratings"),
    ],
)
def test_what_another_data_set_does_not_read_is_refused(data, told):
    with pytest.raises(InputError) as caught:
        preparation.prepare(configs.Config(data=configs.Data(**data)))
    assert told in str(caught.value)


def test_movielens_as_a_table_is_movielens():
    folder = pathlib.Path(__file__).parents[1].parent / "shared" / "data" / "ml-1m"
    if not folder.is_dir():
        pytest.skip("ml-1m is not here: it may not be redistributed and is read from shared/data beside the project")
    columns = configs.Columns(("ratings.dat",), "::", False, "1", "2", "4", rating="3")
    found = read(folder, columns, least_rating=4.0)
    wanted = datasets.movielens_1m(configs.Data(name="movielens_1m", path=str(folder), least_rating=4.0))
    for one, other in zip(
        (*found.interactions, *found.impressions), (*wanted.interactions, *wanted.impressions), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found.vocabularies["item"], wanted.vocabularies["item"])
