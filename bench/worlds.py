"""Seeded data for the measurements: open trades with evidence, and ledgers with a long history."""

import random
from collections.abc import Iterator
from decimal import Decimal

from trueup.core.orders import Action, LedgerOrder, Side, StatusClass
from trueup.core.repair.booked import BookedIndex
from trueup.core.repair.plan import AccountFacts
from trueup.core.repair.slices import slices_of
from trueup.core.snapshot import Coverage, Feed, FeedState, Snapshot, VenueOrder
from trueup.core.symbols import Symbols

NOW_MS = 1_767_323_045_000
PROFILE = "p1"


def facts(trades: int, tag: str) -> AccountFacts:
    """Return that many open trades of one symbol with one piece of evidence each, named by `tag` or not at all."""
    rows: list[LedgerOrder] = []
    orders: list[VenueOrder] = []
    for number in range(trades):
        name, qty = f"TRD-{number:08d}", Decimal(number + 1) / 100
        rows.append(
            LedgerOrder(
                order_id=f"o{number}", profile_id=PROFILE, trade_id=name, symbol="BTC/USD", status=StatusClass.FILLED,
                side=Side.BUY, action=Action.ENTRY, qty=qty, price=Decimal(100), time_ms=NOW_MS - 3_600_000 + number,
            )
        )  # fmt: skip
        orders.append(
            VenueOrder(
                id=f"x{number}", symbol="BTC/USD", side=Side.SELL, status="filled", qty=qty,
                time_ms=NOW_MS - 1_800_000 + number, price=Decimal(101), price_source="order",
                trade_id=name if tag == "trade_id" else None,
                sub_tag=_sub_tag(name, tag),
                client_order_id=f"bytelyst-{PROFILE}-{name}-exit" if tag == "client_order_id" else None,
            )
        )  # fmt: skip
    complete = Coverage(FeedState.COMPLETE)
    snapshot = Snapshot(
        "acc", NOW_MS, coverage={Feed.POSITIONS: complete, Feed.CLOSED_ORDERS: complete}, orders=tuple(orders)
    )
    return AccountFacts(snapshot, tuple(slices_of(rows, Symbols())), BookedIndex(), frozenset({PROFILE}))


def _sub_tag(name: str, tag: str) -> str | None:
    return {"sub_tag": f"bytelyst:{PROFILE}:{name}", "short_sub_tag": f"bytelyst:{PROFILE}:{name[:8]}"}.get(tag)


def history(orders: int, open_every: int = 1000) -> Iterator[tuple[object, ...]]:
    """Yield that many order rows, two a trade, of which every `open_every`th trade lacks its exit."""
    random_ = random.Random(7)
    for number in range(orders // 2):
        qty = f"{random_.randrange(1, 10_000) / 1000:.3f}"
        name, at = f"TRD-{number:09d}", NOW_MS - 10**9 + number
        yield (f"e{number}", PROFILE, "BTC/USD", "buy", qty, "100", "filled", at, name, "ENTRY")
        if number % open_every:
            yield (f"x{number}", PROFILE, "BTC/USD", "sell", qty, "101", "filled", at + 1, name, "EXIT")
        else:
            yield (f"x{number}", PROFILE, "BTC/USD", "sell", qty, "101", "canceled", at + 1, name, "EXIT")
