"""The lifecycle report against the bare aggregate: `python -m bench.integrity_report [ORDERS] [sqlite|postgres]`.

5,000,000 orders on both databases by default. The ledger is made inside the engine: trades of ten profiles in ten
symbols, half of the orders entries, a thousand trades open, each closed one with its history, positions that agree; and
ten anomalies that have to be found. The bare query is the engine's own sum of every trade, with its rows read and
dropped. The report runs in a process of its own, whose peak is the memory that is told.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import Connection, create_engine, text
from tests.postgres import running_postgres

from trueup.bootstrap import build
from trueup.service.setup import initialise

PROFILES = 10
OPEN = 1000
PLANTED = 10
START = 1_767_322_800_000
COINS = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOT", "LTC", "LINK", "AVAX", "UNI")

BARE = (
    "SELECT profile_id, trade_id, SUM(CASE WHEN action = 'ENTRY' THEN qty ELSE -qty END) FROM orders"
    " GROUP BY profile_id, trade_id"
)
_PROFILE = f"'p' || ((k / {len(COINS)}) % {PROFILES})"
_SYMBOL = "CASE k % 10 " + " ".join(f"WHEN {n} THEN '{coin}/USD'" for n, coin in enumerate(COINS)) + " END"

CHILD = """
import json, resource, sys, time
from pathlib import Path
from trueup.bootstrap import build
from trueup.service.integrity_report import report
app = build(Path(sys.argv[1]), {})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
found = report(app)
number = sum(1 for _ in found.findings())
taken = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"taken": taken, "found": number, "before": before // 1024, "peak": peak // 1024}))
"""


class Dialect:
    """How numbers, times and a row of numbers are written in one database's SQL."""

    def __init__(self, name: str) -> None:
        self.sqlite = name == "sqlite"
        self.pad = "printf('%08d', k)" if self.sqlite else "lpad(k::text, 8, '0')"
        self.qty = "CAST(1 + k % 9 AS TEXT) || '.5'" if self.sqlite else "((1 + k % 9)::text || '.5')::numeric"
        self.price = "'100.25'" if self.sqlite else "100.25"

    def time(self, ms: str) -> str:
        if self.sqlite:
            return f"strftime('%Y-%m-%dT%H:%M:%S', ({ms}) / 1000, 'unixepoch') || '.000Z'"
        return f"to_timestamp(({ms}) / 1000.0)"

    def insert(self, table: str, values: dict[str, str], first: int, last: int) -> str:
        """Return the statement that inserts a row for each number from `first` to before `last`."""
        numbers = f"generate_series(CAST({first} AS bigint), {last} - 1) AS n(k)"
        before = ""
        if self.sqlite:
            before = f"WITH RECURSIVE n(k) AS (SELECT {first} UNION ALL SELECT k + 1 FROM n WHERE k + 1 < {last}) "
            numbers = "n"
        insert = f"INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM {numbers}"
        return before + insert


