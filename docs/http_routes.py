"""The printed parts of the page of the HTTP API, between marks in a page written by hand: routes and problems."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from trueup.service.app import App
from trueup.surfaces.api.app import create_app
from trueup.surfaces.api.description import describe
from trueup.surfaces.api.problems import Kind

PAGE = Path(__file__).parent / "http-api.md"


def http_api() -> str:
    """Return the page with its printed parts as the program has them."""
    text = PAGE.read_text(encoding="utf-8")
    for name, table in (("problems", _problems()), ("routes", _routes())):
        text = re.sub(rf"(<!-- {name}: .*? -->\n).*?(<!-- /{name} -->)", rf"\1{table}\2", text, flags=re.DOTALL)
    return text


def _routes() -> str:
    """Return every route with what it asks for and what it does."""
    paths = describe(create_app(cast(App, None)))["paths"]
    rows = [
        (f"`{method.upper()} {path}`", operation["x-permission"], operation["description"].split("\n\n")[0])
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]
    return _table(("route", "needs", "what it does"), [(a, b, " ".join(c.split())) for a, b, c in rows])


def _problems() -> str:
    """Return every kind of problem with its status."""
    rows = [(str(kind.status), f"`{kind.uri}`", kind.title) for kind in Kind]
    return _table(("status", "type", "title"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)
