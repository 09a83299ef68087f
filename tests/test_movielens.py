"""MovieLens: small files in GroupLens' layouts, read exactly or refused with file and line; the real ones' counts."""

import pathlib

import numpy as np
import pytest

from recjax import configs, datasets, fields, splits
from recjax.errors import InputError

FAMILY = {name: read for name, read in fields.members(datasets).items() if name in ("movielens_1m", "movielens_100k")}
SHARED = pathlib.Path(__file__).parents[1].parent / "shared" / "data"
RATINGS = [("7", "41", "5", "300"), ("3", "20", "1", "200"), ("3", "10", "4", "100"), ("7", "10", "3", "300")]
RATINGS.append(("3", "20", "2", "400"))
FILES = {
    "movielens_1m": {
        "ratings.dat": ["::".join(row) for row in RATINGS],
        "users.dat": ["3::F::1::10::48067", "7::M::56::16::0707A", "9::M::25::0::55117"],
        "movies.dat": [
            "10::Grün, grün (1973)::Comedy|Drama",
            "20::No Year::Drama",
            "30::Never Rated (2001)::Western",
            "41::Twice (1999) (2000)::Action",
        ],
    },
    "movielens_100k": {
        "u.data": ["\t".join(row) for row in RATINGS],
        "u.user": ["3|7|F|writer|48067", "7|56|M|other|0707A", "9|30|M|none|55117"],
        "u.item": [
            "10|Grün, grün (1973)|01-Jan-1973||http://example.org/10|0|0|1|1|0",
            "20|unknown||||1|0|0|0|0",
            "30|Never Rated (2001)|31-Dec-2001||http://example.org/30|0|0|0|0|1",
            "41|Twice (1999)|02-Feb-2000||http://example.org/41|0|1|0|0|0",
        ],
        "u.genre": ["unknown|0", "Action|1", "Comedy|2", "Drama|3", "Western|4", ""],
    },
}
SEPARATOR = {"movielens_1m": "::", "movielens_100k": "\t"}
QUERIES = {
    "movielens_1m": {"age": ["under 18", "56+"], "occupation": ["10", "16"]},
    "movielens_100k": {"age": ["00s", "50s"], "occupation": ["writer", "other"]},
}
GENRES = {
    "movielens_1m": [["Comedy", "Drama"], ["Drama"], ["Action"]],
    "movielens_100k": [["Comedy", "Drama"], ["unknown"], ["Action"]],
}


@pytest.fixture(params=FAMILY)
def name(request):
    return request.param


def ratings(name):
    return next(iter(FILES[name]))


def write(folder, name, newline="\n", **changed):
    """The files of a layout; `changed` gives a file's lines, its dots written as underscores."""
    for file, lines in FILES[name].items():
        text = "".join(line + newline for line in changed.get(file.replace(".", "_"), lines))
        (folder / file).write_bytes(text.encode("latin-1"))
    return folder


def replaced(name, file, number, line):
    """The lines of a file with the one of this number, counted from 1, replaced."""
    lines = list(FILES[name][file])
    lines[number - 1] = line
    return {file.replace(".", "_"): lines}


def read(name, folder, **settings):
    return FAMILY[name](configs.Data(name=name, path=str(folder), **settings))


def message(name, folder):
    with pytest.raises(InputError) as caught:
        read(name, folder)
    return str(caught.value)


def raw(dataset, features, name):
    return dataset.vocabularies[name][features[name]].tolist()


@pytest.mark.parametrize("repeats", [False, True])
def test_interactions_are_in_order(name, repeats, tmp_path):
    dataset = read(name, write(tmp_path, name), repeats=repeats)
    found = dataset.interactions
    rows = [(0, 0, 1.0, 100), (0, 1, 1.0, 200)] + [(0, 1, 1.0, 400)] * repeats + [(1, 2, 1.0, 300), (1, 0, 1.0, 300)]
    assert list(zip(*(part.tolist() for part in found), strict=True)) == rows
    assert [part.dtype for part in found] == [np.int32, np.int32, np.float32, np.int64]
    assert (dataset.repeats, dataset.groups) == (repeats, None)


def test_the_corpus_is_what_anyone_rated(name, tmp_path):
    dataset = read(name, write(tmp_path, name))
    assert dataset.vocabularies["query"].tolist() == [3, 7]
    assert dataset.vocabularies["item"].tolist() == [10, 20, 41]
    assert dataset.queries["query"].tolist() == [0, 1]
    assert dataset.corpus["item"].tolist() == [0, 1, 2]


