"""Playing seeded ledgers through the report on a real database, which is emptied in between."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text
from tests.integrity.ledgers import PROFILES, Key, Ledger, key_of
from tests.ledger.bot import Bot, a_bot

from trueup.core.integrity.kinds import Kind
from trueup.service.app import App
from trueup.service.integrity_report import report

TABLES = ("orders", "trade_history", "positions")


class Place:
    """An initialised ledger that takes one made-up ledger after the other."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        bot.profiles = [{"id": name} for name in PROFILES]
        self.app: App = bot.init()

    def fill(self, tables: dict[str, list[dict[str, Any]]]) -> None:
        with self.bot.db.engine.begin() as connection:
            for table in TABLES:
                connection.execute(text(f"DELETE FROM {table}"))
                groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
                for row in tables.get(table, []):
                    groups.setdefault(tuple(row), []).append(row)
                for names, rows in groups.items():
                    marks = ", ".join(f":{name}" for name in names)
                    connection.execute(text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"), rows)

    def found(self) -> tuple[Counter[Key], int]:
        made = report(self.app)
        keys = Counter(map(key_of, made.findings()))
        assert made.clean is (not keys and not made.unknown_count)
        return keys, made.unknown_count


@contextmanager
def a_place(folder: Path, url: str) -> Iterator[Place]:
    with a_bot(folder, url) as bot:
        yield Place(bot)


@dataclass(frozen=True)
class Played:
    """One ledger: what was planted by kind, what should be said, what was, and what could not be read."""

    seed: int
    planted: tuple[Kind, ...]
    should: frozenset[Key]
    said: frozenset[Key]
    unknown: int

    @property
    def well(self) -> bool:
        return self.should == self.said and not self.unknown


def kinds_of(seed: int) -> tuple[Kind, ...]:
    """What is planted by a seed: nothing, each kind alone in turn, or a mixture."""
    every = list(Kind)
    turn = seed % (len(every) + 4)
    if turn < len(every):
        return (every[turn],)
    if turn == len(every):
        return ()
    chosen = Ledger(-seed).random
    return tuple(chosen.choice(every) for _ in range(chosen.randrange(2, 8)))


def ledger_of(seed: int) -> tuple[Ledger, set[Key]]:
    """Return the ledger of a seed, with what should be said of it."""
    ledger = Ledger(seed)
    return ledger, {key for kind in kinds_of(seed) for key in ledger.plant(kind)}


def play(seed: int, place: Place) -> Played:
    planted = kinds_of(seed)
    ledger, should = ledger_of(seed)
    place.fill(ledger.tables())
    said, unknown = place.found()
    return Played(seed, planted, frozenset(should), frozenset(said), unknown)
