"""What a sweep tries, from text: values to combine, values that go together, and random draws."""

import dataclasses
import itertools
import math
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from recjax import configs, fields
from recjax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What an experiment file's `get_sweep` gives.

    Attributes:
        config: of every trial, but for what is swept.
        space: as on the command line after --sweep=, such as "seed=0:8".
        trials: how many random draws; 0 where nothing is drawn.
    """

    config: configs.Config
    space: tuple[str, ...]
    trials: int = 0


class Axis(NamedTuple):
    """Fields that go together, and the values that they take, as text."""

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]


class Draw(NamedTuple):
    """A field that is drawn."""

    name: str
    kind: str  # log_uniform, uniform, integers or choice
    given: tuple[str, ...]  # least and most, or what to choose from

    def value(self, rng: random.Random) -> str:
        """A draw, as text. Numbers keep six digits, so that a command that repeats the trial is short."""
        if self.kind == "choice":
            return rng.choice(self.given)
        low, high = map(float, self.given)
        if self.kind == "integers":
            return str(rng.randint(int(low), int(high)))
        drawn = math.exp(rng.uniform(math.log(low), math.log(high))) if self.kind == "log_uniform" else None
        return f"{rng.uniform(low, high) if drawn is None else drawn:.6g}"


class Space(NamedTuple):
    """Every combination of the axes' values, for every draw."""

    axes: tuple[Axis, ...]
    draws: tuple[Draw, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The swept fields."""
        return (*(one.name for one in self.draws), *(name for axis in self.axes for name in axis.names))

    def grid(self) -> list[dict[str, str]]:
        """Every combination of the axes' values, by field; the last axis changes fastest."""
        return [
            {
                name: text
                for axis, values in zip(self.axes, chosen, strict=True)
                for name, text in zip(axis.names, values, strict=True)
            }
            for chosen in itertools.product(*(axis.values for axis in self.axes))
        ]


class Trial(NamedTuple):
    """One run of a sweep."""

    name: str  # of its folder
    overrides: dict[str, str]
    config: configs.Config


def parse(texts: Iterable[str], config: configs.Config) -> Space:
    """Reads a space and tries every value of it.

    >>> space = parse(["optimizer.learning_rate=1e-3,1e-2", "seed=0:2"], configs.Config())
    >>> space.grid()[1]
    {'optimizer.learning_rate': '0.001', 'seed': '1'}
    >>> parse(["model.hidden=(256,128),(64); model.dimension=64,32"], configs.Config()).grid()
    [{'model.hidden': '256,128', 'model.dimension': '64'}, {'model.hidden': '64', 'model.dimension': '32'}]
    >>> parse(["optimizer.learning_rate=log_uniform(1e-4, 1e-1)"], configs.Config()).draws[0].given
    ('0.0001', '0.1')

    Raises:
        InputError: what was given, what was wanted, what to type.
    """
    axes, draws = [], []
    for text in texts:
        parts = [_assignment(part, text) for part in text.split(";")]
        drawn = re.fullmatch(r"(log_uniform|uniform|integers|choice)\((.*)\)", parts[0][1])
        if drawn and len(parts) == 1:
            draws.append(_draw(parts[0][0], drawn[1], drawn[2], config))
            continue
        columns = [_values(name, values, config) for name, values in parts]
        if len({len(column) for column in columns}) > 1:
            counts = ", ".join(f"{name} has {len(column)}" for (name, _), column in zip(parts, columns, strict=True))
            raise InputError(f"--sweep={text!r}: {counts} values; fields that go together want equally many")
        axes.append(Axis(tuple(name for name, _ in parts), tuple(zip(*columns, strict=True))))
    space = Space(tuple(axes), tuple(draws))
    twice = {name for name in space.names if space.names.count(name) > 1}
    if twice:
        raise InputError(f"{min(twice)} is swept twice; wanted each field in one --sweep")
    return space


def trials(space: Space, config: configs.Config, draws: int, width: int = 3) -> list[Trial]:
    """The trials of a grid, or of so many random draws, always the same ones, by every combination of the grid.

    Raises:
        InputError: a number of draws where nothing is drawn, none where something is, or more than there are
            different ones.
    """
    if bool(draws) != bool(space.draws):
        given = f"--trials={draws}" if draws else "no --trials"
        wanted = "leave it out" if draws else "type --trials=20 for that many draws"
        drawn = ", ".join(one.name for one in space.draws) or "nothing"
        raise InputError(f"{given}, and {drawn} is drawn at random; {wanted}")
    points = _different(space.draws, max(1, draws))
    return numbered([one | grid for one in points for grid in space.grid()], config)


def _different(draws: Sequence[Draw], wanted: int) -> list[dict[str, str]]:
    rng = random.Random(0)
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for _ in range(1000 + 100 * wanted):  # of n equally likely points all come in about n log n draws
        point = {one.name: one.value(rng) for one in draws}
        found.setdefault(tuple(point.values()), point)
        if len(found) == wanted:
            return list(found.values())
    raise InputError(f"--trials={wanted}, and the draws have {len(found)} different values; wanted no more than these")


def numbered(overrides: Sequence[dict[str, str]], config: configs.Config, first: int = 0) -> list[Trial]:
    """Trials by number, each with its config.

    Raises:
        InputError: two of them are the same, or a value breaks a rule of its field.
    """
    found: dict[configs.Config, Trial] = {}
    for number, one in enumerate(overrides, first):
        own = _override(config, one)
        if own in found:
            raise InputError(f"the sweep has {one} twice; wanted trials that differ: name each value once")
        found[own] = Trial(f"{number:03d}", one, own)
    return list(found.values())


def _override(config: configs.Config, texts: Mapping[str, str]) -> configs.Config:
    own = fields.override(config, texts)
    fields.check(own)
    return own


def _assignment(part: str, text: str) -> tuple[str, str]:
    name, equals, values = (one.strip() for one in part.partition("="))
    if not equals or not values:
        raise InputError(
            f"--sweep={text!r} gives {name!r} no values; type for example --sweep=optimizer.learning_rate=1e-3,1e-2"
        )
    return name.removeprefix("config."), values


def _draw(name: str, kind: str, text: str, config: configs.Config) -> Draw:
    given = tuple(_canonical(name, one, config) for one in _split(text))
    number = not isinstance(_value(name, config), str | tuple | bool)
    if kind != "choice":
        wanted = int if kind == "integers" else float
        ordered = len(given) == 2 and number and float(given[0]) < float(given[1])
        if not ordered or type(_value(name, config)) is not wanted or (kind == "log_uniform" and float(given[0]) <= 0):
            raise InputError(
                f"--sweep={name}={kind}({text}): wanted the least and the most value of a field of "
                f"{'whole numbers' if wanted is int else 'numbers'}{', both above 0' * (kind == 'log_uniform')}; type "
                "for example --sweep='optimizer.learning_rate=log_uniform(1e-4,1e-1)'"
            )
    return Draw(name, kind, given)


def _values(name: str, text: str, config: configs.Config) -> list[str]:
    value = _value(name, config)
    if isinstance(value, int) and not isinstance(value, bool) and re.fullmatch(r"\d+:\d+(:\d+)?", text):
        numbers = range(*map(int, text.split(":"))) if not text.endswith(":0") else range(0)
        if not numbers:
            raise InputError(f"--sweep={name}={text} is an empty range; type for example --sweep={name}=0:8")
        return [_canonical(name, str(one), config) for one in numbers]
    return [_canonical(name, one, config) for one in _split(text)]


def _value(name: str, config: configs.Config) -> Any:
    return fields.flatten(_named(name, config))[name]


def _named(name: str, config: configs.Config) -> configs.Config:
    """`config`, once it is sure to have the field."""
    if name not in fields.flatten(config):
        fields.override(config, {name: ""})  # raises, with the nearest names
    return config


def _canonical(name: str, text: str, config: configs.Config) -> str:
    """The value as the command line of a single run would have it."""
    return fields.text(fields.flatten(_override(_named(name, config), {name: text}))[name])


def _split(text: str) -> list[str]:
    """At the commas outside brackets."""
    parts = re.split(r",(?![^(\[]*[)\]])", text)
    return [part.strip() for part in parts if part.strip()]
