"""What trueup may do at Alpaca: cancel orders, and close positions; nothing here ever opens or adds.

Alpaca closes a position with an order of its own making, for what is held and not reserved by other orders. Asked
again after a lost answer it refuses or finds nothing, so that trying again never turns a position round.
"""

from collections.abc import Collection, Mapping
from decimal import Decimal

from trueup.core.decimals import exactly, plain, read_decimal
from trueup.core.errors import CannotKnow
from trueup.ports import ActionReport, ClosingAnswer, ClosingOrder
from trueup.venues.alpaca.connection import Connection, part
from trueup.venues.alpaca.orders import read_orders
from trueup.venues.alpaca.pages import id_of
from trueup.venues.calls.account import LiveAccount
from trueup.venues.calls.verdicts import REFUSALS, CallFailed, Kind
from trueup.venues.rows.fields import Row, printable, shown

_DO = "Look at the account at Alpaca itself, and run `trueup doctor`."


class AlpacaActions:
    """Cancels and closes at one account."""

    def __init__(self, connection: Connection, account: LiveAccount) -> None:
        self._connection = connection
        self._account = account

    def cancel_all(self, symbols: Collection[str] | None = None) -> ActionReport:
        """Cancel the open orders of the symbols, one by one, or all in one call; CannotKnow where Alpaca is away."""
        if symbols is None:
            return self._cancel_everything()
        tokens = {self._account.symbols.token(symbol) for symbol in symbols}
        listing = read_orders(self._connection, "open", None, self._account.page_limit, self._account.max_pages)
        if listing.failed:
            raise CannotKnow(f"Account {self._account.name}: {listing.why}.", _DO)
        rows = [row for row in listing.rows if self._account.symbols.token(str(row.get("symbol") or "")) in tokens]
        done, failed = [], [f"open orders: {listing.why}"] if listing.why else []
        for row in rows:
            problem = self._cancel(row)
            if problem:
                failed.append(problem)
            else:
                done.append(f"canceled {_named(row)}")
        return ActionReport(tuple(done), tuple(failed))

    def close_position(self, symbol: str) -> ActionReport:
        """Close what is held of a symbol; done where nothing is, CannotKnow where the positions cannot be read."""
        held = self._held(symbol)
        if held is None:
            return ActionReport(done=(f"{symbol}: nothing is held",))
        try:
            name = part(str(held.get("asset_id") or held.get("symbol") or ""))
            answer = self._connection.delete(f"close {symbol}", f"/positions/{name}")
        except CallFailed as failed:
            if failed.kind is Kind.ABSENT and self._held(symbol) is None:
                return ActionReport(done=(f"{symbol}: nothing is held any more",))
            return ActionReport(failed=(failed.why,))
        if not isinstance(answer, Mapping) or id_of(answer) is None:
            return ActionReport(failed=(f"close {symbol}: Alpaca named no order ({shown(answer)})",))
        if answer.get("side") != ("buy" if str(held.get("side")).lower() == "short" else "sell"):
            return ActionReport(failed=(f"close {symbol}: Alpaca's order does not reduce: {_named(answer)}",))
        return ActionReport(done=(f"closing {symbol}: {_named(answer)}, {printable(str(answer.get('status')))}",))

    @property
    def names_orders(self) -> bool:
        """Say no: Alpaca names the order that closes a position."""
        return False

    def cancel(self, symbol: str, order_id: str) -> ActionReport:
        """Cancel one working order; one that is no longer there needs no canceling."""
        name = f"{symbol}, order {printable(order_id)}"
        problem = self._cancel({"id": order_id})
        return ActionReport(failed=(problem,)) if problem else ActionReport(done=(f"canceled {name}",))

    @exactly
    def close(self, order: ClosingOrder) -> ClosingAnswer:
        """Close a part of a position, once, by Alpaca's own way, which never closes more than is held."""
        held = self._held(order.symbol)
        if held is None or ("buy" if str(held.get("side")).lower() == "short" else "sell") != order.side:
            return ClosingAnswer(False, why=f"{order.symbol}: there is nothing to {order.side}")
        try:
            name = part(str(held.get("asset_id") or held.get("symbol") or ""))
            qty = min(order.qty, abs(read_decimal(held.get("qty"))) - self._external(order.symbol))
        except (CallFailed, ValueError) as error:
            return ClosingAnswer(False, why=f"{order.symbol}: its position cannot be read: {error}")
        if qty <= 0:
            return ClosingAnswer(False, why=f"{order.symbol}: what is held is declared as external")
        try:
            answer = self._connection.delete_once(f"close {order.symbol}", f"/positions/{name}", {"qty": plain(qty)})
        except CallFailed as failed:
            return ClosingAnswer(False if failed.kind in REFUSALS else None, why=failed.why)
        if not isinstance(answer, Mapping) or id_of(answer) is None:
            return ClosingAnswer(None, why=f"close {order.symbol}: Alpaca named no order ({shown(answer)})")
        return ClosingAnswer(True, id_of(answer))

    def _external(self, symbol: str) -> Decimal:
        """Return how much of a coin is declared as not the bot's."""
        symbols = self._account.symbols
        base, declared = symbols.base_asset(symbol), self._account.external_assets.items()
        return sum((qty for name, qty in declared if symbols.asset(name) == base), Decimal(0))

    def _held(self, symbol: str) -> Row | None:
        """Return the position of a symbol, None where there is none."""
        token = self._account.symbols.token(symbol)
        try:
            rows = self._connection.rows("positions", "/positions")
        except CallFailed as failed:
            raise CannotKnow(f"Account {self._account.name}: {failed.why}.", _DO) from None
        return next((row for row in rows if self._account.symbols.token(str(row.get("symbol") or "")) == token), None)

    def _cancel(self, row: Row) -> str:
        """Cancel one order; return what went wrong. One that is no longer there needs no canceling."""
        name = id_of(row)
        if name is None:
            return f"{_named(row)}: it has no id"
        try:
            self._connection.delete(f"cancel {printable(name)}", f"/orders/{part(name)}")
        except CallFailed as failed:
            return "" if failed.kind is Kind.ABSENT else failed.why
        return ""

    def _cancel_everything(self) -> ActionReport:
        """Cancel all in one call, which answers 207 with a status for each order."""
        try:
            answer = self._connection.delete("cancel all orders", "/orders")
        except CallFailed as failed:
            raise CannotKnow(f"Account {self._account.name}: {failed.why}.", _DO) from None
        if not isinstance(answer, list):
            return ActionReport(
                failed=(f"cancel all orders: Alpaca answered {shown(answer)}, not what became of each",)
            )
        done, failures = [], []
        for item in answer:
            status = item.get("status") if isinstance(item, Mapping) else None
            if isinstance(item, Mapping) and isinstance(status, int) and 200 <= status < 300:
                done.append(f"canceled order {printable(str(item.get('id')))}")
            else:
                failures.append(self._connection.caller.mask(f"cancel: {_item(item)}"))
        return ActionReport(tuple(done), tuple(failures))


def _named(row: Row) -> str:
    words = (str(row.get(name) or "?") for name in ("side", "qty", "symbol"))
    return f"{printable(' '.join(words))}, order {printable(str(row.get('id')))}"


def _item(item: object) -> str:
    """Return one item of a 207: its id, its status and Alpaca's words."""
    if not isinstance(item, Mapping):
        return shown(item)
    body = item.get("body")
    words = str(body.get("message", "")) if isinstance(body, Mapping) else ""
    return f"order {item.get('id')} HTTP {item.get('status')} {words}".rstrip()
