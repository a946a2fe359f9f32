"""What `trueup mode set FLATTEN` shows: a rehearsal, or how it went."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trueup.core.errors import ConfigurationError
from trueup.core.modes import Mode, read_mode
from trueup.surfaces.cli.options import Format
from trueup.surfaces.cli.output import BAD, GOOD, STRONG, print_json, say

if TYPE_CHECKING:
    from trueup.ports import ModeChange
    from trueup.service.app import App
    from trueup.service.flattening import Flattened


def flatten_now(app: "App", change: "ModeChange") -> "list[Flattened] | None":
    """Flatten a scope that was just put into FLATTEN, under the leases of its accounts; None for another mode."""
    if change.mode is not Mode.FLATTEN:
        return None
    from trueup.service.flattening import flatten_scope

    return flatten_scope(app, change.scope)


def exit_of(done: "Sequence[Flattened] | None") -> int:
    """Return the exit code: 3 where it could not be verified, 1 where something is left, 0 where all is flat."""
    halted = [each for each in done or () if each.state == "halted"]
    if any(not each.known for each in halted):
        return 3
    return int(bool(halted))


def say_flattened(each: "Flattened") -> None:
    """Print how a flattening went."""
    words = {"flat": ("flat", GOOD), "halted": ("not flat: HALT", BAD), "going_on": ("going on", STRONG)}
    say(f"{each.account}: ", words[each.state], f", {each.why}" if each.why else "")
    for name in each.left:
        say("  left: ", (name, STRONG))
    for name in each.apart:
        say(f"  not touched: {name}")


def rehearse_mode(app: "App", mode: str, scope: str, form: Format) -> int:
    """Show what FLATTEN would do now, and return the exit code: 1 where something stands in its way."""
    if read_mode(mode) is not Mode.FLATTEN:
        raise ConfigurationError(f"{mode} sends nothing, so that there is nothing to rehearse.", "Leave --dry-run out.")
    from trueup.service.rehearsing import rehearse

    found = rehearse(app, scope)
    if form is Format.JSON:
        print_json({"dry_run": True, "mode": Mode.FLATTEN.name, "accounts": [each.as_json() for each in found]})
    else:
        for each in found:
            document = each.as_json()
            say((each.account, STRONG), f": nothing was sent, and {scope} stays in its mode")
            for order in document["cancels"]:  # type: ignore[attr-defined]  # a list, by its form
                say(f"  would cancel {order['symbol']} {order['side']}, order {order['order_id']}")
            for lot in document["closes"]:  # type: ignore[attr-defined]  # a list, by its form
                say(f"  would close {lot['symbol']}: {lot['side']} {lot['qty']} of {lot['held']}")
            if not (document["cancels"] or document["closes"] or each.in_the_way or each.targets.why):
                say("  nothing to cancel, and nothing to close")
            for way in each.in_the_way:
                say("  in the way: ", (way, BAD))
            for name in each.targets.apart:
                say(f"  would not touch: {name}")
    if any(each.targets.why or each.targets.unknown for each in found):
        return 3
    return int(any(each.in_the_way for each in found))