def test_queries_have_all_features(name, tmp_path):
    dataset = read(name, write(tmp_path, name))
    wanted = {"query": [3, 7], "gender": ["F", "M"], **QUERIES[name], "zip": ["48067", "0707A"]}
    assert {feature: raw(dataset, dataset.queries, feature) for feature in dataset.queries} == wanted
    for feature, values in wanted.items():
        assert dataset.vocabularies[feature].tolist() == sorted(values)


def test_items_have_all_features(name, tmp_path):
    dataset = read(name, write(tmp_path, name))
    assert set(dataset.corpus) == {"item", "year", "genres", "title"}
    assert raw(dataset, dataset.corpus, "year") == ["1973", "unknown", "2000"]
    ids, where = dataset.corpus["genres"]
    words = dataset.vocabularies["genres"]
    assert [words[row[real]].tolist() for row, real in zip(ids, where, strict=True)] == GENRES[name]
    assert words.tolist() == sorted({"Western"}.union(*GENRES[name]))


@pytest.mark.parametrize(
    ("title", "words"), [("Star Wars: Episode IV (1977)", "star wars episode iv"), ("2001 (1968)", "2001")]
)
def test_a_title_is_a_bag_of_its_different_words(name, title, words, tmp_path):
    file, line = (
        ("movies.dat", f"20::{title}::Drama") if name == "movielens_1m" else ("u.item", f"20|{title}|||x|1|0|0|0|0")
    )
    dataset = read(name, write(tmp_path, name, **replaced(name, file, 2, line)))
    ids, where = dataset.corpus["title"]
    found = [dataset.vocabularies["title"][row[real]].tolist() for row, real in zip(ids, where, strict=True)]
    assert found == [["grün"], words.split(), ["twice", "1999"] if name == "movielens_1m" else ["twice"]]


@pytest.mark.parametrize(
    ("code", "age"),
    [(1, "under 18"), (18, "18-24"), (25, "25-34"), (35, "35-44"), (45, "45-49"), (50, "50-55"), (56, "56+")],
)
def test_an_age_code_is_its_range(code, age, tmp_path):
    users = replaced("movielens_1m", "users.dat", 1, f"3::F::{code}::10::48067")
    dataset = read("movielens_1m", write(tmp_path, "movielens_1m", **users))
    assert raw(dataset, dataset.queries, "age")[0] == age


@pytest.mark.parametrize(("years", "age"), [(7, "00s"), (19, "10s"), (20, "20s"), (73, "70s")])
def test_an_age_in_years_is_its_decade(years, age, tmp_path):
    users = replaced("movielens_100k", "u.user", 1, f"3|{years}|F|writer|48067")
    dataset = read("movielens_100k", write(tmp_path, "movielens_100k", **users))
    assert raw(dataset, dataset.queries, "age")[0] == age


@pytest.mark.parametrize(
    ("title", "year"),
    [
        ("Once (1980)", "1980"),
        ("Trailing (1980) ", "1980"),
        ("(1980) First", "unknown"),
        ("Long (19801)", "unknown"),
        ("1984 (1956)", "1956"),
    ],
)
def test_the_year_ends_the_title(title, year, tmp_path):
    movies = replaced("movielens_1m", "movies.dat", 1, f"10::{title}::Comedy")
    dataset = read("movielens_1m", write(tmp_path, "movielens_1m", **movies))
    assert raw(dataset, dataset.corpus, "year")[0] == year


@pytest.mark.parametrize("character", ["é", "\x85", "\xa0"])
def test_a_title_may_hold_any_latin_1_character(name, character, tmp_path):
    file = {"movielens_1m": "movies.dat", "movielens_100k": "u.item"}[name]
    changed = replaced(name, file, 1, FILES[name][file][0].replace("Grün", f"Gr{character}n"))
    dataset = read(name, write(tmp_path, name, **changed))
    assert raw(dataset, dataset.corpus, "year")[0] == "1973"


