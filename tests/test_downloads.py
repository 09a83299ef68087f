"""Downloads from a server of the test's own: checked, whole or not at all, and once; without a network, what to do."""

import functools
import hashlib
import http.server
import io
import os
import pathlib
import threading
import zipfile
from typing import ClassVar

import pytest

from recjax import configs, datasets
from recjax.datasets import downloads
from recjax.errors import InputError

RATINGS = "userId,movieId,rating,timestamp\n7,10,4.5,100\n7,20,3.0,200\n"
MOVIES = 'movieId,title,genres\n10,"One, the (1990)",Drama|War\n20,Two,(no genres listed)\n'


def packed(files):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)  # whose date is fixed: workers collect the same names
    return whole.getvalue()


GOOD = packed({"ml-latest/ratings.csv": RATINGS, "ml-latest/movies.csv": MOVIES})


class Quiet(http.server.SimpleHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def log_message(self, *arguments):
        self.asked.append(self.path)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder that is served as GroupLens', and the cache beside it."""
    (tmp_path / "served").mkdir()
    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        Quiet.asked.clear()
        monkeypatch.setattr(downloads, "SOURCE", f"http://127.0.0.1:{serving.server_port}")
        monkeypatch.setenv(downloads.CACHE, str(tmp_path / "cache"))
        yield tmp_path / "served"
        serving.shutdown()
        thread.join()


def serve(folder, archive, told=None, name="ml-latest"):
    (folder / f"{name}.zip").write_bytes(archive)
    digest = hashlib.md5(archive, usedforsecurity=False).hexdigest()
    (folder / f"{name}.zip.md5").write_text(f"MD5 ({name}.zip) = {told or digest}\n")


def read(name="movielens_latest"):
    return getattr(datasets, name)(configs.Data(name=name, download=True))


def test_an_archive_is_fetched_once(server):
    pytest.importorskip("pyarrow")
    serve(server, GOOD)
    for _ in range(2):
        assert len(read().interactions.query) == 2
    assert Quiet.asked == ["/ml-latest.zip.md5", "/ml-latest.zip"]
    assert [path.name for path in (server.parent / "cache").iterdir()] == ["ml-latest"]


@pytest.mark.parametrize(
    ("archive", "told", "why"),
    [
        (GOOD, "0" * 32, f"its md5 is {hashlib.md5(GOOD, usedforsecurity=False).hexdigest()}, wanted {'0' * 32}"),
        (GOOD, "soon", "ml-latest.zip.md5 tells no checksum"),
        (GOOD[:-30], None, "File is not a zip file"),
        (packed({"ml-latest/ratings.csv": RATINGS}), None, "it has no ml-latest/movies.csv"),
    ],
)
def test_what_is_not_whole_is_refused_and_leaves_nothing(archive, told, why, server):
    serve(server, archive, told)
    with pytest.raises(InputError) as caught:
        read()
    assert f"{downloads.SOURCE}/ml-latest.zip" in str(caught.value)
    assert why in str(caught.value)
    assert list((server.parent / "cache").iterdir()) == []


def test_of_two_processes_that_fetch_the_slower_takes_what_is_there(server, tmp_path, monkeypatch):
    serve(server, GOOD)
    replace = os.replace

    def slower(made, folder):
        replace(made, folder)
        raise OSError(39, "Directory not empty")

    monkeypatch.setattr(downloads.os, "replace", slower)
    found = downloads.unpacked("ml-latest", ("ratings.csv", "movies.csv"), "ml-latest")
    assert (found / "ratings.csv").read_text() == RATINGS


def test_a_folder_of_the_cache_without_its_files_is_refused(server, tmp_path):
    (tmp_path / "cache" / "ml-latest").mkdir(parents=True)
    with pytest.raises(
        InputError, match=r"ml-latest has no ratings.csv; wanted the files of .*/ml-latest.zip: put them"
    ):
        downloads.unpacked("ml-latest", ("ratings.csv",), "ml-latest")
    assert not Quiet.asked


def test_an_archive_that_does_not_change_has_its_checksum_here(server):
    serve(server, GOOD, name="ml-1m")
    with pytest.raises(InputError, match=r"its sha256 is [0-9a-f]{64}, wanted a6898adb50b9ca05"):
        read("movielens_1m")


def test_offline_the_error_says_what_to_put_where(server, tmp_path):
    with pytest.raises(InputError) as caught:
        read("movielens_10m")
    assert str(caught.value) == (
        f"{downloads.SOURCE}/ml-10m.zip could not be fetched (HTTP Error 404: File not found); unpack "
        f"{downloads.SOURCE}/ml-10m.zip elsewhere and put its folder ml-10M100K into {tmp_path / 'cache'}, or name it "
        "by data.path"
    )
    folder = tmp_path / "cache" / "ml-10M100K"
    folder.mkdir()
    (folder / "ratings.dat").write_text("7::10::4.5::100\n")
    (folder / "movies.dat").write_text("10::Ünter (1990)::Drama\n", "utf-8")
    pytest.importorskip("pyarrow")
    assert read("movielens_10m").vocabularies["title"].tolist() == ["ünter"]


def test_the_cache_is_in_the_home_folder(monkeypatch):
    monkeypatch.delenv(downloads.CACHE, raising=False)
    assert downloads.cache() == pathlib.Path.home() / ".cache" / "recjax"
