"""The Alpaca venue, through alpaca-py.

A reading costs six calls, however many symbols there are: the clock, the positions (twice), all orders of the window,
the open orders, and the account's activities. Each further page is one more (500 orders, 100 activities), and so is an
order that an execution names and no list holds, once in the venue's life if that order is over, and a position that
the ledger holds and the list lacks; whether Alpaca lists that asset at all is asked once in the venue's life. A first
page of activities that is full costs one more, for what is no execution.
"""

from collections.abc import Callable, Mapping

from trueup.core.snapshot import Snapshot, VenueOrder
from trueup.ports import EVERYTHING, Check, OnUpdate, OrderAnswer, ReadScope, VenueActions, VenueStream
from trueup.venues.alpaca.actions import AlpacaActions
from trueup.venues.alpaca.connection import Connection, part
from trueup.venues.alpaca.doctor import inspect
from trueup.venues.alpaca.lists import Lookups, is_over
from trueup.venues.alpaca.reading import read_document
from trueup.venues.alpaca.stream import AlpacaStream
from trueup.venues.calls.account import LiveAccount
from trueup.venues.calls.caller import Caller
from trueup.venues.calls.verdicts import CallFailed, Kind
from trueup.venues.documents.snapshots import snapshot_of_answers
from trueup.venues.rows.contracts import Contracts
from trueup.venues.rows.fields import Row, printable
from trueup.venues.rows.orders import OrderList, read_order


class AlpacaVenue:
    """One account at Alpaca; it keeps what it learned of orders that are over, so build it once."""

    def __init__(self, account: LiveAccount, caller: Caller | None = None) -> None:
        self.account = account
        self.connection = Connection(account, caller)
        self._lookups = Lookups(self.connection)

    @property
    def actions(self) -> VenueActions | None:
        """Return what may be done at Alpaca, None where the account does not allow it (`allow_flatten`)."""
        return AlpacaActions(self.connection, self.account) if self.account.allow_flatten else None

    def export(self, scope: ReadScope = EVERYTHING) -> Mapping[str, object]:
        """Return Alpaca's answers as one document in the file format; CannotKnow where nothing could be read."""
        return read_document(self.connection, self.account, self._lookups, scope)

    def read(self, scope: ReadScope = EVERYTHING) -> Snapshot:
        """Read what Alpaca claims; CannotKnow where nothing could be read."""
        return snapshot_of_answers(self.account.name, self.export(scope), self.account.symbols)

    def inspect(self, scope: ReadScope = EVERYTHING) -> list[Check]:
        """Prove the set-up: keys, the account's state, clock, feeds and symbols."""
        return inspect(self.connection, self.account, self.read, scope)

    def stream(self, on_update: OnUpdate, on_gap: Callable[[], None]) -> VenueStream | None:
        """Return what listens to the account's trade updates."""
        return AlpacaStream(self.account, on_update, on_gap)

    def find_order(
        self,
        symbol: str,
        order_id: str | None = None,
        client_order_id: str | None = None,
        placed_ms: int | None = None,  # noqa: ARG002  # Alpaca keeps its orders
    ) -> OrderAnswer:
        """Ask for one order. Alpaca keeps orders, so that "not found" is absent; whatever goes wrong is unknown.

        An order is absent only if Alpaca knows none of the ids that are given.
        """
        answers: list[OrderAnswer] = []
        if order_id:
            answers.append(self._find(symbol, "id", order_id))
        if client_order_id and all(answer.absent for answer in answers):
            answers.append(self._find(symbol, "client_order_id", client_order_id))
        return answers[-1] if answers else OrderAnswer(why="neither an order id nor a client order id was given")

    def _find(self, symbol: str, name: str, value: str) -> OrderAnswer:
        what = f"order {printable(value)}"
        try:
            if name == "id":
                row = self.connection.record(what, f"/orders/{part(value)}")
            else:
                row = self.connection.record(what, "/orders:by_client_order_id", {name: value})
        except CallFailed as failed:
            return OrderAnswer(absent=failed.kind is Kind.ABSENT, why=failed.why)
        try:
            return self._answer(row, symbol, name, value)
        except ValueError as error:
            return OrderAnswer(why=f"{what}: {error}")

    def _answer(self, row: Row, symbol: str, name: str, value: str) -> OrderAnswer:
        """Return the order, if it is the one that was asked for; ValueError where it cannot be read."""
        symbols = self.account.symbols
        listed = OrderList(open=not is_over(row), mixed=True)
        order: VenueOrder = read_order(row, "Alpaca's answer", listed, symbols, Contracts(symbols))
        if row.get(name) != value or symbols.token(order.symbol) != symbols.token(symbol):
            found = f"{order.symbol} {order.id}, client order id {order.client_order_id}"
            return OrderAnswer(why=f"Alpaca answered with another order: {printable(found, 200)}")
        return OrderAnswer(order)
