"""Settings: read from text, checked by their rules, and resolved by name."""

import copy
import dataclasses
import math
import types

import pytest

from recjax import configs, datasets, errors, fields, methods, splits

NAN, INF = math.nan, math.inf


@dataclasses.dataclass(frozen=True)
class Inner:
    size: int = fields.field(3, least=1)
    rate: float = fields.field(0.5, knob=True, above=0.0, below=1.0)
    kind: str = fields.field("mean", choices=("mean", "sum"))


@dataclasses.dataclass(frozen=True)
class Outer:
    flag: bool = False
    name: str = "a"
    sizes: tuple[int, ...] = fields.field((4, 5), least=1)
    names: tuple[str, ...] = ("all",)
    weight: float = fields.field(1.0, knob=True, least=0.0)
    inner: Inner = Inner()


def put(config, name, value):
    """`config` as Python builds it, where nothing looks at types."""
    first, _, rest = name.partition(".")
    found = copy.copy(config)
    object.__setattr__(found, first, put(getattr(config, first), rest, value) if rest else value)
    return found


def message(function, *arguments):
    with pytest.raises(errors.InputError) as caught:
        function(*arguments)
    return str(caught.value)


def test_flatten_names_every_setting():
    wanted = {"flag": False, "name": "a", "sizes": (4, 5), "names": ("all",), "weight": 1.0}
    assert fields.flatten(Outer()) == wanted | {"inner.size": 3, "inner.rate": 0.5, "inner.kind": "mean"}


def test_knobs_are_the_fields_marked_so():
    assert fields.knobs(Outer(weight=2.0)) == {"weight": 2.0, "inner.rate": 0.5}


def test_knobs_of_the_library_are_numbers_among_its_settings():
    found, settings = fields.knobs(configs.Config()), fields.flatten(configs.Config())
    assert found == {name: settings[name] for name in found}
    assert {type(value) for value in found.values()} == {float}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("flag", "true", True),
        ("flag", "True", True),
        ("flag", "1", True),
        ("flag", "FALSE", False),
        ("flag", "0", False),
        ("name", "mf", "mf"),
        ("name", "3", "3"),
        ("name", "", ""),
        ("name", "package.module:function", "package.module:function"),
        ("inner.size", "7", 7),
        ("inner.size", "-7", -7),
        ("weight", "1e-3", 1e-3),
        ("weight", "2", 2.0),
        ("inner.rate", ".25", 0.25),
        ("inner.kind", "sum", "sum"),
        ("sizes", "256,128", (256, 128)),
        ("sizes", "(256, 128)", (256, 128)),
        ("sizes", "[256]", (256,)),
        ("sizes", "256,", (256,)),
        ("sizes", "", ()),
        ("sizes", "()", ()),
        ("names", "age, zip", ("age", "zip")),
    ],
)
def test_text_becomes_the_fields_type(name, text, value):
    found = fields.flatten(fields.override(Outer(), {name: text}))
    assert found == fields.flatten(Outer()) | {name: value}
    assert type(found[name]) is type(value)


def test_override_takes_many_and_leaves_the_original():
    before = Outer()
    after = fields.override(before, {"inner.size": "7", "flag": "true", "inner.kind": "sum"})
    assert after == Outer(flag=True, inner=Inner(size=7, kind="sum"))
    assert before == Outer()


@pytest.mark.parametrize("name", fields.flatten(configs.Config()))
def test_every_setting_of_the_library_reads_its_own_text(name):
    value = fields.flatten(configs.Config())[name]
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    assert fields.override(configs.Config(), {name: text}) == configs.Config()


@pytest.mark.parametrize(
    ("name", "text", "wanted", "example"),
    [
        ("flag", "yes", "true or false", "true"),
        ("flag", "", "true or false", "true"),
        ("inner.size", "1.5", "a whole number", "10"),
        ("inner.size", "", "a whole number", "10"),
        ("weight", "much", "a number", "0.1"),
        ("inner.rate", "1,5", "a number", "0.1"),
    ],
)
def test_text_of_another_type_is_refused(name, text, wanted, example):
    found = message(fields.override, Outer(), {name: text})
    assert found == f"--config.{name}={text}: wanted {wanted}; type for example --config.{name}={example}"


@pytest.mark.parametrize("text", ["256,x", "x", "256,1.5", "256;128"])
def test_text_of_a_list_with_another_type_is_refused(text):
    found = message(fields.override, Outer(), {"sizes": text})
    assert found.startswith("--config.sizes=")
    assert text.split(",")[-1] in found
    assert "a whole number" in found
    assert "type for example --config.sizes=10" in found


