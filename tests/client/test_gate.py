"""`import trueup`: the gate as a bot uses it, by database and by HTTP; nothing that goes wrong lets an order by."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.api.server import an_api
from tests.ledger.bot import Bot, a_bot, pause, row, sold

import trueup
from trueup.core.gate import GateAnswer, Intent
from trueup.core.modes import Mode
from trueup.service.tokens import create_token

ALLOWED = GateAnswer(True, Mode.NORMAL, "global", "x", 10_000, None, 5_000)


@dataclass
class FakeAsker:
    """Somebody who answers as a test says, after some time by the test's clock."""

    clock: "FakeClock"
    answer: GateAnswer = ALLOWED
    takes_s: float = 0.0
    fails: Exception | None = None
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    closed: bool = False

    def ask(self, symbol: str, intent: Intent, notional: Decimal | None, order_ref: str | None) -> GateAnswer:
        self.asked.append((symbol, intent, notional, order_ref))
        self.clock.monotonic_s += self.takes_s
        if self.fails is not None:
            raise self.fails
        return self.answer

    def beat(self, *, healthy: bool) -> None:
        if self.fails is not None:
            raise self.fails
        self.asked.append(("beat", healthy))

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeClock:
    """Two clocks: one that only goes on, and one on the wall that somebody may set."""

    monotonic_s: float = 100.0
    wall_ms: int = 5_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def asker(clock: FakeClock) -> FakeAsker:
    return FakeAsker(clock)


@pytest.fixture
def gate(clock: FakeClock, asker: FakeAsker) -> trueup.Gate:
    made = trueup.Gate("p1", environ={})
    made._asker, made._monotonic, made._wall_ms = asker, lambda: clock.monotonic_s, lambda: clock.wall_ms
    return made


