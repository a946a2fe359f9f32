"""From an execution at the venue to its break in the ledger's database, through the stream: `python -m bench.events`.

The exchange is this process, the worker another; it is due every 30 seconds, so that only the stream makes it quick.
"""

import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from random import Random

from trueup.bootstrap import build
from trueup.service.live_demo import prepare
from trueup.sim.exchange import OrderRequest, Side
from trueup.sim.live import ACCOUNT, PREFIX, PROFILE, LiveTrial, running_live

EVENTS = 200
_LOOK_S = 0.005
_PATIENCE_S = 60.0
_QUERY = "SELECT 1 FROM breaks WHERE exchange_order_id = ?"


def now_ms() -> int:
    """Return epoch milliseconds."""
    return time.time_ns() // 1_000_000


def measured(count: int, seed: int = 0) -> list[float]:
    """Return the seconds from each of so many executions to the row of its break, smallest first."""
    chance = Random(seed)
    with tempfile.TemporaryDirectory(prefix="trueup-events-") as place:
        folder = Path(place) / "bot"
        with running_live(folder, now_ms, seed) as trial:
            world = trial.world
            prepare(lambda made: build(made / "trueup.toml", world.environ), world, folder)
            with _worker(folder, dict(world.environ)):
                _one(trial, folder, 0)  # the first one waits until the worker is up and listens
                taken: list[float] = []
                for number in range(1, count + 1):
                    time.sleep(chance.uniform(0.0, 1.0))
                    taken.append(_one(trial, folder, number))
    return sorted(taken)


def _one(trial: LiveTrial, folder: Path, number: int) -> float:
    """Let one order execute that the ledger never hears of, and wait until its break is on record."""
    symbol = list(trial.exchange.markets)[number % len(trial.exchange.markets)]
    client = f"{PREFIX}-{PROFILE}-TRD-{symbol}-{number:04d}-entry"
    request = OrderRequest(symbol=symbol, side=Side.BUY, qty=Decimal(1), client_order_id=client, time_in_force="day")
    trial.exchange.advance_to(now_ms())
    begun = time.perf_counter()
    order = trial.exchange.submit(ACCOUNT, request)
    connection = sqlite3.connect(f"file:{folder / 'ledger.db'}?mode=ro", uri=True, timeout=30)
    try:
        while connection.execute(_QUERY, (order.id,)).fetchone() is None:
            if time.perf_counter() - begun > _PATIENCE_S:
                raise TimeoutError(f"order {order.id} was not found in {_PATIENCE_S} s")
            time.sleep(_LOOK_S)
    finally:
        connection.close()
    return time.perf_counter() - begun


@contextmanager
def _worker(folder: Path, environ: dict[str, str]) -> Iterator[None]:
    known = {**os.environ, **environ, "RECON_INTERVAL_SECONDS": "30", "RECON_SETTLE_WINDOW_SECONDS": "30"}
    command = [sys.executable, "-m", "trueup", "worker"]
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=known, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def told(taken: list[float]) -> str:
    """Return the line about the times."""
    p99 = taken[max(-(-len(taken) * 99 // 100) - 1, 0)]
    return (
        f"execution to break on record, through the stream: {len(taken)} events, p50 {statistics.median(taken):.2f} s,"
        f" p99 {p99:.2f} s, longest {taken[-1]:.2f} s"
    )


if __name__ == "__main__":
    print(told(measured(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS)))
