"""Lists of LightGCN: small files, read exactly or refused with file and line; their splits; Gowalla's counts."""

import pathlib

import numpy as np
import pytest

from recjax import configs, datasets, leaks, splits
from recjax.errors import InputError

SHARED = pathlib.Path(__file__).parents[1].parent / "shared" / "data"
FILES = {"train.txt": ["5 10 30 70 20", "9 20", "2 70 10 20 40"], "test.txt": ["5 40", "2 30 90"]}
TRAIN = [
    ("2", "10"),
    ("2", "20"),
    ("2", "40"),
    ("2", "70"),
    ("5", "10"),
    ("5", "20"),
    ("5", "30"),
    ("5", "70"),
    ("9", "20"),
]
TEST = [("2", "30"), ("2", "90"), ("5", "40")]


def write(folder, changed=(), end="\n"):
    for file, lines in {**FILES, **dict(changed)}.items():
        (folder / file).write_bytes("".join(line + end for line in lines).encode())
    return folder


def settings(folder, **others):
    return configs.Data(name="lightgcn", path=str(folder), split="lightgcn", **others)


def pairs(dataset, part):
    names = [dataset.vocabularies["query"][part.query], dataset.vocabularies["item"][part.item]]
    return sorted(zip(*[one.astype(str).tolist() for one in names], strict=True))


@pytest.mark.parametrize("end", ["\n", "\r\n", " \n"])
def test_the_data_set_is_both_files(end, tmp_path):
    dataset = datasets.lightgcn(settings(write(tmp_path, end=end)))
    assert pairs(dataset, dataset.interactions) == sorted(TRAIN + TEST)
    assert dataset.vocabularies["item"].tolist() == [10, 20, 30, 40, 70, 90]
    assert dataset.interactions.time is None


def test_the_split_is_the_published_one(tmp_path):
    data = settings(write(tmp_path))
    dataset = datasets.lightgcn(data)
    split = splits.lightgcn(dataset, data)
    leaks.check(dataset, split, "lightgcn")
    assert (pairs(dataset, split.train.interactions), pairs(dataset, split.test.relevant)) == (TRAIN, TEST)
    assert split.validation is None
    assert split.test.known is split.train


def test_validation_is_the_last_of_each_line_of_the_training_file(tmp_path):
    data = settings(write(tmp_path), share=0.3)
    dataset = datasets.lightgcn(data)
    split = splits.lightgcn_tuning(dataset, data)
    leaks.check(dataset, split, "lightgcn_tuning")
    train, held = pairs(dataset, split.train.interactions), pairs(dataset, split.validation.relevant)
    assert sorted(train + held) == TRAIN
    assert held == [("2", "40"), ("5", "20")]  # floor(.3 · 4), floor(.3 · 4), floor(.3 · 1) of them
    assert pairs(dataset, split.test.relevant) == TEST
    assert pairs(dataset, split.test.known.interactions) == TRAIN


@pytest.mark.parametrize("split", ["lightgcn", "lightgcn_tuning"])
def test_another_data_set_has_no_such_split(split, dataset):
    with pytest.raises(InputError, match=f"data.split='{split}' is read from the files of lightgcn"):
        getattr(splits, split)(dataset, configs.Data(split=split))


LIST = "wanted a query and its items in whole numbers, with single blanks between them"


@pytest.mark.parametrize(
    ("file", "number", "line", "told"),
    [
        ("train.txt", 2, "9  20", f"b'9  20' is malformed; {LIST}"),
        ("train.txt", 2, "9,20", f"b'9,20' is malformed; {LIST}"),
        ("train.txt", 2, "9 -20", f"b'9 -20' is malformed; {LIST}"),
        ("train.txt", 2, "", f"b'' is malformed; {LIST}"),
        ("test.txt", 2, "2 " + "1" * 19, f"b'2 {'1' * 19}' is malformed; {LIST}"),
        ("test.txt", 2, "5 30", "query 5 has line 1 already; wanted one line a query"),
        (
            "train.txt",
            3,
            "2 70 70",
            "query 2 has item 70, which is in {folder}/train.txt:3 already; wanted each pair once",
        ),
        (
            "test.txt",
            2,
            "2 90 10",
            "query 2 has item 10, which is in {folder}/train.txt:3 already; wanted each pair once",
        ),
    ],
)
def test_what_is_malformed_is_refused_with_file_and_line(file, number, line, told, tmp_path):
    lines = list(FILES[file])
    lines[number - 1] = line
    with pytest.raises(InputError) as caught:
        datasets.lightgcn(settings(write(tmp_path, {file: lines})))
    assert str(caught.value) == f"{tmp_path / file}:{number}: {told.format(folder=tmp_path)}"


def test_gowalla_has_its_counts():
    folder = SHARED / "gowalla"
    if not folder.is_dir():
        pytest.skip("gowalla is not here: it is read from shared/data beside the project")
    data = settings(folder)
    dataset = datasets.lightgcn(data)
    split = splits.lightgcn(dataset, data)
    leaks.check(dataset, split, "lightgcn")
    assert [len(dataset.vocabularies[side]) for side in ("query", "item")] == [29_858, 40_981]
    assert [len(part.query) for part in (split.train.interactions, split.test.relevant)] == [810_128, 217_242]
    assert not len(np.setdiff1d(split.test.relevant.item, split.train.interactions.item))
