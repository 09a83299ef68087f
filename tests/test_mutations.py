"""A thousand broken files: each is read exactly as a plain reading of its lines says, or refused with file and line."""

import re

import numpy as np
import pytest

from recjax import configs, datasets
from recjax.errors import InputError

MUTANTS = 1000
ROWS = 12
QUERIES, ITEMS = (3, 7, 11), (10, 20, 30, 41)
TRIPLES = [(QUERIES[n % 3], ITEMS[n % 4], 1 + n % 5, 1000 + n) for n in range(ROWS)]  # all pairs differ


def joined(separator, header=()):
    return [*header, *(separator.join(map(str, row)) for row in TRIPLES)]


MOVIES = [f"{item}::Name {item} (1990)::Drama" for item in ITEMS]
GOOD = {
    "movielens_100k": {
        "u.data": joined("\t"),
        "u.user": [f"{query}|24|F|writer|48067" for query in QUERIES],
        "u.item": [f"{item}|Name (1990)|01-Jan-1990||x|1|0" for item in ITEMS],
        "u.genre": ["Drama|0", "Comedy|1"],
    },
    "movielens_1m": {
        "ratings.dat": joined("::"),
        "users.dat": [f"{query}::F::25::10::48067" for query in QUERIES],
        "movies.dat": MOVIES,
    },
    "movielens_10m": {"ratings.dat": joined("::"), "movies.dat": MOVIES},
    "movielens_25m": {
        "ratings.csv": joined(",", ["userId,movieId,rating,timestamp"]),
        "movies.csv": ["movieId,title,genres", *(f'{item},"A, B ""{item}"" (1990)",Drama|War' for item in ITEMS)],
    },
    "movielens_1m_ncf": {
        "ml-1m.train.rating": joined("\t")[3:],
        "ml-1m.test.rating": joined("\t")[:3],
        "ml-1m.test.negative": [
            "\t".join([f"({row[0]},{row[1]})", *[str(one) for one in ITEMS if one != row[1]] * 33])
            for row in TRIPLES[:3]
        ],
    },
    "lightgcn": {"train.txt": ["3 10 30", "7 20 41", "11 30"], "test.txt": ["3 41", "7 30", "11 10 20"]},
    "table": {"interactions.csv": joined(",", ["query,item,rating,time"])},
}
# Of these files each line is so many interactions (of lists: one a number after the first), without a header's one.
COUNTED = {"u.data", "ratings.dat", "ratings.csv", "ml-1m.train.rating", "ml-1m.test.rating", "interactions.csv"}
COLUMNS = configs.Columns(rating="rating", time="time")


def value(rng):
    """What may stand in the place of a number."""
    odd = [
        b"",
        b"-5",
        b"nan",
        b"NaN",
        b"inf",
        b"1e3",
        b"4.5",
        b"9" * 30,
        b"99999999999999999",
        b"x",
        b"\xff\xfe",
        b" 7",
    ]
    odd += [b"0x10", b"1_0", b"\x00", '"', "٣".encode(), b"+3", b"7 ", b"-0", b"00", b"'3'", b"2147483648", b"\xc3\xa9"]
    one = odd[rng.integers(len(odd))]
    return one.encode() if isinstance(one, str) else one


def lines_of(text):
    return text.split(b"\n")


def put(rng, text, change):
    """The text with one of its lines changed."""
    lines = lines_of(text)
    number = int(rng.integers(max(1, len(lines) - 1)))
    return b"\n".join([*lines[:number], *change(lines[number]), *lines[number + 1 :]])


def replaced_number(rng, text):
    def change(line):
        places = list(re.finditer(rb"\d+", line)) or [re.match(b"", line)]
        place = places[rng.integers(len(places))]
        return [line[: place.start()] + value(rng) + line[place.end() :]]

    return put(rng, text, change)


def separators(rng, text):
    separator = [b"::", b"\t", b",", b";", b" ", b"|", b"  ", b":"][rng.integers(8)]
    pattern = rb"::|\t|,| |\|"
    if rng.random() < 0.5:
        return re.sub(pattern, separator, text)
    return put(rng, text, lambda line: [re.sub(pattern, separator, line, count=int(rng.integers(3)))])


