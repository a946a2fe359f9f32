"""The audit's chain in the database: any single change is found, and the first broken row is named by its seq."""

import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from sqlalchemy import text
from tests.ledger.bot import Bot, at, decisions, only, row, run, sold

from trueup.core.audit import HASHED, Verification, verify
from trueup.core.decimals import plain
from trueup.core.times import iso
from trueup.ledger import schema
from trueup.service.app import App
from trueup.service.undo import reapply, revert

AUDIT = schema.AUDIT
NUMBERS = ("filled_qty", "filled_price")
TIMES = ("filled_at", "created_at", "applied_at", "reverted_at")
FIELDS = tuple(schema.audit.c.keys())


class Chain:
    """A small chain with every kind of row, in which one thing at a time is changed and put back."""

    def __init__(self, bot: Bot) -> None:
        self.db = bot.db
        self.app: App = bot.ready(row("TRD-1"), row("TRD-2", "5", 1))
        bot.sells(sold("X1", sub_tag="bytelyst:p1:TRD-1", client_order_id="bytelyst-p1-TRD-1-exit"))
        run(self.app)
        batch = only(run(self.app, apply=True)).batch_id
        revert(self.app, batch, "looks wrong")
        reapply(self.app, batch, "was right")
        self.head = self.app.journal.head()
        self.rows = self.db.rows(f"SELECT * FROM {AUDIT} ORDER BY seq")
        assert self.verdict() == (None, len(self.rows))

    def verify(self, expect_head: str | None = None) -> Verification:
        return verify(self.app.journal.audit_rows(), expect_head)

    def verdict(self) -> tuple[int | None, int]:
        found = self.verify()
        return found.broken_seq, found.rows

    def restored(self) -> None:
        with self.db.engine.begin() as connection:
            connection.execute(text(f"DELETE FROM {AUDIT}"))
            for kept in self.rows:
                values = {n: json.dumps(v) if isinstance(v, dict) else v for n, v in kept.items()}
                names = ", ".join(values)
                marks = ", ".join(
                    f"CAST(:{n} AS JSONB)" if n == "metadata" and not self.db.is_sqlite else f":{n}" for n in values
                )
                connection.execute(text(f"INSERT INTO {AUDIT} ({names}) VALUES ({marks})"), values)

    def change(self, seq: int, column: str, value: Any) -> None:
        kind = "JSONB" if column == "metadata" else "TIMESTAMPTZ" if column in TIMES else None
        as_kind = f"CAST(:v AS {kind})" if kind and not self.db.is_sqlite else ":v"
        self.db.run(f"UPDATE {AUDIT} SET {column} = {as_kind} WHERE seq = {seq}", {"v": value})


@pytest.fixture
def chain(bot: Bot) -> Chain:
    return Chain(bot)


def other(column: str, value: Any) -> Iterator[Any]:
    """Values that a field could be changed to: a little more, nothing, or something where there was nothing."""
    if column in NUMBERS:
        yield plain(Decimal(value or 0) + Decimal("0.000000000000000001"))
    elif column in TIMES:
        yield iso(at(77))
    elif column == "dry_run":
        yield not value
    elif column == "metadata":
        yield '{"a": 1}'
    elif column == "seq":
        yield value + 100
    else:
        yield (value or "") + " "
        yield "x" if value != "x" else "y"
    if value is not None and schema.audit.c[column].nullable:
        yield None


def test_the_chain_has_every_kind_of_row(chain: Chain) -> None:
    assert {found["decision"] for found in chain.rows} >= {
        "DRY_RUN", "PENDING_APPLY", "APPLIED", "NO_GO", "REVERTED", "REAPPLIED",
    }  # fmt: skip
    assert set(FIELDS) == {*HASHED, "prev_hash", "hash", "reverted_at"}


def test_a_single_change_of_any_field_of_any_row_names_that_row(chain: Chain) -> None:
    for kept, column in product(chain.rows, FIELDS):
        for value in other(column, kept[column]):
            chain.change(kept["seq"], column, value)
            broken = chain.verify()
            assert broken.broken_seq == kept["seq"], (kept["seq"], column, kept[column], value, broken)
            assert broken.reason
            if column == "seq":
                chain.db.run(f"UPDATE {AUDIT} SET seq = {kept['seq']} WHERE seq = {value}")
            else:
                was = kept[column]
                chain.change(kept["seq"], column, json.dumps(was) if isinstance(was, dict) else was)
    assert chain.verify().ok