@pytest.mark.parametrize(
    ("name", "near", "valid"),
    [
        ("wieght", "weight", "flag, inner, name, names, sizes, weight"),
        ("inner.sise", "inner.size", "inner.kind, inner.rate, inner.size"),
        ("inner.kin", "inner.kind", "inner.kind, inner.rate, inner.size"),
    ],
)
def test_an_unknown_field_is_answered_with_the_nearest(name, near, valid):
    found = message(fields.override, Outer(), {name: "1"})
    assert found.startswith(f"unknown config field {name!r}; did you mean {near!r}")
    assert found.endswith(f"? Valid: {valid}")


def test_an_unknown_field_near_to_none_is_answered_with_all():
    wanted = "unknown config field 'zzz'; Valid: flag, inner, name, names, sizes, weight"
    assert message(fields.override, Outer(), {"zzz": "1"}) == wanted


def test_a_deep_unknown_field_keeps_its_path():
    found = message(fields.override, configs.Config(), {"data.world.quereis": "1"})
    assert found.startswith("unknown config field 'data.world.quereis'; did you mean 'data.world.queries'")


@pytest.mark.parametrize(
    ("name", "near"),
    [("modle.hidden", "model"), ("optimiser.learning_rate", "optimizer"), ("objectve.unobserved_weight", "objective")],
)
def test_an_unknown_group_is_answered_with_the_nearest(name, near):
    found = message(fields.override, configs.Config(), {name: "1"})
    assert found.startswith(f"unknown config field {name!r}; did you mean '{near}")


def test_a_group_of_fields_takes_no_text():
    found = message(fields.override, Outer(), {"inner": "3"})
    assert found.startswith("unknown config field 'inner'; ")
    assert found.endswith("Valid: inner.kind, inner.rate, inner.size")


@pytest.mark.parametrize(("name", "leaf"), [("weight.x", "weight"), ("inner.rate.x.y", "inner.rate")])
def test_a_field_has_no_fields(name, leaf):
    found = message(fields.override, Outer(), {name: "1"})
    assert found.startswith(f"unknown config field {name!r}; did you mean {leaf!r}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flag", True),
        ("name", ""),
        ("weight", 0.0),
        ("weight", 2),
        ("inner.size", 1),
        ("inner.rate", 1e-9),
        ("inner.rate", 1 - 1e-9),
        ("inner.kind", "sum"),
        ("sizes", ()),
        ("sizes", (1, 2, 3)),
        ("names", ()),
    ],
)
def test_a_value_within_its_rules_passes(name, value):
    assert fields.check(put(Outer(), name, value)) is None


def test_the_defaults_of_the_library_pass():
    assert fields.check(configs.Config()) is None


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("weight", -1e-9, "at least 0.0"),
        ("weight", -1, "at least 0.0"),
        ("inner.size", 0, "at least 1"),
        ("inner.rate", 0.0, "above 0.0"),
        ("inner.rate", 0, "above 0.0"),
        ("inner.rate", 1.0, "below 1.0"),
        ("inner.rate", 1, "below 1.0"),
    ],
)
def test_a_value_outside_its_rules_is_refused(name, value, wanted):
    found = message(fields.check, put(Outer(), name, value))
    assert found == f"config field {name!r} is {value!r}; wanted a value {wanted}: type --config.{name}=VALUE"


@pytest.mark.parametrize("bad", [0, -3])
def test_a_rule_holds_for_every_part_of_a_list(bad):
    wanted = f"config field 'sizes' is {bad}; wanted a value at least 1: type --config.sizes=VALUE"
    assert message(fields.check, Outer(sizes=(4, bad, 5))) == wanted


@pytest.mark.parametrize("name", ["weight", "inner.rate"])
@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999"])
def test_a_number_that_is_not_finite_is_refused(name, text):
    config = fields.override(Outer(), {name: text})
    assert message(fields.check, config) == f"config field {name!r} is {float(text)!r}; wanted a finite number"


@pytest.mark.parametrize("rule", ["least", "above", "below", "most"])
def test_nan_breaks_every_rule(rule):
    listed = ("rates", tuple[float, ...], fields.field((0.5,), **{rule: 0.0}))
    settings = dataclasses.make_dataclass("Settings", [listed], frozen=True)
    found = message(fields.check, settings((NAN,)))
    words = {"least": "at least", "above": "above", "below": "below", "most": "at most"}[rule]
    assert found == f"config field 'rates' is nan; wanted a value {words} 0.0: type --config.rates=VALUE"


