"""How much of each feed an export holds: what it declares, and what its sections show.

Invariant 5 (Unknown is not flat): a feed is complete only where its section is there, can be read and does
not look like one page of several.
"""

from collections.abc import Iterable, Mapping

from trueup.core.errors import CannotKnow, nearest
from trueup.core.snapshot import Coverage, Feed, FeedState
from trueup.core.times import iso
from trueup.venues.rows.fields import moment, printable, shown

_ENTRY_KEYS = ("given", "reason", "since", "state")
_WORST = (FeedState.FAILED, FeedState.PARTIAL, FeedState.COMPLETE)
SAY_STATE = 'Write "coverage": {"closed_orders": {"state": "complete", "since": "2026-01-02T03:04:05Z"}}.'

NULL = "null in the document"
MISSING = "declared complete, but its section is missing"


def read_coverage(declared: object, file: str) -> dict[Feed, Coverage]:
    """Read the `coverage` of a document; CannotKnow names the entry that cannot be read."""
    if declared is None:
        return {}
    if not isinstance(declared, Mapping):
        raise CannotKnow(f"{file}: coverage is {shown(declared)}, not an object of feeds.", SAY_STATE)
    return {_feed(name, file): _entry(f"{file}: coverage.{printable(name)}", entry) for name, entry in declared.items()}


def _feed(name: str, file: str) -> Feed:
    try:
        return Feed(name)
    except ValueError:
        raise CannotKnow(f"{file}: coverage.{printable(name)} is no feed.", nearest(printable(name), Feed)) from None


def _entry(at: str, entry: object) -> Coverage:
    if isinstance(entry, str):
        return Coverage(_state(at, entry))
    if not isinstance(entry, Mapping):
        raise CannotKnow(f"{at} is {shown(entry)}, not a state or an object.", SAY_STATE)
    for key in entry:
        if key not in _ENTRY_KEYS:
            raise CannotKnow(f"{at}.{printable(key)} is not known.", nearest(printable(key), _ENTRY_KEYS))
    state, since, reason = entry.get("state"), entry.get("since"), entry.get("reason")
    given = entry.get("given", True)
    if not isinstance(given, bool):
        raise CannotKnow(f"{at}.given is {shown(given)}, not true or false.", SAY_STATE)
    if not isinstance(state, str):
        raise CannotKnow(f"{at}.state is {shown(state)}, not a state.", SAY_STATE)
    if reason is not None and not isinstance(reason, str):
        raise CannotKnow(f"{at}.reason is {shown(reason)}, not text.", SAY_STATE)
    try:
        since_ms = moment("since", since) if since is not None else None
    except ValueError as error:
        raise CannotKnow(f"{at}: {error}.", "Write times as 2026-01-02T03:04:05Z.") from None
    return Coverage(_state(f"{at}.state", state), printable(reason or "", 300), since_ms, given)


def entry_of(coverage: Coverage) -> dict[str, object]:
    """Write the coverage of a feed as a document declares it."""
    entry: dict[str, object] = {"state": coverage.state.value}
    if coverage.reason:
        entry["reason"] = coverage.reason
    if coverage.since_ms is not None:
        entry["since"] = iso(coverage.since_ms)
    if not coverage.given:
        entry["given"] = False
    return entry


def _state(at: str, state: str) -> FeedState:
    try:
        return FeedState(state.strip().lower())
    except ValueError:
        name = printable(state)
        raise CannotKnow(f"{at} '{name}' is no state.", nearest(name.lower(), FeedState)) from None


def without_section(declared: Coverage) -> Coverage:
    """Return the coverage of a feed that is declared but not there."""
    return Coverage(FeedState.FAILED, MISSING) if declared.complete else declared


def worst(parts: Iterable[Coverage]) -> Coverage:
    """Return the coverage of a feed whose sections are covered so: the worst state, the latest `since`."""
    given = list(parts)
    state = next(state for state in _WORST if any(part.state is state for part in given))
    reasons = dict.fromkeys(part.reason for part in given if part.reason)
    since = [part.since_ms for part in given if part.since_ms is not None]
    return Coverage(state, "; ".join(reasons), max(since) if since else None)
