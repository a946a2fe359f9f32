"""Replaced orders: which order replaced which, and where that cannot be told."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from trueup.core.snapshot import VenueOrder
from trueup.core.symbols import Symbols

OrderKey = tuple[str, str]
"""An order of an account: symbol token and exchange order id."""


class Chains:
    """The replacements among an account's orders, from every listing of every order.

    An order with two heirs, or with two ancestors, is `unclear`, and so is whatever hangs on it. The venue may name an
    order in a link and not list it; such an order stands between two listed ones, or at an end of the chain.
    """

    def __init__(self, orders: Iterable[VenueOrder], symbols: Symbols) -> None:
        links: set[tuple[OrderKey, OrderKey]] = set()
        for order in orders:
            token = symbols.token(order.symbol)
            if order.replaces:
                links.add(((token, order.replaces), (token, order.id)))
            if order.replaced_by:
                links.add(((token, order.id), (token, order.replaced_by)))
        heirs: dict[OrderKey, set[OrderKey]] = defaultdict(set)
        ancestors: dict[OrderKey, set[OrderKey]] = defaultdict(set)
        for old, new in links:
            heirs[old].add(new)
            ancestors[new].add(old)
        self.before = {new: min(olds) for new, olds in ancestors.items()}
        self.after = {old: min(news) for old, news in heirs.items()}
        tangled = {old: news for old, news in heirs.items() if len(news) > 1}
        tangled |= {new: olds for new, olds in ancestors.items() if len(olds) > 1}
        self.unclear = {key for middle, others in tangled.items() for key in (middle, *others)}

    def listed_before(self, key: OrderKey, listed: Collection[OrderKey]) -> OrderKey | None:
        """Return the nearest older order that is listed, past one that is not."""
        old = self.before.get(key)
        return old if old in listed or old is None else self.before.get(old)

    def rootless(self, listed: Collection[OrderKey]) -> set[OrderKey]:
        """Return the orders that replaced one that is not listed, of which nothing says what it replaced itself."""
        return {key for key, old in self.before.items() if old not in listed and old not in self.before}

    def depending_on(self, keys: Iterable[OrderKey]) -> set[OrderKey]:
        """Return the orders that replaced one of the given, straight or through others."""
        found: set[OrderKey] = set()
        for start in keys:
            key = self.after.get(start)
            while key is not None and key not in found:
                found.add(key)
                key = self.after.get(key)
        return found
