"""The data card: each number as arithmetic on a small data set."""

import numpy as np

from recjax import cards, configs, interactions, splits
from recjax.types import Dataset

DAY = 86_400
# Query, item, day. Query 2 and item 3 appear only in what is held out.
ROWS = [(0, 0, 0), (0, 1, 1), (1, 0, 2), (1, 1, 3), (0, 2, 4), (1, 2, 5), (2, 0, 6), (0, 3, 7), (1, 0, 8)]


def build(repeats):
    query, item, day = np.array(ROWS).T
    found = interactions.arrange(query, item, np.ones(len(ROWS), np.float32), DAY * day, repeats=repeats)
    ids = {"query": np.arange(3), "item": np.arange(4)}
    names = {name: np.array([f"{name}{n}" for n in one]) for name, one in ids.items()}
    return Dataset(found, {"query": ids["query"]}, {"item": ids["item"]}, names, None, repeats, notes={"duplicates": 1})


def test_a_card_with_repeats():
    dataset = build(True)
    split = splits.global_time(dataset, configs.Data(share=0.34, split="global_time"))
    found = cards.card("mine", dataset, split)
    assert found == {
        "name": "mine",
        "queries": 3,
        "items": 4,
        "interactions": 9,
        "density": 8 / 12,
        "duplicates": 1,
        "repeats": True,
        "first": "1970-01-01",
        "last": "1970-01-09",
        "head_1": 4 / 9,  # at least one item
        "head_10": 4 / 9,
        "parts": {"training": 3, "test": 2, "validation": 3},
        "left_out": 1,  # query 2 has not trained
        "cold_queries": 0.0,
        "cold_items": 1 / 2,  # of items 3 and 0
        "order": "(time, row in the source)",
        "fingerprint": interactions.fingerprint(dataset),
    }
    assert cards.line(found) == (
        "data: density 66.7 %, 1970-01-01 to 1970-01-09, top 1 % of items 44.4 % and top 10 % 44.4 %, "
        "cold queries 0.0 % and items 50.0 %, 1 duplicates kept, 1 interactions in no part"
    )


def test_a_card_without_times_and_repeats():
    dataset = build(False)
    dataset = dataset._replace(interactions=dataset.interactions._replace(time=None))
    split = splits.cold_queries(dataset, configs.Data(share=0.34))
    found = cards.card("mine", dataset._replace(notes={"core_rounds": 2, "core_left_out": 7}), split)
    assert (found["first"], found["last"], found["order"]) == (None, None, "unknown")
    assert (found["density"], found["duplicates"], found["core_rounds"]) == (8 / 12, None, 2)
    assert found["cold_queries"] == 1.0
    assert "no times" in cards.line(found)
    assert cards.line(found).endswith("core after 2 rounds, without 7")


def test_a_moment_before_the_calendar_is_its_seconds():
    assert [cards._day(one) for one in (0, -DAY, -(10**12))] == ["1970-01-01", "1969-12-31", str(-(10**12))]
