"""The gate's own connections on Postgres: prepared once, opened anew where the server closed them, and never a yes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, event, make_url, text
from tests.ledger.bot import Bot, pause

from trueup.core.errors import CannotKnow, ConfigurationError
from trueup.service.app import App
from trueup.service.gate import ask

CLOSE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@contextmanager
def moved(url: str) -> Iterator[None]:
    """Let a database be elsewhere for a while."""
    place = make_url(url)
    name = place.database
    server = create_engine(place.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with server.connect() as connection:
        gone = CLOSE.replace("current_database()", f"'{name}'")
        connection.execute(text(gone))
        connection.execute(text(f'ALTER DATABASE "{name}" RENAME TO "{name}_moved"'))
        try:
            yield
        finally:
            connection.execute(text(f'ALTER DATABASE "{name}_moved" RENAME TO "{name}"'))


def state_of(app: App) -> Any:
    return app.gate._state  # type: ignore[attr-defined]  # the gate's database


def test_an_answer_is_one_statement_and_no_transaction(bot: Bot) -> None:
    app = bot.init()
    state = state_of(app)
    ask(app, "p1", "BTC/USD")
    asked: list[str] = []
    if bot.db.is_sqlite:
        event.listen(state._engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    else:
        real = state.glance

        def glance(look: Any) -> Any:
            def count(ask_one: Any) -> Any:
                def one(statement: str, values: Any) -> Any:
                    asked.append(statement)
                    return ask_one(statement, values)

                return look(one)

            return real(count)

        stand_in: Any = type("Counted", (), {"is_sqlite": False, "glance": staticmethod(glance)})()
        vars(app.gate)["_state"] = stand_in
    assert ask(app, "p1", "BTC/USD").allowed
    assert len(asked) == 1


@pytest.mark.postgres
def test_the_statement_stays_prepared(postgres_bot: Bot) -> None:
    app = postgres_bot.init()
    for _ in range(20):
        ask(app, "p1", "BTC/USD")
    [(count, used)] = state_of(app).glance(
        lambda read: read("SELECT count(*), sum(generic_plans + custom_plans) FROM pg_prepared_statements", {})
    )
    assert count == 1
    assert used > 10


@pytest.mark.postgres
def test_connections_that_the_server_closed_are_opened_anew(postgres_bot: Bot) -> None:
    app = postgres_bot.init()

    def at_once() -> list[bool]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda _: ask(app, "p1", "BTC/USD").allowed, range(16)))

    assert all(at_once())
    pause(app)
    assert postgres_bot.db.rows(CLOSE)
    assert not any(at_once()), "what was set meanwhile holds"


def test_what_cannot_be_read_is_no_answer(bot: Bot) -> None:
    app = bot.init()
    ask(app, "p1", "BTC/USD")
    bot.db.run("ALTER TABLE heartbeats RENAME TO elsewhere")
    with pytest.raises(ConfigurationError, match="not set up"):
        ask(app, "p1", "BTC/USD")
    bot.db.run("ALTER TABLE elsewhere RENAME TO heartbeats")
    assert ask(app, "p1", "BTC/USD").allowed


@pytest.mark.postgres
def test_a_database_that_is_gone_is_not_known(postgres_bot: Bot, postgres_url: str) -> None:
    app = postgres_bot.init()
    ask(app, "p1", "BTC/USD")
    with pytest.raises(CannotKnow), moved(postgres_url):
        ask(app, "p1", "BTC/USD")
    assert ask(app, "p1", "BTC/USD").allowed, "it is back"
