"""A snapshot as a document in the file format: base units, decimals as text, times as ISO 8601."""

from collections.abc import Mapping
from decimal import Decimal

from trueup.core.decimals import plain
from trueup.core.snapshot import Coverage, Feed, FeedState, Fill, Leg, Snapshot, VenueOrder
from trueup.core.times import iso


def document_of(snapshot: Snapshot) -> dict[str, object]:
    """Return what a file venue reads as this snapshot; a feed that is not given is left out."""
    document: dict[str, object] = {
        "as_of": iso(snapshot.as_of_ms),
        "coverage": {feed.value: _coverage(cover) for feed, cover in snapshot.all_feeds().items()},
        "unknown_symbols": dict(snapshot.unknown_symbols),
    }
    rows: Mapping[Feed, object] = {
        Feed.POSITIONS: [_leg(leg) for leg in snapshot.legs],
        Feed.BALANCES: {asset: plain(amount) for asset, amount in (snapshot.balances or {}).items()},
        Feed.OPEN_ORDERS: [_order(order) for order in snapshot.orders if order.working],
        Feed.CLOSED_ORDERS: [_order(order) for order in snapshot.orders if not order.working],
        Feed.FILLS: [_fill(fill) for fill in snapshot.fills],
    }
    document |= {feed.value: rows[feed] for feed in Feed if snapshot.feed(feed).state is not FeedState.FAILED}
    return document


def _coverage(cover: Coverage) -> dict[str, object]:
    entry: dict[str, object] = {"state": cover.state.value, "reason": cover.reason, "given": cover.given}
    return entry | ({"since": iso(cover.since_ms)} if cover.since_ms is not None else {})


def _leg(leg: Leg) -> dict[str, object]:
    side = "short" if leg.qty < 0 else "long"
    return {"symbol": leg.symbol, "qty": plain(abs(leg.qty)), "side": side, "mark_price": _text(leg.mark_price)}


def _order(order: VenueOrder) -> dict[str, object]:
    return {
        "id": order.id, "symbol": order.symbol, "side": order.side.value, "status": order.status,
        "filled_qty": plain(order.qty), "filled_avg_price": _text(order.price), "filled_at": iso(order.time_ms),
        "client_order_id": order.client_order_id, "sub_tag": order.sub_tag, "trade_id": order.trade_id,
        "fee": _text(order.fee), "fee_asset": order.fee_asset, "replaces": order.replaces,
        "replaced_by": order.replaced_by,
    }  # fmt: skip


def _fill(fill: Fill) -> dict[str, object]:
    return {
        "id": fill.id, "order_id": fill.order_id, "symbol": fill.symbol, "side": fill.side.value,
        "qty": plain(fill.qty), "price": _text(fill.price), "filled_at": iso(fill.time_ms), "fee": _text(fill.fee),
        "fee_asset": fill.fee_asset,
    }  # fmt: skip


def _text(number: Decimal | None) -> str | None:
    return plain(number) if number is not None else None
