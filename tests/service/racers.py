"""A process that applies when it is told to: `python -m tests.service.racers CONFIG WAIT`, one line a step.

It says `ready`, waits for a line, applies, and prints what became of it. With a place to freeze at it stops itself by
SIGSTOP there, and goes on when somebody lets it.
"""

import json
import os
import signal
import sys
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine

from trueup.bootstrap import build
from trueup.core.errors import TrueupError
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


def main(config: str, wait: str, freeze: str = "") -> None:
    app = build(Path(config), {"ENABLE_RECON_EXIT_BACKFILL": "true"})
    if freeze:
        freeze_before(freeze)
    say("ready")
    sys.stdin.readline()
    try:
        report = run_backfill(app, BackfillRequest(apply=True, wait_seconds=float(wait)))
        [entry] = report.profiles.values()
        answer = {
            "inserted": entry.inserted, "skipped": entry.skipped_reason,
            "error": str(entry.error) if entry.error else None, "exit_code": report.exit_code,
        }  # fmt: skip
    except TrueupError as error:
        answer = {"inserted": [], "skipped": None, "error": str(error), "exit_code": error.exit_code}
    say(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
