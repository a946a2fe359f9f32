"""The parts that several requests and answers share."""

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

Item = TypeVar("Item")

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""An id or a name as a client writes it: no control characters, which no id has and Postgres could not look for."""

SymbolName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[ -~]*[A-Za-z0-9][ -~]*$")]
"""A symbol in any spelling, BTC/USD or BTCUSD: it has at least one letter or digit."""

Reason = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"),
    Field(description="Why; it is kept for those who ask later."),
]


def _whole(value: object) -> object:
    """Return a number without its empty fraction: in JSON, 10.0 is as whole as 10."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WaitSeconds = Annotated[
    int,
    Field(ge=0, le=30, description="How long to wait for another run on the account."),
    BeforeValidator(_whole),
]

Amount = Annotated[str, Field(description="An exact decimal, as text.", examples=["0.5"])]
Moment = Annotated[str, Field(description="UTC, ISO 8601 with Z.", examples=["2026-01-02T03:04:05.678Z"])]


class Asked(BaseModel):
    """A request's body: an unknown field, or a value of another type, is refused and not overlooked."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """A request's parameters: an unknown one is refused and not overlooked."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """An answer; fields that a newer use case adds go through."""

    model_config = ConfigDict(extra="allow")


class PageQuery(Query):
    """Which page of a list."""

    page: int = Field(default=1, ge=1, le=1_000_000, description="The first is 1.")
    page_size: int = Field(default=50, ge=1, le=200, description="How many a page has.")


class Page(Answer, Generic[Item]):
    """One page of a list."""

    page: int
    page_size: int
    total: int = Field(description="How many there are on all pages.")
    items: list[Item]


class FeedCoverage(Answer):
    """How much of a feed was read."""

    state: str = Field(description="complete, partial, failed or not given.")
    reason: str | None = None
    since: Moment | None = Field(default=None, description="Since when it reaches back.")


class MalformedRow(Answer):
    """A row of the venue's that could not be read."""

    feed: str
    where: str
    why: str


class Quarantined(Answer):
    """An order of the venue's that is withheld from automatic repair."""

    exchange_order_id: str
    why: str


class UnknownThing(Answer):
    """What could not be compared, and why."""

    what: str
    why: str
