"""What the console keeps to: forms are its own, roles hold, everything is escaped, errors are pages."""

import re
from typing import Any

import pytest
from tests.api.server import Api
from tests.console.conftest import INJECTED, look
from tests.console.visitor import text_of, visitor
from tests.ledger.bot import Bot, row

from trueup.core.errors import CannotKnow
from trueup.core.modes import Mode
from trueup.service.alerts import raise_alert, resolve_alert
from trueup.service.tokens import ROLES, Permission
from trueup.surfaces.console.app import HEADERS
from trueup.surfaces.console.navigation import ALL, routes_of, sections

PAGES = ("/", "/breaks", "/trades", "/trades/TRD-GHOST", "/runs", "/backfill", "/modes", "/alerts", "/audit",
         "/audit/verify", "/incidents", "/incidents?closed=yes", "/canary")  # fmt: skip
TIGHTEN = {"scope": "profile:p1", "mode": "HALT", "reason": "test"}
FORMS: dict[str, tuple[Permission, dict[str, str]]] = {
    "/modes": (Permission.ACT, TIGHTEN),
    "/backfill/plans": (Permission.ACT, {}),
    "/backfill/plans/HASH/approve": (Permission.SIGN, {"note": "x"}),
    "/backfill/plans/HASH/decline": (Permission.SIGN, {"note": "x"}),
    "/backfill/plans/HASH/apply": (Permission.ACT, {}),
    "/backfill/batches/B/revert": (Permission.ACT, {"reason": "x"}),
    "/backfill/batches/B/reapply": (Permission.ACT, {"reason": "x"}),
    "/breaks/BRK/acknowledge": (Permission.ACT, {"reason": "x"}),
    "/incidents/INC/repair": (Permission.ACT, {"reason": "x"}),
    "/incidents/INC/note": (Permission.ACT, {"text": "x"}),
    "/canary/INC/propose": (
        Permission.ACT, {"profile": "p1", "symbols": "*", "limit": "1", "minutes": "1", "reason": "x"},
    ),
    "/canary/INC/approve": (Permission.SIGN, {"reason": "x"}),
    "/canary/INC/abort": (Permission.ACT, {"reason": "x"}),
    "/logout": (Permission.READ, {}),
}  # fmt: skip


def paused(api: Api) -> str:
    return api.app.modes.current().get("profile:p1", Mode.NORMAL).name


def test_every_form_of_the_console_is_known_here() -> None:
    posted = {route.path for section in ALL for route in routes_of(section) if "POST" in (route.methods or ())}
    known = {re.sub(r"/(HASH|BRK|INC|B)/", "/{}/", path) for path in FORMS} - {"/logout"}
    assert {re.sub(r"\{\w+\}", "{}", path) for path in posted} == known


def test_the_sections_that_have_pages_are_shown() -> None:
    assert sections() == ALL


class TestForgedForms:
    @pytest.mark.parametrize("path", FORMS)
    def test_without_the_key_of_the_session_nothing_is_done(self, shared: Api, path: str) -> None:
        for role in ("operator", "approver"):
            guest, other = visitor(shared, role), visitor(shared, role)
            before = shared.app.journal.length(), paused(shared)
            for key in ("", "x" * 64, other.form_key()):
                answer = guest.post(path, form_key=key, **FORMS[path][1])
                assert (answer.status_code, "Nothing was done" in answer.text) == (403, True), (path, key)
            assert guest.get().status_code == 200
            assert (shared.app.journal.length(), paused(shared)) == before

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://127.0.0.1:1"},
        ],
        ids=str,
    )  # fmt: skip
    def test_from_another_site_it_is_refused_even_with_the_key(self, shared: Api, headers: dict[str, str]) -> None:
        guest, before = visitor(shared, "operator"), paused(shared)
        answer = guest.post("/modes", "/modes", headers, **{**TIGHTEN, "mode": "FLATTEN"})
        assert (answer.status_code, paused(shared)) == (403, before)
        assert "another site" in answer.text
        assert visitor(shared).log_in(shared.secrets["viewer"], **headers).status_code == 403

    def test_from_our_own_page_it_is_taken(self, api: Api) -> None:
        guest = visitor(api, "operator")
        headers = {"Origin": api.url, "Sec-Fetch-Site": "same-origin"}
        assert guest.post("/modes", "/modes", headers, **TIGHTEN).status_code == 303
        assert paused(api) == "HALT"

    def test_a_log_in_that_another_site_sends_is_refused(self, shared: Api) -> None:
        guest = visitor(shared)
        key = guest.form_key("/login")
        guest.client.cookies.clear()
        assert guest.post("/login", form_key=key, token=shared.secrets["viewer"]).status_code == 403
        assert guest.post("/login", form_key="", token=shared.secrets["viewer"]).status_code == 403

    def test_what_is_no_form_is_refused(self, shared: Api) -> None:
        guest, before = visitor(shared, "operator"), paused(shared)
        asked = {"form_key": guest.form_key(), **TIGHTEN}
        others: tuple[dict[str, Any], ...] = (
            {"json": asked},
            {"files": {name: (None, value) for name, value in asked.items()}},
        )
        for given in others:
            assert guest.client.request("POST", "/console/modes", **given).status_code == 422
        fields = "&".join(f"f{number}=1" for number in range(300))
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert guest.client.post("/console/modes", content=fields, headers=headers).status_code == 422
        assert guest.client.post("/console/modes", content=b"x=" + b"y" * 70_000, headers=headers).status_code == 413
        assert paused(shared) == before


