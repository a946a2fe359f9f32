"""Errors of the API as problem+json (RFC 9457): what is wrong, what to do, and never a traceback.

`type` names the kind, for programs; `detail` and `do` are for people. What a client sent is not repeated.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import Scope

from trueup.core.errors import CannotKnow, Refused, TrueupError, UnknownName
from trueup.service.events import log

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5

_log = logging.getLogger("trueup.api")


class Kind(Enum):
    """The kinds of problems: status and title."""

    MALFORMED = (400, "The body says something twice")
    UNAUTHENTICATED = (401, "Who asks is not known")
    FORBIDDEN = (403, "The role of this token does not allow it")
    NOT_FOUND = (404, "There is no such thing")
    METHOD_NOT_ALLOWED = (405, "This path knows no such method")
    TIMED_OUT = (408, "The request did not arrive in time")
    REFUSED = (409, "A rule forbids it now")
    IN_PROGRESS = (409, "The same request is being done")
    TOO_LARGE = (413, "The request is too large")
    MISDIRECTED = (421, "This host name is not served")
    INVALID = (422, "The request is not as it must be")
    KEY_REUSED = (409, "The key belongs to another request")
    TOO_MANY = (429, "Too many requests")
    UNEXPECTED = (500, "trueup failed unexpectedly")
    CANNOT_KNOW = (503, "It cannot be known now")

    def __init__(self, status: int, title: str) -> None:
        self.status = status
        self.title = title

    @property
    def uri(self) -> str:
        """Return the kind's name for programs."""
        return f"urn:trueup:problem:{self.name.lower().replace('_', '-')}"


class FieldError(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="The place in the request, for example `body.instance_id`.")
    what: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = Field(description="The kind of the problem, for programs.")
    title: str = Field(description="The kind in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong.")
    do: str | None = Field(default=None, description="What to do about it.")
    instance: str | None = Field(default=None, description="The name of this very failure in the server's log.")
    errors: list[FieldError] | None = Field(default=None, description="What is wrong with the request, one by one.")


class ProblemError(Exception):
    """A problem that a route or a guard answers with."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        do: str | None = None,
        headers: Mapping[str, str] | None = None,
        errors: list[FieldError] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.do, self.headers, self.errors = kind, detail, do, dict(headers or {}), errors


def response_of(problem: ProblemError, instance: str | None = None) -> Response:
    """Return a problem as its answer."""
    told = Problem(
        type=problem.kind.uri,
        title=problem.kind.title,
        status=problem.kind.status,
        detail=problem.detail,
        do=problem.do or None,
        instance=instance,
        errors=problem.errors,
    )
    body = json.dumps(told.model_dump(exclude_none=True), ensure_ascii=True)
    return Response(body, problem.kind.status, problem.headers, MEDIA_TYPE)


def problem_of(error: TrueupError) -> ProblemError:
    """Return one of trueup's own errors as a problem."""
    if isinstance(error, Refused):
        return ProblemError(Kind.REFUSED, error.what, error.do)
    if isinstance(error, CannotKnow):
        return ProblemError(Kind.CANNOT_KNOW, error.what, error.do, {"Retry-After": str(RETRY_SECONDS)})
    return ProblemError(Kind.NOT_FOUND if isinstance(error, UnknownName) else Kind.INVALID, error.what, error.do)


def route_of(scope: Scope) -> str | None:
    """Return the route that a request is for, as the description has it: /explain/{trade_id}; None for no route."""
    names = [name for name, _ in _at(scope["app"].routes, scope["path"])]
    return names[0] if names else None


def unexpected(error: BaseException, scope: Scope) -> Response:
    """Log an error that nobody foresaw under a name of its own, and answer with that name alone."""
    return response_of(*unexpected_name(error, scope))


def unexpected_name(error: BaseException, scope: Scope) -> tuple[ProblemError, str]:
    """Log an error that nobody foresaw under a name of its own, and return it as a problem with that name."""
    name = f"urn:uuid:{uuid4()}"
    log("api_failed", method=scope["method"], route=route_of(scope), error=f"{type(error).__name__}, {name}")
    _log.error("unexpected error %s", name, exc_info=error)
    problem = ProblemError(
        Kind.UNEXPECTED,
        "trueup failed unexpectedly. Nothing was written that the audit does not show.",
        "Look for the instance in the server's log, and report it.",
    )
    return problem, name


def install(api: FastAPI) -> None:
    """Let every error of the application be answered as a problem."""
    api.add_exception_handler(ProblemError, _own)
    api.add_exception_handler(TrueupError, _trueup)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(Exception, _unforeseen)


async def _own(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return response_of(error)


async def _trueup(_: Request, error: Exception) -> Response:
    assert isinstance(error, TrueupError)
    return response_of(problem_of(error))


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [FieldError(where=_where(item), what=_what(item)) for item in error.errors()]
    detail = "; ".join(f"{item.where}: {item.what}" for item in found[:5]) or "The request cannot be read."
    return response_of(ProblemError(Kind.INVALID, detail, "The description is at /docs.", errors=found))


def _what(item: Mapping[str, Any]) -> str:
    """Say what is wrong with a field; a pattern is no explanation."""
    if item["type"] == "string_pattern_mismatch" and item["loc"][-1] == "scope":
        return "A scope is global, account:NAME, profile:ID or symbol:ID:SYMBOL."
    return str(item["msg"])


def _where(item: Mapping[str, Any]) -> str:
    place = [str(part) for part in item["loc"]]
    return shown(".".join(place[:1] if item["type"] == "json_invalid" else place))


def shown(text: str) -> str:
    """Return the name of a place as it may be repeated: of an unknown field it is the client's own text."""
    return text[:100].encode("ascii", "backslashreplace").decode()


async def _http(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses by itself: unknown paths, methods, and bodies that cannot be read."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == Kind.NOT_FOUND.status:
        return response_of(ProblemError(Kind.NOT_FOUND, "There is nothing at this path.", "See /docs.", headers))
    if error.status_code == Kind.METHOD_NOT_ALLOWED.status:
        headers["Allow"] = ", ".join(methods_at(request.app.routes, request.url.path)) or headers.get("Allow", "")
        told = f"{request.method} is not allowed here."
        return response_of(ProblemError(Kind.METHOD_NOT_ALLOWED, told, "See /docs.", headers))
    return response_of(ProblemError(Kind.INVALID, "The request cannot be read.", "See /docs.", headers))


def methods_at(routes: Iterable[Any], path: str) -> list[str]:
    """Return every method that is answered at a path; the framework itself names those of the first route alone."""
    return sorted({method for _, methods in _at(routes, path) for method in methods})


def _at(routes: Iterable[Any], path: str) -> Iterator[tuple[str, set[str]]]:
    """Yield the routes of a path, each with its methods."""
    for route in routes:
        inner = getattr(route, "original_router", None)  # FastAPI keeps what was included as it was
        if inner is not None:
            yield from _at(inner.routes, path)
        elif hasattr(route, "path_regex") and route.path_regex.match(path):
            yield getattr(route, "path_format", route.path), set(getattr(route, "methods", None) or ())


async def _unforeseen(request: Request, error: Exception) -> Response:
    return unexpected(error, request.scope)
