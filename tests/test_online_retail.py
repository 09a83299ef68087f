"""Online Retail: small Parquet files, read exactly or refused with column and row; the real one's counts."""

import datetime
import pathlib

import numpy as np
import pytest

from recjax import configs, datasets, splits
from recjax.datasets import parquet
from recjax.datasets.online_retail import FILE
from recjax.errors import InputError

EXTRA = "pyarrow is an extra: python3 -m pip install -e '.[table]'"
pyarrow, store = (pytest.importorskip(name, reason=EXTRA) for name in ("pyarrow", "pyarrow.parquet"))

SHARED = pathlib.Path(__file__).parents[1].parent / "shared" / "data" / "online-retail"
DAYS = [datetime.datetime(2011, 1, day) for day in range(1, 10)]
SECOND = 1_293_840_000  # 2011-01-01 since 1970
ROWS = {
    "InvoiceNo": ["11", "12", "12", "13", "C13", "14", "15", "16", "17"],
    "StockCode": ["B", "A", "B", "B", "A", "A", "A", "D", "C"],
    "Description": ["Red ROSE, red", "blue-ish", None, "Rose", "blue", "gone", "blue", "lost", "Green"],
    "Quantity": [1.0, 2.0, 3.0, 1.0, -2.0, 5.0, 1.0, 0.0, 1.0],
    "InvoiceDate": [DAYS[5], DAYS[1], DAYS[1], DAYS[2], DAYS[3], DAYS[4], DAYS[0], DAYS[6], DAYS[7]],
    "UnitPrice": [1.0] * 9,
    "CustomerID": [7.0, 3.0, 3.0, 3.0, 3.0, None, 9.0, 9.0, 3.0],
    "Country": ["France", "Spain", "France", "Spain", "Peru", "Peru", "Italy", "Peru", "France"],
}


def write(folder, **changed):
    """The small file; `changed` gives a column's values, None: no such column."""
    columns = {name: values for name, values in (ROWS | changed).items() if values is not None}
    store.write_table(pyarrow.table(columns), folder / FILE, row_group_size=4)
    return folder


def replaced(name, row, value):
    """A column with the value of one row, counted from 1, replaced."""
    values = list(ROWS[name])
    values[row - 1] = value
    return {name: values}


def read(folder, **settings):
    return datasets.online_retail(configs.Data(name="online_retail", path=str(folder), **settings))


def message(folder):
    with pytest.raises(InputError) as caught:
        read(folder)
    return str(caught.value)


@pytest.mark.parametrize("repeats", [False, True])
def test_what_was_bought_is_in_order(repeats, tmp_path):
    dataset = read(write(tmp_path), repeats=repeats)
    assert [dataset.vocabularies[name].tolist() for name in ("query", "item")] == [[3, 7, 9], ["A", "B", "C"]]
    days = [(0, 0, 1), (0, 1, 1)] + [(0, 1, 2)] * repeats + [(0, 2, 7), (1, 1, 5), (2, 0, 0)]
    wanted = [(query, item, 1.0, SECOND + 86_400 * day) for query, item, day in days]
    assert list(zip(*(part.tolist() for part in dataset.interactions), strict=True)) == wanted
    assert [part.dtype for part in dataset.interactions] == [np.int32, np.int32, np.float32, np.int64]
    assert (dataset.repeats, dataset.groups) == (repeats, None)


def test_a_customer_has_its_most_frequent_country(tmp_path):
    """Customer 3 has two lines with Spain and two with France, and one with Peru that was cancelled."""
    dataset = read(write(tmp_path))
    assert dataset.vocabularies["country"].tolist() == ["France", "Italy", "Spain"]
    assert dataset.vocabularies["country"][dataset.queries["country"]].tolist() == ["France", "France", "Italy"]
    more = read(write(tmp_path, **replaced("Country", 3, "Spain")))
    assert more.vocabularies["country"][more.queries["country"]].tolist() == ["Spain", "France", "Italy"]


def test_an_item_has_the_words_of_its_most_frequent_description(tmp_path):
    """Equally frequent ones: the first in the alphabet, capitals first. A missing one does not count."""
    dataset = read(write(tmp_path))
    words, bag = dataset.vocabularies["description"], dataset.corpus["description"]
    assert words.tolist() == sorted(["blue", "red", "rose", "green"])
    found = [words[ids[where]].tolist() for ids, where in zip(*bag, strict=True)]
    assert found == [["blue"], ["red", "rose"], ["green"]]


