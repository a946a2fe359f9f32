"""How an exchange gives its feeds: which calls, how their pages follow each other, and how far back they see."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from trueup.venues.ccxt.envelopes import Path

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

NextPage = Callable[[object, int, Mapping[str, object], int], Mapping[str, object] | None]
"""What to add to the request for the next page: from the raw answer, its count of rows, what was asked and the limit.

None says that there is no next page.
"""

NOTHING_MORE: Mapping[str, object] = {}


Cash = Callable[[object], Mapping[str, Mapping[str, object]]]
"""What is held of each asset by a raw answer, where ccxt's totals say something else: parts of ccxt's own entries."""


class Paging(Enum):
    """How a feed is read to its end."""

    WHOLE = "whole"
    """One answer; one of `page` rows may be cut off."""

    FOLLOW = "follow"
    """Newest first; the answer says how the next page is asked for."""

    BY_ID = "by_id"
    """Oldest first; the next page begins after the last id, so that no burst in one millisecond can hide a row."""

    BY_TIME = "by_time"
    """Oldest first from a time on; pages overlap by their last millisecond, and a burst that fills a page is a gap."""


@dataclass(frozen=True, slots=True)
class FeedRule:
    """One call of a feed.

    `method` is ccxt's Python name; `segments` are parameters with each of which it is asked once. `page` is how many
    rows an answer holds at most (None: unknown) and `asks_limit` whether that may be asked for. `rows` is where the
    rows stand in the raw answer, and `keeps_all` that ccxt makes exactly one row of each. `start` and `end` are the
    exchange's own parameters for times (None: ccxt's unified ones). `window_ms` is the longest time that one request
    may span, `memory_ms` how long the exchange remembers and `most` how many of its newest rows it keeps. `id_param`
    names the first id wanted; `newest` says that a request without a time gives the newest rows of all. `cash` reads
    what is held of a balance where ccxt gives its worth. `gap` says what of the feed this call never gives.
    """

    method: str
    paging: Paging = Paging.WHOLE
    per_symbol: bool = False
    segments: tuple[Mapping[str, object], ...] = (NOTHING_MORE,)
    page: int | None = None
    asks_limit: bool = True
    rows: Path | None = None
    keeps_all: bool = True
    start: str | None = None
    end: str | None = None
    window_ms: int | None = None
    memory_ms: int | None = None
    most: int | None = None
    id_param: str = ""
    newest: bool = False
    next_page: NextPage | None = None
    cash: Cash | None = None
    gap: str = ""


@dataclass(frozen=True, slots=True)
class OrderList:
    """A call that lists one order where its id is asked for, and the parameters that name it."""

    method: str
    id_param: str | None
    client_id_param: str | None
    segment: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rules:
    """How one exchange is read.

    A feed without a call is one that the exchange does not offer. `margin` asks for positions on borrowed money, beside
    which balances do not say what is held. `market_types` limits what is loaded of its markets
    (None: all), `currencies` says that its markets need its list of currencies, which asks for no key. `forgets_ms`
    is how soon a canceled order without executions is forgotten. `client_id_param` is how one order is asked for by
    its client order id, and `order_params` are the parameters to try in turn when one order is looked for;
    `order_lists` are the lists to ask for it instead.
    """

    open_orders: tuple[FeedRule, ...] = ()
    closed_orders: tuple[FeedRule, ...] = ()
    fills: tuple[FeedRule, ...] = ()
    positions: tuple[FeedRule, ...] = ()
    balances: tuple[FeedRule, ...] = ()
    margin: FeedRule | None = None
    market_types: tuple[str, ...] | None = None
    currencies: bool = False
    side_by_side: int = 1
    forgets_ms: int | None = None
    client_id_param: str | None = None
    order_params: tuple[Mapping[str, object], ...] = (NOTHING_MORE,)
    order_lists: tuple[OrderList, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)
    secrets: tuple[str, ...] | None = None
    known: bool = True