def fill(connection: Connection, orders: int) -> None:
    """Make the ledger, all inside the engine."""
    dialect = Dialect(connection.dialect.name)
    trades = (orders + OPEN) // 2
    for action, side, later, first in (("ENTRY", "buy", 0, 0), ("EXIT", "sell", 500, OPEN)):
        ms = f"{START} + k * 1000 + {later}"
        at = dialect.time(ms)
        values = {
            "order_id": f"'o-' || {dialect.pad} || '-{action}'", "profile_id": _PROFILE, "user_id": "'u'",
            "symbol": _SYMBOL, "type": "'market'", "side": f"'{side}'", "qty": dialect.qty, "quantity": dialect.qty,
            "price": dialect.price, "status": "'filled'", "timestamp": ms, "filled_at": at,
            "trade_id": f"'TRD-' || {dialect.pad}", "action": f"'{action}'", "source": "'BOT'", "created_at": at,
            "updated_at": at,
        }  # fmt: skip
        connection.execute(text(dialect.insert("orders", values, first, trades)))
    told = {
        "id": f"'h-' || {dialect.pad}", "profile_id": _PROFILE, "user_id": "'u'",
        "trade_id": f"'TRD-' || {dialect.pad}", "symbol": _SYMBOL, "side": "'long'",
        "entry_qty": dialect.qty, "exit_qty": dialect.qty, "entry_price": dialect.price, "exit_price": dialect.price,
        "price_source": "'ledger'",
        "opened_at": dialect.time(f"{START} + k * 1000"), "closed_at": dialect.time(f"{START} + k * 1000 + 500"),
    }  # fmt: skip
    connection.execute(text(dialect.insert("trade_history", told, OPEN, trades)))
    held = (
        "SELECT profile_id, symbol, 'long', SUM(CASE WHEN action = 'ENTRY' THEN qty ELSE -qty END) AS held FROM orders"
    )
    where = f"WHERE trade_id < 'TRD-{OPEN:08d}' GROUP BY profile_id, symbol"
    connection.execute(text(f"INSERT INTO positions (profile_id, symbol, side, qty) {held} {where}"))
    gone = ", ".join(f"'h-{OPEN + 7919 * n:08d}'" for n in range(PLANTED))
    connection.execute(text(f"DELETE FROM trade_history WHERE id IN ({gone})"))


def measure(folder: Path, url: str, name: str, orders: int) -> None:
    """Fill one database and print what the report and the bare query take."""
    folder.mkdir()
    lines = ["[ledger]", f"url = {json.dumps(url)}", "[[accounts]]", 'name = "main"', 'venue = "file:main.json"']
    for number in range(PROFILES):
        lines += ["[[profiles]]", f'id = "p{number}"', 'account = "main"']
    config = folder / "trueup.toml"
    config.write_text("\n".join(lines))
    app = build(config, {})
    initialise(app)
    app.close()
    engine = create_engine(url)
    started = time.perf_counter()
    with engine.begin() as connection:
        fill(connection, orders)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE" if name == "sqlite" else "VACUUM ANALYZE"))
    print(f"{name}: {orders:,} orders made in {time.perf_counter() - started:.0f} s", flush=True)
    bare: list[float] = []
    ours: list[dict[str, float]] = []
    for _ in range(2):
        bare.append(_bare(engine))
        ours.append(_report(config))
    best, least = min(ours, key=lambda run: run["taken"]), min(bare)
    print(
        f"report on {orders:,} orders, {name:8} {best['taken']:.1f} s, bare GROUP BY {least:.1f} s,"
        f" ratio {best['taken'] / least:.2f}; peak memory {best['peak']:.0f} MB"
        f" ({best['peak'] - best['before']:.0f} MB above the start); {best['found']:.0f} of {PLANTED} planted found",
        flush=True,
    )
    engine.dispose()


def _bare(engine: object) -> float:
    started = time.perf_counter()
    with engine.connect() as connection:  # type: ignore[attr-defined]  # an Engine
        for _ in connection.execute(text(BARE).execution_options(yield_per=2000)):
            pass
    return time.perf_counter() - started


def _report(config: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(config)], check=True, capture_output=True, text=True
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(orders: int, wanted: tuple[str, ...]) -> None:
    """Measure the databases that are wanted."""
    folder = Path(tempfile.mkdtemp(prefix="trueup-report-"))
    try:
        if "sqlite" in wanted:
            measure(folder / "sqlite", f"sqlite:///{folder / 'ledger.db'}", "sqlite", orders)
            for file in folder.glob("ledger.db*"):
                file.unlink()
        if "postgres" in wanted:
            with running_postgres(folder / "turns") as server, server.fresh_database() as url:
                measure(folder / "postgres", url, "postgres", orders)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    words = sys.argv[1:]
    sizes = [int(word.replace("_", "")) for word in words if word[:1].isdigit()]
    main(sizes[0] if sizes else 5_000_000, tuple(w for w in words if w.isalpha()) or ("sqlite", "postgres"))
