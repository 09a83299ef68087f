"""GroupLens' archives, fetched once into a cache and checked; only where a config asks for it."""

import hashlib
import os
import pathlib
import re
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Sequence

from recjax.errors import InputError

CACHE = "RECJAX_CACHE"  # the variable that names another folder than ~/.cache/recjax
SOURCE = "https://files.grouplens.org/datasets/movielens"
TIMEOUT = 60.0  # seconds without an answer
# Of the archives that do not change; the others are checked by the .md5 that GroupLens publishes beside them.
CHECKSUMS = {
    "ml-100k": "sha256:50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
    "ml-1m": "sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
    "ml-10m": "md5:ce571fd55effeba0271552578f2648bd",
    "ml-20m": "sha256:96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
    "ml-25m": "sha256:8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa",
    "ml-32m": "md5:d472be332d4daa821edc399621853b57",
}


def url(archive: str) -> str:
    return f"{SOURCE}/{archive}.zip"


def cache() -> pathlib.Path:
    """The folder that holds what was fetched."""
    return pathlib.Path(os.environ.get(CACHE) or pathlib.Path.home() / ".cache" / "recjax")


def unpacked(archive: str, files: Sequence[str], inside: str) -> pathlib.Path:
    """The folder of an archive's files, fetched and unpacked if the cache has none.

    Args:
        files: that it must hold.
        inside: the folder's name in the archive.

    Raises:
        InputError: no network, a checksum that does not fit, or an archive without these files. The cache is then as
            it was: a folder appears in it whole or not at all.
    """
    folder = cache() / inside
    if folder.is_dir():
        missing = [file for file in files if not (folder / file).is_file()]
        if missing:
            raise InputError(
                f"{folder} has no {missing[0]}; wanted the files of {url(archive)}: put them there, or remove the "
                "folder to have them fetched"
            )
        return folder
    by_hand = f"unpack {url(archive)} elsewhere and put its folder {inside} into {cache()}, or name it by data.path"
    try:
        cache().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache(), prefix=f".{archive}-") as temporary:
            packed = pathlib.Path(temporary) / f"{archive}.zip"
            _fetch(archive, packed)
            with zipfile.ZipFile(packed) as whole:
                whole.extractall(temporary)
            made = pathlib.Path(temporary) / inside
            missing = [file for file in files if not (made / file).is_file()]
            if missing:
                raise ValueError(f"it has no {inside}/{missing[0]}")
            os.replace(made, folder)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is the answer too
        if folder.is_dir():  # another process was faster
            return unpacked(archive, files, inside)
        raise InputError(f"{url(archive)} could not be fetched ({error}); {by_hand}") from None
    return folder


def _fetch(archive: str, path: pathlib.Path) -> None:
    given = CHECKSUMS.get(archive)
    if not given:
        with urllib.request.urlopen(url(archive) + ".md5", timeout=TIMEOUT) as answer:
            told = re.search(r"\b[0-9a-f]{32}\b", answer.read(1000).decode("ascii", "replace").lower())
        if not told:
            raise ValueError(f"{url(archive)}.md5 tells no checksum")
        given = f"md5:{told.group()}"
    with urllib.request.urlopen(url(archive), timeout=TIMEOUT) as answer, path.open("wb") as file:
        shutil.copyfileobj(answer, file, 2**20)
    kind, _, wanted = given.partition(":")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, kind).hexdigest()
    if found != wanted:
        raise ValueError(f"its {kind} is {found}, wanted {wanted}")
