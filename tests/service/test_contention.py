"""Many processes and one ledger: each row is booked once, and who lost the lease cannot write."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.bot import Bot, row, sold

from trueup.core.audit import verify

TRADES = [f"TRD-{number}" for number in range(12)]


class Racer:
    """One process that applies when it is told to, or several that start as one."""

    def __init__(self, bot: Bot, wait: float = 0, freeze: str = "", count: int = 1) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.service.racers", str(bot.config), str(wait), freeze, str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip

    def ready(self) -> "Racer":
        assert self.process.stdout.readline() == "ready\n"
        return self

    def go(self) -> None:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        return json.loads(self.process.stdout.readline())

    def wait_until_frozen(self) -> None:
        stat = Path(f"/proc/{self.process.pid}/stat")
        for _ in range(600):
            if stat.read_text().rpartition(")")[2].split()[0] == "T":
                return
            time.sleep(0.05)
        raise AssertionError("it did not stop")

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def race(bot: Bot) -> Iterator[Callable[..., Racer]]:
    """Give a way to start a process on the bot's ledger that is ready to apply; none of them outlives the test."""
    racers: list[Racer] = []

    def start(**how: Any) -> Racer:
        racers.append(Racer(bot, **how))
        return racers[-1].ready()

    yield start
    for racer in racers:
        racer.end()


def prepared(bot: Bot) -> None:
    bot.ready(*(row(trade) for trade in TRADES))
    bot.sells(*(sold(f"X-{trade}", trade_id=trade) for trade in TRADES))


def each_row_once(bot: Bot, answers: list[dict[str, Any]]) -> None:
    booked = [found for found in bot.db.table("orders") if found["action"] == "EXIT"]
    assert Counter(found["trade_id"] for found in booked) == dict.fromkeys(TRADES, 1)
    told = Counter(order_id for answer in answers for order_id in answer["inserted"])
    assert told == dict.fromkeys((found["order_id"] for found in booked), 1)
    rows = list(bot.app().journal.audit_rows())
    assert verify(rows).ok
    applied = Counter(found["backfill_order_id"] for found in rows if found["decision"] == "APPLIED")
    assert applied == told
    assert bot.db.table("positions") == [] or bot.db.value("SELECT max(qty) FROM positions") in ("0", 0)


@pytest.mark.parametrize("wait", [0, 60])
def test_eight_processes_apply_to_one_ledger_at_once(bot: Bot, race: Callable[..., Racer], wait: float) -> None:
    prepared(bot)
    eight = race(wait=wait, count=8)
    eight.go()
    answers = [eight.answer() for _ in range(8)]
    assert [answer["error"] for answer in answers if answer["error"]] == []
    assert {answer["skipped"] for answer in answers} <= ({None, "lease_held"} if not wait else {None})
    each_row_once(bot, answers)


FREEZE = {
    "once it has decided": {"sqlite": "3:BEGIN IMMEDIATE", "postgresql": "1:SELECT pg_advisory_xact_lock"},
    "as its repair begins": {"sqlite": "4:BEGIN IMMEDIATE", "postgresql": "1:UPDATE leases SET fence"},
}
"""Before which statement a run is frozen, by its beginning and which of them it is: never while it holds a lock."""


@pytest.mark.parametrize("place", FREEZE)
def test_a_frozen_run_whose_lease_was_taken_over_cannot_write(bot: Bot, race: Callable[..., Racer], place: str) -> None:
    prepared(bot)
    frozen = race(freeze=FREEZE[place]["sqlite" if bot.db.is_sqlite else "postgresql"])
    frozen.go()
    frozen.wait_until_frozen()
    bot.db.run("UPDATE leases SET expires_at = 1")
    winner = race()
    winner.go()
    won = winner.answer()
    assert (won["error"], won["skipped"], len(won["inserted"])) == (None, None, len(TRADES))
    frozen.thaw()
    lost = frozen.answer()
    assert "taken over account:main" in lost["error"]
    assert (lost["exit_code"], lost["inserted"]) == (1, [])
    each_row_once(bot, [won])
    assert bot.db.value("SELECT fence FROM leases WHERE scope = 'account:main'") == 2
