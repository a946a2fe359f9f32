"""Seeded lifecycles whose rows lost their trade ids: the truth of which row is of which lifecycle is kept beside them.

Some lifecycles overlap, some are of equal quantities, some kept their ids wholly or in part, some lost rows; rows carry
tags, wrong ones among them; dust is left, symbols are spelt differently, and two profiles trade one symbol.
"""

import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from trueup.core.decimals import plain
from trueup.core.integrity.naming import KnownTrade, NamingPlan, NamingPolicy, Unnamed
from trueup.core.integrity.pairing import by_hand_of, candidates_of, plan_naming
from trueup.core.orders import LedgerOrder, StatusClass, read_order
from trueup.core.symbols import Symbols
from trueup.core.tags import TagReader

START = 1_767_322_800_000
PROFILES = ("p1", "p2")
SPELT = {"BTC/USD": ("BTC/USD", "BTCUSD", "btc-usd"), "ETH/USD": ("ETH/USD", "eth_usd")}
POLICY = NamingPolicy(Decimal("0.001"), Decimal("0.002"), TagReader("bytelyst", PROFILES), Symbols())


@dataclass
class Life:
    """One lifecycle as it really was: its rows, and the trade id that it really had."""

    name: str
    profile: str
    rows: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class World:
    """The lifecycles of some profiles, and the rows as the ledger has them."""

    lives: list[Life]
    loose: list[dict[str, Any]]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [*(row for life in self.lives for row in life.rows if not row["lost"]), *self.loose]

    def truth(self) -> dict[str, str]:
        return {row["order_id"]: life.name for life in self.lives for row in life.rows}


def a_world(seed: int, *, plain_only: bool = False) -> World:
    """Make lifecycles up; `plain_only` are one after the other, each closed, and without a doubt."""
    pick = random.Random(seed)
    world = World([], [])
    number = 0
    for profile in PROFILES[: pick.choice((1, 2))]:
        for symbol in list(SPELT)[: pick.choice((1, 2))]:
            at = 0
            for _ in range(pick.randrange(1, 6)):
                number += 1
                begins = at if plain_only or pick.random() < 0.7 else max(0, at - pick.randrange(1, 8))
                life, at = _life(pick, f"TRD-{number:04d}-{seed}", profile, symbol, begins, plain_only=plain_only)
                world.lives.append(life)
                at += 0 if not plain_only and pick.random() < 0.1 else 1
    if not plain_only:
        _spoil(pick, world)
    return world


def _life(pick: random.Random, name: str, profile: str, symbol: str, at: int, *, plain_only: bool) -> tuple[Life, int]:
    life = Life(name, profile)
    side = pick.choice(("buy", "sell"))
    sizes = [
        pick.choice((Decimal(1), Decimal(2), Decimal("0.5"), Decimal(pick.randrange(1, 99)) / 7))
        for _ in range(pick.choice((1, 1, 1, 2, 3)))
    ]
    sizes = [size.quantize(Decimal("0.00001")) for size in sizes]
    total = sum(sizes, Decimal(0))
    dust = pick.choice((Decimal(0), Decimal(0), Decimal("0.0005"))) if not plain_only else Decimal(0)
    leaves = [total - dust]
    if pick.random() < 0.4 and total > Decimal("0.2"):
        part = (total * Decimal(pick.choice(("0.5", "0.3")))).quantize(Decimal("0.00001"))
        leaves = [part, total - part - dust]
    if not plain_only and pick.random() < 0.15:
        leaves = leaves[:-1]
    for action, many in (("ENTRY", sizes), ("EXIT", leaves)):
        for size in many:
            way = side if action == "ENTRY" else ("sell" if side == "buy" else "buy")
            life.rows.append(_row(pick, life, symbol, (way, action), size, at))
            at += 1 if plain_only or pick.random() < 0.9 else 0
    return life, at


