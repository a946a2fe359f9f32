"""trueup's own backfill, on the made-up weeks: it books the exits that the ledger lacks, and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from trueup.bootstrap import SystemClock, build
from trueup.core.orders import Action, read_order
from trueup.service.app import App
from trueup.service.backfill import BackfillRequest, run_backfill
from trueup.service.setup import initialise
from trueup.sim.venue import SimVenue
from trueup.sim.weeks import Week, WeekKind, a_week

SETTINGS = """
[ledger]
url = "sqlite:///ledger.db"

[[accounts]]
name = "bot"
venue = "file:replaced-by-the-test"

[backfill]
enable_recon_exit_backfill = true
recon_exit_backfill_require_pause = false
recon_exit_backfill_flatness = "explained"
recon_exit_backfill_lookback_hours = 240
trueup_order_tag_prefix = "demo"
"""


class At(SystemClock):
    """A clock that stands at the week's end."""

    def __init__(self, now_ms: int) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms


@contextmanager
def app_of(week: Week, folder: Path) -> Iterator[App]:
    profiles = "".join(f'[[profiles]]\nid = "{name}"\naccount = "bot"\n' for name in week.profiles)
    (folder / "trueup.toml").write_text(SETTINGS + profiles)
    app = build(folder / "trueup.toml", {})
    account = replace(app.accounts["bot"], venue=lambda: SimVenue(week.exchange, week.account))
    app = replace(app, clock=At(week.exchange.now_ms), accounts={"bot": account})
    initialise(app)
    app.setup.add_orders(week.rows)
    try:
        yield app
    finally:
        app.close()


@pytest.mark.parametrize("kind", ["alpaca", "binance", "binanceusdm"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_exits_that_are_missing_are_booked_from_the_orders_that_made_them(
    kind: WeekKind, seed: int, tmp_path: Path
) -> None:
    week = a_week(kind, seed)
    with app_of(week, tmp_path) as app:
        report = run_backfill(app, BackfillRequest(apply=True))
        rows = [row for entry in report.profiles.values() for row in entry.final_rows]
        booked = {(row["trade_id"], row["exchange_order_id"]) for row in rows if row["decision"] == "APPLIED"}
        proven = {pair for pair in booked if not str(pair[1]).startswith("DUST-")}
        assert proven == {(t.trade_id, x.id) for t in week.trades if t.trade_id in week.missing for x in t.exits}
        assert {row["trade_id"] for row in rows if row["decision"] != "APPLIED"} == set(week.still_open)
        exits = [read_order(row) for row in week.rows if row["action"] == Action.EXIT]
        assert not {x.trade_id for x in exits} & {trade for trade, _ in proven}
        again = run_backfill(app, BackfillRequest(apply=True))
        assert not any(entry.inserted for entry in again.profiles.values())
