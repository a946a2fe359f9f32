"""One definition of each rule: the SQL of both databases and the core's own reading say the same of any value."""

import sqlite3
from collections.abc import Sequence

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.postgres import Postgres

from trueup.core.integrity.rules import BLANKS, RuleKind, holds
from trueup.ledger.integrity.rules import holds_sql

NEAR = [
    "TRD-1",
    "TRD-",
    "ENTRY",
    "exit",
    "Entry",
    "ex\u0131t",
    "TRD-" + "a" * 120,
    "TRD-" + "a" * 121,
    "\u017f",
    "trd-1",
]
PIECES = st.one_of(
    st.sampled_from([*NEAR, *BLANKS, "]", "[", "^", "-", "_", ".", ":", "*", "?", "%", "'", '"', "\\", "é", "\u200b"]),
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
)
TEXTS = st.lists(PIECES, max_size=4).map("".join)
ANY = st.one_of(TEXTS, TEXTS.map(lambda text: f"TRD-{text}"), st.none())

WITH_NUL = TEXTS.map(lambda text: f"TRD-{text}\0x")


def on_sqlite(kind: RuleKind, values: Sequence[object]) -> list[bool]:
    """What a column without a type holds is anything."""
    with sqlite3.connect(":memory:") as connection:
        connection.execute('CREATE TABLE t (n INTEGER, "a b")')
        connection.executemany("INSERT INTO t VALUES (?, ?)", enumerate(values))
        holding = holds_sql(kind, '"a b"', "sqlite")
        query = f"SELECT {holding} FROM t ORDER BY n"
        return [bool(found) for (found,) in connection.execute(query)]


@pytest.mark.parametrize("kind", list(RuleKind))
@given(
    values=st.lists(
        st.one_of(ANY, TEXTS.map(lambda text: f"TRD-{text}\0x"), st.binary(), st.integers(0, 9)), max_size=20
    )
)
@settings(max_examples=60)
def test_a_rule_on_sqlite_says_what_the_core_says(kind: RuleKind, values: list[object]) -> None:
    assert on_sqlite(kind, values) == [holds(kind, value) for value in values]


@pytest.mark.postgres
@pytest.mark.parametrize("kind", list(RuleKind))
def test_a_rule_on_postgres_says_what_the_core_says(kind: RuleKind, postgres: Postgres) -> None:
    with postgres.fresh_database() as url, psycopg.connect(url.replace("+psycopg", "")) as connection:
        query = (
            f"SELECT {holds_sql(kind, 'a', 'postgresql')} FROM unnest(%s::text[]) WITH ORDINALITY t(a, n) ORDER BY n"
        )

        @given(values=st.lists(ANY, max_size=20))
        @settings(max_examples=60)
        def check(values: list[str | None]) -> None:
            found = [row[0] for row in connection.execute(query.encode(), [values])]
            assert found == [holds(kind, value) for value in values]

        check()
