"""A process whose children flatten an account and are killed: `python -m tests.flatten.killed`, one request a line.

A request names trueup.toml, and the moment at which the child kills itself: "before WHAT" or "after WHAT" of an entry
of the record; without a moment it is the next worker. What happens at the wire is the exchange's to say: it kills the
child whose id is in the file `child`.
"""

import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.incidents.wire import ENVIRON

from trueup.bootstrap import build
from trueup.core.flatten.record import Entry, FlattenRules
from trueup.core.modes import Mode
from trueup.ports import FlattenBook, Lease
from trueup.service.app import App, SafetyConfig
from trueup.service.flattening import flatten_scope

RULES = FlattenRules(settle_ms=1500)
SECONDS_AT_MOST = 120
"""After so long a child is ended, so that what waits for ever fails."""


@dataclass(frozen=True)
class Deadly:
    """The record, which kills its process before or after an entry."""

    book: FlattenBook
    moment: str

    def story(self, episode: str) -> Sequence[Entry]:
        return self.book.story(episode)

    def add(self, entry: Entry, lease: Lease) -> None:
        self._die(f"before {entry.what}")
        self.book.add(entry, lease)
        self._die(f"after {entry.what}")

    def newest(self) -> Sequence[Entry]:
        return self.book.newest()

    def closings(self, account: str, since_ms: int) -> Sequence[Entry]:
        return self.book.closings(account, since_ms)

    def _die(self, moment: str) -> None:
        if moment == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


def quick(app: App) -> App:
    """Return an App that believes the exchange sooner than others do."""
    return replace(app, safety=SafetyConfig(flatten=RULES))


def flatten(config: Path, moment: str) -> None:
    (config.parent / "child").write_text(str(os.getpid()))
    app = quick(build(config, ENVIRON))
    flatten_scope(replace(app, flattenings=Deadly(app.flattenings, moment)), "account:main")


def go_on(config: Path) -> None:
    """Do what the killed one left, as the next worker, and write down how it ended."""
    with closing(quick(build(config, ENVIRON))) as app:
        [done] = flatten_scope(app, "account:main")
        mode = max(app.modes.current().values(), default=Mode.NORMAL)
    told = {"state": done.state, "mode": mode.name, "said": str(done)}
    (config.parent / "done.json").write_text(json.dumps(told))


def fork(request: dict[str, Any]) -> dict[str, Any]:
    child = os.fork()
    if child == 0:
        code = 1
        signal.alarm(SECONDS_AT_MOST)
        try:
            if request["moment"]:
                flatten(Path(request["config"]), request["moment"])
            else:
                go_on(Path(request["config"]))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return {"killed": os.WIFSIGNALED(status), "code": None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)}


if __name__ == "__main__":
    import ccxt  # noqa: F401  # imported once, so that no child does it

    for line in sys.stdin:
        sys.stdout.write(f"{json.dumps(fork(json.loads(line)))}\n")
        sys.stdout.flush()
