"""How each exchange gives its feeds: the named ones by hand, any other by what ccxt says that it has.

Requests of one reading of an account with 20 symbols and no order, the venue's time included (a test counts them):

| exchange | requests | why so many |
|---|---|---|
| binance | 44 | it lists orders and fills per symbol only; 180 of the 1200 weights that ccxt allows itself a minute |
| binanceusdm, binancecoinm | 46 | as above, and positions and conditional orders for the whole account |
| bybit | 24 | working orders of 5 kinds, history of 3 and executions of 5, positions by 3 settlements; 2 only once |
| okx | 22 | 4 kinds of instruments, each with filled orders, canceled orders and fills; 5 kinds of working orders |
| kraken | 7 | all for the whole account |
| coinbase | 6 | all for the whole account |
| hyperliquid | 9 | all for the whole wallet; fills are asked for once more to see that none is newer |
| kucoin | 64 | its fast engine lists orders and fills per symbol only; conditional orders at once |

What is held is read twice, before and after the rest: a list of positions or balances tells neither its length nor its
end, and two answers that differ are none. Where there are rows, what stands before the first and after the last of them
is asked for as well, at Binance by id and by time: up to three requests more for each listing, and one for each further
page. What an exchange answers for the whole account is asked for the whole account.
"""

from collections.abc import Mapping
from typing import Any

from trueup.venues.ccxt.envelopes import rows_at
from trueup.venues.ccxt.generic import generic_rules
from trueup.venues.ccxt.rules import DAY_MS, HOUR_MS, FeedRule, OrderList, Paging, Rules

WHOLE_LIST = ()
"""The raw answer is the list of rows itself."""


def _cursor(*path: str) -> Any:
    """Return the reader of a cursor that stands at a path of the answer and is asked for as `cursor`."""

    def following(raw: object, count: int, _asked: Mapping[str, object], _limit: int) -> Mapping[str, object] | None:
        value: object = raw
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return {"cursor": value} if isinstance(value, str) and value and count else None

    return following


def _after_last(id_name: str) -> Any:
    """Return the reader of OKX's pages: what is older than the last row (`after` its id)."""

    def following(raw: object, _count: int, _asked: Mapping[str, object], _limit: int) -> Mapping[str, object] | None:
        rows = raw.get("data") if isinstance(raw, Mapping) else None
        last = rows[-1] if isinstance(rows, list) and rows else None
        return {"after": last[id_name]} if isinstance(last, Mapping) and id_name in last else None

    return following


def _okx_cash(raw: object) -> Mapping[str, Mapping[str, object]]:
    """Return what is held at OKX: ccxt's total is the equity, with what its contracts gain and lose."""
    accounts = rows_at(raw, ("data",)) or []
    details = [row for account in accounts for row in rows_at(account, ("details",)) or [] if isinstance(row, Mapping)]
    return {
        str(row.get("ccy")): {"total": row.get("cashBal"), **({"debt": row["liab"]} if row.get("liab") else {})}
        for row in details
    }


def _offset(raw: object, count: int, asked: Mapping[str, object], _limit: int) -> Mapping[str, object] | None:
    """Read Kraken's pages: the answer counts all rows, and `ofs` is how many to leave out."""
    result = raw.get("result") if isinstance(raw, Mapping) else None
    total = result.get("count") if isinstance(result, Mapping) else None
    done = int(str(asked.get("ofs", 0))) + count
    if not count or (isinstance(total, int) and done >= total):
        return None
    return {"ofs": done}


def _numbered(raw: object, count: int, asked: Mapping[str, object], _limit: int) -> Mapping[str, object] | None:
    """Read KuCoin's pages: by number, or by `lastId` where the account trades on its fast engine."""
    data = raw.get("data") if isinstance(raw, Mapping) else None
    if not isinstance(data, Mapping) or not count:
        return None
    if data.get("lastId"):
        return {"lastId": data["lastId"]} if data["lastId"] != asked.get("lastId") else None
    page, pages = data.get("currentPage"), data.get("totalPage")
    return {"currentPage": page + 1} if isinstance(page, int) and isinstance(pages, int) and page < pages else None


