"""What the gate's answer rests on, read at one moment by primary keys and indexes; and the grants of canaries.

Symbols are spelt in many ways, which no index knows. So the spellings that scopes have are kept here, and every reading
asks by primary key for the changes of modes since: a spelling that is new comes with the very reading that needs it.
"""

import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import Connection, and_, insert, select, update

from trueup.core.decimals import exactly, read_decimal
from trueup.core.errors import UnknownName
from trueup.core.gate import Beat, CanaryLimit, GateAnswer, GateFacts, Question, StandingMode, scopes_of_symbol
from trueup.core.modes import Mode, path_of
from trueup.core.symbols import Symbols
from trueup.ledger import schema
from trueup.ledger.engine import Ask, asking
from trueup.ledger.tables import Store
from trueup.ports import Clock

_SPELLINGS_S = 60.0
"""For so many seconds spellings are kept before all are read again: a database may be put back to an earlier day."""

_SPELT = "SELECT DISTINCT scope FROM safety_modes WHERE substr(scope, 1, 7) = 'symbol:'"
_NEWEST = "SELECT coalesce(max(seq), 0) FROM safety_modes"
_FACTS = (
    "SELECT 'who' AS what, account AS name, CASE WHEN enabled THEN 'yes' END AS a, '' AS b"
    " FROM profiles WHERE profile_id = :profile"
    " UNION ALL SELECT 'newest', '', CAST(coalesce(max(seq), 0) AS TEXT), '' FROM safety_modes"
    " UNION ALL SELECT * FROM (SELECT 'new', scope, CAST(seq AS TEXT), '' FROM safety_modes WHERE seq > :known"
    " LIMIT {news}) AS news"
    " UNION ALL SELECT 'mode', scope, mode, CAST(seq AS TEXT) FROM safety_modes WHERE seq IN ({newest})"
    " UNION ALL SELECT CASE WHEN recovering THEN 'back' ELSE 'beat' END, scope,"
    " CAST(coalesce(healthy_at, CASE WHEN healthy THEN beat_at END) AS TEXT), CAST(streak AS TEXT)"
    " FROM heartbeats WHERE scope IN (:account, :bot)"
    " UNION ALL SELECT 'canary', canary_id, '', '' FROM canaries"
    " WHERE profile_id = :profile AND ended_at IS NULL AND until_at > :now"
)
_NEWS = 100
"""So many changes are read with an answer; where there are more, every spelling is read again.

The limit is also what lets Postgres keep one plan for all: without it, it expects a third of the history.
"""
_NEWEST_OF = "(SELECT max(seq) FROM safety_modes WHERE scope = :scope)"
_BEATS = frozenset({"beat", "back"})
_COMMON = Symbols()


@cache
def facts_statement(scopes: int, dialect: str) -> str:
    """Return the statement for a path of so many scopes, in the driver's own words."""
    newest = (_NEWEST_OF.replace(":scope", f":scope_{number}") for number in range(scopes))
    statement = _FACTS.replace("{newest}", ", ".join(newest)).replace("{news}", str(_NEWS))
    return statement if dialect == "sqlite" else re.sub(r":(\w+)", r"%(\1)s", statement)


@dataclass(slots=True)
class _Spellings:
    """The scopes of symbols by profile, as they are written, up to a change of the modes; any thread may ask."""

    known: int = -1
    read_s: float = 0.0
    scopes: set[str] = field(default_factory=set)
    by_profile: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def is_old(self) -> bool:
        """Say whether every spelling is to be read again."""
        return self.known < 0 or time.monotonic() - self.read_s > _SPELLINGS_S

    def start(self, ask: Ask) -> None:
        """Read every spelling that there is."""
        [(newest,)] = ask(_NEWEST, {})
        found = [str(scope) for (scope,) in ask(_SPELT, {})]
        with self.lock:
            self.scopes.clear()
            self.by_profile.clear()
            self._add(found)
            self.known, self.read_s = int(newest), time.monotonic()

    def add(self, found: Iterable[str], newest: int) -> bool:
        """Take in what changed up to a change of the modes; say whether a spelling of it was new."""
        with self.lock:
            before = len(self.scopes)
            self._add(scope for scope in found if scope.startswith("symbol:"))
            self.known = max(self.known, newest)
            return len(self.scopes) != before

    def of(self, profile_id: str) -> tuple[str, ...]:
        """Return the scopes of symbols that may be a profile's."""
        with self.lock:
            return tuple(self.by_profile.get(profile_id, ()))

    def _add(self, found: Iterable[str]) -> None:
        for scope in found:
            if scope not in self.scopes:
                self.scopes.add(scope)
                rest = scope.removeprefix("symbol:")
                for end in (place for place, letter in enumerate(rest) if letter == ":"):
                    self.by_profile[rest[:end]].append(scope)