def _row(pick: random.Random, life: Life, symbol: str, way: tuple[str, str], qty: Decimal, at: int) -> dict[str, Any]:
    side, action = way
    return {
        "order_id": f"{life.name}/{len(life.rows)}", "profile_id": life.profile, "symbol": pick.choice(SPELT[symbol]),
        "type": "market", "side": side, "qty": plain(qty), "quantity": plain(qty), "price": "100", "status": "filled",
        "timestamp": START + at * 60_000, "trade_id": None, "action": action, "source": "BOT", "sub_tag": None,
        "client_order_id": None, "lost": False,
    }  # fmt: skip


def _spoil(pick: random.Random, world: World) -> None:
    """Name some rows, lose, tag and change others.

    A row is lost only where nothing else of its symbol is missing: of a lost entry and a lost exit of one quantity
    nothing in the ledger tells.
    """
    whole = _wholly_there(world)
    for life in world.lives:
        what = pick.random()
        if what < 0.15:
            for row in life.rows:
                row["trade_id"] = life.name
        elif what < 0.25:
            for row in pick.sample(life.rows, pick.randrange(1, len(life.rows) + 1)):
                row["trade_id"] = life.name
        elif what < 0.35 and _market(life) in whole:
            pick.choice(life.rows)["lost"] = True
            whole.remove(_market(life))
        elif what < 0.55:
            _tag(pick, life, life.rows if pick.random() < 0.6 else pick.sample(life.rows, 1))
        elif what < 0.6:
            pick.choice(life.rows)["action"] = None
        elif what < 0.65:
            pick.choice(life.rows)["source"] = pick.choice(("MANUAL", None))
    for _ in range(pick.randrange(3)):
        life = pick.choice(world.lives)
        row = dict(pick.choice(life.rows))
        row |= {
            "order_id": f"{row['order_id']}/x{pick.random()}",
            "status": pick.choice(("canceled", "new", "odd", "filled")),
        }
        row |= {"source": "MANUAL", "trade_id": None} if row["status"] == "filled" else {"trade_id": None}
        row |= {"sub_tag": None, "client_order_id": None, "lost": False}
        world.loose.append(row)


def _market(life: Life) -> tuple[str, str]:
    return life.profile, POLICY.symbols.token(life.rows[0]["symbol"])


def _wholly_there(world: World) -> set[tuple[str, str]]:
    """The profiles and symbols of which every lifecycle is closed."""
    markets = {_market(life) for life in world.lives}
    for life in world.lives:
        signs = [Decimal(row["qty"]) * (1 if row["action"] == "ENTRY" else -1) for row in life.rows]
        if abs(sum(signs)) > Decimal("0.0005"):
            markets.discard(_market(life))
    return markets


def _tag(pick: random.Random, life: Life, rows: list[dict[str, Any]]) -> None:
    """Tag rows as a bot does: truly, and at times cut."""
    for row in rows:
        if pick.random() < 0.5:
            end = pick.choice(("", f"-{row['action'].lower()}"))
            text = f"bytelyst-{life.profile}-{life.name}{end}"
            row["client_order_id"] = pick.choice((text, text.replace("bytelyst", "Bytelyst")))
        else:
            name = life.name if pick.random() < 0.5 else life.name[: pick.randrange(8, 12)]
            row["sub_tag"] = f"bytelyst:{life.profile}:{name}"


def planned(world: World, policy: NamingPolicy = POLICY) -> dict[str, NamingPlan]:
    """Plan the naming of each profile, with facts as the database gives them."""
    orders = [read_order(row) for row in world.rows]
    return {profile: plan_naming(facts_of(profile, orders), policy) for profile in PROFILES}


def facts_of(profile: str, orders: list[LedgerOrder]) -> Unnamed:
    """The facts of one profile, from all rows of the ledger."""
    mine = [row for row in orders if row.profile_id == profile]
    named = tuple(row for row in mine if row.trade_id is not None and row.status is not StatusClass.DEAD)
    trades = {KnownTrade(row.trade_id, row.profile_id, row.symbol) for row in orders if row.trade_id is not None}
    return Unnamed(profile, candidates_of(mine), named, tuple(sorted(trades, key=str)), by_hand=by_hand_of(mine))
