"""Templates, and how times, numbers and states are written in them.

Everything that a template shows is escaped: what bots, venues and people wrote is text, and never markup.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from trueup import __version__
from trueup.core.decimals import plain
from trueup.core.times import iso, read_time
from trueup.service.approvals import word
from trueup.surfaces.console.navigation import sections

LIVE_HEADER = "x-console-live"
"""What a page's own script sends when it asks for the part that changes."""

_LIVE = "live"
_PARTS = ("audit_table", "coverage", "form", "pager", "reason", "trade")
"""The macros that every template may use, also where a part of it is rendered alone."""

STATIC: Mapping[str, str] = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_AGES = re.compile(r'(<span class="age"[^>]*>)[^<]*(</span>)')
_STATES = {
    "good": "OK NORMAL RUNNING APPLIED HEALED REAPPLIED applied apply approve healed resolved complete well delivered",
    "bad": "MISMATCH HALT FLATTEN NO_GO INTERRUPTED quarantined decline critical failed unwell interrupted",
    "care": "INCONCLUSIVE SAFE_MODE CLOSE_ONLY PAUSED SKIP_ACTIVE_POSITION SKIP_PENDING_ORDER unresolved partial "
    "propose warning partly_reverted pending late undelivered",
}
_KINDS = {state: kind for kind, states in _STATES.items() for state in states.split()}
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


class Templates:
    """The templates of the console."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("trueup.surfaces.console"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True, auto_reload=False, finalize=visible,
        )  # fmt: skip
        self._environment.filters.update(
            amount=amount, moment=moment, age=age, chip=chip, ms=_ms, segment=segment, word=word, short=short
        )
        self._environment.globals.update(sections=sections, version=__version__, static=static_path)
        parts = self._environment.get_template("macros.html").module
        self._environment.globals.update({name: getattr(parts, name) for name in _PARTS})

    def page(self, name: str, shown: Mapping[str, Any]) -> str:
        """Return a whole page."""
        template = self._environment.get_template(name)
        return template.render({**shown, "changes": _LIVE in template.blocks})

    def live_part(self, name: str, shown: Mapping[str, Any]) -> str:
        """Return the part of a page that changes by itself; blank where it has none."""
        template = self._environment.get_template(name)
        block = template.blocks.get(_LIVE)
        return "" if block is None else "".join(block(template.new_context(dict(shown))))


def visible(value: object) -> object:
    """Return what is shown with its unseen characters made visible: none may turn or hide what stands beside it."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", value) if type(value) is str else value


def _parents(environment: Environment, template: Any) -> list[Any]:
    return [environment.get_template("page.html")] if "live" not in template.blocks else []


def entity_tag(part: str) -> str:
    """Return the tag of a part; that everything in it is a little older makes no other."""
    told = _AGES.sub(r"\1\2", part)
    return f'"{sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'


@cache
def static_file(name: str) -> bytes:
    """Return a file that pages need."""
    return (files("trueup.surfaces.console") / "static" / name).read_bytes()


def static_path(name: str) -> str:
    """Return the address of such a file; another content has another address."""
    return f"/console/static/{name}?v={sha256(static_file(name)).hexdigest()[:12]}"


def segment(text: object) -> str:
    """Return text as one part of a path."""
    return quote(str(text), safe="")


def short(text: object) -> str:
    """Return the beginning of a hash."""
    return str(text)[:12]


def amount(value: object) -> str:
    """Write an exact number in plain digits; a dash where there is none."""
    if value is None or value == "":
        return "–"
    return plain(value) if isinstance(value, Decimal) else str(value)


def _ms(value: object) -> int:
    return value if isinstance(value, int) else read_time(value)


def moment(value: object, now_ms: int) -> Markup:
    """Write a time: UTC to the second, and how long ago that is."""
    if value is None or value == "":
        return Markup("–")
    try:
        ms = _ms(value)
    except ValueError:
        return escape(str(value))
    text = iso(ms)
    return Markup('<time datetime="{}"><span class="day">{}</span> <span class="clock">{}</span></time> {}').format(
        text, text[:10], f"{text[11:19]} UTC", age(ms, now_ms)
    )


def age(value: object, now_ms: int) -> Markup:
    """Write how long ago a time is; the page's script keeps it current."""
    ms = _ms(value)
    return Markup('<span class="age" data-ms="{}">{}</span>').format(ms, ago(now_ms - ms))


def ago(ms: int) -> str:
    """Write an age in its two greatest units.

    >>> [ago(ms) for ms in (-5000, 900, 61_000, 3_600_000, 90_061_000)]
    ['in 5 s', 'now', '1 min 1 s ago', '1 h ago', '1 d 1 h ago']
    """
    seconds = abs(ms) // 1000
    if not seconds:
        return "now"
    parts: list[str] = []
    rest = seconds
    for size, unit in (*_UNITS, (1, "s")):
        if rest >= size and len(parts) < 2:
            parts.append(f"{rest // size} {unit}")
        elif parts:
            break
        rest %= size
    text = " ".join(parts)
    return f"in {text}" if ms < 0 else f"{text} ago"


def chip(state: object, label: object = None) -> Markup:
    """Write a state as a word with a shape and a colour: none of the two says anything alone."""
    text = str(state)
    kind = _KINDS.get(text, "plain")
    return Markup('<span class="chip {}">{}</span>').format(kind, label if label is not None else text)
