"""Tokens of the HTTP API: who may do what, and how one is made, recognised and revoked.

A token is 256 random bits, so that nobody can try them out, and a plain SHA-256 of it is enough to store: slow
hashes make up for secrets that people choose. It is looked up by that hash alone and never compared itself: how long
a look-up takes could tell digits of a hash at most, and no hash leads back to 256 random bits.
"""

import secrets
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256

from trueup.core.errors import ConfigurationError, Refused, UnknownName, nearest
from trueup.core.times import iso
from trueup.ports import Token
from trueup.service.app import App

PREFIX = "trueup_"
"""How every token begins, so that scanners for secrets that were published find it."""

FIRST = "operator"
"""The name and the role of the token that the first start of the API makes."""

_BYTES = 32
_DAY_MS = 24 * 3_600_000
_LONGEST_DAYS = 3650
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-")
_LONGEST_NAME = 64


class Permission(StrEnum):
    """What a route of the API asks for."""

    READ = "read"
    ACT = "act"
    SIGN = "sign"


ROLES: dict[str, frozenset[Permission]] = {
    "viewer": frozenset({Permission.READ}),
    "operator": frozenset({Permission.READ, Permission.ACT}),
    "approver": frozenset({Permission.READ, Permission.SIGN}),
}
"""What each role may do. An approver does not act, and an operator does not sign off: two people are needed for that,
or one person with two tokens where four eyes are turned off."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made; `secret` is shown once and is nowhere else."""

    token: Token
    secret: str

    def __repr__(self) -> str:
        return f"NewToken({self.token!r}, secret=...)"


def create_token(app: App, name: str, role: str, expires_days: int | None = None) -> NewToken:
    """Make a token; Refused where its name was ever given before."""
    name = name.strip()
    if role not in ROLES:
        raise ConfigurationError(f"There is no role {role!r}.", nearest(role, ROLES))
    if not 0 < len(name) <= _LONGEST_NAME or not set(name) <= _NAME_CHARACTERS:
        raise ConfigurationError(
            f"{name!r} is no name for a token.", f"Use up to {_LONGEST_NAME} letters, digits, or any of . _ @ -"
        )
    if expires_days is not None and not 0 < expires_days <= _LONGEST_DAYS:
        raise ConfigurationError(f"{expires_days} is no number of days.", f"Give 1 to {_LONGEST_DAYS}.")
    _require_table(app)
    now = app.clock.now_ms()
    secret = PREFIX + secrets.token_urlsafe(_BYTES)
    token = Token(
        token_id=app.clock.new_id("TOK"),
        name=name,
        role=role,
        created_at=iso(now),
        expires_at=iso(now + expires_days * _DAY_MS) if expires_days is not None else None,
    )
    app.tokens.create(token, token_hash(secret))
    return NewToken(token, secret)


def first_token(app: App, *, alone: bool) -> NewToken | None:
    """Make the first token of all for an operator, and return it; None where there is one to use already.

    ConfigurationError where there is none to use and others than this machine's programs reach the API (`alone` is
    false), or where those that there were are revoked or expired: then somebody decided that.
    """
    known = list_tokens(app)
    if any(usable(app, token) for token in known):
        return None
    if known or not alone:
        state = "every token is revoked or expired" if known else "there is no token yet"
        raise ConfigurationError(
            f"Nobody could use the API: {state}.", "Make one: trueup token create --name NAME --role operator"
        )
    return create_token(app, FIRST, FIRST)


def authenticate(app: App, secret: str) -> Token | None:
    """Return the token that a secret opens; None for one that is unknown, revoked or expired."""
    found = app.tokens.find(token_hash(secret))
    return found if found is not None and usable(app, found) else None


def in_the_name_of(app: App, permission: Permission) -> App:
    """Return the App acting in the name of the token that the environment holds; as it is, where it holds none.

    ConfigurationError for a token that opens nothing, Refused for one whose role may not.
    """
    secret = app.acting_token()
    if secret is None:
        return app
    token = authenticate(app, secret)
    if token is None:
        raise ConfigurationError("The token in TRUEUP_TOKEN opens nothing.", "It is unknown, expired or revoked.")
    if permission not in ROLES[token.role]:
        roles = " or ".join(role for role, may in ROLES.items() if permission in may)
        raise Refused(f"The role {token.role} may not {permission}.", f"Use a token of the role {roles}.")
    return replace(app, actor=f"api:{token.name}")


def usable(app: App, token: Token) -> bool:
    """Say whether a token opens the door now."""
    expired = token.expires_at is not None and token.expires_at <= iso(app.clock.now_ms())
    return token.revoked_at is None and not expired and token.role in ROLES


def list_tokens(app: App) -> list[Token]:
    """Return every token that was ever made, oldest first."""
    _require_table(app)
    return app.tokens.all()


def revoke_token(app: App, name: str) -> Token:
    """Revoke a token at once; again changes nothing."""
    _require_table(app)
    found = app.tokens.revoke(name, iso(app.clock.now_ms()))
    if found is None:
        raise UnknownName(f"There is no token {name!r}.", nearest(name, [token.name for token in app.tokens.all()]))
    return found


def token_hash(secret: str) -> str:
    """Return what is stored of a token."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def token_json(app: App, token: Token) -> dict[str, object]:
    """Return a token for printing."""
    return {
        "name": token.name, "role": token.role, "usable": usable(app, token), "created_at": token.created_at,
        "expires_at": token.expires_at, "revoked_at": token.revoked_at,
    }  # fmt: skip


def _require_table(app: App) -> None:
    if not app.tokens.exists():
        raise ConfigurationError("The table of the tokens is missing.", "Run `trueup init`.")
