"""Orders from several lists as one: what each order is, which orders are missing, and since when none is.

`since` at Alpaca is a bound on the submission of an order. An order from before it may have executed within it, so
the open orders are read whole, and orders that executions or replacements name are asked for one by one. An execution
whose order could not be read is left out, since nobody could tell whose it is; the lists then begin after it.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core.orders import word
from trueup.venues.alpaca.activities import is_fill
from trueup.venues.alpaca.connection import Connection, part
from trueup.venues.alpaca.orders import submitted
from trueup.venues.alpaca.pages import Listing, Once, id_of, time_of
from trueup.venues.calls.verdicts import CallFailed
from trueup.venues.rows.fields import Row, number, printable

TERMINAL = frozenset({"canceled", "cancelled", "expired", "filled", "rejected", "replaced"})
LAG_MS = 5000
"""An order younger than this may not be in Alpaca's lists yet."""

_MOST_LOOKUPS = 40
_MOST_REMEMBERED = 1000
_NAMED = 3


def is_over(row: Row) -> bool:
    """Say whether an order's status is one after which nothing executes; an unknown status is none."""
    status = row.get("status")
    return isinstance(status, str) and word(status) in TERMINAL


@dataclass(slots=True)
class Lookups:
    """Orders asked for by id; those that are over are remembered, since they do not change any more."""

    connection: Connection
    _over: OrderedDict[str, Row] = field(default_factory=OrderedDict)

    def find(self, order_ids: list[str]) -> tuple[dict[str, Row], list[str]]:
        """Return the orders that were found, and why others were not; at most as many as one reading may ask for."""
        found = {name: self._over[name] for name in order_ids if name in self._over}
        todo = [name for name in order_ids if name not in found]
        answers = self.connection.caller.all([self._asking(name) for name in todo[:_MOST_LOOKUPS]])
        problems = []
        for name, answer in zip(todo, answers, strict=False):
            if isinstance(answer, CallFailed):
                problems.append(answer.why)
            elif answer.get("id") != name:
                problems.append(f"asked for order {printable(name)}, Alpaca answered with another")
            else:
                found[name] = answer
                if is_over(answer):
                    self._remember(name, answer)
        return found, problems

    def _asking(self, name: str) -> "Asking":
        return Asking(self.connection, name)

    def _remember(self, name: str, row: Row) -> None:
        self._over[name] = row
        while len(self._over) > _MOST_REMEMBERED:
            self._over.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Asking:
    """The call that asks for one order."""

    connection: Connection
    order_id: str

    def __call__(self) -> Row:
        """Return the order's row; CallFailed where there is none."""
        return self.connection.record(f"order {printable(self.order_id)}", f"/orders/{part(self.order_id)}")


@dataclass(slots=True)
class Account:
    """What the lists hold together, before it becomes a document; times in epoch milliseconds.

    `since_ms` is when orders and executions begin to be complete, None is the beginning; `missing` says why the list
    of orders cannot be relied on at all, `short` that executions are missing.
    """

    orders: list[Row]
    fills: list[Row]
    since_ms: int | None
    why: list[str] = field(default_factory=list)
    missing: str = ""
    short: str = ""
    notes: list[str] = field(default_factory=list)


def put_together(every: Listing, still_open: Listing, activities: Listing, lookups: Lookups, as_of_ms: int) -> Account:
    """Return orders and executions, each once; orders that are only named are asked for."""
    orders = merged([*every.rows, *still_open.rows])
    listed = _ids(every.rows)
    starts = [part.since_ms for part in (every, activities) if part.since_ms is not None]
    together = Account(orders, [], max(starts, default=None), [part.why for part in (every, activities)])
    together.fills = _in_reach(together, activities.rows)
    found: list[Row] = []
    if every.failed:
        known = _ids(orders)
        together.fills = [row for row in together.fills if _order_of(row) in known]
    else:
        found = _complete(together, lookups)
        together.missing = together.missing or _left_out([*still_open.rows, *found], listed, every.since_ms, as_of_ms)
    if not activities.failed:
        _weigh(together, as_of_ms)
    return together


def _in_reach(together: Account, activities: Iterable[Row]) -> list[Row]:
    """Return the executions, without those from before the reach whose orders are not there: they are not asked for."""
    known = _ids(together.orders)
    fills = []
    for row in activities:
        moment = time_of(row, "transaction_time")
        old = moment is not None and together.since_ms is not None and moment < together.since_ms
        if is_fill(row) and (not old or _order_of(row) in known):
            fills.append(row)
    return fills