class TestCache:
    def test_an_answer_is_used_again_for_its_symbol_and_intent(self, gate: trueup.Gate, asker: FakeAsker) -> None:
        for symbol, intent in (("A", "open"), ("A", "open"), ("A", "reduce"), ("B", "open"), ("A", "reduce")):
            assert gate.allows(symbol, intent)
        assert [(symbol, intent.value) for symbol, intent, *_ in asker.asked] == [
            ("A", "open"), ("A", "reduce"), ("B", "open"),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("monotonic_s", "wall_ms", "questions"),
        [
            (0.0, 0, 1),
            (4.999, 0, 1),
            (5.0, 0, 2),
            (4.0, 4_999, 1),
            (4.0, 5_000, 2),
            (6.0, -3_600_000, 2),
            (-1.0, 0, 2),
        ],
    )
    def test_it_is_never_used_past_either_clock(
        self, gate: trueup.Gate, asker: FakeAsker, clock: FakeClock, monotonic_s: float, wall_ms: int, questions: int
    ) -> None:
        gate.allows("A")
        clock.monotonic_s += monotonic_s
        clock.wall_ms += wall_ms
        gate.allows("A")
        assert len(asker.asked) == questions

    def test_the_lease_begins_before_the_question(self, gate: trueup.Gate, asker: FakeAsker, clock: FakeClock) -> None:
        asker.takes_s = 3.0
        assert gate.allows("A")
        clock.monotonic_s += 1.999
        assert gate.allows("A")
        assert len(asker.asked) == 1
        clock.monotonic_s += 0.001
        assert gate.allows("A")
        assert len(asker.asked) == 2

    def test_an_answer_that_comes_after_its_lease_refuses(self, gate: trueup.Gate, asker: FakeAsker) -> None:
        asker.takes_s = 5.0
        answer = gate.allows("A")
        assert not answer
        assert "lease" in answer.reason

    def test_without_a_lease_every_order_is_asked_for(self, gate: trueup.Gate, asker: FakeAsker) -> None:
        asker.answer = GateAnswer(True, Mode.NORMAL, "global", "x", 5_000, None, 0)
        assert [bool(gate.allows("A")) for _ in range(3)] == [True] * 3
        assert len(asker.asked) == 3

    @pytest.mark.parametrize(
        ("allowed", "intent", "questions"), [(True, "open", 3), (False, "open", 3), (True, "reduce", 1)]
    )
    def test_an_answer_by_a_canary_is_about_one_opening_order(
        self, gate: trueup.Gate, asker: FakeAsker, allowed: bool, intent: str, questions: int
    ) -> None:
        asker.answer = GateAnswer(allowed, Mode.NORMAL, "CAN-1", "x", 10_000, "CAN-1", 5_000)
        for number in range(3):
            gate.allows("A", intent, notional=1, order_ref=f"{number}")
        assert len(asker.asked) == questions

    def test_a_refusal_is_kept_as_long_as_an_allowance(self, gate: trueup.Gate, asker: FakeAsker) -> None:
        asker.answer = GateAnswer(False, Mode.HALT, "global", "x", 10_000, None, 5_000)
        assert not gate.allows("A")
        asker.answer = ALLOWED
        assert not gate.allows("A")

    def test_what_cannot_be_asked_is_not_kept(self, gate: trueup.Gate, asker: FakeAsker) -> None:
        asker.fails = trueup.CannotKnow("the database is away")
        assert not gate.allows("A")
        asker.fails = None
        assert gate.allows("A")

    def test_closing_forgets(self, gate: trueup.Gate, asker: FakeAsker) -> None:
        with gate:
            gate.allows("A")
        assert asker.closed
        gate.allows("A")
        assert len(asker.asked) == 2

    def test_it_keeps_no_more_than_some(self, gate: trueup.Gate, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("trueup.client.gate._MOST_KEPT", 3)
        for number in range(9):
            gate.allows(f"S{number}")
        assert len(gate._kept) == 3


class TestMisuseAndErrors:
    @pytest.mark.parametrize(
        "asked",
        [
            {"symbol": "/"}, {"symbol": 7}, {"symbol": "A", "intent": "sell"}, {"symbol": "A", "notional": 0.1},
            {"symbol": "A", "notional": "NaN"}, {"symbol": "A", "notional": -1}, {"symbol": "A", "notional": True},
        ],
        ids=str,
    )  # fmt: skip
    def test_a_wrong_question_is_a_mistake_of_the_bot_s_author(self, gate: trueup.Gate, asked: dict[str, Any]) -> None:
        with pytest.raises(trueup.ConfigurationError):
            gate.allows(**asked)

    @pytest.mark.parametrize(
        "error", [trueup.CannotKnow("away"), OSError("away"), KeyError("away"), RecursionError("away")]
    )
    def test_every_error_refuses_with_its_reason(self, gate: trueup.Gate, asker: FakeAsker, error: Exception) -> None:
        asker.fails = error
        answer = gate.allows("A")
        assert (answer.allowed, answer.because_of, answer.lease_ms) == (False, "unknown", 0)
        assert "away" in answer.reason
        assert not gate.beat()
        with pytest.raises(trueup.GateRefused, match="away") as refused:
            gate.require("A")
        assert not refused.value.answer

    def test_require_returns_the_answer(self, gate: trueup.Gate) -> None:
        assert gate.require("A", "reduce").allowed

    def test_a_beat_is_passed_on(self, gate: trueup.Gate, asker: FakeAsker) -> None:
        assert gate.beat()
        assert gate.beat(healthy=False)
        assert asker.asked == [("beat", True), ("beat", False)]

    @pytest.mark.parametrize(
        "made",
        [
            {"profile": ""}, {"profile": "p1", "config": "a", "url": "http://x", "token": "t"},
            {"profile": "p1", "token": "t"}, {"profile": "p1", "url": "ftp://x", "token": "t"},
            {"profile": "p1", "url": "http://x"}, {"profile": "p1", "url": "http://x:y", "token": "t"},
            {"profile": "p1", "url": "http://u:p@x", "token": "t"},
            {"profile": "p1", "url": "http://x", "token": "a\nb"},
        ],
        ids=str,
    )  # fmt: skip
    def test_a_gate_that_cannot_work_is_not_made(self, made: dict[str, str]) -> None:
        with pytest.raises(trueup.ConfigurationError):
            trueup.Gate(**made, environ={})


@contextmanager
def over_database(bot: Bot) -> Iterator[trueup.Gate]:
    bot.init()
    with trueup.Gate("p1", config=bot.config, environ=bot.environ) as gate:
        yield gate


@contextmanager
def over_http(bot: Bot) -> Iterator[trueup.Gate]:
    with an_api(bot.init()) as api:
        environ = {"TRUEUP_TOKEN": api.secrets["operator"]}
        with trueup.Gate("p1", url=api.url, environ=environ) as gate:
            yield gate


Way = Callable[[Bot], Any]


@pytest.mark.parametrize("way", [over_database, over_http])
class TestBothWays:
    def test_what_it_answers_follows_the_modes(self, sqlite_bot: Bot, way: Way) -> None:
        with way(sqlite_bot) as gate:
            answer = gate.allows("BTC/USD", notional="12.5", order_ref="A/1 ü")
            assert (answer.allowed, answer.mode) == (True, trueup.Mode.NORMAL)
            app = sqlite_bot.app()
            pause(app, Mode.CLOSE_ONLY, "symbol:p1:ETHUSD")
            refused = gate.allows("ETH/USD")
            assert (refused.allowed, refused.because_of) == (False, "symbol:p1:ETHUSD")
            assert gate.allows("ETH/USD", "reduce")

    def test_its_heartbeats_arm_the_dead_man(self, sqlite_bot: Bot, way: Way) -> None:
        with way(sqlite_bot) as gate:
            assert gate.beat(healthy=False)
            assert gate.allows("BTC/USD")
            assert gate.beat()
            sqlite_bot.db.run("UPDATE heartbeats SET healthy_at = healthy_at - 100000, beat_at = beat_at - 100000")
            answer = gate.allows("ETH/USD")
            assert (answer.allowed, answer.mode, answer.because_of) == (False, Mode.SAFE_MODE, "bot:p1")
            assert "no healthy heartbeat" in answer.reason

    def test_threads_may_share_it(self, sqlite_bot: Bot, way: Way) -> None:
        with way(sqlite_bot) as gate, ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: gate.allows(f"S{number}/USD"), range(40)))
        assert [answer.reason for answer in answers if not answer.allowed] == []

    def test_a_database_that_goes_away_refuses(self, sqlite_bot: Bot, way: Way) -> None:
        with way(sqlite_bot) as gate:
            assert gate.allows("BTC/USD")
            for name in ("heartbeats", "safety_modes"):
                sqlite_bot.db.run(f"DROP TABLE {name}")
            answer = gate.allows("ETH/USD")
            assert (answer.allowed, answer.because_of) == (False, "unknown")
            assert not gate.beat()

    def test_a_profile_that_does_not_exist_is_refused(self, sqlite_bot: Bot, way: Way) -> None:
        with way(sqlite_bot) as gate:
            gate._asker._profile = "nobody"
            answer = gate.allows("BTC/USD")
            assert not answer.allowed
            assert "nobody" in answer.reason


