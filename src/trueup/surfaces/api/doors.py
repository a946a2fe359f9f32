"""What a route asks of its caller, and what it is handed: the App in the caller's name, and requests done once."""

import json
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from trueup.core.audit import canonical_json
from trueup.core.errors import TrueupError
from trueup.ports import ClaimState, RequestKey
from trueup.service.app import App
from trueup.service.tokens import Permission
from trueup.surfaces.api.background import Background
from trueup.surfaces.api.front import caller_of
from trueup.surfaces.api.options import ApiOptions
from trueup.surfaces.api.problems import FieldError, Kind, ProblemError, shown, unexpected

PERMISSION = "x-permission"
"""Where a route's description says what it asks for."""

REPEATABLE = "x-repeatable"
"""Where it says which of its parameters may be given more than once."""

OPEN = "none"
REPLAYED = "Idempotency-Replayed"
_RETRY_SECONDS = 1

_log = logging.getLogger("trueup.api")


def needs(permission: Permission, repeatable: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what a decorator is given to ask for a permission; `repeatable` names parameters that are lists."""
    return {"openapi_extra": {PERMISSION: permission.value, REPEATABLE: list(repeatable)}}


def open_to_all() -> dict[str, Any]:
    """Return what a route's decorator is given where it asks for nothing."""
    return {"openapi_extra": {PERMISSION: OPEN}}


class Guarded(APIRoute):
    """A route that says what it asks for, and asks before it reads anything; its errors never get any further."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        """Return the handler, with the question before it."""
        inner, wanted = super().get_route_handler(), permission_of(self)
        lists = frozenset((self.openapi_extra or {}).get(REPEATABLE, ()))

        async def handle(request: Request) -> Response:
            caller = caller_of(request)
            if wanted is not None and caller is not None and not caller.may(wanted):
                raise ProblemError(
                    Kind.FORBIDDEN, f"The role {caller.token.role} may not {wanted}.", "Use a token of another role."
                )
            _refuse_repeated(request, lists)
            await _refuse_unclear(request)
            try:
                return await inner(request)
            except (ProblemError, TrueupError, HTTPException, RequestValidationError):
                raise
            except Exception as error:  # noqa: BLE001  # the last resort: no traceback ever reaches a client
                return unexpected(error, request.scope)

        return handle


async def _refuse_unclear(request: Request) -> None:
    """Refuse a body that is not said to be JSON, and one in which a key stands twice: one would be overlooked."""
    body = await request.body() if request.method == "POST" else b""
    if not body:
        return
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said != "application/json" and not said.endswith("+json"):
        told = "The body is not said to be JSON."
        raise ProblemError(Kind.INVALID, told, "Send it with the header `Content-Type: application/json`.")
    try:
        json.loads(body, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError):
        return  # what is no JSON at all is told by what reads it next


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            place = FieldError(where=f"body.{shown(name)}", what="It is given more than once.")
            raise ProblemError(Kind.MALFORMED, f"{place.where}: {place.what}", "Give it once.", errors=[place])
        found[name] = value
    return found


def _refuse_repeated(request: Request, lists: Collection[str]) -> None:
    """Refuse a parameter that is given twice and is no list: one of the two would be overlooked."""
    for name in request.query_params:
        if name not in lists and len(request.query_params.getlist(name)) > 1:
            place = FieldError(where=f"query.{shown(name)}", what="It is given more than once.")
            raise ProblemError(Kind.INVALID, f"{place.where}: {place.what}", "Give it once.", errors=[place])


def permission_of(route: APIRoute) -> Permission | None:
    """Return what a route asks for, None for nothing; a route that does not say so cannot be made."""
    said = (route.openapi_extra or {}).get(PERMISSION)
    if said is None:
        raise TypeError(f"the route {route.path} does not say what it needs: use needs() or open_to_all()")
    return None if said == OPEN else Permission(said)


@dataclass(frozen=True, slots=True)
class Call:
    """What every route is handed; `app` acts in the caller's name."""

    app: App
    options: ApiOptions
    background: Background


def _call(request: Request) -> Call:
    state, caller = request.app.state, caller_of(request)
    assert caller is not None
    return Call(replace(state.trueup, actor=caller.actor), state.options, state.background)


Reading = Annotated[Call, Depends(_call)]


@dataclass(frozen=True, slots=True)
class KeyedCall(Call):
    """What a route is handed that does something: with a key of the client's, it does it once."""

    key: str | None
    route: str

    def once(
        self,
        asked: BaseModel,
        work: Callable[[], BaseModel],
        status: int = 200,
        location: Callable[[Any], str] | None = None,
    ) -> Response:
        """Do the work and answer with what it returns; a second time, answer what was answered.

        Only an answer of success is kept: what was refused or failed may be sent again with its key.
        """
        if self.key is None:
            done = work()
            return _answer(status, _body(done), location(done) if location is not None else None)
        said = sha256(canonical_json(asked.model_dump(mode="json")).encode("utf-8", "surrogatepass")).hexdigest()
        request = RequestKey(self.key, self.app.actor, self.route, said)
        claim = self.app.requests.claim(request)
        if claim.state is ClaimState.DONE:
            kept = claim.answer or {}
            return _answer(claim.status, kept.get("body"), kept.get("location"), {REPLAYED: "true"})
        _require_new(claim.state)
        return self._first(request, work, status, location)

    def _first(
        self,
        request: RequestKey,
        work: Callable[[], BaseModel],
        status: int,
        location: Callable[[Any], str] | None,
    ) -> Response:
        try:
            done = work()
            body, place = _body(done), location(done) if location is not None else None
        except BaseException:
            self.app.requests.release(request)
            raise
        try:
            self.app.requests.keep(request, status, {"body": body, "location": place})
        except TrueupError:
            _log.exception("the answer to a request with a key could not be kept")
        return _answer(status, body, place)


def _require_new(state: ClaimState) -> None:
    if state is ClaimState.RUNNING:
        raise ProblemError(
            Kind.IN_PROGRESS,
            "A request with this Idempotency-Key is being done.",
            "Send it again with the same key for its answer.",
            {"Retry-After": str(_RETRY_SECONDS)},
        )
    if state is ClaimState.OTHER:
        raise ProblemError(
            Kind.KEY_REUSED,
            "This Idempotency-Key was used for a request that said something else.",
            "Use a new key for a new request.",
        )


def _keyed(
    request: Request,
    call: Reading,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=200,
            pattern=r"^[!-~]+$",
            description="A word of your choice. A request that is sent again with its key is done once, and answered "
            "as the first time. Known for a day, for this token and path.",
        ),
    ] = None,
) -> KeyedCall:
    route = f"{request.method} {request.url.path}"
    return KeyedCall(call.app, call.options, call.background, idempotency_key, route)


Doing = Annotated[KeyedCall, Depends(_keyed)]


def _body(answer: BaseModel) -> Any:
    return answer.model_dump(mode="json")


def _answer(status: int, body: object, location: object, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer in canonical JSON, so that it is the same text when it is given again."""
    place = {"Location": str(location)} if location is not None else {}
    return Response(canonical_json(body), status, {**place, **(headers or {})}, "application/json")
