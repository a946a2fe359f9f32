"""A worker's memory follows what is open, not what ever was: trades that open and close leave nothing behind."""

import gc
import tracemalloc
from dataclasses import replace
from itertools import count
from pathlib import Path

from bench.fleets import ORDER_FIELDS, a_row, an_app, copy_rows, venue_of

from trueup.core.symbols import Symbols
from trueup.ledger.attach import OrdersMap
from trueup.ledger.sql import open_store
from trueup.service.app import Account
from trueup.service.cycle import ReconcileRequest
from trueup.service.open_trades import OpenTrades
from trueup.service.reconcile import reconcile_account

HOUR_MS = 3_600_000
TRADES, WARM, ROUNDS = 80, 2, 5
"""Trades of each round, each of two orders; rounds before the measured ones; rounds that are measured."""
BYTES_OF_A_TRADE = 150
"""Less than the shortest memory of a trade that there can be: its two keys take more."""


def test_trades_that_opened_and_closed_leave_nothing_behind(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    app = an_app(tmp_path, url, {"p1": "main"})
    memory, numbers = OpenTrades("main"), count()
    first_ms = app.clock.now_ms() - (WARM + ROUNDS) * HOUR_MS

    def cycle(at_ms: int) -> None:
        """Let the ledger have the next trades, closed, and reconcile at a venue that remembers no others."""
        rows = [
            a_row("open", number, "p1", at_ms + (action == "EXIT") * 1000, action)
            for number in (next(numbers) for _ in range(TRADES))
            for action in ("ENTRY", "EXIT")
        ]
        store = open_store(url, OrdersMap())
        with store.books.writing() as connection:
            copy_rows(connection, "orders", ORDER_FIELDS, iter(rows))
        store.close()
        venue = venue_of(rows, "main", app.clock.now_ms, since_ms=at_ms)
        at_venue = replace(app, accounts={"main": Account("main", Symbols(), lambda: venue)})
        with at_venue.leases.hold("account:main", 5) as lease:
            [run] = reconcile_account(at_venue, "main", ReconcileRequest(), lease, memory).runs
        assert run.status == "OK", run.as_json()

    try:
        for number in range(WARM):
            cycle(first_ms + number * HOUR_MS)
        gc.collect()
        tracemalloc.start()
        for number in range(WARM, WARM + ROUNDS):
            cycle(first_ms + number * HOUR_MS)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        app.close()
    assert grown < TRADES * ROUNDS * BYTES_OF_A_TRADE, f"{grown:,} bytes over {TRADES * ROUNDS:,} trades"
