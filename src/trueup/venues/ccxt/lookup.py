"""One order, asked for by its id or by its client order id.

Invariant 5 (not found is not absent): an order is absent only where every place that may hold it was asked, answered
that it knows no such order, and cannot have forgotten it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from trueup.core.errors import CannotKnow
from trueup.core.times import iso
from trueup.ports import OrderAnswer
from trueup.venues.calls.verdicts import CallFailed, Kind
from trueup.venues.ccxt.envelopes import BadEnvelope, count_rows
from trueup.venues.ccxt.export import Row, order_row, sizes_and_markets
from trueup.venues.ccxt.listing import Listed, naming_of
from trueup.venues.ccxt.reading import Reader
from trueup.venues.ccxt.rules import DAY_MS, HOUR_MS, OrderList
from trueup.venues.documents.snapshots import snapshot_of_answers

Question = tuple[str, Callable[[], Sequence[Row]]]


class Lookup:
    """Asks an account's exchange for one order."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.rules = reader.rules

    def find(
        self, symbol: str, order_id: str | None, client_order_id: str | None, placed_ms: int | None
    ) -> OrderAnswer:
        """Return what the exchange says; whatever goes wrong is an unknown with its reason."""
        if order_id is None and client_order_id is None:
            return OrderAnswer(why="neither an order id nor a client order id was given")
        try:
            listed = self.reader.markets()
        except CannotKnow as error:
            return OrderAnswer(why=error.what)
        resolved = listed.resolve(symbol)
        if not resolved.markets:
            return OrderAnswer(why=f"{self.reader.exchange} lists no market {symbol}")
        questions = [
            question for market in resolved.markets for question in self._questions(market, order_id, client_order_id)
        ]
        if not questions:
            return OrderAnswer(why=f"{self.reader.exchange} cannot be asked for one order by what is known of it")
        return self._ask(questions, listed, symbol, order_id, client_order_id) or self._not_found(placed_ms)

    def _questions(self, market: str, order_id: str | None, client_order_id: str | None) -> list[Question]:
        asked: list[Question] = [
            (f"{rule.method} {market}", partial(self._listed, rule, market, order_id, client_order_id))
            for rule in self.rules.order_lists
            if (rule.id_param if order_id is not None else rule.client_id_param) is not None
        ]
        client_param = self.rules.client_id_param
        if asked or not self.reader.client.first.has.get("fetchOrder"):
            return asked
        if order_id is None and client_param is None:
            return []
        for params in self.rules.order_params:
            named = params if order_id is not None else {**params, str(client_param): client_order_id}
            asked.append((f"fetch_order {market}", partial(self._one, market, order_id, named)))
        return asked

    def _one(self, market: str, order_id: str | None, params: Mapping[str, object]) -> Sequence[Row]:
        answer = self.reader.client.call("fetch_order", order_id or "", market, dict(params))
        return [answer.value]

    def _listed(self, rule: OrderList, market: str, order_id: str | None, client_order_id: str | None) -> Sequence[Row]:
        name = rule.id_param if order_id is not None else rule.client_id_param
        params = {**rule.segment, str(name): order_id if order_id is not None else client_order_id}
        answer = self.reader.client.call(rule.method, market, None, None, params)
        if not answer.value and count_rows(answer.last, None) != 0:
            raise BadEnvelope("the venue's answer holds no list where its orders should be")
        rows: Sequence[Row] = answer.value
        return rows

    def _ask(
        self,
        questions: Sequence[Question],
        listed: Listed,
        symbol: str,
        order_id: str | None,
        client_order_id: str | None,
    ) -> OrderAnswer | None:
        """Return what the first place that knows the order says, None where all know none."""
        troubles: list[str] = []
        for what, call in questions:
            try:
                rows = self.reader.caller.ask(what, call, weight=0)
            except CallFailed as failed:
                if failed.kind is not Kind.ABSENT:
                    troubles.append(failed.why)
                continue
            for row in rows:
                if _is_meant(row, order_id, client_order_id):
                    return self._read(row, listed, symbol)
            if rows:
                troubles.append(f"{what}: the venue answered with another order")
        return OrderAnswer(why="; ".join(troubles)) if troubles else None

    def _read(self, row: Row, listed: Listed, symbol: str) -> OrderAnswer:
        """Return an order as the snapshot would have it."""
        naming = naming_of([listed.resolve(symbol)], listed)
        sizes, markets = sizes_and_markets([row.get("symbol")], naming, listed)
        section = "open_orders" if row.get("status") == "open" else "closed_orders"
        document: dict[str, Any] = {
            "as_of": iso(self.reader.account.now_ms()), "as_of_source": "clock", section: [order_row(row, naming)],
            "contract_sizes": sizes, "markets": markets,
        }  # fmt: skip
        snapshot = snapshot_of_answers(self.reader.account.name, document, listed.symbols)
        if snapshot.orders:
            return OrderAnswer(snapshot.orders[0])
        return OrderAnswer(why="; ".join(bad.why for bad in snapshot.malformed) or "the answer holds no order")

    def _not_found(self, placed_ms: int | None) -> OrderAnswer:
        if not self.rules.known:
            return OrderAnswer(why=f"not found; how long {self.reader.exchange} remembers its orders is not known")
        forgets = self.rules.forgets_ms
        if forgets is None or (placed_ms is not None and self.reader.account.now_ms() - placed_ms < forgets):
            return OrderAnswer(absent=True, why=f"{self.reader.exchange} knows no such order")
        return OrderAnswer(
            why=f"not found; {self.reader.exchange} forgets a canceled order without executions after {_span(forgets)}"
        )


def _is_meant(row: Row, order_id: str | None, client_order_id: str | None) -> bool:
    """Say whether an answer is the order that was asked for: ccxt makes an order without an id of an empty answer."""
    if order_id is not None:
        return str(row.get("id")) == order_id
    return row.get("clientOrderId") == client_order_id and row.get("id") is not None


def _span(ms: int) -> str:
    return f"{ms // DAY_MS} days" if ms >= 2 * DAY_MS else f"{ms // HOUR_MS} hours"