def test_a_settings_file_that_is_missing_refuses(tmp_path: Path) -> None:
    with trueup.Gate("p1", config=tmp_path / "trueup.toml", environ={}) as gate:
        assert not gate.allows("BTC/USD")


class TestHttp:
    def test_a_viewer_may_ask_and_not_beat(self, sqlite_bot: Bot) -> None:
        with an_api(sqlite_bot.init()) as api, trueup.Gate("p1", url=api.url, token=api.secrets["viewer"]) as gate:
            assert gate.allows("BTC/USD")
            assert not gate.beat()

    def test_a_wrong_token_and_nobody_there_refuse(self, sqlite_bot: Bot) -> None:
        with an_api(sqlite_bot.init()) as api, trueup.Gate("p1", url=api.url, token="trueup_x") as gate:
            assert not gate.allows("BTC/USD")
            url = api.url
        with trueup.Gate("p1", url=url, token="trueup_x") as gate:
            answer = gate.allows("BTC/USD")
            assert not answer
            assert "cannot be asked" in answer.reason

    def test_one_connection_serves_many_questions_and_a_closed_one_is_made_anew(self, sqlite_bot: Bot) -> None:
        with an_api(sqlite_bot.init()) as api:
            token = create_token(api.app, "bot", "viewer").secret
            with trueup.Gate("p1", url=api.url, token=token) as gate:
                assert gate.allows("A/USD")
                [kept] = gate._asker._idle
                assert gate.allows("B/USD")
                assert list(gate._asker._idle) == [kept]
                kept.sock.shutdown(socket.SHUT_RDWR)
                assert gate.allows("C/USD")

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (200, b""), (200, b"<html>all is well</html>"), (200, b"true"), (200, b"null"), (200, b"{}"),
            (200, json.dumps({"allowed": True}).encode()),
            (200, json.dumps({**ALLOWED.as_json(), "allowed": "true"}).encode()),
            (200, json.dumps({**ALLOWED.as_json(), "allowed": 1}).encode()),
            (200, json.dumps({**ALLOWED.as_json(), "mode": "WILD"}).encode()),
            (200, json.dumps({**ALLOWED.as_json(), "lease_ms": "5"}).encode()),
            (500, json.dumps(ALLOWED.as_json()).encode()), (503, b"{}"), (404, b"not found"),
            (302, json.dumps(ALLOWED.as_json()).encode()), (200, b'{"allowed": true' + b" " * 70_000 + b"}"),
        ],
        ids=str,
    )  # fmt: skip
    def test_what_is_not_plainly_an_answer_refuses(self, status: int, body: bytes) -> None:
        with a_server(status, body) as url, trueup.Gate("p1", url=url, token="t") as gate:
            assert not gate.allows("BTC/USD")

    def test_a_server_that_is_silent_refuses_in_time(self) -> None:
        over = threading.Event()
        with a_server(200, b"{}", over.wait) as url, trueup.Gate("p1", url=url, token="t", timeout_s=0.2) as gate:
            answer = gate.allows("BTC/USD")
            over.set()
        assert not answer
        assert "in time" in answer.reason

    def test_a_lease_is_never_longer_than_any_that_can_be_set(self) -> None:
        said = {**ALLOWED.as_json(), "lease_ms": 10**9}
        with a_server(200, json.dumps(said).encode()) as url, trueup.Gate("p1", url=url, token="t") as gate:
            assert gate.allows("BTC/USD").lease_ms == 60_000


