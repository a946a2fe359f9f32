"""What every request passes: host, token, throttle, size, time; and the headers of every answer."""

import socket
import time
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import httpx
import pytest
from tests.api.server import Api, an_api
from tests.ledger.bot import Bot, row

from trueup.service.events import listening
from trueup.surfaces.api.front import HEADERS, client_address
from trueup.surfaces.api.throttle import Throttle

WRONG = {"Authorization": "Bearer trueup_wrong"}


def served(bot: Bot, **options: object) -> Iterator[Api]:
    with an_api(bot.ready(row("TRD-1")), **options) as api:
        yield api


def by_hand(api: Api, text: str) -> str:
    """Send bytes as they are, and return the answer's beginning."""
    place = urlsplit(api.url)
    with socket.create_connection((place.hostname, place.port), timeout=15) as connection:
        connection.sendall(text.encode())
        return connection.recv(65536).decode()


class TestHeaders:
    @pytest.mark.parametrize("path", ["/healthz", "/modes", "/nothing", "/docs", "/openapi.json"])
    def test_every_answer_has_the_headers_of_security(self, api: Api, path: str) -> None:
        for role in ("viewer", None):
            answer = api.client(role).get(path)
            for name, value in HEADERS.items():
                if name != "Content-Security-Policy":
                    assert answer.headers[name] == value, (path, role, name)
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert "server" not in answer.headers
            assert "strict-transport-security" not in answer.headers

    def test_no_other_origin_is_let_in(self, api: Api) -> None:
        headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        answers = [api.client(**headers).get("/modes"), api.client(None, **headers).options("/modes")]
        assert not [name for answer in answers for name in answer.headers if name.startswith("access-control")]

    def test_with_tls_browsers_are_told_to_stay_with_it(self, sqlite_bot: Bot) -> None:
        for api in served(sqlite_bot, secure=True):
            assert "max-age" in api.client().get("/healthz").headers["Strict-Transport-Security"]


class TestHost:
    @pytest.mark.parametrize("host", ["evil.example", "evil.example:8787", "localhost.evil.example", "", "127.0.0.1.x"])
    def test_another_name_for_this_machine_is_refused(self, api: Api, host: str) -> None:
        for path in ("/healthz", "/metrics", "/modes"):
            answer = api.client(Host=host).get(path)
            assert (answer.status_code, answer.json()["type"]) == (421, "urn:trueup:problem:misdirected")

    @pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:8787", "[::1]:8787", "LOCALHOST"])
    def test_its_own_names_are_answered(self, api: Api, host: str) -> None:
        assert api.client(Host=host).get("/modes").status_code == 200


class TestBody:
    def test_a_body_that_is_too_large_is_refused_before_it_is_read(self, api: Api) -> None:
        answer = api.client().post("/modes", content=b" " * 70_000)
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:trueup:problem:too-large")

    def test_so_is_one_that_does_not_say_how_large_it_is(self, api: Api) -> None:
        answer = api.client().post("/modes", content=(b" " * 10_000 for _ in range(7)))
        assert answer.status_code == 413
        small = api.client().post(
            "/modes",
            content=iter([b'{"mode": "HALT", ', b'"scope": "global", "reason": "x"}']),
            headers={"Content-Type": "application/json"},
        )
        assert small.status_code == 200

    def test_a_body_that_does_not_arrive_is_given_up(self, sqlite_bot: Bot) -> None:
        for api in served(sqlite_bot, body_seconds=0.2):
            head = f"POST /modes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api.secrets['operator']}\r\n"
            began = time.monotonic()
            assert by_hand(api, f"{head}Content-Length: 100\r\n\r\n{{").startswith("HTTP/1.1 408")
            assert time.monotonic() - began < 5

    def test_of_a_stranger_no_body_is_read(self, api: Api) -> None:
        head = "POST /modes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n"
        assert by_hand(api, head).startswith("HTTP/1.1 401")

    @pytest.mark.parametrize("content", [b"", b"{", b"nul", b"\xff", b'{"a": NaN}', b"[" * 20_000])
    def test_what_is_no_json_is_422(self, api: Api, content: bytes) -> None:
        for headers in ({"Content-Type": "application/json"}, {"Content-Type": "text/plain"}, {}):
            answer = api.client().post("/modes", content=content, headers=headers)
            assert answer.status_code == 422, answer.text
            assert answer.headers["Content-Type"] == "application/problem+json"


