"""Giving trade ids, and taking them back: one short transaction over some rows and their audit.

Invariants 7 (Audit before act: the change and its audit are one transaction), 8 (Reversible) and 12 (Fenced). A row is
changed only if its trade id is still what was read, and if what it was decided by is still so.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, not_, or_, select, true, update
from sqlalchemy.exc import DataError, IntegrityError

from trueup.core.audit import AuditDecision, AuditDraft, AuditRow
from trueup.core.errors import Refused
from trueup.core.integrity.naming import KnownTrade, mark_of
from trueup.core.integrity.rows import HISTORY, ORDERS
from trueup.core.integrity.rules import BLANK_TO_NULL, RULES, is_blank, rule_named
from trueup.core.orders import LedgerOrder
from trueup.core.repair.slices import fingerprint
from trueup.core.symbols import Symbols
from trueup.core.tags import PREFIX_CHARS
from trueup.ledger import chain, schema, statuses
from trueup.ledger.attach import NOTHING_LIKE_IT, OrdersTable, sample_row
from trueup.ledger.blanks import in_lower_case
from trueup.ledger.derived import tell_renamed
from trueup.ledger.guards import trade_marks, trade_rows
from trueup.ledger.integrity.attempts import attempt, record_taken_back
from trueup.ledger.integrity.things import rule_sql
from trueup.ledger.reading import chunks, read_row, read_rows
from trueup.ledger.statuses import among
from trueup.ledger.tables import Store, fits
from trueup.ports import Clock, Profile
from trueup.ports.lifecycle import IdBatch, IdChange, IdGuard, IdResult, IdRevert, RowRefused

_ALWAYS = 10**18
"""The end of a row without a symbol: it may be of any."""


class TradeIds:
    """What the LifecycleBook port reads and writes about trade ids."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def rows_by_id(self, order_ids: Sequence[str]) -> list[LedgerOrder]:
        """Return orders by their ids."""
        with self._store.books.reading() as connection:
            table = self._store.orders(connection)
            return [
                row
                for part in chunks(order_ids)
                for row in read_rows(connection, table, table.rows.where(table["order_id"].in_(part)))
            ]

    def trades_like(self, profile_id: str, beginnings: Sequence[str]) -> list[KnownTrade]:
        """Return the trades whose ids begin as the texts do, and those of anybody whose whole id is one of them."""
        found: set[KnownTrade] = set()
        with self._store.books.reading() as connection:
            table = self._store.orders(connection)
            lower = in_lower_case(table["trade_id"], connection.dialect.name)
            query = select(table["trade_id"], table["profile_id"], table["symbol"]).distinct()
            for part in chunks(sorted(set(beginnings))):
                found |= {_known(*row) for row in connection.execute(query.where(lower.in_(part)))}
                starts = {name[:PREFIX_CHARS] for name in part if len(name) >= PREFIX_CHARS}
                mine = query.where(
                    table["profile_id"] == profile_id, func.substr(lower, 1, PREFIX_CHARS).in_(sorted(starts))
                )
                for row in connection.execute(mine.execution_options(yield_per=2000)):
                    if str(row[0]).lower().startswith(tuple(part)):
                        found.add(_known(*row))
        return sorted(found, key=lambda trade: (trade.trade_id, trade.profile_id, trade.symbol or ""))

    def blanks(self, profiles: Sequence[str] | None, most: int, after: Mapping[str, str]) -> list[IdChange]:
        """Return rows of profiles (None: of anybody) whose trade id is blank, behind some, as the changes to none."""
        found: list[IdChange] = []
        with self._store.books.reading() as connection:
            for name, (source, columns, blank) in _blank_places(connection, self._store).items():
                key, profile, symbol, trade = columns
                query = select(key, profile, symbol, trade).select_from(source).where(_of(profile, profiles), blank)
                # By the order of the key's index alone, so that all pages together read the table once.
                behind = key.is_not(None) if name not in after else key > after[name]
                page = list(connection.execute(query.where(behind).order_by(key).limit(most)))
                # Rows of one id are not torn apart: those at the end of a full page are left to the next one.
                whole = [row for row in page if row[0] != page[-1][0]] if len(page) == most else page
                if name not in after:
                    whole = [*connection.execute(query.where(key.is_(None)).limit(most)), *(whole or page)]
                found += [
                    IdChange(name, _text(row_id) or "", str(owner or ""), str(said or ""), before, None, BLANK_TO_NULL)
                    for row_id, owner, said, before in whole or page
                ]
        return found

    def count_blanks(self, profiles: Sequence[str] | None) -> Mapping[str, int]:
        """Return how many rows of profiles (None: of anybody) have a blank trade id, by table."""
        with self._store.books.reading() as connection:
            counted = {
                name: select(func.count()).select_from(source).where(_of(columns[1], profiles), blank)
                for name, (source, columns, blank) in _blank_places(connection, self._store).items()
            }
            return {name: int(connection.scalar(query) or 0) for name, query in counted.items()}

    def set_ids(self, batch: IdBatch, *, rehearse: bool = False) -> IdResult:
        """Change trade ids in one transaction with their audit; a rehearsal is rolled back."""
        return attempt(
            self._store, batch.lease, lambda connection: _change(connection, self._store.orders(connection), batch),
            lambda result: not (rehearse or result.stale),
        )  # fmt: skip

    def revert_ids(self, request: IdRevert, *, rehearse: bool = False) -> IdResult:
        """Put trade ids back in one transaction with the audit; rows that changed since are stale."""
        return attempt(
            self._store, request.lease, lambda connection: _revert(connection, self._store.orders(connection), request),
            lambda result: not (rehearse or result.stale or result.moved),
        )  # fmt: skip


