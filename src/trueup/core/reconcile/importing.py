"""Orders of the venue that carry a tag of ours and that the ledger does not have: whose they are, and their row."""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from trueup.core.decimals import NOTHING
from trueup.core.integrity.rules import is_well_formed
from trueup.core.orders import Action, LedgerOrder, Side, StatusClass
from trueup.core.reconcile.changes import IMPORT_PREFIX, NewRow, Proof, added_id
from trueup.core.reconcile.matching import Chain, Standing
from trueup.core.repair.slices import Slice
from trueup.core.symbols import Symbols
from trueup.core.tags import PREFIX_CHARS, Tag, TagReader, begins, stems

_ENDINGS = re.compile(r"-(entry|exit)$", re.IGNORECASE)
_ENDING_INSIDE = re.compile(r"-(entry|exit)(?![a-z])")
_PART = re.compile(r"[A-Za-z0-9]+")
_CUT_FROM = 30
"""Venues take client order ids of some 32 or 36 characters: a bot may have cut one as long as this."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose order it is: the profile, the trade (None where the tag does not tell it), and what it does to the trade.

    `trade` is the open trade that is meant, None for one that the ledger does not have. `inferred` says that such a
    trade's entry is told by being its first order alone. `why` says what is unclear.
    """

    profile_id: str
    trade_id: str | None = None
    action: Action | None = None
    trade: Slice | None = None
    why: str = ""
    inferred: bool = False


TradeName = tuple[str, str, str]
"""A trade as tags name it: the profile, the id in lower case, and the token of the symbol."""


def unentered(rows: Iterable[LedgerOrder], symbols: Symbols) -> dict[TradeName, str]:
    """Return the trades of some rows, all that there are of them, that never were entered: as the ledger spells them.

    A trade is left out if a row books something or cannot be read, or if its rows are spelt differently or of different
    symbols.
    """
    found: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    booked: set[tuple[str, str]] = set()
    for row in rows:
        key = (row.profile_id, (row.trade_id or "").lower())
        if row.status not in (StatusClass.WORKING, StatusClass.DEAD) or row.defect is not None or row.symbol is None:
            booked.add(key)
        elif row.trade_id is not None:
            found[key].add((row.trade_id, symbols.token(row.symbol)))
    return {
        (*key, token): trade_id
        for key, spelt in found.items()
        if len(spelt) == 1 and key not in booked
        for trade_id, token in spelt
    }


ENTRY_MISSING = "its trade's entry is not in the ledger: nothing says whether it enters or leaves"
BOTH_WAYS = "its trade's entries go both ways: nothing says which of them enters it"
NOT_LIKE_ITS_TRADES = (
    "the trade that its tag names is not of the form TRD-NAME, and no trade of the profile that the ledger holds has an"
    " id like it; write its row, or acknowledge the break"
)
MAY_BE_NEW = "its sub-tag has the beginning of a trade's id alone: it may enter another one that begins alike"
OLDER_THAN_TRADE = "it is not younger than its trade, whose entry may be missing: nothing says what it does"


