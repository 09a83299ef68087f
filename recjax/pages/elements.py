"""The pieces of a page. Text is escaped wherever it enters; what is markup already has a type of its own."""

import base64
import html
import importlib.resources
import itertools
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from recjax import reports

_KINDS = {".png": "image/png", ".svg": "image/svg+xml"}


class Markup(str):
    """Text that is HTML."""

    __slots__ = ()


def markup(value: Any) -> Markup:
    """Anything as HTML: a number in four digits, text escaped.

    >>> markup("<script>"), markup(0.25), markup(Markup("<b>bold</b>")), markup(None)
    ('&lt;script&gt;', '.2500', '<b>bold</b>', '')
    """
    if isinstance(value, Markup):
        return value
    if isinstance(value, bool | int):
        return Markup(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value)
    return Markup(html.escape(reports.number(value) if isinstance(value, float) or value is None else str(value)))


def tag(name: str, *inner: Any, kind: str = "") -> Markup:
    """An element; `kind` is its class.

    >>> tag("p", "1 < 2", kind="soft")
    '<p class="soft">1 &lt; 2</p>'
    """
    attribute = f' class="{html.escape(kind)}"' if kind else ""
    return Markup(f"<{name}{attribute}>{join(inner)}</{name}>")


def join(parts: Iterable[Any]) -> Markup:
    return Markup("".join(map(markup, parts)))


def section(title: str, *inner: Any) -> Markup:
    """A heading and what is under it; nothing where there is nothing."""
    body = join(inner)
    return Markup(tag("h2", title) + body) if body else body


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], align: str = "lr", quiet: int = 0) -> Markup:
    """A table.

    Args:
        align: a letter a column, l for text and r for numbers; the last one is that of all further columns.
        quiet: so many rows at the end are greyed.
    """

    def line(cells: Iterable[Any], name: str) -> Markup:
        letters = itertools.chain(align, itertools.repeat(align[-1]))
        return join(tag(name, cell, kind="number" * (one == "r")) for cell, one in zip(cells, letters, strict=False))

    body = [tag("tr", line(row, "td"), kind="quiet" * (number >= len(rows) - quiet)) for number, row in enumerate(rows)]
    return tag(
        "div",
        tag("table", tag("thead", tag("tr", line(map(_breakable, header), "th"))), tag("tbody", *body)),
        kind="wide",
    )


def _breakable(name: str) -> Markup:
    """A long name may be broken where its words are joined."""
    return Markup(markup(name).replace("_", "_<wbr>").replace("@", "<wbr>@"))


def folded(summary: str, *inner: Any) -> Markup:
    """What is shown when it is asked for."""
    return tag("details", tag("summary", summary), *inner)


def tile(label: str, value: Any, note: str) -> Markup:
    """A number to be seen first."""
    return tag("div", tag("span", label), tag("b", value), tag("span", note), kind="tile")


def picture(path: pathlib.Path, about: str) -> Markup:
    """An image file, inside the page; nothing where there is no file (a run may have been cleaned up)."""
    return drawn(path.read_bytes(), path.suffix, about) if path.is_file() else Markup("")


def drawn(image: bytes, suffix: str, about: str) -> Markup:
    """An image with its caption."""
    data = base64.b64encode(image).decode()
    source = f'<img alt="{html.escape(about)}" src="data:{_KINDS[suffix]};base64,{data}">'
    return tag("figure", Markup(source), tag("figcaption", about))


def page(title: str, *inner: Any) -> str:
    """A whole document."""
    style = importlib.resources.files("recjax.pages").joinpath("style.css").read_text()
    head = [
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light">',
        f"<title>{html.escape(title)}</title>",
        f"<style>\n{style}</style>",
    ]
    top = "\n".join(head)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n{top}\n</head>\n<body>\n{tag("main", *inner)}\n</body>\n</html>\n'
    )