class SqlGate:
    """The GateBook port."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._state = store.state
        self._clock = clock
        self._spellings = _Spellings()
        self._accounts: dict[str, str | None] = {}

    def read(self, question: Question, symbols: Mapping[str, Symbols]) -> tuple[Question, GateFacts]:
        """Read what the answer rests on; UnknownName where there is no such profile."""
        asked, facts, canaries = self._state.glance(lambda ask: self._read(ask, question, symbols))
        if not canaries:
            return asked, facts
        with self._state.reading() as connection:
            return self._with_canary(connection, question, symbols)

    def grant(
        self, question: Question, symbols: Mapping[str, Symbols], decide: Callable[[Question, GateFacts], GateAnswer]
    ) -> GateAnswer:
        """Decide once more with the canary's row locked, and record what is granted before anybody else may decide."""
        assert question.order_ref is not None
        table = schema.canaries
        active = and_(table.c.profile_id == question.profile_id, table.c.ended_at.is_(None))
        with self._state.writing() as connection:
            connection.execute(select(table.c.canary_id).where(active).order_by(table.c.canary_id).with_for_update())
            asked, facts = self._with_canary(connection, question, symbols)
            answer = decide(asked, facts)
            if not answer.allowed or answer.canary_id is None or facts.canary is None:
                return answer
            house = symbols_of(symbols, facts.path[1].removeprefix("account:"))
            other = _record(connection, asked, facts.canary, house, facts.now_ms)
        if other is None:
            return answer
        return replace(answer, allowed=False, reason=f"{asked.order_ref} is the order_ref of an order of {other}")

    def require(self, profile_id: str) -> None:
        """Raise UnknownName where there is no such profile."""
        table = schema.profiles
        with self._state.reading() as connection:
            known = select(table.c.profile_id).where(table.c.profile_id == profile_id)
            if connection.execute(known).first() is None:
                raise _unknown(profile_id)

    def _with_canary(
        self, connection: Connection, question: Question, symbols: Mapping[str, Symbols]
    ) -> tuple[Question, GateFacts]:
        """Read all, the canary's limit and grants included, in several statements of one transaction."""
        asked, facts, canaries = self._read(asking(connection), question, symbols)
        house = symbols_of(symbols, facts.path[1].removeprefix("account:"))
        return asked, replace(facts, canary=_canary(connection, canaries, asked, house) if canaries else None)

    def _read(
        self, ask: Ask, question: Question, symbols: Mapping[str, Symbols]
    ) -> tuple[Question, GateFacts, Sequence[str]]:
        """Read all but canaries, which are named, in one statement: by what is known of the profile's account and of
        spellings; once more, where that is no longer true.
        """
        now_ms = self._clock.now_ms()
        if self._spellings.is_old():
            self._spellings.start(ask)
        only = next(iter(symbols)) if len(symbols) == 1 else None
        account = self._accounts.get(question.profile_id, only)
        while True:
            asked, path, rows = self._rows(ask, question, account, symbols, now_ms)
            who = next((row for row in rows if row[0] == "who"), None)
            if who is None:
                raise _unknown(question.profile_id)
            home = str(who[1]) if who[1] is not None else only
            if not self._learned(ask, rows) and home == account:
                break
            account = self._accounts[question.profile_id] = home
        modes = {row[1]: StandingMode(Mode[row[2]], int(row[3])) for row in rows if row[0] == "mode"}
        beats = [
            Beat(row[1], int(row[2]), row[0] == "back", int(row[3])) for row in rows if row[0] in _BEATS and row[2]
        ]
        beats.sort(key=lambda beat: beat.scope != path[1])
        canaries = [row[1] for row in rows if row[0] == "canary"]
        known = account if account is not None and account in symbols else None
        barred = _barred(asked, known, enabled=bool(who[2]))
        return asked, GateFacts(path, modes, tuple(beats), None, now_ms, barred), canaries

    def _rows(
        self,
        ask: Ask,
        question: Question,
        account: str | None,
        symbols: Mapping[str, Symbols],
        now_ms: int,
    ) -> tuple[Question, tuple[str, ...], list[tuple[Any, ...]]]:
        """Read what is to know of a profile, if it lives on that account and the spellings are all that there are."""
        profile_id, house = question.profile_id, symbols_of(symbols, account)
        spelt = scopes_of_symbol(self._spellings.of(profile_id), profile_id, question.symbol, house)
        path = (*path_of(account or "", profile_id), *spelt)
        values: dict[str, Any] = {f"scope_{number}": scope for number, scope in enumerate(path)}
        values |= {
            "account": path[1], "bot": f"bot:{profile_id}", "profile": profile_id, "now": now_ms,
            "known": self._spellings.known,
        }  # fmt: skip
        rows = ask(facts_statement(len(path), "sqlite" if self._state.is_sqlite else "postgresql"), values)
        return replace(question, token=house.token(question.symbol)), path, rows

    def _learned(self, ask: Ask, rows: Sequence[tuple[Any, ...]]) -> bool:
        """Take in the spellings that are new, and say whether there were any."""
        newest = next(int(row[2]) for row in rows if row[0] == "newest")
        news = [row[1] for row in rows if row[0] == "new"]
        if newest < self._spellings.known or len(news) == _NEWS:
            self._spellings.start(ask)
            return True
        return self._spellings.add(news, newest)


