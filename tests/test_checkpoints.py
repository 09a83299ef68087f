"""A state in a file and back, bit by bit; what is kept, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import checkpoints, configs
from recjax.errors import InputError
from recjax.types import Params, State

STATES = {
    "adam, sagram": {"penalties__gravity": "1", "gravity__estimate": "sagram"},
    "bfloat16": {"model__name": "mf", "model__storage": "bfloat16", "optimizer__name": "sgd"},
}
SETTINGS = configs.Checkpoint(keep=2, seconds=1000.0)


def state(step, size=3):
    table = jnp.arange(size, dtype=jnp.float32) + step
    return State(jnp.int32(step), Params({"item": table}, (), ()), {"count": jnp.zeros((0, 2))}, (), ())


def filled(leaf):
    """Different numbers of the leaf's type."""
    return (jnp.arange(leaf.size).reshape(leaf.shape) * 0.37).astype(leaf.dtype)


def saved(folder, steps, settings=SETTINGS):
    """Saves at each (step, best step)."""
    saver = checkpoints.Saver(folder, settings, {"experiment": "test"})
    for step, best in steps:
        saver.save(state(step), best, {"progress": {"step": step}})
    saver.wait()
    saver.close()
    return sorted(path.name for path in (folder / checkpoints.FOLDER).iterdir())


@pytest.mark.parametrize("name", STATES)
def test_a_state_comes_back_bit_by_bit(name, build, config, split, tmp_path):
    _, _, own, _ = build(config, split, **STATES[name])
    own = jax.tree.map(lambda leaf: leaf + filled(leaf), own)
    saver = checkpoints.Saver(tmp_path, SETTINGS, {})
    saver.save(own, 0, {"clock": {"train_s": 0.1}})
    saver.wait()
    found = checkpoints.find(tmp_path, own)
    assert jax.tree.structure(found.state) == jax.tree.structure(own)
    for one, two in zip(jax.tree.leaves(found.state), jax.tree.leaves(own), strict=True):
        assert (one.dtype, one.shape) == (two.dtype, two.shape)
        assert np.asarray(one).tobytes() == np.asarray(two).tobytes()
    assert found.about == {"run": {}, "clock": {"train_s": 0.1}}


def test_what_is_saved_does_not_change_when_the_state_is_donated(tmp_path):
    saver, own = checkpoints.Saver(tmp_path, SETTINGS, {}), state(1)
    saver.save(own, 1, {})
    jax.block_until_ready(jax.jit(lambda one: jax.tree.map(lambda leaf: leaf + 1, one), donate_argnums=0)(own))
    saver.wait()
    found = checkpoints.find(tmp_path, state(0))
    assert (int(found.state.step), found.best.tables["item"].tolist()) == (1, [1.0, 2.0, 3.0])
    assert (
        found.best.tables["item"].unsafe_buffer_pointer() != found.state.params.tables["item"].unsafe_buffer_pointer()
    )


@pytest.mark.parametrize(
    ("keep", "steps", "kept"),
    [
        (1, [(1, 1), (2, 2)], ["step-2-best-2.npz"]),
        (1, [(1, 1), (2, 1), (3, 1)], ["step-1-best-1.npz", "step-3-best-1.npz"]),
        (2, [(1, 1), (2, 1), (3, 3), (4, 4)], ["step-3-best-3.npz", "step-4-best-4.npz"]),
        (2, [(1, 1), (2, 1), (3, 1), (4, 4)], ["step-1-best-1.npz", "step-3-best-1.npz", "step-4-best-4.npz"]),
        (3, [(5, 0), (10, 10)], ["step-10-best-10.npz", "step-5-best-0.npz"]),
    ],
)
def test_the_newest_are_kept_and_the_best_of_each(keep, steps, kept, tmp_path):
    assert saved(tmp_path, steps, configs.Checkpoint(keep=keep)) == kept
    found = checkpoints.find(tmp_path, state(0))
    assert (found.step, found.about["progress"]["step"]) == (steps[-1][0], steps[-1][0])
    assert found.best.tables["item"][0] == (steps[-1][1] or steps[-1][0])


def test_without_checkpoints_there_is_none(tmp_path):
    assert checkpoints.find(tmp_path, state(0)) is None


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "about"])
def test_a_damaged_file_is_named_with_what_to_type(damage, tmp_path):
    saved(tmp_path, [(1, 1), (2, 1)])
    path = tmp_path / checkpoints.FOLDER / "step-2-best-1.npz"
    content = bytearray(path.read_bytes())
    if damage in ("flipped", "about"):
        content[content.index(np.float32([2, 3, 4]).tobytes() if damage == "flipped" else b'{"run"')] ^= 1
    path.write_bytes(content[: {"cut": len(content) // 2, "empty": 0}.get(damage, len(content))])
    with pytest.raises(InputError, match=r"step-2-best-1\.npz cannot be read .* type: rm \S*step-2-best-1\.npz$"):
        checkpoints.find(tmp_path, state(0))
    path.unlink()
    assert checkpoints.find(tmp_path, state(0)).step == 1


@pytest.mark.parametrize("missing", [True, False])
def test_where_the_best_is_lost_so_are_those_that_lean_on_it(missing, tmp_path):
    saved(tmp_path, [(1, 1), (2, 2), (3, 2), (4, 2)], configs.Checkpoint(keep=4))
    path = tmp_path / checkpoints.FOLDER / "step-2-best-2.npz"
    path.unlink() if missing else path.write_bytes(b"")
    with pytest.raises(InputError) as caught:
        checkpoints.find(tmp_path, state(0))
    files = str(caught.value).split("type: rm ")[1].split()
    assert [file.split("/")[-1] for file in files] == [f"step-{step}-best-2.npz" for step in (2, 3, 4)]


def test_other_arrays_are_refused(tmp_path):
    saved(tmp_path, [(1, 1)])
    with pytest.raises(
        InputError, match=r"state/params/tables/item is \(\(3,\), 'float32'\) and \(\(4,\), 'float32'\)"
    ):
        checkpoints.find(tmp_path, state(0, size=4))


def test_what_goes_wrong_on_the_thread_is_raised(tmp_path):
    (tmp_path / checkpoints.FOLDER).write_text("in the way")
    saver = checkpoints.Saver(tmp_path, SETTINGS, {})
    saver.save(state(1), 1, {})
    with pytest.raises(OSError, match="checkpoints"):
        saver.save(state(2), 2, {})
    saver.close()


def test_between_validations_one_is_due_after_a_while(tmp_path):
    assert not checkpoints.Saver(tmp_path, SETTINGS, {}).due()
    assert checkpoints.Saver(tmp_path, configs.Checkpoint(seconds=1e-9), {}).due()
