"""Heals for the tests: a row of the ledger as it stands, changed or added, under a lease of the account."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from tests.ledger.bot import NOW, Bot, at

from trueup.core.audit import AuditRow, closing
from trueup.core.orders import Action, LedgerOrder, Side
from trueup.core.reconcile.audited import announced
from trueup.core.reconcile.changes import Change, NewRow, Proof, RowChange
from trueup.core.symbols import Symbols
from trueup.core.times import iso
from trueup.ledger.reading import read_rows
from trueup.ports import HealBatch, HealResult, Lease
from trueup.service.app import App

SCOPE = "account:main"
RUN = "RUN-1"


def rows_of(bot: Bot) -> dict[str, LedgerOrder]:
    """The whole ledger by order ids."""
    with bot.store.books.reading() as connection:
        table = bot.store.orders(connection)
        return {row.order_id: row for row in read_rows(connection, table, table.rows)}


def proof(order: str | None = "X1", executed: str | None = "1", booked: str | None = "0", **more: Any) -> Proof:
    return Proof(
        more.pop("rule", "working_filled"), order, venue_status="filled",
        executed=Decimal(executed) if executed is not None else None, price_source="order", as_of=iso(at(NOW)),
        booked_before=Decimal(booked) if booked is not None else None, **more,
    )  # fmt: skip


def filled(before: LedgerOrder, qty: str = "1", status: str = "filled", **more: Any) -> RowChange:
    """A row that executed; at 101 in minute 30."""
    said = {"price": Decimal(101), "filled_ms": at(30), "exchange_order_id": "X1", **more}
    return RowChange(before, status, said.pop("proof", None) or proof(executed=qty), qty=Decimal(qty), **said)


def canceled(before: LedgerOrder) -> RowChange:
    return RowChange(before, "canceled", proof("X1", None, None, rule="working_dead"))


def added(order_id: str = "IMPRT-1", qty: str = "1", **more: Any) -> NewRow:
    said: dict[str, Any] = {
        "profile_id": "p1", "user_id": "u1", "trade_id": "TRD-1", "symbol": "BTC/USD", "side": Side.BUY,
        "action": Action.ENTRY, "status": "filled", "qty": Decimal(qty), "price": Decimal(101), "time_ms": at(30),
        "proof": proof("X9", qty, rule="unknown_ours"), "exchange_order_id": "X9", **more,
    }  # fmt: skip
    return NewRow(order_id, **said)


@contextmanager
def leased(app: App) -> Iterator[Lease]:
    with app.leases.hold(SCOPE, 0) as lease:
        assert lease is not None
        yield lease


def batch_of(app: App, lease: Lease, changes: Iterable[Change], **more: Any) -> HealBatch:
    profile = next(p for p in app.ledger.profiles() if p.profile_id == more.pop("profile", "p1"))
    said: dict[str, Any] = {"run_id": RUN, "now": iso(at(NOW)), **more}
    return HealBatch(
        profile=profile, lease=lease, changes=tuple(changes), symbols=Symbols(), tag_prefix="bytelyst", actor="loop",
        **said,
    )  # fmt: skip


def heal(app: App, *changes: Change, announce: bool = True, rehearse: bool = False, **more: Any) -> HealResult:
    """Announce heals and make them, as a run does."""
    run = more.get("run_id", RUN)
    if announce and not rehearse:
        app.journal.record([announced(change, run, "loop") for change in changes])
    with leased(app) as lease:
        return app.ledger.heal(batch_of(app, lease, changes, **more), rehearse=rehearse)


def audit(app: App) -> list[tuple[Any, ...]]:
    return [(row["decision"], row["reason"], row["backfill_order_id"]) for row in app.journal.audit_rows()]


def audited(app: App, decision: str) -> list[AuditRow]:
    return [row for row in app.journal.audit_rows() if row["decision"] == decision]


def heal_run(app: App, run: str) -> HealResult | None:
    """Close what an earlier run left, and heal w1 (filled), w2 (canceled) and an order that was missing."""
    rows = {row.order_id: row for row in app.ledger.orders_to_compare(["p1"], 0, ["X9"], (), "bytelyst")}
    closed = [closing(row, "interrupted") for row in app.journal.interrupted(["p1"])]
    changes = [filled(rows["w1"], "1.5"), canceled(rows["w2"]), added()] if "w2" in rows else []
    app.journal.record([*closed, *(announced(change, run, "loop") for change in changes)])
    return heal(app, *changes, announce=False, run_id=run) if changes else None