class TestRoles:
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("path", FORMS)
    def test_what_a_role_may_not_do_is_refused_whatever_was_shown(self, shared: Api, role: str, path: str) -> None:
        permission, fields = FORMS[path]
        answer = visitor(shared, role).post(path, **fields)
        refused = answer.status_code == 403
        assert refused is (permission not in ROLES[role]), (answer.status_code, answer.text)
        if refused:
            assert f"The role {role} may not {permission}" in text_of(answer.text)

    def test_a_viewer_is_shown_no_control_but_the_way_out(self, shared: Api) -> None:
        guest = visitor(shared, "viewer")
        found = re.search(r'href="(/console/breaks/[^"]+)"', guest.get("/breaks").text)
        assert found
        for path in (*PAGES, found[1].removeprefix("/console")):
            forms = re.findall(r'<form method="post" action="([^"]+)"', guest.get(path).text)
            assert forms == ["/console/logout"], path


class TestEscaping:
    def test_markup_in_names_stays_text_on_every_page(self, api: Api) -> None:
        look(api)
        operator = visitor(api, "operator")
        plan = operator.post("/backfill/plans", "/backfill", note=INJECTED).headers["Location"]
        operator.post("/modes", "/modes", scope="profile:p1", mode="HALT", reason=INJECTED)
        paths = {*PAGES, plan.removeprefix("/console"), f"/trades/TRD-{INJECTED.replace('/', '%2F')}"}
        told = 0
        while paths:
            page = operator.get(paths.pop())
            assert page.status_code == 200, page.url
            assert INJECTED not in page.text, page.url
            assert not re.search(r"<script(?! src=\"/console/static/console\.js\?v=)", page.text), page.url
            told += "&lt;script&gt;" in page.text
        assert told >= 6

    def test_what_is_asked_is_not_markup_either(self, shared: Api) -> None:
        guest = visitor(shared, "viewer")
        for path in (f"/trades?trade={INJECTED}", f"/breaks?kind={INJECTED}", f"/runs?status={INJECTED}",
                     f"/audit?batch={INJECTED}", f"/nothing/{INJECTED}"):  # fmt: skip
            answer = guest.client.get(f"/console{path}", follow_redirects=True)
            assert answer.status_code in (404, 422), path
            assert INJECTED not in answer.text

    def test_letters_that_turn_text_around_are_made_visible(self, api: Api, bot: Bot) -> None:
        bot.db.orders(row("TRD-\N{RIGHT-TO-LEFT OVERRIDE}EVIL", symbol="DOT/USD"))
        guest = visitor(api, "viewer")
        page = guest.get("/trades/TRD-%E2%80%AEEVIL").text
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page
        assert "TRD-\N{REPLACEMENT CHARACTER}EVIL" in page


