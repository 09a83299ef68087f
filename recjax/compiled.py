"""Where compiled programs are kept between processes: JAX's persistent cache, in the user's cache folder."""

import hashlib
import os
import pathlib
import platform
from collections.abc import Callable

import jax

_SECONDS = "jax_persistent_cache_min_compile_time_secs"


def keep(echo: Callable[[str], None] = print) -> None:
    """Keeps programs in the user's cache folder, unless JAX was told of another (JAX_COMPILATION_CACHE_DIR).

    Each kind of processor has a folder of its own, as programs for one may not run on another that shares the home.
    """
    if jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]
        return
    path = place()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        echo(f"compiled programs are not kept: {error}")
        return
    jax.config.update("jax_compilation_cache_dir", str(path))
    if _SECONDS.upper() not in os.environ:
        jax.config.update(_SECONDS, 0.0)


def place() -> pathlib.Path:
    """$XDG_CACHE_HOME/recjax/jax-PROCESSOR, or in ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(home) / "recjax" / f"jax-{hashlib.sha256(_processor().encode()).hexdigest()[:8]}"


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    told = sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    return "\n".join([platform.machine(), platform.processor(), *told])
