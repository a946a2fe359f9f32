"""What the doctor sees in the ledger's rows: a bounded sample, the newest ones and those of open trades."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection

from trueup.core.orders import KNOWN_STATUSES, LedgerOrder, StatusClass
from trueup.ledger.attach import OrdersTable
from trueup.ledger.reading import open_rows, read_rows, rows_without_trade
from trueup.ports import Check

NEWEST = 1000
ID_NAMES = ("exchange_order_id", "client_order_id")
_UNRESOLVED = "Until then the trades of such rows stay unresolved."


def examine(connection: Connection, table: OrdersTable, profile_ids: Sequence[str]) -> list[Check]:
    """Read the newest rows of profiles and those of their open trades, and say what keeps them from being of use."""
    query = table.rows.where(table["profile_id"].in_(profile_ids))
    newest = read_rows(connection, table, query.order_by(table["timestamp"].desc().nulls_last()).limit(NEWEST))
    rows = list(dict.fromkeys([*newest, *open_rows(connection, table, profile_ids)]))
    checks = [_readable(rows), _statuses(rows), _names(rows), _ids(rows, table)]
    return [check for check in (*checks, _without_trade(connection, table, profile_ids, rows)) if check is not None]


def _readable(rows: Sequence[LedgerOrder]) -> Check:
    """Say which rows cannot be read for another reason than their status."""
    bad = [row for row in rows if row.defect is not None and row.status is not StatusClass.UNKNOWN]
    if not bad:
        return Check("ledger rows", True, f"{len(rows)} looked at: the newest, and those of open trades")
    return Check(
        "ledger rows",
        False,
        f"{len(bad)} of {len(rows)} cannot be read; the first: {bad[0].detail}",
        f"Correct what is wrong in the row, or the map of columns where many are. {_UNRESOLVED}",
        _meaning(rows),
    )


def _statuses(rows: Sequence[LedgerOrder]) -> Check | None:
    unknown = [row for row in rows if row.status is StatusClass.UNKNOWN]
    if not unknown:
        return None
    words = Counter(row.said.status for row in unknown if row.said)
    listed = ", ".join(f"{name!r} ({number})" for name, number in sorted(words.items()))
    known = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in KNOWN_STATUSES.items())
    do = f"Let the bot write known words, or map a column that has them. Known are {known}. {_UNRESOLVED}"
    return Check("statuses", False, f"not known, in {len(unknown)} rows: {listed}", do, _meaning(rows))


def _meaning(rows: Sequence[LedgerOrder]) -> int:
    """Return what unreadable rows mean: a warning, since each stops its own trade alone; a failure where all are."""
    return 0 if any(row.status is StatusClass.FILLED and row.defect is None for row in rows) else 3


def _names(rows: Sequence[LedgerOrder]) -> Check | None:
    nameless = sum(not row.order_id for row in rows)
    if not nameless:
        return None
    do = "Fill the column for old rows too: a row without an id cannot be told from others."
    return Check("order ids", False, f"order_id is empty in {nameless} of {len(rows)} rows", do, 0)


def _ids(rows: Sequence[LedgerOrder], table: OrdersTable) -> Check | None:
    """Warn where nothing in the ledger says which execution a row has booked."""
    mapped = [name for name in ID_NAMES if name in table]
    filled = [row for row in rows if row.status is StatusClass.FILLED]
    if mapped and (not filled or any(row.exchange_order_id or row.client_order_id for row in filled)):
        return None
    return Check(
        "ids of executions",
        False,
        f"{' and '.join(mapped)} empty in all {len(filled)} filled rows" if mapped else f"no {' or '.join(ID_NAMES)}",
        "Without one of them an execution that the bot has booked already cannot be recognised, and could be booked"
        f" again. Map {ID_NAMES[0]} or {ID_NAMES[1]} under [ledger.columns], and let the bot fill it.",
        0,
    )


def _without_trade(
    connection: Connection, table: OrdersTable, profile_ids: Sequence[str], rows: Sequence[LedgerOrder]
) -> Check | None:
    """Say how many filled rows are left out; that is a fault only where no row at all has a trade id."""
    left_out = rows_without_trade(connection, table, profile_ids)
    if not left_out:
        return None
    some = any(row.trade_id is not None for row in rows)
    do = "Map trade_id to a column that names the trade of each order; rows without one are never repaired."
    return Check("trade ids", some, f"{left_out} filled rows without a trade id are left out", do, 0)
