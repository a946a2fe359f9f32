"""Appending to the audit and reading it: the chain is extended by one transaction at a time."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, String, cast, insert, select, text, type_coerce
from sqlalchemy.types import NullType

from trueup.core.audit import GENESIS, AuditDraft, AuditRow, chained
from trueup.core.decimals import plain, read_decimal
from trueup.ledger.schema import audit

_CHAIN_LOCK = 7_247_855_300
"""The advisory lock under which Postgres extends the chain."""

_NUMBERS = ("filled_qty", "filled_price")


def append(connection: Connection, drafts: Sequence[AuditDraft], now: str) -> list[AuditRow]:
    """Append rows to the chain inside the caller's transaction; call it last, since it holds the chain's lock."""
    if not drafts:
        return []
    seq, head = lock_head(connection)
    rows: list[AuditRow] = []
    for draft in drafts:
        seq += 1
        row = chained(draft, seq, head, now)
        head = str(row["hash"])
        rows.append(row)
    connection.execute(insert(audit), [_stored(row) for row in rows])
    return rows


def lock_head(connection: Connection) -> tuple[int, str]:
    """Take the chain's lock until the transaction ends, and return the newest row's seq and hash."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CHAIN_LOCK})
    return newest(connection)


def newest(connection: Connection) -> tuple[int, str]:
    """Return the newest row's seq and hash."""
    found = connection.execute(select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)).first()
    return (int(found.seq), str(found.hash)) if found is not None else (0, GENESIS)


def _stored(row: AuditRow) -> dict[str, object]:
    stored: dict[str, object] = dict(row.columns)
    stored["seq"] = row.seq
    for name in _NUMBERS:
        stored[name] = read_decimal(stored[name]) if stored[name] is not None else None
    return stored


def read(connection: Connection, where: Any = None) -> Iterator[AuditRow]:
    """Yield audit rows in the order of seq, in their canonical text, whatever somebody did to them."""
    query = _raw_query(connection)
    query = query.order_by(audit.c.seq) if where is None else query.where(where).order_by(audit.c.seq)
    # The option is the statement's own: on the connection it would also bind what the transaction writes later.
    with connection.execute(query.execution_options(yield_per=2000)) as result:
        for row in result.mappings():
            yield AuditRow({name: _canonical(name, value, connection.dialect.name) for name, value in row.items()})


def _raw_query(connection: Connection) -> Select[Any]:
    """Return the query for all columns; on SQLite without conversion, so that tampered values are seen as they are."""
    columns: list[ColumnElement[Any]]
    if connection.dialect.name == "sqlite":
        columns = [type_coerce(column, NullType()).label(column.name) for column in audit.c]
    else:
        numbers: dict[str, ColumnElement[Any]] = {name: cast(audit.c[name], String) for name in _NUMBERS}
        columns = [_labelled(column, numbers) for column in audit.c]
    return select(*columns)


def _labelled(column: Any, instead: dict[str, ColumnElement[Any]]) -> ColumnElement[Any]:
    chosen: ColumnElement[Any] = instead.get(column.name, column)
    return chosen.label(column.name)


def _canonical(name: str, value: object, dialect: str) -> str | bool | None:
    """Return a stored value as it was hashed; one that is not in that form stays as it is and breaks the hash."""
    if value is None:
        return None
    if name == "dry_run":
        return bool(value) if isinstance(value, int) and value in (0, 1) else repr(value)
    if name in _NUMBERS:
        return plain(read_decimal(value)) if dialect == "postgresql" and value != "NaN" else _text_or_repr(value)
    return str(value) if name == "seq" else _text_or_repr(value)


def _text_or_repr(value: object) -> str:
    return value if isinstance(value, str) else repr(value)
