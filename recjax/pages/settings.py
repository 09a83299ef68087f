"""Settings on a page: what differs from the defaults first."""

from collections.abc import Mapping
from typing import Any

from recjax import configs, fields
from recjax.pages import elements

_NONE = "(not set)"


def sections(settings: Mapping[str, Any], among: str = "") -> elements.Markup:
    """Two tables of settings by dotted name.

    Args:
        among: of whom these settings are, where it is not a run.
    """
    default = fields.flatten(configs.Config())
    differ = [name for name, value in settings.items() if value != default.get(name)]
    rows = [[name, text(settings[name]), text(default.get(name, _NONE))] for name in differ]
    every = [[name, text(value)] for name, value in settings.items()]
    return elements.join(
        [
            elements.table(["setting", "value", "default"], rows, "l")
            if rows
            else elements.tag("p", f"{among}Every setting is at its default."),
            elements.folded(f"all {len(every)} settings", elements.table(["setting", "value"], every, "l")),
        ]
    )


def text(value: Any) -> str:
    """A setting as one would type it.

    >>> text((256, 128)), text(True), text(1e-05), text("")
    ('256,128', 'true', '1e-05', '(not set)')
    """
    if isinstance(value, tuple):
        return ",".join(map(text, value)) or _NONE
    return (str(value).lower() if isinstance(value, bool) else str(value)) or _NONE
