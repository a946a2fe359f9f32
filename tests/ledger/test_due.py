"""Accounts fall due and are taken by one worker at a time, with fences that only rise; contention is counted."""

import threading
from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.ledger.bot import Bot, row
from tests.ledger.healing import batch_of, canceled, rows_of
from tests.ledger.test_heal import working
from tests.ledger.test_invariants import tries
from tests.ledger.test_leases_and_modes import empty_batch

from trueup.core.errors import Refused
from trueup.ledger import leases as module
from trueup.ledger.leases import LEASE_MS, SqlLeases
from trueup.ports import Lease, LeaseState, UndoRequest
from trueup.service.undo import revert

A, B, C = "account:a", "account:b", "account:c"


class Watch:
    """A clock that a test sets."""

    def __init__(self, now: int = 1_000_000) -> None:
        self.now = now

    def now_ms(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * 1000)

    def new_id(self, prefix: str) -> str:
        return prefix


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def leases(bot: Bot, watch: Watch) -> SqlLeases:
    bot.init()
    made = SqlLeases(bot.store, watch)
    made.register([A, B, C])
    return made


def state(leases: SqlLeases, scope: str = A) -> LeaseState:
    return next(found for found in leases.states() if found.scope == scope)


def elsewhere(bot: Bot, scope: str = A) -> None:
    """Let another machine's process hold what this one holds."""
    bot.db.run("UPDATE leases SET owner = 'far|ns|1|1|token' WHERE scope = :s", {"s": scope})


def test_new_accounts_are_due_at_once_and_registering_again_changes_nothing(leases: SqlLeases, watch: Watch) -> None:
    taken = leases.due(watch.now, 2, [A, B])
    assert [(lease.scope, lease.fence, lease.expires_ms) for lease in taken] == [
        (A, 1, watch.now + LEASE_MS), (B, 1, watch.now + LEASE_MS),
    ]  # fmt: skip
    leases.release(taken[0], watch.now + 5000)
    before = leases.states()
    leases.register([A, B, C])
    leases.register([])
    assert leases.states() == before
    assert leases.due(watch.now, 9, []) == []


def test_the_longest_due_come_first_and_no_more_than_wanted(leases: SqlLeases, watch: Watch, bot: Bot) -> None:
    for scope, moment in ((A, 30), (B, 10), (C, 20)):
        bot.db.run("UPDATE leases SET next_run_at = :m WHERE scope = :s", {"m": moment, "s": scope})
    assert [lease.scope for lease in leases.due(watch.now, 2, [A, B, C])] == [B, C]
    assert [lease.scope for lease in leases.due(watch.now, 2, [A, B, C])] == [A]
    assert leases.due(watch.now, 2, [A, B, C]) == []


def test_an_account_is_due_again_when_its_worker_said_and_not_before(leases: SqlLeases, watch: Watch) -> None:
    [lease] = leases.due(watch.now, 1, [A])
    assert state(leases).next_run_ms is None
    leases.release(lease, watch.now + 5000)
    assert (state(leases).owner, state(leases).next_run_ms) == (None, watch.now + 5000)
    assert leases.due(watch.now + 4999, 9, [A]) == []
    [again] = leases.due(watch.now + 5000, 9, [A])
    assert again.fence == lease.fence + 1


def test_one_that_is_wanted_meanwhile_is_due_when_the_run_is_over(leases: SqlLeases, watch: Watch) -> None:
    [lease] = leases.due(watch.now, 1, [A])
    watch.now += 10
    leases.wake(A)
    assert leases.due(watch.now, 9, [A]) == []
    watch.now += 10
    leases.release(lease, watch.now + 60_000)
    assert state(leases).next_run_ms == 1_000_010
    [again] = leases.due(watch.now, 9, [A])
    leases.release(again, watch.now + 60_000)
    assert state(leases).next_run_ms == watch.now + 60_000
    leases.wake(A)
    assert state(leases).next_run_ms == watch.now
    leases.wake("account:nobody")


def test_what_was_wanted_earlier_is_not_put_off(leases: SqlLeases, watch: Watch) -> None:
    before = state(leases).next_run_ms
    watch.now += 500
    leases.wake(A)
    assert state(leases).next_run_ms == before


