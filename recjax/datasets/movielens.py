"""MovieLens from GroupLens' files, with all side features.

The files may not be redistributed: get them from https://grouplens.org/datasets/movielens and cite Harper and
Konstan 2015.
"""

import pathlib
import re
from typing import Any

import numpy as np

from recjax import configs
from recjax.datasets import files
from recjax.errors import InputError
from recjax.interactions import arrange, encode, pad, words
from recjax.types import Dataset, Interactions

_AGES = {1: "under 18", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-49", 50: "50-55", 56: "56+"}


def _age(code: str) -> str:
    if int(code) not in _AGES:
        raise ValueError(f"age code {code}; wanted one of {', '.join(map(str, _AGES))}")
    return _AGES[int(code)]


def movielens_1m(settings: configs.Data) -> Dataset:
    """6,040 queries, the 3,706 items that anyone rated, 1,000,209 ratings; every rating is a positive.

    Queries: gender, age, occupation, zip. Items: genres and title words (bags), year.
    """
    folder = files.folder(settings, ("ratings.dat", "users.dat", "movies.dat"), _source("ml-1m"))
    ratings = files.ratings(folder / "ratings.dat", b"::")
    users = files.rows(folder / "users.dat", "::", 5, lambda row: (int(row[0]), row[1], _age(row[2]), row[3], row[4]))
    movies = files.rows(
        folder / "movies.dat", "::", 3, lambda row: (int(row[0]), _year(row[1]), row[2].split("|"), _words(row[1]))
    )
    return _assemble(settings, ratings, folder / "ratings.dat", users, movies)


def movielens_100k(settings: configs.Data) -> Dataset:
    """943 queries, 1,682 items, 100,000 ratings; every rating is a positive.

    Queries: gender, age (in decades), occupation, zip. Items: genres and title words (bags), year.
    """
    folder = files.folder(settings, ("u.data", "u.user", "u.item", "u.genre"), _source("ml-100k"))
    genres = [row[0] for row in files.rows(folder / "u.genre", "|", 2, list)]
    ratings = files.ratings(folder / "u.data", b"\t")
    users = files.rows(
        folder / "u.user", "|", 5, lambda row: (int(row[0]), row[2], f"{int(row[1]) // 10}0s", row[3], row[4])
    )

    def movie(row: list[str]):
        named = [genre for genre, flag in zip(genres, row[5:], strict=True) if int(flag)]
        return int(row[0]), row[2][-4:] or "unknown", named, _words(row[1])

    return _assemble(
        settings, ratings, folder / "u.data", users, files.rows(folder / "u.item", "|", 5 + len(genres), movie)
    )


def _source(name: str) -> str:
    zipped = f"https://files.grouplens.org/datasets/movielens/{name}.zip"
    return f"unpack {zipped} and type --config.data.path=FOLDER/{name}"


def _year(title: str) -> str:
    match = re.search(r"\((\d{4})\)\s*\Z", title)
    return match.group(1) if match else "unknown"


def _words(title: str) -> list[str]:
    """The title's words without the year at its end."""
    return words(re.sub(r"\(\d{4}\)\s*\Z", "", title))


def _assemble(settings: configs.Data, ratings: np.ndarray, path: pathlib.Path, users: list, movies: list) -> Dataset:
    for column, side, known in ((0, "user", users), (1, "movie", movies)):
        missing = np.flatnonzero(~np.isin(ratings[:, column], [row[0] for row in known]))
        if len(missing):
            raise InputError(
                f"{path}:{missing[0] + 1}: {side} {ratings[missing[0], column]} is not in the file of {side}s; "
                f"wanted one of its {len(known)} ids"
            )
    query, query_vocabulary = encode(ratings[:, 0])
    item, item_vocabulary = encode(ratings[:, 1])
    users_by_id, movies_by_id = {row[0]: row for row in users}, {row[0]: row for row in movies}
    vocabularies = {"query": query_vocabulary, "item": item_vocabulary}
    queries = {"query": np.arange(len(query_vocabulary), dtype=np.int32)}
    for column, name in enumerate(("gender", "age", "occupation", "zip"), 1):
        raw = np.array([users_by_id[one][column] for one in query_vocabulary])
        queries[name], vocabularies[name] = encode(raw)
    corpus: dict[str, Any] = {"item": np.arange(len(item_vocabulary), dtype=np.int32)}
    corpus["year"], vocabularies["year"] = encode(np.array([movies_by_id[one][1] for one in item_vocabulary]))
    for column, name in ((2, "genres"), (3, "title")):
        named = sorted({word for row in movies for word in row[column]})
        number = {word: index for index, word in enumerate(named)}
        vocabularies[name] = np.array(named)
        corpus[name] = pad([[number[word] for word in movies_by_id[one][column]] for one in item_vocabulary])
    liked = ratings[:, 2] >= settings.least_rating

    def those(which: np.ndarray) -> Interactions:
        ones = np.ones(int(which.sum()), np.float32)
        return arrange(query[which], item[which], ones, ratings[which, 3], repeats=settings.repeats)

    shown = those(~liked) if settings.least_rating else None
    return Dataset(those(liked), queries, corpus, vocabularies, None, settings.repeats, shown)
