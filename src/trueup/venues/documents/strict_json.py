"""JSON, read strictly: exact numbers, no repeated keys, no NaN, and errors that name the line or path.

Whole numbers become int, all others Decimal; nothing becomes a float. Whole numbers too long to be an id become
Decimal as well, since Python refuses to write an int of over 4300 digits.
"""

import json
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from decimal import Decimal, InvalidOperation
from pathlib import Path

from trueup.core.errors import CannotKnow
from trueup.venues.rows.fields import LONGEST_TEXT, printable

EXPORT_AGAIN = "Export it again and check that the file is the venue's whole answer."


def shown_path(path: Path) -> str:
    """Return a path as text that any terminal can hold."""
    return printable(str(path), 1000)


class _Repeated(dict[str, object]):
    """An object in which a key stands twice."""

    key = ""


class _NoNumber:
    """A NaN or an infinity."""

    def __init__(self, literal: str) -> None:
        self.literal = literal


def read_json(path: Path) -> object:
    """Read a JSON file; CannotKnow names the file and the line or the path in it."""
    try:
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    return read_text(shown_path(path), _decode(path, raw))


def unreadable(path: Path, error: Exception) -> CannotKnow:
    """Return the error of a file or folder that the system does not let us read."""
    why = (error.strerror if isinstance(error, OSError) else None) or printable(str(error))
    return CannotKnow(f"{shown_path(path)} cannot be read: {why}.", "Check the path and its permissions.")


def _decode(path: Path, raw: bytes) -> str:
    if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise CannotKnow(f"{shown_path(path)}, line 1: the text is UTF-16, not UTF-8.", "Save it as UTF-8.")
    raw = raw.removeprefix(BOM_UTF8)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CannotKnow(
            f"{shown_path(path)}, line {line}: the text is not UTF-8 (byte 0x{raw[error.start]:02x}).",
            "Save it as UTF-8.",
        ) from None


def read_text(named: str, text: str) -> object:
    """Read JSON text; CannotKnow says what is wrong with it and calls it by the name that is given."""
    reader = _Reader()
    start = text.lstrip()
    if not start:
        raise CannotKnow(f"{named} is empty.", EXPORT_AGAIN)
    if start.startswith("<"):
        raise CannotKnow(
            f"{named}, line 1: this is HTML, not JSON: {printable(' '.join(start[:200].split()))}",
            "The venue answered with a page, often of an outage or a login. " + EXPORT_AGAIN,
        )
    try:
        value = reader.read(text)
    except json.JSONDecodeError as error:
        raise _syntax_error(named, text, error) from None
    except RecursionError:
        raise CannotKnow(f"{named} is nested too deep.", EXPORT_AGAIN) from None
    if reader.flawed:
        raise CannotKnow(f"{named}: {_first_flaw(value)}.", "Correct the export; trueup does not guess.")
    return value


def _syntax_error(named: str, text: str, error: json.JSONDecodeError) -> CannotKnow:
    where = f"{named}, line {error.lineno}, column {error.colno}"
    if error.msg == "Extra data":
        return CannotKnow(f"{where}: more follows after the end of the JSON value.", "Put one JSON value in a file.")
    what = f"{where}: not JSON: {error.msg}"
    cut_off = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
    return CannotKnow(what + (" (the file seems to be cut off)." if cut_off else "."), EXPORT_AGAIN)


class _Reader:
    """One reading of one text; `flawed` says that what was read holds a mark of a repeated key or a NaN."""

    def __init__(self) -> None:
        self.flawed = False

    def read(self, text: str) -> object:
        """Parse the text."""
        return json.loads(
            text,
            parse_int=_whole,
            parse_float=_decimal,
            parse_constant=self._constant,
            object_pairs_hook=self._object,
        )

    def _constant(self, literal: str) -> _NoNumber:
        self.flawed = True
        return _NoNumber(literal)

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        content = dict(pairs)
        if len(content) == len(pairs):
            return content
        self.flawed = True
        repeated = _Repeated(content)
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                repeated.key = key
                break
            seen.add(key)
        return repeated


def _whole(text: str) -> int | Decimal:
    return int(text) if len(text) <= LONGEST_TEXT else _decimal(text)


def _decimal(text: str) -> Decimal:
    """Return the exact decimal; one that no decimal can hold is infinite, which no reader accepts."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("Infinity")


def _first_flaw(value: object) -> str:
    """Say what stands twice or is no number, and where, in the order of the text."""
    todo: list[tuple[str, object]] = [("", value)]
    while todo:
        at, node = todo.pop()
        if isinstance(node, _NoNumber):
            return f"{node.literal} at {at or 'the top'} is not a number"
        if isinstance(node, _Repeated):
            return f"the key {printable(node.key)} is repeated: {_below(at, node.key)}"
        if isinstance(node, dict):
            todo += [(_below(at, key), inner) for key, inner in reversed(node.items())]
        elif isinstance(node, list):
            todo += [(f"{at}[{index}]", inner) for index, inner in reversed(list(enumerate(node)))]
    raise AssertionError("the flaw that was seen in the text must stand in the value")


def _below(at: str, key: str) -> str:
    name = printable(key) if key.replace("_", "").isalnum() else json.dumps(printable(key), ensure_ascii=False)
    if name.startswith('"'):
        return f"{at}[{name}]"
    return f"{at}.{name}" if at else name
