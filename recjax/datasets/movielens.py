"""MovieLens from GroupLens' files, with all side features.

The files may not be redistributed: get them from https://grouplens.org/datasets/movielens and cite Harper and
Konstan 2015.
"""

import io
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from recjax import configs
from recjax.errors import InputError
from recjax.interactions import arrange, encode, pad
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
    folder = _folder(settings, "ml-1m", ("ratings.dat", "users.dat", "movies.dat"))
    ratings = _ratings(folder / "ratings.dat", b"::")
    users = _rows(folder / "users.dat", "::", 5, lambda row: (int(row[0]), row[1], _age(row[2]), row[3], row[4]))
    movies = _rows(
        folder / "movies.dat", "::", 3, lambda row: (int(row[0]), _year(row[1]), row[2].split("|"), _words(row[1]))
    )
    return _assemble(settings, ratings, folder / "ratings.dat", users, movies)


def movielens_100k(settings: configs.Data) -> Dataset:
    """943 queries, 1,682 items, 100,000 ratings; every rating is a positive.

    Queries: gender, age (in decades), occupation, zip. Items: genres and title words (bags), year.
    """
    folder = _folder(settings, "ml-100k", ("u.data", "u.user", "u.item", "u.genre"))
    genres = [row[0] for row in _rows(folder / "u.genre", "|", 2, list)]
    ratings = _ratings(folder / "u.data", b"\t")
    users = _rows(
        folder / "u.user", "|", 5, lambda row: (int(row[0]), row[2], f"{int(row[1]) // 10}0s", row[3], row[4])
    )

    def movie(row: list[str]):
        named = [genre for genre, flag in zip(genres, row[5:], strict=True) if int(flag)]
        return int(row[0]), row[2][-4:] or "unknown", named, _words(row[1])

    return _assemble(settings, ratings, folder / "u.data", users, _rows(folder / "u.item", "|", 5 + len(genres), movie))


def _folder(settings: configs.Data, name: str, files: Sequence[str]) -> pathlib.Path:
    source = f"https://files.grouplens.org/datasets/movielens/{name}.zip"
    wanted = f"wanted the folder of {', '.join(files)}: unpack {source} and type --config.data.path=FOLDER/{name}"
    if not settings.path:
        raise InputError(f"data.name={settings.name!r} needs data.path; {wanted}")
    folder = pathlib.Path(settings.path)
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise InputError(f"data.path={settings.path!r} has no {missing[0]}; {wanted}")
    return folder


def _ratings(path: pathlib.Path, separator: bytes) -> np.ndarray:
    """[E 4] of query, item, rating, time, raw."""
    text = path.read_bytes()
    if not text.strip():
        raise InputError(f"{path} has no ratings; wanted at least one line")
    try:
        found = np.loadtxt(io.BytesIO(text.replace(separator, b"\t")), np.int64, delimiter="\t", comments=None, ndmin=2)
        right = found.shape[1] == 4 and len(found) == len(text.splitlines()) and found.min() >= 0
    except ValueError:
        right = False
    if not right:
        number = r"\d{1,18}"
        line = re.compile(separator.join([number.encode()] * 4) + rb"\Z")
        for row, one in enumerate(text.splitlines(), 1):
            if not line.match(one):
                wanted = separator.decode().join(["query", "item", "rating", "time"]).replace("\t", "<tab>")
                raise InputError(f"{path}:{row}: {one[:80]!r} is malformed; wanted {wanted} in whole numbers")
        raise InputError(f"{path} holds numbers that are too large; wanted whole numbers of at most 18 digits")
    return found


def _rows(path: pathlib.Path, separator: str, columns: int, read: Callable) -> list:
    """A small file, row by row; errors name the line."""
    found = []
    for number, line in enumerate(path.read_text("latin-1").rstrip("\n").split("\n"), 1):
        row = line.split(separator)
        try:
            if len(row) != columns:
                raise ValueError(f"it has {len(row)} columns")
            found.append(read(row))
        except (ValueError, KeyError) as error:
            raise InputError(
                f"{path}:{number}: {line[:80]!r} is malformed ({error}); wanted {columns} columns"
            ) from None
    return found


def _year(title: str) -> str:
    match = re.search(r"\((\d{4})\)\s*\Z", title)
    return match.group(1) if match else "unknown"


def _words(title: str) -> list[str]:
    """The title's different words in the order of their first places, without the year at its end."""
    return list(dict.fromkeys(re.findall(r"[\w']+", re.sub(r"\(\d{4}\)\s*\Z", "", title).lower())))


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
        words = sorted({word for row in movies for word in row[column]})
        number = {word: index for index, word in enumerate(words)}
        vocabularies[name] = np.array(words)
        corpus[name] = pad([[number[word] for word in movies_by_id[one][column]] for one in item_vocabulary])
    weight = np.ones(len(query), np.float32)
    found = arrange(query, item, weight, ratings[:, 3], repeats=settings.repeats)
    return Dataset(found, queries, corpus, vocabularies, None, settings.repeats)
