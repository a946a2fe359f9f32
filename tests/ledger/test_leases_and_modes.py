"""The Leases and Modes ports: one holder of a scope at a time, fences that only rise, modes with their history."""

from dataclasses import replace

import pytest
from tests.ledger.bot import Bot, at, pause, row

from trueup.core.errors import Refused
from trueup.core.modes import Mode
from trueup.core.symbols import Symbols
from trueup.core.times import iso
from trueup.ports import Lease, Profile, RepairBatch

SCOPE = "account:main"


def empty_batch(lease: Lease, **more: tuple[str, ...]) -> RepairBatch:
    return RepairBatch("BATCH-1", Profile("p1", "main"), lease, (), Symbols(), "bytelyst", iso(at(0)), **more)


def test_a_scope_has_one_holder_and_every_taking_raises_the_fence(bot: Bot) -> None:
    first, second = bot.init(), bot.app()
    with first.leases.hold(SCOPE, 0) as held:
        assert held is not None
        assert held.fence == 1
        with second.leases.hold(SCOPE, 0) as other, second.leases.hold("account:other", 0) as elsewhere:
            assert other is None
            assert elsewhere is not None
    with second.leases.hold(SCOPE, 0) as held:
        assert held is not None
        assert held.fence == 2


def test_a_lease_is_given_back_where_its_run_fails(bot: Bot) -> None:
    app = bot.init()
    with pytest.raises(ZeroDivisionError), app.leases.hold(SCOPE, 0):
        raise ZeroDivisionError
    with app.leases.hold(SCOPE, 0) as held:
        assert held is not None


def test_an_expired_lease_is_taken_over_and_its_old_holder_cannot_write_or_give_it_back(bot: Bot) -> None:
    first, second = bot.init(), bot.app()
    with first.leases.hold(SCOPE, 0) as old:
        assert old is not None
        bot.db.run("UPDATE leases SET expires_at = 1")
        with second.leases.hold(SCOPE, 0) as new:
            assert new is not None
            assert new.fence == old.fence + 1
            with pytest.raises(Refused, match="taken over"):
                first.ledger.book(empty_batch(old), rehearse=False)
            second.ledger.book(empty_batch(new), rehearse=False)
            first.leases._set(old, owner=None, expires_at=0)
            second.ledger.book(empty_batch(new), rehearse=False)


@pytest.mark.parametrize("wrong", [{"fence": 7}, {"owner": "somebody"}, {"scope": "account:other"}])
def test_a_repair_needs_the_very_lease(bot: Bot, wrong: dict[str, object]) -> None:
    app = bot.init()
    with app.leases.hold(SCOPE, 0) as held:
        assert held is not None
        app.ledger.book(empty_batch(held), rehearse=False)
        with pytest.raises(Refused, match="taken over"):
            app.ledger.book(empty_batch(replace(held, **wrong)), rehearse=False)


def test_the_lease_of_a_process_that_is_gone_is_taken_over_at_once(bot: Bot) -> None:
    app = bot.init()
    with app.leases.hold(SCOPE, 0) as held:
        assert held is not None
        host, namespace, pid, started, token = held.owner.split("|")
        alive = ("|".join((host, namespace, pid, started, "0")), "|".join(("other-host", namespace, "1", "1", token)))
        gone = "|".join((host, namespace, pid, "1", token))
        for owner, free in (*((name, False) for name in alive), (gone, True)):
            bot.db.run("UPDATE leases SET owner = :o, expires_at = :e", {"o": owner, "e": held.expires_ms + 60_000})
            with bot.app().leases.hold(SCOPE, 0) as taken:
                assert (taken is not None) == free, owner


def test_modes_are_kept_with_their_history_and_the_newest_is_in_force(bot: Bot) -> None:
    app = bot.app()
    if bot.db.is_sqlite:
        (bot.folder / "ledger.db").touch()
    assert app.modes.current() == {}
    assert app.modes.history(5) == []
    bot.init()
    pause(app)
    pause(app, Mode.HALT, "profile:p1")
    pause(app, Mode.NORMAL)
    assert app.modes.current() == {"global": Mode.NORMAL, "profile:p1": Mode.HALT}
    told = [(change.scope, change.previous.name, change.mode.name) for change in app.modes.history(2)]
    assert told == [("global", "SAFE_MODE", "NORMAL"), ("profile:p1", "NORMAL", "HALT")]
    assert len(app.modes.history(9)) == 3


def test_an_open_incident_forbids_to_loosen_its_scope_and_nothing_forbids_to_tighten(bot: Bot) -> None:
    app = bot.ready(row("TRD-1"))
    bot.db.run(
        "INSERT INTO incidents (incident_id, scope, status, opened_at) VALUES ('INC-1', 'global', 'open', :at)",
        {"at": iso(at(0))},
    )
    pause(app, Mode.HALT)
    with pytest.raises(Refused, match="INC-1"):
        pause(app, Mode.SAFE_MODE)
    assert app.modes.current() == {"global": Mode.HALT}
    bot.db.run("UPDATE incidents SET closed_at = :at", {"at": iso(at(1))})
    pause(app, Mode.NORMAL)
    assert app.modes.current() == {"global": Mode.NORMAL}