def _of(column: ColumnElement[Any], profiles: Sequence[str] | None) -> ColumnElement[bool]:
    return true() if profiles is None else column.in_(profiles)


def _known(trade: object, profile: object, symbol: object) -> KnownTrade:
    return KnownTrade(str(trade), str(profile), _text(symbol))


def _blank_places(
    connection: Connection, store: Store
) -> dict[str, tuple[Any, tuple[ColumnElement[Any], ...], ColumnElement[bool]]]:
    """Return the tables that have trade ids: each with its key, profile, symbol and id, and when an id is blank."""
    orders = store.orders(connection)
    columns = tuple(orders[name] for name in ("order_id", "profile_id", "symbol", "trade_id"))
    found = {ORDERS: (orders.table, columns, _blank(connection, ORDERS, orders.name_of("trade_id")))}
    told = schema.trade_history
    if fits(connection, told):
        mine = (told.c.id, told.c.profile_id, told.c.symbol, told.c.trade_id)
        found[HISTORY] = (told, mine, _blank(connection, HISTORY, "trade_id"))
    return found


def _blank(connection: Connection, table: str, column: str) -> ColumnElement[bool]:
    quoted = connection.dialect.identifier_preparer.quote(column)
    rule = next(rule for rule in RULES if rule.name == f"chk_{table}_trade_id_not_blank")
    return not_(literal_column(rule_sql(connection, rule, quoted)))


def _change(connection: Connection, table: OrdersTable, batch: IdBatch) -> IdResult:
    ready, stale = _as_they_are(connection, table, batch.changes)
    if stale:
        return IdResult(stale=tuple(stale))
    beside = _beside(connection, table, ready)
    if any(_moved(connection, table, batch, guard, beside) for guard in batch.guards):
        return IdResult(stale=tuple(change.row_id for change in ready))
    stale = [change.row_id for change in ready if not _write(connection, table, change, batch.now)]
    if stale:
        return IdResult(stale=tuple(stale))
    _tell(connection, table, batch.symbols, [(change.profile_id, change.after) for change in ready])
    drafts = [_draft(change, batch, beside) for change in ready]
    return IdResult(len(ready), audit=tuple(chain.append(connection, drafts, batch.now)))


_Trades = Mapping[tuple[str, str], str]
"""The fingerprints of trades' rows, by profile and trade id."""


def _beside(connection: Connection, table: OrdersTable, changes: Sequence[IdChange]) -> _Trades:
    """Return the fingerprints of the rows that the trades have already which rows are given to, locked."""
    named: dict[str, set[str]] = {}
    for change in changes:
        if change.table == ORDERS and change.after is not None:
            named.setdefault(change.profile_id, set()).add(change.after)
    return {
        (profile, trade): mark
        for profile, trades in named.items()
        for trade, mark in trade_marks(connection, table, profile, sorted(trades)).items()
    }