def test_a_name_outside_the_choices_is_answered_with_the_nearest():
    wanted = "unknown inner.kind 'men'; did you mean 'mean'? Valid: mean, sum"
    assert message(fields.check, Outer(inner=Inner(kind="men"))) == wanted


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("flag", 1, "bool"),
        ("flag", "true", "bool"),
        ("flag", None, "bool"),
        ("name", 3, "str"),
        ("name", None, "str"),
        ("inner.size", 3.0, "int"),
        ("inner.size", "3", "int"),
        ("inner.size", True, "int"),
        ("inner.size", (3,), "int"),
        ("weight", "1.0", "float"),
        ("weight", False, "float"),
        ("weight", None, "float"),
        ("weight", 1j, "float"),
        ("sizes", [4], "tuple[int, ...]"),
        ("sizes", 4, "tuple[int, ...]"),
        ("sizes", (4.0,), "tuple[int, ...]"),
        ("sizes", (4, "5"), "tuple[int, ...]"),
        ("sizes", (True,), "tuple[int, ...]"),
        ("names", "all", "tuple[str, ...]"),
        ("names", (1,), "tuple[str, ...]"),
        ("inner", None, "a configs.Inner(...)"),
        ("inner", {"size": 3}, "a configs.Inner(...)"),
        ("inner", Inner, "a configs.Inner(...)"),
    ],
)
def test_a_value_of_another_type_is_refused(name, value, wanted):
    found = message(fields.check, put(Outer(), name, value))
    assert found == f"config field {name!r} is {value!r}; wanted {wanted}"


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("seed", -1, "at least 0"),
        ("data.world.queries", 0, "at least 1"),
        ("data.world.interactions", 4, "at least 5"),
        ("data.world.cross", 1.0, "below 1.0"),
        ("data.share", 0.5, "below 0.5"),
        ("model.hidden", (8, 0), "at least 1"),
        ("objective.temperature", 0.0, "at least 1e-06"),
        ("optimizer.learning_rate", NAN, "finite"),
        ("penalties.l2", INF, "finite"),
        ("train.batch", 8.0, "int"),
        ("model.tied", 0, "bool"),
        ("model.bag", "max", "mean, sqrt_n, sum"),
        ("evaluate", None, "a configs.Evaluate(...)"),
    ],
)
def test_the_library_refuses(name, value, wanted):
    found = message(fields.check, put(configs.Config(), name, value))
    assert name in found
    assert repr(value[-1] if isinstance(value, tuple) else value) in found
    assert wanted in found


def test_a_config_is_a_value():
    assert hash(configs.Config()) == hash(configs.Config())
    with pytest.raises(dataclasses.FrozenInstanceError):
        configs.Config().seed = 1


def make(name, module):
    function = types.FunctionType((lambda: name).__code__, {}, name, closure=(types.CellType(name),))
    function.__module__ = module
    return function


def test_members_are_the_functions_that_a_module_defines():
    shop = types.ModuleType("shop")
    shop.apple, shop.pear = make("apple", "shop"), make("pear", "shop.fruit")
    shop._hidden, shop.imported, shop.sibling = make("_hidden", "shop"), make("imported", "math"), make("s", "shopping")
    shop.Inner, shop.number, shop.module = Inner, 3, math
    assert fields.members(shop) == {"apple": shop.apple, "pear": shop.pear}


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (splits, set(splits.__all__)),
        (datasets, set(datasets.__all__)),
        (methods, {"gradient", "wals"}),
    ],
)
def test_members_leave_out_what_a_module_imports(module, names):
    assert set(fields.members(module)) == names


def test_resolve_finds_a_member():
    assert fields.resolve("root", "square", {"square": math.sqrt, "cube": math.cbrt}) is math.sqrt


def test_resolve_answers_an_unknown_name_with_the_nearest():
    found = message(fields.resolve, "root", "sqare", {"square": math.sqrt, "cube": math.cbrt})
    assert found == "unknown root 'sqare'; did you mean 'square'? Valid: cube, square"


def test_resolve_finds_the_users_own_function(tmp_path, monkeypatch):
    (tmp_path / "a_users_own").mkdir()
    (tmp_path / "a_users_own" / "losses.py").write_text("def half(x):\n    return x / 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert fields.resolve("loss", "a_users_own.losses:half", {})(3.0) == 3.0 / 2


@pytest.mark.parametrize(
    "name", ["nowhere:sqrt", "math:nowhere", "math.nowhere:sqrt", "math:", ":sqrt", ".math:sqrt", "math:pi"]
)
def test_resolve_refuses_what_is_no_function_of_a_module(name):
    found = message(fields.resolve, "root", name, {})
    assert found.startswith(f"root {name!r} ")
    assert found.endswith("wanted package.module:function")


def test_an_unknown_name_offers_two_at_most():
    found = str(errors.unknown("loss", "aaab", ["aaaa", "aaac", "aaad", "zzzz"]))
    near = found.removeprefix("unknown loss 'aaab'; did you mean ").partition("? Valid: ")
    assert near[0].count(" or ") == 1
    assert near[2] == "aaaa, aaac, aaad, zzzz"


def test_an_input_error_is_a_value_error():
    assert isinstance(errors.unknown("loss", "x", []), errors.InputError)
    assert issubclass(errors.InputError, ValueError)


def test_a_diverged_error_says_where():
    error = errors.DivergedError(7, "loss")
    assert (error.step, error.term) == (7, "loss")
    wanted = "loss is not finite at step 7; a smaller --config.optimizer.learning_rate is the usual cure"
    assert str(error) == wanted
