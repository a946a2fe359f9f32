"""Envelopes: whether a raw answer is one at all, and where its rows stand, before ccxt's reading of it is believed.

Invariant 5 (Unknown is not flat): ccxt reads a 200 with HTML, an empty body, `null` or `{}` as an empty list. An empty
list is believed only where the venue's own answer holds an empty list in the place of the rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation

Path = tuple[str, ...]

_PLACES = frozenset(
    {
        "accounts", "assetPositions", "balances", "closed", "data", "executions", "fills", "items", "list", "open",
        "orders", "positions", "result", "rows", "trades",
    }
)  # fmt: skip
"""Where venues put their rows; an empty `error` or `retExtInfo` says nothing of them."""

_VERDICTS = ("code", "errno", "err_code", "error_code", "ret_code", "retCode", "returnCode", "status", "success")
_GOOD = frozenset({"", "1", "200", "204", "1000", "200000", "ok", "success", "true"})
"""What venues say of an answer that is one, beside zeros."""

_SIZES = ("positionAmt", "size", "pos", "szi", "currentQty", "contracts", "number_of_contracts", "net_size", "holdVol")
_DEEPEST = 4


class BadEnvelope(Exception):
    """An answer that is no answer: it says what came instead."""


def check_answer(answer: object, status: int | None) -> None:
    """Refuse what is no JSON object or list, and an empty object: BadEnvelope says what it is."""
    if isinstance(answer, list) or (isinstance(answer, dict) and answer):
        return
    code = f" (HTTP {status})" if status is not None else ""
    if isinstance(answer, dict):
        raise BadEnvelope(f"the venue answered an empty object{code}")
    text = str(answer or "").strip()
    if not text:
        raise BadEnvelope(f"the venue answered nothing{code}")
    kind = "a page of HTML" if text.startswith("<") else "what is no JSON object or list"
    raise BadEnvelope(f"the venue answered {kind}{code}")


def rows_at(answer: object, path: Path) -> list[object] | None:
    """Return the rows that stand at a path of a raw answer, None where no list or object of rows stands there.

    Without a path the answer itself must be the list.
    """
    value = answer
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    if isinstance(value, Mapping) and path:
        return list(value.values())
    return value if isinstance(value, list) else None


def count_rows(answer: object, path: Path | None) -> int | None:
    """Return how many rows a raw answer holds; None where it does not say.

    Without a path the rows are looked for: the only thing that is told so is that there are none. That is not believed
    of an answer that says by a code of its own that it is a refusal: ccxt does not know every such code.
    """
    if path is not None:
        rows = rows_at(answer, path)
        return len(rows) if rows is not None else None
    if isinstance(answer, list):
        return len(answer)
    found = list(_places(answer, _DEEPEST))
    return 0 if any(not place for place in found) and not _refuses(answer) else None


def holds_rows(answer: object) -> bool:
    """Say whether a list of rows, be it empty, stands in a raw answer that is no refusal."""
    found = [answer] if isinstance(answer, list) else list(_places(answer, _DEEPEST))
    return bool(found) and not _refuses(answer)


def _places(value: object, depth: int) -> Iterator[list[object] | dict[str, object]]:
    """Yield what stands where venues put their rows."""
    if not isinstance(value, Mapping) or not depth:
        return
    for name, inner in value.items():
        if name in _PLACES and isinstance(inner, (list, dict)):
            yield inner
        yield from _places(inner, depth - 1)


def _refuses(answer: object) -> bool:
    """Say whether an answer is a refusal by its own code, status or success."""
    if not isinstance(answer, Mapping):
        return False
    said = (answer.get(name) for name in _VERDICTS)
    words = [str(word).strip().lower() for word in said if isinstance(word, (str, int, bool))]
    return any(word not in _GOOD and bool(word.strip("0")) for word in words)


def count_held(rows: Sequence[object]) -> int:
    """Return how many raw position rows hold something, by the names that venues give a size."""
    return sum(any(_is_size(value) for value in _sizes(row)) for row in rows)


def _sizes(row: object) -> Iterator[object]:
    if not isinstance(row, Mapping):
        return
    for name in _SIZES:
        if name in row:
            yield row[name]
    yield from (value for name in ("position", "data") if name in row for value in _sizes(row[name]))


def _is_size(value: object) -> bool:
    try:
        return Decimal(str(value)) != 0
    except InvalidOperation:
        return False
