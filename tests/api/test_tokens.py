"""Tokens: printed once, stored as a hash, known by a name that is never given twice."""

from dataclasses import replace

import pytest
from tests.cli.program import Program
from tests.ledger.bot import Bot, why

from trueup.bootstrap import SystemClock
from trueup.core.errors import ConfigurationError, Refused, UnknownName
from trueup.service.app import App
from trueup.service.tokens import (
    PREFIX,
    ROLES,
    Permission,
    authenticate,
    create_token,
    list_tokens,
    revoke_token,
    token_hash,
    usable,
)

DAY_MS = 24 * 3_600_000


class Later(SystemClock):
    """A clock that is ahead."""

    def __init__(self, ms: int) -> None:
        super().__init__()
        self.ms = ms

    def now_ms(self) -> int:
        return super().now_ms() + self.ms


def later(app: App, ms: int) -> App:
    return replace(app, clock=Later(ms))


def test_a_token_opens_the_door_until_it_is_revoked(bot: Bot) -> None:
    app = bot.init()
    made = create_token(app, "alice", "operator")
    assert authenticate(app, made.secret) == made.token
    assert authenticate(app, made.secret + "x") is None
    assert authenticate(app, made.secret.swapcase()) is None
    revoked = revoke_token(app, "alice")
    assert revoked.revoked_at is not None
    assert authenticate(app, made.secret) is None
    assert revoke_token(bot.app(), "alice") == revoked


def test_a_token_expires_to_the_millisecond(bot: Bot) -> None:
    app = bot.init()
    made = create_token(app, "ci", "viewer", expires_days=1)
    assert usable(app, made.token)
    assert authenticate(later(app, DAY_MS - 60_000), made.secret) is not None
    assert authenticate(later(app, DAY_MS), made.secret) is None


def test_a_name_is_never_given_twice(bot: Bot) -> None:
    app = bot.init()
    create_token(app, "alice", "viewer")
    revoke_token(app, "alice")
    with pytest.raises(Refused, match="already"):
        create_token(app, "alice", "operator")
    assert [token.name for token in list_tokens(app)] == ["alice"]


def test_of_a_token_only_its_hash_is_stored(bot: Bot) -> None:
    made = create_token(bot.init(), "alice", "operator")
    assert made.secret.startswith(PREFIX)
    assert len(made.secret) == len(PREFIX) + 43
    [stored] = bot.db.table("api_tokens")
    assert stored["hash"] == token_hash(made.secret)
    assert made.secret.removeprefix(PREFIX) not in repr(stored)
    assert made.secret not in repr(made)


@pytest.mark.parametrize(
    ("name", "role", "days", "said"),
    [
        ("alice", "admin", None, "no role 'admin'"),
        ("", "viewer", None, "no name"),
        ("a b", "viewer", None, "no name"),
        ("a\x00", "viewer", None, "no name"),
        ("a" * 65, "viewer", None, "no name"),
        ("alice", "viewer", 0, "no number of days"),
        ("alice", "viewer", 3651, "no number of days"),
    ],
)
def test_what_makes_no_token(sqlite_bot: Bot, name: str, role: str, days: int | None, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        create_token(sqlite_bot.init(), name, role, days)
    assert said in why(refused.value)


def test_without_the_table_init_is_named(bot: Bot) -> None:
    app = bot.app()
    if bot.db.is_sqlite:
        (bot.folder / "ledger.db").touch()
    for attempt in (lambda: create_token(app, "a", "viewer"), lambda: list_tokens(app), lambda: revoke_token(app, "a")):
        with pytest.raises(ConfigurationError, match="missing"):
            attempt()


def test_an_approver_does_not_act_and_an_operator_does_not_sign() -> None:
    assert all(Permission.READ in permissions for permissions in ROLES.values())
    assert [role for role, given in ROLES.items() if Permission.ACT in given] == ["operator"]
    assert [role for role, given in ROLES.items() if Permission.SIGN in given] == ["approver"]


class TestCommands:
    def test_a_token_is_printed_alone_and_once(self, sqlite_bot: Bot) -> None:
        sqlite_bot.init()
        program = Program(sqlite_bot)
        made = program("token", "create", "--name", "alice", "--role", "operator")
        assert made.code == 0
        secret = made.out.strip()
        assert authenticate(sqlite_bot.app(), secret) is not None
        assert "not shown again" in made.err
        assert secret not in made.err
        for form in ("text", "json"):
            listed = program("token", "list", "--format", form)
            assert (listed.code, "alice" in listed.out, secret in listed.out) == (0, True, False)

    def test_in_json_everything_is_in_the_document(self, sqlite_bot: Bot) -> None:
        sqlite_bot.init()
        program = Program(sqlite_bot)
        words = ("--name", "ci", "--role", "viewer", "--expires-days", "7", "--format", "json")
        made = program("token", "create", *words).json
        assert set(made) == {"name", "role", "usable", "created_at", "expires_at", "revoked_at", "token"}
        assert program("token", "revoke", "ci", "--format", "json").json["usable"] is False
        [listed] = program("token", "list", "--format", "json").json["tokens"]
        assert listed["revoked_at"] is not None

    def test_the_list_says_what_each_is_good_for(self, sqlite_bot: Bot) -> None:
        app = sqlite_bot.init()
        program = Program(sqlite_bot)
        assert "no token yet" in program("token", "list").out
        create_token(app, "alice", "operator")
        create_token(later(app, -8 * DAY_MS), "old", "viewer", 7)
        create_token(app, "gone", "approver")
        assert "is revoked since" in program("token", "revoke", "gone").out
        states = {line.split()[0]: line.split()[2] for line in program("token", "list").out.splitlines()[1:]}
        assert states == {"old": "expired", "alice": "usable", "gone": "revoked"}

    def test_a_name_that_nobody_has_is_told_with_the_nearest(self, sqlite_bot: Bot) -> None:
        create_token(sqlite_bot.init(), "alice", "operator")
        with pytest.raises(UnknownName, match="alicia"):
            revoke_token(sqlite_bot.app(), "alicia")
        answer = Program(sqlite_bot)("token", "revoke", "alicia")
        assert (answer.code, "Did you mean alice?" in answer.err) == (2, True)
