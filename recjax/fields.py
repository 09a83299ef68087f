"""The machinery of settings: rules of a field, overrides from text, and how a name finds its function."""

import dataclasses
import importlib
import inspect
import math
import shlex
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from recjax.errors import InputError, unknown


def field(default: Any, **rules: Any) -> Any:
    """A field with rules that `check` enforces: least, most, above, below (numbers) and choices (names).

    knob = True marks a numeric tunable: it enters the jitted step as an argument and may be a tracer.
    """
    return dataclasses.field(default=default, metadata=rules)


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """All settings by dotted name.

    >>> from recjax import configs
    >>> flatten(configs.Optimizer())
    {'name': 'adam', 'learning_rate': 0.001, 'decay': 'none', 'lazy': False}
    """
    flat: dict[str, Any] = {}
    for one in dataclasses.fields(config):
        value = getattr(config, one.name)
        name = prefix + one.name
        flat.update(flatten(value, name + ".") if dataclasses.is_dataclass(value) else {name: value})
    return flat


def knobs(config: Any, prefix: str = "") -> dict[str, float]:
    """The numeric tunables by dotted name: what may differ between the trials of one program.

    >>> from recjax import configs
    >>> sorted(knobs(configs.Config()))[-3:]
    ['wals.exponent', 'wals.regularization', 'wals.unobserved_weight']
    """
    found: dict[str, float] = {}
    for one in dataclasses.fields(config):
        value = getattr(config, one.name)
        if dataclasses.is_dataclass(value):
            found.update(knobs(value, prefix + one.name + "."))
        elif one.metadata.get("knob"):
            found[prefix + one.name] = value
    return found


def override(config: Any, texts: Mapping[str, str]) -> Any:
    """A copy of `config` with the fields named by `texts` read from text.

    >>> from recjax import configs
    >>> override(configs.Config(), {"model.hidden": "256,128", "data.repeats": "true"}).model.hidden
    (256, 128)

    Raises:
        InputError: an unknown field (the nearest names are given), or text that is not of the field's type.
    """
    for name, text in texts.items():
        flat = flatten(config)
        if name not in flat:
            raise unknown("config field", name, _beside(flat, name), among=flat)
        config = _replace(config, name.split("."), text, name)
    return config


def refuse_unread(config: Any, default: Any, names: Sequence[str], reader: str, prefix: str = "") -> None:
    """Refuses settings that are not their defaults and that `reader` does not read: they would be written into the
    result as if they had changed it.

    Args:
        names: of fields or groups, dotted.
        prefix: of the names in the message.

    Raises:
        InputError: the first such setting.
    """
    flat = flatten(default)
    for name, value in flatten(config).items():
        if value != flat[name] and any(f"{name}.".startswith(f"{one}.") for one in names):
            raise InputError(
                f"{prefix}{name} is {value!r}, which {reader} does not read; leave it out, or type "
                f"--config.{prefix}{name}={text(flat[name])}"
            )


def command(config: Any, default: Any) -> str:
    """The command of launch.py for a run with this config: what it sets beside the defaults.

    >>> from recjax import configs
    >>> command(configs.Config(seed=3, model=configs.Model(hidden=(64, 32))), configs.Config())
    'python launch.py --config.seed=3 --config.model.hidden=64,32'
    """
    flat, given = flatten(default), flatten(config)
    differ = [f"--config.{name}={text(value)}" for name, value in given.items() if value != flat[name]]
    return shlex.join(["python", "launch.py", *differ])


