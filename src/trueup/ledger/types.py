"""Column types whose values are the same on both databases: exact decimals, UTC times, canonical JSON.

Times are ISO 8601 text with milliseconds and Z in Python and on SQLite, timestamptz on Postgres.
"""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import DateTime, Dialect, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine

from trueup.core.audit import canonical_json
from trueup.core.decimals import plain
from trueup.core.times import iso, of_datetime, read_time, to_datetime


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal: NUMERIC(38,18) on Postgres, plain text on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the database's own type."""
        return dialect.type_descriptor(Numeric(38, 18) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> object:
        """Write a decimal; anything else, as in a comparison, goes as it is."""
        return plain(value) if isinstance(value, Decimal) and dialect.name != "postgresql" else value

    def process_result_value(self, value: object, dialect: Dialect) -> Any:  # noqa: ARG002  # SQLAlchemy's signature
        """Hand over what the database holds; the core reads it strictly."""
        return value


class UtcTime(TypeDecorator[str]):
    """A UTC time as ISO 8601 text with Z."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the database's own type."""
        return dialect.type_descriptor(DateTime(timezone=True) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> object:
        """Write a time."""
        if value is None or dialect.name != "postgresql":
            return value
        return to_datetime(read_time(value))

    def process_result_value(self, value: object, dialect: Dialect) -> Any:  # noqa: ARG002  # SQLAlchemy's signature
        """Read a time as ISO text, to the microsecond where it has any below the millisecond."""
        if not isinstance(value, datetime):
            return value
        text = iso(of_datetime(value))
        return text if value.microsecond % 1000 == 0 else f"{text[:-4]}{value.microsecond:06d}Z"


class JsonText(TypeDecorator[dict[str, object]]):
    """A JSON object as its canonical text: JSONB on Postgres, text on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the database's own type."""
        return dialect.type_descriptor(JSONB(none_as_null=True) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> object:
        """Write canonical JSON text; Postgres gets the object."""
        if value is None:
            return None
        if dialect.name == "postgresql":
            return json.loads(value) if isinstance(value, str) else value
        return value if isinstance(value, str) else canonical_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Read canonical JSON text."""
        return canonical_json(value) if dialect.name == "postgresql" and value is not None else value
