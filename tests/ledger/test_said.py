"""Every run ends with its summary, whatever happens in it."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.bot import Bot, run
from tests.ledger.test_invariants import sales, traded, tries

from trueup.core.errors import CannotKnow, ConfigurationError, Refused, TrueupError


class Failing:
    """A port of which one method raises when it is called for the n-th time."""

    def __init__(self, port: object, method: str, call: int, error: BaseException) -> None:
        self._port, self._method, self._left, self._error = port, method, call, error

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name != self._method:
            return found

        def failing(*given: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                raise self._error
            return found(*given, **named)

        return failing


PLACES = [
    ("ledger", "profiles"), ("ledger", "open_trade_rows"), ("ledger", "rows_booking"), ("ledger", "existing_ids"),
    ("ledger", "book"), ("journal", "audit_exists"), ("journal", "applied"), ("journal", "reverted"),
    ("journal", "settled"), ("journal", "interrupted"), ("journal", "record"), ("leases", "hold"), ("modes", "current"),
]  # fmt: skip
ERRORS = [
    CannotKnow("the database went away", "look"), ConfigurationError("no rights", "grant them"), Refused("no", "why"),
    RuntimeError("a bug"), KeyboardInterrupt(), MemoryError(),
]  # fmt: skip


def test_said_every_run_ends_with_a_summary_whatever_raises_inside_it(bot: Bot) -> None:
    """Invariant 13 (Said)."""
    app = bot.init()

    @tries(25)
    @given(
        sales=sales(),
        place=st.sampled_from(PLACES),
        call=st.integers(1, 3),
        error=st.sampled_from(ERRORS),
        apply=st.booleans(),
    )
    def check(sales: Any, place: tuple[str, str], call: int, error: BaseException, apply: bool) -> None:
        traded(bot, app, sales)
        port, method = place
        failing = Failing(getattr(app, port), method, call, error)
        with suppress(TrueupError, RuntimeError, KeyboardInterrupt, MemoryError):
            run(replace(app, **{port: failing}), apply=apply)
        for ended in bot.db.table("reconcile_runs"):
            assert ended["status"] in ("OK", "MISMATCH", "INCONCLUSIVE"), place
            assert ended["summary"], place
            assert ended["ended_at"], place

    check()
