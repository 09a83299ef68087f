"""Shapes in annotations are enforced in every test; a small world to test on."""

import os
import sys

import jax
import jax.numpy as jnp
import pytest
from absl import flags
from absl.testing import flagsaver
from jaxtyping import install_import_hook

install_import_hook("recjax", "beartype.beartype")

if jax.__version_info__[:2] == (0, 10):  # later versions have no other compiler of fusions
    # Compiling is most of what the suite does, and takes half the time so. Before JAX starts; for processes, too.
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"

import launch  # noqa: E402  after the hook
from recjax import batches, configs, datasets, embed, fields, splits, train  # noqa: E402

WORLD = configs.World(queries=120, items=120, groups=3, interactions=12)


@pytest.fixture(scope="session", autouse=True)
def compile_once(tmp_path_factory, worker_id):
    """Programs that several tests or workers compile are compiled once a session, and hardly optimised.

    Compiling is most of what the suite does, and takes two thirds of the time so.
    """
    jax.config.update("jax_disable_most_optimizations", True)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")  # in the processes that tests start, too
    base = tmp_path_factory.getbasetemp()
    jax.config.update("jax_compilation_cache_dir", str((base if worker_id == "master" else base.parent) / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    yield
    monkeypatch.undo()


@pytest.fixture(scope="session")
def config():
    """A config that trains in a second."""
    return configs.Config(
        data=configs.Data(world=WORLD),
        model=configs.Model(dimension=8, history=6, hidden=(12,)),
        sampler=configs.Sampler(negatives=32),
        train=configs.Train(epochs=2.0, batch=32, block=5),
        evaluate=configs.Evaluate(k=(5, 10), pairs=64, rank=4),
    )


@pytest.fixture(scope="session")
def dataset(config):
    return datasets.languages(config.data)


@pytest.fixture(scope="session")
def split(config, dataset):
    return splits.last_out(dataset, config.data)


@pytest.fixture(scope="session")
def timeless(config, dataset):
    return splits.share_out(dataset, config.data)


@pytest.fixture(scope="session")
def data(split):
    return batches.prepare(split.train)


@pytest.fixture(scope="session")
def knobs():
    def knobs(config, **changes):
        return {name: jnp.float32(changes.get(name, value)) for name, value in fields.knobs(config).items()}

    return knobs


@pytest.fixture(scope="session")
def build(knobs):
    def build(config, split, **changes):
        """`changes` by dotted name, as text."""
        if changes.get("model__name") == "mf":
            changes |= {"model__hidden": "256"}  # its default: MF refuses what it does not read
        config = fields.override(config, {name.replace("__", "."): value for name, value in changes.items()})
        parts = train.parts(config, split.train)
        data = batches.prepare(split.train, config.objective.positives)
        params = jax.jit(lambda key: embed.init(key, parts.model))(jax.random.key(0))
        return config, train.step(config, parts), train.init(params, parts, knobs(config), data), data

    return build


@pytest.fixture
def launched(tmp_path, monkeypatch):
    """launch.py with these arguments, in an empty folder; returns the exit status."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        argv = ["launch.py", *arguments]
        monkeypatch.setattr(sys, "argv", argv)
        with flagsaver.flagsaver():
            flags.FLAGS.unparse_flags()
            try:
                launch.main(launch._parse(argv))
            except SystemExit as stop:
                return stop.code
        return 0

    yield call
    for name, module in list(sys.modules.items()):  # another test's file may have the same name
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]
