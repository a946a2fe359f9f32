"""The gate's use case: gather, decide, and where a canary's limit is touched, grant.

Where the database cannot be read this raises CannotKnow; who asks for a bot turns that into a refusal.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

from trueup.core.decimals import read_quantity
from trueup.core.errors import ConfigurationError
from trueup.core.gate import Beat, GateAnswer, Intent, Question, decide, read_intent
from trueup.core.symbols import Symbols
from trueup.core.times import iso
from trueup.service.app import Account, App
from trueup.service.events import log

BOT = "bot:"
"""How the heartbeats' scope of a bot begins."""

_LONGEST = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Spelling(Mapping[str, Symbols]):
    """How each account spells its markets."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._accounts = accounts

    def __getitem__(self, name: str) -> Symbols:
        return self._accounts[name].symbols

    def __iter__(self) -> Iterator[str]:
        return iter(self._accounts)

    def __len__(self) -> int:
        return len(self._accounts)


def ask(
    app: App,
    profile_id: str,
    symbol: str,
    intent: Intent | str = Intent.OPEN,
    notional: Decimal | str | int | None = None,
    order_ref: str | None = None,
) -> GateAnswer:
    """Answer whether a profile may send an order: notional in quote currency, `order_ref` the bot's own name of it.

    What a canary grants is recorded. UnknownName where there is no such profile, CannotKnow where the database cannot
    be read.
    """
    question = _question(profile_id, symbol, intent, notional, order_ref)
    symbols, rules = Spelling(app.accounts), app.safety.deadman
    asked, facts = app.gate.read(question, symbols)
    answer = decide(asked, facts, rules)
    if answer.allowed and answer.canary_id is not None and asked.intent is Intent.OPEN:
        named = replace(question, order_ref=question.order_ref or app.clock.new_id("ORDER"))
        answer = app.gate.grant(named, symbols, lambda again, anew: decide(again, anew, rules))
    _tell(app, asked, answer)
    return answer


def beat_bot(app: App, profile_id: str, *, healthy: bool = True) -> Beat | None:
    """Record that a bot is alive, and return how its heartbeats stand; None where none was ever healthy.

    UnknownName where there is no such profile.
    """
    app.gate.require(_text(profile_id, "profile"))
    return app.heartbeats.beat(BOT + profile_id, app.clock.now_ms(), healthy=healthy, rules=app.safety.deadman)


def beat_json(app: App, profile_id: str, beat: Beat | None) -> dict[str, object]:
    """Return for printing how a bot's heartbeats stand."""
    return {
        "instance_id": profile_id,
        "healthy_at": iso(beat.healthy_ms) if beat is not None else None,
        "recovering": beat is not None and beat.recovering,
        "streak": beat.streak if beat is not None else 0,
        "timeout_ms": app.safety.deadman.timeout_ms,
    }


def _question(
    profile_id: str,
    symbol: str,
    intent: Intent | str,
    notional: Decimal | str | int | None,
    order_ref: str | None,
) -> Question:
    """Check what was asked; ConfigurationError names what is wrong with it."""
    if not any(character.isalnum() for character in _text(symbol, "symbol")):
        raise ConfigurationError(f"{symbol!r} is not a symbol.", "Give one as the bot writes it, BTC/USD or BTCUSD.")
    try:
        amount = read_quantity(notional) if notional is not None else None
    except ValueError as error:
        raise ConfigurationError(f"The notional is wrong: {error}.", "Give the order's worth, 0 or more.") from None
    return Question(
        profile_id=_text(profile_id, "profile"),
        symbol=symbol,
        token="",
        intent=intent if isinstance(intent, Intent) else read_intent(intent),
        notional=amount,
        order_ref=_text(order_ref, "order_ref") if order_ref is not None else None,
    )


def _text(said: object, what: str) -> str:
    """Check a name: no control characters, which no database takes for certain, and not endless."""
    if not isinstance(said, str) or not 0 < len(said) <= _LONGEST or _CONTROL.search(said):
        raise ConfigurationError(f"{said!r:.80} is no {what}.", f"Use 1 to {_LONGEST} characters, none of control.")
    return said


def _tell(app: App, asked: Question, answer: GateAnswer) -> None:
    key = (asked.profile_id, asked.token, asked.intent)
    if app.flips.flipped(key, now=answer.allowed, at_first=True):
        log(
            "gate_flipped", profile_id=asked.profile_id, symbol=asked.symbol, intent=asked.intent.value,
            allowed=answer.allowed, mode=answer.mode.name, because_of=answer.because_of, reason=answer.reason,
        )  # fmt: skip