def test_an_account_whose_worker_fell_silent_is_taken_over_when_the_lease_expires(
    leases: SqlLeases, watch: Watch, bot: Bot
) -> None:
    [lease] = leases.due(watch.now, 1, [A])
    elsewhere(bot)
    watch.now += LEASE_MS - 1
    assert leases.due(watch.now, 9, [A]) == []
    watch.now += 1
    [other] = leases.due(watch.now, 9, [A])
    assert other.fence == lease.fence + 1
    leases.release(lease, 5)
    assert (state(leases).owner, state(leases).next_run_ms) == (other.owner, None)


def test_a_worker_of_this_machine_that_is_gone_is_taken_over_at_once(leases: SqlLeases, watch: Watch, bot: Bot) -> None:
    [lease] = leases.due(watch.now, 1, [A])
    host, namespace, pid, _, token = lease.owner.split("|")
    bot.db.run(
        "UPDATE leases SET owner = :o WHERE scope = :s", {"o": "|".join((host, namespace, pid, "1", token)), "s": A}
    )
    [other] = leases.due(watch.now, 9, [A])
    assert other.fence == lease.fence + 1


def test_contention_is_counted_where_another_process_holds_what_is_due(
    leases: SqlLeases, watch: Watch, bot: Bot
) -> None:
    [lease] = leases.due(watch.now, 1, [A])
    leases.due(watch.now, 9, [A])
    leases.wake(A)
    leases.due(watch.now, 9, [A])
    assert state(leases).contended == 0
    elsewhere(bot)
    leases.due(watch.now, 9, [A])
    leases.due(watch.now, 9, [B])
    assert state(leases).contended == 1
    with leases.hold(A, 1) as held:
        assert held is None
    assert state(leases).contended == 2
    assert lease.scope == A
    assert state(leases, B).contended == 0


def test_a_hold_leaves_the_time_at_which_an_account_is_due(leases: SqlLeases, watch: Watch) -> None:
    [lease] = leases.due(watch.now, 1, [A])
    leases.release(lease, watch.now + 5000)
    with leases.hold(A, 0) as held:
        assert held is not None
        assert leases.due(watch.now + 6000, 9, [A]) == []
    assert state(leases).next_run_ms == watch.now + 5000


def test_a_writer_that_lost_its_lease_is_refused_and_counted(bot: Bot) -> None:
    """Invariant 12 (Fenced)."""
    app = bot.ready(working(), row("TRD-1"))
    with app.leases.hold("account:main", 0) as lease:
        assert lease is not None
        old = replace(lease, fence=lease.fence - 1)
        request = UndoRequest("RUN-1", app.ledger.profiles()[0], old, batch_of(app, old, []).symbols, "b", "a", "r", "")
        for write in (
            lambda: app.ledger.book(empty_batch(old), rehearse=False),
            lambda: app.ledger.heal(batch_of(app, old, [canceled(rows_of(bot)["w1"])]), rehearse=False),
            lambda: app.ledger.revert(request),
            lambda: app.ledger.reapply(request),
        ):
            with pytest.raises(Refused, match="taken over"):
                write()
        assert not app.ledger.heal(batch_of(app, lease, []), rehearse=False).stale
    assert [found.fenced_out for found in app.leases.states()] == [4]
    with pytest.raises(Exception, match="There is no batch"):
        revert(app, "RUN-1", "nothing")


def test_many_leases_are_renewed_by_one_statement_and_lost_ones_are_told(
    leases: SqlLeases, watch: Watch, bot: Bot
) -> None:
    taken = leases.due(watch.now, 9, [A, B, C])
    elsewhere(bot, B)
    watch.now += 20_000
    seen: list[str] = []

    def note(*said: object) -> None:
        seen.append(str(said[2]).split()[0])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        lost = leases.renew(taken)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert seen.count("UPDATE") == 1
    assert [lease.scope for lease in lost] == [B]
    expiries = {found.scope: found.expires_ms for found in leases.states()}
    assert expiries == {A: 1_020_000 + LEASE_MS, B: 1_000_000 + LEASE_MS, C: 1_020_000 + LEASE_MS}
    assert leases.renew([]) == frozenset()