def _weigh(together: Account, as_of_ms: int) -> None:
    """Hold the executions against what the orders say, order by order.

    Where they do not add up, the executions of two sorts of orders are left out, so that the order's own total stands:
    those that began before the reach, whose older executions were not read, and those that changed just now, since
    Alpaca's activities may be a little behind. Any other order that executed more than its executions say shows that
    executions are missing.
    """
    sums: dict[str, Decimal] = {}
    for row in together.fills:
        name = _order_of(row)
        if name is not None:
            sums[name] = sums.get(name, Decimal(0)) + _amount(row, "qty")
    totals = {name: _amount(row, "filled_qty") for row in together.orders if (name := id_of(row)) is not None}
    left_out, short = set(), []
    for row in together.orders:
        name = id_of(row)
        if name is None or sums.get(name, Decimal(0)) in _possible(row, totals):
            continue
        if _began_before(row, together.since_ms) or _is_young(row, as_of_ms):
            left_out.add(name)
        elif sums.get(name, Decimal(0)) < totals[name]:
            short.append(name)
    if left_out & sums.keys():
        together.fills = [row for row in together.fills if _order_of(row) not in left_out]
        together.notes.append(f"The own totals of {len(left_out & sums.keys())} orders stand for their executions.")
    if short:
        together.short = f"executions are missing of {len(short)} orders: {_names(short)}"


def _possible(row: Row, totals: Mapping[str, Decimal]) -> tuple[Decimal, ...]:
    """Return what an order's executions may add up to: its total, without what it carried over from another."""
    total = _amount(row, "filled_qty")
    before = row.get("replaces")
    if not before:
        return (total,)
    return (total, total - totals[str(before)]) if str(before) in totals else (total,)


def _began_before(row: Row, since_ms: int | None) -> bool:
    moment = submitted(row)
    return since_ms is not None and (moment is None or moment // 1000 <= since_ms)


def _is_young(row: Row, as_of_ms: int) -> bool:
    moment = time_of(row, "updated_at")
    return moment is None or moment >= as_of_ms - LAG_MS


def merged(rows: Iterable[Row]) -> list[Row]:
    """Return each order once, in its latest state: lists are read at different moments, and orders move on meanwhile.

    The wrapper of an order of several symbols (mleg) is none itself; its legs are listed beside it.
    """
    latest: dict[str, Row] = {}
    loose = Once()
    for row in rows:
        if row.get("order_class") == "mleg" and not row.get("symbol") and not row.get("legs"):
            continue
        name = id_of(row)
        if name is None:
            loose.add([row])
        elif name not in latest or _progress(row) > _progress(latest[name]):
            latest[name] = row
    return [*latest.values(), *loose.rows]


def _progress(row: Row) -> tuple[bool, Decimal, str]:
    """Return how far an order is: an order that is over does not open again, and nothing un-executes."""
    return is_over(row), _amount(row, "filled_qty"), str(row.get("updated_at"))


def _amount(row: Row, name: str) -> Decimal:
    try:
        return number(name, row.get(name))
    except ValueError:
        return Decimal(0)


def _ids(rows: Iterable[Row]) -> set[str]:
    return {name for row in rows if (name := id_of(row)) is not None}


def _complete(together: Account, lookups: Lookups) -> list[Row]:
    """Ask for the orders that are named and not listed; leave out the executions of those that cannot be read."""
    known = _ids(together.orders)
    by_fills = list(dict.fromkeys(name for row in together.fills if (name := _order_of(row)) and name not in known))
    chained = [str(row["replaces"]) for row in together.orders if row.get("replaces")]
    by_chains = [name for name in dict.fromkeys(chained) if name not in known and name not in by_fills]
    found, problems = lookups.find([*by_fills, *by_chains])
    together.orders = merged([*together.orders, *found.values()])
    together.notes += problems[:_NAMED]
    lost = {name for name in by_fills if name not in found}
    if lost:
        _withhold(together, lost)
    if unread := [name for name in by_chains if name not in found]:
        together.notes.append(f"{len(unread)} orders that others replaced could not be read: {_names(unread)}.")
    return list(found.values())


def _withhold(together: Account, lost: set[str]) -> None:
    held = [row for row in together.fills if _order_of(row) in lost]
    together.fills = [row for row in together.fills if _order_of(row) not in lost]
    times = [time_of(row, "transaction_time") for row in held]
    known = [moment for moment in times if moment is not None]
    if len(known) < len(held):
        together.missing = "an execution without a readable time belongs to an order that could not be read"
        return
    together.since_ms = max(max(known) + 1, together.since_ms or 0)
    why = f"{len(held)} executions of {len(lost)} orders that could not be read are left out: {_names(lost)}"
    together.why.append(why)
    together.notes.append(f"{why}.")


def _left_out(others: Iterable[Row], listed: set[str], since_ms: int | None, as_of_ms: int) -> str:
    """Return that the list of all orders lacks one which it must hold, or nothing."""
    for row in others:
        moment, name = submitted(row), id_of(row)
        if moment is None or name is None or name in listed:
            continue
        if (since_ms is None or moment // 1000 > since_ms) and moment // 1000 < as_of_ms - LAG_MS:
            return f"Alpaca's list of orders leaves out order {printable(name)}, which it has"
    return ""


def _order_of(row: Mapping[str, object]) -> str | None:
    value = row.get("order_id")
    return value if isinstance(value, str) and value.strip() else None


def _names(names: Iterable[str]) -> str:
    shown = sorted(names)
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    return ", ".join(printable(name) for name in shown[:_NAMED]) + more
