"""What the program logs: every event by name, with its level, its fields and what it means; told to whoever listens.

Use cases say `log("run_ended", status=…, …)`; a name that is not in the table, and fields that are not exactly its
fields, are a defect and raise. What is said inside `within(run_id=…)` carries these ids. Nobody listens unless a
surface chose to (`trueup.surfaces.logs`); the page docs/events.md is printed from this table.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its name in the past tense, its level, the fields that it always has, and what it means."""

    name: str
    level: str
    fields: tuple[str, ...]
    meaning: str


Listener = Callable[[Event, Mapping[str, object]], None]

EVENTS = (
    Event("worker_started", "info", ("owner", "accounts"), "A worker began to take due accounts."),
    Event("worker_stopped", "info", ("owner", "cycles"), "A worker finished what it was at and ended."),
    Event("cycle_started", "debug", ("account", "profiles"), "An account's lease is taken; its venue is read next."),
    Event(
        "cycle_ended", "info", ("account", "status", "duration_ms", "venue_calls"),
        "All profiles of an account were compared on one snapshot; the status is the worst of its runs'.",
    ),
    Event(
        "cycle_failed", "error", ("account", "error", "retry_ms"),
        "A cycle was broken off; its runs are INCONCLUSIVE, and the account is due again after the time given.",
    ),
    Event(
        "account_backed_off", "warning", ("account", "times", "retry_ms"),
        "The venue did not say all that is needed, so many times in a row; the account is due again after that time.",
    ),
    Event("run_started", "debug", ("kind", "scope"), "A run is on record as PENDING."),
    Event(
        "run_ended", "info", ("kind", "scope", "status", "found", "healed", "unresolved"),
        "A run is on record as OK, MISMATCH or INCONCLUSIVE; how many breaks it found, healed and left.",
    ),
    Event("run_failed", "error", ("kind", "scope", "error"), "A run was broken off and is INCONCLUSIVE."),
    Event("run_left_behind", "warning", ("left_run_id",), "A run whose program was killed was ended by a later one."),
    Event(
        "feed_incomplete", "warning", ("account", "feed", "state", "reason"),
        "A feed of the venue was read in part or not at all: what depends on it stays unresolved.",
    ),
    Event(
        "break_found", "warning", ("break_id", "kind", "symbol", "trade_id", "state", "reason"),
        "Ledger and venue disagree where they did not before.",
    ),
    Event("break_healed", "info", ("break_id", "kind", "rule", "order_id"), "A break was healed with a proven change."),
    Event(
        "break_quarantined", "warning", ("break_id", "kind", "reason"),
        "Evidence cannot decide: the break is withheld from repair until a person decides.",
    ),
    Event(
        "incident_moved", "warning", ("incident_id", "scope", "step", "what", "actor"),
        "Something happened in an incident: a run or a person moved it, or wrote to it.",
    ),
    Event("break_resolved", "info", ("break_id", "kind", "resolution"), "A break is gone, by itself or by a person."),
    Event(
        "break_acknowledged", "info", ("break_id", "kind", "owner", "reason"), "A person took a break upon themselves."
    ),
    Event("parity_closed", "warning", ("trade_id", "symbol", "qty", "order_id"), "A confirmed ghost was closed."),
    Event(
        "watchdog_paused", "error", ("profile_id", "notional", "capital"),
        "A profile was paused: its mismatch is beyond the share of its capital that is allowed.",
    ),
    Event("watchdog_resumed", "info", ("profile_id", "clean_cycles"), "A pause that the watchdog made has ended."),
    Event("mode_changed", "warning", ("scope", "mode", "previous", "source", "actor"), "A safe mode was put in force."),
    Event(
        "flatten_begun", "warning", ("account", "scope", "episode"),
        "trueup begins to cancel the orders of a scope and to close its positions.",
    ),
    Event(
        "flatten_canceled", "warning", ("account", "scope", "round", "orders", "failed"),
        "Working orders were canceled; how many could not be.",
    ),
    Event(
        "flatten_closing", "warning", ("account", "scope", "round", "symbol", "side", "qty", "client_order_id"),
        "A closing order is on record and is sent next.",
    ),
    Event(
        "flatten_answered", "info", ("account", "client_order_id", "outcome", "reason"),
        "The venue took or refused a closing order, or did not answer; or it was withheld.",
    ),
    Event(
        "flatten_settled", "info", ("account", "client_order_id", "outcome", "executed"),
        "A closing order is over, with what it executed, or never came to be.",
    ),
    Event(
        "flatten_waits", "debug", ("account", "scope", "reason"), "A flattening looks again: why it does nothing now.",
    ),
    Event("flatten_verified", "info", ("account", "scope", "rounds"), "A scope is flat by two readings in a row."),
    Event(
        "flatten_gave_up", "error", ("account", "scope", "reason", "left"),
        "A flattening reached its bound, or is not allowed: the scope is in HALT, and what is left is named.",
    ),
    Event(
        "gate_flipped", "warning", ("profile_id", "symbol", "intent", "allowed", "mode", "because_of", "reason"),
        "The gate answers otherwise than it did before; a first answer is told where it refuses.",
    ),
    Event(
        "heartbeat_lost", "error", ("scope", "reason"),
        "A bot or an account's reconciliation is silent, or came back and is not trusted yet: the dead-man holds.",
    ),
    Event("heartbeat_recovered", "info", ("scope",), "Enough healthy heartbeats came in a row; the dead-man is off."),
    Event("switch_stopped", "warning", ("profile_id", "symbol", "mode", "detail"), "A bot says that it has stopped."),
    Event(
        "switch_failed", "error", ("profile_id", "symbol", "mode", "detail"),
        "A bot was told to stop, or to go on, and does not say that it does; it is told again in the next cycle.",
    ),
    Event("switch_resumed", "warning", ("profile_id", "symbol", "detail"), "A bot that trueup stopped trades again."),
    Event("lease_refused", "debug", ("scope", "refusals"), "Another run holds an account."),
    Event(
        "lease_contended", "warning", ("scope", "refusals"),
        "An account's lease was refused as often in a row as RECON_LEASE_CONTENTION_ALERT says.",
    ),
    Event("lease_lost", "error", ("scope", "fence"), "A lease was taken over; what its old holder writes is refused."),
    Event(
        "full_check_differed", "error", ("account", "detail"),
        "A full check did not find what was kept between runs; what was kept is dropped and read anew.",
    ),
    Event("stream_opened", "info", ("account",), "The venue's live events are listened to."),
    Event("stream_closed", "warning", ("account", "reason", "retry_ms"), "Live events ended; a run fills the gap."),
    Event("stream_woke", "debug", ("account", "symbol"), "A live event makes its account due at once."),
    Event("alert_raised", "warning", ("kind", "key", "scope", "severity", "count"), "An alert is in the outbox."),
    Event("alert_escalated", "error", ("kind", "key", "scope", "severity", "count"), "A mismatch outlived two runs."),
    Event("alert_resolved", "info", ("kind", "key", "scope"), "What an alert was about is gone."),
    Event("alert_delivered", "info", ("kind", "key", "attempts"), "Every target took an alert."),
    Event(
        "alert_undelivered", "error", ("kind", "key", "attempts", "error", "retry_ms"),
        "A target did not take an alert; it is tried again after the time given.",
    ),
    Event("api_started", "info", ("host", "port"), "The HTTP API answers."),
    Event("api_stopped", "info", (), "The HTTP API ended."),
    Event("api_answered", "info", ("method", "route", "status", "actor", "took_ms"), "A request was answered."),
    Event("api_failed", "error", ("method", "route", "error"), "A request met a defect and was answered with 500."),
    Event("pruned", "info", ("runs", "alerts"), "Runs and alerts older than RECON_RUNS_KEPT_DAYS were dropped."),
)  # fmt: skip

