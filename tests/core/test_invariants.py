"""The invariants that the core keeps, on random worlds; each test carries the name of its invariant."""

from collections import defaultdict
from decimal import Context, Decimal, localcontext

from hypothesis import given
from hypothesis import strategies as st
from tests.core.world import World, after_apply
from tests.core.worlds import DEGRADED, worlds

from trueup.core.decimals import NOTHING, exactly
from trueup.core.orders import LedgerOrder, StatusClass
from trueup.core.repair.decisions import Outcome
from trueup.core.repair.plan import document_hash
from trueup.core.repair.policy import Flatness
from trueup.core.repair.rows import DUST, ExitRow
from trueup.core.repair.slices import slices_of
from trueup.core.snapshot import Coverage
from trueup.core.symbols import Symbols


def token(symbol: str) -> str:
    return Symbols().token(symbol)


def executed(world: World) -> dict[tuple[str, str, str], Decimal]:
    """What the venue says was executed of each order, by symbol, id and side: by fills where there are any."""
    by_order = {(token(o.symbol), o.id, o.side.value): o.qty for o in world.orders}
    by_fills: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for one in dict.fromkeys(world.fills):
        by_fills[token(one.symbol), one.order_id, one.side.value] += one.qty
    return by_order | by_fills


def proven(world: World) -> list[ExitRow]:
    return [row for row in world.booked() if row.matched_by != DUST]


@given(worlds())
def test_proof_every_row_cites_evidence_of_the_snapshot_or_is_dust_at_flat(world: World) -> None:
    venue = executed(world)
    for decision in world.decisions():
        row = decision.exit
        if decision.outcome is not Outcome.BOOK or row is None:
            continue
        if row.matched_by == DUST:
            assert row.qty <= world.policy.dust_threshold(decision.trade.open_qty)
            held = world.having(policy=world.policy)
            assert all(
                abs(leg.qty) <= world.policy.dust_abs for leg in held.legs if token(leg.symbol) == token(row.symbol)
            )
            assert token(row.symbol) not in world.unknown_symbols
        else:
            assert NOTHING < row.qty <= venue[token(row.symbol), row.exchange_order_id, row.side.value]
            assert row.side is decision.trade.exit_side


def ledger_says(rows: list[LedgerOrder], symbol: str, name: str) -> Decimal:
    """What filled rows of the ledger book of one exchange order."""
    return sum(
        (
            row.qty
            for row in rows
            if row.status is StatusClass.FILLED
            and token(row.symbol or "") == token(symbol)
            and name in (row.order_id, row.exchange_order_id)
        ),
        Decimal(0),
    )


@given(worlds())
def test_once_what_rows_book_of_one_exchange_order_never_exceeds_what_it_filled(world: World) -> None:
    venue = executed(world)
    new: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for row in proven(world):
        new[row.symbol, row.exchange_order_id, row.side.value] += row.qty
    by_token: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for (symbol, name, side), qty in new.items():
        by_token[token(symbol), name, side] += qty
    for (symbol, name, side), qty in by_token.items():
        assert qty + ledger_says(list(world.rows), symbol, name) <= venue[symbol, name, side]


@given(worlds())
def test_conservation_exits_of_a_trade_never_exceed_its_entries(world: World) -> None:
    before = {(s.profile_id, s.trade_id, s.token): s for s in slices_of(world.rows, Symbols())}
    for piece in slices_of(after_apply(world).rows, Symbols()):
        old = before[piece.profile_id, piece.trade_id, piece.token]
        assert piece.exit_qty <= max(piece.entry_qty, old.exit_qty)
        assert piece.entry_qty == old.entry_qty


@exactly
def apart(world: World, symbol: str) -> Decimal:
    """The ledger's position less the venue's."""
    ledger = sum((s.signed_open for s in slices_of(world.rows, Symbols()) if s.token == symbol), Decimal(0))
    if world.balances is not None:
        return ledger - Decimal(world.balances.get(symbol.removesuffix("USD"), "0"))
    return ledger - sum((leg.qty for leg in set(world.legs) if token(leg.symbol) == symbol), Decimal(0))


@given(worlds(st.just(Flatness.EXPLAINED)))
def test_never_past_the_truth_under_the_explained_policy(world: World) -> None:
    rows = proven(world)
    then = after_apply(world)
    dust: dict[str, Decimal] = defaultdict(Decimal)
    for row in world.booked():
        dust[token(row.symbol)] += row.qty if row.matched_by == DUST else 0
    for symbol in {token(row.symbol) for row in rows}:
        before, after = apart(world, symbol), apart(then, symbol)
        assert abs(after) <= abs(before) + dust[symbol]
        assert after * before >= 0 or abs(after) <= dust[symbol]


FEEDS = ("positions", "closed_orders", "open_orders", "fills")
OTHER_POLICIES = st.sampled_from((Flatness.FLAT, Flatness.EVIDENCE))


@given(worlds(OTHER_POLICIES, complete=True), st.sampled_from(FEEDS), st.sampled_from(DEGRADED))
def test_unknown_is_not_flat_a_degraded_feed_never_lets_more_be_booked(
    world: World, feed: str, coverage: Coverage | None
) -> None:
    feed = "balances" if feed == "positions" and world.balances is not None else feed
    degraded = world.having(coverage={feed: coverage})
    assert set(degraded.booked()) <= set(world.booked())
    if feed in ("positions", "balances"):
        assert not degraded.booked()


@given(worlds(st.just(Flatness.EXPLAINED), complete=True), st.sampled_from(DEGRADED))
def test_unknown_is_not_flat_under_the_explained_policy(world: World, coverage: Coverage | None) -> None:
    """There a trade that waits for its evidence leaves the excess to the next one, so the sets are not compared."""
    feed = "positions" if world.balances is None else "balances"
    assert not world.having(coverage={feed: coverage}).booked()
    for decision in world.having(coverage={"closed_orders": coverage}).decisions():
        assert decision.exit is None or decision.exit.matched_by != DUST


@given(worlds())
def test_no_op_a_second_plan_over_the_repaired_ledger_books_nothing(world: World) -> None:
    assert after_apply(world).booked() == []


@given(worlds(), st.randoms(use_true_random=False))
def test_deterministic_in_any_order_of_arrival(world: World, random: object) -> None:
    def shuffled(items: object) -> list[object]:
        copy = list(items)
        random.shuffle(copy)
        return copy

    other = world.having(
        rows=shuffled(world.rows),
        orders=shuffled(world.orders),
        fills=shuffled(world.fills),
        legs=shuffled(world.legs),
        profiles=shuffled(world.profiles),
    )
    ours, theirs = world.plan(), other.plan()
    assert ours.profiles == theirs.profiles
    assert document_hash(ours.profiles.values()) == document_hash(theirs.profiles.values())


@given(worlds())
def test_exact_whatever_the_callers_decimal_context(world: World) -> None:
    plan = world.plan()
    with localcontext(Context(prec=3)):
        coarse = world.plan()
    assert coarse == plan


def floats(value: object, path: str = "") -> list[str]:
    """Where a binary float stands in a value made of dataclasses and containers."""
    if isinstance(value, float):
        return [path]
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in floats(key, path) + floats(item, f"{path}[{key}]")]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [found for item in value for found in floats(item, f"{path}[]")]
    names = getattr(type(value), "__dataclass_fields__", ())
    return [found for name in names for found in floats(getattr(value, name), f"{path}.{name}")]


@given(worlds())
def test_exact_no_float_in_any_output(world: World) -> None:
    assert floats(world.plan()) == []
    assert floats({"x": [1.5]}) == ["[x][]"]