class TestThrottle:
    def test_who_fails_too_often_waits_and_tokens_that_were_good_still_are(self, sqlite_bot: Bot) -> None:
        for api in served(sqlite_bot, failures_a_minute=3):
            assert api.client("viewer").get("/modes").status_code == 200
            stranger = api.client(None, **WRONG)
            assert [stranger.get("/modes").status_code for _ in range(5)] == [401, 401, 401, 429, 429]
            answer = stranger.get("/modes")
            assert 0 < int(answer.headers["Retry-After"]) <= 60
            assert answer.json()["type"] == "urn:trueup:problem:too-many"
            assert api.client("viewer").get("/modes").status_code == 200
            assert api.client("operator").get("/modes").status_code == 429
            assert api.client(None).get("/healthz").status_code == 200

    def test_without_a_token_nothing_is_counted(self, sqlite_bot: Bot) -> None:
        for api in served(sqlite_bot, failures_a_minute=2):
            assert [api.client(None).get("/modes").status_code for _ in range(5)] == [401] * 5

    def test_behind_a_proxy_the_address_is_what_the_proxy_saw(self, sqlite_bot: Bot) -> None:
        for api in served(sqlite_bot, failures_a_minute=1, behind_proxy=True):
            first, second = (api.client(None, **WRONG, **{"X-Forwarded-For": f"1.2.3.4, {a}"}) for a in "ab")
            assert [first.get("/modes").status_code for _ in range(2)] == [401, 429]
            assert second.get("/modes").status_code == 401
            assert api.client(None, **WRONG, **{"X-Forwarded-For": "9.9.9.9, a"}).get("/modes").status_code == 429

    def test_no_header_moves_the_address_where_there_is_no_proxy(self) -> None:
        scope = {"client": ("10.0.0.1", 5), "headers": [(b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"2.2")]}
        assert client_address(scope, behind_proxy=False) == "10.0.0.1"
        assert client_address(scope, behind_proxy=True) == "2.2"
        assert client_address({"client": None, "headers": []}, behind_proxy=True) == ""

    def test_failures_are_forgotten_after_a_minute(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [100.0]
        monkeypatch.setattr("trueup.surfaces.api.throttle.time.monotonic", lambda: now[0])
        throttle = Throttle(2)
        throttle.failed("a", "h")
        now[0] += 30
        throttle.failed("a", "h")
        assert (throttle.wait_seconds("a", "h"), throttle.wait_seconds("b", "h")) == (30, 0)
        now[0] += 31
        assert throttle.wait_seconds("a", "h") == 0

    def test_a_token_that_was_good_and_is_wrong_now_counts_again(self) -> None:
        throttle = Throttle(1)
        throttle.succeeded("h")
        throttle.failed("a", "x")
        assert throttle.wait_seconds("a", "h") == 0
        throttle.failed("a", "h")
        assert throttle.wait_seconds("a", "h") > 0

    def test_it_remembers_so_many_addresses_and_no_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("trueup.surfaces.api.throttle._REMEMBERED", 3)
        throttle = Throttle(1)
        for number in range(9):
            throttle.failed(f"a{number}", "x")
            throttle.succeeded(f"h{number}")
        assert len(throttle._failures) == len(throttle._good) == 3


class TestMetrics:
    def test_are_served_as_they_are_given_without_a_token_on_the_loopback(self, sqlite_bot: Bot) -> None:
        for api in served(sqlite_bot, metrics=lambda: (b"up 1\n", "text/plain; version=0.0.4")):
            answer = api.client(None).get("/metrics")
            assert (answer.status_code, answer.text) == (200, "up 1\n")
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4"

    def test_need_a_token_elsewhere(self, sqlite_bot: Bot) -> None:
        for api in served(sqlite_bot, metrics=lambda: (b"up 1\n", "text/plain"), metrics_open=False):
            assert api.client(None).get("/metrics").status_code == 401
            assert api.client("viewer").get("/metrics").status_code == 200

    def test_are_not_found_where_nothing_is_measured(self, api: Api) -> None:
        assert api.client(None).get("/metrics").status_code == 404


class TestDocs:
    def test_a_browser_without_a_token_gets_the_page_that_asks_for_it(self, api: Api) -> None:
        answer = api.client(None, Accept="text/html").get("/docs")
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert answer.text == api.client("viewer").get("/docs").text
        assert api.client(None).get("/docs").headers["Content-Type"] == "application/problem+json"

    def test_nothing_of_it_comes_from_elsewhere(self, api: Api) -> None:
        answer = api.client("viewer").get("/docs")
        assert "http" not in answer.text
        assert " src=" not in answer.text
        assert " href=" not in answer.text
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "connect-src 'self'" in policy

    def test_the_description_says_what_each_route_needs_and_how_it_fails(self, api: Api) -> None:
        schema = api.client("viewer").get("/openapi.json").json()
        assert schema["openapi"].startswith("3.1")
        for path, methods in schema["paths"].items():
            for method, operation in methods.items():
                assert operation["x-permission"] in ("none", "read", "act", "sign"), path
                assert (operation["security"] == []) is (path == "/healthz")
                failures = {status for status in operation["responses"] if status >= "400"}
                assert failures >= ({"500"} if path == "/healthz" else {"401", "403", "422", "429", "500", "503"})
                for status in failures:
                    assert list(operation["responses"][status]["content"]) == ["application/problem+json"]
                if method == "post":
                    assert "Idempotency-Key" in [one["name"] for one in operation["parameters"]]
        assert "HTTPValidationError" not in schema["components"]["schemas"]


def test_a_websocket_is_not_let_in(api: Api) -> None:
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n"
    assert "401" in by_hand(api, f"GET /modes HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n").splitlines()[0]


def test_a_failure_that_nobody_foresaw_is_named_and_not_shown(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret-detail")

    monkeypatch.setattr("trueup.surfaces.api.routes.trading.show_modes", fail)
    answer = api.client("viewer").get("/modes")
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (500, "urn:trueup:problem:unexpected")
    assert "secret-detail" not in answer.text
    assert "Traceback" not in answer.text
    assert problem["instance"] in caplog.text
    assert "secret-detail" in caplog.text


def test_so_is_one_on_the_way_in(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret-detail")

    monkeypatch.setattr("trueup.surfaces.api.front.authenticate", fail)
    answer = api.client("viewer").get("/modes")
    assert (answer.status_code, "secret-detail" in answer.text) == (500, False)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_database_that_is_locked_is_503_and_says_when_to_come_back(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from trueup.core.errors import CannotKnow

    def fail(*_: object) -> None:
        raise CannotKnow("The database is locked.", "Try again.")

    monkeypatch.setattr("trueup.surfaces.api.routes.trading.show_modes", fail)
    answer = api.client("viewer").get("/modes")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    monkeypatch.setattr("trueup.surfaces.api.front.authenticate", fail)
    assert api.client("viewer").get("/check").status_code == 503


def test_tokens_are_in_no_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    heard: list[tuple[str, Mapping[str, object]]] = []
    with listening(lambda event, said: heard.append((event.name, said))):
        _ask(api)
    asked = [said for name, said in heard if name == "api_answered"]
    assert len(asked) == 5
    assert {name: value for name, value in asked[-1].items() if name != "took_ms"} == {
        "method": "GET", "route": "/modes", "status": 401, "actor": None,
    }  # fmt: skip
    assert str(asked[0]["actor"]).startswith("api:operator-")
    ours = [record.getMessage() + repr(record.__dict__) for record in caplog.records if record.name != "httpx"]
    told = [*ours, *(repr(said) for said in heard)]
    assert not [text for text in told for secret in (*api.secrets.values(), "trueup_wrong") if secret in text]


def test_a_request_is_logged_by_its_route_and_never_by_what_the_client_wrote(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    heard: list[tuple[str, Mapping[str, object]]] = []
    with listening(lambda event, said: heard.append((event.name, said))):
        api.client("viewer").get("/explain/TRD-SECRET")
        api.client("viewer").get("/nothing/SECRET")
    routes = [(said["route"], said["status"]) for name, said in heard if name == "api_answered"]
    assert routes == [("/explain/{trade_id}", 404), (None, 404)]
    assert "SECRET" not in repr(heard)
    assert not [record for record in caplog.records if record.name == "trueup.api"]


def _ask(api: Api) -> None:
    for role in ("operator", "viewer"):
        client = api.client(role)
        client.get("/modes", params={"token": api.secrets[role]})
        client.post("/modes", json={"mode": "HALT", "scope": "global", "reason": api.secrets[role]})
    httpx.get(f"{api.url}/modes", headers=WRONG)


def test_a_body_that_is_not_said_to_be_json_or_says_a_key_twice_is_refused_in_words(api: Api) -> None:
    client = api.client("operator")
    plain = client.post("/modes", content=b'{"mode": "HALT"}', headers={"Content-Type": ""})
    assert (plain.status_code, "Content-Type: application/json" in plain.json()["do"]) == (422, True)
    twice = b'{"mode": "HALT", "mode": "NORMAL", "scope": "global", "reason": "a"}'
    answer = client.post("/modes", content=twice, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["detail"]) == (400, "body.mode: It is given more than once.")
    scope = client.post("/modes", json={"mode": "HALT", "scope": "everything", "reason": "a"})
    assert scope.status_code == 422
    assert "global, account:NAME, profile:ID or symbol:ID:SYMBOL" in scope.json()["detail"]
    assert "pattern" not in scope.json()["detail"]
    assert client.get("/breaks", params={"account": "nobody"}).status_code == 404


def test_a_disabled_backfill_gives_no_plan_to_apply_and_refuses_one(bot: Bot) -> None:
    bot.environ["ENABLE_RECON_EXIT_BACKFILL"] = "false"
    with an_api(bot.ready(row("TRD-1"))) as api:
        client = api.client("operator")
        dry = client.post("/backfill/run", json={}).json()
        assert (dry["plan_hash"], [each["skipped_reason"] for each in dry["profiles"]]) == (None, ["disabled"])
        answer = client.post("/backfill/run", json={"apply": True, "plan": "0" * 64})
        assert (answer.status_code, "disabled" in answer.json()["detail"]) == (409, True)
