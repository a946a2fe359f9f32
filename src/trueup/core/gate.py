"""The gate: may this profile send this order? A decision over the modes in force, the heartbeats and the canary.

Invariant 10 (Tighten freely, loosen only through gates): a canary lifts the modes that its own incident put in force,
and no other; whatever is missing, late or unclear refuses. An answer is a lease: it holds until `until_ms`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from trueup.core.decimals import exactly, plain
from trueup.core.errors import ConfigurationError, nearest
from trueup.core.modes import GLOBAL, Mode
from trueup.core.symbols import Symbols

DEADMAN = "deadman"
"""The source of what the dead-man decides."""


class Intent(StrEnum):
    """What an order does to the position: it opens or adds, or it only reduces."""

    OPEN = "open"
    REDUCE = "reduce"


def read_intent(text: str) -> Intent:
    """Read an intent; ConfigurationError names the two."""
    try:
        return Intent(text.strip().lower())
    except ValueError:
        raise ConfigurationError(f"There is no intent {text!r}.", nearest(text.lower(), Intent)) from None


@dataclass(frozen=True, slots=True)
class DeadmanRules:
    """When the gate stops believing that it is watched: times in milliseconds.

    The reconciliation of the account is dead `timeout_ms` after its last healthy heartbeat, and a bot after its last;
    from then on `action` holds, until `recovery_beats` healthy beats came in a row.
    """

    timeout_ms: int = 90_000
    action: Mode = Mode.SAFE_MODE
    recovery_beats: int = 3
    lease_ms: int = 5_000


@dataclass(frozen=True, slots=True)
class Beat:
    """The heartbeats of one scope: the last healthy one, and whether too few have followed on a silence."""

    scope: str
    healthy_ms: int
    recovering: bool = False
    streak: int = 0


@dataclass(frozen=True, slots=True)
class StandingMode:
    """The mode in force at a scope, and the number of the change that put it in force."""

    mode: Mode
    seq: int


@dataclass(frozen=True, slots=True)
class CanaryLimit:
    """What a canary lets its profile do: opening orders of its symbols up to `limit`, until a time.

    Notional in quote currency: `used` is what is at risk already, what the gate granted since the last look included.
    `lifts` are the scopes whose mode the canary lifts, each with the number of the change that it knows: a scope that
    somebody changed since is not lifted.
    """

    canary_id: str
    incident_id: str
    profile_id: str
    tokens: frozenset[str] | None
    limit: Decimal
    used: Decimal
    until_ms: int
    lifts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """One order that a bot would like to send: notional in quote currency, None where it cannot say.

    `token` is the symbol's token; `order_ref` the bot's own name of the order, which makes asking again harmless.
    """

    profile_id: str
    symbol: str
    token: str
    intent: Intent
    notional: Decimal | None = None
    order_ref: str | None = None


@dataclass(frozen=True, slots=True)
class GateFacts:
    """What the answer rests on, read at once: the path from global to the symbol, the modes on it, the heartbeats.

    `beats` are those of the account's reconciliation and of the bot, where they were ever heard. `barred` says why the
    profile may send nothing at all, whatever the modes are.
    """

    path: tuple[str, ...]
    modes: Mapping[str, StandingMode]
    beats: tuple[Beat, ...]
    canary: CanaryLimit | None
    now_ms: int
    barred: str | None = None


@dataclass(frozen=True, slots=True)
class Posture:
    """The mode that holds for a path, dead-man included, the scope or heartbeat that demands it, and why."""

    mode: Mode
    because_of: str
    reason: str
    dead: bool = False


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """The answer: `because_of` is the scope, the heartbeat or the canary that decided; it holds until `until_ms`.

    `canary_id` names the canary by which the order was weighed: such an answer is about this one order. `lease_ms` is
    for how long it holds from the moment of the question, for those whose clock differs.
    """

    allowed: bool
    mode: Mode
    because_of: str
    reason: str
    until_ms: int
    canary_id: str | None = None
    lease_ms: int = 0

    def __bool__(self) -> bool:
        """Say whether the order may be sent."""
        return self.allowed

    def as_json(self) -> dict[str, object]:
        """Return the answer for printing."""
        return {
            "allowed": self.allowed, "mode": self.mode.name, "because_of": self.because_of, "reason": self.reason,
            "until_ms": self.until_ms, "lease_ms": self.lease_ms, "canary_id": self.canary_id,
        }  # fmt: skip


@exactly
def decide(question: Question, facts: GateFacts, rules: DeadmanRules) -> GateAnswer:
    """Answer whether an order may be sent; no lease outlives the moment at which a heartbeat would be overdue."""
    until_ms = min([facts.now_ms + rules.lease_ms, *(beat.healthy_ms + rules.timeout_ms + 1 for beat in facts.beats)])
    answer = _decided(question, facts, rules, max(until_ms, facts.now_ms))
    return replace(answer, lease_ms=answer.until_ms - facts.now_ms)


def posture(
    modes: Mapping[str, StandingMode], path: Iterable[str], beats: Iterable[Beat], now_ms: int, rules: DeadmanRules
) -> Posture:
    """Return the mode that holds for a path: the strictest on it, or the dead-man's where a heartbeat is overdue."""
    mode, origin = _strictest(modes, path)
    dead = silence(beats, now_ms, rules)
    if dead is not None and rules.action >= mode:
        return Posture(rules.action, *dead, dead=True)
    return Posture(mode, origin, _words(mode, origin), dead=dead is not None)


