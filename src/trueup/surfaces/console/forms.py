"""Forms: read within bounds, and only from our own pages."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from trueup.surfaces.api.problems import Kind, ProblemError

KEY_FIELD = "form_key"
"""The field in which every form says that our own page sent it."""

_MOST_FIELDS = 200
_LONGEST = 4000

Form = Mapping[str, tuple[str, ...]]


async def read_form(request: Request) -> Form:
    """Return the fields of a posted form; ProblemError where it cannot be one."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise ProblemError(Kind.INVALID, "This is not a form.", "Use the page that it belongs to.")
    try:
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise ProblemError(Kind.INVALID, "The form cannot be read.", "Load the page again.") from None
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        fields[name] = (*fields.get(name, ()), clean(value))
    return fields


def clean(text: str) -> str:
    """Return text as it may be kept: without control characters; ProblemError where it is too long."""
    if len(text) > _LONGEST:
        raise ProblemError(Kind.INVALID, f"A field may have {_LONGEST} characters.", "Make it shorter.")
    return "".join(" " if character < " " or character == "\x7f" else character for character in text).strip()


def require_same_origin(request: Request, *, behind_proxy: bool) -> None:
    """Refuse a form that another site sent: browsers say where one is from."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    hosts = {request.headers.get("host", "").lower()}
    if behind_proxy:
        hosts.add(request.headers.get("x-forwarded-host", "").lower())
    if site not in (None, "same-origin") or (
        origin is not None and urlsplit(origin).netloc.lower() not in hosts - {""}
    ):
        raise forged("The form was sent by another site.")


def forged(what: str) -> ProblemError:
    """Return the problem of a form that is not ours."""
    return ProblemError(
        Kind.FORBIDDEN, f"{what} Nothing was done.", "Load the page again, and send the form from there."
    )
