"""The OpenAPI description: what FastAPI cannot know of the errors, the tokens and the permissions."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from trueup import __version__
from trueup.surfaces.api.doors import OPEN, PERMISSION, REPEATABLE
from trueup.surfaces.api.problems import MEDIA_TYPE, Kind, Problem

ABOUT = """\
trueup keeps a trading bot's books true to the exchange.

Every route needs `Authorization: Bearer TOKEN`, but for /healthz and, on the loopback, /metrics. A viewer reads, an
operator reads and acts, an approver reads and signs off. Every POST takes an `Idempotency-Key`. Quantities, prices and
sums are exact decimals as text; times are UTC. Errors are problem+json (RFC 9457).
"""

_ALWAYS = (Kind.MISDIRECTED, Kind.UNEXPECTED, Kind.CANNOT_KNOW)
_WITH_TOKEN = (Kind.UNAUTHENTICATED, Kind.FORBIDDEN, Kind.TOO_MANY)
_WITH_INPUT = (Kind.NOT_FOUND, Kind.INVALID)
_WITH_BODY = (Kind.MALFORMED, Kind.TIMED_OUT, Kind.REFUSED, Kind.TOO_LARGE)


def describe(api: FastAPI) -> dict[str, Any]:
    """Return the description, made once."""
    if not api.openapi_schema:
        api.openapi_schema = _complete(
            get_openapi(title="trueup", version=__version__, description=ABOUT, routes=api.routes)
        )
    return api.openapi_schema


def _complete(schema: dict[str, Any]) -> dict[str, Any]:
    parts = schema.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        parts.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    parts.update(problem.pop("$defs", {}))
    parts["Problem"] = problem
    schema["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "A token of `trueup token create`."}
    }
    for method, operation in operations(schema):
        operation.pop(REPEATABLE, None)
        is_open = operation[PERMISSION] == OPEN
        operation["security"] = [] if is_open else [{"bearer": []}]
        operation["responses"].pop("422", None)
        for kind in _kinds(method, operation, is_open=is_open):
            operation["responses"][str(kind.status)] = _response(kind)
    return schema


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every operation of a description, with its method."""
    for path in schema["paths"].values():
        yield from path.items()


def _kinds(method: str, operation: dict[str, Any], *, is_open: bool) -> Iterator[Kind]:
    yield from _ALWAYS
    if not is_open:
        yield from _WITH_TOKEN
        yield from _WITH_INPUT
    if method == "post":
        yield from _WITH_BODY
    elif "parameters" in operation:
        yield Kind.REFUSED


def _response(kind: Kind) -> dict[str, Any]:
    return {
        "description": kind.title,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