_BINANCE_OPTIONS: Mapping[str, object] = {
    "fetchCurrencies": False,
    "fetchMargins": False,
    "leverageBrackets": {},
    "warnOnFetchOpenOrdersWithoutSymbol": False,
}
"""Its lists of currencies and of margin pairs ask for a key, its leverage brackets are of no use here."""

_BINANCE = Rules(
    open_orders=(FeedRule("fetch_open_orders", rows=WHOLE_LIST),),
    # Spot keeps its orders for good, but forgets canceled and expired ones without executions after 90 days. Without a
    # time it gives the newest; with orderId or fromId what follows that id.
    closed_orders=(
        FeedRule(
            "fetch_orders", Paging.BY_ID, per_symbol=True, page=1000, rows=WHOLE_LIST, start="startTime",
            id_param="orderId", newest=True,
        ),
    ),
    fills=(
        FeedRule(
            "fetch_my_trades", Paging.BY_ID, per_symbol=True, page=1000, rows=WHOLE_LIST, start="startTime",
            id_param="fromId", newest=True,
        ),
    ),
    balances=(FeedRule("fetch_balance", rows=("balances",)),),
    market_types=("spot",),
    side_by_side=4,
    forgets_ms=90 * DAY_MS,
    client_id_param="origClientOrderId",
    options=_BINANCE_OPTIONS,
)  # fmt: skip


def _binance_futures(kind: str) -> Rules:
    """Return the rules of Binance's futures: a request spans 7 days at most, and is for the last 7 without a time.

    Orders are kept for 90 days, fills for 6 months; an order canceled without executions for 3 days. Conditional
    orders are a list of their own (algo orders).
    """
    return Rules(
        open_orders=(FeedRule("fetch_open_orders", segments=({}, {"trigger": True}), rows=WHOLE_LIST),),
        closed_orders=(
            FeedRule(
                "fetch_orders", Paging.BY_ID, per_symbol=True, page=1000, rows=WHOLE_LIST, start="startTime",
                end="endTime", window_ms=7 * DAY_MS, memory_ms=90 * DAY_MS, id_param="orderId",
            ),
        ),
        fills=(
            FeedRule(
                "fetch_my_trades", Paging.BY_ID, per_symbol=True, page=1000, rows=WHOLE_LIST, start="startTime",
                end="endTime", window_ms=7 * DAY_MS, memory_ms=180 * DAY_MS, id_param="fromId",
            ),
        ),
        positions=(FeedRule("fetch_positions", rows=WHOLE_LIST),),
        balances=(FeedRule("fetch_balance", rows=("assets",)),),
        market_types=(kind,),
        side_by_side=4,
        forgets_ms=3 * DAY_MS,
        client_id_param="origClientOrderId",
        order_params=({}, {"trigger": True}),
        options=_BINANCE_OPTIONS,
    )  # fmt: skip


_BYBIT_LIST = ("result", "list")
_BYBIT_NEXT = _cursor("result", "nextPageCursor")
_SPOT: Mapping[str, object] = {"type": "spot"}
_LINEAR: Mapping[str, object] = {"type": "swap", "subType": "linear"}
_INVERSE: Mapping[str, object] = {"type": "swap", "subType": "inverse"}
_BYBIT_KINDS = (_SPOT, _LINEAR, _INVERSE)
_BYBIT_HELD = ({**_LINEAR, "settleCoin": "USDT"}, {**_LINEAR, "settleCoin": "USDC"}, _INVERSE)