def test_an_item_may_have_no_description(tmp_path):
    dataset = read(write(tmp_path, **replaced("Description", 9, None)))
    assert dataset.corpus["description"].where.tolist() == [[True, False], [True, True], [False, False]]


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        (pyarrow.large_string(), "StockCode"),
        (pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), "Country"),
        (pyarrow.int64(), "CustomerID"),
        (pyarrow.int16(), "Quantity"),
        (pyarrow.string_view(), "StockCode"),
        (pyarrow.timestamp("ns"), "InvoiceDate"),
        (pyarrow.timestamp("s", "UTC"), "InvoiceDate"),
    ],
    ids=str,
)
def test_the_type_of_a_column_may_differ(kind, column, tmp_path):
    wanted = read(write(tmp_path))
    found = read(write(tmp_path, **{column: pyarrow.array(ROWS[column]).cast(kind, safe=False)}))
    for one, other in zip(wanted.interactions, found.interactions, strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(np.array_equal(found.vocabularies[name], values) for name, values in wanted.vocabularies.items())


@pytest.mark.parametrize(
    ("column", "row", "value", "held", "wanted"),
    [
        ("InvoiceNo", 6, None, "nothing", "the number of an invoice"),
        ("Quantity", 6, None, "nan", "a number"),
        ("Quantity", 2, float("inf"), "inf", "a number"),
        ("CustomerID", 3, 3.5, "3.5", "a whole number of 0 or more, or nothing"),
        ("CustomerID", 3, -3.0, "-3.0", "a whole number of 0 or more, or nothing"),
        ("CustomerID", 3, 1e300, "1e+300", "a whole number of 0 or more, or nothing"),
        ("StockCode", 1, None, "nothing", "text"),
        ("Country", 9, None, "nothing", "text"),
        ("InvoiceDate", 4, None, "nothing", "a time"),
    ],
)
def test_a_row_that_is_not_whole_is_refused(column, row, value, held, wanted, tmp_path):
    folder = write(tmp_path, **replaced(column, row, value))
    assert message(folder) == f"{folder / FILE}: row {row}: column {column!r} holds {held}; wanted {wanted}"


@pytest.mark.parametrize("column", ["StockCode", "Country", "InvoiceDate"])
def test_a_row_that_is_left_out_need_not_be_whole(column, tmp_path):
    wanted = read(write(tmp_path)).interactions
    for row in (5, 6, 8):  # cancelled; without a customer; a quantity of 0
        found = read(write(tmp_path, **replaced(column, row, None))).interactions
        assert [part.tolist() for part in found] == [part.tolist() for part in wanted]


@pytest.mark.parametrize(
    ("column", "values", "kind", "wanted"),
    [
        ("Quantity", ["1"] * 9, "string", "no numbers); wanted numbers"),
        ("StockCode", [1] * 9, "int64", "no strings); wanted texts"),
        ("InvoiceDate", ["2011-01-01"] * 9, "string", "no timestamps); wanted times"),
        ("CustomerID", [2**60 + 1] * 9, "int64", "wanted numbers"),
    ],
)
def test_a_column_of_another_type_is_refused(column, values, kind, wanted, tmp_path):
    folder = write(tmp_path, **{column: values})
    found = message(folder)
    assert found.startswith(f"{folder / FILE}: column {column!r} is of type {kind} (")
    assert found.endswith(wanted)


@pytest.mark.parametrize("column", ["InvoiceNo", "Country"])
def test_a_missing_column_is_named(column, tmp_path):
    folder = write(tmp_path, **{column: None})
    others = [name for name in ROWS if name != column]
    wanted = ", ".join(name for name in ROWS if name != "UnitPrice")
    assert message(folder) == f"{folder / FILE} has no column {column!r} among {', '.join(others)}; wanted {wanted}"


def test_a_repeated_column_is_refused(tmp_path):
    table = pyarrow.Table.from_arrays(
        [*map(pyarrow.array, ROWS.values()), pyarrow.array(["x"] * 9)], [*ROWS, "Country"]
    )
    store.write_table(table, tmp_path / FILE)
    assert message(tmp_path) == f"{tmp_path / FILE} has 2 columns 'Country'; wanted one"


@pytest.mark.parametrize("cut", [0, 3, 40, -1, -9, -300])
def test_a_damaged_file_is_refused(cut, tmp_path):
    path = write(tmp_path) / FILE
    path.write_bytes(path.read_bytes()[:cut])
    found = message(tmp_path)
    assert found.startswith(f"{path} could not be read (")
    assert found.endswith("); wanted a whole Parquet file")


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        (
            {name: pyarrow.array(values).slice(0, 0) for name, values in ROWS.items()},
            "has no rows; wanted at least one",
        ),
        ({"Quantity": [-1.0] * 9}, "has no purchase of a known customer; wanted at least one"),
        ({"Description": ["-"] * 9}, "column 'Description' has no words; wanted those of at least one item"),
    ],
    ids=["rows", "purchases", "words"],
)
def test_a_file_without_any_is_refused(changed, wanted, tmp_path):
    assert message(write(tmp_path, **changed)).endswith(wanted)


def test_a_missing_file_says_where_to_get_it(tmp_path):
    found = message(tmp_path)
    assert found.startswith(f"data.path={str(tmp_path)!r} has no {FILE}; wanted the folder of {FILE}: get it from ")
    assert found.endswith("type --config.data.path=FOLDER")


def test_without_pyarrow_the_error_says_what_to_install(tmp_path, monkeypatch):
    folder = write(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    wanted = "is read with pyarrow, which is not installed; type python3 -m pip install -e '.[table]'"
    assert message(folder) == f"{folder / FILE} {wanted}"


def test_texts_are_one_vocabulary_over_all_row_groups(tmp_path):
    found = parquet.columns(write(tmp_path) / FILE, {"Description": "text"})["Description"]
    assert found.vocabulary.tolist() == sorted({text for text in ROWS["Description"] if text})
    assert [None if one < 0 else found.vocabulary[one] for one in found.ids] == ROWS["Description"]


@pytest.fixture(scope="module")
def real():
    if not SHARED.is_dir():
        pytest.skip("online-retail is not here: it is read from shared/data beside the project")
    return read(SHARED)


def test_the_real_data_has_its_counts(real):
    counts = {name: len(values) for name, values in real.vocabularies.items()}
    assert counts == {"query": 4339, "item": 3665, "country": 37, "description": 2039}
    assert len(real.interactions.query) == 266_802
    assert len(read(SHARED, repeats=True).interactions.query) == 397_924


def test_the_real_data_has_its_times(real):
    time = real.interactions.time.astype("datetime64[s]")
    assert str(time.min()) == "2010-12-01T08:26:00"
    assert str(time.max()) == "2011-12-09T12:50:00"


def test_real_customers_have_a_last_purchase(real):
    split = splits.last_out(real, configs.Data())
    assert len(split.test.relevant.query) == np.sum(np.bincount(real.interactions.query) >= 3) == 4192
