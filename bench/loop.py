"""What a cycle of the loop costs: against the ledger's past, and how many of them a machine does in a second."""

import cProfile
import gc
import pstats
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median

from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.postgres import Postgres, running_postgres

from bench.fleets import OPEN, ORDER_FIELDS, RECENT, a_fleet, an_app, copy_rows, fill_past, past, venue_of
from trueup.__main__ import COLLECT_AFTER
from trueup.core.symbols import Symbols
from trueup.ledger.attach import OrdersMap
from trueup.ledger.sql import open_store
from trueup.service.app import Account, App
from trueup.service.cycle import ReconcileRequest
from trueup.service.open_trades import OpenTrades
from trueup.service.reconcile import reconcile_account
from trueup.service.worker import Worker, WorkerOptions
from trueup.surfaces.cli.session import stays

SMALL = "small" in sys.argv
"""A shorter look, for a busy machine."""

SIZES = (10_000, 100_000 if SMALL else 1_000_000)
PROFILES = 200 if SMALL else 1000
_TIMES = 9
_REQUEST = ReconcileRequest()


def steady(url: str, name: str, size: int, folder: Path) -> "Steady":
    """Lay down a ledger with a past, and return its App after the first cycle."""
    app = an_app(folder, url, {"p1": "main"})
    now_ms = app.clock.now_ms()
    store = open_store(url, OrdersMap())
    fill_past(store, size, "p1", now_ms)
    store.close()
    venue = venue_of(list(islice(past(size, "p1", now_ms), OPEN + 2 * RECENT)), "main", app.clock.now_ms)
    app = replace(app, accounts={"main": Account("main", Symbols(), lambda: venue)})
    return Steady(app, name, size)


class Steady:
    """One App whose account is reconciled again and again by one memory."""

    def __init__(self, app: App, name: str, size: int) -> None:
        self.app, self.name, self.size = app, name, size
        self.memory = OpenTrades("main")
        self.first_s = self.cycle()

    def cycle(self) -> float:
        """Do one cycle, and return how long it took, in seconds."""
        with self.app.leases.hold("account:main", 5) as lease:
            start = time.perf_counter()
            report = reconcile_account(self.app, "main", _REQUEST, lease, self.memory)
            taken = time.perf_counter() - start
        [run] = report.runs
        assert run.status == "OK", run.as_json()
        return taken


def growth(pairs: list[Steady]) -> float:
    """Print how a steady cycle grows with the ledger's past; the sizes take turns, so that both meet the same load."""
    taken: dict[int, list[float]] = {each.size: [] for each in pairs}
    for _ in range(_TIMES):
        for each in pairs:
            taken[each.size].append(each.cycle())
    small, large = (median(taken[each.size]) for each in pairs)
    least = min(taken[pairs[1].size]) / min(taken[pairs[0].size])
    first = " and ".join(f"{each.first_s:.2f} s" for each in pairs)
    print(
        f"steady cycle, {pairs[0].name:8} {pairs[0].size:,} orders {small * 1000:.1f} ms, {pairs[1].size:,} orders"
        f" {large * 1000:.1f} ms, ratio {large / small:.2f} (of the least {least:.2f}); the first cycle {first}",
        flush=True,
    )
    return large / small


@contextmanager
def counted_statements() -> Iterator[Counter[str]]:
    """Count the statements and the transactions of all engines."""
    counts: Counter[str] = Counter()

    def statement(_: object, __: object, said: str, *___: object) -> None:
        counts["statements"] += 1
        counts[" ".join(said.split()[:9])] += 1

    def begun(_: object) -> None:
        counts["transactions"] += 1

    event.listen(Engine, "before_cursor_execute", statement)
    event.listen(Engine, "begin", begun)
    try:
        yield counts
    finally:
        event.remove(Engine, "before_cursor_execute", statement)
        event.remove(Engine, "begin", begun)