_BYBIT = Rules(
    open_orders=(
        FeedRule(
            "fetch_open_orders", Paging.FOLLOW, page=50, rows=_BYBIT_LIST, next_page=_BYBIT_NEXT,
            segments=(_SPOT, {**_SPOT, "trigger": True}, *_BYBIT_HELD),
        ),
    ),
    closed_orders=(
        FeedRule(
            "fetch_canceled_and_closed_orders", Paging.FOLLOW, page=50, rows=_BYBIT_LIST, next_page=_BYBIT_NEXT,
            segments=_BYBIT_KINDS, start="startTime", end="endTime", window_ms=7 * DAY_MS, memory_ms=730 * DAY_MS,
        ),
    ),
    # ccxt asks for executions of type Trade only; liquidations and ADL executions are others.
    fills=(
        FeedRule(
            "fetch_my_trades", Paging.FOLLOW, page=100, rows=_BYBIT_LIST, next_page=_BYBIT_NEXT, start="startTime",
            end="endTime", window_ms=7 * DAY_MS, memory_ms=730 * DAY_MS,
            segments=(
                *_BYBIT_KINDS,
                {**_LINEAR, "execType": "BustTrade"},
                {**_LINEAR, "execType": "AdlTrade"},
            ),
        ),
    ),
    positions=(
        FeedRule("fetch_positions", Paging.FOLLOW, page=200, rows=_BYBIT_LIST, next_page=_BYBIT_NEXT,
                 segments=_BYBIT_HELD, asks_limit=False),
    ),
    balances=(FeedRule("fetch_balance", rows=_BYBIT_LIST),),
    market_types=("spot", "linear", "inverse"),
    side_by_side=4,
    forgets_ms=DAY_MS,
    # ccxt's fetchOrder sees the last 500 orders; the lists of working and of past orders see all, one by one.
    order_lists=(
        OrderList("fetch_open_orders", "orderId", "orderLinkId"),
        OrderList("fetch_open_orders", "orderId", "orderLinkId", {"trigger": True}),
        OrderList("fetch_canceled_and_closed_orders", "orderId", "orderLinkId"),
    ),
)  # fmt: skip

_OKX_DATA = ("data",)
_OKX_KINDS = ({"type": "spot"}, {"type": "margin"}, {"type": "swap"}, {"type": "future"})
_OKX_ALGOS = tuple({"ordType": kind} for kind in ("conditional", "oco", "trigger", "move_order_stop"))

_OKX = Rules(
    open_orders=(
        FeedRule("fetch_open_orders", Paging.FOLLOW, page=100, rows=_OKX_DATA, next_page=_after_last("ordId")),
        FeedRule("fetch_open_orders", Paging.FOLLOW, page=100, rows=_OKX_DATA, next_page=_after_last("algoId"),
                 segments=_OKX_ALGOS),
    ),
    # The history of 7 days holds filled orders and canceled ones with executions; one canceled without any is gone
    # after 2 hours. ccxt asks for the two states apart.
    closed_orders=tuple(
        FeedRule(
            method, Paging.FOLLOW, page=100, rows=_OKX_DATA, next_page=_after_last("ordId"), segments=_OKX_KINDS,
            start="begin", memory_ms=7 * DAY_MS,
        )
        for method in ("fetch_closed_orders", "fetch_canceled_orders")
    ),
    fills=(
        FeedRule(
            "fetch_my_trades", Paging.FOLLOW, page=100, rows=_OKX_DATA, next_page=_after_last("billId"),
            segments=_OKX_KINDS, start="begin", memory_ms=90 * DAY_MS,
        ),
    ),
    positions=(FeedRule("fetch_positions", rows=_OKX_DATA),),
    balances=(FeedRule("fetch_balance", rows=_OKX_DATA, cash=_okx_cash),),
    market_types=("spot", "future", "swap"),
    side_by_side=4,
    forgets_ms=2 * HOUR_MS,
    client_id_param="clOrdId",
    order_params=({}, {"trigger": True}),
)  # fmt: skip

_KRAKEN = Rules(
    open_orders=(FeedRule("fetch_open_orders", rows=("result", "open")),),
    # ccxt's closed orders are all that are over: Kraken's ClosedOrders lists canceled and expired ones too.
    closed_orders=(
        FeedRule("fetch_closed_orders", Paging.FOLLOW, page=50, asks_limit=False, rows=("result", "closed"),
                 next_page=_offset),
    ),
    fills=(
        FeedRule("fetch_my_trades", Paging.FOLLOW, page=50, asks_limit=False, rows=("result", "trades"),
                 next_page=_offset),
    ),
    balances=(FeedRule("fetch_balance", rows=("result",)),),
    margin=FeedRule("fetch_positions", rows=("result",)),
    currencies=True,
    # Its nonce must rise from call to call, so that calls cannot overtake each other.
    side_by_side=1,
    order_lists=(
        OrderList("fetch_open_orders", None, "clientOrderId"),
        OrderList("fetch_closed_orders", None, "clientOrderId"),
    ),
)  # fmt: skip

