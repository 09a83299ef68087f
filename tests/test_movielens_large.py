"""MovieLens 10M and larger: small files in GroupLens' layouts, which are those of its README files."""

import numpy as np
import pytest

from recjax import configs, datasets
from recjax.errors import InputError

pytest.importorskip("pyarrow")

RATINGS = [("7", "41", "4.5", "300"), ("3", "20", "0.5", "200"), ("3", "10", "4.0", "100"), ("7", "10", "3.0", "300")]
TITLES = {"10": "Grün, grün (1973)", "20": 'The "No" Year', "41": "Twice: Again (1999)"}
GENRES = {"10": "Comedy|Drama", "20": "(no genres listed)", "41": "Drama"}
TABLES = ("movielens_20m", "movielens_25m", "movielens_32m", "movielens_latest", "movielens_latest_small")


def quoted(text):
    return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text


def lines(name):
    if name == "movielens_10m":
        movies = [f"{movie}::{title}::{GENRES[movie]}" for movie, title in TITLES.items()]
        return {"ratings.dat": ["::".join(row) for row in RATINGS], "movies.dat": movies}
    movies = [f"{movie},{quoted(title)},{GENRES[movie]}" for movie, title in TITLES.items()]
    ratings = [",".join(row) for row in RATINGS]
    return {
        "ratings.csv": ["userId,movieId,rating,timestamp", *ratings],
        "movies.csv": ["movieId,title,genres", *movies],
    }


def write(folder, name, changed=()):
    for file, content in {**lines(name), **dict(changed)}.items():
        (folder / file).write_text("".join(line + "\n" for line in content), "utf-8")
    return folder


def read(folder, name, **settings):
    return getattr(datasets, name)(configs.Data(name=name, path=str(folder), **settings))


@pytest.mark.parametrize("name", ["movielens_10m", *TABLES])
def test_ratings_and_movies_are_read(name, tmp_path):
    dataset = read(write(tmp_path, name), name)
    rows = list(zip(*(part.tolist() for part in dataset.interactions), strict=True))
    assert rows == [(0, 0, 1.0, 100), (0, 1, 1.0, 200), (1, 2, 1.0, 300), (1, 0, 1.0, 300)]
    assert dataset.vocabularies["query"].tolist() == [3, 7]
    assert dataset.vocabularies["item"].tolist() == [10, 20, 41]
    assert list(dataset.queries) == ["query"]
    ids, where = dataset.corpus["title"]
    words = [dataset.vocabularies["title"][row[real]].tolist() for row, real in zip(ids, where, strict=True)]
    assert words == [["grün"], ["the", "no", "year"], ["twice", "again"]]
    assert dataset.vocabularies["year"][dataset.corpus["year"]].tolist() == ["1973", "unknown", "1999"]
    ids, where = dataset.corpus["genres"]
    genres = [dataset.vocabularies["genres"][row[real]].tolist() for row, real in zip(ids, where, strict=True)]
    assert genres == [one.split("|") for one in GENRES.values()]


def test_half_stars_count(tmp_path):
    dataset = read(write(tmp_path, "movielens_25m"), "movielens_25m", least_rating=4.5, drop_below=3.0)
    assert (dataset.interactions.item.tolist(), dataset.impressions.item.tolist()) == ([1], [0, 0])
    assert dataset.notes == {"below": 1, "duplicates": 0}
    assert np.array_equal(dataset.vocabularies["item"], [10, 41])


@pytest.mark.parametrize(
    ("name", "file", "number", "line", "told"),
    [
        ("movielens_10m", "ratings.dat", 2, "3::20::x::200", "malformed (3 is 'x')"),
        ("movielens_10m", "ratings.dat", 2, "3::20:0.5::200", "malformed (it has 3 columns)"),
        ("movielens_10m", "ratings.dat", 2, "3::20::.5::-200", "column '4' holds -200; wanted seconds since 1970"),
        ("movielens_10m", "ratings.dat", 2, "-3::20::.5::200", "column '1' holds no id of MovieLens; wanted a whole"),
        ("movielens_10m", "movies.dat", 2, "20::No Year", "'20::No Year' is malformed (it has 2 columns)"),
        (
            "movielens_25m",
            "ratings.csv",
            2,
            "x7,41,4.5,300",
            "column 'userId' holds no id of MovieLens; wanted a whole",
        ),
        ("movielens_25m", "ratings.csv", 2, "7,41,nan,300", "column 'rating' holds nan; wanted a number"),
        (
            "movielens_25m",
            "ratings.csv",
            3,
            "7,42,4.5,300",
            "movie 42 is not in the file of movies; wanted one of its 3",
        ),
        ("movielens_25m", "movies.csv", 1, "movieId,name,genres", "(it is not movieId,title,genres); wanted 3 columns"),
        ("movielens_25m", "movies.csv", 2, '10,"Gr,Comedy', "is malformed (unexpected end of data); wanted 3 columns"),
    ],
)
def test_what_is_malformed_is_refused_with_file_and_line(name, file, number, line, told, tmp_path):
    content = lines(name)[file]
    content[number - 1] = line
    with pytest.raises(InputError) as caught:
        read(write(tmp_path, name, {file: content}), name)
    assert str(caught.value).startswith(f"{tmp_path / file}:{number}: ")
    assert told in str(caught.value)


def test_a_missing_folder_says_where_to_get_it(tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path, "movielens_10m")
    assert str(caught.value).endswith(
        "wanted the folder of ratings.dat, movies.dat: unpack https://files.grouplens.org/datasets/movielens/ml-10m.zip"
        " and type --config.data.path=FOLDER/ml-10M100K, or with a network --config.data.download=true"
    )
