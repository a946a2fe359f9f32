"""The tokens of the HTTP API in the database: names, roles and hashes, never a token."""

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from trueup.core.errors import Refused
from trueup.ledger import schema
from trueup.ledger.tables import Store, fits
from trueup.ports import Token

_table = schema.api_tokens


class SqlTokens:
    """The Tokens port."""

    def __init__(self, store: Store) -> None:
        self._state = store.state

    def exists(self) -> bool:
        """Say whether the table of the tokens is there."""
        with self._state.reading() as connection:
            return fits(connection, _table)

    def create(self, token: Token, token_hash: str) -> None:
        """Store a token; Refused where its name was ever given before."""
        values = {
            "token_id": token.token_id, "name": token.name, "role": token.role, "hash": token_hash,
            "created_at": token.created_at, "expires_at": token.expires_at,
        }  # fmt: skip
        with self._state.writing() as connection:
            try:
                with connection.begin_nested():
                    connection.execute(insert(_table).values(values))
            except IntegrityError:
                raise Refused(
                    f"There is or was a token {token.name!r} already.",
                    "Choose another name: what was done is known by the name, so none is given twice.",
                ) from None

    def find(self, token_hash: str) -> Token | None:
        """Return the token with a hash, expired and revoked ones included; None where there is none."""
        with self._state.reading() as connection:
            found = connection.execute(select(_table).where(_table.c.hash == token_hash)).first()
        return _token(found) if found is not None else None

    def revoke(self, name: str, now: str) -> Token | None:
        """Revoke a token from now on (a second time changes nothing) and return it; None where there is none."""
        mine = _table.c.name == name
        with self._state.writing() as connection:
            connection.execute(update(_table).where(mine, _table.c.revoked_at.is_(None)).values(revoked_at=now))
            found = connection.execute(select(_table).where(mine)).first()
        return _token(found) if found is not None else None

    def all(self) -> list[Token]:
        """Return every token that was ever made, oldest first."""
        with self._state.reading() as connection:
            rows = connection.execute(select(_table).order_by(_table.c.created_at, _table.c.name))
            return [_token(row) for row in rows]


def _token(row: Row[tuple[object, ...]]) -> Token:
    found = row._mapping  # noqa: SLF001  # SQLAlchemy's public way to a row's columns by name
    return Token(
        token_id=found["token_id"],
        name=found["name"],
        role=found["role"],
        created_at=found["created_at"],
        expires_at=found["expires_at"],
        revoked_at=found["revoked_at"],
    )
