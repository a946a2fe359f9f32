"""What is held on a spot market: a balance less what is declared as not the bot's, never below zero."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from trueup.core.decimals import exactly, plain, read_decimal
from trueup.core.symbols import Symbols
from trueup.venues.ccxt.listing import Listed, Resolved


def debts_of(balances: Mapping[str, Any]) -> bool:
    """Say whether something is borrowed: then balances do not say what is held."""
    return any(_number(entry.get("debt")) for entry in balances.values())


def _number(value: object) -> Decimal:
    try:
        return read_decimal(value) if value is not None else Decimal(0)
    except ValueError:
        return Decimal(1)


@exactly
def balance_section(
    balances: Mapping[str, Any], external: Mapping[str, Decimal], symbols: Symbols
) -> dict[str, object]:
    """Return the document's balances: totals with what is in orders, less the external; text where that is unclear.

    What is less than was declared as external, or cannot be read, or is borrowed, is text that no reader takes for an
    amount, so that the asset is unknown.
    """
    left = {symbols.asset(name): amount for name, amount in external.items()}
    section: dict[str, object] = {}
    for name, entry in balances.items():
        declared = left.pop(symbols.asset(name), Decimal(0))
        section[name] = _amount(entry, declared)
    for name, amount in left.items():
        if amount:
            section[name] = f"nothing is held, and {plain(amount)} is declared as external"
    held = {name: amount for name, amount in section.items() if amount != "0"}
    return held or section


def unclear_of(section: Mapping[str, object]) -> dict[str, str]:
    """Return the assets of a section whose amount is not known, with what stands in its place."""
    unclear: dict[str, str] = {}
    for name, amount in section.items():
        try:
            read_decimal(amount)
        except ValueError:
            unclear[name] = str(amount)
    return unclear


def _amount(entry: Mapping[str, Any], declared: Decimal) -> str:
    total = entry.get("total")
    if _number(entry.get("debt")):
        return f"{entry.get('debt')} of it is borrowed"
    try:
        held = read_decimal(total)
    except ValueError:
        return f"the total is {total!r}"
    if not declared:
        return plain(held)
    if held < declared:
        return f"{plain(held)} is held, and {plain(declared)} is declared as external"
    return plain(held - declared)


def spot_legs(
    resolved: Iterable[Resolved], balances: Mapping[str, object] | None, listed: Listed, why: str
) -> list[dict[str, object]]:
    """Return position rows of the spot symbols that the ledger names, for a venue that has contracts too.

    Beside positions, no balance is looked at, so that what is held of a coin stands among them. A symbol that may be
    spot and a contract, that the venue does not list, or whose balance is unclear gets a row that no reader takes for a
    quantity: unknown. `balances` None are unknown, and `why` says why.
    """
    rows: dict[str, dict[str, object]] = {}
    for found in resolved:
        kinds = {listed.is_contract(market) for market in found.markets}
        if kinds == {True}:
            continue
        said: object = f"the venue lists no {found.symbol}"
        if len(kinds) == 2:
            said = f"it may be {' or '.join(found.markets)}: spell it as one of them"
        elif kinds:
            said = _held(listed.markets[found.markets[0]], balances, listed.symbols) if balances is not None else why
        token = listed.symbols.token(found.symbol)
        rows.setdefault(token, {"symbol": found.symbol, "side": "long", "qty": said})
    return list(rows.values())


def _held(market: Mapping[str, Any], balances: Mapping[str, object], symbols: Symbols) -> object:
    """Return the balance of a spot market's base; unclear where it may be held in another form as well."""
    base = symbols.asset(str(market.get("base")))
    other = [name for name, amount in balances.items() if amount != "0" and symbols.earning_form_of(name) == base]
    if other:
        return f"{', '.join(other)} may be {base} in another form"
    return next((amount for name, amount in balances.items() if symbols.asset(name) == base), "0")
