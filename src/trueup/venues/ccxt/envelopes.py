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

    Without a path the rows are looked for: the only thing that is told so is that there are none.
    """
    if path is not None:
        rows = rows_at(answer, path)
        return len(rows) if rows is not None else None
    if isinstance(answer, list):
        return len(answer)
    return 0 if _has_empty_place(answer, _DEEPEST) else None


def _has_empty_place(value: object, depth: int) -> bool:
    if not isinstance(value, Mapping) or not depth:
        return False
    return any(
        (name in _PLACES and isinstance(inner, (list, dict)) and not inner) or _has_empty_place(inner, depth - 1)
        for name, inner in value.items()
    )


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