def _unknown(profile_id: str) -> UnknownName:
    return UnknownName(f"There is no profile {profile_id!r}.", "`trueup mode show` lists the profiles.")


def _barred(question: Question, account: str | None, *, enabled: bool) -> str | None:
    if not enabled:
        return f"profile {question.profile_id} is disabled"
    if account is None:
        return f"profile {question.profile_id} names no account that is known: nothing watches it"
    return None


def symbols_of(symbols: Mapping[str, Symbols], account: str | None) -> Symbols:
    """Return how an account spells its symbols; one that is not configured here spells them as most do."""
    return symbols.get(account or "") or _COMMON


@exactly
def _canary(connection: Connection, names: Sequence[str], question: Question, house: Symbols) -> CanaryLimit | None:
    """Return the newest active canary, with what is used by others than the order that is asked for.

    A grant counts until a reading has its order, whatever became of it: so those of earlier canaries of the profile
    count too. One that cannot be read lifts nothing.
    """
    table, grants = schema.canaries, schema.canary_grants
    newest = select(table).where(table.c.canary_id.in_(names)).order_by(table.c.started_at.desc(), table.c.canary_id)
    row = connection.execute(newest.limit(1)).one()
    theirs = select(table.c.canary_id).where(table.c.profile_id == row.profile_id)
    since = and_(grants.c.canary_id.in_(theirs), grants.c.granted_at >= row.measured_at)
    used: dict[tuple[str, str], Decimal] = {}
    try:
        named = json.loads(row.symbols) if row.symbols is not None else None
        tokens = frozenset(house.token(str(name)) for name in named) if named is not None else None
        for grant in connection.execute(select(grants.c.order_ref, grants.c.symbol, grants.c.notional).where(since)):
            order = grant.order_ref, house.token(grant.symbol)
            if order != (question.order_ref, question.token) and (tokens is None or order[1] in tokens):
                used[order] = max(used.get(order, Decimal(0)), read_decimal(grant.notional))
        return CanaryLimit(
            canary_id=row.canary_id,
            incident_id=row.incident_id,
            profile_id=question.profile_id,
            tokens=tokens,
            limit=read_decimal(row.exposure_limit),
            used=sum(used.values(), read_decimal(row.measured)),
            until_ms=row.until_at,
            lifts={str(scope): int(seq) for scope, seq in json.loads(row.lifts).items()},
        )
    except (ValueError, TypeError, AttributeError):
        return None


@exactly
def _record(connection: Connection, question: Question, canary: CanaryLimit, house: Symbols, now_ms: int) -> str | None:
    """Record a grant; return the symbol of another order that has the same name, where there is one.

    The same order once more is the same grant, of which the larger notional counts; after a new measurement it is
    weighed anew.
    """
    table = schema.canary_grants
    mine = and_(table.c.canary_id == canary.canary_id, table.c.order_ref == question.order_ref)
    found = connection.execute(select(table.c.symbol, table.c.notional, table.c.granted_at).where(mine)).first()
    notional = question.notional
    assert notional is not None
    if found is None:
        values = {"canary_id": canary.canary_id, "order_ref": question.order_ref, "symbol": question.symbol}
        connection.execute(insert(table).values(**values, notional=notional, granted_at=now_ms))
        return None
    if house.token(found.symbol) != question.token:
        return str(found.symbol)
    measured_at = select(schema.canaries.c.measured_at).where(schema.canaries.c.canary_id == canary.canary_id)
    if found.granted_at >= connection.execute(measured_at).scalar_one():
        notional = max(notional, read_decimal(found.notional))
    connection.execute(update(table).where(mine).values(notional=notional, granted_at=max(now_ms, found.granted_at)))
    return None