_BY_NAME: Mapping[str, Event] = {event.name: event for event in EVENTS}
_ids: ContextVar[Mapping[str, str]] = ContextVar("trueup_ids")
_listeners: list[Listener] = []


def log(name: str, **fields: object) -> None:
    """Tell an event to whoever listens, with the ids of what is going on."""
    event = require(name, fields)
    if _listeners:
        said = {**current_ids(), **fields}
        for listener in tuple(_listeners):
            listener(event, said)


def require(name: str, fields: Mapping[str, object]) -> Event:
    """Return the event of a name; ValueError where there is none, or where its fields are others."""
    event = _BY_NAME.get(name)
    if event is None:
        raise ValueError(f"there is no event {name!r} in trueup.service.events")
    if set(fields) != set(event.fields):
        raise ValueError(f"the event {name} has the fields {sorted(event.fields)}, not {sorted(fields)}")
    return event


@contextmanager
def within(**ids: str) -> Iterator[None]:
    """Let everything that is said inside carry these ids (run_id, cycle_id, …) besides those that hold already.

    A thread that is started inside carries them only if it runs in a copy of the context.
    """
    token = _ids.set({**current_ids(), **ids})
    try:
        yield
    finally:
        _ids.reset(token)


def current_ids() -> Mapping[str, str]:
    """Return the ids of what is going on here."""
    return _ids.get({})


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let somebody listen for a while."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def listen_only(listener: Listener | None) -> None:
    """Let this one listen from now on and nobody else; None is nobody."""
    _listeners[:] = [listener] if listener is not None else []
