"""`trueup demo --live` as the README has it: a careless bot, the stream, the worker and the API, and equal books."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.docs.markdown import ROOT

from trueup.core.breaks import BreakKind
from trueup.core.reconcile.records import BreakRecord, BreakState
from trueup.core.world import Slip, Truth
from trueup.service.live_story import LiveStory
from trueup.service.reconcile import AccountReport
from trueup.service.reconcile_report import RunReport

COMMAND = "trueup demo --live"


@contextmanager
def started(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    known = {**os.environ, "TRUEUP_TRACEBACK": "1"}
    hears = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores Ctrl-C
    process = subprocess.Popen(
        [sys.executable, "-m", *COMMAND.split(), "--folder", "bot", *words], cwd=folder, text=True, env=known,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=hears,  # noqa: PLW1509  # nothing else runs in the child before it becomes the program
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_readmes_command_shows_a_bot_whose_books_end_equal_to_the_venue(tmp_path: Path) -> None:
    assert f"\n    {COMMAND}\n" in (ROOT / "README.md").read_text()
    with started(tmp_path, "--seconds", "12", "--seed", "2") as process:
        told, errors = process.communicate(timeout=150)
    assert (process.returncode, errors) == (0, ""), told + errors
    lost = int(re.findall(r"of its writes were (\d+) lost", told)[0])
    assert lost > 0
    assert told.count("bot: lost the write of ") == lost
    found, healed = (int(n) for n in re.findall(r"found (\d+) .*healed (\d+) ", told)[0])
    assert found >= lost
    assert healed >= lost
    assert re.search(r"trueup: found missing_in_db: .* after \d+\.\d s", told)
    assert re.search(r"trueup: healed missing_in_db: .* after \d+\.\d s", told)
    assert re.search(r"Ledger equals venue: yes \(\d+ orders and \d symbols\)", told)
    assert "alpaca-secret" not in told


def test_ctrl_c_ends_it_with_a_summary_and_the_api_answers_until_then(tmp_path: Path) -> None:
    with started(tmp_path, "--seed", "3") as process:
        assert process.stdout is not None
        told = ""
        while "bot: " not in told:
            line = process.stdout.readline()
            assert line, told
            told += line
        url, token = re.findall(r"trueup answers at (\S+); .*#token=(\S+)", told)[0]
        asked = urllib.request.Request(f"{url}/capabilities", headers={"Authorization": f"Bearer {token}"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(asked, timeout=20) as answer:
            assert json.load(answer)["service"] == "trueup"
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, ""), rest + errors
    assert "Ledger equals venue: yes" in rest


def looked(record: BreakRecord) -> AccountReport:
    run = RunReport("RUN-1", "momo", "sim", "CYC-1", False, 0)
    run.breaks = [record]
    return AccountReport("sim", (run,))


def a_record(kind: BreakKind, state: BreakState, at_ms: int) -> BreakRecord:
    over = at_ms if state.over else None
    return BreakRecord(
        "BRK-1", kind.value, "profile:momo", "sim", state, exchange_order_id="o-1", first_seen_ms=1_500,
        last_seen_ms=at_ms, resolved_ms=over,
    )  # fmt: skip


def test_a_late_write_that_was_booked_meanwhile_is_a_double_to_be_healed() -> None:
    told: list[str] = []
    story = LiveStory(told.append)
    slip = Slip("delayed", "o-1", "TRD-1", "buy 1 KO", 1_000)
    story.slipped(slip)
    assert not story.settled
    story.looked(looked(a_record(BreakKind.MISSING_IN_DB, BreakState.WAITING, 1_500)))
    story.looked(looked(a_record(BreakKind.MISSING_IN_DB, BreakState.HEALED, 3_000)))
    assert story.settled
    story.slipped(Slip("delayed", "o-1", "TRD-1", "buy 1 KO", 1_000, 4_000))
    assert not story.settled
    story.looked(looked(a_record(BreakKind.DUPLICATE, BreakState.HEALED, 5_200)))
    assert story.settled
    assert [line.rpartition(" after ")[2] for line in told if line.startswith("trueup: ")] == [
        "0.5 s", "2.0 s", "0.0 s", "0.2 s",
    ]  # fmt: skip


def test_books_that_differ_at_the_end_are_told_and_fail() -> None:
    told: list[str] = []
    assert LiveStory(told.append).end(Truth(3, 1, ("KO: the ledger holds 1, the venue 2",))) == 1
    assert any("Ledger equals venue: NO" in line for line in told)
