"""MovieLens from GroupLens' files, with all side features.

The files may not be redistributed: get them from https://grouplens.org/datasets/movielens and cite Harper and
Konstan 2015.
"""

import functools
import pathlib
import re
from typing import Any

import numpy as np

from recjax import configs
from recjax.datasets import arrow, delimited, downloads, files, ratings
from recjax.datasets.arrow import Text
from recjax.datasets.ratings import Rows
from recjax.errors import InputError
from recjax.interactions import encode, pad, words
from recjax.types import Dataset

_AGES = {1: "under 18", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-49", 50: "50-55", 56: "56+"}


def _age(code: str) -> str:
    if int(code) not in _AGES:
        raise ValueError(f"age code {code}; wanted one of {', '.join(map(str, _AGES))}")
    return _AGES[int(code)]


def movielens_1m(settings: configs.Data) -> Dataset:
    """6,040 queries, the 3,706 items that anyone rated, 1,000,209 ratings; every rating is a positive.

    Queries: gender, age, occupation, zip. Items: genres and title words (bags), year.
    """
    folder = _folder(settings, ("ratings.dat", "users.dat", "movies.dat"), "ml-1m")
    rows = _small(folder / "ratings.dat", b"::")
    users = files.rows(
        folder / "users.dat", "::", 5, lambda row: (files.whole(row[0]), row[1], _age(row[2]), row[3], row[4])
    )
    return _assemble(settings, rows, folder / "ratings.dat", users, _movies(folder, "latin-1"))


def movielens_100k(settings: configs.Data) -> Dataset:
    """943 queries, 1,682 items, 100,000 ratings; every rating is a positive.

    Queries: gender, age (in decades), occupation, zip. Items: genres and title words (bags), year.
    """
    folder = _folder(settings, ("u.data", "u.user", "u.item", "u.genre"), "ml-100k")
    genres = [row[0] for row in files.rows(folder / "u.genre", "|", 2, list)]
    rows = _small(folder / "u.data", b"\t")
    users = files.rows(
        folder / "u.user", "|", 5, lambda row: (files.whole(row[0]), row[2], f"{int(row[1]) // 10}0s", row[3], row[4])
    )

    def movie(row: list[str]):
        named = [genre for genre, flag in zip(genres, row[5:], strict=True) if int(flag)]
        return files.whole(row[0]), row[2][-4:] or "unknown", named, _words(row[1])

    movies = files.rows(folder / "u.item", "|", 5 + len(genres), movie)
    return _assemble(settings, rows, folder / "u.data", users, movies)


def movielens_10m(settings: configs.Data) -> Dataset:
    """69,878 queries, 10,677 rated items, 10,000,054 ratings. Items: genres and title words (bags), year.

    Needs pyarrow, as all but 100K and 1M.
    """
    folder = _folder(settings, ("ratings.dat", "movies.dat"), "ml-10m", "ml-10M100K")
    kinds = {"1": "id", "2": "id", "3": "number", "4": "s"}
    rows = _large(folder / "ratings.dat", kinds, separator="::", header=False)
    return _assemble(settings, rows, folder / "ratings.dat", [], _movies(folder, "utf-8"))


def movielens_20m(settings: configs.Data) -> Dataset:
    """138,493 queries, 26,744 rated items, 20,000,263 ratings. Items: genres and title words (bags), year."""
    return _tables(settings, "ml-20m")


def movielens_25m(settings: configs.Data) -> Dataset:
    """162,541 queries, 59,047 rated items, 25,000,095 ratings. Items: genres and title words (bags), year."""
    return _tables(settings, "ml-25m")


def movielens_32m(settings: configs.Data) -> Dataset:
    """200,948 queries, 84,432 rated items, 32,000,204 ratings. Items: genres and title words (bags), year."""
    return _tables(settings, "ml-32m")


def movielens_latest(settings: configs.Data) -> Dataset:
    """What GroupLens has of late; it changes, so no study rests on it. Items: genres and title words (bags), year."""
    return _tables(settings, "ml-latest")


def movielens_latest_small(settings: configs.Data) -> Dataset:
    """About 600 queries and 100,000 ratings; it changes. Items: genres and title words (bags), year."""
    return _tables(settings, "ml-latest-small")


def _tables(settings: configs.Data, archive: str) -> Dataset:
    folder = _folder(settings, ("ratings.csv", "movies.csv"), archive)
    kinds = {"userId": "id", "movieId": "id", "rating": "number", "timestamp": "s"}
    rows = _large(folder / "ratings.csv", kinds, separator=",", header=True)

    def movie(row: list[str]):
        return files.whole(row[0]), _year(row[1]), row[2].split("|"), _words(row[1])

    movies = files.rows(folder / "movies.csv", ",", 3, movie, "utf-8", header=["movieId", "title", "genres"])
    return _assemble(settings, rows, folder / "ratings.csv", [], movies)


def _folder(settings: configs.Data, names: tuple[str, ...], archive: str, inside: str = "") -> pathlib.Path:
    if settings.download and not settings.path:
        return downloads.unpacked(archive, names, inside or archive)
    source = (
        f"unpack {downloads.url(archive)} and type --config.data.path=FOLDER/{inside or archive}, or with a network "
        "--config.data.download=true"
    )
    return files.folder(settings, names, source)


def _small(path: pathlib.Path, separator: bytes) -> Rows:
    found = files.ratings(path, separator)
    return Rows(Text(*encode(found[:, 0])), Text(*encode(found[:, 1])), found[:, 3], found[:, 2].astype(np.float64))


def _large(path: pathlib.Path, kinds: dict[str, str], *, separator: str, header: bool) -> Rows:
    found = delimited.columns(path, kinds, separator=separator, header=header)
    query, item, rating, time = kinds
    place = functools.partial(delimited.place, path, header)
    for name in (query, item):
        text = found[name]
        right = np.array([bool(re.fullmatch(r"0|[1-9]\d{0,17}", str(one))) for one in text.vocabulary.tolist()])
        arrow.require(place, name, right[text.ids], "no id of MovieLens", "a whole number")
    arrow.require(place, rating, np.isfinite(found[rating]), found[rating], "a number")
    arrow.require(place, time, found[time] >= 0, found[time], "seconds since 1970")
    return Rows(found[query], found[item], found[time], found[rating])


def _movies(folder: pathlib.Path, encoding: str) -> list:
    def movie(row: list[str]):
        return files.whole(row[0]), _year(row[1]), row[2].split("|"), _words(row[1])

    return files.rows(folder / "movies.dat", "::", 3, movie, encoding)


def _year(title: str) -> str:
    match = re.search(r"\((\d{4})\)\s*\Z", title)
    return match.group(1) if match else "unknown"


def _words(title: str) -> list[str]:
    """The title's words without the year at its end."""
    return words(re.sub(r"\(\d{4}\)\s*\Z", "", title))


def _assemble(settings: configs.Data, rows: Rows, path: pathlib.Path, users: list, movies: list) -> Dataset:
    """One data set of ratings, and of what is known of users (nothing where there are none) and movies."""
    header = path.suffix == ".csv"
    for text, side, known in ((rows.query, "user", users), (rows.item, "movie", movies)):
        missing = ~np.isin(text.vocabulary, [row[0] for row in known])
        if known and missing.any():
            row = int(np.argmax(missing[text.ids]))
            raise InputError(
                f"{delimited.place(path, header, row)}: {side} {text.vocabulary[text.ids[row]]} is not in the file of "
                f"{side}s; wanted one of its {len(known)} ids"
            )
    found = ratings.count(settings, rows, str(path))
    vocabularies = {"query": found.query, "item": found.item}
    queries = {"query": np.arange(len(found.query), dtype=np.int32)}
    users_by_id, movies_by_id = {row[0]: row for row in users}, {row[0]: row for row in movies}
    for column, name in enumerate(("gender", "age", "occupation", "zip") if users else (), 1):
        raw = np.array([users_by_id[one][column] for one in found.query.tolist()])
        queries[name], vocabularies[name] = encode(raw)
    corpus: dict[str, Any] = {"item": np.arange(len(found.item), dtype=np.int32)}
    rated = [movies_by_id[one] for one in found.item.tolist()]
    corpus["year"], vocabularies["year"] = encode(np.array([row[1] for row in rated]))
    for column, name in ((2, "genres"), (3, "title")):
        named = sorted({word for row in movies for word in row[column]})
        number = {word: index for index, word in enumerate(named)}
        vocabularies[name] = np.array(named)
        corpus[name] = pad([[number[word] for word in row[column]] for row in rated])
    return Dataset(
        found.interactions, queries, corpus, vocabularies, None, settings.repeats, found.impressions, found.notes
    )
