"""`trueup serve`: where it may be bound, the first token, and how it is stopped."""

import json
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.cli.program import Program, process
from tests.ledger.bot import Bot

from trueup.core.errors import ConfigurationError
from trueup.service.tokens import create_token, first_token, revoke_token
from trueup.surfaces.api.serving import Place


@dataclass
class Served:
    """A server in a process of its own, and what it said."""

    process: subprocess.Popen[str]
    said: str

    @property
    def url(self) -> str:
        found = re.search(r"https?://[^\s;\"#]+?:\d+", self.said)
        assert found is not None, self.said
        return found[0]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(how)
        rest, _ = self.process.communicate(timeout=30)
        return self.process.returncode, rest


@contextmanager
def served(bot: Bot, *words: str, until: str = "Ctrl-C") -> Iterator[Served]:
    """Start the server and wait until it says something."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ENABLE_RECON", "RECON_", "TRUEUP_"))}
    command = [sys.executable, "-m", "trueup", "--config", str(bot.config), "serve", "--port", "0", *words]
    with subprocess.Popen(command, env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        said, deadline = "", time.monotonic() + 60
        while until not in said and time.monotonic() < deadline:
            if select.select([running.stdout], [], [], 1)[0]:
                more = os.read(running.stdout.fileno(), 65536).decode()
                said += more
                if not more:
                    break
        try:
            yield Served(running, said)
        finally:
            if running.poll() is None:
                running.kill()


class TestStart:
    def test_the_first_start_makes_a_token_and_the_next_needs_it(self, sqlite_bot: Bot) -> None:
        sqlite_bot.init()
        with served(sqlite_bot) as first:
            link = re.search(r"Log in: (\S+)", first.said)
            assert link is not None, first.said
            page, _, secret = link[1].partition("#token=")
            headers = {"Authorization": f"Bearer {secret}"}
            assert httpx.get(f"{first.url}/modes", headers=headers).status_code == 200
            assert page == f"{first.url}/console/login"
            assert "Token" in httpx.get(page, headers={"Accept": "text/html"}).text
            code, rest = first.stop()
            assert (code, "Traceback" in rest, "stopped" in rest) == (0, False, True)
        assert (first.said + rest).count(secret) == 2
        with served(sqlite_bot, "--format", "json", until="\n}") as second:
            document = json.loads(second.said[second.said.index("{\n") :].partition("\n}")[0] + "}")
            assert (document["log_in"], document["token"]) == (None, None)
            assert httpx.get(f"{document['url']}/modes", headers=headers).status_code == 200
            code, rest = second.stop(signal.SIGINT)
            assert code == 0
        lines = [json.loads(line) for line in (second.said + rest).splitlines() if line.startswith('{"timestamp"')]
        assert [line["event"] for line in lines] == ["api_started", "api_answered", "api_stopped"]
        told = {name: lines[1][name] for name in ("method", "route", "status", "actor")}
        assert told == {"method": "GET", "route": "/modes", "status": 200, "actor": lines[1]["actor"]}
        assert lines[1]["actor"].startswith("api:")

    def test_an_answer_that_is_being_given_is_given_before_it_stops(self, sqlite_bot: Bot) -> None:
        secret = create_token(sqlite_bot.init(), "a", "operator").secret
        with served(sqlite_bot) as running:
            url = httpx.URL(running.url)
            with socket.create_connection((url.host, url.port or 0), timeout=20) as connection:
                body = b'{"reason": "x"}'
                head = (
                    f"POST /internal/trading/pause HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                )
                connection.sendall(head.encode() + body[:5])
                time.sleep(0.3)
                running.process.send_signal(signal.SIGTERM)
                time.sleep(0.3)
                connection.sendall(body[5:])
                assert connection.recv(9999).startswith(b"HTTP/1.1 200")
            assert running.process.wait(30) == 0

    def test_a_second_signal_ends_it_at_once(self, sqlite_bot: Bot) -> None:
        create_token(sqlite_bot.init(), "a", "operator")
        with served(sqlite_bot) as running:
            url = httpx.URL(running.url)
            with socket.create_connection((url.host, url.port or 0), timeout=20) as connection:
                connection.sendall(b"POST /modes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n")
                running.process.send_signal(signal.SIGTERM)
                time.sleep(0.5)
                running.process.send_signal(signal.SIGTERM)
                assert running.process.wait(10) != 1


class TestRefusals:
    def test_a_port_that_is_taken_makes_no_token(self, sqlite_bot: Bot) -> None:
        sqlite_bot.init()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            answer = Program(sqlite_bot)("serve", "--port", str(taken.getsockname()[1]))
        assert (answer.code, answer.out) == (2, "")
        assert "cannot be served on" in answer.err
        assert not sqlite_bot.db.table("api_tokens")

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
    def test_beyond_this_machine_it_needs_tls_or_a_proxy(self, sqlite_bot: Bot, host: str) -> None:
        sqlite_bot.init()
        answer = Program(sqlite_bot)("serve", "--host", host, "--port", "0")
        assert (answer.code, "--tls-cert" in answer.err, "--behind-proxy" in answer.err) == (2, True, True)

    def test_behind_a_proxy_it_needs_a_token_first(self, sqlite_bot: Bot) -> None:
        sqlite_bot.init()
        answer = Program(sqlite_bot)("serve", "--host", "0.0.0.0", "--port", "0", "--behind-proxy")
        assert (answer.code, "trueup token create" in answer.err) == (2, True)
        assert not sqlite_bot.db.table("api_tokens")

    def test_where_all_tokens_are_revoked_none_is_made(self, sqlite_bot: Bot) -> None:
        app = sqlite_bot.init()
        assert first_token(app, alone=True) is not None
        assert first_token(app, alone=True) is None
        revoke_token(app, "operator")
        with pytest.raises(ConfigurationError, match="revoked"):
            first_token(app, alone=True)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--tls-cert", "x.pem"), "--tls-key"),
            (("--tls-cert", "x.pem", "--tls-key", "y.pem"), "no file x.pem"),
            (("--host", "nowhere.invalid", "--behind-proxy"), "cannot be served on"),
        ],
    )
    def test_what_cannot_be_is_told(self, sqlite_bot: Bot, words: tuple[str, ...], said: str) -> None:
        create_token(sqlite_bot.init(), "a", "operator")
        answer = Program(sqlite_bot)("serve", "--port", "0", *words)
        assert (answer.code, said in answer.err) == (2, True), answer.err

    def test_a_certificate_that_is_none_is_told(self, sqlite_bot: Bot, tmp_path: Path) -> None:
        create_token(sqlite_bot.init(), "a", "operator")
        for name in ("cert.pem", "key.pem"):
            (tmp_path / name).write_text("nothing")
        words = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
        answer = Program(sqlite_bot)("serve", "--port", "0", *words)
        assert (answer.code, "cannot be used" in answer.err) == (2, True), answer.err

    def test_before_init_it_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "trueup.toml").write_text('[ledger]\nurl = "sqlite:///ledger.db"\n')
        answer = process(tmp_path, "serve", "--port", "0")
        assert (answer.code, "trueup init" in answer.err) == (2, True)


def test_tls_is_served(sqlite_bot: Bot, tmp_path: Path) -> None:
    secret = create_token(sqlite_bot.init(), "a", "viewer").secret
    cert, key = certificate(tmp_path)
    with served(sqlite_bot, "--tls-cert", str(cert), "--tls-key", str(key)) as running:
        assert running.url.startswith("https://")
        answer = httpx.get(
            f"{running.url}/modes",
            headers={"Authorization": f"Bearer {secret}"},
            verify=ssl.create_default_context(cafile=cert),
        )
        assert answer.status_code == 200
        assert "Strict-Transport-Security" in answer.headers
        assert running.stop()[0] == 0


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for the loopback."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.mark.parametrize(
    ("place", "on_loopback", "secure", "url"),
    [
        (Place(), True, False, "http://127.0.0.1:1"),
        (Place("localhost"), True, False, "http://localhost:1"),
        (Place("::1"), True, False, "http://[::1]:1"),
        (Place("127.0.0.1", behind_proxy=True), False, True, "http://127.0.0.1:1"),
        (Place("192.0.2.1", behind_proxy=True), False, True, "http://192.0.2.1:1"),
    ],
)
def test_a_place_knows_who_can_reach_it(place: Place, on_loopback: bool, secure: bool, url: str) -> None:
    place.check()
    assert (place.on_loopback, place.secure, place.url(1)) == (on_loopback, secure, url)
    assert (place.hosts is not None) is on_loopback


def test_help_imports_no_server(tmp_path: Path) -> None:
    answer = process(tmp_path, "serve", "--help", python=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in answer.err.splitlines()}
    assert not imported & {"fastapi", "uvicorn", "starlette", "anyio", "sqlalchemy"}
