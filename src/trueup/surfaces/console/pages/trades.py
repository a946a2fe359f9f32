"""Trades: one trade's whole story, told and drawn."""

from trueup.service.explain import explain
from trueup.surfaces.api.reconciling import BreakFilter
from trueup.surfaces.console.door import Leave, View, Visit, reads
from trueup.surfaces.console.pages.lists import PAGE_SIZE
from trueup.surfaces.console.pictures.trade import picture_of
from trueup.surfaces.console.rendering import segment
from trueup.surfaces.story import nothing_to_decide, without_repetitions


def trades(visit: Visit) -> View | Leave:
    """Ask for a trade, and name those that breaks are about."""
    wanted = visit.asked("trade")
    if wanted is not None:
        return Leave(f"/console/trades/{segment(wanted)}")
    _, found = visit.console.options.reconciling.breaks(visit.app, BreakFilter(), 1, PAGE_SIZE)
    named = {(item["trade_id"], item["profile_id"]): item for item in reversed(found) if item["trade_id"]}
    return View("trades.html", {"found": list(reversed(named.values()))})


def one_trade(visit: Visit) -> View:
    """Tell a trade's story: the ledger's rows, the venue's executions, the audit, the decision."""
    found = explain(visit.app, visit.named("trade_id"), visit.asked("profile"))
    return View(
        "trade.html",
        {
            "found": found, "story": without_repetitions(found.timeline), "picture": picture_of(found),
            "nothing": nothing_to_decide(found) if not found.decisions else "",
        },
    )  # fmt: skip


ROUTES = (reads("/trades", trades), reads("/trades/{trade_id:path}", one_trade))
