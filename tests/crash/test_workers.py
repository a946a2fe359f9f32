"""Invariant 12 (Fenced): many workers on one Postgres, some killed, some frozen past their lease, write one at a time.

The proof is what the database holds afterwards; `python -m bench.workers` does the same over 2,000 profiles.
"""

from pathlib import Path

import pytest
from tests.crash.fleet import Fleet

pytestmark = pytest.mark.postgres


def test_workers_killed_and_frozen_never_write_two_at_a_time(postgres_url: str, tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, postgres_url, profiles=60, per_account=2)
    try:
        played = fleet.play(workers=8, seconds=10, every=2, at_most=120)
    finally:
        fleet.close()
    assert played.ran == set(fleet.names)
    assert played.overlaps == []
    assert played.interleaved == []
    assert played.heals >= len(fleet.names)
    assert played.fenced_out > 0
    assert played.pending == 0
    assert played.audit.ok, played.audit
