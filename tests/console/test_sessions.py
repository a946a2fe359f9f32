"""Log-in and log-out: what a session's cookie is, when it ends, and whom the door keeps out."""

import re

import httpx
import pytest
from tests.api.server import Api, an_api
from tests.console.conftest import Seconds
from tests.console.visitor import visitor
from tests.ledger.bot import Bot

from trueup.service.tokens import create_token, revoke_token
from trueup.surfaces.console.door import own_path
from trueup.surfaces.console.sessions import IDLE_SECONDS, LONGEST_SECONDS

COOKIE = "trueup-console"


def gone(answer: httpx.Response) -> bool:
    """Whether an answer leads to the log-in."""
    return (answer.status_code, answer.headers["Location"].partition("?")[0]) == (303, "/console/login")


def test_the_cookie_is_for_the_console_alone_and_no_script_sees_it(shared: Api) -> None:
    guest = visitor(shared)
    kept = guest.log_in(shared.secrets["viewer"]).headers.get_list("set-cookie")
    [session] = [said for said in kept if said.startswith(f"{COOKIE}=")]
    parts = {part.strip().lower() for part in session.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/console", f"max-age={LONGEST_SECONDS}"} <= parts
    assert "secure" not in parts
    assert shared.secrets["viewer"] not in session


def test_with_tls_the_cookie_goes_over_tls_alone(bot: Bot) -> None:
    with an_api(bot.app(), secure=True, behind_proxy=True) as api:
        key = visitor(api).get("/login")
        [said] = key.headers.get_list("set-cookie")
        assert said.startswith("__Secure-trueup-login=")
        name, _, value = said.partition(";")[0].partition("=")
        form = re.search(r'name="form_key" value="([^"]*)"', key.text)
        assert form
        client = api.client(None, Cookie=f"{name}={value}")
        answer = client.post("/console/login", data={"form_key": form[1], "token": api.secrets["viewer"], "next": ""})
        [session] = [c for c in answer.headers.get_list("set-cookie") if c.startswith("__Secure-trueup-console=")]
        assert "; secure" in session.lower()


def test_a_log_in_gives_a_new_id_whatever_the_browser_brought(shared: Api) -> None:
    guest = visitor(shared)
    guest.client.cookies.set(COOKIE, "planted", domain="127.0.0.1", path="/console")
    guest.log_in(shared.secrets["viewer"])
    first = guest.cookies[COOKIE]
    guest.log_in(shared.secrets["viewer"])
    assert len({"planted", first, guest.cookies[COOKIE]}) == 3
    guest.client.cookies.delete(COOKIE, domain="127.0.0.1", path="/console")
    guest.client.cookies.set(COOKIE, first, domain="127.0.0.1", path="/console")
    assert gone(guest.get())


def test_without_a_session_every_page_leads_to_the_log_in_and_back(shared: Api) -> None:
    guest = visitor(shared)
    for path in ("/", "/breaks?kind=duplicate", "/audit", "/trades/TRD-GHOST", "/backfill/plans/x"):
        assert gone(guest.get(path)), path
    place = guest.get("/breaks?kind=duplicate").headers["Location"]
    assert place == "/console/login?next=/console/breaks%3Fkind%3Dduplicate"
    form = guest.client.get(place).text
    assert 'name="next" value="/console/breaks?kind=duplicate"' in form
    assert guest.post("/modes", "/login", scope="global").status_code == 401


@pytest.mark.parametrize(
    "path",
    ["https://evil.example/console/", "//evil.example/console/", "/\\evil.example", "/modes", "javascript:alert(1)",
     "/console/\n", "/console/\\\\evil.example", "", "/consoles/"],
)  # fmt: skip
def test_the_way_back_leads_nowhere_else(shared: Api, path: str) -> None:
    assert own_path(path) == "/console/"
    assert visitor(shared).log_in(shared.secrets["viewer"], path).headers["Location"] == "/console/"


def test_a_way_back_is_taken(shared: Api) -> None:
    assert (
        visitor(shared).log_in(shared.secrets["viewer"], "/console/runs?page=2").headers["Location"]
        == "/console/runs?page=2"
    )


def test_a_wrong_token_opens_nothing_and_too_many_make_the_address_wait(api: Api) -> None:
    guest = visitor(api)
    answers = [guest.log_in("trueup_wrong") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert "opens nothing" in answers[0].text
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert "trueup_wrong" not in answers[0].text
    assert visitor(api).log_in(api.secrets["viewer"]).status_code == 429
    wrong = {"Authorization": "Bearer trueup_other"}
    assert api.client(None).get("/modes", headers=wrong).status_code == 429


def test_a_session_ends_when_it_is_not_used(api: Api, seconds: Seconds) -> None:
    guest = visitor(api, "viewer")
    for _ in range(3):
        seconds.passed += IDLE_SECONDS - 1
        assert guest.get().status_code == 200
    seconds.passed += IDLE_SECONDS + 1
    assert gone(guest.get())
    assert gone(guest.get())


def test_what_a_page_asks_for_by_itself_keeps_no_session(api: Api, seconds: Seconds) -> None:
    guest = visitor(api, "viewer")
    seconds.passed += IDLE_SECONDS - 1
    assert guest.get("/breaks", **{"X-Console-Live": "1"}).status_code == 200
    seconds.passed += 2
    answer = guest.get("/breaks", **{"X-Console-Live": "1"})
    assert (answer.status_code, "Log in" in answer.text) == (401, True)


def test_a_session_ends_after_half_a_day_in_any_case(api: Api, seconds: Seconds) -> None:
    guest = visitor(api, "viewer")
    while seconds.passed + IDLE_SECONDS / 2 < LONGEST_SECONDS:
        seconds.passed += IDLE_SECONDS / 2
        assert guest.get("/alerts").status_code == 200
    seconds.passed += IDLE_SECONDS / 2 + 1
    assert gone(guest.get())


def test_to_log_out_ends_the_session_on_the_server(shared: Api) -> None:
    guest = visitor(shared, "viewer")
    kept = guest.cookies[COOKIE]
    answer = guest.post("/logout")
    assert gone(answer)
    guest.client.get(answer.headers["Location"])
    assert COOKIE not in guest.cookies
    guest.client.cookies.set(COOKIE, kept, domain="127.0.0.1", path="/console")
    assert gone(guest.get())


def test_a_revoked_token_ends_its_sessions_at_once(api: Api) -> None:
    made = create_token(api.app, "leaver", "operator")
    guest, other = visitor(api), visitor(api, "viewer")
    guest.log_in(made.secret)
    key = guest.form_key()
    revoke_token(api.app, "leaver")
    assert guest.post("/modes", form_key=key, scope="global", mode="HALT", reason="x").status_code == 401
    assert gone(guest.get())
    assert other.get().status_code == 200
    assert api.app.modes.current()["global"].name == "SAFE_MODE"


def test_no_session_opens_the_api_and_no_token_the_console(shared: Api) -> None:
    guest = visitor(shared, "operator")
    assert guest.client.get("/modes").status_code == 401
    assert gone(shared.client("operator").get("/console/"))


def test_a_browser_at_the_front_is_led_to_the_console(shared: Api) -> None:
    client = shared.client(None)
    assert client.get("/", headers={"Accept": "text/html"}).headers["Location"] == "/console/"
    assert client.get("/console").headers["Location"] == "/console/"
    assert client.get("/").status_code == 401