def test_a_change_inside_the_metadata_is_found(chain: Chain) -> None:
    for kept in chain.rows:
        metadata = kept["metadata"] if isinstance(kept["metadata"], dict) else json.loads(kept["metadata"])
        for key, value in metadata.items():
            changes = [{**metadata, key: "changed"}, {k: v for k, v in metadata.items() if k != key}]
            if value is not None:
                changes.append({**metadata, key: None})
            for changed in changes:
                chain.change(kept["seq"], "metadata", json.dumps(changed, sort_keys=True, separators=(",", ":")))
                assert chain.verify().broken_seq == kept["seq"], (key, changed)
        chain.change(kept["seq"], "metadata", json.dumps({**metadata, "more": 1}))
        assert chain.verify().broken_seq == kept["seq"]
        was = kept["metadata"]
        chain.change(kept["seq"], "metadata", json.dumps(was) if isinstance(was, dict) else was)
    assert chain.verify().ok


def test_a_removed_row_is_named(chain: Chain) -> None:
    for kept in chain.rows[:-1]:
        chain.db.run(f"DELETE FROM {AUDIT} WHERE seq = {kept['seq']}")
        assert chain.verify().broken_seq == kept["seq"]
        chain.restored()
    assert chain.verify().ok


def test_a_removed_row_whose_successors_are_renumbered_is_named(chain: Chain) -> None:
    chain.db.run(f"DELETE FROM {AUDIT} WHERE seq = 3")
    for kept in chain.rows[3:]:
        chain.db.run(f"UPDATE {AUDIT} SET seq = {kept['seq'] - 1} WHERE seq = {kept['seq']}")
    assert chain.verify().broken_seq == 3


def test_two_rows_that_are_swapped_are_named(chain: Chain) -> None:
    for first in range(1, len(chain.rows)):
        for number, new in ((first, 0), (first + 1, first), (0, first + 1)):
            chain.db.run(f"UPDATE {AUDIT} SET seq = {new} WHERE seq = {number}")
        assert chain.verify().broken_seq == first
        chain.restored()


@pytest.mark.parametrize("place", ["end", "middle", "front"])
def test_an_inserted_row_is_named(chain: Chain, place: str) -> None:
    columns = ", ".join(name for name in FIELDS if name not in ("seq", "hash"))
    last = len(chain.rows)
    seq = {"end": last + 1, "middle": 3, "front": 0}[place]
    if place == "middle":
        for number in range(last, 2, -1):
            chain.db.run(f"UPDATE {AUDIT} SET seq = {number + 1} WHERE seq = {number}")
    chain.db.run(
        f"INSERT INTO {AUDIT} (seq, hash, {columns}) SELECT {seq}, 'forged', {columns} FROM {AUDIT} WHERE seq = 1"
    )
    assert chain.verify().broken_seq == seq


def test_a_cut_off_tail_is_found_by_the_head_that_was_seen(chain: Chain) -> None:
    assert chain.verify(chain.head).ok
    older = str(chain.rows[1]["hash"])
    assert chain.verify(older).ok
    for kept in reversed(chain.rows):
        chain.db.run(f"DELETE FROM {AUDIT} WHERE seq = {kept['seq']}")
        assert not chain.verify(chain.head).ok
    assert not chain.verify(older).ok
    assert chain.verify().ok


def test_the_head_of_each_run_is_on_record(chain: Chain) -> None:
    heads = [found["audit_head"] for found in chain.db.rows("SELECT * FROM reconcile_runs ORDER BY run_id")]
    assert set(heads) <= {"0" * 64, *(found["hash"] for found in chain.rows)}
    assert all(chain.verify(head).ok for head in heads)


@pytest.mark.postgres
def test_both_databases_write_and_read_the_same_row(request: pytest.FixtureRequest) -> None:
    seen = []
    for name in ("sqlite_bot", "postgres_bot"):
        bot: Bot = request.getfixturevalue(name)
        app = bot.ready(row("TRD-1", "1"))
        bot.sells(sold("X1", trade_id="TRD-1", filled_avg_price="0.123456789012345678"))
        entry = only(run(app))
        assert decisions(entry) == [("TRD-1", "DRY_RUN", "eligible")]
        written = {n: v for n, v in entry.audit[0].columns.items() if n not in ("batch_id", "created_at", "hash")}
        stored = next(app.journal.audit_rows()).columns
        assert {n: stored[n] for n in written} == written
        seen.append(written)
    assert seen[0] == seen[1]