class OwnerReader:
    """Reads the tags of the venue's orders against the trades of an account's profiles."""

    def __init__(
        self,
        prefix: str,
        profiles: Iterable[str],
        slices: Iterable[Slice],
        spelt: frozenset[tuple[str, str]],
        unentered: Mapping[TradeName, str],
        rows: Iterable[LedgerOrder] = (),
    ) -> None:
        self._prefix = prefix
        self._reader = TagReader(prefix, profiles)
        self._spelt = spelt
        self._unentered = unentered
        self._open: dict[tuple[str, str], list[Slice]] = defaultdict(list)
        for piece in slices:
            self._open[piece.profile_id, piece.trade_id.lower()].append(piece)
        self._new: dict[TradeName, Side] = {}
        self._inferred: set[TradeName] = set()
        self._heard: set[tuple[str, str]] = set()
        self._entering: dict[TradeName, str] = {}
        self._entered_by: dict[TradeName, set[Side]] = defaultdict(set)
        self._waiting: dict[tuple[str, str, str, Side | None], str] = {}
        self._left_by: dict[TradeName, set[Side]] = defaultdict(set)
        self._forms: dict[str, set[str]] = defaultdict(set)
        trades = {(row.profile_id, row.trade_id) for row in rows if row.trade_id}
        trades |= {(piece.profile_id, piece.trade_id) for pieces in self._open.values() for piece in pieces}
        for profile, trade_id in trades:
            if not is_well_formed(trade_id):
                self._forms[profile].add(_form(trade_id))
        self._names: dict[str, list[str]] = defaultdict(list)
        for profile, name in sorted({(profile, trade_id.lower()) for profile, trade_id in trades}):
            self._names[profile].append(name)

    def hear(self, chain: Chain) -> None:
        """Learn of the trade that an order's client order id names, whoever has it."""
        tag = self._reader.client_order_id(chain.said("client_order_id"))
        if tag is not None and tag.profile_id is not None:
            self._heard.add((tag.profile_id, tag.trades[0]))

    def meet(self, chains: Iterable[Chain]) -> None:
        """Learn which trades the ledger does not have at all: an order that says so enters them, else the first."""
        for chain in sorted(chains, key=lambda each: (not self._says_entry(each), each.time_ms, each.newest_id)):
            owner = self.of(chain)
            if owner is None or owner.trade is not None or chain.side is None:
                continue
            key = (owner.profile_id, str(owner.trade_id).lower(), chain.token)
            if self._says_entry(chain) and _may_enter(chain):
                self._entered_by[key].add(chain.side)
            if owner.action is Action.ENTRY and not owner.why and key not in self._new:
                self._new[key] = chain.side
                self._inferred |= {key} if owner.inferred else set()

    def expect(self, row: LedgerOrder, chain: Chain) -> None:
        """Learn of an entry that books nothing, and that the venue executed or works; and which way a trade is left."""
        action = row.action or row.order_action
        if action is None or row.trade_id is None or chain.side is None:
            return
        key = (row.profile_id, row.trade_id.lower(), chain.token)
        if action is Action.EXIT:
            self._left_by[key].add(chain.side)
        if action is not Action.ENTRY or row.status is StatusClass.FILLED:
            return
        if _may_enter(chain):
            self._entered_by[key].add(chain.side)
        if chain.executed > NOTHING:
            self._new[key], self._entering[key] = chain.side, row.trade_id
        elif chain.standing is Standing.WORKING:
            self._waiting[(*key, chain.side)] = row.trade_id

    def _says_entry(self, chain: Chain) -> bool:
        tag = self._reader.client_order_id(chain.said("client_order_id"))
        return tag is not None and tag.is_entry

    def of(self, chain: Chain) -> Owner | None:
        """Return the owner of an order; None where no tag names a known profile, or two name different ones."""
        client_text = chain.said("client_order_id")
        client, sub = self._tags(chain)
        profile = _one_profile(client, sub)
        if profile is None:
            return None
        if client is not None and client_text is not None:
            owner = self._by_client(profile, client, client_text, chain)
        else:
            assert sub is not None
            owner = self._by_sub_tag(profile, sub, chain)
        return replace(owner, why="its tags name different trades") if self._contradicted(owner, sub, chain) else owner

    def profile_of(self, chain: Chain) -> str | None:
        """Return the known profile that an order's tags name; None where they name none, or two."""
        return _one_profile(*self._tags(chain))

    def _tags(self, chain: Chain) -> tuple[Tag | None, Tag | None]:
        """Return what an order's client order id and its sub-tag say."""
        client, sub = chain.said("client_order_id"), chain.said("sub_tag")
        return self._reader.client_order_id(client), self._reader.sub_tag(sub)

    def stranger(self, chain: Chain) -> str | None:
        """Return the profile that an order's tag names and that is not known."""
        return self._reader.stranger(chain.said("client_order_id"), chain.said("sub_tag"))

    def _contradicted(self, owner: Owner, sub: Tag | None, chain: Chain) -> bool:
        """Say whether an order names another trade as well, by its sub-tag or in the venue's own field."""
        if owner.trade_id is None or owner.why:
            return False
        named = sub is None or not sub.trades or begins(sub, owner.trade_id.lower())
        return chain.said("trade_id") not in (None, owner.trade_id) or not named

    def _by_client(self, profile: str, tag: Tag, text: str, chain: Chain) -> Owner:
        action = ending_of(text)
        known = [name for name in tag.trades if (profile, name) in self._open or (profile, name) in self._spelt]
        if len(known) > 1:
            return Owner(profile, action=action, why="its tag may name two trades")
        for name in known:
            found = self._slice(profile, name, chain)
            # An ending that belongs to the trade's own name says nothing about the order.
            said = action if name == tag.trades[0] else None
            if found is None:
                return self._of_unentered(profile, name, said, chain)
            return self._of_open(profile, found, said, chain)
        start = len(self._prefix) + len(profile) + 2
        trade_id = _ENDINGS.sub("", text.strip()[start:])
        if not is_well_formed(trade_id) and not self._like_its_own(profile, trade_id):
            return Owner(profile, trade_id or None, action, why=NOT_LIKE_ITS_TRADES)
        if action is not Action.ENTRY and (why := self._misspelt(profile, tag.trades[0], text)):
            return Owner(profile, trade_id, action, why=why)
        return self._of_new(profile, trade_id, action, chain)

    def _like_its_own(self, profile: str, trade_id: str) -> bool:
        """Say whether an id has the parts that the profile's own ids have, where it does not begin them with TRD-.

        What the tag of a profile that is not known names would begin with a part of that profile's name.
        """
        return _form(trade_id) in self._forms.get(profile, ()) and "-trd-" not in trade_id.lower()

    def _misspelt(self, profile: str, name: str, text: str) -> str:
        """Return why a trade that the ledger does not have may be another one, to whose id more was added, or cut off.

        A venue wants each client order id once, so that a bot adds something for the second exit or for a bracket.
        """
        for stem in sorted(stems(name), key=len, reverse=True):
            if any((profile, stem) in known for known in (self._open, self._spelt, self._heard)):
                return f"its tag names no trade of the ledger, and begins like one of {stem}"
        if _ENDING_INSIDE.search(name):
            return "its tag says whether it enters or leaves, and goes on after that"
        cut = [known for known in self._names.get(profile, ()) if known.startswith(name)]
        if cut and len(text.strip()) >= _CUT_FROM:
            return f"its tag names no trade of the ledger, and may be one of {cut[0]} that was cut off"
        return ""

    def _of_unentered(self, profile: str, name: str, action: Action | None, chain: Chain) -> Owner:
        """Return the owner of an order of a trade that the ledger has and that is not open there."""
        key = (profile, name, chain.token)
        entering = self._entering.get(key)
        if entering is None and (action is Action.ENTRY or key in self._new):
            entering = self._unentered.get(key)
        waiting = self._waiting.get((profile, name, chain.token, chain.side))
        if len(self._entered_by[key]) > 1:
            return Owner(profile, name, action, why=BOTH_WAYS)
        if entering is not None and (profile, name) not in self._open:
            return self._of_new(profile, entering, action, chain)
        if waiting is not None and (profile, name) not in self._open and action is Action.ENTRY:
            return Owner(profile, waiting, action)
        return Owner(profile, name, action, why="its trade is closed in the ledger, or of another symbol")

    def _of_new(self, profile: str, trade_id: str, action: Action | None, chain: Chain) -> Owner:
        """Return the owner of an order of a trade that the ledger does not have."""
        key = (profile, trade_id.lower(), chain.token)
        if len(self._entered_by[key]) > 1:
            return Owner(profile, trade_id, action, why=BOTH_WAYS)
        entered = self._new.get(key)
        if entered is None and action is Action.EXIT:
            return Owner(profile, trade_id, action, why="it is an exit of a trade that the ledger does not have")
        by_side = Action.ENTRY if entered in (None, chain.side) else Action.EXIT
        if action not in (None, by_side):
            return Owner(profile, trade_id, action, why="its tag and its side say different things")
        inferred = entered is None and action is None
        return Owner(profile, trade_id, by_side, inferred=inferred or key in self._inferred)

    def _by_sub_tag(self, profile: str, tag: Tag, chain: Chain) -> Owner:
        [name] = tag.trades or ("",)
        names = self._names.get(profile, [])
        at = bisect_left(names, name)
        meant = [known for known in names[at : at + 2] if name and known.startswith(name)]
        exact = [known for known in meant if known == name]
        meant = exact or meant
        short = not exact and (len(name) < PREFIX_CHARS or (profile, name) in self._spelt)
        if len(meant) != 1 or short or (profile, meant[0]) not in self._open:
            return Owner(profile, why="its sub-tag does not name exactly one open trade")
        found = self._slice(profile, meant[0], chain)
        if found is None:
            return Owner(profile, why="its sub-tag names a trade of another symbol")
        owner = self._of_open(profile, found, None, chain)
        return owner if exact or owner.why or owner.action is Action.EXIT else replace(owner, why=MAY_BE_NEW)

    def _of_open(self, profile: str, trade: Slice, action: Action | None, chain: Chain) -> Owner:
        by_side = self._by_side(trade, chain)
        if by_side is None and action is None:
            return Owner(profile, trade.trade_id, action, trade, ENTRY_MISSING)
        if action is not None and by_side not in (None, action):
            return Owner(profile, trade.trade_id, action, trade, "its tag and its side say different things")
        if action is None and by_side is Action.EXIT and chain.time_ms <= trade.opened_ms:
            return Owner(profile, trade.trade_id, action, trade, OLDER_THAN_TRADE)
        return Owner(profile, trade.trade_id, by_side or action, trade)

    def _by_side(self, trade: Slice, chain: Chain) -> Action | None:
        """Return what an order does to an open trade by its side; None where the ledger does not have its entry.

        Some bots write the position's side into an exit, so that a trade of exits alone is told by the venue's orders.
        """
        if trade.entry_qty > NOTHING or trade.defect is not None:
            return Action.ENTRY if chain.side is trade.entry_side else Action.EXIT
        left_by = self._left_by.get((trade.profile_id, trade.trade_id.lower(), trade.token), set())
        if len(left_by) != 1:
            return None
        return Action.EXIT if chain.side in left_by else Action.ENTRY

    def _slice(self, profile: str, name: str, chain: Chain) -> Slice | None:
        found = [piece for piece in self._open.get((profile, name), ()) if piece.token == chain.token]
        return found[0] if len(found) == 1 else None


