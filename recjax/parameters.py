"""Parameters as arrays by path, in a file and back: what a run leaves, and what another may start from."""

import json
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from recjax import configs, folders
from recjax.errors import InputError
from recjax.types import Params

ARRAYS = "parameters.npz"  # in a run folder


def flatten(params: Params) -> dict[str, np.ndarray]:
    """Parameters by path, for a file: {"tables/item": …, "query/layers/0/kernel": …}; bfloat16 becomes float32."""
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    return {_name(path): np.asarray(leaf.astype(np.promote_types(leaf.dtype, np.float32))) for path, leaf in leaves}


def restore(params: Params, arrays: Mapping[str, np.ndarray], source: str) -> Params:
    """`params` with the tables that `arrays` has too, by path; nets and other tables stay as they are.

    Args:
        source: of the arrays, for the message.

    Raises:
        InputError: a table of another shape, or none in common.
    """
    found, tables = {}, flatten(params._replace(query=(), item=()))
    for name, table in tables.items():
        if name in arrays and arrays[name].shape != table.shape:
            raise InputError(
                f"model.start: {name} is {arrays[name].shape} in {source} and {table.shape} here; "
                "wanted the same data, model.dimension and kind of model (a two-tower has a row for unknown items)"
            )
        if name in arrays:
            own = name.removeprefix("tables/")
            found[own] = jnp.asarray(arrays[name], params.tables[own].dtype)
    if not found:
        raise InputError(f"model.start: {source} has {', '.join(arrays)}; wanted one of {', '.join(tables)}")
    return params._replace(tables=params.tables | found)


def whole(params: Params, arrays: Mapping[str, np.ndarray]) -> Params:
    """Parameters like `params` with the values that `flatten` gave.

    Raises:
        InputError: other names or shapes.
    """
    ours, theirs = ({name: one.shape for name, one in some.items()} for some in (flatten(params), arrays))
    if ours != theirs:
        raise InputError(f"the parameters are {theirs} in the file; wanted {ours}: run it again with this version")
    return jax.tree_util.tree_map_with_path(lambda path, leaf: jnp.array(arrays[_name(path)], leaf.dtype), params)


def load(folder: str) -> dict[str, np.ndarray]:
    """The arrays of a run folder.

    Raises:
        InputError: there are none.
    """
    path = pathlib.Path(folder) / ARRAYS
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return dict(arrays)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read ({error}); wanted the folder of a completed run") from None


def check_start(settings: configs.Config, fingerprint: str) -> None:
    """Refuses to start from a run on other data, whose ids would mean something else, or on another split of it.

    Raises:
        InputError: the run's result cannot be read, or tells of other data or another split.
    """
    path = pathlib.Path(settings.model.start) / folders.RESULT
    try:
        result = json.loads(path.read_text())
        theirs, other = dict(result["config"]["data"]), result["data"]["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"model.start={settings.model.start}: {path} cannot be read ({error!r}); wanted the folder of a run"
        ) from None
    if other != fingerprint:
        raise InputError(
            f"model.start={settings.model.start} was trained on data {theirs.get('name')!r} with fingerprint {other}; "
            f"here it is {settings.data.name!r} with {fingerprint}: wanted a run on the same data"
        )
    for name in ("split", "share", "seed"):
        ours = getattr(settings.data, name)
        if theirs.get(name) != ours:
            raise InputError(
                f"model.start={settings.model.start} was trained with data.{name}={theirs.get(name)!r} and here it is "
                f"{ours!r}: it may have seen what is held out here; type --config.data.{name}={theirs.get(name)}"
            )


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