@pytest.mark.postgres
def test_a_lease_whose_run_writes_right_now_keeps_no_other_from_being_renewed(postgres_bot: Bot) -> None:
    postgres_bot.init()
    leases = SqlLeases(postgres_bot.store, Watch())
    leases.register([A, B])
    taken = leases.due(1_000_000, 9, [A, B])
    with postgres_bot.db.engine.begin() as writing:
        writing.exec_driver_sql("UPDATE leases SET fence = fence WHERE scope = 'account:a'")
        assert leases.renew(taken) == frozenset()
        assert leases.due(10**15, 9, [A]) == []


def test_leases_are_renewed_in_the_background_until_they_are_dropped(
    leases: SqlLeases, watch: Watch, bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.01)
    first, second = leases.due(watch.now, 9, [A, B])
    renewed = threading.Event()
    keep = leases.renew

    def renew(wanted: list[Lease]) -> frozenset[Lease]:
        found = keep(wanted)
        renewed.set()
        return found

    monkeypatch.setattr(leases, "renew", renew)
    with leases.renewing() as renewal:
        renewal.keep(first)
        renewal.keep(second)
        elsewhere(bot, B)
        watch.now += 10_000
        for _ in range(2):
            renewed.clear()
            assert renewed.wait(10)
        assert (renewal.lost(first), renewal.lost(second)) == (False, True)
        assert renewal.kept() == [first]
        renewal.drop(second)
        assert not renewal.lost(second)
    assert state(leases).expires_ms == watch.now + LEASE_MS
    assert not [thread for thread in threading.enumerate() if thread.name == "leases"]


def test_workers_that_ask_at_once_never_take_the_same_account(bot: Bot) -> None:
    bot.init()
    watch = Watch()
    ours = [SqlLeases(bot.store, watch) for _ in range(4)]
    scopes = [f"account:{number}" for number in range(40)]
    ours[0].register(scopes)
    found: list[list[Lease]] = [[] for _ in ours]
    start = threading.Barrier(len(ours))

    def work(number: int) -> None:
        start.wait()
        while taken := ours[number].due(watch.now, 3, scopes):
            found[number] += taken

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(ours))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = list(chain.from_iterable(found))
    assert len({lease.scope for lease in taken}) == len(taken)
    left = ours[0].due(watch.now, 99, scopes)
    assert sorted(lease.scope for lease in [*taken, *left]) == sorted(scopes)
    assert {lease.fence for lease in taken} == {1}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["due", "release", "wake", "renew", "hold"]),
        st.integers(0, 2),
        st.integers(0, 1),
        st.sampled_from([0, 1, 10_000, LEASE_MS - 1, LEASE_MS]),
    ),
    max_size=25,
)


def test_fenced_only_the_newest_taker_of_a_scope_may_write(bot: Bot) -> None:
    """Invariant 12 (Fenced): whatever workers do, and however long they sleep meanwhile."""
    app = bot.init()
    scope = "account:main"

    @tries(30)
    @given(steps=STEPS)
    def check(steps: list[tuple[str, int, int, int]]) -> None:
        bot.db.run("DELETE FROM leases")
        watch = Watch()
        workers = [SqlLeases(bot.store, watch) for _ in range(3)]
        workers[0].register([scope])
        held: dict[int, Lease] = {}
        newest, until, busy = 0, 0, False
        for what, who, jitter, pause in steps:
            watch.now += pause + jitter
            if what == "due":
                taken = workers[who].due(watch.now, 1, [scope])
                if taken:
                    assert not busy or watch.now >= until
                    assert taken[0].fence == newest + 1
                    newest, until, busy = taken[0].fence, taken[0].expires_ms, True
                    held[who] = taken[0]
            elif what == "wake":
                workers[who].wake(scope)
            elif what == "hold" and (not busy or watch.now >= until):
                with workers[who].hold(scope, 0) as lease:
                    assert lease is not None
                    assert lease.fence == newest + 1
                    newest = lease.fence
                busy = False
            elif who in held and what == "release":
                lease = held.pop(who)
                workers[who].release(lease, watch.now + 10 * jitter)
                busy = busy and lease.fence != newest
            elif who in held and what == "renew":
                lost = workers[who].renew([held[who]])
                assert bool(lost) == (held[who].fence != newest)
                until = until if lost else watch.now + LEASE_MS
            for lease in held.values():
                may = True
                try:
                    app.ledger.book(empty_batch(lease), rehearse=True)
                except Refused:
                    may = False
                assert may == (busy and lease.fence == newest), (what, lease, newest)

    check()