def _one_profile(*tags: Tag | None) -> str | None:
    """Return the known profile that tags name; None where they name none, or two."""
    named = {tag.profile_id for tag in tags if tag is not None}
    return named.pop() if len(named) == 1 else None


def _form(trade_id: str) -> str:
    """Return how an id is made of parts: its separators, with one letter for each part between them."""
    return _PART.sub("a", trade_id)


def _may_enter(chain: Chain) -> bool:
    """Say whether an order executed something, or still may."""
    return chain.executed > NOTHING or chain.standing is not Standing.DEAD


def ending_of(client_order_id: str | None) -> Action | None:
    """Return what a client order id's ending says that its order does; None where it has none."""
    found = _ENDINGS.search((client_order_id or "").strip())
    return None if found is None else Action[found.group(1).upper()]


def import_row(chain: Chain, owner: Owner, user_id: str | None, proof: Proof) -> NewRow:
    """Return the row of an order that the ledger does not have; ValueError says why there can be none."""
    if owner.why:
        raise ValueError(owner.why)
    if chain.side is None or owner.trade_id is None or owner.action is None:
        raise ValueError("its side or its trade cannot be told")
    executed = chain.executed
    name = added_id(IMPORT_PREFIX, owner.profile_id, owner.trade_id, chain.token, chain.ids[0])
    return NewRow(
        name, owner.profile_id, (owner.trade.user_id if owner.trade is not None else None) or user_id,
        owner.trade_id, owner.trade.symbol if owner.trade is not None else chain.symbol, chain.side, owner.action,
        _status(chain), executed, chain.price or Decimal(0), chain.time_ms, proof,
        executed if executed > NOTHING else None, chain.newest_id, chain.said("client_order_id"), chain.said("sub_tag"),
    )  # fmt: skip


def _status(chain: Chain) -> str:
    if chain.executed <= NOTHING:
        return "new"
    return "filled" if chain.standing in (Standing.FILLED, Standing.DEAD) else "partially_filled"
