"""Online Retail: a year of a British wholesaler of gifts, line by line of its invoices, with all side features.

From the UCI Machine Learning Repository, CC BY 4.0: Chen, Sain, Guo 2012 (data mining for the online retail industry).
"""

import pathlib
from typing import Any

import numpy as np

from recjax import configs
from recjax.datasets import arrow, files, parquet
from recjax.datasets.arrow import Text
from recjax.errors import InputError
from recjax.interactions import arrange, encode, encode_words, most_frequent
from recjax.types import Dataset

FILE = "onlineretail.parquet"
COLUMNS = {
    "InvoiceNo": "text",
    "StockCode": "text",
    "Description": "text",
    "Quantity": "number",
    "InvoiceDate": "time",
    "CustomerID": "number",
    "Country": "text",
}
_SOURCE = (
    "get it from https://archive.ics.uci.edu/dataset/352/online+retail, write its sheet as Parquet "
    f"(pandas.read_excel(...).to_parquet('{FILE}')), and type --config.data.path=FOLDER"
)


def online_retail(settings: configs.Data) -> Dataset:
    """4,339 queries (customers), 3,665 items (stock codes), 266,802 pairs; what was bought is a positive.

    Left out: cancellations (invoices that begin with C), lines without a customer, and quantities of 0 or less. A
    query's repeated purchases of an item count once, at the first, unless data.repeats. All lines of an invoice have
    its time, in the order of the file.
    Queries: country. Items: the words of the description (a bag). Where a customer has several countries, or an item
    several descriptions, the most frequent one is taken.

    Raises:
        InputError: a file that is missing or cannot be read, or a row that is neither left out nor whole.
    """
    path = files.folder(settings, (FILE,), _SOURCE) / FILE
    found = parquet.columns(path, COLUMNS)
    kept = _kept(path, found)
    customer, query_vocabulary = encode(found["CustomerID"][kept].astype(np.int64))
    item, item_vocabulary = _encode(found["StockCode"], kept)
    country, country_vocabulary = _encode(found["Country"], kept)
    described = found["Description"].ids[kept] >= 0
    text = most_frequent(item[described], found["Description"].ids[kept][described], len(item_vocabulary))
    texts = ["" if one < 0 else found["Description"].vocabulary[one] for one in text]
    descriptions, words = encode_words(texts)
    if not len(words):
        raise InputError(f"{path}: column 'Description' has no words; wanted those of at least one item")
    weight, time = np.ones(len(item), np.float32), found["InvoiceDate"][kept]
    return Dataset(
        arrange(customer, item, weight, time, repeats=settings.repeats),
        {
            "query": np.arange(len(query_vocabulary), dtype=np.int32),
            "country": most_frequent(customer, country, len(query_vocabulary)),
        },
        {"item": np.arange(len(item_vocabulary), dtype=np.int32), "description": descriptions},
        {
            "query": query_vocabulary,
            "item": item_vocabulary,
            "country": country_vocabulary,
            "description": words,
        },
        None,
        settings.repeats,
    )


def _kept(path: pathlib.Path, found: dict[str, Any]) -> np.ndarray:
    """[E']: the rows that count, in the order of the file; each of them is whole."""
    invoice, quantity, customer = found["InvoiceNo"], found["Quantity"], found["CustomerID"]
    parquet.require(path, "InvoiceNo", invoice.ids >= 0, "nothing", "the number of an invoice")
    parquet.require(path, "Quantity", np.isfinite(quantity), quantity, "a number")
    cancelled = np.char.startswith(invoice.vocabulary, "C")[invoice.ids]
    counts = ~cancelled & (quantity > 0) & ~np.isnan(customer)
    whole = (customer >= 0) & (customer < 2.0**53) & (customer == np.floor(customer))
    parquet.require(path, "CustomerID", whole | ~counts, customer, "a whole number of 0 or more, or nothing")
    for name in ("StockCode", "Country"):
        parquet.require(path, name, (found[name].ids >= 0) | ~counts, "nothing", "text")
    time = found["InvoiceDate"]
    parquet.require(path, "InvoiceDate", (time != arrow.NO_TIME) | ~counts, "nothing", "a time")
    if not counts.any():
        raise InputError(f"{path} has no purchase of a known customer; wanted at least one")
    return np.flatnonzero(counts)


def _encode(column: Text, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids among the texts that are left, and their vocabulary, sorted."""
    ids, left = encode(column.ids[kept])
    return ids, column.vocabulary[left]