def where_time_goes(each: Steady, lines: int = 25) -> None:
    """Print what a cycle spends its time on."""
    with counted_statements() as counts:
        each.cycle()
    print(f"one cycle on {each.name}: {counts.pop('transactions')} transactions, {counts.pop('statements')} statements")
    for said, number in counts.most_common(lines):
        print(f"  {number:4} {said}")
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(5):
        each.cycle()
    profile.disable()
    pstats.Stats(profile).sort_stats("cumulative").print_stats(r"trueup|sqlalchemy.engine.reflection", lines)


def throughput(url: str, name: str, profiles: int, accounts: int, folder: Path, threads: int = 2) -> float:
    """Print how many cycles (and runs) a second one worker does over a fleet, after a first round."""
    now_ms = time.time_ns() // 1_000_000
    fleet, rows = a_fleet(profiles, accounts, now_ms)
    app = fleet.on(an_app(folder, url, fleet.profiles, {"RECON_INTERVAL_SECONDS": "3600"}))
    store = open_store(url, OrdersMap())
    with store.books.writing() as connection:
        copy_rows(connection, "orders", ORDER_FIELDS, iter(rows))
    store.close()
    worker = Worker(app, WorkerOptions(threads=threads, cycles=accounts, interval_s=0.0))
    statuses: Counter[str] = Counter()
    worker.after_cycle = lambda report: statuses.update(run.status for run in report.runs)
    first = _run_for(worker)
    worker.done = 0
    taken = _run_for(worker)
    worker.done = 0
    runs = profiles / taken
    print(
        f"throughput, {name:8} {profiles:,} profiles of 10 symbols on {accounts:,} accounts:"
        f" {accounts / taken:.1f} cycles and {runs:.1f} runs a second"
        f" (the first round {accounts / first:.1f} cycles); {dict(statuses)}",
        flush=True,
    )
    app.close()
    return runs


def _run_for(worker: Worker) -> float:
    start = time.perf_counter()
    worker.run()
    return time.perf_counter() - start


def memory(url: str, folder: Path, cycles: int = 2000) -> None:
    """Print how memory grows over many cycles, with garbage collected as a worker does it."""
    stays()
    each = steady(url, "SQLite", 10_000, folder)
    for _ in range(100):
        each.cycle()
    gc.collect()
    before = peak = _resident_kb()
    for _ in range(cycles - 100):
        each.cycle()
        peak = max(peak, _resident_kb())
    gc.collect()
    print(
        f"memory over {cycles:,} cycles: {before / 1024:.1f} MB after 100, {peak / 1024:.1f} MB at most after that,"
        f" {_resident_kb() / 1024:.1f} MB at the end"
    )
    each.app.close()


def _resident_kb() -> int:
    with Path("/proc/self/statm").open() as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() // 1024


def main(wanted: frozenset[str]) -> None:
    """Run what is wanted: all of growth, profile, throughput and memory where nothing is named."""
    gc.set_threshold(*COLLECT_AFTER)
    folder = Path(tempfile.mkdtemp(prefix="trueup-loop-"))
    try:
        with running_postgres(folder / "turns") as server:
            for name in ("SQLite", "Postgres"):
                _measure(name, server, folder / name, wanted)
        if not wanted or "memory" in wanted:
            memory(f"sqlite:///{folder / 'memory.db'}", folder / "memory")
    finally:
        shutil.rmtree(folder)


def _measure(name: str, server: Postgres, folder: Path, wanted: frozenset[str]) -> None:
    with ExitStack() as stack:
        folder.mkdir()

        def fresh(label: str) -> str:
            file = f"sqlite:///{folder / f'{label}.db'}"
            return file if name == "SQLite" else stack.enter_context(server.fresh_database())

        if not wanted or wanted & {"growth", "profile"}:
            pairs = [steady(fresh(str(size)), name, size, folder / str(size)) for size in SIZES]
            growth(pairs)
            if "profile" in wanted:
                where_time_goes(pairs[1])
            for each in pairs:
                each.app.close()
        if not wanted or "throughput" in wanted:
            for accounts in (PROFILES, 10):
                throughput(fresh(f"fleet{accounts}"), name, PROFILES, accounts, folder / f"fleet{accounts}")


if __name__ == "__main__":
    main(frozenset(sys.argv[1:]) - {"small"})
