"""What a study has found before, of the arms that are not to be run again."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from recjax import configs, folders
from recjax.errors import InputError, unknown

PARTS = ("rows", "timing", "curves", "best_steps", "steps", "refused", "configs")  # of study.json, by arm
_NONE = object()


def read(
    save: str | None,
    only: Sequence[str],
    arms: Mapping[str, configs.Config],
    *,
    seeds: Sequence[int],
    data: str,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """The study in SAVE.json.

    Args:
        only: the arms that are to be run.
        arms: all of the study, with the first seed.
        data: the fingerprint of what the first arm reads.
        environment: of this process.

    Raises:
        InputError: an arm that does not exist, no such file, or one of another study; every difference is named.
    """
    for arm in only:
        if arm not in arms:
            raise unknown("arm in --arm", arm, arms)
    if not save:
        raise InputError("--arm keeps the other arms' rows of SAVE.json, and there is no --save; type it, or no --arm")
    path = pathlib.Path(save).with_name(pathlib.Path(save).name + ".json")
    try:
        found = json.loads(path.read_text())
        earlier = {part: found[part] for part in ("command", "seeds", "data", "environment", *PARTS)}
        there = {
            "seeds": earlier["seeds"],
            "data": earlier["data"]["fingerprint"],
            "environment": earlier["environment"],
            "arm": {arm: earlier["configs"].get(arm, {}) for arm in arms if arm not in only},
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}: {error}); wanted what this study saved there before: "
            "leave --arm out"
        ) from None
    rest = {arm: dataclasses.asdict(config) for arm, config in arms.items() if arm not in only}
    odd = _differences(there, {"seeds": seeds, "data": data, "environment": environment, "arm": rest})
    if odd:
        raise InputError(
            f"{path} is of another study: {'; '.join(odd)}; wanted the same but for --arm: name the arms that differ "
            "too, or leave --arm out"
        )
    return earlier


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """A setting that only one side knows, as it came or went since, counts where it is on."""
    theirs, ours = (folders.flat(json.loads(json.dumps(one))) for one in (there, here))
    return [
        f"{name} is {theirs.get(name, 'missing')!r} there and {ours.get(name, 'missing')!r} here"
        for name in theirs | ours
        if theirs.get(name, _NONE) != ours.get(name, _NONE) and (theirs.get(name) or ours.get(name))
    ]


def together(earlier: Mapping[str, Any], found: Mapping[str, Any], arms: Sequence[str]) -> dict[str, Any]:
    """What was found now, and what was before of the arms that were not run: in the order of the study.

    "kept" names those; the command is the earlier one, which runs all.
    """
    kept = [arm for arm in arms if arm not in found["steps"]]
    # The data and the baselines of a study are those of its first arm.
    first = earlier if arms[0] in kept else found
    parts = {}
    for part in PARTS:
        both = {**earlier[part], **found[part]}
        parts[part] = {arm: both[arm] for arm in arms}
    parts["rows"] |= {name: row for name, row in first["rows"].items() if name not in first["configs"]}
    return {**found, **parts, "data": first["data"], "command": earlier["command"], "kept": kept}
