"""A process that forks children which kill themselves: `python child.py`, one request a line on standard input.

The boundaries lie before every statement and before every commit, and after the last; the child that is asked to die
at boundary N takes its own life by SIGKILL right there (or that of another victim, the server). Forking saves the
imports and the compiling of statements; the child opens its own connections. It answers how the child ended and which
boundaries it passed.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.ledger.healing import heal_run

from trueup.bootstrap import SystemClock, build
from trueup.core.errors import TrueupError
from trueup.service import integrity, trade_ids
from trueup.service.app import App
from trueup.service.backfill import BackfillRequest, run_backfill
from trueup.service.undo import reapply, revert

NOW_MS = 1_767_400_000_000
"""When everything happens: a clock that stands still, so that two runs write the same rows."""

INTEGRITY = {"apply": integrity.apply, "validate": integrity.validate, "rollback": integrity.rollback}

ENABLED = {"ENABLE_RECON_EXIT_BACKFILL": "true"}


def act(app: App, request: dict[str, Any]) -> None:
    """Do what is asked for once, as the command line would."""
    if request["what"] == "apply":
        report = run_backfill(app, BackfillRequest(apply=True))
        for entry in report.profiles.values():
            if entry.error is not None:
                raise entry.error
    elif request["what"] == "heal":
        heal_run(app, request["run"])
    elif request["what"] == "integrity":
        INTEGRITY[request["phase"]](app, wait_s=20.0, dry_run=False)
    elif request["what"] == "trade_ids":
        trade_ids.ROWS_AT_ONCE = 2
        if request.get("revert"):
            trade_ids.revert(app, request["revert"], "crash test")
        else:
            trade_ids.backfill(app, trade_ids.IdRequest(apply=True))
    else:
        {"revert": revert, "reapply": reapply}[request["what"]](app, request["batch"], "crash test")


def count_boundaries(reached: Callable[[str], None]) -> None:
    event.listen(Engine, "before_cursor_execute", lambda *said: reached(f"before {said[2]}"))
    event.listen(Engine, "commit", lambda _: reached("before COMMIT"))


def live(app: App, request: dict[str, Any], said: int) -> None:
    """Be the child: act, count, and die at the boundary that was asked for."""
    passed: list[str] = []

    def reached(what: str) -> None:
        passed.append(what)
        if len(passed) == request.get("die_at"):
            os.kill(request.get("victim", os.getpid()), request.get("signal", signal.SIGKILL))

    count_boundaries(reached)
    try:
        act(app, request)
        reached("at the end")
        answer = {"boundaries": passed}
    except TrueupError as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    os.write(said, json.dumps(answer).encode())


def fork(app: App, request: dict[str, Any]) -> dict[str, Any]:
    hear, said = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(hear)
        live(app, request, said)
        os._exit(0)
    os.close(said)
    with os.fdopen(hear) as heard:
        answer = json.loads(heard.read() or "{}")
    _, status = os.waitpid(child, 0)
    return {**answer, "killed": os.WIFSIGNALED(status)}


def serve() -> None:
    SystemClock.now_ms = lambda self: NOW_MS
    apps: dict[str, App] = {}
    for line in sys.stdin:
        request = json.loads(line)
        app = apps.setdefault(request["config"], build(Path(request["config"]), ENABLED))
        if request.get("warm_up"):
            act(app, request)
            app.ledger._store.books.close()
        sys.stdout.write(f"{json.dumps(fork(app, request))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
