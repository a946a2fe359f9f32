"""Eight workers over two thousand profiles, one killed and one frozen every few seconds: `python -m bench.workers`.

Arguments: profiles, workers, seconds at least, profiles of an account; the proof is read from the database.
"""

import sys
import tempfile
from pathlib import Path

from tests.crash.fleet import Fleet
from tests.postgres import running_postgres


def main(profiles: int = 2000, workers: int = 8, seconds: int = 120, per_account: int = 1) -> None:
    """Play, and print what the database proves."""
    with (
        tempfile.TemporaryDirectory(prefix="trueup-workers-") as name,
        running_postgres(Path(name) / "turns") as server,
        server.fresh_database() as url,
    ):
        fleet = Fleet(Path(name), url, profiles, per_account)
        fleet.said = lambda text: print(text, flush=True)
        try:
            played = fleet.play(workers, seconds, every=2, at_most=max(5 * seconds, 60))
        finally:
            fleet.close()
    print(
        f"{workers} workers, {profiles:,} profiles, {played.seconds:.0f} s,"
        f" {played.killed} killed, {played.frozen} frozen:"
        f" {len(played.ran):,} profiles ran in {played.cycles:,} cycles, {played.heals:,} heals; cycles of one account"
        f" at the same time {len(played.overlaps)}, heals interleaved {len(played.interleaved)}, refused by fence"
        f" {played.fenced_out}, left pending {played.pending}, audit {'whole' if played.audit.ok else played.audit}"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