class TestAnswers:
    def test_every_answer_has_the_policy(self, shared: Api) -> None:
        for guest in (visitor(shared), visitor(shared, "viewer")):
            for path in (*PAGES, "/login", "/nothing", "/static/console.css", "/static/console.js", "/static/icon.svg"):
                answer = guest.get(path)
                for name, value in HEADERS.items():
                    assert answer.headers[name] == value, path
                assert answer.headers["X-Frame-Options"] == "DENY"
                assert "unsafe" not in answer.headers["Content-Security-Policy"]

    def test_nothing_in_a_page_is_inline_or_from_elsewhere(self, shared: Api) -> None:
        guest = visitor(shared, "operator")
        for path in (*PAGES, "/login"):
            page = guest.get(path).text
            assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", page), path
            assert not re.findall(r'(?:src|href|action)="(?!/console/|#main)([^"]*)"', page), path

    def test_pages_are_kept_nowhere_and_files_are(self, shared: Api) -> None:
        guest = visitor(shared, "viewer")
        assert guest.get().headers["Cache-Control"] == "no-store"
        found = re.search(r'href="(/console/static/console\.css\?v=\w+)"', guest.get().text)
        assert found
        assert "immutable" in guest.client.get(found[1]).headers["Cache-Control"]
        for name in ("..%2Fapp.py", "page.html", "console.css.map"):
            assert guest.get(f"/static/{name}").status_code == 404

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/nothing", 404), ("/breaks/BRK-0", 404), ("/runs/RUN-0", 404), ("/trades/TRD-0", 404),
            ("/backfill/plans/0", 404), ("/incidents/INC-0", 404), ("/incidents/INC-0/export", 404),
            ("/backfill/batches/B", 404), ("/breaks?kind=x", 422),
            ("/breaks?profile=x", 404), ("/runs?status=x", 422), ("/audit?batch=x", 404), ("/logout", 405),
        ],
    )  # fmt: skip
    def test_errors_are_pages_that_people_can_read(self, shared: Api, path: str, status: int) -> None:
        answer = visitor(shared, "viewer").get(path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
        assert "Go to the overview" in answer.text
        assert "Traceback" not in answer.text

    def test_a_database_that_is_away_is_said(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        guest = visitor(api, "viewer")

        def away() -> None:
            raise CannotKnow("The database is locked.", "Wait.")

        monkeypatch.setattr(type(api.app.ledger), "profiles", lambda self: away())
        answer = guest.get("/breaks")
        assert (answer.status_code, "The database is locked." in answer.text) == (503, True)
        monkeypatch.setattr(type(api.app.tokens), "find", lambda self, _: away())
        answer = guest.get("/")
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)

    def test_what_nobody_foresaw_is_a_page_with_a_name_for_the_log(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        guest = visitor(api, "viewer")
        monkeypatch.setattr(type(api.app.ledger), "profiles", lambda self: 1 / 0)
        answer = guest.get("/modes")
        assert (answer.status_code, "urn:uuid:" in answer.text) == (500, True)
        assert "division" not in answer.text


class TestLive:
    def test_a_part_is_sent_again_only_when_it_changed(self, api: Api) -> None:
        guest = visitor(api, "viewer")
        asked = {"X-Console-Live": "1"}
        first = guest.get("/breaks", **asked)
        assert first.status_code == 200
        assert "<html" not in first.text
        tag = {"If-None-Match": first.headers["ETag"]}
        assert guest.get("/breaks", **asked, **tag).status_code == 304
        look(api)
        after = guest.get("/breaks", **asked, **tag)
        assert (after.status_code, after.headers["ETag"] != first.headers["ETag"]) == (200, True)
        assert guest.get("/breaks", **asked, **{"If-None-Match": after.headers["ETag"]}).status_code == 304

    def test_a_note_waits_for_a_page_that_is_looked_at(self, api: Api) -> None:
        guest = visitor(api, "operator")
        guest.post("/modes", "/modes", **TIGHTEN)
        assert "It was in" not in guest.get("/modes", **{"X-Console-Live": "1"}).text
        assert "it was in NORMAL" in guest.get("/modes").text
        assert "it was in NORMAL" not in guest.get("/modes").text


def test_an_alert_that_nobody_heard_is_not_called_delivered(api: Api) -> None:
    """It ended before a target was set; a green mark would say that somebody was told."""
    raise_alert(api.app, "mismatch", "B-1", "profile:p1", "warning", "0.4 BTC/USD is not at the venue")
    resolve_alert(api.app, "B-1")
    page = visitor(api, "viewer").get("/alerts").text
    [cell] = re.findall(r'data-label="Delivery">(.*?)</td>', page)
    assert "ended unheard" in cell
    assert "delivered" not in cell