def text(value: Any) -> str:
    """A value as the command line has it."""
    if isinstance(value, tuple):
        return ",".join(map(text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _beside(flat: Mapping[str, Any], name: str) -> set[str]:
    """The names one level below the longest part of `name` that is a group."""
    group = name + "."
    while group and not any(one.startswith(group) for one in flat):
        group = group[:-1].rpartition(".")[0]
        group += "." * bool(group)
    return {group + one.removeprefix(group).split(".")[0] for one in flat if one.startswith(group)}


def _replace(config: Any, path: list[str], text: str, name: str) -> Any:
    value = getattr(config, path[0])
    if len(path) > 1:
        return dataclasses.replace(config, **{path[0]: _replace(value, path[1:], text, name)})
    return dataclasses.replace(config, **{path[0]: _parse(typing.get_type_hints(type(config))[path[0]], text, name)})


_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def _parse(kind: Any, text: str, name: str) -> Any:
    try:
        if kind is bool:
            return _BOOLEANS[text.lower()]
        if typing.get_origin(kind) is tuple:
            parts = [part.strip() for part in text.strip("()[] ").split(",")]
            return tuple(_parse(typing.get_args(kind)[0], part, name) for part in parts if part)
        return kind(text)
    except InputError:
        raise  # of a part
    except (ValueError, KeyError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise InputError(f"--config.{name}={text}: wanted {wanted}; type for example {_example(kind, name)}") from None


def _example(kind: Any, name: str) -> str:
    return f"--config.{name}={ {bool: 'true', int: '10', float: '0.1'}[kind] }"


def check(config: Any, prefix: str = "") -> None:
    """Refuses values that are not of their fields' types, or break a field's rules.

    Raises:
        InputError: names the field, the value and what was wanted.
    """
    if not dataclasses.is_dataclass(config):
        raise InputError(f"the config is {config!r}; wanted a recjax.configs.Config")
    hints = typing.get_type_hints(type(config))
    for one in dataclasses.fields(config):
        value, kind, name = getattr(config, one.name), hints[one.name], prefix + one.name
        if dataclasses.is_dataclass(kind):
            if not isinstance(value, typing.cast(type, kind)):
                raise InputError(
                    f"config field {name!r} is {value!r}; wanted a configs.{getattr(kind, '__name__', kind)}(...)"
                )
            check(value, name + ".")
            continue
        if kind is float and _is(value, kind) and not math.isfinite(value):
            raise InputError(f"config field {name!r} is {value!r}; wanted a finite number")
        if not _is(value, kind):
            raise InputError(f"config field {name!r} is {value!r}; wanted {_call(kind)}")
        for part in value if isinstance(value, tuple) else (value,):
            _obey(name, part, one.metadata)


def _call(kind: Any) -> str:
    return str(kind) if typing.get_origin(kind) else kind.__name__


def _obey(name: str, value: Any, rules: Mapping[str, Any]) -> None:
    choices = rules.get("choices")
    if choices and value not in choices:
        raise unknown(name, value, choices)
    least, most, above, below = (rules.get(one) for one in ("least", "most", "above", "below"))
    # Written so that NaN breaks every rule.
    wanted = [f"at least {least}"] * (least is not None and not value >= least)
    wanted += [f"at most {most}"] * (most is not None and not value <= most)
    wanted += [f"above {above}"] * (above is not None and not value > above)
    wanted += [f"below {below}"] * (below is not None and not value < below)
    if wanted:
        raise InputError(f"config field {name!r} is {value!r}; wanted a value {wanted[0]}: type --config.{name}=VALUE")


def _is(value: Any, kind: Any) -> bool:
    if typing.get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_is(part, typing.get_args(kind)[0]) for part in value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def members(module: types.ModuleType) -> dict[str, Callable[..., Any]]:
    """The public functions that a module (or a package, in its files) itself defines."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, types.FunctionType)
        and not name.startswith("_")
        and f"{value.__module__}.".startswith(f"{module.__name__}.")
    }


def tunables(function: Callable[..., Any]) -> dict[str, Any]:
    """The keyword-only parameters that have a default, with it: what a config may set.

    >>> tunables(refuse_unread), tunables(lambda logits, *, where, margin=1.0: logits)
    ({}, {'margin': 1.0})

    Raises:
        InputError: Python does not know the parameters.
    """
    try:
        found = inspect.signature(function).parameters.values()
    except ValueError as error:
        raise InputError(f"{function!r} does not tell its parameters ({error}); wanted a function") from error
    return {one.name: one.default for one in found if one.kind is one.KEYWORD_ONLY and one.default is not one.empty}


def resolve(kind: str, name: str, found: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    """The function that a config names: one of `found`, or the user's own as "package.module:function".

    Raises:
        InputError: there is none; the nearest are named.
    """
    if ":" in name:
        path, attribute = name.split(":", 1)
        try:
            value = getattr(importlib.import_module(path), attribute)
            if not callable(value):
                raise TypeError(f"it is {value!r}")
            return value
        except (ImportError, AttributeError, ValueError, TypeError) as error:
            raise InputError(f"{kind} {name!r} was not found ({error}); wanted package.module:function") from error
    if name not in found:
        raise unknown(kind, name, found)
    return found[name]