def test_windows_line_ends_change_nothing(name, tmp_path):
    folders = [tmp_path / "unix", tmp_path / "windows"]
    for folder, newline in zip(folders, ("\n", "\r\n"), strict=True):
        folder.mkdir()
        write(folder, name, newline)
    unix, windows = (read(name, folder) for folder in folders)
    assert {word: unix.vocabularies[word].tolist() for word in unix.vocabularies} == {
        word: windows.vocabularies[word].tolist() for word in windows.vocabularies
    }
    for one, other in zip(unix.interactions, windows.interactions, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_last_line_needs_no_end(name, tmp_path):
    path = write(tmp_path, name) / ratings(name)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert len(read(name, tmp_path, repeats=True).interactions.query) == len(RATINGS)


@pytest.mark.parametrize(
    "broken",
    [
        lambda row, separator: ",".join(row),
        lambda row, separator: ":".join(row),
        lambda row, separator: separator.join(row[:3]),
        lambda row, separator: separator.join([*row, "1"]),
        lambda row, separator: separator.join([row[0], "x", *row[2:]]),
        lambda row, separator: separator.join([*row[:2], "4.5", row[3]]),
        lambda row, separator: separator.join([*row[:3], "9" * 20]),
        lambda row, separator: separator.join([*row[:3], ""]),
        lambda row, separator: "",
        lambda row, separator: "  ",
    ],
    ids=["comma", "colon", "missing", "extra", "letter", "decimal", "too long", "no value", "blank", "spaces"],
)
def test_a_malformed_rating_is_refused(name, broken, tmp_path):
    line = broken(RATINGS[2], SEPARATOR[name])
    folder = write(tmp_path, name, **replaced(name, ratings(name), 3, line))
    form = {"movielens_1m": "query::item::rating::time", "movielens_100k": "query<tab>item<tab>rating<tab>time"}[name]
    wanted = f"{folder / ratings(name)}:3: {line.encode()!r} is malformed; wanted {form} in whole numbers"
    assert message(name, folder) == wanted


@pytest.mark.parametrize("column", [0, 1, 2, 3], ids=["query", "item", "rating", "time"])
def test_a_negative_number_is_refused(name, column, tmp_path):
    row = list(RATINGS[2])
    row[column] = "-" + row[column]
    folder = write(tmp_path, name, **replaced(name, ratings(name), 3, SEPARATOR[name].join(row)))
    found = message(name, folder)
    assert found.startswith(f"{folder / ratings(name)}:3: ")
    assert row[column] in found
    assert "wanted" in found


@pytest.mark.parametrize("number", range(1, len(RATINGS) + 1))
def test_the_line_is_counted_from_1(name, number, tmp_path):
    folder = write(tmp_path, name, **replaced(name, ratings(name), number, "x"))
    assert message(name, folder).startswith(f"{folder / ratings(name)}:{number}: b'x' is malformed; wanted ")


@pytest.mark.parametrize(
    ("name", "file", "line", "columns"),
    [
        ("movielens_1m", "users.dat", "7|M|56|16|0707A", 5),
        ("movielens_1m", "users.dat", "7::M::56::16", 5),
        ("movielens_1m", "users.dat", "7::M::56::16::0707A::x", 5),
        ("movielens_1m", "users.dat", "x::M::56::16::0707A", 5),
        ("movielens_1m", "users.dat", "7::M::old::16::0707A", 5),
        ("movielens_1m", "movies.dat", "20|No Year|Drama", 3),
        ("movielens_1m", "movies.dat", "20::No Year", 3),
        ("movielens_1m", "movies.dat", "20::No Year::Drama::x", 3),
        ("movielens_1m", "movies.dat", "x::No Year::Drama", 3),
        ("movielens_100k", "u.user", "7::56::M::other::0707A", 5),
        ("movielens_100k", "u.user", "7|56|M|other", 5),
        ("movielens_100k", "u.user", "7|56|M|other|0707A|x", 5),
        ("movielens_100k", "u.user", "x|56|M|other|0707A", 5),
        ("movielens_100k", "u.user", "7|old|M|other|0707A", 5),
        ("movielens_100k", "u.item", "20|unknown||||1|0|0|0", 5 + 5),
        ("movielens_100k", "u.item", "20|unknown||||1|0|0|0|0|0", 5 + 5),
        ("movielens_100k", "u.item", "x|unknown||||1|0|0|0|0", 5 + 5),
        ("movielens_100k", "u.item", "20|unknown||||x|0|0|0|0", 5 + 5),
        ("movielens_100k", "u.genre", "Action", 2),
        ("movielens_100k", "u.genre", "Action|1|x", 2),
    ],
)
def test_a_malformed_line_of_a_side_file_is_refused(name, file, line, columns, tmp_path):
    folder = write(tmp_path, name, **replaced(name, file, 2, line))
    found = message(name, folder)
    assert found.startswith(f"{folder / file}:2: {line!r} is malformed (")
    assert found.endswith(f"); wanted {columns} columns")


def test_an_age_code_that_does_not_exist_is_refused(tmp_path):
    folder = write(tmp_path, "movielens_1m", **replaced("movielens_1m", "users.dat", 2, "7::M::17::16::0707A"))
    found = message("movielens_1m", folder)
    assert found.startswith(f"{folder / 'users.dat'}:2: '7::M::17::16::0707A' is malformed (")
    assert "age" in found
    assert "1, 18, 25, 35, 45, 50" in found


@pytest.mark.parametrize(
    ("column", "given", "wanted"),
    [
        (0, "8", "user 8 is not in the file of users; wanted one of its 3 ids"),
        (1, "31", "movie 31 is not in the file of movies; wanted one of its 4 ids"),
    ],
)
def test_a_rating_of_the_unknown_is_refused(name, column, given, wanted, tmp_path):
    row = list(RATINGS[3])
    row[column] = given
    folder = write(tmp_path, name, **replaced(name, ratings(name), 4, SEPARATOR[name].join(row)))
    assert message(name, folder) == f"{folder / ratings(name)}:4: {wanted}"


def test_a_file_without_ratings_is_refused(name, tmp_path):
    folder = write(tmp_path, name, **{ratings(name).replace(".", "_"): []})
    assert message(name, folder) == f"{folder / ratings(name)} has no ratings; wanted at least one line"


def test_an_empty_file_of_users_is_refused(name, tmp_path):
    file = list(FILES[name])[1]
    folder = write(tmp_path, name, **{file.replace(".", "_"): []})
    wanted = f"{folder / file}:1: '' is malformed (it has 1 columns); wanted 5 columns"
    assert message(name, folder) == wanted


def where(name):
    zipped = name.replace("movielens_", "ml-")
    return (
        f"wanted the folder of {', '.join(name for name in FILES[name])}: unpack "
        f"https://files.grouplens.org/datasets/movielens/{zipped}.zip and type --config.data.path=FOLDER/{zipped}, or "
        "with a network --config.data.download=true"
    )


@pytest.mark.parametrize(("name", "file"), [(name, file) for name, files in FILES.items() for file in files])
def test_a_missing_file_is_named(name, file, tmp_path):
    folder = write(tmp_path, name)
    (folder / file).unlink()
    assert message(name, folder) == f"data.path={str(folder)!r} has no {file}; {where(name)}"


def test_a_missing_folder_is_refused(name, tmp_path):
    folder = tmp_path / "nowhere"
    assert message(name, folder) == f"data.path={str(folder)!r} has no {ratings(name)}; {where(name)}"


def test_a_missing_path_is_refused(name):
    assert message(name, "") == f"data.name={name!r} needs data.path; {where(name)}"


@pytest.fixture(
    scope="module", params=[("movielens_1m", "ml-1m"), ("movielens_100k", "ml-100k")], ids=lambda one: one[1]
)
def real(request):
    name, folder = request.param
    if not (SHARED / folder).is_dir():
        pytest.skip(
            f"{folder} is not here: it may not be redistributed and is read from shared/data beside the project"
        )
    return name, read(name, SHARED / folder)


def test_the_real_data_has_its_counts(real):
    name, dataset = real
    counts = [len(dataset.vocabularies["query"]), len(dataset.vocabularies["item"]), len(dataset.interactions.query)]
    wanted = {"movielens_1m": [6040, 3706, 1_000_209], "movielens_100k": [943, 1682, 100_000]}
    assert counts == wanted[name]
    assert np.all(dataset.interactions.weight == 1.0)


def test_the_real_vocabularies_have_their_sizes(real):
    name, dataset = real
    sizes = {feature: len(dataset.vocabularies[feature]) for feature in ("gender", "occupation", "genres")}
    wanted = {"movielens_1m": [2, 21, 18], "movielens_100k": [2, 21, 19]}
    assert list(sizes.values()) == wanted[name]


def test_every_real_query_has_a_last_interaction(real):
    _, dataset = real
    split = splits.last_out(dataset, configs.Data())
    count = len(dataset.vocabularies["query"])
    for part in (split.validation.relevant, split.test.relevant):
        assert part.query.tolist() == list(range(count))
    assert len(split.train.interactions.query) == len(dataset.interactions.query) - 2 * count
    last = np.zeros(count, np.int64)
    np.maximum.at(last, dataset.interactions.query, dataset.interactions.time)
    np.testing.assert_array_equal(split.test.relevant.time, last)


@pytest.mark.parametrize("name", ["movielens_1m", "movielens_100k"])
def test_ratings_below_the_least_are_impressions(name, tmp_path):
    path = str(write(tmp_path, name))
    every = getattr(datasets, name)(configs.Data(name=name, path=path))
    found = getattr(datasets, name)(configs.Data(name=name, path=path, least_rating=4.0))
    assert every.impressions is None

    def pairs(interactions):
        return set(zip(interactions.query.tolist(), interactions.item.tolist(), strict=True))

    rated = {(row[0], row[1]): int(row[2]) for row in RATINGS}
    raw = {
        (str(every.vocabularies["query"][q]), str(every.vocabularies["item"][i])): (q, i)
        for q, i in pairs(every.interactions)
    }
    assert pairs(found.interactions) == {raw[pair] for pair, rating in rated.items() if rating >= 4}
    assert pairs(found.impressions) == {raw[pair] for pair, rating in rated.items() if rating < 4}
    assert pairs(found.impressions)
    np.testing.assert_array_equal(found.vocabularies["item"], every.vocabularies["item"])
