"""What the gate costs: uncached and cached decisions, on both databases, with a long history of modes."""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles

from sqlalchemy import text
from tests.postgres import running_postgres

import trueup
from trueup.bootstrap import build
from trueup.core.times import iso
from trueup.ledger import schema
from trueup.service.app import App
from trueup.service.gate import ask, beat_bot
from trueup.service.setup import initialise

PROFILES = 1_000
CHANGES = 10_000
QUESTIONS = 5_000

_ONE_MODE = "SELECT mode FROM safety_modes WHERE seq = (SELECT max(seq) FROM safety_modes WHERE scope = 'profile:p7')"


def world(folder: Path, url: str) -> App:
    """Lay down profiles with heartbeats, and a history of modes of every kind of scope."""
    lines = ["[ledger]", f'url = "{url}"', "[[accounts]]", 'name = "main"', 'venue = "file:export"']
    for number in range(PROFILES):
        lines += ["[[profiles]]", f'id = "p{number}"', 'account = "main"']
    config = folder / "trueup.toml"
    config.write_text("\n".join(lines))
    app = build(config, {})
    initialise(app)
    now_ms = app.clock.now_ms()
    scopes = ["global", "account:main"]
    for number in range(PROFILES):
        scopes += [f"profile:p{number}", f"symbol:p{number}:BTC/USD", f"symbol:p{number}:ETH/USD"]
    rows = [
        {
            "scope": scopes[number % len(scopes)] if number < 2 * len(scopes) else scopes[number % 300],
            "mode": "NORMAL", "previous_mode": "NORMAL", "source": "bench", "actor": "bench", "reason": "bench",
            "created_at": iso(now_ms),
        }
        for number in range(CHANGES)
    ]  # fmt: skip
    database = app.gate._state  # noqa: SLF001  # the bench fills the tables behind the ports
    with database.writing() as connection:
        connection.execute(schema.safety_modes.insert(), rows)
    for number in range(PROFILES):
        beat_bot(app, f"p{number}")
    app.heartbeats.beat("account:main", now_ms, healthy=True, rules=app.safety.deadman)
    if not database.is_sqlite:
        with database.writing() as connection:
            connection.execute(text("ANALYZE"))
    return app


def told(name: str, question: Callable[[int], object], count: int) -> float:
    """Print how many questions a second are answered, the median and the slowest hundredth; return the median in ms."""
    for number in range(50):
        question(number)
    taken = []
    began = time.perf_counter()
    for number in range(count):
        start = time.perf_counter()
        question(number)
        taken.append(time.perf_counter() - start)
    rate = count / (time.perf_counter() - began)
    cuts = quantiles(taken, n=100)
    print(f"gate, {name:28} {rate:9,.0f}/s, p50 {cuts[49] * 1000:.3f} ms, p99 {cuts[98] * 1000:.3f} ms")
    return cuts[49] * 1000


def measured(folder: Path, url: str, name: str, count: int) -> None:
    """Print the figures of one database."""
    folder.mkdir()
    app = world(folder, url)
    try:
        answer = ask(app, "p7", "BTC/USD")
        assert answer.allowed, answer
        with trueup.Gate("p7", config=folder / "trueup.toml", environ={}) as gate:
            assert gate.allows("BTC/USD")
            told(f"{name} cached", lambda _: gate.allows("BTC/USD"), count * 10)
        state = app.gate._state  # noqa: SLF001  # the bare engine, for the ratio
        bare = state.glance(lambda read: told(f"{name}, bare driver, one mode", lambda _: read(_ONE_MODE, {}), count))
        ours = told(f"{name} uncached", lambda number: ask(app, f"p{number % PROFILES}", "BTC/USD"), count)
        print(f"gate, {name}: an uncached decision costs {ours / bare:.1f} bare readings of one mode")
    finally:
        app.close()


def main() -> None:
    """Run everything."""
    count = 500 if "small" in sys.argv else QUESTIONS
    with tempfile.TemporaryDirectory(prefix="trueup-bench-") as made:
        folder = Path(made)
        measured(folder / "sqlite", f"sqlite:///{folder / 'ledger.db'}", "SQLite", count)
        with running_postgres(folder / "turns") as server, server.fresh_database() as url:
            measured(folder / "postgres", url, "Postgres", count)


if __name__ == "__main__":
    main()