@contextmanager
def a_server(status: int, body: bytes, before: Callable[[], object] = lambda: None) -> Iterator[str]:
    """Serve one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            before()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class TestPackage:
    def test_a_program_reconciles_with_one_call(self, tmp_path: Path, sqlite_url: str) -> None:
        with a_bot(tmp_path, sqlite_url) as bot:
            bot.sells(sold("v-1", client_order_id="bytelyst-p1-TRD-GHOST-exit"))
            bot.ready(row("TRD-GHOST"))
            report = trueup.reconcile(config=bot.config, dry_run=True, environ=bot.environ)
            assert isinstance(report, trueup.ReconcileReport)
            [run] = report.runs
            assert (run.profile_id, run.status) == ("p1", "MISMATCH")
            with pytest.raises(trueup.UnknownName):
                trueup.reconcile(config=bot.config, profiles=["nobody"], environ=bot.environ)

    def test_importing_it_loads_nothing_heavy(self) -> None:
        program = (
            "import sys, trueup; assert trueup.__version__; print(*sys.modules);"
            "trueup.Gate('p1', url='http://127.0.0.1:1', token='t').allows('BTC/USD'); print(*sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        first, after = (set(line.split()) for line in done.stdout.splitlines())
        assert not [name for name in first if name.startswith("trueup.")]
        assert not {"sqlalchemy", "typer", "pydantic", "structlog"} & after

    def test_every_public_name_is_there_and_no_other(self) -> None:
        for name in trueup.__all__:
            assert getattr(trueup, name) is not None
        assert set(trueup.__all__) <= set(dir(trueup))
        with pytest.raises(AttributeError, match="gate_of_heaven"):
            _ = trueup.gate_of_heaven
