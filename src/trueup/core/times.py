"""Times are whole milliseconds since 1970, UTC; finer times are cut."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from trueup.core.decimals import EXACT

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_END = datetime(9999, 12, 31, tzinfo=UTC)

SECONDS_BELOW = 100_000_000_000
"""A number below this counts seconds, from it on milliseconds (as milliseconds it would be March 1973)."""

MICROSECONDS_FROM = 100_000_000_000_000
NANOSECONDS_FROM = 100_000_000_000_000_000


def read_time(value: object) -> int:
    """Read epoch milliseconds from a number (seconds to nanoseconds, by its size) or ISO 8601 text.

    Text without an offset is UTC. ValueError says what is wrong.
    """
    if isinstance(value, datetime):
        return of_datetime(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ValueError(f"{value!r} is not a time")
    text = repr(value) if isinstance(value, float) else str(value).strip()
    try:
        number = Decimal(text) if "_" not in text else Decimal("NaN")
    except InvalidOperation:
        return _read_iso(text)
    if not number.is_finite() or number <= 0 or number >= Decimal(10) ** 21:
        raise ValueError(f"{value!r} is not a time")
    ms = int(number.scaleb(3, EXACT)) if number < SECONDS_BELOW else int(number)
    if number >= NANOSECONDS_FROM:
        ms = int(number) // 1_000_000
    elif number >= MICROSECONDS_FROM:
        ms = int(number) // 1000
    if not 0 < ms < of_datetime(_END):
        raise ValueError(f"{value!r} is not a time")
    return ms


def _read_iso(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time (ISO 8601 or a number since 1970)") from None
    ms = of_datetime(moment)
    if not 0 < ms < of_datetime(_END):
        raise ValueError(f"{text!r} is not a time after 1970 and before 9999-12-31")
    return ms


def of_datetime(moment: datetime) -> int:
    """Return the epoch milliseconds of a datetime, cut; one without an offset is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MILLISECOND


def to_datetime(ms: int) -> datetime:
    """Return the UTC datetime of epoch milliseconds."""
    return _EPOCH + ms * _MILLISECOND


def iso(ms: int) -> str:
    """Write epoch milliseconds as UTC ISO 8601 with milliseconds and Z."""
    minutes, rest = divmod(ms, 60_000)
    return f"{_minute(minutes)}:{rest // 1000:02d}.{rest % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _minute(minutes: int) -> str:
    return (_EPOCH + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M")


def for_how_long(ms: int) -> str:
    """Return a duration in its two largest units, as 6 d 23 h, 5 min 30 s or 0 s; what is smaller is cut off."""
    parts: list[str] = []
    rest = ms // 1000
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        number, rest = divmod(rest, size)
        if number or (name == "s" and not parts):
            parts.append(f"{number} {name}")
        elif parts:
            break
    return " ".join(parts[:2])