def scopes_of_symbol(scopes: Iterable[str], profile_id: str, symbol: str, symbols: Symbols) -> tuple[str, ...]:
    """Return which scopes are of a profile's symbol, however they spell it; what may be meant counts as meant."""
    start = f"symbol:{profile_id}:"
    spelt = {scope.removeprefix(start): scope for scope in scopes if scope.startswith(start)}
    token = symbols.token(symbol)
    meant = {name for name in spelt if symbols.token(name) == token} | set(symbols.namesakes(symbol, spelt))
    return tuple(sorted(spelt[name] for name in meant))


def _decided(question: Question, facts: GateFacts, rules: DeadmanRules, until_ms: int) -> GateAnswer:
    held = posture(facts.modes, facts.path, facts.beats, facts.now_ms, rules)
    if facts.barred is not None:
        return GateAnswer(False, held.mode, f"profile:{question.profile_id}", facts.barred, until_ms)
    if _allows(held.mode, question.intent):
        return GateAnswer(True, held.mode, held.because_of, held.reason, until_ms)
    canary = facts.canary
    if not held.dead and canary is not None and _lifted(facts, canary) is not None:
        return _by_canary(question, facts, canary, min(until_ms, canary.until_ms))
    return GateAnswer(False, held.mode, held.because_of, held.reason, until_ms)


def _allows(mode: Mode, intent: Intent) -> bool:
    return mode is Mode.NORMAL or (mode is Mode.CLOSE_ONLY and intent is Intent.REDUCE)


def _words(mode: Mode, origin: str) -> str:
    if mode is Mode.NORMAL:
        return "no mode on the way to the symbol forbids it"
    return f"{origin} is in {mode.name}" + (": reducing orders only" if mode is Mode.CLOSE_ONLY else "")


def _strictest(modes: Mapping[str, StandingMode], path: Iterable[str]) -> tuple[Mode, str]:
    strictest, origin = Mode.NORMAL, GLOBAL
    for scope in path:
        standing = modes.get(scope)
        if standing is not None and standing.mode > strictest:
            strictest, origin = standing.mode, scope
    return strictest, origin


def silence(beats: Iterable[Beat], now_ms: int, rules: DeadmanRules) -> tuple[str, str] | None:
    """Return what is dead and why; None where everything that was ever heard is heard still."""
    for beat in beats:
        silent_ms = now_ms - beat.healthy_ms
        if silent_ms > rules.timeout_ms:
            return beat.scope, f"no healthy heartbeat of {beat.scope} for {silent_ms // 1000} s"
        if silent_ms < -rules.timeout_ms:
            return beat.scope, f"the last heartbeat of {beat.scope} lies in the future: a clock is wrong"
        if beat.recovering:
            return beat.scope, f"{beat.scope} came back: {beat.streak} of {rules.recovery_beats} healthy heartbeats"
    return None


def _lifted(facts: GateFacts, canary: CanaryLimit) -> Mode | None:
    """Return the mode that is left where a canary lifts what its incident put in force; None where it lifts nothing."""
    if canary.until_ms <= facts.now_ms:
        return None
    kept = {
        scope: standing
        for scope, standing in facts.modes.items()
        if scope not in canary.lifts or canary.lifts[scope] != standing.seq
    }
    mode, _ = _strictest(kept, facts.path)
    return mode if mode < _strictest(facts.modes, facts.path)[0] else None


def _by_canary(question: Question, facts: GateFacts, canary: CanaryLimit, until_ms: int) -> GateAnswer:
    """Answer by a canary: of its profile and symbols alone, reducing freely, opening up to its limit."""
    left = _lifted(facts, canary)
    assert left is not None
    why_not = _beyond(question, canary, left)
    if why_not is not None:
        mode, origin = _strictest(facts.modes, facts.path)
        return GateAnswer(
            False, mode, canary.canary_id, f"{_words(mode, origin)}; {why_not}", until_ms, canary.canary_id
        )
    told = "canary: an order that only reduces"
    if question.intent is Intent.OPEN and question.notional is not None:
        told = f"canary: {plain(question.notional)} of its limit of {plain(canary.limit)}, {plain(canary.used)} is used"
    return GateAnswer(True, left, canary.canary_id, told, until_ms, canary.canary_id)


def _beyond(question: Question, canary: CanaryLimit, left: Mode) -> str | None:
    """Return why an order is beyond what a canary allows; None where it is within."""
    if question.profile_id != canary.profile_id:
        return f"the canary is of {canary.profile_id}"
    if canary.tokens is not None and question.token not in canary.tokens:
        return f"the canary does not hold {question.symbol}"
    if not _allows(left, question.intent):
        return f"the canary leaves {left.name}"
    if question.intent is Intent.REDUCE:
        return None
    if question.notional is None or question.notional <= 0:
        return "the canary has a limit, and the order says no notional"
    room = max(canary.limit - canary.used, Decimal(0))
    return (
        f"{plain(question.notional)} is over the {plain(room)} left of its limit" if question.notional > room else None
    )