def _moved(connection: Connection, table: OrdersTable, batch: IdBatch, guard: IdGuard, beside: _Trades) -> bool:
    """Say whether what changes were decided by is not so any more: a trade's rows, or those without an id."""
    if any(beside.get((guard.profile_id, trade)) != mark for trade, mark in guard.trades.items()):
        return True
    return bool(guard.ends) and _has_newcomers(connection, table, batch, guard)


def _has_newcomers(connection: Connection, table: OrdersTable, batch: IdBatch, guard: IdGuard) -> bool:
    """Say whether there is a row without an id that was not known, and could have had a hand in what was paired."""
    spelling = next(
        (symbols for profile, symbols in batch.symbols if profile.profile_id == guard.profile_id), Symbols()
    )
    nameless = or_(table["trade_id"].is_(None), _blank(connection, ORDERS, table.name_of("trade_id")))
    mine = and_(table["profile_id"] == guard.profile_id, nameless, not_(among(table["status"], statuses.DEAD)))
    found = connection.scalars(select(table["order_id"]).where(mine)).all()
    new = [name for name in found if str(name).strip() not in guard.nameless]
    for part in chunks(new):
        for row in read_rows(connection, table, table.rows.where(mine, table["order_id"].in_(part))):
            end = guard.ends.get(spelling.token(row.symbol) if row.symbol else "", None if row.symbol else _ALWAYS)
            if end is not None and (row.order_ms is None or row.order_ms <= end):
                return True
    return False


def _tell(
    connection: Connection,
    table: OrdersTable,
    symbols: Sequence[tuple[Profile, Symbols]],
    trades: Sequence[tuple[str, str | None]],
) -> None:
    """Make the history follow for the trades that rows were given to, or taken from."""
    for profile, spelling in symbols:
        mine = {trade for owner, trade in trades if owner == profile.profile_id and trade and not is_blank(trade)}
        if mine:
            tell_renamed(connection, table, profile, sorted(mine), spelling)


def _as_they_are(
    connection: Connection, table: OrdersTable, changes: Sequence[IdChange]
) -> tuple[list[IdChange], list[str]]:
    """Return the changes, each from the very id that is stored, and the ids of the rows that have changed."""
    found: dict[str, IdChange] = {}
    marked = {change.row_id: change for change in changes if change.mark is not None}
    for part in chunks(sorted(marked)):
        query = table.rows.where(table["order_id"].in_(part))
        for raw in connection.execute(query.with_for_update()).mappings():
            row = read_row(table, dict(raw))
            change = marked.get(row.order_id)
            if change is not None and row.trade_id is None and mark_of(row) == change.mark:
                found[change.row_id] = replace(change, before=_text(raw["trade_id"]))
    ready = [change for change in changes if change.mark is None]
    return [*ready, *found.values()], [name for name in marked if name not in found]


def _write(connection: Connection, table: OrdersTable, change: IdChange, now: str) -> bool:
    """Change one row, and say whether it was as it had been read."""
    if change.source is not None and "source" not in table:
        raise RowRefused(change.row_id, change.table, "the table has no column for whose a row is (source)")
    try:
        # A savepoint keeps the transaction usable, so that the refusal can be told with the rule's name.
        with connection.begin_nested():
            if change.table == HISTORY:
                told = schema.trade_history
                query = update(told).where(told.c.id == change.row_id, _is(told.c.trade_id, change.before))
                return connection.execute(query.values(trade_id=change.after)).rowcount == 1
            where = [table["order_id"] == change.row_id, _is(table["trade_id"], change.before)]
            values: dict[str, object] = {table.name_of("trade_id"): change.after}
            if change.source is not None:
                where.append(_is(table["source"], change.source[0]))
                values[table.name_of("source")] = change.source[1]
            like = NOTHING_LIKE_IT if table.is_native else sample_row(connection, table, change.profile_id, None)
            values |= table.theirs("updated_at", now, like)
            return connection.execute(update(table.table).where(*where).values(values)).rowcount == 1
    except (IntegrityError, DataError) as error:
        rule = rule_named(str(error.orig))
        if change.after is None and "not null" in str(error.orig).lower().replace("not-null", "not null"):
            raise Refused(
                f"The ledger refuses to change row {change.row_id} of {change.table}: its column of trade ids takes no"
                " NULL. This transaction was taken back; those before it stay (`trueup backfill list` names their"
                " batch).",
                f"{_NO_NULL}; then run the command again.",
            ) from error
        why = f"{rule.name} ({rule.words})" if rule is not None else str(error.orig).splitlines()[0]
        raise RowRefused(change.row_id, change.table, why) from error


