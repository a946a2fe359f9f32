"""A bot that is reconciled live, told as it happens: what it did wrong, when that was found, and when it was healed."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median

from trueup.core.breaks import BreakKind
from trueup.core.reconcile.records import BreakRecord, BreakState
from trueup.core.world import Slip, Truth
from trueup.service.reconcile import AccountReport

DOUBLED, LATE = "doubled", "delayed"
_SAID = {
    "lost": "lost the write of {what}",
    DOUBLED: "wrote {what} twice",
    LATE: "delays the write of {what}",
}
_NEEDS = (BreakKind.MISSING_IN_DB, BreakKind.DUPLICATE)


@dataclass(slots=True)
class _Watched:
    """One slip under watch: when it happened, and after how many milliseconds it was found and over."""

    slip: Slip
    since_ms: int
    found_ms: int | None = None
    over_ms: int | None = None
    healed: bool = False


@dataclass(slots=True)
class LiveStory:
    """What is told of a bot and of trueup; any thread may call."""

    say: Callable[[str], None]
    counts: Counter[str] = field(default_factory=Counter)
    cycles: int = 0
    _watched: dict[tuple[str, str], _Watched] = field(default_factory=dict)
    _seen: dict[tuple[str, str], int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def slipped(self, slip: Slip) -> None:
        """Take in what the bot did wrong; a write that comes late is wrong only if it was booked meanwhile."""
        with self._lock:
            if slip.late_ms is not None:
                self._landed(slip, slip.late_ms)
                return
            self.counts[slip.kind] += 1
            need = BreakKind.DUPLICATE if slip.kind == DOUBLED else BreakKind.MISSING_IN_DB
            self._watched[need, slip.order_id] = _Watched(slip, slip.at_ms)
            self.say(f"bot: {_SAID[slip.kind].format(what=slip.what)} ({slip.trade_id})")

    def _landed(self, slip: Slip, late_ms: int) -> None:
        missing = self._watched.get((BreakKind.MISSING_IN_DB, slip.order_id))
        self.say(f"bot: wrote {slip.what} ({slip.trade_id}), {_seconds(late_ms)} late")
        if missing is not None and missing.healed:
            self._watched[BreakKind.DUPLICATE, slip.order_id] = _Watched(slip, slip.at_ms + late_ms)

    def looked(self, report: AccountReport) -> None:
        """Take in what a cycle found and healed."""
        with self._lock:
            self.cycles += 1
            for run in report.runs:
                for record in run.breaks:
                    self._take(record)

    def _take(self, record: BreakRecord) -> None:
        watched = self._watched.get((record.kind, record.exchange_order_id or ""))
        if watched is None or watched.over_ms is not None:
            return
        what = f"{record.kind}: {watched.slip.what} ({watched.slip.trade_id})"
        if watched.found_ms is None:
            watched.found_ms = max(record.first_seen_ms - watched.since_ms, 0)
            self.say(f"trueup: found {what} after {_seconds(watched.found_ms)}")
        if record.state.over:
            watched.over_ms = max((record.resolved_ms or record.last_seen_ms) - watched.since_ms, 0)
            watched.healed = record.state is BreakState.HEALED
            done = "healed" if watched.healed else "sees no more"
            self.say(f"trueup: {done} {what} after {_seconds(watched.over_ms)}")

    @property
    def settled(self) -> bool:
        """Say whether everything that the bot did wrong is over."""
        with self._lock:
            return all(each.over_ms is not None for each in self._watched.values())

    def end(self, truth: Truth) -> int:
        """Tell the whole in a few lines; 0 if the books are what really happened, else 1."""
        with self._lock:
            found = [each.found_ms for each in self._watched.values() if each.found_ms is not None]
            healed = [each.over_ms for each in self._watched.values() if each.healed and each.over_ms is not None]
        slips = ", ".join(f"{self.counts[kind]} {kind}" for kind in _SAID)
        self.say("")
        self.say(f"The bot sent {truth.orders} orders; of its writes were {slips}.")
        self.say(f"trueup ran {self.cycles} cycles, found {_many(found)}, healed {_many(healed)}.")
        for line in truth.differences:
            self.say(f"   {line}")
        if truth.differences:
            self.say(f"Ledger equals venue: NO ({len(truth.differences)} differences).")
            return 1
        self.say(f"Ledger equals venue: yes ({truth.orders} orders and {truth.symbols} symbols).")
        return 0


def _many(times: Iterable[int]) -> str:
    """Return how many there are, and how long they took."""
    known = sorted(times)
    if not known:
        return "0"
    return f"{len(known)} (median {_seconds(int(median(known)))}, longest {_seconds(known[-1])})"


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.1f} s"
