"""Processes that apply when they are told to: `python -m tests.service.racers CONFIG WAIT FREEZE COUNT`.

It says `ready`, waits for a line, becomes as many processes as it was asked for, and each applies and prints in a line
what became of it. With a place to freeze at it stops itself by SIGSTOP there, and goes on when somebody lets it.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from trueup.bootstrap import build
from trueup.core.errors import TrueupError
from trueup.service.app import App
from trueup.service.backfill import BackfillRequest, run_backfill


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def freeze_before(place: str) -> None:
    """Stop this process before the statement that a place names: which one, and how it begins."""
    which, _, start = place.partition(":")
    seen: list[str] = []

    def stop(*said: object) -> None:
        if str(said[2]).startswith(start):
            seen.append(start)
            if len(seen) == int(which):
                os.kill(os.getpid(), signal.SIGSTOP)

    event.listen(Engine, "before_cursor_execute", stop)


def apply(app: App, wait: float) -> dict[str, Any]:
    try:
        report = run_backfill(app, BackfillRequest(apply=True, wait_seconds=wait))
    except TrueupError as error:
        return {"inserted": [], "skipped": None, "error": str(error), "exit_code": error.exit_code}
    [entry] = report.profiles.values()
    error = str(entry.error) if entry.error else None
    return {
        "inserted": entry.inserted, "skipped": entry.skipped_reason, "error": error, "exit_code": report.exit_code,
    }  # fmt: skip


def main(config: str, wait: str, freeze: str, count: str) -> None:
    app = build(Path(config), {"ENABLE_RECON_EXIT_BACKFILL": "true"})
    if freeze:
        freeze_before(freeze)
    say("ready")
    sys.stdin.readline()
    for _ in range(int(count) - 1):
        if os.fork() == 0:
            break
    say(json.dumps(apply(app, float(wait))))


if __name__ == "__main__":
    main(*sys.argv[1:])