_NO_NULL = (
    "The column of trade ids takes no NULL, which is how a row says that it has none: let it (on Postgres ALTER TABLE …"
    " ALTER COLUMN … DROP NOT NULL), and let the bot write NULL instead of a blank"
)


def _is(column: ColumnElement[Any], value: str | None) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == value


def _draft(change: IdChange, batch: IdBatch, beside: _Trades) -> AuditDraft:
    metadata: dict[str, object] = {
        **batch.metadata, "table": change.table, "rowId": change.row_id, "before": change.before, "after": change.after,
    }  # fmt: skip
    if change.source is not None:
        metadata["source"] = list(change.source)
    if (change.profile_id, change.after) in beside:
        metadata["beside"] = beside[change.profile_id, change.after or ""]
    return AuditDraft(
        batch_id=batch.batch_id,
        profile_id=change.profile_id,
        symbol=change.symbol,
        trade_id=change.after or "",
        decision=AuditDecision.TRADE_ID_SET,
        reason=change.reason,
        dry_run=False,
        actor=batch.actor,
        plan_hash=batch.plan_hash,
        backfill_order_id=change.row_id,
        metadata=metadata,
        applied_at=batch.now,
    )


def change_of(row: AuditRow) -> IdChange:
    """Return the change that a row of the audit records."""
    about = json.loads(str(row["metadata"]))
    source = about.get("source")
    return IdChange(
        table=str(about["table"]), row_id=str(about["rowId"]), profile_id=str(row["profile_id"]),
        symbol=str(row["symbol"]), before=about["before"], after=about["after"], reason=str(row["reason"]),
        source=(source[0], source[1]) if source is not None else None,
    )  # fmt: skip


def back(change: IdChange) -> IdChange:
    """Return the change that takes another one back; a blank id comes back as none, since a rule would refuse it."""
    source = (change.source[1], change.source[0]) if change.source is not None else None
    after = None if is_blank(change.before) else change.before
    return replace(change, before=change.after, after=after, source=source)


def _changed_beside(connection: Connection, table: OrdersTable, rows: Sequence[AuditRow]) -> list[str]:
    """Return the trades whose other rows are not those that the rows were given to: one of them would be torn apart."""
    given: dict[tuple[str, str], set[str]] = {}
    marks: dict[tuple[str, str], str] = {}
    for row in rows:
        about, key = json.loads(str(row["metadata"])), (str(row["profile_id"]), str(row["trade_id"]))
        given.setdefault(key, set()).add(str(about["rowId"]).strip())
        if "beside" in about:
            marks[key] = about["beside"]
    moved: list[str] = []
    for profile in sorted({profile for profile, _ in marks}):
        mine = {trade: mark for (owner, trade), mark in marks.items() if owner == profile}
        there = trade_rows(connection, table, profile, sorted(mine))
        moved += [
            trade
            for trade, mark in sorted(mine.items())
            if fingerprint(there[trade], frozenset(given[profile, trade])) != mark
        ]
    return moved


def _revert(connection: Connection, table: OrdersTable, request: IdRevert) -> IdResult:
    moved = _changed_beside(connection, table, request.rows)
    if moved:
        return IdResult(moved=tuple(moved))
    changes = [back(change_of(row)) for row in request.rows]
    stale = [change.row_id for change in changes if not _write(connection, table, change, request.now)]
    if stale:
        return IdResult(stale=tuple(stale))
    _tell(connection, table, request.symbols, [(change.profile_id, change.before) for change in changes])
    said = record_taken_back(connection, request, AuditDecision.TRADE_ID_REVERTED)
    return IdResult(len(changes), audit=tuple(said))


def _text(value: object) -> str | None:
    return str(value) if value is not None else None