_COINBASE = Rules(
    open_orders=(
        FeedRule("fetch_open_orders", Paging.FOLLOW, page=1000, rows=("orders",), next_page=_cursor("cursor")),
    ),
    closed_orders=(FeedRule("fetch_orders", Paging.FOLLOW, page=1000, rows=("orders",), next_page=_cursor("cursor")),),
    fills=(FeedRule("fetch_my_trades", Paging.FOLLOW, page=1000, rows=("fills",), next_page=_cursor("cursor")),),
    # Without it ccxt asks for the older list of accounts, which ends at a page and has rows of another kind.
    balances=(FeedRule("fetch_balance", rows=("accounts",), segments=({"v3": True},)),),
    side_by_side=4,
)  # fmt: skip

_HYPERLIQUID = Rules(
    open_orders=(FeedRule("fetch_open_orders", rows=WHOLE_LIST),),
    # The history is the newest 2000 changes of orders; ccxt keeps the last of each order.
    closed_orders=(FeedRule("fetch_orders", page=2000, asks_limit=False, rows=WHOLE_LIST, keeps_all=False),),
    # Of fills the newest 10000 are kept.
    fills=(FeedRule("fetch_my_trades", Paging.BY_TIME, page=2000, asks_limit=False, rows=WHOLE_LIST, most=10_000),),
    positions=(FeedRule("fetch_positions", rows=("assetPositions",)),),
    balances=(FeedRule("fetch_balance", segments=({"type": "spot"},), rows=("balances",)),),
    market_types=("spot", "swap"),
    currencies=True,
    side_by_side=4,
    client_id_param="clientOrderId",
    # For how long it knows an order by its id, it does not say.
    forgets_ms=DAY_MS,
    secrets=("wallet",),
)  # fmt: skip

_KUCOIN = Rules(
    # Its fast engine lists working orders per symbol only, and keeps the conditional ones in the older list.
    open_orders=(
        FeedRule("fetch_open_orders", Paging.FOLLOW, per_symbol=True, page=500, next_page=_numbered),
        FeedRule("fetch_open_orders", Paging.FOLLOW, page=500, next_page=_numbered,
                 segments=({"trigger": True, "hf": False},)),
    ),
    # A filled order is kept for 7 days, one that was canceled for 2 days; neither is found by its id for longer than 3.
    closed_orders=(
        FeedRule("fetch_closed_orders", Paging.FOLLOW, per_symbol=True, page=500, memory_ms=7 * DAY_MS,
                 next_page=_numbered, start="startAt", end="endAt", window_ms=7 * DAY_MS),
    ),
    fills=(
        FeedRule("fetch_my_trades", Paging.FOLLOW, per_symbol=True, page=500, asks_limit=False,
                 next_page=_numbered, segments=({"pageSize": 500},), start="startAt", end="endAt",
                 window_ms=7 * DAY_MS, memory_ms=7 * DAY_MS),
    ),
    balances=(FeedRule("fetch_balance", rows=("data",)),),
    market_types=("spot",),
    side_by_side=4,
    forgets_ms=2 * DAY_MS,
    client_id_param="clientOrderId",
    order_params=({}, {"trigger": True}),
    options={"uta": False},
)  # fmt: skip

NAMED: Mapping[str, Rules] = {
    "binance": _BINANCE,
    "binancecoinm": _binance_futures("inverse"),
    "binanceusdm": _binance_futures("linear"),
    "bybit": _BYBIT,
    "coinbase": _COINBASE,
    "hyperliquid": _HYPERLIQUID,
    "kraken": _KRAKEN,
    "kucoin": _KUCOIN,
    "okx": _OKX,
}
"""The exchanges whose rules were written by hand, by ccxt's name."""


def rules_of(name: str, exchange: Any) -> Rules:
    """Return how an exchange is read."""
    return NAMED.get(name) or generic_rules(name, exchange)
