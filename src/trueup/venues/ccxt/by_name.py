"""A position asked for by the name of its market, where ccxt's list of positions lacks it.

Invariant 5 (Unknown is not flat): at many exchanges ccxt lists the positions of one kind of contracts only, most often
those that settle in USDT, and says nothing of the others.
"""

from collections.abc import Mapping
from functools import partial

from trueup.venues.calls.caller import Caller
from trueup.venues.calls.verdicts import CallFailed
from trueup.venues.ccxt.client import Client
from trueup.venues.ccxt.envelopes import BadEnvelope, holds_rows
from trueup.venues.ccxt.export import is_something


def why_unknown(caller: Caller, client: Client, market: str) -> str:
    """Return why a market that the list of positions lacks is not known to be flat; empty where it is."""
    try:
        return caller.ask(f"position of {market}", partial(_held, client, market), weight=0)
    except CallFailed as failed:
        return failed.why


def _held(client: Client, market: str) -> str:
    if client.first.has.get("fetchPosition") is True:
        answer = client.call("fetch_position", market)
    else:
        answer = client.call("fetch_positions", [market])
    rows = [answer.value] if isinstance(answer.value, Mapping) else answer.value
    if not isinstance(rows, list):
        raise BadEnvelope("ccxt made no position of the venue's answer")
    sizes = [row.get("contracts") for row in rows if row.get("symbol") == market]
    if any(is_something(size) for size in sizes):
        return "the venue's list of positions lacks it, and it is held when asked for by its name"
    if not holds_rows(answer.last) and (not sizes or None in sizes):
        raise BadEnvelope("the venue's answer holds no list where its positions should be")
    return ""