MUTATIONS = {
    "truncated": lambda rng, text: text[: rng.integers(len(text))],
    "a byte": lambda rng, text: (at := rng.integers(len(text))) and text[:at] + rng.bytes(1) + text[at + 1 :],
    "separators": separators,
    "encoding": lambda rng, text: text.decode().encode(["utf-16", "utf-8-sig", "utf-32"][rng.integers(3)]),
    "a number": replaced_number,
    "a line twice": lambda rng, text: put(rng, text, lambda line: [line, line]),
    "a line less": lambda rng, text: put(rng, text, lambda line: []),
    "a blank line": lambda rng, text: put(rng, text, lambda line: [line, [b"", b"  ", b"\r"][rng.integers(3)]]),
    "two lines in one": lambda rng, text: put(rng, text, lambda line: [line + line]),
    "a column more": lambda rng, text: put(
        rng, text, lambda line: [line + [b"\t", b"::", b",", b" "][rng.integers(4)] + b"1"]
    ),
    "a quote": lambda rng, text: put(rng, text, lambda line: [b'"' + line]),
    "a quoted line end": lambda rng, text: put(rng, text, lambda line: [b'"a\n' + line + b'"']),
    "a carriage return": lambda rng, text: put(rng, text, lambda line: [line[:3] + b"\r" + line[3:]]),
    "a header twice": lambda rng, text: put(rng, lines_of(text)[0] + b"\n" + text, lambda line: [line]),
    "equal names": lambda rng, text: text.replace(b"item", b"query").replace(b"movieId", b"userId"),
    "a gigantic line": lambda rng, text: put(rng, text, lambda line: [line + b"1" * 2_000_000]),
    "empty": lambda rng, text: [b"", b"\n", b"\n\n\n", b"\x00"][rng.integers(4)],
    "windows": lambda rng, text: text.replace(b"\n", b"\r\n"),
    "old apple": lambda rng, text: text.replace(b"\n", b"\r"),
}


def plain(name, files):
    """How many interactions a plain reading finds: a line each, whatever is in it."""
    total = 0
    for file, text in files.items():
        lines = text.removesuffix(b"\n").split(b"\n")
        if name == "lightgcn":
            total += sum(len(line.split()) - 1 for line in lines)
        elif file in COUNTED:
            total += len(lines) - file.endswith(".csv")
    return total


def read(name, folder):
    settings = configs.Data(name=name, path=str(folder), repeats=name != "movielens_1m_ncf", columns=COLUMNS)
    return getattr(datasets, name)(settings)


def write(folder, files):
    for file, text in files.items():
        (folder / file).write_bytes(text)


def text(lines):
    return "".join(line + "\n" for line in lines).encode()


@pytest.mark.parametrize("name", GOOD)
def test_the_files_are_whole_before_they_are_broken(name, tmp_path):
    files = {file: text(lines) for file, lines in GOOD[name].items()}
    write(tmp_path, files)
    assert len(read(name, tmp_path).interactions.query) == plain(name, files)


@pytest.mark.parametrize("name", GOOD)
def test_a_broken_file_is_read_exactly_or_refused_with_file_and_line(name, tmp_path):
    rng = np.random.default_rng(list(GOOD).index(name))
    whole = {file: text(lines) for file, lines in GOOD[name].items()}
    refused = 0
    kinds = list(MUTATIONS)
    for number in range(-(-MUTANTS // len(GOOD))):
        kind = kinds[number % len(kinds)]
        file = list(whole)[rng.integers(len(whole))]
        broken = MUTATIONS[kind](rng, whole[file])
        files = whole | {file: broken}
        write(tmp_path, files)
        try:
            found = read(name, tmp_path)
        except InputError as error:
            refused += 1
            where = rf"{re.escape(str(tmp_path))}/[\w.-]+(:\d+: | has no r|: malformed)"
            assert re.match(where, str(error)), (kind, file, str(error)[:300])
            assert len(str(error)) < 1000, (kind, file)
        else:
            count, wanted = len(found.interactions.query), plain(name, files)
            if name == "movielens_1m_ncf":  # keeps each pair once
                pairs = {
                    tuple(line.split(b"\t")[:2]) for one in list(files)[:2] for line in files[one].split(b"\n") if line
                }
                wanted = len(pairs)
            assert count == wanted, (kind, file, broken[:300])
    assert refused > 50
